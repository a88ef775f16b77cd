//! A client whose history is worked on: who may, what is there, and what is recorded.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use super::Failure;
use super::reach::{Left, Reach, Said};
use crate::act::child::{detach, pace};
use crate::act::clock;
use crate::act::config::{self, zones};
use crate::act::inspect::running_uid;
use crate::act::names;
use crate::act::prune::{Held, Opened};
use crate::act::record::spool::{self, Spool};
use crate::act::record::{ledger, syslog};
use crate::act::store::{Repository, mounted};
use crate::decide::keep::{Protection, Snapshot};
use crate::decide::policy::{Policy, Site, WhenFull};
use crate::decide::speak::line;
use crate::terms::limits::MAX_REPORTED_TEXT;
use crate::terms::text::{counted, printable, printable_name, printable_path, still_printable_lines};
use crate::terms::word::nearest;
use crate::terms::{Account, Body, ClientName, Deed, Event, Mail, Reason, SnapshotName, Upkeep, View, Zone, exit};

/// A client that this process may work for.
pub(in crate::admin) struct Client<'a> {
    directory: &'a Path,
    pub(in crate::admin) site: &'a Site,
    pub(in crate::admin) policy: Policy,
    pub(in crate::admin) zone: Zone,
    pub(in crate::admin) now: DateTime<Utc>,
    /// Who runs this: an account.
    pub(in crate::admin) by: String,
    reach: Reach,
    left: RefCell<Left>,
}

impl<'a> Client<'a> {
    /// The client of this name.
    pub(in crate::admin) fn find(directory: &'a Path, site: &'a Site, name: &ClientName) -> Result<Self, Failure> {
        let policy = config::load_policy(directory, site, name).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
        let policy = policy.ok_or_else(|| (format!("no policy for `{name}`\n`snapgate list` shows every client"), exit::USAGE))?;
        let account = account(&policy)?;
        if !is_ours(&account) {
            let what = format!("the snapshots of `{name}` are the account `{}`'s\nrun it as that account, or as root", policy.user);
            return Err((what, exit::REFUSED));
        }
        Self::new(directory, site, policy, account)
    }

    /// The client with this policy; `None` if it is another account's.
    pub(in crate::admin) fn of(directory: &'a Path, site: &'a Site, policy: Policy) -> Result<Option<Self>, Failure> {
        let account = account(&policy)?;
        if is_ours(&account) { Self::new(directory, site, policy, account).map(Some) } else { Ok(None) }
    }

    fn new(directory: &'a Path, site: &'a Site, policy: Policy, account: Account) -> Result<Self, Failure> {
        let zone = zones::load(&policy.timezone).map_err(|what| (what, exit::CONFIG))?;
        let reach = Reach::of(site, &policy, &account)?;
        let by = names::running().name;
        Ok(Self { directory, site, policy, zone, now: clock::now(), by, reach, left: RefCell::default() })
    }

