//! One connection, from sshd to the last line of the log: identify the client, judge the command,
//! perform it, record it. The command's own story is a parameter.
//!
//! Nothing here writes to standard output, which belongs to rsync's protocol. The client's lines
//! are returned as an [`Answer`], once everything that must be recorded is on the disk.

mod end;
mod reach;
mod record;
mod sandbox;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use self::end::Ending;
use self::record::Arrival;
use super::Answer;
use crate::act::arrive::{intake, secluded};
use crate::act::child::{self, NamespaceBegun, NotStarted, Standby, Successor, Undecided};
use crate::act::config::{self, zones};
use crate::act::names::{self, accounts};
use crate::act::process::{self, Inherited};
use crate::act::record::spool::{self, Full, Slots};
use crate::act::store::{Repository, mounted, owners_of};
use crate::decide::judge::verdict::{self, Case, Denial, Permit, Verdict};
use crate::decide::owners;
use crate::decide::policy::{Policy, Site};
use crate::decide::rsync::command::{self, Begins, Command};
use crate::terms::limits::MAX_END;
use crate::terms::{
    Administrator, By, ClientName, Code, CommandSource, FailedHook, Jail, Note, Owners, Peer, Reason, RepositoryState, Request, Verb,
};

pub(crate) use self::end::End;
pub(crate) use self::sandbox::Waiting;

/// A connection that may go on: who it is and by which rules.
pub(crate) struct Connection<'a> {
    pub(crate) site: &'a Site,
    pub(crate) policy: &'a Policy,
    pub(crate) request: &'a Request,
    /// Of its record and its logs.
    pub(crate) id: &'a str,
    /// What holds rsync, as far as it is known by now.
    pub(crate) jail: Cell<Jail>,
    /// Whose the client's files are here.
    pub(crate) owners: &'a Owners,
    /// Limits that sshd gave the gate. Whatever is not the gate gets them back.
    pub(crate) inherited: Inherited,
    /// Hooks that have failed.
    pub(crate) failed: RefCell<Vec<FailedHook>>,
    /// Who records the connection whatever becomes of this process.
    successor: RefCell<Option<Successor>>,
    arrival: Arrival<'a>,
    /// What was found on the way.
    notes: Vec<Note>,
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

