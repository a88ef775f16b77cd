//! The rsync of a restore that writes, on this machine: its words, and what it says.
//!
//! No word of a client's or an administrator's may be read as anything but a name.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::decide::rsync::argv::{self, Version};

/// What travels, as the one that sends is told (`send::sender`).
const RECEIVED: [&str; 6] = ["-aAXH", "--no-devices", "--numeric-ids", "--sparse", "--no-s", "--stats"];

/// The release that says how far it is.
const PROGRESS: Version = Version(3, 1, 0);

/// The release that writes a file with holes where it stands.
const IN_PLACE: Version = Version(3, 2, 0);

/// How it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Not at all: rsync only says what would come.
    Never,
    /// Into a directory that is nobody else's and has nothing else in it. What a killed rsync leaves
    /// of a file is where the next one looks for it.
    Apart {
        /// Where a rsync puts files until they are whole, if it cannot write them in their place.
        unfinished: PathBuf,
        /// Whether what is there may be other than it seems, as after a crash of the machine.
        doubted: bool,
    },
    /// Over what is there. A file changes in one step. Until it is whole it is where it is to be, or
    /// whoever owns that directory could have it from elsewhere: `--temp-dir` is one for all.
    Over,
}

/// In each directory that is written over, where the beginnings of files are that an interrupt cut
/// short.
const PARTIAL: &str = ".snapgate-partial";

/// What writes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver<'a> {
    /// Its version.
    pub version: Version,
    /// The words by which it starts the one that reads.
    pub shell: &'a [OsString],
    /// Where it writes, absolute.
    pub directory: &'a Path,
    /// How.
    pub manner: Manner,
    /// Whether an account runs it, whose files they become. No set-ID bit stays: a client would lend
    /// the account to others.
    pub unprivileged: bool,
    /// Whether somebody watches.
    pub watched: bool,
}

/// Its words.
pub fn words(receiver: Receiver<'_>) -> Vec<OsString> {
    let Receiver { version, shell, directory, manner, unprivileged, watched } = receiver;
    let mut words: Vec<OsString> = RECEIVED.iter().map(OsString::from).collect();
    if version >= PROGRESS {
        words.push("--no-human-readable".into());
        words.extend(watched.then(|| OsString::from("--info=progress2")));
    }
    if unprivileged {
        words.push("--chmod=ug-s".into());
    }
    if version >= argv::DEFENCES {
        words.push("--drop-D".into());
        words.extend((manner != Manner::Never).then(|| joined("--confine-root=", directory)));
    }
    match &manner {
        Manner::Never => words.push("--dry-run".into()),
        Manner::Apart { unfinished, doubted } => {
            if version >= IN_PLACE {
                words.push("--inplace".into());
            } else {
                words.extend([OsString::from("--partial"), joined("--temp-dir=", unfinished)]);
            }
            words.extend(doubted.then(|| OsString::from("--checksum")));
        }
        Manner::Over => words.push(joined("--partial-dir=", Path::new(PARTIAL))),
    }
    words.extend(["-e".into(), quoted(shell)]);
    // Host and path are for show: the other rsync has its words from here.
    let mut to = directory.as_os_str().to_owned();
    to.push("/");
    words.extend([OsString::from("snapshot:."), to]);
    words
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut word = OsString::from(option);
    word.push(path);
    word
}

/// Words as rsync splits them again (`-e`, rsync(1)), without a shell. Between quotes every byte is
/// literal, and a quote is doubled.
pub fn quoted(words: &[OsString]) -> OsString {
    let quote = |word: &OsString| {
        let inside = word.as_bytes().iter().flat_map(|byte| if *byte == b'\'' { vec![b'\'', b'\''] } else { vec![*byte] });
        [b'\''].into_iter().chain(inside).chain([b'\'']).collect::<Vec<u8>>()
    };
    OsString::from_vec(words.iter().map(quote).collect::<Vec<_>>().join(&b' '))
}

/// The words of a drill's: what a client would say. `mapped`: it has power over a client's ids, and
/// is not root.
pub fn drill_words(snapshot: &str, list: &Path, shell: &[OsString], mapped: bool, directory: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["-aHAX", "--numeric-ids", "--no-s", "--from0"].iter().map(OsString::from).collect();
    words.extend(mapped.then(|| OsString::from("--super")));
    words.extend([joined("--files-from=", list), "-e".into(), quoted(shell)]);
    let mut to = directory.as_os_str().to_owned();
    to.push("/");
    words.extend([OsString::from(format!("drill:{snapshot}/")), to]);
    words
}

/// What rsync says of what it did (`--stats`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Everything that is not a directory.
    pub files: u64,
    /// Sum of the sizes of all files.
    pub bytes: u64,
    /// Files that were written now; the others were there.
    pub written: u64,
    /// Sum of their sizes.
    pub written_bytes: u64,
}

/// How far it is (`--info=progress2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Bytes of files that have come.
    pub bytes: u64,
    /// Of a hundred, as far as rsync knows what there is.
    pub percent: u64,
    /// Files that have come.
    pub files: u64,
}

