//! What a push that has ended amounts to. rsync's exit status is not proof of a backup, so the tree is asked too.

use std::time::Duration;

use crate::terms::{Bytes, Code, Excess, Reason, Resource, exit};

/// How rsync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With a status (rsync(1), EXIT VALUES).
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// By the gate, at the deadline.
    Deadline,
    /// By the gate, since nothing came for this long from a client that had to send.
    Idle(Duration),
    /// By the gate, when the client's time was over.
    Closed,
    /// By the gate, or by itself, having brought more than it may.
    TooMuch(Excess),
}

/// rsync's exit status when files could not be read or written, and the rest was done.
pub const PARTIAL: i32 = 23;
/// rsync's exit status when files vanished before they were read: fine.
pub const VANISHED: i32 = 24;
/// rsync's exit status when nothing moved for too long; the client's, too, where the gate says so.
const IDLE: i32 = 30;
/// rsync's exit status when it gets no more memory (`RERR_MALLOC` in its `errcode.h`).
const MEMORY: i32 = 22;
/// rsync's exit status when it cannot start its second process (`RERR_IPC`).
const PROCESSES: i32 = 14;
/// rsync's exit status when it cannot write.
pub const FILE_IO: i32 = 11;
/// rsync's exit status when a signal ended it.
const SIGNALLED: u8 = 20;

/// rsync's exit statuses when the other end was gone, or it was stopped: the socket, the stream, a signal, silence, a connection that was never made.
const CUT_OFF: &[i32] = &[10, 12, 20, IDLE, 35];

/// Signals that are sent to a process: SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGTERM.
const ENDED_FROM_OUTSIDE: &[i32] = &[1, 2, 9, 13, 15];

/// What stands in the staging directory, and stood in the newest snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trees {
    /// Whether no file arrived: nothing, or directories only.
    pub arrived_empty: bool,
    /// Whether there is a newest snapshot and it holds a file.
    pub newest_has_files: bool,
    /// Whether the store has no room left.
    pub store_full: bool,
}

/// What to do with the staging directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Disposal {
    /// It is a backup.
    Publish {
        /// Whether rsync left something out.
        partial: bool,
    },
    /// Keep it, so that the next try need not send it again.
    SetAside(Reason),
    /// Nothing in it is wanted, and that is nobody's fault.
    Discard,
    /// Nothing in it is wanted, and somebody should know.
    Reject(Reason),
}

/// Judges a push by rsync's end and by the tree.
pub fn of_push(ended: Ended, dry: bool, trees: Trees) -> Disposal {
    match ended {
        Ended::Deadline => Disposal::SetAside(
            Reason::new(Code::Deadline, "the push took longer than it may")
                .hint("push again: what was received is kept")
                .remedy("raise `time_limits: {push: …}` if such pushes are expected")
                .passing(),
        ),
        Ended::Idle(limit) => Disposal::SetAside(silent(limit)),
        Ended::Closed => Disposal::SetAside(Reason::new(Code::Window, "the push was ended: its time was over")),
        Ended::TooMuch(excess) => Disposal::SetAside(too_much(excess)),
        Ended::Exit(0 | PARTIAL | VANISHED) if dry => Disposal::Discard,
        Ended::Exit(MEMORY) => Disposal::SetAside(
            Reason::new(Code::Limit, "the list of files needs more memory than the server gives it")
                .hint("push fewer files at a time, or ask the administrator of the server")
                .detail("rsync could not get the memory for its list of files, or was sent a length that cannot be (its status 22)")
                .remedy("raise `limits: {memory: …}`: rsync needs about 100 bytes for each file"),
        ),
        Ended::Exit(PROCESSES) => Disposal::SetAside(
            interrupted("rsync could not start its second process, or talk to it (its status 14)".to_owned())
                .remedy("see what else the account runs, and `limits: {processes: …}`"),
        ),
        Ended::Exit(IDLE) => Disposal::SetAside(outlasted()),
        // Without a free inode rsync leaves files out and calls it partial.
        Ended::Exit(FILE_IO | PARTIAL) if trees.store_full => {
            Disposal::SetAside(Reason::of_the_server(Code::Store, "the store ran full during the push").remedy("make room on the store"))
        }
        Ended::Exit(0 | PARTIAL | VANISHED) if trees.arrived_empty && trees.newest_has_files => Disposal::Reject(nothing_arrived()),
        Ended::Exit(status @ (0 | PARTIAL | VANISHED)) => Disposal::Publish { partial: status == PARTIAL },
        Ended::Exit(status) => {
            let reason = interrupted(format!("rsync ended with status {status} ({})", meaning(status)));
            Disposal::SetAside(Reason { passing: CUT_OFF.contains(&status), ..reason })
        }
        // Somebody's, or the kernel's where memory had run out. One of rsync's own faults is none that passes.
        Ended::Signal(signal) => {
            let reason = interrupted(format!("signal {signal} ended rsync"));
            Disposal::SetAside(Reason { passing: ENDED_FROM_OUTSIDE.contains(&signal), ..reason })
        }
    }
}

