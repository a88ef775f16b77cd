//! The index of keys on the disk (`decide::keys`), and which policy lists a key that sshd asks about.
//!
//! Whatever the index says, a policy is read before it lets a key in. No fault here may do so.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use rustix::fs::{AtFlags, OFlags, Stat, openat, statat};

use super::{Policies, SITE_FILE, broken_handle, contents, open_directory, raw_open, vet, vet_within};
use crate::act::several;
use crate::decide::keys::{BLOCK, Entry, Head, Index, Offer, Stamp, client, files};
use crate::decide::policy::lint::Finding;
use crate::decide::policy::yaml::Fault;
use crate::decide::policy::{ENDING, Policy, Site, read_policy};
use crate::terms::limits::{MAX_CONFIG_FILE, MAX_INDEX_HEAD, MAX_KEY_FILE, MAX_KEY_INDEX};
use crate::terms::text::os_words;
use crate::terms::{ClientName, Fingerprint, Origin};

/// The name of the index in the directory of settings.
pub const INDEX: &str = "keys.index";

/// One that is being written. Whoever writes it has a lock on it.
const NEXT: &str = "keys.index.new";

/// The mode of both.
const MODE: u32 = 0o640;

/// The directory of files of keys, one for each account.
pub const KEYS: &str = "keys";

/// Who may use a key.
#[derive(Debug, Default)]
pub struct Holders {
    /// The clients whose policies list it for the account.
    pub clients: Vec<ClientName>,
    /// Why policies that may list it cannot be used.
    pub faults: Vec<Fault>,
}

/// Which policies list the key that sshd asks about: of those that are as the index has them, the ones
/// that it names, and of all others, whatever they say now.
///
/// # Errors
/// When the site file or the directory of policies cannot be used.
pub fn holders(dir: &Path, offer: &Offer) -> Result<(Site, Holders), Fault> {
    // Before they are read: what changes later is seen as a change.
    let site_stamp = stamp_at(&dir.join(SITE_FILE));
    let site = super::load_site(dir)?;
    let policies = Policies::open(dir)?;
    let names_stamp = stamp_of_names(&policies);
    let index = Opened::open(dir).filter(|index| index.head.site.is_some() && index.head.site == site_stamp);
    let asked = Asked { policies: &policies, site: &site, offer };
    let Some(index) = index else { return asked.of_all().map(|found| (site, found)) };
    let said = index.claimants(offer).and_then(|claimants| Some((claimants, index.changed(&policies)?)));
    let Some((claimants, mut others)) = said else { return asked.of_all().map(|found| (site, found)) };
    if index.head.directory.is_none() || index.head.directory != names_stamp {
        let Some(known) = index.known() else { return asked.of_all().map(|found| (site, found)) };
        others.extend(policies.list()?.clients.into_iter().filter(|client| !known.contains(client)));
    }
    let mut found = Holders::default();
    for client in &claimants {
        let says_so = found.take(policies.load(&site, client).transpose(), offer);
        // An index that is wrong about a file that is as it was is not believed in what it leaves out.
        if !says_so && !others.contains(client) {
            return asked.of_all().map(|found| (site, found));
        }
    }
    others.retain(|client| !claimants.contains(client));
    asked.of(others, &mut found)?;
    Ok((site, found))
}

impl Holders {
    /// Takes in what a policy says. Whether it lists the key, or nobody can say.
    fn take(&mut self, policy: Option<Result<Policy, Fault>>, offer: &Offer) -> bool {
        match policy {
            Some(Ok(policy)) if policy.user == offer.account && keys(&policy).any(|key| *key == offer.fingerprint) => {
                self.clients.push(policy.client);
            }
            Some(Ok(_)) | None => return false,
            Some(Err(fault)) => self.faults.push(fault),
        }
        true
    }
}

/// Every key that may speak for the client, if only to restore.
fn keys(policy: &Policy) -> impl Iterator<Item = &Fingerprint> {
    policy.keys.iter().chain(&policy.restore.keys).flatten()
}

/// Threads that look at files: more find no more processors on most servers, and each costs its start.
const LOOKERS: usize = 4;