    /// Does work in its repository, as its account. Nothing else opens that.
    pub(in crate::admin) fn reaching<T: Said>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let done = self.reach.go(&self.left, work);
        let [mails, announced] = {
            let left = &mut *self.left.borrow_mut();
            [&mut left.mails, &mut left.announced].map(std::mem::take)
        };
        if mails.is_empty() && announced.is_empty() {
            return done;
        }
        let ids: Vec<_> = announced.iter().map(|event| event.id.clone()).collect();
        let [events, written] =
            [mails, announced].map(|events| events.into_iter().map(|Event { body, mail, .. }| self.event(body, mail)).collect::<Vec<_>>());
        // The mail first: what is in the ledger is not told again.
        events.iter().chain(&written).for_each(|event| self.mail(event));
        let written = self.reach.go(&self.left, || {
            let opened = self.existing()?;
            events.iter().for_each(|event| self.write(&opened, event));
            // Another may have announced something since. While a push runs it stays, and is mailed
            // twice.
            if !ids.is_empty()
                && let Ok(held) = opened.hold()
                && held.announced().is_some_and(|event| ids.contains(&event.id))
            {
                held.told();
            }
            Ok(())
        });
        self.left.borrow_mut().lost.extend(written.err().map(|(what, _)| what));
        done
    }

    /// Does work there that starts programs, which may then have no more power than the account.
    /// Nothing may be recorded in it.
    pub(in crate::admin) fn reaching_apart<T: Said>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        self.reach.go_apart(&self.left, work)
    }

    /// Makes this process one of its account's.
    ///
    /// # Errors
    /// When the kernel does not do that.
    pub(in crate::admin) fn become_account(&self) -> Result<(), String> {
        self.reach.become_account()
    }

    /// What is wrong where there is no repository although there was one.
    pub(in crate::admin) fn gone(&self) -> Option<Failure> {
        let account = account(&self.policy).ok()?;
        let was_here = spool::was_published(&self.site.spool, account.uid, self.name());
        let path = printable_path(&self.policy.path);
        was_here.then(|| (format!("the repository `{path}` is missing\nsee whether its disk is mounted and who removed it"), exit::CONFIG))
    }

    /// What could not be recorded so far.
    pub(in crate::admin) fn lost(&self) -> Vec<String> {
        std::mem::take(&mut self.left.borrow_mut().lost)
    }

    pub(in crate::admin) fn name(&self) -> &ClientName {
        &self.policy.client
    }

    /// For how long a removed snapshot can be brought back.
    pub(super) fn grace(&self) -> TimeDelta {
        TimeDelta::hours(i64::from(self.policy.trash_grace.hours()))
    }

    /// Opens its repository; `None` where there is none yet.
    pub(in crate::admin) fn open(&self) -> Result<Option<Opened>, Failure> {
        mounted(&self.policy, self.site).map_err(failure)?;
        // In a namespace the account has another number.
        Opened::open(&self.policy.path, running_uid()).map_err(failure)
    }

    /// The same where there has to be one.
    pub(in crate::admin) fn existing(&self) -> Result<Opened, Failure> {
        self.open()?.ok_or_else(|| (format!("`{}` has no snapshot yet\nlet it push first", self.name()), exit::USAGE))
    }

    /// All that rules know of its snapshots. None of it is the client's word: names are the gate's,
    /// and so is the ledger.
    pub(in crate::admin) fn snapshots(&self, opened: &Opened) -> Result<Vec<Snapshot>, Failure> {
        let names = opened.names(&self.policy.names).map_err(failure)?;
        let current = opened.current();
        let protections: BTreeMap<_, _> = opened.protections().map_err(failure)?.into_iter().collect();
        let there: BTreeSet<&str> = names.iter().map(SnapshotName::as_str).collect();
        let partial = opened.partial(|name| there.contains(name)).map_err(failure)?;
        let all = names.into_iter().map(|name| {
            Ok(Snapshot {
                complete: !partial.get(name.as_str()).copied().unwrap_or(false),
                protected: protections.get(name.as_str()).map_or(Protection::None, |note| note.protection()),
                held: opened.is_held(name.as_str()).map_err(failure)?,
                current: current.as_deref() == Some(name.as_str()),
                ..Snapshot::complete(name.clone(), name.at)
            })
        });
        all.collect()
    }

    /// The snapshot of that name.
    pub(in crate::admin) fn named(&self, opened: &Opened, wanted: &str) -> Result<SnapshotName, Failure> {
        let names = opened.names(&self.policy.names).map_err(failure)?;
        names.into_iter().find(|name| name.as_str() == wanted).ok_or_else(|| self.unknown(opened, wanted))
    }

    /// An error that there is no such snapshot.
    pub(in crate::admin) fn unknown(&self, opened: &Opened, wanted: &str) -> Failure {
        let (client, shown) = (self.name(), printable(wanted.as_bytes()));
        let no_such = |help: String| (format!("`{client}` has no snapshot `{shown}`\n{help}"), exit::USAGE);
        if opened.trash().is_ok_and(|trash| trash.iter().any(|trashed| trashed.name == wanted)) {
            return no_such(format!("it is in the trash: `snapgate undelete --client {client} {shown}` brings it back"));
        }
        let names = opened.names(&self.policy.names).unwrap_or_default();
        let names = || names.iter().map(SnapshotName::as_str);
        let begun = names().rev().find(|name| !wanted.is_empty() && name.starts_with(wanted));
        match begun.or_else(|| nearest(wanted, names())) {
            Some(near) => no_such(format!("did you mean `{near}`?")),
            None => no_such(format!("`snapgate list {client}` shows those that there are")),
        }
    }

    /// What stands beside its snapshots and is none, as a problem.
    pub(in crate::admin) fn strange(&self) -> Option<String> {
        let stock = Repository::at(&self.policy.path).stock(&self.policy.names);
        let more = stock.strangers.checked_sub(stock.strange.len() as u64).filter(|more| *more > 0);
        let named: Vec<_> = stock.strange.iter().map(|name| format!("`{name}`")).collect();
        let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
        let help = "move it away, or write snapshots: { name: … } with the pattern that it has";
        (stock.strangers > 0).then(|| format!("no snapshot of the client's, and so it stays: {}{more}; {help}", named.join(", ")))
    }

    /// An event of now.
    pub(in crate::admin) fn event(&self, body: Body, mail: Mail) -> Event {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{}-{number}", self.now.format("%Y%m%dT%H%M%S%6fZ"), std::process::id());
        let account = printable_name(self.by.as_bytes());
        Event { id, at: self.now, account, client: Some(self.name().clone()), mail, body }
    }

    /// Takes the repository, and records what somebody has done to it who was killed before.
    pub(in crate::admin) fn hold<'o>(&self, opened: &'o Opened) -> Result<Held<'o>, Failure> {
        let held = opened.hold().map_err(failure)?;
        held.tidy();
        if let Some(event) = held.announced() {
            let is_told = opened.ledger().is_ok_and(|path| ledger::has(&path, &event.id));
            let is_short = self.is_short(&event.body);
            let body = if is_told && !is_short { None } else { self.came_of(opened, event.body.clone(), event.at)? };
            // The account may have written it: it asks for no mail, and is about this client.
            let came = body.map(|body| Event { body, mail: Mail::None, client: Some(self.name().clone()), ..event });
            match came {
                Some(event) if is_short => self.record_announced(opened, &Event { mail: Mail::Alert, ..event }, is_told),
                Some(event) => {
                    self.record(opened, &event);
                    held.told();
                }
                None => held.told(),
            }
        }
        Ok(held)
    }

    /// Whether an announcement is of what goes where there is no room. That is mailed, in words of
    /// this program's alone: the policy has to say so, and the snapshots have to be gone.
    fn is_short(&self, body: &Body) -> bool {
        let says_so = matches!(body, Body::Upkeep(Deed::Prune, upkeep) if upkeep.why.starts_with(SHORTENED));
        says_so && self.policy.when_full == WhenFull::Shorten
    }

    /// What came of an announcement; `None`: nothing.
    fn came_of(&self, opened: &Opened, body: Body, announced: DateTime<Utc>) -> Result<Option<Body>, Failure> {
        let Body::Upkeep(deed, upkeep) = &body else { return Ok(None) };
        let names = match deed {
            Deed::Prune | Deed::Delete | Deed::Discard => {
                let all = opened.trash().map_err(failure)?;
                // The reaper may have had the rest already. Whoever comes next tells of it first, so
                // nobody else has removed one that is not there.
                let there: BTreeSet<_> =
                    opened.names(&self.policy.names).map_err(failure)?.into_iter().map(|name| name.to_string()).collect();
                let there = |name: &String| there.contains(name) || all.iter().any(|trashed| trashed.name == *name);
                let is_name = |name: &&String| self.policy.names.read(name).is_some();
                let reaped: Vec<_> = upkeep.snapshots.iter().filter(is_name).filter(|name| !there(name)).cloned().collect();
                // Whatever one command removes goes in one second, or in the next, where one of the
                // name went in that.
                let trash = all.into_iter().filter(|trashed| (0..=1).contains(&(trashed.at.timestamp() - announced.timestamp())));
                // Another may have removed others in that second.
                let trash = trash.filter(|trashed| upkeep.others > 0 || upkeep.snapshots.contains(&trashed.name));
                trash.map(|trashed| printable(trashed.name.as_bytes())).chain(reaped).collect()
            }
            Deed::Undelete => {
                let all = opened.names(&self.policy.names).map_err(failure)?.into_iter().map(|name| name.to_string());
                all.filter(|name| upkeep.snapshots.contains(name)).collect()
            }
            Deed::Release => {
                let released = |name: &String| opened.is_held(name).is_ok_and(|held| !held);
                upkeep.snapshots.iter().filter(|name| released(name)).cloned().collect()
            }
            Deed::Protect => {
                let notes = opened.protections().map_err(failure)?;
                let ends = upkeep.happened.ends_with(UNPROTECTED);
                let is_so = |name: &String| match notes.iter().find(|(noted, _)| noted == name) {
                    Some((_, note)) => !ends && note.at == announced,
                    None => ends,
                };
                upkeep.snapshots.iter().filter(|name| is_so(name)).cloned().collect()
            }
            Deed::Maintain | Deed::LocalRestore | Deed::Drill | Deed::Check => Vec::new(),
        };
        let (happened, why) = if self.is_short(&body) {
            (format!("{} removed", counted(names.len(), "snapshot", "snapshots")), SHORTENED)
        } else {
            (upkeep.happened.clone(), upkeep.why.as_str())
        };
        let happened = format!("{happened}: the command was killed");
        let upkeep = Upkeep { why: why.to_owned(), ..Upkeep::of(happened, names.iter().map(String::as_str)) };
        Ok((!names.is_empty()).then(|| body.with(upkeep)))
    }

    /// Whether the ledger says the same of problems, within that time. A timer would have it mailed
    /// every hour.
    pub(in crate::admin) fn was_told(&self, opened: &Opened, problems: &[String], within: TimeDelta) -> bool {
        let problems = Upkeep::first_of(problems, "");
        let problems: Vec<_> = problems.iter().map(|problem| still_printable_lines(problem, MAX_REPORTED_TEXT)).collect();
        let says_so = |event: &Event| match event.view() {
            View::Upkeep(upkeep) => problems.iter().all(|problem| upkeep.problems.contains(problem)),
            View::Visit(_) | View::Unknown(_) => false,
        };
        opened.ledgers().any(|event| self.now - event.at < within && says_so(event))
    }

    /// Records what was done. Nothing that goes wrong here changes that; [`Client::lost`] has it.
    pub(in crate::admin) fn record(&self, opened: &Opened, event: &Event) {
        if event.mail == Mail::None {
            self.write(opened, event);
        } else {
            // Root's events wait in root's spool: the account's belongs to it.
            self.left.borrow_mut().mails.push(event.clone());
        }
    }

    /// The same for what was announced, and cannot be done again: it stays announced until its mail
    /// has left, so that a kill loses nothing.
    pub(super) fn record_announced(&self, opened: &Opened, event: &Event, is_written: bool) {
        if !is_written {
            self.write(opened, event);
        }
        self.left.borrow_mut().announced.push(event.clone());
    }

    fn write(&self, opened: &Opened, event: &Event) {
        if let Err(error) = opened.ledger().and_then(|path| ledger::append(&path, event)) {
            self.left.borrow_mut().lost.push(format!("the ledger could not be written: {error}"));
        }
        if let Some(socket) = &self.site.syslog {
            let _ = syslog::send(socket, &line::record_line(event));
        }
    }

    /// Has an event mailed, by whoever runs this.
    fn mail(&self, event: &Event) {
        pace::step_forward();
        let spooled = Spool::open(&self.site.spool, running_uid()).and_then(|spool| spool.add(event));
        let lost = &mut self.left.borrow_mut().lost;
        lost.extend(spooled.err().map(|error| format!("the mail could not be spooled: {error}")));
        lost.extend(detach::watch(self.directory).err());
    }
}

/// How the event of `snapgate unprotect` ends.
pub(in crate::admin) const UNPROTECTED: &str = "no longer protected";

/// How the reason begins why a snapshot goes where there is no room.
pub(super) const SHORTENED: &str = "`when_full: shorten`";

/// An event about snapshots, with why.
pub(in crate::admin) fn upkeep<'a>(happened: String, snapshots: impl IntoIterator<Item = &'a str>, why: &str) -> Box<Upkeep> {
    Box::new(Upkeep { why: why.to_owned(), ..Upkeep::of(happened, snapshots) })
}

fn account(policy: &Policy) -> Result<Account, Failure> {
    let unknown = || (format!("there is no account `{}`, which the policy names\nmake it, or set `user:`", policy.user), exit::CONFIG);
    names::named(&policy.user).ok_or_else(unknown)
}

fn is_ours(account: &Account) -> bool {
    [0, account.uid].contains(&running_uid())
}

/// A reason as an error for the administrator.
pub(in crate::admin) fn failure(reason: Reason) -> Failure {
    let remedy = reason.remedy.or(reason.hint).map(|remedy| format!("\n{remedy}")).unwrap_or_default();
    (format!("{}{remedy}", reason.detail), reason.code.exit())
}
