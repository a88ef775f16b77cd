//! A look around with sftp, scp or sshfs: OpenSSH's own sftp-server, whose root is the client's
//! snapshots and `current`.
//!
//! No word of the client's is in what runs.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::path::Path;

use super::cell::SNAPSHOTS;
use super::pull;
use crate::decide::policy::{Policy, Site};
use crate::decide::push::outcome::Ended;
use crate::decide::push::plan::Run;
use crate::decide::sandbox::spec::{self, Access, Bind, FRONT, Filter, Front, Grant, Isolation, Kind, Limits, PASSWD, Sandbox};
use crate::terms::limits::{BROWSE_IDLE, BROWSE_MEMORY, MAX_LISTED};
use crate::terms::{Code, Reason, SnapshotName};

/// The newest snapshot, as the client sees it. A symlink: it says which one it is, and whoever takes
/// everything does not take that twice.
const CURRENT: &str = "current";

/// What it answers, whatever later ones can do. None of it changes anything, and nothing is told of
/// the server's disk (`statvfs`) or of its accounts (`users-groups-by-id`).
const REQUESTS: &str = "open,close,read,lstat,fstat,opendir,readdir,realpath,stat,readlink,limits,expand-path,home-directory";

/// What it stands on. It is never without a file system of its own, or it would show the server's;
/// `jail: off` takes Landlock alone.
pub const ISOLATION: Isolation = Isolation { view: true, asks: false, filter: Some(Filter::Browse) };

/// What is browsed.
#[derive(Debug, Clone, Copy)]
pub struct Browsed<'a> {
    /// A repository's `snapshots/`.
    pub snapshots: &'a Path,
    /// Those that are in it.
    pub names: &'a [SnapshotName],
    /// The one that `current` leads to.
    pub current: Option<&'a SnapshotName>,
}

/// The sftp-server that shows it.
pub fn run(site: &Site, policy: &Policy, browsed: Browsed<'_>) -> Run {
    let Browsed { snapshots, names, current } = browsed;
    let program = &site.sftp_server;
    let history = Bind { from: snapshots.to_path_buf(), to: SNAPSHOTS.into(), kind: Kind::History, optional: false };
    let read = |path: &str| Grant { path: path.into(), access: Access::Read, optional: false };
    let grants = || spec::system(program).into_iter().chain([read(PASSWD), read(FRONT)]).collect();
    let sandbox = Sandbox {
        isolation: ISOLATION,
        // It starts nothing and writes no file.
        limits: Some(Limits { memory: BROWSE_MEMORY, processes: None, file_size: Some(0) }),
        binds: vec![spec::program_shown(program), history],
        listing: None,
        front: Some(Front {
            names: shown(names, current).map(ToString::to_string).collect(),
            from: SNAPSHOTS.into(),
            link: current.map(|name| (CURRENT.to_owned(), name.to_string())),
        }),
        grants: site.jail.then(grants),
        directory: "/".into(),
        program: program.clone(),
        argv: ["-R", "-l", "QUIET", "-p", REQUESTS].map(OsString::from).to_vec(),
    };
    Run::unlimited(sandbox).within(policy.deadline, BROWSE_IDLE)
}

/// The newest snapshots, and `current`: each is a mount, of which the kernel has a number, and whose
/// memory counts for nobody.
fn shown<'a>(names: &'a [SnapshotName], current: Option<&'a SnapshotName>) -> impl Iterator<Item = &'a SnapshotName> {
    let mut all: Vec<&SnapshotName> = names.iter().collect();
    all.sort_by_key(|name| Reverse(name.at));
    all.truncate(MAX_LISTED);
    let older = current.filter(|current| !all.contains(current));
    all.into_iter().chain(older)
}

/// The reason where it does not run.
pub fn broken(what: &str, site: &Site) -> Reason {
    Reason::of_the_server(Code::SftpServer, format!("`{}` did not start: {what}", site.sftp_server.display()))
        .remedy("install openssh-sftp-server, or set `sftp_server:` in the site file to the path of OpenSSH's sftp-server")
        .rule(site.origins.of("sftp_server"))
}

