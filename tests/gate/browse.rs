//! Browsing by a gate of whoever runs the tests (root, mostly), and where the machine holds less than it should.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use snapgate::terms::{Code, Outcome};

use super::jail::where_there_is_no_view;
use support::{Gate, Ran, is_root, run, tree};

const POLICY: &str = "verbs: [rsync, browse]\noptions: { allow: [owner, group] }\n";

/// A gate with a snapshot.
fn pushed(site: &str) -> Gate {
    let gate = Gate::with(site, POLICY);
    let source = gate.source("data");
    tree::small(&source);
    tree::write(&source.join("secret"), "hidden\n");
    fs::set_permissions(source.join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    gate.push(&source, &[]).exits(if is_root() { 0 } else { 23 });
    gate
}

fn sftp(gate: &Gate, lines: &[&str]) -> Ran {
    let asked = "#!/bin/sh\nexec /bin/sh $DIR/ssh backup /usr/lib/openssh/sftp-server -l DEBUG3\n";
    gate.write("ask", asked);
    fs::set_permissions(gate.path().join("ask"), fs::Permissions::from_mode(0o755)).unwrap();
    gate.write("lines", &(lines.join("\n") + "\n"));
    run(Command::new("sftp").arg("-S").arg(gate.path().join("ask")).arg("-b").arg(gate.path().join("lines")).arg("backup"))
}

fn shows_its_own_alone(gate: &Gate) {
    let name = gate.snapshots().pop().unwrap();
    let listed = sftp(gate, &["ls -1a", "ls -1 current"]).exits(0).stdout;
    let lines: Vec<_> = listed.lines().map(str::trim).filter(|line| !line.starts_with("sftp>")).collect();
    assert_eq!(lines[..4], [".", "..", &name, "current"], "{listed}");
    assert!(listed.contains("current/a.txt"), "{listed}");
    for outside in ["/etc", "/proc", "/usr", "/root", "/snapshots", "/front"] {
        assert_ne!(sftp(gate, &[&format!("ls {outside}")]).status, 0, "{outside}");
    }
    for attempt in ["rm current/a.txt", "mkdir x", "chmod 777 current/a.txt", "rename current x"] {
        assert_ne!(sftp(gate, &[attempt]).status, 0, "{attempt}");
    }
}

#[test]
fn a_gate_of_whoever_runs_it_shows_its_own_alone() {
    let gate = pushed("");
    shows_its_own_alone(&gate);
    if is_root() {
        let to = gate.path().join("got");
        sftp(&gate, &[&format!("get current/secret {}", to.display())]).exits(0);
        assert_eq!(fs::read_to_string(to).unwrap(), "hidden\n");
    }
}

#[test]
fn without_a_jail_its_root_is_its_own_all_the_same() {
    shows_its_own_alone(&pushed("jail: off\n"));
}

#[test]
fn without_namespaces_nothing_is_browsed_whatever_the_site_file_says() {
    for site in ["", "namespaces: optional\n", "jail: off\n"] {
        let gate = pushed(site);
        let (before, count) = (tree::listing(&gate.inside("snapshots")), gate.ledger().len());
        where_there_is_no_view(|| {
            assert_ne!(sftp(&gate, &["ls"]).status, 0);
            let record = gate.record();
            assert_eq!((record.result, record.exit, record.reasons[0].code), (Outcome::Failed, 78, Code::Jail), "{record:?}");
            assert!(record.reasons[0].remedy.is_some() && gate.ledger().len() == count + 1);
        });
        tree::same(&tree::listing(&gate.inside("snapshots")), &before);
    }
}

#[test]
fn where_there_is_no_snapshot_it_says_so() {
    let gate = Gate::with("", POLICY);
    let ran = gate.say("/usr/lib/openssh/sftp-server");
    assert!(ran.status != 0 && ran.stderr.contains("no snapshot yet"), "{}", ran.stderr);
}

#[test]
fn explain_and_help_and_check_speak_of_it() {
    let gate = pushed("");
    assert!(gate.say("help").exits(0).stdout.contains("sftp HOST"));
    let explain = |words: &[&str]| run(&mut gate.snapgate(&[&["explain", "--client", "web1"], words].concat()));
    let text = explain(&["/usr/lib/openssh/sftp-server"]).exits(0).stdout;
    for words in ["`browse` is allowed", "/usr/lib/openssh/sftp-server", "-R", "whose root is nothing but 1 snapshot"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    gate.write(
        "config/policies/web1.yaml",
        &fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap().replace(", browse", ""),
    );
    let text = explain(&["internal-sftp"]).exits(77).stdout;
    assert!(text.contains("code sftp") && text.contains("add `browse` to `verbs:`"), "{text}");

    let missing = Gate::with("sftp_server: /nonexistent/sftp-server\n", POLICY);
    let found = |gate: &Gate| {
        let ran = run(&mut gate.snapgate(&["check", "--all"]));
        (ran.stdout + &ran.stderr).contains("the sftp-server for the verb `browse` `/nonexistent/sftp-server` is not there")
    };
    assert!(found(&missing));
    assert!(!found(&Gate::with("sftp_server: /nonexistent/sftp-server\n", "")), "nobody browses");
}
