//! What stands in a client's repository on the server.

use std::fs;
use std::path::{Path, PathBuf};

use snapgate::terms::Event;

use crate::record::Record;

/// A client's repository.
pub struct Repository {
    /// Its directory.
    pub path: PathBuf,
}

impl Repository {
    /// The names of the snapshots, oldest first; for patterns without `/`.
    pub fn snapshots(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path.join("snapshots")).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The snapshot of that number; negative ones count from the newest.
    pub fn snapshot(&self, number: isize) -> PathBuf {
        let names = self.snapshots();
        let index = if number < 0 { names.len().checked_add_signed(number) } else { usize::try_from(number).ok() };
        let name = index.and_then(|index| names.get(index)).unwrap_or_else(|| panic!("no snapshot {number} in {names:?}"));
        self.path.join("snapshots").join(name)
    }

    /// Where `current` points to, exactly as the link says.
    pub fn current(&self) -> Option<String> {
        fs::read_link(self.path.join("current")).ok().map(|path| path.into_os_string().into_string().unwrap())
    }

    /// The text of the newest run's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.logs().last().expect("a run's log")).unwrap()
    }

    /// The logs of all runs, the oldest first; without what their rsyncs said.
    pub fn logs(&self) -> Vec<PathBuf> {
        let logs = fs::read_dir(self.path.join(".snapgate/logs")).unwrap().map(|entry| entry.unwrap().path());
        let mut logs: Vec<_> = logs.filter(|log| !log.display().to_string().ends_with(".rsync.log")).collect();
        logs.sort();
        logs
    }
}

/// Every line of a ledger; each has to be a record.
pub fn read_ledger(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let event = |line| serde_json::from_str::<Event>(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()));
    text.lines().map(|line| event(line).into()).collect()
}
