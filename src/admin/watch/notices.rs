//! Notices about states on their way to mails and to other ways.

use super::delivery::Delivery;
use super::{Ended, Pass};
use crate::act::record::spool::AccountSpool;
use crate::decide::speak::alerts::State;
use crate::decide::speak::states::Notices;
use crate::terms::limits::MAX_WAITING;

impl Pass<'_> {
    /// Makes mails of the notices about states, in the same safe order: mails, then counts. The
    /// notices stay where they are, since the counts say which of them are mails.
    pub(super) fn take_notices(&mut self, spool: &AccountSpool, state: State, delivery: &mut Delivery) -> Result<State, Ended> {
        let notices = match spool.states()?.map(|bytes| serde_json::from_slice::<Notices>(&bytes)).transpose() {
            Ok(notices) => notices.unwrap_or_default(),
            Err(error) => {
                self.problem(&format!("the states of account {} cannot be read: {error}", spool.uid()));
                return Ok(state);
            }
        };
        let mut next = state.clone();
        for notice in notices.from(state.told).take(MAX_WAITING.saturating_sub(delivery.waiting)) {
            let mail = notice.mail(next.next, spool.uid());
            self.step()?;
            self.ways.notice(spool, notice, &mail, (self.means.now)())?;
            if self.wants_mail() && notice.is_for_mail() {
                spool.post(&mail)?;
                next.next = next.next.saturating_add(1);
                delivery.waiting += 1;
            }
            next.told = notice.number().saturating_add(1);
        }
        if next != state {
            self.save(spool, &next)?;
        }
        Ok(next)
    }
}
