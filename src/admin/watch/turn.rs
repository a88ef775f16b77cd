//! Whose turn it is to work on an account's spool.

use std::time::{Duration, Instant};

use crate::act::record::spool::{AccountSpool, Lock, SpoolError};
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
