//! Being told: states that last, from a repository to mails at a real server, with kills between any two steps.
#![cfg(test)]

mod digest;
mod lasting;
mod routed;
mod ways;
mod ways_down;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::act::config::load_site;
use snapgate::admin::states;
use snapgate::admin::watch::{Means, WatchReport, run_with};
use snapgate::decide::policy::Site;
use support::accounts::Account;
use support::smtp::{Server, Taken};
use support::stock;

/// A site with a mail server here, of whoever runs the tests.
struct Place {
    dir: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn new(site: &str) -> Self {
        Self::mailing("", site)
    }

    /// The same with that in its `mail:`.
    fn mailing(more: &str, site: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::plain();
        let at = dir.path().display();
        for name in ["config", "config/policies", "spool", "store"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mail = format!("{{ from: s@example.org, to: [root@example.org], transport: \"smtp://127.0.0.1:{}\"{more} }}", server.port);
        let text = format!("store: {at}/store\nspool: {at}/spool\nsyslog: off\nmail: {mail}\n{site}");
        fs::write(dir.path().join("config/snapgate.yaml"), text).unwrap();
        Self { dir, server }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    fn site(&self) -> Site {
        load_site(&self.config()).unwrap()
    }

    fn spool(&self) -> PathBuf {
        self.dir.path().join("spool").join(me().uid.to_string())
    }

    /// A client of this account, with that in its policy.
    fn client(&self, name: &str, policy: &str) -> PathBuf {
        fs::write(self.config().join(format!("policies/{name}.yaml")), format!("user: {}\n{policy}", me().name)).unwrap();
        self.dir.path().join("store").join(name)
    }

    /// Snapshots of it that began so many hours ago.
    fn pushed(&self, name: &str, now: DateTime<Utc>, hours: impl IntoIterator<Item = i64>) {
        let repository = self.dir.path().join("store").join(name);
        let times: Vec<_> = hours.into_iter().map(|ago| now - TimeDelta::hours(ago)).collect();
        stock::snapshots(&repository, me(), &times, |_, stage| fs::write(stage.join("file"), "x").unwrap());
    }

    /// A look and a pass at that time, as `snapgate watch` has them, ended before its step number `steps`. Returns whether it came to
    /// its end.
    fn pass(&self, now: DateTime<Utc>, steps: u64) -> (WatchReport, bool) {
        let site = self.site();
        states::look(&self.config(), &site, now).unwrap();
        let left = Cell::new(steps);
        let go_on = || {
            let goes = left.get() > 0;
            left.set(left.get().saturating_sub(1));
            goes
        };
        let report = run_with(&site, false, &Means { now: &|| now, go_on: &go_on });
        (report, left.get() > 0)
    }

    fn watch(&self, now: DateTime<Utc>) {
        let (report, whole) = self.pass(now, u64::MAX);
        assert!(whole && report.problems.is_empty() && report.waiting == 0, "{report:?}");
    }

    fn subjects(&self) -> Vec<String> {
        self.server.taken().iter().map(subject).collect()
    }
}

fn subject(mail: &Taken) -> String {
    mail.header("Subject").unwrap()
}

fn me() -> &'static Account {
    static ME: std::sync::OnceLock<Account> = std::sync::OnceLock::new();
    ME.get_or_init(|| {
        let account = snapgate::act::names::running();
        Account { name: account.name, uid: account.uid, gid: account.group, home: PathBuf::new() }
    })
}

fn now() -> DateTime<Utc> {
    // A whole second, as in the names of snapshots.
    DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap()
}

fn names(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}
