//! What will be done, after the permit and a look at the disk. Only this module makes a [`Run`],
//! and nothing else is executed for a client.

mod beneath;
mod within;

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::decide::judge::closing::Closing;
use crate::decide::policy::{Limits, Policy};
use crate::decide::push::links::{Basis, Layout, Tree};
use crate::decide::push::parts;
use crate::decide::rsync::argv::{self, Setup, Version};
use crate::decide::rsync::command::Push;
use crate::decide::rsync::options::Choice;
use crate::decide::sandbox::spec::{self, Access, Bind, Confinement, Grant, Ids, Isolation, Kind, Sandbox};
use crate::terms::limits::{MAX_NAME_LEAD, MAX_PARTS};
use crate::terms::{Code, Mapping, NamePattern, Owners, Reason, RepositoryState, SnapshotName, SubPath};

pub use beneath::transfer;

/// A push, decided: what it is called, where it lands, what happens when it succeeds.
#[derive(Debug, Clone)]
pub struct PushPlan {
    push: Push,
    name: SnapshotName,
    joins: bool,
    has_newest: bool,
    deadline: Duration,
    idle: Duration,
    limits: Limits,
    options: Choice,
    closing: Option<Closing>,
}

/// One rsync to run: the only thing that `act` executes for a client.
#[derive(Debug, Clone)]
#[must_use]
pub struct Run {
    sandbox: Sandbox,
    layout: Layout,
    deadline: Duration,
    idle: Option<Duration>,
    until: Option<DateTime<Utc>>,
    reads: bool,
    while_read: bool,
}

/// Where things stand on the server, for a push that is about to run.
#[derive(Debug, Clone)]
pub struct Places {
    /// The repository; everything that rsync is given lies below it.
    pub root: PathBuf,
    /// The real rsync.
    pub program: PathBuf,
    /// Its version.
    pub version: Version,
    /// The fresh, empty directory, without a symlink on the way to it.
    pub stage: PathBuf,
    /// What unchanged files are linked from: trees with the push's place, the most promising first
    /// and the newest snapshot of it last.
    pub bases: Vec<Tree>,
    /// The directory that rsync puts unfinished files into, by a name that no client can know.
    pub partial_dir: String,
    /// The run's log.
    pub log: PathBuf,
    /// What holds rsync.
    pub confinement: Confinement,
    /// Where the client's ids stand, where they are kept.
    pub mapping: Option<Mapping>,
    /// How many processes and threads the machine runs, where a limit on them holds.
    pub running: Option<u64>,
    /// Whether rsync is to log owners.
    pub logs_owners: bool,
}

/// Plans a push, by what is on the state.
///
/// # Errors
/// If the snapshot could have no name, its transaction takes no further push, or the policy no part
/// by itself.
pub fn push(push: &Push, policy: &Policy, state: &RepositoryState, at: DateTime<Utc>) -> Result<PushPlan, Reason> {
    let joined = state.transaction.as_ref().filter(|transaction| !transaction.is_stale(at, policy.deadline));
    parts::admit(policy, push.place(), joined.is_some())?;
    if joined.is_some_and(|transaction| transaction.parts + transaction.unfinished.len() >= MAX_PARTS) {
        return Err(Reason::new(Code::Transaction, "too many pushes in one transaction").hint("say `complete`, then `prepare` again"));
    }
    let began = joined.map_or(at, |transaction| transaction.began);
    let name = name(&policy.names, began, at, state.newest.as_ref())?;
    let has_newest = state.newest.is_some();
    let (deadline, idle, limits, options) = (policy.deadline, policy.idle, policy.limits, policy.options.clone());
    Ok(PushPlan { push: push.clone(), name, joins: joined.is_some(), has_newest, deadline, idle, limits, options, closing: None })
}

