//! The real sshd asks: one account for many clients.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::accounts::{account, is_root};
use support::{GATE, SNAPGATE, Server, Setup, mode, must, skip, tree};
use tempfile::TempDir;

/// A server on which no file holds a key: sshd asks the program as this user. sshd starts none from a
/// directory that others could have written, so programs stand elsewhere.
fn server(user: &str) -> (Server, TempDir) {
    let home = account(0).home;
    let bin = tempfile::Builder::new().prefix("bin-").tempdir_in(home.parent().unwrap()).unwrap();
    mode(bin.path(), 0o755);
    for program in [SNAPGATE, GATE] {
        must(Command::new("install").args(["-m", "0755"]).arg(program).arg(bin.path()));
    }
    let ask = format!("{}/snapgate --config $DIR/config keys %u %t %k", bin.path().display());
    let server = Setup::new()
        .client_on(0, "web1", "keys: [$KEY]\n")
        .client_on(0, "db1", "keys: [$KEY]\n")
        .client_on(0, "old", "keys: [$KEY]\n")
        .stranger_on(0, "stranger")
        .unforced()
        .sshd(&format!("AuthorizedKeysCommand {ask}\nAuthorizedKeysCommandUser {user}\n"))
        .start();
    let keys = server.path().join("keys");
    let file = keys.join(account(0).name);
    let expired = fs::read_to_string(server.client("old").key().with_extension("pub")).unwrap();
    fs::remove_file(&file).unwrap();
    // The index, as `check` makes it.
    server.snapgate(&["check"]);
    let listed = server.config().join("keys");
    fs::create_dir(&listed).unwrap();
    mode(&listed, 0o755);
    fs::write(listed.join(account(0).name), format!("restrict,expiry-time=\"20200101Z\" {expired}")).unwrap();
    (server, bin)
}

fn pushes(server: &Server, source: &Path) {
    for client in ["web1", "db1", "web1"] {
        server.client(client).push(source, &[]).exits(0);
    }
    assert_eq!((server.repository("web1").snapshots().len(), server.repository("db1").snapshots().len()), (2, 1));
    for refused in ["stranger", "old"] {
        let ran = server.client(refused).push(source, &[]).exits(255);
        assert!(ran.stderr.contains("Permission denied"), "{}", ran.stderr);
    }
    // A key that is taken away, and one that goes to another client.
    let (web1, db1) = (server.client("web1").fingerprint(), server.client("db1").fingerprint());
    let nobody = format!("SHA256:{}", "x".repeat(43));
    server.policy("web1", &format!("keys: [{nobody}]\n"));
    server.policy("db1", &format!("keys: [\"{web1}\"]\n"));
    server.client("db1").push(source, &[]).exits(255);
    server.client("web1").push(source, &[]).exits(0);
    assert_eq!((server.repository("web1").snapshots().len(), server.repository("db1").snapshots().len()), (2, 2), "{db1}");
    // Nothing but the gate is to be had.
    let ran = server.client("web1").ssh(&["head", "/etc/passwd"]);
    assert!(ran.status == 77 && !ran.stdout.contains("root:"), "{ran:?}");
}

#[test]
fn one_account_serves_many_clients_and_a_key_of_no_policy_is_refused() {
    if !is_root() {
        return skip("sshd asks a program for root alone");
    }
    // An account without power that may read the settings, as the group of gates may.
    for user in ["root", &account(1).name] {
        let (server, _bin) = server(user);
        let source = server.source("data");
        tree::small(&source);
        pushes(&server, &source);
    }
}
