//! How far a ledger has been read, by what stands there: not by its name, nor by its inode, nor by a
//! time. A ledger is set aside and packed, a client is renamed and its disk copied, and a clock is
//! set back.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::terms::limits::MAX_EVENT;

/// A place in a ledger, behind a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Bytes before it.
    pub at: u64,
    /// How many of them are its last line.
    pub line: u64,
    /// What that line is, as a figure.
    pub mark: u64,
    /// The latest event before it, for a ledger in which the line is nowhere to be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
}

impl Cursor {
    /// It, moved behind these lines. Whoever reads on goes by the last one.
    #[must_use]
    pub fn behind(&self, lines: &[u8], newest: Option<DateTime<Utc>>) -> Self {
        let newest = self.newest.max(newest);
        if lines.is_empty() {
            return Self { newest, ..self.clone() };
        }
        let last = last(lines);
        // Of one that is no event its end will do.
        let last = last.get(last.len().saturating_sub(MAX_EVENT as usize)..).unwrap_or_default();
        Self { at: self.at.saturating_add(lines.len() as u64), line: last.len() as u64, mark: figure(last), newest }
    }

    /// Whether these bytes are its last line.
    #[must_use]
    pub fn is_behind(&self, line: &[u8]) -> bool {
        line.len() as u64 == self.line && (self.line == 0 || figure(line) == self.mark)
    }
}

/// The last of several lines.
#[must_use]
pub fn last(lines: &[u8]) -> &[u8] {
    let before = lines.strip_suffix(b"\n").unwrap_or(lines);
    let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    lines.get(begin..).unwrap_or_default()
}

/// FNV-1a. It tells lines of honest gates apart, which have an id each, and is the same in every
/// release; an account that forges one miscounts itself.
fn figure(line: &[u8]) -> u64 {
    line.iter().fold(0xcbf2_9ce4_8422_2325, |figure, byte| (figure ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
