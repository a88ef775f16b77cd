//! What would exist after a while.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::terms::{NamePattern, Zone};

use super::{Keep, Snapshot, decide};

/// No rhythm is closer.
const LEAST_EVERY: Duration = Duration::from_secs(60);

/// How often the rules are applied. It does not matter to what is left, and a month of hourly
/// snapshots is little.
const BETWEEN_PRUNES: TimeDelta = TimeDelta::days(1);

/// When a client will push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Now.
    pub from: DateTime<Utc>,
    /// For how long.
    pub span: Duration,
    /// How often; a minute at least.
    pub every: Duration,
}

/// The snapshots that would exist at the end of the rhythm, the oldest first, if `today`'s are
/// there at its beginning and each push is complete. None is being read by then.
pub fn simulate(today: &[Snapshot], rhythm: Rhythm, names: &NamePattern, zone: &Zone, keep: &Keep) -> Vec<Snapshot> {
    let end = after(rhythm.from, rhythm.span);
    let every = rhythm.every.max(LEAST_EVERY);
    let mut stock: Vec<Snapshot> = today.iter().map(|snapshot| Snapshot { being_read: false, ..snapshot.clone() }).collect();
    let mut now = rhythm.from;
    let mut pruned = now;
    loop {
        let next = after(now, every);
        if next > end || next == now {
            return kept(&stock, end, zone, keep);
        }
        now = next;
        stock.iter_mut().for_each(|snapshot| snapshot.current = false);
        stock.push(Snapshot { current: true, ..Snapshot::complete(names.name_at(now), now) });
        if now - pruned >= BETWEEN_PRUNES {
            stock = kept(&stock, now, zone, keep);
            pruned = now;
        }
    }
}

fn kept(stock: &[Snapshot], now: DateTime<Utc>, zone: &Zone, keep: &Keep) -> Vec<Snapshot> {
    let all = decide(stock, now, zone, keep).into_iter();
    all.filter(|judged| !judged.is_doomed()).map(|judged| judged.snapshot.clone()).collect()
}

/// The moment that much later; the last one that can be told, if that is sooner.
fn after(at: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let later = TimeDelta::from_std(time).ok().and_then(|time| at.checked_add_signed(time));
    later.unwrap_or(DateTime::<Utc>::MAX_UTC)
}
