//! Which files come back.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::terms::outcome::Outcome;
use support::{Gate, run};

use crate::{gate, target, with};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Three nights, of which each has its number in `file`.
fn nights(gate: &Gate) {
    let source = gate.source("s");
    for (number, night) in ["2026-11-18T02:00:00Z", "2026-11-19T02:00:00Z", "2026-11-20T02:00:00Z"].into_iter().enumerate() {
        gate.set_clock(at(night));
        fs::create_dir_all(source.join("etc")).unwrap();
        // Each has another size: they come within one second.
        fs::write(source.join("file"), format!("night {number}{}", " ".repeat(number))).unwrap();
        fs::write(source.join("etc/passwd"), "root\n").unwrap();
        gate.push(&source, &[]).exits(0);
    }
    gate.set_clock(at("2026-11-20T12:00:00Z"));
}

fn pulled(gate: &Gate, from: &str) -> String {
    let to = target(gate);
    let file = to.join("file");
    let _ = fs::remove_file(&file);
    gate.rsync(&["-a", from, &format!("{}/", to.display())]).exits(0);
    fs::read_to_string(file).unwrap().trim_end().to_owned()
}

#[test]
fn a_word_at_the_beginning_of_a_path_says_which_snapshot() {
    let gate = with("timezone: Europe/Madrid\n");
    nights(&gate);
    for (word, night) in [
        ("current", 2),
        ("2026-11-20T02-00-00Z", 2),
        ("2026-11-19", 1),
        ("@1d", 1),
        ("@36h", 0),
        ("@yesterday", 1),
        ("@2026-11-19", 1),
        ("@2026-11-19T02:59", 0),
        ("@2026-11-19T03:00", 1),
        ("@complete", 2),
    ] {
        assert_eq!(pulled(&gate, &format!("backup:{word}/file")), format!("night {night}"), "{word}");
    }
    let record = gate.record();
    assert_eq!((record.result, record.exit), (Outcome::Answered, 0));
    gate.flush();
    assert!(!gate.mails().iter().any(|mail| mail.contains("restored")), "nobody has to read a restore that went well");
}

#[test]
fn the_snapshots_are_listed_with_their_times_and_a_directory_with_what_is_in_it() {
    let gate = gate();
    nights(&gate);
    let mut list = gate.rsync_command(&["backup:"], "");
    let listed = run(list.env("TZ", "UTC")).exits(0).stdout;
    for line in ["2026/11/18 02:00:00 2026-11-18T02-00-00Z", "2026/11/20 02:00:00 2026-11-20T02-00-00Z", "2026/11/20 02:00:00 current"] {
        assert!(listed.contains(line), "{listed}");
    }
    let listed = gate.rsync(&["backup:@1d/etc/"]).exits(0).stdout;
    assert!(listed.contains("passwd") && !listed.contains("file"), "{listed}");
}

#[test]
fn names_of_several_levels_work_as_they_stand() {
    let gate = with("snapshots: { name: \"%Y/%m%d/%H%M\" }\n");
    nights(&gate);
    assert_eq!(pulled(&gate, "backup:2026/1119/0200/file"), "night 1");
    assert_eq!(pulled(&gate, "backup:current/file"), "night 2");
    assert_eq!(pulled(&gate, "backup:2026/1118/02/file"), "night 0");
    let list = |path: &str| run(gate.rsync_command(&[path], "").env("TZ", "UTC")).exits(0).stdout;
    assert!(list("backup:").contains("2026/11/20 02:00:00 2026\n"), "{}", list("backup:"));
    assert!(list("backup:2026/").contains("2026/11/18 02:00:00 1118\n"), "{}", list("backup:2026/"));
    assert!(list("backup:2026/1118/").contains("0200\n"), "{}", list("backup:2026/1118/"));
}

#[test]
fn several_sources_and_wildcards_stand_for_what_a_shell_would_find() {
    let gate = gate();
    let source = gate.source("s");
    for name in ["a.txt", "b.txt", ".hidden.txt", "c.bin", "a b.txt", "star*"] {
        fs::write(source.join(name), name).unwrap();
    }
    fs::write(source.join(OsStr::from_bytes(b"latin-\xe9\xff")), "8 bits").unwrap();
    gate.push(&source, &[]).exits(0);
    let got = |words: &[&[u8]]| {
        let to = target(&gate);
        fs::remove_dir_all(&to).unwrap();
        let mut command = gate.rsync_command(&["-a"], "");
        command.args(words.iter().map(|word| OsStr::from_bytes(word))).arg(format!("{}/", to.display()));
        run(&mut command).exits(0);
        let mut names: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name().into_encoded_bytes()).collect();
        names.sort();
        names
    };
    assert_eq!(got(&[b"backup:current/*.txt"]), [&b"a b.txt"[..], b"a.txt", b"b.txt"]);
    assert_eq!(got(&[b"backup:current/.*.txt", b":current/[ab].txt"]), [&b".hidden.txt"[..], b"a.txt", b"b.txt"]);
    assert_eq!(got(&[b"-s", b"backup:current/a b.txt"]), [b"a b.txt"]);
    assert_eq!(got(&[b"backup:current/a b.txt"]), [b"a b.txt"]);
    assert_eq!(got(&[b"backup:current/latin-\xe9\xff"]), [b"latin-\xe9\xff"]);
    assert_eq!(got(&[b"backup:current"]), [b"current"], "a directory without a slash comes as itself");
}

