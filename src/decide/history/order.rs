//! What the process that reads history is told to do. It stands in a sandbox with one client's
//! snapshots; which of them are meant was decided outside, where more is known.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::terms::SubPath;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What `snapshots/` is in.
    pub root: OsString,
    /// The pattern of names of snapshots.
    pub names: String,
    /// Whether a program reads the answer.
    pub json: bool,
    /// Whether owners are the client's.
    pub owners: bool,
    /// Whether it may be told what is near to what it misnames.
    pub is_administrator: bool,
    /// What.
    pub task: Task,
}

/// What is to be answered. Snapshots are named as they are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// What is in a directory.
    Ls {
        /// The snapshot.
        snapshot: String,
        /// The place in it.
        place: SubPath,
    },
    /// What is in a file.
    Cat {
        /// The snapshot.
        snapshot: String,
        /// The place in it.
        place: SubPath,
        /// Bytes that it may have.
        most: Option<u64>,
    },
    /// Where a name is.
    Find {
        /// In which snapshot; `None`: in all.
        snapshot: Option<String>,
        /// A pattern.
        pattern: Vec<u8>,
    },
    /// Which versions there are.
    History {
        /// Of what.
        place: SubPath,
        /// Whether texts are compared.
        diffs: bool,
    },
    /// Where a file is as it was.
    Yesterday {
        /// In this snapshot, or the newest one before it that has it.
        until: String,
        /// What.
        place: SubPath,
        /// What stands before the snapshot's name.
        before: OsString,
    },
    /// What differs.
    Diff {
        /// From this snapshot.
        old: String,
        /// To this one.
        new: String,
        /// In this place.
        place: SubPath,
    },
    /// How much each takes.
    Usage,
}

impl Order {
    /// Where it is.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(&self.root)
    }
}
