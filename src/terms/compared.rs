//! A snapshot beside the one that it is compared with, and why one is held.

use serde::{Deserialize, Serialize};

/// A snapshot's files beside those of the last good one before it: by name, and by inode. Everything
/// that is not a directory is a file here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compared {
    /// The name of that one.
    pub with: String,
    /// How many files it has.
    pub files: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// Files that are the same in both.
    pub unchanged: u64,
    /// Files of both that have other content, or may have.
    pub changed: u64,
    /// Files that it does not have.
    pub added: u64,
    /// Its files that are no longer there.
    pub gone: u64,
    /// Files that are no longer there, as far as as many were added with endings of which it has
    /// hardly any.
    #[serde(skip_serializing_if = "is_zero")]
    pub renamed: u64,
    /// How many files have been replaced by content that does not compress, by a sample.
    #[serde(skip_serializing_if = "is_zero")]
    pub scrambled: u64,
}

/// Why a snapshot is held: it may be damage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Brake {
    /// The figures that were over their limits, in sentences.
    pub why: Vec<String>,
    /// Names of some of the files, printable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Whether `current` stays on the last good one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
