//! What a process does that is about to become rsync: it closes itself in, step by step, and then starts rsync in its own
//! place. It begins while the gate finds out who is there and what is on the disk, and waits in the middle to be told.
//!
//! It must never go on as anything but rsync: after the first step it can neither see nor do what a gate has to.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use crate::act::child::{self, NotStarted, Orders, Standby};
use crate::act::{filter, jail, process, view};
use crate::decide::cell::{self, Cell, Filter, Ground};
use crate::decide::supervision::Bounds;
use crate::terms::limits::{MAX_TRIED, VERSION_TIMEOUT};

/// Starts the process, on its ground. Only before there is a second thread.
///
/// # Errors
/// When there is no process to be had.
pub fn stand_by(ground: Ground) -> Result<Standby, NotStarted> {
    child::stand_by(|orders| stopped(close_in(orders, ground)))
}

/// Why a process went no further; `None`: nobody wants it to.
type Stop = Option<String>;

fn stopped(by: Result<Infallible, Stop>) -> Stop {
    match by {
        Err(stop) => stop,
    }
}

fn close_in(orders: &mut Orders, ground: Ground) -> Result<Infallible, Stop> {
    let no_view = |what: String| child::no_view(&what);
    let no_jail = |what: String| child::no_jail(&what);
    let begun = if ground.view { Some(view::begin(&cell::libraries_shown()).map_err(no_view)?) } else { None };
    // Before the rest is known: of all the steps it takes longest, and nothing that is still to do is denied by it.
    let installed = ground.filter.map(filter::install).transpose().map_err(no_jail)?;
    let cell: Cell = orders.receive(ground)?.ok_or(None)?;
    cell.limits.as_ref().map_or(Ok(()), process::bound)?;
    begun.map_or(Ok(()), |begun| begun.finish(&cell.binds)).map_err(|what| child::unseen(&what))?;
    cell.grants.as_deref().map_or(Ok(()), jail::enter).map_err(|reason| no_jail(reason.detail))?;
    let supervised = ground.filter == Some(Filter::History);
    if supervised {
        process::give_up_power().map_err(no_jail)?;
        // An rsync whose gate is gone could store nothing whole: nobody would make its changes of metadata. After the view, since
        // a new user namespace forgets it; before the gate is told, which fails if the gate is gone already.
        process::end_with_parent()?;
    }
    // From here on a change of metadata waits for the gate.
    let listener = installed.as_ref().map(filter::Installed::listener).transpose().map_err(no_jail)?;
    orders.ready(listener.flatten()).map_err(no_jail)?;
    Err(Some(child::become_rsync(&cell).to_string()))
}

/// Whether the account with these numbers (this process's own by default) gets a file system of its own from the kernel. Tried
/// with rsync's version, since nothing else tells for certain.
///
/// # Errors
/// With what the kernel said, for the administrator.
pub fn can_have_a_view(program: &Path, account: Option<(u32, u32)>) -> Result<(), String> {
    try_out(program, account, Ground { view: true, filter: None })
}

/// Whether the kernel hands the calls of such an rsync to this process, and lets it look into that.
///
/// # Errors
/// With what the kernel said, for the administrator.
pub fn can_be_supervised(program: &Path, account: Option<(u32, u32)>) -> Result<(), String> {
    try_out(program, account, Ground { view: false, filter: Some(Filter::History) })
}

/// In a process of its own, since what supervises goes on as long as the process that it is in, and nothing can be tried after it.
fn try_out(program: &Path, account: Option<(u32, u32)>, ground: Ground) -> Result<(), String> {
    const HOLDS: &str = "holds";
    let said = child::apart(VERSION_TIMEOUT, MAX_TRIED, |out| {
        let what = tried_out(program, account, ground).err().unwrap_or_else(|| HOLDS.to_owned());
        // Nobody who would read it, nobody who would miss it.
        let _ = out.write_all(what.as_bytes());
    });
    match String::from_utf8_lossy(&said).as_ref() {
        HOLDS => Ok(()),
        "" => Err("it does not come to an end".to_owned()),
        what => Err(what.to_owned()),
    }
}

fn tried_out(program: &Path, account: Option<(u32, u32)>, ground: Ground) -> Result<(), String> {
    let standby = child::stand_by(|orders| {
        let ready = process::silence().and_then(|()| account.map_or(Ok(()), process::become_account));
        ready.map_or_else(Some, |()| stopped(close_in(orders, ground)))
    });
    let cell = Cell {
        ground,
        limits: None,
        binds: vec![cell::program_shown(program)],
        grants: None,
        directory: PathBuf::from("/"),
        program: program.to_path_buf(),
        argv: vec!["--version".into()],
    };
    let supervise = |listener, pid| filter::supervise(listener, pid, Bounds { stage: PathBuf::from("/"), since: None });
    standby.and_then(|standby| standby.to_its_end(&cell, supervise)).map_err(NotStarted::what)
}
