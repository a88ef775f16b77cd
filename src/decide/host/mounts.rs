//! The kernel's list of mounts, for `require_mount: true` and `snapgate remap`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// The mount points in `/proc/self/mountinfo` (proc_pid_mountinfo(5)), without `/` and without
/// those of automounters, where nothing may be mounted yet.
pub fn points(mountinfo: &[u8]) -> Vec<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let found = lines.filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let point = unescaped(fields.nth(4)?);
        // Optional fields end with a lone hyphen; the type of the file system follows.
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        (kind != b"autofs" && point != Path::new("/")).then_some(point)
    });
    found.collect()
}

/// Whether a path without symlinks is in a file system that a process serves (FUSE). Such a process
/// acts for the account, without the rights that a user namespace gives.
pub(crate) fn is_served(mountinfo: &[u8], path: &Path) -> bool {
    let lines = mountinfo.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let point = unescaped(fields.nth(4)?);
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        path.starts_with(&point).then(|| (point.components().count(), kind))
    });
    // Of several at one place the last one is seen.
    let own = lines.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind);
    own.is_some_and(|kind| ["fuse", "fuseblk"].iter().any(|served| kind.split(|byte| *byte == b'.').next() == Some(served.as_bytes())))
}

/// The directories that a table of mounts (fstab(5)) wants to have mounted at the start.
pub(crate) fn wanted(fstab: &[u8]) -> Vec<PathBuf> {
    let lines = fstab.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_start().starts_with(b"#"));
    let found = lines.filter_map(|line| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let (point, _kind, options) = (unescaped(fields.nth(1)?), fields.next()?, fields.next().unwrap_or(b"defaults"));
        let mut options = options.split(|byte| *byte == b',');
        (point.is_absolute() && point != Path::new("/") && !options.any(|option| option == b"noauto" || option == b"x-systemd.automount"))
            .then_some(point)
    });
    found.collect()
}

/// Another mount of something beneath a directory, through which those may enter who may not enter
/// the directory. It is at `path`, in the mount of this number.
pub fn ways_around(mountinfo: &[u8], mount: u64, path: &Path) -> Result<Option<PathBuf>, &'static str> {
    let lines = mountinfo.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let number = str::from_utf8(fields.next()?).ok()?.parse::<u64>().ok()?;
        Some((number, fields.nth(1)?, unescaped(fields.next()?), unescaped(fields.next()?)))
    });
    let all: Vec<_> = lines.collect();
    let own = all.iter().find(|(number, ..)| *number == mount);
    let (_, device, root, point) = own.ok_or("it is in no mount that the kernel lists")?;
    let inside = path.strip_prefix(point).map_err(|_| "it is not where the kernel lists its mount")?;
    // The path within the file system.
    let directory = root.join(inside);
    let around = all.iter().find(|(_, other, root, _)| other == device && *root != directory && root.starts_with(&directory));
    Ok(around.map(|(.., point)| point.clone()))
}

/// Replaces `\040` and the like, which stand for spaces, tabs, line breaks and backslashes.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after.get(..3).filter(|_| *byte == b'\\').and_then(octal);
        out.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    PathBuf::from(OsString::from_vec(out))
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = digits.iter().all(|digit| (b'0'..=b'7').contains(digit)).then_some(digits)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

