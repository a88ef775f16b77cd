//! Each kind of mail, whole, as the administrator reads it.

use super::numbers::{duration, size};
use super::samples::{connection, pushing, with};
use super::*;
use crate::decide::speak::alerts;
use crate::terms::limits::MAX_SUBJECT;
use crate::terms::{Body, DroppedOwners, Part, PartEnd, PushFacts, Reason};

fn section(record: Event, count: u64) -> Group {
    let mut groups = Vec::new();
    alerts::count(&mut groups, record.clone(), DateTime::<Utc>::MAX_UTC);
    let last = record.at + chrono::TimeDelta::seconds(i64::try_from(count).unwrap() - 1);
    let mut group = groups.remove(0);
    (group.pending, group.last, group.samples) = (count, last, vec![record]);
    group
}

fn mail(about: About) -> ComposedMail {
    compose(&Draft { seq: 7, about }, 1001, "2026-11-21T02:00:01Z".parse().unwrap())
}

#[test]
fn what_could_not_be_removed_is_told_with_its_problems() {
    let mail = mail(About::Alert(vec![section(samples::pruned(), 1)]));
    assert_eq!(mail.subject.as_str(), "[snapgate] web1: 2 snapshots gone for good");
    assert!(mail.body.starts_with("Look into it: web1: 2 snapshots gone for good.\n"), "{}", mail.body);
    for line in ["Command: snapgate prune\n", "Problem: `file`: Operation not permitted\n", "2026-11-01T02-00-00Z, 2026-11-02T02-00-00Z\n"]
    {
        assert!(mail.body.contains(line), "{}", mail.body);
    }
}

#[test]
fn a_refusal_says_everything_and_how_to_allow_it() {
    let mail = mail(About::Alert(vec![section(samples::refusal(), 1)]));
    assert_eq!(mail.subject.as_str(), "[snapgate] web1: refused (window)");
    assert_eq!(mail.audience, Audience::Alerts);
    assert_eq!(
        mail.body,
        "\
web1 was refused, and nothing was changed. No need to act unless it was legitimate.

When:    once, 2026-11-21 02:00:00 UTC
Client:  web1 (unix account web1)
From:    203.0.113.9
Key:     SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk
Tried:   rsync --server -logDtpre.iLsfxCIvu . .
Exit:    77

Why:
  pushes are allowed mon-fri 22:00-06:00 Europe/Madrid (code window)
    rule:     /etc/snapgate/policies/web1.yaml:5
    to allow: add hours to `when:`

-- 
snapgate, from what the unix account with uid 1001 recorded.
"
    );
}

#[test]
fn what_was_said_out_of_turn_is_told_as_that() {
    let reasons = vec![Reason::new(Code::Transaction, "`complete` without `prepare`").remedy("see what the client runs")];
    let record = with(samples::refusal(), |on| {
        (on.verb, on.command, on.exit, on.reasons) = (Some(Verb::Complete), "complete 0".to_owned(), 64, reasons);
    });
    let mail = mail(About::Alert(vec![section(record, 1)]));
    assert_eq!(mail.subject.as_str(), "[snapgate] web1: refused (transaction)");
    let first = "Look into it: web1 said `complete` with no open transaction. Nothing was changed.\n";
    assert!(mail.body.starts_with(first) && mail.body.contains("    to mend:  see what"), "{}", mail.body);
}

#[test]
fn what_no_policy_can_allow_says_so_in_one_sentence() {
    let record = with(samples::refusal(), |on| on.reasons = vec![Reason::new(Code::Option, "no").only_client("leave it out")]);
    let body = mail(About::Alert(vec![section(record, 1)])).body;
    assert!(body.contains("    to allow: not possible; the client can: leave it out\n"), "{body}");
}

