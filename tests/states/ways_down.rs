//! Servers of other ways that refuse, stall and die, and a `watch` that is killed.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use snapgate::terms::limits::{MAX_SMALL_DISPATCHES, WAY_PAUSES};
use support::http::{Manner, Server};

use super::routed::{pushed, refused};
use super::ways::{NOBODY, forged, forged_by, notice, ping, private, site, waiting};
use super::{Place, me, now};

fn pause(times: usize) -> TimeDelta {
    TimeDelta::from_std(WAY_PAUSES[times]).unwrap() + TimeDelta::seconds(1)
}

/// The ids of what a server was told.
fn ids(server: &Server) -> Vec<String> {
    server.seen().iter().map(|request| request.header("Idempotency-Key").unwrap().to_owned()).collect()
}

#[test]
fn a_server_that_is_gone_is_tried_again_and_holds_up_neither_mails_nor_other_ways() {
    let (hook, pings) = (Server::plain(), Server::plain());
    let port = hook.port;
    let (dir, keys) = site(port);
    let place = Place::new(&keys);
    place.client("web1", &ping(pings.port));
    drop(hook);
    let begun = now();
    for number in 1..=3 {
        place.add(number, "web1", &pushed("alert", "failed"));
    }
    let (done, _) = place.pass(begun, u64::MAX);
    assert_eq!((done.sent, done.told, done.waiting, waiting(&place)), (1, 6, 3, 3), "{done:?}");
    assert_eq!((pings.seen().len(), fs::read_to_string(dir.path().join("said")).unwrap().lines().count()), (3, 3));
    let problems = done.problems.concat();
    assert!(done.problems.len() == 1 && problems.contains(&format!("http://127.0.0.1:{port}")), "{problems}");
    assert!(!problems.contains("token") && problems.contains("refused"), "{problems}");
    let (done, _) = place.pass(begun + TimeDelta::seconds(30), u64::MAX);
    assert!(done.problems.is_empty() && done.waiting == 3, "it is not time: {done:?}");
    let (done, _) = place.pass(begun + pause(0), u64::MAX);
    assert!(done.problems.len() == 1 && done.waiting == 3, "{done:?}");
    let hook = Server::start(port, None);
    let (done, _) = place.pass(begun + pause(0) + pause(0), u64::MAX);
    assert_eq!((done.told, done.waiting), (0, 3), "pauses grow: {done:?}");
    let (done, _) = place.pass(begun + pause(0) + pause(1), u64::MAX);
    assert!((done.told, done.waiting) == (3, 0) && done.problems.is_empty(), "{done:?}");
    let expected = (1..=3).map(|number| format!("1795226400000000-{number:06}")).collect::<Vec<_>>();
    assert_eq!(ids(&hook), expected, "each once, in order");
}

#[test]
fn a_server_that_stalls_takes_its_time_once_and_not_for_each_event() {
    let (hook, pings) = (Server::plain(), Server::plain());
    let (_dir, keys) = site(hook.port);
    let place = Place::new(&keys);
    place.client("web1", &ping(pings.port));
    hook.behave(Manner::Stall);
    for number in 1..=5 {
        place.add(number, "web1", &pushed("none", "published"));
    }
    place.add(6, "web1", &refused());
    let begun = Instant::now();
    let (done, _) = place.pass(now(), u64::MAX);
    assert_eq!((done.sent, done.told, done.waiting), (1, 11, 6), "{done:?}");
    // Of the machine's load, too, some.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!((hook.seen().len(), pings.seen().len()), (1, 5));
}

