//! What will be done, once a permit is there and the disk has been looked at. A [`Run`] can be made here only, and
//! nothing else is ever executed for a client.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::decide::argv::{self, Setup, Version};
use crate::decide::command::Push;
use crate::decide::policy::Policy;
use crate::decide::rrsync::{self, Aim, Direction, Transfer};
use crate::terms::limits::{MAX_NAME_LEAD, MAX_PARTS};
use crate::terms::path::SubPath;
use crate::terms::reason::{Code, Reason};
use crate::terms::shelf::Shelf;
use crate::terms::snapshot::{NamePattern, SnapshotName};

/// A push, decided: what it is called, where it lands, what happens when it succeeds.
#[derive(Debug, Clone)]
pub struct PushPlan {
    push: Push,
    name: SnapshotName,
    joins: bool,
    has_newest: bool,
    deadline: Duration,
    idle: Duration,
}

/// One rsync to run: the only thing that `act` executes for a client.
#[derive(Debug, Clone)]
pub struct Run {
    program: PathBuf,
    argv: Vec<OsString>,
    directory: PathBuf,
    grants: Vec<Grant>,
    deadline: Duration,
    idle: Option<Duration>,
}

/// A part of the file system that the jail opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The path, and everything beneath it.
    pub path: PathBuf,
    /// What may be done there.
    pub access: Access,
    /// Whether the jail may stand without it, because not every system has the path.
    pub optional: bool,
}

/// What may be done beneath a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and execute: rsync and its libraries.
    Execute,
    /// Read one file or directory.
    Read,
    /// Read, and remove files: a pull that takes away what it has sent.
    Take,
    /// Read, and write without creating: `/dev/null`, the run's log.
    ReadWrite,
    /// Read, and link from. The kernel also wants the right to write here, or links fail and rsync copies in silence
    /// (Documentation/userspace-api/landlock.rst, "File hierarchy").
    Link,
    /// Everything but execute and making devices: where the push lands.
    Stage,
    /// As `Stage`, and FIFOs and sockets: an rsync too old for `--drop-D` ends with 23 without them.
    StageSpecials,
}

impl Access {
    /// The words in `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "read, execute",
            Self::Read => "read",
            Self::Take => "read, remove files",
            Self::ReadWrite => "read, write",
            Self::Link => "read, link from",
            Self::Stage => "read, write, create, remove",
            Self::StageSpecials => "read, write, create (FIFOs too), remove",
        }
    }
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
    /// The fresh, empty directory.
    pub stage: PathBuf,
    /// Trees that unchanged files are linked from: each the root that is opened in the jail and the directory in it
    /// that the push corresponds to, the most promising first and the newest snapshot last.
    pub bases: Vec<(PathBuf, PathBuf)>,
    /// The directory that rsync puts unfinished files into, by a name that no client can know.
    pub partial_dir: String,
    /// The run's log.
    pub log: PathBuf,
    /// Whether rsync is jailed.
    pub jailed: bool,
}

/// Plans a push, by what is on the shelf.
///
/// # Errors
/// When the snapshot could have no name, or its transaction no further push.
pub fn push(push: &Push, policy: &Policy, shelf: &Shelf, at: DateTime<Utc>) -> Result<PushPlan, Reason> {
    let joined = shelf.transaction.as_ref().filter(|transaction| !transaction.is_stale(at, policy.deadline));
    if joined.is_some_and(|transaction| transaction.parts + transaction.unfinished.len() >= MAX_PARTS) {
        return Err(Reason::new(Code::Transaction, "too many pushes in one transaction").hint("say `complete`, then `prepare` again"));
    }
    let began = joined.map_or(at, |transaction| transaction.began);
    let name = name(&policy.names, began, at, shelf.newest.as_ref())?;
    let has_newest = shelf.newest.is_some();
    Ok(PushPlan { push: push.clone(), name, joins: joined.is_some(), has_newest, deadline: policy.deadline, idle: policy.idle })
}