#[test]
fn a_failure_says_what_to_do_and_that_the_data_was_kept() {
    let mail = mail(About::Alert(vec![section(samples::failure(), 1)]));
    assert_eq!(mail.subject.as_str(), "[snapgate] web1: failed (store)");
    let body = mail.body;
    assert!(body.starts_with("Act: web1 could not back up, because something is wrong with the store.\n"), "{body}");
    assert!(body.contains("    to mend:  make room on /srv/backups\n"), "{body}");
    assert!(body.contains("What was received is kept and will not travel again."), "{body}");
    assert!(body.contains("rsync:   exit 12 after 1m 23s\n"), "{body}");
    assert!(body.contains("  rsync: [receiver] write failed on \"x\": No space left on device (28)\n"), "{body}");
}

#[test]
fn a_report_has_every_figure_exactly() {
    let mail = mail(About::Report(Box::new(samples::published())));
    assert_eq!(mail.subject.as_str(), "[snapgate] web1: published 2026-11-21T02-00-00Z");
    assert_eq!(mail.audience, Audience::Reports);
    assert_eq!(
        mail.body,
        "\
web1 is backed up. Nothing to do.

Snapshot:   2026-11-21T02-00-00Z
Received:   12 files, 3.4 MB (3,412,345 bytes)
Linked:     5,108 files, unchanged since the snapshot before
Total:      5,120 files, 98.7 GB (98,765,432,100 bytes)
Network:    912.3 kB (912,345 bytes)
Duration:   4.2 s
Free space: 1.5 TB (1,500,000,000,000 bytes)
Began:      2026-11-21 02:00:00 UTC
Client:     web1 (unix account web1)
From:       203.0.113.9
Key:        SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk

-- 
snapgate, from what the unix account with uid 1001 recorded.
"
    );
}

#[test]
fn a_report_says_whose_files_became_the_account_s_and_asks_nobody_to_act() {
    let dropped = Some(DroppedOwners { files: 4, owners: 3, more: false });
    let record = pushing(samples::published(), |push| push.dropped_owners = dropped);
    let body = mail(About::Report(Box::new(record))).body;
    assert!(body.starts_with("web1 is backed up. Nothing to do.\n"), "{body}");
    assert!(body.contains("\nOwners:     4 files of 3 other owners became the account's\nNetwork:"), "{body}");
}

#[test]
fn a_report_with_something_to_look_at_says_so_first() {
    let record = pushing(samples::published(), |push| push.partial = true);
    let record = with(record, |on| on.warnings = vec!["rsync: [sender] read errors mapping \"a\"".to_owned()]);
    let mail = mail(About::Report(Box::new(record)));
    assert_eq!(mail.subject.as_str(), "[snapgate] web1: published 2026-11-21T02-00-00Z, partial, with warnings");
    assert!(mail.body.starts_with("Look into it: web1 is backed up, but not whole."), "{}", mail.body);
}

#[test]
fn a_digest_lists_every_kind_with_its_count_and_puts_faults_first() {
    let mail = mail(About::Alert(vec![section(samples::refusal(), 998), section(samples::failure(), 2)]));
    assert_eq!(mail.subject.as_str(), "[snapgate] digest: 1,000 refusals and failures");
    assert_eq!(mail.events, 1000);
    assert!(mail.body.starts_with("1,000 refusals and failures of 2 kinds in one mail. Act: at least one"), "{}", mail.body);
    assert!(mail.body.contains("  1.    998 x web1: refused (window) from 203.0.113.9\n"), "{}", mail.body);
    assert!(mail.body.contains("  2.      2 x web1: failed (store) from 203.0.113.9\n"), "{}", mail.body);
    assert!(mail.body.contains("When:    998 times, 2026-11-21 02:00:00 UTC to 2026-11-21 02:16:37 UTC\n"), "{}", mail.body);
}