/// Who is looked for, and where.
struct Asked<'a> {
    policies: &'a Policies,
    site: &'a Site,
    offer: &'a Offer,
}

impl Asked<'_> {
    fn of_all(&self) -> Result<Holders, Fault> {
        let mut found = Holders::default();
        self.of(self.policies.list()?.clients, &mut found)?;
        Ok(found)
    }

    /// Looks for the key in these. Only files that may list it are parsed.
    fn of(&self, clients: Vec<ClientName>, found: &mut Holders) -> Result<(), Fault> {
        let Self { policies, site, offer } = *self;
        let by_default = site.defaults.keys().iter().chain(site.defaults.restoring()).any(|key| *key == offer.fingerprint);
        for client in clients {
            let path = policies.path(&client);
            let handle = match raw_open(&policies.handle, OsStr::new(&format!("{client}{ENDING}"))) {
                Ok(handle) => handle,
                // Another account's, or gone since it was listed.
                Err(Errno::EACCES | Errno::ENOENT | Errno::ELOOP) => continue,
                Err(errno) => return Err(broken_handle(&path, &errno.into())),
            };
            let mut bytes = Vec::new();
            let read = (&handle).take(MAX_CONFIG_FILE + 1).read_to_end(&mut bytes);
            read.map_err(|error| broken_handle(&path, &error))?;
            let wanted = offer.fingerprint.as_str().as_bytes();
            if by_default || bytes.len() as u64 > MAX_CONFIG_FILE || bytes.windows(wanted.len()).any(|part| part == wanted) {
                let policy = vet(&path, &handle, false).and_then(|()| read_policy(&path, &bytes, &client, site));
                found.take(Some(policy), offer);
            }
        }
        Ok(())
    }
}

/// An index that is whole, and that nobody but root and the running user may have written. Of what may be
/// a megabyte only what an answer needs is read: it is written anew and never in place, so all of it is one.
struct Opened {
    head: Head,
    file: File,
    size: u64,
}

impl Opened {
    fn open(dir: &Path) -> Option<Self> {
        let file = existing(&dir.join(INDEX))?;
        let found = file.metadata().ok()?;
        let (uid, size) = (found.uid(), found.len());
        let ours = found.is_file() && (uid == 0 || uid == nix::unistd::geteuid().as_raw()) && found.mode() & 0o022 == 0;
        if !ours || size > MAX_KEY_INDEX {
            return None;
        }
        let beginning = part(&file, 0, (MAX_INDEX_HEAD as u64).min(size))?;
        Some(Self { head: Head::read(&beginning, size)?, file, size })
    }

    /// So many bytes from there on, or all that there are.
    fn part(&self, from: u64, most: u64) -> Option<Vec<u8>> {
        part(&self.file, from, most.min(self.size.checked_sub(from)?))
    }

    fn claimants(&self, offer: &Offer) -> Option<Vec<ClientName>> {
        self.head.claimants(&|from, most| self.part(from, most), &offer.fingerprint, &offer.account)
    }

    fn block(&self, number: u64) -> Option<Vec<u8>> {
        part(&self.file, self.head.block(number), BLOCK as u64)
    }

    /// Those of its files that are not as they were. Ten thousand look-ups are most of what an answer
    /// costs, and nothing less would show what was written in place. `None`: it is no index.
    fn changed(&self, policies: &Policies) -> Option<Vec<ClientName>> {
        let blocks: Vec<_> = (0..self.head.blocks).collect();
        let found = several::each(blocks, several::cores().min(LOOKERS), |number| {
            // Two threads that look names up through one descriptor wait for its counter in the kernel: a fifth of the time.
            let own = openat(&policies.handle, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, rustix::fs::Mode::empty());
            let names = own.as_ref().unwrap_or(&policies.handle);
            let mut changed = Vec::new();
            for file in files(&self.block(number)?) {
                let (name, stamp) = file?;
                if stamp.is_none() || stamp_of(names, name) != stamp {
                    changed.push(client(name)?);
                }
            }
            Some(changed)
        });
        let found: Option<Vec<_>> = found.into_iter().collect();
        Some(found?.concat())
    }

