//! What makes a real rsync send each option, and what must be on the disk afterwards.

use super::Seen;
use super::looks::{self, whole};

/// One way to send one row's option.
pub(super) struct Case {
    /// The row, by one of its spellings.
    pub(super) row: &'static str,
    /// The client's options. `-M` hands through what no real client sends by itself.
    pub(super) words: &'static [&'static str],
    pub(super) end: End,
    /// Only root can see whether it did what it means.
    pub(super) as_root: bool,
}

/// What must be on the disk.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// A snapshot of what the client has, but for these names (`*`: do not compare), and what the option means besides.
    Stored { but: &'static [&'static str], look: fn(&Seen) },
    /// Success, and no snapshot.
    Nothing,
    /// Refused.
    Refused,
}

const fn stored(row: &'static str, words: &'static [&'static str], look: fn(&Seen)) -> Case {
    Case { row, words, end: End::Stored { but: &[], look }, as_root: false }
}

const fn without(row: &'static str, words: &'static [&'static str], but: &'static [&'static str], look: fn(&Seen)) -> Case {
    Case { row, words, end: End::Stored { but, look }, as_root: false }
}

const fn nothing(row: &'static str, words: &'static [&'static str]) -> Case {
    Case { row, words, end: End::Nothing, as_root: false }
}

const fn refused(row: &'static str, words: &'static [&'static str]) -> Case {
    Case { row, words, end: End::Refused, as_root: false }
}

const fn as_root(mut case: Case) -> Case {
    case.as_root = true;
    case
}

/// What is accepted, by default or by a policy's word.
pub(super) const CASES: &[Case] = &[
    stored("-v", &["-av"], whole),
    stored("-v", &["-avvv"], looks::quiet_about_the_server),
    stored("-q", &["-aq"], whole),
    stored("-u", &["-au"], looks::older_is_taken),
    nothing("-n", &["-an"]),
    stored("-l", &["-a"], looks::links),
    without("-d", &["-dlt"], &["sub/inner"], whole),
    without("-m", &["-am"], &["empty"], whole),
    stored("-O", &["-aO"], looks::directory_times_are_new),
    stored("-J", &["-aJ"], looks::link_times_are_new),
    stored("-y", &["-ay"], looks::similar_is_found),
    stored("-W", &["-aW"], looks::nothing_is_matched),
    stored("-H", &["-aH"], looks::hard_links),
    as_root(stored("-o", &["-a"], looks::owner)),
    as_root(stored("-g", &["-a"], looks::group)),
    stored("-D", &["-a"], looks::no_fifo),
    stored("-t", &["-a"], looks::times),
    stored("-p", &["-a"], looks::modes),
    stored("-E", &["-rlE"], looks::executable),
    stored("-A", &["-aA"], looks::access_lists),
    stored("-X", &["-aX"], looks::attributes),
    stored("-r", &["-a"], whole),
    stored("-c", &["-ac"], looks::hidden_change_is_found),
    without("-C", &["-aC"], &["left.o"], whole),
    stored("-I", &["-aI"], looks::hidden_change_is_found),
    without("-R", &["-aR"], &["*"], looks::relative),
    stored("-x", &["-ax"], whole),
    stored("-S", &["-aS"], looks::holes),
    stored("-z", &["-az"], whole),
    stored("-e", &["-a"], looks::no_in_place_capability),
    nothing("--list-only", &["-a", "--list-only"]),
    without("--no-r", &["-d", "--delete"], &["sub/inner"], whole),
    stored("--no-dirs", &["-a", "-M--no-dirs"], whole),
    stored("--no-relative", &["-a", "-M--no-relative"], whole),
    stored("--no-W", &["-a", "-M--no-W"], looks::delta),
    stored("--devices", &["-a", "-M--devices"], looks::no_fifo),
    stored("--no-devices", &["-rlt", "--specials", "-M--no-devices"], looks::no_fifo),
    stored("--specials", &["-rlt", "--specials"], looks::no_fifo),
    stored("--no-specials", &["-a", "--no-specials"], looks::no_fifo),
    stored("--no-super", &["-a", "-M--no-super"], whole),
    stored("--log-format", &["-ai"], whole),
    stored("--info", &["-a", "--info=NAME2,skip2"], whole),
    stored("--msgs2stderr", &["-a", "--stderr=all"], whole),
    stored("--no-msgs2stderr", &["-a", "--stderr=client"], whole),
    stored("--stats", &["-a"], whole),
    stored("--block-size", &["-a", "-B1024"], looks::delta),
    stored("--bwlimit", &["-a", "--bwlimit=100000"], whole),
    stored("--checksum-choice", &["-a", "--checksum-choice=md5"], looks::delta),
    stored("--checksum-seed", &["-a", "--checksum-seed=5"], looks::delta),
    stored("--compress-choice", &["-a", "--compress-choice=lz4"], looks::delta),
    stored("--compress-level", &["-az", "--compress-level=3"], whole),
    stored("--new-compress", &["-a", "--zc=zlibx"], looks::delta),
    stored("--old-compress", &["-a", "--zc=zlib"], looks::delta),
    stored("--delete", &["-a", "--delete"], looks::gone_from_the_newest_only),
    stored("--del", &["-a", "--delete", "-M--del"], whole),
    stored("--delete-before", &["-a", "--delete-before"], looks::gone_from_the_newest_only),
    stored("--delete-during", &["-a", "--del"], looks::gone_from_the_newest_only),
    stored("--delete-delay", &["-a", "--delete-delay"], looks::gone_from_the_newest_only),
    stored("--delete-after", &["-a", "--delete-after"], looks::gone_from_the_newest_only),
    without("--delete-excluded", &["-a", "--delete-excluded", "--exclude=left.o"], &["left.o"], looks::gone_from_the_newest_only),
    stored("--max-delete", &["-a", "--delete", "--max-delete=1"], looks::gone_from_the_newest_only),
    stored("--force", &["-a", "--delete", "--force"], looks::gone_from_the_newest_only),
    without("--max-size", &["-a", "--max-size=10K"], &["large", "sparse"], whole),
    without("--min-size", &["-a", "--min-size", "10K"], &["plain", "run", "sub/inner", "left.o"], whole),
    stored("--size-only", &["-a", "--size-only"], whole),
    stored("--ignore-existing", &["-a", "--ignore-existing"], looks::change_arrives),
    stored("--modify-window", &["-a", "--modify-window=2"], whole),
    stored("--modify-window", &["-a", "-@-1"], whole),
    stored("--numeric-ids", &["-a", "--numeric-ids"], looks::owner),
    as_root(stored("--usermap", &["-a", "--usermap=*:4242"], looks::mapped_user)),
    as_root(stored("--groupmap", &["-a", "--groupmap=*:4242"], looks::mapped_group)),
    stored("--open-noatime", &["-a", "--open-noatime"], whole),
    stored("--qsort", &["-a", "--qsort"], whole),
    stored("--timeout", &["-a", "--timeout=60"], whole),
    stored("--timeout", &["-a", "--timeout=3600"], whole),
    stored("-y", &["-ayy"], looks::similar_is_found),
    stored("--link-dest", &["-ay", "--link-dest=../yesterday"], looks::change_arrives),
    // What is dropped.
    stored("-s", &["-as"], whole),
    stored("--partial", &["-a", "--partial"], looks::change_arrives),
    stored("--partial-dir", &["-a", "--partial-dir=.partial"], looks::change_arrives),
    stored("--inplace", &["-a", "--inplace"], looks::change_arrives),
    stored("--delay-updates", &["-a", "--delay-updates"], looks::change_arrives),
    stored("--link-dest", &["-a", "--link-dest=../yesterday", "--link-dest=/etc"], looks::change_arrives),
    stored("--mkpath", &["-a", "--mkpath"], looks::change_arrives),
    stored("--fsync", &["-a", "--fsync"], whole),
    stored("--skip-compress", &["-az", "-M--skip-compress=gz/zst"], whole),
    stored("--copy-unsafe-links", &["-a", "--copy-unsafe-links"], looks::unsafe_link_is_a_file),
    stored("--ignore-missing-args", &["-a", "-M--ignore-missing-args"], whole),
    stored("--progress", &["-a", "-M--progress"], whole),
    stored("-i", &["-a", "-M-i"], whole),
    stored("-P", &["-a", "-M-P"], whole),
    stored("--implied-dirs", &["-a", "-M--implied-dirs"], whole),
    stored("-h", &["-a", "-M-h"], whole),
    stored("-8", &["-a", "-M-8"], whole),
    stored("--out-format", &["-a", "-M--out-format=%n"], whole),
    stored("--cache", &["-a", "-M--cache"], whole),
    // What a policy allows.
    without("--remove-source-files", &["-a", "--remove-source-files"], &[], looks::moved),
    without("--remove-sent-files", &["-a", "--remove-sent-files"], &[], looks::moved),
    stored("--safe-links", &["-a", "--safe-links"], looks::no_unsafe_link),
    stored("--munge-links", &["-a", "-M--munge-links"], looks::munged),
    stored("--ignore-errors", &["-a", "--delete", "--ignore-errors"], looks::gone_from_the_newest_only),
    stored("--delete-missing-args", &["-a", "--delete-missing-args", "/tmp/snapgate-no-such-source"], whole),
    stored("--iconv", &["-a", "--iconv=utf-8,iso-8859-1"], looks::names_are_latin1),
    stored("--preallocate", &["-a", "--preallocate"], whole),
    stored("--max-alloc", &["-a", "--max-alloc=2G"], whole),
    stored("--compress-threads", &["-az", "-M--compress-threads=2"], whole),
];

/// What is refused for good and what a real client sends by itself.
pub(super) const DIRECT: &[Case] = &[
    refused("--append", &["-a", "--append"]),
    refused("--append", &["-a", "--append-verify"]),
    refused("--write-devices", &["-a", "--write-devices"]),
    refused("-U", &["-aU"]),
    refused("-U", &["-aUU"]),
    refused("-b", &["-ab"]),
    refused("--backup-dir", &["-ab", "--backup-dir=../old"]),
    refused("--suffix", &["-ab", "--suffix=.old"]),
    refused("-T", &["-a", "-T/tmp", "-M-T/tmp"]),
    refused("--temp-dir", &["-a", "--temp-dir=/tmp"]),
    refused("--copy-dest", &["-a", "--copy-dest=/etc"]),
    refused("--compare-dest", &["-a", "--compare-dest=../snapshots"]),
    refused("-K", &["-aK"]),
    refused("--no-implied-dirs", &["-aR", "--no-implied-dirs"]),
    refused("--files-from", &["-a", "--files-from=backup:/etc/passwd"]),
    refused("--from0", &["-a", "--from0", "--files-from=backup:/etc/passwd"]),
    refused("--only-write-batch", &["-a", "--only-write-batch=batch"]),
    refused("--existing", &["-a", "--existing"]),
    refused("--super", &["-a", "--super"]),
    refused("-f", &["-a", "-M-f- *"]),
    refused("--log-file", &["-a", "-M--log-file=/tmp/x"]),
    refused("--server", &["-a", "-M--server"]),
    refused("--sender", &["-a", "-M--sender"]),
    refused("--daemon", &["-a", "-M--daemon"]),
];
