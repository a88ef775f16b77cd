//! States as their readers meet them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::admin::states;
use snapgate::decide::speak::states::Kind;
use snapgate::terms::ComposedMail;
use support::smtp::Manner;
use support::{SNAPGATE, http, run};

use super::routed::{pushed, refused};
use super::{Place, me, names, now, subject, ways};

#[test]
fn a_client_that_stops_is_missed_reminded_of_and_resolved_in_one_thread() {
    let place = Place::new("");
    let begin = now();
    place.client("web1", "expect: 24h\ngrace: 2h\nalerts_to: [jane@example.org]\nroutes: { missed: [joe@example.org] }\n");
    place.pushed("web1", begin, [49, 25]);
    place.watch(begin);
    assert_eq!(place.subjects(), Vec::<String>::new(), "its grace is not over");
    place.watch(begin + TimeDelta::minutes(90));
    place.watch(begin + TimeDelta::minutes(200));
    place.watch(begin + TimeDelta::hours(26));
    assert_eq!(states::of(&place.site()).lasting().count(), 1);
    place.pushed("web1", begin + TimeDelta::hours(30), [0]);
    place.watch(begin + TimeDelta::hours(31));
    let last = (begin - TimeDelta::hours(25)).format("%Y-%m-%d %H:%M UTC");
    let expected = [
        format!("[snapgate] web1: missed: no snapshot since {last}"),
        format!("[snapgate] web1: missed, for 25 hours now: no snapshot since {last}"),
        "[snapgate] web1: missed: resolved after 30 hours".to_owned(),
    ];
    assert_eq!(place.subjects(), expected);
    let mails = place.server.taken();
    assert!(mails.iter().all(|mail| mail.to == ["RCPT TO:<joe@example.org>"]), "{mails:?}");
    let first = mails[0].header("Message-ID").unwrap();
    assert_eq!((mails[0].header("In-Reply-To"), mails[0].header("References")), (None, None));
    for mail in &mails[1..] {
        assert_eq!((mail.header("In-Reply-To"), mail.header("References")), (Some(first.clone()), Some(first.clone())));
        assert_ne!(mail.header("Message-ID"), Some(first.clone()));
    }
    assert_eq!(states::of(&place.site()).lasting().count(), 0);
}

#[test]
fn a_look_that_has_no_time_for_all_goes_on_where_it_ended_and_closes_nothing() {
    let place = Place::new("");
    let begin = now();
    for name in ["a", "b", "c"] {
        place.client(name, "expect: 1h\ngrace: 1h\n");
        place.pushed(name, begin, [10]);
    }
    let site = place.site();
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let mut at = begin;
    let look = |at| assert!(states::look_for(&place.config(), &site, at, Duration::ZERO).unwrap());
    let missed = || {
        let lasting = states::of(&site);
        lasting.lasting().filter_map(|state| state.client.as_ref()).map(ToString::to_string).collect::<BTreeSet<_>>()
    };
    for seen in [vec!["a"], vec!["a", "b"], vec!["a", "b", "c"], vec!["a", "b", "c"]] {
        look(at);
        assert_eq!(missed(), set(&seen), "one more each time, and nobody else is closed");
        let memory = states::of(&site);
        assert_eq!(memory.behind.len(), 2, "{:?}", memory.behind);
        at = memory.next.unwrap();
        assert!(at <= begin + TimeDelta::minutes(15), "the next look is soon: {at}");
    }
    // Somebody who is behind and has no policy any more is nobody.
    fs::remove_file(place.config().join("policies/b.yaml")).unwrap();
    assert!(states::look(&place.config(), &site, at).unwrap());
    assert_eq!((missed(), states::of(&site).behind.len()), (set(&["a", "c"]), 0));
}

