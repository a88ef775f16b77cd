//! Whose turn it is: of accounts, and of those who work on the spool of one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use crate::act::record::spool::{Account, AccountSpool, Lock, SpoolError};
use crate::terms::limits::FLUSH_PATIENCE;

/// The account's lock. With `flush` it waits: another pass sees new events, but not the wish to
/// flush.
pub(super) fn acquire(spool: &AccountSpool, flush: bool) -> Result<Option<Lock>, SpoolError> {
    let begun = Instant::now();
    loop {
        let lock = spool.lock()?;
        if lock.is_some() || !flush || begun.elapsed() > FLUSH_PATIENCE {
            return Ok(lock);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The accounts in the order in which their mails are tried. A mail may be made so that the mailer
/// stalls on it, and a pass has so much time: so whoever has nothing that was not taken before comes
/// first, and among the others it is chance. Root's own, which nobody else writes, are before all.
pub(super) fn ordered(mut accounts: Vec<Account>) -> Vec<Account> {
    let chance = RandomState::new();
    accounts.sort_by_cached_key(|account| {
        let has_waited = account.as_ref().is_ok_and(|spool| spool.waiting().is_ok_and(|waiting| !waiting.is_empty()));
        let uid = account.as_ref().map_or(u32::MAX, AccountSpool::uid);
        (uid != 0, has_waited, chance.hash_one(uid))
    });
    accounts
}
