//! When a client may come: days and hours on the clocks of the policy's zone.

use chrono::NaiveDateTime;

/// One entry of `when:`. A window that runs past midnight belongs to the day on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    days: [bool; 7],
    from: u16,
    until: u16,
}

impl Window {
    /// Whether the window is open when clocks in its zone show `local`.
    #[must_use]
    pub fn is_open(&self, _local: NaiveDateTime) -> bool {
        false
    }
}
