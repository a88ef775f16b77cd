//! Which mails are due, against a clock of numbers.

use chrono::TimeDelta;

use super::*;
use crate::decide::speak::message::samples::{self, connection, with};
use crate::terms::limits::{
    ALERTS_IN_SPAN, FAILURES_IN_SPAN, MAX_FAILURE_GROUPS, MAX_GROUPS, MAX_HOOK_LINES, MAX_PASSING_GROUPS, MAX_REPORTED_HOOKS,
};
use crate::terms::{Code, FailedHook, Outcome, Peer};

fn at(seconds: i64) -> DateTime<Utc> {
    samples::refusal().at + TimeDelta::seconds(seconds)
}

fn refusal(seconds: i64, address: u32, code: Code) -> Event {
    let refusal = with(samples::refusal(), |on| {
        on.address = Some(Peer::from(std::net::IpAddr::from(std::net::Ipv4Addr::from(address))));
        on.reasons[0].code = code;
    });
    Event { at: at(seconds), ..refusal }
}

fn ended(event: Event, result: Outcome) -> Event {
    with(event, |on| on.result = result)
}

/// A spool whose every pass is written down.
struct Story {
    state: State,
    mails: Vec<Draft>,
    events: u64,
}

impl Story {
    fn new() -> Self {
        Self { state: State::default(), mails: Vec::new(), events: 0 }
    }

    fn pass(&mut self, now: i64, records: Vec<Event>, alerts: Alerts) -> usize {
        let news = records.into_iter().enumerate().map(|(index, record)| (format!("{now}-{index}"), record)).collect::<Vec<_>>();
        self.events += news.iter().filter(|(_, record)| record.mail != Mail::None).count() as u64;
        // The state goes through its file each time.
        let json = serde_json::to_string(&self.state).unwrap();
        let (state, drafts) = step(serde_json::from_str(&json).unwrap(), news, at(now), alerts);
        self.state = state;
        let count = drafts.len();
        self.mails.extend(drafts);
        count
    }

    fn reported(&self) -> u64 {
        self.mails.iter().map(Draft::events).sum()
    }
}

#[test]
fn a_thousand_refusals_of_one_kind_in_a_minute_are_two_mails() {
    let mut story = Story::new();
    for index in 0..1000 {
        story.pass(index * 60 / 1000, vec![refusal(index * 60 / 1000, 1, Code::Window)], Alerts::Due);
    }
    assert_eq!(story.mails.len(), 1, "the first at once, then silence");
    story.pass(61, Vec::new(), Alerts::Flush);
    assert_eq!((story.mails.len(), story.reported()), (2, 1000));
    assert_eq!(story.pass(62, Vec::new(), Alerts::Flush), 0, "nothing is left to tell");
}

#[test]
fn a_thousand_refusals_of_every_kind_in_a_minute_are_five_mails_that_add_up() {
    let mut story = Story::new();
    for first in (0..1000_u32).step_by(4) {
        let now = i64::from(first) * 60 / 1000;
        let kind = |index| refusal(now, index, Code::ALL[index as usize % Code::ALL.len()]);
        story.pass(now, (first..first + 4).map(kind).collect(), Alerts::Due);
    }
    assert_eq!(story.mails.len(), ALERTS_IN_SPAN);
    story.pass(61, Vec::new(), Alerts::Flush);
    assert_eq!((story.mails.len(), story.reported()), (5, 1000));
    let About::Alert(sections) = &story.mails[4].about else { panic!("a digest") };
    assert!(sections.len() <= MAX_GROUPS + 1);
}