/// The name of a snapshot whose push began at `began`: that time, or just after the newest one.
///
/// # Errors
/// When `now` is before the newest snapshot, or its unit of time is already taken.
pub fn name(
    pattern: &NamePattern,
    began: DateTime<Utc>,
    now: DateTime<Utc>,
    newest: Option<&SnapshotName>,
) -> Result<SnapshotName, Reason> {
    let name = pattern.name_at(began);
    let Some(newest) = newest else { return Ok(name) };
    if name.at > newest.at {
        return Ok(name);
    }
    let lead = chrono::Duration::from_std(MAX_NAME_LEAD).unwrap_or_default();
    if newest.at > now + lead {
        let detail = format!("the clock shows {}, before the newest snapshot `{newest}`", now.format("%Y-%m-%dT%H:%M:%SZ"));
        return Err(Reason::of_the_server(Code::Clock, detail).remedy("set the clock, or move the snapshot away if its name is wrong"));
    }
    let next = pattern.after(newest);
    if next.at > now + lead {
        return Err(Reason::new(Code::TooSoon, "there is a snapshot of this time already")
            .hint(format!("try again after {}", next.at.format("%Y-%m-%d %H:%M:%S UTC")))
            .detail(format!("`{newest}` exists and the next name that `{pattern}` gives is `{next}`"))
            .remedy("use a finer pattern in `snapshots: {name: …}` if the client may push this often")
            .passing());
    }
    Ok(next)
}

/// What is to hold the rsync of a push, as far as the kernel can.
pub fn confinement(push: &Push, jail: bool, owners: &Owners) -> Confinement {
    match jail {
        false => Confinement::None,
        true if push.does_without_namespaces(owners) => Confinement::Jail,
        true => Confinement::View,
    }
}

impl PushPlan {
    /// The same push, to be ended when the client's time is over.
    #[must_use]
    pub fn until(self, closing: Option<&Closing>) -> Self {
        Self { closing: closing.cloned(), ..self }
    }

    /// When it is ended because the client's time is over.
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    /// Where inside the snapshot.
    pub fn place(&self) -> &SubPath {
        self.push.place()
    }

    /// What the snapshot will be called.
    pub fn name(&self) -> &SnapshotName {
        &self.name
    }

    /// Whether the push waits for `complete` instead of being published by itself.
    pub fn joins(&self) -> bool {
        self.joins
    }

    /// Whether rsync was asked to change nothing, so that nothing may be published.
    pub fn is_dry(&self) -> bool {
        self.push.is_dry()
    }

    /// Whether what is at its place and was not sent is to go.
    pub fn deletes(&self) -> bool {
        self.push.deletes()
    }

    /// Whether owners come with it that are not kept, so that the files of others are counted.
    pub fn drops_owners(&self, owners: &Owners) -> bool {
        *owners == Owners::Account && self.push.keeps_users() && !self.is_dry()
    }

    /// Whether rsync compares files by size alone, so that only whole files may be linked from.
    pub fn trusts_size(&self) -> bool {
        self.push.trusts_size()
    }

    /// Whether the client has all its files sent again.
    pub fn ignores_times(&self) -> bool {
        self.push.ignores_times()
    }

    /// Whether its rsync can tell by times, or otherwise, that a file has not changed.
    pub fn keeps_times(&self) -> bool {
        self.push.tells_changes()
    }

    /// Whether files may be built on parts that were set aside, with these bases.
    pub fn builds_on(&self, bases: &[Basis]) -> bool {
        !self.push.sends_whole_files() && bases.iter().any(|basis| basis.tree.is_set_aside())
    }

    /// Whether the next push like this one could use what is kept of it, with these bases.
    pub fn can_go_on(&self, bases: &[Basis]) -> bool {
        self.push.lists_capabilities() || bases.iter().all(|basis| basis.tree.is_set_aside())
    }

    /// Whether access lists come with it.
    pub fn keeps_access_lists(&self) -> bool {
        self.push.keeps_access_lists()
    }

    /// Whether hard links among the client's files are kept: rsync then looks again at names that
    /// it linked.
    pub fn keeps_hard_links(&self) -> bool {
        self.push.keeps_hard_links()
    }

