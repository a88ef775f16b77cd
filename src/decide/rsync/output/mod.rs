//! rsync's log of a run, as far as the gate uses it: complaints, what was skipped, bytes received.
//!
//! With `-v` the log also holds the client's names, which look like anything. rsync's exit status
//! tells them apart: an error that cost a file comes with status 23, and one that ended rsync with
//! another. After a good end only the few errors are looked for after which rsync goes on.

use std::collections::VecDeque;

use crate::decide::push::outcome::{Ended, VANISHED};
use crate::terms::limits::{MAX_LOG_LINES, MAX_MESSAGE};
use crate::terms::text::printable;

/// What rsync wrote in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Its complaints, printable: the first and the last, [`MAX_LOG_LINES`] in all.
    pub complaints: Vec<String>,
    /// How many there are besides.
    pub more: u64,
    /// Sockets, FIFOs and devices that it did not store.
    pub skipped: u64,
    /// Bytes it read from the network, if it logged them.
    pub wire_bytes: Option<u64>,
    /// The sizes of all files in the list, in bytes.
    pub total_bytes: Option<u64>,
    /// Whether a file reached the largest size that the kernel allows rsync (`EFBIG`).
    pub file_too_large: bool,
    /// What it ran out of when it wrote.
    pub lack: Option<Lack>,
}

/// What the file system had no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Room (`ENOSPC`).
    Room,
    /// What it lets the account, the project or the subvolume have (`EDQUOT`).
    Quota,
}

/// Behind a name in an error of rsync's.
const LACKS: [(&[u8], Lack); 2] = [(b": No space left on device (28)", Lack::Room), (b": Disk quota exceeded (122)", Lack::Quota)];

impl Words {
    /// Its complaints for the administrator.
    pub fn report(&self) -> impl Iterator<Item = String> {
        let (first, last) = self.complaints.split_at(self.complaints.len().min(MAX_LOG_LINES / 2));
        let more = (self.more > 0).then(|| format!("rsync: {} more complaints", self.more));
        let quoted = |text: &String| if text.starts_with("rsync") { text.clone() } else { format!("rsync: {text}") };
        first.iter().map(quoted).chain(more).chain(last.iter().map(quoted))
    }
}

/// What a message of rsync's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Complaint,
    Skipped,
    /// Bytes received, and the size of everything.
    Summary(u64, u64),
    /// Names, items, notes, and whatever is not known.
    Ordinary,
}

/// Reads a run's log in pieces. Names in it come from the client and are only quoted.
#[derive(Debug)]
pub struct Reader {
    well: bool,
    /// The beginning of a message whose end is missing.
    rest: Vec<u8>,
    /// Whether it is the rest of a message that was too long, and has been judged.
    judged: bool,
    words: Words,
    last: VecDeque<String>,
}

impl Reader {
    /// For the log of an rsync that ended like this.
    pub fn new(ended: Ended) -> Self {
        let well = matches!(ended, Ended::Exit(0 | VANISHED));
        Self { well, rest: Vec::new(), judged: true, words: Words::default(), last: VecDeque::new() }
    }

    /// Takes the next piece, which may be a single byte. Many are read together, so that no message
    /// is searched again and again while it arrives.
    pub fn feed(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        if self.rest.len() >= 2 * MAX_MESSAGE {
            self.read();
        }
    }

    /// Judges what has arrived. A message ends where the next one begins: before 3.5.0 names may
    /// hold line breaks, and rsync cuts long messages together with their line break.
    fn read(&mut self) {
        let mut rest = std::mem::take(&mut self.rest);
        let mut from = 0;
        for start in starts(&rest) {
            let begins_line = start.checked_sub(1).is_none_or(|before| rest.get(before) == Some(&b'\n'));
            // After a good end a message inside a line is a name.
            if self.well && !self.judged && !begins_line && start - from < CUT {
                continue;
            }
            self.judge(rest.get(from..start).unwrap_or_default());
            (from, self.judged) = (start, false);
        }
        rest.drain(..from);
        if rest.len() > MAX_MESSAGE {
            self.judge(&rest);
            // A message may begin in the last bytes.
            rest.drain(..rest.len() - BEGINNING);
            self.judged = true;
        }
        self.rest = rest;
    }

