//! rsync's arguments for a push. They come from the plan alone, never from a client's text.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::terms::limits::{MAX_BASIS_DIRS, MAX_CLIENT_TIMEOUT};

use super::command::Push;
use crate::decide::owners::{dropped, idpairs};
use crate::decide::sandbox::spec::{Confinement, Ids};

/// A release of rsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u32, pub u32, pub u32);

/// The release that has `--open-noatime`.
pub const OPEN_NOATIME: Version = Version(3, 2, 0);

/// The release that has `--drop-D`, `--confine-root` and `--insecure-links`.
pub const DEFENCES: Version = Version(3, 5, 0);

impl Version {
    /// Reads the first line of `rsync --version`. `None` for another program and for openrsync.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        if (words.next(), words.next()) != (Some("rsync"), Some("version")) {
            return None;
        }
        let version = words.next()?;
        let mut parts = version.strip_prefix('v').unwrap_or(version).splitn(3, '.');
        let mut part = || {
            let part = parts.next()?;
            // A release under way is called 3.5.0pre1 or 3.5.1dev.
            let end = part.find(|character: char| !character.is_ascii_digit()).unwrap_or(part.len());
            part.get(..end)?.parse().ok()
        };
        Some(Self(part()?, part()?, part()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What the server chooses for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The server's rsync.
    pub version: Version,
    /// What holds rsync.
    pub confinement: Confinement,
    /// The repository, absolute: where rsync has no view, it may name nothing outside of it.
    pub root: PathBuf,
    /// rsync's own limit of idle time, where the client has no smaller one.
    pub idle: Duration,
    /// Where unchanged files may be linked from, the best first.
    pub link_dests: Vec<PathBuf>,
    /// The directory that rsync puts unfinished files into.
    pub partial_dir: String,
    /// The run's log.
    pub log: PathBuf,
    /// What the policy has the server's rsync do, whatever the client asks for.
    pub forced: Vec<&'static str>,
    /// How many ids of the client's can be kept; `None`: all or none of them.
    pub ids: Option<Ids>,
    /// Whether rsync logs the owner of each file that it receives.
    pub logs_owners: bool,
}

/// The arguments of a push. The destination is always `.`, where rsync is started.
pub fn for_push(push: &Push, setup: &Setup) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["--server".into()];
    let asked = push.words();
    let unasked = setup.forced.iter().filter(|forced| !asked.iter().any(|word| word == *forced)).map(OsString::from);
    words.extend(asked.iter().map(OsString::from).chain(unasked));
    if let Some(Ids { users, groups }) = setup.ids {
        let lists = push.keeps_access_lists();
        if push.unmaps_lists() {
            words.retain(|word| word != "--numeric-ids");
        }
        with_ids_beyond(&mut words, ("--usermap=", "--no-owner"), users, push.keeps_users(), lists);
        with_ids_beyond(&mut words, ("--groupmap=", "--no-group"), groups, push.keeps_groups(), lists);
        words.extend(KEPT_ATTRIBUTES.iter().filter(|_| push.keeps_attributes()).map(OsString::from));
    }
    // A cut-off file is a basis for the next try, but never under its own name: after a read
    // error on the client rsync leaves a file there with the right size and the wrong content.
    words.push(format!("--partial-dir={}", setup.partial_dir).into());
    // The gate itself watches for silence, and knows whose turn it is. rsync would end a client
    // that only reads a large file for its list (`check_timeout` in its io.c).
    words.push(format!("--timeout={}", seconds(setup.idle, push.timeout())).into());
    if setup.version >= OPEN_NOATIME && !asked.iter().any(|word| word == "--open-noatime") {
        // Reading history for comparison must not change its access times.
        words.push("--open-noatime".into());
    }
    if setup.version >= DEFENCES {
        // Works on one side alone, unlike --no-D (rsync(1)).
        words.push("--drop-D".into());
        if setup.confinement == Confinement::View {
            // In the view the kernel follows no symlinks, so rsync need not walk each path (13 to
            // 16 openat(2) a file). The jail alone would not do: stat(2) and chmod(2) pass it.
            words.push("--insecure-links".into());
        } else {
            words.push(joined("--confine-root=", &setup.root));
        }
    }
    words.extend(setup.link_dests.iter().take(MAX_BASIS_DIRS).map(|basis| joined("--link-dest=", basis)));
    words.push(joined("--log-file=", &setup.log));
    // A line for each file would make the log as large as the list. Lines of owners are removed.
    words.push(format!("--log-file-format={}", if setup.logs_owners { dropped::OWNER_ALONE } else { "" }).into());
    words.extend([OsString::from("."), OsString::from(".")]);
    words
}

