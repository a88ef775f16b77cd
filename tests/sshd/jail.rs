//! `jail: off`: it works, and no line that is left behind is silent about it.

use snapgate::terms::record::Jail;

use support::{ALL_VERBS, Setup, tree, until};

#[test]
fn without_the_jail_every_line_and_record_says_so() {
    let server = Setup::new().client("web1", ALL_VERBS).stranger("nobody").site("jail: off\n").start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    let mut count = 0;
    let mut said = |what: &str| {
        count += 1;
        let mut lines = Vec::new();
        until("a line of syslog", || {
            lines.extend(server.syslog());
            !lines.is_empty()
        });
        assert!(lines.len() == 1 && lines[0].contains(" jail=off "), "{what}: {lines:?}");
        let records = server.records();
        assert_eq!(records.len(), count, "{what}");
        assert!(records.iter().all(|record| record.jail == Jail::Off), "{what}: {records:?}");
    };
    let logs = || repository.logs().len();
    // A push, and one that resumes from a snapshot; what has no run of rsync; what is refused, known or not.
    for push in ["the first push", "the second push"] {
        web1.push(&source, &[]).exits(0);
        said(push);
        assert!(repository.log().contains("the jail is off"), "{}", repository.log());
    }
    assert_eq!((repository.snapshots().len(), logs()), (2, 2));
    assert_eq!(tree::files(&repository.snapshot(-1)), tree::files(&source));
    assert_eq!(tree::inode(&repository.snapshot(0).join("a.txt")), tree::inode(&repository.snapshot(1).join("a.txt")));
    web1.ssh(&["status"]).exits(0);
    said("status");
    web1.ssh(&["prepare"]).exits(0);
    said("prepare");
    assert!(repository.log().contains("the jail is off"), "the log of `prepare`: {}", repository.log());
    web1.push(&source, &[]).exits(0);
    said("a part");
    assert!(repository.log().contains("the jail is off"), "{}", repository.log());
    web1.ssh(&["complete"]).exits(0);
    said("complete");
    assert!(repository.log().contains("the jail is off"), "the log of `complete`: {}", repository.log());
    web1.ssh(&["reboot"]).refused("program", 77);
    said("another program");
    if web1.account() != server.client("nobody").account() {
        server.client("nobody").ssh(&["status"]).refused("no-policy", 77);
        said("somebody unknown");
    }
}

#[test]
fn with_the_jail_no_line_speaks_of_it() {
    let server = Setup::new().client("web1", ALL_VERBS).start();
    let source = server.source("data");
    tree::small(&source);
    server.client("web1").push(&source, &[]).exits(0);
    let mut lines = Vec::new();
    until("a line of syslog", || {
        lines.extend(server.syslog());
        !lines.is_empty()
    });
    assert!(!lines[0].contains("jail="), "{lines:?}");
    assert!(server.record().jail == Jail::Whole && !server.repository("web1").log().contains("jail is off"));
}

/// What an ordinary account's access lists take, as every line has it; and that it is the policy's to say.
#[test]
fn access_lists_of_an_account_need_the_policy_s_word_and_every_line_says_what_they_took() {
    if support::versions::old_server().is_some() {
        return support::skip("an account's push with access lists has no view, and without one no rsync before 3.5.0 may run");
    }
    // An ordinary user has one account for both, and their keys tell them apart.
    let plain = format!("keys: [$KEY]\nowners: drop\n{ALL_VERBS}");
    let allowing = format!("{plain}options: {{ allow: [acls] }}\n");
    let server = Setup::new().client("web1", &plain).client("web2", &allowing).start();
    let source = server.source("data");
    tree::small(&source);
    let line = |what: &str| {
        let mut lines = Vec::new();
        until("a line of syslog", || {
            lines.extend(server.syslog());
            !lines.is_empty()
        });
        assert_eq!(lines.len(), 1, "{what}: {lines:?}");
        lines.remove(0)
    };
    let refused = server.client("web1").push(&source, &["-A"]);
    let refused = refused.refused("option", 77);
    assert!(refused.stderr.contains("leave -A (--acls) out"), "{}", refused.stderr);
    assert!(!line("a refusal").contains("jail="));
    let (web2, repository) = (server.client("web2"), server.repository("web2"));
    web2.push(&source, &["-A"]).exits(0);
    assert!(line("access lists").contains(" jail=without-namespaces "));
    assert_eq!(server.record().jail, Jail::WithoutNamespaces);
    assert!(repository.log().contains("the jail is a weaker one, without namespaces"), "{}", repository.log());
    web2.push(&source, &[]).exits(0);
    assert!(!line("none").contains("jail="));
    assert!(server.record().jail == Jail::Whole && !repository.log().contains("the jail is"), "{}", repository.log());
}
