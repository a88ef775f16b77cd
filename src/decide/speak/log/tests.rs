use super::*;
use crate::decide::speak::message::samples::{self, with};
use crate::terms::{Zone, ZoneName};

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn madrid() -> Zone {
    let bytes = std::fs::read("/usr/share/zoneinfo/Europe/Madrid").unwrap();
    Zone::from_tzif(ZoneName::new("Europe/Madrid").unwrap(), &bytes).unwrap()
}

#[test]
fn each_event_is_one_line_of_plain_words() {
    assert_eq!(
        line(&samples::refusal()),
        "refused rsync from 203.0.113.9: pushes are allowed mon-fri 22:00-06:00 Europe/Madrid (code window)"
    );
    let published = line(&samples::published());
    assert!(published.starts_with("published 2026-11-21T02-00-00Z, 5120 files, 12 new ("), "{published}");
    assert_eq!(line(&samples::pruned()), "prune: 2 snapshots gone for good");
    assert_eq!(line(&samples::unknown()), "mirror: 3 snapshots were restored");
}

#[test]
fn no_ledger_moves_a_cursor_or_makes_a_second_line() {
    let hostile = "a\nb\u{1b}[2J\u{202e}\u{9b}".repeat(1000);
    let event = with(samples::refusal(), |on| {
        on.reasons[0].detail.clone_from(&hostile);
        on.reasons[0].detail.insert_str(0, "\u{1b}[31m");
        (on.command, on.warnings) = (hostile.clone(), vec![hostile.clone(); 50]);
    });
    let said = line(&event);
    assert!(said.len() < 2000 && !said.chars().any(|one| one.is_control() || one == '\u{202e}'), "{said}");
    let details = details(&event);
    assert!(details.len() <= 100, "{}", details.len());
    assert!(details.iter().all(|detail| detail.len() < 1100 && !detail.chars().any(|one| one.is_control() || one == '\u{202e}')));
    let json = serde_json::to_string(&event).unwrap();
    let escaped = escaped(&json);
    assert!(!escaped.chars().any(|one| one.is_control() || one == '\u{202e}'));
    let (one, other): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&json).unwrap(), serde_json::from_str(&escaped).unwrap());
    assert_eq!(one, other);
}

#[test]
fn what_is_asked_for_is_found_by_any_of_its_words() {
    let (refusal, published, pruned) = (samples::refusal(), samples::published(), samples::pruned());
    let found = |wanted: &Wanted| [&refusal, &published, &pruned].map(|event| wanted.has(event));
    assert_eq!(found(&Wanted::default()), [true; 3]);
    assert_eq!(found(&Wanted { codes: vec![Code::Window, Code::Key], ..Wanted::default() }), [true, false, false]);
    assert_eq!(found(&Wanted { verbs: vec![Verb::Rsync], ..Wanted::default() }), [true, true, false]);
    assert_eq!(found(&Wanted { ends: vec![End::read("ok").unwrap()], ..Wanted::default() }), [false, true, false]);
    assert_eq!(found(&Wanted { ends: vec![End::read("refused").unwrap()], ..Wanted::default() }), [true, false, false]);
    assert_eq!(found(&Wanted { ends: vec![End::read("failed").unwrap()], ..Wanted::default() }), [false, false, true], "it has a problem");
    assert_eq!(found(&Wanted { ends: vec![End::read("published").unwrap()], ..Wanted::default() }), [false, true, false]);
    let at = refusal.at;
    assert!(found(&Wanted { since: Some(at), ..Wanted::default() })[0]);
    assert!(!found(&Wanted { until: Some(at), ..Wanted::default() })[0]);
    assert!(End::read("wrong").unwrap_err().contains("ok, refused or failed"));
    assert_eq!(code("windw").unwrap_err(), "did you mean `window`?");
    assert!(verb("nothing-like-it").unwrap_err().contains("prepare, rsync"));
}

#[test]
fn a_time_is_what_the_zone_s_clocks_show() {
    let (zone, now) = (madrid(), utc("2026-11-21T02:30:00Z"));
    let since = |text: &str| moment(text, Edge::Since, now, &zone).unwrap();
    assert_eq!(since("2026-11-20"), utc("2026-11-19T23:00:00Z"));
    assert_eq!(moment("2026-11-20", Edge::Until, now, &zone).unwrap(), utc("2026-11-20T23:00:00Z"), "that day is in it");
    assert_eq!(since("2026-11-20T03:00"), utc("2026-11-20T02:00:00Z"));
    assert_eq!(since("2026-11-20 03:00:10"), utc("2026-11-20T02:00:10Z"));
    assert_eq!(since("2026-11-20T03:00:00+09:00"), utc("2026-11-19T18:00:00Z"));
    assert_eq!(
        (since("90min"), since("2h"), since("@1w")),
        (utc("2026-11-21T01:00:00Z"), utc("2026-11-21T00:30:00Z"), utc("2026-11-14T02:30:00Z"))
    );
    assert_eq!((since("today"), since("yesterday")), (utc("2026-11-20T23:00:00Z"), utc("2026-11-19T23:00:00Z")));
    // Clocks go from 02:00 to 03:00.
    assert_eq!(since("2026-03-29T02:30"), utc("2026-03-29T01:30:00Z"));
    for wrong in ["", "d", "-1d", "+1d", "2026-13-01", "soon", "99999999999999999999d", "9223372036854775807w"] {
        assert!(moment(wrong, Edge::Since, now, &zone).unwrap_err().contains("is not a time\nwrite "), "{wrong}");
    }
    assert_eq!(time(now, &zone), "2026-11-21 03:30:00 +01:00");
    assert_eq!(time(now, &Zone::utc()), "2026-11-21 02:30:00 UTC");
}
