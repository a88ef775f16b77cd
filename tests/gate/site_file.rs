//! A site file that cannot be used says nowhere where the spool is. What has to be remembered goes to the usual place,
//! which here is one of the test's own, put over the machine's in a mount namespace; an ordinary user's run says so.

use std::fs;
use std::process::Command;

use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;
use snapgate::terms::{Event, Mail};

use support::record::Record;
use support::repository::read_ledger;
use support::{Gate, POLICY, is_root, run, skip};

#[test]
fn a_broken_site_file_is_refused_recorded_and_waits_to_be_mailed() {
    if !is_root() {
        return skip("it takes root to put another /var/spool in front of the gate");
    }
    if run(Command::new("unshare").args(["-m", "true"])).status != 0 {
        return skip("this machine gives no mount namespace");
    }
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    gate.push(&source, &[]).exits(0);
    let good = fs::read_to_string(gate.path().join("config/snapgate.yaml")).unwrap();
    gate.write("config/snapgate.yaml", &format!("{good}jail: perhaps\n"));
    let spool = gate.path().join("var/snapgate");
    fs::create_dir_all(&spool).unwrap();
    gate.write("elsewhere", "mount --bind $DIR/var /var/spool && exec \"$@\"\n");
    let wrap = format!("unshare -m /bin/sh {}/elsewhere", gate.path().display());

    let ran = run(&mut gate.push_command(&source, &[], &wrap)).exits(78);
    assert_eq!(ran.code(), Some("config"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("jail") && !ran.stderr.contains("perhaps"), "the client learns nothing: {}", ran.stderr);
    assert_eq!((gate.snapshots().len(), gate.ledger().len()), (1, 1), "the store is as it was");

    let records = read_ledger(&spool.join("0/ledger.jsonl"));
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.result, record.exit, record.mail), (Outcome::Refused, 78, Mail::Alert));
    assert_eq!(record.reasons[0].code, Code::Config);
    let detail = &record.reasons[0].detail;
    assert!(detail.contains("snapgate.yaml:") && detail.contains("jail") && detail.contains('^'), "{detail}");
    // Where mail is to go stands in the same file, so nobody can be told before it is mended; then it is still there.
    let waiting: Vec<_> = fs::read_dir(spool.join("0/new")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let event: Event = serde_json::from_slice(&fs::read(&waiting[0]).unwrap()).unwrap();
    assert_eq!(&Record::from(event), record);
    gate.write("config/snapgate.yaml", &good.replace(&gate.path().join("spool").display().to_string(), spool.to_str().unwrap()));
    gate.flush();
    let mails = gate.mails();
    assert!(mails.iter().any(|mail| mail.contains("To: alerts@") && mail.contains("snapgate.yaml")), "{mails:?}");
}
