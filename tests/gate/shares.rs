//! `limits:`: what a client may use of the server, measured from outside while it uses it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::processes::of;
use support::{Gate, POLICY, Ran, Running, run};

fn gate(limits: &str) -> Gate {
    Gate::with("", &format!("{POLICY}limits: {{ {limits} }}\n"))
}

/// A sparse file costs the source no room and no time, and the gate all of it: rsync writes the zeros.
fn large(path: &Path, megabytes: u64) {
    File::create(path).unwrap().set_len(megabytes << 20).unwrap();
}

fn files(directory: &Path, count: usize) {
    fs::create_dir_all(directory).unwrap();
    for number in 0..count {
        fs::write(directory.join(format!("{number:05}")), b"x").unwrap();
    }
}

/// What stands on the disk below a directory: bytes and inodes, each inode once.
fn stored(root: &Path) -> (u64, usize) {
    let mut seen = std::collections::BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            let found = entry.metadata().unwrap();
            seen.insert(found.ino(), found.blocks() * 512);
            if found.is_dir() {
                open.push(entry.path());
            }
        }
    }
    (seen.values().sum(), seen.len())
}

fn kept(gate: &Gate) -> PathBuf {
    gate.inside(".snapgate/interrupted")
}

/// The push was stopped by its limit, and everybody was told. A client whose rsync hears of the end from its own side may be gone
/// before the gate has said its line, so the line is looked for in the record.
#[track_caller]
fn stopped(gate: &Gate, ran: &Ran, figure: &str) {
    assert_ne!(ran.status, 0);
    support::until("the gate has ended", || of(gate.path(), "snapgate-shell").is_empty());
    let record = gate.record();
    assert_eq!((record.result, record.exit, record.reasons[0].code), (Outcome::Failed, 77, Code::Limit), "{record:?}");
    assert_eq!(record.mail, Mail::Alert);
    assert!([Some("limit"), None].contains(&ran.code()), "{}", ran.stderr);
    let reason = &record.reasons[0];
    let told = format!("{}\n{}", reason.says, reason.hint.as_deref().unwrap_or_default());
    assert!(told.contains(figure), "the client is told which limit, and what helps: {told}");
    assert!(reason.detail.contains("allowed") && reason.remedy.as_ref().unwrap().contains("raise `limits:"), "{reason:?}");
    assert!(gate.rsyncs().is_empty() && !gate.inside("inprogress").exists());
}

#[test]
fn a_push_of_a_gigabyte_is_stopped_soon_after_its_hundred_megabytes() {
    let gate = gate("bytes: 100MB");
    let source = gate.source("data");
    // Many files, so that no single one is over the limit.
    for number in 0..16 {
        large(&source.join(number.to_string()), 64);
    }
    let began = Instant::now();
    let ran = gate.push(&source, &["--whole-file"]);
    let took = began.elapsed();
    stopped(&gate, &ran, "more than the 100 MB that it may");
    let (bytes, _) = stored(&gate.repository());
    let wrote = bytes.saturating_sub(100_000_000);
    // What any disk takes between two looks, on a machine that is busy; on a quiet one it is a small part of that.
    assert!(bytes >= 100_000_000 && wrote < 600_000_000, "{bytes} bytes in {took:?}");
    eprintln!("100 MB allowed: stopped at {bytes} bytes after {took:?}");
    assert!(gate.snapshots().is_empty() && gate.record().push.unwrap().kept);
    gate.flush();
    let mail = gate.mails().into_iter().find(|mail| mail.contains("(code limit)")).expect("a mail");
    assert!(mail.contains(" bytes new on the disk, 100 MB"), "{mail}");
}

#[test]
fn a_single_file_over_the_limit_is_stopped_by_the_kernel() {
    let gate = gate("bytes: 8M");
    let source = gate.source("data");
    fs::write(source.join("a"), "small").unwrap();
    large(&source.join("big"), 20);
    let ran = gate.push(&source, &["--whole-file", "--sparse"]);
    stopped(&gate, &ran, "a file of more than the 8 MiB that it may");
    assert!(kept(&gate).join("1/a").exists());
    fs::remove_file(source.join("big")).unwrap();
    gate.push(&source, &[]).exits(0);
    assert_eq!(gate.snapshots().len(), 1);
    assert!(!kept(&gate).exists(), "what was kept for nothing is gone");
}

