//! A pull: find the snapshots and what is asked of them, keep them, run the sender, enter what it
//! sent.
//!
//! Nothing of a repository is changed by it but the book of what was sent.

use std::fs;
use std::time::Instant;

use super::{Connection, End};
use crate::act::child::{self, Meter, NotStarted, Standby};
use crate::act::config::{self, zones};
use crate::act::names::accounts;
use crate::act::store::{Repository, mounted};
use crate::act::{clock, process, pulls, sandbox};
use crate::decide::history::pull::{self, Asks, Named, Places};
use crate::decide::history::{History, NotSelected, cell};
use crate::decide::policy::Restore as Rules;
use crate::decide::push::outcome::{self, Ended};
use crate::decide::push::plan::Run;
use crate::decide::rsync::transfer::Transfer;
use crate::decide::sandbox::namespaces::{self, Lack};
use crate::decide::sandbox::spec::{Confinement, Limits};
use crate::terms::limits::{MAX_REPORTED, SENT_ENTRY};
use crate::terms::{Bytes, Code, Excess, Ground, Jail, Outcome, Reason, Resource, RestoreFacts};

/// One pull whose snapshots are known.
struct Pull<'a> {
    connection: &'a Connection<'a>,
    repository: &'a Repository,
    transfer: &'a Transfer,
    history: History<'a>,
    asks: Asks<'a>,
}

impl Connection<'_> {
    pub(super) fn restore(&self, transfer: &Transfer, standby: Option<Standby>) -> Result<End, Reason> {
        let (policy, began) = (self.policy, Instant::now());
        mounted(policy, self.site)?;
        let none = || pull::not_selected(&NotSelected::None);
        let repository = Repository::existing(&policy.path, accounts::running()).ok_or_else(none)?;
        let zone = zones::load(&policy.timezone).map_err(config::unusable)?;
        let snapshots = pulls::candidates(&repository, policy)?;
        let current = pulls::current(&repository, policy);
        let history = History { snapshots: &snapshots, current: current.as_ref(), now: self.request.at, zone: &zone };
        let asks = pull::ask(transfer, &history)?;
        // Before anything else is asked of the disk, so that nothing goes meanwhile.
        let kept = kept(&repository, &asks)?;
        let mut sent = Sent::begin(&repository, policy)?;
        let pull = Pull { connection: self, repository: &repository, transfer, history, asks };
        let ended = pull.run(standby, kept.first(), &mut sent)?;
        drop(kept);
        Ok(self.pulled(&pull, sent, ended, began))
    }

    /// The end of a pull whose sender has run.
    fn pulled(&self, pull: &Pull<'_>, sent: Sent<'_>, ended: Ended, began: Instant) -> End {
        let policy = self.policy;
        let (day_bytes, tells, warnings) = self.sent_today(&sent);
        let (paths, other_paths) = pull::shown(pull.transfer, MAX_REPORTED);
        let facts = RestoreFacts {
            snapshots: pull.named().iter().map(|named| named.snapshot.to_string()).collect(),
            paths,
            other_paths,
            sent_bytes: sent.known,
            day_bytes,
            seconds: began.elapsed().as_secs_f64(),
            rsync_exit: if let Ended::Exit(status) = ended { Some(status) } else { None },
        };
        let reason = pull::failed(ended).map(|reason| match ended {
            Ended::TooMuch(_) => reason.rule(policy.origins.of("restore")),
            Ended::Exit(_) | Ended::Signal(_) | Ended::Deadline | Ended::Idle(_) | Ended::Closed | Ended::Gone => reason,
        });
        let result = if reason.is_none() { Outcome::Answered } else { Outcome::Failed };
        End {
            outcome: result,
            exit: outcome::exit_code(ended),
            reasons: reason.into_iter().collect(),
            warnings,
            alerts: tells,
            restore: Some(facts),
            ..End::answered(String::new())
        }
    }

    /// What the client was sent within a day, whether the administrator has to be told, and what of
    /// it is a warning.
    pub(super) fn sent_today(&self, sent: &Sent<'_>) -> (Option<u64>, bool, Vec<String>) {
        let policy = self.policy;
        let mut warnings: Vec<String> = sent.broken.iter().map(|reason| reason.detail.clone()).collect();
        let told = sent.repository.in_daily_book(|book| {
            let now = clock::now();
            (book.sent(now), book.tells(now, policy.restore.alert_over))
        });
        let (day_bytes, tells) = told.map_or((None, false), |(day, tells)| (Some(day), tells));
        warnings.extend(day_bytes.filter(|_| tells || sent.much).and_then(|day| pull::sent_much(policy, day)));
        (day_bytes, tells || (sent.much && !sent.is_told), warnings)
    }

    /// Enters what was sent since, and has the administrator told at once that it is much.
    pub(super) fn enter(&self, sent: &mut Sent<'_>, written: Option<u64>, at_the_end: bool) -> Option<Excess> {
        let excess = sent.enter(written, at_the_end);
        if sent.much && !sent.is_told {
            let day_bytes = sent.day;
            let warnings = day_bytes.and_then(|day| pull::sent_much(self.policy, day)).into_iter().collect();
            let facts = RestoreFacts { sent_bytes: sent.known, day_bytes, ..RestoreFacts::default() };
            sent.is_told = self.tell(End { warnings, alerts: true, restore: Some(facts), ..End::answered(String::new()) });
        }
        excess
    }
}

