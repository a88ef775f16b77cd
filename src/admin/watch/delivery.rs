//! What became of an account's mails in one pass, and whether alerts may be added to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::act::record::spool::{AccountSpool, Sent, SpoolError};
use crate::decide::speak::alerts::Alerts;
use crate::decide::speak::metrics::Deliveries;
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
    /// Mails that were refused in this pass, and in which words; each is tried once.
    pub(super) refused: BTreeMap<u64, String>,
    /// How many of those that wait were refused, in this pass or before.
    pub(super) still: usize,
    /// Those that were tried, for Prometheus.
    pub(super) tried: Deliveries,
}

/// Adds them to what is remembered, under the lock of whoever tries them. A kill before this makes the
/// sum less by these, and never more.
pub(super) fn remember(spool: &AccountSpool, what: Sent, tried: &mut Deliveries) -> Result<(), SpoolError> {
    if *tried == Deliveries::default() {
        return Ok(());
    }
    // What is none is begun anew: it is replaced, whatever it is.
    let before = spool.sent(what).ok().flatten();
    let mut all = before.and_then(|bytes| serde_json::from_slice::<Deliveries>(&bytes).ok()).unwrap_or_default().checked();
    all.add(&std::mem::take(tried));
    let json = serde_json::to_vec(&all).map_err(|error| SpoolError::Record(error.to_string()))?;
    spool.save_sent(what, &json)
}

impl Delivery {
    /// Counts which of these mails, which wait, were refused. Comes back with that where it is not what
    /// was `known`.
    pub(super) fn refusals(&mut self, known: &BTreeMap<u64, String>, waiting: &BTreeSet<u64>) -> Option<BTreeMap<u64, String>> {
        let mut all = known.clone();
        all.extend(self.refused.clone());
        all.retain(|seq, _| waiting.contains(seq));
        self.still = all.len();
        (all != *known).then_some(all)
    }

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