#[test]
fn too_many_files_are_stopped_while_they_arrive() {
    let gate = gate("inodes: 500");
    // Only what the server stores is about a disk; to make and remove so many on one takes a minute.
    let source = support::in_memory();
    files(&source.path().join("many"), 30_000);
    let ran = gate.push(source.path(), &[]);
    stopped(&gate, &ran, "more than the 500 files and directories");
    let (_, inodes) = stored(&kept(&gate).join("1"));
    // Each file that came during the count may have been seen under two names.
    assert!((250..20_000).contains(&inodes), "{inodes}");
    eprintln!("500 inodes allowed: stopped at {inodes}");
}

#[test]
fn a_push_that_is_over_before_anybody_looked_is_not_published_either() {
    // Twenty, and the directory that they are in.
    let gate = gate("inodes: 21");
    let source = gate.source("data");
    files(&source, 21);
    stopped(&gate, &gate.push(&source, &[]), "21 files");
    assert!(gate.snapshots().is_empty());
    assert!([Some(0), None].contains(&gate.record().push.unwrap().rsync_exit), "rsync itself was content, or was still there");
    fs::remove_file(source.join("00020")).unwrap();
    gate.push(&source, &[]).exits(0);
}

#[test]
fn a_push_that_brings_just_what_it_may_is_let_finish_while_it_is_looked_at() {
    // Twenty, and the directory that they are in. What rsync says goes into a file without a name here, which is none of them.
    let gate = gate("inodes: 21");
    let source = gate.source("data");
    files(&source, 20);
    fs::write(source.join("00019"), vec![b'x'; 80_000]).unwrap();
    gate.push(&source, &["--bwlimit=20"]).exits(0);
}

#[test]
fn unchanged_files_count_nothing_again_and_every_further_name_does() {
    let gate = gate("inodes: 40");
    let source = gate.source("data");
    files(&source, 30);
    gate.push(&source, &["-H"]).exits(0);
    gate.push(&source, &["-H"]).exits(0);
    let name = |number: usize| source.join(format!("{number:05}"));
    // Thirty more names, and not one more file.
    for number in 0..30 {
        fs::hard_link(name(number), source.join(format!("x{number}"))).unwrap();
    }
    gate.push(&source, &["-H"]).exits(0);
    assert_eq!(gate.snapshots().len(), 3);
    // Sixty more are too many, although each takes no more than its name: enough of them fill a disk.
    for number in 0..30 {
        for other in ["y", "z"] {
            fs::hard_link(name(number), source.join(format!("{other}{number}"))).unwrap();
        }
    }
    stopped(&gate, &gate.push(&source, &["-H"]), "40 files");
    // And of new files every name counts: 25 of them, each under two.
    for number in 0..30 {
        for other in ["y", "z"] {
            fs::remove_file(source.join(format!("{other}{number}"))).unwrap();
        }
    }
    files(&source.join("more"), 25);
    for number in 0..25 {
        fs::hard_link(source.join(format!("more/{number:05}")), source.join(format!("more/x{number}"))).unwrap();
    }
    stopped(&gate, &gate.push(&source, &["-H"]), "40 files");
}

#[test]
fn a_push_that_goes_on_counts_what_was_kept_once_and_does_not_grow_for_ever() {
    let gate = gate("bytes: 4M");
    let source = gate.source("data");
    for number in 0..10 {
        fs::write(source.join(format!("{number}")), vec![number; 1_000_000]).unwrap();
    }
    stopped(&gate, &gate.push(&source, &[]), "4 MiB");
    let (first, _) = stored(&gate.repository());
    for _ in 0..3 {
        let ran = gate.push(&source, &[]);
        stopped(&gate, &ran, "trying again does not help");
        assert!(!gate.record().push.unwrap().kept);
        let (again, _) = stored(&gate.repository());
        assert!(again < first + 500_000, "{first} bytes, then {again}");
    }
    // The administrator raises it: nothing that is there is sent again.
    let user = support::getent::my_name();
    gate.write("config/policies/web1.yaml", &format!("user: {user}\n{POLICY}limits: {{ bytes: 11M }}\n"));
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") < 7_000_000, "{}", ran.stdout);
}

#[test]
fn what_was_kept_of_a_broken_line_counts_within_the_limit() {
    let gate = gate("inodes: 100");
    let source = gate.source("data");
    files(&source, 60);
    // As a push that was cut off leaves it.
    gate.push(&source, &[]).exits(0);
    let left = kept(&gate).join("1");
    fs::create_dir_all(kept(&gate)).unwrap();
    fs::rename(gate.newest(), &left).unwrap();
    files(&source, 90);
    gate.push(&source, &[]).exits(0);
    assert_eq!(stored(&gate.newest()).1, 90, "60 of them linked");
    fs::rename(gate.newest(), gate.inside(".snapgate/x")).unwrap();
    files(&source, 130);
    stopped(&gate, &gate.push(&source, &[]), "100 files");
}