#[test]
fn services_of_pings_that_stall_and_die_hold_up_neither_each_other_nor_whom_they_know() {
    let (stalls, dies, takes) = (Server::plain(), Server::plain(), Server::plain());
    stalls.behave(Manner::Stall);
    dies.behave(Manner::Die);
    let (_dir, keys) = site(takes.port);
    let place = Place::new(keys.split("exec: ").next().unwrap());
    for (name, server) in [("web1", &stalls), ("web2", &dies), ("web3", &takes)] {
        place.client(name, &format!("expect: off\n{}", ping(server.port)));
    }
    let mut number = 0;
    for client in ["web1", "web2", "web3"] {
        for result in ["published", "failed"] {
            number += 1;
            place.add(number, client, &pushed("none", result));
        }
    }
    let (begun, since) = (now(), Instant::now());
    let (done, _) = place.pass(begun, u64::MAX);
    assert_eq!((done.told, done.waiting, done.problems.len()), (8, 4, 2), "{done:?}");
    assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
    let problems = done.problems.concat();
    assert!(problems.contains("a ping about web1") && problems.contains("a ping about web2") && !problems.contains("token"), "{problems}");
    assert_eq!((stalls.seen().len(), dies.seen().len()), (1, 1), "each is tried once");
    for server in [&stalls, &dies] {
        server.behave(Manner::Accept);
    }
    let (done, _) = place.pass(begun + pause(0), u64::MAX);
    assert!((done.told, done.waiting) == (4, 0) && done.problems.is_empty(), "{done:?}");
    for (name, server) in [("web1", &stalls), ("web2", &dies)] {
        let lines: Vec<_> = server.seen().iter().map(|request| request.line.clone()).collect();
        let (good, bad) = (format!("POST /ping-token/{name} HTTP/1.1"), format!("POST /ping-token/{name}/fail HTTP/1.1"));
        assert_eq!(lines, [good.clone(), good, bad], "in order, and what was not taken once more");
    }
}

#[test]
fn what_is_refused_holds_up_nothing_else_and_is_laid_aside_after_days() {
    let hook = Server::plain();
    let (_dir, keys) = site(hook.port);
    let place = Place::new(&keys);
    place.client("web1", "");
    place.client("web2", "");
    hook.behave(Manner::RefuseWith("web2", "400 Bad Request".to_owned()));
    place.add(1, "web2", &pushed("none", "published"));
    place.add(2, "web1", &pushed("none", "published"));
    let begun = now();
    let (done, _) = place.pass(begun, u64::MAX);
    assert_eq!((done.told, done.waiting), (3, 1), "{done:?}");
    // Since its file was written, which is not in this second's first moment.
    let (done, _) = place.pass(begun + TimeDelta::days(6) + TimeDelta::minutes(10), u64::MAX);
    assert_eq!((done.waiting, waiting(&place)), (0, 0), "{done:?}");
    let dead = place.spool().join("dead");
    let why = fs::read_to_string(dead.join("1795226400000000-000001.webhook.why")).unwrap();
    assert!(why.contains("not told for 6 days") && why.contains("answered 400") && !why.contains("token"), "{why}");
    assert!(dead.join("1795226400000000-000001.webhook.json").exists());
}

#[test]
fn what_one_account_tells_in_vain_holds_up_none_of_the_others() {
    if me().uid != 0 {
        println!("skipped: only root tells for other accounts");
        return;
    }
    for answer in ["503 Busy", "400 Bad Request"] {
        let hook = Server::plain();
        let (dir, keys) = site(hook.port);
        let said = dir.path().join("said");
        let program = format!("#!/bin/sh\nif grep -q forged; then exit 9; fi\necho told >> {}\n", said.display());
        private(&dir.path().join("told"), &program, 0o700);
        hook.behave(Manner::RefuseWith("forged", answer.to_owned()));
        let place = Place::new(&keys);
        place.client("web1", "expect: off\n");
        fs::write(place.config().join("policies/web2.yaml"), "user: nobody\nexpect: off\n").unwrap();
        // As few as can be: so it comes first.
        for number in 0..4 {
            forged(&place, "webhook", &format!("f{number}"), &notice(&format!("f{number}"), Some("web2")));
        }
        forged(&place, "exec", "f0", &notice("f0", Some("web2")));
        let begun = now();
        for number in 1..=3 {
            place.add(number, "web1", &pushed("none", "published"));
        }
        let (done, _) = place.pass(begun, u64::MAX);
        assert_eq!((done.told, done.waiting), (6, 5), "{answer}: {done:?}");
        assert_eq!(fs::read_to_string(&said).unwrap().lines().count(), 3);
        let before = hook.seen().len();
        place.add(4, "web1", &pushed("none", "published"));
        place.add(5, "web1", &pushed("none", "published"));
        place.add(6, "web1", &pushed("none", "published"));
        let (done, _) = place.pass(begun + pause(0), u64::MAX);
        assert_eq!((done.told, done.waiting), (6, 5), "{answer}: {done:?}");
        let seen = hook.seen().split_off(before);
        assert!(seen.len() > 3 && seen[..3].iter().all(|request| !request.body.contains("forged")), "who failed comes last");
    }
}