    /// For the run's log: what was accepted and not passed on, what only the policy permits, what
    /// it forces.
    pub fn notes(&self, owners: &Owners) -> Vec<String> {
        let outlasted = self.push.outlasted(self.deadline);
        let unmaps = (owners.mapping().is_some() && self.push.unmaps_lists())
            .then(|| "`--numeric-ids` was not passed on: ids in access lists that cannot be kept would be errors".to_owned());
        self.push.notes().iter().cloned().chain(outlasted).chain(unmaps).chain(self.push.widened()).chain(self.options.forces()).collect()
    }

    /// What the administrator should know of although it is allowed.
    pub fn warnings(&self) -> &[String] {
        self.push.warnings()
    }

    /// The rsync to run.
    pub fn run(&self, mut places: Places) -> Run {
        if !self.push.lists_capabilities() && places.bases.len() > 1 {
            // It may speak a protocol before 29, as openrsync does (27): then rsync fails on a
            // second `--link-dest` (compat.c). The newest snapshot shares most; before there is
            // one, an unfinished push.
            let is_newest = |tree: &Tree| self.has_newest && !tree.is_set_aside();
            let kept = if places.bases.last().is_some_and(is_newest) { places.bases.len() - 1 } else { 0 };
            places.bases = places.bases.drain(kept..=kept).collect();
        }
        let (confinement, isolation) = (places.confinement, Isolation::new(places.confinement));
        let seen = Seen::of(&places, self.place(), isolation.view);
        let binds = if isolation.view { binds(&places, &seen) } else { Vec::new() };
        let grants = (confinement != Confinement::None).then(|| grants(&places, &seen));
        let directory = self.place().below(&seen.stage);
        let setup = Setup {
            version: places.version,
            confinement,
            root: places.root,
            idle: self.deadline,
            link_dests: seen.bases.iter().map(|basis| basis.seen.clone()).collect(),
            partial_dir: places.partial_dir.clone(),
            log: seen.log,
            ids: places.mapping.as_ref().map(Ids::of),
            logs_owners: places.logs_owners,
            forced: self.options.forced().filter_map(|row| row.long.first().copied()).collect(),
        };
        let argv = argv::for_push(&self.push, &setup);
        // In a namespace of users the kernel counts anew (user_namespaces(7), `RLIMIT_NPROC`).
        let running = if isolation.view { places.running.map(|_| 0) } else { places.running };
        let limits = Some(limits(self.limits.memory, self.limits.processes, self.limits.bytes, running));
        let layout = Layout { start: directory.clone(), bases: seen.bases, partial_dir: places.partial_dir };
        let sandbox = Sandbox { isolation, limits, binds, listing: None, front: None, grants, directory, program: places.program, argv };
        let (until, reads) = (self.closing.as_ref().map(|closing| closing.at), self.push.reads_for_list());
        Run { sandbox, layout, deadline: self.deadline, idle: Some(self.idle), until, reads, while_read: false }
    }
}

impl Run {
    /// The rsync, and what closes it in.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The directories that its links are between.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// When it is ended.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Whether the client reads its files for its list, and is silent meanwhile.
    pub fn reads_for_list(&self) -> bool {
        self.reads
    }

    /// Whether it is ended when nobody reads any more what it says.
    pub fn ends_unread(&self) -> bool {
        self.while_read
    }

    /// When it is ended by the clock on the wall; `None`: never.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.until
    }

    /// When it is ended because nothing moves and the client has to send; `None`: never.
    pub fn idle(&self) -> Option<Duration> {
        self.idle
    }
}

/// The stage in a view. rsync's messages show this path, and so nothing about the server.
const STAGE: &str = "/stage";
/// Where what it is compared with is seen: a directory for each, with a number.
const BASIS: &str = "/basis";
/// Where rsync's log is seen.
const LOG: &str = "/rsync.log";

/// Places as rsync sees them.
struct Seen {
    stage: PathBuf,
    /// The trees themselves, as the jail opens them.
    trees: Vec<PathBuf>,
    bases: Vec<Basis>,
    log: PathBuf,
}