    /// Every client of whose policy it says something.
    fn known(&self) -> Option<BTreeSet<ClientName>> {
        let mut known = BTreeSet::new();
        for number in 0..self.head.blocks {
            for file in files(&self.block(number)?) {
                known.insert(client(file?.0)?);
            }
        }
        Some(known)
    }
}

fn part(file: &File, from: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, from).ok()?;
    Some(bytes)
}

fn existing(path: &Path) -> Option<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    open(path, flags, Mode::empty()).ok().map(File::from)
}

fn stamp(found: &fs::Metadata) -> Stamp {
    Stamp { inode: found.ino(), changed: (found.ctime(), found.ctime_nsec()) }
}

fn stamp_at(path: &Path) -> Option<Stamp> {
    fs::symlink_metadata(path).ok().map(|found| stamp(&found))
}

fn stamp_of(names: &OwnedFd, name: impl rustix::path::Arg) -> Option<Stamp> {
    let found = statat(names, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    read_stamp(&found)
}

fn read_stamp(found: &Stat) -> Option<Stamp> {
    let changed = (found.st_ctime, i64::try_from(found.st_ctime_nsec).ok()?);
    Some(Stamp { inode: found.st_ino, changed })
}

/// The state of the directory, which every policy that comes or goes changes.
fn stamp_of_names(policies: &Policies) -> Option<Stamp> {
    let found = rustix::fs::fstat(&policies.handle).ok()?;
    read_stamp(&found)
}

/// Until when the account's file of keys lets a key in. `None`: it says nothing of it.
///
/// # Errors
/// When the file could have been written by others, or cannot be read: then nobody can say.
pub fn until(dir: &Path, offer: &Offer) -> Result<Option<String>, Fault> {
    let path = dir.join(KEYS).join(&offer.account);
    let broken = |error: io::Error| Fault::whole(&path, format!("it cannot be read: {}", os_words(&error)), "let root own it, chmod 0644");
    let keys = dir.join(KEYS);
    match fs::metadata(&keys) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
    }
    let file = match raw_open(&open_directory(&keys)?, OsStr::new(&offer.account)) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(broken(errno.into())),
    };
    vet_within(&path, &file, false, MAX_KEY_FILE)?;
    let mut text = String::new();
    file.take(MAX_KEY_FILE + 1).read_to_string(&mut text).map_err(broken)?;
    if text.len() as u64 > MAX_KEY_FILE {
        return Err(Fault::whole(&path, format!("more than {MAX_KEY_FILE} bytes long"), "shorten it"));
    }
    Ok(offer.until(&text))
}

/// Brings the index up to date with the policies. What it has of a file that nobody has touched since
/// stays as it is. Where no policy lists a key and there is no index, none is made.
///
/// # Errors
/// When it cannot be written. The old one stays, and misleads nobody.
pub fn refresh(dir: &Path, site: &Site) -> io::Result<()> {
    let fault = |fault: Fault| io::Error::other(fault.to_string());
    open_directory(dir).map_err(fault)?;
    let old = read(dir);
    if old.is_none() && !dir.join(INDEX).exists() && !lists_any(dir, site) {
        return Ok(());
    }
    let Some(next) = Next::begin(dir)? else { return Ok(()) };
    let policies = Policies::open(dir).map_err(fault)?;
    let mut now = next.time()?;
    if stamp_of_names(&policies).is_some_and(|names| !names.has_settled_names(now)) {
        // What has just been put there, as `add-client` has, is known as soon as this clock goes on.
        thread::sleep(TICK);
        now = next.time()?;
    }
    let site_stamp = stamp_at(&site.file).filter(|stamp| stamp.is_settled(now));
    // What was read of the site file may be older than its stamp.
    let again = super::load_site(dir).map_err(fault)?;
    let kept = old.as_ref().filter(|old| old.site.is_some() && old.site == site_stamp);
    let none = BTreeMap::new();
    let kept = kept.map_or(&none, |old| &old.entries);
    // Before they are listed: what comes later is seen as a change.
    let directory = stamp_of_names(&policies).filter(|names| names.has_settled_names(now));
    let clients = policies.list().map_err(fault)?.clients;
    let entries = clients.into_iter().map(|client| {
        let entry = entry(&policies, &again, &client, kept.get(&client), now).unwrap_or_default();
        (client, entry)
    });
    let index = Index { site: site_stamp, directory, entries: entries.collect() };
    if old.as_ref() == Some(&index) { Ok(()) } else { next.finish(&index.bytes()) }
}

