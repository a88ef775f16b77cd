//! `limits:` of a policy and `sessions:` of the site: how much of the server may be used.

use std::fmt;

use crate::decide::policy::yaml::{Figure, Word, Wrong, keys};
use crate::terms::Bytes;
use crate::terms::limits::{
    ALL_SESSIONS_LIMIT, BYTES_LIMIT, CHILD_MEMORY, DEFAULT_PROCESSES, DEFAULT_SESSIONS, INODES_LIMIT, MEMORY_LIMIT, PROCESSES_LIMIT,
    SESSIONS_LIMIT,
};
use crate::terms::text::{self, counted, printable};

/// How much of the server a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `sessions` Connections at once.
    pub sessions: u64,
    /// `memory` Address space of each process of rsync, in bytes.
    pub memory: u64,
    /// `processes` Processes of rsync; without namespaces, in addition to all of the machine's.
    pub processes: u64,
    /// `bytes` New bytes in one push or transaction; `None`: no limit.
    pub bytes: Option<u64>,
    /// `inodes` New files and directories in one push or transaction; `None`: no limit.
    pub inodes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: DEFAULT_SESSIONS, memory: CHILD_MEMORY, processes: DEFAULT_PROCESSES, bytes: None, inodes: None }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sessions = counted(self.sessions, "session", "sessions");
        write!(out, "{sessions} at once, rsync with {} and {} processes, ", Bytes(self.memory), self.processes)?;
        match (self.bytes, self.inodes) {
            (None, None) => write!(out, "pushes of any size"),
            (Some(bytes), None) => write!(out, "at most {} new in a push", Bytes(bytes)),
            (None, Some(inodes)) => write!(out, "at most {inodes} new files in a push"),
            (Some(bytes), Some(inodes)) => write!(out, "at most {} and {inodes} files new in a push", Bytes(bytes)),
        }
    }
}

keys! {
    /// `limits:` in a file.
    pub(super) struct ShareKeys, "`limits`" {
        /// Connections of the client that are served at once, whatever they ask for. One more is
        /// told to try again (code `busy`, exit 75).
        sessions: Sessions as Figure<_> = Value("8"), "4";
        /// Address space of each process of its rsync, which needs about 100 bytes for each file of
        /// a push.
        memory: Memory as Figure<_> = Value("8GiB"), "2GiB";
        /// Processes and threads that rsync and whatever it starts may be. Where the kernel gives
        /// the account no namespaces, as many more as the whole machine runs then. It does not hold
        /// for root.
        processes: Processes as Figure<_> = Value("64"), "16";
        /// New bytes on the disk in one push, or in all pushes of one transaction. No single file
        /// gets longer than this, holes counted.
        bytes: PushBytes as Figure<_> = Words("as many as there is room for"), "500G";
        /// New files, directories and links in one push or transaction.
        inodes: Inodes as Figure<_> = Words("as many as there is room for"), "2000000";
    }
}

impl ShareKeys {
    pub(super) fn limits(self) -> Limits {
        let Self { sessions, memory, processes, bytes, inodes } = self;
        let usual = Limits::default();
        Limits {
            sessions: sessions.map_or(usual.sessions, |Sessions(sessions)| sessions),
            memory: memory.map_or(usual.memory, |Memory(bytes)| bytes),
            processes: processes.map_or(usual.processes, |Processes(processes)| processes),
            bytes: bytes.map(|PushBytes(bytes)| bytes),
            inodes: inodes.map(|Inodes(inodes)| inodes),
        }
    }
}

/// A number or a size, each with its range.
macro_rules! figure {
    ($name:ident, $read:ident, $show:ident, $what:literal, $range:ident) => {
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name(pub u64);

        impl Word for $name {
            const WHAT: &'static str = $what;

            fn read(text: &str) -> Result<Self, Wrong> {
                $read(text, $what, &$range).map(Self)
            }

            fn values() -> String {
                format!("{}, from {} to {}", $what, $show($range.start()), $show($range.end()))
            }
        }
    };
}

