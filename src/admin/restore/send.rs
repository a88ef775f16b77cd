//! The half of a restore that reads. The rsync that writes starts it.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{failed, misused};
use crate::act::inspect::running_uid;
use crate::act::names::{self, subids};
use crate::act::store::{Found, Repository, mounted, remembered};
use crate::act::{child, config, process, sandbox};
use crate::admin::prune::{Failure, failure};
use crate::decide::history::send as plan;
use crate::decide::owners;
use crate::decide::policy::{Policy, Site};
use crate::decide::push::outcome;
use crate::decide::sandbox::spec::{Confinement, Isolation};
use crate::terms::text::printable;
use crate::terms::{Account, ClientName, Mapping, Owners, Reason, SubPath, exit};

/// The word for it.
pub(crate) const SEND: &str = "restore-sender";

/// What is to be read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) client: ClientName,
    pub(crate) snapshot: String,
    pub(crate) path: OsString,
    /// Whether nothing is to be written.
    pub(crate) dry_run: bool,
}

/// Reads, with rsync's writer on the standard streams; returns the exit code.
pub(crate) fn send(directory: &Path, wanted: &Source) -> Result<u8, Failure> {
    process::close_inherited();
    process::no_core();
    let (site, policy, account) = rules(directory, &wanted.client)?;
    let version = child::version(&site.rsync, None).map_err(failure)?;
    let owners = owners(&site, &policy, &account).map_err(failure)?;
    if running_uid() != 0
        && let Some(mapping) = owners.mapping()
    {
        enter(mapping).map_err(|what| failure(owners::unmapped(&what)))?;
    }
    let opened = Opened::find(&policy, wanted)?;
    opened.found.stand_in().map_err(|error| (format!("entering the snapshot: {error}"), exit::INTERNAL))?;
    let munged = policy.options.munges();
    let source = plan::Source { program: &site.rsync, version, name: opened.found.name(), jail: site.jail, munged, dry: wanted.dry_run };
    let run = plan::sender(source);
    let read = || sandbox::stand_by(run.sandbox().isolation, owners.mapping(), None).and_then(|standby| standby.unlocked(&run));
    // Its errors go to the writer, which prints nothing that moves a cursor.
    let ended = process::without_errors(read).map_err(|error| (format!("/dev/null: {error}"), exit::INTERNAL))?;
    ended.map(outcome::exit_code).map_err(|not| failure(not.reason()))
}

fn rules(directory: &Path, client: &ClientName) -> Result<(Site, Policy, Account), Failure> {
    let unfit = |text: String| (text, exit::CONFIG);
    let site = config::load_site(directory).map_err(|fault| unfit(fault.to_string()))?;
    let policy = config::load_policy(directory, &site, client).map_err(|fault| unfit(fault.to_string()))?;
    let policy = policy.ok_or_else(|| misused(format!("no policy for `{client}`\n`snapgate list` shows every client")))?;
    let unknown = || unfit(format!("there is no account `{}`, which the policy of `{client}` names\nmake it, or set `user:`", policy.user));
    let account = names::named(&policy.user).ok_or_else(unknown)?;
    if ![0, account.uid].contains(&running_uid()) {
        let what = format!("the snapshots of `{client}` are the account `{}`'s\nrun it as that account, or as root", policy.user);
        return Err((what, exit::REFUSED));
    }
    mounted(&policy, &site).map_err(failure)?;
    Repository::checked(&policy.path, account.uid).map_err(failure)?;
    Ok((site, policy, account))
}

/// Takes this process, which is the account's, to where it has power over its client's files.
fn enter(mapping: &Mapping) -> Result<(), String> {
    let isolation = Isolation { asks: false, ..Isolation::new(Confinement::View) };
    let begun = sandbox::begin(isolation, None).map_err(child::NotStarted::what)?;
    let (namespace, waiting) = child::begin_namespace(begun, mapping)?.finish()?;
    // It was there to be mapped. Another one, which stands in the snapshot, becomes rsync.
    drop(waiting);
    namespace.enter()
}

/// What is read.
struct Opened {
    found: Found,
    /// While this is open the snapshot is not removed.
    _reading: File,
}

impl Opened {
    fn find(policy: &Policy, wanted: &Source) -> Result<Self, Failure> {
        let repository = Repository::at(&policy.path);
        let shown = || printable(wanted.snapshot.as_bytes());
        let unknown = || misused(format!("`{}` has no snapshot `{}`\nrun it again", policy.client, shown()));
        let snapshot = policy.names.read(&wanted.snapshot).ok_or_else(unknown)?;
        let place = SubPath::parse(wanted.path.as_bytes()).map_err(|_| misused("that is no place in a snapshot".to_owned()))?;
        let reading = repository.keep_for_reading(&snapshot).map_err(|error| misused(failed(&policy.path, "reading", &error)))?;
        Ok(Self { found: repository.find(&snapshot, &place).map_err(misused)?, _reading: reading })
    }
}

/// Whose the files are: the repository decides, whatever the policy says of pushes to come.
fn owners(site: &Site, policy: &Policy, account: &Account) -> Result<Owners, Reason> {
    let policy = Policy { owners: None, ..policy.clone() };
    owners::decide(site, &policy, account.is_root(), remembered(&policy.path)?, || subids::available(account))
}
