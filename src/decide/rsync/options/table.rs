//! The rows: what is passed on, in the order in which it is printed; what is accepted and dropped;
//! what is refused. Most reasons follow from two facts: a push goes into a fresh, empty directory,
//! and unchanged files come as hard links from the newest snapshot.

use super::Cause::{Costs, Daemon, Defences, Differs, NotABackup as Nothing, Outside, Powers, Pull, SharedInodes};
use super::Check::{Anything, Capabilities, Charset, Levels, Number, NumberMapping, OneOf, OneOrTwoOf, Size};
use super::Rule::{Drop, NeedsWord, NotABackup, Smaller, Warn};
use super::Runs::{AsAccount, AsRoot};
use super::Side::{Both, Process, Receiver, Sender};
use super::Value::{Attached, Either};
use super::row::{drop, letter, pass, refuse, row};
use super::{Force, Row, Value};
use crate::terms::limits::MAX_CLIENT_TIMEOUT;

/// A value that never reaches rsync.
const ANY: Value = Either(Anything);

/// The largest number that rsync's own parser takes (`POPT_ARG_INT`).
const INT: i64 = i32::MAX as i64;

const INFO: &[&str] =
    &["ALL", "NONE", "BACKUP", "COPY", "DEL", "FLIST", "MISC", "MOUNT", "NAME", "NONREG", "PROGRESS", "REMOVE", "SKIP", "STATS", "SYMSAFE"];
const CHECKSUMS: &[&str] = &["auto", "xxh128", "xxh3", "xxh64", "xxhash", "md5", "md4", "sha1", "none"];
const COMPRESSIONS: &[&str] = &["zstd", "lz4", "zlibx", "zlib", "none"];

/// How names may be written on the server: table lookups in glibc or less. The stateful converters,
/// in which CVE-2024-2961 was, are left out.
const CHARSETS: &[&str] = &["utf8", "iso88591", "latin1", "iso885915", "latin9"];

/// Within rsync's address space (`CHILD_MEMORY`); 0 would be no limit.
const ALLOCATIONS: &[&str] = &["256M", "512M", "1G", "2G", "4G"];

const GOES_ON: &str = "leave it out: a push that was cut off goes on by itself";
const LINKED: &str = "leave it out: unchanged files are linked with the newest snapshot without being asked";
const LOST: &str = "your files would be deleted before the snapshot that holds them is published, and one that is cut off would lose them";
const NO_OWNERS: &str = "the client may not choose owners here";
const NO_GROUPS: &str = "the client may not choose groups here";
const REPLACES: &str = "the directory starts empty; of a transaction's pushes a later one that has it replaces what earlier ones brought to its \
    place, and with `partial_pushes: merge` it replaces what the last snapshot has there, excluded files too";
const MOST: &str = "0 or less means that `--delete` replaces nothing; what is replaced is not counted";
const EMPTY: &str = "there is nothing to delete: the directory starts empty";
const OWNER_INSTEAD: &str = "leave owners and groups out: add --no-owner --no-group, and no --chown, --usermap or --groupmap";
const LEAVE_OUT: &str = "leave it out";
const NO_M: &str = "leave it out of -M (--remote-option) and --rsync-path";
const YOUR_OWN: &str = "give it to your own rsync, without -M";
const FILTERS: &str = "give it to your own rsync, without -M: filters travel inside the protocol";
const ONE_COLON: &str = "write one colon, host:path, not host::path or rsync://";
const NO_DAEMON: &str = "an rsync daemon is not offered over this key";
const FOR_DAEMONS: &str = "it is for rsync daemons";
const PROTECTION: &str = "how the server protects itself is not the client's choice";

