//! What is known of a client between two looks: when it pushed, when it was heard of, and its rhythm. Of no
//! client may that grow without a bound.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decide::speak::rhythm::{self, Expected};
use crate::terms::limits::{MAX_ARRIVALS, MAX_CONTACTS};

/// What was read of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Since when there is a policy for it.
    pub since: DateTime<Utc>,
    /// Its newest snapshot, by its name.
    #[serde(default)]
    pub newest: Option<DateTime<Utc>>,
    /// When it began to push what became snapshots: minutes of 1970, and from each to the next.
    #[serde(default)]
    arrivals: Vec<u32>,
    /// What its rhythm expects.
    #[serde(default)]
    pub learned: Option<Expected>,
    /// When it was heard of since, as [`Contacts`] has it.
    #[serde(default)]
    pub contacts: Vec<DateTime<Utc>>,
}

/// When a client was heard of: in each hour the last time, and no more hours than matter. Whoever connects
/// every second is so no more than whoever comes once an hour, and hides no silence.
#[derive(Debug, Default)]
pub struct Contacts(BTreeMap<i64, DateTime<Utc>>);

impl Contacts {
    /// It was heard of then.
    pub fn add(&mut self, at: DateTime<Utc>) {
        let last = self.0.entry(at.timestamp().div_euclid(3600)).or_insert(at);
        *last = at.max(*last);
        if self.0.len() > MAX_CONTACTS {
            self.0.pop_last();
        }
    }
}

impl Known {
    /// A client that nothing is known of yet.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { since: now, newest: None, arrivals: Vec::new(), learned: None, contacts: Vec::new() }
    }

    /// When it began to push what became snapshots, in order.
    pub fn arrivals(&self) -> Vec<DateTime<Utc>> {
        self.minutes().filter_map(|minute| DateTime::from_timestamp(i64::from(minute) * 60, 0)).collect()
    }

    fn minutes(&self) -> impl Iterator<Item = u32> {
        self.arrivals.iter().scan(0_u32, |minute, gap| {
            *minute = minute.checked_add(*gap)?;
            Some(*minute)
        })
    }

    /// Takes in when else it did, and learns from it.
    pub fn learn(&mut self, more: impl IntoIterator<Item = DateTime<Utc>>, now: DateTime<Utc>) {
        let minutes = self.arrivals().into_iter().chain(more).filter(|at| *at <= now).map(|at| at.timestamp().div_euclid(60));
        let mut minutes: Vec<_> = minutes.filter_map(|minute| u32::try_from(minute).ok()).collect();
        minutes.sort_unstable();
        minutes.dedup();
        let minutes = minutes.split_off(minutes.len().saturating_sub(MAX_ARRIVALS));
        self.arrivals = gaps(&minutes);
        self.learned = rhythm::learned(&self.arrivals());
    }

    /// Takes in when it was heard of, besides.
    pub fn heard(&mut self, mut contacts: Contacts) {
        let last = self.last();
        let is_since = |at: &DateTime<Utc>| last.is_none_or(|last| *at > last);
        std::mem::take(&mut self.contacts).into_iter().filter(is_since).for_each(|at| contacts.add(at));
        self.contacts = contacts.0.into_values().filter(is_since).collect();
    }

    /// Forgets the older half of its pushes, and when it was heard of. What was learned of them stays
    /// until the next snapshot. Returns how many times went.
    pub(super) fn forget_half(&mut self) -> usize {
        let minutes: Vec<_> = self.minutes().collect();
        let newer = minutes.get(minutes.len().div_ceil(2)..).unwrap_or_default();
        let gone = minutes.len() - newer.len() + self.contacts.len();
        self.contacts.clear();
        self.arrivals = gaps(newer);
        gone
    }

    /// When it pushed what became a snapshot last. A name may say the day alone.
    pub fn last(&self) -> Option<DateTime<Utc>> {
        self.newest.max(self.arrivals().last().copied())
    }
}

/// Minutes, in order, from each to the next.
fn gaps(minutes: &[u32]) -> Vec<u32> {
    let before = std::iter::once(0).chain(minutes.iter().copied());
    before.zip(minutes).map(|(before, minute)| minute - before).collect()
}