#[test]
fn what_could_not_be_told_apart_says_so_and_shows_examples() {
    let mut common = section(samples::refusal(), 936);
    common.key = None;
    common.samples.push(samples::failure());
    let mail = mail(About::Alert(vec![common]));
    assert_eq!(mail.subject.as_str(), "[snapgate] many clients: refusals and failures");
    assert!(
        mail.body.starts_with("936 refusals and failures from more clients, addresses and reasons than can be told apart."),
        "{}",
        mail.body
    );
    assert!(mail.body.contains("  2026-11-21 02:00:00 UTC  web1: failed (store) from 203.0.113.9: rsync --server"), "{}", mail.body);
}

#[test]
fn what_was_published_is_never_called_no_backup() {
    let record = with(samples::published(), |on| on.reasons = vec![Reason::new(Code::Hook, "a hook failed")]);
    let mail = mail(About::Alert(vec![section(record, 1)]));
    assert!(mail.body.starts_with("Look into it: web1 was served (published), but not everything went well."), "{}", mail.body);
}

#[test]
fn nothing_in_a_forged_record_leaves_its_line_or_its_size() {
    let command = format!("\r\nact now\n{}", "é\u{1b}".repeat(1 << 19));
    let mut record = with(samples::refusal(), |on| (on.command, on.warnings) = (command, vec!["a\nb".to_owned()]));
    record.client = None;
    record.account = "x\r\nBcc: victim@example.org\u{202e}".to_owned();
    let mail = mail(About::Alert(vec![section(record, 1)]));
    assert!(!mail.subject.as_str().chars().any(char::is_control), "{}", mail.subject);
    assert!(mail.subject.as_str().len() < MAX_SUBJECT + 8);
    assert!(mail.body.lines().all(|line| !line.chars().any(char::is_control)));
    assert!(mail.body.len() < crate::terms::limits::MAX_MAIL_BODY + 1024);
}

/// The body of the mail about this alone.
fn alert_body(record: Event) -> String {
    mail(About::Alert(vec![section(record, 1)])).body
}

#[test]
fn a_fault_of_a_file_is_shown_with_its_line_and_no_escape() {
    let detail = "/etc/snapgate/policies/d.yaml:1:1: `usr` is not a key of a policy\n 1 | usr: x\n   | ^\ndid you mean `user`?";
    let reasons = vec![Reason::new(Code::Config, "no").detail(detail).remedy("mend the file")];
    let body = alert_body(with(samples::refusal(), |on| (on.reasons, on.exit) = (reasons, 78)));
    let why = "\nWhy:\n  /etc/snapgate/policies/d.yaml:1:1: `usr` is not a key of a policy (code config)\n     1 | usr: x\n       | ^\n    \
               did you mean `user`?\n    to mend:  mend the file\n";
    assert!(body.contains(why) && !body.contains("\\n"), "{body}");
}

#[test]
fn a_complete_tells_of_each_push_and_of_no_rsync_of_its_own() {
    let at = samples::refusal().at;
    let part = |place: &str, end| Part { at, place: place.to_owned(), end };
    let ended = |exit, signal| Some(PartEnd { exit, signal, seconds: 0.8 });
    let push = PushFacts {
        prepared: Some(at),
        seconds: 90.0,
        parts: vec![part("etc", ended(Some(0), None)), part("home", ended(None, Some(9))), part("srv", None)],
        earlier_parts: 2,
        kept: true,
        ..PushFacts::default()
    };
    let reasons = vec![Reason::new(Code::Unpublished, "not published: the client reported status 11")];
    let completed = with(samples::refusal(), |on| {
        (on.result, on.verb, on.command, on.reasons) = (Outcome::Unpublished, Some(Verb::Complete), "complete 11".to_owned(), reasons);
    });
    let record = Event { at: at + chrono::TimeDelta::seconds(90), ..pushing(completed, |facts| *facts = push.clone()) };
    let body = alert_body(record.clone());
    assert!(body.starts_with("Look into it: web1 said `complete`, and what it had pushed was not published.\n"), "{body}");
    assert!(body.contains("\n5 pushes since `prepare` at 2026-11-21 02:00:00 UTC:\n  2 not told of here, and the last ones:\n"), "{body}");
    assert!(body.contains("  2026-11-21 02:00:00 UTC  into `etc`: exit 0 after 0.8 s\n"), "{body}");
    assert!(
        body.contains("into `home`: ended by signal 9 after 0.8 s\n") && body.contains("into `srv`: did not end, or its gate"),
        "{body}"
    );
    assert!(!body.contains("rsync:"), "{body}");
    let push = PushFacts { snapshot: Some("s".to_owned()), ..push };
    let published = with(record, |on| (on.result, on.reasons) = (Outcome::Published, Vec::new()));
    let published = pushing(published, |facts| *facts = push);
    let body = mail(About::Report(Box::new(published))).body;
    assert!(body.contains("Began:      2026-11-21 02:00:00 UTC\nCompleted:  2026-11-21 02:01:30 UTC\n"), "{body}");
    assert!(body.contains("Duration:   1m 30s, from `prepare` to `complete`\n") && body.contains("into `etc`: exit 0"), "{body}");
}

