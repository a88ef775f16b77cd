//! What is kept about the past in the spool: mails that no server accepted, and the ledgers of what
//! belongs to no repository.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use chrono::TimeDelta;

use super::told::Summary;
use crate::act::clock;
use crate::act::prune::{Ledgers, of_account};
use crate::act::record::spool::{self, AccountSpool};
use crate::act::spools;
use crate::act::store;
use crate::decide::policy::Site;
use crate::terms::text::{os_words, printable_path};

/// Removes what is too old. Says something where something was done, or went wrong.
pub(super) fn forget(site: &Site) -> Option<Summary> {
    let mut summary = Summary { is_of_the_site: true, ..Summary::of(&"spool", false) };
    match spools::all(site) {
        Err(error) => summary.problems.push(error.to_string()),
        Ok(accounts) => {
            for account in accounts {
                if let Err(what) = account.map_err(|error| error.to_string()).and_then(|account| one(site, &account, &mut summary)) {
                    summary.problems.push(what);
                }
            }
        }
    }
    former(site, &mut summary);
    (summary.needs_somebody() || summary.mails > 0 || summary.ledgers > 0).then_some(summary)
}

/// What accounts that are gone had there.
fn former(site: &Site, summary: &mut Summary) {
    let before = (clock::kernel() - TimeDelta::hours(i64::from(site.logs_keep.hours()))).timestamp();
    let is_old = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.ctime() < before);
    let all = spool::laid_aside(&site.spool).into_iter().map(|(.., path)| path).chain(spool::strange_aside(&site.spool));
    for path in all.filter(|path| is_old(path)) {
        match store::remove(&path) {
            Ok(()) => summary.ledgers += 1,
            Err(error) => summary.problems.push(format!("removing `{}`: {}", printable_path(&path), os_words(&error))),
        }
    }
}

fn one(site: &Site, account: &AccountSpool, summary: &mut Summary) -> Result<(), String> {
    let keep = TimeDelta::hours(i64::from(site.logs_keep.hours()));
    let before = (clock::kernel() - keep).timestamp();
    summary.mails += account.forget_dead(before).map_err(|error| error.to_string())?;
    let Some(directory) = of_account(&site.spool, account.uid()).map_err(|reason| reason.detail)? else { return Ok(()) };
    let ledgers = Ledgers::within(&directory, account.uid()).map_err(|reason| reason.detail)?;
    let now = clock::now();
    let forget = || ledgers.rotate(now).and_then(|()| ledgers.forget(now - keep, |_| false));
    summary.ledgers += forget().map_err(|error| format!("the ledger of account {}: {}", account.uid(), os_words(&error)))?;
    Ok(())
}
