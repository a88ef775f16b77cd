//! How rsync ended, and the reasons of pushes that are no backup or not a whole one. What follows
//! from them is decided in [`settle`](super::settle).

use std::time::Duration;

use crate::decide::rsync::output::Lack;
use crate::terms::{Bytes, Code, Excess, Ground, Reason, Resource, exit};

/// How rsync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With a status (rsync(1), EXIT VALUES).
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// By the gate, at the deadline.
    Deadline,
    /// By the gate: for this long nothing came from a client that had to send.
    Idle(Duration),
    /// By the gate, when the client's time was over.
    Closed,
    /// By the gate: nobody was there any more who would read what it sends.
    Gone,
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

/// rsync's exit statuses when the other end was gone, or it was stopped.
const CUT_OFF: &[i32] = &[10, 12, 20, IDLE, 35];

/// Signals that are sent to a process: SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGTERM.
const ENDED_FROM_OUTSIDE: &[i32] = &[1, 2, 9, 13, 15];

/// Why a push did not finish.
pub fn unfinished(ended: Ended) -> Reason {
    match ended {
        Ended::Deadline => Reason::new(Code::Deadline, "the push took longer than it may")
            .hint("push again: what was received is kept")
            .remedy("raise `time_limits: {push: …}` if such pushes are expected")
            .passing(),
        Ended::Idle(limit) => silent(limit),
        Ended::Closed => Reason::new(Code::Window, "the push was ended: its time was over"),
        Ended::Gone => interrupted("the client was gone".to_owned()).passing(),
        Ended::TooMuch(excess) => too_much(excess),
        Ended::Exit(MEMORY) => Reason::new(Code::Limit, "the list of files needs more memory than the server gives it")
            .hint("push fewer files at a time, or ask the administrator of the server")
            .detail("rsync could not get the memory for its list of files, or was sent a length that cannot be (its status 22)")
            .remedy("raise `limits: {memory: …}`: rsync needs about 100 bytes for each file"),
        Ended::Exit(PROCESSES) => interrupted("rsync could not start its second process, or talk to it (its status 14)".to_owned())
            .remedy("see what else the account runs, and `limits: {processes: …}`"),
        Ended::Exit(IDLE) => outlasted(),
        Ended::Exit(status) => {
            let reason = interrupted(format!("rsync ended with status {status} ({})", meaning(status)));
            Reason { passing: CUT_OFF.contains(&status), ..reason }
        }
        // Sent by somebody, or by the kernel without memory. A fault of rsync's own does not pass.
        Ended::Signal(signal) => {
            let reason = interrupted(format!("signal {signal} ended rsync"));
            Reason { passing: ENDED_FROM_OUTSIDE.contains(&signal), ..reason }
        }
    }
}

/// The reason of a push that did not fit into the store.
pub fn store_full() -> Reason {
    Reason::of_the_server(Code::Store, "the store ran full during the push").remedy("make room on the store")
}

/// The reason of a push whose rsync ran out of this.
pub fn ran_out(lack: Lack) -> Reason {
    match lack {
        Lack::Room => store_full(),
        Lack::Quota => Reason::of_the_server(Code::Store, "the push used up the quota that the file system has for it (EDQUOT)")
            .remedy("raise it, by setquota, xfs_quota or btrfs qgroup, or make room; what arrived is kept for the next push, once"),
    }
}

/// The reason of a transaction whose client says that its own rsync failed with this status.
pub fn failed_there(status: i32) -> Reason {
    let reason = Reason::new(Code::Unpublished, format!("not published: the client reported status {status} ({})", meaning(status)))
        .hint(format!("{FROM_THE_BEGINNING}; what was received is kept"))
        .remedy("look at the client: its rsync failed there");
    Reason { passing: CUT_OFF.contains(&status), ..reason }
}

/// Reported of a push whose gate was killed, when its tree is found.
pub const KEPT: &str = "an earlier push did not finish; what it had received was kept";

/// The same where it was used.
pub const USED: &str = "an earlier push did not finish; what it had received is used for this one";

/// Reported of a snapshot whose process was killed after it had published.
pub const KILLED_AFTERWARDS: &str =
    "the gate was killed at its work, after it had published: see in the kernel's log whether memory had run out";

/// What a client has to do when its transaction is closed: its next push would be published alone.
pub const FROM_THE_BEGINNING: &str = "the transaction is closed: say `prepare`, push all of it again, then `complete`";