/// Serves the connection that sshd started this process for. `named` is the client of a
/// `command="…"` line; `by` says who else may have started it. `perform` does what was
/// allowed; it gets the process that waits to become rsync, if there is one.
pub(super) fn serve(
    directory: &Path,
    named: Option<ClientName>,
    source: CommandSource,
    by: By,
    perform: impl FnOnce(&Connection<'_>, &Permit, Option<Standby>) -> Result<End, Reason>,
) -> Answer {
    process::close_inherited();
    process::mask();
    process::no_core();
    let meant = if let CommandSource::VariableOf(client) = &source { Some(client.clone()) } else { None };
    let said = intake::original(source);
    // First, so that it builds its sandbox on the other processor meanwhile. It has read nothing of
    // the client's, and ends with this connection if no push follows.
    let waiting = command::begins(&said).and_then(|begins| sandbox::begin(sandbox::usual(begins), None).ok());
    // The gate's own, which rsync does not get.
    let inherited = process::limit();
    let command = command::parse(&said);
    let waiting = waiting.filter(|_| matches!(command, Ok(Command::Push(_) | Command::Restore(_))));
    let local = by == By::Rsh && !intake::is_by_sshd();
    let request = intake::request(names::running(), named, said);
    let request = if local { Request { address: Some(Peer::from(IpAddr::V4(Ipv4Addr::LOCALHOST))), ..request } } else { request };
    let id = record::id(&request);
    let arrival = Arrival { directory, request: &request, id: &id, verb: command.as_ref().ok().map(Command::verb), local };

    let site = match config::load_site(directory) {
        Ok(site) => site,
        Err(fault) => return arrival.answer_without_site(End::refused(Denial::unidentified(fault.into(), command))),
    };
    let jail = if site.jail { Jail::Whole } else { Jail::Off };
    let ending = |end| Ending { end, jail, hooks: Vec::new() };
    let policy = match config::identify(directory, &site, &request) {
        Ok(policy) => policy,
        Err(reason) => return arrival.answer(&site, None, ending(End::refused(Denial::unidentified(reason, command)))),
    };
    if let Some(meant) = meant.filter(|meant| *meant != policy.client) {
        return arrival.answer(&site, Some(&policy), ending(End::refused(Denial::because(command::meant_for(&meant, &policy.client)))));
    }
    if by != By::Sshd && intake::is_by_sshd() {
        // Whoever it is, the policy's rules hold for it.
        let reason = Reason::of_the_server(Code::Config, "`--drill` or `--local` stands in what sshd runs");
        let reason = reason.remedy("remove it from `ForceCommand` or `command=`: it is for `snapgate` alone");
        return arrival.answer(&site, Some(&policy), ending(End::refused(Denial::because(reason))));
    }
    let policy = match by {
        By::Sshd => policy,
        By::Drill => policy.for_drill(),
        By::Rsh => policy.for_this_machine(),
    };
    // Held until this process ends.
    let (_slots, notes) = match slots(&site, &policy, &request, arrival.verb) {
        Ok(taken) => taken,
        Err(reason) => return arrival.answer(&site, Some(&policy), ending(End::stopped(reason))),
    };
    let (owners, place) = place(&site, &policy, &request, &command, waiting, inherited);
    let connection = Connection {
        site: &site,
        policy: &policy,
        request: &request,
        id: &id,
        jail: Cell::new(jail),
        owners: &owners,
        inherited,
        failed: RefCell::default(),
        successor: RefCell::default(),
        arrival,
        notes: notes.into_iter().map(Note::lasting).collect(),
    };
    connection.go(&command, place, perform)
}

/// Takes a place among the client's sessions and among all, before anything that costs more. A
/// client is not turned away because they cannot be counted; that becomes a warning.
fn slots(site: &Site, policy: &Policy, request: &Request, verb: Option<Verb>) -> Result<(Slots, Vec<String>), Reason> {
    let restores = verb.is_some_and(|verb| verb.row().gives_back);
    let (group, most) = if restores {
        (spool::RESTORES, policy.restore.sessions.unwrap_or(policy.limits.sessions))
    } else {
        (spool::SESSIONS, policy.limits.sessions)
    };
    spool::take_slots(&site.spool, request.account.uid, (group, &policy.client), most, site.sessions).map_err(|full| {
        let (says, detail, remedy, rule) = match full {
            Full::Client => (
                "too many connections of this client at once",
                format!("{most} connections of the client are open, as many as it may have"),
                if restores && policy.restore.sessions.is_some() {
                    "if it needs more at once, raise `restore: {limits: {sessions: …}}`"
                } else {
                    "if it needs more at once, raise `limits: {sessions: …}`"
                },
                policy.origins.of(if restores && policy.restore.sessions.is_some() { "restore" } else { "limits" }),
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

/// Whose the client's files are, and where the work on them is done. From here on the namespace is
/// made in the background.
fn place(
    site: &Site,
    policy: &Policy,
    request: &Request,
    command: &Result<Command, Vec<Reason>>,
    waiting: Option<Undecided>,
    inherited: Inherited,
) -> (Owners, Place) {
    if !command.as_ref().is_ok_and(Command::meets_owners) {
        return (Owners::Account, Place::Here(None));
    }
    let owners = match owners_of(site, policy, &request.account) {
        Ok(owners) => owners,
        Err(reason) => return (Owners::Undecided, Place::Nowhere(reason)),
    };
    let place = match owners.mapping() {
        None => Place::Here(waiting.map(Undecided::for_account)),
        Some(mapping) => {
            // The waiting process is in the namespace already. Without a push another has to be
            // there for a moment; with `-s` that one becomes rsync.
            let begins = if command.as_ref().is_ok_and(Command::pulls) { Begins::Pull } else { Begins::Push };
            let process = waiting.map_or_else(|| sandbox::begin(sandbox::usual(begins), Some(inherited)), Ok).map_err(NotStarted::what);
            match process.and_then(|process| child::begin_namespace(process, mapping)) {
                Ok(begun) => Place::Mapped(begun),
                Err(what) => Place::Nowhere(owners::unmapped(&what)),
            }
        }
    };
    (owners, place)
}

impl Connection<'_> {
    /// Decides, does what was allowed, and records it.
    fn go(
        self,
        command: &Result<Command, Vec<Reason>>,
        place: Place,
        perform: impl FnOnce(&Self, &Permit, Option<Standby>) -> Result<End, Reason>,
    ) -> Answer {
        let (verdict, input) = self.judge(command);
        let is_push = matches!(command, Ok(Command::Push(push)) if !push.is_dry());
        if is_push && self.policy.told.ping.is_some() && matches!(verdict, Verdict::Allow(_)) {
            self.arrival.begins(self.site, self.policy, self.jail.get());
        }
        let end = match (verdict, place) {
            (Verdict::Allow(permit), Place::Mapped(begun)) => {
                return self.go_mapped(begun, &input, |standby| perform(&self, &permit, Some(standby)));
            }
            // Its client may have this process killed, and would have been sent things that nobody recorded.
            (Verdict::Allow(permit), Place::Here(standby)) if self.arrival.gives_back() => {
                return self.go_remembered(&input, || perform(&self, &permit, standby));
            }
            (Verdict::Allow(permit), Place::Here(standby)) => End::of(perform(&self, &permit, standby)),
            (Verdict::Allow(_), Place::Nowhere(reason)) => End::stopped(reason),
            (Verdict::Deny(denial), _) => End::refused(denial),
            (Verdict::ReadRest(_), _) => End::refused(Denial::because(incomplete())),
        };
        self.arrival.answer(self.site, Some(self.policy), self.ending(end, &input))
    }

    /// The same in the namespace of the client's ids. A process that stays outside records the
    /// connection: inside, files of others seem to be nobody's.
    fn go_mapped(&self, begun: NamespaceBegun, input: &str, perform: impl FnOnce(Standby) -> Result<End, Reason>) -> Answer {
        self.go_remembered(input, || {
            let entered = begun.finish().and_then(|(namespace, standby)| namespace.enter().map(|()| standby));
            entered.map_err(|what| owners::unmapped(&what)).and_then(perform)
        })
    }

    /// The same where another process records the connection.
    fn go_remembered(&self, input: &str, perform: impl FnOnce() -> Result<End, Reason>) -> Answer {
        let successor = child::succeeded(MAX_END, |mut word| {
            // Whoever waits for the end of something that the gate holds must not wait for this
            // process.
            let _ = process::silence();
            process::close_all_but(&[word.as_raw_fd()]);
            while let Some(early) = word.early() {
                let _ = serde_json::from_slice(&early).map(|ending| self.arrival.tell(self.site, self.policy, &ending));
            }
            let ending = serde_json::from_slice(&word.wait()).unwrap_or_else(|_| {
                let repository = Repository::existing(&self.policy.path, self.request.account.uid);
                self.ending(self.lost(repository.as_ref()), input)
            });
            self.arrival.record(self.site, Some(self.policy), &ending) == Administrator::Alerted
        });
        let successor = match successor {
            Ok(successor) => successor,
            Err(error) => {
                let what = format!("a process that remembers the connection: {error}");
                let mapped = self.owners.mapping().is_some();
                let end = End::stopped(if mapped { owners::unmapped(&what) } else { Reason::of_the_server(Code::Internal, what) });
                return self.arrival.answer(self.site, Some(self.policy), self.ending(end, input));
            }
        };
        self.successor.replace(Some(successor));
        let ending = self.ending(End::of(perform()), input);
        // If it receives nothing, it records that this process was killed.
        let last = serde_json::to_vec(&ending).unwrap_or_default();
        let administrator = match self.successor.take().and_then(|successor| successor.go_on(&last)) {
            Some(true) => Administrator::Alerted,
            Some(false) => Administrator::NotAlerted,
            None => {
                self.arrival.record_inside(self.site, self.policy, &ending);
                Administrator::NotAlerted
            }
        };
        record::answer(ending.end, administrator)
    }

    /// Has the administrator told of a connection that goes on. Says whether that is under way.
    pub(crate) fn tell(&self, end: End) -> bool {
        let ending = Ending { end, jail: self.jail.get(), hooks: Vec::new() };
        let early = serde_json::to_vec(&ending).unwrap_or_default();
        self.successor.borrow_mut().as_mut().is_some_and(|successor| successor.tell(&early))
    }

    /// An end with what was found and read on the way.
    fn ending(&self, end: End, input: &str) -> Ending {
        let end = End { input: input.to_owned(), ..end }.noting(self.notes.clone());
        Ending { end, jail: self.jail.get(), hooks: self.failed.take() }
    }

    /// The verdict, and what came on standard input because of `-s`, printable.
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
        // The visible half is right: read the rest, and judge the whole.
        let words = match secluded::from_stdin() {
            Ok(words) => words,
            Err((fault, input)) => return (refused(fault.reason()), input),
        };
        let command = begun.with(&words);
        (verdict::judge(Case { command: &command, ..case }).verdict, words.shown())
    }

    /// Where the configuration is.
    pub(crate) fn directory(&self) -> &Path {
        self.arrival.directory
    }

    /// The state and whether a push is running, without making or changing anything.
    pub(crate) fn glance(&self) -> Result<(RepositoryState, bool), Reason> {
        match Repository::existing(&self.policy.path, accounts::running()) {
            Some(repository) => Ok((repository.look(&self.policy.names)?, repository.is_busy())),
            None => Ok((RepositoryState::default(), false)),
        }
    }

    /// The repository, made where there is none yet.
    pub(crate) fn open(&self) -> Result<Repository, Reason> {
        mounted(self.policy, self.site)?;
        Repository::open(&self.policy.path, accounts::running(), self.owners.mapping())
    }
}

/// No verdict allows half a command; this guards against a mistake in one.
pub(crate) fn incomplete() -> Reason {
    Reason::new(Code::Internal, "the command is not whole").hint("ask the administrator of the server")
}
