//! A repository with much history, and no push for each snapshot of it. The gate's own library publishes them, so all of it is as
//! the gate leaves it, but for records and logs of pushes that never were.

use std::path::Path;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::act::store::Repository;
use snapgate::terms::path::SubPath;
use snapgate::terms::snapshot::NamePattern;

use crate::accounts::{self, Account};
use crate::run::must;

/// The same time of so many nights, the last one yesterday's.
pub fn nights(count: usize) -> Vec<DateTime<Utc>> {
    let midnight = Utc::now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    (1..=count).rev().map(|ago| midnight - TimeDelta::days(i64::try_from(ago).unwrap()) + TimeDelta::hours(2)).collect()
}

/// Publishes a snapshot of each time, the oldest first, and returns their names. `fill` makes what is in it, from its number on; all of
/// it is the account's then.
pub fn snapshots(repository: &Path, owner: &Account, times: &[DateTime<Utc>], fill: impl Fn(usize, &Path)) -> Vec<String> {
    let opened = Repository::open(repository, owner.uid, None).unwrap();
    let held = opened.hold().unwrap();
    let mut names = Vec::new();
    for (number, at) in times.iter().enumerate() {
        let staging = held.stage(&SubPath::default()).unwrap();
        fill(number, staging.path());
        let id = format!("stock-{number}");
        let published = staging.publish(NamePattern::default().name_at(*at), &id, b"").unwrap();
        opened.forget_unrecorded(&id);
        names.push(published.name().as_str().to_owned());
    }
    if accounts::is_root() {
        must(Command::new("chown").args(["-hR", &format!("{}:{}", owner.uid, owner.gid)]).arg(repository));
    }
    names
}
