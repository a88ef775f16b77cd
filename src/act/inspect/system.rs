//! Small files of the system, read for `check`: what the kernel says, tables of cron's and of
//! mounts, the changelog of rsync's package.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::libc;
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::decide::doctor::kernel::sets_the_clock;
use crate::terms::limits::{MAX_CHANGELOG, MAX_CRON_FILES, MAX_SYSTEM_FILE};

/// Names that a file may have on ext4 (`EXT4_LINK_MAX`) and on btrfs (`BTRFS_LINK_MAX`). The other
/// file systems of a server have no such limit, or one that nobody reaches.
const MOST_LINKS: [(FsType, u64); 2] = [(EXT4_SUPER_MAGIC, 65_000), (BTRFS_SUPER_MAGIC, 65_535)];

/// Where Debian keeps what was changed in rsync's package, and the program that it is about.
const CHANGELOG: &str = "/usr/share/doc/rsync/changelog.Debian.gz";
const PACKAGED: &str = "/usr/bin/rsync";

/// The beginning of a small file; `None` if it cannot be read.
#[must_use]
pub fn small(path: &Path) -> Option<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW).open(path).ok()?;
    let mut text = Vec::new();
    file.take(MAX_SYSTEM_FILE).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The same as text.
#[must_use]
pub fn setting(path: &str) -> Option<String> {
    small(Path::new(path)).map(|text| String::from_utf8_lossy(&text).into_owned())
}

/// When this program was put into place.
#[must_use]
pub fn installed() -> Option<DateTime<Utc>> {
    let own = fs::metadata("/proc/self/exe").ok()?;
    DateTime::from_timestamp(own.ctime(), 0)
}

/// The files that a pattern of names means, where only its last part is one; `None` where another
/// part is. A name that leads nowhere means none.
#[must_use]
pub fn spread(pattern: &Path) -> Option<Vec<PathBuf>> {
    let is_pattern = |part: &[u8]| part.iter().any(|byte| b"*?[]{}\\".contains(byte));
    let (directory, name) = (pattern.parent()?, pattern.file_name()?.as_encoded_bytes());
    if is_pattern(directory.as_os_str().as_encoded_bytes()) {
        return None;
    }
    if !is_pattern(name) {
        return Some(Some(pattern.to_path_buf()).filter(|path| path.exists()).into_iter().collect());
    }
    // One star, with what stands before and behind it.
    let (before, behind) = name.iter().position(|byte| *byte == b'*').and_then(|at| Some((name.get(..at)?, name.get(at + 1..)?)))?;
    if is_pattern(before) || is_pattern(behind) {
        return None;
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(before) && name.ends_with(behind) && name.len() >= before.len() + behind.len()
    };
    Some(entries.map(|entry| entry.path()).filter(is_meant).collect())
}

/// How long the machine has been up.
#[must_use]
pub fn up() -> Duration {
    let text = setting("/proc/uptime").unwrap_or_default();
    let seconds = text.split('.').next().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

/// Every table of cron's: the system's, and those of accounts where root looks.
#[must_use]
pub fn cron_tables() -> Vec<Vec<u8>> {
    let mut paths = vec![PathBuf::from("/etc/crontab")];
    for directory in ["/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/var/spool/cron/crontabs", "/var/spool/cron", "/etc/crontabs"]
    {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path()).take(MAX_CRON_FILES));
    }
    paths.iter().take(MAX_CRON_FILES).filter_map(|path| small(path)).collect()
}

/// Whether a process runs that sets the clock, by its name.
#[must_use]
pub fn a_clock_is_set() -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = processes.filter_map(|process| fs::read_to_string(process.path().join("comm")).ok());
    names.into_iter().any(|name| sets_the_clock(&name))
}

/// What is known of an rsync by its package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Package {
    /// It is of none.
    None,
    /// Nothing is known of it.
    Unknown,
    /// Its changelog, as far as it is read.
    Changelog(String),
}

/// The package of that rsync.
#[must_use]
pub fn package(rsync: &Path) -> Package {
    if super::real(rsync) != super::real(Path::new(PACKAGED)) {
        return Package::None;
    }
    let Ok(file) = File::open(CHANGELOG) else { return Package::Unknown };
    let mut text = Vec::new();
    match flate2::read::GzDecoder::new(file).take(MAX_CHANGELOG).read_to_end(&mut text) {
        Ok(_) => Package::Changelog(String::from_utf8_lossy(&text).into_owned()),
        Err(_) => Package::Unknown,
    }
}

/// How many names a file may have where that is; `None` where there is no limit to speak of.
#[must_use]
pub fn most_links(path: &Path) -> Option<u64> {
    let found = statfs(path).ok()?.filesystem_type();
    MOST_LINKS.iter().find(|(kind, _)| *kind == found).map(|(_, most)| *most)
}

/// Whether each reading of a file there writes when it was read.
#[must_use]
pub fn notes_reading(path: &Path) -> bool {
    statvfs(path).is_ok_and(|found| !found.flags().intersects(FsFlags::ST_NOATIME | FsFlags::ST_RDONLY))
}
