//! The versions of a file through time, or what changed in a directory, snapshot by snapshot.

use std::io::Read as _;
use std::time::Instant;

use similar::TextDiff;

use super::changes::Changes;
use super::places::{Opened, Place};
use super::{Out, Reader, Stop, trees};
use crate::decide::history::differ::Beside;
use crate::decide::history::entry::Sort;
use crate::decide::history::paint::{Mark, marked};
use crate::decide::history::said::{What, name};
use crate::terms::limits::{DIFF_TIME, MAX_DIFFED};
use crate::terms::{Code, Reason, SubPath};

pub(super) fn history(reader: &Reader<'_>, out: &mut Out, place: &SubPath, diffs: bool) -> Result<(), Stop> {
    let mut before: Option<Opened> = None;
    let mut ever = false;
    for snapshot in reader.store.names()? {
        // It may have been removed meanwhile.
        let Some(opened) = reader.store.still(snapshot.as_str())? else { continue };
        out.look()?;
        let (old, new) = (before.as_ref().map(|before| before.find(place)).transpose()?.flatten(), opened.find(place)?);
        ever |= new.is_some();
        let is_directory = |place: &Place<'_>| place.entry.sort == Sort::Directory;
        if old.as_ref().is_some_and(is_directory) && new.as_ref().is_some_and(is_directory) {
            let mut changes = Changes::new(reader, [before.as_ref(), Some(&opened)], place, Some(opened.name()));
            trees::differ(reader, out, [old.as_ref(), new.as_ref()], &mut changes)?;
            changes.end(out)?;
        } else if let Some(what) = what(reader, old.as_ref(), new.as_ref())? {
            out.line(&reader.writing.version(what, opened.name(), new.as_ref().map(|new| &new.entry)))?;
            let texts = (before.as_ref(), old.as_ref(), new.as_ref());
            if let (Some(before), Some(old), Some(new)) = texts
                && diffs
                && what == What::Changed
            {
                differences(reader, out, [(before.name(), old), (opened.name(), new)])?;
            }
        }
        before = Some(opened);
    }
    if ever {
        return Ok(());
    }
    let says = format!("there is no `{}` in any snapshot", name(place.to_string().as_bytes()));
    let hint =
        if reader.order.is_administrator { reader.near_in_newest(place)? } else { "look at the spelling, or use find --all".to_owned() };
    Err(Reason::new(Code::Missing, says).hint(hint).into())
}

fn what(reader: &Reader<'_>, old: Option<&Place<'_>>, new: Option<&Place<'_>>) -> Result<Option<What>, Stop> {
    Ok(match (old, new) {
        (None, None) => None,
        (None, Some(_)) => Some(What::Created),
        (Some(_), None) => Some(What::Deleted),
        (Some(old), Some(new)) => match reader.alike.beside(old, new)? {
            Beside::Changed => Some(What::Changed),
            Beside::Metadata => Some(What::Metadata),
            Beside::Same | Beside::Unread { .. } => None,
        },
    })
}

/// Writes what differs between two versions of a text.
fn differences(reader: &Reader<'_>, out: &mut Out, versions: [(&str, &Place<'_>); 2]) -> Result<(), Stop> {
    let [old, new] = versions;
    let (Some(one), Some(other)) = (text(old.1)?, text(new.1)?) else {
        return out.line(&reader.writing.remark("no text, or too long to compare"));
    };
    let differ = TextDiff::configure().deadline(Instant::now() + DIFF_TIME).diff_lines(&one, &other);
    let unified = differ.unified_diff().context_radius(3).header(old.0, new.0).to_string();
    for line in unified.lines() {
        if reader.writing.json {
            out.line(&serde_json::json!({ "what": "diff", "snapshot": new.0, "line": name(line.as_bytes()) }).to_string())?;
            continue;
        }
        let mark = match line.as_bytes().first() {
            Some(b'+') => Mark::Added,
            Some(b'-') => Mark::Removed,
            Some(b'@') => Mark::Heading,
            _ => Mark::Plain,
        };
        out.line(&marked(mark, &name(line.replace('\t', "        ").as_bytes())))?;
    }
    Ok(())
}

/// A file as a text; `None` if it is none, or too long.
fn text(place: &Place<'_>) -> Result<Option<String>, Stop> {
    if place.entry.sort != Sort::File || place.entry.size > MAX_DIFFED {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    place.open()?.take(MAX_DIFFED).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
}
