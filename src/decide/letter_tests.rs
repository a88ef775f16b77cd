//! Each kind of mail, whole, as the administrator reads it.

use super::*;
use crate::decide::notice;
use crate::terms::DroppedOwners;

fn section(record: Record, count: u64) -> Group {
    let mut groups = Vec::new();
    notice::count(&mut groups, record.clone(), DateTime::<Utc>::MAX_UTC);
    let last = record.at + chrono::TimeDelta::seconds(i64::try_from(count).unwrap() - 1);
    let mut group = groups.remove(0);
    (group.pending, group.last, group.samples) = (count, last, vec![record]);
    group
}

fn mail(about: About) -> ComposedMail {
    compose(&Draft { seq: 7, about }, 1001, "2026-11-21T02:00:01Z".parse().unwrap())
}

#[test]
fn a_refusal_says_everything_and_how_to_allow_it() {
    let mail = mail(About::Alert(vec![section(samples::refusal(), 1)]));
    assert_eq!(mail.subject, "[snapgate] web1: refused (window)");
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
    let record = Record { verb: Some(Verb::Complete), command: "complete 0".to_owned(), exit: 64, reasons, ..samples::refusal() };
    let mail = mail(About::Alert(vec![section(record, 1)]));
    assert_eq!(mail.subject, "[snapgate] web1: refused (transaction)");
    let first = "Look into it: web1 said `complete` with no open transaction. Nothing was changed.\n";
    assert!(mail.body.starts_with(first) && mail.body.contains("    to mend:  see what"), "{}", mail.body);
}

#[test]
fn what_no_policy_can_allow_says_so_in_one_sentence() {
    let mut record = samples::refusal();
    record.reasons = vec![Reason::new(Code::Option, "no").only_client("leave it out")];
    let body = mail(About::Alert(vec![section(record, 1)])).body;
    assert!(body.contains("    to allow: not possible; the client can: leave it out\n"), "{body}");
}

#[test]
fn a_failure_says_what_to_do_and_that_the_data_was_kept() {
    let mail = mail(About::Alert(vec![section(samples::failure(), 1)]));
    assert_eq!(mail.subject, "[snapgate] web1: failed (store)");
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
    assert_eq!(mail.subject, "[snapgate] web1: published 2026-11-21T02-00-00Z");
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
    let mut record = samples::published();
    record.push.as_mut().unwrap().dropped_owners = Some(DroppedOwners { files: 4, owners: 3, more: false });
    let body = mail(About::Report(Box::new(record))).body;
    assert!(body.starts_with("web1 is backed up. Nothing to do.\n"), "{body}");
    assert!(body.contains("\nOwners:     4 files of 3 other owners became the account's\nNetwork:"), "{body}");
}

#[test]
fn a_report_with_something_to_look_at_says_so_first() {
    let mut record = samples::published();
    record.push.as_mut().unwrap().partial = true;
    record.warnings = vec!["rsync: [sender] read errors mapping \"a\"".to_owned()];
    let mail = mail(About::Report(Box::new(record)));
    assert_eq!(mail.subject, "[snapgate] web1: published 2026-11-21T02-00-00Z, partial, with warnings");
    assert!(mail.body.starts_with("Look into it: web1 is backed up, but not whole."), "{}", mail.body);
}

#[test]
fn a_digest_lists_every_kind_with_its_count_and_puts_faults_first() {
    let mail = mail(About::Alert(vec![section(samples::refusal(), 998), section(samples::failure(), 2)]));
    assert_eq!(mail.subject, "[snapgate] digest: 1,000 refusals and failures");
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
    assert_eq!(mail.subject, "[snapgate] many clients: refusals and failures");
    assert!(
        mail.body.starts_with("936 refusals and failures from more clients, addresses and reasons than can be told apart."),
        "{}",
        mail.body
    );
    assert!(mail.body.contains("  2026-11-21 02:00:00 UTC  web1: failed (store) from 203.0.113.9: rsync --server"), "{}", mail.body);
}

#[test]
fn what_was_published_is_never_called_no_backup() {
    let mut record = samples::published();
    record.reasons = vec![Reason::new(Code::Hook, "a hook failed")];
    let mail = mail(About::Alert(vec![section(record, 1)]));
    assert!(mail.body.starts_with("Look into it: web1 was served (published), but not everything went well."), "{}", mail.body);
}

#[test]
fn nothing_in_a_forged_record_leaves_its_line_or_its_size() {
    let mut record = samples::refusal();
    record.client = None;
    record.account = "x\r\nBcc: victim@example.org\u{202e}".to_owned();
    record.command = format!("\r\nact now\n{}", "é\u{1b}".repeat(1 << 19));
    record.warnings = vec!["a\nb".to_owned()];
    let mail = mail(About::Alert(vec![section(record, 1)]));
    assert!(!mail.subject.chars().any(char::is_control), "{}", mail.subject);
    assert!(mail.subject.len() < MAX_SUBJECT + 8);
    assert!(mail.body.lines().all(|line| !line.chars().any(char::is_control)));
    assert!(mail.body.len() < crate::terms::limits::MAX_MAIL_BODY + 1024);
}

#[test]
fn numbers_are_read_without_counting_digits() {
    assert_eq!(number(0), "0");
    assert_eq!(number(1_000), "1,000");
    assert_eq!(number(u64::MAX), "18,446,744,073,709,551,615");
    assert_eq!(size(999), "999 bytes");
    assert_eq!(size(1000), "1.0 kB (1,000 bytes)");
    assert_eq!(size(999_999), "999.9 kB (999,999 bytes)");
    assert_eq!(size(u64::MAX), "18.4 EB (18,446,744,073,709,551,615 bytes)");
    assert_eq!(duration(0.04), "0.0 s");
    assert_eq!(duration(7265.9), "2h 1m 5s");
    assert_eq!(duration(f64::INFINITY), "inf s");
}
