//! `host:` names, with a name server that says nothing and a hosts file of the test's own: both in a mount namespace, so
//! that nothing of the machine is changed. It takes root; an ordinary user's run says so.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use snapgate::terms::reason::Code;

use crate::support::{Gate, Ran, is_root, must, run, skip};

/// The silent name server's address: one of the loopback network that nothing else uses.
const NAME_SERVER: &str = "127.0.53.77";

/// A gate whose resolver asks the silent server, after a hosts file that knows `router.example.net`. `None` where that
/// cannot be had, and why has been said.
fn gate(test: &str, from: &str) -> Option<(Gate, String)> {
    if !is_root() {
        skip(test, "it takes root to put another /etc/resolv.conf in front of the gate");
        return None;
    }
    if run(Command::new("unshare").args(["-m", "true"])).status != 0 {
        skip(test, "this machine gives no mount namespace");
        return None;
    }
    let gate = Gate::with("", &format!("verbs: [rsync, status]\nfrom: {from}\n"));
    let etc = gate.path().join("etc");
    must(Command::new("cp").args(["-a", "/etc"]).arg(&etc));
    for (name, text) in [
        ("resolv.conf", format!("nameserver {NAME_SERVER}\n")),
        ("hosts", "127.0.0.1 localhost\n203.0.113.9 router.example.net\n".to_owned()),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
    ] {
        let _ = fs::remove_file(etc.join(name));
        fs::write(etc.join(name), text).unwrap();
    }
    gate.write("elsewhere", "mount --bind $DIR/etc /etc && exec \"$@\"\n");
    let wrap = format!("unshare -m /bin/sh {}/elsewhere", gate.path().display());
    Some((gate, wrap))
}

fn ask(gate: &Gate, wrap: &str, from: &str) -> Ran {
    let mut command = Command::new("/usr/bin/env");
    command.arg(format!("WRAP={wrap}")).arg(format!("FROM={from}")).arg("/bin/sh").arg(gate.path().join("ssh"));
    run(command.args(["backup", "status"]))
}

#[test]
fn a_name_in_the_hosts_file_matches_and_another_address_does_not() {
    let Some((gate, wrap)) = gate("names from /etc/hosts", "[host:router.example.net]") else { return };
    ask(&gate, &wrap, "203.0.113.9").exits(0);
    ask(&gate, &wrap, "::ffff:203.0.113.9").exits(0);
    assert_eq!(ask(&gate, &wrap, "203.0.113.10").exits(77).code(), Some("address"));
}

#[test]
fn a_name_that_is_never_answered_does_not_match_and_costs_three_seconds_at_most() {
    let Some((gate, wrap)) = gate("names that are never answered", "[host:silent.example.net, host:router.example.net]") else { return };
    let server = UdpSocket::bind((NAME_SERVER, 53)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();

    let refused = ask(&gate, &wrap, "203.0.113.10").exits(77);
    assert_eq!(refused.code(), Some("address"));
    assert!(refused.took > Duration::from_millis(2500) && refused.took < Duration::from_millis(3700), "{:?}", refused.took);
    let asked = server.recv(&mut [0; 512]).unwrap();
    assert!(asked > 12, "the name server was asked");
    let line = gate.path().join("spool").join("0/ledger.jsonl");
    let records = snapgate::act::ledger::read(&line);
    let records = if records.is_empty() { gate.ledger() } else { records };
    assert_eq!(records.last().unwrap().reasons[0].code, Code::Address);

    // Beside it, a name that is answered counts.
    let allowed = ask(&gate, &wrap, "203.0.113.9").exits(0);
    assert!(allowed.took < Duration::from_millis(3700), "{:?}", allowed.took);
    // And a client whose address needs no name waits for none.
    gate.write("config/policies/web1.yaml", "user: root\nverbs: [status]\nfrom: [192.0.2.7, host:silent.example.net]\n");
    assert!(ask(&gate, &wrap, "192.0.2.7").exits(0).took < Duration::from_millis(1500));
}
