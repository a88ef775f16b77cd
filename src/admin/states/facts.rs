//! How a client stands: what of it lasts, and until when it may be silent. Root reads names and the
//! gate's own notes here, by descriptor and through no link.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::act::config::zones;
use crate::act::prune::Opened;
use crate::act::record::spool::{self, FailingDrills};
use crate::act::store::mounted;
use crate::decide::policy::yaml::Fault;
use crate::decide::policy::{Policy, Site};
use crate::decide::speak::rhythm::{self, REMEMBERED};
use crate::decide::speak::states::{Contacts, Fact, Kind, Known, Subject};
use crate::terms::limits::MAX_GATHERED;
use crate::terms::text::{counted, printable_path};
use crate::terms::{Bytes, ClientName, Reason, SnapshotName, View, Zone, ZoneName};

/// A look at all clients.
pub(super) struct Look<'a> {
    site: &'a Site,
    now: DateTime<Utc>,
    zones: BTreeMap<String, Zone>,
    accounts: BTreeMap<String, Option<u32>>,
    failing: FailingDrills,
}

/// A repository, with what has to be readable in it.
pub(super) struct Read {
    opened: Opened,
    newest: Option<SnapshotName>,
    held: usize,
}

/// Opens a client's repository and reads what nobody can do without; `None` where there is none.
pub(super) fn opened(policy: &Policy, site: &Site, uid: u32) -> Result<Option<Read>, Reason> {
    mounted(policy, site)?;
    let Some(opened) = Opened::open(&policy.path, uid)? else { return Ok(None) };
    let ((_, newest), held) = (opened.newest(&policy.names)?, opened.held()?);
    // `maintain` could do nothing either.
    opened.trashed_at()?;
    Ok(Some(Read { opened, newest, held }))
}

/// What is known of a client, and when that changes by itself.
type Found = (Vec<(Kind, Fact)>, Option<DateTime<Utc>>);

/// Adds a time that is past. Of more than a client can have the last ones are kept: an account may
/// have written any number of them.
fn gather(all: &mut Vec<DateTime<Utc>>, at: DateTime<Utc>, now: DateTime<Utc>) {
    if at > now {
        return;
    }
    all.push(at);
    if all.len() >= 2 * MAX_GATHERED {
        all.sort_unstable();
        all.dedup();
        all.drain(..all.len().saturating_sub(MAX_GATHERED));
    }
}

impl<'a> Look<'a> {
    pub(super) fn new(site: &'a Site, now: DateTime<Utc>, failing: FailingDrills) -> Self {
        Self { site, now, zones: BTreeMap::new(), accounts: BTreeMap::new(), failing }
    }

    /// How a client stands, and when that may change by itself; `None` where it is another account's.
    pub(super) fn at(
        &mut self,
        name: ClientName,
        policy: Result<Policy, Fault>,
        known: &mut BTreeMap<ClientName, Known>,
    ) -> Option<(Subject, Option<DateTime<Utc>>)> {
        let policy = match policy {
            Ok(policy) => policy,
            // Nobody knows whose it is, so whoever looks tells. Others' files an account may not open.
            Err(fault) if super::may_open(self.site, &name) => {
                let facts = self.unreadable(&fault.to_string()).into_iter().chain([(Kind::Drill, Fact::Unknown)]);
                let facts = facts.map(|(kind, fact)| (kind, fact, Vec::new())).collect();
                return Some((Subject { client: Some(name), closed: None, facts }, None));
            }
            Err(_) => return None,
        };
        let (facts, changes) = if let Some(uid) = super::is_reached(&policy, &mut self.accounts) {
            let known = known.entry(name.clone()).or_insert_with(|| Known::new(self.now));
            self.of(&policy, uid, known).unwrap_or_else(|reason| (self.unreadable(&reason.detail), None))
        } else if self.accounts.get(&policy.user).is_some_and(Option::is_none) {
            (self.unreadable(&format!("there is no account `{}`, which the policy names", policy.user)), None)
        } else {
            return None;
        };
        let to = |kind: Kind| policy.told.alerts_to(Some(kind.row().topic)).to_vec();
        let drill = self
            .failing
            .get(&name)
            .map_or(Fact::Over, |since| Fact::Lasts(*since, format!("none has succeeded since {}", since.format("%Y-%m-%d %H:%M UTC"))));
        let facts = facts.into_iter().chain([(Kind::Drill, drill)]).map(|(kind, fact)| (kind, fact, to(kind))).collect();
        Some((Subject { client: Some(name), closed: super::closed(&policy), facts }, changes))
    }