/// What `--drop-D` leaves out.
const NO_SPECIALS: &str = "device files, FIFOs and sockets are left out of snapshots";
const MUNGED: Force = Force::May("symlinks are stored with `/rsyncd-munged/` before what they lead to, and lead nowhere");
/// `do_symlink` in rsync's syscall.c, tried with 3.5.0.
const UNMADE_LINKS: Force = Force::Never(
    "rsync then keeps a symlink as a file, which it opens in a way (O_TRUNC without O_EXCL) that a file of history could be written \
     through; the jail denies that, so every symlink would be missing from its snapshot and every push that has one end with status 23",
);

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
    letter('y', &["--fuzzy"], "a similar file is looked for, in the newest snapshot too").up_to(2),
    letter('W', &["--whole-file"], "how content travels"),
    letter('H', &["--hard-links"], "hard links among the files of this push").up_to(2),
    letter('o', &["--owner"], NO_OWNERS).rule(NeedsWord(AsRoot)).instead(OWNER_INSTEAD),
    letter('g', &["--group"], NO_GROUPS).rule(NeedsWord(AsRoot)).instead(OWNER_INSTEAD),
    letter('D', &[], "both ends must agree on it").but(NO_SPECIALS),
    letter('t', &["--times"], "modification times"),
    letter('p', &["--perms"], "permissions"),
    letter('E', &["--executability"], "permissions"),
    letter('A', &["--acls"], "access lists name other accounts, which takes a weaker jail, without namespaces")
        .rule(NeedsWord(AsAccount))
        .instead("leave -A (--acls) out: permissions are stored without it"),
    letter('X', &["--xattrs"], "extended attributes").up_to(2),
    letter('r', &["--recursive"], "what travels"),
    letter('c', &["--checksum"], "how changes are found"),
    letter('C', &["--cvs-exclude"], "what is left out; the client's own lists"),
    letter('I', &["--ignore-times"], "how changes are found"),
    letter('R', &["--relative"], "paths below the destination"),
    letter('x', &["--one-file-system"], "what travels").up_to(2),
    letter('S', &["--sparse"], "how files with holes are written"),
    letter('z', &["--compress"], "how content travels").up_to(2),
    letter('e', &[], "what the client's rsync can do")
        .but("without the letter `I`, by which unfinished files would be written in place")
        .takes(Attached(Capabilities)),
    // Long options, in the order in which they are printed.
    pass(&["--list-only"], "a listing stores nothing").rule(NotABackup),
    pass(&["--no-r", "--no-recursive"], "sent with -d so that deleting works").side(Both),
    pass(&["--no-dirs", "--no-d"], "which directories travel").side(Both),
    pass(&["--no-relative", "--no-R"], "paths below the destination").side(Both),
    pass(&["--no-W", "--no-whole-file"], "how content travels"),
    pass(&["--devices"], "both ends must agree on it").but(NO_SPECIALS).kin("D").side(Both),
    pass(&["--no-devices"], "both ends must agree on it").side(Both),
    pass(&["--specials"], "both ends must agree on it").but(NO_SPECIALS).kin("D").side(Both),
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
    pass(&["--compress-choice", "--zc"], "how content travels").kin("compress").takes(Attached(OneOf(COMPRESSIONS))).side(Both),
    pass(&["--compress-level", "--zl"], "how content travels").kin("compress").takes(Attached(Number(-131_072, 22))).side(Both),
    pass(&["--new-compress"], "how content travels").kin("compress").side(Both),
    pass(&["--old-compress"], "how content travels").kin("compress").side(Both),
    pass(&["--delete"], REPLACES),
    pass(&["--del"], REPLACES).kin("delete"),
    pass(&["--delete-before"], REPLACES).kin("delete"),
    pass(&["--delete-during"], REPLACES).kin("delete"),
    pass(&["--delete-delay"], REPLACES).kin("delete"),
    pass(&["--delete-after"], REPLACES).kin("delete"),
    pass(&["--delete-excluded"], REPLACES).kin("delete"),
    pass(&["--max-delete"], MOST).takes(Attached(Number(-1, INT))),
    pass(&["--force"], EMPTY),
    pass(&["--max-size"], "the snapshot leaves larger files out").rule(Warn).takes(Either(Size)),
    pass(&["--min-size"], "the snapshot leaves smaller files out").rule(Warn).takes(Either(Size)),
    pass(&["--size-only"], "a file that changed and kept its size is taken from the newest snapshot").rule(Warn),
    pass(&["--ignore-existing"], "nothing exists: the directory starts empty"),
    pass(&["--modify-window"], "how changes are found").letter('@').takes(Attached(Number(-1, 86_400))),
    pass(&["--numeric-ids"], "both ends must agree on it").side(Both),
    pass(&["--usermap"], NO_OWNERS).rule(NeedsWord(AsRoot)).kin("owner").takes(Attached(NumberMapping)).instead(OWNER_INSTEAD),
    pass(&["--groupmap"], NO_GROUPS).rule(NeedsWord(AsRoot)).kin("group").takes(Attached(NumberMapping)).instead(OWNER_INSTEAD),
    pass(&["--open-noatime"], "reading leaves no trace").side(Both),
    pass(&["--qsort", "--use-qsort"], "how lists are sorted").side(Both),
    pass(&["--timeout"], "it counts on both sides; the push itself may take no longer than `time_limits: {push: …}`")
        .rule(Smaller)
        .takes(Attached(Number(1, MAX_CLIENT_TIMEOUT as i64)))
        .side(Both),
    // Accepted and dropped or changed. Each was tried on one side alone, with old and new clients.
    drop(&["--secluded-args", "--protect-args"], "the words that it sends on standard input are judged like all others")
        .letter('s')
        .side(Process),
    drop(&["--partial"], "a push that is cut off is kept and goes on next time without being asked"),
    drop(&["--partial-dir"], "a push that is cut off is kept and goes on next time without being asked").takes(ANY),
    drop(&["--inplace"], "files are always written anew, since an old one may share its inode with a snapshot"),
    drop(&["--delay-updates"], "nothing shows before the whole push is published"),
    drop(&["--link-dest"], "unchanged files are linked with the newest snapshot without being asked").takes(ANY),
    drop(&["--mkpath"], "the directories of the destination are always made"),
    drop(&["--fsync"], "everything is on the disk before the snapshot is published"),
    drop(&["--skip-compress"], "the sender alone compresses").takes(ANY).side(Sender),
    drop(&["--copy-unsafe-links"], "the sender alone follows symlinks").side(Sender),
    drop(&["--ignore-missing-args"], "the sender alone looks for its arguments").side(Sender),
    drop(&["--progress"], "the client shows it"),
    drop(&["--itemize-changes"], "the client shows files in its own way").letter('i'),
    row(Some('P'), &[], Receiver, Drop, "the client shows its progress, and a push that is cut off goes on next time without being asked"),
    drop(&["--implied-dirs", "--i-d"], "they are always sent").side(Both),
    drop(&["--human-readable"], "the client shows figures in its own way").letter('h'),
    drop(&["--8-bit-output"], "foreign bytes stay escaped in logs").letter('8'),
    drop(&["--out-format"], "the client shows files in its own way").takes(ANY),
    drop(&["--cache", "--no-cache"], "macOS's rsync alone has it").side(Both),
    // Refused. First what is another kind of session.
    refuse(&["--sender"], "this server takes pushes; reading back is not offered over this key", "ask the administrator for a restore")
        .cause(Pull)
        .side(Process),
    refuse(&["--daemon"], NO_DAEMON, ONE_COLON).cause(Daemon).side(Process),
    refuse(&["--config"], NO_DAEMON, ONE_COLON).cause(Daemon).takes(ANY).side(Process),
    refuse(&["--dparam"], NO_DAEMON, ONE_COLON).cause(Daemon).takes(ANY).side(Process),
    refuse(&["--detach", "--no-detach"], NO_DAEMON, ONE_COLON).cause(Daemon).side(Process),
    // What would change files that snapshots share.
    refuse(&["--append"], "it writes into files that are there already", GOES_ON).cause(SharedInodes),
    refuse(&["--append-verify"], "it writes into files that are there already", GOES_ON).cause(SharedInodes),
    refuse(&["--write-devices"], "it writes into what is there already, device files too", LEAVE_OUT).cause(SharedInodes),
    refuse(&["--atimes"], "it rewrites access times of files that snapshots share", "leave -U (--atimes) out")
        .cause(SharedInodes)
        .letter('U'),
    // What would reach outside the push's own directory.
    refuse(&["--backup"], "snapshots keep the old version", "leave -b (--backup) out").letter('b'),
    refuse(&["--backup-dir"], "snapshots keep the old version", "leave --backup and --backup-dir out").cause(Outside).takes(ANY),
    refuse(&["--temp-dir"], "temporary files have their own place", "leave -T (--temp-dir) out").cause(Outside).letter('T').takes(ANY),
    refuse(&["--copy-dest"], "it names a directory of the server", LINKED).cause(Outside).takes(ANY),
    refuse(&["--compare-dest"], "it names a directory of the server, and the snapshot would lack what that has", LINKED)
        .cause(Outside)
        .takes(ANY),
    refuse(&["--keep-dirlinks"], "it follows symlinks that a push planted", "leave -K (--keep-dirlinks) out").cause(Outside).letter('K'),
    refuse(
        &["--no-implied-dirs", "--no-i-d"],
        "paths would run through directories that the push does not hold",
        "leave it out, and keep -R",
    )
    .cause(Outside),
    refuse(&["--files-from"], "the list would be read on the server", "keep the list on your side: --files-from=FILE without a colon")
        .cause(Outside)
        .takes(ANY)
        .side(Both),
    refuse(&["--exclude-from"], "filters do not belong on the server's command line", FILTERS).cause(Outside).takes(ANY),
    refuse(&["--include-from"], "filters do not belong on the server's command line", FILTERS).cause(Outside).takes(ANY),
    refuse(&["--filter"], "filters do not belong on the server's command line", FILTERS).cause(Outside).letter('f').takes(ANY),
    row(Some('F'), &[], Receiver, super::Rule::Refuse(Outside), "filters do not belong on the server's command line").instead(FILTERS),
    refuse(&["--log-file"], "logs of the server are not the client's", NO_M).cause(Outside).takes(ANY).side(Process),
    refuse(&["--write-batch"], "a batch file would be written on the server", "use it without -M").cause(Outside).takes(ANY),
    refuse(&["--read-batch"], "a batch file would be read on the server", "use it without -M").cause(Outside).takes(ANY),
    // What would leave no backup, or another one than the client thinks.
    refuse(&["--only-write-batch"], "it stores nothing on the server and ends as if it had", "use --write-batch, or leave it out")
        .cause(Nothing)
        .takes(ANY),
    refuse(
        &["--existing", "--ignore-non-existing"],
        "every push starts in an empty directory, so it would store nothing",
        "leave it out: unchanged files do not travel again",
    )
    .cause(Nothing),
    refuse(&["--remove-source-files"], LOST, "delete them yourself once the push has ended well").cause(Differs).side(Both),
    refuse(&["--remove-sent-files"], LOST, "delete them yourself once the push has ended well").cause(Differs).side(Both),
    refuse(&["--safe-links"], "the snapshot would silently lack symlinks", "leave it out: symlinks are stored and never followed")
        .cause(Differs)
        .side(Both),
    refuse(&["--munge-links"], "symlinks would be stored changed", LEAVE_OUT).cause(Differs).side(Process).force(MUNGED),
    refuse(
        &["--ignore-errors"],
        "it deletes although reading failed, which elsewhere loses files",
        "leave it out: there is nothing to delete",
    )
    .cause(Differs),
    refuse(
        &["--delete-missing-args"],
        "a source that is missing would be no error but one to delete",
        "leave it out: what you do not send is not in the new snapshot",
    )
    .cause(Differs)
    .side(Both),
    refuse(&["--iconv"], "names would be stored in another encoding than yours", "leave --iconv out, or add --no-iconv")
        .cause(Differs)
        .takes(Either(Charset(CHARSETS)))
        .side(Both),
    // What costs the server more than it gives the client.
    refuse(&["--preallocate"], "it reserves as much of the disk as the client claims", LEAVE_OUT).cause(Costs),
    refuse(&["--max-alloc"], "the server has its own limit of memory", "leave it out, or unset RSYNC_MAX_ALLOC")
        .cause(Costs)
        .takes(Either(OneOf(ALLOCATIONS)))
        .side(Both),
    refuse(&["--compress-threads", "--zt"], "how many threads run on the server is not the client's choice", NO_M)
        .cause(Costs)
        .takes(Either(Number(0, 4))),
    // Powers, and what the server protects itself with.
    refuse(&["--fake-super"], "owners would be kept in extended attributes and symlinks in files, which is the server's choice", NO_M)
        .cause(Powers)
        .side(Process)
        .force(UNMADE_LINKS),
    refuse(&["--super"], "powers on the server are not the client's choice", LEAVE_OUT).cause(Powers),
    refuse(&["--copy-as"], "powers on the server are not the client's choice", NO_M).cause(Powers).takes(ANY),
    refuse(&["--no-munge-links"], "symlinks would be stored changed back", NO_M).cause(Defences).side(Process),
    refuse(&["--insecure-links", "--no-insecure-links"], PROTECTION, NO_M).cause(Defences).side(Process),
    refuse(&["--drop-D", "--no-drop-D"], PROTECTION, NO_M).cause(Defences).side(Process),
    refuse(&["--trust-sender"], PROTECTION, NO_M).cause(Defences).side(Process),
    refuse(&["--confine-root"], PROTECTION, NO_M).cause(Defences).takes(ANY).side(Process),
    refuse(&["--debug"], "traces would show paths of the server", "leave --debug out of -M, or use --info")
        .cause(Defences)
        .takes(ANY)
        .side(Process),
    // What means nothing here. Most of it comes by -M alone.
    refuse(&["--server"], "it is said once, as the first word", NO_M).side(Process),
    refuse(&["--archive"], "the client's rsync spells out what it stands for", YOUR_OWN).letter('a').side(Both),
    refuse(&["--suffix"], "snapshots keep the old version", "leave --backup and --suffix out").takes(ANY),
    refuse(&["--crtimes"], "times of creation cannot be set on Linux", "leave -N (--crtimes) out").letter('N').side(Both),
    refuse(
        &["--extended-attributes"],
        "only macOS's rsync understands it",
        "leave -E (--extended-attributes) out on macOS, or use rsync from rsync.samba.org",
    )
    .side(Both),
    refuse(&["--copy-devices"], "the sender alone reads devices", YOUR_OWN).side(Sender),
    refuse(&["--copy-links"], "the sender alone follows symlinks", "use -L without -M").letter('L').side(Sender),
    refuse(&["--copy-dirlinks"], "the sender alone follows symlinks", "use -k without -M").letter('k').side(Sender),
    refuse(&["--chmod"], "your own rsync changes modes before it sends them", YOUR_OWN).takes(ANY),
    refuse(&["--chown"], "your own rsync turns it into --usermap and --groupmap", YOUR_OWN).takes(ANY),
    refuse(&["--from0"], "it goes with --files-from, which is read on your side", YOUR_OWN).letter('0').side(Both),
    refuse(&["--exclude"], "filters do not belong on the server's command line", FILTERS).takes(ANY),
    refuse(&["--include"], "filters do not belong on the server's command line", FILTERS).takes(ANY),
    refuse(&["--log-file-format"], "logs of the server are not the client's", NO_M).takes(ANY).side(Process),
    refuse(&["--stop-after", "--time-limit"], "a push has its own limit of time", YOUR_OWN).takes(ANY).side(Process),
    refuse(&["--stop-at"], "a push has its own limit of time", YOUR_OWN).takes(ANY).side(Process),
    refuse(&["--stderr"], "how the server writes its messages is not the client's choice", YOUR_OWN).takes(ANY).side(Process),
    refuse(&["--outbuf"], "how the server writes its messages is not the client's choice", YOUR_OWN).takes(ANY).side(Process),
    refuse(&["--rsh"], "the server starts no other program", NO_M).takes(ANY).side(Process),
    refuse(&["--rsync-path"], "the server starts no other program", NO_M).takes(ANY).side(Process),
    refuse(&["--remote-option"], "there is no third side", NO_M).letter('M').takes(ANY).side(Process),
    refuse(&["--protocol"], "the two sides agree on a protocol by themselves", YOUR_OWN).takes(ANY).side(Process),
    refuse(&["--old-args", "--no-old-args"], "it is about the client's own command line", YOUR_OWN).side(Process),
    refuse(&["--no-secluded-args", "--no-protect-args", "--no-s"], "it is about the client's own command line", YOUR_OWN).side(Process),
    refuse(
        &["--inc-recursive", "--i-r", "--no-inc-recursive", "--no-i-r"],
        "the client's rsync says behind `-e` whether it does it",
        YOUR_OWN,
    )
    .side(Both),
    refuse(&["--old-dirs", "--old-d"], "it is for servers of long ago", LEAVE_OUT).side(Both),
    refuse(&["--version"], "it asks the server's rsync about itself", NO_M).letter('V').side(Process),
    refuse(&["--help"], "it asks the server's rsync about itself", NO_M).side(Process),
    refuse(&["--ipv4"], "ssh makes the connection", "use ssh's -4").letter('4').side(Process),
    refuse(&["--ipv6"], "ssh makes the connection", "use ssh's -6").letter('6').side(Process),
    refuse(&["--blocking-io", "--no-blocking-io"], "ssh makes the connection", YOUR_OWN).side(Process),
    refuse(&["--address"], FOR_DAEMONS, NO_M).takes(ANY).side(Process),
    refuse(&["--port"], FOR_DAEMONS, NO_M).takes(ANY).side(Process),
    refuse(&["--sockopts"], FOR_DAEMONS, NO_M).takes(ANY).side(Process),
    refuse(&["--contimeout"], FOR_DAEMONS, NO_M).takes(ANY).side(Process),
    refuse(&["--password-file"], FOR_DAEMONS, NO_M).takes(ANY).side(Process),
    refuse(&["--early-input"], FOR_DAEMONS, NO_M).takes(ANY).side(Process),
    refuse(&["--motd", "--no-motd"], FOR_DAEMONS, NO_M).side(Process),
    // `--no-OPTION`: what real clients send of these stands above.
    refuse(TAKEN_BACK, "it only takes back what was asked for before it", YOUR_OWN),
    refuse(AGREED_ON, "both ends must agree on it", YOUR_OWN).side(Both),
];

