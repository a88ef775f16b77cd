//! `snapgate watch`: tells the administrator what the gates left in the spool.
//!
//! For each account: deliver what waits, count what is new, write the mails that are due, deliver
//! them. A crash between two steps loses no event and counts none twice, because only the file of
//! counts is true: a mail with a number that it has not given out never happened, and an event that
//! it has counted is deleted, not counted again. At worst a mail is sent twice, with the same
//! Message-ID.
//!
//! It never touches a repository, and a session never waits for it.

mod adopt;
mod route;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::act::clock;
use crate::act::mail::{self, NotSent};
use crate::act::names;
use crate::act::record::spool::{self, AccountSpool, Lock, SpoolError};
use crate::decide::policy::{Site, Transport};
use crate::decide::speak::alerts::{self, Alerts, State};
use crate::decide::speak::message;
use crate::decide::speak::states::Notices;
use crate::terms::limits::{
    FLUSH_PATIENCE, MAIL_LIFETIME, MAX_BATCH, MAX_PROBLEMS, MAX_REFUSED_MAILS, MAX_REPORTED_TEXT, MAX_ROUNDS, MAX_UNREACHABLE, MAX_WAITING,
    WATCH_TIMEOUT,
};
use crate::terms::text::counted;
use crate::terms::{Audience, ComposedMail, Event, Mail};

pub(crate) use adopt::{adopt, forget};

/// What a pass did, for whoever asked for it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[must_use]
pub struct WatchReport {
    /// Events counted.
    pub counted: u64,
    /// Mails handed to the mailer.
    pub sent: u64,
    /// Mails that still wait for it.
    pub waiting: u64,
    /// Accounts that another pass was working on.
    pub busy: u64,
    /// What did not go well, each a line or two for the administrator, printable.
    pub problems: Vec<String>,
}

impl fmt::Display for WatchReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, mails) = (counted(self.counted, "event", "events"), counted(self.sent, "mail", "mails"));
        write!(out, "{events} counted, {mails} sent, {} waiting", self.waiting)?;
        if self.busy > 0 {
            write!(out, ", {} left to another watch", counted(self.busy, "account", "accounts"))?;
        }
        Ok(())
    }
}

/// What a pass takes from outside, so that tests can set the clock and stop it between any two
/// steps.
pub struct Means<'a> {
    /// The clock.
    pub now: &'a dyn Fn() -> DateTime<Utc>,
    /// Asked before every step that changes something; `false` ends the pass, like a power cut.
    pub go_on: &'a dyn Fn() -> bool,
}

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
    run_with(site, flush, &Means { now: &clock::now, go_on: &|| true })
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
    let mut pass = Pass { site, means, report: WatchReport::default(), unreachable: 0 };
    match spool::accounts(&site.spool) {
        Err(error) => pass.problem(&error.to_string()),
        Ok(accounts) => {
            for account in accounts {
                let result = account.map_err(Ended::Spool).and_then(|spool| pass.account(&spool, flush));
                match result {
                    Ok(()) => {}
                    Err(Ended::Stopped) => break,
                    Err(Ended::Spool(error)) => pass.problem(&error.to_string()),
                }
            }
        }
    }
    pass.report
}

struct Pass<'a> {
    site: &'a Site,
    means: &'a Means<'a>,
    report: WatchReport,
    /// Accounts for which the mailer could not be reached. It is the same mailer for all.
    unreachable: usize,
}

/// What became of the mails that waited.
#[derive(Default)]
struct Delivery {
    /// The mailer takes nothing more in this pass.
    down: bool,
    /// Mails that wait, and how many of them are alerts.
    waiting: usize,
    alerts: usize,
    /// Mails that were refused in this pass; each is tried once.
    refused: BTreeSet<u64>,
}