    fn unreadable(&self, why: &str) -> Vec<(Kind, Fact)> {
        let first = why.lines().next().unwrap_or_default().to_owned();
        let unknown = [Kind::Missed, Kind::Quota, Kind::Held].map(|kind| (kind, Fact::Unknown));
        unknown.into_iter().chain([(Kind::Unreadable, Fact::Lasts(self.now, first))]).collect()
    }

    fn of(&mut self, policy: &Policy, uid: u32, known: &mut Known) -> Result<Found, Reason> {
        let Some(Read { opened, newest, held }) = opened(policy, self.site, uid)? else {
            if spool::was_published(&self.site.spool, uid, &policy.client) {
                let why = format!("the repository `{}` is missing", printable_path(&policy.path));
                return Ok((self.unreadable(&why), None));
            }
            let (missed, changes) = self.missed(policy, known, None);
            return Ok((vec![(Kind::Missed, missed)], changes));
        };
        let holding = opened.holding(newest.as_ref());
        let now = self.now;
        let newest = newest.map(|newest| newest.at.min(now));
        if known.newest != newest || policy.told.laptop {
            self.read(policy, &opened, known);
            known.newest = newest;
        }
        let quota = match policy.quota.is_reached_by(holding.used) {
            true => Fact::Lasts(now, format!("{} used", Bytes(holding.used.bytes))),
            false if holding.due && policy.quota.is_set() => Fact::Unknown,
            false => Fact::Over,
        };
        let held = if held == 0 { Fact::Over } else { Fact::Lasts(now, counted(held, "snapshot is held", "snapshots are held")) };
        let (missed, changes) = self.missed(policy, known, Some(&opened));
        let facts = vec![(Kind::Missed, missed), (Kind::Quota, quota), (Kind::Held, held), (Kind::Unreadable, Fact::Over)];
        Ok((facts, changes))
    }

    /// Reads what has come since the last time, and learns from it.
    fn read(&self, policy: &Policy, opened: &Opened, known: &mut Known) {
        let since = known.last().unwrap_or(self.now - TimeDelta::seconds(REMEMBERED));
        let (mut arrivals, mut contacts) = (Vec::new(), Contacts::default());
        opened.ledgers().since(since, |event| {
            if event.client.as_ref() != Some(&policy.client) {
                return;
            }
            if let Some(push) = event.push().filter(|push| push.snapshot.is_some()) {
                gather(&mut arrivals, push.prepared.unwrap_or(event.at), self.now);
            } else if matches!(event.view(), View::Visit(_)) && event.at <= self.now {
                contacts.add(event.at);
            }
        });
        known.learn(arrivals, self.now);
        known.heard(contacts);
    }

    fn missed(&mut self, policy: &Policy, known: &Known, opened: Option<&Opened>) -> (Fact, Option<DateTime<Utc>>) {
        let last = known.last();
        let rhythm =
            rhythm::Known { last: last.unwrap_or(known.since), has_one: last.is_some(), learned: known.learned, contacts: &known.contacts };
        let zone = self.zone(&policy.timezone);
        let Some(at) = rhythm::missed_at(&policy.told, policy.when.as_deref(), &zone, &rhythm) else { return (Fact::Over, None) };
        if self.now < at {
            return (Fact::Over, Some(at));
        }
        // A push that runs is no silence, for as long as one may run.
        let may_run = TimeDelta::from_std(policy.deadline).unwrap_or_default();
        if self.now < at + may_run && opened.is_some_and(Opened::is_busy) {
            return (Fact::Unknown, None);
        }
        let what = match last {
            Some(last) => format!("no snapshot since {}", last.format("%Y-%m-%d %H:%M UTC")),
            None => "no snapshot has ever come".to_owned(),
        };
        (Fact::Lasts(at, what), None)
    }

    /// The zone's rules. One that cannot be read, of which `check` tells, is off by some hours here.
    fn zone(&mut self, name: &ZoneName) -> Zone {
        let load = || zones::load(name).unwrap_or_else(|_| Zone::utc());
        self.zones.entry(name.to_string()).or_insert_with(load).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_number_of_times_the_last_ones_are_kept() {
        let now: DateTime<Utc> = "2026-11-28T07:00:00Z".parse().unwrap();
        let mut all = Vec::new();
        for number in 0..5 * i64::try_from(MAX_GATHERED).unwrap() {
            gather(&mut all, now - TimeDelta::seconds(number % 200_000), now);
            gather(&mut all, now + TimeDelta::seconds(1), now);
            assert!(all.len() < 2 * MAX_GATHERED && all.capacity() <= 2 * MAX_GATHERED);
        }
        all.sort_unstable();
        assert_eq!(all.last(), Some(&now));
        assert!(all.contains(&(now - TimeDelta::seconds(1000))));
    }
}
