//! Who restores and as whom.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use support::accounts::{self, Account, is_root};
use support::{ALL_VERBS, Ran, Server, Setup, run, skip, tree};

/// Runs the administrator's program as an account.
fn says(server: &Server, account: &Account, words: &[&str]) -> Ran {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={}", account.uid), format!("--regid={}", account.gid)]).arg("--init-groups");
    command.arg(server.path().join("bin/snapgate")).arg("--config").arg(server.config()).args(words);
    run(&mut command)
}

#[test]
fn an_account_restores_its_own_and_nobody_else_s() {
    if !is_root() {
        return skip("somebody has to become another account: needs root");
    }
    for owners in ["keep", "drop"] {
        if owners == "keep" && !Path::new("/usr/bin/newuidmap").exists() {
            skip("no newuidmap (package uidmap)");
            continue;
        }
        let server = Setup::new().client("web1", &format!("{ALL_VERBS}owners: {owners}\n")).client("web2", ALL_VERBS).start();
        let source = server.source("data");
        tree::small(&source);
        tree::write(&source.join("closed/inside"), "x");
        tree::write(&source.join("tool"), "x");
        chown(source.join("tool"), Some(33), Some(33)).unwrap();
        for (name, bits) in [("tool", 0o4755), ("closed", 0o700), ("etc/hosts", 0o000)] {
            fs::set_permissions(source.join(name), fs::Permissions::from_mode(bits)).unwrap();
        }
        server.client("web1").push(&source, &[]).exits(0);
        let (own, other) = (accounts::account(0), accounts::account(1));
        let home = own.home.join("restored");
        let _ = fs::remove_dir_all(&home);
        let words = ["restore", "--client", "web1", "--to", home.to_str().unwrap()];
        let said = says(&server, &own, &words).exits(0).stdout;
        assert_eq!(said.contains("the files are yours"), owners == "keep", "{said}");
        assert_eq!(tree::files(&home), tree::files(&source));
        let found = fs::metadata(home.join("tool")).unwrap();
        assert_eq!((found.uid(), fs::read_to_string(home.join("closed/inside")).unwrap().as_str()), (own.uid, "x"));
        assert_eq!(found.mode() & 0o7777, 0o755, "a program of a client's is never one of the account's for others");
        assert_eq!(fs::metadata(home.join("etc/hosts")).unwrap().mode() & 0o7777, 0);
        fs::remove_dir_all(&home).unwrap();
        // Somebody else, and by the word that is hidden.
        let there = other.home.join("restored");
        let words = ["restore", "--client", "web1", "--to", there.to_str().unwrap()];
        let hidden = ["restore-sender", "--client=web1", "--snapshot=current", "--path=."];
        for words in [&words[..], &hidden] {
            let ran = says(&server, &other, words).exits(77);
            assert!(ran.stderr.contains("are the account `") && ran.stdout.is_empty() && !there.exists(), "{}", ran.stderr);
        }
    }
}

/// A tree as the root of a machine has it, with old times.
fn machine(root: &Path) {
    for (name, user, group, bits) in [
        ("etc/shadow", 0, 42, 0o640),
        ("usr/bin/su", 0, 0, 0o4755),
        ("var/www/index.html", 33, 8, 0o644),
        ("var/secret", 1234, 5678, 0o000),
        ("home/last", 65_535, 65_535, 0o600),
        ("closed/inside", 7, 7, 0o600),
        ("opt/listed", 2, 3, 0o640),
        ("opt/capable", 0, 0, 0o755),
    ] {
        let path = root.join(name);
        tree::write(&path, name);
        chown(&path, Some(user), Some(group)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
    }
    let run = |program: &str, words: &[&str], name: &str| support::must(Command::new(program).args(words).arg(root.join(name)));
    run("setfacl", &["-m", "u:1:r,g:65535:rw"], "opt/listed");
    run("setcap", &["cap_net_raw+ep"], "opt/capable");
    run("setfattr", &["-n", "user.note", "-v", "kept"], "opt/listed");
    chown(root.join("closed"), Some(7), Some(7)).unwrap();
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    support::must(Command::new("find").arg(root).args(["-depth", "-exec", "touch", "-h", "-d", "2026-01-02 03:04:05.6789", "{}", "+"]));
}

#[test]
fn a_drill_is_the_account_s_whoever_runs_it_and_sees_each_owner() {
    if !is_root() {
        return skip("files of several owners have to be made: needs root");
    }
    if !Path::new("/usr/bin/newuidmap").exists() {
        return skip("no newuidmap (package uidmap)");
    }
    // The client itself may not restore, and nobody may come from here.
    for (owners, words) in [("keep", &["-AXH", "--numeric-ids"][..]), ("drop", &["-H"])] {
        let policy = format!("{ALL_VERBS}owners: {owners}\ndrill: [etc/shadow, opt, closed]\n");
        let server = Setup::new().client("web1", &policy).client("web2", ALL_VERBS).start();
        let source = server.source("machine");
        machine(&source);
        server.client("web1").push(&source, words).exits(0);
        let before = server.state();
        let account = accounts::account(0);
        for by_root in [true, false] {
            let all = ["drill", "web1", "--json"];
            let ran = if by_root { server.snapgate(&all) } else { says(&server, &account, &all) };
            assert_eq!(ran.status, 0, "{owners} {by_root}: {} {}", ran.stdout, ran.stderr);
            let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!((said[0]["files"].as_u64(), said[0]["seed"].is_u64()), (Some(8), true), "{said}");
            let unread = said[0]["unread"].as_u64().unwrap();
            assert!(if owners == "keep" { unread == 0 } else { unread <= 1 }, "{said}");
        }
        assert!(!server.repository("web1").path.join(".snapgate/drill").exists());
        let _ = before;
        // Another's is refused, and what was not asked for by name is passed over.
        let other = accounts::account(1);
        assert!(says(&server, &other, &["drill", "web1"]).exits(1).stdout.contains("run it as that account, or as root"));
        // An owner that is another in the store than it was when the gate read it.
        if owners == "keep" {
            let note = server.repository("web1").path.join(".snapgate/owners.json");
            let other = fs::read_to_string(&note).unwrap().replace("\"count\":65536", "\"count\":70000");
            fs::write(&note, other).unwrap();
            let ran = server.snapgate(&["drill", "web1"]).exits(1);
            assert!(ran.stdout.contains("the ids in the repository are those of"), "{}", ran.stdout);
        }
    }
}
