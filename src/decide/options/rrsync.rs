//! The table's second column: what becomes of each option in `snapgate rrsync`, where there are no snapshots and files beneath one
//! directory are pushed and pulled. What rrsync 3.5.0 takes is taken; numbers and words have bounds that it does not have.

use super::Check;
use super::Row;
use crate::terms::limits::{CHILD_MEMORY, MAX_COMPRESS_THREADS, MAX_NAME, MAX_OPTION_VALUE};

/// What becomes of an option.
#[derive(Debug, Clone, Copy)]
pub(in crate::decide) enum Verdict {
    /// It is passed on; a value has to pass the table's check.
    Pass,
    /// It is passed on if its value passes.
    If(Bound),
    /// Its value is a path beneath DIR.
    Path(Use),
    /// It is accepted and not passed on: it means nothing on this side.
    Drop,
    /// It follows symlinks: refused unless DIR is `/`, where nothing is outside.
    Follows,
    /// It is refused, because.
    Refuse(&'static str),
}

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `--backup-dir`: made where it is missing, as rsync itself would.
    Backup,
    /// `--partial-dir`: the same, for the account alone.
    Partial,
    /// `--temp-dir`: has to be there.
    Temporary,
    /// `--link-dest` and its like: one that is missing is an empty one.
    Basis,
    /// `--files-from`: read.
    List,
    /// `--log-file`: written.
    Log,
}

