//! Sums that only grow, of what ledgers say. A ledger is forgotten some day; a sum must not fall then,
//! so it is kept, with the place in the ledger up to which it has everything.
//!
//! An account writes its own ledger. What it writes counts for its own sums alone, and no number of
//! its makes one fall.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::terms::limits::MAX_SENT_AT_ONCE;
use crate::terms::{Body, ClientName, Cursor, Deed, Event, Outcome, PushFacts, Upkeep, View, Visit, Way};

/// How often, by a word.
pub type Words = BTreeMap<String, u64>;

/// What happened to a client, or to an account that came as none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Tries to back up, by outcome.
    pub pushes: Words,
    /// Refused connections, by code.
    pub refusals: Words,
    /// Connections that failed otherwise, by code.
    pub failures: Words,
    /// Of all its pushes: files that came, the sum of their sizes, what was read from the network for
    /// them, and how long they took.
    pub received_files: u64,
    /// See above.
    pub received_bytes: u64,
    /// See above.
    pub wire_bytes: u64,
    /// See above.
    pub push_milliseconds: u64,
    /// Snapshots that were held.
    pub held: u64,
    /// Snapshots that are partial.
    pub partial: u64,
    /// Connections that read snapshots, and what they were sent.
    pub restores: u64,
    /// See above.
    pub restored_bytes: u64,
    /// Snapshots that were removed, and what became free for good.
    pub removed: u64,
    /// See above.
    pub freed_bytes: u64,
    /// Upkeep of which somebody had to be told.
    pub upkeep_failures: u64,
}

/// Sums of one, and how far its ledgers are in them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// How far. `None`: nobody has looked into its ledger yet, and what stands there now is older than
    /// the sums.
    pub upto: Option<Cursor>,
    /// The sums.
    pub sums: Sums,
}

/// The file of sums. Sums and places stand in one file, so that no kill comes between them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Whose they are: the site's file.
    pub site: String,
    /// Of clients.
    pub clients: BTreeMap<ClientName, Counted>,
    /// Of accounts, what is no client's, by number. Those that no policy names have no sums of their own.
    pub accounts: BTreeMap<u32, Counted>,
    /// What came of those, all together.
    #[serde(default)]
    pub others: Others,
    /// Whom there was no time for, who has waited longest first.
    #[serde(default)]
    pub behind: Vec<String>,
}

/// What came of accounts that no policy names. Any number of them may come and go: so they have one series,
/// which does not fall when one goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Others {
    /// What their ledgers say.
    pub sums: Sums,
    /// What left their spools.
    pub deliveries: Deliveries,
    /// What the file of each of them said of that, the last time.
    pub seen: BTreeMap<u32, Deliveries>,
}

impl Others {
    /// Takes in what the file of one says now. Of one that is not known yet, that is where it begins. The
    /// account may have written any number there, and the sum is that of all: at once it moves no further
    /// than an account could send.
    pub fn sent(&mut self, uid: u32, now: Deliveries) {
        if let Some(before) = self.seen.get(&uid) {
            self.deliveries.add(&now.since(before).at_most(MAX_SENT_AT_ONCE));
        }
        self.seen.insert(uid, now);
    }
}

/// What left an account's spool, by way: how often it arrived, and how often it did not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deliveries {
    /// What arrived.
    pub sent: Words,
    /// Tries in vain.
    pub failed: Words,
}

/// The way that every account has.
pub const MAIL: &str = "mail";

/// The name under which all accounts are told of that no policy names. No account can be called so.
pub const OTHERS: &str = "(others)";

/// So many more.
fn more(words: &mut Words, word: &str, count: u64) {
    let sum = words.entry(word.to_owned()).or_default();
    *sum = sum.saturating_add(count);
}

fn grow(words: &mut Words, by: &Words) {
    by.iter().for_each(|(word, count)| more(words, word, *count));
}

impl Deliveries {
    /// One that was tried.
    pub fn tried(&mut self, way: &str, is_sent: bool) {
        more(if is_sent { &mut self.sent } else { &mut self.failed }, way, 1);
    }

