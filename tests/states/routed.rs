//! Who gets the mails about what a gate recorded.

use chrono::Utc;
use serde_json::{Value, json};
use snapgate::act::record::spool::Spool;
use snapgate::admin::watch::run;
use snapgate::terms::Event;
use support::http;

use super::{Place, me, now, subject, ways};

impl Place {
    /// Records an event as a gate does.
    pub(super) fn add(&self, number: u32, client: &str, fields: &Value) {
        let mut event =
            json!({"version": 1, "id": format!("1795226400000000-{number:06}"), "at": Utc::now(), "account": client, "client": client});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Spool::open(&self.site().spool, me().uid).unwrap().add(&serde_json::from_value::<Event>(event).unwrap()).unwrap();
    }
}

pub(super) fn refused() -> Value {
    json!({
        "kind": "connection", "mail": "alert", "result": "refused", "exit": 77, "address": "203.0.113.9", "command": "rsync --server . .",
        "reasons": [{"code": "window", "says": "no", "detail": "no, because of the policy"}],
    })
}

pub(super) fn pushed(mail: &str, result: &str) -> Value {
    json!({
        "kind": "push", "mail": mail, "result": result, "exit": 0, "snapshot": "2026-11-21T02-00-00Z", "seconds": 1.5, "rsync_exit": 0,
        "files": 3, "linked": 2, "received": 1, "bytes": 300, "received_bytes": 100,
    })
}

#[test]
fn alerts_and_reports_of_a_client_reach_whom_its_policy_names_by_what_they_are_about() {
    let place = Place::new("");
    place.client(
        "web1",
        "alerts_to: [jane@example.org]\nreports_to: [joe@example.org]\nroutes: { refused: [security@example.org, jane@example.org] }\n",
    );
    place.client("web2", "");
    place.add(1, "web1", &refused());
    place.add(2, "web1", &pushed("report", "published"));
    place.add(3, "web1", &pushed("alert", "failed"));
    place.add(4, "web2", &refused());
    let done = run(&place.site(), false);
    assert!(done.sent == 4 && done.problems.is_empty(), "{done:?}");
    let mut got: Vec<_> = place.server.taken().iter().map(|mail| (subject(mail), mail.to.concat().replace("RCPT TO:", ""))).collect();
    got.sort();
    let got: Vec<_> = got.iter().map(|(subject, to)| (subject.as_str(), to.as_str())).collect();
    assert_eq!(
        got,
        [
            ("[snapgate] web1: failed", "<jane@example.org>"),
            ("[snapgate] web1: published 2026-11-21T02-00-00Z", "<joe@example.org>"),
            ("[snapgate] web1: refused (window)", "<security@example.org><jane@example.org>"),
            ("[snapgate] web2: refused (window)", "<root@example.org>"),
        ]
    );
}

#[test]
fn each_kind_of_alert_goes_its_own_route_and_the_webhook_has_the_same_word_for_it() {
    let server = http::Server::plain();
    let (_dir, keys) = ways::site(server.port);
    let place = Place::new(&keys);
    let kinds = ["failed", "held", "quota", "refused", "missed"];
    let routes = kinds.map(|kind| format!("{kind}: [{kind}@example.org]")).join(", ");
    place.client("web1", &format!("alerts_to: [jane@example.org]\nexpect: 24h\nroutes: {{ {routes} }}\n"));
    place.pushed("web1", now(), [99]);
    let mut held = pushed("alert", "published");
    held["held"] = json!({"why": ["half of it is gone"], "stays": true});
    let of_quota = |mut event: Value, result: &str| {
        event["result"] = result.into();
        event["reasons"] = json!([{"code": "quota", "says": "no", "detail": format!("{result}: the client's quota is used up")}]);
        event
    };
    place.add(1, "web1", &pushed("alert", "failed"));
    place.add(2, "web1", &held);
    // Refused before anything was sent, as the gate records it and as it might; and stopped half way.
    place.add(3, "web1", &of_quota(refused(), "failed"));
    place.add(4, "web1", &of_quota(refused(), "refused"));
    place.add(5, "web1", &of_quota(pushed("alert", "failed"), "failed"));
    place.add(6, "web1", &refused());
    place.watch(now());
    let mut got: Vec<_> = place.server.taken().iter().map(|mail| (mail.to.concat(), subject(mail))).collect();
    got.sort();
    let mut told: Vec<_> =
        server.seen().iter().map(|request| serde_json::from_str::<Value>(&request.body).unwrap()["kind"].clone()).collect();
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, ["failed", "held", "missed", "quota", "quota", "quota", "refused"]);
    let expected = [
        ("failed", "web1: failed"),
        ("held", "web1: published 2026-11-21T02-00-00Z, held (anomaly)"),
        ("missed", "web1: missed: no snapshot since "),
        ("quota", "web1: failed (quota)"),
        ("quota", "web1: refused (quota)"),
        ("refused", "web1: refused (window)"),
    ];
    for (to, begins) in expected {
        let to = format!("RCPT TO:<{to}@example.org>");
        assert!(got.iter().any(|(who, subject)| *who == to && subject.starts_with(&format!("[snapgate] {begins}"))), "{begins}: {got:?}");
    }
    assert!(got.iter().all(|(who, _)| !who.contains("jane")), "{got:?}");
}

#[test]
fn a_mail_about_several_clients_goes_to_the_site_s_administrator_alone() {
    let place = Place::new("");
    for name in ["web1", "web2"] {
        place.client(name, &format!("alerts_to: [{name}@example.org]\n"));
        place.add(if name == "web1" { 1 } else { 2 }, name, &refused());
    }
    let done = run(&place.site(), true);
    assert!(done.sent == 1 && done.problems.is_empty(), "{done:?}");
    let mail = &place.server.taken()[0];
    assert_eq!(
        (subject(mail).as_str(), mail.to.concat().as_str()),
        ("[snapgate] digest: 2 refusals and failures", "RCPT TO:<root@example.org>")
    );
}