#[test]
fn however_many_accounts_tell_in_vain_the_others_are_told_of_at_once() {
    if me().uid != 0 {
        println!("skipped: only root tells for other accounts");
        return;
    }
    for manner in [Manner::RefuseWith("forged", "503 Busy".to_owned()), Manner::HangUpOn("forged")] {
        let hook = Server::plain();
        let (_dir, keys) = site(hook.port);
        let place = Place::new(keys.split("exec: ").next().unwrap());
        hook.behave(manner.clone());
        place.client("web1", "expect: off\n");
        // Accounts that each machine has.
        for (uid, account) in [(1, "daemon"), (2, "bin"), (NOBODY, "nobody")] {
            fs::write(place.config().join(format!("policies/of-{account}.yaml")), format!("user: {account}\nexpect: off\n")).unwrap();
            forged_by(uid, &place, "webhook", "f0", &notice("f0", Some(&format!("of-{account}"))));
        }
        let begun = now();
        for pass in 0..3 {
            for number in 1..=5 {
                place.add(10 * pass + number, "web1", &pushed("none", "published"));
            }
            let (done, _) = place.pass(begun + TimeDelta::seconds(i64::from(pass)), u64::MAX);
            assert_eq!((done.told, done.waiting), (5, 3), "{manner:?}, {pass}: {done:?}");
        }
        let forged = hook.seen().iter().filter(|request| request.body.contains("forged")).count();
        assert_eq!(forged, 3, "each is tried once, and has a pause of its own");
    }
}

#[test]
fn refusals_by_the_hundred_leave_room_for_a_snapshot_that_may_be_damage() {
    let hook = Server::plain();
    let (_dir, keys) = site(hook.port);
    let place = Place::new(keys.split("exec: ").next().unwrap());
    place.client("web1", "expect: off\n");
    hook.behave(Manner::Answer("503 Busy".to_owned()));
    let many = u32::try_from(MAX_SMALL_DISPATCHES).unwrap() + 20;
    for number in 1..=many {
        place.add(number, "web1", &refused());
    }
    let (done, _) = place.pass(now(), u64::MAX);
    assert!(waiting(&place) == MAX_SMALL_DISPATCHES && done.problems.concat().contains("too much that waits"), "{done:?}");
    let mut held = pushed("alert", "published");
    held["held"] = serde_json::json!({"why": ["half of it is gone"]});
    place.add(many + 1, "web1", &held);
    let (done, _) = place.pass(now(), u64::MAX);
    assert_eq!(waiting(&place), MAX_SMALL_DISPATCHES + 1, "{done:?}");
}

#[test]
fn a_way_that_fails_lastingly_is_a_state_that_is_mailed_and_ends() {
    let (hook, pings) = (Server::plain(), Server::plain());
    let (dir, keys) = site(hook.port);
    let place = Place::new(&keys);
    place.client("web1", &format!("expect: off\n{}", ping(pings.port)));
    pings.behave(Manner::Die);
    hook.behave(Manner::Answer("503 Busy".to_owned()));
    private(&dir.path().join("told"), "#!/bin/sh\nexit 9\n", 0o700);
    place.add(1, "web1", &pushed("none", "published"));
    let mut at = now();
    let _ = place.pass(at, u64::MAX);
    assert_eq!(place.subjects(), [""; 0], "not yet");
    for _ in 0..5 {
        at += TimeDelta::minutes(20);
        let _ = place.pass(at, u64::MAX);
    }
    let mut subjects = place.subjects();
    subjects.sort();
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    let begins = ["pings down: 1 ping waits: http://127.0.0.1", "program down: 1 event waits: ", "webhook down: 1 event waits: "];
    for ((subject, begins), ends) in subjects.iter().zip(begins).zip(["hung up before it answered", "status 9", "answered 503"]) {
        assert!(subject.starts_with(&format!("[snapgate] the server: {begins}")) && subject.ends_with(ends), "{subjects:?}");
    }
    let bodies = place.server.taken().iter().map(|mail| mail.data.clone()).collect::<String>();
    assert!(bodies.contains("--flush") && !bodies.contains("token"), "{bodies}");
    hook.behave(Manner::Accept);
    pings.behave(Manner::Accept);
    private(&dir.path().join("told"), "#!/bin/sh\ncat > /dev/null\n", 0o700);
    for _ in 0..4 {
        at += TimeDelta::hours(1);
        let _ = place.pass(at, u64::MAX);
    }
    let subjects = place.subjects();
    assert_eq!(subjects.iter().filter(|subject| subject.contains("down: resolved after")).count(), 3, "{subjects:?}");
    assert_eq!(waiting(&place), 0);
    assert!(hook.seen().iter().any(|request| request.body.contains("webhook down: resolved")), "the webhook hears of it as well");
}

