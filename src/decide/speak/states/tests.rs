//! States through days of looks, with crashes, and with any facts.

use proptest::prelude::*;

use super::*;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + hours * 3600, 0).unwrap()
}

fn name(text: &str) -> ClientName {
    text.parse().unwrap()
}

fn of(client: &str, kind: Kind, fact: Fact) -> Subject {
    Subject { client: Some(name(client)), closed: None, facts: vec![(kind, fact, Vec::new())] }
}

fn missed(client: &str, since: i64) -> Subject {
    of(client, Kind::Missed, Fact::Lasts(at(since), "no snapshot since then".to_owned()))
}

/// What a look says, with everything before it told.
fn look(memory: &mut Memory, subjects: &[Subject], hour: i64) -> Vec<ComposedMail> {
    let told = memory.number;
    *memory = step(std::mem::take(memory), told, subjects, None, at(hour));
    memory.notices(told).map(|notice| notice.mail(notice.number, 0)).collect()
}

impl Memory {
    fn notices(&self, told: u64) -> impl Iterator<Item = &Notice> {
        self.notices.iter().filter(move |notice| notice.number >= told)
    }
}

fn subjects(mails: &[ComposedMail]) -> Vec<&str> {
    mails.iter().map(|mail| mail.subject.as_str()).collect()
}

#[test]
fn what_lasts_is_told_at_growing_pauses_in_one_thread_and_so_is_its_end() {
    let mut memory = Memory::default();
    let mut told = Vec::new();
    let mut mails = Vec::new();
    for hour in 0..24 * 40 {
        let new = look(&mut memory, &[missed("web1", -2)], hour);
        told.extend(new.iter().map(|_| hour / 24));
        mails.extend(new);
    }
    assert_eq!(told, [0, 1, 3, 7, 14, 21, 28, 35]);
    assert_eq!(mails[0].subject.as_str(), "[snapgate] web1: missed: no snapshot since then");
    assert_eq!(mails[2].subject.as_str(), "[snapgate] web1: missed, for 3 days now: no snapshot since then");
    assert!(mails[0].body.contains("told again in 1 day;") && mails[1].body.contains("told again in 2 days;"), "{}", mails[0].body);
    let over = look(&mut memory, &[of("web1", Kind::Missed, Fact::Over)], 24 * 40);
    assert_eq!(subjects(&over), ["[snapgate] web1: missed: resolved after 40 days"]);
    mails.extend(over);
    let first = mails[0].message_id("h");
    assert_eq!(mails[0].answers("h"), None);
    assert!(mails[1..].iter().all(|mail| mail.answers("h").as_ref() == Some(&first) && mail.message_id("h") != first));
    assert!(mails.iter().all(|mail| mail.client == Some(name("web1")) && mail.topic == Some(Topic::Missed)));
    assert_eq!(look(&mut memory, &[of("web1", Kind::Missed, Fact::Over)], 24 * 41), []);
}

#[test]
fn what_comes_and_goes_all_the_time_is_one_thread_with_few_mails() {
    let mut memory = Memory::default();
    let mut mails = Vec::new();
    for hour in 0..48 {
        let subject = if hour % 2 == 0 { missed("web1", hour) } else { of("web1", Kind::Missed, Fact::Over) };
        mails.extend(look(&mut memory, &[subject], hour));
    }
    assert!((2..=16).contains(&mails.len()), "{:?}", subjects(&mails));
    assert!(mails.iter().skip(1).all(|mail| mail.answers("h") == Some(mails[0].message_id("h"))));
}

#[test]
fn a_client_that_is_frozen_or_removed_has_no_states() {
    let mut memory = Memory::default();
    look(&mut memory, &[missed("web1", 0), missed("web2", 0)], 0);
    let frozen = Subject { closed: Some(Closed::Frozen), ..missed("web1", 0) };
    let mails = look(&mut memory, std::slice::from_ref(&frozen), 1);
    assert_eq!(
        subjects(&mails),
        ["[snapgate] web1: missed: closed, the client is frozen", "[snapgate] web2: missed: closed, its policy was removed"]
    );
    assert_eq!(memory.lasting().count(), 0);
    assert_eq!(look(&mut memory, &[frozen], 2), []);
    // What nobody was told of is closed in silence.
    look(&mut memory, &[of("web3", Kind::Held, Fact::Lasts(at(2), "1 snapshot".to_owned()))], 3);
    assert_eq!(look(&mut memory, &[], 4), []);
    assert_eq!(memory.lasting().count(), 0);
}

