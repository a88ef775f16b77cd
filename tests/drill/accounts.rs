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