#[test]
fn the_parts_of_a_transaction_count_together() {
    let gate = gate("inodes: 50");
    let (one, two) = (gate.source("one"), gate.source("two"));
    files(&one, 30);
    files(&two, 30);
    let push = |source: &Path, place: &str| {
        let from = format!("{}/", source.display());
        gate.rsync(&["-a", &from, &format!("backup:{place}")])
    };
    gate.say("prepare").exits(0);
    push(&one, "one/").exits(0);
    push(&one, "one/").exits(0);
    stopped(&gate, &push(&two, "two/"), "50 files");
    let said = gate.say("complete").exits(65);
    assert!(said.stdout.contains("published") && said.code() == Some("partial"), "{said:?}");
    assert!(gate.record().push.unwrap().partial, "what was left out is said");
    assert_eq!(stored(&gate.newest()).1, 31);
}

#[test]
fn a_dry_run_brings_nothing() {
    let gate = gate("inodes: 10");
    let source = gate.source("data");
    files(&source, 25);
    gate.push(&source, &["-n"]).exits(0);
    assert!(gate.snapshots().is_empty());
}

#[test]
fn a_list_of_files_that_needs_more_memory_than_there_is_ends_with_a_reason() {
    let gate = gate("memory: 128M");
    // No server ever has them.
    let memory = support::in_memory();
    let source = memory.path();
    files(source, 10);
    gate.push(source, &[]).exits(0);
    // rsync keeps the whole list in memory, with what links point to: 4 KiB for each of these.
    for number in 0..40_000 {
        std::os::unix::fs::symlink(format!("{number:04094}"), source.join(number.to_string())).unwrap();
    }
    let ran = gate.push(source, &[]);
    support::until("the gate has ended", || of(gate.path(), "snapgate-shell").is_empty());
    assert_ne!(ran.status, 0);
    let record = gate.record();
    let reason = &record.reasons[0];
    assert_eq!((record.result, reason.code), (Outcome::Failed, Code::Limit), "{record:?}");
    assert_eq!(record.push.as_ref().unwrap().rsync_exit, Some(22), "its own word for it is passed on");
    assert!(reason.detail.contains("memory") && reason.remedy.as_ref().unwrap().contains("`limits: {memory: …}`"), "{reason:?}");
    assert!(record.warnings.iter().any(|line| line.contains("out of memory")), "{:?}", record.warnings);
    // The gate is well: the next, smaller push is a snapshot.
    for number in 0..40_000 {
        fs::remove_file(source.join(number.to_string())).unwrap();
    }
    gate.push(source, &[]).exits(0);
    assert_eq!(gate.snapshots().len(), 2);
    // And the limit is not the client's to lift.
    let asked = run(&mut gate.say_command("rsync --server -logDtpre.iLsfxCIvu --max-alloc=99G . .", ""));
    assert_eq!(asked.code(), Some("option"), "{asked:?}");
}

#[test]
fn rsync_runs_under_its_limits_and_a_hook_under_none_of_them() {
    let gate = Gate::with(
        "",
        &format!("{POLICY}limits: {{ memory: 1G, bytes: 64M }}\nhooks: {{ prepare: [$DIR/hook], complete: [$DIR/hook] }}\n"),
    );
    gate.write("hook", "#!/bin/sh\ncat /proc/self/limits >$DIR/limits-$SNAPGATE_HOOK\n");
    support::must(std::process::Command::new("chmod").arg("700").arg(gate.path().join("hook")));
    let source = gate.source("data");
    fs::write(source.join("file"), vec![7; 3_000_000]).unwrap();
    let push = Running::start(&mut gate.push_command(&source, &["--bwlimit=1000", "--whole-file"], ""));
    support::until("both processes of rsync run", || gate.rsyncs().len() == 2);
    for pid in gate.rsyncs() {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        assert_eq!(soft(&limits, "Max address space"), (1 << 30).to_string());
        assert_eq!(soft(&limits, "Max file size"), (64 << 20).to_string());
        assert_eq!(soft(&limits, "Max core file size"), "0");
        assert_eq!(soft(&limits, "Max open files"), "8192");
    }
    push.wait().exits(0);
    let own = fs::read_to_string("/proc/self/limits").unwrap();
    for hook in ["prepare", "complete"] {
        let limits = fs::read_to_string(gate.path().join(format!("limits-{hook}"))).unwrap();
        for name in ["Max address space", "Max file size", "Max open files", "Max processes"] {
            assert_eq!(soft(&limits, name), soft(&own, name), "{hook}: {name}");
        }
    }
}

fn soft(limits: &str, name: &str) -> String {
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}
