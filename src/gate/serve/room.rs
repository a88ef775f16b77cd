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

/// What a push finds before it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    holding: Holding,
    /// What the disk has for it, where pushes have to leave something free.
    disk: Option<Usage>,
}

impl Connection<'_> {
    /// What the client holds; nothing where it has no repository yet.
    pub(super) fn holding(&self, state: &RepositoryState) -> Holding {
        let repository = Repository::existing(&self.policy.path, accounts::running());
        repository.map(|repository| repository.holding(state.newest.as_ref())).unwrap_or_default()
    }

    /// Makes sure that the client may bring something, or the bytes that it `wants` to bring.
    pub(super) fn room(&self, repository: &Repository, state: &RepositoryState, wants: Option<u64>) -> Result<Room, Reason> {
        let Self { policy, site, .. } = self;
        let holding = repository.holding(state.newest.as_ref());
        if let Some(reason) = quota::refusal(&policy.quota, &holding, wants) {
            return Err(reason.rule(policy.origins.of("quota")));
        }
        let disk = repository.disk();
        if let Some(reason) = disk.and_then(|disk| quota::no_room(&disk, &site.min_free, wants)) {
            return Err(reason.rule(site.origins.of("min_free")));
        }
        let disk = disk.filter(|_| site.min_free != MinFree::LEAST).map(|disk| disk.room(&site.min_free));
        Ok(Room { holding, disk })
    }
}

impl Room {
    /// What a push may bring, `used` of which its transaction has already.
    pub(super) fn allowance(&self, policy: &Policy, used: Usage) -> Option<Allowance> {
        let before = self.holding.before_a_push();
        let within = |limit: Option<u64>, before: u64, disk: Option<u64>, kept: u64| {
            let quota = limit.map(|limit| Cap::up_to(limit, before, Ground::Quota));
            // What is kept of pushes that did not finish is counted when it is used, and is on the
            // disk by now.
            let disk = disk.map(|room| Cap { most: room.saturating_add(kept), before: 0, ground: Ground::Store });
            Cap::or_less(quota, disk)
        };
        let bytes = within(policy.quota.bytes, before.bytes, self.disk.map(|disk| disk.bytes), self.holding.set_aside.bytes);
        let inodes = within(policy.quota.inodes, before.inodes, self.disk.map(|disk| disk.inodes), self.holding.set_aside.inodes);
        Allowance::within(Allowance::new(&policy.limits, used), bytes, inodes)
    }
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
