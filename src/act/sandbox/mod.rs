//! A process that is about to become rsync enters its sandbox step by step, and then starts rsync
//! in its own place. It begins while the gate still looks at the client and the disk, and waits for
//! both.
//!
//! It must never continue as anything but rsync: after the first step it cannot do a gate's work.

pub mod filter;
mod front;
pub mod jail;
pub mod view;

use std::cell::RefCell;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::unistd::{Pid, geteuid, getppid};

use self::filter::{Answering, Came, Loading};
use crate::act::child::{self, Attend, NotStarted, Orders, Part, Standby, Undecided};
use crate::act::process;
use crate::act::process::{Inherited, Users};
use crate::decide::push::links::{Answer, Links};
use crate::decide::sandbox::spec::{self, Filter, Isolation, RunsAs, Sandbox};
use crate::terms::limits::{MAX_TRIED, VERSION_TIMEOUT};
use crate::terms::text::still_printable;
use crate::terms::{Account, Mapping};

/// Starts the process before its ids are known, and before there is a second thread. If the gate
/// has set its own limits, the process gets the `inherited` ones back.
///
/// # Errors
/// When there is no process to be had.
pub fn begin(isolation: Isolation, inherited: Option<Inherited>) -> Result<Undecided, NotStarted> {
    child::begin(|orders| story(orders, isolation, None, inherited))
}

/// Starts the process when they are known. With a `mapping` this process is in its namespace, or is
/// root's. `inherited` as for [`begin`].
///
/// # Errors
/// When there is no process to be had.
pub fn stand_by(isolation: Isolation, mapping: Option<&Mapping>, inherited: Option<Inherited>) -> Result<Standby, NotStarted> {
    let runs_as = if mapping.is_some() { RunsAs::ClientsRoot } else { RunsAs::Account };
    child::stand_by(mapping, |orders| story(orders, isolation, Some(runs_as), inherited))
}

fn story(orders: &mut Orders, isolation: Isolation, known: Option<RunsAs>, inherited: Option<Inherited>) -> Stop {
    if let Some(inherited) = inherited {
        process::unlimit(inherited);
    }
    stopped(close_in(orders, isolation, known))
}

/// Why a process went no further; `None`: nobody wants it to.
type Stop = Option<String>;

fn stopped(by: Result<Infallible, Stop>) -> Stop {
    match by {
        Err(stop) => stop,
    }
}

fn close_in(orders: &mut Orders, isolation: Isolation, known: Option<RunsAs>) -> Result<Infallible, Stop> {
    let without = |part: Part| move |what: String| format!("{part}{what}");
    let (no_view, no_jail) = (without(Part::View), without(Part::Jail));
    let apart = if isolation.view { Some(view::leave(known == Some(RunsAs::ClientsRoot)).map_err(no_view)?) } else { None };
    if known.is_none() {
        orders.say_apart()?;
    }
    // Early, since it takes longest and nothing is denied yet.
    let prepared = filter::prepare(isolation, getppid()).map_err(no_jail)?;
    let runs_as = known.map_or_else(|| orders.learn_who(), |known| Ok(Some(known)))?.ok_or(None)?;
    let begun = apart.map(|apart| apart.begin(&spec::libraries_shown(), runs_as)).transpose().map_err(no_view)?;
    let sandbox: Sandbox = orders.receive(isolation)?.ok_or(None)?;
    let mapped = runs_as == RunsAs::ClientsRoot;
    let user = if mapped { 0 } else { geteuid().as_raw() };
    let front = sandbox.front.as_ref().map(|front| (front, user));
    begun.map_or(Ok(()), |begun| begun.finish(&sandbox.binds, sandbox.listing.as_ref(), front)).map_err(without(Part::Unseen))?;
    if mapped {
        // The last step that needs a power of the account's.
        view::leave_powers().map_err(without(Part::View))?;
        orders.be_mapped()?;
        process::become_root()?;
    }
    sandbox.limits.as_ref().map_or(Ok(()), process::bound)?;
    sandbox.grants.as_deref().map_or(Ok(()), jail::enter).map_err(|reason| no_jail(reason.detail))?;
    if matches!(isolation.filter, Some(Filter::History | Filter::Reader | Filter::Browse)) {
        process::give_up_power(users(runs_as, isolation)).map_err(no_jail)?;
    }
    // Without the gate nobody would make its links, count what it sends, or keep what it reads. After the view, because
    // a new user namespace resets it; before the gate is answered, which fails if the gate is gone.
    process::end_with_parent()?;
    // From here on a link waits for the gate.
    let listener = prepared.listener().map_err(no_jail)?;
    orders.ready(listener).map_err(no_jail)?;
    // What rsync does not use, every step before this one may.
    prepared.hold().map_err(no_jail)?;
    Err(Some(child::become_rsync(&sandbox).to_string()))
}

/// Of which namespace of users the process is in the end.
fn users(runs_as: RunsAs, isolation: Isolation) -> Users {
    match runs_as {
        RunsAs::ClientsRoot => Users::Client,
        RunsAs::Account if isolation.view => Users::Alone,
        RunsAs::Account => Users::Machine,
    }
}

