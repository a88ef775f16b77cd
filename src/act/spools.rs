//! The spools of all accounts, as root goes through them: its own first, then those of the accounts
//! that policies name, whatever else a stranger has put there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::act::record::spool::{self, Accounts, SpoolError};
use crate::act::{config, names};
use crate::decide::policy::Site;

/// All of them, as root; otherwise one's own.
///
/// # Errors
/// When the site's spool cannot be opened or listed.
pub fn all(site: &Site) -> Result<Accounts, SpoolError> {
    spool::accounts(&site.spool, || of_policies(site))
}

/// The accounts that policies name. One whose policy cannot be read is a stranger until it can.
pub fn of_policies(site: &Site) -> BTreeSet<u32> {
    let directory = site.file.parent().unwrap_or(Path::new("/"));
    let policies = config::all_policies(directory, site).unwrap_or_default();
    let users: BTreeSet<String> = policies.into_iter().filter_map(|(_, policy)| policy.ok()).map(|policy| policy.user).collect();
    users.iter().filter_map(|user| names::named(user)).map(|account| account.uid).collect()
}