/// Chooses the name of a snapshot whose push began at `began`: that time, or just after the newest one.
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
    if name.at() > newest.at() {
        return Ok(name);
    }
    let lead = chrono::Duration::from_std(MAX_NAME_LEAD).unwrap_or_default();
    if newest.at() > now + lead {
        return Err(Reason::new(Code::Clock, "the server cannot store anything right now")
            .hint("try again later; the administrator has been told")
            .detail(format!("the clock shows {}, before the newest snapshot `{newest}`", now.format("%Y-%m-%dT%H:%M:%SZ")))
            .remedy("set the clock, or move the snapshot away if its name is wrong"));
    }
    let next = pattern.after(newest);
    if next.at() > now + lead {
        return Err(Reason::new(Code::TooSoon, "there is a snapshot of this time already")
            .hint(format!("try again after {}", next.at().format("%Y-%m-%d %H:%M:%S UTC")))
            .detail(format!("`{newest}` exists and the next name that `{pattern}` gives is `{next}`"))
            .remedy("use a finer pattern in `snapshots: {name: …}` if the client may push this often"));
    }
    Ok(next)
}

impl PushPlan {
    /// Where inside the snapshot.
    #[must_use]
    pub fn place(&self) -> &SubPath {
        self.push.place()
    }

    /// What the snapshot will be called.
    #[must_use]
    pub fn name(&self) -> &SnapshotName {
        &self.name
    }

    /// Whether the push waits for `complete` instead of being published by itself.
    #[must_use]
    pub fn joins(&self) -> bool {
        self.joins
    }

    /// Whether rsync was asked to change nothing, so that nothing may be published.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.push.is_dry()
    }

    /// Whether rsync compares files by size alone, so that only whole files may be linked from.
    #[must_use]
    pub fn trusts_size(&self) -> bool {
        self.push.trusts_size()
    }

    /// What was accepted and not passed on, and what only the policy let in, for the run's log.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        [self.push.notes(), &self.push.widened()].concat()
    }

    /// What the administrator should know of although it is allowed.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        self.push.warnings()
    }

    /// The rsync to run.
    #[must_use]
    pub fn run(&self, mut places: Places) -> Run {
        if !self.push.tells_capabilities() && places.bases.len() > 1 {
            // It may speak a protocol before 29, as openrsync does (27), and then rsync ends over a second `--link-dest`
            // (compat.c). Without the newest snapshot nothing would be shared; before there is one, an unfinished push is all.
            let kept = if self.has_newest { places.bases.len() - 1 } else { 0 };
            places.bases = places.bases.drain(kept..=kept).collect();
        }
        let directory = self.place().below(&places.stage);
        let grants = grants(&places);
        let setup = Setup {
            version: places.version,
            jailed: places.jailed,
            root: places.root,
            idle: self.idle,
            link_dests: places.bases.iter().map(|(_, place)| place.clone()).collect(),
            partial_dir: places.partial_dir,
            log: places.log,
        };
        let argv = argv::for_push(&self.push, &setup);
        Run { program: places.program, argv, directory, grants, deadline: self.deadline, idle: Some(self.idle) }
    }
}

impl Run {
    /// The program, absolute.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its arguments, without its name.
    #[must_use]
    pub fn argv(&self) -> &[OsString] {
        &self.argv
    }

    /// Where it starts.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the jail opens.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// When it is ended.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// When it is ended because nothing moves; `None`: never.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.idle
    }
}

