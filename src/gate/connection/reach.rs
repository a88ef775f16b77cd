//! Work on files whose modes keep the account out, in a process of its own that may be killed.

use super::{Connection, End};
use crate::act::process::{self, Users};
use crate::act::sandbox::view;
use crate::act::store::{Held, Repository};
use crate::act::{child, clock};
use crate::decide::history::pull;
use crate::decide::push::outcome;
use crate::terms::limits::LOST_SENT;
use crate::terms::{Note, Reason, RestoreFacts};

impl Connection<'_> {
    /// Does work that needs every file of the account's, whatever modes the client has given it;
    /// history is not changed for a look. Where owners are kept, this process can; otherwise a
    /// process with that power does it. It ends before hooks run and mail leaves, which may need
    /// another account's programs.
    pub(crate) fn reaching_all(&self, held: &Held<'_>, work: impl FnOnce() -> Result<End, Reason>) -> Result<End, Reason> {
        if self.owners.mapping().is_some() || self.request.account.is_root() {
            return work();
        }
        let leave = || view::reach_own_files().and_then(|()| process::give_up_power(Users::Alone)).is_ok();
        // The process takes its own copy.
        let mut work = Some(work);
        let mut result = || work.take().map(|work| serde_json::to_vec(&End::of(work())).unwrap_or_default()).unwrap_or_default();
        match child::delegated(leave, &mut result) {
            Ok(Some(said)) => serde_json::from_slice(&said).or_else(|_| self.recovered(held)),
            // Without such a process or namespace, those files stay out of reach.
            Ok(None) | Err(_) => work.take().map_or_else(|| Ok(End::lost()), |work| work()),
        }
    }

    /// The end of work whose process was killed. What that left is repaired at once, so that hooks
    /// see a repository as after any other push.
    fn recovered(&self, held: &Held<'_>) -> Result<End, Reason> {
        let repository = held.repository();
        let end = self.lost(Some(repository));
        if end.is_lost {
            return Ok(end);
        }
        let recovered = repository.look(&self.policy.names);
        let recovered = recovered.and_then(|mut state| held.recover(&mut state, self.request.at, self.policy.deadline));
        // It is published, whether or not that worked.
        Ok(end.noting(recovered.unwrap_or_else(|reason| vec![Note::lasting(reason.detail)])))
    }

    /// The end of a connection whose work was killed. It may have published before.
    pub(super) fn lost(&self, repository: Option<&Repository>) -> End {
        let said = repository.and_then(|repository| repository.unrecorded_outcome(self.id));
        let end = said.and_then(|said| serde_json::from_slice(&said).ok());
        if let (None, true) = (&end, self.arrival.gives_back()) {
            return self.lost_reader(repository);
        }
        end.map_or_else(End::lost, |end: End| end.noting(vec![Note::passing(outcome::KILLED_AFTERWARDS)]))
    }

    /// The end of one that was sent snapshots. What it was sent since the last look is unknown, and
    /// counts as [`LOST_SENT`]: to have the gate killed may not be the way around a limit.
    fn lost_reader(&self, repository: Option<&Repository>) -> End {
        let (policy, now) = (self.policy, clock::now());
        let counted = repository.filter(|_| !policy.restore.uncounted).and_then(|repository| {
            let counted = repository.in_daily_book(|book| {
                book.add(now, LOST_SENT);
                (book.sent(now), book.tells(now, policy.restore.alert_over))
            });
            counted.ok()
        });
        let (day_bytes, alerts) = counted.unzip();
        let alerts = alerts.unwrap_or(false);
        let warnings = day_bytes.filter(|_| alerts).and_then(|day| pull::sent_much(policy, day)).into_iter().collect();
        let restore = Some(RestoreFacts { day_bytes, ..RestoreFacts::default() });
        let reasons = End::lost().reasons.into_iter().map(|reason| reason.hint("connect again")).collect();
        End { reasons, warnings, alerts, restore, ..End::lost() }
    }
}