/// Judges a transaction at `complete`, where the client says with which status its own rsync ended.
pub fn of_transaction(status: Option<u8>, partial: bool, trees: Trees) -> Disposal {
    match status.map_or(0, i32::from) {
        0 | PARTIAL | VANISHED if trees.arrived_empty && trees.newest_has_files => Disposal::Reject(nothing_in_transaction()),
        status @ (0 | PARTIAL | VANISHED) => Disposal::Publish { partial: partial || status == PARTIAL },
        status => {
            let reason =
                Reason::new(Code::Unpublished, format!("not published: the client reported status {status} ({})", meaning(status)))
                    .hint(format!("{FROM_THE_BEGINNING}; what was received is kept"))
                    .remedy("look at the client: its rsync failed there");
            Disposal::SetAside(Reason { passing: CUT_OFF.contains(&status), ..reason })
        }
    }
}

/// What is said of a push that nobody was told of, since its gate was ended, when what it has left is found.
pub const KEPT: &str = "an earlier push did not finish; what it had received was kept";

/// The same where that was of use.
pub const USED: &str = "an earlier push did not finish; what it had received is used for this one";

/// What is said of a snapshot where the process that published it was killed before it had said so.
pub const KILLED_AFTERWARDS: &str =
    "the gate was killed at its work, after it had published: see in the kernel's log whether memory had run out";

/// What a client has to do when its transaction is closed: the next push would be published by itself.
pub const FROM_THE_BEGINNING: &str = "the transaction is closed: say `prepare`, push all of it again, then `complete`";

/// The reason of a transaction that has no file, where the last snapshot had some.
pub fn nothing_in_transaction() -> Reason {
    nothing_arrived().hint(format!("is the source mounted, and does the path exist? {FROM_THE_BEGINNING}"))
}

/// Why a snapshot is partial, for the administrator: by what the server's rsync ended with, or the client said of its own. What else it may be is told
/// beside it.
pub fn partial(rsync: Option<i32>, said: Option<u8>) -> &'static str {
    match (rsync, said.map(i32::from)) {
        (Some(PARTIAL), _) => "rsync could not read or store everything (its status 23): the snapshot is partial",
        (_, Some(PARTIAL)) => "the client said that its rsync had left something out (status 23): the snapshot is partial",
        _ => "the snapshot is partial",
    }
}

/// What a client is told that says `complete` with this status, where the snapshot is not whole. One that says itself that it is not, is told
/// nothing. `unfinished` are the places that no push into has ended well, printable.
pub fn not_whole(status: Option<u8>, unfinished: &[String]) -> Option<Reason> {
    let says = match unfinished {
        [] => "published, but not whole: a push left something out".to_owned(),
        [place] => format!("published, but not whole: a push into `{place}` did not end well, and none after it did"),
        [place, others @ ..] => {
            let others = others.len();
            format!("published, but not whole: pushes into `{place}` and {others} more places did not end well, and none after them did")
        }
    };
    let knows = status.map(i32::from) == Some(PARTIAL);
    (!knows).then(|| Reason::new(Code::Partial, says).hint(FROM_THE_BEGINNING).remedy(ITS_NEXT))
}

/// The reason of a push whose rsync ended well, and that is not whole all the same.
pub fn links_lost() -> Reason {
    Reason::new(Code::Partial, "published, but not whole: some unchanged files could not be linked")
        .hint("push again: what is missing is sent then")
        .remedy(ITS_NEXT)
}

/// The reason of a push that a part of the last snapshot could not be carried over for.
pub fn not_carried() -> Reason {
    Reason::new(Code::Partial, "published, but not whole: something of the last snapshot could not be carried over")
        .hint("push the whole again: what is missing is sent then")
        .remedy(ITS_NEXT)
}

const ITS_NEXT: &str = "nothing, if the client pushes again; otherwise look at the client, and at the run's log";

