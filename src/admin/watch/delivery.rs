//! The mails of an account in one pass: each is tried, and what became of them says whether alerts may be
//! added.

use std::collections::{BTreeMap, BTreeSet};

use super::pace::Lately;
use super::{Ended, Pass, route};
use crate::act::mail::{self, NotSent};
use crate::act::names;
use crate::act::record::spool::{AccountSpool, Sent, SpoolError};
use crate::decide::speak::alerts::Alerts;
use crate::decide::speak::metrics::{Deliveries, MAIL};
use crate::terms::limits::{MAIL_LIFETIME, MAX_REFUSED_MAILS, MAX_UNREACHABLE};
use crate::terms::text::counted;
use crate::terms::{Audience, ComposedMail};

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

impl Pass<'_> {
    /// Tries every mail that waits, oldest first, until the mailer has no more of it.
    pub(super) fn deliver(&mut self, spool: &AccountSpool, delivery: &mut Delivery) -> Result<(), Ended> {
        delivery.down |= self.unreachable >= MAX_UNREACHABLE || !self.budget.has_mails() || !self.wants_mail();
        (delivery.waiting, delivery.alerts) = (0, 0);
        let mut waiting = BTreeSet::new();
        let all = spool.waiting()?;
        let mut pace = if all.is_empty() { None } else { self.pace.of(spool.uid(), (self.means.now)()) };
        let mut held = 0_u64;
        for seq in all {
            let mail = match spool.mail(seq, &|who| self.pace.speaks_for(spool.uid(), who)) {
                Ok(Some(mail)) => mail,
                Ok(None) => continue,
                Err(error) => {
                    self.problem(&format!("a mail is left where it is: {error}"));
                    continue;
                }
            };
            let in_time = !delivery.down && self.budget.has_mails();
            let worth_it = in_time && delivery.refused.len() < MAX_REFUSED_MAILS && !delivery.refused.contains_key(&seq);
            let may = pace.as_ref().is_none_or(|sent| sent.may(mail.audience));
            if worth_it && may && self.try_one(spool, &mail, pace.as_mut(), delivery)? {
                continue;
            }
            held += u64::from(worth_it && !may && mail.audience == Audience::Alerts);
            delivery.waiting += 1;
            delivery.alerts += usize::from(mail.audience == Audience::Alerts);
            waiting.insert(seq);
        }
        if let Some(refusals) = delivery.refusals(&spool.refusals(), &waiting) {
            self.step()?;
            spool.save_refusals(&refusals)?;
        }
        if held > 0 && !std::mem::replace(&mut delivery.held, true) {
            let what = counted(held, "alert of account", "alerts of account");
            self.problem(&format!("{what} {} wait: so many were sent of it in ten minutes", spool.uid()));
        }
        Ok(())
    }

    /// Tries one mail, and says whether it is out of the way now.
    fn try_one(
        &mut self,
        spool: &AccountSpool,
        mail: &ComposedMail,
        pace: Option<&mut Lately>,
        delivery: &mut Delivery,
    ) -> Result<bool, Ended> {
        self.step()?;
        match mail::send(&route::settings(self.site, mail), mail, &|host, limit| {
            names::addresses(&[host], limit).into_iter().flat_map(|(_, found)| found).collect()
        }) {
            Ok(sent) => {
                self.report.sent += 1;
                delivery.tried.tried(MAIL, true);
                for recipient in sent.left_out {
                    self.problem(&format!("mail {} of account {} did not reach everybody: {recipient}", mail.seq, spool.uid()));
                }
                self.step()?;
                spool.take_away(mail.seq)?;
                // Where that cannot be noted, the next pass sends more.
                let noted = pace.map_or(Ok(()), |pace| pace.sent(mail.audience, (self.means.now)()));
                noted.unwrap_or_else(|error| self.problem(&error.to_string()));
                return Ok(true);
            }
            Err(NotSent::Refused(why)) => {
                delivery.tried.tried(MAIL, false);
                delivery.refused.insert(mail.seq, why.clone());
                let now = (self.means.now)();
                let age = (now - spool.waits_since(mail, now)).to_std().unwrap_or_default();
                self.problem(&format!("mail {} of account {} was refused: {why}", mail.seq, spool.uid()));
                if age > MAIL_LIFETIME {
                    self.step()?;
                    spool.bury(mail.seq, &format!("refused for {} days, the last time with: {why}\n", age.as_secs() / 86400))?;
                    return Ok(true);
                }
            }
            Err(error) => {
                delivery.tried.tried(MAIL, false);
                delivery.down = true;
                self.unreachable += usize::from(matches!(error, NotSent::Unreachable(_)));
                self.problem(&format!("mail of account {} waits: {error}", spool.uid()));
            }
        }
        Ok(false)
    }
}
