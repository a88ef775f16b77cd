//! The subjects of all kinds of mail together, as they stand in a list that is sorted by them. (Those of
//! tests, which no spool holds, are looked at in tests/gate/init.rs and tests/states/ways.rs.)

use chrono::{DateTime, TimeDelta, Utc};

use super::alerts::{self, About, Draft};
use super::digest::{Facts, Span, letters};
use super::message::{compose, samples};
use super::states::{Closed, Fact, Kind, Memory, Notices, Subject, step};
use crate::decide::policy::Digest;
use crate::terms::limits::MAX_SUBJECT;
use crate::terms::{ClientName, ComposedMail, Event, Zone};

fn now() -> DateTime<Utc> {
    "2026-11-28T07:00:00Z".parse().unwrap()
}

fn mail(about: About) -> ComposedMail {
    compose(&Draft { seq: 1, about }, 1001, now())
}

/// Of what the gate recorded: each kind as an alert and as a report, and several in one.
fn of_events() -> Vec<ComposedMail> {
    let all = [samples::refusal(), samples::failure(), samples::published(), samples::pruned(), samples::unknown()];
    let group = |event: &Event| {
        let mut groups = Vec::new();
        alerts::count(&mut groups, event.clone(), now());
        groups.remove(0)
    };
    let mut common = group(&samples::refusal());
    common.key = None;
    let mut mails: Vec<_> =
        all.iter().flat_map(|event| [About::Alert(vec![group(event)]), About::Report(Box::new(event.clone()))]).collect();
    mails.extend([About::Alert(all.iter().map(group).collect()), About::Alert(vec![common])]);
    mails.into_iter().map(mail).collect()
}

/// The mails that a memory has from this one on, as its spool becomes them.
fn noticed(memory: &Memory, told: u64) -> Vec<ComposedMail> {
    let kept: Notices = serde_json::from_value(serde_json::to_value(memory).unwrap()).unwrap();
    kept.from(told).map(|notice| notice.mail(notice.number(), 1001)).collect()
}

/// Of each kind of state, of one client, of the server, and of many: how it begins, lasts, and ends in each way.
fn of_states() -> Vec<ComposedMail> {
    let mut mails = Vec::new();
    let lasts = |kind: &Kind| (*kind, Fact::Lasts(now(), "a word".to_owned()), Vec::new());
    let over = |kind: &Kind| (*kind, Fact::Over, Vec::new());
    let one = |client: Option<ClientName>| vec![client];
    let many = (0..40).map(|number| Some(format!("web1-{number}").parse().unwrap())).collect();
    for clients in [one(None), one(Some("web1".parse().unwrap())), many] {
        for (closed, stays) in [(None, true), (Some(Closed::Frozen), true), (None, false)] {
            let (mut memory, mut told) = (Memory::default(), 0);
            for (days, is_over) in [(0, false), (2, false), (5, false), (9, true)] {
                let facts = || Kind::ALL.iter().map(|kind| if is_over { over(kind) } else { lasts(kind) }).collect();
                let look =
                    |client: &Option<ClientName>| Subject { client: client.clone(), closed: closed.filter(|_| is_over), facts: facts() };
                let there: Vec<_> = clients.iter().filter(|_| stays || !is_over).map(look).collect();
                memory = step(memory, told, &there, None, now() + TimeDelta::days(days));
                let new = noticed(&memory, told);
                told += new.len() as u64;
                mails.extend(new);
            }
        }
    }
    mails
}

fn of_digests() -> Vec<ComposedMail> {
    let span = Span { since: now() - TimeDelta::days(1), until: now() };
    let facts = Facts {
        here: "backup".to_owned(),
        now: now(),
        span,
        due: Some(now()),
        skipped: 0,
        set_back: false,
        digest: Digest::USUAL,
        zone: Zone::utc(),
        clients: Vec::new(),
        apart: Vec::new(),
        lasting: Vec::new(),
        unread: Vec::new(),
        points: Vec::new(),
    };
    noticed(&Memory::default().with_digest(0, letters(&facts), None, now()).unwrap(), 0)
}

#[test]
fn every_subject_is_marked_and_says_first_whom_it_is_about_so_that_a_sorted_list_has_each_client_in_one_place() {
    let (events, states, digests) = (of_events(), of_states(), of_digests());
    assert!(events.len() == 12 && states.len() > 4 * Kind::ALL.len() && digests.len() == 1, "{} {}", events.len(), states.len());
    let mails: Vec<_> = events.into_iter().chain(states).chain(digests).collect();
    let mut subjects: Vec<_> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    for (mail, subject) in mails.iter().zip(&subjects) {
        let said = subject.strip_prefix("[snapgate] ").unwrap_or_else(|| panic!("{subject}"));
        let (who, what) = said.split_once(": ").unwrap_or_else(|| panic!("{subject}"));
        assert!(!what.is_empty() && subject.len() <= MAX_SUBJECT, "{subject}");
        let is_of_all = ["the server", "many clients", "digest", "digest 2026-11-28"].contains(&who) || who.ends_with(" clients");
        assert!(mail.client.as_ref().map_or(is_of_all, |client| client.as_str() == who || is_of_all), "{subject}: {:?}", mail.client);
    }
    subjects.sort_unstable();
    subjects.dedup();
    let of_one: Vec<bool> = subjects.iter().map(|subject| subject.starts_with("[snapgate] web1: ")).collect();
    assert!(
        of_one.iter().filter(|is| **is).count() > Kind::ALL.len() && of_one.windows(2).filter(|pair| pair[0] != pair[1]).count() <= 2,
        "{subjects:#?}"
    );
}
