//! `snapgate export`: copies files out of a snapshot with the client's owners. For root, who may
//! give files to others.
//!
//! One process reads, confined as for a push, with the client's ids alone; one of root's writes.
//! The reader is not trusted. Neither may run as the account: they have root's terminal and keys,
//! and an account may read its processes' memory (ptrace(2)).

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::act::inspect::Look;
use crate::act::names::subids;
use crate::act::store::{self, Found, Repository, mounted, remembered};
use crate::act::{child, config, inspect, process};
use crate::act::{names, sandbox};
use crate::decide::history::export;
use crate::decide::owners;
use crate::decide::policy::{Policy, Site};
use crate::decide::push::outcome::{self, Ended};
use crate::decide::rsync::argv;
use crate::terms::text::printable;
use crate::terms::{Account, ClientName, Owners, Reason, SnapshotName, SubPath, exit};

#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub client: ClientName,
    pub snapshot: String,
    pub path: OsString,
}

const LATEST: &str = "latest";

type Failure = (String, u8);

/// Exports into `to`. An error has its exit code, which is rsync's own once that has begun.
pub(crate) fn export(directory: &Path, wanted: &Wanted, to: &Path) -> Result<String, Failure> {
    process::no_core();
    let source = Source::find(directory, wanted)?;
    // The reader starts elsewhere.
    let directory = fs::canonicalize(directory).map_err(|error| (failed(directory, "looking at", &error), exit::CONFIG))?;
    let workshop = Workshop::beside(to)?;
    // The same program, even if another version was installed.
    let mut shell = vec![format!("/proc/{}/exe", std::process::id()).into(), "--config".into(), directory.into_os_string(), SEND.into()];
    let place = source.place.below(Path::new("."));
    for (option, value) in [
        ("--client=", wanted.client.as_str().into()),
        ("--snapshot=", source.snapshot.as_str().into()),
        ("--path=", place.into_os_string()),
    ] {
        let mut word = OsString::from(option);
        word.push(value);
        shell.push(word);
    }
    let Source { site, version, snapshot, place, reading: _reading, .. } = source;
    let shown = printable(to.as_os_str().as_bytes());
    let tree = workshop.tree();
    match child::receive(&site.rsync, &export::receiver(version, &shell, &tree), &tree) {
        Ok(Ended::Exit(0)) => match workshop.finish() {
            Ok(()) => Ok(format!("{}: `{place}` of {snapshot} is in `{shown}`\n", wanted.client)),
            Err(error) => Err((format!("{}\ngive a directory that is to be made", failed(to, "naming", &error)), exit::USAGE)),
        },
        Ok(ended) => {
            let how = match ended {
                Ended::Signal(signal) => format!("signal {signal} ended rsync"),
                ended => format!("rsync ended with status {}", outcome::exit_code(ended)),
            };
            Err((format!("{how}: nothing is in `{shown}`\nrsync has said why; mend that and try again"), outcome::exit_code(ended)))
        }
        Err(error) => {
            Err((format!("{}\ninstall rsync, or set `rsync:` in the site file", failed(&site.rsync, "starting", &error)), exit::CONFIG))
        }
    }
}

/// The command by which rsync starts the reader.
pub(crate) const SEND: &str = "export-sender";

/// Reads, with rsync's writer on the standard streams; returns the exit code.
pub(crate) fn send(directory: &Path, wanted: &Wanted) -> Result<u8, Failure> {
    process::close_inherited();
    process::no_core();
    let source = Source::find(directory, wanted)?;
    let Source { site, version, owners, found, .. } = &source;
    found.stand_in().map_err(|error| (format!("entering the snapshot: {error}"), exit::INTERNAL))?;
    let source = export::Source { program: &site.rsync, version: *version, name: found.name(), jail: site.jail };
    let run = export::sender(source);
    let read = || sandbox::stand_by(run.sandbox().isolation, owners.mapping(), None).and_then(|standby| standby.unlocked(&run));
    // Its errors go to the writer, which prints nothing that moves a cursor.
    let ended = process::without_errors(read).map_err(|error| (format!("/dev/null: {error}"), exit::INTERNAL))?;
    ended.map(outcome::exit_code).map_err(|not| failure(not.reason()))
}

/// What is exported.
struct Source {
    site: Site,
    version: argv::Version,
    owners: Owners,
    snapshot: SnapshotName,
    place: SubPath,
    found: Found,
    /// While this is open the snapshot is not removed.
    reading: File,
}

