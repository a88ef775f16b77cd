//! Events as they come, until somebody ends it. New clients are followed as soon as they have a
//! policy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use super::Show;
use super::order::Reading;
use super::places::{self, Source};
use crate::act::config::POLICIES;
use crate::act::{clock, process};
use crate::decide::policy::Site;
use crate::terms::exit;

/// How often ledgers are looked at: as soon as anybody sees it, and a thousand of them cost little.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows these places. The answer is the exit code.
pub(super) fn follow(directory: &Path, site: &Site, mut sources: Vec<Source>, reading: &Reading<'_>, show: &mut Show<'_>) -> u8 {
    let (mut policies, began) = (changed(directory), clock::now());
    loop {
        let mut come: BTreeMap<(DateTime<Utc>, usize), String> = BTreeMap::new();
        let mut number = 0;
        for source in &mut sources {
            let (whose, is_late) = (source.whose.clone(), source.is_late);
            // What cannot be read now may be readable the next time.
            let _ = source.more(&mut |line| {
                if let Ok(Some((at, text))) = reading.shown(&whose, line)
                    // What has a policy only now may have an old ledger.
                    && (!is_late || at >= began)
                {
                    number += 1;
                    come.insert((at, number), text);
                }
            });
        }
        // What came in one look is told in order of time.
        if !come.values().all(|text| show(text)) {
            return exit::CLOSED;
        }
        if process::is_closed_within(PAUSE) {
            return exit::CLOSED;
        }
        let now = changed(directory);
        if reading.only.is_none() && now != policies {
            policies = now;
            add_new(directory, site, &mut sources);
        }
    }
}

/// When a policy came or went last.
fn changed(directory: &Path) -> Option<SystemTime> {
    fs::metadata(directory.join(POLICIES)).and_then(|found| found.modified()).ok()
}

/// Adds places that there were not before, and clients that an account has got.
fn add_new(directory: &Path, site: &Site, sources: &mut Vec<Source>) {
    let Ok((all, _)) = places::all(directory, site, None) else { return };
    for new in all {
        match sources.iter_mut().find(|source| source.at == new.at) {
            Some(known) => known.whose = new.whose,
            None => sources.push(new.unopened()),
        }
    }
}
