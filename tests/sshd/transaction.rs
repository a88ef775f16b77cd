//! `prepare`, several pushes, `complete`: one snapshot.

use std::fs;
use std::path::Path;

use chrono::{Datelike as _, Utc};
use snapgate::terms::outcome::Outcome;

use support::Ran;
use support::client::Client;
use support::{ALL_VERBS, Server, Setup, tree};

fn push_to(client: &Client, source: &Path, destination: &str) -> Ran {
    client.rsync(&["-a".to_owned(), "--delete".to_owned(), format!("{}/", source.display()), format!("backup:{destination}")])
}

#[test]
fn several_pushes_between_prepare_and_complete_are_one_snapshot() {
    let server = Server::start();
    let (web1, repository) = (server.client("web1"), server.repository("web1"));
    let (etc, home) = (server.source("etc"), server.source("home"));
    tree::small(&etc);
    tree::write(&home.join("me/notes"), "mine\n");
    web1.ssh(&["prepare"]).exits(0);
    push_to(&web1, &etc, "etc/").exits(0);
    assert_eq!(server.record().result, Outcome::Added);
    push_to(&web1, &home, "home/").exits(0);
    assert!(repository.snapshots().is_empty(), "nothing is published before `complete`");
    web1.ssh(&["complete"]).exits(0);
    assert_eq!(repository.snapshots().len(), 1);
    assert_eq!(server.record().result, Outcome::Published);
    let first = repository.snapshot(0);
    assert_eq!(tree::files(&first.join("etc")), tree::files(&etc));
    assert_eq!(fs::read_to_string(first.join("home/me/notes")).unwrap(), "mine\n");

    // The second night shares everything with the first.
    web1.ssh(&["prepare"]).exits(0);
    push_to(&web1, &etc, "etc/").exits(0);
    push_to(&web1, &home, "home/").exits(0);
    web1.ssh(&["complete", "0"]).exits(0);
    let second = repository.snapshot(-1);
    assert_eq!(tree::files(&second), tree::files(&first));
    for file in tree::files(&first) {
        assert_eq!(tree::inode(&first.join(&file)), tree::inode(&second.join(&file)), "{file:?}");
    }
    assert_eq!(repository.current(), Some(format!("snapshots/{}", repository.snapshots()[1])));
}

#[test]
fn a_later_push_of_a_transaction_replaces_what_it_sends_and_keeps_the_rest() {
    let server = Server::start();
    let (web1, repository) = (server.client("web1"), server.repository("web1"));
    let (one, two) = (server.source("one"), server.source("two"));
    tree::write(&one.join("a"), "from one\n");
    tree::write(&one.join("sub/b"), "from one\n");
    tree::write(&two.join("a"), "from two, longer\n");
    tree::write(&two.join("sub/c"), "from two\n");
    web1.ssh(&["prepare"]).exits(0);
    web1.rsync(&["-a", &format!("{}/", one.display()), "backup:"]).exits(0);
    web1.rsync(&["-a", &format!("{}/", two.display()), "backup:"]).exits(0);
    web1.ssh(&["complete"]).exits(0);
    let snapshot = repository.snapshot(0);
    assert_eq!(tree::files(&snapshot), ["a", "sub/b", "sub/c"].map(std::path::PathBuf::from));
    assert_eq!(fs::read_to_string(snapshot.join("a")).unwrap(), "from two, longer\n");
}

#[test]
fn complete_carries_the_clients_own_exit_status() {
    for (status, published, partial) in [("0", true, false), ("24", true, false), ("23", true, true), ("12", false, false)] {
        let server = Server::start();
        let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
        tree::small(&source);
        web1.ssh(&["prepare"]).exits(0);
        web1.push(&source, &[]).exits(0);
        let ran = web1.ssh(&["complete", status]);
        assert_eq!(repository.snapshots().len(), usize::from(published), "complete {status}: {ran:?}");
        assert_eq!(ran.status == 0, published, "complete {status}: {ran:?}");
        let record = server.record();
        if published {
            assert_eq!(record.push.unwrap().partial, partial, "complete {status}");
        }
        if status != "0" && status != "24" {
            server.mail("web1");
        }
    }
}

#[test]
fn complete_with_a_word_that_is_no_status_changes_nothing() {
    let server = Server::start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    web1.ssh(&["prepare"]).exits(0);
    web1.push(&source, &[]).exits(0);
    let before = server.state();
    for words in [["complete", "garbage"].as_slice(), &["complete", "-1"], &["complete", "0", "0"], &["complete", "999999999999"]] {
        let ran = web1.ssh(words);
        assert!([64, 77].contains(&ran.status), "{words:?}: {ran:?}");
    }
    tree::same(&server.state(), &before);
    web1.ssh(&["complete"]).exits(0);
    assert_eq!(server.repository("web1").snapshots().len(), 1);
}