#[test]
fn what_the_gate_has_mailed_is_told_again_a_day_later() {
    let mut memory = Memory::default();
    let held = of("web1", Kind::Held, Fact::Lasts(at(0), "1 snapshot".to_owned()));
    assert_eq!(look(&mut memory, std::slice::from_ref(&held), 1), []);
    assert_eq!(look(&mut memory, std::slice::from_ref(&held), 23), []);
    assert_eq!(subjects(&look(&mut memory, &[held], 24)), ["[snapgate] web1: held: 1 snapshot"]);
}

#[test]
fn a_way_that_is_down_is_told_by_all_others_and_its_end_by_all() {
    let ways = [None].into_iter().chain(Way::ALL.map(Some));
    for kind in [Kind::Mailer, Kind::Undelivered, Kind::Webhook, Kind::Ping, Kind::Exec] {
        let server = |fact| Subject { client: None, closed: None, facts: vec![(kind, fact, Vec::new())] };
        let (mut memory, mut said, mut mails) = (Memory::default(), Vec::new(), Vec::new());
        for hour in 0..=72 {
            let fact = if hour < 72 { Fact::Lasts(at(0), "3 wait".to_owned()) } else { Fact::Over };
            let told = memory.number;
            look(&mut memory, &[server(fact)], hour);
            for notice in memory.notices(told) {
                let without: Vec<_> = ways.clone().filter(|way| !way.map_or(notice.is_for_mail(), |way| notice.is_for(way))).collect();
                said.push((hour, without));
                mails.extend(notice.is_for_mail().then(|| notice.mail(notice.number, 0)));
            }
        }
        let down = match kind {
            Kind::Mailer => vec![None],
            Kind::Webhook => vec![Some(Way::Webhook)],
            Kind::Ping => vec![Some(Way::Ping)],
            Kind::Exec => vec![Some(Way::Exec)],
            Kind::Missed | Kind::Quota | Kind::Held | Kind::Drill | Kind::Unreadable | Kind::Undelivered => vec![],
        };
        assert_eq!(said, [(0, down.clone()), (24, down), (72, vec![])], "{kind}");
        // Whatever was no mail begins no thread.
        assert_eq!(mails[0].answers("h"), None);
        assert!(mails[1..].iter().all(|mail| mail.answers("h") == Some(mails[0].message_id("h"))), "{kind}");
        assert!(mails.iter().all(|mail| is_about(mail, kind) && !is_about(mail, Kind::Missed)));
        assert!(mails.last().unwrap().subject.as_str().ends_with(": resolved after 3 days"), "{:?}", subjects(&mails));
    }
}

#[test]
fn what_is_not_known_begins_nothing_and_ends_nothing() {
    let mut memory = Memory::default();
    let unknown = of("web1", Kind::Missed, Fact::Unknown);
    assert_eq!(look(&mut memory, std::slice::from_ref(&unknown), 0), []);
    assert_eq!(look(&mut memory, &[missed("web1", 0)], 1).len(), 1);
    assert_eq!(look(&mut memory, &[unknown], 100), []);
    assert_eq!(memory.lasting().count(), 1);
}

#[test]
fn a_thousand_clients_at_once_are_one_mail_for_each_who_hears_of_them() {
    let to = |number: usize| if number < 10 { vec!["jane@example.org".to_owned()] } else { Vec::new() };
    let all = |fact: Fact| -> Vec<Subject> {
        let one = |number| Subject {
            client: Some(name(&format!("web{number:04}"))),
            closed: None,
            facts: vec![(Kind::Missed, fact.clone(), to(number))],
        };
        (0..1000).map(one).collect()
    };
    let mut memory = Memory::default();
    let mails = look(&mut memory, &all(Fact::Lasts(at(0), "no snapshot".to_owned())), 1);
    assert_eq!(subjects(&mails), ["[snapgate] 990 clients: missed", "[snapgate] 10 clients: missed"]);
    assert_eq!((mails[0].client.as_ref(), mails[1].client.as_ref()), (None, Some(&name("web0000"))));
    assert!(mails[0].body.contains("web0010: no snapshot") && mails[0].body.contains("and 490 more"), "{}", mails[0].body);
    assert_eq!(subjects(&look(&mut memory, &all(Fact::Over), 2)).len(), 2);
}

