//! What a pass learns of the ways that it tries: which take nothing more now, and from whom.
//!
//! What waits in accounts' spools says nothing of a way for the others: a forged event that a
//! program fails on, or that a server refuses, stalls or hangs up on, must hold up its own account
//! alone, however many accounts forge. So only what fails before anything was told is left alone by
//! all: a server without a connection, a program that does not start. What fails later costs its
//! account a pause, and the pass some of its time, in which those who have not failed come first.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::act::ways::NotTaken;
use crate::decide::speak::ways::{self as words, Troubles};
use crate::terms::Url;
use crate::terms::limits::{MAX_REFUSED_MAILS, MAX_UNREACHABLE};

/// Where something goes.
pub(super) enum Place {
    Web(Url),
    Program,
}

/// What a pass knows of the ways that it has tried.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) troubles: Troubles,
    /// Whether all are tried, whatever is remembered.
    flush: bool,
    /// Whether the troubles have changed.
    pub(super) changed: bool,
    /// Whether not all was looked at, so that not every way was seen.
    pub(super) cut: bool,
    /// Ways that take nothing more in this pass: from one account, or from any.
    down: BTreeSet<String>,
    /// How often each has refused what an account told it.
    refused: BTreeMap<String, usize>,
    /// Ways for which something waits.
    wanted: BTreeSet<String>,
    /// Servers of pings that could not be reached, and how often.
    unreachable: BTreeMap<String, usize>,
}

impl Tried {
    pub(super) fn new(troubles: Troubles, flush: bool) -> Self {
        Self { troubles, flush, ..Self::default() }
    }

    /// Whether what this account had waiting was not taken lately, so that it comes after all others.
    pub(super) fn has_failed(&self, uid: u32) -> bool {
        self.troubles.has_any(uid)
    }

    /// Something of the account's waits for a way. Says whether that is worth a try now.
    pub(super) fn may(&mut self, uid: u32, name: &str, place: &Place, now: DateTime<Utc>) -> bool {
        let own = words::of_account(uid, name);
        let is_reached = match place {
            Place::Web(url) => self.unreachable.get(&url.to_string()).is_none_or(|times| *times < MAX_UNREACHABLE),
            Place::Program => true,
        };
        // A way that has just refused one thing may take another.
        let is_due = self.troubles.is_due(name, now) && (self.refused.contains_key(&own) || self.troubles.is_due(&own, now));
        let may = is_reached && !self.down.contains(name) && !self.down.contains(&own) && (self.flush || is_due);
        self.wanted.extend([name.to_owned(), own]);
        may
    }

    pub(super) fn works(&mut self, uid: u32, name: &str) {
        for name in [name, &words::of_account(uid, name)] {
            self.changed |= !self.troubles.is_well(name);
            self.troubles.works(name);
        }
    }

    pub(super) fn failed(&mut self, uid: u32, name: &str, place: &Place, error: &NotTaken, now: DateTime<Utc>) {
        let own = words::of_account(uid, name);
        let is_for_all = match error {
            NotTaken::Refused(_) => {
                let refused = self.refused.entry(own.clone()).or_default();
                *refused += 1;
                if *refused >= MAX_REFUSED_MAILS {
                    self.down.insert(own.clone());
                }
                // Of several in a row in one pass the first one counts.
                if *refused > 1 {
                    return;
                }
                false
            }
            NotTaken::Later(_) => false,
            NotTaken::Unreachable(_) => {
                if let Place::Web(url) = place {
                    *self.unreachable.entry(url.to_string()).or_default() += 1;
                }
                true
            }
        };
        let why = error.to_string();
        // Whoever was first to find it out is not the first one the next time.
        self.troubles.failed(&own, &why, now);
        if !matches!(error, NotTaken::Refused(_)) {
            self.down.insert(own);
        }
        if is_for_all {
            self.down.insert(name.to_owned());
            self.troubles.failed(name, &why, now);
        }
        self.changed = true;
    }

    /// Forgets what nothing waits for, where all was looked at. Says whether there is something to save.
    pub(super) fn settle(&mut self) -> bool {
        if !self.cut {
            let before = self.troubles.clone();
            self.troubles.retain(|way| self.wanted.contains(way));
            self.changed |= before != self.troubles;
        }
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later() -> NotTaken {
        NotTaken::Later("answered 503".to_owned())
    }

    fn now() -> DateTime<Utc> {
        "2026-11-28T20:00:00Z".parse().unwrap()
    }

    const EXEC: &str = "exec";

    #[test]
    fn what_one_account_tells_in_vain_holds_up_nobody_else() {
        for (error, times) in [(later(), 1), (NotTaken::Refused("answered 400".to_owned()), MAX_REFUSED_MAILS)] {
            let mut tried = Tried::default();
            for _ in 0..times {
                assert!(tried.may(7, EXEC, &Place::Program, now()));
                tried.failed(7, EXEC, &Place::Program, &error, now());
            }
            assert!(!tried.may(7, EXEC, &Place::Program, now()) && tried.may(8, EXEC, &Place::Program, now()), "{error}");
            assert!(tried.has_failed(7) && !tried.has_failed(8) && !tried.has_failed(0));
            // The next pass begins with what is remembered.
            let mut next = Tried::new(tried.troubles.clone(), false);
            assert!(!next.may(7, EXEC, &Place::Program, now()) && next.may(8, EXEC, &Place::Program, now()), "{error}");
            assert!(Tried::new(tried.troubles, true).may(7, EXEC, &Place::Program, now()), "--flush tries it all the same");
        }
    }

    #[test]
    fn what_nobody_can_reach_is_left_alone_by_all_and_what_any_number_found_busy_is_not() {
        let mut tried = Tried::default();
        tried.failed(7, EXEC, &Place::Program, &NotTaken::Unreachable("refused".to_owned()), now());
        assert!(!tried.may(8, EXEC, &Place::Program, now()) && !Tried::new(tried.troubles, false).may(8, EXEC, &Place::Program, now()));
        let mut tried = Tried::default();
        for uid in 100..200 {
            tried.failed(uid, EXEC, &Place::Program, &later(), now());
        }
        assert!(tried.may(9, EXEC, &Place::Program, now()) && tried.may(9, "webhook", &Place::Program, now()));
        let mut next = Tried::new(tried.troubles, false);
        assert!(next.may(9, EXEC, &Place::Program, now()));
        // One that is served says nothing of the others, who keep their pauses.
        next.works(9, EXEC);
        for uid in 100..200 {
            assert!(!next.may(uid, EXEC, &Place::Program, now()));
        }
        assert!(!next.settle(), "something waits for each");
        assert!(Tried::new(next.troubles, false).settle(), "nothing waits any more");
    }
}
