//! Lies about the stream itself: versions, messages that no sender sends, garbage, silence, data without end, and a line
//! that is cut at every step.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::entry::Entry;
use crate::lab::{Case, Lab, Row, base, case, run, table};
use crate::sender::{End, Session};
use crate::wire::{Out, say};
use support::POLICY;

/// A push of what is there already.
const UNCHANGED: &str = "published: a=644*2 d/ d/b=600*3 d/x=644*3 l@ ro=444*3";

/// The same, where the client says that it failed somewhere.
const FAILED: &str = "published (rsync 23): a=644*2 d/ d/b=600*3 d/x=644*3 l@ ro=444*3";

/// What is there of a push when something happens to it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Phase {
    Start,
    Greeted,
    MidList,
    Listed,
    MidFile,
    Sent,
    Ended,
}

const PHASES: [Phase; 7] = [Phase::Start, Phase::Greeted, Phase::MidList, Phase::Listed, Phase::MidFile, Phase::Sent, Phase::Ended];

/// Goes so far and no further.
fn up_to(session: &mut Session, phase: Phase, protocol: u32) -> Result<(), End> {
    if phase == Phase::Start {
        return Ok(());
    }
    session.greet(protocol)?;
    session.filters();
    if phase == Phase::Greeted {
        return session.flush();
    }
    let list = [Entry::top(), Entry::file("a", "content of a\n"), Entry::file("new", &"new".repeat(50_000))];
    if phase == Phase::MidList {
        list[0].put(&mut session.out, &session.asked);
        list[1].put(&mut session.out, &session.asked);
        let half = session.out.bytes.len() - 3;
        session.out.bytes.truncate(half);
        return session.flush();
    }
    session.list(&list)?;
    if phase == Phase::Listed {
        return Ok(());
    }
    loop {
        let item = session.item()?;
        if item.flags & say::TRANSFER != 0 && phase == Phase::MidFile {
            session.echo(&item);
            session.out.sum_head([0; 4]).literal(&[b'n'; 40_000]);
            return session.flush();
        }
        session.answer(&item)?;
        if item.flags & say::TRANSFER != 0 && phase == Phase::Sent || item.index == say::DONE {
            return Ok(());
        }
    }
}