#[test]
fn a_crash_before_or_after_the_memory_is_saved_tells_nothing_twice_and_forgets_nothing() {
    let before = Memory::default();
    let after = step(before.clone(), 0, &[missed("web1", 0)], None, at(1));
    // Not saved: the same look again.
    assert_eq!(step(before, 0, &[missed("web1", 0)], None, at(1)), after);
    // Saved, but no mail yet: the notice stays, and is the only one.
    let again = step(after.clone(), 0, &[missed("web1", 0)], None, at(2));
    assert_eq!(again.notices(0).count(), 1);
    // It became a mail.
    let told = step(again, 1, &[missed("web1", 0)], None, at(3));
    assert_eq!((told.notices(1).count(), told.notices.len()), (0, 0));
    // The memory is lost, the counts are not: what is told anew has a new number.
    let anew = step(Memory::default(), 7, &[missed("web1", 0)], None, at(4));
    assert_eq!(anew.notices(7).map(Notice::number).collect::<Vec<_>>(), [7]);
}

#[test]
fn it_looks_again_when_something_may_change_and_no_clock_makes_it_wait_for_ever() {
    let calm = step(Memory::default(), 0, &[], None, at(0));
    assert_eq!(calm.next, Some(at(0) + delta(STATES_EVERY)));
    assert!(!is_time(calm.next, at(0)) && is_time(calm.next, at(1)) && is_time(calm.next, at(-1)) && is_time(None, at(0)));
    let soon = step(Memory::default(), 0, &[], Some(at(0) + TimeDelta::minutes(5)), at(0));
    assert_eq!(soon.next, Some(at(0) + TimeDelta::minutes(5)));
}

fn facts() -> impl Strategy<Value = Vec<(usize, usize, u8, i64)>> {
    proptest::collection::vec((0usize..4, 0usize..Kind::ALL.len(), 0u8..4, -2000i64..2000), 0..12)
}

proptest! {
    #[test]
    fn whatever_the_memory_and_the_facts_the_rest_is_bounded_and_numbered(
        looks in proptest::collection::vec((facts(), 0i64..400), 1..20),
        lost in 0usize..20,
    ) {
        let mut memory = Memory::default();
        let (mut hour, mut told, mut seen) = (0, 0, std::collections::BTreeSet::new());
        for (number, (facts, later)) in looks.into_iter().enumerate() {
            hour += later - 20;
            let subjects: Vec<_> = facts.into_iter().map(|(client, kind, how, since)| {
                let fact = match how { 0 => Fact::Over, 1 => Fact::Unknown, _ => Fact::Lasts(at(since), "x\r\n\u{202e}".to_owned()) };
                let closed = (how == 3 && since > 1500).then_some(Closed::Frozen);
                Subject { closed, ..of(&format!("web{client}"), Kind::ALL[kind], fact) }
            }).collect();
            let json = serde_json::to_vec(&memory).unwrap();
            let old = if number == lost { Memory::default() } else { serde_json::from_slice(&json).unwrap() };
            memory = step(old, told, &subjects, None, at(hour));
            prop_assert!(memory.lasting.len() <= 4 * Kind::ALL.len());
            let next = memory.next.unwrap();
            prop_assert!(next > at(hour) && next <= at(hour) + delta(STATES_EVERY));
            for notice in memory.notices(told) {
                prop_assert!(seen.insert(notice.number), "{}", notice.number);
                let mail = notice.mail(0, 0);
                let is_plain = !mail.subject.as_str().contains(['\r', '\n', '\u{202e}']);
                prop_assert!(is_plain && mail.thread == notice.thread);
            }
            told = memory.number;
        }
    }
}

#[test]
fn whoever_connects_all_the_time_is_remembered_as_one_who_comes_by_the_hour() {
    use crate::terms::limits::{LAPTOP_AWAY, MAX_CONTACTS};
    let begin = DateTime::from_timestamp(1_795_226_400, 0).unwrap();
    let at = |minutes: i64| begin + TimeDelta::minutes(minutes);
    let mut known = Known::new(begin);
    known.learn([begin], begin);
    // In two looks, of which the second does not see what the first has seen.
    let days = i64::try_from(LAPTOP_AWAY.as_secs() / 60).unwrap();
    for minutes in [1..days / 2, days / 2..2 * days] {
        let mut contacts = Contacts::default();
        minutes.for_each(|minute| contacts.add(at(minute)));
        known.heard(contacts);
    }
    assert_eq!(known.contacts.len(), MAX_CONTACTS);
    for minute in [1, 10_000, days / 2, days] {
        let next = known.contacts.iter().find(|contact| **contact >= at(minute)).unwrap();
        assert!(*next < at(minute + 60), "{minute}: {next}");
    }
    // What was before the newest snapshot says nothing.
    known.learn([at(days)], at(2 * days));
    known.heard(Contacts::default());
    assert!(known.contacts.len() < MAX_CONTACTS && known.contacts.iter().all(|contact| *contact > at(days)));
}