    /// What was written in all.
    pub fn end(mut self) -> Words {
        self.read();
        let rest = std::mem::take(&mut self.rest);
        self.judge(&rest);
        self.words.complaints.extend(self.last);
        self.words
    }

    fn judge(&mut self, message: &[u8]) {
        let Some(text) = by_rsync(message).filter(|_| !self.judged) else { return };
        let text = text.trim_ascii_end();
        match kind(text, self.well) {
            Kind::Complaint => {
                self.words.file_too_large |= text.ends_with(b": File too large (27)");
                let lack = LACKS.iter().find(|(end, _)| text.ends_with(end)).map(|(_, lack)| *lack);
                self.words.lack = self.words.lack.or(lack);
                self.complain(printable(text));
            }
            Kind::Skipped => self.words.skipped += 1,
            Kind::Summary(wire, total) => (self.words.wire_bytes, self.words.total_bytes) = (Some(wire), Some(total)),
            Kind::Ordinary => {}
        }
    }

    /// Keeps the first complaints and the last.
    fn complain(&mut self, text: String) {
        if self.words.complaints.len() < MAX_LOG_LINES / 2 {
            return self.words.complaints.push(text);
        }
        self.last.push_back(text);
        if self.last.len() > MAX_LOG_LINES.div_ceil(2) {
            self.last.pop_front();
            self.words.more += 1;
        }
    }
}

/// Errors after which rsync goes on, behind `rsync: ` and the process (generator.c, receiver.c,
/// util1.c: `FERROR` and `FWARNING` of `rsyserr`).
const GOES_ON: &[&str] = &["failed to open ", "fsync failed on ", "do_fallocate ", "fstat ", "close failed on ", "copy_file ", "refusing "];

/// The same without `rsync: `.
const GOES_ON_PLAIN: &[&str] = &[
    "--link-dest arg ",
    "default_perms_for_dir: ",
    "do_chmod: no symlink-safe chmod ",
    "out of file descriptors ",
    "Unable to create partial-dir ",
    "WARNING: parent dir is absent ",
    "Corrupt ",
    "discarding over-long filter",
    "cannot add local filter ",
];

/// Other errors, which count where rsync did not end well: 3.1.3 to 3.5.1.
const ERRORS: &[&str] = &[
    "rsync: ", "rsync error: ", "rsync warning: ", "ERROR: ", "WARNING: ", "FATAL ", "ABORTING ", "*** ", "IO error encountered",
    "Deletions stopped ", "could not make way for ", "file has vanished: ", "directory has vanished: ", "temporary filename too long: ",
    "Time value of ", "Create time value of ", "Access time value of ", "uid 4294967295 ", "gid 4294967295 ", "Invalid ", "invalid ",
    "overflow", "Overflow ", "Offset ", "Integer overflow", "wire ", "unexpected tag ", "multiplexing ", "protocol version mismatch",
    "The ", "Failed to ", "failed to ", "Unknown ", "unknown ", "Missing ", "hard-link ", "Unable to ", "Hlink ", "File-list ",
    "got a block match ", "got transfer request ", "received request ", "recv_acl_", "recv_files: ", "recv_generator: ", "recv_xattr_",
    "receive_", "pack_smb_acl", "xattr ", "checksum ", "inflate ", "inflate(", "ZSTD", "LZ4", "decompressor ", "uncompress ", "compress",
    "Internal ", "internal", "iconv_open(", "--acls ", "--xattrs ", "--protocol ", "--fuzzy ", "Using more ", "preallocation ",
    "need to read ", "error in ", "over-long ", "skipping overly long ", "symlink has no ", "filename overflows ", "Symlink ", "refusing ",
    "stopping ", "Your ", "server_recv: ", "filter rules ", "merge-file ", "link_stat ",
];

/// The same behind a process in brackets.
const BRACKETED: &[&str] = &[
    "connection ", "io timeout ", "daemon ", "out of memory", "exceeded ", "buffer ", "cannot ", "internal ", "could not ", "Invalid ",
    "file list has grown ", "hashtable", "merge-file ",
];