/// Whether the store is mounted, or for a repository elsewhere its directory or one above. Both
/// paths without symlinks.
#[must_use]
pub fn satisfied(store: &Path, repository: &Path, points: &[PathBuf]) -> bool {
    let listed = |path: &Path| points.iter().any(|point| point == path);
    if repository.starts_with(store) { listed(store) } else { repository.ancestors().any(listed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        35 22 8:17 / /srv/backups rw shared:7 master:2 - ext4 /dev/sdb1 rw\n\
        36 22 8:33 / /mnt/my\\040disk\\134x rw - vfat /dev/sdc1 rw\n\
        37 22 0:40 / /mnt/auto rw - autofs systemd-1 rw\n\
        38 22 8:1 /elsewhere /bound rw - ext4 /dev/sda1 rw\n\
        cut short\n";

    fn ok(store: &str, repository: &str) -> bool {
        satisfied(Path::new(store), Path::new(repository), &points(MOUNTS))
    }

    #[test]
    fn mount_points_are_read_with_their_escapes_and_a_root_or_an_automounter_is_none() {
        let names: Vec<_> = points(MOUNTS).iter().map(|path| path.display().to_string()).collect();
        assert_eq!(names, ["/srv/backups", "/mnt/my disk\\x", "/bound"]);
        assert_eq!(unescaped(b"a\\04"), Path::new("a\\04"), "not an escape");
        assert_eq!(unescaped(b"a\\777"), Path::new("a\\777"), "no byte");
    }

    #[test]
    fn what_a_process_serves_is_told_by_the_last_mount_above() {
        let lines = b"40 35 0:50 / /srv/backups/sealed rw - fuse.gocryptfs /srv/encrypted rw\n\
            41 40 0:51 / /srv/backups/sealed/disk rw - ext4 /dev/sdd1 rw\n\
            42 22 0:52 / /mnt/a\\040b rw - fuse portal rw\n\
            43 22 0:53 / /mnt/usb rw - fuseblk /dev/sde1 rw\n\
            44 22 0:54 / /mnt/twice rw - fuse.sshfs x: rw\n\
            45 44 8:49 / /mnt/twice rw - xfs /dev/sdf1 rw\n\
            46 22 0:55 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n";
        let text = [MOUNTS, b"\n", lines].concat();
        for (path, is) in [
            ("/srv/backups/sealed/web1", true),
            ("/srv/backups/sealed", true),
            ("/srv/backups/sealed2/web1", false),
            ("/srv/backups/web1", false),
            ("/srv/backups/sealed/disk/web1", false),
            ("/mnt/a b/web1", true),
            ("/mnt/usb/web1", true),
            ("/mnt/twice/web1", false),
            ("/sys/fs/fuse/connections/1", false),
            ("/home", false),
        ] {
            assert_eq!(is_served(&text, Path::new(path)), is, "{path}");
        }
    }

    #[test]
    fn a_way_around_a_directory_leads_to_what_is_beneath_it() {
        let around = |mounts: &str, mount, path: &str| {
            let text = [MOUNTS, mounts.as_bytes()].concat();
            ways_around(&text, mount, Path::new(path)).map(|found| found.map(|path| path.display().to_string()))
        };
        let line = |device: &str, root: &str| format!("\n50 22 {device} {root} /home/web1 ro - ext4 /dev/sdb1 rw\n");
        for (device, root, found) in [
            ("8:17", "/web1/snapshots", true),
            ("8:17", "/web1/snapshots/a\\040b", true),
            ("8:17", "/web1", false),
            ("8:17", "/", false),
            ("8:17", "/web10/snapshots", false),
            ("8:1", "/web1/snapshots", false),
        ] {
            let expected = found.then(|| "/home/web1".to_owned());
            assert_eq!(around(&line(device, root), 35, "/srv/backups/web1"), Ok(expected), "{device} {root}");
        }
        // What is mounted is itself a part of its disk.
        assert_eq!(around(&line("8:1", "/elsewhere/web1/x"), 38, "/bound/web1"), Ok(Some("/home/web1".to_owned())));
        assert!(around("", 99, "/srv/backups/web1").is_err() && around("", 35, "/srv/other").is_err());
    }

    #[test]
    fn in_the_store_the_store_is_asked_and_elsewhere_any_directory_above() {
        assert!(ok("/srv/backups", "/srv/backups/web1"));
        assert!(!ok("/srv", "/srv/backups/web1"), "the store is what the administrator named");
        assert!(!ok("/srv/backups/inner", "/srv/backups/inner/web1"));
        assert!(ok("/srv/other", "/mnt/my disk\\x/backups/rt-1080") && ok("/srv/other", "/bound"));
        assert!(!ok("/srv/other", "/mnt/usb/backups/rt-1080"));
        assert!(!ok("/srv/other", "/mnt/auto/web1"), "nothing is plugged in");
        assert!(!ok("/srv/backups", "/srv/backups2/web1"), "a longer name is another directory");
        assert!(!ok("/", "/web1"));
    }
}