#[test]
fn a_push_says_how_its_own_rsync_ended() {
    let ended = |exit, signal| alert_body(pushing(samples::failure(), |push| (push.rsync_exit, push.rsync_signal) = (exit, signal)));
    assert!(ended(Some(12), None).contains("rsync:   exit 12 after 1m 23s\n"));
    assert!(ended(None, Some(15)).contains("rsync:   ended by signal 15 after 1m 23s\n"));
    assert!(ended(None, None).contains("rsync:   ended by the gate after 1m 23s\n"), "its time was over, or its room");
}

#[test]
fn a_failed_hook_is_told_once_with_what_it_printed() {
    let record = with(samples::published(), |on| {
        (on.hooks, on.warnings) = (vec![samples::mirror()], vec![samples::mirror().describe()]);
    });
    let alert = mail(About::Alert(vec![section(record.clone(), 1)]));
    assert_eq!(alert.subject.as_str(), "[snapgate] web1: published 2026-11-21T02-00-00Z, but a hook failed (hook)");
    assert!(alert.body.starts_with("Act: web1 is backed up, but a hook of this server failed.\n"), "{}", alert.body);
    let printed = "\nHook: the complete hook `/usr/local/sbin/mirror other` failed: it ended with status 3\nIt printed, in the end:\n  \
                   connecting\n  ssh: connect to host other port 22: No route to host\nAll of it stands in /srv/backups/web1/";
    let report = mail(About::Report(Box::new(record)));
    for body in [alert.body, report.body] {
        assert!(body.contains(printed) && body.matches("status 3").count() == 1, "{body}");
        assert!(body.contains("Total:      5,120 files, 98.7 GB (98,765,432,100 bytes)\n"), "{body}");
    }
}

#[test]
fn a_session_that_was_no_push_is_not_called_one() {
    let answered = |verb| {
        let warnings = vec!["something".to_owned()];
        let mail = mail(About::Report(Box::new(with(samples::refusal(), |on| {
            (on.result, on.verb, on.warnings) = (Outcome::Answered, Some(verb), warnings);
        }))));
        (mail.subject, mail.body)
    };
    for (verb, subject) in [
        (Verb::Prepare, "transaction opened"),
        (Verb::Abort, "transaction discarded"),
        (Verb::Rsync, "dry run"),
        (Verb::Status, "status told"),
        (Verb::Help, "help given"),
    ] {
        let (told, body) = answered(verb);
        assert_eq!(told.as_str(), format!("[snapgate] web1: {subject}, with warnings"));
        assert!(!body.contains("A push of") && !body.contains("answered."), "{body}");
    }
    let failed = |verb: Verb| {
        let nothing = Event { body: Body::of(connection(&samples::failure()).clone(), None, None), ..samples::failure() };
        alert_body(with(nothing, |on| (on.verb, on.command) = (Some(verb), verb.to_string())))
    };
    assert!(failed(Verb::Status).starts_with("Act: web1 could not be served, because something is wrong with the store.\n"));
    assert!(!failed(Verb::Abort).contains("Nothing was received"));
    assert!(failed(Verb::Rsync).contains("Nothing was received"));
}

