//! What YAML would forgive and this reader does not, through the shapes of real files.

use std::path::Path;

use proptest::prelude::*;

use crate::decide::policy::{Policy, Site, Source, read_policy, read_site};

use super::*;

fn site(text: &str) -> Result<Site, Fault> {
    read_site(Path::new("snapgate.yaml"), text.as_bytes())
}

fn policy_bytes(bytes: &[u8]) -> Result<Policy, Fault> {
    let site = site("store: /srv/backups\n").unwrap();
    read_policy(Path::new("web1.yaml"), bytes, &"web1".parse().unwrap(), &site)
}

fn policy(text: &str) -> Result<Policy, Fault> {
    policy_bytes(text.as_bytes())
}

/// Where the fault is, and its words.
fn fault(text: &str) -> (usize, usize, String) {
    let fault = policy(text).expect_err(text);
    assert!(!fault.help.is_empty() && !fault.help.contains('\n') && !fault.message.contains('\n'), "{fault}");
    assert!(fault.message.starts_with(|first: char| !first.is_ascii_uppercase() || fault.message.starts_with("IP")), "{fault}");
    (fault.line, fault.column, fault.message)
}

fn at(text: &str, line: usize, column: usize, words: &str) {
    let (found_line, found_column, message) = fault(text);
    assert!(message.contains(words), "{text:?}: {message}");
    assert_eq!((found_line, found_column), (line, column), "{text:?}: {message}");
}

#[test]
fn a_fault_shows_the_line_a_caret_and_what_to_do() {
    let shown = policy("user: web1\nfrom: [192.0.2.0/24, 10.0.0.1/8]\n").unwrap_err().to_string();
    assert_eq!(
        shown,
        "web1.yaml:2:22: `10.0.0.1/8` has bits set beyond its prefix\n \
         2 | from: [192.0.2.0/24, 10.0.0.1/8]\n   |                      ^\n\
         write 10.0.0.0/8 for the network, or 10.0.0.1 for the address"
    );
    let long = format!("user: {}\n", "é".repeat(20_000));
    assert!(policy(&long).unwrap_err().to_string().len() < 4096, "a long line is cut around the place");
}

#[test]
fn a_key_stands_once_and_is_known() {
    at("user: a\nfrom: [192.0.2.1]\nuser: b\n", 3, 1, "second time");
    at("time_limits: { idle: 10m, idle: 20m }\n", 1, 27, "second time");
    at("when:\n  - days: mon\n    days: tue\n", 3, 5, "second time");
    at("usr: a\n", 1, 1, "`usr` is not a key of a policy");
    at("time_limits:\n  idel: 10m\n", 2, 3, "`idel` is not a key of `time_limits`");
    assert_eq!(policy("form: [192.0.2.1]\n").unwrap_err().help, "did you mean `from`?");
    assert!(policy("completely: 1\n").unwrap_err().help.starts_with("the keys are user, keys"));
    at("1: a\n", 1, 1, "the number 1 is not a key");
    at("~: a\n", 1, 1, "is not a key");
    at("[a]: b\n", 1, 1, "is not a key");
    at("when: [{ days: sat,sun, sun }]\n", 1, 25, "second time");
    at("when: [{ days: sat,sun: 3 }]\n", 1, 25, "3 is not");
    at("when: [{ sat,sun }]\n", 1, 8, "without `days:`");
    at("when: [{ days: sat,sun, stop: yes }]\n", 1, 31, "true or false");
    at("when: [{ stop: \"true\" }]\n", 1, 16, "true or false");
    at("when: [{ stop: true, stop: true }]\n", 1, 22, "second time");
    at("<<: {user: a}\n", 1, 1, "`<<` is not a key");
    assert_eq!(site("store: /s\nmail:\n  too: [root]\n").unwrap_err().help, "did you mean `to`?");
    assert_eq!(site("store: /s\ndefaults:\n  user: a\n  user: b\n").unwrap_err().line, 4);
    assert_eq!(site("store: /s\nstore: /t\n").unwrap_err().line, 2);
}

