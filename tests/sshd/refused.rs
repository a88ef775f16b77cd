//! Bad input: each is turned away with a clear line, a stable code and exit status, a record and a mail, and nothing on
//! the disk changes.

use std::path::Path;
use std::process::Command;

use chrono::{Datelike as _, Utc};
use snapgate::terms::outcome::Outcome;

use support::Ran;
use support::client::Client;
use support::mail::Mail;
use support::{ALL_VERBS, Server, Setup, accounts, processes, tree, until};

/// The snapshot that every client has already.
const OLD: &str = "2020-01-01T00-00-00Z";

/// A server with one snapshot for each client, so that there is something that could be harmed. It is not pushed: most
/// clients here could not.
fn with_history(setup: Setup) -> Server {
    let server = setup.start();
    tree::small(&server.source("data"));
    for entry in std::fs::read_dir(server.store()).unwrap() {
        let repository = entry.unwrap().path();
        let account = server.client(repository.file_name().unwrap().to_str().unwrap()).account();
        let snapshot = repository.join("snapshots").join(OLD);
        tree::write(&snapshot.join("etc/precious"), "from long ago\n");
        std::os::unix::fs::symlink(format!("snapshots/{OLD}"), repository.join("current")).unwrap();
        for path in
            ["current", "snapshots", &format!("snapshots/{OLD}"), &format!("snapshots/{OLD}/etc"), &format!("snapshots/{OLD}/etc/precious")]
        {
            accounts::give(&repository.join(path), &account);
        }
    }
    server
}

/// What every refusal has in common.
#[track_caller]
fn turned_away(server: &Server, code: &str, exit: i32, attempt: impl FnOnce() -> Ran) -> Ran {
    let before = server.state();
    let count = server.records().len();
    let ran = attempt().refused(code, exit);
    recorded(server, code, exit, &before, count);
    let dir = server.path().display().to_string();
    // The words of the client's own rsync and ssh are about the client.
    let told: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("snapgate")).collect();
    assert!(!told.concat().contains(&dir), "the client learns nothing about the server: {told:?}");
    assert!(!ran.stdout.contains("snapgate:"), "standard output belongs to rsync: {}", ran.stdout);
    ran
}

/// What stands on the server after one: as much as before, one record more, and a mail.
#[track_caller]
fn recorded(server: &Server, code: &str, exit: i32, before: &[String], count: usize) {
    tree::same(&server.state(), before);
    let records = server.records();
    assert_eq!(records.len(), count + 1, "one record more");
    let record = records.last().unwrap();
    assert_eq!(i32::from(record.exit), exit);
    assert_eq!(record.reasons.first().map(|reason| reason.code.as_str()), Some(code), "{record:?}");
    assert!(!matches!(record.result, Outcome::Published | Outcome::Added | Outcome::Answered), "{record:?}");
    if code != "busy" {
        assert_eq!(record.mail, snapgate::terms::Mail::Alert);
        let mail = server.mail(code);
        assert!(mail.header("Subject").is_some(), "{}", mail.header);
    }
}

fn push(client: &Client, server: &Server) -> Ran {
    client.push(&server.path().join("source/data"), &[])
}

#[test]
fn no_policy() {
    let server = with_history(Setup::new().stranger("nobody"));
    turned_away(&server, "no-policy", 77, || push(&server.client("nobody"), &server));
}

#[test]
fn a_broken_policy() {
    for text in ["verbs: [rsync\n", "colour: blue\n", "verbs: [rsync]\nverbs: [status]\n", "verbs: [fly]\n", "from: []\n"] {
        let server = with_history(Setup::new().client("web1", text));
        turned_away(&server, "config", 78, || push(&server.client("web1"), &server));
        let mail = server.mail("config");
        assert!(mail.body.contains("web1.yaml:"), "file and line: {}", mail.body);
        assert!(mail.body.contains('^'), "and a caret: {}", mail.body);
    }
}

#[test]
fn a_policy_that_others_could_have_written() {
    let server = with_history(Setup::new().client("web1", ""));
    support::mode(&server.config().join("policies/web1.yaml"), 0o666);
    turned_away(&server, "config", 78, || push(&server.client("web1"), &server));
}

#[test]
fn a_policy_over_its_size_limit_and_an_alias_bomb() {
    let long = format!("# {}\n", "x".repeat(70_000));
    let bomb = "from: &a [192.0.2.1]\nwhen: [*a, *a, *a]\nkeys: [*a, *a]\n";
    for text in [long.as_str(), bomb] {
        let server = with_history(Setup::new().client("web1", text));
        turned_away(&server, "config", 78, || push(&server.client("web1"), &server));
    }
}