#[test]
fn whoever_asks_how_clients_stand_sees_who_is_missed_and_who_is_frozen() {
    let place = Place::new("");
    let begin = now();
    for (name, policy) in [("web1", "expect: 24h\ngrace: 2h\n"), ("web2", "expect: 24h\n"), ("web3", "")] {
        place.client(name, policy);
        place.pushed(name, begin, [49]);
    }
    place.watch(begin);
    let ask = |words: &[&str]| run(Command::new(SNAPGATE).arg("--config").arg(place.config()).arg("status").args(words)).exits(0).stdout;
    // Frozen since, and nobody has looked.
    place.client("web2", "expect: 24h\nfrozen: new disks\n");
    let table = ask(&[]);
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(
        table.lines().next().unwrap().contains("  age  state ")
            && row("web1").contains("  2d  missed ")
            && row("web2").contains("  2d  frozen "),
        "{table}"
    );
    assert!(row("web3").contains("  2d  - "), "{table}");
    assert!(table.contains("\nweb1: missed since ") && table.contains(": no snapshot since ") && !table.contains("web2: "), "{table}");
    let json: serde_json::Value = serde_json::from_str(&ask(&["--json"])).unwrap();
    assert_eq!((&json[0]["states"][0]["kind"], &json[0]["frozen"]), (&"missed".into(), &serde_json::Value::Null));
    assert!(json[0]["states"][0]["since"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&json[1]["states"], &json[1]["frozen"]), (&serde_json::json!([]), &"new disks".into()));
}

#[test]
fn a_rhythm_is_learned_from_snapshots_and_what_is_said_not_to_be_expected_is_not() {
    let place = Place::new("");
    let begin = now();
    for (name, policy) in [("web1", ""), ("web2", "expect: off\n"), ("web3", "laptop: true\n"), ("new", ""), ("nine", ""), ("ten", "")] {
        place.client(name, policy);
    }
    for (name, nights) in [("nine", 9), ("ten", 10)] {
        // Its nightly rhythm is younger than three weeks, so that it has four days.
        place.pushed(name, begin, [24 * 5]);
        place.record(name, (5..5 + nights).map(|night| begin - TimeDelta::hours(24 * night)));
    }
    for name in ["web1", "web2", "web3"] {
        // Each night for five weeks, until two nights ago.
        place.pushed(name, begin, [48]);
        place.record(name, (2..40).map(|night| begin - TimeDelta::hours(24 * night)));
    }
    place.pushed("new", begin, [200, 190]);
    place.watch(begin);
    let last = (begin - TimeDelta::hours(48)).format("%Y-%m-%d %H:%M UTC").to_string();
    let of_ten = (begin - TimeDelta::days(5)).format("%Y-%m-%d %H:%M UTC").to_string();
    let missed = [("ten", &of_ten), ("web1", &last)].map(|(name, last)| format!("[snapgate] {name}: missed: no snapshot since {last}"));
    assert_eq!(place.subjects(), missed);
    place.watch(begin + TimeDelta::days(29));
    let missed: Vec<_> = place.subjects().into_iter().filter(|subject| subject.contains("web3")).collect();
    assert_eq!(missed, [format!("[snapgate] web3: missed: no snapshot since {last}")]);
}