#[test]
fn what_passes_by_itself_says_so_and_how_long_the_client_has_not_come_through() {
    let reasons = vec![Reason::new(Code::Interrupted, "the push did not finish").passing()];
    let body = alert_body(with(samples::failure(), |on| {
        (on.passing, on.reasons, on.newest) = (true, reasons, Some("2026-11-18T02-00-00Z".to_owned()));
    }));
    assert!(body.starts_with("No need to act if it comes again by itself: a push of web1 failed. No snapshot was made.\n"), "{body}");
    assert!(body.contains("Newest:  2026-11-18T02-00-00Z\n"), "{body}");
    assert!(body.contains("\nSuch things pass by themselves: about this client and kind there is one mail a day at most.\n"), "{body}");
}

#[test]
fn each_of_several_refusals_has_its_own_reason() {
    let mut section = section(samples::refusal(), 5);
    section.samples.push(with(samples::refusal(), |on| {
        on.command = "rsync --server -b".to_owned();
        on.reasons[0].detail = "something else".to_owned();
    }));
    let body = mail(About::Alert(vec![section])).body;
    assert!(body.contains("  2026-11-21 02:00:00 UTC  rsync --server -b\n    why: something else\n  and 3 more\n"), "{body}");
}

#[test]
fn what_only_a_later_version_can_read_is_mailed_by_what_every_event_says() {
    let says = "\
Look into it: web1 has a `mirror` event that this version of snapgate cannot read.

When:    once, 2026-11-21 02:00:00 UTC
Client:  web1 (unix account web1)
Kind:    mirror, in version 1 of the format
Says:    3 snapshots were restored
Id:      1795226400000000-4242-0

The gate that wrote it is newer than this program, or its line is damaged. The ledger has all of it.
";
    let alert = mail(About::Alert(vec![section(samples::unknown(), 1)]));
    assert_eq!((alert.subject.as_str(), alert.audience), ("[snapgate] web1: mirror: 3 snapshots were restored", Audience::Alerts));
    assert!(alert.body.starts_with(says), "{}", alert.body);
    let report = mail(About::Report(Box::new(samples::unknown())));
    assert_eq!((report.subject, report.audience), (alert.subject, Audience::Reports));
    assert!(report.body.starts_with(&says.replace("once, ", "")), "{}", report.body);
    let digest = mail(About::Alert(vec![section(samples::refusal(), 1), section(samples::unknown(), 2)]));
    assert!(digest.body.starts_with("3 refusals and failures of 2 kinds in one mail. Look into it: not all"), "{}", digest.body);
    assert!(digest.body.contains("  2.      2 x web1: mirror: 3 snapshots were restored\n"), "{}", digest.body);
}

#[test]
fn numbers_are_read_without_counting_digits() {
    assert_eq!(number(0), "0");
    assert_eq!(number(1_000), "1,000");
    assert_eq!(number(u64::MAX), "18,446,744,073,709,551,615");
    assert_eq!((size(1), size(999)), ("1 byte".to_owned(), "999 bytes".to_owned()));
    assert_eq!(size(1000), "1.0 kB (1,000 bytes)");
    assert_eq!(size(999_999), "999.9 kB (999,999 bytes)");
    assert_eq!(size(u64::MAX), "18.4 EB (18,446,744,073,709,551,615 bytes)");
    assert_eq!(duration(0.04), "0.0 s");
    assert_eq!(duration(7265.9), "2h 1m 5s");
    assert_eq!(duration(f64::INFINITY), "inf s");
}
