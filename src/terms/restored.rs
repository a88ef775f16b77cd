//! What is recorded of a pull of snapshots.

use serde::{Deserialize, Serialize};

/// What a pull did. Every text has been made printable and cut.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RestoreFacts {
    /// The snapshots that it read; none where it listed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<String>,
    /// The paths that it asked for, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// How many there are besides.
    #[serde(default, skip_serializing_if = "is_none")]
    pub other_paths: u64,
    /// Bytes that were sent, as far as the kernel said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_bytes: Option<u64>,
    /// Bytes that its client was sent within 24 hours, these among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_bytes: Option<u64>,
    /// Seconds from the start of the connection to the end of rsync.
    pub seconds: f64,
    /// rsync's exit status on the server; `None` where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsync_exit: Option<i32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over by reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}
