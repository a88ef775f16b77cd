//! What an account finds of what its gate needs, and what would stop its pushes.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::terms::limits::{LOW_FREE_BYTES, LOW_FREE_PERCENT, MANY_LINKS_PERCENT, MAX_NAME_LEAD, MAX_STOCK, MIN_FREE_BYTES, SCARCE_BYTES};
use crate::terms::text::quoted_path as shown;
use crate::terms::{Bytes, ClientName, Origin, Owners};

use super::login::KeyFile;
use super::mounts;
use crate::decide::policy::lint::Finding;

/// What an account has to do with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Need {
    Enter,
    /// Pass through it and create files in it.
    Fill,
    Run,
    Read,
    Write,
}

/// A path, and what it is needed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub path: PathBuf,
    pub need: Need,
}

/// A path that is out of reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    pub path: PathBuf,
    pub need: Need,
    /// Where access ends: the path itself, or a directory above it.
    pub at: PathBuf,
    /// Whether nobody may change that (`chattr +i`).
    pub fixed: bool,
}

/// The space on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// A path on it.
    pub path: PathBuf,
    pub device: u64,
    /// Bytes that an account may still write.
    pub free: u64,
    pub size: u64,
    pub free_inodes: u64,
    /// The most files; 0 where the file system has no limit.
    pub inodes: u64,
    pub read_only: bool,
}

/// What is in `snapshots/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    pub newest: Option<(String, DateTime<Utc>)>,
    /// Names that are not snapshots, printable; not all of them.
    pub strange: Vec<String>,
    /// How many of these there are.
    pub strangers: u64,
    /// Whether it is on another disk than the repository.
    pub apart: bool,
    /// Whether `current` is something else than a link.
    pub blocked: bool,
    /// Whether only a part was read.
    pub cut: bool,
    /// Why it could not be read.
    pub unread: Option<String>,
}

/// What an account finds for a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub barred: Vec<Barred>,
    /// Its snapshots, if there is a repository.
    pub stock: Option<Stock>,
    pub keys: Vec<KeyFile>,
    /// What it could change of what only root is to change.
    pub hands: Vec<PathBuf>,
    /// Files of keys that it could change.
    pub own_keys: Vec<PathBuf>,
    /// Whether it could write the file that sshd runs for it, ~/.ssh/rc.
    pub writes_rc: bool,
    /// The most names that a file of its newest snapshot has.
    pub links: u64,
}

/// What the account cannot reach.
pub(crate) fn barred(account: &str, origin: &Origin, barred: &[Barred]) -> Vec<Finding> {
    let mut reported: Vec<&Path> = Vec::new();
    let mut found = Vec::new();
    for Barred { path, need, at, fixed } in barred {
        // A directory that cannot be entered hides everything in it.
        if reported.contains(&at.as_path()) {
            continue;
        }
        reported.push(at);
        let (message, help) = match need {
            _ if at != path => (format!("the account `{account}` cannot reach {}: it may not enter {}", shown(path), shown(at)), "x"),
            Need::Enter => (format!("the account `{account}` may not enter {}", shown(path)), "x"),
            Need::Fill => (format!("the account `{account}` may not make anything in {}", shown(path)), "wx"),
            Need::Write => (format!("the account `{account}` may not write to {}", shown(path)), "wx"),
            Need::Read => (format!("the account `{account}` may not read {}", shown(path)), "r"),
            Need::Run => (format!("the account `{account}` may not run {}", shown(path)), "rx"),
        };
        let help = match help {
            _ if *fixed => format!("chattr -i {}", shown(at)),
            "wx" => format!("give it to `{account}`, or to a group that the account is in"),
            bits => format!("chmod o+{bits} {}, or give it to a group that the account is in: the gate runs as the account", shown(at)),
        };
        found.push(Finding::wrong(origin.clone(), message, help));
    }
    found
}

