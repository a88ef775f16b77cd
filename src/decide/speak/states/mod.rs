//! States: what lasts, and is told when it begins, now and then while it lasts, and when it ends.
//!
//! Facts go in, the memory for the next time and notices come out; a notice becomes a mail of the
//! spool. The notices stand in the memory until then, each with a number, and the counts of the
//! spool say up to which number they have become mails: so a crash between any two steps tells
//! nothing twice, and forgets nothing.
//!
//! A state that comes and goes is one thread with few mails, and what happens to many clients at
//! once is one mail. Nothing here may trust the memory that it is given, and nothing that is not
//! known begins or ends a state.

mod bound;
mod kinds;
mod known;
mod past;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::terms::limits::{MAX_NOTICES, NOTICES_ALONE, REMINDERS, RETURN_QUIET, STATE_RETURNS, STATES_EVERY, STATES_PAUSE};
use crate::terms::{Audience, ClientName, ComposedMail, MailSubject, Page, Thread, Topic, Way};

pub use kinds::{Kind, Row};
pub use known::{Contacts, Known};
pub use past::{Letter, Mark, Past, Point};
pub(super) use words::long;

/// What is remembered between looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Memory {
    /// The file of the site whose states these are.
    #[serde(default)]
    pub site: String,
    /// When to look again.
    #[serde(default)]
    pub next: Option<DateTime<Utc>>,
    /// The number of the next notice.
    #[serde(default)]
    number: u64,
    /// Those that are not known to have become mails.
    #[serde(default)]
    notices: Vec<Notice>,
    /// What lasts, and what has just ended.
    #[serde(default)]
    lasting: Vec<Lasting>,
    /// What was read of each client the last time, so that it is not read again.
    #[serde(default)]
    pub known: BTreeMap<ClientName, Known>,
    /// Who was not looked at for want of time, and is the first the next time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<ClientName>,
    /// The last digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Past>,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasting {
    /// Whose it is; `None`: the server's.
    pub client: Option<ClientName>,
    /// Its kind.
    pub kind: Kind,
    /// Since when it lasts.
    pub since: DateTime<Utc>,
    /// When it ended; it is remembered for a while.
    #[serde(default)]
    pub ended: Option<DateTime<Utc>>,
    /// The facts, in a few words.
    pub what: String,
    /// When it was told last, and how often since it began.
    #[serde(default)]
    mailed: Option<DateTime<Utc>>,
    #[serde(default)]
    mails: u32,
    /// The thread, and whether a mail has begun it.
    thread: String,
    #[serde(default)]
    begun: bool,
}

/// What is known of a kind of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// It is so, in a few words, since then.
    Lasts(DateTime<Utc>, String),
    /// It is not.
    Over,
    /// Nobody knows.
    Unknown,
}

/// Why a state is closed whatever the facts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closed {
    /// The client is frozen.
    Frozen,
    /// It has no policy any more.
    Removed,
}

/// A client, or the server, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Whose facts these are.
    pub client: Option<ClientName>,
    /// Whether its states end for another reason.
    pub closed: Option<Closed>,
    /// The facts, each with who gets its mail where the policy says so.
    pub facts: Vec<(Kind, Fact, Vec<String>)>,
}

/// A mail that is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    number: u64,
    at: DateTime<Utc>,
    client: Option<ClientName>,
    topic: Option<Topic>,
    thread: Option<Thread>,
    states: u64,
    /// What it says that it lasts. A way that is down is not told of that: it would be when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lasts: Option<Kind>,
    subject: MailSubject,
    body: String,
    #[serde(default = "alerts")]
    audience: Audience,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<Box<Page>>,
}

fn alerts() -> Audience {
    Audience::Alerts
}

/// What a mail says of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Begins,
    Lasts,
    Over,
    Closed(Closed),
}

/// A state of which something is said, and to whom.
struct Said {
    phase: Phase,
    to: Vec<String>,
    state: Lasting,
}

impl Memory {
    /// What lasts.
    pub fn lasting(&self) -> impl Iterator<Item = &Lasting> {
        self.lasting.iter().filter(|state| state.ended.is_none())
    }

    /// The same where nobody wants mail.
    pub fn silent(mut self) -> Self {
        self.notices.clear();
        self
    }

    fn bounded(mut self, told: u64, now: DateTime<Utc>) -> Self {
        self.notices.retain(|notice| notice.number >= told);
        self.notices.sort_by_key(|notice| notice.number);
        let last = self.notices.last().map_or(0, |notice| notice.number.saturating_add(1));
        self.number = self.number.max(told).max(last);
        for state in &mut self.lasting {
            state.since = state.since.min(now);
            state.mailed = state.mailed.map(|at| at.min(now));
            state.ended = state.ended.map(|at| at.min(now));
        }
        self.lasting.retain(|state| state.ended.is_none_or(|at| now - at < delta(STATE_RETURNS)));
        self
    }
}