/// Maps every id beyond the mapping to its last one. The first rule that fits counts, so the
/// client's own come first. Where access lists alone need it, `without` takes the owners back.
fn with_ids_beyond(words: &mut Vec<OsString>, (option, without): (&str, &str), count: u32, kept: bool, lists: bool) {
    let last = count.saturating_sub(1);
    let rule = format!("{count}-{LAST_ID}:{last}");
    let own = words.iter_mut().find_map(|word| {
        let pairs = idpairs::up_to(word.to_str()?.strip_prefix(option)?, last);
        Some((word, pairs))
    });
    match own {
        Some((word, pairs)) => *word = format!("{option}{pairs},{rule}").into(),
        None if kept => words.push(format!("{option}{rule}").into()),
        None if lists => words.extend([format!("{option}{rule}").into(), without.into()]),
        None => {}
    }
}

/// What root of a user namespace may set; others would be errors, and status 23 (xattr(7)).
const KEPT_ATTRIBUTES: [&str; 3] = ["--filter=+x user.*", "--filter=+x security.capability", "--filter=-x *"];

/// The last id that anybody can have: the one behind it stands for nobody (chown(2)).
const LAST_ID: u32 = u32::MAX - 1;

/// rsync takes 0 for no limit, so it is never printed.
fn seconds(ours: Duration, theirs: Option<u32>) -> u64 {
    let theirs = theirs.map_or(u64::from(MAX_CLIENT_TIMEOUT), u64::from);
    ours.as_secs().min(theirs).max(1)
}