#[test]
fn complete_and_abort_need_a_transaction() {
    let server = Server::start();
    let web1 = server.client("web1");
    for verb in ["complete", "abort"] {
        web1.ssh(&[verb]).refused("transaction", 64);
    }
    server.mail("transaction");
}

#[test]
fn abort_discards_what_was_pushed() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.ssh(&["prepare"]).exits(0);
    web1.push(&source, &[]).exits(0);
    web1.ssh(&["abort"]).exits(0);
    assert!(repository.snapshots().is_empty());
    web1.ssh(&["complete"]).refused("transaction", 64);
    web1.push(&source, &[]).exits(0);
    assert_eq!(repository.snapshots().len(), 1, "the next plain push is one of its own again");
}

#[test]
fn prepare_twice_does_not_lose_a_finished_transaction() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    let before = tree::listing(&repository.path.join("snapshots"));
    web1.ssh(&["prepare"]).exits(0);
    web1.push(&source, &[]).exits(0);
    // A client that crashed after its push begins again the next night.
    web1.ssh(&["prepare"]);
    web1.push(&source, &["--stats"]).exits(0);
    tree::same(&tree::listing(&repository.path.join("snapshots")), &before);
    web1.ssh(&["complete"]).exits(0);
    assert_eq!(repository.snapshots().len(), 2);
    assert_eq!(tree::files(&repository.snapshot(-1)), tree::files(&source));
}

#[test]
fn complete_without_a_push_publishes_nothing() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    web1.ssh(&["prepare"]).exits(0);
    let ran = web1.ssh(&["complete"]);
    assert_ne!(ran.status, 0);
    assert_eq!(repository.snapshots().len(), 1);
}

#[test]
fn every_contact_is_checked_again() {
    let server = Setup::new().client("web1", "verbs: [prepare, rsync, complete]\nfrom: [127.0.0.2]\n").start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    let near = web1.from("127.0.0.2");
    web1.ssh(&["prepare"]).refused("address", 77);
    near.ssh(&["prepare"]).exits(0);
    web1.push(&source, &[]).refused("address", 77);
    near.push(&source, &[]).exits(0);
    web1.ssh(&["complete"]).refused("address", 77);
    server.policy("web1", "verbs: [prepare, rsync]\nfrom: [127.0.0.2]\n");
    near.ssh(&["complete"]).refused("verb", 77);
    assert!(server.repository("web1").snapshots().is_empty());
    server.policy("web1", "verbs: [prepare, rsync, complete]\n");
    web1.ssh(&["complete"]).exits(0);
    assert_eq!(server.repository("web1").snapshots().len(), 1);
}

/// A policy that lets its client do everything, and for each rule of it one that says no: with the code that this gives.
fn rules() -> (String, [(&'static str, String); 5]) {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let far = days[(Utc::now().weekday().num_days_from_monday() as usize + 3) % 7];
    let other = "SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk";
    let broken = [
        ("address", format!("{ALL_VERBS}from: [192.0.2.1]\n")),
        ("window", format!("{ALL_VERBS}when: [{{ days: {far} }}]\n")),
        ("key", format!("{ALL_VERBS}keys: [{other}]\n")),
        ("verb", "verbs: [status]\n".to_owned()),
        // Anybody's but the one that the client logs in as.
        ("account", format!("{ALL_VERBS}user: root\n")),
    ];
    (format!("{ALL_VERBS}from: [127.0.0.0/8]\nkeys: [$KEY]\n"), broken)
}

#[test]
fn every_rule_is_asked_at_every_contact_of_a_transaction() {
    let (good, broken) = rules();
    let named = "ForceCommand $DIR/bin/snapgate-shell --config $DIR/config --client web1\n";
    let server = Setup::new().client("web1", &good).unforced().sshd(named).start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    if web1.account().name == "root" {
        return support::skip("whoever runs this is the other account");
    }
    let contact = |verb: &str| if verb == "rsync" { web1.push(&source, &[]) } else { web1.ssh(&[verb]) };
    for verb in ["prepare", "rsync", "rsync", "complete"] {
        for (code, policy) in &broken {
            server.policy("web1", policy);
            let before = server.state();
            contact(verb).refused(code, 77);
            tree::same(&server.state(), &before);
            let record = server.record();
            assert_eq!((record.result, record.reasons[0].code.as_str()), (Outcome::Refused, *code), "{verb}");
        }
        server.policy("web1", &good);
        contact(verb).exits(0);
    }
    assert_eq!(repository.snapshots().len(), 1);
    assert_eq!(tree::files(&repository.snapshot(0)), tree::files(&source));
    // `abort` too, which could undo a night's work.
    web1.ssh(&["prepare"]).exits(0);
    contact("rsync").exits(0);
    for (code, policy) in &broken {
        server.policy("web1", policy);
        contact("abort").refused(code, 77);
    }
    server.policy("web1", &good);
    contact("complete").exits(0);
    assert_eq!(repository.snapshots().len(), 2);
}
