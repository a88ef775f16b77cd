//! `snapgate remap`: a repository goes to another account or gets owners, and everything in it is the same client's as before.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use snapgate::terms::outcome::Outcome;

use crate::owners::{attributes, first, linked, machine, run, skipped};
use crate::remap_lab::{
    FULL, figures, from, moved, nothing_is_strange, private, push_moved, pushed, remap, remap_after, server, state, until_nobody_runs,
};
use support::repository::{Repository, read_ledger};
use support::{ALL_VERBS, must, tree};

fn own_files(repository: &Path) -> Vec<PathBuf> {
    [".", "snapshots", "current", ".snapgate", ".snapgate/ledger.jsonl", ".snapgate/lock", ".snapgate/owners.json"]
        .iter()
        .map(|name| repository.join(name))
        .collect()
}

#[test]
fn a_repository_that_moves_to_another_account_means_the_same() {
    let Some((server, web1, repository, source)) = pushed(machine) else { return };
    fs::write(source.join("etc/new"), "new").unwrap();
    web1.push(&source, &FULL).exits(0);
    // A part of a transaction moves too.
    web1.ssh(&["prepare"]).exits(0);
    web1.push(&source, &FULL).exits(0);
    let old = first(&from());
    let (older, newer) = (attributes(&repository.snapshot(-2), old), attributes(&repository.snapshot(-1), old));
    tree::same(&newer, &attributes(&source, 0));

    let account = moved(&server);
    let new = first(&account);
    let before = state(&repository.path);
    let dry = remap(&server, &["--dry-run"]).exits(0);
    assert!(dry.stdout.contains(&format!("to users {new}-")) && dry.stdout.contains("nothing was changed"), "{}", dry.stdout);
    tree::same(&state(&repository.path), &before);

    let ran = remap(&server, &[]).exits(0);
    assert!(ran.stdout.ends_with("done\n"), "{}", ran.stdout);
    assert_eq!(figures(&dry), figures(&ran), "each file once, whatever names it has");
    assert!(figures(&ran).contains(" access lists, 1 capability, "), "{}", ran.stdout);
    tree::same(&attributes(&repository.snapshot(-2), new), &older);
    tree::same(&attributes(&repository.snapshot(-1), new), &newer);
    nothing_is_strange(&repository.path, &account);
    for path in own_files(&repository.path) {
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (account.uid, account.gid), "{}", path.display());
    }
    for path in [&repository.path, &repository.path.join(".snapgate")] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o700, "{}", path.display());
    }
    assert!(!private(&repository.path).exists());
    // A capability is for the root of the client and nobody else's.
    let capable = must(Command::new("getcap").arg("-n").arg(repository.snapshot(-1).join("opt/capable")));
    assert!(capable.contains(&format!("rootid={new}")), "{capable}");

    // Once more there is nothing to do.
    let before = state(&repository.path);
    assert!(remap(&server, &[]).exits(0).stdout.contains("nothing to remap"));
    tree::same(&state(&repository.path), &before);
    push_moved(&server, &source);
    let pushed = repository.snapshot(-1);
    tree::same(&attributes(&pushed, new), &attributes(&source, 0));
    assert_eq!(linked(&pushed, &repository.snapshot(-2)), tree::files(&pushed).len(), "everything is linked");
}

