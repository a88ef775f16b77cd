//! Whose turn it is: of accounts, and of those who work on the spool of one.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use crate::act::record::spool::{Account, AccountSpool, Lock, SpoolError};
use crate::act::spools;
use crate::decide::policy::Site;
use crate::terms::ClientName;
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

/// Who the accounts of clients are. It is asked at most once in a pass, and only where that matters: all
/// policies are read for it.
pub(super) struct Known<'a> {
    site: &'a Site,
    clients: OnceCell<BTreeMap<ClientName, u32>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(site: &'a Site) -> Self {
        Self { site, clients: OnceCell::new() }
    }

    /// Each client, and its account.
    pub(super) fn clients(&self) -> &BTreeMap<ClientName, u32> {
        self.clients.get_or_init(|| spools::clients(self.site))
    }

    /// Whether no policy names this account, and it is not root.
    pub(super) fn is_strange(&self, uid: u32) -> bool {
        uid != 0 && !self.clients().values().any(|client| *client == uid)
    }
}

/// The accounts in the order in which their mails are tried. A mail may be made so that the mailer
/// stalls on it, and a pass has so much time: so whoever has nothing that was not taken before comes
/// first, and among the others it is chance. Root's own, which nobody else writes, are before all, and
/// behind all are those of accounts that no policy names, of which there may be any number.
pub(super) fn ordered(mut accounts: Vec<Account>, known: &Known<'_>) -> Vec<Account> {
    let chance = RandomState::new();
    let is_alone = accounts.iter().flatten().filter(|spool| spool.uid() != 0 && has_any(spool)).take(2).count() < 2;
    accounts.sort_by_cached_key(|account| {
        let uid = account.as_ref().map_or(u32::MAX, AccountSpool::uid);
        let waits = || account.as_ref().is_ok_and(|spool| spool.waiting().is_ok_and(|waiting| !waiting.is_empty()));
        (place(uid, !is_alone && known.is_strange(uid), waits), chance.hash_one(uid))
    });
    accounts
}

/// Where an account comes, before chance. Names of strangers may be very many, and they are the last ones anyway: nobody
/// asks whether something of theirs waits.
fn place(uid: u32, is_strange: bool, waits: impl FnOnce() -> bool) -> (bool, bool, bool) {
    (uid != 0, is_strange, !is_strange && waits())
}

/// Whether something waits there.
fn has_any(spool: &AccountSpool) -> bool {
    spool.news().is_ok_and(|news| !news.is_empty()) || spool.waiting().is_ok_and(|waiting| !waiting.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_first_who_has_nothing_that_waits_is_next_and_strangers_are_last_and_not_looked_into() {
        let stranger = place(9, true, || panic!("its names are listed"));
        let order = [place(0, false, || true), place(7, false, || false), place(8, false, || true), stranger];
        assert!(order.windows(2).all(|two| two[0] < two[1]), "{order:?}");
    }
}
