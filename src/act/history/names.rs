//! Where a name is: in one snapshot, or in all with where it was seen first and last.

use std::collections::BTreeMap;

use super::places::{Opened, Place};
use super::{Out, Reader, Stop, trees};
use crate::decide::history::entry::Entry;
use crate::decide::history::pattern::Pattern;
use crate::decide::history::said::{Named, Seen, name};
use crate::terms::limits::MAX_FOUND;
use crate::terms::{Code, Reason};

/// A name that was seen.
struct Sighting {
    first: usize,
    last: usize,
    snapshots: usize,
    entry: Entry,
}

pub(super) fn find(reader: &Reader<'_>, out: &mut Out, snapshot: Option<&str>, pattern: &[u8]) -> Result<(), Stop> {
    let wanted = Pattern::read(pattern)?;
    let found = match snapshot {
        Some(snapshot) => in_one(reader, out, &reader.store.snapshot(snapshot)?, &wanted)?,
        None => in_all(reader, out, &wanted)?,
    };
    if found > 0 {
        return Ok(());
    }
    let (places, hint) = match snapshot {
        Some(snapshot) => (format!("in {snapshot}"), "look at the spelling, or use find --all"),
        None => ("in any snapshot".to_owned(), "look at the spelling"),
    };
    Err(Reason::new(Code::Missing, format!("nothing matches `{}` {places}", name(pattern))).hint(hint).into())
}

fn in_one(reader: &Reader<'_>, out: &mut Out, snapshot: &Opened, wanted: &Pattern) -> Result<usize, Stop> {
    let mut found = 0;
    each(reader, out, snapshot, &mut |out, path, place| {
        if !wanted.matches(path) {
            return Ok(());
        }
        found += 1;
        if found > MAX_FOUND {
            return Err(too_many(wanted));
        }
        let target = place.target()?;
        out.line(&reader.writing.found(&Named { path, entry: &place.entry, target: target.as_deref() }, None))
    })?;
    Ok(found)
}

fn in_all(reader: &Reader<'_>, out: &mut Out, wanted: &Pattern) -> Result<usize, Stop> {
    let names = reader.store.names()?;
    let mut all: BTreeMap<Vec<u8>, Sighting> = BTreeMap::new();
    for (number, name) in names.iter().enumerate() {
        // It may have been removed meanwhile.
        let Some(snapshot) = reader.store.still(name.as_str())? else { continue };
        each(reader, out, &snapshot, &mut |_, path, place| {
            if !wanted.matches(path) {
                return Ok(());
            }
            if let Some(seen) = all.get_mut(path) {
                *seen = Sighting { last: number, snapshots: seen.snapshots + 1, entry: place.entry, ..*seen };
                return Ok(());
            }
            if all.len() >= MAX_FOUND {
                return Err(too_many(wanted));
            }
            all.insert(path.to_vec(), Sighting { first: number, last: number, snapshots: 1, entry: place.entry });
            Ok(())
        })?;
    }
    let called = |number: usize| names.get(number).map_or("", |name| name.as_str());
    for (path, seen) in &all {
        let words = Seen { first: called(seen.first), last: called(seen.last), snapshots: seen.snapshots };
        out.line(&reader.writing.found(&Named { path, entry: &seen.entry, target: None }, Some(&words)))?;
    }
    Ok(all.len())
}

fn each(reader: &Reader<'_>, out: &mut Out, snapshot: &Opened, look: &mut trees::Look<'_>) -> Result<(), Stop> {
    let top = Place::at(snapshot, c".")?.directory()?;
    trees::each(reader, out, &top, &mut Vec::new(), look, 0)
}

fn too_many(wanted: &Pattern) -> Stop {
    let says = format!("`{}` stands for more than {MAX_FOUND} names", name(wanted.bytes()));
    Reason::new(Code::TooMuch, says).hint("use a pattern for fewer, such as one with a directory in it").into()
}