figure!(Sessions, number, digits, "a whole number like 8", SESSIONS_LIMIT);
figure!(AllSessions, number, digits, "a whole number like 100", ALL_SESSIONS_LIMIT);
figure!(Processes, number, digits, "a whole number like 64", PROCESSES_LIMIT);
figure!(Inodes, number, digits, "a whole number like 1000000", INODES_LIMIT);
figure!(Memory, size, bytes, "a size like 2GiB", MEMORY_LIMIT);
figure!(PushBytes, size, bytes, "a size like 500G", BYTES_LIMIT);

pub(super) fn digits(number: &u64) -> String {
    number.to_string()
}

pub(super) fn bytes(number: &u64) -> String {
    Bytes(*number).to_string()
}

pub(super) type Range = std::ops::RangeInclusive<u64>;

fn number(text: &str, what: &str, range: &Range) -> Result<u64, Wrong> {
    within(text, what, whole(text), range, digits)
}

/// Sizes as in rsync(1), `--max-size`: `G` and `GiB` are powers of 1024, `GB` is one of 1000.
pub(super) fn size(text: &str, what: &str, range: &Range) -> Result<u64, Wrong> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (figure, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let unit = match unit {
        "" => Some(1_u64),
        unit => ["K", "M", "G", "T", "P"].iter().zip(1_u32..).find_map(|(letter, power)| match unit.strip_prefix(letter)? {
            "" | "iB" => 1024_u64.checked_pow(power),
            "B" => 1000_u64.checked_pow(power),
            _ => None,
        }),
    };
    // Too large to count is out of every range.
    let size = whole(figure).zip(unit).map(|(figure, unit)| figure.saturating_mul(unit));
    within(text, what, size, range, bytes)
}

/// The number that was read, if there is one and it is in range.
pub(super) fn within(text: &str, what: &str, read: Option<u64>, range: &Range, show: fn(&u64) -> String) -> Result<u64, Wrong> {
    let quoted = printable(text.as_bytes());
    let found = read.ok_or_else(|| Wrong::new(format!("`{quoted}` is not {what}"), format!("write {what}")))?;
    if range.contains(&found) {
        return Ok(found);
    }
    Err(Wrong::new(format!("`{quoted}` is out of range"), format!("use {} to {}", show(range.start()), show(range.end()))))
}

/// Digits alone, without a leading zero that could mean octal.
pub(super) fn whole(text: &str) -> Option<u64> {
    text::digits(text).filter(|_| text == "0" || !text.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_rsync_reads_them_and_nothing_is_guessed() {
        let read = |text| PushBytes::read(text).map(|PushBytes(bytes)| bytes);
        for (text, bytes) in [
            ("500G", 500 << 30),
            ("2GiB", 2 << 30),
            ("2GB", 2_000_000_000),
            ("1048576", 1 << 20),
            ("1024K", 1 << 20),
            ("3T", 3 << 40),
            ("1PB", 1_000_000_000_000_000),
        ] {
            assert_eq!(read(text).unwrap(), bytes, "{text}");
        }
        for text in
            ["", "G", "5 G", "5g", "5Gb", "1.5G", "-5G", "+5G", "05G", "5GG", "5GiBB", "0x10", "1e9", "five", "99999999999999999999G", "1E"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        for text in ["0", "1", "10K", "2000000000T", "5000P"] {
            assert!(read(text).unwrap_err().message.contains("out of range"), "{text}");
        }
        assert!(Memory::read("127M").is_err() && Memory::read("128M").is_ok());
        assert!(Sessions::read("0").is_err() && Sessions::read("1").is_ok() && Sessions::read("1001").is_err());
    }

    #[test]
    fn limits_are_shown_in_words() {
        assert_eq!(Limits::default().to_string(), "8 sessions at once, rsync with 8 GiB and 64 processes, pushes of any size");
        let some = Limits { bytes: Some(500 << 30), inodes: Some(1000), sessions: 1, ..Limits::default() };
        assert_eq!(some.to_string(), "1 session at once, rsync with 8 GiB and 64 processes, at most 500 GiB and 1000 files new in a push");
    }
}
