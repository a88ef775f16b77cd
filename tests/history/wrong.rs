//! Questions that have no answer: one line, a stable code, a record, and nothing changed.

use std::fs;

use super::{POLICY, Past};
use support::{Gate, run};

#[test]
fn what_cannot_be_answered_says_why_with_a_code() {
    let past = Past::new();
    let before = fs::read_dir(past.gate.inside("snapshots")).unwrap().count();
    for (said, code, exit, line) in [
        ("ls 2027", "missing", 64, "there is no `2027` in"),
        ("ls 2027 etc", "snapshot", 77, "there is no snapshot `2027`"),
        ("ls 20 etc", "snapshot", 77, "is the beginning of 3 snapshots"),
        ("ls @9w etc", "snapshot", 77, "the first is"),
        ("ls @soon etc", "snapshot", 77, "says no snapshot"),
        ("ls ../x", "path", 77, "is no place in a snapshot"),
        ("ls etc/hosst", "missing", 64, "there is no `etc/hosst` in"),
        ("cat etc", "kind", 64, "is no file: it is a directory"),
        ("cat", "command", 77, "the words behind `cat` mean nothing"),
        ("cat nowhere", "missing", 64, "there is no `nowhere` in"),
        ("find nothing*", "missing", 64, "nothing matches `nothing*`"),
        ("find nothing*", "missing", 64, "or use find --all"),
        ("find --all nothing*", "missing", 64, "look at the spelling\n"),
        ("history nowhere", "missing", 64, "in any snapshot"),
        ("history -x etc", "command", 77, "has no option"),
        ("yesterday nowhere", "missing", 64, "there was no `nowhere` then or before"),
        ("yesterday -d 4 etc", "snapshot", 77, "the first is"),
        ("yesterday -d x etc", "command", 77, "is no number"),
        ("diff @1d", "command", 77, "mean nothing"),
        ("diff @1d current nowhere", "missing", 64, "there is no `nowhere`"),
        ("usage now", "command", 77, "mean nothing"),
    ] {
        let ran = past.gate.say(said);
        assert_eq!(ran.status, exit, "{said}: {ran:?}");
        assert!(ran.stderr.contains(&format!("(code {code})")) && ran.stderr.contains(line), "{said}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{said}: {ran:?}");
        let record = past.gate.record();
        assert_eq!(record.result.to_string(), "refused", "{said}");
        assert!(record.reasons.iter().any(|reason| reason.code.to_string() == code), "{said}: {record:?}");
    }
    assert_eq!(fs::read_dir(past.gate.inside("snapshots")).unwrap().count(), before);
}

#[test]
fn the_administrator_is_told_what_is_near_and_the_client_is_not() {
    let past = Past::new();
    for (words, near) in [
        (&["cat", "--client", "web1", "etc/hosst"][..], "did you mean `etc/hosts`?"),
        (&["ls", "--client", "web1", "etc/hosts/x"], "did you mean `etc/hosts`?"),
        (&["ls", "--client", "web1", "nothing/like/it"], "there is `/`"),
        (&["history", "--client", "web1", "etc/smae"], "did you mean `etc/same`?"),
        (&["yesterday", "--client", "web1", "etc/smae"], "did you mean `etc/same`?"),
        (&["diff", "--client", "web1", "@1d", "current", "etc/smae"], "did you mean `etc/same`?"),
    ] {
        let ran = past.says(words);
        assert!(ran.status == 64 && ran.stderr.contains(near), "{words:?}: {ran:?}");
    }
    let said = past.gate.say("cat etc/hosst").stderr;
    assert!(!said.contains("hosts"), "{said}");
    let ran = past.says(&["ls", "--client", "nobody", "etc"]);
    assert!(ran.stderr.contains("no policy for `nobody`"), "{ran:?}");
}

#[test]
fn who_may_not_ask_is_refused_and_explain_says_so() {
    let past = Past::new();
    let policy = fs::read_to_string(past.gate.path().join("config/policies/web1.yaml")).unwrap();
    past.gate.write("config/policies/web1.yaml", &policy.replace("list, history", "list"));
    for said in ["ls etc", "cat etc/hosts", "history etc", "find x", "diff @1d current", "yesterday etc"] {
        let ran = past.gate.say(said);
        assert!(
            ran.status == 77 && ran.stderr.contains("`history` is not allowed") && ran.stderr.contains("(code verb)"),
            "{said}: {ran:?}"
        );
        let explained = past.says(&["explain", "--client", "web1", said]);
        assert!(explained.status == 77 && explained.stdout.contains("`history` is not one of the client's verbs"), "{explained:?}");
    }
    past.gate.say("usage").exits(0);
    past.gate.say("list").exits(0);
    assert_eq!(past.says(&["explain", "--client", "web1", "usage"]).status, 0);
}

#[test]
fn where_there_is_no_snapshot_that_is_said() {
    let gate = Gate::with("", POLICY);
    for said in ["ls", "usage", "list", "history etc"] {
        let ran = gate.say(said);
        assert!((ran.stdout.clone() + &ran.stderr).contains("there is no snapshot yet"), "{said}: {ran:?}");
    }
    let ran = run(&mut gate.snapgate(&["ls", "--client", "web1"]));
    assert!(ran.status == 77 && ran.stderr.contains("there is no snapshot yet"), "{ran:?}");
}
