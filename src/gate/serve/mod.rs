//! One connection, from sshd to the last line of the log. Reads top to bottom as what happens.
//!
//! Nothing here writes to standard output: it belongs to rsync's protocol. What the client is told comes back as an
//! [`Answer`], after everything that has to be remembered is on the disk.

mod carry;
mod measure;
mod push;
mod reach;
mod settle;
mod tell;
mod transaction;

use std::cell::{Cell, RefCell};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use self::tell::Connection;
use super::Answer;
use crate::act::arrive::{intake, secluded};
use crate::act::child::{self, NamespaceBegun, NotStarted, Standby, Undecided};
use crate::act::config::{self, zones};
use crate::act::names::accounts;
use crate::act::process::{self, Inherited};
use crate::act::record::spool::{self, Full, Slots};
use crate::act::store::{Repository, mounted, owners_of};
use crate::act::{names, sandbox};
use crate::decide::judge::verdict::{self, Case, Denial, Permit, Verdict};
use crate::decide::owners;
use crate::decide::policy::{Policy, Site};
use crate::decide::rsync::command::{self, Command};
use crate::decide::sandbox::spec::{Confinement, Isolation};
use crate::decide::speak::answer;
use crate::terms::limits::MAX_END;
use crate::terms::{
    Administrator, ClientName, Code, FailedHook, Jail, Note, Outcome, Owners, PushFacts, Reason, RepositoryState, Request, Spoken,
};

/// What is remembered of a client's work.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    end: End,
    #[serde(default, skip_serializing_if = "Jail::is_whole")]
    jail: Jail,
    hooks: Vec<FailedHook>,
}

/// How a connection ended, for the record and for the client.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    outcome: Outcome,
    exit: u8,
    reasons: Vec<Reason>,
    warnings: Vec<String>,
    /// How many of the warnings are of what is put right already.
    passing: usize,
    /// Whether something was found on the way that is for a person.
    lasting: bool,
    push: Option<PushFacts>,
    text: String,
    /// Whether the gate was lost before it had told this, so that nobody knows what it has done.
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
            passing: 0,
            lasting: false,
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

    /// Nobody knows which: the gate was gone before it had said.
    fn lost() -> Self {
        let reason = Reason::new(Code::Interrupted, "the server failed").hint("push again");
        let reason =
            reason.detail("the gate was killed at its work").remedy("see in the kernel's log whether memory had run out").passing();
        Self { unheard: true, ..Self::stopped(reason) }
    }

    /// With what was read from standard input.
    fn having_heard(self, heard: String) -> Self {
        Self { heard, ..self }
    }

    /// With what was found on the way, first. It stands in the record however the connection ended.
    fn noting(mut self, notes: Vec<Note>) -> Self {
        self.passing += notes.iter().filter(|note| note.passing).count();
        self.lasting |= notes.iter().any(|note| !note.passing);
        self.warnings.splice(..0, notes.into_iter().map(|note| note.text));
        self
    }

    fn stopped(reason: Reason) -> Self {
        Self { outcome: reason.code.row().stops_as, exit: reason.code.exit(), reasons: vec![reason], ..Self::answered(String::new()) }
    }
}

/// A connection that may go on: who it is and by which rules.
struct Session<'a> {
    connection: Connection<'a>,
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
    /// What was found on the way.
    notes: Vec<Note>,
    /// Hooks that have failed.
    failed: RefCell<Vec<FailedHook>>,
}

/// Where what was allowed is done.
enum Place {
    /// Where this process is. One may wait that becomes rsync.
    Here(Option<Standby>),
    /// In the user namespace that is being made for the client's ids.
    Mapped(NamespaceBegun),
    /// Nowhere.
    Nowhere(Reason),
}

/// What holds an rsync, unless the policy, the site file, the command or the kernel has it otherwise.
const USUAL: Confinement = Confinement::View;

