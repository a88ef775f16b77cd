//! Odd sources, pushed by an ordinary rsync: links that lead elsewhere, devices, names that are the repository's own, files
//! that change while they are read, lists with holes.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lab::{Lab, Row, table};
use support::facts::Reads;
use support::{Ran, is_root, must};

/// A source, and the commands that push it; the last one says how it ended.
struct Source {
    name: &'static str,
    expected: &'static str,
    push: fn(&mut Lab, &Path) -> Ran,
}

const fn source(name: &'static str, expected: &'static str, push: fn(&mut Lab, &Path) -> Ran) -> Source {
    Source { name, expected, push }
}

/// What history has, with the same times, so that it is linked.
fn make(dir: &Path) {
    fs::create_dir_all(dir.join("d")).unwrap();
    fs::write(dir.join("a"), "content of a\n").unwrap();
    fs::write(dir.join("d/b"), "content of b\n").unwrap();
    let old = |path: &Path| must(Command::new("touch").args(["-d", "@1767261600"]).arg(path));
    fs::set_permissions(dir.join("d/b"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for name in ["a", "d/b"] {
        old(&dir.join(name));
    }
}

/// A push of what is in this directory to a place in the snapshot.
fn aim(lab: &Lab, from: &Path, to: &str, options: &[&str]) -> Ran {
    let from = format!("{}/", from.display());
    let mut words = vec!["-aX"];
    words.extend(options);
    words.extend([from.as_str(), to]);
    lab.gate.rsync(&words)
}

fn plant(lab: &mut Lab, dir: &Path, target: &str) {
    symlink(target, dir.join("e")).unwrap();
    lab.gate.push(dir, &[]).exits(0);
    assert_eq!(lab.changes(Reads::Nothing), [""; 0]);
    fs::remove_file(dir.join("e")).unwrap();
}

/// A tree that would change history if it landed there.
fn loaded(lab: &Lab) -> std::path::PathBuf {
    let dir = lab.gate.source("loaded");
    fs::write(dir.join("b"), "content of b\n").unwrap();
    must(Command::new("touch").args(["-d", "@1767261600"]).arg(dir.join("b")));
    must(Command::new("setfattr").args(["-n", "user.evil", "-v", "1"]).arg(dir.join("b")));
    fs::write(dir.join("new"), "new\n").unwrap();
    dir
}

const SOURCES: [Source; 22] = [
    source("a link planted by one push, the next push aimed at it", "published: e/ e/b=644 e/new=644", |lab, dir| {
        let target = format!("{}/d", lab.newest());
        plant(lab, dir, &target);
        aim(lab, &loaded(lab), "backup:e/", &["--chmod=F644"])
    }),
    source("the same, absolute and to the outside", "published: e/ e/b=644 e/new=644", |lab, dir| {
        let target = lab.outside("d");
        plant(lab, dir, &target);
        aim(lab, &loaded(lab), "backup:e", &["--delete"])
    }),
    source(
        "the same, and a directory of that name in the push",
        "published (rsync 23): e/ e/b=644 e/new=644 | published: e/ e/b=644 e/new=644",
        |lab, dir| {
            let target = lab.outside("d");
            plant(lab, dir, &target);
            let all = lab.gate.source("all");
            must(Command::new("cp").arg("-a").arg(loaded(lab)).arg(all.join("e")));
            aim(lab, &all, "backup:", &[])
        },
    ),
    source(
        "a link planted in a transaction, the next part aimed at it",
        "published: a=644*2 d/ d/b=600*3 e/ e/b=644 e/new=644",
        |lab, dir| {
            lab.gate.say("prepare").exits(0);
            symlink(format!("{}/d", lab.newest()), dir.join("e")).unwrap();
            lab.gate.push(dir, &[]).exits(0);
            aim(lab, &loaded(lab), "backup:e/", &[]).exits(0);
            lab.gate.say("complete")
        },
    ),
    source("a path up", "refused: path", |lab, _| aim(lab, &loaded(lab), "backup:../snapshots/", &[])),
    source("an absolute path", "published: etc/ etc/cron.d/ etc/cron.d/b=644 etc/cron.d/new=644", |lab, _| {
        aim(lab, &loaded(lab), "backup:/etc/cron.d/", &[])
    }),
    source("links of every kind", "published: a=644*2 d/ d/b=600*3 ledger@ proc@ root@ secret@ self@ up@", |lab, dir| {
        for (name, target) in
            [("up", ".."), ("root", "/"), ("self", "self"), ("proc", "/proc/self/root"), ("ledger", "../.snapgate/ledger.jsonl")]
        {
            symlink(target, dir.join(name)).unwrap();
        }
        symlink(lab.outside("secret"), dir.join("secret")).unwrap();
        lab.gate.push(dir, &["-X"])
    }),
    source("a file with two names of which one is old", "published: a=644*3 aa=644*3 d/ d/b=600*3", |lab, dir| {
        fs::hard_link(dir.join("a"), dir.join("aa")).unwrap();
        lab.gate.push(dir, &["-H"])
    }),
    source("two names, one in a directory that history has as a file", "published: a=644*3 d/ d/b=600*3 ro/ ro/a=644*3", |lab, dir| {
        fs::create_dir(dir.join("ro")).unwrap();
        fs::hard_link(dir.join("a"), dir.join("ro/a")).unwrap();
        lab.gate.push(dir, &["-H", "--delete"])
    }),
    source("a FIFO", "published: a=644*2 d/ d/b=600*3", |lab, dir| {
        must(Command::new("mkfifo").arg(dir.join("fifo")));
        lab.gate.push(dir, &[])
    }),
    source("a socket", "published: a=644*2 d/ d/b=600*3", |lab, dir| {
        let socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
        let ran = lab.gate.push(dir, &[]);
        drop(socket);
        ran
    }),
    source("a device", "published: a=644*2 d/ d/b=600*3", |lab, dir| {
        if is_root() {
            must(Command::new("mknod").arg(dir.join("null")).args(["c", "1", "3"]));
        }
        lab.gate.push(dir, &[])
    }),
    source(
        "the repository's own names",
        "published: .snapgate/ .snapgate/lock=644 a=644*2 current@ d/ d/b=600*3 inprogress/ inprogress/lock=644 snapshots/ snapshots/lock=644",
        |lab, dir| {
            for name in ["inprogress", "snapshots", ".snapgate"] {
                fs::create_dir(dir.join(name)).unwrap();
                fs::write(dir.join(name).join("lock"), "x").unwrap();
            }
            symlink("snapshots", dir.join("current")).unwrap();
            lab.gate.push(dir, &["--delete"])
        },
    ),
    source(
        "names of rsync's temporary files",
        "published: .a.AbCdEf=644 .a.XXXXXX=644 .~snapgate-~=644 .~tmp~=644 a=644*2 d/ d/b=600*3",
        |lab, dir| {
            for name in [".a.XXXXXX", ".a.AbCdEf", ".~tmp~", ".~snapgate-1~"] {
                fs::write(dir.join(name), "x").unwrap();
            }
            lab.gate.push(dir, &[])
        },
    ),
    source(
        "names in bytes of no language",
        "published: \\x1b[2J=644 * ?=644 -rf=644 `id`=644 a=644*2 a\\nb=644 d/ d/b=600*3 \\xff\\xfe=644",
        |lab, dir| {
            for name in [&b"\xff\xfe"[..], b"a\nb", b"-rf", b"* ?", b"`id`", b"\x1b[2J"] {
                fs::write(dir.join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
            }
            lab.gate.push(dir, &[])
        },
    ),
    source("the place is `current`", "published: current/ current/a=644 current/d/ current/d/b=600", |lab, dir| {
        aim(lab, dir, "backup:current/", &[])
    }),
    source("the place is `snapshots`", "published: snapshots/ snapshots/a=644 snapshots/d/ snapshots/d/b=600", |lab, dir| {
        aim(lab, dir, "backup:snapshots/", &[])
    }),
    source("a file that grows while it is read", "published: a=644*2 d/ d/b=600*3 grows=644", |lab, dir| {
        let (path, stop) = (dir.join("grows"), AtomicBool::new(false));
        fs::write(&path, vec![b'g'; 2_000_000]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                use std::io::Write as _;
                let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    file.write_all(&[b'h'; 4096]).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            });
            let ran = lab.gate.push(dir, &[]);
            stop.store(true, Ordering::Relaxed);
            ran
        })
    }),
    source("a directory that becomes a link while it is read", "published …", |lab, dir| {
        let stop = AtomicBool::new(false);
        let target = lab.outside("d");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = fs::rename(dir.join("d"), dir.join("away"));
                    let _ = symlink(&target, dir.join("d"));
                    let _ = fs::remove_file(dir.join("d"));
                    let _ = fs::rename(dir.join("away"), dir.join("d"));
                }
            });
            let ran = lab.gate.push(dir, &[]);
            stop.store(true, Ordering::Relaxed);
            ran
        })
    }),
    source("--files-from with a hole", "published (rsync 23): a=644*2 d/ d/b=600*3", |lab, dir| {
        let list = lab.gate.path().join("list");
        fs::write(&list, "a\nnot-there\nd/b\n").unwrap();
        lab.gate.push(dir, &[&format!("--files-from={}", list.display())])
    }),
    source("--files-from of nothing that is there", "refused: unpublished", |lab, dir| {
        let list = lab.gate.path().join("list");
        fs::write(&list, "not-there\n").unwrap();
        lab.gate.push(dir, &[&format!("--files-from={}", list.display())])
    }),
    source("a source that is not there", "rsync 23 unpublished", |lab, dir| lab.gate.push(&dir.join("nowhere"), &[])),
];

#[test]
fn odd_sources_change_nothing_in_history() {
    let rows: Vec<_> = SOURCES
        .iter()
        .map(|source| {
            let mut lab = Lab::new();
            let dir = lab.gate.source("data");
            make(&dir);
            let ran = (source.push)(&mut lab, &dir);
            let found = lab.ending(&ran);
            Row::new(source.name, source.expected, found, lab.changes(Reads::Nothing))
        })
        .collect();
    table("odd sources", rows);
}