impl<'a> Pull<'a> {
    fn named(&self) -> &[Named<'a>] {
        match &self.asks {
            Asks::List(_) => &[],
            Asks::Files(files) => &files.snapshots,
        }
    }

    /// Runs the sender where it is held best. Where the kernel gives no namespaces the site file
    /// decides whether it runs at all.
    fn run(&self, standby: Option<Standby>, kept: Option<&fs::File>, sent: &mut Sent<'_>) -> Result<Ended, Reason> {
        let Self { connection, repository, transfer, .. } = self;
        let version = child::version(&connection.site.rsync, Some(&repository.version_cache()))?;
        let mut confinement = pull::confinement(transfer, &self.asks, connection.site.jail, connection.policy, connection.owners);
        let mut standby = standby.filter(|_| confinement == Confinement::View);
        let mut looked_again = false;
        loop {
            if confinement == Confinement::Jail {
                namespaces::walks_by_itself(version)?;
                connection.jail.set(Jail::WithoutNamespaces);
            }
            let limits = connection.policy.limits;
            let running = if confinement == Confinement::View { process::running().map(|_| 0) } else { process::running() };
            let limits = Limits {
                memory: limits.memory,
                processes: running.map(|running| running.saturating_add(limits.processes)),
                file_size: None,
            };
            let (program, snapshots) = (&connection.site.rsync, repository.snapshots());
            let places = Places { program, version, snapshots, confinement, limits: Some(limits) };
            // What is held by descriptor has to be open before the process is there.
            let (run, _roots) = pulls::plan(transfer, connection.policy, &self.history, &self.asks, &places)?;
            let begun = match standby.take() {
                Some(standby) => standby,
                None => sandbox::stand_by(cell::isolation(confinement), connection.owners.mapping(), Some(connection.inherited))
                    .map_err(NotStarted::reason)?,
            };
            let ended = self.send(begun, &run, kept, sent);
            match ended {
                Ok(ended) => return Ok(ended),
                Err(NotStarted::Unseen(_)) if confinement == Confinement::View && !looked_again => looked_again = true,
                Err(NotStarted::NoView(why)) if confinement == Confinement::View => {
                    confinement = namespaces::without(&Lack::Kept(why), connection.site, connection.owners)?;
                }
                Err(NotStarted::Unseen(why)) if confinement == Confinement::View => {
                    confinement = namespaces::without(&Lack::Unshown(why), connection.site, connection.owners)?;
                }
                Err(other) => return Err(other.reason()),
            }
        }
    }

    /// rsync carries the first snapshot's lock where it could outlive the gate.
    fn send(&self, standby: Standby, run: &Run, kept: Option<&fs::File>, sent: &mut Sent<'_>) -> Result<Ended, NotStarted> {
        let mut spend = |written: Option<u64>, at_the_end: bool| self.connection.enter(sent, written, at_the_end);
        let mut meter = Some(Meter::of_what_is_sent(&mut spend));
        match kept.and_then(|kept| kept.try_clone().ok()) {
            Some(lock) => standby.rsync(run, lock, |_, _| Err("nobody is asked anything".to_owned()), &mut meter),
            None => standby.metered(run, &mut meter),
        }
    }
}

