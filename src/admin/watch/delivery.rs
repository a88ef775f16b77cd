//! What became of an account's mails in one pass, and whether alerts may be added to them.

use std::collections::BTreeSet;

use crate::decide::speak::alerts::Alerts;
use crate::terms::limits::MAX_REFUSED_MAILS;

/// What became of the mails that waited.
#[derive(Default)]
pub(super) struct Delivery {
    /// The mailer takes nothing more in this pass.
    pub(super) down: bool,
    /// Mails that wait, and how many of them are alerts.
    pub(super) waiting: usize,
    pub(super) alerts: usize,
    /// Whether it was said that some wait for their account's turn.
    pub(super) held: bool,
    /// Mails that were refused in this pass; each is tried once.
    pub(super) refused: BTreeSet<u64>,
}

impl Delivery {
    /// Alerts are held back while earlier ones wait for a mailer that is down or refuses one after
    /// another.
    pub(super) fn alerts_may(&self, flush: bool) -> Alerts {
        match self.alerts {
            0 => {}
            _ if self.down => return Alerts::Hold,
            many if many >= MAX_REFUSED_MAILS => return Alerts::Hold,
            _ => {}
        }
        if flush { Alerts::Flush } else { Alerts::Due }
    }
}
