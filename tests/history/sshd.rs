//! The same through a real sshd, for an ordinary account: one that keeps its clients' owners, and one that does not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Setup, is_root, run, skip};

#[test]
fn a_client_asks_over_ssh_and_root_asks_as_its_account() {
    let policy = "keys: [$KEY]\nverbs: [rsync, list, history]\n";
    let server = Setup::new().client_on(0, "web1", policy).client_on(0, "web2", policy).start();
    let source = server.source("data");
    fs::create_dir(source.join("etc")).unwrap();
    fs::write(source.join("etc/hosts"), "first\n").unwrap();
    let client = server.client("web1");
    client.push(&source, &[]).exits(0);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    fs::write(source.join("etc/hosts"), "second\n").unwrap();
    client.push(&source, &[]).exits(0);
    assert_eq!(client.ssh(&["cat", "etc/hosts"]).exits(0).stdout, "second\n");
    let history = client.ssh(&["history", "-d", "etc/hosts"]).exits(0).stdout;
    assert!(history.contains("-first") && history.contains("+second"), "{history}");
    assert_eq!(server.snapgate(&["history", "--client", "web1", "-d", "etc/hosts"]).exits(0).stdout, history);
    assert_eq!(client.ssh(&["list"]).exits(0).stdout.lines().count(), 2);
    let help = client.ssh(&["help"]).exits(0).stdout;
    for line in ["ssh HOST list", "ssh HOST usage", "ssh HOST cat [@WHEN] PATH", "ssh HOST diff A B [PATH]"] {
        assert!(help.contains(line), "{help}");
    }
    // Another client's history is not there, however it is asked for.
    let other = server.client("web2");
    other.push(&server.source("empty"), &[]);
    for words in [["ls", "../web1"], ["ls", "web1"], ["cat", "/etc/passwd"], ["cat", "current/etc/hosts"]] {
        let ran = other.ssh(&words);
        assert!(ran.status != 0 && !ran.stdout.contains("second"), "{words:?}: {ran:?}");
    }
}

#[test]
fn where_owners_are_kept_files_that_are_nobody_elses_are_read_with_the_clients_own_ids() {
    if !is_root() || !Path::new("/usr/bin/newuidmap").exists() {
        skip("files of several owners have to be made: needs root, and newuidmap");
        return;
    }
    let server = Setup::new().client("web1", "verbs: [rsync, list, history]\nowners: keep\n").start();
    let source = server.source("data");
    for (name, user, mode) in [("closed/inside", 7, 0o600), ("secret", 1234, 0o000), ("roots", 0, 0o400)] {
        let path = source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        chown(&path, Some(user), Some(user)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    chown(source.join("closed"), Some(7), Some(7)).unwrap();
    fs::set_permissions(source.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let client = server.client("web1");
    client.push(&source, &["-X"]).exits(0);
    for name in ["closed/inside", "secret", "roots"] {
        assert_eq!(client.ssh(&["cat", name]).exits(0).stdout, name);
        assert_eq!(server.snapgate(&["cat", "--client", "web1", name]).exits(0).stdout, name);
        let account = client.account();
        let program = support::SNAPGATE.to_string();
        let config = server.config();
        let mut typed = Command::new("setpriv");
        typed.args([&format!("--reuid={}", account.uid), &format!("--regid={}", account.gid), "--init-groups", &program, "--config"]);
        let ran = run(typed.arg(config).args(["cat", "--client", "web1", name]));
        assert_eq!(ran.exits(0).stdout, name, "the account asks");
    }
    let entry: Value =
        serde_json::from_str(server.snapgate(&["ls", "--client", "web1", "--json", "secret"]).exits(0).stdout.trim()).unwrap();
    assert_eq!((entry["user"].as_u64(), entry["group"].as_u64()), (Some(1234), Some(1234)));
    assert!(client.ssh(&["usage"]).exits(0).stdout.contains("all snapshots"));
    assert!(client.ssh(&["find", "inside"]).exits(0).stdout.contains("closed/inside"));
    assert_eq!(client.ssh(&["list"]).exits(0).stdout.lines().count(), 1);
}

#[test]
fn the_rules_of_restores_hold_for_what_history_gives_back() {
    let server = Setup::new().client_on(0, "web1", "keys: [$KEY]\n").client_on(0, "reader", "keys: [$KEY]\n").start();
    let (key, reader) = (server.client("web1").fingerprint(), server.client("reader").fingerprint());
    fs::remove_file(server.config().join("policies/reader.yaml")).unwrap();
    let limits = "limits: { bytes: 3MiB }, alert_over: 1MiB";
    let verbs = "verbs: [rsync, list, history]\n";
    server.policy("web1", &format!("{verbs}keys: [{key}]\nrestore: {{ keys: [{reader}], {limits} }}\n"));
    let source = server.source("data");
    fs::write(source.join("large"), vec![b'x'; 2 << 20]).unwrap();
    server.client("web1").push(&source, &[]).exits(0);
    // A key that is not listed there reads nothing, and lists snapshots.
    server.client("web1").ssh(&["cat", "large"]).refused("key", 77);
    server.client("web1").ssh(&["list"]).exits(0);
    let client = server.client("reader");
    assert_eq!(client.ssh(&["cat", "large"]).exits(0).stdout.len(), 2 << 20);
    let told = server.records().pop().unwrap();
    let facts = told.restore.unwrap();
    assert_eq!((facts.sent_bytes, facts.day_bytes), (Some(2 << 20), Some(2 << 20)));
    assert!(told.warnings.iter().any(|warning| warning.contains("`alert_over:`")), "{:?}", told.warnings);
    client.ssh(&["cat", "large"]).exits(0);
    client.ssh(&["cat", "large"]).refused("limit", 77);
}
