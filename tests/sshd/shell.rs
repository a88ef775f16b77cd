//! The gate as an account's shell: whatever sshd has it run is the client's, but for the gate itself.

use std::fs;

use snapgate::terms::{Code, Verb};

use support::client::Client;
use support::run;
use support::{ALL_VERBS, Server, Setup, accounts, skip, tree};

/// A server whose accounts have the gate for a shell. `None` where that cannot be, which is said.
fn server(sshd: &str) -> Option<Server> {
    if !accounts::is_root() {
        skip("only root gives accounts another shell");
        return None;
    }
    let more = format!("AcceptEnv *\n{sshd}");
    Some(Setup::new().client("web1", &format!("keys: [$KEY]\n{ALL_VERBS}")).unforced().sshd(&more).shell().start())
}

/// One that has a variable set on the server.
fn setting(client: &Client, command: &str) -> Client {
    client.option(&format!("SetEnv=SSH_ORIGINAL_COMMAND={command}"))
}

/// What holds whether or not sshd forces the gate upon the account.
fn works(server: &Server) {
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    // Two snapshots are never of one second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    web1.push(&source, &[]).exits(0);
    assert_eq!(server.repository("web1").snapshots().len(), 2);
    let greeting = web1.ssh::<&str>(&[]).exits(0).stdout;
    assert!(greeting.contains("web1"), "{greeting}");
    web1.login().refused("login", 77);
    web1.ssh(&["true"]).exits(0);
    assert!(web1.ssh_with(&["-tt"], &["status"]).exits(0).stdout.contains("newest"));
    // What a subsystem says on standard error sshd drops.
    web1.ssh_with(&["-s"], &["sftp"]).exits(77);
    assert_eq!(server.record().reasons[0].code, Code::Sftp);
    web1.ssh(&["scp", "-t", "."]).refused("scp", 77);
    for program in ["head /etc/passwd", "/bin/sh", "sh -c id", "/usr/bin/snapgate list", "./snapgate-shell"] {
        web1.ssh(&[program]).refused("program", 77);
    }
    let (state, before) = (server.state(), server.records().len());
    let typed = ["snapgate-shell --client other", "/usr/bin/snapgate-shell --config /tmp", "snapgate-shell rrsync -ro /", "rrsync -ro /"];
    for typed in typed {
        let ran = web1.ssh(&[typed]).refused("program", 77);
        assert!(!ran.stderr.contains("keys:") && !ran.stderr.contains("shell is"), "nothing about the server: {}", ran.stderr);
        assert!(server.record().reasons[0].remedy.as_ref().unwrap().contains("in `keys:` of its policy"), "{typed}");
    }
    assert_eq!(server.records().len(), before + typed.len());
    assert!(server.records().iter().all(|record| record.client.as_ref().is_some_and(|client| client.as_str() == "web1")));
    tree::same(&server.state(), &state);
}

#[test]
fn where_the_gate_is_the_shell_sshd_needs_no_forced_command() {
    let Some(server) = server("ExposeAuthInfo yes\n") else { return };
    works(&server);
    let web1 = server.client("web1");
    // What a client has set counts for nothing: what it says is behind `-c`, and whoever logs in says nothing.
    let status = setting(&web1, "abort").ssh(&["status"]).exits(0).stdout;
    assert!(status.contains("newest"), "{status}");
    assert_eq!(server.record().verb, Some(Verb::Status));
    assert_eq!(setting(&web1, "status").ssh::<&str>(&[]).exits(0).stdout, web1.ssh::<&str>(&[]).exits(0).stdout);
    setting(&web1, "status").login().refused("login", 77);
    setting(&web1, "status").ssh(&["head", "x"]).refused("program", 77);
    setting(&web1, "status").ssh(&["snapgate-shell", "--client", "other"]).refused("program", 77);
    assert!(server.record().reasons[0].detail.contains("it is web1"), "{:?}", server.record());
    // To name the gate alone is to say what the variable says, which any client may say anyhow.
    web1.ssh(&["snapgate-shell"]).exits(0);
}

