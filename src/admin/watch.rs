//! `snapgate watch`: tells the administrator what the gates left in the spool.
//!
//! For each account: deliver what waits, count what is new, write the mails that are due, deliver
//! them. A crash between two steps loses no event and counts none twice, because only the file of
//! counts is true: a mail with a number that it has not given out never happened, and an event that
//! it has counted is deleted, not counted again. At worst a mail is sent twice, with the same
//! Message-ID.
//!
//! What is told by other ways waits in the spool as mails do, and is told when all mails have been
//! tried (`ways`): nothing that stalls there is in the way of a mail.
//!
//! It never touches a repository, and a session never waits for it.

mod adopt;
mod budget;
mod delivery;
mod notices;
mod pace;
mod report;
mod route;
mod trial;
mod tried;
mod turn;
mod ways;

use std::collections::BTreeSet;
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::act::clock;
use crate::act::record::spool::{AccountSpool, Sent, SpoolError, Stamp};
use crate::act::spools;
use crate::decide::policy::{Site, Transport};
use crate::decide::speak::alerts::{self, Alerts, State};
use crate::decide::speak::message;
use crate::decide::speak::metrics::Deliveries;
use crate::terms::limits::{MAX_BATCH, MAX_ROUNDS, MAX_WAITING, WAYS_LONG, WAYS_ROUNDS};
use crate::terms::{Event, Mail};

pub(crate) use self::adopt::{adopt, forget};
use self::budget::Budget;
pub use self::budget::watchdog;
use self::delivery::Delivery;
use self::pace::Pace;
pub use self::report::WatchReport;
pub use self::trial::test;
use self::turn::acquire;
use self::ways::Ways;

/// What a pass takes from outside, so that tests can set the clock and stop it between any two
/// steps.
pub struct Means<'a> {
    /// The clock.
    pub now: &'a dyn Fn() -> DateTime<Utc>,
    /// Asked before every step that changes something; `false` ends the pass, like a power cut.
    pub go_on: &'a dyn Fn() -> bool,
}

/// Ended like by a power cut.
struct Stopped;

/// Why an account's pass ended early.
enum Ended {
    Spool(SpoolError),
    Stopped,
}

impl From<SpoolError> for Ended {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

/// One pass over the spool: over every account's as root, otherwise over one's own. `flush` mails
/// everything that is counted now.
pub fn run(site: &Site, flush: bool) -> WatchReport {
    run_within(site, flush, &Budget::new())
}

/// [`run`] within what is left of a process's time.
pub fn run_within(site: &Site, flush: bool, budget: &Budget) -> WatchReport {
    let report = passed(site, flush, &Means { now: &clock::now, go_on: &|| true }, budget);
    if report.sent > 0 {
        Stamp::Mailed.leave(&site.spool);
    }
    report
}

/// Notes that a `watch` has come to its end, whatever it had no time for: somebody starts it, which is all that `check` takes
/// from this. What waits is still in the spool, where `check` finds it by itself.
pub fn ended(site: &Site) {
    Stamp::Ran("watch").leave(&site.spool);
}

/// [`run`] with a clock and a stop of one's own.
pub fn run_with(site: &Site, flush: bool, means: &Means<'_>) -> WatchReport {
    passed(site, flush, means, &Budget::new())
}

fn passed(site: &Site, flush: bool, means: &Means<'_>, budget: &Budget) -> WatchReport {
    let ways = Ways::new(site, budget);
    let mut pass = Pass::new(site, means, &ways, budget);
    for _ in 0..WAYS_ROUNDS {
        (pass.report.waiting, pass.report.refused, pass.report.busy) = (0, 0, 0);
        if pass.mails(flush).is_err() {
            break;
        }
        let begun = Instant::now();
        if ways.tell(means, flush, &mut pass.report).is_err() || begun.elapsed() < WAYS_LONG {
            break;
        }
        // What came meanwhile has waited for long enough.
    }
    pass.report
}

struct Pass<'a> {
    site: &'a Site,
    means: &'a Means<'a>,
    ways: &'a Ways<'a>,
    pace: Pace<'a>,
    report: WatchReport,
    /// Accounts for which the mailer could not be reached. It is the same mailer for all.
    unreachable: usize,
    budget: &'a Budget,
}