/// What is wrong with a disk.
pub(crate) fn room(origin: &Origin, room: &Room) -> Option<Finding> {
    let Room { path, free, size, free_inodes, inodes, .. } = room;
    let wrong = |what: String, help: &str| Some(Finding::wrong(origin.clone(), format!("the disk of {} {what}", shown(path)), help));
    let (make_room, more) = ("make room on it", "make room on it, or give it more, before pushes fail");
    if room.read_only {
        return wrong(
            "is mounted read-only: no push can run".to_owned(),
            "look for errors of the disk in the kernel's log, then remount it",
        );
    }
    if *inodes > 0 && *free_inodes == 0 {
        return wrong("can hold no more files: no push can run".to_owned(), make_room);
    }
    if *free < MIN_FREE_BYTES {
        return wrong(format!("is full: {} are free, and no push can run", Bytes(*free)), make_room);
    }
    let low = |free: u64, all: u64| u128::from(free) * 100 < u128::from(all) * u128::from(LOW_FREE_PERCENT);
    if *inodes > 0 && low(*free_inodes, *inodes) {
        return wrong(format!("can hold only {free_inodes} more files of {inodes}"), more);
    }
    if *free < LOW_FREE_BYTES && low(*free, *size) {
        let finding = wrong(format!("is nearly full: {} of {} are free", Bytes(*free), Bytes(*size)), more);
        return finding.map(|finding| Finding { wrong: *free < SCARCE_BYTES, ..finding });
    }
    None
}

/// Files that soon cannot have another name: each snapshot in which they are unchanged gives them
/// one.
pub(crate) fn links(origin: &Origin, path: &Path, have: u64, most: u64) -> Option<Finding> {
    (have.saturating_mul(100) >= most.saturating_mul(MANY_LINKS_PERCENT)).then(|| {
        let left = most.saturating_sub(have);
        let message = format!(
            "files in {} have {have} names of the {most} that their file system lets them have: after {left} more snapshots they are stored anew",
            shown(path)
        );
        Finding::wrong(origin.clone(), message, "keep fewer snapshots (`keep:`), or move the store to XFS")
    })
}

/// The disks of a repository, of the store and of `/`, by number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disks {
    pub own: u64,
    pub store: u64,
    pub root: Option<u64>,
}

/// A repository outside of the store, on another disk that nothing requires to be mounted.
pub(crate) fn elsewhere(origin: &Origin, disks: Disks, path: &Path, store: &Path, require_mount: bool) -> Option<Finding> {
    if require_mount || disks.own == disks.store || path.starts_with(store) {
        return None;
    }
    let message = format!("the repository {} is on another disk than the store", shown(path));
    Some(if disks.root == Some(disks.own) {
        let help = "if that is not meant, mount its own disk there and write require_mount: true";
        Finding::note(origin.clone(), format!("{message}: on that of `/`"), help)
    } else {
        let message = format!("{message}, and is written to even where that is not mounted");
        Finding::wrong(origin.clone(), message, "write require_mount: true, or put the repository into the store")
    })
}