/// The reason for an end that was not the client's own, and whether that is a fault. A client that
/// goes, or that says what is no sftp, is no reason.
pub fn stopped(ended: Ended, policy: &Policy) -> Option<(Reason, bool)> {
    let over = |detail: String| {
        let reason = Reason::new(Code::Deadline, "the session was ended: its time was over").hint("connect again");
        Some((reason.detail(detail).remedy("nothing: whoever mounts with `sshfs -o reconnect` does not notice").passing(), false))
    };
    match ended {
        Ended::Exit(_) | Ended::Closed | Ended::Gone => None,
        Ended::Deadline => over("it ran for as long as `time_limits: {push: …}` lets a push run".to_owned()),
        Ended::Idle(limit) => over(format!("the client asked for nothing in {} hours", limit.as_secs() / 3600)),
        Ended::TooMuch(_) => pull::failed(ended).map(|reason| (reason.rule(policy.origins.of("restore")), true)),
        // One that the filter ends has tried what no sftp-server does.
        Ended::Signal(signal) => {
            let reason = Reason::new(Code::Interrupted, "the server failed").hint("connect again");
            let remedy = "after signal 31, a call that no sftp-server makes, see who has the key: it may be taken over, in its jail; \
                 otherwise see in the kernel's log whether memory had run out";
            Some((reason.detail(format!("signal {signal} ended sftp-server")).remedy(remedy), true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::policy::{read_policy, read_site};
    use crate::terms::NamePattern;

    #[test]
    fn what_runs_is_the_site_s_and_sees_nothing_but_history_read_only() {
        let site =
            |more: &str| read_site(Path::new("/s.yaml"), format!("store: /s\nsftp_server: /x/sftp-server\n{more}").as_bytes()).unwrap();
        let (site, off) = (site(""), site("jail: off\n"));
        let policy = read_policy(Path::new("/c.yaml"), b"verbs: [browse]\n", &"web1".parse().unwrap(), &site).unwrap();
        let names = [NamePattern::new("%Y/%m%d").unwrap().read("2026/1120").unwrap()];
        let browsed = Browsed { snapshots: Path::new("/s/web1/snapshots"), names: &names, current: names.first() };
        let run_of = |site: &Site| run(site, &policy, browsed);
        let whole = run_of(&site);
        let sandbox = whole.sandbox();
        assert_eq!(sandbox.program, Path::new("/x/sftp-server"));
        assert!(sandbox.argv.iter().any(|word| word == "-R"));
        assert!(["write", "remove", "statvfs", "users-groups-by-id"].iter().all(|request| !REQUESTS.split(',').any(|one| one == *request)));
        let kinds: Vec<_> = sandbox.binds.iter().map(|bind| (bind.to.to_str().unwrap(), bind.kind)).collect();
        assert_eq!(kinds, [("/x/sftp-server", Kind::ReadOnly), (SNAPSHOTS, Kind::History)]);
        let front = sandbox.front.as_ref().unwrap();
        assert_eq!(
            (front.names.as_slice(), &front.link),
            (&["2026/1120".to_owned()][..], &Some((CURRENT.to_owned(), "2026/1120".to_owned())))
        );
        let writes = |grant: &&Grant| !matches!(grant.access, Access::Read | Access::Execute) && grant.path != Path::new("/dev/null");
        assert_eq!(sandbox.grants.iter().flatten().find(writes), None);
        assert_eq!((whole.idle(), whole.deadline()), (Some(BROWSE_IDLE), policy.deadline));
        // Without a jail it still has a root of its own.
        let off = run_of(&off);
        assert_eq!((off.sandbox().isolation, &off.sandbox().grants), (ISOLATION, &None));
    }

    #[test]
    fn no_more_snapshots_are_mounted_than_are_listed() {
        let pattern = NamePattern::new(NamePattern::DEFAULT).unwrap();
        let begin: chrono::DateTime<chrono::Utc> = "2026-11-20T03:00:00Z".parse().unwrap();
        let after = |hours: usize| pattern.name_at(begin + chrono::TimeDelta::hours(i64::try_from(hours).unwrap()));
        let names: Vec<_> = (0..MAX_LISTED + 2).map(after).collect();
        let of = |current: usize| shown(&names, names.get(current)).collect::<Vec<_>>();
        let newest = of(MAX_LISTED + 1);
        assert_eq!((newest.len(), newest.first(), newest.last()), (MAX_LISTED, names.last().as_ref(), names.get(2).as_ref()));
        // What `current` leads to is never missing.
        assert_eq!((of(0).len(), of(0).last()), (MAX_LISTED + 1, names.first().as_ref()));
    }
}
