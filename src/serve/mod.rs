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

use self::tell::Connection;
use crate::act::child::Standby;
use crate::act::process::Inherited;
use crate::act::spool::{self, Full, Slots};
use crate::act::store::{Repository, mounted};
use crate::act::{config, intake, process, secluded, zones};
use crate::decide::cell::Confinement;
use crate::decide::command::{self, Command};
use crate::decide::policy::{Policy, Site};
use crate::decide::verdict::{self, Case, Denial, Permit, Verdict};
use crate::decide::{address, answer};
use crate::terms::limits::RESOLVE_TIMEOUT;
use crate::terms::{ClientName, Code, Jail, Outcome, PushFacts, Reason, Request, Shelf};
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

/// How a connection ended, for the record and for the client.
#[derive(Debug)]
struct End {
    outcome: Outcome,
    exit: u8,
    reasons: Vec<Reason>,
    warnings: Vec<String>,
    push: Option<PushFacts>,
    text: String,
    /// What came on standard input because of `-s`, printable; empty where nothing was read.
    heard: String,
}

impl End {
    fn answered(text: String) -> Self {
        Self { outcome: Outcome::Answered, exit: 0, reasons: Vec::new(), warnings: Vec::new(), push: None, text, heard: String::new() }
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
    /// What whatever is not the gate may use: as much as the gate itself could when sshd started it.
    inherited: Inherited,
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
    let standby = if command::begins_as_push(&said) { enclose::stand_by(USUAL.into(), None).ok() } else { None };
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
                let session = Session { site: &site, policy: &policy, request: &request, id: &id, jail: &jail, inherited };
                let end = judged(session, &command, standby).noting(notes);
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

/// Decides, and does what was allowed.
fn judged(session: Session<'_>, command: &Result<Command, Vec<Reason>>, standby: Option<Standby>) -> End {
    let Session { policy, request, .. } = session;
    let zone = match zones::load(&policy.timezone) {
        Ok(zone) => zone,
        Err(what) => return End::refused(Denial::because(config::unusable(what).rule(policy.origins.of("timezone")))),
    };
    let resolved = resolve_hosts(policy, request.address);
    let case = Case { request, policy, zone: &zone, resolved: &resolved, command };
    let begun = match verdict::judge(case).verdict {
        Verdict::Hear(begun) => begun,
        judged => return session.act_on(judged, standby),
    };
    // Nothing is wrong with what is visible: the rest is read, and the whole judged anew.
    let words = match secluded::from_stdin() {
        Ok(words) => words,
        Err((fault, heard)) => return End::refused(Denial::because(fault.reason())).having_heard(heard),
    };
    let command = begun.with(&words).map(Command::Push);
    session.act_on(verdict::judge(Case { command: &command, ..case }).verdict, standby).having_heard(words.shown())
}

impl Session<'_> {
    fn act_on(&self, verdict: Verdict, standby: Option<Standby>) -> End {
        match verdict {
            Verdict::Allow(permit) => End::of(self.perform(&permit, standby)),
            Verdict::Deny(denial) => End::refused(denial),
            Verdict::Hear(_) => End::refused(Denial::because(unheard())),
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
        match Repository::existing(&self.policy.path, self.request.account.uid) {
            Some(repository) => Ok((repository.look(&self.policy.names)?, repository.is_busy())),
            None => Ok((Shelf::default(), false)),
        }
    }

    fn open(&self) -> Result<Repository, Reason> {
        mounted(self.policy, self.site)?;
        Repository::open(&self.policy.path, self.request.account.uid)
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