/// A value's bounds.
#[derive(Debug, Clone, Copy)]
pub(in crate::decide) enum Bound {
    /// As in the table for other options.
    Table(Check),
    /// A size, no larger than what the process gets at all.
    Memory,
    /// What a client of any age can do, letters that this program does not know yet included.
    Capabilities,
    /// A suffix: no path.
    Suffix,
    /// Endings of file names (`--skip-compress`).
    Endings,
    /// A character set, without what glibc's converters take as orders.
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
            // CVE-2024-2961 was in one of the ISO-2022 converters; nobody's file names are written in them.
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

/// A size as rsync reads it, in bytes: units are powers of 1024, and of 1000 where a `B` follows alone.
fn bytes(value: &str) -> Option<u64> {
    let value = value.strip_suffix("+1").or_else(|| value.strip_suffix("-1")).unwrap_or(value);
    let end = value.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(value.len());
    let (figure, unit) = value.split_at_checked(end)?;
    let mut unit = unit.chars();
    let power = match unit.next().map(|first| first.to_ascii_lowercase()) {
        None | Some('b') => 0,
        Some(letter) => 1 + "kmgtp".find(letter)?,
    };
    let base: f64 = if unit.as_str().eq_ignore_ascii_case("b") { 1000.0 } else { 1024.0 };
    let size = figure.parse::<f64>().ok()? * base.powi(i32::try_from(power).ok()?);
    (size.is_finite() && size < 1e19).then_some(size as u64)
}

const NOT_THE_CLIENTS: &str = "how the server protects itself is not the client's choice";
const PROCESS: &str = "how rsync runs on the server is not the client's choice";
const FILTER: &str = "filters do not belong on the server's command line";
const DAEMON: &str = "an rsync daemon is not offered over this key";
const FREE: &str = "no client sends it";
const DEVICES: &str = "device files are neither read nor written";

/// The verdicts: for a row by its name, and for a spelling of a row that differs from the others.
static VERDICTS: &[(&str, Verdict)] = {
    use Verdict::{Drop, Follows, If, Pass, Path, Refuse};
    &[
        ("--verbose", Pass),
        ("--quiet", Pass),
        ("--update", Pass),
        ("--dry-run", Pass),
        ("--links", Pass),
        ("--dirs", Pass),
        ("--prune-empty-dirs", Pass),
        ("--omit-dir-times", Pass),
        ("--omit-link-times", Pass),
        ("--fuzzy", Pass),
        ("--whole-file", Pass),
        ("--hard-links", Pass),
        ("--owner", Pass),
        ("--group", Pass),
        ("-D", Pass),
        ("--times", Pass),
        ("--perms", Pass),
        ("--executability", Pass),
        ("--acls", Pass),
        ("--xattrs", Pass),
        ("--recursive", Pass),
        ("--checksum", Pass),
        ("--cvs-exclude", Pass),
        ("--ignore-times", Pass),
        ("--relative", Pass),
        ("--one-file-system", Pass),
        ("--sparse", Pass),
        ("--compress", Pass),
        ("-e", If(Bound::Capabilities)),
        ("--list-only", Pass),
        ("--no-r", Pass),
        ("--no-relative", Pass),
        ("--no-dirs", Pass),
        ("--no-W", Pass),
        ("--devices", Pass),
        ("--no-devices", Pass),
        ("--specials", Pass),
        ("--no-specials", Pass),
        ("--no-super", Pass),
        ("--log-format", Pass),
        ("--info", Pass),
        ("--msgs2stderr", Pass),
        ("--no-msgs2stderr", Pass),
        ("--stats", Pass),
        ("--block-size", Pass),
        ("--bwlimit", Pass),
        ("--checksum-choice", Pass),
        ("--checksum-seed", Pass),
        ("--compress-choice", Pass),
        ("--compress-level", Pass),
        ("--new-compress", Pass),
        ("--old-compress", Pass),
        ("--delete", Pass),
        ("--del", Pass),
        ("--delete-before", Pass),
        ("--delete-during", Pass),
        ("--delete-delay", Pass),
        ("--delete-after", Pass),
        ("--delete-excluded", Pass),
        ("--max-delete", Pass),
        ("--force", Pass),
        ("--max-size", Pass),
        ("--min-size", Pass),
        ("--size-only", Pass),
        ("--ignore-existing", Pass),
        ("--modify-window", Pass),
        ("--numeric-ids", Pass),
        ("--usermap", Pass),
        ("--groupmap", Pass),
        ("--open-noatime", Pass),
        ("--qsort", Pass),
        ("--timeout", Pass),
        ("--partial", Pass),
        ("--inplace", Pass),
        ("--delay-updates", Pass),
        ("--mkpath", Pass),
        ("--fsync", Pass),
        ("--ignore-missing-args", Pass),
        ("--append", Pass),
        ("--atimes", Pass),
        ("--crtimes", Pass),
        ("--backup", Pass),
        ("--no-implied-dirs", Pass),
        ("--safe-links", Pass),
        ("--munge-links", Pass),
        ("--existing", Pass),
        ("--remove-source-files", Pass),
        ("--ignore-errors", Pass),
        ("--delete-missing-args", Pass),
        ("--from0", Pass),
        ("--super", Pass),
        ("--fake-super", Pass),
        ("--preallocate", Pass),
        ("--suffix", If(Bound::Suffix)),
        ("--skip-compress", If(Bound::Endings)),
        ("--iconv", If(Bound::Charset)),
        ("--max-alloc", If(Bound::Memory)),
        ("--compress-threads", If(Bound::Table(Check::Number(0, MAX_COMPRESS_THREADS)))),
        ("--stderr", If(Bound::Table(Check::OneOf(&["errors", "all", "client", "e", "a", "c"])))),
        // What a client sends is always this one; the server makes a trial run of it.
        ("--only-write-batch", If(Bound::Table(Check::OneOf(&["X"])))),
        ("--backup-dir", Path(Use::Backup)),
        ("--partial-dir", Path(Use::Partial)),
        ("--temp-dir", Path(Use::Temporary)),
        ("--link-dest", Path(Use::Basis)),
        ("--copy-dest", Path(Use::Basis)),
        ("--compare-dest", Path(Use::Basis)),
        ("--files-from", Path(Use::List)),
        ("--log-file", Path(Use::Log)),
        ("--progress", Drop),
        ("--human-readable", Drop),
        ("--8-bit-output", Drop),
        ("--out-format", Drop),
        ("--cache", Drop),
        ("--keep-dirlinks", Follows),
        ("--copy-links", Follows),
        ("--copy-dirlinks", Follows),
        ("--copy-unsafe-links", Follows),
        ("--itemize-changes", Drop),
        ("-P", Drop),
        ("--implied-dirs", Drop),
        ("--remove-sent-files", Pass),
        ("--no-verbose", Refuse(FREE)),
        ("--no-links", Refuse(FREE)),
        ("--no-secluded-args", Drop),
        ("--old-args", Drop),
        ("--archive", Refuse(FREE)),
        ("--inc-recursive", Refuse("the client's rsync says behind `-e` whether it does it")),
        ("--old-dirs", Refuse(FREE)),
        ("--server", Refuse("it stands right behind `rsync` or nowhere")),
        ("--dparam", Refuse(DAEMON)),
        ("--drop-D", Refuse(NOT_THE_CLIENTS)),
        ("--trust-sender", Refuse(NOT_THE_CLIENTS)),
        ("--chmod", Refuse("it works on the client's side")),
        ("--chown", Refuse("it works on the client's side")),
        ("--exclude-from", Refuse(FILTER)),
        ("--include", Refuse(FILTER)),
        ("--include-from", Refuse(FILTER)),
        ("--stop-at", Refuse(PROCESS)),
        ("--rsync-path", Refuse("the server starts no other program")),
        ("--version", Refuse(PROCESS)),
        ("--help", Refuse(PROCESS)),
        ("--ipv4", Refuse("ssh makes the connection")),
        ("--ipv6", Refuse("ssh makes the connection")),
        ("--blocking-io", Refuse("ssh makes the connection")),
        ("--port", Refuse("it is for rsync daemons")),
        ("--sockopts", Refuse("it is for rsync daemons")),
        ("--contimeout", Refuse("it is for rsync daemons")),
        ("--password-file", Refuse("it is for rsync daemons")),
        ("--early-input", Refuse("it is for rsync daemons")),
        ("--motd", Refuse("it is for rsync daemons")),
        ("--sender", Refuse("it stands right behind `--server` or nowhere")),
        ("--daemon", Refuse(DAEMON)),
        ("--config", Refuse(DAEMON)),
        ("--detach", Refuse(DAEMON)),
        ("--secluded-args", Refuse("options that travel hidden from the command line are not read yet")),
        ("--append-verify", Refuse("clients send `--append` twice instead")),
        ("--write-devices", Refuse(DEVICES)),
        ("--copy-devices", Refuse(DEVICES)),
        ("--no-munge-links", Refuse(NOT_THE_CLIENTS)),
        ("--insecure-links", Refuse(NOT_THE_CLIENTS)),
        ("--confine-root", Refuse(NOT_THE_CLIENTS)),
        ("--copy-as", Refuse("powers on the server are not the client's choice")),
        ("--write-batch", Refuse("a batch is written on the client's side")),
        ("--read-batch", Refuse("a batch is read on the client's side")),
        ("--log-file-format", Refuse(PROCESS)),
        ("--debug", Refuse("traces would show paths of the server")),
        ("--exclude", Refuse(FILTER)),
        ("--filter", Refuse(FILTER)),
        ("-F", Refuse(FILTER)),
        ("--stop-after", Refuse(PROCESS)),
        ("--outbuf", Refuse(PROCESS)),
        ("--rsh", Refuse("the server starts no other program")),
        ("--remote-option", Refuse("there is no third side")),
        ("--address", Refuse("it is for rsync daemons")),
        ("--protocol", Refuse("the two sides agree on a protocol by themselves")),
        ("--extended-attributes", Refuse("only macOS's rsync understands it")),
    ]
};

/// What deletes something: refused with `-no-del` and `-no-overwrite`. `--force` alone removes a directory that is not empty to
/// make way for a file.
const DELETING: &[&str] = &[
    "--delete", "--del", "--delete-before", "--delete-during", "--delete-delay", "--delete-after", "--delete-excluded",
    "--delete-missing-args", "--remove-source-files", "--remove-sent-files", "--force",
];

/// What else changes or replaces something that is there, although existing files are left out: refused with `-no-overwrite`.
const OVERWRITING: &[&str] = &["--log-file", "--partial-dir", "--delay-updates", "--backup-dir", "--backup"];

/// The verdict for an option as it was spelled.
pub(in crate::decide) fn verdict(row: &Row, spelled: &str) -> Option<Verdict> {
    let of = |name: &str| VERDICTS.iter().find(|(known, _)| *known == name).map(|(_, verdict)| *verdict);
    of(spelled).or_else(|| of(&row.name()))
}

/// How an option is written for rsync: by its row's first name, unless its spelling is an option of its own. rsync 3.5.0 does not know
/// all that its clients send.
pub(in crate::decide) fn printed<'a>(row: &'a Row, spelled: &'a str) -> &'a str {
    let own = VERDICTS.iter().any(|(known, _)| *known == spelled);
    if own { spelled } else { row.long.first().copied().unwrap_or(spelled) }
}

/// Whether it deletes.
pub(in crate::decide) fn deletes(row: &Row) -> bool {
    row.long.iter().any(|long| DELETING.contains(long))
}

/// Whether it reaches a file that is there in another way than by sending it.
pub(in crate::decide) fn overwrites(row: &Row, spelled: &str) -> bool {
    OVERWRITING.contains(&spelled) || row.long.iter().any(|long| OVERWRITING.contains(long))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::options::{Value, by_long, rows};

    #[test]
    fn every_row_has_exactly_one_verdict_and_every_verdict_a_row() {
        let count = |name: &str| VERDICTS.iter().filter(|(known, _)| *known == name).count();
        let wrong: Vec<_> = rows().iter().map(Row::name).filter(|name| count(name) != 1).collect();
        assert!(wrong.is_empty(), "these rows have no verdict here, or several: {wrong:?}");
        for (name, _) in VERDICTS {
            let letter = name.strip_prefix('-').filter(|rest| rest.len() == 1).and_then(|rest| rest.chars().next());
            let known = letter.map_or_else(|| by_long(name).is_some(), |letter| rows().iter().any(|row| row.letter == Some(letter)));
            assert!(known, "{name} is in no row");
            assert_eq!(count(name), 1, "{name} stands twice");
        }
        for name in DELETING.iter().chain(OVERWRITING) {
            assert!(by_long(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_value_that_reaches_rsync_is_always_checked() {
        for row in rows() {
            let unchecked = matches!(row.value, Value::Attached(Check::Anything) | Value::Either(Check::Anything));
            for spelled in row.long {
                assert!(!unchecked || !matches!(verdict(row, spelled), Some(Verdict::Pass)), "{spelled}");
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