#[test]
fn refusals_without_end_keep_no_failed_backup_waiting() {
    let mut story = Story::new();
    for index in 0..1000_u32 {
        story.pass(i64::from(index) * 60 / 1000, vec![refusal(0, index, Code::ALL[index as usize % Code::ALL.len()])], Alerts::Due);
    }
    assert_eq!(story.mails.len(), ALERTS_IN_SPAN, "refusals have spent theirs, and every group of theirs");
    let failure = |address: u32, code| ended(refusal(61, address, code), Outcome::Failed);
    for address in 1..=4 {
        assert_eq!(story.pass(61, vec![failure(address, Code::Store)], Alerts::Due), 1, "failure {address} is told at once");
        let About::Alert(sections) = &story.mails.last().unwrap().about else { panic!("an alert") };
        assert!(sections.len() == 1 && sections[0].key.as_ref().unwrap().code == Some(Code::Store), "and alone: {sections:?}");
    }
    assert_eq!(story.pass(62, (0..100).map(|address| failure(address, Code::Hook)).collect(), Alerts::Due), 0, "bounded, too");
    story.pass(63, Vec::new(), Alerts::Flush);
    assert_eq!(story.reported(), 1104);
}

#[test]
fn a_thousand_that_were_found_at_once_are_one_digest() {
    let mut story = Story::new();
    let all = (0..1000).map(|index| refusal(0, index, Code::Key)).collect();
    story.pass(0, all, Alerts::Due);
    assert_eq!((story.mails.len(), story.reported()), (1, 1000));
}

#[test]
fn the_quiet_is_five_minutes_and_then_an_hour_while_it_goes_on() {
    let mut story = Story::new();
    let mut told_at = Vec::new();
    for minute in 0..200 {
        if story.pass(minute * 60, vec![refusal(minute * 60, 1, Code::Window)], Alerts::Due) > 0 {
            told_at.push(minute);
        }
    }
    assert_eq!(told_at, [0, 5, 65, 125, 185]);
}

#[test]
fn what_was_silent_for_an_hour_is_new_again() {
    let mut story = Story::new();
    for (minute, mails) in [(0, 1), (3, 0), (6, 1), (8, 0), (9, 0), (69, 1), (130, 1)] {
        assert_eq!(story.pass(minute * 60, vec![refusal(minute * 60, 1, Code::Window)], Alerts::Due), mails, "minute {minute}");
    }
    story.pass(200 * 60, Vec::new(), Alerts::Due);
    assert!(story.state.groups.is_empty());
}

#[test]
fn a_pass_without_events_tells_what_was_counted_once_the_quiet_is_over() {
    let mut story = Story::new();
    story.pass(0, vec![refusal(0, 1, Code::Window)], Alerts::Due);
    story.pass(1, vec![refusal(1, 1, Code::Window); 3], Alerts::Due);
    assert_eq!(story.pass(299, Vec::new(), Alerts::Due), 0);
    assert_eq!(story.pass(300, Vec::new(), Alerts::Due), 1);
    let About::Alert(sections) = &story.mails[1].about else { panic!("an alert") };
    assert_eq!((sections[0].pending, sections[0].reported, sections[0].first, sections[0].last), (3, 1, at(1), at(1)));
}

#[test]
fn while_the_mailer_is_down_counts_grow_and_mails_do_not() {
    let mut story = Story::new();
    for minute in 0..300 {
        assert_eq!(story.pass(minute * 60, vec![refusal(minute * 60, 1, Code::Window)], Alerts::Hold), 0);
    }
    assert_eq!(story.pass(301 * 60, Vec::new(), Alerts::Due), 1);
    assert_eq!(story.reported(), 300);
}

#[test]
fn every_report_is_a_mail_of_its_own_and_what_asks_for_none_gets_none() {
    let mut story = Story::new();
    let mut silent = samples::published();
    silent.mail = Mail::None;
    assert_eq!(story.pass(0, vec![samples::published(), silent, samples::published()], Alerts::Hold), 2);
    assert_eq!((story.mails[0].seq, story.mails[1].seq, story.state.next), (0, 1, 2));
}