/// Something done at every phase, all at once; one row for each.
fn at_every_phase(what: &str, protocol: u32, options: &str, expected: [&str; 7], act: impl Fn(&mut Session) + Sync) -> Vec<Row> {
    // rsync's own limit does not see a client that is silent in the middle of a file: its keep-alives count as movement. The
    // gate's does, and cannot be shorter.
    let policy = format!("{POLICY}time_limits: {{ idle: 10s }}\n");
    let one = |phase: Phase, expected: &str| {
        let mut lab = Lab::with("", &policy);
        let mut session = Session::start(&lab.gate, &format!("rsync --server {options} . ."));
        let _ = up_to(&mut session, phase, protocol);
        act(&mut session);
        let (found, changed) = lab.end(session);
        Row::new(format!("{what}, {phase:?} [{protocol}]"), expected, found, changed)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = PHASES
            .into_iter()
            .zip(expected)
            .map(|(phase, expected)| {
                scope.spawn({
                    let one = &one;
                    move || one(phase, expected)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Waits until the server closes the line.
fn wait(session: &mut Session) {
    while session.data(1).is_ok() {}
}

#[test]
fn a_line_that_is_cut_leaves_history_alone() {
    table("a cut line", at_every_phase("cut", 31, "-ltpr", ["rsync 12"; 7], |_| ()));
}

#[test]
fn silence_ends_by_itself() {
    table("silence", at_every_phase("silence", 30, "-ltpr --timeout=1", ["rsync 30"; 7], wait));
    table("silence under the gate's own limit", at_every_phase("silence", 29, "-ltpr", ["rsync 30"; 7], wait));
}

#[test]
fn garbage_ends_the_push() {
    let mut rows = Vec::new();
    // What is noise in a message's head ends it where there are messages.
    let plain = ["rsync 2", "rsync 2", "rsync 2", "rsync 2", "rsync 30", "rsync 2", "rsync 2"];
    let framed = ["rsync 2", "rsync 12", "rsync 12", "rsync 12", "rsync 12", "rsync 12", "rsync 12"];
    for (seed, protocol, expected) in [(1, 29, plain), (2, 31, framed)] {
        rows.extend(at_every_phase(&format!("garbage {seed}"), protocol, "-ltpr --timeout=2", expected, |session| {
            let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed);
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .take(5_000)
            .collect();
            let _ = session.send(&noise);
            wait(session);
        }));
    }
    table("garbage", rows);
}

/// A message of a kind, in the middle of an honest push of what is unchanged.
fn message(name: &str, kind: u8, bytes: &'static [u8], expected: &str) -> Case {
    case(name, 31, "-ltpr --timeout=2", expected, move |session, _| {
        session.list(&base())?;
        session.message(kind, bytes)?;
        session.finish();
        Ok(())
    })
}

#[test]
fn messages_that_no_sender_sends_change_nothing() {
    let mut cases = vec![
        message("an error in words", 1, b"an error\x1b[2J\n", FAILED),
        message("words for the log", 6, b"snapgate: all is well\n2026/01/01 forged\n", "rsync 12"),
        message("words for the client", 7, b"hello\n", "rsync 12"),
        message("a file to do again", 9, &[1, 0, 0, 0], "rsync 12"),
        message("a file to do again that is not there", 9, &[0xff; 4], "rsync 12"),
        message("figures", 10, &[0xff; 8], "rsync 12"),
        message("a list", 20, &[1, 0, 0, 0], "rsync 12"),
        message("the end of lists", 21, &[], UNCHANGED),
        message("an input error", 22, &[1, 0, 0, 0], FAILED),
        message("an input error of three bytes", 22, &[1, 0, 0], "rsync 12"),
        message("a time limit", 33, &[1, 0, 0, 0], "rsync 12"),
        message("nothing", 42, &[], UNCHANGED),
        message("nothing, with bytes", 42, &[7; 9], "rsync 12"),
        message("an end with an error", 86, &[23, 0, 0, 0], FAILED),
        message("an end without an error", 86, &[], UNCHANGED),
        message("a success", 100, &[1, 0, 0, 0], UNCHANGED),
        message("a success of no file", 100, &[0xff, 0xff, 0xff, 0x7f], UNCHANGED),
        message("a deletion", 101, b"a\0", UNCHANGED),
        message("a deletion elsewhere", 101, b"../../outside/secret\0", UNCHANGED),
        message("a file that is not sent", 102, &[1, 0, 0, 0], UNCHANGED),
        message("a kind that is none", 248, b"x", "rsync 12"),
    ];
    cases.extend([
        case("a message of sixteen megabytes that does not come", 31, "-ltpr --timeout=1", "rsync 30", |session, _| {
            session.list(&base())?;
            let mut out = Out::new(31);
            out.header(say::DATA, 0x00ff_ffff);
            session.send(&out.bytes)?;
            wait(session);
            Ok(())
        }),
        case("words of sixteen megabytes", 31, "-ltpr --timeout=1", "rsync 12", |session, _| {
            session.list(&base())?;
            let mut out = Out::new(31);
            out.header(1, 0x00ff_ffff);
            session.send(&out.bytes)?;
            session.send(&[b'w'; 100_000])?;
            wait(session);
            Ok(())
        }),
        case("a thousand empty messages", 31, "-ltpr", UNCHANGED, |session, _| {
            session.list(&base())?;
            for _ in 0..1000 {
                session.send(&Out::new(31).header(say::DATA, 0).bytes.clone())?;
            }
            session.finish();
            Ok(())
        }),
    ]);
    run("messages", &cases);
}

#[test]
fn versions_and_capabilities_that_are_none_end_the_push() {
    let mut rows = Vec::new();
    for (version, expected) in [
        (0, "rsync 2"),
        (1, "rsync 2"),
        (19, "rsync 2"),
        (28, "rsync 30"),
        (33, UNCHANGED),
        (39, UNCHANGED),
        (41, "rsync 2"),
        (255, "rsync 2"),
        (u32::MAX, "rsync 2"),
        (0x6e79_7372, "rsync 2"),
    ] {
        let mut lab = Lab::new();
        let mut session = Session::start(&lab.gate, "rsync --server -ltpr --timeout=1 . .");
        if session.greet(version).is_ok() && session.protocol >= 29 {
            let _ = session.list(&base());
            session.finish();
        } else {
            wait(&mut session);
        }
        let (found, changed) = lab.end(session);
        rows.push(Row::new(format!("version {version}"), expected, found, changed));
    }
    for (what, capabilities, said, expected) in [
        ("no sum that both know", ".v", &b"\x04none"[..], "rsync 12"),
        ("a sum of a strange name", ".v", b"\x06%s%n/.", "rsync 4"),
        ("a list of sums without end", ".v", b"\xff\xff", "rsync 4"),
        ("every capability there is", ".iLsfxCIvuABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", b"\x03md5", "refused: option"),
        ("the capability to write in place", ".I", b"", "rsync 30"),
    ] {
        let mut lab = Lab::new();
        let mut session = Session::start(&lab.gate, &format!("rsync --server -ltpre{capabilities} --timeout=1 . ."));
        let _ = session.send(&[&32_u32.to_le_bytes()[..], said].concat());
        wait(&mut session);
        let (found, changed) = lab.end(session);
        rows.push(Row::new(what, expected, found, changed));
    }
    table("versions and capabilities", rows);
}

type Endless = fn(&mut Session) -> Result<(), End>;

/// Bytes as fast as they are taken, until the line is closed.
fn without_end(session: &mut Session, write: Endless) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if write(session).is_err() {
            return;
        }
        sleep(Duration::from_millis(1));
    }
    session.hung = true;
}

#[test]
fn data_without_end_is_ended_by_the_deadline() {
    let policy = format!("{POLICY}time_limits: {{ push: 2s }}\n");
    let file = |session: &mut Session| -> Result<(), End> {
        session.list(&[Entry::top(), Entry::file("new", "x")])?;
        session.out.item(1, say::TRANSFER).sum_head([0; 4]);
        session.flush()
    };
    let endless: [(&str, bool, Endless, &str); 5] = [
        (
            "content",
            true,
            |session| {
                session.out.literal(&[b'e'; 3000]);
                session.flush()
            },
            "refused: deadline",
        ),
        (
            "one file's names",
            false,
            |session| {
                Entry::file("new", "x").put(&mut session.out, &session.asked);
                session.flush()
            },
            "refused: deadline",
        ),
        (
            "other names",
            false,
            |session| {
                let name = format!("n{}", session.sent.len());
                Entry::file(&name, "x").put(&mut session.out, &session.asked);
                session.flush()
            },
            "refused: deadline",
        ),
        ("empty messages", true, |session| session.send(&Out::new(31).header(say::DATA, 0).bytes.clone()), "refused: deadline"),
        ("words", true, |session| session.message(1, b"on and on\n"), "refused: deadline"),
    ];
    let rows: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = endless
            .into_iter()
            .map(|(what, in_file, write, expected)| {
                let (policy, file) = (&policy, &file);
                scope.spawn(move || {
                    let mut lab = Lab::with("", policy);
                    let mut session = Session::open(&lab.gate, 31, "-ltpr").unwrap();
                    if in_file {
                        file(&mut session).unwrap();
                    }
                    without_end(&mut session, write);
                    let (found, changed) = lab.end(session);
                    Row::new(what, expected, found, changed)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    table("data without end", rows);
}

#[test]
fn blocks_and_lengths_that_cannot_be_end_the_push() {
    let file = |write: fn(&mut Session)| {
        move |session: &mut Session, _: &Lab| {
            session.list(&[Entry::top(), Entry::file("a", "other content of a\n")])?;
            session.finish_with(|session, item| {
                if item.flags & say::TRANSFER != 0 {
                    session.echo(item);
                    write(session);
                }
                item.flags & say::TRANSFER != 0
            });
            Ok(())
        }
    };
    let cases = [
        case(
            "a block behind the last",
            31,
            "-ltpr --timeout=1",
            "rsync 2",
            file(|session| {
                session.out.sum_head([1, 700, 16, 13]).block(1).int(0).raw(&[0; 16]);
            }),
        ),
        case(
            "the last block there can be",
            29,
            "-ltpr --timeout=1",
            "rsync 2",
            file(|session| {
                session.out.sum_head([1, 700, 16, 13]).int(i32::MIN).int(0).raw(&[0; 16]);
            }),
        ),
        case(
            "blocks of two gigabytes",
            31,
            "-ltpr --timeout=1",
            "rsync 2",
            file(|session| {
                session.out.sum_head([i32::MAX, i32::MAX, 16, 0]).block(0).int(0).raw(&[0; 16]);
            }),
        ),
        case(
            "fewer blocks than none",
            31,
            "-ltpr --timeout=1",
            "rsync 2",
            file(|session| {
                session.out.sum_head([-1, 700, 16, 0]);
            }),
        ),
        case(
            "blocks shorter than nothing",
            31,
            "-ltpr --timeout=1",
            "rsync 2",
            file(|session| {
                session.out.sum_head([1, -700, 16, 0]);
            }),
        ),
        case(
            "sums longer than any",
            31,
            "-ltpr --timeout=1",
            "rsync 2",
            file(|session| {
                session.out.sum_head([1, 700, 1000, 0]);
            }),
        ),
        case(
            "a last block that is the longest",
            31,
            "-ltpr --timeout=1",
            "rsync 2",
            file(|session| {
                session.out.sum_head([1, 700, 16, 7000]);
            }),
        ),
        case(
            "a run of two gigabytes",
            31,
            "-ltpr --timeout=1",
            "rsync 30",
            file(|session| {
                session.out.sum_head([0; 4]).int(i32::MAX).raw(&[0; 100]);
            }),
        ),
        case(
            "packed content that is none",
            31,
            "-ltprz --timeout=1",
            "rsync 12",
            file(|session| {
                session.out.sum_head([0; 4]).raw(&[0x41, 0x00, 0xde, 0xad, 0xbe, 0xef]).raw(&[0xff; 300]);
            }),
        ),
        case(
            "a short file that packs to nothing",
            29,
            "-ltprz --timeout=1",
            "rsync 23 unpublished",
            file(|session| {
                session.out.sum_head([0; 4]).byte(0).raw(&[0; 16]);
            }),
        ),
    ];
    run("blocks", &cases);
}
