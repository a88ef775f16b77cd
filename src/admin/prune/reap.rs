//! Frees what has been in the trash for long enough, of one client after another.
//!
//! The reaper gives way to a client's push, and goes on with the others. When only such clients
//! are left it waits for them, for a while: what is left then goes the next time.

use std::thread;
use std::time::Instant;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::client::{Client, failure};
use super::progress::Progress;
use super::reach::Said;
use super::told::Told;
use super::{Failure, LOOK};
use crate::act::child::pace;
use crate::act::prune::{Reaped, Trashed};
use crate::terms::limits::{MAX_REPORTED_TEXT, REAP_LIMIT, REAP_PATIENCE, REAP_POLL, REPEATED_AFTER};
use crate::terms::text::{counted, still_printable_lines};
use crate::terms::{Body, Code, Deed, Mail, Upkeep, Usage, exit};

/// What one visit to a client came to.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Visit {
    snapshots: u64,
    freed: Usage,
    problems: Vec<String>,
    in_all: u64,
    paused: bool,
    /// How many can still be brought back.
    waiting: usize,
    /// Whether another reaper is at work.
    taken: bool,
}

impl Said for Visit {
    fn checked(mut self) -> Self {
        self.problems.iter_mut().for_each(|problem| *problem = still_printable_lines(problem, MAX_REPORTED_TEXT));
        self
    }
}

/// Does it for each of these, and tells.
pub(super) fn in_turn(mut all: Vec<(&Client<'_>, &mut Told)>, progress: &Progress) {
    let begun = Instant::now();
    loop {
        all.retain_mut(|(client, told)| {
            progress.of(client.name().as_str());
            let visit = reach(client, client.grace(), progress);
            let is_done = match visit {
                Ok(visit) => tell(told, visit),
                Err(failure) => fail(told, failure),
            };
            is_done.then(|| progress.done());
            !is_done
        });
        if all.is_empty() || begun.elapsed() > REAP_PATIENCE {
            return;
        }
        thread::sleep(REAP_POLL);
    }
}

/// Does it for one client, as far as no push is in the way.
pub(in crate::admin) fn once(client: &Client<'_>) -> Result<Told, Failure> {
    let mut told = Told::default();
    let visit = reach(client, client.grace(), &Progress::new(1, true))?;
    tell(&mut told, visit);
    Ok(told)
}

fn fail(told: &mut Told, (what, code): Failure) -> bool {
    told.problems.push(what);
    told.exit = code;
    true
}

/// Returns whether nothing is left to do.
pub(super) fn tell(told: &mut Told, visit: Visit) -> bool {
    told.waiting = visit.waiting;
    told.reaped += visit.snapshots;
    if visit.freed != Usage::default() {
        told.freed = Some(told.freed.unwrap_or_default().and(visit.freed));
    }
    told.paused = visit.paused;
    if visit.in_all > 0 {
        told.exit = LOOK;
    } else if visit.taken {
        told.exit = exit::BUSY;
    }
    told.problems.extend(visit.problems);
    !visit.paused
}

/// Frees what has been in the trash for so long, as the client's account.
pub(super) fn reach(client: &Client<'_>, grace: TimeDelta, progress: &Progress) -> Result<Visit, Failure> {
    // The account may stop a program that is started as it, and that is waited for.
    pace::stand_back();
    client.reaching(|| visit(client, grace, progress))
}

fn visit(client: &Client<'_>, grace: TimeDelta, progress: &Progress) -> Result<Visit, Failure> {
    let Some(opened) = client.open()? else { return Ok(Visit::default()) };
    let trash = opened.trash().map_err(failure)?;
    let (due, waiting): (Vec<Trashed>, Vec<Trashed>) = trash.into_iter().partition(|trashed| client.now - trashed.at >= grace);
    let waiting = waiting.len();
    let reaped = match opened.reap_telling(&due, REAP_LIMIT, &|freed| progress.freed(freed)) {
        Ok(reaped) => reaped,
        Err(reason) if reason.code == Code::Busy => {
            return Ok(Visit { waiting, taken: true, problems: vec![reason.detail], ..Visit::default() });
        }
        Err(reason) => return Err(failure(reason)),
    };
    let Reaped { snapshots, bytes, inodes, problems, in_all, paused } = reaped;
    let freed = Usage { bytes, inodes };
    let mut happened = format!("{} gone for good", counted(snapshots, "snapshot", "snapshots"));
    if in_all > 0 {
        happened = format!("{happened}, and {} could not be removed", counted(in_all, "file", "files"));
    }
    let is_new = in_all > 0 && !client.was_told(&opened, &problems, REPEATED_AFTER);
    if inodes > 0 || snapshots > 0 || is_new {
        let mail = if is_new { Mail::Alert } else { Mail::None };
        let event = Upkeep { freed: Some(freed), problems: problems.clone(), ..Upkeep::of(happened, []) };
        client.record(&opened, &client.event(Body::Upkeep(Deed::Prune, Box::new(event)), mail));
    }
    Ok(Visit { snapshots, freed, problems, in_all, paused, waiting, taken: false })
}
