//! What there is to do, in the order in which it is done: a row in [`TASKS`] for each. What verifies
//! or mirrors a store later is a further row.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::told::Summary;
use crate::act::clock;
use crate::act::prune::{Dated, Opened};
use crate::admin::prune::{Client, Failure, LOOK, Said, failure, prune_once, reap_once, room_once, short};
use crate::decide::policy::{Policy, Site, WhenFull};
use crate::decide::quota::Holding;
use crate::terms::exit;
use crate::terms::limits::MAX_REPORTED_TEXT;
use crate::terms::text::{os_words, still_printable_lines};

/// A kind of upkeep.
#[derive(Debug)]
pub(super) struct Task {
    /// What it is called: in `status`, and in the note of when it was done last.
    pub(super) word: &'static str,
    /// Whether there is something to do.
    pub(super) is_due: fn(&Facts) -> bool,
    /// Whether it is done each time all the same, because it costs little and a policy may have
    /// changed.
    pub(super) always: bool,
    /// Does it, or looks. A push that runs is exit code 75 and no failure.
    pub(super) run: fn(&Client<'_>, bool, &mut Summary) -> Result<(), Failure>,
}

/// All of them. First comes what makes room, since what comes next may need some.
pub(super) const TASKS: [Task; 4] = [
    Task { word: "reap", is_due: Facts::has_something_to_free, always: false, run: reap },
    Task { word: "prune", is_due: Facts::has_a_new_snapshot, always: true, run: prune },
    Task { word: "room", is_due: Facts::has_to_make_room, always: false, run: room },
    Task { word: "logs", is_due: |facts| facts.is_older("logs", TimeDelta::hours(20)), always: false, run: logs },
];

/// What says whether something is due. None of it takes a walk.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct Facts {
    now: DateTime<Utc>,
    /// When each task was done last.
    pub(in crate::admin) last: Dated,
    /// When the newest snapshot began.
    pub(in crate::admin) newest: Option<DateTime<Utc>>,
    /// How many snapshots there are.
    pub(in crate::admin) snapshots: usize,
    /// How many wait in the trash.
    pub(in crate::admin) trash: usize,
    /// How many of these have waited for long enough.
    free: usize,
    /// Whether the reaper was interrupted.
    reaping: bool,
    /// What the client holds.
    pub(in crate::admin) holding: Holding,
    /// Whether a quota counts on that.
    counts: bool,
    /// Whether history has to be shortened.
    is_full: bool,
    /// How many snapshots are held.
    pub(in crate::admin) held: usize,
    /// Why it cannot be read what good pushes were like.
    pub(super) unread: Option<String>,
}

impl Facts {
    /// Of a client with that policy.
    pub(in crate::admin) fn of(policy: &Policy, site: &Site, now: DateTime<Utc>, opened: &Opened) -> Result<Self, Failure> {
        let (snapshots, newest) = opened.newest(&policy.names).map_err(failure)?;
        let trash = opened.trashed_at().map_err(failure)?;
        let grace = TimeDelta::hours(i64::from(policy.trash_grace.hours()));
        let free = trash.iter().filter(|at| now - **at >= grace).count();
        let (last, reaping) = (opened.maintained(), opened.is_reaping());
        let holding = opened.holding(newest.as_ref());
        let is_full = policy.when_full == WhenFull::Shorten && short(policy, site, opened, holding).is_some();
        Ok(Self {
            now,
            last,
            newest: newest.map(|newest| newest.at),
            snapshots,
            trash: trash.len(),
            free,
            reaping,
            holding,
            counts: policy.quota.is_set(),
            is_full,
            held: opened.held().map_err(failure)?,
            unread: opened.history().err().map(|reason| reason.detail),
        })
    }

    fn has_something_to_free(&self) -> bool {
        self.free > 0 || self.reaping
    }

    fn has_to_make_room(&self) -> bool {
        self.is_full || (self.counts && self.holding.due)
    }

    fn has_a_new_snapshot(&self) -> bool {
        self.newest.is_some_and(|newest| self.last.get("prune").is_none_or(|last| *last < newest || *last > self.now))
    }

    /// Whether that was done longer ago than this, or by a clock that is not right.
    fn is_older(&self, word: &str, than: TimeDelta) -> bool {
        self.last.get(word).is_none_or(|last| *last > self.now || self.now - *last >= than)
    }
}

/// What is due, by its words.
pub(in crate::admin) fn due(facts: &Facts) -> Vec<&'static str> {
    TASKS.iter().filter(|task| (task.is_due)(facts)).map(|task| task.word).collect()
}

fn reap(client: &Client<'_>, dry_run: bool, summary: &mut Summary) -> Result<(), Failure> {
    if dry_run { Ok(()) } else { summary.add(reap_once(client)?) }
}

fn prune(client: &Client<'_>, dry_run: bool, summary: &mut Summary) -> Result<(), Failure> {
    summary.add(prune_once(client, dry_run)?)
}

/// Counts anew what is held, where that is not known, and shortens history where a policy wants it.
fn room(client: &Client<'_>, dry_run: bool, summary: &mut Summary) -> Result<(), Failure> {
    if dry_run { Ok(()) } else { summary.add(room_once(client, summary.waiting)) }
}

/// What is kept about the past has an end, too.
fn logs(client: &Client<'_>, dry_run: bool, summary: &mut Summary) -> Result<(), Failure> {
    if dry_run {
        return Ok(());
    }
    let Forgotten { logs, ledgers, broken, problems } = client.reaching(|| forget(client))?;
    (summary.logs, summary.ledgers, summary.broken) = (logs, ledgers, broken);
    summary.problems.extend(problems);
    Ok(())
}

/// What is no longer remembered.
#[derive(Default, Serialize, Deserialize)]
struct Forgotten {
    logs: u64,
    ledgers: u64,
    broken: u64,
    problems: Vec<String>,
}

fn forget(client: &Client<'_>) -> Result<Forgotten, Failure> {
    let opened = client.existing()?;
    let keep = TimeDelta::hours(i64::from(client.site.logs_keep.hours()));
    let logs = opened.forget_logs(client.now - keep).map_err(failure)?;
    let trash: BTreeSet<String> = opened.trash().map_err(failure)?.into_iter().map(|trashed| trashed.name).collect();
    let is_there = |name: &str| trash.contains(name) || opened.has(name);
    let old = opened.ledgers();
    opened.note_partial(is_there).map_err(failure)?;
    old.rotate(client.now).map_err(|error| trouble("setting the ledger aside", &error))?;
    let ledgers = old.forget(client.now - keep, is_there).map_err(|error| trouble("removing an old ledger", &error))?;
    let broken = opened.forget_broken(clock::kernel() - keep).map_err(failure)?;
    Ok(Forgotten { logs, ledgers, broken: broken.snapshots, problems: broken.problems })
}

impl Said for Forgotten {
    fn checked(mut self) -> Self {
        self.problems.iter_mut().for_each(|problem| *problem = still_printable_lines(problem, MAX_REPORTED_TEXT));
        self
    }
}

impl Said for Option<Facts> {
    fn checked(self) -> Self {
        self
    }
}

impl Said for bool {
    fn checked(self) -> Self {
        self
    }
}

fn trouble(doing: &str, error: &std::io::Error) -> Failure {
    let code = if error.kind() == std::io::ErrorKind::ResourceBusy { exit::BUSY } else { LOOK };
    (format!("{doing}: {}", os_words(error)), code)
}