#[test]
fn a_laptop_that_was_seen_when_a_snapshot_was_due_is_missed_whatever_it_did_here_and_one_that_is_away_is_not() {
    let place = Place::new("");
    let begin = now();
    let ago = |minutes: i64| begin - TimeDelta::minutes(minutes);
    // Due 16 hours ago; one that tries and tries is due 12 hours ago.
    let visits: [(&str, &str, Vec<i64>); 6] = [
        ("lists", "answered", vec![15 * 60]),
        ("refused", "refused", vec![15 * 60]),
        ("fails", "failed", vec![15 * 60]),
        ("early", "refused", vec![20 * 60, 17 * 60]),
        ("away", "", vec![]),
        ("just", "failed", vec![60]),
    ];
    for (name, result, times) in visits {
        place.client(name, "expect: 24h\ngrace: 2h\nlaptop: true\n");
        place.pushed(name, begin, [40]);
        place.visited(name, result, times.into_iter().map(ago));
    }
    // More often than is remembered, from its last snapshot on.
    place.client("tries", "expect: 48h\ngrace: 2h\nlaptop: true\n");
    place.pushed("tries", begin, [60]);
    place.visited("tries", "failed", (1..59 * 60).map(ago));
    place.watch(begin);
    let missed = || {
        let lasting = states::of(&place.site());
        lasting.lasting().filter_map(|state| state.client.as_ref()).map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut at_once = missed();
    at_once.sort();
    assert_eq!(at_once, ["fails", "lists", "refused", "tries"]);
    assert_eq!(place.subjects().iter().filter(|subject| subject.contains("missed")).count(), 4, "{:?}", place.subjects());
    place.watch(begin + TimeDelta::minutes(90));
    assert!(missed().contains(&"just".to_owned()), "its grace is over");
    place.watch(begin + TimeDelta::days(28));
    assert!(!missed().contains(&"away".to_owned()) && !missed().contains(&"early".to_owned()), "{:?}", missed());
    place.watch(begin + TimeDelta::days(29));
    assert_eq!(missed().len(), 7, "nobody travels for longer");
}

#[test]
fn whatever_step_a_pass_is_killed_at_each_mail_comes_once() {
    for steps in 0..12 {
        let place = Place::new("");
        let begin = now();
        for name in ["web1", "web2"] {
            place.client(name, "expect: 1h\n");
            place.pushed(name, begin, [9]);
        }
        // Killed again and again at the same place, or until there is nothing to do.
        for _ in 0..20 {
            let _ = place.pass(begin, steps);
        }
        place.watch(begin + TimeDelta::minutes(30));
        let mails = place.server.taken();
        let ids: BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
        let subjects: BTreeSet<_> = mails.iter().map(subject).collect();
        // A mail that was taken and not yet put away is sent again, as itself; nothing else comes twice.
        assert_eq!((ids.len(), subjects.len()), (2, 2), "{steps}: {subjects:?}");
    }
}

#[test]
fn two_passes_at_once_tell_it_once() {
    let place = Place::new("");
    let begin = now();
    place.client("web1", "expect: 1h\n");
    place.pushed("web1", begin, [9]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| place.pass(begin, u64::MAX));
        }
    });
    place.watch(begin + TimeDelta::minutes(20));
    assert_eq!(place.subjects().len(), 1, "{:?}", place.subjects());
}

#[test]
fn a_policy_that_is_removed_closes_its_states_and_one_that_cannot_be_read_is_told() {
    let place = Place::new("");
    let begin = now();
    for name in ["web1", "web2"] {
        place.client(name, "expect: 1h\n");
        place.pushed(name, begin, [9]);
    }
    place.watch(begin);
    fs::remove_file(place.config().join("policies/web1.yaml")).unwrap();
    fs::rename(place.dir.path().join("store/web2/snapshots"), place.dir.path().join("store/web2/elsewhere")).unwrap();
    fs::write(place.dir.path().join("store/web2/snapshots"), "no directory").unwrap();
    place.watch(begin + TimeDelta::hours(1));
    assert_eq!(place.subjects().len(), 3, "it may pass by itself");
    place.watch(begin + TimeDelta::hours(3));
    let subjects = place.subjects();
    assert_eq!(subjects[2], "[snapgate] web1: missed: closed, its policy was removed");
    assert!(subjects[3].starts_with("[snapgate] web2: unreadable: "), "{subjects:?}");
    assert_eq!(subjects.len(), 4);
    // What is not known to have ended has not ended.
    assert!(states::of(&place.site()).lasting().any(|state| state.kind == Kind::Missed));
}

#[test]
fn a_site_is_the_same_one_by_whatever_name() {
    let place = Place::new("");
    place.client("web1", "expect: 1h\n");
    place.watch(now());
    let alias = place.dir.path().join("alias");
    std::os::unix::fs::symlink(place.config(), &alias).unwrap();
    let site = snapgate::act::config::load_site(&alias).unwrap();
    assert_eq!(states::look(&alias, &site, now() + TimeDelta::hours(1)), Ok(true));
}

