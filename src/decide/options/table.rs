//! The rows. What is passed comes first, in the order in which it is printed; then what is accepted and not passed on; then
//! what is refused. A push always goes into a fresh, empty directory, and unchanged files come as hard links from the newest
//! snapshot: most of the reasons below follow from these two.

use super::Check::{Anything, Capabilities, Levels, Mapping, Number, OneOf, OneOrTwoOf, Size};
use super::Rule::{Drop, NeedsWordAsRoot, NotABackup, Pass, Refuse, Smaller, Warn};
use super::Side::{Both, Process, Receiver, Sender};
use super::Value::{Attached, Either};
use super::{Row, Rule, Side, Value};
use crate::terms::limits::MAX_CLIENT_TIMEOUT;
use crate::terms::reason::Code;

/// The largest number that rsync's own parser takes (`POPT_ARG_INT`).
const INT: i64 = i32::MAX as i64;

const INFO: &[&str] =
    &["ALL", "NONE", "BACKUP", "COPY", "DEL", "FLIST", "MISC", "MOUNT", "NAME", "NONREG", "PROGRESS", "REMOVE", "SKIP", "STATS", "SYMSAFE"];
const CHECKSUMS: &[&str] = &["auto", "xxh128", "xxh3", "xxh64", "xxhash", "md5", "md4", "sha1", "none"];
const COMPRESSIONS: &[&str] = &["zstd", "lz4", "zlibx", "zlib", "none"];

const fn row(letter: Option<char>, long: &'static [&'static str], side: Side, rule: Rule, why: &'static str) -> Row {
    Row { letter, long, value: Value::None, side, rule, repeats: 1, why, instead: "" }
}

const fn letter(letter: char, long: &'static [&'static str], why: &'static str) -> Row {
    row(Some(letter), long, Both, Pass, why)
}

const fn pass(long: &'static [&'static str], why: &'static str) -> Row {
    row(None, long, Receiver, Pass, why)
}

const fn drop(long: &'static [&'static str], why: &'static str) -> Row {
    row(None, long, Receiver, Drop, why)
}

const fn refuse(long: &'static [&'static str], why: &'static str, instead: &'static str) -> Row {
    row(None, long, Receiver, Refuse(Code::Option), why).instead(instead)
}

impl Row {
    const fn letter(mut self, letter: char) -> Self {
        self.letter = Some(letter);
        self
    }

    const fn takes(mut self, value: Value) -> Self {
        self.value = value;
        self
    }

    const fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    const fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    const fn up_to(mut self, repeats: usize) -> Self {
        self.repeats = repeats;
        self
    }

    const fn instead(mut self, instead: &'static str) -> Self {
        self.instead = instead;
        self
    }
}

const OWNER_INSTEAD: &str = "leave owners and groups out: add --no-owner --no-group, and no --chown, --usermap or --groupmap";
const LEAVE_OUT: &str = "leave it out";
const NO_M: &str = "leave it out of -M (--remote-option) and --rsync-path";
const FILTERS: &str = "give it to your own rsync, without -M: filters travel inside the protocol";
const ONE_COLON: &str = "write one colon, host:path, not host::path or rsync://";