#[test]
fn the_memory_is_bounded_whatever_comes() {
    let mut story = Story::new();
    // All is above its limit, and not by much: the test's own memory is no small machine's.
    let hook = FailedHook { printed: vec!["\\".repeat(2000); MAX_HOOK_LINES + 1], ..samples::mirror() };
    let flood = |index| {
        with(refusal(0, index, Code::Window), |on| {
            on.command = "\u{1b}".repeat(5000);
            on.warnings = vec!["w".repeat(5000); 30];
            on.reasons = vec![on.reasons[0].clone().detail("d\n".repeat(5000)); 30];
            on.hooks = vec![hook.clone(); MAX_REPORTED_HOOKS + 1];
        })
    };
    let failures = |index| ended(flood(index), Outcome::Failed);
    let passing = |index: u32| {
        let client = Some(format!("c{index}").parse().unwrap());
        Event { client, ..with(failures(index), |on| on.passing = true) }
    };
    story.pass(0, (0..100).map(flood).chain((0..100).map(failures)).chain((0..100).map(passing)).collect(), Alerts::Hold);
    assert_eq!(story.state.groups.len(), MAX_GROUPS + MAX_FAILURE_GROUPS + MAX_PASSING_GROUPS + 3);
    let size = serde_json::to_vec(&story.state).unwrap().len() as u64;
    assert!(size * u64::try_from(MAX_SAMPLES).unwrap() < crate::terms::limits::MAX_STATE, "{size}");
    story.pass(1, Vec::new(), Alerts::Flush);
    assert_eq!(story.reported(), 300);
}

#[test]
fn a_silent_group_makes_room_for_a_new_one() {
    let mut story = Story::new();
    let all = (0..64).map(|index| refusal(0, index, Code::Key)).collect();
    story.pass(0, all, Alerts::Due);
    story.pass(1, vec![refusal(1, 1000, Code::Key)], Alerts::Due);
    let About::Alert(sections) = &story.mails[1].about else { panic!("an alert") };
    assert!(sections[0].key.is_some());
}

#[test]
fn a_clock_that_jumps_or_a_forged_memory_does_not_silence_the_gate() {
    let mut story = Story::new();
    story.pass(1_000_000, vec![refusal(1_000_000, 1, Code::Window)], Alerts::Due);
    // The clock is set back: the mail of the future counts as one of now.
    story.pass(0, vec![refusal(0, 1, Code::Window)], Alerts::Due);
    assert_eq!(story.pass(300, Vec::new(), Alerts::Due), 1);
    let mut forged = story.state.clone();
    forged.alerts = vec![at(10_000_000); 100_000];
    forged.failures = forged.alerts.clone();
    forged.next = u64::MAX;
    let (state, drafts) = step(forged, vec![("x".to_owned(), refusal(0, 2, Code::Key))], at(0), Alerts::Due);
    assert_eq!((drafts.len(), state.next), (1, u64::MAX));
}

fn cut_off(seconds: i64, address: u32) -> Event {
    with(refusal(seconds, address, Code::Interrupted), |on| {
        (on.result, on.passing, on.reasons[0].passing) = (Outcome::Failed, true, true);
    })
}

fn broken(seconds: i64, detail: &str) -> Event {
    with(refusal(seconds, 1, Code::Store), |on| (on.result, on.reasons[0].detail) = (Outcome::Failed, detail.to_owned()))
}

const HOUR: i64 = 3600;

#[test]
fn what_passes_by_itself_is_one_mail_a_day_and_counts_go_on() {
    let mut story = Story::new();
    let mut told_at = Vec::new();
    for hour in 0..72 {
        // A laptop comes from everywhere.
        if story.pass(hour * HOUR, vec![cut_off(hour * HOUR, u32::try_from(hour).unwrap())], Alerts::Due) > 0 {
            told_at.push(hour);
        }
    }
    assert_eq!(told_at, [0, 24, 48]);
    let About::Alert(sections) = &story.mails[1].about else { panic!("an alert") };
    assert_eq!((sections[0].pending, sections[0].reported), (24, 1));
    assert_eq!(story.pass(72 * HOUR - 1, Vec::new(), Alerts::Flush), 0, "whoever asks for all gets what is for a person");
    assert_eq!(story.pass(72 * HOUR, Vec::new(), Alerts::Due), 1);
}

