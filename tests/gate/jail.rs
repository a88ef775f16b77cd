//! The jail is complete, or there is no session.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;
use snapgate::terms::{Jail, Mail};

use support::kept::keeper;
use support::layer::layer;
use support::record::Record;
use support::versions::{USUAL, old_server, unpacked};
use support::{Gate, POLICY, Ran, Running, is_root, run, skip};

/// Jails the calling thread, in ways that hinder nobody, until the kernel takes no further layer (sixteen,
/// `LANDLOCK_MAX_NUM_LAYERS`): whatever it starts can have no jail of its own. Says how many there were.
fn use_up_all_layers() -> usize {
    let mut count = 0;
    while layer().is_ok() {
        count += 1;
        assert!(count < 1000, "the kernel takes layers without end");
    }
    count
}

/// Runs something where no jail is to be had.
fn where_no_jail_holds(act: impl FnOnce() -> Ran + Send) -> Ran {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            assert!(use_up_all_layers() > 0, "this kernel has no Landlock: nothing else in this suite would run either");
            act()
        });
        thread.join().unwrap()
    })
}

/// Filters the calling thread, in a way that hinders nobody; whether the kernel still had room for it (`MAX_INSNS_PER_PATH`,
/// kernel/seccomp.c).
fn filter() -> bool {
    let allow = seccompiler::sock_filter { code: 6, jt: 0, jf: 0, k: nix::libc::SECCOMP_RET_ALLOW };
    seccompiler::apply_filter(&vec![allow; 60]).is_ok()
}

/// Runs something where the kernel takes a jail and gives no view: who is jailed may not mount (landlock(7)).
pub(crate) fn where_there_is_no_view(act: impl FnOnce() + Send) {
    if keeper().is_some() {
        return skip("owners are kept in one alone");
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            assert!(layer().is_ok());
            act();
        });
        thread.join().unwrap();
    });
}

#[test]
fn where_there_is_no_view_the_jail_and_rsync_s_own_walk_hold() {
    if old_server().is_some() {
        return skip("no rsync before 3.5.0 may run there");
    }
    // By a way with a symlink in it, as repositories are often named.
    let gate = Gate::with("namespaces: optional\n", &format!("{POLICY}path: $DIR/link/web1\n"));
    std::os::unix::fs::symlink(gate.path().join("store"), gate.path().join("link")).unwrap();
    let source = gate.source("data");
    for name in ["same", "changed", "mode"] {
        fs::write(source.join(name), name).unwrap();
    }
    where_there_is_no_view(|| {
        gate.push(&source, &[]).exits(0);
        let first = gate.newest().canonicalize().unwrap();
        fs::write(source.join("changed"), "anew").unwrap();
        fs::set_permissions(source.join("mode"), fs::Permissions::from_mode(0o700)).unwrap();
        gate.push(&source, &[]).exits(0);
        let second = gate.newest().canonicalize().unwrap();
        let inode = |path: &std::path::Path, name: &str| fs::metadata(path.join(name)).unwrap().ino();
        assert_eq!(inode(&first, "same"), inode(&second, "same"), "linked");
        assert_ne!(inode(&first, "mode"), inode(&second, "mode"), "another mode is another inode");
        assert_eq!(fs::read_to_string(second.join("changed")).unwrap(), "anew");
        assert_eq!(fs::metadata(second.join("mode")).unwrap().mode() & 0o777, 0o700);
        let id = gate.record().id;
        let log = fs::read_to_string(gate.inside(&format!(".snapgate/logs/{id}.log"))).unwrap();
        assert!(log.contains("no file system of its own (the kernel gives this account no namespaces: "), "{log}");
        assert!(log.contains("the jail is a weaker one, without namespaces"), "{log}");
        assert!(gate.ledger().iter().all(|record| record.jail == Jail::WithoutNamespaces), "{:?}", gate.ledger());
        gate.flush();
        let reports = gate.mails();
        let said = reports.iter().filter(|mail| mail.contains("Jail:       a weaker one, without namespaces")).count();
        assert_eq!((reports.len(), said), (2, 2), "{reports:?}");
    });
    // Where there is a view after all, nothing is said.
    gate.push(&source, &[]).exits(0);
    assert_eq!(gate.record().jail, Jail::Whole);
}

