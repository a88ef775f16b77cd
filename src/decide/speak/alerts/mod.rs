//! Which mails are due. Events go in, mails and the memory for the next time come out.
//!
//! The first refusal or failure of a client, address and reason is mailed at once. Further ones are
//! counted and mailed after [`FIRST_QUIET`], then every [`LATER_QUIET`] while it goes on. What
//! passes by itself (a broken connection, a killed session, hours that ended) is mailed at once,
//! too, and then once in [`PASSING_QUIET`], with the count.
//!
//! Over all groups of an account, [`ALERT_SPAN`] has at most `ALERTS_IN_SPAN` mails about refusals,
//! `FAILURES_IN_SPAN` about failures and `PASSING_IN_SPAN` about what passes; the rest is one
//! digest. The three share neither mails nor groups: a stolen key can cause any number of refusals
//! and broken pushes, and none of them delays the mail about a failed backup. No event is counted
//! twice or lost: without a group of its own it is counted in a common one.
//!
//! Nothing here may trust the memory that it is given: it stands in the account's own directory.

mod key;
mod trimmed;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::key::Kind;
pub(super) use self::trimmed::trimmed;
use crate::terms::limits::{ALERT_SPAN, FIRST_QUIET, LATER_QUIET, MAX_BATCH, MAX_CAUSE, MAX_SAMPLES, MAX_SPOOL_NAME, PASSING_QUIET};
use crate::terms::text::ELLIPSIS;
use crate::terms::{Event, Mail};

pub use self::key::{Apart, Key};

/// What is remembered between passes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct State {
    /// The number of the next mail. A waiting mail with this number or a higher one never happened.
    pub next: u64,
    /// The number of the next notice of `states` that becomes a mail: those below have become one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub told: u64,
    /// The events that were counted last. One that is still in the spool was only not deleted yet.
    absorbed: Vec<String>,
    /// When the latest alert mails about refusals were written.
    alerts: Vec<DateTime<Utc>>,
    /// The same about failures.
    failures: Vec<DateTime<Utc>>,
    /// The same about what passes by itself.
    passing: Vec<DateTime<Utc>>,
    /// What is going on.
    groups: Vec<Group>,
}

/// Events of one kind, and what was mailed of them. A mail has it as it was when it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Failures, not refusals.
    failed: bool,
    /// What passes by itself, be it one or the other.
    pub passing: bool,
    /// `None`: everything of that kind that found no group of its own.
    pub key: Option<Key>,
    /// Events that no mail before has told of.
    pub pending: u64,
    /// Events told of in earlier mails.
    pub reported: u64,
    /// The first of the pending ones.
    pub first: DateTime<Utc>,
    /// The last of them.
    pub last: DateTime<Utc>,
    /// The last mail, and how many there were.
    mailed: Option<DateTime<Utc>>,
    mails: u32,
    /// Some of them in full: the first ones, with different commands where there are.
    pub samples: Vec<Event>,
}

/// A mail that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Its number.
    pub seq: u64,
    /// What it is about.
    pub about: About,
}

/// What a mail is about.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// Refusals and failures: one group, or several in a digest. Never empty.
    Alert(Vec<Group>),
    /// One push.
    Report(Box<Event>),
}

impl Draft {
    /// The events that it tells of.
    pub fn events(&self) -> u64 {
        match &self.about {
            About::Alert(sections) => sections.iter().fold(0, |sum, section| sum.saturating_add(section.pending)),
            About::Report(_) => 1,
        }
    }
}

/// What alerts may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alerts {
    /// None: earlier ones still wait for the mailer.
    Hold,
    /// Those that are due.
    Due,
    /// Everything that is counted, in one mail. What passes by itself still waits for its day.
    Flush,
}