#[test]
fn a_night_that_comes_a_moment_sooner_is_told_when_the_day_is_over() {
    let mut story = Story::new();
    story.pass(5, vec![cut_off(5, 1)], Alerts::Due);
    assert_eq!(story.pass(24 * HOUR, vec![cut_off(24 * HOUR, 1)], Alerts::Due), 0);
    assert_eq!(story.pass(24 * HOUR + 5, Vec::new(), Alerts::Due), 1);
    story.pass(72 * HOUR, Vec::new(), Alerts::Due);
    assert!(story.state.groups.is_empty(), "then it is forgotten");
}

#[test]
fn a_kind_that_passes_holds_up_no_other_kind_nor_another_client() {
    let mut story = Story::new();
    for second in 0..1000 {
        story.pass(second, vec![cut_off(second, u32::try_from(second).unwrap())], Alerts::Due);
    }
    assert_eq!(story.mails.len(), 1);
    assert_eq!(story.pass(1000, vec![broken(1000, "read-only")], Alerts::Due), 1, "told at once");
    let window = with(cut_off(1001, 1), |on| (on.result, on.reasons[0].code) = (Outcome::Refused, Code::Window));
    assert_eq!(story.pass(1001, vec![window], Alerts::Due), 1, "another kind");
    let other = Event { client: Some("web2".parse().unwrap()), ..cut_off(1002, 1) };
    assert_eq!(story.pass(1002, vec![other], Alerts::Due), 1, "another client");
    let About::Alert(sections) = &story.mails[1].about else { panic!("an alert") };
    assert!(sections.len() == 1 && connection(&sections[0].samples[0]).reasons[0].code == Code::Store);
}

#[test]
fn failures_of_another_cause_are_another_mail() {
    let mut story = Story::new();
    let details =
        ["creating `/s/a/20261121T1-7`: Permission denied", "creating `/s/a/20261121T2-8`: Read-only file system", "signal 9 ended it"];
    for detail in details {
        assert_eq!(story.pass(0, vec![broken(0, detail)], Alerts::Due), 1, "{detail}");
    }
    let again = ["creating `/s/a/20261122T5-99`: Permission denied", "signal 9 ended it"];
    assert_eq!(story.pass(1, again.map(|detail| broken(1, detail)).to_vec(), Alerts::Due), 0, "the same, with other numbers");
    assert_eq!(story.pass(1, vec![broken(1, "signal 11 ended it")], Alerts::Due), 1);
    let hook = |command: &str| {
        let hook = crate::terms::FailedHook { command: command.to_owned(), ..samples::mirror() };
        Event { mail: Mail::Alert, at: at(700), ..with(samples::published(), |on| on.hooks = vec![hook]) }
    };
    let mut story = Story::new();
    let news = vec![hook("/mirror1"), hook("/mirror2"), hook("/mirror1")];
    assert_eq!(story.pass(700, news, Alerts::Due), 2);
}

#[test]
fn words_of_the_gate_s_own_with_several_lines_are_one_and_a_client_s_stay_escaped() {
    let record = with(broken(0, "a fault\n 1 | x\nmend it"), |on| {
        on.warnings = vec!["the spool is no directory\nremove it".to_owned()];
        on.command = "sh\\nx".to_owned();
    });
    let mut groups = Vec::new();
    count(&mut groups, record, at(0));
    let sample = connection(&groups[0].samples[0]);
    assert_eq!((sample.warnings[0].as_str(), sample.command.as_str()), ("the spool is no directory; remove it", "sh\\nx"));
    assert_eq!(sample.reasons[0].detail, "a fault\n 1 | x\nmend it", "a fault shows its line");
}

#[test]
fn settings_that_cannot_be_used_wait_behind_no_flood_of_refusals() {
    let mut story = Story::new();
    for index in 0..200 {
        story.pass(1, vec![refusal(1, index, Code::Key)], Alerts::Due);
    }
    let unusable = Event { client: None, ..refusal(2, 1, Code::Config) };
    assert_eq!(story.pass(2, vec![unusable], Alerts::Due), 1);
}

