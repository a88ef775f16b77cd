//! The digest: once at its hour whatever ends it, to whom it concerns, in two forms, with nothing of a client's taken for HTML.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use snapgate::admin::digest::{Done, Order, digest};
use support::programs::SNAPGATE;
use support::smtp::{Manner, Taken};

use super::{Place, me, now, subject};

/// Today at that hour, or yesterday: in the past.
fn at(hour: u32) -> DateTime<Utc> {
    let today = now().date_naive().and_hms_opt(hour, 0, 0).unwrap().and_utc();
    today - TimeDelta::days(3)
}

impl Place {
    /// What the timer does.
    fn asked(&self, now: DateTime<Utc>) -> Done {
        digest(&self.config(), Order::IfDue, now).unwrap()
    }

    /// Asks, and sends what came of it.
    fn timer(&self, now: DateTime<Utc>) {
        self.asked(now);
        self.watch(now);
    }

    fn digests(&self) -> Vec<Taken> {
        self.server.taken().into_iter().filter(|mail| subject(mail).starts_with("[snapgate] digest ")).collect()
    }

    /// Has a client's ledger say this.
    fn tells(&self, name: &str, lines: &[Value]) {
        let state = self.dir.path().join("store").join(name).join(".snapgate");
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join("ledger.jsonl"), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
}

impl Place {
    /// Has the book of a client say how much it holds.
    fn holds(&self, name: &str, bytes: u64) {
        let repository = self.dir.path().join("store").join(name);
        let names = fs::read_dir(repository.join("snapshots")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let book = format!("history {bytes} 9\nset-aside 0 0\nwaiting 0 0\nfreed 0 0\nstate 0 0\nlast {}\nend\n", names.max().unwrap());
        fs::create_dir_all(repository.join(".snapgate")).unwrap();
        fs::write(repository.join(".snapgate/usage"), book).unwrap();
    }
}

fn pushed(number: u32, at: DateTime<Utc>, fields: &Value) -> Value {
    let mut event = json!({
        "version": 1, "id": format!("{}-{number}", at.format("%Y%m%dT%H%M%S%6fZ")), "at": at, "account": me().name, "client": "web1",
        "kind": "push", "mail": "none", "result": "published", "exit": 0, "seconds": 1.5, "rsync_exit": 0, "files": 3, "linked": 2,
        "received": 1, "bytes": 300, "received_bytes": 1_048_576, "snapshot": at.format("%Y-%m-%dT%H-%M-%SZ").to_string(),
    });
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

fn refused(number: u32, at: DateTime<Utc>) -> Value {
    json!({
        "version": 1, "id": format!("{}-{number}", at.format("%Y%m%dT%H%M%S%6fZ")), "at": at, "account": me().name, "client": "web1",
        "kind": "connection", "mail": "none", "result": "refused", "exit": 77, "address": "203.0.113.9", "command": "rsync --server . .",
        "reasons": [{"code": "window", "says": "no", "detail": "no, because of the policy"}],
    })
}

/// The mail's parts: their kinds, and what they say, decoded.
fn parts(mail: &Taken) -> Vec<(String, String)> {
    let message = mail.data.replace("\r\n", "\n");
    let kinds = message.match_indices("Content-Type: ").map(|(start, _)| start);
    let kind = |start: usize| message[start + 14..].split([';', '\n']).next().unwrap().to_owned();
    let boundaries: Vec<_> = message.split("boundary=\"").skip(1).map(|rest| format!("\n--{}", rest.split('"').next().unwrap())).collect();
    let body = |start: usize| {
        let (head, body) = message[start..].split_once("\n\n").unwrap();
        let body = boundaries.iter().fold(body, |body, boundary| body.split(boundary.as_str()).next().unwrap());
        if head.contains("quoted-printable") { unquoted(body) } else { body.to_owned() }
    };
    kinds.map(|start| (kind(start), body(start))).collect()
}

fn unquoted(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'='
            && let Some(hex) = more.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).ok())
        {
            bytes.push(hex);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn it_comes_once_at_its_hour_as_text_and_html_with_its_pictures_in_it() {
    let place = Place::new("");
    place.client("web1", "expect: off\nquota: { bytes: 8G }\n");
    place.client("web2", "expect: off\n");
    let seven = at(7);
    place.pushed("web1", seven, [1, 2]);
    place.pushed("web2", seven, [900]);
    let hours = |hours| seven - TimeDelta::hours(hours);
    let failed = json!({"result": "failed", "exit": 12, "rsync_exit": 12, "snapshot": null});
    place.tells(
        "web1",
        &[
            pushed(1, hours(30), &json!({})),
            pushed(2, hours(5), &failed),
            pushed(3, hours(2), &json!({})),
            pushed(4, hours(1), &json!({})),
            refused(5, hours(1)),
            refused(6, hours(1)),
        ],
    );
    place.holds("web1", 1 << 30);
    // The first time it is asked it begins.
    place.timer(hours(24));
    place.timer(seven - TimeDelta::seconds(1));
    assert_eq!(place.digests().len(), 0);
    for minutes in [0, 15, 30, 600] {
        place.timer(seven + TimeDelta::minutes(minutes));
    }
    let mails = place.digests();
    assert_eq!(mails.len(), 1);
    assert_eq!(
        subject(&mails[0]),
        format!("[snapgate] digest {}: all is well with 2 clients", seven.format("%Y-%m-%d")),
        "{}",
        parts(&mails[0])[1].1
    );
    assert_eq!(mails[0].to, ["RCPT TO:<root@example.org>"]);
    let parts = parts(&mails[0]);
    let kinds: Vec<_> = parts.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png", "image/png"]);
    let (text, html) = (&parts[1].1, &parts[3].1);
    for said in [
        "2 pushes of 1 client became snapshots, with 2 MiB that are new.",
        "1 try failed, the last: failed",
        "backed up since",
        "2 connections were refused.",
        "window",
        "Together the clients hold 1 GiB.",
        "What 1 client holds is not known",
        &format!("The next digest comes on {}", (seven + TimeDelta::days(1)).format("%a %Y-%m-%d %H:%M")),
        "If it does not come, look into it",
    ] {
        assert!(text.replace('\n', " ").contains(said), "{said}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 130), "{text}");
    assert!(html.contains("<img src=\"cid:plot1@snapgate\"") && html.contains("2 connections were refused."), "{html}");
    assert!(!html.contains("http"), "nothing is fetched: {html}");
    // The next day, with what was before to compare with.
    place.holds("web1", 3 << 30);
    place.timer(seven + TimeDelta::hours(24));
    assert_eq!(place.digests().len(), 2);
    let second = self::parts(&place.digests()[1]);
    assert_eq!(second.iter().filter(|(kind, _)| kind == "image/png").count(), 1, "no push, but two points of growth");
    assert!(second[1].1.contains("No push became a snapshot.") && second[1].1.contains("at the last digest: +2 GiB"), "{}", second[1].1);
}

/// How many snapshots a digest tells of.
fn told(mail: &Taken) -> usize {
    let text = parts(mail)[1].1.replace('\n', " ");
    let before = text.split(" became snapshots").next().filter(|before| before.len() < text.len());
    let before = before.or_else(|| text.split(" became a snapshot").next().filter(|before| before.len() < text.len()));
    let words: Vec<_> = before.unwrap_or_default().split(' ').collect();
    let at = words.iter().rposition(|word| word.starts_with("push")).unwrap_or(1);
    words[at - 1].parse().unwrap_or(0)
}

#[test]
fn whenever_it_is_recorded_each_push_is_in_one_digest_and_one_alone() {
    let place = Place::new("");
    place.client("web1", "expect: off\n");
    let seven = at(7) - TimeDelta::days(8);
    // Seconds after a digest at which a push ended, and at which its line was written: just before and just after, hours late, and
    // one after the other the other way round.
    let ends =
        [(-7200, -7190), (-90_000, -5), (-3, 2), (-1, 1), (-1, 7200), (-86_000, 3), (0, 1), (1, 2), (40_000, 86_399), (50_000, 50_001)];
    let line = |number: usize, ended: i64| {
        let ended = seven + TimeDelta::seconds(ended);
        pushed(u32::try_from(number).unwrap(), ended - TimeDelta::milliseconds(1500), &json!({}))
    };
    place.timer(seven - TimeDelta::days(1));
    let mut total = 0;
    for day in 0..6_i64 {
        let from = 86_400 * day;
        // What the ledger has when that digest is made: all that was written by then, in that order.
        let mut all: Vec<_> =
            (0..=day).flat_map(|day| ends.map(|(ended, written)| (86_400 * day + written, 86_400 * day + ended))).collect();
        all.sort_unstable();
        let written: Vec<_> = all.into_iter().filter(|(written, _)| *written <= from).enumerate().collect();
        let lines: Vec<_> = written.iter().map(|(number, (_, ended))| line(*number, *ended)).collect();
        place.tells("web1", &lines);
        place.timer(seven + TimeDelta::days(day));
        let digests = place.digests();
        assert_eq!(digests.len(), usize::try_from(day).unwrap() + 1);
        total += told(digests.last().unwrap());
        let over = written.iter().filter(|(_, (_, ended))| *ended < from).count();
        assert_eq!(total, over, "day {day}: {}", parts(digests.last().unwrap())[1].1);
    }
    assert!(total > 50, "{total}");
    place.timer(seven + TimeDelta::days(7));
    assert!(told(place.digests().last().unwrap()) <= 3);
    place.tells("web1", &[line(900, 86_400 * 7 - 9)]);
    place.timer(seven + TimeDelta::days(8));
    assert_eq!(told(place.digests().last().unwrap()), 1, "behind a line that is too old to be read again");
    place.tells("web1", &[line(901, 86_400 * 8 - 9)]);
    place.timer(seven + TimeDelta::days(9));
    assert_eq!(told(place.digests().last().unwrap()), 0, "the line is gone that it saw last: it goes by the clock");
}

#[test]
fn whatever_step_it_is_ended_at_there_is_one_and_one_alone() {
    let seven = at(7);
    for steps in 0..8 {
        let place = Place::new("");
        place.client("web1", "expect: off\n");
        place.timer(seven - TimeDelta::hours(24));
        for minutes in 0..10 {
            let at = seven + TimeDelta::minutes(minutes);
            place.asked(at);
            let _ = place.pass(at, steps);
        }
        place.watch(seven + TimeDelta::minutes(30));
        let ids: BTreeSet<_> = place.digests().iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
        assert_eq!(ids.len(), 1, "{steps}");
    }
    let place = Place::new("");
    place.client("web1", "expect: off\n");
    place.timer(seven - TimeDelta::hours(24));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| place.asked(seven));
        }
    });
    place.watch(seven);
    assert_eq!(place.digests().len(), 1);
}

#[test]
fn whenever_its_process_is_killed_there_is_one_and_one_alone() {
    let seven = at(7);
    let place = Place::new("");
    for number in 0..20 {
        place.client(&format!("web{number}"), "expect: off\n");
    }
    place.timer(seven - TimeDelta::hours(24));
    let clock = place.config().join("faked-clock");
    fs::write(&clock, ((seven + TimeDelta::minutes(1)) - Utc::now()).num_milliseconds().to_string()).unwrap();
    support::mode(&clock, 0o600);
    let program = || {
        let mut command = Command::new(SNAPGATE);
        command.arg("--config").arg(place.config()).args(["digest", "--if-due"]).stdout(Stdio::null());
        command
    };
    let begun = Instant::now();
    let ran = program().stdout(Stdio::piped()).output().unwrap();
    assert!(ran.status.success() && ran.stdout.is_empty() && ran.stderr.is_empty(), "cron would mail it: {ran:?}");
    let whole = begun.elapsed();
    assert_eq!(place.digests().len(), 1);
    // The same again and again, ended in its middle, of further days.
    for day in 1..=10_u32 {
        fs::write(&clock, ((seven + TimeDelta::minutes(1) + TimeDelta::days(day.into())) - Utc::now()).num_milliseconds().to_string())
            .unwrap();
        let mut child = program().spawn().unwrap();
        std::thread::sleep(whole * day / 9);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(program().status().is_ok_and(|ended| ended.success()));
        place.watch(seven + TimeDelta::minutes(2) + TimeDelta::days(day.into()));
        let ids: BTreeSet<_> = place.digests().iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
        assert_eq!(ids.len(), 1 + day as usize, "{day}");
    }
    let days: BTreeSet<_> = place.digests().iter().map(subject).collect();
    assert_eq!(days.len(), 11);
}

#[test]
fn a_machine_that_slept_sends_one_that_says_it_is_late_and_a_clock_set_back_silences_nothing() {
    let place = Place::new("");
    place.client("web1", "expect: off\n");
    let seven = at(7);
    place.timer(seven - TimeDelta::days(10));
    place.timer(seven - TimeDelta::days(9));
    place.timer(seven + TimeDelta::hours(3));
    let mails = place.digests();
    assert_eq!(mails.len(), 2);
    let text = parts(&mails[1])[1].1.replace('\n', " ");
    assert!(text.contains(&format!("It comes late: it was due on {}", seven.format("%a %Y-%m-%d 07:00"))), "{text}");
    assert!(text.contains("8 digests before it were due and did not come."), "{text}");
    assert!(text.contains(&format!("From {}", (seven - TimeDelta::days(9)).format("%a %Y-%m-%d 07:00"))), "{text}");
    // An hour back, past its hour: no second one.
    place.timer(seven + TimeDelta::days(1));
    place.timer(seven + TimeDelta::days(1) - TimeDelta::minutes(30));
    place.timer(seven + TimeDelta::days(1) + TimeDelta::minutes(1));
    assert_eq!(place.digests().len(), 3);
    // The clock was a year ahead for a while.
    place.timer(seven + TimeDelta::days(365));
    assert_eq!(place.digests().len(), 4);
    place.timer(seven + TimeDelta::days(1) + TimeDelta::hours(2));
    assert_eq!(place.digests().len(), 4);
    place.timer(seven + TimeDelta::days(2));
    let mails = place.digests();
    assert_eq!(mails.len(), 5);
    assert!(parts(&mails[4])[1].1.replace('\n', " ").contains("The clock of this server was set back since the last digest"));
    assert!(!parts(&mails[4])[1].1.contains("late"));
}

#[test]
fn each_address_gets_the_clients_whose_policies_name_it_and_a_mailer_that_is_down_loses_none() {
    let place = Place::new("");
    place.client("web1", "expect: off\nreports_to: [jane@example.org]\n");
    place.client("web2", "expect: off\nreports_to: [jane@example.org]\n");
    place.client("mail1", "expect: off\nreports_to: [joe@example.org]\n");
    place.client("other", "expect: off\n");
    let seven = at(7);
    place.timer(seven - TimeDelta::hours(24));
    place.server.behave(Manner::Answer("MAIL", "451 not now"));
    for quarter in 0..3 {
        let at = seven + TimeDelta::minutes(15 * quarter);
        place.asked(at);
        let _ = place.pass(at, u64::MAX);
    }
    place.server.behave(Manner::Accept);
    place.watch(seven + TimeDelta::hours(1));
    let got: Vec<_> = place.digests().iter().map(|mail| (mail.to.concat(), parts(mail)[1].1.clone())).collect();
    let to: Vec<_> = got.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(to, ["RCPT TO:<root@example.org>", "RCPT TO:<jane@example.org>", "RCPT TO:<joe@example.org>"]);
    for (index, names) in [(0, &["web1", "web2", "mail1", "other"][..]), (1, &["web1", "web2"]), (2, &["mail1"])] {
        let has: Vec<_> = ["web1", "web2", "mail1", "other"].into_iter().filter(|name| got[index].1.contains(name)).collect();
        assert_eq!(has, names, "{}", got[index].1);
    }
}

#[test]
fn nothing_of_a_client_is_taken_for_html_and_what_is_not_read_is_said() {
    let place = Place::new("");
    place.client("web1", "expect: off\n");
    fs::write(place.config().join("policies/broken.yaml"), "kep: 7\n").unwrap();
    let seven = at(7);
    place.pushed("web1", seven, [1]);
    let reason = json!([{"code": "rsync", "says": "no", "detail": "<script>alert(1)</script>\u{1b}[2J\u{202e} & \"'>"}]);
    let failed = pushed(1, seven - TimeDelta::hours(1), &json!({"result": "failed", "exit": 12, "snapshot": null, "reasons": reason}));
    let long: Vec<_> =
        (0..30_000).map(|number| refused(number, seven - TimeDelta::hours(3) + TimeDelta::milliseconds(number.into()))).collect();
    place.tells("web1", &[&long[..], &[failed]].concat());
    place.timer(seven - TimeDelta::hours(24));
    place.timer(seven);
    let mails = place.digests();
    assert!(subject(&mails[0]).ends_with(": 2 of 2 clients need you: broken, web1"), "{}", subject(&mails[0]));
    let parts = parts(&mails[0]);
    let (text, html) = (&parts[1].1, &parts[3].1);
    assert!(text.contains("<script>") && text.contains("\\u{1b}"), "{text}");
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;") && html.contains("&quot;&#39;&gt;"), "{html}");
    assert!(!mails[0].data.contains('\u{1b}') && !html.contains('\u{202e}'));
    assert!(text.contains("broken") && text.contains("`kep` is not a key"), "{text}");
    assert!(text.replace('\n', " ").contains("web1: no more than 8 MiB of each of its ledgers were read, and there was more"), "{text}");
}

#[test]
fn it_is_shown_whenever_it_is_asked_for_and_off_is_off() {
    let place = Place::new("digest: off\n");
    place.client("web1", "expect: off\n");
    let shows = |words: &[&str]| {
        let ran = Command::new(SNAPGATE).arg("--config").arg(place.config()).arg("digest").args(words).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    let text = shows(&[]);
    assert!(text.starts_with("Digest of ") && text.contains("No digest is mailed: the site file says `digest: off`."), "{text}");
    assert!(text.contains("it has no snapshot yet"), "{text}");
    let html = shows(&["--html"]);
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"), "{html}");
    for days in 0..3 {
        assert_eq!(place.asked(at(7) + TimeDelta::days(days)), Done::Nothing);
    }
    assert_eq!(shows(&["--if-due"]), "");
    assert!(shows(&["--mail"]).contains("1 mail sent"));
    assert_eq!(place.digests().len(), 1);
    // Whoever turns it off and on again is not told of what was before.
    let file = place.config().join("snapgate.yaml");
    let site = |digest: &str| fs::write(&file, fs::read_to_string(&file).unwrap().replace("digest: off\n", digest)).unwrap();
    site("digest: daily at 12:00\n");
    assert_eq!((place.asked(at(11)), place.asked(at(13))), (Done::Nothing, Done::Noted));
}
