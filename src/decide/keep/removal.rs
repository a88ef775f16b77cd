//! What goes: of itself, and where space is short.

use super::{Judged, Snapshot};

/// Where so many of a hundred would go at once, a person has to agree.
const MANY: usize = 90;

/// More would go at once than anybody expects of a rule that is applied every hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{doomed} of {all} snapshots would be removed at once: look at them with `snapgate prune --explain`, and say --yes-remove-many if that is meant"
)]
pub struct TooMany {
    /// Snapshots that would go.
    pub doomed: usize,
    /// Snapshots that there are.
    pub all: usize,
}

/// The snapshots that nothing keeps, the oldest first.
///
/// # Errors
/// When these are nine of ten of all, or more, and nobody said that so many may go.
pub fn doomed<'a>(judged: &[Judged<'a>], yes_remove_many: bool) -> Result<Vec<&'a Snapshot>, TooMany> {
    let found: Vec<_> = judged.iter().filter(|one| one.is_doomed()).map(|one| one.snapshot).collect();
    let too_many = TooMany { doomed: found.len(), all: judged.len() };
    let is_many = !found.is_empty() && too_many.doomed.saturating_mul(100) >= too_many.all.saturating_mul(MANY);
    if is_many && !yes_remove_many { Err(too_many) } else { Ok(found) }
}

/// No more than one in so many of a client's snapshots go at once for want of room: a figure may be
/// a mistake, and what goes so cannot be brought back.
const ONE_IN: usize = 4;

/// How many of so many snapshots may go at once for want of room; one in any case.
pub fn most_at_once(snapshots: usize) -> usize {
    (snapshots / ONE_IN).max(1)
}

/// `when_full: shorten` What may go besides when space is short: the snapshots that rules alone
/// keep, the oldest first. What is then left is what floors keep.
pub fn may_be_shortened<'a>(judged: &[Judged<'a>]) -> Vec<&'a Snapshot> {
    judged.iter().filter(|one| !one.is_doomed() && !one.is_on_a_floor()).map(|one| one.snapshot).collect()
}
