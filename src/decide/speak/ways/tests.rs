//! Which ways are told what.

use std::path::Path;

use super::*;
use crate::decide::policy::read_site;
use crate::decide::speak::message::samples::{self, pushing, with};
use crate::terms::{Brake, Code, Reason, Verb};

fn site(text: &str) -> Site {
    read_site(Path::new("/s"), format!("store: /srv\n{text}").as_bytes()).unwrap()
}

const WEBHOOK: &str = "webhook: \"https://h/secret\"\n";

fn now() -> DateTime<Utc> {
    "2026-11-28T20:00:00Z".parse().unwrap()
}

fn ways(event: &Event, text: &str, pings: bool) -> Vec<Way> {
    of_event(event, &site(text), pings, now()).iter().map(|dispatch| dispatch.way).collect()
}

fn started() -> Event {
    let Event { id, at, account, client, .. } = samples::published();
    let connection = with(samples::refusal(), |on| {
        (on.result, on.reasons, on.verb) = (Outcome::Started, Vec::new(), Some(Verb::Rsync));
    });
    Event { id: id + BEGINS, at, account, client, mail: Mail::None, ..connection }
}

#[test]
fn a_ping_says_of_a_push_that_it_begins_succeeds_or_has_to_be_looked_into() {
    let said = |event: &Event| signal(event);
    assert_eq!(said(&started()), Some(Signal::Start));
    assert_eq!(said(&samples::published()), Some(Signal::Success));
    assert_eq!(said(&pushing(samples::published(), |push| push.partial = true)), Some(Signal::Fail));
    assert_eq!(said(&pushing(samples::published(), |push| push.held = Some(Brake::default()))), Some(Signal::Fail));
    assert_eq!(said(&samples::failure()), Some(Signal::Fail));
}

#[test]
fn whichever_verb_of_a_backup_comes_to_nothing_is_a_failure_before_rsync_began_too_and_no_other_is() {
    let said = |verb, result| signal(&with(samples::refusal(), |on| (on.verb, on.result) = (verb, result)));
    for verb in Verb::ALL {
        let fails = match verb {
            Verb::Prepare | Verb::Rsync | Verb::Complete => Some(Signal::Fail),
            Verb::Abort | Verb::Restore | Verb::Browse | Verb::List | Verb::History | Verb::Status | Verb::Help => None,
        };
        for result in [Outcome::Refused, Outcome::Failed, Outcome::Unpublished, Outcome::Stopped] {
            assert_eq!(said(Some(verb), result), fails, "{verb} {result}");
        }
        for result in [Outcome::Busy, Outcome::Added, Outcome::Answered] {
            assert_eq!(said(Some(verb), result), None, "{verb} {result}");
        }
    }
    assert_eq!(said(None, Outcome::Refused), None, "anybody can ask for anything");
}

#[test]
fn a_quota_is_told_as_that_by_every_way_however_the_push_ended() {
    let some = format!("{WEBHOOK}webhook_kinds: [quota]\n");
    for (event, result) in
        [(samples::refusal(), Outcome::Refused), (samples::refusal(), Outcome::Failed), (samples::failure(), Outcome::Failed)]
    {
        let event = with(event, |on| (on.result, on.reasons) = (result, vec![Reason::new(Code::Quota, "no")]));
        assert_eq!((tiding(&event), ways(&event, &some, false)), (Tiding::Quota, vec![Way::Webhook]), "{result}");
        // A stolen key makes any number of these.
        assert_eq!(room(&What::Event(Box::new(event))), MAX_COMMON_DISPATCHES);
    }
}

