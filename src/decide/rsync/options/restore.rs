//! The table for pulls of snapshots. The server is the sender there: it reads, and changes nothing.

use super::rrsync::{Bound, Table, Use, Verdict};
use super::{Check, Row};
use crate::terms::limits::MAX_COMPRESS_THREADS;

/// The verdicts.
pub(in crate::decide) static RESTORE: Table = {
    use Verdict::{Drop, If, Pass, Path, Refuse};
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
                "--partial", "--inplace", "--delay-updates", "--ignore-missing-args", "--append", "--atimes", "--backup",
                "--no-implied-dirs", "--safe-links", "--existing", "--ignore-errors", "--delete-missing-args", "--from0",
            ],
        ),
        (If(Bound::Capabilities), &["-e"]),
        (If(Bound::Suffix), &["--suffix"]),
        (If(Bound::Endings), &["--skip-compress"]),
        (If(Bound::Charset), &["--iconv"]),
        (If(Bound::Memory), &["--max-alloc"]),
        (If(Bound::Table(Check::Number(0, MAX_COMPRESS_THREADS))), &["--compress-threads"]),
        (If(Bound::Table(Check::OneOf(&["errors", "all", "client", "e", "a", "c"]))), &["--stderr"]),
        (If(Bound::Table(Check::OneOf(&["X"]))), &["--only-write-batch"]),
        // The receiver alone uses these, so that none is looked up.
        (Path(Use::Backup), &["--backup-dir"]),
        (Path(Use::Partial), &["--partial-dir"]),
        (Path(Use::Temporary), &["--temp-dir"]),
        (Path(Use::Basis), &["--link-dest", "--copy-dest", "--compare-dest"]),
        (Path(Use::List), &["--files-from"]),
        (
            Drop,
            &[
                "--progress", "--human-readable", "--8-bit-output", "--out-format", "--cache", "--itemize-changes", "-P", "--implied-dirs",
                "--no-secluded-args", "--old-args", "--mkpath", "--fsync", "--preallocate", "--super", "--usermap", "--groupmap",
            ],
        ),
        (
            Refuse("a symlink of a snapshot is sent as a symlink: where it leads may be no part of the snapshot"),
            &["--copy-links", "--copy-dirlinks", "--copy-unsafe-links", "--keep-dirlinks"],
        ),
        (Refuse("nothing is ever removed from a snapshot"), &["--remove-source-files", "--remove-sent-files"]),
        (Refuse("how symlinks are stored is the policy's choice, and undone by itself"), &["--munge-links", "--no-munge-links"]),
        (Refuse("owners are read from where the server keeps them"), &["--fake-super"]),
        (Refuse("times of creation are not stored"), &["--crtimes"]),
        (Refuse("logs of the server are not the client's"), &["--log-file", "--log-file-format"]),
        (Refuse("no client sends it"), &["--no-verbose", "--no-links", "--archive", "--old-dirs"]),
        (Refuse("the client's rsync says behind `-e` whether it does it"), &["--inc-recursive"]),
        (Refuse("it stands right behind `rsync` or nowhere"), &["--server"]),
        (Refuse("an rsync daemon is not offered over this key"), &["--dparam", "--daemon", "--config", "--detach"]),
        (
            Refuse("how the server protects itself is not the client's choice"),
            &["--drop-D", "--trust-sender", "--insecure-links", "--confine-root"],
        ),
        (Refuse("it works on the client's side"), &["--chmod", "--chown"]),
        (
            Refuse("filters do not belong on the server's command line"),
            &["--exclude-from", "--include", "--include-from", "--exclude", "--filter", "-F"],
        ),
        (
            Refuse("how rsync runs on the server is not the client's choice"),
            &["--stop-at", "--version", "--help", "--stop-after", "--outbuf"],
        ),
        (Refuse("the server starts no other program"), &["--rsync-path", "--rsh"]),
        (Refuse("ssh makes the connection"), &["--ipv4", "--ipv6", "--blocking-io"]),
        (
            Refuse("it is for rsync daemons"),
            &["--port", "--sockopts", "--contimeout", "--password-file", "--early-input", "--motd", "--address"],
        ),
        (Refuse("it stands right behind `--server` or nowhere"), &["--sender"]),
        (Refuse("it stands among the words that it sent"), &["--secluded-args"]),
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

/// What becomes of an option on a pull of snapshots, for the document.
pub fn on_restore(row: &Row) -> String {
    match RESTORE.verdict(row, &row.name()) {
        // Its block is read before anything is judged.
        _ if row.letter == Some('s') => "dropped".to_owned(),
        Some(Verdict::Pass | Verdict::If(_)) => "passed".to_owned(),
        Some(Verdict::Path(Use::List)) => "read in the snapshot".to_owned(),
        Some(Verdict::Path(_) | Verdict::Drop) => "dropped".to_owned(),
        Some(Verdict::Refuse(why)) => format!("never: {why}"),
        Some(Verdict::Follows) | None => "never".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rsync::options::{by_long, rows};

    #[test]
    fn what_reads_elsewhere_or_changes_anything_is_refused() {
        for name in [
            "--copy-links", "--copy-dirlinks", "--copy-unsafe-links", "--copy-devices", "--remove-source-files", "--log-file",
            "--fake-super",
        ] {
            assert!(on_restore(by_long(name).unwrap()).starts_with("never: "), "{name}");
        }
        for row in rows() {
            assert_ne!(on_restore(row), "never", "{row:?}");
        }
    }
}