#[test]
fn two_sites_that_share_a_spool_do_not_take_each_other_s_clients_for_gone() {
    let place = Place::new("");
    let begin = now();
    place.client("web1", "expect: 1h\n");
    place.pushed("web1", begin, [9]);
    place.watch(begin);
    let other = place.dir.path().join("other");
    fs::create_dir_all(other.join("policies")).unwrap();
    fs::copy(place.config().join("snapgate.yaml"), other.join("snapgate.yaml")).unwrap();
    let site = snapgate::act::config::load_site(&other).unwrap();
    let told = states::look(&other, &site, begin + TimeDelta::hours(1)).unwrap_err();
    assert!(told.contains("config/snapgate.yaml") && told.contains("give this site a `spool:` of its own"), "{told}");
    assert_eq!(states::of(&place.site()).lasting().count(), 1);
}

#[test]
fn a_mailer_that_is_down_is_told_by_other_ways_by_mail_when_it_is_back_and_nothing_is_lost_meanwhile() {
    let server = http::Server::plain();
    let (dir, keys) = ways::site(server.port);
    let place = Place::new(&(keys + "webhook_kinds: [failed, missed]\n"));
    let begin = now();
    place.client("web1", "expect: 1h\n");
    place.pushed("web1", begin, [9]);
    place.server.behave(Manner::Answer("MAIL", "451 not now"));
    for quarter in 0..9 {
        assert!(place.pass(begin + TimeDelta::minutes(quarter * 15), u64::MAX).0.waiting > 0);
    }
    assert!(states::of(&place.site()).lasting().any(|state| state.kind == Kind::Mailer));
    let heard = || ways::summaries(&server.seen());
    assert!(heard()[0].starts_with("[snapgate] web1: missed: "), "{:?}", heard());
    assert_eq!(heard()[1..], ["[snapgate] the server: mailer down: 1 mail waits"]);
    assert_eq!(names(&place.spool().join("out")), 1, "no mail about it waits behind the others");
    let _ = place.pass(begin + TimeDelta::hours(26), u64::MAX);
    assert!(heard()[2..].iter().any(|said| said.starts_with("[snapgate] the server: mailer down, for ")), "{:?}", heard());
    place.server.behave(Manner::Accept);
    let _ = place.pass(begin + TimeDelta::hours(27), u64::MAX);
    place.watch(begin + TimeDelta::hours(28));
    let subjects = place.subjects();
    assert!(subjects[..2].iter().all(|subject| subject.starts_with("[snapgate] web1: missed")), "{subjects:?}");
    assert!(subjects[2].starts_with("[snapgate] the server: mailer down: resolved after"), "{subjects:?}");
    assert_eq!(subjects.len(), 3);
    assert!(heard().contains(&subjects[2]));
    assert_eq!(place.server.taken()[2].header("In-Reply-To"), None, "it is the first mail of its thread");
    assert_eq!(fs::read_to_string(dir.path().join("said")).unwrap().lines().count(), heard().len(), "the program heard the same");
    assert_eq!(names(&place.spool().join("out")), 0);
}