/// The reason of a transaction without a file, where the last snapshot had some.
pub fn nothing_in_transaction() -> Reason {
    nothing_arrived().hint(format!("is the source mounted, and does the path exist? {FROM_THE_BEGINNING}"))
}

/// What a client gets for `complete` with this status if the snapshot is not whole; nothing if it
/// said so itself. `unfinished` are places without a push that ended well, printable.
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

/// The reason of a push whose rsync ended well, but links could not be made.
pub fn links_lost() -> Reason {
    Reason::new(Code::Partial, "published, but not whole: some unchanged files could not be linked")
        .hint("push again: what is missing is sent then")
        .remedy(ITS_NEXT)
}

/// The reason of a push where carrying over failed in part.
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
        Ended::Signal(_) | Ended::Gone => SIGNALLED,
        Ended::Deadline => Code::Deadline.exit(),
        // Not the code of a client outside its windows: this one may continue.
        Ended::Closed => exit::BUSY,
        Ended::Idle(_) => u8::try_from(IDLE).unwrap_or(SIGNALLED),
        Ended::TooMuch(excess) => too_much(excess).code.exit(),
    }
}

/// The reason of a push that stored too much. Whoever knows what is kept says whether trying again
/// helps.
fn too_much(excess: Excess) -> Reason {
    let Excess { ground, resource, limit, found } = excess;
    let (bound, held) = match resource {
        Resource::Inodes => (format!("{limit} files and directories"), format!("{found} of {limit} files and directories")),
        Resource::Bytes | Resource::FileSize | Resource::Links => {
            (Bytes(limit).to_string(), format!("{} of {} ({found} of {limit} bytes)", Bytes(found), Bytes(limit)))
        }
    };
    match ground {
        Ground::Push => {}
        Ground::Quota => {
            return Reason::new(Code::Quota, format!("the server may keep {bound} of yours, and with this push it would be more"))
                .hint("what was received is kept: leave something out, or ask the administrator of the server, and push again")
                .detail(format!("the push was stopped at the client's quota: {held}"))
                .remedy("raise `quota:`, or keep fewer snapshots by `keep:`; the client's next push goes on from what is kept");
        }
        Ground::Restore => {
            return Reason::new(Code::Limit, format!("the server sends you at most {bound} a day, and that much was sent"))
                .hint("what arrived is whole but for the last file: go on tomorrow, or ask the administrator of the server")
                .detail(format!("the pull was stopped: {held} within 24 hours"))
                .remedy("if it is the client's own work, raise `restore: {limits: {bytes: …}}`");
        }
        Ground::Store => {
            return Reason::for_now(Code::Store, "the push was stopped when the store had no more free than `min_free:` says")
                .hint("what was received is kept: push again later")
                .remedy("make room on the store, or lower `min_free:` in the site file; the client's next push goes on from what is kept");
        }
    }
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

/// The reason of a push over its limit that continues another one. It gains nothing and would take
/// more room each time, so it is removed.
pub fn too_much_again(reason: Reason) -> Reason {
    Reason {
        hint: Some("trying again does not help: leave something out, or ask the administrator of the server".to_owned()),
        detail: format!("{}; an earlier push was stopped for it too, and what that one left is kept", reason.detail),
        ..reason
    }
}

/// The reason of a push without a file, where the last snapshot had some.
pub fn nothing_arrived() -> Reason {
    Reason::new(Code::Unpublished, "not published: no file arrived, and the last snapshot had some")
        .hint("is the source mounted, and does the path exist?")
        .remedy("if the client's data is really gone, there is nothing to do: the last snapshot stays the newest")
}

/// The reason where the gate ended a push because the client was silent.
fn silent(limit: Duration) -> Reason {
    let limit = humantime::format_duration(limit);
    Reason::new(Code::Interrupted, format!("the push did not finish: nothing came for {limit}"))
        .hint("push again: what was received is kept; if your disk or your line may be silent for so long, ask the administrator of the server")
        .detail(format!("nothing moved for {limit}, as long as `time_limits: {{idle: …}}` allows: the client had said nothing yet, stood still over its list, or stopped in a file that it sends whole"))
        .remedy("raise `time_limits: {idle: …}` if the client's disk or line may be silent for longer; otherwise see what holds up the client")
        .passing()
}

/// The reason where the client's own `--timeout` ended it.
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