#[test]
fn a_watch_that_is_killed_at_any_step_tells_everything_at_least_once_and_with_the_same_id() {
    let hook = Server::plain();
    let (dir, keys) = site(hook.port);
    let expected: BTreeSet<_> = (1..=2).map(|number| format!("1795226400000000-{number:06}")).collect();
    let (mut killed, mut doubles) = (0, 0);
    for steps in 0.. {
        let before = hook.seen().len();
        let _ = fs::remove_file(dir.path().join("said"));
        let place = Place::new(&keys);
        place.client("web1", &format!("expect: off\n{}", ping(hook.port)));
        place.add(1, "web1", &pushed("none", "published"));
        place.add(2, "web1", &pushed("alert", "failed"));
        let (_, whole) = place.pass(now(), steps);
        killed += usize::from(!whole);
        let (done, _) = place.pass(now(), u64::MAX);
        assert!(done.waiting == 0 && done.problems.is_empty(), "{steps}: {done:?}");
        let seen = hook.seen().split_off(before);
        let (hooks, pings): (Vec<_>, Vec<_>) = seen.iter().partition(|request| request.header("Idempotency-Key").is_some());
        let told: Vec<_> = hooks.iter().map(|request| request.header("Idempotency-Key").unwrap().to_owned()).collect();
        assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), expected, "{steps}");
        doubles += told.len() - expected.len();
        assert!(told.len() <= 3, "{steps}: {told:?}");
        let lines: BTreeSet<_> = pings.iter().map(|request| request.line.as_str()).collect();
        assert_eq!(
            lines.into_iter().collect::<Vec<_>>(),
            ["POST /ping-token/web1 HTTP/1.1", "POST /ping-token/web1/fail HTTP/1.1"],
            "{steps}"
        );
        let said = fs::read_to_string(dir.path().join("said")).unwrap();
        assert!((2..=3).contains(&said.lines().count()), "{steps}: {said}");
        // A mail that was sent twice has one Message-ID.
        let mails: BTreeSet<_> = place.server.taken().iter().map(|mail| mail.header("Message-ID")).collect();
        assert_eq!((waiting(&place), mails.len()), (0, 1), "{steps}");
        if whole {
            break;
        }
    }
    assert!(killed > 15 && doubles > 0, "{killed} kills, {doubles} doubles");
}

#[test]
fn an_odd_spool_costs_no_more_than_a_problem_and_a_policy_that_is_being_written_loses_nothing() {
    let hook = Server::plain();
    let (_dir, keys) = site(hook.port);
    let place = Place::new(&keys);
    place.client("web1", &ping(hook.port));
    hook.behave(Manner::Answer("503 Busy".to_owned()));
    place.add(1, "web1", &pushed("none", "published"));
    let begun = now();
    let (done, _) = place.pass(begun, u64::MAX);
    assert_eq!((done.told, done.waiting), (1, 2), "{done:?}");
    let out = place.spool().join("out");
    for (name, text) in [("junk.webhook.json", "{}"), ("other.exec.json", "x"), ("1.ping.json", "[1]")] {
        fs::write(out.join(name), text).unwrap();
    }
    let other = fs::read(out.join("1795226400000000-000001.webhook.json")).unwrap();
    fs::write(out.join("renamed.webhook.json"), other).unwrap();
    fs::write(place.spool().join("ways.json"), "no json").unwrap();
    fs::write(place.config().join("policies/web1.yaml"), "user: [").unwrap();
    hook.behave(Manner::Accept);
    let (done, _) = place.pass(begun + TimeDelta::hours(2), u64::MAX);
    assert!(done.problems.iter().filter(|problem| problem.contains("is left where it is")).count() == 4, "{done:?}");
    let pinged = || hook.seen().iter().filter(|request| request.line.contains("ping")).count();
    assert_eq!(pinged(), 1, "that was refused; now nobody knows where it goes");
    place.client("web1", &ping(hook.port));
    let (done, _) = place.pass(begun + TimeDelta::hours(4), u64::MAX);
    assert_eq!(pinged(), 2, "{done:?}");
    let told: BTreeSet<_> = hook.seen().iter().filter_map(|request| request.header("Idempotency-Key").map(str::to_owned)).collect();
    assert!(told.contains("1795226400000000-000001") && !told.contains("renamed"), "{told:?}");
}