/// The same about two names with an arrow between. Any other arrow is a symlink's.
const ABOUT_TWO: &[&str] = &["symlink \"", "rename \"", "copy \"", "copy_file \"", "link \"", "keep_backup failed: \""];

/// What a message is.
fn kind(text: &[u8], well: bool) -> Kind {
    if is_skipped(text) {
        return Kind::Skipped;
    }
    if let Some((wire, total)) = summary(text).filter(|_| well) {
        return Kind::Summary(wire, total);
    }
    let begins = |text: &[u8], beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning.as_bytes()));
    let by_somebody = |text| bracketed(text).unwrap_or(text);
    let rsync = text.strip_prefix(b"rsync: ");
    let goes_on = rsync.is_some_and(|text| begins(by_somebody(text), GOES_ON)) || begins(text, GOES_ON_PLAIN);
    let error = goes_on || (!well && (begins(text, ERRORS) || bracketed(text).is_some_and(|text| begins(text, BRACKETED))));
    let to_another = !well && rsync.is_some_and(|text| begins(by_somebody(text), ABOUT_TWO));
    let link = !to_another && (has(text, b" -> ") || has(text, b" => "));
    if error && !link && !is_name(text) { Kind::Complaint } else { Kind::Ordinary }
}

/// What rsync adds to a name.
const BEHIND_NAMES: &[&str] =
    &["/", " is uptodate", " exists", " change)", " (uptodate)", " is newer", " is over max-size", " is under min-size"];

fn is_name(text: &[u8]) -> bool {
    BEHIND_NAMES.iter().any(|end| text.ends_with(end.as_bytes()))
}

fn is_skipped(text: &[u8]) -> bool {
    let quoted = |beginning: &[u8]| text.strip_prefix(beginning).is_some_and(|name| name.ends_with(b"\""));
    quoted(b"skipping non-regular file \"") || quoted(b"skipping socket (creation unsupported here): \"")
}

/// What follows `[generator] ` and its like.
fn bracketed(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"[")?;
    let end = text.iter().position(|byte| !byte.is_ascii_alphabetic()).filter(|end| *end > 0)?;
    text.get(end..)?.strip_prefix(b"] ")
}

fn has(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

/// Bytes of `2026/11/21 09:12:02 `.
const DATE: usize = 20;

/// Bytes of the longest prefix of a message.
const BEGINNING: usize = DATE + "[4194304] ".len();

/// Bytes after which rsync cuts a message (log.c, `rwrite`). Escapes may make it longer in the log.
const CUT: usize = 2047;

/// Offsets at which messages may begin.
fn starts(log: &[u8]) -> Vec<usize> {
    let brackets = log.iter().enumerate().filter(|(_, byte)| **byte == b'[');
    let before = brackets.filter_map(|(at, _)| at.checked_sub(DATE));
    before.filter(|at| log.get(*at..).and_then(by_rsync).is_some()).collect()
}

/// The text of a line of rsync's: `2026/11/21 09:12:02 [2735] text`.
pub(crate) fn by_rsync(line: &[u8]) -> Option<&[u8]> {
    let (date, rest) = line.split_at_checked(DATE)?;
    let end = rest.iter().take(BEGINNING - DATE).position(|byte| *byte == b']')?;
    let (pid, text) = rest.split_at_checked(end)?;
    let is_date = date.ends_with(b" ") && date.iter().all(|byte| byte.is_ascii_digit() || b"/: ".contains(byte));
    let is_pid = pid.len() > 1 && pid.starts_with(b"[") && pid.iter().skip(1).all(u8::is_ascii_digit);
    (is_date && is_pid).then(|| text.strip_prefix(b"] ").unwrap_or_default())
}

/// The last two of `sent 86 bytes  received 191 bytes  total size 10` (`log_exit`).
fn summary(text: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, received) = text.strip_prefix("sent ")?.split_once(" bytes  received ")?;
    let (received, total) = received.split_once(" bytes  total size ")?;
    let number = |text: &str| text.replace(',', "").parse().ok();
    Some((number(received)?, number(total)?))
}

#[cfg(test)]
mod tests;
