//! A remap that is killed, wherever it was: no push is let in before another one has finished it, and that loses nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use snapgate::terms::reason::Code;

use crate::owners::{attributes, first, machine};
use crate::remap_lab::{
    FULL, Lab, figures, from, moved, nothing_is_strange, private, push_moved, pushed, remap, state, to, until_nobody_runs,
};
use support::accounts::Account;
use support::repository::Repository;
use support::{ALL_VERBS, Ran, Server, must, run, tree};

/// A remap that is killed at a call.
fn killed_at(server: &Server, call: &str, nth: usize) -> Ran {
    traced(server, &[&format!("-einject={call}:signal=SIGKILL:when={nth}")])
}

fn traced(server: &Server, inject: &[&str]) -> Ran {
    until_nobody_runs();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o"]).arg(server.path().join("trace")).arg(format!("-etrace={CALLS}")).args(inject);
    run(strace.arg(server.path().join("bin/snapgate")).arg("--config").arg(server.config()).args(["remap", "--client", "web1"]))
}

/// A repository to remap again and again: what its files are, a copy of it, and the calls of a whole remap.
struct Rehearsed {
    server: Lab,
    repository: Repository,
    source: PathBuf,
    expected: Vec<String>,
    account: Account,
    saved: PathBuf,
    trace: String,
}

fn rehearsed() -> Option<Rehearsed> {
    let (server, _, repository, source) = pushed(machine)?;
    let expected = attributes(&repository.snapshot(-1), first(&from()));
    let account = moved(&server);
    let saved = server.path().join("saved");
    until_nobody_runs();
    must(Command::new("cp").arg("-a").args([&repository.path, &saved]));
    traced(&server, &[]).exits(0);
    let trace = fs::read_to_string(server.path().join("trace")).unwrap();
    Some(Rehearsed { server, repository, source, expected, account, saved, trace })
}

#[test]
fn a_run_that_was_killed_is_finished_by_the_next_and_no_push_is_let_in_before() {
    let Some((server, web1, repository, source)) = pushed(machine) else { return };
    let snapshot = repository.snapshot(-1);
    let expected = attributes(&snapshot, first(&from()));
    let account = moved(&server);
    let all = figures(&remap(&server, &["--dry-run"]).exits(0)).to_owned();
    assert_ne!(killed_at(&server, "fchownat", 10).status, 0);
    assert!(private(&repository.path).join("remap.json").exists());

    push_refused(&server, &source);
    // Nor is the old account, were it the client's again.
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\n"));
    let ran = web1.push(&source, &[]);
    assert!(ran.stderr.contains("code owners"), "{}", ran.stderr);
    assert!(remap(&server, &[]).exits(78).stderr.contains("it was begun with other ids"));
    let checked = server.snapgate(&["check", "--all"]).exits(1).stdout;
    assert!(checked.contains("snapgate remap"), "{checked}");
    moved(&server);
    assert_eq!(repository.snapshots().len(), 1);
    let before = state(&repository.path);
    let dry = remap(&server, &["--dry-run"]).exits(0);
    assert!(dry.stdout.contains("an earlier run was begun") && figures(&dry) != all, "{}", dry.stdout);
    tree::same(&state(&repository.path), &before);
    let ran = remap(&server, &[]).exits(0);
    assert!(ran.stdout.ends_with("done\n"), "{}", ran.stdout);
    tree::same(&attributes(&snapshot, first(&account)), &expected);
    nothing_is_strange(&repository.path, &to());
    push_moved(&server, &source);
}

#[test]
fn one_that_was_begun_with_another_directory_is_not_gone_on_with() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    assert_ne!(killed_at(&server, "fchownat", 5).status, 0);
    let aside = server.path().join("aside");
    fs::rename(&repository.path, &aside).unwrap();
    must(Command::new("cp").arg("-a").args([&aside, &repository.path]));
    let before = state(&repository.path);
    for words in [&["--dry-run"][..], &[]] {
        assert!(remap(&server, words).exits(75).stderr.contains("is about another directory"));
    }
    tree::same(&state(&repository.path), &before);
    fs::remove_dir_all(&repository.path).unwrap();
    fs::rename(&aside, &repository.path).unwrap();
    remap(&server, &[]).exits(0);
}

