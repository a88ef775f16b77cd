//! Events that this version cannot read, and files that are none.

use std::fs;

use chrono::Utc;
use snapgate::admin::watch::run;

use support::smtp::header;

use super::{Place, refusal};

#[test]
fn what_is_no_event_stays_and_is_reported() {
    let place = Place::with_files();
    place.add(&refusal("web1", "key"));
    fs::write(place.own().join("new/0-future.json"), "{\"id\":\"0-future\",\"result\":\"teleported\"}").unwrap();
    let done = run(&place.site, false);
    assert_eq!((done.sent, done.problems.len()), (1, 1), "{done:?}");
    assert!(place.own().join("new/0-future.json").exists());
}

#[test]
fn an_event_of_another_kind_or_version_is_mailed_by_what_every_event_says() {
    let place = Place::with_files();
    place.add(&refusal("web1", "key"));
    let put = |name: &str, fields: serde_json::Value| {
        let mut event = serde_json::json!({"id": name, "at": Utc::now(), "account": "web1", "client": "web1"});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        fs::write(place.own().join(format!("new/{name}.json")), event.to_string()).unwrap();
    };
    let long = "x".repeat(200_000);
    put(
        "0-prune",
        serde_json::json!({"version": 1, "kind": "restore", "mail": "alert", "summary": "3 snapshots were removed", "removed": long}),
    );
    put("1-mirror", serde_json::json!({"version": 9, "kind": "mirror", "mail": "report", "summary": "a\r\nBcc: victim@example.org\u{1b}"}));
    put("2-push", serde_json::json!({"version": 2, "kind": "push", "mail": "pigeon", "result": {"was": "published"}}));
    put("3-none", serde_json::json!({"version": 1, "kind": "verify", "mail": "none", "summary": "all is well"}));
    let done = run(&place.site, false);
    assert_eq!((done.counted, done.sent, done.problems, place.count("new")), (5, 4, Vec::new(), 0));
    let mails = place.mails();
    assert_eq!(place.told(), 4);
    let subjects: Vec<_> = mails.iter().map(|mail| (header(mail, "To").unwrap(), header(mail, "Subject").unwrap())).collect();
    for (to, subject) in [
        ("root@example.org", "[snapgate] web1: restore: 3 snapshots were removed"),
        ("ops@example.org", "[snapgate] web1: mirror: a\\r\\nBcc: victim@example.org\\u{1b}"),
        ("root@example.org", "[snapgate] web1: push"),
        ("root@example.org", "[snapgate] web1: refused (key)"),
    ] {
        assert!(subjects.contains(&(to.to_owned(), subject.to_owned())), "{subject}: {subjects:?}");
    }
    assert!(mails.iter().all(|mail| header(mail, "Bcc").is_none() && mail.len() < 4096));
}