impl Seen {
    fn of(places: &Places, place: &SubPath, view: bool) -> Self {
        let shown = |(number, tree): (usize, &Tree)| if view { Path::new(BASIS).join(number.to_string()) } else { tree.root.clone() };
        let trees: Vec<_> = places.bases.iter().enumerate().map(shown).collect();
        let basis = |(tree, shown): (&Tree, &PathBuf)| Basis { tree: tree.clone(), seen: place.below(shown) };
        let bases = places.bases.iter().zip(&trees).map(basis).collect();
        if view {
            Self { stage: STAGE.into(), trees, bases, log: LOG.into() }
        } else {
            Self { stage: places.stage.clone(), trees, bases, log: places.log.clone() }
        }
    }
}

/// What rsync may use. The kernel counts all processes of the account, and only a slow look at
/// every process would show how many of `running` are its own: so `processes` are allowed besides
/// as many as the machine runs. `None`: no limit applies.
fn limits(memory: u64, processes: u64, file_size: Option<u64>, running: Option<u64>) -> spec::Limits {
    spec::Limits { memory, processes: running.map(|running| running.saturating_add(processes)), file_size }
}

/// What a view shows of the server's data: the stage to write to, and what it is compared with,
/// read-only, each a mount of its own. A link never crosses mounts (EXDEV, link(2)).
fn binds(places: &Places, seen: &Seen) -> Vec<Bind> {
    let bind = |from: &Path, to: &Path, kind| Bind { from: from.to_path_buf(), to: to.to_path_buf(), kind, optional: false };
    let mut binds = vec![spec::program_shown(&places.program), bind(&places.stage, &seen.stage, Kind::Stage)];
    binds.extend(places.bases.iter().zip(&seen.trees).map(|(tree, seen)| bind(&tree.root, seen, Kind::History)));
    binds.push(bind(&places.log, &seen.log, Kind::Writable));
    binds
}

/// What a jailed rsync may touch, and nothing else.
fn grants(places: &Places, seen: &Seen) -> Vec<Grant> {
    let grant = |path: &Path, access| Grant { path: path.to_path_buf(), access, optional: false };
    let stage = if places.version >= argv::DEFENCES { Access::Stage } else { Access::StageSpecials };
    let mut grants = spec::system(&places.program);
    grants.extend([grant(&seen.log, Access::ReadWrite), grant(&seen.stage, stage)]);
    grants.extend(seen.trees.iter().map(|tree| grant(tree, Access::Read)));
    grants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The name of a push at two o'clock, when the newest snapshot is of this time.
    fn named(pattern: &str, newest: Option<&str>) -> Result<SnapshotName, Reason> {
        let pattern = NamePattern::new(pattern).unwrap();
        let (began, newest) = (at("2026-11-21T02:00:00Z"), newest.map(|newest| pattern.name_at(at(newest))));
        name(&pattern, began, at("2026-11-21T02:00:10Z"), newest.as_ref())
    }

    #[test]
    fn a_name_is_the_time_the_push_began_or_the_next_one() {
        for (newest, expected) in [(None, "2026-11-21T02-00-00Z"), (Some("2026-11-21T02:00:00Z"), "2026-11-21T02-00-01Z")] {
            assert_eq!(named(NamePattern::DEFAULT, newest).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_clock_before_the_newest_snapshot_is_refused() {
        assert_eq!(named(NamePattern::DEFAULT, Some("2099-01-01T00:00:00Z")).unwrap_err().code, Code::Clock);
    }

    #[test]
    fn a_day_that_is_taken_says_when_the_next_one_is() {
        let refused = named("%Y-%m-%d", Some("2026-11-21T02:00:00Z")).unwrap_err();
        assert_eq!((refused.code, refused.hint.as_deref()), (Code::TooSoon, Some("try again after 2026-11-22 00:00:00 UTC")));
    }
}

#[cfg(test)]
pub(super) mod basis_tests;