/// The same, with a note where it could not be done. Whoever may not write there leaves it as it is.
pub fn refreshed(dir: &Path, site: &Site) -> Option<Finding> {
    let error = refresh(dir, site).err()?;
    let may_not = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem].contains(&error.kind());
    if may_not && !nix::unistd::geteuid().is_root() {
        return None;
    }
    let help = "make room there; until it is written `snapgate keys` takes longer to say whose a key is";
    let message = format!("the index of keys was not written: {}", os_words(&error));
    Some(Finding::note(Origin { file: dir.join(INDEX), line: 0 }, message, help))
}

fn lists_any(dir: &Path, site: &Site) -> bool {
    let all = super::all_policies(dir, site).unwrap_or_default();
    all.iter().any(|(_, policy)| policy.as_ref().is_ok_and(|policy| keys(policy).next().is_some()))
}

fn read(dir: &Path) -> Option<Index> {
    // With its owner and mode, as whoever looks a key up sees them.
    Opened::open(dir).and_then(|opened| Index::read(&opened.part(0, opened.size)?))
}

/// What a policy says; `None` where there is none to be read.
fn entry(policies: &Policies, site: &Site, client: &ClientName, old: Option<&Entry>, now: (i64, i64)) -> Option<Entry> {
    let (path, name) = (policies.path(client), format!("{client}{ENDING}"));
    if let Some(old) = old.filter(|old| old.stamp.is_some())
        && old.stamp == stamp_of(&policies.handle, name.as_str())
    {
        return Some(old.clone());
    }
    let handle = raw_open(&policies.handle, OsStr::new(&name)).ok()?;
    let before = stamp(&handle.metadata().ok()?);
    vet(&path, &handle, false).ok()?;
    let policy = read_policy(&path, &contents(&handle, &path).ok()?, client, site).ok()?;
    let is_known = before.is_settled(now) && stamp_of(&policies.handle, name.as_str()) == Some(before);
    let keys: BTreeSet<_> = keys(&policy).cloned().collect();
    let account = if keys.is_empty() { String::new() } else { policy.user };
    Some(Entry { stamp: is_known.then_some(before), account, keys })
}

/// How long a clock may take to go on (`Stamp::has_settled_names`), and some more.
const TICK: Duration = Duration::from_millis(40);

/// An index that is being written. There is one at a time.
struct Next {
    file: File,
    dir: PathBuf,
}

impl Next {
    /// `None` where another writes one. What that one misses is seen as changed.
    fn begin(dir: &Path) -> io::Result<Option<Self>> {
        let path = dir.join(NEXT);
        loop {
            let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).custom_flags(flags).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Whoever had the lock may have given it its name, or removed it.
            let here = fs::symlink_metadata(&path).ok().map(|found| (found.dev(), found.ino()));
            let found = file.metadata()?;
            if here == Some((found.dev(), found.ino())) {
                // A killed one may have left some.
                file.set_len(0)?;
                // Whoever may read the policies. Only root may give it to any group.
                let _ = fchown(&file, None, Some(fs::metadata(dir)?.gid()));
                return Ok(Some(Self { file, dir: dir.to_owned() }));
            }
        }
    }

    /// The time by the clock of this file system.
    fn time(&self) -> io::Result<(i64, i64)> {
        // A change that changes nothing sets it.
        self.file.set_permissions(fs::Permissions::from_mode(MODE))?;
        let found = self.file.metadata()?;
        Ok((found.ctime(), found.ctime_nsec()))
    }

    fn finish(mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_all()?;
        fs::rename(self.dir.join(NEXT), self.dir.join(INDEX))?;
        File::open(&self.dir)?.sync_all()
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        // The lock is still held, so the name is this one's, unless it has another by now.
        let ours = self.file.metadata().map(|found| found.ino()).ok();
        if fs::symlink_metadata(self.dir.join(NEXT)).map(|found| found.ino()).ok() == ours {
            let _ = fs::remove_file(self.dir.join(NEXT));
        }
    }
}