/// Serves the connection that sshd started this process for. `named` is the client of a `command="…"` line.
#[must_use]
pub fn serve(directory: &Path, named: Option<ClientName>, spoken: Spoken) -> Answer {
    process::close_inherited();
    process::mask();
    process::no_core();
    let said = intake::said(spoken);
    // Ahead of everything that it does not have to know: the other processor closes it in meanwhile. It has heard nothing of the
    // client's, and ends with this connection if nothing comes of the push.
    let waiting = if command::begins_as_push(&said) { begin(None).ok() } else { None };
    // The gate's own, which rsync does not get.
    let inherited = process::limit();
    let command = command::parse(&said);
    let waiting = waiting.filter(|_| matches!(command, Ok(Command::Push(_))));
    let request = intake::request(names::running(), named, said);
    let id = tell::record_id(&request);
    let connection = Connection { directory, request: &request, id: &id, verb: command.as_ref().ok().map(Command::verb) };

    let site = match config::load_site(directory) {
        Ok(site) => site,
        Err(fault) => return connection.tell_without_site(End::refused(Denial::unidentified(fault.into(), command))),
    };
    let jail = Cell::new(if site.jail { Jail::Whole } else { Jail::Off });
    let ended = |end| Told { end, jail: jail.get(), hooks: Vec::new() };
    let policy = match config::identify(directory, &site, &request) {
        Ok(policy) => policy,
        Err(reason) => return connection.answer(&site, None, ended(End::refused(Denial::unidentified(reason, command)))),
    };
    // Held until this process ends.
    let (_slots, notes) = match slots(&site, &policy, &request) {
        Ok(taken) => taken,
        Err(reason) => return connection.answer(&site, Some(&policy), ended(End::stopped(reason))),
    };
    let (owners, place) = place(&site, &policy, &request, &command, waiting, inherited);
    let (request, id) = (&request, id.as_str());
    let notes = notes.into_iter().map(Note::lasting).collect();
    let failed = RefCell::default();
    let session = Session { connection, site: &site, policy: &policy, request, id, jail: &jail, owners: &owners, inherited, notes, failed };
    session.go(&command, place)
}

/// Starts the process that becomes rsync, whoever the client is.
fn begin(inherited: Option<Inherited>) -> Result<Undecided, NotStarted> {
    sandbox::begin(Isolation::new(USUAL), inherited)
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
    waiting: Option<Undecided>,
    inherited: Inherited,
) -> (Owners, Place) {
    if !command.as_ref().is_ok_and(Command::touches_trees) {
        return (Owners::Account, Place::Here(None));
    }
    let owners = match owners_of(site, policy, &request.account) {
        Ok(owners) => owners,
        Err(reason) => return (Owners::Undecided, Place::Nowhere(reason)),
    };
    let place = match owners.mapping() {
        None => Place::Here(waiting.map(Undecided::for_account)),
        Some(mapping) => {
            // The one that waits is in the namespace already. Where no rsync is wanted another one has to be there for a moment, and with
            // `-s` that one becomes rsync.
            let process = waiting.map_or_else(|| begin(Some(inherited)), Ok).map_err(NotStarted::what);
            match process.and_then(|process| child::begin_namespace(process, mapping)) {
                Ok(begun) => Place::Mapped(begun),
                Err(what) => Place::Nowhere(owners::unmapped(&what)),
            }
        }
    };
    (owners, place)
}

