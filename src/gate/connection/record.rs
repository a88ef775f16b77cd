//! The end of a connection: the ledger, the spool, syslog, a first attempt to send mail, and then
//! the client's lines.
//!
//! Nothing that goes wrong here changes how the push ended; it is reported wherever that is still
//! possible.

use std::path::Path;

use super::End;
use super::end::Ending;
use crate::act::child::detach;
use crate::act::inspect;
use crate::act::names::accounts;
use crate::act::record::spool::Spool;
use crate::act::record::{ledger, syslog};
use crate::act::store::{Repository, mounted};
use crate::decide::policy::{self, Policy, Report, Site};
use crate::decide::push::lost;
use crate::decide::speak::{asked, line};
use crate::gate::Answer;
use crate::terms::event::BEGINS;
use crate::terms::limits::MAX_QUOTED;
use crate::terms::text::{on_one_line, printable, printable_name, still_printable};
use crate::terms::{self, Administrator, Body, Event, Jail, Mail, Original, Outcome, Request, Verb};

/// An id for a connection: unique on this machine, and in order of time.
pub(super) fn id(request: &Request) -> String {
    format!("{}-{}", request.at.format("%Y%m%dT%H%M%S%6fZ"), std::process::id())
}

/// What is known of a connection besides its client and its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    /// Where the configuration is.
    pub(super) directory: &'a Path,
    pub(super) request: &'a Request,
    pub(super) id: &'a str,
    pub(super) verb: Option<Verb>,
    /// Whether it comes from this machine, and not by way of sshd.
    pub(super) local: bool,
}