#[test]
fn a_broken_site_file() {
    // Without a site file the record and the mail go where they go by default, in /var/spool/snapgate, which is the
    // machine's and not this test's: `tests/gate/site_file.rs` looks there, in a mount namespace.
    let server = with_history(Setup::new().client("web1", "").site("jail: perhaps\n"));
    let before = server.state();
    let ran = push(&server.client("web1"), &server).refused("config", 78);
    assert!(!ran.stderr.contains("jail"), "{}", ran.stderr);
    tree::same(&server.state(), &before);
}

#[test]
fn a_wrong_key() {
    let other = "SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk";
    let named = "ForceCommand $DIR/bin/snapgate-shell --config $DIR/config --client web1\n";
    for setup in [Setup::new().unforced().sshd(named), Setup::new()] {
        let server = with_history(setup.client("web1", &format!("keys: [{other}]\n")));
        turned_away(&server, "key", 77, || push(&server.client("web1"), &server));
        let mail = server.mail(&server.client("web1").fingerprint());
        assert!(mail.body.contains("127.0.0.1"), "{}", mail.body);
    }
}

#[test]
fn a_wrong_address() {
    let server = with_history(Setup::new().client("web1", "from: [192.0.2.0/24, \"2001:db8::/48\"]\n"));
    turned_away(&server, "address", 77, || push(&server.client("web1"), &server));
    let mail = server.mail("127.0.0.1");
    assert!(mail.body.contains("web1.yaml:1"), "the rule that said no: {}", mail.body);
}

#[test]
fn a_wrong_time() {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let far = (Utc::now().weekday().num_days_from_monday() as usize + 3) % 7;
    let policy = format!("when: [{{ days: {}, hours: \"10:00-11:00\" }}]\ntimezone: Europe/Madrid\n", days[far]);
    let server = with_history(Setup::new().client("web1", &policy));
    let ran = turned_away(&server, "window", 77, || push(&server.client("web1"), &server));
    assert!(ran.stderr.contains("10:00-11:00") && ran.stderr.contains("Europe/Madrid"), "{}", ran.stderr);
}

#[test]
fn a_wrong_verb() {
    let server = with_history(Setup::new().client("web1", "verbs: [status]\n"));
    turned_away(&server, "verb", 77, || push(&server.client("web1"), &server));
    for verb in ["prepare", "complete", "complete 0", "abort"] {
        turned_away(&server, "verb", 77, || server.client("web1").ssh(&[verb]));
    }
}

#[test]
fn every_rule_that_said_no_is_in_the_record_and_the_mail() {
    let server = with_history(Setup::new().client("web1", "verbs: [status]\nfrom: [192.0.2.1]\n"));
    turned_away(&server, "address", 77, || push(&server.client("web1"), &server));
    let record = server.record();
    let codes: Vec<_> = record.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert!(codes.contains(&"verb") && codes.contains(&"address"), "{codes:?}");
    let mail = server.mail("(code verb)");
    assert!(mail.body.contains("(code address)") && mail.body.contains("127.0.0.1"), "{}", mail.body);
}

#[test]
fn an_interactive_login() {
    if !accounts::is_root() {
        return support::skip("sshd cannot hand over a terminal: needs root");
    }
    let server = with_history(Setup::new().client("web1", ""));
    turned_away(&server, "login", 77, || server.client("web1").login());
}

#[test]
fn sftp_and_scp_and_other_programs() {
    let server = with_history(Setup::new().client("web1", ALL_VERBS));
    let web1 = server.client("web1");
    // sshd throws away what a subsystem says on standard error, so there is only the status to see.
    let (before, count) = (server.state(), server.records().len());
    web1.ssh_with(&["-s"], &["sftp"]).exits(77);
    recorded(&server, "sftp", 77, &before, count);
    turned_away(&server, "scp", 77, || web1.ssh(&["scp", "-t", "/etc"]));
    turned_away(&server, "scp", 77, || web1.ssh(&["scp", "-f", "/etc/passwd"]));
    turned_away(&server, "daemon", 77, || web1.ssh(&["rsync", "--server", "--daemon", "."]));
    for (program, code) in [
        ("/bin/sh", "program"),
        ("rm -rf /", "program"),
        ("rsync-x", "program"),
        ("sh -c 'rsync --server . .'", "program"),
        ("/tmp/rsync --server -logDtpr . .", "program"),
    ] {
        turned_away(&server, code, 77, || web1.ssh(&[program]));
    }
    turned_away(&server, "program", 77, || web1.ssh(&["head", "/etc/passwd"]));
}