impl Session<'_> {
    /// Decides, does what was allowed, and remembers it.
    fn go(self, command: &Result<Command, Vec<Reason>>, place: Place) -> Answer {
        let (verdict, heard) = self.judge(command);
        let end = match (verdict, place) {
            (Verdict::Allow(permit), Place::Mapped(begun)) => return self.go_mapped(&permit, begun, &heard),
            (Verdict::Allow(permit), Place::Here(standby)) => End::of(self.perform(&permit, standby)),
            (Verdict::Allow(_), Place::Nowhere(reason)) => End::stopped(reason),
            (Verdict::Deny(denial), _) => End::refused(denial),
            (Verdict::ReadRest(_), _) => End::refused(Denial::because(unheard())),
        };
        self.connection.answer(self.site, Some(self.policy), self.told(end, &heard))
    }

    /// The same in the namespace of the client's ids. What has to be remembered of the connection is left to a process that stays outside:
    /// inside, whatever is neither the client's nor the account's seems to be nobody's.
    fn go_mapped(&self, permit: &Permit, begun: NamespaceBegun, heard: &str) -> Answer {
        let successor = child::succeeded(MAX_END, |word| {
            // Nobody who waits for the end of something that the gate holds waits for this one.
            let _ = process::silence();
            process::close_all_but(&[word.as_raw_fd()]);
            let told = serde_json::from_slice(&word.wait()).unwrap_or_else(|_| {
                let repository = Repository::existing(&self.policy.path, self.request.account.uid);
                self.told(self.lost(repository.as_ref()), heard)
            });
            self.connection.tell(self.site, Some(self.policy), &told) == Administrator::Alerted
        });
        let successor = match successor {
            Ok(successor) => successor,
            Err(error) => {
                let end = End::stopped(owners::unmapped(&format!("a process that remembers the connection: {error}")));
                return self.connection.answer(self.site, Some(self.policy), self.told(end, heard));
            }
        };
        let entered = begun.finish().and_then(|(namespace, standby)| namespace.enter().map(|()| standby));
        let entered = entered.map_err(|what| owners::unmapped(&what));
        let end = End::of(entered.and_then(|standby| self.perform(permit, Some(standby))));
        let told = self.told(end, heard);
        // Without a word it says that this process was lost.
        let administrator = match successor.go_on(&serde_json::to_vec(&told).unwrap_or_default()) {
            Some(true) => Administrator::Alerted,
            Some(false) => Administrator::NotAlerted,
            None => {
                self.connection.enter(self.site, self.policy, &told);
                Administrator::NotAlerted
            }
        };
        tell::answer(told.end, administrator)
    }

    /// An end with what was found and heard on the way.
    fn told(&self, end: End, heard: &str) -> Told {
        Told { end: end.having_heard(heard.to_owned()).noting(self.notes.clone()), jail: self.jail.get(), hooks: self.failed.take() }
    }

    /// What is to become of the command, and what came on standard input because of `-s`, printable.
    fn judge(&self, command: &Result<Command, Vec<Reason>>) -> (Verdict, String) {
        let Self { policy, request, owners, .. } = self;
        let refused = |reason| Verdict::Deny(Denial::because(reason));
        let nothing = String::new();
        let zone = match zones::load(&policy.timezone) {
            Ok(zone) => zone,
            Err(what) => return (refused(config::unusable(what).rule(policy.origins.of("timezone"))), nothing),
        };
        let resolved = names::resolve_hosts(policy, request.address.as_ref());
        let case = Case { request, policy, zone: &zone, resolved: &resolved, owners, command };
        let begun = match verdict::judge(case).verdict {
            Verdict::ReadRest(begun) => begun,
            judged => return (judged, nothing),
        };
        // Nothing is wrong with what is visible: the rest is read, and the whole judged anew.
        let words = match secluded::from_stdin() {
            Ok(words) => words,
            Err((fault, heard)) => return (refused(fault.reason()), heard),
        };
        let command = begun.with(&words).map(Command::Push);
        (verdict::judge(Case { command: &command, ..case }).verdict, words.shown())
    }

    fn perform(&self, permit: &Permit, standby: Option<Standby>) -> Result<End, Reason> {
        match permit.command() {
            Command::Push(push) => self.push(push, permit.closing(), standby),
            Command::Secluded(_) => Err(unheard()),
            Command::Prepare => self.prepare(),
            Command::Complete { status } => self.complete(*status),
            Command::Abort => self.abort(),
            Command::Status => {
                // What stands in the place of a missing mount is not the client's backup.
                mounted(self.policy, self.site)?;
                let (state, busy) = self.glance()?;
                Ok(End::answered(answer::status(self.policy, &state, busy) + &answer::ends(permit.closing())))
            }
            Command::Probe(probe) => Ok(End::answered(answer::probe(*probe).to_owned())),
            Command::Greeting | Command::Help => Ok(End::answered(answer::greeting(self.policy, &self.glance()?.0))),
        }
    }

    /// The state and whether a push is running, without making or changing anything.
    fn glance(&self) -> Result<(RepositoryState, bool), Reason> {
        match Repository::existing(&self.policy.path, accounts::running()) {
            Some(repository) => Ok((repository.look(&self.policy.names)?, repository.is_busy())),
            None => Ok((RepositoryState::default(), false)),
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