#[test]
fn where_namespaces_are_required_and_not_to_be_had_rsync_never_starts() {
    for required in ["", "namespaces: required\n"] {
        let push = |gate: &Gate, source: &Path| {
            let mut ran = None;
            where_there_is_no_view(|| ran = Some(gate.push(source, &[])));
            ran.unwrap()
        };
        let record = rsync_never_starts(required, push, &["namespaces: optional", "apparmor_parser"]);
        assert_eq!(record.jail, Jail::Whole, "nothing ran in a weaker one");
        assert!(record.reasons[0].detail.starts_with("the kernel gives this account no namespaces: "), "{record:?}");
        assert!(record.reasons[0].rule.as_ref().is_some_and(|rule| rule.file.ends_with("snapgate.yaml")), "{record:?}");
    }
}

/// What is gone, twice looked for, is not the kernel's doing, and has words of its own.
#[test]
fn what_cannot_be_shown_is_refused_with_words_of_its_own() {
    let gate = Gate::with("rsync: $DIR/rsync\n", &format!("{POLICY}hooks: {{ prepare: [/bin/mv, $DIR/rsync, $DIR/away] }}\n"));
    support::programs::copy(Path::new("/usr/bin/rsync"), &gate.path().join("rsync"));
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    let ran = gate.push(&source, &[]).exits(78);
    assert_eq!(ran.code(), Some("jail"), "{}", ran.stderr);
    let record = gate.record();
    assert_eq!((record.result, record.jail), (Outcome::Failed, Jail::Whole));
    let reason = &record.reasons[0];
    assert!(reason.detail.starts_with("what rsync is to see could not be put together: "), "{reason:?}");
    assert!(!reason.remedy.as_ref().unwrap().contains("apparmor"), "{reason:?}");
    assert!(gate.snapshots().is_empty() && !gate.inside("inprogress").exists());
}

/// Before 3.5.0 rsync follows symlinks of the client's, and without a view nothing else keeps those from leading it into history.
#[test]
fn an_rsync_that_follows_links_never_runs_without_a_view() {
    let Some(program) = unpacked(USUAL) else {
        return skip("no rsync 3.2.7 in target/rsync: `make test` puts it there where root and apt can");
    };
    let gate = Gate::with(&format!("namespaces: optional\nrsync: {}\n", program.display()), POLICY);
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    where_there_is_no_view(|| {
        assert_eq!(gate.push(&source, &[]).exits(78).code(), Some("jail"));
    });
    let record = gate.record();
    assert!(record.reasons[0].detail.contains("3.2.7 follows them"), "{record:?}");
    assert!(gate.snapshots().is_empty() && !gate.inside("inprogress").exists());
    gate.push(&source, &[]).exits(0);
}

#[test]
fn where_the_jail_does_not_hold_rsync_never_starts() {
    let push = |gate: &Gate, source: &Path| where_no_jail_holds(|| gate.push(source, &[]));
    rsync_never_starts("namespaces: optional\n", push, &["jail: off"]);
}

