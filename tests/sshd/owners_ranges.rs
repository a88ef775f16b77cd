//! `owners: keep` while the ranges of an account change, and where they are not its alone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::owners::{first, skipped};
use support::accounts::{self, Account};
use support::{ALL_VERBS, Server, Setup, must, tree, until};

/// The account whose ranges change, while no other test here needs it.
fn changing() -> (MutexGuard<'static, ()>, Account, Server) {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Setup::new().client_on(accounts::CHANGING, "web1", &format!("{ALL_VERBS}owners: keep\n")).start();
    (alone, accounts::account(accounts::CHANGING), server)
}

/// A range of users and one of groups more for an account, for as long as this lives.
struct Ranges {
    whose: String,
    range: &'static str,
}

impl Ranges {
    fn further(whose: &str, range: &'static str) -> Self {
        must(Command::new("usermod").args(["--add-subuids", range, "--add-subgids", range, whose]));
        Self { whose: whose.to_owned(), range }
    }
}

impl Drop for Ranges {
    fn drop(&mut self) {
        // Not while a session of the account's has not quite ended.
        let removed = || Command::new("usermod").args(["--del-subuids", self.range, "--del-subgids", self.range, &self.whose]).status();
        until("the ranges are gone again", || removed().unwrap().success());
    }
}

#[test]
fn more_ranges_keep_more_ids_and_what_is_there_stays_as_it_is() {
    if skipped() {
        return;
    }
    let (_alone, account, server) = changing();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let first = first(&account);
    tree::small(&source);
    chown(source.join("a.txt"), Some(65_540), Some(65_541)).unwrap();
    web1.push(&source, &[]).exits(0);
    let owner = || fs::symlink_metadata(repository.snapshot(-1).join("a.txt")).map(|found| (found.uid(), found.gid())).unwrap();
    assert_eq!(owner(), (first + 65_535, first + 65_535));
    {
        let _further = Ranges::further(&account.name, "2000000-2000099");
        web1.push(&source, &["-A"]).exits(0);
        assert_eq!((owner(), server.record().push.unwrap().received), ((2_000_004, 2_000_005), 1), "the rest is linked");
    }
    let said = server.snapgate(&["check", "--all"]).exits(1).stdout;
    assert!(said.contains("2000000-2000099 and the account has") || said.contains("2000000-2000099, and the account has"), "{said}");
    let ran = web1.push(&source, &[]);
    assert!(ran.stderr.contains("code owners"), "{}", ran.stderr);
    let reason = &server.record().reasons[0];
    assert!(reason.detail.contains("2000000-2000099") && reason.remedy.as_ref().unwrap().contains("give the account back"), "{reason:?}");
}

#[test]
fn check_finds_ranges_that_are_not_the_account_s_alone() {
    if skipped() {
        return;
    }
    let (_alone, account, server) = changing();
    let name = &account.name;
    assert!(!server.snapgate(&["check", "--all"]).exits(0).stdout.contains("not its alone"));
    // An account of every Debian without processes: usermod takes no range from one that has some, be it in its ranges.
    let other = "games";
    let _its = Ranges::further(name, "3000000-3000099");
    let said = server.snapgate(&["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("not its alone") && said.contains(",3000000-3000099 and groups "), "{said}");
    {
        let _others = Ranges::further(other, "3000099-3000200");
        let said = server.snapgate(&["check", "--all"]).exits(1).stdout;
        for (file, option) in [("/etc/subuid", "subuids"), ("/etc/subgid", "subgids")] {
            let line = |whose: &str, range: &str| {
                let all = fs::read_to_string(file).unwrap();
                all.lines().position(|line| line == format!("{whose}:{range}")).unwrap() + 1
            };
            let (own, others) = (line(name, "3000000:100"), line(other, "3000099:102"));
            let told = format!(
                "{file}:{own}: the ids 3000000-3000099 of `{name}` are not its alone: line {others} gives some to `{other}`\n\
                 give one of them others before it stores anything (usermod --del-{option} "
            );
            assert!(said.contains(&told), "{told}\n{said}");
        }
        assert_eq!(said.matches("not its alone").count(), 2, "{said}");
    }
    let _holding = Ranges::further(name, "5-5");
    let said = server.snapgate(&["check", "--all"]).exits(1).stdout;
    for (file, what) in [("/etc/passwd", "account"), ("/etc/group", "group")] {
        let all = fs::read_to_string(file).unwrap();
        let mut names = all.lines().filter(|line| line.split(':').nth(2) == Some("5")).map(|line| line.split(':').next().unwrap());
        let whose = names.next().expect("Debian has them");
        let told = format!("the ids 5-5 of `{name}` are not its alone: 5 is the {what} `{whose}`");
        assert!(said.contains(&told), "{told}\n{said}");
    }
    // Whoever keeps no owners uses no range.
    server.policy("web1", &format!("{ALL_VERBS}owners: drop\n"));
    assert!(!server.snapgate(&["check", "--all"]).exits(0).stdout.contains("not its alone"));
}
