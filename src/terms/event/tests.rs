//! Events as they are written and read, those of other versions, and those of a hostile account.

use serde_json::{Value, json};

use super::*;
use crate::decide::speak::message::samples::{connection, failure, pruned, published, pushing, refusal, unknown, with};
use crate::terms::Usage;
use crate::terms::limits::{MAX_EVENT, MAX_KIND, MAX_QUOTED, MAX_REPORTED_SNAPSHOTS, MAX_REPORTED_TEXT, MAX_SPOOL_NAME};
use crate::terms::text::ELLIPSIS;

/// A pull.
fn restored() -> Event {
    let facts =
        RestoreFacts { snapshots: vec!["a".to_owned()], paths: vec!["a/b".to_owned()], sent_bytes: Some(7), ..RestoreFacts::default() };
    Event { body: Body::of(connection(&refusal()).clone(), None, Some(facts)), ..refusal() }
}

fn read(value: &Value) -> serde_json::Result<Event> {
    serde_json::from_str(&value.to_string())
}

fn changed(event: &Event, changes: Value) -> Value {
    let mut value = serde_json::to_value(event).unwrap();
    for (key, new) in changes.as_object().unwrap() {
        value[key] = new.clone();
    }
    value
}

fn says(event: &Event) -> &Unknown {
    let View::Unknown(unknown) = event.view() else { panic!("{event:?}") };
    unknown
}

