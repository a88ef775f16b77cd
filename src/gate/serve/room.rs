//! Room: whether a client may bring more, what it may bring, and what it has brought to what it
//! holds. Nothing here walks through history.

use super::Connection;
use super::settle::Settling;
use crate::act::names::accounts;
use crate::act::store::{Repository, Staging};
use crate::decide::policy::Policy;
use crate::decide::push::metering::Allowance;
use crate::decide::push::settle::Work;
use crate::decide::quota::{self, Cap, Holding, MinFree};
use crate::terms::{Ground, Reason, RepositoryState, SnapshotName, Usage};

impl Connection<'_> {
    /// What the client holds; nothing where it has no repository yet.
    pub(super) fn holding(&self, state: &RepositoryState) -> Holding {
        let repository = Repository::existing(&self.policy.path, accounts::running());
        repository.map(|repository| repository.holding(state.newest.as_ref())).unwrap_or_default()
    }

    /// Makes sure that the client may bring something, or the bytes that it `wants` to bring.
    pub(super) fn room(&self, repository: &Repository, state: &RepositoryState, wants: Option<u64>) -> Result<Holding, Reason> {
        repository.room(self.policy, self.site, state.newest.as_ref(), wants)
    }

    /// What the disk still has for pushes, where they have to leave something free. A disk that says
    /// nothing has enough.
    pub(super) fn disk_room<'a>(&'a self, repository: &'a Repository) -> Option<Box<dyn Fn() -> Usage + 'a>> {
        let leave = &self.site.min_free;
        let enough = Usage { bytes: u64::MAX, inodes: u64::MAX };
        let room = move || repository.disk().map_or(enough, |disk| disk.room(leave));
        (*leave != MinFree::LEAST).then(|| Box::new(room) as Box<dyn Fn() -> Usage + 'a>)
    }
}

/// What a push may bring of a client that holds this, `used` of which its transaction has already.
pub(super) fn allowance(policy: &Policy, holding: &Holding, used: Usage) -> Option<Allowance> {
    let before = holding.before_a_push();
    let within = |limit: Option<u64>, before| limit.map(|limit| Cap::up_to(limit, before, Ground::Quota));
    let (bytes, inodes) = (within(policy.quota.bytes, before.bytes), within(policy.quota.inodes, before.inodes));
    Allowance::within(Allowance::new(&policy.limits, used), bytes, inodes)
}

/// What a tree adds that is about to be published, or to wait in its transaction.
pub(super) fn adds(staging: &Staging<'_>, settling: &Settling<'_>) -> Option<Usage> {
    let Settling { links, linked: (survey, made), facts, snapshots, state, held, work, .. } = settling;
    // Only then was nothing in it that has a name elsewhere when it was surveyed.
    let is_known = matches!(work, Work::Push { .. }) && facts.carried == 0 && links.is_some_and(|links| links.reused() == 0);
    if is_known {
        return (!survey.blind).then(|| survey.takes.and(made.takes));
    }
    let newest = state.newest.as_ref().map(|newest| newest.below(&held.repository().snapshots()));
    let compared: Vec<_> = snapshots.iter().cloned().chain(newest.filter(|newest| !snapshots.contains(newest))).collect();
    staging.adds(&compared)
}

/// Enters what a snapshot adds before it is published. Returns what the administrator should know
/// of the quota.
pub(super) fn enter(policy: &Policy, settling: &Settling<'_>, name: &SnapshotName, adds: Option<Usage>) -> Vec<String> {
    let Settling { held, state, .. } = settling;
    let before = held.repository().holding(state.newest.as_ref());
    held.enter_next(state.newest.as_ref(), name, adds);
    quota::warnings(&policy.quota, &before, adds)
}