impl Delivery {
    /// Alerts are held back while earlier ones wait for a mailer that is down or refuses one after
    /// another.
    fn alerts_may(&self, flush: bool) -> Alerts {
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
    /// Processes one account, and again if an event came while the lock was held: its gate found
    /// the lock taken and left it to us.
    fn account(&mut self, spool: &AccountSpool, flush: bool) -> Result<(), Ended> {
        let mut delivery = Delivery::default();
        for _ in 0..MAX_ROUNDS {
            let Some(lock) = acquire(spool, flush)? else {
                self.report.busy += 1;
                return Ok(());
            };
            let left = self.round(spool, flush, &mut delivery);
            drop(lock);
            let left = left?;
            if spool.news()?.iter().all(|id| left.contains(id)) {
                break;
            }
        }
        self.report.waiting += delivery.waiting as u64;
        Ok(())
    }

    /// One round under the lock. Comes back with the events that it left where they are.
    fn round(&mut self, spool: &AccountSpool, flush: bool, delivery: &mut Delivery) -> Result<BTreeSet<String>, Ended> {
        let mut left = BTreeSet::new();
        spool.sweep(clock::kernel().timestamp());
        if self.site.mail.transport == Transport::Off {
            // Nobody wants mail; the ledger has every record.
            let news = spool.news()?;
            self.step()?;
            spool.forget(&news)?;
            return Ok(left);
        }
        let mut state = self.state(spool)?;
        self.clean_up(spool, &state)?;
        self.deliver(spool, delivery)?;
        state = self.take_notices(spool, state, delivery)?;
        let news = spool.news()?;
        let mut batches = news.chunks(MAX_BATCH).peekable();
        loop {
            let batch = batches.next().unwrap_or_default();
            // Alerts are written with the last batch, so that what came together is told together.
            let last = batches.peek().is_none();
            let alerts = if last { delivery.alerts_may(flush) } else { Alerts::Hold };
            let read = self.read(spool, batch, delivery.waiting, &mut left);
            state = self.absorb(spool, state, read, alerts, delivery)?;
            if last {
                break;
            }
        }
        self.deliver(spool, delivery)?;
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

    /// Makes mails of the notices about states, in the same safe order: mails, then counts. The
    /// notices stay where they are, since the counts say which of them are mails.
    fn take_notices(&mut self, spool: &AccountSpool, state: State, delivery: &mut Delivery) -> Result<State, Ended> {
        let notices = match spool.states()?.map(|bytes| serde_json::from_slice::<Notices>(&bytes)).transpose() {
            Ok(notices) => notices.unwrap_or_default(),
            Err(error) => {
                self.problem(&format!("the states of account {} cannot be read: {error}", spool.uid()));
                return Ok(state);
            }
        };
        let mut next = state.clone();
        for notice in notices.from(state.told).take(MAX_WAITING.saturating_sub(delivery.waiting)) {
            self.step()?;
            spool.post(&notice.mail(next.next, spool.uid()))?;
            next.next = next.next.saturating_add(1);
            next.told = notice.number().saturating_add(1);
            delivery.waiting += 1;
        }
        if next != state {
            self.save(spool, &next)?;
        }
        Ok(next)
    }

    /// The events of a batch. What cannot be read stays, and so do reports while too many mails
    /// wait.
    fn read(&mut self, spool: &AccountSpool, batch: &[String], waiting: usize, left: &mut BTreeSet<String>) -> Vec<(String, Event)> {
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
                    read.push((id.clone(), event));
                }
                Ok(None) => {}
                Err(error) => {
                    self.problem(&format!("an event is left where it is: {error}"));
                    left.insert(id.clone());
                }
            }
        }
        read
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
        delivery.down |= self.unreachable >= MAX_UNREACHABLE;
        (delivery.waiting, delivery.alerts) = (0, 0);
        for seq in spool.waiting()? {
            let mail = match spool.mail(seq) {
                Ok(Some(mail)) => mail,
                Ok(None) => continue,
                Err(error) => {
                    self.problem(&format!("a mail is left where it is: {error}"));
                    continue;
                }
            };
            let worth_it = !delivery.down && delivery.refused.len() < MAX_REFUSED_MAILS && !delivery.refused.contains(&seq);
            if worth_it && self.try_one(spool, &mail, delivery)? {
                continue;
            }
            delivery.waiting += 1;
            delivery.alerts += usize::from(mail.audience == Audience::Alerts);
        }
        Ok(())
    }

    /// Tries one mail, and says whether it is out of the way now.
    fn try_one(&mut self, spool: &AccountSpool, mail: &ComposedMail, delivery: &mut Delivery) -> Result<bool, Ended> {
        self.step()?;
        match mail::send(&route::settings(self.site, mail), mail, &|host, limit| {
            names::addresses(&[host], limit).into_iter().flat_map(|(_, found)| found).collect()
        }) {
            Ok(sent) => {
                self.report.sent += 1;
                for recipient in sent.left_out {
                    self.problem(&format!("mail {} of account {} did not reach everybody: {recipient}", mail.seq, spool.uid()));
                }
                self.step()?;
                spool.take_away(mail.seq)?;
                return Ok(true);
            }
            Err(NotSent::Refused(why)) => {
                delivery.refused.insert(mail.seq);
                let age = ((self.means.now)() - spool.waits_since(mail)).to_std().unwrap_or_default();
                self.problem(&format!("mail {} of account {} was refused: {why}", mail.seq, spool.uid()));
                if age > MAIL_LIFETIME {
                    self.step()?;
                    spool.bury(mail.seq, &format!("refused for {} days, the last time with: {why}\n", age.as_secs() / 86400))?;
                    return Ok(true);
                }
            }
            Err(error) => {
                delivery.down = true;
                self.unreachable += usize::from(matches!(error, NotSent::Unreachable(_)));
                self.problem(&format!("mail of account {} waits: {error}", spool.uid()));
            }
        }
        Ok(false)
    }

    fn step(&self) -> Result<(), Ended> {
        if (self.means.go_on)() { Ok(()) } else { Err(Ended::Stopped) }
    }

    /// Keeps a problem for the report, up to a limit: a hostile account could make any number.
    fn problem(&mut self, words: &str) {
        if self.report.problems.len() < MAX_PROBLEMS {
            let lines: Vec<_> = words.lines().map(|line| crate::terms::text::still_printable(line, MAX_REPORTED_TEXT)).collect();
            self.report.problems.push(lines.join("\n"));
        }
    }
}

/// The account's lock. With `flush` it waits: another pass sees new events, but not the wish to
/// flush.
fn acquire(spool: &AccountSpool, flush: bool) -> Result<Option<Lock>, SpoolError> {
    let begun = Instant::now();
    loop {
        let lock = spool.lock()?;
        if lock.is_some() || !flush || begun.elapsed() > FLUSH_PATIENCE {
            return Ok(lock);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
