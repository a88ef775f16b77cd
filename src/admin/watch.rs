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
use crate::act::mail::{self, NotSent};
use crate::act::names;
use crate::act::record::spool::{AccountSpool, Sent, SpoolError, Stamp};
use crate::act::spools;
use crate::decide::policy::{Site, Transport};
use crate::decide::speak::alerts::{self, Alerts, State};
use crate::decide::speak::message;
use crate::decide::speak::metrics::{Deliveries, MAIL};
use crate::terms::limits::{
    MAIL_LIFETIME, MAILS_TIME, MAX_BATCH, MAX_REFUSED_MAILS, MAX_ROUNDS, MAX_UNREACHABLE, MAX_WAITING, WATCH_TIMEOUT, WAYS_LONG,
    WAYS_ROUNDS,
};
use crate::terms::text::counted;
use crate::terms::{Audience, ComposedMail, Event, Mail};

pub(crate) use self::adopt::{adopt, forget};
use self::delivery::Delivery;
use self::pace::{Lately, Pace};
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
    let report = run_with(site, flush, &Means { now: &clock::now, go_on: &|| true });
    if report.sent > 0 {
        Stamp::Mailed.leave(&site.spool);
    }
    report
}

/// Notes that a `watch` has come to its end, with all that it had to do.
pub fn ended(site: &Site) {
    Stamp::Ran("watch").leave(&site.spool);
}

/// Ends this process after [`WATCH_TIMEOUT`], whatever hangs. That loses nothing: see the top.
pub fn watchdog() {
    let dog = std::thread::Builder::new().spawn(|| {
        std::thread::sleep(WATCH_TIMEOUT);
        std::process::exit(i32::from(crate::terms::reason::exit::BUSY));
    });
    // Without a thread to spare the machine is in worse trouble than a long pass.
    drop(dog);
}

/// [`run`] with a clock and a stop of one's own.
pub fn run_with(site: &Site, flush: bool, means: &Means<'_>) -> WatchReport {
    let ways = Ways::new(site);
    let mut pass = Pass::new(site, means, &ways);
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
    begun: Instant,
}

impl Pass<'_> {
    /// Processes every account's mails.
    fn mails(&mut self, flush: bool) -> Result<(), Stopped> {
        let accounts = match spools::all(self.site) {
            Ok(accounts) => turn::ordered(accounts.collect()),
            Err(error) => {
                self.problem(&error.to_string());
                return Ok(());
            }
        };
        for account in accounts {
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
            let Some(lock) = acquire(spool, flush)? else {
                self.report.busy += 1;
                self.ways.may_wait(spool);
                return Ok(());
            };
            let left = self.round(spool, flush, &mut delivery);
            drop(lock);
            let left = left?;
            if self.is_over(begun) || spool.news()?.iter().all(|id| left.contains(id)) {
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
            let last = batches.peek().is_none();
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

    /// Tries every mail that waits, oldest first, until the mailer has no more of it.
    fn deliver(&mut self, spool: &AccountSpool, delivery: &mut Delivery) -> Result<(), Ended> {
        delivery.down |= self.unreachable >= MAX_UNREACHABLE || self.begun.elapsed() > MAILS_TIME || !self.wants_mail();
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
            let worth_it = !delivery.down && delivery.refused.len() < MAX_REFUSED_MAILS && !delivery.refused.contains_key(&seq);
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
