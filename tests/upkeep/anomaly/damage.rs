//! What is held by default, and what the administrator is told of it.

use std::fs;
use std::path::Path;

use snapgate::terms::Mail;
use support::mail::parse;
use support::tree::{files, noise, write};
use support::{Gate, smtp};

use super::{current, facts, gate, held, home, pushed, text};
use crate::says;

/// A home that was pushed, and what makes it damage.
#[track_caller]
fn damaged(damage: impl Fn(&Path), word: &str) -> Gate {
    let gate = gate("");
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    damage(&source);
    let why = pushed(&gate, &source);
    assert!(why.iter().any(|why| why.contains(&format!("({word} "))), "{why:?}");
    gate
}

fn encrypt(root: &Path, name: impl Fn(usize, &Path) -> String) {
    for (number, file) in files(root).into_iter().enumerate() {
        let path = root.join(&file);
        let length = fs::metadata(&path).unwrap().len();
        fs::remove_file(&path).unwrap();
        write(&root.join(name(number, &file)), noise(number as u64 + 77, usize::try_from(length).unwrap() + 32));
    }
}

#[test]
fn a_home_that_was_encrypted_is_held_whatever_its_files_are_called_then() {
    damaged(|root| encrypt(root, |_, file| file.display().to_string()), "scrambled");
    damaged(|root| encrypt(root, |_, file| format!("{}.locked", file.display())), "renamed");
    damaged(|root| encrypt(root, |number, file| file.with_file_name(format!("{number:x}")).display().to_string()), "deleted");
}

#[test]
fn a_part_of_a_home_that_was_encrypted_is_held() {
    let part = |root: &Path| encrypt(&root.join("Documents"), |_, file| file.display().to_string());
    damaged(part, "scrambled");
}

#[test]
fn rm_rf_is_held() {
    damaged(
        |root| {
            for gone in ["Documents", "src", "Pictures"] {
                fs::remove_dir_all(root.join(gone)).unwrap();
            }
        },
        "deleted",
    );
}

#[test]
fn a_wiped_disk_s_empty_mount_point_is_held() {
    let gate = gate("");
    let source = gate.source("root");
    home(&source.join("home/me"));
    (0..300).for_each(|number| write(&source.join(format!("etc/{number}.conf")), text(number, 800)));
    assert_eq!(pushed(&gate, &source), [""; 0]);
    fs::remove_dir_all(source.join("home")).unwrap();
    fs::create_dir(source.join("home")).unwrap();
    let why = pushed(&gate, &source);
    assert!(why.iter().any(|why| why.contains("deleted")), "{why:?}");
}

#[test]
fn a_wrong_directory_is_held() {
    let gate = gate("");
    let (source, wrong) = (gate.source("home"), gate.source("usr"));
    home(&source);
    (0..900).for_each(|number| write(&wrong.join(format!("lib/{number}.so")), text(number, 900)));
    assert_eq!(pushed(&gate, &source), [""; 0]);
    let why = pushed(&gate, &wrong);
    assert!(why.iter().any(|why| why.contains("deleted")), "{why:?}");
    // The right one again is compared with what was good, and shares all with that.
    assert_eq!(pushed(&gate, &source), [""; 0]);
    let facts = facts(&gate);
    assert_eq!((facts.received, facts.compared.unwrap().unchanged), (0, facts.files));
    assert_eq!(held(&gate), gate.snapshots()[1..2]);
}

#[test]
fn a_canary_that_changed_or_is_gone_is_held_and_one_that_was_sent_again_is_not() {
    let gate = gate("anomaly: { canaries: [Documents/0/canary.docx, never/there], current: good }\n");
    let source = gate.source("home");
    home(&source);
    let canary = source.join("Documents/0/canary.docx");
    write(&canary, text(1, 5000));
    assert_eq!(pushed(&gate, &source), [""; 0]);
    fs::File::options().write(true).open(&canary).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(pushed(&gate, &source), [""; 0], "the same content at another time");
    write(&canary, text(2, 5001));
    assert_eq!(pushed(&gate, &source), ["the canary `Documents/0/canary.docx` has other content"]);
    fs::remove_file(&canary).unwrap();
    assert_eq!(pushed(&gate, &source), ["the canary `Documents/0/canary.docx` is gone"]);
    assert_eq!(held(&gate), gate.snapshots()[2..]);
    assert_eq!(current(&gate), gate.snapshots()[1]);
}

