//! Who is speaking: the word of sshd and of the kernel, never the client's.

use std::fs;
use std::process::Command;

use chrono::{Datelike as _, Utc};

use support::client::Client;
use support::{ALL_VERBS, Server, Setup, must, tree};

fn data(server: &Server) -> std::path::PathBuf {
    let source = server.source("data");
    tree::small(&source);
    source
}

#[test]
fn two_clients_of_one_account_are_told_apart_by_their_keys() {
    let server = Setup::new().client_on(0, "web1", "keys: [$KEY]\n").client_on(0, "db1", "keys: [$KEY]\n").start();
    let source = data(&server);
    server.client("web1").push(&source, &[]).exits(0);
    server.client("db1").push(&source, &[]).exits(0);
    server.client("db1").push(&source, &[]).exits(0);
    assert_eq!(server.repository("web1").snapshots().len(), 1);
    assert_eq!(server.repository("db1").snapshots().len(), 2);
    let record = server.record();
    assert_eq!(record.client.map(String::from).as_deref(), Some("db1"));
    assert_eq!(record.keys.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>(), [server.client("db1").fingerprint()]);
}

#[test]
fn without_keys_the_account_decides() {
    let server = Setup::new().client("web1", "").start();
    server.client("web1").push(&data(&server), &[]).exits(0);
    assert_eq!(server.repository("web1").snapshots().len(), 1);
}

#[test]
fn a_command_line_of_authorized_keys_names_the_client() {
    let server = Setup::new().client("web1", "").unforced().start();
    let dir = server.path().display().to_string();
    let accepted = server.path().join("keys").join(server.client("web1").account().name);
    let key = fs::read_to_string(&accepted).unwrap();
    let gate = format!("{dir}/bin/snapgate-shell --config {dir}/config --client web1");
    fs::write(&accepted, format!("restrict,command=\"{gate}\" {key}")).unwrap();
    server.client("web1").push(&data(&server), &[]).exits(0);
    server.client("web1").ssh(&["head", "/etc/passwd"]).refused("program", 77);
    assert_eq!(server.repository("web1").snapshots().len(), 1);
}

#[test]
fn a_certificate_counts_as_the_key_that_it_certifies() {
    let server = Setup::new().client("web1", "keys: [$KEY]\n").start();
    let web1 = server.client("web1");
    let authority = server.path().join("authority");
    must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&authority));
    let name = web1.account().name;
    let public = web1.key().with_extension("pub");
    must(Command::new("ssh-keygen").arg("-q").arg("-s").arg(&authority).args(["-I", "web1", "-n", &name]).arg(&public));
    let ca = fs::read_to_string(authority.with_extension("pub")).unwrap();
    fs::write(server.path().join("keys").join(&name), format!("cert-authority {ca}")).unwrap();
    web1.push(&data(&server), &[]).exits(0);
    assert!(server.sshd_log().contains("ED25519-CERT"), "{}", server.sshd_log());
    assert_eq!(server.record().keys[0].as_str(), web1.fingerprint());
}

#[test]
fn variables_that_the_client_sets_change_nothing() {
    let server = Setup::new()
        .client_on(0, "web1", &format!("keys: [$KEY]\nfrom: [127.0.0.2]\n{ALL_VERBS}"))
        .client_on(0, "db1", &format!("keys: [$KEY]\nfrom: [127.0.0.1]\n{ALL_VERBS}"))
        .sshd("AcceptEnv *\n")
        .start();
    let (web1, db1) = (server.client("web1"), server.client("db1"));
    let forged = server.path().join("source/auth");
    let public = fs::read_to_string(web1.key().with_extension("pub")).unwrap();
    fs::write(&forged, format!("publickey {public}")).unwrap();
    let lies = [
        "SSH_CONNECTION=\"127.0.0.2 1 127.0.0.1 22\"".to_owned(),
        "SSH_CLIENT=\"127.0.0.2 1 22\"".to_owned(),
        "SSH_ORIGINAL_COMMAND=prepare".to_owned(),
        format!("SSH_USER_AUTH={}", forged.display()),
        format!("USER={} LOGNAME=root SNAPGATE_CLIENT=web1 SNAPGATE_CONFIG=/tmp", web1.account().name),
        "LD_PRELOAD=/tmp/evil.so PATH=/tmp HOME=/tmp TZ=Etc/GMT+12 RSYNC_MAX_ALLOC=1".to_owned(),
    ];
    let all: Client = db1.option(&format!("SetEnv={}", lies.join(" ")));
    // The lie about the command is only looked at where there is no command; it asks for no more than the client may.
    all.ssh(&["status"]).exits(0);
    let record = server.record();
    assert_eq!(record.client.map(String::from).as_deref(), Some("db1"));
    assert_eq!(record.address.map(|address| address.to_string()).as_deref(), Some("127.0.0.1"));
    assert_eq!(record.keys[0].as_str(), db1.fingerprint());

    // And the other way round: web1 from the wrong address stays there, whatever it says.
    web1.option(&format!("SetEnv={}", lies.join(" "))).ssh(&["status"]).refused("address", 77);
}

#[test]
fn addresses_are_single_ones_networks_and_names() {
    for (from, allowed) in [
        ("127.0.0.2", true),
        ("127.0.0.0/30", true),
        ("\"::ffff:127.0.0.2\"", true),
        ("127.0.0.3", false),
        ("\"::/0\"", false),
        ("host:localhost", false),
        ("host:does-not-exist.invalid", false),
    ] {
        let server = Setup::new().client("web1", &format!("from: [{from}]\n")).start();
        let ran = server.client("web1").from("127.0.0.2").ssh(&["status"]);
        assert_eq!(ran.status == 0, allowed, "{from}: {ran:?}");
        assert!(ran.took.as_secs() < 10, "{from}: {:?}", ran.took);
    }
    let server = Setup::new().client("web1", "from: [\"host:localhost\"]\n").start();
    server.client("web1").ssh(&["status"]).exits(0);
}

#[test]
fn a_window_that_is_open_lets_in_and_one_that_is_not_does_not() {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let today = Utc::now().weekday().num_days_from_monday() as usize;
    let near = [(today + 6) % 7, today, (today + 1) % 7].map(|day| days[day]).join(",");
    let far = days[(today + 3) % 7];
    for (when, open) in [(near.as_str(), true), (far, false)] {
        let server = Setup::new().client("web1", &format!("when: [{{ days: \"{when}\" }}]\n")).start();
        let ran = server.client("web1").ssh(&["status"]);
        assert_eq!(ran.status == 0, open, "{when}: {ran:?}");
    }
}

#[test]
fn a_repository_may_stand_anywhere() {
    let server = Setup::new().client("web1", "path: $DIR/elsewhere/of/web1\n").start();
    let path = server.path().join("elsewhere/of/web1");
    fs::create_dir_all(&path).unwrap();
    support::accounts::give(&path, &server.client("web1").account());
    server.client("web1").push(&data(&server), &[]).exits(0);
    assert!(path.join("current/a.txt").exists());
}