impl Arrival<'_> {
    /// Whether its client gets what is in snapshots.
    pub(super) fn gives_back(self) -> bool {
        self.verb.is_some_and(|verb| verb.row().gives_back)
    }

    /// Has the administrator told of one that goes on. The ledger gets what it ends with.
    pub(super) fn tell(self, site: &Site, policy: &Policy, ending: &Ending) {
        let mut event = record(site, Some(policy), self, ending, &|| None);
        // A name of its own beside the end's.
        event.id.push_str("-1");
        let spooled = Spool::open(&site.spool, self.request.account.uid).and_then(|spool| spool.add(&event));
        let told = spooled.map_err(|error| format!("the mail could not be spooled: {error}")).and_then(|()| detach::watch(self.directory));
        if let (Some(socket), Err(what)) = (&site.syslog, told) {
            let _ = syslog::send(socket, &problem(&event, &what));
        }
    }

    /// Has whoever waits for a push of the client's told that one begins. Nobody is mailed, and the
    /// ledger gets what it ends with.
    pub(super) fn begins(self, site: &Site, policy: &Policy, jail: Jail) {
        let end = End { outcome: Outcome::Started, ..End::answered(String::new()) };
        let mut event = record(site, Some(policy), self, &Ending { end, jail, hooks: Vec::new() }, &|| None);
        // A name of its own, before the end's.
        event.id.push_str(BEGINS);
        let spooled = Spool::open(&site.spool, self.request.account.uid).and_then(|spool| spool.add(&event));
        // The end is told whatever becomes of this.
        let _ = spooled.map(|()| detach::watch(self.directory));
    }

    /// Records it, and makes the client's answer.
    pub(super) fn answer(self, site: &Site, policy: Option<&Policy>, ending: Ending) -> Answer {
        let administrator = self.record(site, policy, &ending);
        answer(ending.end, administrator)
    }

    /// Records it. Returns whether the administrator gets a mail about it.
    pub(super) fn record(self, site: &Site, policy: Option<&Policy>, ending: &Ending) -> Administrator {
        let Arrival { directory, request, id, .. } = self;
        // Where a mount is missing, what stands at its place is not the repository.
        let policy_on_disk = policy.filter(|policy| mounted(policy, site).is_ok());
        let repository = policy_on_disk.and_then(|policy| Repository::existing(&policy.path, request.account.uid));
        let record = record(site, policy, self, ending, &|| {
            // The repository may be unreadable as well; then the mail does without.
            let state = repository.as_ref().zip(policy).and_then(|(repository, policy)| repository.look(&policy.names).ok());
            state.and_then(|state| state.newest).map(|newest| newest.to_string())
        });
        let mut lost = Vec::new();
        let mut spooled = false;
        let tells = record.mail != Mail::None || (record.push().is_some() && site.tells_all(policy));
        let spool = Spool::open(&site.spool, request.account.uid);
        // The mail comes first: a kill between the two may leave a mail that the ledger does not
        // know, never the other way round.
        match &spool {
            Err(error) => lost.push(format!("the spool cannot be used: {error}")),
            Ok(spool) => {
                if tells {
                    match spool.add(&record) {
                        Ok(()) => spooled = true,
                        Err(error) => lost.push(format!("the mail could not be spooled: {error}")),
                    }
                }
            }
        }
        if let (Ok(spool), Some(policy)) = (&spool, policy)
            && ending.end.outcome == Outcome::Published
        {
            // For `check`; one file for ever.
            let _ = spool.has_published(&policy.client);
        }
        // A repository that cannot be written to must not lose the entry: the spool has a ledger of
        // its own.
        let repository = repository.filter(|repository| repository.ledger().parent().is_some_and(Path::is_dir));
        let entered = repository.as_ref().is_some_and(|repository| ledger::append(&repository.ledger(), &record).is_ok());
        if let Ok(spool) = &spool
            && !entered
            && let Err(error) = ledger::append(&spool.ledger(), &record)
        {
            lost.push(format!("no ledger could be written: {error}"));
        }
        // A process that was killed may have published before: the next session reports that.
        if let Some(repository) = &repository
            && lost.is_empty()
            && !ending.end.is_lost
        {
            repository.forget_unrecorded(id);
        }
        if tells
            && spool.is_ok()
            && let Err(what) = detach::watch(directory)
        {
            // The timer tries again.
            lost.push(what);
        }
        if let Some(socket) = &site.syslog {
            let _ = syslog::send(socket, &line::record_line(&record));
            for what in &lost {
                let _ = syslog::send(socket, &problem(&record, what));
            }
        }
        if spooled && record.mail != Mail::None && inspect::leads_somewhere(&site.mail) {
            Administrator::Alerted
        } else {
            Administrator::NotAlerted
        }
    }

    /// Records it where the process that was to do so was killed. The spool is out of reach from
    /// the namespace of a client's ids: no mail is sent, and the next session reports a snapshot.
    pub(super) fn record_inside(self, site: &Site, policy: &Policy, ending: &Ending) {
        let record = Event { mail: Mail::None, ..record(site, Some(policy), self, ending, &|| None) };
        let path = Repository::existing(&policy.path, accounts::running()).map(|repository| repository.ledger());
        // That process may have done this much.
        if let Some(path) = path.filter(|path| !ledger::has(path, &record.id)) {
            let _ = ledger::append(&path, &record);
        }
        if let Some(socket) = &site.syslog {
            let _ = syslog::send(socket, &line::record_line(&record));
            let _ = syslog::send(socket, &problem(&record, "no mail: the process that tells was killed"));
        }
    }

    /// Records one whose site file cannot be used, with the defaults, and makes the client's
    /// answer. No mail leaves until the file can be used.
    pub(super) fn answer_without_site(self, end: End) -> Answer {
        let Arrival { directory, request, .. } = self;
        let ending = Ending { end, jail: Jail::Whole, hooks: Vec::new() };
        let record = event(None, self, Mail::Alert, Body::of(came(self, &ending), None, None));
        let spool = Spool::open(Path::new(policy::DEFAULT_SPOOL), request.account.uid);
        if let Ok(spool) = &spool {
            let _ = spool.add(&record);
            let _ = ledger::append(&spool.ledger(), &record);
        }
        let watched = if spool.is_ok() { detach::watch(directory) } else { Ok(()) };
        let socket = Path::new(policy::DEFAULT_SYSLOG);
        let _ = syslog::send(socket, &line::record_line(&record));
        if let Err(what) = watched {
            let _ = syslog::send(socket, &problem(&record, &what));
        }
        answer(ending.end, Administrator::NotAlerted)
    }
}