impl State {
    /// An empty memory whose first mail has this number.
    pub fn starting_at(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// The memory within its limits and without times in the future.
    pub fn bounded(mut self, now: DateTime<Utc>) -> Self {
        self.absorbed.truncate(MAX_BATCH);
        self.absorbed.retain(|id| id.len() <= MAX_SPOOL_NAME);
        for kind in Kind::ALL {
            let (most, mails) = (kind.mails(), self.mails(kind));
            mails.retain(|at| *at <= now && is_within(*at, now, ALERT_SPAN));
            // The newest are the last; more than the limit cannot matter.
            let over = mails.len().saturating_sub(most);
            mails.drain(..over);
        }
        self.groups.retain(|group| {
            group.key.as_ref().and_then(|key| key.cause.as_ref()).is_none_or(|cause| cause.len() <= MAX_CAUSE + ELLIPSIS.len())
        });
        for kind in Kind::ALL {
            let mut room = kind.groups() + 1;
            self.groups.retain(|group| {
                let fits = group.kind() != kind || room > 0;
                room = room.saturating_sub(usize::from(group.kind() == kind));
                fits
            });
        }
        for group in &mut self.groups {
            group.samples.truncate(MAX_SAMPLES);
            group.samples = std::mem::take(&mut group.samples).into_iter().map(trimmed).collect();
            group.mailed = group.mailed.map(|at| at.min(now));
            group.last = group.last.min(now);
            group.first = group.first.min(group.last);
        }
        self
    }

    /// When the latest mails of a kind were written.
    fn mails(&mut self, kind: Kind) -> &mut Vec<DateTime<Utc>> {
        match kind {
            Kind::Failures => &mut self.failures,
            Kind::Refusals => &mut self.alerts,
            Kind::Passing => &mut self.passing,
        }
    }

    /// Whether the event was counted already.
    pub fn has_absorbed(&self, id: &str) -> bool {
        self.absorbed.iter().any(|known| known == id)
    }
}

/// Takes events in, each with its name in the spool, and says which mails are due.
///
/// The caller writes the mails, then the state, then deletes the events: any cut between is
/// harmless.
pub fn step(state: State, news: Vec<(String, Event)>, now: DateTime<Utc>, alerts: Alerts) -> (State, Vec<Draft>) {
    let mut state = state.bounded(now);
    if !news.is_empty() {
        state.absorbed = news.iter().map(|(id, _)| id.clone()).collect();
    }
    let mut abouts = Vec::new();
    for (_, event) in news {
        match event.mail {
            Mail::None => {}
            Mail::Report => abouts.push(About::Report(Box::new(trimmed(event)))),
            Mail::Alert => count(&mut state.groups, event, now),
            Mail::Both => {
                abouts.push(About::Report(Box::new(trimmed(event.clone()))));
                count(&mut state.groups, event, now);
            }
        }
    }
    abouts.extend(due(&mut state, now, alerts));
    state.groups.retain(|group| group.pending > 0 || group.is_remembered(now));
    let mut drafts = Vec::new();
    for about in abouts {
        drafts.push(Draft { seq: state.next, about });
        state.next = state.next.saturating_add(1);
    }
    (state, drafts)
}

/// Counts one alert into its group, or into the common one of its kind when there are too many.
pub(super) fn count(groups: &mut Vec<Group>, event: Event, now: DateTime<Utc>) {
    let (key, kind) = (Key::of(&event), Kind::of(&event));
    let at = event.at.min(now);
    let find = |groups: &[Group], key: Option<&Key>| groups.iter().position(|group| group.kind() == kind && group.key.as_ref() == key);
    let known = find(groups, Some(&key));
    let own = groups.iter().filter(|group| group.kind() == kind && group.key.is_some()).count();
    let key = if known.is_some() || own < kind.groups() || forget_one(groups, kind) { Some(key) } else { None };
    let place = known.or_else(|| find(groups, key.as_ref()));
    if let Some(group) = place.and_then(|place| groups.get_mut(place)) {
        if group.pending == 0 {
            group.first = at;
            group.samples.clear();
        }
        group.pending = group.pending.saturating_add(1);
        group.first = group.first.min(at);
        group.last = group.last.max(at);
        let is_new = group.samples.iter().all(|sample| Apart::of(sample) != Apart::of(&event));
        if group.samples.len() < MAX_SAMPLES && is_new {
            group.samples.push(trimmed(event));
        }
    } else {
        let samples = vec![trimmed(event)];
        let (failed, passing) = (kind == Kind::Failures, kind == Kind::Passing);
        groups.push(Group { failed, passing, key, pending: 1, reported: 0, first: at, last: at, mailed: None, mails: 0, samples });
    }
}

/// Makes room by forgetting the group that was silent longest and has nothing left to report.
fn forget_one(groups: &mut Vec<Group>, kind: Kind) -> bool {
    let silent = groups.iter().enumerate().filter(|(_, group)| group.kind() == kind && group.pending == 0 && group.key.is_some());
    let oldest = silent.min_by_key(|(_, group)| group.last).map(|(place, _)| place);
    oldest.map(|place| groups.remove(place)).is_some()
}

/// The alert mails that may leave now, failures first. Those groups of a kind that are due have a
/// mail each if the span still has room for all of them, otherwise they share one.
fn due(state: &mut State, now: DateTime<Utc>, alerts: Alerts) -> Vec<About> {
    match alerts {
        Alerts::Hold => Vec::new(),
        Alerts::Due => {
            let mut mails = Vec::new();
            for kind in Kind::ALL {
                let room = kind.mails().saturating_sub(state.mails(kind).len());
                let of_kind =
                    if room == 0 { Vec::new() } else { take(&mut state.groups, now, |group| group.kind() == kind && group.is_due(now)) };
                let of_kind = shared(of_kind, room);
                state.mails(kind).extend(of_kind.iter().map(|_| now));
                mails.extend(of_kind);
            }
            mails
        }
        Alerts::Flush => {
            let mails = shared(take(&mut state.groups, now, |group| !group.passing || group.is_due(now)), 1);
            state.alerts.extend(mails.iter().map(|_| now));
            mails
        }
    }
}

/// What these groups have to say.
fn take(groups: &mut [Group], now: DateTime<Utc>, which: impl Fn(&Group) -> bool) -> Vec<Group> {
    groups.iter_mut().filter(|group| group.pending > 0 && which(group)).map(|group| group.take(now)).collect()
}

/// A mail for each, or one for all where there is not room for each.
fn shared(sections: Vec<Group>, room: usize) -> Vec<About> {
    if sections.len() <= room {
        sections.into_iter().map(|section| About::Alert(vec![section])).collect()
    } else {
        vec![About::Alert(sections)]
    }
}

impl Group {
    fn kind(&self) -> Kind {
        match (self.passing, self.failed) {
            (true, _) => Kind::Passing,
            (false, true) => Kind::Failures,
            (false, false) => Kind::Refusals,
        }
    }