/// A run of `snapgate rrsync`, which has no limit of time unless the client asked for one. `start` is the directory that rsync is
/// started in; the jail opens DIR, for writing where files go there.
#[must_use]
pub fn transfer(transfer: &Transfer, setup: &rrsync::Setup<'_>, program: &Path, start: PathBuf) -> Run {
    let dir = match transfer.direction() {
        Direction::Push if setup.version >= argv::DEFENCES => Access::Stage,
        Direction::Push => Access::StageSpecials,
        Direction::Pull if transfer.removes() => Access::Take,
        Direction::Pull => Access::Read,
    };
    let mut grants = system(program);
    // Owners and groups travel by name here, as they do for rrsync.
    for path in ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"] {
        grants.push(Grant { path: path.into(), access: Access::Read, optional: true });
    }
    grants.push(Grant { path: setup.root.to_path_buf(), access: dir, optional: false });
    let logs = transfer.options().zip(&setup.options).filter(|((aim, _), _)| *aim == Aim::Log);
    let logs = logs.filter_map(|(_, spot)| spot.as_ref());
    grants.extend(logs.map(|log| Grant { path: log.path().into(), access: Access::ReadWrite, optional: false }));
    let argv = rrsync::printed(transfer, setup);
    Run { program: program.to_path_buf(), argv, directory: start, grants, deadline: Duration::MAX, idle: None }
}

/// What a jailed rsync needs, and nothing else. It needs neither `/etc/passwd` nor `/proc` (measured on Linux 6.18).
fn grants(places: &Places) -> Vec<Grant> {
    let stage = if places.version >= argv::DEFENCES { Access::Stage } else { Access::StageSpecials };
    let mut grants = system(&places.program);
    grants.push(Grant { path: places.log.clone(), access: Access::ReadWrite, optional: false });
    grants.push(Grant { path: places.stage.clone(), access: stage, optional: false });
    grants.extend(places.bases.iter().map(|(root, _)| Grant { path: root.clone(), access: Access::Link, optional: false }));
    grants
}

/// rsync itself and what every program needs.
fn system(program: &Path) -> Vec<Grant> {
    let grant = |path: &Path, access, optional| Grant { path: path.to_path_buf(), access, optional };
    vec![
        grant(program, Access::Execute, false),
        grant(Path::new("/usr/lib"), Access::Execute, true),
        grant(Path::new("/usr/lib64"), Access::Execute, true),
        grant(Path::new("/usr/local/lib"), Access::Execute, true),
        grant(Path::new("/lib"), Access::Execute, true),
        grant(Path::new("/lib64"), Access::Execute, true),
        grant(Path::new("/etc/ld.so.cache"), Access::Read, true),
        grant(Path::new("/dev/null"), Access::ReadWrite, false),
        grant(Path::new("/dev/urandom"), Access::Read, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_the_time_the_push_began() {
        let pattern = NamePattern::default();
        let began = at("2026-11-21T02:00:00Z");
        let chosen = name(&pattern, began, at("2026-11-21T02:10:00Z"), None).unwrap();
        assert_eq!(chosen.as_str(), "2026-11-21T02-00-00Z");
    }

    #[test]
    fn two_pushes_in_one_second_get_two_names_in_order() {
        let pattern = NamePattern::default();
        let now = at("2026-11-21T02:00:00Z");
        let newest = pattern.name_at(now);
        let chosen = name(&pattern, now, now, Some(&newest)).unwrap();
        assert_eq!(chosen.as_str(), "2026-11-21T02-00-01Z");
    }

    #[test]
    fn a_clock_before_the_newest_snapshot_is_refused() {
        let pattern = NamePattern::default();
        let newest = pattern.name_at(at("2099-01-01T00:00:00Z"));
        let now = at("2026-11-21T02:00:00Z");
        assert_eq!(name(&pattern, now, now, Some(&newest)).unwrap_err().code, Code::Clock);
    }

    #[test]
    fn a_day_that_is_taken_says_when_the_next_one_is() {
        let pattern = NamePattern::new("%Y-%m-%d").unwrap();
        let now = at("2026-11-21T02:00:00Z");
        let newest = pattern.name_at(now);
        let refused = name(&pattern, now, now, Some(&newest)).unwrap_err();
        assert_eq!(refused.code, Code::TooSoon);
        assert_eq!(refused.hint.unwrap(), "try again after 2026-11-22 00:00:00 UTC");
    }
}

#[cfg(test)]
mod basis_tests;
