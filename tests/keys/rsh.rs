//! The server pushes to itself by a client's policy, with the real rsync.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use snapgate::terms::outcome::Outcome;
use support::accounts::{Account, account, is_root};
use support::record::Record;
use support::{ALL_VERBS, Ran, Server, Setup, run, skip, tree, until};

const RESTORES: &str = "verbs: [rsync, status, restore]\n";

/// The words that stand in for ssh.
fn shell(server: &Server) -> String {
    format!("{} --config {} rsh --client dump", server.path().join("bin/snapgate").display(), server.config().display())
}

fn rsync(server: &Server, words: &[&str]) -> Ran {
    // What a person has in the environment who came by ssh.
    let variables = [("SSH_CONNECTION", "192.0.2.7 1 192.0.2.1 22"), ("SSH_USER_AUTH", "/tmp/sshauth.x"), ("RSYNC_OLD_ARGS", "1")];
    run(Command::new("rsync").arg("-e").arg(shell(server)).args(words).envs(variables))
}

fn push(server: &Server, source: &Path) -> Ran {
    rsync(server, &["-a", "--delete", &format!("{}/", source.display()), "x:"])
}

fn code_of(record: &Record) -> Option<String> {
    record.reasons.first().map(|reason| reason.code.as_str().to_owned())
}

fn whoever(account: &Account, command: &mut Command) -> Ran {
    let mut other = Command::new("setpriv");
    other.args([format!("--reuid={}", account.uid), format!("--regid={}", account.gid)]).arg("--init-groups");
    run(other.arg(command.get_program()).args(command.get_args()))
}

#[test]
fn the_server_pushes_to_itself_by_the_policy_and_reads_it_back() {
    let server = Setup::new().client("dump", RESTORES).start();
    let source = server.source("data");
    tree::small(&source);
    push(&server, &source).exits(0);
    server.syslog();
    tree::write(&source.join("later"), "x");
    push(&server, &source).exits(0);
    let snapshots = server.repository("dump").snapshots();
    assert_eq!(snapshots.len(), 2);
    let owner = fs::metadata(server.store().join("dump/current/later")).unwrap().uid();
    assert!(!is_root() || owner != 0, "it is the account's, or one of its ids");
    let ledger = fs::read_to_string(server.store().join("dump/.snapgate/ledger.jsonl")).unwrap();
    assert_eq!(ledger.matches("\"local\":true").count(), 2, "{ledger}");
    assert!(ledger.contains("\"address\":\"127.0.0.1\"") && !ledger.contains("192.0.2.7"), "{ledger}");
    let lines = server.syslog();
    assert!(lines.iter().any(|line| line.contains(" from=127.0.0.1 local=yes ")), "{lines:?}");
    let back = server.path().join("back");
    rsync(&server, &["-a", "x:current/", &format!("{}/", back.display())]).exits(0);
    assert_eq!(tree::files(&back), tree::files(&source));
}

#[test]
fn the_rules_hold_but_for_the_key() {
    let server = Setup::new().client("dump", ALL_VERBS).start();
    let source = server.source("data");
    tree::small(&source);
    let nobody = format!("SHA256:{}", "x".repeat(43));
    let refused = |policy: &str, code: &str| {
        server.policy("dump", policy);
        push(&server, &source);
        let record = server.record();
        assert_eq!((record.result, code_of(&record).as_deref()), (Outcome::Refused, Some(code)), "{policy}");
    };
    refused("from: [192.0.2.0/24]\n", "address");
    refused("verbs: [status]\n", "verb");
    let tomorrow = (chrono::Utc::now() + chrono::TimeDelta::days(2)).format("%a").to_string().to_lowercase();
    refused(&format!("when: [{{ days: {tomorrow} }}]\n"), "window");
    server.policy("dump", &format!("{RESTORES}keys: [{nobody}]\nfrom: [127.0.0.1]\n"));
    push(&server, &source).exits(0);
    // It is no shell.
    let words: Vec<String> = shell(&server).split(' ').map(str::to_owned).collect();
    for command in ["cat /etc/passwd", "sh -c id", "rsync --server --sender -logDtpr . /etc"] {
        let ran = run(Command::new(&words[0]).args(&words[1..]).arg("x").args(command.split(' ')));
        assert!(ran.status != 0 && !ran.stdout.contains("root:") && !ran.stdout.contains("uid="), "{command}: {ran:?}");
    }
    assert!(run(Command::new(&words[0]).args(&words[1..]).arg("x")).exits(64).stderr.contains("rsync -a -e"));
    assert_eq!(server.repository("dump").snapshots().len(), 1);
}

#[test]
fn a_push_that_was_interrupted_goes_on() {
    let server = Setup::new().client("dump", ALL_VERBS).start();
    let source = server.source("data");
    tree::small(&source);
    tree::write(&source.join("large"), tree::noise(1, 8 << 20));
    let mut command = Command::new("rsync");
    command.args(["-a", "--bwlimit=2000", "-e", &shell(&server)]).arg(format!("{}/", source.display())).arg("x:");
    let mut child = command.spawn().unwrap();
    let stage = server.store().join("dump/inprogress");
    until("something arrives", || tree::files(&stage).len() > 1);
    child.kill().unwrap();
    child.wait().unwrap();
    until("it is recorded", || !server.records().is_empty());
    assert!(server.repository("dump").snapshots().is_empty());
    push(&server, &source).exits(0);
    assert_eq!(server.repository("dump").snapshots().len(), 1);
    assert_eq!(tree::files(&server.store().join("dump/current/")), tree::files(&source));
}

#[test]
fn nobody_else_comes_that_way_and_nobody_over_ssh() {
    if !is_root() {
        return skip("somebody has to be another account: needs root");
    }
    let server = Setup::new().client("dump", ALL_VERBS).client("web1", ALL_VERBS).unforced().start();
    let source = server.source("data");
    tree::small(&source);
    let from = format!("{}/", source.display());
    // The account itself may, another may not: by neither program.
    whoever(&account(0), Command::new("rsync").args(["-a", "-e", &shell(&server), &from, "x:"])).exits(0);
    let ran = whoever(&account(1), Command::new("rsync").args(["-a", "-e", &shell(&server), &from, "x:"]));
    assert!(ran.status != 0 && ran.stderr.contains("is for the account"), "{}", ran.stderr);
    let gate = format!("{}/bin/snapgate-shell --config {}", server.path().display(), server.config().display());
    let words = format!("-i SSH_ORIGINAL_COMMAND=status {gate} --client dump --local");
    whoever(&account(1), Command::new("/usr/bin/env").args(words.split(' ')));
    assert_eq!(code_of(&server.record()).as_deref(), Some("account"));
    // A line that leads there by mistake.
    let file = server.path().join("keys").join(account(0).name);
    let key = fs::read_to_string(server.client("dump").key().with_extension("pub")).unwrap();
    for (command, code) in [(format!("{gate} --client dump --local"), "config"), (shell(&server), "")] {
        fs::write(&file, format!("restrict,command=\"{command}\" {key}")).unwrap();
        let ran = server.client("dump").push(&source, &[]);
        assert!(ran.status != 0 && (code.is_empty() || code_of(&server.record()).as_deref() == Some(code)), "{ran:?}");
    }
    // What a client types.
    fs::write(&file, format!("restrict,command=\"{gate} --client dump\" {key}")).unwrap();
    for command in [format!("{gate} --client dump --local"), "snapgate rsh --client dump x rsync --server . .".to_owned()] {
        assert_ne!(server.client("dump").ssh(&[command]).status, 0);
    }
    assert_eq!(server.repository("dump").snapshots().len(), 1);
}
