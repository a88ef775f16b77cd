//! One connection, from sshd to the last line of the log. Reads top to bottom as what happens.
//!
//! Nothing here writes to standard output: it belongs to rsync's protocol. What the client is told comes back as an
//! [`Answer`], after everything that has to be remembered is on the disk.

mod measure;
mod push;
mod settle;
mod tell;
mod transaction;

use std::cell::Cell;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::tell::Connection;
use crate::act::child::{self, NamespaceBegun, Standby};
use crate::act::process::Inherited;
use crate::act::spool::{self, Full, Slots};
use crate::act::store::{Repository, mounted, remembered};
use crate::act::{accounts, config, intake, process, secluded, subids, zones};
use crate::decide::cell::{Confinement, Ground};
use crate::decide::command::{self, Command};
use crate::decide::policy::{Policy, Site};
use crate::decide::verdict::{self, Case, Denial, Permit, Verdict};
use crate::decide::{address, answer, owners};
use crate::terms::limits::{MAX_END, RESOLVE_TIMEOUT};
use crate::terms::{Account, ClientName, Code, Jail, Outcome, Owners, PushFacts, Reason, Request, Shelf};
use crate::{enclose, names};

/// What the client is told, in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The exit code.
    pub exit: u8,
    /// For standard output; only ever for a verb that is not rsync.
    pub text: String,
    /// For standard error, a line each.
    pub lines: Vec<String>,
}

/// What a process tells of a client's work that it has done.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    end: End,
    #[serde(default, skip_serializing_if = "Jail::is_whole")]
    jail: Jail,
}

/// How a connection ended, for the record and for the client.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    outcome: Outcome,
    exit: u8,
    reasons: Vec<Reason>,
    warnings: Vec<String>,
    push: Option<PushFacts>,
    text: String,
    /// Whether the process that did the work was lost before it had told its end, so that nobody knows what it has done.
    #[serde(skip)]
    unheard: bool,
    /// What came on standard input because of `-s`, printable; empty where nothing was read.
    heard: String,
}

impl End {
    fn answered(text: String) -> Self {
        Self {
            outcome: Outcome::Answered,
            exit: 0,
            reasons: Vec::new(),
            warnings: Vec::new(),
            push: None,
            text,
            unheard: false,
            heard: String::new(),
        }
    }

    fn refused(denial: Denial) -> Self {
        let exit = denial.first().code.exit();
        Self { outcome: Outcome::Refused, exit, reasons: denial.into_reasons(), ..Self::answered(String::new()) }
    }

    fn of(result: Result<Self, Reason>) -> Self {
        result.unwrap_or_else(Self::stopped)
    }

    /// With what was read from standard input.
    fn having_heard(self, heard: String) -> Self {
        Self { heard, ..self }
    }

    /// With what was found on the way, first. It stands in the record however the connection ended.
    fn noting(mut self, notes: Vec<String>) -> Self {
        self.warnings.splice(..0, notes);
        self
    }

    fn stopped(reason: Reason) -> Self {
        let outcome = match reason.code {
            Code::Busy => Outcome::Busy,
            Code::Unpublished => Outcome::Unpublished,
            // Asked for out of turn; the disk is as it was.
            Code::Transaction => Outcome::Refused,
            _ => Outcome::Failed,
        };
        Self { outcome, exit: reason.code.exit(), reasons: vec![reason], ..Self::answered(String::new()) }
    }
}

/// A connection that may go on: who it is and by which rules.
struct Session<'a> {
    site: &'a Site,
    policy: &'a Policy,
    request: &'a Request,
    id: &'a str,
    /// What holds rsync, as far as it is known by now.
    jail: &'a Cell<Jail>,
    /// Whose the client's files are here.
    owners: &'a Owners,
    /// What whatever is not the gate may use: as much as the gate itself could when sshd started it.
    inherited: Inherited,
}

/// Where what was allowed is done.
enum Place {
    /// In this process. One may wait that becomes rsync.
    Here(Option<Standby>),
    /// In one of its own, in the user namespace that is being made for the client's ids.
    Mapped(NamespaceBegun),
    /// Nowhere.
    Nowhere(Reason),
}

/// What holds an rsync, unless the policy, the site file, the command or the kernel has it otherwise.
const USUAL: Confinement = Confinement::View;

