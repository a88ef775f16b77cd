//! Only the process that does the gate's work is killed, and the gate lives on: what it says is what has become of the push.

use std::fs;

use snapgate::terms::outcome::Outcome;

use support::kept::{again, again_dropped, is_dropped, keeper};
use support::record::Record;
use support::{Gate, Ran, can_trace, is_root, run};

/// Where it is killed: a call that only this process makes, on a path of the repository, and whether there is a snapshot by then.
const CALLS: [(&str, &str, bool); 3] =
    [("renameat2", "inprogress", false), ("fsync", "snapshots", true), ("rmdir", ".snapgate/interrupted", true)];

/// The program before the gate that kills it there.
fn killer(gate: &Gate, call: &str, path: &str) -> String {
    let path = gate.inside(path);
    format!("strace -f -qq -o /dev/null -P {} -e trace={call} -e inject={call}:signal=SIGKILL:when=1", path.display())
}

fn gate() -> Gate {
    let more = "hooks: { complete: [[/bin/sh, -c, \"echo $SNAPGATE_NAME $SNAPGATE_FILES $(readlink $SNAPGATE_REPOSITORY/current) >>$SNAPGATE_REPOSITORY/.snapgate/hooked\"]] }\n";
    let gate = Gate::with("", &format!("{}{more}", support::POLICY));
    let source = gate.source("data");
    for name in ["one", "two", "three"] {
        fs::write(source.join(name), name).unwrap();
    }
    gate.push(&source, &[]).exits(0);
    fs::write(source.join("four"), "four").unwrap();
    gate
}

/// What the hooks of `complete` were told.
fn hooked(gate: &Gate) -> Vec<String> {
    fs::read_to_string(gate.inside(".snapgate/hooked")).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[track_caller]
fn told(gate: &Gate, ran: &Ran, published: bool, at: &str) -> Record {
    let record = gate.record();
    let newest = gate.snapshots().pop().unwrap();
    if !published {
        assert_eq!(
            (gate.snapshots().len(), record.result, record.reasons.first().map(|reason| reason.code.as_str())),
            (1, Outcome::Failed, Some("interrupted")),
            "{at}"
        );
        assert!(ran.status != 0 && ran.stderr.contains("push again"), "{at}: {ran:?}");
        assert_eq!(hooked(gate).len(), 1, "{at}");
        return record;
    }
    assert_eq!(ran.status, 0, "{at}: {ran:?}");
    assert!(!ran.stderr.contains("snapgate:"), "{at}: {ran:?}");
    assert_eq!((record.result, record.exit, gate.snapshots().len()), (Outcome::Published, 0, 2), "{at}: {record:?}");
    assert!(record.warnings.iter().any(|warning| warning.contains("was killed")), "{at}: {record:?}");
    let facts = record.push.clone().unwrap();
    assert_eq!((facts.snapshot.as_ref(), facts.files, facts.linked, facts.received), (Some(&newest), 4, 3, 1), "{at}");
    assert_eq!(hooked(gate)[1..], [format!("{newest} 4 snapshots/{newest}")], "{at}");
    record
}

#[test]
fn whether_a_push_was_published_is_said_wherever_its_work_was_killed() {
    // Root's gate has no process for it.
    if !can_trace() || (is_root() && !is_dropped()) {
        return;
    }
    for (call, path, published) in CALLS {
        let gate = gate();
        let source = gate.path().join("source/data");
        let ran = run(&mut gate.push_command(&source, &[], &killer(&gate, call, path)));
        told(&gate, &ran, published, call);
        // The next one finds nothing left to say of it.
        gate.push(&source, &[]).exits(0);
        assert!(gate.record().warnings.iter().all(|warning| !warning.contains("before it had told")), "{:?}", gate.record());
        assert!(fs::read_dir(gate.inside(".snapgate/unrecorded")).is_ok_and(|mut notes| notes.next().is_none()));
    }
}

#[test]
fn whether_a_transaction_was_published_is_said_wherever_its_work_was_killed() {
    if !can_trace() || (is_root() && !is_dropped()) {
        return;
    }
    for (call, path, published) in &CALLS[1..] {
        let gate = gate();
        let source = gate.path().join("source/data");
        gate.say("prepare").exits(0);
        gate.push(&source, &[]).exits(0);
        let ran = run(&mut gate.say_command("complete 0", &killer(&gate, call, path)));
        told(&gate, &ran, *published, call);
        assert!(ran.stdout.starts_with("published "), "{ran:?}");
        assert!(!gate.inside(".snapgate/transaction.json").exists(), "{call}: it is closed");
        gate.say("complete").exits(64);
    }
}

/// Where owners are kept the gate itself is killed: its client hears nothing, and the record tells all the same.
#[test]
fn a_record_says_what_was_published_where_the_gate_was_killed_in_a_namespace() {
    if !can_trace() || keeper().is_none() || is_dropped() {
        return;
    }
    let gate = gate();
    let source = gate.path().join("source/data");
    assert_ne!(run(&mut gate.push_command(&source, &[], &killer(&gate, "fsync", "snapshots"))).status, 0);
    support::until("it is recorded", || gate.ledger().len() == 2);
    let record = gate.record();
    assert_eq!((record.result, record.push.and_then(|facts| facts.snapshot)), (Outcome::Published, gate.snapshots().pop()));
    gate.push(&source, &[]).exits(0);
    assert!(gate.record().warnings.iter().all(|warning| !warning.contains("before it had told")), "{:?}", gate.record());
}

/// Root's run has an account for it.
#[test]
fn so_it_is_said_of_an_account_s_work() {
    if is_root() {
        let tests = [
            "killed::whether_a_push_was_published_is_said_wherever_its_work_was_killed",
            "killed::whether_a_transaction_was_published_is_said_wherever_its_work_was_killed",
        ];
        again_dropped(&tests);
        again(&["killed::a_record_says_what_was_published_where_the_gate_was_killed_in_a_namespace"]);
    }
}