/// A push through the new account is turned away.
#[track_caller]
fn push_refused(server: &Server, source: &Path) {
    let key = server.client("moved").fingerprint();
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\nuser: {}\nkeys: [\"{key}\"]\n", to().name));
    let ran = server.client("moved").push(source, &FULL);
    assert!(ran.stderr.contains("code owners"), "{}", ran.stderr);
    let reason = server.record().reasons.remove(0);
    assert_eq!(reason.code, Code::Owners);
    assert!(reason.remedy.unwrap().contains("snapgate remap"));
}

/// Calls that change something on the disk.
const CALLS: &str = "mkdirat,symlinkat,fchmod,fchown,fchownat,fchmodat,setxattr,renameat,renameat2,unlinkat,fsync,syncfs,write";

/// The suite has no time for every call: it takes the first and the last of each, and some in between. `make owners` sets the variable.
fn everywhere() -> bool {
    std::env::var_os("REMAP_KILLS").is_some()
}

#[test]
fn wherever_it_is_killed_nothing_is_lost() {
    let Some(Rehearsed { server, repository, source, expected, account, saved, trace }) = rehearsed() else { return };
    let calls: Vec<String> = trace.lines().filter_map(|line| Some(line.split_once('(')?.0.to_owned())).collect();
    for call in CALLS.split(',').filter(|call| !call.starts_with("renameat")) {
        assert!(calls.iter().any(|made| made == call), "{call} is not made: {calls:?}");
    }
    for (at, call) in calls.iter().enumerate() {
        // One owner after the other is the same many times.
        if call == "fchownat" && calls[at - 1] == *call && at % 8 > 0 {
            continue;
        }
        let nth = calls[..=at].iter().filter(|made| *made == call).count();
        let is_last = !calls[at + 1..].contains(call);
        if !everywhere() && nth > 1 && !is_last && at % 5 > 0 {
            continue;
        }
        fs::remove_dir_all(&repository.path).unwrap();
        must(Command::new("cp").arg("-a").args([&saved, &repository.path]));
        let killed = killed_at(&server, call, nth);
        // The one that says what was done to whoever asked comes last.
        assert!(killed.status != 0, "{call} {nth}: {killed:?}");
        let beside = private(&repository.path);
        let (half_done, closed) = (beside.join("remap.json").exists(), beside.exists());
        if half_done {
            let meta = fs::metadata(&repository.path).unwrap();
            assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o700), "{call} {nth}: nobody else can reach it");
        }
        if closed && at % 20 == 0 {
            push_refused(&server, &source);
        }
        let ran = remap(&server, &[]).exits(0);
        assert_eq!(ran.stdout.contains("an earlier run was begun"), half_done, "{call} {nth}: {}", ran.stdout);
        tree::same(&attributes(&repository.snapshot(-1), first(&account)), &expected);
        nothing_is_strange(&repository.path, &account);
        assert!(!beside.exists() && !repository.path.join(".snapgate/remap.new").exists(), "{call} {nth}");
    }
    push_moved(&server, &source);
}

#[test]
fn a_disk_that_is_full_or_broken_at_any_step_loses_nothing() {
    let Some(Rehearsed { server, repository, source, expected, account, saved, trace }) = rehearsed() else { return };
    let beside = private(&repository.path);
    for call in CALLS.split(',').filter(|call| *call != "write") {
        let times = trace.lines().filter(|line| line.starts_with(&format!("{call}("))).count();
        let middle = if everywhere() { times.div_ceil(2) } else { times };
        for nth in BTreeSet::from([1, middle, times]).into_iter().filter(|_| times > 0) {
            fs::remove_dir_all(&repository.path).unwrap();
            must(Command::new("cp").arg("-a").args([&saved, &repository.path]));
            let before = tree::listing(&repository.path);
            let failed = traced(&server, &[&format!("-einject={call}:error=ENOSPC:when={nth}")]);
            assert!(failed.status != 0, "{call} {nth}: {failed:?}");
            if !beside.exists() && fs::metadata(&repository.path).unwrap().uid() != account.uid {
                let after = tree::listing(&repository.path);
                assert_eq!(after, before, "{call} {nth}: nothing had been begun");
            } else if !beside.join("remap.json").exists() {
                // What could not be ended, or given up.
                assert!(["unlinkat", "fsync", "fchown", "fchmod"].contains(&call), "{call} {nth}: {failed:?}");
            }
            remap(&server, &[]).exits(0);
            tree::same(&attributes(&repository.snapshot(-1), first(&account)), &expected);
            nothing_is_strange(&repository.path, &account);
            assert!(!beside.exists(), "{call} {nth}");
        }
    }
    push_moved(&server, &source);
}
