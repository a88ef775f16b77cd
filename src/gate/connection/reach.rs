//! Work on what modes keep the account out of, in a process of its own, and what is said where that is killed.

use super::{Connection, End};
use crate::act::child;
use crate::act::process::{self, Users};
use crate::act::sandbox::view;
use crate::act::store::{Held, Repository};
use crate::decide::push::outcome;
use crate::terms::beside::Note;
use crate::terms::reason::Reason;

impl Connection<'_> {
    /// Does what has to get at all that is the account's, whatever modes its client has given it: history is not to be changed for a look. Who keeps
    /// owners is where that can be done; for anybody else a process does it. It is gone before the administrator's hooks run, and the mail
    /// leaves, which may need another account's programs.
    pub(crate) fn reaching_all(&self, held: &Held<'_>, work: impl FnOnce() -> Result<End, Reason>) -> Result<End, Reason> {
        if self.owners.mapping().is_some() || self.request.account.is_root() {
            return work();
        }
        let leave = || view::reach_own_files().and_then(|()| process::give_up_power(Users::Alone)).is_ok();
        // In that process it is a copy that is taken.
        let mut work = Some(work);
        let mut told = || work.take().map(|work| serde_json::to_vec(&End::of(work())).unwrap_or_default()).unwrap_or_default();
        match child::delegated(leave, &mut told) {
            Ok(Some(said)) => serde_json::from_slice(&said).or_else(|_| self.recovered(held)),
            // Where the kernel has no process or no namespace for it, what modes keep the account out of stays out of its reach.
            Ok(None) | Err(_) => work.take().map_or_else(|| Ok(End::lost()), |work| work()),
        }
    }

    /// The end of work whose process was killed. What that left is put right at once, as the next session would: the hooks that run now see a
    /// repository as after any other push.
    fn recovered(&self, held: &Held<'_>) -> Result<End, Reason> {
        let repository = held.repository();
        let end = self.lost(Some(repository));
        if end.is_lost {
            return Ok(end);
        }
        let recovered = repository.look(&self.policy.names);
        let recovered = recovered.and_then(|mut state| held.recover(&mut state, self.request.at, self.policy.deadline));
        // It is published, whatever became of that.
        Ok(end.noting(recovered.unwrap_or_else(|reason| vec![Note::lasting(reason.detail)])))
    }

    /// The end of a connection whose work was killed. It may have published before.
    pub(super) fn lost(&self, repository: Option<&Repository>) -> End {
        let said = repository.and_then(|repository| repository.said_of(self.id));
        let end = said.and_then(|said| serde_json::from_slice(&said).ok());
        end.map_or_else(End::lost, |end: End| end.noting(vec![Note::passing(outcome::KILLED_AFTERWARDS)]))
    }
}