#[test]
fn a_client_that_fails_from_everywhere_has_one_group_and_a_failure_of_the_server_its_own() {
    let mut story = Story::new();
    let unpublished = |address| ended(refusal(0, address, Code::Unpublished), Outcome::Unpublished);
    story.pass(0, (0..100).map(unpublished).collect(), Alerts::Due);
    assert_eq!(story.mails.len(), 1);
    assert_eq!(story.pass(1, vec![broken(1, "read-only")], Alerts::Due), 1);
    let About::Alert(sections) = &story.mails[1].about else { panic!("an alert") };
    assert!(sections[0].key.is_some(), "by itself");
}

#[test]
fn a_client_that_reports_every_status_there_is_leaves_room_for_what_the_server_has_to_tell() {
    let mut story = Story::new();
    let unpublished = |why: &str| {
        with(refusal(0, 1, Code::Unpublished), |on| {
            (on.result, on.reasons[0].detail) = (Outcome::Unpublished, format!("not published: {why}"));
        })
    };
    for status in 1..=255 {
        story.pass(0, vec![unpublished(&format!("the client reported status {status} (meaning {status})"))], Alerts::Due);
    }
    assert_eq!((story.mails.len(), story.pass(1, vec![unpublished("no file arrived")], Alerts::Due)), (1, 1), "another cause");
    assert_eq!(story.pass(1, vec![broken(1, "read-only")], Alerts::Due), 1);
}

#[test]
fn what_is_for_both_is_a_report_and_an_alert() {
    let mut story = Story::new();
    let record = Event { mail: Mail::Both, ..with(samples::published(), |on| on.hooks = vec![samples::mirror()]) };
    assert_eq!(story.pass(0, vec![record], Alerts::Due), 2);
    assert!(matches!(story.mails[0].about, About::Report(_)) && matches!(story.mails[1].about, About::Alert(_)));
}

#[test]
fn what_only_a_later_version_can_read_is_a_failure_of_its_kind_and_never_left_out() {
    let unknown = |kind: &str, mail| {
        let about = crate::terms::Unknown { version: 9, kind: kind.to_owned(), summary: "something".to_owned() };
        Event { mail, body: crate::terms::Body::Unknown(about), ..samples::unknown() }
    };
    let mut story = Story::new();
    let news = vec![unknown("prune", Mail::Alert), unknown("mirror", Mail::Alert), unknown("prune", Mail::Alert)];
    assert_eq!(story.pass(0, news, Alerts::Due), 2, "a mail for each kind");
    assert_eq!(story.pass(1, vec![unknown("prune", Mail::Report), unknown("prune", Mail::None)], Alerts::Due), 1);
    for kind in 0..1000 {
        story.pass(2, vec![unknown(&format!("k{kind}"), Mail::Alert)], Alerts::Due);
    }
    story.pass(3, Vec::new(), Alerts::Flush);
    assert!(story.mails.len() <= 2 + 1 + FAILURES_IN_SPAN + 1 && story.state.groups.len() <= MAX_FAILURE_GROUPS + 1);
    assert_eq!(story.reported(), 1004);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn counts_always_add_up(passes in proptest::collection::vec((0_i64..4000, proptest::collection::vec(0_u32..200, 0..40), 0_u8..4), 1..40)) {
        let mut story = Story::new();
        let mut now = 0;
        for (wait, addresses, way) in passes {
            now += wait;
            let records = addresses.into_iter().map(|address| refusal(now, address, Code::Key)).collect();
            story.pass(now, records, match way { 0 => Alerts::Hold, 1 => Alerts::Flush, _ => Alerts::Due });
        }
        story.pass(now + 1, Vec::new(), Alerts::Flush);
        proptest::prop_assert_eq!(story.reported(), story.events);
        proptest::prop_assert!(story.state.groups.iter().all(|group| group.pending == 0));
    }
}