impl Figures {
    /// Reads a line. Says whether it is one of these figures, or beside them.
    pub fn hear(&mut self, line: &str) -> bool {
        const OTHERS: [&str; 10] = [
            "Number of created files", "Number of deleted files", "Literal data", "Matched data", "File list size",
            "File list generation time", "File list transfer time", "Total bytes sent", "Total bytes received", "total size is",
        ];
        let Some((name, value)) = line.split_once(": ") else {
            let is_sum = line.starts_with("sent ") && line.contains(" bytes  received ");
            return line.is_empty() || is_sum || line.starts_with("total size is ");
        };
        let first = number(value);
        match name {
            "Number of files" => self.files = first.saturating_sub(value.split_once("dir: ").map_or(0, |(_, rest)| number(rest))),
            "Total file size" => self.bytes = first,
            "Number of regular files transferred" | "Number of files transferred" => self.written = first,
            "Total transferred file size" => self.written_bytes = first,
            name => return OTHERS.contains(&name),
        }
        true
    }
}

impl Step {
    /// Reads a line.
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let bytes = words.next()?.parse().ok()?;
        let percent = words.next()?.strip_suffix('%')?.parse().ok()?;
        let files = line.split_once("(xfr#").map_or(0, |(_, rest)| number(rest));
        Some(Self { bytes, percent, files })
    }
}

/// The digits that a text begins with, with or without commas between them.
fn number(text: &str) -> u64 {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b',').filter(u8::is_ascii_digit);
    digits.fold(0, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn printed(version: Version, manner: Manner) -> String {
        let shell = ["/x".into(), "--path=it's a".into()];
        let receiver = Receiver { version, shell: &shell, directory: Path::new("/to"), manner, unprivileged: false, watched: false };
        words(receiver).join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn it_makes_no_device_and_is_told_nothing_by_the_snapshot() {
        let end = "-e '/x' '--path=it''s a' snapshot:. /to/";
        let begin = "-aAXH --no-devices --numeric-ids --sparse --no-s --stats";
        let apart = |doubted| Manner::Apart { unfinished: "/tmp/un".into(), doubted };
        for (version, manner, expected) in [
            (argv::DEFENCES, apart(false), "--no-human-readable --drop-D --confine-root=/to --inplace"),
            (argv::DEFENCES, apart(true), "--no-human-readable --drop-D --confine-root=/to --inplace --checksum"),
            (argv::DEFENCES, Manner::Over, "--no-human-readable --drop-D --confine-root=/to --partial-dir=.snapgate-partial"),
            (argv::DEFENCES, Manner::Never, "--no-human-readable --drop-D --dry-run"),
            (Version(3, 2, 7), apart(false), "--no-human-readable --inplace"),
            (Version(3, 1, 3), apart(false), "--no-human-readable --partial --temp-dir=/tmp/un"),
        ] {
            assert_eq!(printed(version, manner), format!("{begin} {expected} {end}"));
        }
        let shell = ["/x".into()];
        let manner = Manner::Never;
        let told = words(Receiver {
            version: Version(3, 1, 3),
            shell: &shell,
            directory: Path::new("/to"),
            manner,
            unprivileged: true,
            watched: true,
        });
        assert!(told.contains(&"--chmod=ug-s".into()) && told.contains(&"--info=progress2".into()));
    }

    #[test]
    fn a_drill_asks_as_a_client_would() {
        let words = drill_words("2026", Path::new("/s/files"), &["/x".into(), "drill-shell".into()], true, Path::new("/s/tree"));
        let expected = "-aHAX --numeric-ids --no-s --from0 --super --files-from=/s/files -e '/x' 'drill-shell' drill:2026/ /s/tree/";
        assert_eq!(words.join(OsStr::new(" ")).into_string().unwrap(), expected);
    }

    #[test]
    fn its_figures_are_read_and_what_is_none_is_left_to_the_person() {
        let said = "\nNumber of files: 1,234 (reg: 1,000, dir: 200, link: 34)\nNumber of created files: 5 (reg: 5)\n\
                    Number of deleted files: 0\nNumber of regular files transferred: 7\nTotal file size: 987654 bytes\n\
                    Total transferred file size: 321 bytes\nLiteral data: 321 bytes\nMatched data: 0 bytes\nFile list size: 0\n\
                    File list generation time: 0.001 seconds\nFile list transfer time: 0.000 seconds\nTotal bytes sent: 30\n\
                    Total bytes received: 500\n\nsent 30 bytes  received 500 bytes  1060.00 bytes/sec\ntotal size is 987654  speedup is 1.00";
        let mut figures = Figures::default();
        assert!(said.lines().all(|line| figures.hear(line)));
        assert_eq!(figures, Figures { files: 1034, bytes: 987_654, written: 7, written_bytes: 321 });
        for other in ["cannot delete non-empty directory: x", "rsync: [receiver] write failed", "skipping non-regular file \"x\""] {
            assert!(!figures.hear(other), "{other}");
        }
        let line = "     1310720  45%   31.25MB/s    0:00:00 (xfr#12, to-chk=3/50)";
        assert_eq!(Step::read(line), Some(Step { bytes: 1_310_720, percent: 45, files: 12 }));
        assert_eq!(Step::read("              0   0%    0.00kB/s    0:00:00").map(|step| step.files), Some(0));
        assert_eq!(Step::read("Number of files: 3"), None);
    }
}
