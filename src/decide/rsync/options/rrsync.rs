//! The table for `snapgate-shell rrsync`, which pushes and pulls files beneath one directory. It
//! takes what rrsync 3.5.0 takes, with bounds on numbers and words that rrsync does not have.

use super::check::figure_and_unit;
use super::{Check, Row};
use crate::terms::limits::{CHILD_MEMORY, MAX_COMPRESS_THREADS, MAX_NAME, MAX_OPTION_VALUE};

/// What becomes of an option.
#[derive(Debug, Clone, Copy)]
pub(in crate::decide) enum Verdict {
    /// It is passed on; a value has to pass the check of its row.
    Pass,
    If(Bound),
    /// Its value is a path beneath DIR.
    Path(Use),
    /// It is accepted and not passed on: it means nothing on the server.
    Drop,
    /// It follows symlinks: refused unless DIR is `/`.
    Follows,
    Refuse(&'static str),
}

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `--backup-dir`: created if it is missing.
    Backup,
    /// `--partial-dir`: the same, for the account alone.
    Partial,
    /// `--temp-dir`: has to exist.
    Temporary,
    /// `--link-dest` and its like: may be missing.
    Basis,
    /// `--files-from`: read.
    List,
    /// `--log-file`: written.
    Log,
}

/// A value's bounds.
#[derive(Debug, Clone, Copy)]
pub(in crate::decide) enum Bound {
    Table(Check),
    /// A size within the memory that the process gets.
    Memory,
    /// Capabilities of a client of any age, unknown letters included.
    Capabilities,
    Suffix,
    /// Endings of file names (`--skip-compress`).
    Endings,
    /// A character set, without options of glibc's converters.
    Charset,
}

impl Bound {
    pub(in crate::decide) fn allows(self, value: &str) -> bool {
        let within = |extra: &[u8]| {
            value.len() <= MAX_OPTION_VALUE && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
        };
        match self {
            Self::Table(check) => check.allows(value),
            Self::Memory => Check::Size.allows(value) && bytes(value).is_some_and(|bytes| bytes > 0 && bytes <= CHILD_MEMORY),
            Self::Capabilities => {
                within(b".") && value.matches('.').count() == 1 && value.starts_with(|c: char| c == '.' || c.is_ascii_digit())
            }
            Self::Suffix => !value.is_empty() && value.len() <= MAX_NAME && !value.contains('/'),
            Self::Endings => within(b"/[].-_*?+~#@,"),
            // CVE-2024-2961 was in an ISO-2022 converter, which no file names need.
            Self::Charset => within(b"-_.:,") && !value.to_ascii_uppercase().contains("2022"),
        }
    }

    pub(in crate::decide) fn expected(self) -> String {
        match self {
            Self::Table(check) => check.expected(),
            Self::Memory => format!("use a size of up to {}G", CHILD_MEMORY >> 30),
            Self::Capabilities => "leave `-e` to rsync itself".to_owned(),
            Self::Suffix => "use a suffix without a slash".to_owned(),
            Self::Endings => "use endings with slashes between, like gz/zip".to_owned(),
            Self::Charset => "use the name of a character set, like UTF-8".to_owned(),
        }
    }
}

/// A size in bytes: units are powers of 1024, and of 1000 with a `B`.
fn bytes(value: &str) -> Option<u64> {
    let (figure, unit) = figure_and_unit(value)?;
    let mut unit = unit.chars();
    let power = match unit.next().map(|first| first.to_ascii_lowercase()) {
        None | Some('b') => 0,
        Some(letter) => 1 + "kmgtp".find(letter)?,
    };
    let base: f64 = if unit.as_str().eq_ignore_ascii_case("b") { 1000.0 } else { 1024.0 };
    let size = figure.parse::<f64>().ok()? * base.powi(i32::try_from(power).ok()?);
    (size.is_finite() && size < 1e19).then_some(size as u64)
}

