//! The file for sshd that comes with snapgate: sshd takes it, and it closes what it says it closes.

use std::fs;
use std::process::Command;

use support::client::which;
use support::{Ran, run};
use support::{Server, Setup, accounts, skip, tree};

const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sshd_config.d/50-snapgate.conf");

/// `sshd` with a file that includes ours, as Debian's does.
fn sshd(server: &Server, words: &[&str]) -> Ran {
    let config = server.path().join("including");
    let host = server.path().join("host");
    fs::write(&config, format!("Include {OURS}\nHostKey {}\nX11Forwarding yes\nAcceptEnv LANG LC_*\nUsePAM no\n", host.display())).unwrap();
    run(Command::new(which("sshd")).arg("-f").arg(config).args(words))
}

#[test]
fn sshd_takes_the_file() {
    let server = Setup::new().start();
    let ran = sshd(&server, &["-t"]).exits(0);
    assert_eq!(ran.stderr, "", "no word of warning either");
}

#[test]
fn the_file_closes_everything_for_the_group_and_nothing_for_others() {
    if !accounts::is_root() {
        return skip("the group is made by root");
    }
    let server = Setup::new().client("web1", "").start();
    let member = format!("user={},host=client.example,addr=192.0.2.7", server.client("web1").account().name);
    let ran = sshd(&server, &["-T", "-C", &member]).exits(0);
    for line in [
        "forcecommand /usr/bin/snapgate-shell",
        "disableforwarding yes",
        "permittty no",
        "permituserrc no",
        "permittunnel no",
        "x11forwarding no",
        "allowagentforwarding no",
        "allowtcpforwarding no",
        "allowstreamlocalforwarding no",
        "gatewayports no",
        "exposeauthinfo yes",
        "authorizedkeysfile /etc/snapgate/keys/%u .ssh/authorized_keys",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "acceptenv SNAPGATE_NOTHING",
    ] {
        assert!(ran.stdout.lines().any(|found| found == line), "`{line}` in: {}", ran.stdout);
    }
    let other = sshd(&server, &["-T", "-C", "user=root,host=client.example,addr=192.0.2.7"]).exits(0);
    for line in ["forcecommand none", "x11forwarding yes", "permittty yes"] {
        assert!(other.stdout.lines().any(|found| found == line), "`{line}` in: {}", other.stdout);
    }
}

#[test]
fn a_server_with_the_file_takes_pushes_and_neither_forwards_nor_gives_a_terminal() {
    if !accounts::is_root() {
        return skip("the group is made by root");
    }
    // The file as it is, but for the places of the program and the keys; what sshd reads after `Match all` is for everybody again.
    let ours = fs::read_to_string(OURS).unwrap().replace("/usr/bin/snapgate-shell", "$DIR/bin/snapgate-shell --config $DIR/config");
    let ours = ours.replace("/etc/snapgate/keys/", "$DIR/keys/");
    let top = format!("AcceptEnv *\n{ours}\nMatch all\n");
    let server = Setup::new().client("web1", "keys: [$KEY]\n").sshd(&top).unforced().start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    // ~/.ssh/rc would run before the command of a key. Either PermitUserRC or ForceCommand keeps it from that.
    let home = web1.account().home;
    let mark = server.source("mark").join("rc-ran");
    support::mode(mark.parent().unwrap(), 0o777);
    fs::create_dir_all(home.join(".ssh")).unwrap();
    fs::write(home.join(".ssh/rc"), format!("touch {}\n", mark.display())).unwrap();
    let ran = web1.push(&source, &[]);
    fs::remove_file(home.join(".ssh/rc")).unwrap();
    ran.exits(0);
    assert!(!mark.exists(), "the account's own rc file ran");

    let forward = web1.ssh_with(&["-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9"], &["status"]);
    assert_eq!(forward.status, 255, "{forward:?}");
    let stdio = web1.ssh_with::<&str>(&["-W", &format!("127.0.0.1:{}", server.port())], &[]);
    assert_ne!(stdio.status, 0, "{stdio:?}");
    assert!(!stdio.stdout.starts_with("SSH-"), "a connection through the server: {stdio:?}");
    let terminal = web1.ssh_with(&["-tt"], &["status"]);
    assert!(terminal.stderr.contains("PTY allocation request failed"), "{terminal:?}");
}

/// The package's units of these kinds.
fn units(kinds: &[&str]) -> Vec<std::path::PathBuf> {
    let all = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging")).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &std::path::PathBuf| path.extension().is_some_and(|kind| kinds.iter().any(|wanted| kind == *wanted));
    let found: Vec<_> = all.filter(is_one).collect();
    assert!(!found.is_empty(), "{kinds:?}");
    found
}

/// systemd ends what a service leaves behind, and a mailer such as Exim's delivers behind the back of
/// whoever brought the mail; so does a `watch` that another one started.
#[test]
fn no_unit_ends_a_mailer_that_is_still_delivering() {
    for unit in units(&["service"]) {
        let text = fs::read_to_string(&unit).unwrap();
        let has = |setting: &str| text.lines().any(|line| line == setting);
        // What has this mails nothing: set-ID mailers would not work there.
        assert!(has("NoNewPrivileges=yes") || has("KillMode=process"), "{}", unit.display());
    }
}

/// What hits a limit of systemd's is failed from then on, until somebody starts it by hand; and
/// whoever has a client's key wakes these units as often as it likes.
#[test]
fn no_client_stops_the_units_that_it_wakes() {
    let named = |name: &str| fs::read_to_string(format!("{}/packaging/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(named("snapgate-watch.path").lines().any(|line| line == "TriggerLimitIntervalSec=0"));
    assert!(named("snapgate-watch.service").lines().any(|line| line == "StartLimitIntervalSec=0"));
}

#[test]
fn the_systemd_units_are_well_formed() {
    let files = units(&["service", "timer", "path"]);
    // Who looks for what has gone wrong silently does so every day, and tells of it.
    let unit = |name: &str| files.iter().find(|path| path.ends_with(name)).map(|path| fs::read_to_string(path).unwrap()).unwrap();
    assert!(unit("snapgate-check.timer").contains("\nOnCalendar=daily\n") && unit("snapgate-check.service").contains(" check --tell"));
    if !std::path::Path::new("/usr/bin/systemd-analyze").exists() {
        return skip("no systemd-analyze here");
    }
    let output = Command::new("systemd-analyze").arg("verify").args(&files).output().unwrap();
    // The program itself is not installed on a machine that only builds; every other complaint counts.
    let text = String::from_utf8(output.stderr).unwrap();
    let ours: Vec<_> = text.lines().filter(|line| line.contains("snapgate")).filter(|line| !line.contains("not executable")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