#[test]
fn a_mail_that_is_refused_for_good_is_said_to_be_that_with_the_server_s_words_and_does_not_wait() {
    let place = Place::new("");
    let begin = now();
    place.client("web1", "expect: off\n");
    place.add(1, "web1", &refused());
    place.server.behave(Manner::Answer("RCPT", "550 nobody here"));
    for quarter in 0..9 {
        let (done, _) = place.pass(begin + TimeDelta::minutes(quarter * 15), u64::MAX);
        // The mail about that is refused, too.
        assert_eq!((done.sent, done.waiting, done.refused), (0, 0, if quarter < 5 { 1 } else { 2 }), "{quarter}: {done:?}");
    }
    let what = |kind| states::of(&place.site()).lasting().find(|state| state.kind == kind).map(|state| state.what.clone());
    let refused = what(Kind::Undelivered);
    assert!(refused.as_ref().is_some_and(|what| what.starts_with("1 mail is refused: ") && what.contains("nobody here")), "{refused:?}");
    assert_eq!(what(Kind::Mailer), None, "nothing waits for the mailer");
    // Another one for which the server has no time.
    place.add(2, "web1", &pushed("report", "published"));
    place.server.behave(Manner::Answer("MAIL", "451 not now"));
    for quarter in 12..18 {
        let (done, _) = place.pass(begin + TimeDelta::minutes(quarter * 15), u64::MAX);
        assert_eq!((done.waiting, done.refused), (1, 2), "{quarter}: {done:?}");
    }
    assert_eq!((what(Kind::Mailer).as_deref(), what(Kind::Undelivered)), (Some("1 mail waits"), refused), "they are two things");
    place.server.behave(Manner::Accept);
    let (done, _) = place.pass(begin + TimeDelta::hours(5), u64::MAX);
    assert_eq!((done.sent, done.waiting, done.refused), (3, 0, 0), "whoever takes it after all has it: {done:?}");
}

#[test]
fn a_recipient_who_is_refused_is_told_of_by_mail_to_others_and_mail_about_it_that_is_refused_makes_no_more() {
    let server = http::Server::plain();
    let (_dir, keys) = ways::site(server.port);
    let place = Place::new(&keys);
    let begin = now();
    place.client("web1", "expect: off\nalerts_to: [gone@example.org]\n");
    place.add(1, "web1", &refused());
    place.server.behave(Manner::RefuseRecipient("gone@", "550 nobody here"));
    for quarter in 0..9 {
        let _ = place.pass(begin + TimeDelta::minutes(quarter * 15), u64::MAX);
    }
    let subjects = place.subjects();
    let begins = "[snapgate] the server: mail refused: 1 mail is refused: ";
    assert!(subjects.len() == 1 && subjects[0].starts_with(begins) && subjects[0].contains("nobody here"), "{subjects:?}");
    assert_eq!(place.server.taken()[0].to, ["RCPT TO:<root@example.org>"]);
    assert!(ways::summaries(&server.seen()).contains(&subjects[0]));
    // From now on nobody's mail is taken, for two months.
    place.server.behave(Manner::Answer("RCPT", "550 nobody here"));
    for hours in (3..24 * 60).step_by(6) {
        let _ = place.pass(begin + TimeDelta::hours(hours), u64::MAX);
    }
    assert_eq!(states::of(&place.site()).lasting().count(), 0);
    // The first one, two that remind of it in the five days in which it is tried again, and one that says it is over.
    let dead = fs::read_dir(place.spool().join("dead")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!((dead.filter(|name| name.ends_with(".why")).count(), names(&place.spool().join("out"))), (4, 0));
}

#[test]
fn an_account_cannot_say_that_a_mail_has_waited_for_longer_than_it_is_there() {
    let place = Place::new("");
    place.client("web1", "");
    place.watch(now());
    place.server.behave(Manner::Answer("MAIL", "451 not now"));
    let json = serde_json::json!({
        "seq": 0, "created": "2001-01-01T00:00:00Z", "audience": "alerts", "events": 1, "subject": "forged", "body": "x\n",
    });
    let path = place.spool().join("out/000000000000.json");
    fs::write(&path, json.to_string()).unwrap();
    // The account may set this one.
    fs::File::options().write(true).open(&path).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let state = place.spool().join("state.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replacen("\"next\":0", "\"next\":1", 1)).unwrap();
    let is_down = || states::of(&place.site()).lasting().find(|state| state.kind == Kind::Mailer).map(|state| state.since);
    let begin = now();
    for quarter in 1..3 {
        assert!(place.pass(begin + TimeDelta::minutes(quarter * 15), u64::MAX).0.waiting > 0);
        assert_eq!(is_down(), None);
    }
    for quarter in 3..12 {
        let _ = place.pass(begin + TimeDelta::minutes(quarter * 15), u64::MAX);
    }
    assert!(is_down().is_some_and(|since| since > begin - TimeDelta::hours(1)), "it has really waited for hours");
}