/// What a client takes back on its own side and does not send.
const TAKEN_BACK: &[&str] = &[
    "--no-verbose", "--no-v", "--no-omit-dir-times", "--no-O", "--no-omit-link-times", "--no-J", "--no-one-file-system", "--no-x",
    "--no-sparse", "--no-S", "--no-inplace", "--no-append", "--no-fuzzy", "--no-y", "--no-prune-empty-dirs", "--no-m",
    "--no-itemize-changes", "--no-i", "--no-human-readable", "--no-h", "--no-progress", "--no-partial", "--no-delay-updates",
    "--no-backup", "--no-from0", "--no-force", "--no-ignore-errors", "--no-write-devices", "--no-open-noatime", "--no-mkpath",
    "--no-8-bit-output", "--no-8", "--no-bwlimit", "--no-timeout", "--no-contimeout",
];

/// The same of what both sides must agree on.
const AGREED_ON: &[&str] = &[
    "--no-links", "--no-l", "--no-hard-links", "--no-H", "--no-perms", "--no-p", "--no-times", "--no-t", "--no-owner", "--no-o",
    "--no-group", "--no-g", "--no-D", "--no-acls", "--no-A", "--no-xattrs", "--no-X", "--no-atimes", "--no-U", "--no-crtimes", "--no-N",
    "--no-numeric-ids", "--no-checksum", "--no-c", "--no-compress", "--no-z", "--no-iconv",
];