#[test]
fn each_way_is_told_what_it_wants_and_a_beginning_is_for_pings_alone() {
    let quiet = Event { mail: Mail::None, ..samples::published() };
    let all = format!("{WEBHOOK}exec: /usr/bin/x\n");
    assert_eq!(ways(&quiet, &all, true), [Way::Webhook, Way::Exec, Way::Ping]);
    assert_eq!(ways(&quiet, "", true), [Way::Ping]);
    assert_eq!(ways(&quiet, "", false), []);
    assert_eq!(ways(&started(), &all, true), [Way::Ping]);
    assert_eq!(ways(&started(), &all, false), []);
    let some = format!("{WEBHOOK}webhook_kinds: [failed, held]\n");
    assert_eq!(ways(&quiet, &some, false), []);
    assert_eq!(ways(&samples::failure(), &some, false), [Way::Webhook]);
    let answered = with(samples::refusal(), |on| (on.result, on.reasons) = (Outcome::Answered, Vec::<Reason>::new()));
    assert_eq!(ways(&Event { mail: Mail::None, ..answered }, &all, true), [], "nobody is told of a question");
}

#[test]
fn what_is_told_is_one_line_of_json_and_signed_with_its_time() {
    let what = What::Event(Box::new(samples::published()));
    let text = document(&what, "backup1").unwrap();
    assert!(!text.contains('\n'));
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((read["kind"].as_str(), read["host"].as_str(), read["version"].as_u64()), (Some("published"), Some("backup1"), Some(1)));
    assert_eq!(read["id"], read["event"]["id"]);
    // RFC 4231 has no case with a full stop; this is `printf '1.{}' | openssl dgst -sha256 -hmac key`.
    assert_eq!(signature(b"key", 1, "{}"), "t=1,v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224");
}

#[test]
fn a_way_that_fails_is_tried_again_after_pauses_that_grow_to_an_hour() {
    let mut troubles = Troubles::default();
    let (mut at, mut pauses) = (now(), Vec::new());
    for _ in 0..5 {
        assert!(troubles.is_due("webhook", at));
        troubles.failed("webhook", "refused", at);
        assert!(!troubles.is_due("webhook", at) && troubles.is_due("exec", at));
        let next = troubles.of(Way::Webhook).unwrap().next;
        pauses.push((next - at).num_seconds());
        at = next;
    }
    assert_eq!(pauses, [60, 300, 900, 3600, 3600]);
    assert_eq!(troubles.of(Way::Webhook).map(|trouble| (trouble.since, trouble.tries)), Some((now(), 5)));
    assert!(troubles.is_due("webhook", at - TimeDelta::days(400)), "the clock was wrong");
    troubles.works("webhook");
    assert_eq!(troubles, Troubles::default());
    troubles.failed(&name(Way::Ping, Some(&"web1".parse().unwrap())), "404", now());
    assert_eq!(troubles.of(Way::Ping).map(|trouble| trouble.why.as_str()), Some("404"));
    troubles.retain(|way| way != "ping:web1");
    assert_eq!(troubles, Troubles::default());
}

#[test]
fn what_a_stolen_key_makes_at_will_leaves_room_for_what_gives_it_away() {
    let room = |event: Event| room(&What::Event(Box::new(event)));
    let held = pushing(samples::published(), |push| push.held = Some(Brake::default()));
    let rooms = [room(samples::refusal()), room(started()), room(samples::failure()), room(samples::published()), room(held)];
    assert!(rooms.is_sorted() && rooms[0] == rooms[1] && rooms[1] < rooms[2] && rooms[3] < rooms[4], "{rooms:?}");
    assert!(rooms[0] * 2 <= rooms[4]);
}

#[test]
fn what_one_account_met_is_told_of_where_nothing_is_known_of_all() {
    let mut troubles = Troubles::default();
    troubles.failed(&of_account(7, "webhook"), "its own", now());
    assert_eq!(troubles.of(Way::Webhook).map(|trouble| trouble.why.as_str()), Some("its own"));
    assert!(troubles.has_any(7) && !troubles.has_any(70) && troubles.of(Way::Exec).is_none());
    troubles.failed("webhook", "of all", now());
    assert_eq!(troubles.of(Way::Webhook).map(|trouble| trouble.why.as_str()), Some("of all"));
}
