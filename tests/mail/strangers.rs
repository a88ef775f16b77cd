//! What accounts make of the spool and of their own part of it, where root speaks for all of them: it keeps
//! nobody's mail from leaving, and no mail says what its account has no word in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{chown, geteuid};
use snapgate::admin::watch::{Means, WatchReport, run, run_with};
use snapgate::decide::speak::alerts::State;
use snapgate::terms::limits::{ALERTS_IN_SPAN, FAILURES_IN_SPAN, LOOK_PATIENCE, MAX_ACCOUNTS, PASSING_IN_SPAN, REPORTS_IN_SPAN};

use super::others::{strange_account, write_as_nobody};
use super::{Place, refusal};
use support::smtp::header;

fn is_root() -> bool {
    if !geteuid().is_root() {
        support::skip("only root looks after other accounts");
    }
    geteuid().is_root()
}

/// A policy whose client pushes as this account.
fn policy(place: &Place, client: &str, user: &str) {
    let policies = place.dir.path().join("policies");
    fs::create_dir_all(&policies).unwrap();
    fs::write(policies.join(format!("{client}.yaml")), format!("user: {user}\n")).unwrap();
}

fn written(home: &Path, seq: usize, audience: &str, subject: &str, more: serde_json::Value) {
    let mut mail = serde_json::json!({
        "seq": seq, "created": Utc::now(), "audience": audience, "events": 1, "subject": subject,
        "body": "All is well.\n\n-- \nsnapgate, from what the unix account with uid 0 recorded.\n",
    });
    mail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    write_as_nobody(&home.join(format!("out/{seq:012}.json")), mail.to_string().as_bytes());
}

fn pass(place: &Place, minutes: i64) -> WatchReport {
    run_with(&place.site, false, &Means { now: &|| Utc::now() + TimeDelta::minutes(minutes), go_on: &|| true })
}

#[test]
fn no_number_of_directories_in_the_spool_keeps_root_s_mail_from_leaving() {
    if !is_root() {
        return;
    }
    // Where what is newest is listed first.
    let place = Place::within(support::in_memory(), |dir| snapgate::decide::policy::Transport::Directory(dir.join("mails")));
    policy(&place, "web1", "nobody");
    let home = strange_account(&place);
    place.add(&refusal("web1", "key"));
    write_as_nobody(&home.join("new/1.json"), &super::bounds::event_of("1", &refusal("web1", "quota")));
    for number in 0..=MAX_ACCOUNTS {
        fs::create_dir(place.site.spool.join((2_000_000 + number).to_string())).unwrap();
    }
    let done = run(&place.site, true);
    assert_eq!((done.counted, done.sent, done.problems.len()), (2, 2, 1), "{done:?}");
    assert!(done.problems[0].contains("names that are no account's, such as `20"), "{done:?}");
}

#[test]
fn whoever_no_policy_names_comes_behind_the_accounts_of_clients() {
    if !is_root() {
        return;
    }
    // Chance among few may hide that it is chance.
    for strangers in [8, 40] {
        let place = Place::with_files();
        policy(&place, "web1", "nobody");
        let home = strange_account(&place);
        // What has waited before is behind what has not, but not behind those.
        write_as_nobody(&home.join("state.json"), &serde_json::to_vec(&State::starting_at(1)).unwrap());
        written(&home, 0, "alerts", "[snapgate] web1: refused (code key)", serde_json::json!({"client": "web1"}));
        for uid in 3_000_000..3_000_000 + strangers {
            let home = place.site.spool.join(uid.to_string());
            let file = home.join("new/1.json");
            fs::create_dir_all(home.join("new")).unwrap();
            fs::write(&file, super::bounds::event_of("1", &refusal("web1", "key"))).unwrap();
            for inner in ["", "tmp", "out", "dead", "new", "new/1.json"] {
                let _ = fs::create_dir(home.join(inner));
                chown(&home.join(inner), Some(uid.into()), None).unwrap();
            }
        }
        // It ends with the first mail.
        let go_on = || place.mails().is_empty();
        let done = run_with(&place.site, false, &Means { now: &Utc::now, go_on: &go_on });
        let mails = place.mails();
        assert!(done.sent == 1 && mails.len() == 1 && mails[0].contains("65534"), "{done:?} {mails:?}");
        let done = run(&place.site, false);
        assert_eq!(
            (done.counted, done.sent),
            (strangers.into(), u64::try_from(ALERTS_IN_SPAN + FAILURES_IN_SPAN + PASSING_IN_SPAN).unwrap().min(strangers.into()) + 1),
            "{done:?}"
        );
    }
}