/// Whom something is tried for. It is found out as a connection of theirs finds it out.
#[derive(Debug, Clone, Default)]
pub struct Whom {
    /// The account, with its groups; `None`: whoever runs this.
    pub account: Option<(Account, Vec<u32>)>,
    /// Where it keeps its clients' owners.
    pub mapping: Option<Mapping>,
}

/// Whether the kernel gives an account a view. Tried with rsync's version: nothing else shows it
/// for certain.
///
/// # Errors
/// With what the kernel said, for the administrator.
pub fn can_have_a_view(program: &Path, whom: &Whom) -> Result<(), String> {
    try_out(program, whom, Isolation { view: true, asks: false, filter: None })
}

/// Whether the kernel asks this process about the links of an rsync, and lets it look into that.
///
/// # Errors
/// With what the kernel said, for the administrator.
pub fn can_be_asked(program: &Path, whom: &Whom) -> Result<(), String> {
    // Who is mapped is never without a view.
    try_out(program, whom, Isolation { view: whom.mapping.is_some(), asks: true, filter: Some(Filter::History) })
}

/// In a process of its own, which may hang without holding up whoever asks.
fn try_out(program: &Path, whom: &Whom, isolation: Isolation) -> Result<(), String> {
    let answer = child::apart(VERSION_TIMEOUT, MAX_TRIED, |out| {
        let what = tried_out(program, whom, isolation).err().unwrap_or_else(|| HOLDS.to_owned());
        // Nobody who would read it, nobody who would miss it.
        let _ = out.write_all(what.as_bytes());
    });
    answered(&answer)
}

/// What is said of something that holds.
const HOLDS: &str = "holds";

/// What the process has written. It is the account's by then: others of the account may write there
/// as well.
fn answered(answer: &[u8]) -> Result<(), String> {
    match String::from_utf8_lossy(answer).as_ref() {
        HOLDS => Ok(()),
        "" => Err("it does not come to an end".to_owned()),
        what => Err(still_printable(what, MAX_TRIED)),
    }
}

fn tried_out(program: &Path, whom: &Whom, isolation: Isolation) -> Result<(), String> {
    process::silence()?;
    whom.account.as_ref().map_or(Ok(()), |(account, groups)| process::log_in(account, groups))?;
    let standby = match &whom.mapping {
        None => stand_by(isolation, None, None).map_err(NotStarted::what)?,
        Some(mapping) => {
            let begun = begin(isolation, None).map_err(NotStarted::what)?;
            let (namespace, standby) = child::begin_namespace(begun, mapping)?.finish()?;
            namespace.enter()?;
            standby
        }
    };
    let sandbox = Sandbox {
        isolation,
        limits: None,
        binds: vec![spec::program_shown(program)],
        front: None,
        listing: None,
        grants: None,
        directory: PathBuf::from("/"),
        program: program.to_path_buf(),
        argv: vec!["--version".into()],
    };
    let mut nobody = Nobody;
    standby.to_its_end(&sandbox, |listener, pid| attend(listener, pid, &mut nobody)).map_err(NotStarted::what)
}

/// An rsync that only says something about itself links nothing.
struct Nobody;

impl Links for Nobody {
    fn asked(&mut self, _: &[u8], _: &[u8]) -> Answer {
        Answer::Let
    }

    fn answer_lost(&mut self) {}
}

/// Makes this process one of the account's, and takes it to where it has root's power over its
/// clients' files, for good. No rsync has part in it. Only before there is a second thread.
///
/// # Errors
/// With what did not work, for the administrator.
pub fn reach(whom: &Whom) -> Result<(), String> {
    whom.account.as_ref().map_or(Ok(()), |(account, groups)| process::log_in(account, groups))?;
    let Some(mapping) = &whom.mapping else { return Ok(()) };
    let begun = begin(Isolation { view: true, asks: false, filter: None }, None).map_err(NotStarted::what)?;
    let (namespace, waiting) = child::begin_namespace(begun, mapping)?.finish()?;
    // It was there to be mapped, and becomes nothing.
    drop(waiting);
    namespace.enter()?;
    process::give_up_power(Users::Client)
}

/// Has `links` answer the questions of the rsync with this number, which come in on `listener`.
///
/// # Errors
/// With what the administrator can do, where the gate may not look into rsync.
pub fn attend(listener: OwnedFd, pid: Pid, links: &mut dyn Links) -> Result<Box<dyn Attend + '_>, String> {
    Ok(Box::new(Answering::new(listener, pid, links)?))
}

/// Gives the program with this number its front once it is loaded, and says in `came` how far that
/// came. It is loaded when it says so on `listener`.
pub fn attend_loading(listener: OwnedFd, pid: Pid, came: &RefCell<Came>) -> Box<dyn Attend + '_> {
    Box::new(Loading::new(listener, pid, came))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_account_may_have_written_in_another_s_place_is_printable() {
        assert_eq!(answered(b"holds"), Ok(()));
        assert_eq!(answered(b"\x1b]0;x\x07\nall is well"), Err(r"\u{1b}]0;x\u{7}\nall is well".to_owned()));
    }
}
