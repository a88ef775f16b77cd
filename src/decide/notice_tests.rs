//! Which mails are due, against a clock of numbers.

use chrono::TimeDelta;

use super::*;
use crate::decide::letter::samples;

fn at(seconds: i64) -> DateTime<Utc> {
    samples::refusal().at + TimeDelta::seconds(seconds)
}

fn refusal(seconds: i64, address: u32, code: Code) -> Record {
    let mut record = samples::refusal();
    record.at = at(seconds);
    record.address = Some(Peer::from(std::net::IpAddr::from(std::net::Ipv4Addr::from(address))));
    record.reasons[0].code = code;
    record
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

    fn pass(&mut self, now: i64, records: Vec<Record>, alerts: Alerts) -> usize {
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

    fn told(&self) -> u64 {
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
    assert_eq!((story.mails.len(), story.told()), (2, 1000));
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
    assert_eq!((story.mails.len(), story.told()), (5, 1000));
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
    let failure = |address: u32, code| {
        let mut record = refusal(61, address, code);
        record.result = Outcome::Failed;
        record
    };
    for address in 1..=4 {
        assert_eq!(story.pass(61, vec![failure(address, Code::Store)], Alerts::Due), 1, "failure {address} is told at once");
        let About::Alert(sections) = &story.mails.last().unwrap().about else { panic!("an alert") };
        assert!(sections.len() == 1 && sections[0].key.as_ref().unwrap().code == Some(Code::Store), "and alone: {sections:?}");
    }
    assert_eq!(story.pass(62, (0..100).map(|address| failure(address, Code::Hook)).collect(), Alerts::Due), 0, "bounded, too");
    story.pass(63, Vec::new(), Alerts::Flush);
    assert_eq!(story.told(), 1104);
}

#[test]
fn a_thousand_that_were_found_at_once_are_one_digest() {
    let mut story = Story::new();
    let all = (0..1000).map(|index| refusal(0, index, Code::Key)).collect();
    story.pass(0, all, Alerts::Due);
    assert_eq!((story.mails.len(), story.told()), (1, 1000));
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
    assert_eq!((sections[0].pending, sections[0].told, sections[0].first, sections[0].last), (3, 1, at(1), at(1)));
}

#[test]
fn while_the_mailer_is_down_counts_grow_and_mails_do_not() {
    let mut story = Story::new();
    for minute in 0..300 {
        assert_eq!(story.pass(minute * 60, vec![refusal(minute * 60, 1, Code::Window)], Alerts::Hold), 0);
    }
    assert_eq!(story.pass(301 * 60, Vec::new(), Alerts::Due), 1);
    assert_eq!(story.told(), 300);
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
    let flood = |index| {
        let mut record = refusal(0, index, Code::Window);
        record.command = "\u{1b}".repeat(5000);
        record.warnings = vec!["w".repeat(5000); 30];
        record.reasons = vec![record.reasons[0].clone().detail("d".repeat(5000)); 30];
        record
    };
    let failures = |index| Record { result: Outcome::Failed, ..flood(index) };
    story.pass(0, (0..100).map(flood).chain((0..100).map(failures)).collect(), Alerts::Hold);
    assert_eq!(story.state.groups.len(), MAX_GROUPS + MAX_FAILURE_GROUPS + 2);
    let size = serde_json::to_vec(&story.state).unwrap().len() as u64;
    assert!(size * u64::try_from(MAX_SAMPLES).unwrap() < crate::terms::limits::MAX_STATE, "{size}");
    story.pass(1, Vec::new(), Alerts::Flush);
    assert_eq!(story.told(), 200);
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
        proptest::prop_assert_eq!(story.told(), story.events);
        proptest::prop_assert!(story.state.groups.iter().all(|group| group.pending == 0));
    }
}