/// Each verdict with its options: a row by its name, or a spelling that differs from its row.
#[derive(Debug)]
pub(in crate::decide) struct Table(pub(super) &'static [(Verdict, &'static [&'static str])]);

/// The verdicts of `snapgate-shell rrsync`.
pub(in crate::decide) static RRSYNC: Table = {
    use Verdict::{Drop, Follows, If, Pass, Path, Refuse};
    Table(&[
        (
            Pass,
            &[
                "--verbose", "--quiet", "--update", "--dry-run", "--links", "--dirs", "--prune-empty-dirs", "--omit-dir-times",
                "--omit-link-times", "--fuzzy", "--whole-file", "--hard-links", "--owner", "--group", "-D", "--times", "--perms",
                "--executability", "--acls", "--xattrs", "--recursive", "--checksum", "--cvs-exclude", "--ignore-times", "--relative",
                "--one-file-system", "--sparse", "--compress", "--list-only", "--no-r", "--no-relative", "--no-dirs", "--no-W",
                "--devices", "--no-devices", "--specials", "--no-specials", "--no-super", "--log-format", "--info", "--msgs2stderr",
                "--no-msgs2stderr", "--stats", "--block-size", "--bwlimit", "--checksum-choice", "--checksum-seed", "--compress-choice",
                "--compress-level", "--new-compress", "--old-compress", "--delete", "--del", "--delete-before", "--delete-during",
                "--delete-delay", "--delete-after", "--delete-excluded", "--max-delete", "--force", "--max-size", "--min-size",
                "--size-only", "--ignore-existing", "--modify-window", "--numeric-ids", "--open-noatime", "--qsort", "--timeout",
                "--partial", "--inplace", "--delay-updates", "--mkpath", "--fsync", "--ignore-missing-args", "--append", "--atimes",
                "--crtimes", "--backup", "--no-implied-dirs", "--safe-links", "--munge-links", "--existing", "--remove-source-files",
                "--ignore-errors", "--delete-missing-args", "--from0", "--super", "--fake-super", "--preallocate", "--remove-sent-files",
            ],
        ),
        (If(Bound::Capabilities), &["-e"]),
        (If(Bound::Suffix), &["--suffix"]),
        (If(Bound::Endings), &["--skip-compress"]),
        (If(Bound::Charset), &["--iconv"]),
        (If(Bound::Memory), &["--max-alloc"]),
        (If(Bound::Table(Check::Number(0, MAX_COMPRESS_THREADS))), &["--compress-threads"]),
        // Names are looked up here, as rrsync's rsync does.
        (If(Bound::Table(Check::Mapping)), &["--usermap", "--groupmap"]),
        (If(Bound::Table(Check::OneOf(&["errors", "all", "client", "e", "a", "c"]))), &["--stderr"]),
        // What a client sends is always this one; the server makes a trial run of it.
        (If(Bound::Table(Check::OneOf(&["X"]))), &["--only-write-batch"]),
        (Path(Use::Backup), &["--backup-dir"]),
        (Path(Use::Partial), &["--partial-dir"]),
        (Path(Use::Temporary), &["--temp-dir"]),
        (Path(Use::Basis), &["--link-dest", "--copy-dest", "--compare-dest"]),
        (Path(Use::List), &["--files-from"]),
        (Path(Use::Log), &["--log-file"]),
        (
            Drop,
            &[
                "--progress", "--human-readable", "--8-bit-output", "--out-format", "--cache", "--itemize-changes", "-P", "--implied-dirs",
                "--no-secluded-args", "--old-args",
            ],
        ),
        (Follows, &["--keep-dirlinks", "--copy-links", "--copy-dirlinks", "--copy-unsafe-links"]),
        (Refuse("no client sends it"), &["--no-verbose", "--no-links", "--archive", "--old-dirs"]),
        (Refuse("the client's rsync says behind `-e` whether it does it"), &["--inc-recursive"]),
        (Refuse("it stands right behind `rsync` or nowhere"), &["--server"]),
        (Refuse("an rsync daemon is not offered over this key"), &["--dparam", "--daemon", "--config", "--detach"]),
        (
            Refuse("how the server protects itself is not the client's choice"),
            &["--drop-D", "--trust-sender", "--no-munge-links", "--insecure-links", "--confine-root"],
        ),
        (Refuse("it works on the client's side"), &["--chmod", "--chown"]),
        (
            Refuse("filters do not belong on the server's command line"),
            &["--exclude-from", "--include", "--include-from", "--exclude", "--filter", "-F"],
        ),
        (
            Refuse("how rsync runs on the server is not the client's choice"),
            &["--stop-at", "--version", "--help", "--log-file-format", "--stop-after", "--outbuf"],
        ),
        (Refuse("the server starts no other program"), &["--rsync-path", "--rsh"]),
        (Refuse("ssh makes the connection"), &["--ipv4", "--ipv6", "--blocking-io"]),
        (
            Refuse("it is for rsync daemons"),
            &["--port", "--sockopts", "--contimeout", "--password-file", "--early-input", "--motd", "--address"],
        ),
        (Refuse("it stands right behind `--server` or nowhere"), &["--sender"]),
        (Refuse("options that travel hidden from the command line are not read yet"), &["--secluded-args"]),
        (Refuse("clients send `--append` twice instead"), &["--append-verify"]),
        (Refuse("device files are neither read nor written"), &["--write-devices", "--copy-devices"]),
        (Refuse("powers on the server are not the client's choice"), &["--copy-as"]),
        (Refuse("a batch is written on the client's side"), &["--write-batch"]),
        (Refuse("a batch is read on the client's side"), &["--read-batch"]),
        (Refuse("traces would show paths of the server"), &["--debug"]),
        (Refuse("there is no third side"), &["--remote-option"]),
        (Refuse("the two sides agree on a protocol by themselves"), &["--protocol"]),
        (Refuse("only macOS's rsync understands it"), &["--extended-attributes"]),
    ])
};

impl Table {
    fn of(&self, name: &str) -> Option<Verdict> {
        self.0.iter().find(|(_, names)| names.contains(&name)).map(|(verdict, _)| *verdict)
    }

    /// The verdict for an option as it was spelled.
    pub(in crate::decide) fn verdict(&self, row: &Row, spelled: &str) -> Option<Verdict> {
        self.of(spelled).or_else(|| self.of(&row.name()))
    }

    /// How an option is printed: by its row's first name, unless its spelling has a verdict of its
    /// own. rsync 3.5.0 does not know all that its clients send.
    pub(in crate::decide) fn printed<'a>(&self, row: &'a Row, spelled: &'a str) -> &'a str {
        if self.of(spelled).is_some() { spelled } else { row.long.first().copied().unwrap_or(spelled) }
    }
}

/// What deletes: refused with `-no-del` and `-no-overwrite`. `--force` removes directories that are
/// not empty to make way for files.
const DELETING: &[&str] = &[
    "--delete", "--del", "--delete-before", "--delete-during", "--delete-delay", "--delete-after", "--delete-excluded",
    "--delete-missing-args", "--remove-source-files", "--remove-sent-files", "--force",
];

/// What else changes existing files: refused with `-no-overwrite`.
const OVERWRITING: &[&str] = &["--log-file", "--partial-dir", "--delay-updates", "--backup-dir", "--backup"];

/// Whether it deletes.
pub(in crate::decide) fn deletes(row: &Row) -> bool {
    row.long.iter().any(|long| DELETING.contains(long))
}

/// Whether it changes an existing file other than by sending it.
pub(in crate::decide) fn overwrites(row: &Row, spelled: &str) -> bool {
    OVERWRITING.contains(&spelled) || row.long.iter().any(|long| OVERWRITING.contains(long))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rsync::options::{Value, by_long, rows};

    /// Both tables, since both have to know every row.
    fn tables() -> [&'static Table; 2] {
        [&RRSYNC, &super::super::restore::RESTORE]
    }

    #[test]
    fn every_row_has_exactly_one_verdict_and_every_verdict_a_row() {
        for Table(verdicts) in tables() {
            let names = || verdicts.iter().flat_map(|(_, names)| *names);
            let count = |name: &str| names().filter(|known| **known == name).count();
            let wrong: Vec<_> = rows().iter().map(Row::name).filter(|name| count(name) != 1).collect();
            assert!(wrong.is_empty(), "these rows have no verdict here, or several: {wrong:?}");
            for name in names() {
                let letter = name.strip_prefix('-').filter(|rest| rest.len() == 1).and_then(|rest| rest.chars().next());
                let known = letter.map_or_else(|| by_long(name).is_some(), |letter| rows().iter().any(|row| row.letter == Some(letter)));
                assert!(known, "{name} is in no row");
                assert_eq!(count(name), 1, "{name} stands twice");
            }
        }
        for name in DELETING.iter().chain(OVERWRITING) {
            assert!(by_long(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_value_that_reaches_rsync_is_always_checked() {
        for (table, row) in tables().into_iter().flat_map(|table| rows().iter().map(move |row| (table, row))) {
            let unchecked = matches!(row.value, Value::Attached(Check::Anything) | Value::Either(Check::Anything));
            for spelled in row.long {
                assert!(!unchecked || !matches!(table.verdict(row, spelled), Some(Verdict::Pass)), "{spelled}");
            }
        }
    }

    #[test]
    fn memory_is_bounded_in_every_unit() {
        for good in ["1", "1G", "8G", "8192M", "1.5g", "2048MB", "1073741824"] {
            assert!(Bound::Memory.allows(good), "{good}");
        }
        for bad in ["0", "99T", "9G", "8193M", "9999999999999999", "1P", "", "x", "-1", "0G"] {
            assert!(!Bound::Memory.allows(bad), "{bad}");
        }
        assert!(Bound::Charset.allows("UTF-8") && !Bound::Charset.allows("ISO-2022-CN-EXT") && !Bound::Charset.allows("UTF-8//TRANSLIT"));
        assert!(Bound::Capabilities.allows("31.14iLsf") && Bound::Capabilities.allows(".iLsfxCIvuZ9"));
        assert!(!["", "ssh", "/bin/sh", ".a.b", "x.i", ".i;"].iter().any(|value| Bound::Capabilities.allows(value)));
        assert!(Bound::Suffix.allows("~") && !Bound::Suffix.allows("a/b") && !Bound::Suffix.allows(""));
        assert!(Bound::Endings.allows("gz/jpg/mp[34]/7z") && !Bound::Endings.allows("a b"));
        let of = |length: usize| "a".repeat(length);
        for bound in [Bound::Endings, Bound::Charset] {
            assert!(bound.allows(&of(MAX_OPTION_VALUE)) && !bound.allows(&of(MAX_OPTION_VALUE + 1)), "{bound:?}");
        }
        assert!(Bound::Capabilities.allows(&format!(".{}", of(MAX_OPTION_VALUE - 1))));
        assert!(!Bound::Capabilities.allows(&format!(".{}", of(MAX_OPTION_VALUE))));
        assert!(Bound::Suffix.allows(&of(MAX_NAME)) && !Bound::Suffix.allows(&of(MAX_NAME + 1)));
        let threads = |count: i64| Bound::Table(Check::Number(0, MAX_COMPRESS_THREADS)).allows(&count.to_string());
        assert!(threads(MAX_COMPRESS_THREADS) && !threads(MAX_COMPRESS_THREADS + 1));
    }
}