#[test]
fn a_repository_without_owners_gets_those_of_the_client_s_root() {
    if skipped() {
        return;
    }
    let server = server("owners: drop\noptions: { allow: [acls] }\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("machine"));
    tree::small(&source);
    run("setfacl", &["-m", "u:33:r"], &source.join("a.txt"));
    chown(source.join("photo.raw"), Some(33), Some(33)).unwrap();
    web1.push(&source, &["-A"]).exits(0);
    let account = from();
    let new = first(&account);
    let ran = remap(&server, &[]);
    assert!(ran.status == 78 && ran.stderr.contains("`owners: drop`"), "{}", ran.stderr);
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\n"));
    let ran = web1.push(&source, &[]);
    assert!(ran.stderr.contains("code owners"), "{}", ran.stderr);
    assert!(server.record().reasons[0].remedy.as_ref().unwrap().contains("snapgate remap --client web1"));

    let dry = remap(&server, &["--dry-run"]).exits(0);
    let ran = remap(&server, &[]).exits(0);
    assert_eq!(figures(&dry), figures(&ran));
    let first_one = repository.snapshot(-1);
    for name in ["", "a.txt", "photo.raw", "etc/deep"] {
        let meta = fs::symlink_metadata(first_one.join(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (new, new), "{name}");
    }
    assert_eq!(fs::symlink_metadata(repository.path.join("snapshots")).unwrap().uid(), account.uid);
    let list = must(Command::new("getfacl").args(["-pcn"]).arg(first_one.join("a.txt")));
    assert!(list.contains(&format!("user:{}:r--", new + 33)), "{list}");
    nothing_is_strange(&repository.path, &account);

    web1.push(&source, &["-A"]).exits(0);
    let pushed = repository.snapshot(-1);
    assert_eq!(server.record().result, Outcome::Published);
    tree::same(&attributes(&pushed, new), &attributes(&source, 0));
    assert_eq!(linked(&pushed, &first_one), tree::files(&pushed).len() - 1, "all but the one that is not the client's root's");
}

#[test]
fn other_ranges_of_the_same_account_are_taken_on() {
    let Some((server, web1, repository, source)) = pushed(machine) else { return };
    // Elsewhere these are nobody's. Others' files and other tests must not see them, so only this run does.
    let ranges = server.path().join("ranges");
    fs::write(&ranges, format!("{}:900000000:65536\n", from().name)).unwrap();
    let commands = format!("mount --bind {0} /etc/subuid\nmount --bind {0} /etc/subgid", ranges.display());
    let ran = remap_after(&server, &commands).exits(0);
    assert!(ran.stdout.contains("to users 900000000-900065535") && ran.stdout.ends_with("done\n"), "{}", ran.stdout);
    tree::same(&attributes(&repository.snapshot(-1), 900_000_000), &attributes(&source, 0));
    // With the ranges that it has in truth a push is refused, `check` says why, and remap brings it back.
    let ran = web1.push(&source, &FULL);
    assert!(ran.stderr.contains("code owners"), "{}", ran.stderr);
    assert!(server.record().reasons[0].remedy.as_ref().unwrap().contains("snapgate remap --client web1"));
    let said = server.snapgate(&["check", "--all"]).exits(1).stdout;
    assert!(said.contains("900000000-900065535"), "{said}");
    remap(&server, &[]).exits(0);
    nothing_is_strange(&repository.path, &from());
    web1.push(&source, &FULL).exits(0);
    let pushed = repository.snapshot(-1);
    tree::same(&attributes(&pushed, first(&from())), &attributes(&source, 0));
    assert_eq!(linked(&pushed, &repository.snapshot(-2)), tree::files(&pushed).len());
}

#[test]
fn a_repository_that_is_copied_to_another_server_with_the_same_numbers_goes_on() {
    let Some((server, web1, repository, source)) = pushed(machine) else { return };
    fs::write(source.join("etc/new"), "new").unwrap();
    web1.push(&source, &FULL).exits(0);
    let old = first(&from());
    let [older, newer] = [-2, -1].map(|at| attributes(&repository.snapshot(at), old));
    until_nobody_runs();

    let other = server.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o711)).unwrap();
    let (there, copied) = (format!("{}/", repository.path.display()), format!("{}/", other.join("web1").display()));
    must(Command::new("rsync").args(["-aHAX", "--numeric-ids", &there, &copied]));
    fs::remove_dir_all(&repository.path).unwrap();
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\npath: {}\n", other.join("web1").display()));
    assert!(remap(&server, &[]).exits(0).stdout.contains("nothing to remap"));
    let repository = Repository { path: other.join("web1") };
    tree::same(&[-2, -1].map(|at| attributes(&repository.snapshot(at), old)).concat(), &[older, newer].concat());
    web1.push(&source, &FULL).exits(0);
    let record = read_ledger(&repository.path.join(".snapgate/ledger.jsonl")).pop().unwrap();
    assert_eq!(record.push.unwrap().received, 0, "nothing is sent again");
    let pushed = repository.snapshot(-1);
    tree::same(&attributes(&pushed, old), &attributes(&source, 0));
    assert_eq!(linked(&pushed, &repository.snapshot(-2)), tree::files(&pushed).len(), "everything is linked");
}