/// Serves the connection that sshd started this process for. `named` is the client of a `command="…"` line.
#[must_use]
pub fn serve(directory: &Path, named: Option<ClientName>) -> Answer {
    process::close_inherited();
    process::mask();
    process::no_core();
    let said = intake::said();
    // Ahead of everything that it does not have to know: the other processor closes it in meanwhile. It has heard nothing of the
    // client's, and ends with this connection if nothing comes of the push.
    let standby = if command::begins_as_push(&said) { enclose::stand_by(Ground::new(USUAL, None), None, None).ok() } else { None };
    // The gate's own, which rsync does not get.
    let inherited = process::limit();
    let command = command::parse(&said);
    let standby = standby.filter(|_| matches!(command, Ok(Command::Push(_))));
    let request = intake::request(names::running(), named, said);
    let id = tell::record_id(&request);
    let verb = command.as_ref().ok().map(Command::verb);

    let site = match config::load_site(directory) {
        Ok(site) => site,
        Err(fault) => {
            let end = End::refused(Denial::unidentified(fault.into(), command));
            return tell::without_site(directory, Connection { request: &request, id: &id, verb, jail: Jail::Whole }, end);
        }
    };
    let jail = Cell::new(if site.jail { Jail::Whole } else { Jail::Off });
    let (policy, _slots, end) = match config::identify(directory, &site, &request) {
        Err(reason) => (None, None, End::refused(Denial::unidentified(reason, command))),
        Ok(policy) => match slots(&site, &policy, &request) {
            Err(reason) => (Some(policy), None, End::stopped(reason)),
            Ok((slots, notes)) => {
                let (owners, place) = place(&site, &policy, &request, &command, standby);
                let session = Session { site: &site, policy: &policy, request: &request, id: &id, jail: &jail, owners: &owners, inherited };
                let end = judged(session, &command, place).noting(notes);
                (Some(policy), Some(slots), end)
            }
        },
    };
    let connection = Connection { request: &request, id: &id, verb, jail: jail.get() };
    tell::tell(directory, &site, policy.as_ref(), connection, end)
}

/// Takes a place among the client's sessions and among all, before anything that costs more. What stands in the way of
/// counting is no reason to turn a client away; it is said.
fn slots(site: &Site, policy: &Policy, request: &Request) -> Result<(Slots, Vec<String>), Reason> {
    spool::take_slots(&site.spool, request.account.uid, &policy.client, policy.limits.sessions, site.sessions).map_err(|full| {
        let (says, detail, remedy, rule) = match full {
            Full::Client => (
                "too many connections of this client at once",
                format!("{} connections of the client are open, as many as it may have", policy.limits.sessions),
                "if it needs more at once, raise `limits: {sessions: …}`",
                policy.origins.of("limits"),
            ),
            Full::All => (
                "the server has too many connections at once",
                format!("{} connections are open, as many as the server takes", site.sessions),
                "if the server can bear more, raise `sessions:` in the site file; `fuser -v` on the spool's `sessions` shows who has them",
                site.origins.of("sessions"),
            ),
        };
        Reason::new(Code::Busy, says).hint("try again in a moment").detail(detail).remedy(remedy).rule(rule)
    })
}

/// Whose the client's files are, and where what touches them is done. The namespace is being made from here on, beside whatever comes next.
fn place(
    site: &Site,
    policy: &Policy,
    request: &Request,
    command: &Result<Command, Vec<Reason>>,
    standby: Option<Standby>,
) -> (Owners, Place) {
    if !command.as_ref().is_ok_and(Command::touches_trees) {
        return (Owners::Account, Place::Here(standby));
    }
    let owners = match owners(site, policy, &request.account) {
        Ok(owners) => owners,
        Err(reason) => return (Owners::Undecided, Place::Nowhere(reason)),
    };
    let place = match owners.mapping().map(child::begin_namespace) {
        None => Place::Here(standby),
        Some(Ok(begun)) => Place::Mapped(begun),
        Some(Err(what)) => Place::Nowhere(owners::unmapped(&what)),
    };
    (owners, place)
}

/// Whose the client's files are: what its repository, its policy and the account's ids amount to.
pub(crate) fn owners(site: &Site, policy: &Policy, account: &Account) -> Result<Owners, Reason> {
    owners::decide(site, policy, account.is_root(), remembered(&policy.path)?, || subids::available(account))
}