/// A line of the log about what could not be done for a connection.
fn problem(record: &Event, what: &str) -> String {
    format!("id={} problem=\"{}\"", record.id, still_printable(&on_one_line(what), MAX_QUOTED))
}

/// The event, with the mail that it asks for, and with the newest snapshot in an alert about a
/// client that has not got through.
fn record(site: &Site, policy: Option<&Policy>, arrival: Arrival<'_>, ending: &Ending, newest: &dyn Fn() -> Option<String>) -> Event {
    let mut came = came(arrival, ending);
    let push = ending.end.push.clone();
    // Somebody has to look at either.
    let partial = push.as_ref().is_some_and(|push| push.partial || push.held.is_some());
    came.passing = asked::passes(&came, partial, ending.end.passing, ending.end.lasting);
    let apart = site.mail.reports_to != site.mail.to;
    let mail = asked::mail(&came, partial, policy.map_or(Report::Problems, |policy| policy.report), apart);
    let mail = if ending.end.alerts { asked::alerting(mail, apart) } else { mail };
    let in_vain = matches!(came.result, Outcome::Failed | Outcome::Unpublished) || (came.result == Outcome::Refused && came.passing);
    if mail == Mail::Alert && in_vain {
        came.newest = newest();
    }
    event(policy, arrival, mail, Body::of(came, push, ending.end.restore.clone()))
}

fn event(policy: Option<&Policy>, arrival: Arrival<'_>, mail: Mail, body: Body) -> Event {
    let Arrival { request, id, .. } = arrival;
    let account = printable_name(request.account.name.as_bytes());
    Event { id: id.to_owned(), at: request.at, account, client: policy.map(|policy| policy.client.clone()), mail, body }
}

/// What is recorded of the connection itself.
fn came(arrival: Arrival<'_>, ending: &Ending) -> terms::Connection {
    let Arrival { request, verb, local, .. } = arrival;
    let Ending { end, jail, hooks } = ending;
    let command = match &request.original {
        Original::Command(bytes) if end.input.is_empty() => printable(bytes),
        Original::Command(bytes) => {
            format!("{} and on standard input {}", printable(bytes), still_printable(&end.input, MAX_QUOTED))
        }
        Original::Nothing | Original::Login => String::new(),
    };
    terms::Connection {
        result: end.outcome,
        exit: end.exit,
        address: request.address.clone(),
        keys: request.keys.clone(),
        verb,
        command,
        reasons: end.reasons.clone(),
        warnings: end.warnings.clone(),
        hooks: hooks.clone(),
        passing: false,
        local,
        newest: None,
        jail: *jail,
    }
}

/// The client's lines: the first reason, if there is one, and what a snapshot lacks.
pub(super) fn answer(end: End, administrator: Administrator) -> Answer {
    let mut lines = end.reasons.first().map(|reason| reason.lines(end.outcome == Outcome::Refused, administrator)).unwrap_or_default();
    if end.outcome == Outcome::Added {
        lines.push("snapgate: received; say `complete` to publish it".to_owned());
    }
    if let Some(lost) = end.push.as_ref().and_then(|facts| facts.lost.as_ref()) {
        lines.push(format!("snapgate: {}: {}", lost::describe_to_client(lost), lost::hint(lost)));
    }
    let beyond = end.push.as_ref().map_or(0, |facts| facts.beyond);
    if beyond > 0 {
        let files = if beyond == 1 { "1 file names".to_owned() } else { format!("{beyond} files name") };
        lines.push(format!("snapgate: {files} users or groups that the server cannot keep: nobody stands in their place"));
    }
    Answer { exit: end.exit, text: end.text, lines }
}