impl Source {
    fn find(directory: &Path, wanted: &Wanted) -> Result<Self, Failure> {
        if inspect::running_uid() != 0 {
            return Err(("only root can export, since only root may give files to others\nrun it as root".to_owned(), exit::REFUSED));
        }
        let client = &wanted.client;
        let unfit = |text: String| (text, exit::CONFIG);
        let misused = |text: String| (text, exit::USAGE);
        let site = config::load_site(directory).map_err(|fault| unfit(fault.to_string()))?;
        let policy = config::load_policy(directory, &site, client).map_err(|fault| unfit(fault.to_string()))?;
        let policy = policy.ok_or_else(|| misused(format!("no policy for `{client}`\n`snapgate list` shows every client")))?;
        let unknown =
            || unfit(format!("there is no account `{}`, which the policy of `{client}` names\nmake it, or set `user:`", policy.user));
        let account = names::named(&policy.user).ok_or_else(unknown)?;
        mounted(&policy, &site).map_err(failure)?;
        let repository = Repository::checked(&policy.path, account.uid).map_err(failure)?;
        let snapshot = snapshot(&repository, &policy, &wanted.snapshot)?;
        let place = SubPath::parse(wanted.path.as_bytes()).map_err(|_| {
            misused(format!(
                "`{}` is no place in a snapshot\nname it from the snapshot on, without `..`",
                printable(wanted.path.as_bytes())
            ))
        })?;
        let reading = repository.keep_for_reading(&snapshot).map_err(|error| misused(failed(repository.root(), "reading", &error)))?;
        let found = repository.find(&snapshot, &place).map_err(misused)?;
        let owners = owners(&site, &policy, &account).map_err(failure)?;
        let version = child::version(&site.rsync, None).map_err(failure)?;
        Ok(Self { site, version, owners, snapshot, place, found, reading })
    }
}

/// Whose the files are: the repository decides, whatever the policy says of pushes to come.
fn owners(site: &Site, policy: &Policy, account: &Account) -> Result<Owners, Reason> {
    let policy = Policy { owners: None, ..policy.clone() };
    owners::decide(site, &policy, account.is_root(), remembered(&policy.path)?, || subids::available(account))
}

fn snapshot(repository: &Repository, policy: &Policy, wanted: &str) -> Result<SnapshotName, Failure> {
    let client = &policy.client;
    if wanted == LATEST {
        let newest = repository.look(&policy.names).map_err(failure)?.newest;
        return newest.ok_or_else(|| (format!("`{client}` has no snapshot yet\nlet it push first"), exit::USAGE));
    }
    let names = repository.names(&policy.names).map_err(failure)?;
    names.into_iter().find(|name| name.as_str() == wanted).ok_or_else(|| {
        let wanted = printable(wanted.as_bytes());
        (format!("`{client}` has no snapshot `{wanted}`\n`snapgate list {client}` shows those that there are"), exit::USAGE)
    })
}

/// A directory for root alone, in which the copy is made and then renamed. So no owner of a
/// client's choice reaches it before it is complete.
struct Workshop {
    path: PathBuf,
    to: PathBuf,
}

impl Workshop {
    fn beside(to: &Path) -> Result<Self, Failure> {
        let shown = printable(to.as_os_str().as_bytes());
        let misused = |text: String| (text, exit::USAGE);
        match fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(misused(format!("`{shown}` is not empty\ngive an empty directory, or one that is to be made"))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(misused(format!("{}\ngive an empty directory, or one that is to be made", failed(to, "opening", &error))));
            }
        }
        let name = to.file_name().ok_or_else(|| misused(format!("`{shown}` has no name\ngive a directory that is to be made")))?;
        let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let above = fs::canonicalize(above)
            .map_err(|error| misused(format!("{}\nmake the directory above it first", failed(to, "making", &error))))?;
        if !inspect::look(&above).is_some_and(Look::is_roots_alone) {
            let above = printable(above.as_os_str().as_bytes());
            return Err(misused(format!("others can change what is in `{above}`\ngive a place where root alone writes, as beneath /root")));
        }
        // The copy could not be renamed over a mount.
        if inspect::is_mount(&above.join(name)) {
            return Err(misused(format!("`{shown}` is where something is mounted\ngive a directory in it")));
        }
        let path = above.join(format!(".snapgate-export-{}", std::process::id()));
        let tree = path.join(TREE);
        let made = DirBuilder::new().mode(0o700).create(&path).and_then(|()| DirBuilder::new().mode(0o700).create(&tree));
        made.map_err(|error| misused(failed(&path, "making", &error)))?;
        Ok(Self { path, to: above.join(name) })
    }

    fn tree(&self) -> PathBuf {
        self.path.join(TREE)
    }

    /// Renames the copy, over an empty directory or nothing.
    fn finish(&self) -> std::io::Result<()> {
        fs::rename(self.tree(), &self.to)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = store::remove(&self.path);
    }
}

const TREE: &str = "tree";

fn failed(path: &Path, doing: &str, error: &std::io::Error) -> String {
    format!("{doing} `{}`: {error}", printable(path.as_os_str().as_bytes()))
}

/// A reason as an error for the administrator.
fn failure(reason: Reason) -> Failure {
    let remedy = reason.remedy.map(|remedy| format!("\n{remedy}")).unwrap_or_default();
    (format!("{}{remedy}", reason.detail), reason.code.exit())
}