/// Decides, and does what was allowed.
fn judged(session: Session<'_>, command: &Result<Command, Vec<Reason>>, place: Place) -> End {
    let Session { policy, request, owners, .. } = session;
    let zone = match zones::load(&policy.timezone) {
        Ok(zone) => zone,
        Err(what) => return End::refused(Denial::because(config::unusable(what).rule(policy.origins.of("timezone")))),
    };
    let resolved = resolve_hosts(policy, request.address);
    let case = Case { request, policy, zone: &zone, resolved: &resolved, owners, command };
    let begun = match verdict::judge(case).verdict {
        Verdict::Hear(begun) => begun,
        judged => return session.act_on(judged, place),
    };
    // Nothing is wrong with what is visible: the rest is read, and the whole judged anew.
    let words = match secluded::from_stdin() {
        Ok(words) => words,
        Err((fault, heard)) => return End::refused(Denial::because(fault.reason())).having_heard(heard),
    };
    let command = begun.with(&words).map(Command::Push);
    session.act_on(verdict::judge(Case { command: &command, ..case }).verdict, place).having_heard(words.shown())
}

impl Session<'_> {
    fn act_on(&self, verdict: Verdict, place: Place) -> End {
        match (verdict, place) {
            (Verdict::Allow(permit), Place::Here(standby)) => End::of(self.perform(&permit, standby)),
            (Verdict::Allow(permit), Place::Mapped(begun)) => self.perform_mapped(&permit, begun),
            (Verdict::Allow(_), Place::Nowhere(reason)) => End::stopped(reason),
            (Verdict::Deny(denial), _) => End::refused(denial),
            (Verdict::Hear(_), _) => End::refused(Denial::because(unheard())),
        }
    }

    /// The same in a process that enters the namespace of the client's ids. What has to be remembered of the connection is left to this
    /// one: there, whatever is neither the client's nor the account's seems to be nobody's.
    fn perform_mapped(&self, permit: &Permit, begun: NamespaceBegun) -> End {
        let namespace = match begun.finish() {
            Ok(namespace) => namespace,
            Err(what) => return End::stopped(owners::unmapped(&what)),
        };
        let said = child::apart(Duration::MAX, MAX_END, |out| {
            let entered = namespace.enter().map_err(|what| owners::unmapped(&what));
            let end = End::of(entered.and_then(|()| self.perform(permit, None)));
            // Nobody who would read it, nobody who would miss it.
            let _ = serde_json::to_writer(out, &Told { end, jail: self.jail.get() });
        });
        match serde_json::from_slice(&said) {
            Ok(Told { end, jail }) => {
                self.jail.set(jail);
                end
            }
            Err(error) => {
                let detail = format!("the process that did the client's work has not said how it ended: {error}");
                let reason = Reason::new(Code::Interrupted, "the server failed").hint("push again").detail(detail);
                End { unheard: true, ..End::stopped(reason) }
            }
        }
    }

    fn perform(&self, permit: &Permit, standby: Option<Standby>) -> Result<End, Reason> {
        match permit.command() {
            Command::Push(push) => self.push(push, standby),
            Command::Secluded(_) => Err(unheard()),
            Command::Prepare => self.prepare(),
            Command::Complete { status } => self.complete(*status),
            Command::Abort => self.abort(),
            Command::Status => {
                // What stands in the place of a missing mount is not the client's backup.
                mounted(self.policy, self.site)?;
                let (shelf, busy) = self.glance()?;
                Ok(End::answered(answer::status(self.policy, &shelf, busy)))
            }
            Command::Greeting | Command::Help => Ok(End::answered(answer::greeting(self.policy, &self.glance()?.0))),
        }
    }

    /// The shelf and whether a push is running, without making or changing anything.
    fn glance(&self) -> Result<(Shelf, bool), Reason> {
        match Repository::existing(&self.policy.path, accounts::running()) {
            Some(repository) => Ok((repository.look(&self.policy.names)?, repository.is_busy())),
            None => Ok((Shelf::default(), false)),
        }
    }

    fn open(&self) -> Result<Repository, Reason> {
        mounted(self.policy, self.site)?;
        Repository::open(&self.policy.path, accounts::running(), self.owners.mapping())
    }
}

/// Half a command is never done. No verdict allows it, so this is only for a mistake in one.
fn unheard() -> Reason {
    Reason::new(Code::Internal, "the command is not whole").hint("ask the administrator of the server")
}

/// Looks up the policy's `host:` names, unless the address is fine without them.
pub(crate) fn resolve_hosts(policy: &Policy, peer: Option<IpAddr>) -> Vec<(String, Vec<IpAddr>)> {
    let from = policy.from.as_deref().unwrap_or_default();
    if peer.is_none_or(|peer| address::matches(from, peer, &[])) {
        return Vec::new();
    }
    names::addresses(&address::hosts(from).collect::<Vec<_>>(), RESOLVE_TIMEOUT)
}
