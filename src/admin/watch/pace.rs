//! For whom an account speaks, and how many of its mails root sends in a while. An account may have
//! written any number into its spool, and whatever counts stand there are its own: so root counts
//! itself, in its own spool.
//!
//! What there is no room for waits. Accounts without a policy count as one, as whoever has ids of its
//! own could be any number of them.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::turn::Known;
use super::{Budget, Means, Pass, WatchReport, Ways};
use crate::act::inspect::running_uid;
use crate::act::names::accounts;
use crate::act::record::spool::{Spool, SpoolError};
use crate::decide::owners::remap::Kind;
use crate::decide::policy::Site;
use crate::terms::limits::{ALERT_SPAN, ALERTS_IN_SPAN, FAILURES_IN_SPAN, MAX_SENT, PASSING_IN_SPAN, REPORTS_IN_SPAN};
use crate::terms::{Audience, ClientName};

/// Of all accounts.
pub(super) struct Pace<'a> {
    site: &'a Site,
    known: &'a Known<'a>,
}

/// When mails of an account were sent lately, for root.
pub(super) struct Lately {
    /// Without it no more is known than what this pass has sent.
    own: Option<Spool>,
    note: String,
    when: When,
}

/// In seconds since the epoch.
#[derive(Default, Serialize, Deserialize)]
struct When {
    #[serde(default)]
    alerts: Vec<i64>,
    #[serde(default)]
    reports: Vec<i64>,
}

impl<'a> Pace<'a> {
    pub(super) fn new(site: &'a Site, known: &'a Known<'a>) -> Self {
        Self { site, known }
    }

    /// Whether this is somebody for whom an account speaks: a client of its own, or itself. Nobody is
    /// asked, as an account may have written any number of names.
    pub(super) fn speaks_for(&self, uid: u32, who: &str) -> bool {
        if let Some(name) = who.strip_prefix("account ") {
            let named = accounts::numbered(Kind::User, |number| number == uid).ok().flatten();
            return named.is_some_and(|(account, _)| account == name);
        }
        who.parse().is_ok_and(|client: ClientName| self.known.clients().get(&client) == Some(&uid))
    }

    /// What was sent of this account; `None` where it sends for itself.
    pub(super) fn of(&self, uid: u32, now: DateTime<Utc>) -> Option<Lately> {
        if uid == running_uid() {
            return None;
        }
        let note = if self.known.is_strange(uid) { "sent-others.json".to_owned() } else { format!("sent-{uid}.json") };
        let own = Spool::open(&self.site.spool, running_uid()).ok();
        // A note that cannot be read is none.
        let bytes = own.as_ref().and_then(|own| own.note(&note, MAX_SENT).ok().flatten());
        let mut when: When = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let begins = now - TimeDelta::from_std(ALERT_SPAN).unwrap_or_default();
        for times in [&mut when.alerts, &mut when.reports] {
            times.retain(|at| (begins.timestamp() + 1..=now.timestamp()).contains(at));
        }
        Some(Lately { own, note, when })
    }
}

impl Lately {
    /// Whether one more may be sent now.
    pub(super) fn may(&self, audience: Audience) -> bool {
        match audience {
            Audience::Alerts => self.when.alerts.len() < ALERTS_IN_SPAN + FAILURES_IN_SPAN + PASSING_IN_SPAN,
            Audience::Reports => self.when.reports.len() < REPORTS_IN_SPAN,
        }
    }

    /// One was sent.
    pub(super) fn sent(&mut self, audience: Audience, now: DateTime<Utc>) -> Result<(), SpoolError> {
        let times = match audience {
            Audience::Alerts => &mut self.when.alerts,
            Audience::Reports => &mut self.when.reports,
        };
        times.push(now.timestamp());
        let json = serde_json::to_vec(&self.when).map_err(|error| SpoolError::Record(error.to_string()))?;
        self.own.as_ref().map_or(Ok(()), |own| own.save_note(&self.note, &json))
    }
}

impl<'a> Pass<'a> {
    pub(super) fn new(site: &'a Site, means: &'a Means<'a>, ways: &'a Ways<'a>, budget: &'a Budget) -> Self {
        Self { site, means, ways, pace: Pace::new(site, ways.known()), report: WatchReport::default(), unreachable: 0, budget }
    }
}