impl Pass<'_> {
    /// Processes every account's mails.
    fn mails(&mut self, flush: bool) -> Result<(), Stopped> {
        let accounts = match spools::all(self.site) {
            Ok(accounts) => turn::ordered(accounts.collect(), self.ways.known()),
            Err(error) => {
                self.problem(&error.to_string());
                return Ok(());
            }
        };
        for account in accounts {
            if !self.budget.has_counting() {
                self.problem("the time for this pass is used up: the accounts that are left are the next one's");
                break;
            }
            match account.map_err(Ended::Spool).and_then(|spool| self.account(&spool, flush)) {
                Ok(()) => {}
                Err(Ended::Stopped) => return Err(Stopped),
                Err(Ended::Spool(error)) => self.problem(&error.to_string()),
            }
        }
        Ok(())
    }

    /// Processes one account, and again if an event came while the lock was held: its gate found
    /// the lock taken and left it to us.
    fn account(&mut self, spool: &AccountSpool, flush: bool) -> Result<(), Ended> {
        let (begun, mut delivery) = (Instant::now(), Delivery::default());
        for _ in 0..MAX_ROUNDS {
            let Some(lock) = acquire(spool, flush && self.budget.has_mails())? else {
                self.report.busy += 1;
                self.ways.may_wait(spool);
                return Ok(());
            };
            let left = self.round(spool, flush, &mut delivery);
            drop(lock);
            let left = left?;
            if self.budget.is_over(begun) || spool.news()?.iter().all(|id| left.contains(id)) {
                break;
            }
        }
        self.report.waiting += delivery.waiting.saturating_sub(delivery.still) as u64;
        self.report.refused += delivery.still as u64;
        Ok(())
    }

    /// One round under the lock. Comes back with the events that it left where they are.
    fn round(&mut self, spool: &AccountSpool, flush: bool, delivery: &mut Delivery) -> Result<BTreeSet<String>, Ended> {
        let mut left = BTreeSet::new();
        spool.sweep(clock::kernel().timestamp());
        if !self.wants_mail() && !self.ways.are_wanted() {
            // Nobody wants to be told; the ledger has every record.
            let news = spool.news()?;
            self.step()?;
            spool.forget(&news)?;
            return Ok(left);
        }
        let mut state = self.state(spool)?;
        self.clean_up(spool, &state)?;
        self.deliver(spool, delivery)?;
        self.ways.look(spool)?;
        state = self.take_notices(spool, state, delivery)?;
        let news = spool.news()?;
        let mut batches = news.chunks(MAX_BATCH).peekable();
        loop {
            let batch = batches.next().unwrap_or_default();
            // Alerts are written with the last batch, so that what came together is told together.
            let last = batches.peek().is_none() || !self.budget.has_counting();
            let alerts = if last { delivery.alerts_may(flush) } else { Alerts::Hold };
            let read = self.read(spool, batch, delivery.waiting, &mut left)?;
            state = self.absorb(spool, state, read, alerts, delivery)?;
            if last {
                break;
            }
        }
        self.deliver(spool, delivery)?;
        if delivery.tried != Deliveries::default() {
            self.step()?;
            delivery::remember(spool, Sent::Mails, &mut delivery.tried)?;
        }
        Ok(left)
    }

    /// The counts. If there are none, they are written first: from then on a missing file means
    /// that it was lost, and waiting mails are not taken for ones that never happened.
    fn state(&mut self, spool: &AccountSpool) -> Result<State, Ended> {
        if let Some(bytes) = spool.state()? {
            match serde_json::from_slice::<State>(&bytes) {
                Ok(state) => return Ok(state),
                Err(error) => {
                    self.problem(&format!("the counts of account {} cannot be read and are laid aside: {error}", spool.uid()));
                    self.step()?;
                    spool.lay_state_aside()?;
                }
            }
        }
        let newest = spool.waiting()?.into_iter().chain(spool.dead()?).max();
        let state = State::starting_at(newest.map_or(0, |seq| seq.saturating_add(1)));
        self.save(spool, &state)?;
        Ok(state)
    }

    fn save(&self, spool: &AccountSpool, state: &State) -> Result<(), Ended> {
        let json = serde_json::to_vec(state).map_err(|error| SpoolError::Record(error.to_string()))?;
        self.step()?;
        Ok(spool.save_state(&json)?)
    }

    /// Removes what an interrupted pass left: mails of an unfinished step, events of a finished
    /// one.
    fn clean_up(&self, spool: &AccountSpool, state: &State) -> Result<(), Ended> {
        for seq in spool.waiting()?.into_iter().filter(|seq| *seq >= state.next) {
            self.step()?;
            spool.take_away(seq)?;
        }
        let counted: Vec<_> = spool.news()?.into_iter().filter(|id| state.has_absorbed(id)).collect();
        if !counted.is_empty() {
            self.step()?;
            spool.forget(&counted)?;
        }
        Ok(())
    }

    /// The events of a batch. What cannot be read stays, and so do reports while too many mails
    /// wait.
    fn read(
        &mut self,
        spool: &AccountSpool,
        batch: &[String],
        waiting: usize,
        left: &mut BTreeSet<String>,
    ) -> Result<Vec<(String, Event)>, Ended> {
        let mut read = Vec::new();
        let mut reports = waiting;
        for id in batch {
            match spool.event(id) {
                Ok(Some(event)) if event.mail == Mail::Report && reports >= MAX_WAITING => {
                    left.insert(id.clone());
                }
                Ok(Some(mut event)) => {
                    // The alert goes first; the ledger has the rest.
                    if event.mail == Mail::Both && reports >= MAX_WAITING {
                        event.mail = Mail::Alert;
                    }
                    reports += usize::from(matches!(event.mail, Mail::Report | Mail::Both));
                    self.step()?;
                    if !self.ways.event(spool, &event, (self.means.now)())? {
                        self.problem(&format!(
                            "account {} has too much that waits to be told: the rest is in its ledger alone",
                            spool.uid()
                        ));
                    }
                    if !self.wants_mail() {
                        event.mail = Mail::None;
                    }
                    read.push((id.clone(), event));
                }
                Ok(None) => {}
                Err(error) => {
                    self.problem(&format!("an event is left where it is: {error}"));
                    left.insert(id.clone());
                }
            }
        }
        Ok(read)
    }

    /// Counts events and writes the mails that are due, in the safe order: mails, counts, deletion.
    fn absorb(
        &mut self,
        spool: &AccountSpool,
        state: State,
        read: Vec<(String, Event)>,
        alerts: Alerts,
        delivery: &mut Delivery,
    ) -> Result<State, Ended> {
        let now = (self.means.now)();
        let ids: Vec<_> = read.iter().map(|(id, _)| id.clone()).collect();
        let before = state.clone();
        let (state, drafts) = alerts::step(state, read, now, alerts);
        for draft in &drafts {
            self.step()?;
            spool.post(&message::compose(draft, spool.uid(), now))?;
        }
        if state != before {
            self.save(spool, &state)?;
        }
        if !ids.is_empty() {
            self.step()?;
            spool.forget(&ids)?;
        }
        self.report.counted += ids.len() as u64;
        delivery.waiting += drafts.len();
        Ok(state)
    }

    fn wants_mail(&self) -> bool {
        self.site.mail.transport != Transport::Off
    }

    fn step(&self) -> Result<(), Ended> {
        if (self.means.go_on)() { Ok(()) } else { Err(Ended::Stopped) }
    }

    fn problem(&mut self, words: &str) {
        self.report.problem(words);
    }
}