#[test]
fn only_a_text_is_a_text() {
    for (value, words) in [
        ("~", "nothing is not"),
        ("", "nothing is not"),
        ("null", "nothing is not"),
        ("12", "the number 12"),
        ("1.5", "the number 1.5"),
        ("0x10", "the number 16"),
        ("true", "the truth value"),
        ("[a]", "a list is not"),
        ("{a: b}", "a table is not"),
        ("99999999999999999999999999", "the number"),
        (".nan", "the number"),
    ] {
        let (line, _, message) = fault(&format!("user: {value}\n"));
        assert!(line == 1 && message.contains(words), "{value}: {message}");
    }
    assert_eq!(policy("user: \"root\"\n").unwrap().user, "root");
    assert_eq!(policy("\u{feff}user: root\n").unwrap().user, "root", "a byte order mark is no content");
    at("require_mount: yes\n", 1, 16, "`yes` is not true or false");
    at("require_mount: \"true\"\n", 1, 16, "is not true or false");
    assert!(site("store: /s\njail: false\n").unwrap_err().message.contains("on or off"));
}

#[test]
fn what_is_empty_means_nothing() {
    for key in ["from", "keys", "when", "verbs"] {
        at(&format!("{key}: []\n"), 1, key.len() + 3, "an empty list means nothing");
        assert!(fault(&format!("{key}:\n")).2.contains("nothing is not a list"));
        assert!(fault(&format!("{key}: word\n")).2.contains("is not a list"));
    }
    for text in ["hooks: {}\n", "time_limits: {}\n", "snapshots: {}\n", "options: {}\n", "when: [{}]\n", "{}\n"] {
        assert!(fault(text).2.contains("an empty table means nothing"), "{text}");
    }
    for text in ["options: {allow: []}\n", "hooks: {prepare: []}\n", "hooks: {prepare: [[]]}\n", "when: [{hours: []}]\n"] {
        assert!(fault(text).2.contains("an empty list means nothing"), "{text}");
    }
    for text in ["", "\n", "# nothing\n", "---\n", "\u{feff}"] {
        assert!(policy(text).unwrap_err().message.contains("empty") || policy(text).unwrap_err().message.contains("nothing"), "{text:?}");
    }
    for text in ["word\n", "- a\n", "12\n"] {
        assert!(fault(text).2.contains("is not a policy"), "{text:?}");
    }
}

#[test]
fn anchors_tags_documents_and_depth_are_refused_in_words() {
    at("user: &a web1\npath: *a\n", 1, 7, "an anchor or alias");
    at("verbs: [rsync, *x]\n", 1, 16, "an anchor or alias");
    at("verbs: [rsync,*x]\n", 1, 15, "an anchor or alias");
    at("- - &x a\n", 1, 5, "an anchor or alias");
    at("{\"user\":*x}\n", 1, 9, "an anchor or alias");
    at("user: !!str web1\n", 1, 7, "a YAML tag");
    at("? user\n: web1\n", 1, 1, "long form");
    at("%YAML 1.1\n---\nuser: a\n", 1, 1, "directive");
    at("user: a\n---\nuser: b\n", 2, 1, "more than one document");
    at("user: a\n...\nuser: b\n", 2, 1, "more than one document");
    assert_eq!(policy("---\nuser: a\n").unwrap().user, "a");
    assert_eq!(policy("# &a *b !c\nuser: a # &x\nsnapshots: {name: '%Y-%m-%d'} # it's & \"\n").unwrap().user, "a");
    assert!(policy("hooks: { prepare: [/bin/x, \"*\", '&', a&b, a*, 'it''s \\', \"\\\"*\"] }\n").is_ok());

    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in ["a", "b", "c", "d", "e", "f", "g"].iter().zip(["b", "c", "d", "e", "f", "g", "h"]) {
        bomb.push_str(&format!("{to}: &{to} [*{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}]\n"));
    }
    at(&bomb, 1, 4, "an anchor or alias");
    for deep in ["[".repeat(60_000), "{a: ".repeat(15_000), "- ".repeat(30_000), "[{".repeat(20_000)] {
        assert!(fault(&format!("from: {deep}\n")).2.contains("too deeply") || fault(&deep).2.contains("too deeply"));
    }
    let steps: String = (0..350).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(policy(&steps).is_err());
}

