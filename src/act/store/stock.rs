//! What stands in `snapshots/`, for somebody who looks for what should not be there.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Repository;
use crate::decide::host::seen::{Need, Stock, Wanted};
use crate::terms::limits::{MAX_STOCK, MAX_STRANGE};
use crate::terms::text::{os_words, printable};
use crate::terms::{NamePattern, SnapshotName};

impl Repository {
    /// Looks in `snapshots/` for what is neither a snapshot nor a directory on the way to one. Run
    /// as the repository's account, which may have put anything there. Not a walk over trees: it
    /// goes as deep as names do.
    pub fn stock(&self, names: &NamePattern) -> Stock {
        let mut look = Look { names, seen: 0, newest: None, stock: Stock::default() };
        match look.below(&self.snapshots(), "", 1) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                look.stock.unread = Some(os_words(&error));
            }
        }
        let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
        let own = [self.root().to_path_buf(), self.inprogress()].map(|path| device(&path));
        let apart = device(&self.snapshots()).is_some_and(|snapshots| own.iter().flatten().any(|device| *device != snapshots));
        let newest = look.newest.map(|name| (name.as_str().to_owned(), name.at));
        let blocked = fs::symlink_metadata(self.current()).is_ok_and(|found| !found.is_symlink());
        Stock { newest, apart, blocked, ..look.stock }
    }

    /// What of an existing repository its account has to be able to write. What rsync fills may be
    /// the client's.
    pub fn needed(&self) -> Vec<Wanted> {
        let state = self.state();
        let own = ["logs", "ledgers", "unrecorded", "trash", "reaping", "protected", "held"].map(|name| state.join(name));
        let directories = [self.snapshots(), state.clone()].into_iter().chain(own).map(|path| (path, Need::Fill));
        let files = ["lock", "rsync.lock", "ledger.jsonl"].map(|name| (state.join(name), Need::Write));
        let all = directories.chain(files).filter(|(path, _)| fs::symlink_metadata(path).is_ok_and(|found| !found.is_symlink()));
        all.map(|(path, need)| Wanted { path, need }).collect()
    }
}

struct Look<'a> {
    names: &'a NamePattern,
    seen: u64,
    newest: Option<SnapshotName>,
    stock: Stock,
}

impl Look<'_> {
    /// Looks at one directory, and returns whether it leads to a snapshot. What leads to none is
    /// strange as a whole.
    fn below(&mut self, directory: &Path, prefix: &str, level: usize) -> io::Result<bool> {
        let mut leads_on = false;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            self.seen += 1;
            if self.seen > MAX_STOCK {
                self.stock.cut = true;
                return Ok(true);
            }
            // A link is never a snapshot, wherever it leads.
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let text = entry.file_name().to_str().map(|name| format!("{prefix}{name}"));
            let name = text.as_deref().filter(|_| is_directory).and_then(|text| self.names.read(text));
            if let Some(name) = name {
                leads_on = true;
                if self.newest.as_ref().is_none_or(|newest| newest.at < name.at) {
                    self.newest = Some(name);
                }
                continue;
            }
            let (strange, strangers) = (self.stock.strange.len(), self.stock.strangers);
            let leads = match text.filter(|_| is_directory && level < self.names.deepest()) {
                Some(text) => self.below(&entry.path(), &format!("{text}/"), level + 1).unwrap_or(false),
                None => false,
            };
            leads_on |= leads;
            // What was on the way to snapshots that somebody has removed is no trouble.
            let is_bare = is_directory && level < self.names.levels() && self.stock.strangers == strangers;
            if !leads && !is_bare {
                // This stands for what is in it.
                self.stock.strange.truncate(strange);
                self.stock.strangers = strangers + 1;
                if strange < MAX_STRANGE {
                    let shown = [prefix.as_bytes(), entry.file_name().as_encoded_bytes()].concat();
                    self.stock.strange.push(printable(&shown));
                }
            }
        }
        Ok(leads_on)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_not_looked_at_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::at(dir.path());
        for name in ["2026-11-21T02-00-00Z", "2026-11-22T02-00-00Z"] {
            fs::create_dir_all(repository.snapshots().join(name)).unwrap();
        }
        let names = NamePattern::default();
        for (seen, cut) in [(MAX_STOCK - 2, false), (MAX_STOCK - 1, true)] {
            let mut look = Look { names: &names, seen, newest: None, stock: Stock::default() };
            look.below(&repository.snapshots(), "", 1).unwrap();
            assert_eq!((look.stock.cut, look.stock.strangers), (cut, 0));
        }
    }

    #[test]
    fn what_is_no_snapshot_and_leads_to_none_is_strange_once() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::at(dir.path());
        let names = NamePattern::default();
        assert_eq!(repository.stock(&names), Stock::default(), "nothing yet");
        let below = |path: &str| dir.path().join("snapshots").join(path);
        for path in ["2026-11-21T02-00-00Z/etc", "2026/1122/0300", "2026_11_23_01_02_03", "old/one/two", "2025/notes"] {
            fs::create_dir_all(below(path)).unwrap();
        }
        fs::write(below("README"), "").unwrap();
        symlink("/", below("2026-11-24T02-00-00Z")).unwrap();
        let found = repository.stock(&names);
        let mut strange = found.strange.clone();
        strange.sort();
        assert_eq!((found.strangers, strange.join(" ").as_str()), (4, "2025 2026-11-24T02-00-00Z README old"), "{found:?}");
        assert_eq!(found.newest.as_ref().map(|(name, _)| name.as_str()), Some("2026_11_23_01_02_03"));
        assert!(!found.apart);
        let dated = NamePattern::new("%Y/%m%d/%H%M").unwrap();
        fs::create_dir_all(below("2024/1121")).unwrap();
        assert!(!repository.stock(&dated).strange.contains(&"2024".to_owned()), "whose snapshots were removed");
        fs::remove_dir_all(below("2024")).unwrap();
        for number in 0..2 * MAX_STRANGE {
            fs::create_dir(below(&format!("x{number}"))).unwrap();
        }
        let found = repository.stock(&names);
        assert_eq!((found.strange.len(), found.strangers), (MAX_STRANGE, 4 + 2 * MAX_STRANGE as u64));
    }

    #[test]
    fn a_name_is_printable_with_the_directories_that_it_is_in() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::at(dir.path());
        fs::create_dir_all(repository.snapshots().join("a\x1b/b\n")).unwrap();
        let names = NamePattern::default();
        // As where the look comes to its end in there.
        let mut look = Look { names: &names, seen: MAX_STOCK - 1, newest: None, stock: Stock::default() };
        look.below(&repository.snapshots().join("a\x1b"), "a\x1b/", 3).unwrap();
        assert_eq!(look.stock.strange, [r"a\u{1b}/b\n"]);
    }
}