/// An option and its value in one word.
pub(in crate::decide) fn joined(option: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut word = OsString::from(option);
    word.push(value);
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rsync::command::{Command, parse};
    use crate::terms::request::Original;

    fn setup(version: Version, confinement: Confinement) -> Setup {
        Setup {
            version,
            confinement,
            root: PathBuf::from("/r"),
            idle: Duration::from_secs(600),
            link_dests: vec![PathBuf::from("/r/snapshots/a"), PathBuf::from("/r/.snapgate/interrupted/1")],
            partial_dir: ".~snapgate-1~".to_owned(),
            log: PathBuf::from("/r/.snapgate/logs/x.log"),
            forced: Vec::new(),
            ids: None,
            logs_owners: false,
        }
    }

    fn printed(options: &str, setup: &Setup) -> String {
        let text = format!("rsync --server {options} . dst/");
        match parse(&Original::Command(text.into_bytes())) {
            Ok(Command::Push(push)) => for_push(&push, setup).join(std::ffi::OsStr::new(" ")).into_string().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    const BASES: &str = "--link-dest=/r/snapshots/a --link-dest=/r/.snapgate/interrupted/1";
    const LOG: &str = "--log-file=/r/.snapgate/logs/x.log --log-file-format= . .";

    #[test]
    fn flags_follow_the_version_and_what_holds_rsync() {
        let line = |version, confinement| printed("-logDtpre.iLsfxCIvu", &setup(version, confinement));
        let all = |flags: &str| {
            format!("--server -logDtpre.iLsfxCvu --partial-dir=.~snapgate-1~ --timeout=600 --open-noatime {flags}{BASES} {LOG}")
        };
        for confinement in [Confinement::View, Confinement::Jail, Confinement::None] {
            assert_eq!(line(Version(3, 2, 7), confinement), all(""));
            assert_eq!(line(Version(3, 4, 99), confinement), all(""));
        }
        for version in [Version(3, 5, 0), Version(4, 0, 0)] {
            assert_eq!(line(version, Confinement::View), all("--drop-D --insecure-links "));
            assert_eq!(line(version, Confinement::Jail), all("--drop-D --confine-root=/r "));
            assert_eq!(line(version, Confinement::None), all("--drop-D --confine-root=/r "));
        }
    }

    #[test]
    fn an_id_that_cannot_be_kept_is_stored_as_the_last_that_can() {
        let setup = Setup { ids: Some(Ids { users: 65_536, groups: 1000 }), ..setup(DEFENCES, Confinement::View) };
        let line = |options: &str| printed(options, &setup);
        let (users, groups) = ("65536-4294967294:65535", "1000-4294967294:999");
        let plain = line("-logDtpre.iLsfxCIvu");
        assert!(plain.contains(&format!(" --usermap={users} --groupmap={groups} ")), "{plain}");
        let own = line("-logDtpre.iLsfxCIvu --usermap=7:8,9:70000 --numeric-ids");
        assert!(own.contains(&format!(" --usermap=7:8,9:65535,{users} ")) && own.contains(&format!(" --groupmap={groups} ")), "{own}");
        let none = line("-lDtpre.iLsfxCIvu");
        assert!(!none.contains("map="), "{none}");
    }

    #[test]
    fn nor_can_one_in_an_access_list_whether_owners_are_asked_for_or_not() {
        let setup = Setup { ids: Some(Ids { users: 65_536, groups: 1000 }), ..setup(DEFENCES, Confinement::View) };
        let line = |options: &str| printed(options, &setup);
        let (users, groups) = ("--usermap=65536-4294967294:65535", "--groupmap=1000-4294967294:999");
        let none = line("-lDtpAre.iLsfxCIvu");
        assert!(none.contains(&format!(" {users} --no-owner {groups} --no-group ")), "{none}");
        let group = line("-lgDtpAre.iLsfxCIvu");
        assert!(group.contains(&format!(" {users} --no-owner {groups} --partial")), "{group}");
        for (options, numeric) in [
            ("-logDtpAre.iLsfxCIvu --numeric-ids", false),
            ("-lDtpAre.iLsfxCIvu --numeric-ids", false),
            ("-logDtpre.iLsfxCIvu --numeric-ids", true),
            ("-logDtpAre.LsfxCIvu --numeric-ids", true),
            ("-logDtpAr --numeric-ids", true),
            ("-logDtpAe.iLsfxCIvu --numeric-ids", true),
            ("-logDtpArme.iLsfxCIvu --numeric-ids", true),
            ("-logDtpAre.iLsfxCIvu --numeric-ids --delete-before", true),
            ("-logDtpAre.iLsfxCIvu --numeric-ids --delete-after", true),
            ("-logDtpAre.iLsfxCIvu --numeric-ids --use-qsort", true),
            ("-logDtpAre.iLsfxCIvu --numeric-ids --usermap=root:7", true),
            ("-logDtpAre.iLsfxCIvu --numeric-ids --usermap=0:7 --groupmap=9-12:7,*:8", false),
        ] {
            let line = line(options);
            assert_eq!(line.contains(" --numeric-ids "), numeric, "{options}: {line}");
        }
    }

    #[test]
    fn the_smaller_limit_of_time_is_printed_once_and_never_as_none() {
        let line = |options: &str, idle| {
            printed(options, &Setup { idle: Duration::from_millis(idle), ..setup(Version(3, 5, 0), Confinement::View) })
        };
        for (options, idle, expected) in [
            ("-r --timeout=60", 600_000, "--timeout=60"),
            ("-r --timeout=3600", 600_000, "--timeout=600"),
            ("-r", 10, "--timeout=1"),
            ("-r", u64::MAX, "--timeout=86400"),
        ] {
            let line = line(options, idle);
            assert_eq!(line.matches("--timeout").count(), 1, "{line}");
            assert!(line.contains(&format!(" {expected} ")), "{line}");
        }
    }

    #[test]
    fn each_word_is_printed_as_often_as_it_should_be() {
        let usual = setup(Version(3, 5, 0), Confinement::View);
        let forced = Setup { forced: vec!["--munge-links"], ..usual.clone() };
        let many = Setup { link_dests: vec![PathBuf::from("/r/b"); 30], ..usual.clone() };
        let counted = Setup { logs_owners: true, version: Version(3, 1, 3), ..usual.clone() };
        let (old, bare) = (setup(Version(3, 1, 3), Confinement::View), setup(Version(3, 2, 7), Confinement::View));
        for (setup, options, word, count) in [
            (&forced, "-r", "--munge-links ", 1),
            (&forced, "-rl", "--munge-links ", 1),
            (&forced, "-rl --munge-links", "--munge-links ", 1),
            (&usual, "-rl", "munge", 0),
            (&many, "-r --partial --partial-dir .p", "--partial", 1),
            (&many, "-r --partial --partial-dir .p", "--link-dest=", MAX_BASIS_DIRS),
            (&old, "-logDtpr", " --log-file-format= ", 1),
            (&counted, "-logDtpr", " --log-file-format=%U ", 1),
            (&usual, "-r --link-dest /etc", "dst", 0),
            (&usual, "-r --link-dest /etc", "/etc", 0),
            // No capabilities are made up for a client without them.
            (&bare, "-g -l -o -p -D -r -t", "--server -logDtpr --partial-dir=", 1),
            (&bare, "", "--server --partial-dir=", 1),
        ] {
            let line = printed(options, setup);
            assert_eq!(line.matches(word).count(), count, "{options}: {line}");
            assert!(line.ends_with(" . .") && line.find("--munge-links") < line.find("--partial-dir"), "{line}");
        }
    }

    #[test]
    fn versions_are_read_from_rsyncs_first_line() {
        assert_eq!(Version::parse("rsync  version 3.5.0  protocol version 32"), Some(Version(3, 5, 0)));
        assert_eq!(Version::parse("rsync  version v3.2.7  protocol version 31\n"), Some(Version(3, 2, 7)));
        assert_eq!(Version::parse("rsync version 3.4.1pre1 protocol version 32"), Some(Version(3, 4, 1)));
        for line in
            ["", "openrsync: protocol version 29, rsync version 2.6.9 compatible", "rsync  version 3.5", "rsync version x.y.z", "bash 5"]
        {
            assert_eq!(Version::parse(line), None, "{line}");
        }
        assert!(Version(3, 10, 0) > DEFENCES);
    }
}
