//! The digest, read as whoever gets it.

use chrono::TimeDelta;

use super::*;
use crate::decide::speak::message::samples;
use crate::terms::limits::{MAX_DIGEST_ROWS, PUSH_BARS};
use crate::terms::{Event, Outcome};

fn now() -> DateTime<Utc> {
    "2026-11-28T07:00:00Z".parse().unwrap()
}

fn client(name: &str) -> Client {
    Client {
        name: name.parse().unwrap(),
        to: Vec::new(),
        newest: Some(now() - TimeDelta::hours(3)),
        used: Some(10 << 30),
        before: Some(9 << 30),
        quota: None,
        warn: 80,
        trash: 0,
        upkeep: Vec::new(),
        lasting: Vec::new(),
        late: None,
        frozen: false,
        problem: None,
        seen: Seen::default(),
    }
}

fn facts(clients: Vec<Client>) -> Facts {
    Facts {
        here: "backup".to_owned(),
        now: now(),
        span: Span { since: now() - TimeDelta::days(1), until: now() },
        due: Some(now()),
        skipped: 0,
        set_back: false,
        digest: Digest::USUAL,
        zone: Zone::utc(),
        clients,
        apart: Vec::new(),
        lasting: Vec::new(),
        unread: Vec::new(),
        points: Vec::new(),
    }
}

fn first(facts: &Facts) -> (String, String) {
    let Letter { subject, body, .. } = letters(facts).remove(0);
    (subject.as_str().strip_prefix("[snapgate] digest 2026-11-28: ").unwrap().to_owned(), body)
}

#[test]
fn a_subject_says_at_once_whether_somebody_has_to_look_and_at_whom() {
    let missed =
        |name: &str| Client { lasting: vec![(Kind::Missed, now() - TimeDelta::days(2), "no snapshot".to_owned())], ..client(name) };
    let subject = |clients: Vec<Client>| first(&facts(clients)).0;
    assert_eq!(subject(Vec::new()), "no client yet");
    assert_eq!(subject(vec![client("web1")]), "all is well with 1 client");
    assert_eq!(subject(vec![client("web1"), missed("web2")]), "1 of 2 clients needs you: web2");
    assert_eq!(subject(["a", "b", "c", "d"].map(missed).to_vec()), "4 of 4 clients need you");
    let mut of_server = facts(vec![client("web1")]);
    of_server.lasting = vec![(Kind::Mailer, now() - TimeDelta::hours(3), "3 mails wait".to_owned())];
    let (subject, body) = first(&of_server);
    assert_eq!(subject, "this server needs you");
    assert!(body.contains("  this server  mailer down: 3 mails wait  for 3 hours"), "{body}");
}

#[test]
fn what_is_too_much_for_a_page_is_counted_and_where_it_stands_is_said() {
    let many: Vec<_> =
        (0..MAX_DIGEST_ROWS + 5).map(|number| Client { problem: Some("gone".to_owned()), ..client(&format!("web{number}")) }).collect();
    let (_, body) = first(&facts(many));
    assert!(body.contains("and 5 more: `snapgate status`"), "{body}");
    let to = |number: usize| vec![format!("{number:04}@example.org")];
    let lists: Vec<_> = (0..MAX_DIGESTS + 2).map(|number| Client { to: to(number), ..client(&format!("web{number}")) }).collect();
    let letters = letters(&facts(lists));
    assert_eq!(letters.len(), 1 + MAX_DIGESTS);
    let whole = letters[0].body.replace('\n', " ");
    assert!(
        whole.contains("100 lists of addresses in `reports_to:`, which have a digest of their own; 2 other lists have none"),
        "{whole}"
    );
    assert!(letters[1..].iter().all(|letter| letter.page.title.contains("backup") && letter.client.is_some()));
}