/// The exit code that the client sees after a push that rsync ended.
pub fn exit_code(ended: Ended) -> u8 {
    match ended {
        Ended::Exit(status) => u8::try_from(status).unwrap_or(SIGNALLED),
        Ended::Signal(_) => SIGNALLED,
        Ended::Deadline => Code::Deadline.exit(),
        // Not that of a client who comes at the wrong time: this one may go on.
        Ended::Closed => exit::BUSY,
        Ended::Idle(_) => u8::try_from(IDLE).unwrap_or(SIGNALLED),
        Ended::TooMuch(_) => Code::Limit.exit(),
    }
}

/// The reason of a push that brought too much. Whether trying again helps is for whoever knows what is kept.
fn too_much(excess: Excess) -> Reason {
    let Excess { resource, limit, found } = excess;
    let (key, says, detail) = match resource {
        Resource::Bytes => (
            "bytes",
            format!("the push brought more than the {} that it may", Bytes(limit)),
            format!("{found} bytes new on the disk, {} ({limit}) allowed", Bytes(limit)),
        ),
        Resource::Inodes => (
            "inodes",
            format!("the push brought more than the {limit} files and directories that it may"),
            format!("{found} new files and directories, {limit} allowed"),
        ),
        Resource::FileSize => (
            "bytes",
            format!("the push brought a file of more than the {} that it may", Bytes(limit)),
            format!("a single file of more than the {} ({limit} bytes) allowed, holes counted", Bytes(limit)),
        ),
        Resource::Links => (
            "links",
            "the push has more unchanged files than the server can keep track of".to_owned(),
            format!("more than {limit} links to unchanged files, or names of theirs too long to be remembered"),
        ),
    };
    if resource == Resource::Links {
        return Reason::new(Code::Limit, says)
            .hint("push a part at a time, into places of their own, or ask the administrator of the server")
            .detail(detail)
            .remedy("look at the client: its rsync has asked for more links than it can know files");
    }
    Reason::new(Code::Limit, says)
        .hint("what was received is kept: leave something out, or ask the administrator of the server, and push again")
        .detail(detail)
        .remedy(format!("raise `limits: {{{key}: …}}`; the client's next push goes on from what is kept"))
}

/// The reason of a push that has no file, where the last snapshot had some.
pub fn nothing_arrived() -> Reason {
    Reason::new(Code::Unpublished, "not published: no file arrived, and the last snapshot had some")
        .hint("is the source mounted, and does the path exist?")
        .remedy("if the client's data is really gone, there is nothing to do: the last snapshot stays the newest")
}

/// The reason where the gate ended a client that kept silent.
fn silent(limit: Duration) -> Reason {
    let limit = humantime::format_duration(limit);
    Reason::new(Code::Interrupted, format!("the push did not finish: nothing came for {limit}"))
        .hint("push again: what was received is kept; if your disk or your line may be silent for so long, ask the administrator of the server")
        .detail(format!("nothing moved for {limit}, as long as `time_limits: {{idle: …}}` allows: the client had said nothing yet, stood still over its list, or stopped in a file that it sends whole"))
        .remedy("raise `time_limits: {idle: …}` if the client's disk or line may be silent for longer; otherwise see what holds up the client")
        .passing()
}

/// The reason where rsync ended it for a limit of the client's own.
fn outlasted() -> Reason {
    Reason::new(Code::Interrupted, "the push did not finish: nothing came for as long as your own --timeout allows")
        .hint("leave --timeout out, or raise it: with -c your rsync is silent while it reads a file; what was received is kept")
        .detail("rsync ended with status 30: nothing moved for as long as the client's own `--timeout` allows; `time_limits: {idle: …}` has no part in it")
        .remedy("at the client: leave `--timeout` out, or raise it; with `-c` its rsync is silent while it reads a file")
        .passing()
}

fn interrupted(detail: String) -> Reason {
    Reason::new(Code::Interrupted, "the push did not finish")
        .hint("push again: what was received is kept")
        .detail(detail)
        .remedy("nothing, if the client pushes again by itself; otherwise see the run's log")
}