#[test]
fn the_administrator_is_told_at_once_with_figures_and_names_and_not_each_time() {
    let gate = gate("");
    gate.write("config/policies/web1.yaml", &policy_without_reports(&gate));
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    encrypt(&source, |_, file| format!("{}.locked", file.display()));
    for _ in 0..6 {
        assert!(!pushed(&gate, &source).is_empty());
        assert_eq!(gate.record().mail, Mail::Alert);
    }
    let name = &gate.snapshots()[1];
    let listed = says(&gate, &["list", "web1"]).exits(0).stdout;
    assert_eq!(listed.matches("HELD").count(), 6, "{listed}");
    support::run(&mut gate.snapgate(&["watch"]));
    let mails = gate.mails();
    let alerts: Vec<_> = mails.iter().filter(|mail| mail.contains("pushed what may be damage")).collect();
    assert_eq!(alerts.len(), 1, "{mails:?}");
    let mail = alerts[0];
    assert!(mail.contains("To: alerts@example.org") && mail.contains(&format!("published {name}, held (anomaly)")), "{mail}");
    assert!(mail.contains("(renamed 100%, limit 20%)") && mail.contains(&format!("snapgate release --client web1 {name}")), "{mail}");
    let named = mail.lines().filter(|line| line.starts_with("  `") && line.contains("Documents/")).count();
    assert!((10..=20).contains(&named), "{named} names: {mail}");
    // The client is told nothing, lest whoever has its key learns how far it may go.
    let said = gate.push(&source, &[]).exits(0);
    assert!(!said.stderr.contains("held") && !said.stderr.contains("anomaly"), "{}", said.stderr);
}

#[test]
fn the_alert_leaves_at_once_through_a_real_mail_server_with_all_that_there_is_to_decide_by() {
    let server = smtp::Server::plain();
    let mail = format!("{{ from: gate@example.org, to: [alerts@example.org], transport: \"smtp://127.0.0.1:{}\" }}", server.port);
    let gate = Gate::with(&format!("mail: {mail}\n"), support::POLICY);
    gate.write("config/policies/web1.yaml", &policy_without_reports(&gate));
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    encrypt(&source, |_, file| format!("{}.locked", file.display()));
    let why = pushed(&gate, &source);
    // Nobody has called `watch`: the gate did.
    support::until("the alert arrives", || !server.taken().is_empty());
    let taken = server.taken();
    let [alert] = taken.as_slice() else { panic!("{taken:?}") };
    let name = &gate.snapshots()[1];
    assert_eq!((alert.to.as_slice(), alert.events()), (&["RCPT TO:<alerts@example.org>".to_owned()][..], 1));
    assert_eq!(alert.header("Subject").unwrap(), format!("[snapgate] web1: published {name}, held (anomaly)"));
    let text = parse(alert.data.as_bytes()).body;
    let said = |words: &str| assert!(text.contains(words), "no `{words}`: {text}");
    said("pushed what may be damage");
    assert!(!why.is_empty());
    why.iter().for_each(|why| said(why));
    said(&format!("snapgate release --client web1 {name}"));
    said(&format!("snapgate discard --client web1 {name}"));
    let named = facts(&gate).held.unwrap().names;
    assert_eq!(named.len(), 20);
    named.iter().for_each(|name| said(&format!("  `{name}`")));
}

#[test]
fn a_hold_that_a_killed_gate_told_nobody_of_is_an_alert_of_the_next_session() {
    let gate = gate("");
    gate.write("config/policies/web1.yaml", &policy_without_reports(&gate));
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    fs::remove_dir_all(source.join("Documents")).unwrap();
    fs::remove_dir_all(source.join("src")).unwrap();
    assert!(!pushed(&gate, &source).is_empty());
    // As a gate leaves it that was killed before it wrote to spool and ledger.
    write(&gate.inside(".snapgate/unrecorded/x-0"), &gate.snapshots()[1]);
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    let record = gate.record();
    assert_eq!(record.mail, Mail::Alert, "{record:?}");
    assert!(record.warnings.iter().any(|warning| warning.contains("told of it, and it is held")), "{record:?}");
}

fn policy_without_reports(gate: &Gate) -> String {
    fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap().replace("report: always", "report: never")
}