#[test]
fn paths_that_lead_out_and_two_destinations() {
    let server = with_history(Setup::new().client("web1", ""));
    let web1 = server.client("web1");
    let from = format!("{}/", server.path().join("source/data").display());
    for destination in ["backup:../x/", "backup:a/../../x/", "backup:.."] {
        turned_away(&server, "path", 77, || web1.rsync(&["-a", &from, destination]));
    }
    turned_away(&server, "destinations", 77, || web1.ssh(&["rsync", "--server", "-logDtpre.iLsfxCIvu", ".", "a/", "b/"]));
}

#[test]
fn a_pull() {
    let server = with_history(Setup::new().client("web1", ""));
    push(&server.client("web1"), &server).exits(0);
    let to = server.source("restored").display().to_string();
    turned_away(&server, "pull", 77, || server.client("web1").rsync(&["-a", "backup:", &to]));
    assert!(tree::files(Path::new(&to)).is_empty());
}

#[test]
fn options_that_are_not_for_clients() {
    let server = with_history(Setup::new().client("web1", ""));
    let web1 = server.client("web1");
    for option in ["--rsync-path=rsync --log-file=/tmp/x", "--backup-dir=/tmp", "--temp-dir=/tmp", "--write-devices", "--no-such-option"] {
        let words = ["rsync", "--server", "-logDtpre.iLsfxCIvu", option, ".", "."];
        turned_away(&server, "option", 77, || web1.ssh(&words));
    }
    turned_away(&server, "option", 77, || web1.ssh(&["rsync", "--server", "-logDtpre.iLsfxCIvu", "--remove-everything", ".", "."]));
}

