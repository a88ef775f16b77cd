//! The same through a real sshd: accounts that keep owners or do not, keys that may pull alone, and other clients.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use support::{Server, Setup, skip, tree};

const VERBS: &str = "verbs: [rsync, status, restore]\n";

fn pulled(server: &Server, client: &str, name: &str, words: &[&str]) -> support::Ran {
    let into = format!("{}/", server.path().join(name).display());
    server.client(client).rsync(&[words, &[into.as_str()]].concat())
}

#[test]
fn an_account_that_keeps_owners_sends_them_back() {
    if !support::is_root() {
        return skip("only root may give files to others");
    }
    let server = Setup::new().client("web1", &format!("{VERBS}owners: keep\n")).start();
    let source = server.source("data");
    crate::round::fill(&source, true);
    server.client("web1").push(&source, &["-HAX", "-S", "--numeric-ids"]).exits(0);
    pulled(&server, "web1", "got", &["-aHAXS", "--numeric-ids", "backup:current/"]).exits(0);
    let (was, is) = (crate::round::told(&source, true), crate::round::told(&server.path().join("got"), true));
    for (name, line) in &was {
        assert_eq!(Some(line), is.get(name), "{}", name.escape_ascii());
    }
    let secret = fs::metadata(server.path().join("got/dir/secret")).unwrap();
    assert_eq!((secret.uid(), secret.gid()), (1234, 2345));
}

#[test]
fn an_ordinary_account_sends_back_all_but_owners() {
    let server = Setup::new().client("web1", &format!("{VERBS}owners: drop\noptions: {{ allow: [acls] }}\n")).start();
    let source = server.source("data");
    crate::round::fill(&source, false);
    server.client("web1").push(&source, &["-HX", "-S"]).exits(0);
    pulled(&server, "web1", "got", &["-rlptHXS", "backup:current/"]).exits(0);
    // Access lists take a weaker jail, in which nothing could be listed.
    let listed = server.client("web1").rsync(&["-A", "backup:"]).exits(0).stdout;
    assert!(listed.contains(" current"), "{listed}");
    let (was, is) = (crate::round::told(&source, false), crate::round::told(&server.path().join("got"), false));
    let without_lists = |line: &String| line.split_whitespace().filter(|word| !word.contains("posix_acl")).collect::<Vec<_>>().join(" ");
    for (name, line) in was.iter().filter(|(name, _)| name.as_slice() != b"dir") {
        assert_eq!(Some(without_lists(line)), is.get(name).map(without_lists), "{}", name.escape_ascii());
    }
}

#[test]
fn a_key_that_may_pull_does_nothing_else_and_another_client_has_no_history() {
    let server = Setup::new()
        .client_on(0, "web1", "keys: [$KEY]\n")
        .client_on(0, "reader", "keys: [$KEY]\n")
        .client_on(0, "db1", "keys: [$KEY]\n")
        .start();
    let (key, reader) = (server.client("web1").fingerprint(), server.client("reader").fingerprint());
    server.policy("web1", &format!("{VERBS}keys: [{key}]\nrestore: {{ keys: [{reader}] }}\n"));
    fs::remove_file(server.config().join("policies/reader.yaml")).unwrap();
    server.policy("db1", &format!("{VERBS}keys: [{}]\n", server.client("db1").fingerprint()));
    let source = server.source("data");
    tree::write(&source.join("file"), "web1's");
    server.client("web1").push(&source, &[]).exits(0);
    // The key of pushes does not pull, and that of pulls does not push.
    pulled(&server, "web1", "got", &["-a", "backup:current/"]).refused("key", 77);
    server.client("reader").push(&source, &[]).refused("key", 77);
    server.client("reader").ssh(&["status"]).refused("key", 77);
    server.client("reader").ssh(&["help"]).exits(0);
    pulled(&server, "reader", "got", &["-a", "backup:current/"]).exits(0);
    assert_eq!(fs::read_to_string(server.path().join("got/file")).unwrap(), "web1's");
    // Another client of the same account has nothing, and learns of nothing.
    for path in ["backup:current/", "backup:../web1/snapshots/", "backup:"] {
        let ran = pulled(&server, "db1", "other", &["-a", path]);
        assert!(ran.status != 0 && !ran.stderr.contains("web1"), "{path}: {}", ran.stderr);
    }
    assert!(!server.path().join("other/file").exists());
}

#[test]
fn words_hidden_by_s_and_single_letters_are_pulls_like_others() {
    let server = Setup::new().client("web1", VERBS).start();
    let source = server.source("data");
    tree::write(&source.join("a b"), "x");
    server.client("web1").push(&source, &[]).exits(0);
    pulled(&server, "web1", "one", &["-as", "backup:current/a b"]).exits(0);
    pulled(&server, "web1", "two", &["-a", "backup:@complete/a b"]).exits(0);
    for name in ["one", "two"] {
        assert!(server.path().join(name).join("a b").is_file(), "{name}");
    }
    // What openrsync sends.
    let ran = server.client("web1").ssh(&["rsync --server --sender -g -l -o -p -D -r -t . nothing/"]);
    assert_eq!(ran.code(), Some("snapshot"), "{}", ran.stderr);
}