/// What is wrong with a client's snapshots.
pub(crate) fn stock(origin: &Origin, snapshots: &Path, stock: &Stock, now: DateTime<Utc>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut wrong = |message: String, help: &str| found.push(Finding::wrong(origin.clone(), message, help));
    if let Some(why) = &stock.unread {
        wrong(format!("{} cannot be read: {why}", shown(snapshots)), "give it to the account, with mode 0755");
    }
    let lead = chrono::Duration::from_std(MAX_NAME_LEAD).unwrap_or_default();
    if let Some((name, _)) = stock.newest.as_ref().filter(|(_, at)| *at > now + lead) {
        let message = format!("the newest snapshot in {}, `{name}`, is in the future: no push can run before then", shown(snapshots));
        wrong(message, "set the clock, or move the snapshot away if its name is wrong");
    }
    if stock.strangers > 0 {
        let named = stock.strange.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let more = stock.strangers.saturating_sub(stock.strange.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("{} holds what is no snapshot of this client's: {named}{more}", shown(snapshots));
        let help = "move it out of there; if they are snapshots, write snapshots: { name: … } with the pattern that they have";
        wrong(message, help);
    }
    if stock.apart {
        let message = format!("{} is on another disk than the repository: nothing can be published", shown(snapshots));
        wrong(message, "put it into the repository itself, and the whole repository where the room is");
    }
    if stock.blocked {
        let message = format!("`current` beside {} is no symlink: nothing can be published", shown(snapshots));
        found.push(Finding::wrong(origin.clone(), message, "move it away: the next push makes the link anew"));
    }
    if stock.cut {
        let message = format!("of what is in {} only {MAX_STOCK} names were looked at", shown(snapshots));
        found.push(Finding::unseen(origin.clone(), message, "remove snapshots that nobody needs"));
    }
    found
}

/// What a missing repository means.
pub(crate) fn missing(origin: &Origin, path: &Path, user: &str, client: &ClientName, was_here: bool, barred: bool) -> Finding {
    let help = format!("install -d -o {} -m 0700 it", shell_words::quote(user));
    if was_here {
        let message = format!("the repository {} is not there, though {client} has pushed before", shown(path));
        return Finding::wrong(
            origin.clone(),
            message,
            format!("see whether its disk is mounted and who removed it; for a new one {help}"),
        );
    }
    if barred {
        let message = format!("the repository {} is not there, and the account `{user}` cannot make it", shown(path));
        return Finding::wrong(origin.clone(), message, help);
    }
    let message = format!("the repository {} is not there yet", shown(path));
    Finding::note(origin.clone(), message, format!("{help}, unless the account may create it"))
}

/// Owners that are to be kept where a process serves the file system. It acts for the account and has
/// none of its namespace's rights, so no file gets its owner. `path` is without symlinks.
pub(crate) fn served(origin: &Origin, path: &Path, owners: &Owners, mountinfo: &[u8]) -> Option<Finding> {
    let is_lost = matches!(owners, Owners::Mapped(_)) && mounts::is_served(mountinfo, path);
    let message =
        format!("the repository {} is on a file system of FUSE, which keeps no owners: its client's pushes are refused", shown(path));
    is_lost.then(|| Finding::wrong(origin.clone(), message, "say `owners: drop`, or keep the store on LUKS (docs/encryption.md)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{IdMap, IdRange, Mapping};

    fn origin() -> Origin {
        Origin { file: "web1.yaml".into(), line: 0 }
    }

    #[test]
    fn owners_that_are_kept_by_nobody_are_told() {
        let mounts = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /srv/backups rw,nosuid - fuse.gocryptfs /srv/encrypted rw\n";
        let ids = IdMap::new(vec![IdRange::new(100_000, 65_536).unwrap()]).unwrap();
        let mapping = Mapping { users: ids.clone(), groups: ids };
        let told = |path: &str, owners: &Owners| served(&origin(), Path::new(path), owners, mounts);
        let found = told("/srv/backups/web1", &Owners::Mapped(mapping.clone())).unwrap();
        assert!(found.wrong && found.message.contains("`/srv/backups/web1`") && found.help.contains("`owners: drop`"), "{found:?}");
        assert_eq!(told("/srv/plain/web1", &Owners::Mapped(mapping)), None);
        // The account's own files it can make, and root gives away what it likes.
        assert_eq!([Owners::Account, Owners::Real].map(|owners| told("/srv/backups/web1", &owners)), [None, None]);
    }

    #[test]
    fn a_door_is_told_once_with_what_opens_it() {
        let barred_at = |path: &str, need, at: &str| Barred { path: path.into(), need, at: at.into(), fixed: at == "/srv/fixed" };
        let all = [
            barred_at("/srv/store/web1", Need::Fill, "/srv/store"),
            barred_at("/srv/store", Need::Enter, "/srv/store"),
            barred_at("/opt/rsync", Need::Run, "/opt/rsync"),
            barred_at("/srv/fixed", Need::Write, "/srv/fixed"),
        ];
        let messages: Vec<_> = barred("web1", &origin(), &all).iter().map(ToString::to_string).collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(
            messages[0].contains("cannot reach `/srv/store/web1`: it may not enter `/srv/store`\nchmod o+x `/srv/store`"),
            "{messages:?}"
        );
        assert!(messages[1].contains("may not run `/opt/rsync`"), "{messages:?}");
        assert!(messages[2].contains("may not write to `/srv/fixed`\nchattr -i `/srv/fixed`"), "{messages:?}");
    }

    #[test]
    fn a_disk_is_full_nearly_full_or_closed_and_a_large_one_with_room_is_not() {
        const G: u64 = 1 << 30;
        let disk = Room { path: "/s".into(), device: 1, free: 50 * G, size: 100 * G, free_inodes: 50, inodes: 100, read_only: false };
        let messages = |change: &dyn Fn(&mut Room)| {
            let mut changed = disk.clone();
            change(&mut changed);
            room(&origin(), &changed).map(|found| if found.wrong { found.message } else { format!("note: {}", found.message) })
        };
        assert_eq!(messages(&|_| {}), None);
        assert_eq!(messages(&|disk| (disk.free_inodes, disk.inodes) = (0, 0)), None, "no bound on files");
        assert_eq!(messages(&|disk| (disk.size, disk.free) = (10_000 * G, 100 * G)), None, "one part in a hundred, and much");
        assert!(messages(&|disk| disk.free = 1000).unwrap().contains("is full"));
        assert!(
            messages(&|disk| disk.free = 2 * G).unwrap().contains("nearly full: 2 GiB of 100 GiB"),
            "{:?}",
            messages(&|disk| disk.free = 2 * G)
        );
        let much = messages(&|disk| (disk.size, disk.free) = (1000 * G, 12 * G)).unwrap();
        assert!(much.starts_with("note: ") && much.contains("nearly full: 12 GiB of 1000 GiB"), "{much}");
        assert!(!messages(&|disk| disk.free = 2 * G).unwrap().starts_with("note: "));
        assert!(messages(&|disk| disk.free_inodes = 0).unwrap().contains("no more files"));
        assert!(messages(&|disk| disk.free_inodes = 2).unwrap().contains("only 2 more files of 100"));
        assert!(messages(&|disk| disk.read_only = true).unwrap().contains("read-only"));
    }

    #[test]
    fn another_disk_counts_where_nothing_requires_it() {
        let wrong = |own, store, path: &str, required| {
            let disks = Disks { own, store, root: Some(1) };
            elsewhere(&origin(), disks, Path::new(path), Path::new("/srv"), required).map(|found| found.wrong)
        };
        assert_eq!(wrong(3, 2, "/usb/web1", false), Some(true));
        assert_eq!(wrong(1, 2, "/home/web1", false), Some(false));
        for (own, store, path, required) in [(3, 2, "/usb/web1", true), (2, 2, "/usb/web1", false), (3, 2, "/srv/web1", false)] {
            assert_eq!(wrong(own, store, path, required), None, "{path} {required}");
        }
    }

    #[test]
    fn what_is_wrong_with_snapshots_is_told_by_name() {
        let now: DateTime<Utc> = "2026-11-27T20:00:00Z".parse().unwrap();
        let at = |text: &str| Some(("NAME".to_owned(), text.parse().unwrap()));
        let messages = |found: Stock| {
            let all = stock(&origin(), Path::new("/s/snapshots"), &found, now);
            all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(messages(Stock { newest: at("2026-11-27T20:00:30Z"), ..Stock::default() }), "", "as far ahead as a name may be");
        assert!(messages(Stock { newest: at("2026-11-28T00:00:00Z"), ..Stock::default() }).contains("`NAME`, is in the future"));
        let strange = Stock { strange: vec!["old".to_owned(), "x y".to_owned()], strangers: 5, ..Stock::default() };
        assert!(messages(strange).contains("no snapshot of this client's: `old`, `x y` and 3 more\n"));
        let cut = stock(&origin(), Path::new("/s/snapshots"), &Stock { cut: true, ..Stock::default() }, now);
        assert!(matches!(&cut[..], [one] if one.unseen && !one.wrong), "{cut:?}");
        assert!(messages(Stock { apart: true, ..Stock::default() }).contains("nothing can be published"));
        assert!(messages(Stock { unread: Some("permission denied".to_owned()), ..Stock::default() }).contains("cannot be read"));
    }

    #[test]
    fn a_repository_that_is_missing_is_wrong_where_it_was_there_or_cannot_be_made() {
        let client: ClientName = "web1".parse().unwrap();
        let messages = |was_here, barred| missing(&origin(), Path::new("/s/web1"), "web1", &client, was_here, barred);
        assert!(!messages(false, false).wrong && messages(true, false).wrong && messages(false, true).wrong);
        assert!(messages(true, true).message.contains("though web1 has pushed before"));
        let of_a_domain = missing(&origin(), Path::new("/s/web1"), r"DOM\jane", &client, false, true);
        assert_eq!(of_a_domain.help, r"install -d -o 'DOM\jane' -m 0700 it", "a shell would eat the backslash");
    }
}