#[test]
fn where_the_gate_is_the_shell_a_forced_command_may_be_the_gate_alone() {
    for forced in ["snapgate-shell", "$DIR/bin/snapgate-shell"] {
        let Some(server) = server(&format!("ForceCommand {forced}\n")) else { return };
        works(&server);
        let web1 = server.client("web1");
        // sshd sets it anew.
        setting(&web1, "abort").ssh(&["status"]).exits(0);
        assert_eq!(server.record().verb, Some(Verb::Status));
        web1.ssh(&["snapgate-shell"]).refused("program", 77);
    }
}

#[test]
fn where_the_gate_is_the_shell_a_keys_command_may_be_the_gate_alone_and_gives_it_no_words() {
    let Some(server) = server("") else { return };
    let web1 = server.client("web1");
    let accepted = server.path().join("keys").join(&web1.account().name);
    let key = fs::read_to_string(&accepted).unwrap();
    let gate = server.path().join("bin/snapgate-shell").display().to_string();
    fs::write(&accepted, format!("restrict,command=\"{gate}\" {key}")).unwrap();
    web1.ssh(&["status"]).exits(0);
    setting(&web1, "abort").ssh(&["status"]).exits(0);
    assert_eq!(server.record().verb, Some(Verb::Status));
    // It may say whose key it is, which must be so.
    fs::write(&accepted, format!("restrict,command=\"{gate} --client web1\" {key}")).unwrap();
    web1.ssh(&["status"]).exits(0);
    assert_eq!(server.record().verb, Some(Verb::Status));
    setting(&web1, "abort").ssh(&["status"]).exits(0);
    assert_eq!(server.record().verb, Some(Verb::Status));
    for words in ["--client other", "--client web2"] {
        fs::write(&accepted, format!("restrict,command=\"{gate} {words}\" {key}")).unwrap();
        web1.ssh(&["status"]).refused("program", 77);
        assert!(server.record().reasons[0].detail.contains("it is web1"), "{words}");
    }
    for words in ["--config /etc/snapgate", "--config /etc/snapgate --client web1", "rrsync -ro /"] {
        fs::write(&accepted, format!("restrict,command=\"{gate} {words}\" {key}")).unwrap();
        web1.ssh(&["status"]).refused("program", 77);
        let reason = server.record().reasons.remove(0);
        assert!(reason.detail.contains("an account whose shell is the gate"), "{reason:?}");
        assert!(reason.remedy.unwrap().contains("in `keys:` of its policy"), "{words}");
    }
}

#[test]
fn without_the_administrators_program_beside_it_the_gate_goes_on_and_says_so() {
    let server = Server::start();
    fs::remove_file(server.path().join("bin/snapgate")).unwrap();
    server.syslog();
    server.client("web1").ssh(&["head", "x"]).refused("program", 77);
    let lines = server.syslog();
    let path = server.path().join("bin/snapgate").display().to_string();
    assert!(lines.iter().any(|line| line.contains(&format!("{path} cannot be started"))), "{lines:?}");
}

#[test]
fn the_gates_own_words_are_few_and_any_others_are_a_usage_error() {
    let server = Setup::new().start();
    let gate = |words: &[&str]| run(std::process::Command::new(server.path().join("bin/snapgate-shell")).args(words));
    for help in ["--help", "--version"] {
        let ran = gate(&[help]).exits(0);
        assert!(ran.stdout.contains("snapgate-shell") && ran.stderr.is_empty(), "{ran:?}");
    }
    for words in [["serve"].as_slice(), &["--client"], &["--client", "../x"], &["-c"], &["-c", "true", "x"], &["check"], &["/etc/passwd"]] {
        let ran = gate(words).exits(64);
        assert!(ran.stdout.is_empty() && ran.stderr.starts_with("usage: snapgate-shell "), "{words:?}: {ran:?}");
    }
}
