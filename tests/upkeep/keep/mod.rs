//! Which snapshots are kept, against a model that knows no shortcuts, through years of hours and
//! any sequence of pushes.

mod any;
pub(crate) mod model;
mod years;

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::act::config::zones::load;
use snapgate::decide::keep::{Keep, Snapshot, decide};
use snapgate::terms::NamePattern;
use snapgate::terms::zone::{Zone, ZoneName};

/// Zones whose clocks change by an hour, by half of one, in the other half of the year, and never.
const ZONES: [&str; 5] = ["UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];

fn zone(name: &str) -> Zone {
    load(&ZoneName::new(name).unwrap()).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn snapshot(began: DateTime<Utc>) -> Snapshot {
    Snapshot::complete(NamePattern::default().name_at(began), began)
}

/// What stays of these snapshots.
fn pruned(stock: &[Snapshot], now: DateTime<Utc>, zone: &Zone, keep: &Keep) -> Vec<Snapshot> {
    let judged = decide(stock, now, zone, keep);
    judged.into_iter().filter(|judged| !judged.is_doomed()).map(|judged| judged.snapshot.clone()).collect()
}

fn hours(hours: i64) -> TimeDelta {
    TimeDelta::hours(hours)
}