/// A push that is turned away over its jail. Says what is remembered of it.
fn rsync_never_starts(site: &str, push: impl Fn(&Gate, &Path) -> Ran, remedies: &[&str]) -> Record {
    let gate = Gate::with(&format!("rsync: $DIR/spy\n{site}"), POLICY);
    // It is asked for its version, before the jail and with words of the gate's own; nothing else may be asked of it.
    gate.write("spy", "#!/bin/sh\necho \"$@\" >>$DIR/asked\nexec /usr/bin/rsync \"$@\"\n");
    support::must(std::process::Command::new("chmod").arg("700").arg(gate.path().join("spy")));
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();

    let ran = push(&gate, &source).exits(78);
    assert_eq!(ran.code(), Some("jail"), "{}", ran.stderr);
    let told = ["landlock", "namespace"].iter().any(|word| ran.stderr.to_lowercase().contains(word));
    assert!(!told, "the client learns nothing about the server: {}", ran.stderr);
    assert_eq!(fs::read_to_string(gate.path().join("asked")).unwrap(), "--version\n");
    assert!(gate.snapshots().is_empty() && !gate.inside("current").exists());
    assert!(!gate.inside("inprogress").exists(), "the stage is still there");
    assert!(!gate.rsync_runs());

    let record = gate.record();
    assert_eq!((record.result, record.exit, record.reasons[0].code), (Outcome::Failed, 78, Code::Jail));
    assert_eq!(record.mail, Mail::Alert);
    let remedy = record.reasons[0].remedy.as_ref().unwrap();
    assert!(remedies.iter().all(|words| remedy.contains(words)), "{record:?}");
    gate.flush();
    let mails = gate.mails();
    assert!(mails.iter().any(|mail| mail.contains("To: alerts@") && mail.contains("jail")), "{mails:?}");
    assert_eq!(gate.ledger().len(), 1);
    record
}

/// Access lists name others, whom a namespace of users does not know; root needs none.
#[test]
fn access_lists_take_a_weaker_jail_where_the_policy_says_so_and_root_s_gate_is_as_ever() {
    let gate = Gate::with("", &POLICY.replace("acls, ", ""));
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    let log = || fs::read_to_string(gate.inside(&format!(".snapgate/logs/{}.log", gate.record().id))).unwrap();
    if is_root() {
        gate.push(&source, &["-A"]).exits(0);
        assert!(gate.record().jail == Jail::Whole && !log().contains("no file system of its own"), "{}", log());
        return;
    }
    gate.push(&source, &[]).exits(0);
    let ran = gate.push(&source, &["-A"]).exits(77);
    assert!(ran.code() == Some("option") && ran.stderr.contains("leave -A (--acls) out"), "{}", ran.stderr);
    assert!(gate.record().reasons[0].remedy.as_ref().unwrap().contains("add `acls` to `options: {allow: […]}`"));
    gate.write("config/policies/web1.yaml", &format!("user: {}\n{POLICY}", gate.record().account));
    gate.push(&source, &["-A"]).exits(0);
    assert_eq!(gate.record().jail, Jail::WithoutNamespaces);
    assert!(log().contains("no file system of its own (it stores access lists, which the policy allows)"), "{}", log());
    gate.push(&source, &[]).exits(0);
    assert_eq!(gate.record().jail, Jail::Whole);
}

/// The last thing before rsync is the list of the calls that it is left: there it can still be told from an rsync that ended.
#[test]
fn where_the_filter_cannot_be_loaded_rsync_never_starts() {
    let all = std::thread::scope(|scope| scope.spawn(|| (0..10_000).take_while(|_| filter()).count()).join().unwrap());
    // Room for none of it, and for the part that asks.
    for left in [0, 2] {
        let gate = Gate::new();
        let source = gate.source("data");
        fs::write(source.join("file"), "x").unwrap();
        let filtered = || {
            assert!((left..all).all(|_| filter()));
            gate.push(&source, &[])
        };
        let ran = std::thread::scope(|scope| scope.spawn(filtered).join().unwrap()).exits(78);
        assert_eq!(ran.code(), Some("jail"), "{left}: {}", ran.stderr);
        assert!(gate.snapshots().is_empty() && !gate.inside("inprogress").exists());
        let record = gate.record();
        assert_eq!((record.result, record.reasons[0].code), (Outcome::Failed, Code::Jail));
        assert!(record.reasons[0].detail.contains("the filter of system calls"), "{record:?}");
    }
}