/// rsync(1), EXIT VALUES, in a few words.
fn meaning(status: i32) -> &'static str {
    match status {
        1 => "syntax or usage",
        2 => "protocol incompatibility",
        3 => "selecting files or directories",
        4 => "unsupported action",
        5 => "starting the client-server protocol",
        10 => "socket input or output",
        11 => "file input or output: the store may be full",
        12 => "the connection ended",
        13 => "program diagnostics",
        14 => "inter-process communication",
        20 => "a signal",
        21 | 22 => "memory",
        25 => "the limit on deletions",
        IDLE => "nothing moved for too long",
        35 => "connecting took too long",
        _ => "see rsync's manual, EXIT VALUES",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Trees = Trees { arrived_empty: false, newest_has_files: true, store_full: false };
    const EMPTY: Trees = Trees { arrived_empty: true, newest_has_files: true, store_full: false };
    const FIRST: Trees = Trees { arrived_empty: true, newest_has_files: false, store_full: false };

    #[test]
    fn only_what_is_a_backup_is_published() {
        let publish = |partial| Disposal::Publish { partial };
        assert_eq!(of_push(Ended::Exit(0), false, FULL), publish(false));
        assert_eq!(of_push(Ended::Exit(24), false, FULL), publish(false));
        assert_eq!(of_push(Ended::Exit(23), false, FULL), publish(true));
        assert_eq!(of_push(Ended::Exit(0), false, FIRST), publish(false));
        assert_eq!(of_push(Ended::Exit(0), true, FULL), Disposal::Discard);
        for status in [0, 23, 24] {
            assert!(matches!(of_push(Ended::Exit(status), false, EMPTY), Disposal::Reject(_)), "{status}");
        }
        for ended in (1..=60).filter(|status| ![23, 24].contains(status)).map(Ended::Exit).chain([Ended::Signal(9), Ended::Deadline]) {
            assert!(matches!(of_push(ended, false, FULL), Disposal::SetAside(_)), "{ended:?}");
            assert!(matches!(of_push(ended, true, FULL), Disposal::SetAside(_)), "{ended:?}");
        }
        let no_room = Trees { store_full: true, ..FULL };
        for status in [FILE_IO, PARTIAL] {
            assert!(matches!(of_push(Ended::Exit(status), false, no_room), Disposal::SetAside(reason) if reason.code == Code::Store));
        }
        assert_eq!(of_push(Ended::Exit(0), false, no_room), publish(false), "all of it fitted");
    }

    #[test]
    fn a_push_over_its_limit_is_kept_and_says_which_limit_it_was() {
        for (resource, key) in [(Resource::Bytes, "bytes:"), (Resource::Inodes, "inodes:"), (Resource::FileSize, "bytes:")] {
            let ended = Ended::TooMuch(Excess { resource, limit: 1 << 30, found: 3 << 30 });
            let Disposal::SetAside(reason) = of_push(ended, true, EMPTY) else { panic!("{resource:?}") };
            assert_eq!((reason.code, exit_code(ended)), (Code::Limit, 77));
            assert!(reason.remedy.is_some_and(|remedy| remedy.contains(key)));
        }
        assert!(matches!(of_push(Ended::Exit(MEMORY), false, FULL), Disposal::SetAside(reason) if reason.code == Code::Limit));
    }

    #[test]
    fn complete_believes_a_client_that_says_it_failed() {
        assert_eq!(of_transaction(None, false, FULL), Disposal::Publish { partial: false });
        assert_eq!(of_transaction(Some(0), true, FULL), Disposal::Publish { partial: true });
        assert_eq!(of_transaction(Some(23), false, FULL), Disposal::Publish { partial: true });
        assert_eq!(of_transaction(Some(24), false, FULL), Disposal::Publish { partial: false });
        assert!(matches!(of_transaction(Some(12), false, FULL), Disposal::SetAside(_)));
        assert!(matches!(of_transaction(None, false, EMPTY), Disposal::Reject(_)));
    }

    #[test]
    fn whoever_says_complete_hears_that_all_has_to_be_done_again() {
        for (status, trees) in [(Some(20), FULL), (None, EMPTY)] {
            let (Disposal::SetAside(reason) | Disposal::Reject(reason)) = of_transaction(status, false, trees) else {
                panic!("{status:?}")
            };
            assert!(reason.hint.as_ref().is_some_and(|hint| hint.contains(FROM_THE_BEGINNING)), "{reason:?}");
        }
    }

    #[test]
    fn a_snapshot_that_is_not_whole_is_news_to_a_client_that_did_not_say_so() {
        for status in [None, Some(0), Some(24)] {
            let reason = not_whole(status, &["home".to_owned()]).unwrap();
            assert_eq!((reason.code, reason.code.exit()), (Code::Partial, 65));
            assert_eq!(reason.says, "published, but not whole: a push into `home` did not end well, and none after it did");
        }
        assert_eq!(not_whole(Some(23), &[]), None);
        let two = ["etc", "home", "srv"].map(str::to_owned);
        assert!(not_whole(None, &two).unwrap().says.contains("`etc` and 2 more places"));
    }
}