    /// Whether it has refusals, and not failures or what passes by itself.
    pub fn is_of_refusals(&self) -> bool {
        self.kind() == Kind::Refusals
    }

    /// Whether it would not be new if it came again.
    fn is_remembered(&self, now: DateTime<Utc>) -> bool {
        let passing = self.passing && self.mailed.is_some_and(|at| is_within(at, now, PASSING_QUIET));
        passing || is_within(self.last, now, LATER_QUIET)
    }

    fn is_due(&self, now: DateTime<Utc>) -> bool {
        let quiet = match self.mails {
            _ if self.passing => PASSING_QUIET,
            ..=1 => FIRST_QUIET,
            _ => LATER_QUIET,
        };
        self.mailed.is_none_or(|at| !is_within(at, now, quiet))
    }

    fn take(&mut self, now: DateTime<Utc>) -> Self {
        let samples = std::mem::take(&mut self.samples);
        let section = Self { samples, ..self.clone() };
        self.reported = self.reported.saturating_add(self.pending);
        self.pending = 0;
        self.mailed = Some(now);
        self.mails = self.mails.saturating_add(1);
        section
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether `at` is less than `span` before `now`.
fn is_within(at: DateTime<Utc>, now: DateTime<Utc>, span: Duration) -> bool {
    (now - at).to_std().is_ok_and(|gone| gone < span)
}

#[cfg(test)]
mod tests;