    /// Without words that stand for no way: an account may have written them.
    #[must_use]
    pub fn checked(mut self) -> Self {
        for words in [&mut self.sent, &mut self.failed] {
            words.retain(|word, _| word == MAIL || Way::read(word).is_some());
        }
        self
    }

    /// What is new since then. A file that says less than before says nothing.
    fn since(&self, before: &Self) -> Self {
        let new = |now: &Words, before: &Words| {
            let new = |(word, count): (&String, &u64)| (word.clone(), count.saturating_sub(before.get(word).copied().unwrap_or(0)));
            now.iter().map(new).filter(|(_, count)| *count > 0).collect()
        };
        Self { sent: new(&self.sent, &before.sent), failed: new(&self.failed, &before.failed) }
    }

    fn at_most(mut self, most: u64) -> Self {
        self.sent.values_mut().chain(self.failed.values_mut()).for_each(|count| *count = most.min(*count));
        self
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        grow(&mut self.sent, &other.sent);
        grow(&mut self.failed, &other.failed);
    }
}

impl Sums {
    /// Counts an event.
    pub fn add(&mut self, event: &Event) {
        match event.view() {
            View::Visit(visit) => self.visit(&visit),
            View::Upkeep(upkeep) => self.upkeep(&event.body, upkeep),
            View::Unknown(_) => {}
        }
    }

    /// Adds others.
    pub fn grow(&mut self, by: &Self) {
        grow(&mut self.pushes, &by.pushes);
        grow(&mut self.refusals, &by.refusals);
        grow(&mut self.failures, &by.failures);
        for (sum, by) in [
            (&mut self.received_files, by.received_files),
            (&mut self.received_bytes, by.received_bytes),
            (&mut self.wire_bytes, by.wire_bytes),
            (&mut self.push_milliseconds, by.push_milliseconds),
            (&mut self.held, by.held),
            (&mut self.partial, by.partial),
            (&mut self.restores, by.restores),
            (&mut self.restored_bytes, by.restored_bytes),
            (&mut self.removed, by.removed),
            (&mut self.freed_bytes, by.freed_bytes),
            (&mut self.upkeep_failures, by.upkeep_failures),
        ] {
            *sum = sum.saturating_add(by);
        }
    }

    fn visit(&mut self, visit: &Visit<'_>) {
        if visit.verb.is_none_or(|verb| verb.row().backs_up) {
            more(&mut self.pushes, visit.result.as_str(), 1);
        }
        let code = visit.code().map_or("none", |code| code.as_str());
        match visit.result {
            Outcome::Refused => more(&mut self.refusals, code, 1),
            Outcome::Busy | Outcome::Failed | Outcome::Stopped | Outcome::Unpublished => more(&mut self.failures, code, 1),
            Outcome::Published | Outcome::Added | Outcome::Started | Outcome::Answered => {}
        }
        if let Some(push) = visit.push {
            self.push(push);
        }
        if let Some(restore) = visit.restore {
            let restored_bytes = restore.sent_bytes.unwrap_or(0);
            self.grow(&Self { restores: 1, restored_bytes, ..Self::default() });
        }
    }

    fn push(&mut self, push: &PushFacts) {
        // A transaction's last event sums up what its pushes have said before.
        if push.prepared.is_none() {
            let spent = Duration::try_from_secs_f64(push.seconds).unwrap_or_default();
            self.grow(&Self {
                received_files: push.received,
                received_bytes: push.received_bytes,
                wire_bytes: push.wire_bytes.unwrap_or(0),
                push_milliseconds: u64::try_from(spent.as_millis()).unwrap_or(u64::MAX),
                ..Self::default()
            });
        }
        if push.snapshot.is_some() {
            self.grow(&Self { held: push.held.is_some().into(), partial: push.partial.into(), ..Self::default() });
        }
    }

