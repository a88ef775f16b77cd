//! Differences as they are found. They are held back as long as that takes little memory, so that
//! a file that was moved is told once and not as two.

use super::places::Opened;
use super::{Out, Reader, Stop};
use crate::decide::history::entry::{Entry, Sort};
use crate::decide::history::moves::{Lone, moved};
use crate::decide::history::paint::{Mark, marked};
use crate::decide::history::said::{Difference, Sum, What};
use crate::terms::SubPath;
use crate::terms::limits::{MAX_MOVABLE, MAX_MOVABLE_NAMES};

/// All differences between two snapshots in a place.
pub(super) struct Changes<'a> {
    reader: &'a Reader<'a>,
    sides: [Option<&'a Opened>; 2],
    place: &'a SubPath,
    /// Which snapshot they are told of, where there are several.
    snapshot: Option<&'a str>,
    held: Vec<Held>,
    names: Vec<u8>,
    gave_up: bool,
    is_headed: bool,
    sum: Sum,
}

/// One that is held back.
struct Held {
    what: What,
    start: usize,
    end: usize,
    entries: [Option<Entry>; 2],
}

impl<'a> Changes<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, sides: [Option<&'a Opened>; 2], place: &'a SubPath, snapshot: Option<&'a str>) -> Self {
        let (held, names, sum) = (Vec::new(), Vec::new(), Sum::default());
        Self { reader, sides, place, snapshot, held, names, gave_up: false, is_headed: false, sum }
    }

    /// The path of the place that is compared.
    pub(super) fn top(&self) -> Vec<u8> {
        self.place.components().map(std::ffi::OsStr::as_encoded_bytes).collect::<Vec<_>>().join(&b'/')
    }

    pub(super) fn add(&mut self, out: &mut Out, what: What, path: &[u8], entries: [Option<Entry>; 2]) -> Result<(), Stop> {
        if !self.gave_up && (self.held.len() >= MAX_MOVABLE || self.names.len() + path.len() > MAX_MOVABLE_NAMES) {
            self.gave_up = true;
            for held in std::mem::take(&mut self.held) {
                let names = std::mem::take(&mut self.names);
                let told = self.tell(out, held.what, names.get(held.start..held.end).unwrap_or_default(), None, &held.entries);
                self.names = names;
                told?;
            }
            self.names = Vec::new();
        }
        if self.gave_up {
            return self.tell(out, what, path, None, &entries);
        }
        let start = self.names.len();
        self.names.extend_from_slice(path);
        self.held.push(Held { what, start, end: self.names.len(), entries });
        Ok(())
    }

    /// Tells what is held back, and what all came to.
    pub(super) fn end(mut self, out: &mut Out) -> Result<Sum, Stop> {
        let held = std::mem::take(&mut self.held);
        let names = std::mem::take(&mut self.names);
        let path = |held: &Held| names.get(held.start..held.end).unwrap_or_default();
        let lone = |wanted: What, side: usize| {
            let entry = move |held: &Held| held.entries.get(side).copied().flatten();
            let is_one = move |held: &&Held| held.what == wanted && entry(held).is_some_and(|entry| entry.sort == Sort::File);
            held.iter().filter(is_one).filter_map(move |held| {
                let entry = entry(held)?;
                Some((held, Lone { inode: entry.inode, size: entry.size, changed: entry.changed }))
            })
        };
        let (gone, gone_facts): (Vec<_>, Vec<_>) = lone(What::Deleted, 0).unzip();
        let (came, came_facts): (Vec<_>, Vec<_>) = lone(What::Created, 1).unzip();
        let same = |at: usize, number: usize| {
            let (Some(old), Some(new)) = (gone.get(at), came.get(number)) else { return false };
            let [Some(before), Some(after)] = self.sides else { return false };
            let (Ok(Some(old)), Ok(Some(new))) = (before.again(path(old)), after.again(path(new))) else { return false };
            self.reader.alike.same(&old, &new).is_ok_and(|same| same == Some(true))
        };
        let found = moved(&gone_facts, &came_facts, same);
        let mut from: std::collections::BTreeMap<usize, &Held> = std::collections::BTreeMap::new();
        let mut left = std::collections::BTreeSet::new();
        for (new, at) in came.iter().zip(&found) {
            if let Some(old) = at.and_then(|at| gone.get(at)) {
                from.insert(new.start, old);
                left.insert(old.start);
            }
        }
        for one in &held {
            match (one.what, from.get(&one.start)) {
                (What::Deleted, _) if left.contains(&one.start) => {}
                (What::Created, Some(old)) => {
                    let entries = [old.entries.first().copied().flatten(), one.entries.last().copied().flatten()];
                    self.tell(out, What::Moved, path(one), Some(path(old)), &entries)?;
                }
                (what, _) => self.tell(out, what, path(one), None, &one.entries)?,
            }
        }
        if self.gave_up {
            out.line(&self.reader.writing.remark("too many differences to look for files that were moved"))?;
        }
        if self.reader.alike.has_guessed() {
            out.line(&self.reader.writing.remark("too much to read: of some files size and time alone were compared"))?;
        }
        Ok(self.sum)
    }

    fn tell(&mut self, out: &mut Out, what: What, path: &[u8], from: Option<&[u8]>, entries: &[Option<Entry>; 2]) -> Result<(), Stop> {
        let [old, new] = entries;
        let one = Difference { what, path, from, old: old.as_ref(), new: new.as_ref() };
        self.sum.add(&one);
        let writing = self.reader.writing;
        if let Some(snapshot) = self.snapshot.filter(|_| !self.is_headed && !writing.json) {
            out.line(&marked(Mark::Heading, snapshot))?;
        }
        self.is_headed = true;
        out.line(&writing.difference(&one, self.snapshot))
    }
}