#[test]
fn characters_that_hide_or_move_are_refused() {
    at("user: web1\n\tfrom: [x]\n", 2, 1, "a tab in the indentation");
    at("user: we\0b1\n", 1, 9, "`\\u{0}`");
    at("user: a\rfrom: b\n", 1, 8, "`\\r`");
    at("user: a\u{2028}keys: b\n", 1, 8, "`\\u{2028}`");
    at("user: a\u{85}keys: b\n", 1, 8, "`\\u{85}`");
    at("# \u{202e}x\nuser: a\n", 1, 3, "`\\u{202e}`");
    at("user: \"we\\x00b\"\n", 1, 7, "a control character");
    at("user: \"we\\nb\"\n", 1, 7, "a control character");
    assert_eq!(policy("user: a\r\nreport: never\r\n").unwrap().user, "a");
    let fault = policy_bytes(b"user: a\n# caf\xe9\n").unwrap_err();
    assert_eq!((fault.line, fault.column, fault.message.as_str()), (2, 6, "the file is not UTF-8 here"));
    assert!(policy("verbs: [rsync\n").unwrap_err().message.contains("not YAML"));
    assert!(policy("user: 'a\n").unwrap_err().message.contains("not YAML"));
    assert!(policy("user: a\n  from: b\n").is_err());
}

#[test]
fn an_address_of_ipv6_in_brackets_needs_quotes_and_the_fault_says_so() {
    for text in ["from: [2001:db8::]\n", "from: [2001:db8::, 192.0.2.1]\n", "from: [::1]\n", "from: [::/0, 192.0.2.1]\n"] {
        match policy(text) {
            Err(fault) => assert!(fault.help.contains("[\"2001:db8::/48\"]"), "{text}: {fault}"),
            // libyaml reads some of them as what is meant.
            Ok(policy) => assert!(matches!(policy.from.unwrap()[0], Source::Network(net) if net.addr().is_ipv6()), "{text}"),
        }
    }
    assert_eq!(policy("from: [\"2001:db8::/48\", \"::1\"]\n").unwrap().from.unwrap().len(), 2);
}

proptest! {
    #[test]
    fn no_mixture_of_yaml_makes_it_panic(parts in proptest::collection::vec(prop_oneof![
        Just("user"), Just(": "), Just("\n"), Just("  "), Just("- "), Just("["), Just("]"), Just("{"), Just("}"), Just(", "), Just("'"),
        Just("\""), Just("&a "), Just("*a"), Just("!!map "), Just("|\n"), Just("? "), Just("from"), Just("hooks"), Just("when"), Just("#"),
        Just("~"), Just("é"), Just("---\n"), Just("\u{85}"), Just("\\"), Just("days"), Just("mon"), Just("1"), Just("<<"), Just("defaults"),
    ], 0..40)) {
        let text = parts.concat();
        if let Err(fault) = policy(&text) {
            prop_assert!(!fault.to_string().is_empty());
        }
        let _ = site(&format!("store: /s\n{text}"));
    }
}

#[test]
fn a_fault_is_within_its_file_even_where_the_parser_counts_more_lines() {
    // libyaml puts the end of a file without a last line break on a line of its own.
    at("user:\tx\n--human-readable ", 2, 18, "not YAML");
    for text in ["a\rb\r]", "user: [\r\n", "\u{85}\u{85}]", "x: \"\\"] {
        let (line, column, message) = fault(text);
        let found = text.split('\n').nth(line - 1).unwrap_or_else(|| panic!("{text:?}: line {line}: {message}"));
        assert!((1..=found.chars().count() + 1).contains(&column), "{text:?}: {line}:{column}: {message}");
    }
}
