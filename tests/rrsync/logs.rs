//! What is written down, what the client is told, and how the program is started.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use crate::both::{Program, SNAPGATE, Tree};

#[test]
fn refusals_and_ends_are_in_the_log_with_their_time_and_reason() {
    let tree = Tree::new();
    tree.say(Program::Ours, "-no-del", b"rsync --server -r --delete . dst");
    tree.say(Program::Ours, "", b"rsync --server -r . dst");
    tree.say(Program::Ours, "", b"sh -c 'x\ny'");
    tree.say(Program::Ours, "", b"true");
    let log = tree.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 5, "{log}");
    for line in &lines {
        let time = line.split(' ').next().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok() && line.contains(" 192.0.2.7 "), "{line}");
    }
    assert!(lines[0].contains("refused: rsync's `--delete` is not allowed") && lines[0].contains("(code option)"), "{log}");
    assert!(lines[0].ends_with("command: rsync --server -r --delete . dst"), "{log}");
    assert!(lines[1].contains("asked: rsync --server -r . dst; runs: rsync --server -r --drop-D --confine-root="), "{log}");
    assert!(lines[2].contains("ended with 12 after"), "{log}");
    assert!(lines[3].contains("(code program)") && lines[3].contains("x\\ny"), "{log}");
    assert!(lines[4].contains("probed"), "{log}");
}

#[test]
fn no_log_is_made_and_none_is_written_through_a_link() {
    let tree = Tree::new();
    fs::remove_file(tree.at("dir/rrsync.log")).unwrap();
    tree.say(Program::Ours, "", b"rsync --server -r . dst");
    assert!(!tree.at("dir/rrsync.log").exists());
    symlink("../outside/secret", tree.at("dir/rrsync.log")).unwrap();
    tree.say(Program::Ours, "", b"rsync --server -r . dst");
    assert_eq!(fs::read_to_string(tree.at("outside/secret")).unwrap(), "secret");
}

#[test]
fn every_connection_is_a_line_of_syslog() {
    let tree = Tree::new();
    let daemon = UnixDatagram::bind(tree.at("syslog")).unwrap();
    daemon.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    fs::create_dir(tree.at("no-config")).unwrap();
    let site = format!("store: /nowhere\nsyslog: {}\n", tree.at("syslog").display());
    fs::write(tree.at("no-config/snapgate.yaml"), site).unwrap();
    let line = || {
        let mut buffer = [0; 4096];
        let length = daemon.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    tree.say(Program::Ours, "-ro", b"rsync --server -r . \"dst");
    let refused = line();
    assert!(
        refused.contains("mode=rrsync result=refused code=read-only account=") && refused.contains(" from=192.0.2.7 exit=77 "),
        "{refused}"
    );
    assert!(refused.contains("reason=\"only pulls are allowed over this key\"") && refused.contains("command=\"rsync"), "{refused}");
    tree.say(Program::Ours, "", b"rsync --server -r . dst");
    assert!(line().contains("result=begins "));
    let ended = line();
    assert!(ended.contains("result=failed ") && ended.contains(" exit=12 seconds="), "{ended}");
    tree.say(Program::Ours, "-nonsense", b"rsync --server -r . dst");
    assert!(line().contains("result=refused code=config "));
}

#[test]
fn the_client_learns_nothing_about_the_server() {
    let tree = Tree::new();
    let place = tree.path().to_str().unwrap();
    for (flags, command) in [
        ("", "rsync --server -r . out/"),
        ("", "rsync --server -r --temp-dir=missing . dst"),
        ("", "rsync --server -r --backup-dir=top . dst"),
        ("", "rsync --server -r . top/under"),
        ("-nonsense", "rsync --server -r . dst"),
        ("second-directory", "rsync --server -r . dst"),
        ("", "cat /etc/passwd"),
    ] {
        let said = tree.say(Program::Ours, flags, command.as_bytes());
        assert!(!said.stderr.contains(place) && !said.stderr.contains("second"), "{command}: {}", said.stderr);
    }
    let gone = Command::new(SNAPGATE).args(["rrsync", "/no/such/dir"]).env("SSH_ORIGINAL_COMMAND", "true").output().unwrap();
    assert_eq!(gone.status.code(), Some(75));
    assert!(!String::from_utf8_lossy(&gone.stderr).contains("/no/such"));
}

#[test]
fn it_goes_by_either_name_and_helps() {
    let tree = Tree::new();
    symlink(SNAPGATE, tree.at("rrsync")).unwrap();
    let by_name = Command::new(tree.at("rrsync")).arg(tree.at("dir")).env_clear().env("SSH_ORIGINAL_COMMAND", "true").status().unwrap();
    assert!(by_name.success());
    for help in [vec!["-h"], vec!["-help"], vec!["-ro", "-h"]] {
        let output = Command::new(tree.at("rrsync")).args(&help).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).starts_with("usage: "), "{help:?}");
    }
    let whole = Command::new(SNAPGATE).arg("--help").output().unwrap();
    assert!(String::from_utf8_lossy(&whole.stdout).contains("rrsync"), "the help of the gate names it");
    let by_hand = Command::new(SNAPGATE).args(["rrsync", "-ro", "-wo", "x"]).env_clear().output().unwrap();
    assert_eq!(by_hand.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&by_hand.stderr).contains("exclude each other"));
}