#[test]
fn relative_paths_keep_their_names_and_lists_are_read_on_either_side() {
    let gate = gate();
    nights(&gate);
    let to = target(&gate);
    let into = format!("{}/", to.display());
    gate.rsync(&["-aR", "backup:current/./etc/passwd", &into]).exits(0);
    assert!(to.join("etc/passwd").is_file());
    gate.rsync(&["-aR", "backup:@1d/etc/passwd", &into]).exits(0);
    assert!(to.join("@1d/etc/passwd").is_file());
    let list = gate.path().join("list");
    fs::write(&list, "etc/passwd\nfile\n").unwrap();
    fs::remove_dir_all(&to).unwrap();
    gate.rsync(&["-a", &format!("--files-from={}", list.display()), "backup:@1d/", &into]).exits(0);
    assert!(to.join("etc/passwd").is_file() && to.join("file").is_file());
    // The list is a file of the snapshot.
    let source = gate.source("s");
    fs::write(source.join("list"), "file\n").unwrap();
    gate.set_clock(at("2026-11-21T02:00:00Z"));
    gate.push(&source, &[]).exits(0);
    fs::remove_dir_all(&to).unwrap();
    gate.rsync(&["-a", "--files-from=:current/list", "backup:2026-11-18/", &into]).exits(0);
    assert_eq!(fs::read_to_string(to.join("file")).unwrap(), "night 0");
}

#[test]
fn a_pull_that_was_cut_off_goes_on() {
    let gate = gate();
    let source = gate.source("s");
    fs::write(source.join("large"), support::tree::noise(7, 8 << 20)).unwrap();
    gate.push(&source, &[]).exits(0);
    let to = target(&gate);
    let into = format!("{}/", to.display());
    let mut slow = gate.rsync_command(&["-a", "--partial", "--bwlimit=2000", "backup:current/", &into], "");
    let mut child = slow.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), nix::sys::signal::Signal::SIGINT);
    child.wait().unwrap();
    let again = gate.rsync(&["-a", "--partial", "--inplace", "--no-whole-file", "--stats", "backup:current/", &into]).exits(0);
    assert!(again.figure("Matched data") > 0 && again.figure("Literal data") < 8 << 20, "{}", again.stdout);
    assert_eq!(fs::read(to.join("large")).unwrap(), support::tree::noise(7, 8 << 20));
    let records = gate.ledger();
    assert!(records.iter().any(|record| record.result == Outcome::Failed), "the first one did not finish");
}

#[test]
fn what_is_wrong_with_a_path_is_said_and_recorded_and_changes_nothing() {
    let gate = gate();
    let into = format!("{}/", target(&gate).display());
    let refused = |from: &str, code: &str| {
        let ran = gate.rsync(&["-a", from, &into]);
        assert!(ran.status != 0 && ran.code() == Some(code), "{from}: {}", ran.stderr);
        assert!(!ran.stderr.contains(gate.path().to_str().unwrap()), "{from}: the server's paths are not the client's: {}", ran.stderr);
        ran.stderr
    };
    gate.rsync(&["-a", "backup:current/", &into]).refused("snapshot", 77);
    nights(&gate);
    for (from, code) in [
        ("backup:nothing/", "snapshot"),
        ("backup:2026-11/", "snapshot"),
        ("backup:@10d/", "snapshot"),
        ("backup:@tomorrow/", "snapshot"),
        ("backup:202*/", "snapshot"),
        ("backup:*/file", "snapshot"),
        ("backup:current/../2026-11-18T02-00-00Z/", "path"),
        ("backup:../", "path"),
        ("backup:current/none", "path"),
        ("backup:current/etc/none/there", "path"),
    ] {
        refused(from, code);
        assert_eq!(gate.record().reasons[0].code.as_str(), code, "{from}");
    }
    let err = refused("backup:current/etc/passwords", "path");
    assert!(err.contains("`etc/passwords` is not in 2026-11-20T02-00-00Z"), "{err}");
    assert!(gate.record().reasons[0].detail.contains("nearest that is: `etc`"), "{:?}", gate.record().reasons);
    assert_eq!(fs::read_dir(Path::new(&into)).unwrap().count(), 0);
    // Of several, what is there comes.
    let ran = gate.rsync(&["-a", "backup:current/file", ":current/none", &into]);
    assert_eq!(ran.status, 23, "{}", ran.stderr);
    assert!(Path::new(&into).join("file").is_file());
    let old = at("2026-11-20T12:00:00Z") - TimeDelta::days(400);
    gate.set_clock(old);
    refused("backup:@1d/file", "snapshot");
}

#[test]
fn every_command_of_the_manual_works() {
    let gate = gate();
    nights(&gate);
    let manual = fs::read_to_string(support::root().join("docs/restore.md")).unwrap();
    let commands: Vec<_> = manual.lines().filter_map(|line| line.strip_prefix("    rsync ")).collect();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let words: Vec<_> = command.split(' ').collect();
        run(gate.rsync_command(&words, "").current_dir(target(&gate))).exits(0);
    }
    let got = target(&gate);
    for name in ["passwd", "etc/passwd", "all/etc/passwd"] {
        assert!(got.join(name).is_file(), "{name}");
    }
}
