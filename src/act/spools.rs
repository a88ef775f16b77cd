//! The spools of all accounts, as root goes through them: its own first, then those of the accounts
//! that policies name, whatever else a stranger has put there.

use std::collections::BTreeMap;
use std::path::Path;

use crate::act::record::spool::{self, Accounts, SpoolError};
use crate::act::{config, names};
use crate::decide::policy::Site;
use crate::terms::ClientName;

/// All of them, as root; otherwise one's own.
///
/// # Errors
/// When the site's spool cannot be opened or listed.
pub fn all(site: &Site) -> Result<Accounts, SpoolError> {
    spool::accounts(&site.spool, || clients(site).into_values().collect())
}

/// Each client, and the account that its policy names. One whose policy cannot be read is nobody's
/// until it can.
pub fn clients(site: &Site) -> BTreeMap<ClientName, u32> {
    let directory = site.file.parent().unwrap_or(Path::new("/"));
    let policies = config::all_policies(directory, site).unwrap_or_default();
    let mut users: BTreeMap<String, Option<u32>> = BTreeMap::new();
    let known = policies.into_iter().filter_map(|(client, policy)| Some((client, policy.ok()?.user))).filter_map(|(client, user)| {
        let uid = *users.entry(user.clone()).or_insert_with(|| names::named(&user).map(|account| account.uid));
        Some((client, uid?))
    });
    known.collect()
}