pub(super) static ROWS: &[Row] = &[
    // Letters, in the order in which they are printed.
    letter('v', &["--verbose"], "more than -vv would show paths of the server").up_to(2),
    letter('q', &["--quiet"], "only fewer messages"),
    letter('u', &["--update"], "nothing newer can be there: the directory starts empty"),
    letter('n', &["--dry-run"], "a trial run stores nothing").rule(NotABackup),
    letter('l', &["--links"], "symlinks are stored and never followed"),
    letter('d', &["--dirs"], "which directories travel"),
    letter('m', &["--prune-empty-dirs"], "which directories are made"),
    letter('O', &["--omit-dir-times"], "which times are stored"),
    letter('J', &["--omit-link-times"], "which times are stored"),
    letter('y', &["--fuzzy"], "where a similar file is looked for").up_to(2),
    letter('W', &["--whole-file"], "how content travels"),
    letter('H', &["--hard-links"], "hard links among the files of this push").up_to(2),
    letter('o', &["--owner"], "the client may not choose owners here").rule(NeedsWordAsRoot("owner")).instead(OWNER_INSTEAD),
    letter('g', &["--group"], "the client may not choose groups here").rule(NeedsWordAsRoot("group")).instead(OWNER_INSTEAD),
    letter('D', &[], "both ends must agree on it; device files are not made"),
    letter('t', &["--times"], "modification times"),
    letter('p', &["--perms"], "permissions"),
    letter('E', &["--executability"], "permissions"),
    letter('A', &["--acls"], "access lists"),
    letter('X', &["--xattrs"], "extended attributes").up_to(2),
    letter('r', &["--recursive"], "what travels"),
    letter('c', &["--checksum"], "how changes are found"),
    letter('C', &["--cvs-exclude"], "what is left out; the client's own lists"),
    letter('I', &["--ignore-times"], "how changes are found"),
    letter('R', &["--relative"], "paths below the destination"),
    letter('x', &["--one-file-system"], "what travels").up_to(2),
    letter('S', &["--sparse"], "how files with holes are written"),
    letter('z', &["--compress"], "how content travels").up_to(2),
    letter('e', &[], "what the client's rsync can do").takes(Attached(Capabilities)),
    // Long options, in the order in which they are printed.
    pass(&["--list-only"], "a listing stores nothing").rule(NotABackup),
    pass(&["--no-r", "--no-recursive"], "sent with -d so that deleting works").side(Both),
    pass(&["--no-relative", "--no-R"], "sent with --files-from where the paths of the list are cut").side(Both),
    pass(&["--no-dirs", "--no-d"], "which directories travel").side(Both),
    pass(&["--no-W", "--no-whole-file"], "how content travels"),
    pass(&["--devices"], "both ends must agree on it; device files are not made").side(Both),
    pass(&["--no-devices"], "both ends must agree on it").side(Both),
    pass(&["--specials"], "both ends must agree on it; special files are not made").side(Both),
    pass(&["--no-specials"], "both ends must agree on it").side(Both),
    pass(&["--no-super"], "only gives up powers"),
    pass(&["--log-format"], "what the client wants to see of each file").takes(Attached(OneOf(&["%i", "%i%I", "%o", "X"]))),
    pass(&["--info"], "what the client wants to see").takes(Attached(Levels(INFO))),
    pass(&["--msgs2stderr"], "where messages go").side(Both),
    pass(&["--no-msgs2stderr"], "where messages go").side(Both),
    pass(&["--stats"], "figures at the end"),
    pass(&["--block-size"], "how changed files are compared").letter('B').takes(Attached(Number(1, 1 << 17))).side(Both),
    pass(&["--bwlimit"], "slower only").takes(Attached(Number(0, INT))),
    pass(&["--checksum-choice", "--cc"], "how changes are found").takes(Attached(OneOrTwoOf(CHECKSUMS))).side(Both),
    pass(&["--checksum-seed"], "how changes are found").takes(Attached(Number(-INT, INT))).side(Both),
    pass(&["--compress-choice", "--zc"], "how content travels").takes(Attached(OneOf(COMPRESSIONS))).side(Both),
    pass(&["--compress-level", "--zl"], "how content travels").takes(Attached(Number(-131_072, 22))).side(Both),
    pass(&["--new-compress"], "how content travels").side(Both),
    pass(&["--old-compress"], "how content travels").side(Both),
    pass(&["--delete"], "there is nothing to delete: the directory starts empty"),
    pass(&["--del"], "there is nothing to delete: the directory starts empty"),
    pass(&["--delete-before"], "there is nothing to delete: the directory starts empty"),
    pass(&["--delete-during"], "there is nothing to delete: the directory starts empty"),
    pass(&["--delete-delay"], "there is nothing to delete: the directory starts empty"),
    pass(&["--delete-after"], "there is nothing to delete: the directory starts empty"),
    pass(&["--delete-excluded"], "there is nothing to delete: the directory starts empty"),
    pass(&["--max-delete"], "there is nothing to delete: the directory starts empty").takes(Attached(Number(-1, INT))),
    pass(&["--force"], "there is nothing to delete: the directory starts empty"),
    pass(&["--max-size"], "the snapshot leaves larger files out").rule(Warn).takes(Either(Size)),
    pass(&["--min-size"], "the snapshot leaves smaller files out").rule(Warn).takes(Either(Size)),
    pass(&["--size-only"], "how changes are found"),
    pass(&["--ignore-existing"], "nothing exists: the directory starts empty"),
    pass(&["--modify-window"], "how changes are found").letter('@').takes(Attached(Number(-1, 86_400))),
    pass(&["--numeric-ids"], "both ends must agree on it").side(Both),
    pass(&["--usermap"], "the client may not choose owners here")
        .rule(NeedsWordAsRoot("owner"))
        .takes(Attached(Mapping))
        .instead(OWNER_INSTEAD),
    pass(&["--groupmap"], "the client may not choose groups here")
        .rule(NeedsWordAsRoot("group"))
        .takes(Attached(Mapping))
        .instead(OWNER_INSTEAD),
    pass(&["--open-noatime"], "reading leaves no trace").side(Both),
    pass(&["--qsort", "--use-qsort"], "how lists are sorted").side(Both),
    pass(&["--timeout"], "the smaller limit counts").rule(Smaller).takes(Attached(Number(1, MAX_CLIENT_TIMEOUT as i64))).side(Both),
    // Accepted, and something else or nothing is passed on. Each was tried on one side alone, with old and new clients.
    drop(&["--partial"], "a push that is cut off is kept and goes on next time without being asked"),
    drop(&["--partial-dir"], "a push that is cut off is kept and goes on next time without being asked").takes(Either(Anything)),
    drop(&["--inplace"], "files are always written anew, since an old one may share its inode with a snapshot"),
    drop(&["--delay-updates"], "nothing shows before the whole push is published"),
    drop(&["--link-dest"], "unchanged files are linked with the newest snapshot without being asked").takes(Either(Anything)),
    drop(&["--mkpath"], "the directories of the destination are always made"),
    drop(&["--fsync"], "everything is on the disk before the snapshot is published"),
    drop(&["--skip-compress"], "the sender alone compresses").takes(Either(Anything)).side(Sender),
    drop(&["--ignore-missing-args"], "the sender alone looks for its arguments").side(Sender),
    drop(&["--progress"], "the client shows it"),
    drop(&["--human-readable"], "the client shows figures in its own way").letter('h'),
    drop(&["--8-bit-output"], "foreign bytes stay escaped in logs").letter('8'),
    drop(&["--out-format"], "the client shows files in its own way").takes(Either(Anything)),
    drop(&["--cache", "--no-cache"], "macOS's rsync alone has it").side(Both),
    // Refused. First what is another kind of session.
    row(None, &["--sender"], Process, Refuse(Code::Pull), "this server takes pushes; reading back is not offered over this key")
        .instead("ask the administrator for a restore"),
    row(None, &["--daemon"], Process, Refuse(Code::Daemon), "an rsync daemon is not offered over this key").instead(ONE_COLON),
    row(None, &["--config", "--dparam"], Process, Refuse(Code::Daemon), "an rsync daemon is not offered over this key")
        .takes(Either(Anything))
        .instead(ONE_COLON),
    row(None, &["--detach", "--no-detach"], Process, Refuse(Code::Daemon), "an rsync daemon is not offered over this key")
        .instead(ONE_COLON),
    refuse(
        &["--secluded-args", "--protect-args"],
        "options that travel hidden from the command line are not read yet",
        "add --no-secluded-args (or --old-args with an old rsync), or unset RSYNC_PROTECT_ARGS",
    )
    .letter('s')
    .side(Process),
    // What would change files that snapshots share, or leave the fresh directory.
    refuse(
        &["--append", "--append-verify"],
        "it writes into files that are there already",
        "leave it out: a push that was cut off goes on by itself",
    ),
    refuse(&["--write-devices"], "it writes into device files", LEAVE_OUT),
    refuse(&["--copy-devices"], "it reads device files as if they were files", LEAVE_OUT).side(Sender),
    refuse(&["--atimes"], "it rewrites access times of files that snapshots share", "leave -U (--atimes) out").letter('U'),
    refuse(&["--crtimes"], "times of creation cannot be set on Linux", "leave -N (--crtimes) out").letter('N'),
    refuse(&["--backup"], "snapshots keep the old version", "leave -b (--backup) out").letter('b'),
    refuse(&["--backup-dir", "--suffix"], "snapshots keep the old version", "leave --backup, --backup-dir and --suffix out")
        .takes(Either(Anything)),
    refuse(&["--temp-dir"], "temporary files have their own place", "leave -T (--temp-dir) out").letter('T').takes(Either(Anything)),
    refuse(
        &["--copy-dest", "--compare-dest"],
        "it names a directory of the server, and the snapshot would not be whole",
        "leave it out: unchanged files are linked with the newest snapshot without being asked",
    )
    .takes(Either(Anything)),
    refuse(&["--keep-dirlinks"], "it follows symlinks that a push planted", "leave -K (--keep-dirlinks) out").letter('K'),
    refuse(&["--copy-links"], "the sender alone follows symlinks", "leave -L out").letter('L').side(Sender),
    refuse(&["--copy-dirlinks"], "the sender alone follows symlinks", "leave -k out").letter('k').side(Sender),
    refuse(&["--copy-unsafe-links"], "the sender alone follows symlinks", LEAVE_OUT).side(Sender),
    refuse(
        &["--no-implied-dirs", "--no-i-d"],
        "paths would run through directories that the push does not hold",
        "leave it out, and keep -R",
    ),
    // What would store something else than what the client has, and call it a backup.
    refuse(&["--safe-links"], "the snapshot would silently lack symlinks", "leave it out: symlinks are stored and never followed")
        .side(Both),
    refuse(&["--munge-links", "--no-munge-links"], "symlinks would be stored changed, or changed back", LEAVE_OUT).side(Process),
    refuse(
        &["--existing", "--ignore-non-existing"],
        "every push starts in an empty directory, so it would store nothing",
        "leave it out: unchanged files do not travel again",
    ),
    refuse(
        &["--remove-source-files", "--remove-sent-files"],
        "your files would be deleted before the snapshot that holds them is published",
        "delete them yourself once the push has ended well",
    )
    .side(Both),
    refuse(&["--only-write-batch", "--write-batch", "--read-batch"], "a batch file stores no backup here", "leave it out")
        .takes(Either(Anything)),
    refuse(&["--ignore-errors"], "deleting although reading failed loses files", LEAVE_OUT),
    refuse(
        &["--delete-missing-args"],
        "a source that is missing would count as one to delete",
        "leave it out: what you do not send is not in the new snapshot",
    )
    .side(Both),
    // What reads or writes other files of the server, or turns its defences off.
    refuse(&["--files-from"], "the list would be read on the server", "keep the list on your side: --files-from=FILE without a colon")
        .takes(Either(Anything))
        .side(Both),
    refuse(&["--from0"], "it goes with --files-from, which is read on your side", "leave it out of -M").letter('0').side(Both),
    refuse(&["--log-file", "--log-file-format"], "logs of the server are not the client's", NO_M).takes(Either(Anything)).side(Process),
    refuse(&["--debug"], "traces would show paths of the server", "leave --debug out, or use --info").takes(Either(Anything)).side(Process),
    refuse(&["--exclude", "--include", "--exclude-from", "--include-from"], "filters do not belong on the server's command line", FILTERS)
        .takes(Either(Anything)),
    refuse(&["--filter"], "filters do not belong on the server's command line", FILTERS).letter('f').takes(Either(Anything)),
    row(Some('F'), &[], Receiver, Refuse(Code::Option), "filters do not belong on the server's command line").instead(FILTERS),
    refuse(&["--super"], "powers on the server are not the client's choice", NO_M),
    refuse(&["--fake-super"], "how owners are kept on the server is not the client's choice", NO_M).side(Process),
    refuse(
        &["--copy-as", "--chmod", "--chown"],
        "powers on the server are not the client's choice",
        "leave it out of -M: --chmod and --chown work on your side",
    )
    .takes(Either(Anything)),
    refuse(
        &["--insecure-links", "--drop-D", "--no-drop-D", "--trust-sender"],
        "how the server protects itself is not the client's choice",
        NO_M,
    )
    .side(Process),
    refuse(&["--confine-root"], "how the server protects itself is not the client's choice", NO_M).takes(Either(Anything)).side(Process),
    // What costs the server more than it gives the client.
    refuse(&["--preallocate"], "it reserves as much of the disk as the client claims", LEAVE_OUT),
    refuse(&["--max-alloc"], "the server has its own limit of memory", "leave it out, or unset RSYNC_MAX_ALLOC")
        .takes(Either(Anything))
        .side(Both),
    refuse(&["--compress-threads", "--zt"], "how many threads run on the server is not the client's choice", NO_M).takes(Either(Anything)),
    refuse(&["--iconv"], "names are stored byte by byte", "leave --iconv out, or add --no-iconv").takes(Either(Anything)).side(Both),
    refuse(&["--stop-after", "--time-limit", "--stop-at"], "a push has its own limit of time", "use it without -M").takes(Either(Anything)),
    refuse(&["--stderr", "--outbuf"], "how the server writes its messages is not the client's choice", NO_M)
        .takes(Either(Anything))
        .side(Process),
    // What starts or reaches other programs; real clients keep these to themselves.
    refuse(&["--rsh", "--rsync-path"], "the server starts no other program", NO_M).takes(Either(Anything)).side(Process),
    refuse(&["--remote-option"], "there is no third side", NO_M).letter('M').takes(Either(Anything)).side(Process),
    refuse(&["--address", "--port", "--sockopts", "--contimeout", "--password-file", "--early-input"], "it is for rsync daemons", NO_M)
        .takes(Either(Anything))
        .side(Process),
    refuse(&["--protocol"], "the two sides agree on a protocol by themselves", "use --protocol without -M")
        .takes(Either(Anything))
        .side(Process),
    refuse(
        &["--extended-attributes"],
        "only macOS's rsync understands it",
        "leave -E (--extended-attributes) out on macOS, or use rsync from rsync.samba.org",
    )
    .side(Both),
];
