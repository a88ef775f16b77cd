//! Reads a client's snapshots for whoever asks, in a process that sees nothing else.
//!
//! Every name in there is a client's. Each directory is opened by descriptor, one level at a time,
//! and no link is followed; only what is a regular file is opened at all. What is remembered has a
//! bound, however many files there are.

mod alike;
mod changes;
mod listing;
mod names;
mod out;
mod places;
mod taken;
mod trees;
mod versions;

use std::fs::File;
use std::io::Read as _;

use crate::decide::history::entry::Sort;
use crate::decide::history::order::{Order, Task};
use crate::decide::history::said::{Named, Writing, name};
use crate::terms::{Code, NamePattern, Reason, SubPath};

pub use out::{Out, Stop};

use alike::Alike;
use changes::Changes;
use listing::{Listing, Room};
use places::{Opened, Place, missing, removed};

/// Reads, and writes the answer.
///
/// # Errors
/// When there is none, or nobody reads it.
pub fn read(order: &Order, out: &mut Out) -> Result<(), Stop> {
    let pattern = NamePattern::new(&order.names).unwrap_or_default();
    let reader = Reader {
        order,
        store: places::Store::open(&order.root(), pattern)?,
        room: Room::default(),
        alike: Alike::default(),
        writing: writing(order),
    };
    match &order.task {
        Task::Ls { snapshot, place } => reader.ls(out, snapshot, place),
        Task::Cat { snapshot, place, most } => reader.cat(out, snapshot, place, *most),
        Task::Find { snapshot, pattern } => names::find(&reader, out, snapshot.as_deref(), pattern),
        Task::History { place, diffs } => versions::history(&reader, out, place, *diffs),
        Task::Yesterday { until, place, before } => reader.yesterday(out, until, place, before.as_encoded_bytes()),
        Task::Diff { old, new, place } => reader.diff(out, [old, new], place),
        Task::Usage => taken::usage(&reader, out),
    }?;
    out.flush()
}

fn writing(order: &Order) -> Writing {
    Writing { json: order.json, owners: order.owners }
}

/// Who reads, and what it may remember.
struct Reader<'a> {
    order: &'a Order,
    store: places::Store,
    room: Room,
    alike: Alike,
    writing: Writing,
}

impl Reader<'_> {
    /// A place that has to be there.
    fn place<'s>(&self, snapshot: &'s Opened, place: &SubPath) -> Result<Place<'s>, Stop> {
        match snapshot.find(place)? {
            Some(found) => Ok(found),
            None if self.order.is_administrator => Err(missing(place, snapshot.name()).hint(snapshot.near(place)?).into()),
            None => Err(missing(place, snapshot.name()).into()),
        }
    }

    fn ls(&self, out: &mut Out, snapshot: &str, place: &SubPath) -> Result<(), Stop> {
        let snapshot = self.store.snapshot(snapshot)?;
        let found = self.place(&snapshot, place)?;
        if found.entry.sort != Sort::Directory {
            let target = found.target()?;
            let path = place.to_string().into_bytes();
            let path = place.components().last().map_or(path, |last| last.as_encoded_bytes().to_vec());
            return out.line(&self.writing.entry(&Named { path: &path, entry: &found.entry, target: target.as_deref() }));
        }
        let directory = found.directory()?;
        let listing = Listing::read(&directory, &self.room)?;
        for at in 0..listing.len() {
            let Some(file) = listing.name(at) else { continue };
            out.look()?;
            let here = Place::at(&directory, file)?;
            let target = here.target()?;
            out.line(&self.writing.entry(&Named { path: file.to_bytes(), entry: &here.entry, target: target.as_deref() }))?;
        }
        Ok(())
    }

    fn cat(&self, out: &mut Out, snapshot: &str, place: &SubPath, most: Option<u64>) -> Result<(), Stop> {
        let snapshot = self.store.snapshot(snapshot)?;
        let found = self.place(&snapshot, place)?;
        let shown = name(place.to_string().as_bytes());
        if found.entry.sort != Sort::File {
            let says = format!("`{shown}` is no file: it is a {}", found.entry.sort);
            return Err(Reason::new(Code::Kind, says).hint("use ls to see what is there").into());
        }
        let most = most.unwrap_or(u64::MAX);
        let too_much = || {
            let says = format!("`{shown}` has more than {} bytes", most);
            Reason::new(Code::TooMuch, says).hint("fetch it with rsync")
        };
        if found.entry.size > most {
            return Err(too_much().into());
        }
        let mut file: File = found.open()?;
        let mut room = vec![0; 64 * 1024];
        loop {
            match file.read(&mut room)? {
                0 => return Ok(()),
                read => out.raw(room.get(..read).unwrap_or_default())?,
            }
        }
    }

    fn yesterday(&self, out: &mut Out, until: &str, place: &SubPath, before: &[u8]) -> Result<(), Stop> {
        let names = self.store.names()?;
        let until = self.store.time_of(until)?;
        for name in names.iter().rev().filter(|name| name.at <= until) {
            let Some(snapshot) = self.store.still(name.as_str())? else { continue };
            let Some(found) = snapshot.find(place)? else { continue };
            // A path of the server's is about to be opened there, and this one leads where the client says.
            if self.order.is_administrator && found.entry.sort == Sort::Link {
                let shown = crate::decide::history::said::name(place.to_string().as_bytes());
                let says = format!("`{shown}` in {} is a symlink: on this server it leads where the client says", name.as_str());
                return Err(Reason::new(Code::Kind, says)
                    .hint("`snapgate ls` shows where to, and `snapgate restore` brings it back as a link")
                    .into());
            }
            let rest = place.below(std::path::Path::new(name.as_str())).into_os_string().into_encoded_bytes();
            let whole = [before, &rest].concat();
            if self.writing.json {
                return out.line(
                    &serde_json::json!({ "snapshot": name.as_str(), "path": crate::decide::history::said::name(&whole) }).to_string(),
                );
            }
            out.raw(&whole)?;
            return out.raw(b"\n");
        }
        let says = format!("there was no `{}` then or before", name(place.to_string().as_bytes()));
        let hint =
            if self.order.is_administrator { self.near_in_newest(place)? } else { "look at the spelling, or at a later time".to_owned() };
        Err(Reason::new(Code::Missing, says).hint(hint).into())
    }

    /// What is near to a place that is in none.
    fn near_in_newest(&self, place: &SubPath) -> Result<String, Stop> {
        let names = self.store.names()?;
        let newest = names.last().map(|name| self.store.snapshot(name.as_str())).transpose()?;
        newest.map_or_else(|| Ok("let the client push first".to_owned()), |newest| newest.near(place))
    }

    fn diff(&self, out: &mut Out, [old, new]: [&String; 2], place: &SubPath) -> Result<(), Stop> {
        let (old, new) = (self.store.snapshot(old)?, self.store.snapshot(new)?);
        let found = (old.find(place)?, new.find(place)?);
        if let (None, None) = found {
            self.place(&new, place)?;
        }
        let mut changes = Changes::new(self, [Some(&old), Some(&new)], place, None);
        trees::differ(self, out, [found.0.as_ref(), found.1.as_ref()], &mut changes)?;
        let sum = changes.end(out)?;
        out.line(&self.writing.sum(&sum))
    }
}

/// What went wrong with a snapshot, where it may just have been removed.
fn gone(snapshot: &str, error: &std::io::Error) -> Reason {
    if error.kind() == std::io::ErrorKind::NotFound { removed(snapshot) } else { places::broken(&format!("reading {snapshot}"), error) }
}