#[test]
fn what_is_due_and_how_clients_have_grown_is_told() {
    let late = Client {
        late: Some((now() - TimeDelta::hours(1), now() + TimeDelta::hours(1))),
        upkeep: vec!["prune"],
        trash: 2,
        ..client("late")
    };
    let full = Client { quota: Some(12 << 30), used: Some(11 << 30), ..client("full") };
    let new = Client { newest: None, used: None, before: None, ..client("new") };
    let smaller = Client { used: Some(4 << 30), ..client("smaller") };
    let ice = Client { frozen: true, ..client("ice") };
    let (_, body) = first(&facts(vec![late, full, new, smaller, ice]));
    for said in [
        "Upkeep, which `snapgate maintain` does by itself: prune for 1 client.",
        "2 removed snapshots wait in the trash, to be freed after `trash_grace:`.",
        "late    its next snapshot is late",
        "expected Sat 2026-11-28 06:00, missed from",
        "91 % of its quota of 12 GiB are used",
        "it has no snapshot yet",
        "it is frozen, so nothing is expected of it",
        "Together the clients hold 35 GiB.",
        "Those that were here at the last digest: -1 GiB.",
        "full      +2 GiB  11 GiB",
    ] {
        assert!(body.contains(said), "{said}: {body}");
    }
    assert!(body.lines().all(|line| !line.contains("smaller  ") || !line.contains('+')), "what shrank has not grown: {body}");
}

#[test]
fn the_ten_largest_are_the_ten_that_hold_most_with_the_largest_first() {
    // In no order: 3, 6, 9, 12, 2, 5, 8, 11, 1, 4, 7 and 10 GiB, 78 together.
    let holding = |place: u64| Client { used: Some((place * 3 % 13) << 30), ..client(&format!("holds{}", place * 3 % 13)) };
    let all: Vec<_> = (1..=12).map(holding).chain([Client { used: None, ..client("new") }]).collect();
    let listed = |clients: &[Client]| {
        let (_, body) = first(&facts(clients.to_vec()));
        let rows = body.split("The ten largest").nth(1).unwrap_or_default().lines().filter(|line| line.starts_with("  holds"));
        rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    let rows = listed(&all);
    assert_eq!(rows.iter().map(|row| row.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>(), {
        (3..=12).rev().map(|held| format!("holds{held}")).collect::<Vec<_>>()
    });
    assert_eq!(rows.first().unwrap(), "holds12 12 GiB 15 %");
    assert_eq!(rows.last().unwrap(), "holds3 3 GiB 3 %");
    // Where all of them have room, there are no ten.
    assert_eq!(listed(&all[..10]), Vec::<String>::new());
    assert!(first(&facts(all[..10].to_vec())).1.contains("By size"));
}

#[test]
fn a_push_belongs_to_the_time_in_which_it_ended() {
    let span = |since: i64, until: i64| Span { since: now() + TimeDelta::hours(since), until: now() + TimeDelta::hours(until) };
    let pushed = |minutes: i64, seconds: f64| {
        let mut event: Event = samples::published();
        event.at = now() + TimeDelta::minutes(minutes);
        if let Some((connection, Some(push), _)) = event.body.visit_mut() {
            connection.result = Outcome::Published;
            push.seconds = seconds;
        }
        event
    };
    let seen = |event: &Event, span: &Span| {
        let mut seen = Seen::default();
        seen.add(event, span, false);
        seen
    };
    // It began before seven, and ended after.
    let event = pushed(-10, 1200.0);
    assert_eq!((seen(&event, &span(-24, 0)).snapshots, seen(&event, &span(0, 24)).snapshots), (0, 1));
    // What a ledger of a hostile account says lasts however long.
    for seconds in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        let seen = seen(&pushed(-10, seconds), &span(-24, 0));
        assert_eq!((seen.snapshots, seen.bars.len(), seen.bars[PUSH_BARS - 1].good), (1, PUSH_BARS, 1), "{seconds}");
    }
}

#[test]
fn its_html_escapes_all_and_fetches_nothing() {
    let evil = "<img src=x onerror=alert(1)>\"'&".to_owned();
    let mut facts = facts(vec![Client { problem: Some(evil.clone()), ..client("web1") }]);
    (facts.here, facts.unread) = (evil.clone(), vec![evil]);
    facts.points = vec![Point { at: now() - TimeDelta::days(1), used: 1 }, Point { at: now(), used: 2 }];
    let page = letters(&facts).remove(0).page;
    let html = html(&page, &|number| format!("cid:{number}\" onload=\"x"));
    assert_eq!(html.matches("<img ").count(), 1, "{html}");
    assert!(
        html.contains("src=\"cid:3&quot; onload=&quot;x\"") && html.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"),
        "{html}"
    );
    assert!(!html.contains("://") && !html.contains("<script"), "{html}");
}