#[test]
fn a_spool_sends_no_mail_to_whom_a_policy_of_another_account_names() {
    let place = Place::new("");
    place.client("web1", "alerts_to: [jane@example.org]\n");
    fs::write(place.config().join("policies/other.yaml"), "user: daemon\nalerts_to: [victim@example.org]\n").unwrap();
    place.watch(now());
    for (number, client) in [(0, "web1"), (1, "other"), (2, "gone")] {
        let json = serde_json::json!({
            "seq": number, "created": now(), "audience": "alerts", "events": 1, "subject": client, "body": "x\n", "client": client,
            "thread": {"root": "x>\r\nBcc: victim@example.org", "begins": true},
        });
        let _ = serde_json::from_value::<ComposedMail>(json.clone()).unwrap();
        let path = place.spool().join(format!("out/{number:012}.json"));
        fs::write(path, json.to_string()).unwrap();
    }
    // The numbers have to be given out, or these mails never happened.
    let state = place.spool().join("state.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replacen("\"next\":0", "\"next\":3", 1)).unwrap();
    place.watch(now());
    let to: Vec<_> = place.server.taken().iter().map(|mail| (subject(mail), mail.to.concat())).collect();
    let root = "RCPT TO:<root@example.org>".to_owned();
    // Root's own spool speaks for everybody.
    let other = if me().uid == 0 { "RCPT TO:<victim@example.org>".to_owned() } else { root.clone() };
    let jane = "RCPT TO:<jane@example.org>".to_owned();
    let told = [("web1", jane), ("other", other), ("gone", root)].map(|(client, to)| (format!("[snapgate] {client}"), to));
    assert_eq!(to, told);
    assert!(place.server.taken().iter().all(|mail| !mail.data.contains("Bcc")));
}

impl Place {
    /// Has the ledger say that these were pushed.
    fn record(&self, name: &str, times: impl Iterator<Item = DateTime<Utc>>) {
        let mut times: Vec<_> = times.collect();
        times.sort();
        let state = self.dir.path().join("store").join(name).join(".snapgate");
        fs::create_dir_all(&state).unwrap();
        let line = |at: &DateTime<Utc>| {
            let event = serde_json::json!({
                "version": 1, "id": at.format("%Y%m%dT%H%M%S%6fZ-1-0").to_string(), "at": at, "account": me().name, "client": name,
                "kind": "push", "mail": "none", "result": "published", "exit": 0, "seconds": 1.5, "rsync_exit": 0, "files": 3,
                "linked": 2, "received": 1, "bytes": 300, "received_bytes": 100,
                "snapshot": at.format("%Y-%m-%dT%H-%M-%SZ").to_string(),
            });
            format!("{event}\n")
        };
        fs::write(state.join("ledger.jsonl"), times.iter().map(line).collect::<String>()).unwrap();
    }

    /// Adds to the ledger that the client connected then, and what became of that.
    fn visited(&self, name: &str, result: &str, times: impl Iterator<Item = DateTime<Utc>>) {
        let mut times: Vec<_> = times.collect();
        times.sort();
        let state = self.dir.path().join("store").join(name).join(".snapgate");
        fs::create_dir_all(&state).unwrap();
        let line = |at: &DateTime<Utc>| {
            let event = serde_json::json!({
                "version": 1, "id": at.format("%Y%m%dT%H%M%S%6fZ-2-0").to_string(), "at": at, "account": me().name, "client": name,
                "kind": "connection", "mail": "none", "result": result, "exit": 0, "address": "203.0.113.9", "command": "list",
            });
            format!("{event}\n")
        };
        fs::write(state.join("ledger.jsonl"), times.iter().map(line).collect::<String>()).unwrap();
    }
}