/// The notices of a memory, without the rest of it.
#[derive(Debug, Default, Deserialize)]
pub struct Notices {
    #[serde(default)]
    notices: Vec<Notice>,
}

impl Notices {
    /// Those that are no mails yet, by the number of the next one that becomes one.
    pub fn from(&self, told: u64) -> impl Iterator<Item = &Notice> {
        self.notices.iter().filter(move |notice| notice.number >= told)
    }
}

impl Notice {
    fn new(at: DateTime<Utc>, topic: Option<Topic>, subject: MailSubject, body: String) -> Self {
        let audience = Audience::Alerts;
        Self { number: 0, at, client: None, topic, thread: None, states: 0, lasts: None, subject, body, audience, page: None }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it becomes a mail.
    pub fn is_for_mail(&self) -> bool {
        self.lasts != Some(Kind::Mailer)
    }

    /// Whether it is told by this way.
    pub fn is_for(&self, way: Way) -> bool {
        self.lasts != Some(Kind::of(way))
    }

    /// It as a mail with this number, in the spool of this account.
    pub fn mail(&self, seq: u64, uid: u32) -> ComposedMail {
        let Self { at, client, topic, thread, states, subject, body, audience, page, .. } = self.clone();
        ComposedMail { seq, uid, created: at, audience, events: states, subject, body, client, topic, thread, page }.checked(uid)
    }
}

/// Whether it is time to look again, where that is to be done `next`. A time that is too far ahead is
/// none.
pub fn is_time(next: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    next.is_none_or(|next| next <= now || next > now + delta(STATES_EVERY))
}

/// Takes facts in about everyone who has a policy, and says what is to be told. `told` is the number
/// of the first notice that is no mail yet, `soonest` when a fact may change by itself.
pub fn step(memory: Memory, told: u64, subjects: &[Subject], soonest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Memory {
    let mut memory = memory.bounded(told, now);
    let mut before: BTreeMap<_, _> =
        std::mem::take(&mut memory.lasting).into_iter().map(|state| ((state.client.clone(), state.kind), state)).collect();
    let may_tell = memory.notices.len() < MAX_NOTICES;
    let mut said = Vec::new();
    for subject in subjects {
        for (kind, fact, to) in &subject.facts {
            let old = before.remove(&(subject.client.clone(), *kind));
            let fresh = |since: &DateTime<Utc>, what: &str| Lasting::new(subject.client.clone(), *kind, (*since).min(now), what, now);
            let (state, phase) = match (subject.closed, fact) {
                (Some(closed), _) => (old, Some(Phase::Closed(closed))),
                (None, Fact::Unknown) => (old, None),
                (None, Fact::Over) => old.map_or((None, None), |old| old.ends(now)),
                (None, Fact::Lasts(since, what)) => {
                    old.map_or_else(|| fresh(since, what), |old| old.again(*since, what, now)).lasts(may_tell, now)
                }
            };
            memory.remember(state, phase, to, &mut said);
        }
    }
    let there: BTreeSet<_> = subjects.iter().map(|subject| subject.client.as_ref()).collect();
    for state in before.into_values() {
        // Whoever is not there has no policy any more. Of others nothing of that kind is left.
        let (state, phase) = match there.contains(&state.client.as_ref()) {
            true => state.ends(now),
            false => (Some(state), Some(Phase::Closed(Closed::Removed))),
        };
        memory.remember(state, phase, &[], &mut said);
    }
    memory.known.retain(|client, _| there.contains(&Some(client)));
    memory.tell(said, now);
    let reminders = memory.lasting().filter_map(Lasting::due);
    let soonest = reminders.chain(soonest).min().unwrap_or(now + delta(STATES_EVERY));
    memory.next = Some(soonest.clamp(now + delta(STATES_PAUSE), now + delta(STATES_EVERY)));
    memory
}

impl Memory {
    /// Keeps a state that goes on, and notes what is to be said of it.
    fn remember(&mut self, state: Option<Lasting>, phase: Option<Phase>, to: &[String], said: &mut Vec<Said>) {
        let Some(state) = state else { return };
        let closes = matches!(phase, Some(Phase::Closed(_)));
        // Of what nobody was told nobody needs to hear that it is closed.
        let is_known = !closes || (state.mails > 0 && state.ended.is_none());
        if let Some(phase) = phase.filter(|_| is_known) {
            said.push(Said { phase, to: to.to_vec(), state: state.clone() });
        }
        if !closes {
            self.lasting.push(state);
        }
    }

    /// Words what is said: a mail for each state, or one for many of a kind.
    fn tell(&mut self, said: Vec<Said>, now: DateTime<Utc>) {
        let mut groups: BTreeMap<_, Vec<Said>> = BTreeMap::new();
        for one in said {
            groups.entry((one.phase, one.state.kind, one.to.clone())).or_default().push(one);
        }
        for ((phase, kind, to), all) in groups {
            let lasts = matches!(phase, Phase::Begins | Phase::Lasts).then_some(kind);
            if all.len() > NOTICES_ALONE {
                let (subject, body) = words::many(phase, kind, &all.iter().map(|one| &one.state).collect::<Vec<_>>(), now);
                let client = all.first().and_then(|one| one.state.client.clone()).filter(|_| !to.is_empty());
                self.add(Notice { client, states: all.len() as u64, lasts, ..Notice::new(now, Some(kind.row().topic), subject, body) });
                continue;
            }
            for Said { state, .. } in all {
                let (subject, body) = words::one(phase, &state, now);
                let thread = Some(Thread { root: state.thread.clone(), begins: !state.begun });
                let same = |other: &&mut Lasting| other.client == state.client && other.kind == state.kind;
                let new = Notice::new(now, Some(kind.row().topic), subject, body);
                let notice = Notice { client: state.client.clone(), thread, states: 1, lasts, ..new };
                self.lasting.iter_mut().find(same).into_iter().for_each(|state| state.begun |= notice.is_for_mail());
                self.add(notice);
            }
        }
    }

    fn add(&mut self, notice: Notice) {
        self.notices.push(Notice { number: self.number, ..notice });
        self.number = self.number.saturating_add(1);
    }
}

impl Lasting {
    fn new(client: Option<ClientName>, kind: Kind, since: DateTime<Utc>, what: &str, now: DateTime<Utc>) -> Self {
        // Two letters of a name have another meaning in a Message-ID, or none.
        let who = client.as_ref().map_or_else(|| "server".to_owned(), |client| client.as_str().replace('@', "_40").replace('+', "_2b"));
        let thread = format!("{}{}.{who}", thread_of(kind), now.timestamp_micros());
        Self { client, kind, since, ended: None, what: what.to_owned(), mailed: None, mails: 0, thread, begun: false }
    }

    /// It is so, still or again.
    fn again(self, since: DateTime<Utc>, what: &str, now: DateTime<Utc>) -> Self {
        if self.ended.is_some() {
            return Self { ended: None, since: since.min(now), what: what.to_owned(), mails: 0, ..self };
        }
        Self { what: what.to_owned(), ..self }
    }

    /// When there is something to say while it lasts.
    fn due(&self) -> Option<DateTime<Utc>> {
        let first = self.kind.row().first;
        let Some(mailed) = self.mailed else { return self.since.checked_add_signed(delta(first)) };
        let quiet = match self.mails {
            0 => RETURN_QUIET,
            mails => REMINDERS.get(mails as usize - 1).or(REMINDERS.last()).copied().unwrap_or(RETURN_QUIET),
        };
        let since = if self.mails == 0 { self.since.checked_add_signed(delta(first)) } else { None };
        mailed.checked_add_signed(delta(quiet)).max(since)
    }

    fn lasts(mut self, may_tell: bool, now: DateTime<Utc>) -> (Option<Self>, Option<Phase>) {
        let phase =
            (may_tell && self.due().is_some_and(|due| due <= now)).then_some(if self.mails == 0 { Phase::Begins } else { Phase::Lasts });
        if phase.is_some() {
            self.mails = self.mails.saturating_add(1);
            self.mailed = Some(now);
        }
        (Some(self), phase)
    }

    /// It is over. Whoever was told that it began is told so.
    fn ends(mut self, now: DateTime<Utc>) -> (Option<Self>, Option<Phase>) {
        if self.ended.is_some() {
            return (Some(self), None);
        }
        self.ended = Some(now);
        let phase = (self.mails > 0).then_some(Phase::Over);
        if phase.is_some() {
            self.mailed = Some(now);
        }
        (Some(self), phase)
    }
}

/// How the threads of a kind begin.
fn thread_of(kind: Kind) -> String {
    format!("snapgate.{kind}.")
}

/// Whether a mail, by the thread that it belongs to, is about a state of this kind.
pub fn is_about(mail: &ComposedMail, kind: Kind) -> bool {
    mail.thread.as_ref().is_some_and(|thread| thread.root.starts_with(&thread_of(kind)))
}

fn delta(span: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests;