#[test]
fn every_kind_comes_back_as_it_was_on_a_line_that_says_what_every_event_says() {
    let of = |deed| Event { body: Body::Upkeep(deed, Box::new(Upkeep::of("done".to_owned(), ["a"]))), ..pruned() };
    let all = [refusal(), failure(), published(), restored(), pruned(), unknown()].into_iter().chain(Deed::ALL.map(of));
    let all: Vec<Event> = all.collect();
    assert!(Deed::ALL.iter().all(|deed| Kind::read(deed.as_str()).is_none()), "one word means one kind");
    for kind in Kind::ALL {
        assert!(all.iter().any(|event| event.kind() == kind.as_str()), "no sample of `{kind}`");
    }
    for event in all {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
        assert!(line.starts_with(&format!(r#"{{"version":1,"kind":"{}","id":""#, event.kind())) && !line.contains('\n'), "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["summary"], event.summary());
        assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event, "as a part of something else, too");
    }
}

#[test]
fn what_only_a_push_has_stands_on_no_other_line() {
    let value = |event: &Event| serde_json::to_value(event).unwrap();
    let push = value(&published());
    assert_eq!((&push["result"], &push["snapshot"], &push["files"]), (&json!("published"), &json!("2026-11-21T02-00-00Z"), &json!(5120)));
    for field in ["snapshot", "files", "seconds", "received_bytes"] {
        assert!(value(&refusal()).get(field).is_none(), "{field}");
    }
    let keys: Vec<_> = value(&unknown()).as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["account", "at", "client", "id", "kind", "mail", "summary", "version"]);
}

#[test]
fn a_line_says_what_held_rsync() {
    for (jail, word) in [(Jail::Whole, Value::Null), (Jail::WithoutNamespaces, json!("without-namespaces")), (Jail::Off, json!("off"))] {
        let event = with(refusal(), |on| on.jail = jail);
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!((value["jail"].clone(), connection(&read(&value).unwrap()).jail), (word, jail));
    }
}

#[test]
fn what_is_of_another_kind_or_version_or_has_unknown_words_is_passed_through() {
    let cases = [
        json!({"kind": "mirror", "removed": ["a", "b"], "nested": {"result": 7}}),
        json!({"kind": "push"}),
        json!({"version": 2}),
        json!({"version": 2, "result": {"was": "refused"}}),
        json!({"result": "teleported"}),
        json!({"reasons": [{"code": "weather", "says": "no", "detail": "no"}]}),
        json!({"verb": "divine"}),
        json!({"jail": "some"}),
        json!({"jail": null}),
        json!({"mail": "pigeon"}),
        json!({"client": "no client"}),
        json!({"unjailed": true, "jail": 7}),
    ];
    for changes in cases {
        let value = changed(&refusal(), changes.clone());
        let event = read(&value).unwrap_or_else(|error| panic!("{changes}: {error}"));
        let unknown = says(&event);
        assert_eq!((json!(unknown.version), json!(unknown.kind)), (value["version"].clone(), value["kind"].clone()), "{changes}");
        assert_eq!((unknown.summary.as_str(), event.at), ("refused (window)", refusal().at), "{changes}");
        assert_eq!((event.who(), event.mail), (if changes["client"].is_null() { "web1" } else { "account web1" }.to_owned(), Mail::Alert));
        assert_eq!(read(&serde_json::to_value(&event).unwrap()).unwrap(), event, "{changes}");
    }
    let least = read(&json!({"version": 3, "kind": "mirror", "id": "1", "at": "2026-11-21T02:00:00Z"})).unwrap();
    assert_eq!((least.mail, least.who().as_str(), least.summary().as_str()), (Mail::Alert, "account ", ""));
}

#[test]
fn fields_of_a_later_version_that_change_nothing_are_left_out() {
    assert_eq!(read(&changed(&published(), json!({"checksum": "x", "weather": [1, 2]}))).unwrap(), published());
}

#[test]
fn what_is_no_event_is_none() {
    let long = "k".repeat(MAX_KIND + 1);
    let cases = [
        json!({"version": 0}),
        json!({"version": -1}),
        json!({"version": "1"}),
        json!({"version": 1_u64 << 32}),
        json!({"version": null}),
        json!({"kind": ""}),
        json!({"kind": "a b"}),
        json!({"kind": "Push"}),
        json!({"kind": "push\n"}),
        json!({"kind": "\u{202e}"}),
        json!({"kind": long}),
        json!({"kind": 1}),
        json!({"id": 1}),
        json!({"at": "yesterday"}),
        json!({"at": 5}),
        json!({"account": []}),
    ];
    for changes in cases {
        assert!(read(&changed(&refusal(), changes.clone())).is_err(), "{changes}");
    }
    for text in ["", "{", "null", "[]", "{}", "7", "\"x\"", r#"{"version":1,"version":1,"kind":"x","id":"1","at":"2026-11-21T02:00:00Z"}"#]
    {
        assert!(serde_json::from_str::<Event>(text).is_err(), "{text}");
    }
}

#[test]
fn what_a_hostile_account_writes_for_a_later_version_is_printable_and_short() {
    let forged = "\u{1b}[2J\r\nBcc: x\u{202e}".to_owned() + &"é\n".repeat(1 << 16);
    let value = changed(&refusal(), json!({"kind": "x", "id": forged, "account": forged, "summary": forged, "client": forged}));
    let event = read(&value).unwrap();
    for (text, most) in [(&event.id, MAX_SPOOL_NAME), (&event.account, MAX_QUOTED), (&says(&event).summary, MAX_REPORTED_TEXT)] {
        assert!(!text.chars().any(|one| one.is_control() || one == '\u{202e}') && text.len() <= most + ELLIPSIS.len(), "{text}");
    }
    // Ids are remembered, of known kinds as well.
    let event = read(&changed(&refusal(), json!({"id": "x".repeat(200_000)}))).unwrap();
    assert!(event.id.len() <= MAX_SPOOL_NAME + ELLIPSIS.len(), "{}", event.id.len());
    let deep = format!(r#"{{"version":1,"kind":"x","id":"1","at":"2026-11-21T02:00:00Z","x":{}}}"#, "[".repeat(1 << 17));
    assert!(serde_json::from_str::<Event>(&deep).is_err());
}

proptest::proptest! {
    #[test]
    fn any_figures_and_texts_come_back(figures in proptest::array::uniform6(0_u64..), text in ".{0,200}", quarters: u32, some: bool) {
        let event = pushing(published(), |push| {
            (push.files, push.linked, push.received, push.carried, push.bytes, push.received_bytes) = figures.into();
            (push.seconds, push.partial, push.kept) = (f64::from(quarters) / 4.0, some, !some);
            push.place = some.then(|| text.clone());
        });
        let event = with(event, |on| (on.command, on.warnings, on.passing) = (text.clone(), vec![text.clone()], some));
        for event in [event.clone(), Event { body: Body::of(connection(&event).clone(), None, None), ..event }] {
            let line = serde_json::to_string(&event).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
            proptest::prop_assert!(!line.contains('\n'));
        }
    }
}

#[test]
fn what_was_done_to_history_reads_as_it_was_written_and_nothing_in_it_is_long_or_moves_a_cursor() {
    let upkeep = Upkeep {
        why: "the policy's `keep:`".to_owned(),
        freed: Some(Usage { bytes: 4096, inodes: 3 }),
        problems: vec!["`x`: busy".to_owned()],
        ..Upkeep::of("2 snapshots removed, 9 kept".to_owned(), ["a", "b"])
    };
    for deed in Deed::ALL {
        let event = Event { body: Body::Upkeep(deed, Box::new(upkeep.clone())), mail: Mail::None, ..refusal() };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(text.matches("\"summary\"").count(), 1, "{text}");
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        assert_eq!(event.summary(), "2 snapshots removed, 9 kept");
        let bare = Event { body: event.body.with(Upkeep::default()), ..event.clone() };
        assert_eq!(serde_json::from_str::<Event>(&serde_json::to_string(&bare).unwrap()).unwrap(), bare);
    }
    let many: Vec<String> = (0..MAX_REPORTED_SNAPSHOTS + 5).map(|number| number.to_string()).collect();
    let many = Upkeep::of(String::new(), many.iter().map(String::as_str));
    assert_eq!((many.snapshots.len(), many.others, many.count()), (MAX_REPORTED_SNAPSHOTS, 5, MAX_REPORTED_SNAPSHOTS as u64 + 5));
    // Whatever went wrong, the event fits into the spool, and is read as it was written.
    let problems = |many: usize| Upkeep { problems: vec!["\"".repeat(MAX_REPORTED_TEXT + 9); many], ..Upkeep::default() };
    for (many, last) in [(MAX_REPORTED_SNAPSHOTS, "\""), (MAX_REPORTED_SNAPSHOTS + 1, "and 2 more"), (5000, "and 4901 more")] {
        let event = Event { body: Body::Upkeep(Deed::Maintain, Box::new(problems(many))), mail: Mail::None, ..refusal() };
        let text = serde_json::to_string(&event).unwrap();
        assert!((text.len() as u64) < MAX_EVENT, "{}", text.len());
        let read: Event = serde_json::from_str(&text).unwrap();
        let View::Upkeep(upkeep) = read.view() else { panic!("{read:?}") };
        assert_eq!(upkeep.problems.len(), MAX_REPORTED_SNAPSHOTS);
        assert!(upkeep.problems[MAX_REPORTED_SNAPSHOTS - 1].starts_with(last), "{many}");
    }
    let hostile = json!({
        "version": 1, "kind": "prune", "id": "1", "at": "2026-11-21T02:00:00Z", "mail": "alert", "summary": "\u{1b}[2J",
        "snapshots": vec!["x".repeat(100_000); 1000], "problems": ["\nforged\u{1b}[2J\nmore"], "others": u64::MAX,
    });
    let read: Event = serde_json::from_value(hostile).unwrap();
    let View::Upkeep(upkeep) = read.view() else { panic!("{read:?}") };
    assert_eq!(upkeep.snapshots.len(), MAX_REPORTED_SNAPSHOTS);
    assert!(serde_json::to_string(&read).unwrap().len() < 1 << 20);
    assert_eq!(upkeep.problems[0], "forged\\u{1b}[2J\nmore", "its lines stay lines");
    assert!(!upkeep.happened.chars().any(char::is_control));
    assert_eq!(upkeep.count(), u64::MAX);
}
