//! The lines of an answer: for people in columns, for programs an object each.
//!
//! A name in it is printable, whatever bytes it has, and still tells them all (`terms/text`).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::entry::{Entry, Sort};
use super::paint::{Mark, marked};
use crate::terms::Usage;
use crate::terms::limits::MAX_ANSWER_LINE;
use crate::terms::text::{counted, printable_within};
use crate::terms::word::words;

words! {
    /// What happened to a name.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum What {
        /// It is there, and was not.
        Created = "created",
        /// It has another content, or is something else.
        Changed = "changed",
        /// It has the same content and another mode, owner or time.
        Metadata = "metadata",
        /// It was there, and is not.
        Deleted = "deleted",
        /// It stands under another name.
        Moved = "moved",
    }
}

impl What {
    fn mark(self) -> Mark {
        match self {
            Self::Created => Mark::Added,
            Self::Deleted => Mark::Removed,
            Self::Changed | Self::Metadata | Self::Moved => Mark::Changed,
        }
    }
}

/// A name of which something is to be said.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The name, or the path from the top of the snapshot on.
    pub path: &'a [u8],
    /// What stands there.
    pub entry: &'a Entry,
    /// Where it leads, if it is a symlink.
    pub target: Option<&'a [u8]>,
}

/// A name that is in several snapshots.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Where it was seen first.
    pub first: &'a str,
    /// And last.
    pub last: &'a str,
    /// In how many.
    pub snapshots: usize,
}

/// A difference.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    /// Which.
    pub what: What,
    /// The name, or the one that it has now.
    pub path: &'a [u8],
    /// The one that it had, if it was moved.
    pub from: Option<&'a [u8]>,
    /// What stood there.
    pub old: Option<&'a Entry>,
    /// What stands there.
    pub new: Option<&'a Entry>,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writing {
    /// Whether for programs.
    pub json: bool,
    /// Whether owners are the client's, and so worth telling.
    pub owners: bool,
}

/// Differences, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// What came, and its size.
    pub created: (u64, u64),
    /// What went.
    pub deleted: (u64, u64),
    /// What has another content, and its sizes before and now.
    pub changed: (u64, u64, u64),
    /// What has the same, and another mode, owner or time.
    pub touched: u64,
    /// What was moved.
    pub moved: u64,
}

impl Sum {
    /// With one more.
    pub fn add(&mut self, one: &Difference<'_>) {
        let size = |entry: Option<&Entry>| entry.filter(|entry| entry.sort == Sort::File).map_or(0, |entry| entry.size);
        let (old, new) = (size(one.old), size(one.new));
        match one.what {
            What::Created => self.created = (self.created.0 + 1, self.created.1.saturating_add(new)),
            What::Deleted => self.deleted = (self.deleted.0 + 1, self.deleted.1.saturating_add(old)),
            What::Changed => {
                self.changed = (self.changed.0 + 1, self.changed.1.saturating_add(old), self.changed.2.saturating_add(new));
            }
            What::Metadata => self.touched += 1,
            What::Moved => self.moved += 1,
        }
    }

    /// Whether there is none.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Writing {
    /// A name of a directory.
    pub fn entry(self, named: &Named<'_>) -> String {
        let Named { path, entry, target } = *named;
        if self.json {
            let mut object = self.object(path, entry);
            target.into_iter().for_each(|target| put(&mut object, "target", name(target)));
            return written(object);
        }
        let leads = target.map(|target| format!(" -> {}", name(target))).unwrap_or_default();
        let owner = if self.owners { format!("  {:>5} {:>5}", entry.owner.0, entry.owner.1) } else { String::new() };
        let slash = if entry.sort == Sort::Directory { "/" } else { "" };
        let size = if entry.sort == Sort::File { binary(entry.size) } else { String::new() };
        format!("{}{owner}  {size:>10}  {}  {}{}{slash}{leads}", entry.mode_words(), time(entry), Mark::Name, name(path))
    }

    /// A name that was found.
    pub fn found(self, named: &Named<'_>, seen: Option<&Seen<'_>>) -> String {
        let Some(seen) = seen else { return self.entry(named) };
        if self.json {
            let mut object = self.object(named.path, named.entry);
            put(&mut object, "first", seen.first);
            put(&mut object, "last", seen.last);
            put(&mut object, "snapshots", seen.snapshots);
            return written(object);
        }
        let size = if named.entry.sort == Sort::File { binary(named.entry.size) } else { String::new() };
        let times = counted(seen.snapshots, "snapshot", "snapshots");
        format!("{size:>10}  {} to {}  {times:>15}  {}{}", seen.first, seen.last, Mark::Name, name(named.path))
    }