#[test]
fn control_bytes() {
    let server = with_history(Setup::new().client("web1", ""));
    let web1 = server.client("web1");
    let commands = [
        ("rsync --server\n-logDtpr . .", "command"),
        ("rsync\u{1b}[2J", "program"),
        ("status\r\nX-Injected: yes", "command"),
        ("sta\u{7f}tus", "program"),
    ];
    for (command, code) in commands {
        turned_away(&server, code, 77, || web1.ssh(&[command]));
    }
    for mail in server.mails() {
        assert!(mail.header("X-Injected").is_none());
        assert!(mail.body.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", mail.body);
    }
    for line in server.syslog() {
        assert!(!line.trim_end().chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a_command_of_a_megabyte() {
    let server = with_history(Setup::new().client("web1", ""));
    let web1 = server.client("web1");
    let word = "a".repeat(100_000);
    turned_away(&server, "too-long", 77, || web1.ssh(&["rsync", "--server", &word]));
    // sshd cannot even hand a whole megabyte over (the kernel's MAX_ARG_STRLEN is 128 KiB): nothing may come of it.
    let before = server.state();
    let words = vec![word.as_str(); 10];
    let ran = web1.ssh(&words);
    assert_ne!(ran.status, 0);
    tree::same(&server.state(), &before);
    push(&web1, &server).exits(0);
}

#[test]
fn rsync_missing_or_failing_to_start() {
    let missing = Setup::new().client("web1", "").site("rsync: $DIR/hooks/none\n");
    let server = with_history(missing);
    turned_away(&server, "rsync", 78, || push(&server.client("web1"), &server));

    let server = with_history(Setup::new().client("web1", "").site("rsync: $DIR/hooks/broken\n"));
    server.script("broken", "exit 127");
    turned_away(&server, "rsync", 78, || push(&server.client("web1"), &server));

    // What is no program, and what the jail does not let start: a script, whose interpreter is not granted.
    for (name, text) in [("plain", "no program"), ("half", "[ \"$1\" = --version ] && exec /usr/bin/rsync --version; exit 1")] {
        let server = with_history(Setup::new().client("web1", "").site(&format!("rsync: $DIR/hooks/{name}\n")));
        server.script(name, text);
        if name == "plain" {
            support::mode(&server.path().join("hooks/plain"), 0o644);
        }
        turned_away(&server, "rsync", 78, || push(&server.client("web1"), &server));
    }

    // One that answers, starts and fails: its status is passed on, and nothing becomes a snapshot.
    let server = with_history(Setup::new().client("web1", "").site("jail: off\nrsync: $DIR/hooks/half\n"));
    server.script("half", "[ \"$1\" = --version ] && exec /usr/bin/rsync --version; exit 1");
    let (before, count) = (server.state(), server.records().len());
    let ran = push(&server.client("web1"), &server);
    assert!(ran.status != 0 && ran.stderr.contains("(code interrupted)"), "{ran:?}");
    recorded(&server, "interrupted", 1, &before, count);
}

#[test]
fn a_second_account_cannot_speak_for_a_client() {
    if accounts::second().is_none() {
        return;
    }
    let forced = "ForceCommand $DIR/bin/snapgate-shell --config $DIR/config --client web1\n";
    let server = with_history(Setup::new().client("web1", "").stranger("other").unforced().sshd(forced));
    push(&server.client("web1"), &server).exits(0);
    turned_away(&server, "account", 77, || push(&server.client("other"), &server));
}

/// What strangers try in a flood: where they say they are and what they say, and the code that they get.
const FLOOD: [(&str, &str, &str); 8] = [
    ("203.0.113.9", "prepare", "verb"),
    ("203.0.113.9", "rsync --server -logDtpre.iLsfxCIvu . .", "verb"),
    ("203.0.113.9", "reboot", "program"),
    ("203.0.113.10", "complete", "verb"),
    ("203.0.113.10", "scp -t /etc", "scp"),
    ("198.51.100.3", "status", "address"),
    ("198.51.100.4", "status", "address"),
    ("2001:db8::7", "rsync --server --sender -logDtpr . .", "address"),
];

#[test]
fn a_flood_of_refusals_is_a_handful_of_mails_whose_counts_add_up() {
    let server = with_history(Setup::new().client("web1", "verbs: [status]\nfrom: [203.0.113.0/24]\n"));
    let (gate, config, account) = (server.path().join("bin/snapgate-shell"), server.config(), server.client("web1").account());
    // The gate itself, a thousand logins less: as the account, with the environment that sshd gives.
    let refused = |(from, said, code): (&str, &str, &str)| {
        let mut command = Command::new("setpriv");
        if accounts::is_root() {
            command.args([format!("--reuid={}", account.uid), format!("--regid={}", account.gid), "--init-groups".to_owned()]);
        }
        command.arg(&gate).arg("--config").arg(&config).args(["--client", "web1"]);
        command.env_clear().env("SSH_CONNECTION", format!("{from} 40000 192.0.2.1 22")).env("SSH_ORIGINAL_COMMAND", said);
        let output = command.output().unwrap();
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(77), "{said}: {line}");
        assert!(line.contains(&format!("(code {code})")), "{said}: {line}");
    };
    let before = server.state();
    // Somebody has to read the log: each gate would wait a little for a daemon that does not.
    let mut lines = Vec::new();
    std::thread::scope(|scope| {
        let attempt = |thread: usize| (0..250).for_each(|turn| refused(FLOOD[(thread + turn) % FLOOD.len()]));
        let threads = [0, 1, 2, 3].map(|thread| scope.spawn(move || attempt(thread)));
        while !threads.iter().all(|thread| thread.is_finished()) {
            lines.extend(server.syslog());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    lines.extend(server.syslog());
    assert!(lines.iter().all(|line| line.contains("result=refused ") && line.contains(" client=web1 ")), "{lines:?}");
    assert_eq!(lines.len(), 1000, "a line of syslog for each");
    tree::same(&server.state(), &before);
    assert_eq!(server.records().len(), 1000);

    // The first one was told at once, and what came with it; no more until some minutes have passed.
    server.mail("web1");
    until("every watch has ended", || processes::of(server.path(), "snapgate").is_empty());
    let at_once = server.mails();
    assert!((1..=5).contains(&at_once.len()), "{}", at_once.len());
    let events = |mails: &[Mail]| mails.iter().map(|mail| mail.header("X-Snapgate-Events").unwrap().parse::<u64>().unwrap()).sum::<u64>();
    assert!(events(&at_once) < 1000, "some wait: nothing is mailed a thousand times, and nothing is held back at first");

    // What has only been counted so far is one mail more, and then each refusal has been told of exactly once.
    server.snapgate(&["watch", "--flush"]).exits(0);
    let all = server.mails();
    assert_eq!((all.len(), events(&all)), (at_once.len() + 1, 1000));
    assert!(all.len() <= 5, "{} at once, {} in all", at_once.len(), all.len());
    for (from, _, code) in FLOOD {
        assert!(all.iter().any(|mail| mail.body.contains(from) && mail.body.contains(&format!("(code {code})"))), "{from} {code}");
    }
    server.snapgate(&["watch", "--flush"]).exits(0);
    assert_eq!(server.mails().len(), all.len(), "nothing is told twice");
}
