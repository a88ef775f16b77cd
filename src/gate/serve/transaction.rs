//! `prepare`, `complete`, `abort`: several pushes, one snapshot.

use super::settle::Settling;
use super::{Connection, End};
use crate::act::names::accounts;
use crate::act::store::{Held, Repository, mounted};
use crate::decide::push::plan;
use crate::decide::push::settle::{Work, no_transaction};
use crate::terms::{PushFacts, Reason, RepositoryState, SnapshotName, SubPath, Transaction};

impl Connection<'_> {
    pub(super) fn prepare(&self, bytes: Option<u64>) -> Result<End, Reason> {
        let repository = self.open()?;
        let held = repository.hold()?;
        held.make_room(&self.site.min_free)?;
        let mut state = repository.look(&self.policy.names)?;
        self.room(&repository, &state, bytes)?;
        // Whether the snapshot can have a name is better known now than after an hour of rsync.
        plan::name(&self.policy.names, self.request.at, self.request.at, state.newest.as_ref())?;
        let mut notes = held.recover(&mut state, self.request.at, self.policy.deadline)?;
        if let Some(open) = &state.transaction {
            notes.push(open.given_up());
        }
        let open = || {
            self.prepare_hooks(&repository, &self.log(&repository)?)?;
            held.open_transaction(self.request.at)?;
            Ok(End::answered("prepared: push with rsync, then say `complete`\n".to_owned()))
        };
        let end = End::of(open());
        held.enter_unpublished();
        Ok(end.noting(notes))
    }

    pub(super) fn complete(&self, status: Option<u8>) -> Result<End, Reason> {
        self.in_transaction("complete", |held, state, transaction| {
            let name = plan::name(&self.policy.names, transaction.began, self.request.at, state.newest.as_ref())?;
            let repository = held.repository();
            let log = self.log(repository)?;
            let mut end = self.reaching_all(held, || self.complete_held(status, &transaction, &name, held, state))?;
            self.complete_hooks(&mut end, repository, &log);
            Ok(end)
        })
    }

    /// Settles what its pushes have left, and closes it.
    fn complete_held(
        &self,
        status: Option<u8>,
        transaction: &Transaction,
        name: &SnapshotName,
        held: &Held<'_>,
        state: &RepositoryState,
    ) -> Result<End, Reason> {
        let staging = held.merge_transaction(transaction)?;
        let facts = PushFacts {
            seconds: (self.request.at - transaction.began).as_seconds_f64(),
            prepared: Some(transaction.began),
            parts: transaction.listed.clone(),
            earlier_parts: transaction.unrecorded,
            skipped: transaction.skipped,
            dropped_owners: transaction.dropped_owners,
            ..PushFacts::default()
        };
        let (against, snapshots) = self.against(held.repository(), &SubPath::default(), state);
        let snapshots = against.compared_with(snapshots);
        let settling = Settling {
            lists: transaction.lists,
            ignores_times: transaction.ignores_times,
            against: Some(against),
            ..Settling::new(held, state, snapshots, Work::Transaction { name, transaction, status }, facts)
        };
        let mut end = self.settle(staging, settling)?;
        if let Err(reason) = held.close_transaction() {
            // Where there is a snapshot the next session closes it.
            if end.push.as_ref().is_none_or(|facts| facts.snapshot.is_none()) {
                return Err(reason);
            }
            end.warnings.push(reason.detail);
        }
        Ok(end)
    }

    pub(super) fn abort(&self) -> Result<End, Reason> {
        self.in_transaction("abort", |held, _, _| {
            held.abort_transaction()?;
            Ok(End::answered("aborted: nothing was published\n".to_owned()))
        })
    }

    /// Goes on only where a transaction is open; changes nothing where there is none.
    fn in_transaction(
        &self,
        verb: &str,
        go_on: impl FnOnce(&Held<'_>, &RepositoryState, Transaction) -> Result<End, Reason>,
    ) -> Result<End, Reason> {
        mounted(self.policy, self.site)?;
        Repository::existing(&self.policy.path, accounts::running()).ok_or_else(|| no_transaction(verb))?;
        let repository = self.open()?;
        if repository.look(&self.policy.names)?.transaction.is_none() {
            return Err(no_transaction(verb));
        }
        let held = repository.hold()?;
        let mut state = repository.look(&self.policy.names)?;
        let notes = held.recover(&mut state, self.request.at, self.policy.deadline)?;
        let ended = match state.transaction.clone() {
            Some(transaction) => go_on(&held, &state, transaction),
            None => Err(no_transaction(verb)),
        };
        let end = End::of(ended);
        held.enter_unpublished();
        Ok(end.noting(notes))
    }
}