    fn upkeep(&mut self, body: &Body, upkeep: &Upkeep) {
        let removes = matches!(body, Body::Upkeep(Deed::Prune | Deed::Delete | Deed::Discard, _));
        self.grow(&Self {
            removed: if removes { upkeep.count() } else { 0 },
            freed_bytes: upkeep.freed.map_or(0, |freed| freed.bytes),
            upkeep_failures: (!upkeep.problems.is_empty()).into(),
            ..Self::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::speak::message::samples;

    fn of(events: &[Event]) -> Sums {
        let mut sums = Sums::default();
        events.iter().for_each(|event| sums.add(event));
        sums
    }

    #[test]
    fn a_push_a_refusal_and_what_was_removed_count_each_for_its_own() {
        let push = samples::pushing(samples::published(), |push| {
            (push.received, push.received_bytes, push.wire_bytes, push.seconds) = (3, 40, Some(9), 1.25);
        });
        let sums = of(&[push.clone(), push.clone(), samples::refusal(), samples::failure(), samples::pruned(), samples::unknown()]);
        assert_eq!(sums.pushes.get("published"), Some(&2));
        assert_eq!((sums.received_files, sums.received_bytes, sums.wire_bytes, sums.push_milliseconds), (46, 1_234_647, 18, 85_700));
        assert_eq!((sums.refusals.values().sum::<u64>(), sums.failures.values().sum::<u64>()), (1, 1));
        assert!(sums.removed > 0 && sums.held == 0 && sums.restores == 0);
        // `complete` tells again of what its pushes have told of.
        let whole = samples::pushing(push.clone(), |push| push.prepared = Some("2026-11-20T00:00:00Z".parse().unwrap()));
        let both = of(&[push, whole]);
        assert_eq!((both.received_bytes, both.pushes.get("published")), (40, Some(&2)));
        let mut twice = sums.clone();
        twice.grow(&sums);
        assert_eq!((twice.received_files, twice.pushes.get("published"), twice.removed), (92, Some(&4), 2 * sums.removed));
        let json = serde_json::to_string(&twice).unwrap();
        assert_eq!(serde_json::from_str::<Sums>(&json).unwrap(), twice);
    }

    #[test]
    fn no_number_of_an_account_s_makes_a_sum_less() {
        let forged = |seconds: f64| {
            samples::pushing(samples::published(), |push| {
                (push.received_bytes, push.wire_bytes, push.seconds) = (u64::MAX, Some(u64::MAX), seconds);
            })
        };
        let mut sums = Sums::default();
        let mut before = sums.clone();
        for seconds in [1.0, f64::NAN, f64::INFINITY, -7.0, f64::MAX, 1.0] {
            sums.add(&forged(seconds));
            assert!(sums.push_milliseconds >= before.push_milliseconds && sums.received_bytes == u64::MAX);
            before = sums.clone();
        }
        let forged: Deliveries = serde_json::from_str(r#"{"sent":{"mail":2,"no way":9,"ping":1},"failed":{"":7}}"#).unwrap();
        let mut all = Deliveries::default();
        all.tried(MAIL, false);
        all.add(&forged.checked());
        assert_eq!((all.sent.len(), all.sent.get(MAIL), all.failed.get(MAIL), all.failed.len()), (2, Some(&2), Some(&1), 1));
    }

    #[test]
    fn what_others_have_sent_never_becomes_less_whoever_goes_and_whatever_a_file_says() {
        let said = |sent: u64| Deliveries { sent: [(MAIL.to_owned(), sent)].into(), ..Deliveries::default() };
        let mut others = Others::default();
        // One that was there before anybody counted, and one that is new.
        others.sent(7, said(40));
        others.seen.insert(8, Deliveries::default());
        let far = MAX_SENT_AT_ONCE;
        for (uid, says, sum) in
            [(8, 2, 2), (7, 41, 3), (8, 0, 3), (8, 1, 4), (8, u64::MAX, far + 4), (7, 50, far + 13), (8, 7, far + 13), (8, 8, far + 14)]
        {
            others.sent(uid, said(says));
            assert_eq!(others.deliveries.sent.get(MAIL), Some(&sum), "{uid} {says}");
        }
        others.seen.clear();
        assert_eq!(others.deliveries.sent.get(MAIL), Some(&(far + 14)));
    }
}