#[test]
fn what_waits_leaves_before_a_look_at_clients_which_may_never_end() {
    if !is_root() {
        return;
    }
    let place = Place::with_files();
    let home = strange_account(&place);
    place.add(&refusal("web1", "key"));
    write_as_nobody(&home.join("new/1.json"), &super::bounds::event_of("1", &refusal("web1", "quota")));
    let mut watch = place.program(0, &[]);
    fs::create_dir(place.dir.path().join("config/policies")).unwrap();
    // For this a look waits, and a pass does not.
    let lock = fs::File::create(place.own().join("lock")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    let begun = Instant::now();
    let mut running = watch.spawn().unwrap();
    while place.mails().is_empty() {
        assert!(begun.elapsed() < LOOK_PATIENCE && running.try_wait().unwrap().is_none(), "it looks first");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(lock);
    running.wait().unwrap();
}

#[test]
fn a_mail_that_an_account_has_written_speaks_for_its_clients_alone_and_says_whose_it_is() {
    if !is_root() {
        return;
    }
    let place = Place::with_files();
    policy(&place, "web1", "nobody");
    policy(&place, "shop", "root");
    let home = strange_account(&place);
    write_as_nobody(&home.join("state.json"), &serde_json::to_vec(&State::starting_at(9)).unwrap());
    let thread = serde_json::json!({
        "thread": {"root": "snapgate.missed.1795226400000000.shop", "begins": false}, "client": "shop",
        "page": {"title": "All is well", "sections": []},
    });
    written(&home, 0, "alerts", "[snapgate] shop: missed: resolved after 30 hours", thread);
    written(&home, 1, "reports", "[snapgate] digest 2026-11-29: all is well with 9 clients", serde_json::json!({}));
    written(&home, 2, "alerts", "[snapgate] web1: refused (code key)", serde_json::json!({"client": "web1"}));
    written(&home, 3, "alerts", "[snapgate] account nobody: refused (code config)", serde_json::json!({}));
    let done = run(&place.site, false);
    assert_eq!((done.sent, done.problems.len()), (4, 0), "{done:?}");
    let mut subjects: Vec<String> = Vec::new();
    for mail in place.mails() {
        subjects.push(header(&mail, "Subject").unwrap());
        assert!(mail.trim_end().ends_with("snapgate, from what the unix account with uid 65534 recorded."), "{mail}");
        assert_eq!((header(&mail, "In-Reply-To"), header(&mail, "References")), (None, None), "{mail}");
        assert!(!mail.contains("text/html"), "{mail}");
    }
    subjects.sort();
    let expected = [
        "[snapgate] account 65534: digest 2026-11-29: all is well with 9 clients",
        "[snapgate] account 65534: shop: missed: resolved after 30 hours",
        "[snapgate] account nobody: refused (code config)",
        "[snapgate] web1: refused (code key)",
    ];
    assert_eq!(subjects, expected);
}

#[test]
fn root_sends_no_more_mails_of_an_account_than_are_promised_and_the_rest_later() {
    if !is_root() {
        return;
    }
    let place = Place::with_files();
    policy(&place, "web1", "nobody");
    let home = strange_account(&place);
    let alerts = ALERTS_IN_SPAN + FAILURES_IN_SPAN + PASSING_IN_SPAN;
    write_as_nobody(&home.join("state.json"), &serde_json::to_vec(&State::starting_at(900)).unwrap());
    for seq in 0..alerts + 3 {
        written(&home, seq, "alerts", "[snapgate] web1: refused", serde_json::json!({}));
    }
    for seq in 0..REPORTS_IN_SPAN + 2 {
        written(&home, 100 + seq, "reports", "[snapgate] web1: published", serde_json::json!({}));
    }
    let most = (alerts + REPORTS_IN_SPAN) as u64;
    let done = pass(&place, 0);
    assert_eq!((done.sent, done.waiting, done.problems.len()), (most, 5, 1), "{done:?}");
    assert!(done.problems[0].starts_with("3 alerts of account 65534 wait"), "{done:?}");
    // Whatever the account makes of its own notes, and for whoever looks again.
    write_as_nobody(&home.join("sent-65534.json"), b"{}");
    assert_eq!((pass(&place, 1).sent, pass(&place, 9).sent), (0, 0));
    // Root's own mails have their counts, and wait for nobody.
    place.add(&refusal("web1", "key"));
    assert_eq!(pass(&place, 9).sent, 1);
    let done = pass(&place, 11);
    assert_eq!((done.sent, done.waiting, done.problems.len()), (5, 0, 0), "{done:?}");
}

#[test]
fn accounts_that_no_policy_names_are_one_in_what_root_sends_of_them() {
    if !is_root() {
        return;
    }
    let place = Place::with_files();
    let homes: Vec<PathBuf> = (0..5_u32)
        .map(|number| {
            let (home, uid) = (strange_account(&place), 700_000 + number);
            let to = place.site.spool.join(uid.to_string());
            fs::rename(home, &to).unwrap();
            written(&to, 0, "alerts", "x", serde_json::json!({}));
            written(&to, 1, "alerts", "x", serde_json::json!({}));
            written(&to, 2, "alerts", "x", serde_json::json!({}));
            let all = ["", "tmp", "new", "out", "dead", "out/000000000000.json", "out/000000000001.json", "out/000000000002.json"];
            all.iter().for_each(|name| std::os::unix::fs::chown(to.join(name), Some(uid), None).unwrap());
            to
        })
        .collect();
    let most = (ALERTS_IN_SPAN + FAILURES_IN_SPAN + PASSING_IN_SPAN) as u64;
    let done = pass(&place, 0);
    assert_eq!((done.sent, done.waiting), (most, homes.len() as u64 * 3 - most), "{done:?}");
    assert_eq!(pass(&place, 11).waiting, 0);
}
