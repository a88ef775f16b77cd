//! A client whose history is worked on: who may, what is there, and what is recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::Failure;
use crate::act::child::detach;
use crate::act::clock;
use crate::act::config::{self, zones};
use crate::act::inspect::running_uid;
use crate::act::names;
use crate::act::prune::{Held, Opened};
use crate::act::record::spool::{self, Spool};
use crate::act::record::{ledger, syslog};
use crate::act::store::mounted;
use crate::decide::keep::{Protection, Snapshot};
use crate::decide::policy::{Policy, Site};
use crate::decide::speak::line;
use crate::terms::text::{printable, printable_name, printable_path};
use crate::terms::{Account, Body, ClientName, Event, Mail, Reason, SnapshotName, Upkeep, Zone, exit};

/// A client that this process may work for.
#[derive(Debug)]
pub(in crate::admin) struct Client<'a> {
    directory: &'a Path,
    pub(in crate::admin) site: &'a Site,
    pub(in crate::admin) policy: Policy,
    pub(in crate::admin) zone: Zone,
    pub(in crate::admin) now: DateTime<Utc>,
    account: Account,
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
        Ok(Self { directory, site, policy, zone, now: clock::now(), account })
    }

    pub(in crate::admin) fn name(&self) -> &ClientName {
        &self.policy.client
    }

    /// Opens its repository; `None` where there is none yet.
    pub(in crate::admin) fn open(&self) -> Result<Option<Opened>, Failure> {
        mounted(&self.policy, self.site).map_err(failure)?;
        Opened::open(&self.policy.path, self.account.uid).map_err(failure)
    }

    /// What is wrong where there is no repository although there was one.
    pub(in crate::admin) fn lost(&self) -> Option<Failure> {
        let was_here = spool::was_published(&self.site.spool, self.account.uid, self.name());
        let path = printable_path(&self.policy.path);
        was_here.then(|| (format!("the repository `{path}` is missing\nsee whether its disk is mounted and who removed it"), exit::BUSY))
    }

    /// [`Self::open`] where there has to be one.
    pub(in crate::admin) fn existing(&self) -> Result<Opened, Failure> {
        self.open()?.ok_or_else(|| (format!("`{}` has no snapshot yet\nlet it push first", self.name()), exit::USAGE))
    }

    /// All that rules know of its snapshots. None of it is the client's word: names are the gate's,
    /// and so is the ledger.
    pub(in crate::admin) fn snapshots(&self, opened: &Opened) -> Result<Vec<Snapshot>, Failure> {
        let names = opened.names(&self.policy.names).map_err(failure)?;
        let current = opened.current();
        let protections: BTreeMap<_, _> = opened.protections().map_err(failure)?.into_iter().collect();
        let events = opened.ledgers().events(|event| event.push().is_some_and(|push| push.snapshot.is_some()));
        let pushes = events.iter().filter_map(Event::push);
        // A name may have been given again: what was recorded last is about the one that is there.
        let partial: BTreeMap<_, _> = pushes.filter_map(|push| Some((push.snapshot.as_deref()?, push.partial))).collect();
        let all = names.into_iter().map(|name| Snapshot {
            complete: !partial.get(name.as_str()).copied().unwrap_or(false),
            protected: protections.get(name.as_str()).map_or(Protection::None, |note| note.protection()),
            current: current.as_deref() == Some(name.as_str()),
            ..Snapshot::complete(name.clone(), name.at)
        });
        Ok(all.collect())
    }

    /// The snapshot of that name.
    pub(in crate::admin) fn named(&self, opened: &Opened, wanted: &str) -> Result<SnapshotName, Failure> {
        let names = opened.names(&self.policy.names).map_err(failure)?;
        names.into_iter().find(|name| name.as_str() == wanted).ok_or_else(|| self.unknown(wanted))
    }

    pub(in crate::admin) fn unknown(&self, wanted: &str) -> Failure {
        let (client, wanted) = (self.name(), printable(wanted.as_bytes()));
        (format!("`{client}` has no snapshot `{wanted}`\n`snapgate list {client}` shows those that there are"), exit::USAGE)
    }

    /// An event of now.
    pub(in crate::admin) fn event(&self, body: Body, mail: Mail) -> Event {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{}-{number}", self.now.format("%Y%m%dT%H%M%S%6fZ"), std::process::id());
        let account = printable_name(whoami().as_bytes());
        Event { id, at: self.now, account, client: Some(self.name().clone()), mail, body }
    }

    /// Takes the repository, and records what somebody has done to it who was killed before.
    pub(in crate::admin) fn hold<'o>(&self, opened: &'o Opened) -> Result<Held<'o>, Failure> {
        let held = opened.hold().map_err(failure)?;
        if let Some(event) = held.announced() {
            let is_told = opened.ledger().is_ok_and(|path| ledger::has(&path, &event.id));
            if let Some(body) = Some(event.body.clone()).filter(|_| !is_told)
                && let Some(body) = self.came_of(opened, body, event.at)?
            {
                self.record(opened, &Event { body, ..event });
            }
            held.told();
        }
        Ok(held)
    }

    /// What came of an announcement; `None`: nothing.
    fn came_of(&self, opened: &Opened, body: Body, announced: DateTime<Utc>) -> Result<Option<Body>, Failure> {
        let (Body::Prune(upkeep) | Body::Delete(upkeep) | Body::Undelete(upkeep) | Body::Protect(upkeep)) = &body else { return Ok(None) };
        let names = match &body {
            Body::Prune(_) | Body::Delete(_) => {
                // Whatever one command removes goes in one second.
                let trash = opened.trash().map_err(failure)?.into_iter();
                let trash = trash.filter(|trashed| trashed.at.timestamp() == announced.timestamp());
                trash.map(|trashed| printable(trashed.name.as_bytes())).collect()
            }
            Body::Undelete(_) => {
                let all = opened.names(&self.policy.names).map_err(failure)?.into_iter().map(|name| name.to_string());
                all.filter(|name| upkeep.snapshots.contains(name)).collect()
            }
            Body::Protect(_) | Body::Maintain(_) | Body::Connection(_) | Body::Push(_) | Body::Unknown(_) => upkeep.snapshots.clone(),
        };
        let happened = format!("{}: the command was killed", upkeep.happened);
        let upkeep = Upkeep { why: upkeep.why.clone(), ..Upkeep::of(happened, names.iter().map(String::as_str)) };
        Ok((!names.is_empty()).then(|| body.with(upkeep)))
    }

    /// Records what was done. Nothing that goes wrong here changes that; it is returned.
    pub(in crate::admin) fn record(&self, opened: &Opened, event: &Event) -> Vec<String> {
        let mail = event.mail;
        let mut lost = Vec::new();
        if mail != Mail::None {
            // Root's events wait in root's spool: the account's belongs to it.
            let spooled = Spool::open(&self.site.spool, running_uid()).and_then(|spool| spool.add(event));
            lost.extend(spooled.err().map(|error| format!("the mail could not be spooled: {error}")));
            lost.extend(detach::watch(self.directory).err());
        }
        let written = opened.ledger().and_then(|path| ledger::append(&path, event));
        lost.extend(written.err().map(|error| format!("the ledger could not be written: {error}")));
        if let Some(socket) = &self.site.syslog {
            let _ = syslog::send(socket, &line::record_line(event));
        }
        lost
    }
}

/// Who runs this.
pub(in crate::admin) fn whoami() -> String {
    names::running().name
}

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