    /// A version of a file.
    pub fn version(self, what: What, snapshot: &str, entry: Option<&Entry>) -> String {
        if self.json {
            let mut object = Map::new();
            put(&mut object, "what", what.as_str());
            put(&mut object, "snapshot", snapshot);
            entry.into_iter().for_each(|entry| self.facts(&mut object, entry));
            return written(object);
        }
        let facts = entry.map(|entry| {
            let size = if entry.sort == Sort::File { binary(entry.size) } else { entry.sort.to_string() };
            format!("  {size:>10}  {}  {}  inode {}", time(entry), entry.mode_words(), entry.inode)
        });
        format!("{}  {snapshot}{}", column(what), facts.unwrap_or_default())
    }

    /// A difference; of a `snapshot` where several are compared.
    pub fn difference(self, one: &Difference<'_>, snapshot: Option<&str>) -> String {
        let Difference { what, path, from, old, new } = *one;
        if self.json {
            let mut object = Map::new();
            put(&mut object, "what", what.as_str());
            snapshot.into_iter().for_each(|snapshot| put(&mut object, "snapshot", snapshot));
            put(&mut object, "path", name(path));
            from.into_iter().for_each(|from| put(&mut object, "from", name(from)));
            let kind = new.or(old).map(|entry| entry.sort.as_str());
            kind.into_iter().for_each(|kind| put(&mut object, "kind", kind));
            for (key, entry) in [("old_size", old), ("size", new)] {
                let file = entry.filter(|entry| entry.sort == Sort::File);
                file.into_iter().for_each(|file| put(&mut object, key, file.size));
            }
            return written(object);
        }
        let size =
            |entry: Option<&Entry>| entry.map(|entry| if entry.sort == Sort::File { binary(entry.size) } else { entry.sort.to_string() });
        let sizes = match (what, size(old), size(new)) {
            (What::Changed, Some(old), Some(new)) if old != new => format!("{old} -> {new}"),
            (_, old, new) => new.or(old).unwrap_or_default(),
        };
        let from = from.map(|from| format!("{} -> ", name(from))).unwrap_or_default();
        let slash = if new.or(old).is_some_and(|entry| entry.sort == Sort::Directory) { "/" } else { "" };
        format!("{}  {sizes:>21}  {}{from}{}{slash}", column(what), Mark::Name, name(path))
    }

    /// What all differences come to.
    pub fn sum(self, sum: &Sum) -> String {
        let Sum { created, deleted, changed, touched, moved } = *sum;
        if self.json {
            return json!({
                "what": "sum",
                "created": created.0, "created_bytes": created.1,
                "deleted": deleted.0, "deleted_bytes": deleted.1,
                "changed": changed.0, "changed_bytes_before": changed.1, "changed_bytes": changed.2,
                "metadata": touched, "moved": moved,
            })
            .to_string();
        }
        if sum.is_nothing() {
            return marked(Mark::Heading, "no difference");
        }
        let words = [
            (created.0, format!("{} created ({})", created.0, binary(created.1))),
            (deleted.0, format!("{} deleted ({})", deleted.0, binary(deleted.1))),
            (changed.0, format!("{} changed ({}, before {})", changed.0, binary(changed.2), binary(changed.1))),
            (touched, format!("{touched} in metadata alone")),
            (moved, format!("{moved} moved")),
        ];
        let words: Vec<_> = words.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words).collect();
        marked(Mark::Heading, &words.join(", "))
    }

    /// What a snapshot alone takes; `None`: what all take.
    pub fn taken(self, snapshot: Option<&str>, usage: Usage, more: bool) -> String {
        if self.json {
            let mut object = Map::new();
            match snapshot {
                Some(snapshot) => put(&mut object, "snapshot", snapshot),
                None => put(&mut object, "what", "all"),
            }
            put(&mut object, "bytes", usage.bytes);
            put(&mut object, "inodes", usage.inodes);
            if more {
                put(&mut object, "or_more", true);
            }
            return written(object);
        }
        let or_more = if more { ", or more" } else { "" };
        let inodes = counted(usage.inodes, "inode", "inodes");
        match snapshot {
            Some(snapshot) => format!("{snapshot}  {:>10} alone in {inodes}{or_more}", binary(usage.bytes)),
            None => marked(Mark::Heading, &format!("all snapshots: {} in {inodes}{or_more}", binary(usage.bytes))),
        }
    }

    /// Something that the lines do not tell.
    pub fn remark(self, words: &str) -> String {
        if self.json { json!({ "what": "remark", "text": words }).to_string() } else { format!("({words})") }
    }

    fn object(self, path: &[u8], entry: &Entry) -> Map<String, Value> {
        let mut object = Map::new();
        put(&mut object, "path", name(path));
        self.facts(&mut object, entry);
        object
    }

    fn facts(self, object: &mut Map<String, Value>, entry: &Entry) {
        put(object, "kind", entry.sort.as_str());
        put(object, "size", entry.size);
        put(object, "mode", format!("{:04o}", entry.mode));
        let (seconds, nanoseconds) = entry.changed;
        let changed = DateTime::<Utc>::from_timestamp(seconds, nanoseconds);
        changed.into_iter().for_each(|changed| put(object, "changed", changed.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)));
        put(object, "inode", entry.inode);
        put(object, "names", entry.names);
        if self.owners {
            put(object, "user", entry.owner.0);
            put(object, "group", entry.owner.1);
        }
    }
}