/// By then there is no call left to speak to the gate with but write(2).
#[test]
fn why_rsync_could_not_be_started_is_told_from_within_the_filter() {
    let gate = Gate::with("rsync: $DIR/script\n", POLICY);
    // The gate asks for its version outside of the view, in which there is no shell.
    gate.write("script", "#!/bin/sh\nexec /usr/bin/rsync \"$@\"\n");
    fs::set_permissions(gate.path().join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    let ran = gate.push(&source, &[]);
    assert_eq!(ran.code(), Some("rsync"), "{}", ran.stderr);
    let reason = &gate.record().reasons[0];
    assert!(reason.code == Code::Rsync && reason.detail.contains("No such file"), "{reason:?}");
}

#[test]
fn what_others_keep_in_system_v_memory_is_not_in_the_view() {
    let gate = Gate::new();
    let source = gate.source("data");
    fs::write(source.join("large"), vec![b'x'; 1 << 22]).unwrap();
    let push = Running::start(&mut gate.push_command(&source, &["--bwlimit=2000", "--whole-file"], ""));
    support::until("rsync runs", || !gate.rsyncs().is_empty());
    let namespace = |pid: &str, kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
    for pid in gate.rsyncs().iter().map(u32::to_string) {
        assert_ne!(namespace(&pid, "mnt"), namespace("self", "mnt"));
        assert_ne!(namespace(&pid, "ipc"), namespace("self", "ipc"));
    }
    push.wait().exits(0);
}

#[test]
fn what_the_jail_is_not_needed_for_goes_on_without_it() {
    let gate = Gate::new();
    where_no_jail_holds(|| gate.say("status")).exits(0);
    // And a part of a transaction is no way around it.
    where_no_jail_holds(|| gate.say("prepare")).exits(0);
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    assert_eq!(where_no_jail_holds(|| gate.push(&source, &[])).exits(78).code(), Some("jail"));
    assert!(!gate.inside(".snapgate/parts/1").exists() && !gate.inside("inprogress").exists());
    // The transaction is as it was: with a jail, it goes on.
    gate.push(&source, &[]).exits(0);
    gate.say("complete").exits(0);
    assert_eq!(gate.snapshots().len(), 1);
}

#[test]
fn the_administrator_s_word_alone_lets_rsync_run_without_it() {
    let gate = Gate::with("jail: off\n", POLICY);
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    where_no_jail_holds(|| run(&mut gate.push_command(&source, &[], ""))).exits(0);
    assert_eq!(gate.snapshots().len(), 1);
    assert_eq!(gate.record().jail, Jail::Off);
}

/// As where a store is mounted when it is first looked at, by automount(8), and mounts are not shared with what began before.
#[test]
fn a_store_that_is_mounted_after_the_view_was_begun_is_in_it() {
    if !is_root() {
        return skip("it takes root to mount");
    }
    if run(Command::new("unshare").args(["-m", "true"])).status != 0 {
        return skip("this machine gives no mount namespace");
    }
    // The gate asks for a name between the two, and what answers mounts the store.
    let gate = Gate::with("", &format!("{POLICY}from: [host:router.example.net]\nrequire_mount: true\n"));
    gate.write("getent", "#!/bin/sh\nmount --bind $DIR/disk $DIR/store && echo 192.0.2.7 STREAM router.example.net\n");
    fs::set_permissions(gate.path().join("getent"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(gate.path().join("disk")).unwrap();
    gate.write("elsewhere", "mount --make-rprivate / && mount --bind $DIR/getent /usr/bin/getent && exec \"$@\"\n");
    let wrap = format!("unshare -m /bin/sh {}/elsewhere", gate.path().display());
    let source = gate.source("data");
    fs::write(source.join("file"), "the same in every push\n").unwrap();
    for links in 1..=2 {
        run(&mut gate.push_command(&source, &[], &wrap)).exits(0);
        assert_eq!(fs::read_dir(gate.path().join("store")).unwrap().count(), 0, "nothing is written beneath the mount");
        let disk = gate.path().join("disk/web1");
        assert_eq!(fs::metadata(disk.join("current/file")).unwrap().nlink(), links);
        let logs = fs::read_dir(disk.join(".snapgate/logs")).unwrap().flatten().map(|log| log.path());
        let logs: Vec<_> =
            logs.filter(|log| !log.display().to_string().ends_with(".rsync.log")).map(|log| fs::read_to_string(log).unwrap()).collect();
        assert_eq!(logs.len() as u64, links);
        for log in logs {
            assert!(log.contains("is put together once more (`/stage") && !log.contains("no file system of its own"), "{log}");
        }
    }
}