/// The account's own programs, in a repository that keeps owners and in one that does not.
#[test]
fn no_program_of_the_account_s_own_gets_the_power_of_somebody_else() {
    if skipped() {
        return;
    }
    for owners in ["owners: keep\n", "owners: drop\n"] {
        let server = server(owners);
        let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("machine"));
        machine(&source);
        fs::set_permissions(source.join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
        web1.push(&source, if owners.contains("keep") { &FULL } else { &["-p"][..] }).exits(0);
        let snapshot = repository.snapshot(-1);
        let planted = [(snapshot.join("etc/planted"), 0o6755), (repository.path.join(".snapgate/planted"), 0o6777)];
        for (path, bits) in &planted {
            fs::write(path, "#!/bin/sh").unwrap();
            chown(path, Some(from().uid), Some(from().gid)).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(*bits)).unwrap();
        }
        // Without the right to run it the group's bit says something else, and chown(2) leaves it.
        fs::set_permissions(&planted[0].0, fs::Permissions::from_mode(0o6745)).unwrap();
        run("setcap", &["cap_net_raw+ep"], &planted[0].0);
        for path in [&repository.path, &repository.path.join(".snapgate")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        run("setfacl", &["-m", &format!("u:{}:rwx", from().uid)], &repository.path);
        run("setfacl", &["-m", &format!("u:{}:rwx,u:998:r", from().uid)], &repository.path.join(".snapgate/ledger.jsonl"));
        let account = moved(&server);
        remap(&server, &[]).exits(0);
        let bits = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((bits(&planted[0].0), bits(&planted[1].0)), (0o745, 0o755), "{owners}");
        assert_eq!(must(Command::new("getcap").arg(&planted[0].0)), "");
        assert_eq!(bits(&snapshot.join("usr/bin/su")), if owners.contains("keep") { 0o4755 } else { 0o755 }, "{owners}");
        for path in [&repository.path, &repository.path.join(".snapgate")] {
            assert_eq!(bits(path), 0o700, "{owners}");
        }
        let listed = |path: &Path| must(Command::new("getfacl").args(["-pcn"]).arg(path));
        assert!(!listed(&repository.path).contains(&format!("{}:", from().uid)));
        let ledger = listed(&repository.path.join(".snapgate/ledger.jsonl"));
        assert!(!ledger.contains(&format!("{}:", from().uid)) && ledger.contains("user:998:r"), "{ledger}");
        nothing_is_strange(&repository.path, &account);
    }
}

#[test]
fn what_root_s_gate_has_stored_keeps_its_numbers() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (repository, source) = (server.repository("web1"), server.source("machine"));
    machine(&source);
    server.client("web1").push(&source, &FULL).exits(0);
    // As root's gate leaves it: everything of its own is root's, and the client's ids are what they are.
    let snapshot = repository.snapshot(-1);
    must(Command::new("rsync").args(["-aAXH", "--numeric-ids", "--delete"]).arg(format!("{}/", source.display())).arg(&snapshot));
    must(Command::new("find").arg(&repository.path).args(["-path", "*/snapshots/*", "-o", "-exec", "chown", "-h", "0:0", "{}", "+"]));
    fs::remove_file(repository.path.join(".snapgate/owners.json")).unwrap();
    let account = from();
    remap(&server, &[]).exits(0);
    tree::same(&attributes(&snapshot, first(&account)), &attributes(&source, 0));
    nothing_is_strange(&repository.path, &account);
    server.client("web1").push(&source, &FULL).exits(0);
    let pushed = repository.snapshot(-1);
    assert_eq!(linked(&pushed, &snapshot), tree::files(&pushed).len());
}