/// The bytes of one pull, as they are entered into its client's book.
pub(super) struct Sent<'a> {
    repository: &'a Repository,
    rules: &'a Rules,
    entered: u64,
    entered_at: Instant,
    pub(super) known: Option<u64>,
    /// What it was within a day, by the last look at the book.
    day: Option<u64>,
    /// Whether that came to be much meanwhile, and the administrator knows.
    much: bool,
    is_told: bool,
    /// Why they could not be entered.
    broken: Option<Reason>,
}

impl Sent<'_> {
    /// Of a client that may still be sent something.
    pub(super) fn begin<'a>(repository: &'a Repository, policy: &'a crate::decide::policy::Policy) -> Result<Sent<'a>, Reason> {
        let rules = &policy.restore;
        let used = repository.in_daily_book(|book| (book.sent(clock::now()), book.excess(clock::now(), rules.bytes)))?;
        if let Some(excess) = used.1 {
            return Err(used_up(excess).rule(policy.origins.of("restore")));
        }
        let (entered_at, much, is_told) = (Instant::now(), false, false);
        Ok(Sent { repository, rules, entered: 0, entered_at, known: None, day: used.0.into(), much, is_told, broken: None })
    }

    /// Enters what was sent since; returns what is past the limit.
    pub(super) fn enter(&mut self, written: Option<u64>, at_the_end: bool) -> Option<Excess> {
        self.known = self.known.max(written);
        let matters = self.rules.bytes.is_some() || self.rules.alert_over.is_some();
        let is_due = at_the_end || matters || self.entered_at.elapsed() >= SENT_ENTRY;
        if self.rules.uncounted || !is_due {
            return None;
        }
        self.entered_at = Instant::now();
        let more = self.known.unwrap_or_default().saturating_sub(self.entered);
        let now = clock::now();
        let entered = self.repository.in_daily_book(|book| {
            if more > 0 {
                book.add(now, more);
            }
            self.day = Some(book.sent(now));
            // What is found at the end stands in the record of that.
            self.much |= !at_the_end && book.tells(now, self.rules.alert_over);
            book.excess(now, self.rules.bytes)
        });
        match (entered, self.rules.bytes) {
            (Ok(_), Some(limit)) if self.known.is_none() && !at_the_end => {
                // What nobody can count has no limit.
                let detail =
                    "the kernel does not say what rsync writes (`/proc/PID/io`), so that `restore: {limits: {bytes: …}}` cannot hold";
                self.broken = Some(Reason::of_the_server(Code::Internal, detail));
                Some(all(limit, limit))
            }
            (Ok(excess), _) => {
                self.entered = self.entered.saturating_add(more);
                excess
            }
            // On a full disk this pull alone still ends at the limit.
            (Err(reason), limit) => {
                self.broken = Some(reason);
                limit.filter(|limit| self.known >= Some(*limit)).map(|limit| all(limit, self.known.unwrap_or_default()))
            }
        }
    }
}

/// That so much was sent where there is this limit.
fn all(limit: u64, found: u64) -> Excess {
    Excess { ground: Ground::Restore, resource: Resource::Bytes, limit, found }
}

/// Keeps the snapshots from being removed.
fn kept(repository: &Repository, asks: &Asks<'_>) -> Result<Vec<fs::File>, Reason> {
    let named = match asks {
        Asks::List(_) => &[][..],
        Asks::Files(files) => &files.snapshots,
    };
    named.iter().map(|named| repository.keep_for_reading(named.snapshot).map_err(|error| pulls::not_held(named.snapshot, &error))).collect()
}

/// A fault of the server's in the words of a pull.
pub(super) fn sends_nothing(reason: Reason) -> Reason {
    if reason.of_server { Reason { says: "the server cannot send anything right now".to_owned(), ..reason } } else { reason }
}

/// The reason where a client was sent all that it may be.
pub(super) fn used_up(excess: Excess) -> Reason {
    let Excess { limit, found, .. } = excess;
    Reason::new(Code::Limit, format!("the server sends you at most {} a day, and that much was sent", Bytes(limit)))
        .hint("come back tomorrow, or ask the administrator of the server")
        .detail(format!("the client was sent {} within 24 hours, and may be sent {}", Bytes(found), Bytes(limit)))
        .remedy("if it is the client's own work, raise `restore: {limits: {bytes: …}}`")
}