fn put(object: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    object.insert(key.to_owned(), value.into());
}

fn written(object: Map<String, Value>) -> String {
    Value::Object(object).to_string()
}

/// A name or path, printable.
pub fn name(bytes: &[u8]) -> String {
    printable_within(bytes, MAX_ANSWER_LINE / 8)
}

fn column(what: What) -> String {
    marked(what.mark(), &format!("{:<8}", what.as_str()))
}

/// A time for people, in UTC as the names of snapshots are.
fn time(entry: &Entry) -> String {
    let shown = DateTime::<Utc>::from_timestamp(entry.changed.0, 0).map(|changed| changed.format("%Y-%m-%d %H:%M:%SZ").to_string());
    // A file may say any time.
    shown.filter(|shown| shown.len() == 20).unwrap_or_else(|| format!("{:>20}", format!("@{}", entry.changed.0)))
}

/// A size in binary units.
pub fn binary(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: Writing = Writing { json: false, owners: false };
    const PROGRAMS: Writing = Writing { json: true, owners: true };

    fn entry() -> Entry {
        Entry {
            sort: Sort::File,
            inode: 7,
            names: 2,
            size: 5000,
            allocated: 8192,
            changed: (1_795_000_000, 5),
            mode: 0o640,
            owner: (1, 2),
            device: 0,
        }
    }

    #[test]
    fn a_hostile_name_is_one_printable_line_for_people_and_one_object_for_programs() {
        let path = b"d/\x1b[2J\n\xff\"\xe2\x80\xae";
        let named = Named { path, entry: &entry(), target: None };
        let line = PEOPLE.entry(&named).replace(Mark::Name.as_str(), "");
        assert_eq!(line, "-rw-r-----     4.8 KiB  2026-11-18 11:06:40Z  d/\\u{1b}[2J\\n\\xff\"\\u{202e}");
        let object: Value = serde_json::from_str(&PROGRAMS.entry(&named)).unwrap();
        assert_eq!(object["path"], "d/\\u{1b}[2J\\n\\xff\"\\u{202e}");
        assert_eq!(object["changed"], "2026-11-18T11:06:40.000000005Z");
        assert_eq!((&object["user"], &object["mode"], &object["kind"]), (&json!(1), &json!("0640"), &json!("file")));
        // What is made of it on its way to a terminal is the same object.
        let shown = super::super::paint::shown(PROGRAMS.entry(&named).as_bytes(), Default::default());
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), object);
    }

    #[test]
    fn sizes_are_in_binary_units_and_sums_say_what_there_is() {
        for (bytes, words) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (500_000_000_000, "465.6 GiB"), (1 << 41, "2.0 TiB")] {
            assert_eq!(binary(bytes), words);
        }
        let mut sum = Sum::default();
        assert!(PEOPLE.sum(&sum).contains("no difference"));
        let (small, large) = (Entry { size: 10, ..entry() }, entry());
        for (what, old, new) in
            [(What::Created, None, Some(&small)), (What::Changed, Some(&small), Some(&large)), (What::Moved, Some(&small), Some(&small))]
        {
            sum.add(&Difference { what, path: b"x", from: None, old, new });
        }
        assert!(PEOPLE.sum(&sum).contains("1 created (10 B), 1 changed (4.8 KiB, before 10 B), 1 moved"), "{}", PEOPLE.sum(&sum));
        let object: Value = serde_json::from_str(&PROGRAMS.sum(&sum)).unwrap();
        assert_eq!((&object["created_bytes"], &object["changed_bytes"]), (&json!(10), &json!(5000)));
    }

    #[test]
    fn a_time_that_no_calendar_has_is_a_number() {
        let far = Entry { changed: (i64::MAX, 0), ..entry() };
        assert!(PEOPLE.entry(&Named { path: b"x", entry: &far, target: None }).contains("@9223372036854775807"));
    }
}
