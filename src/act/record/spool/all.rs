//! Whose directories are in the spool, and whose turn it is first. Whoever may make a directory there
//! may make any number (mode 1730), so what a list says decides for nobody: root and the accounts
//! of policies are looked up by name, and the rest comes last, up to a bound.

use std::collections::BTreeSet;
use std::path::Path;

use nix::unistd::{Uid, geteuid};

use super::inside::Inside;
use super::{AccountSpool, SpoolError};
use crate::terms::limits::{MAX_ACCOUNTS, MAX_STRANGERS};
use crate::terms::text::{counted, printable, printable_path};

/// An account that has a directory in the spool, or what stands there instead.
pub type Account = Result<AccountSpool, SpoolError>;

/// All accounts that have a directory there, one open at a time, and at the end what else is there.
pub struct Accounts {
    site: Inside,
    uids: std::vec::IntoIter<u32>,
    /// Whether only this account's own is looked at.
    own: bool,
    odd: Option<SpoolError>,
}

impl Accounts {
    /// Those whose turn has not come.
    pub fn uids(&self) -> &[u32] {
        self.uids.as_slice()
    }

    /// What is there and no account's.
    pub fn odd(&self) -> Option<&SpoolError> {
        self.odd.as_ref()
    }

    /// Only these of them, and nothing else.
    #[must_use]
    pub fn only(self, wanted: &BTreeSet<u32>) -> Self {
        let uids: Vec<u32> = self.uids.filter(|uid| wanted.contains(uid)).collect();
        Self { uids: uids.into_iter(), odd: None, ..self }
    }
}

impl Iterator for Accounts {
    type Item = Account;

    fn next(&mut self) -> Option<Account> {
        for uid in self.uids.by_ref() {
            match AccountSpool::open(&self.site, Uid::from_raw(uid)) {
                // Nothing came there yet, or it went between list and look.
                Err(SpoolError::Io { error, .. })
                    if error.kind() == std::io::ErrorKind::NotFound && (self.own || is_gone(&self.site, uid)) => {}
                account => return Some(account),
            }
        }
        self.odd.take().map(Err)
    }
}

fn is_gone(site: &Inside, uid: u32) -> bool {
    site.owner_of(&uid.to_string()).is_ok_and(|owner| owner.is_none())
}

/// Every account in the spool, for root, which is the first; otherwise one's own, if it is there.
/// `known` has the accounts of the policies. It is asked only where a list alone would let a stranger
/// choose who is left out.
///
/// # Errors
/// When the spool itself cannot be opened or listed.
pub fn accounts(dir: &Path, known: impl FnOnce() -> BTreeSet<u32>) -> Result<Accounts, SpoolError> {
    if geteuid().is_root() {
        return listed(dir, known);
    }
    let site = Inside::pass_through(dir)?;
    Ok(Accounts { site, uids: vec![geteuid().as_raw()].into_iter(), own: true, odd: None })
}

fn listed(dir: &Path, known: impl FnOnce() -> BTreeSet<u32>) -> Result<Accounts, SpoolError> {
    let site = Inside::listing(dir)?;
    let (names, has_others) = site.names_like(MAX_ACCOUNTS, |_| true)?;
    // Whoever makes a directory owns it, and can make none in the name of another.
    let is_own = |name: &String| {
        Ok::<_, SpoolError>(number(name).filter(|uid| *uid != 0).zip(site.owner_of(name)?).is_some_and(|(uid, owner)| uid == owner))
    };
    let (mut found, mut strange) = (BTreeSet::new(), Vec::new());
    for name in names {
        if is_own(&name)? {
            found.extend(number(&name));
        } else if name != "0" && name != super::SESSIONS {
            strange.push(name);
        }
    }
    let is_crowded = has_others || !strange.is_empty() || found.len() > MAX_STRANGERS;
    let mut known = if is_crowded { known() } else { BTreeSet::new() };
    known.remove(&0);
    // What has the name of an account of a policy is looked at, whosever it is.
    strange.retain(|name| !number(name).is_some_and(|uid| known.contains(&uid)));
    known.retain(|uid| !is_gone(&site, *uid));
    let strangers: Vec<u32> = found.difference(&known).copied().collect();
    let left_out = strangers.len().saturating_sub(MAX_STRANGERS);
    let odd = odd(&site, &strange, left_out, has_others);
    let order: Vec<u32> = std::iter::once(0).chain(known).chain(strangers.into_iter().take(MAX_STRANGERS)).collect();
    Ok(Accounts { site, uids: order.into_iter(), own: false, odd })
}

/// The account that a directory is named after.
fn number(name: &str) -> Option<u32> {
    name.parse().ok().filter(|uid: &u32| uid.to_string() == name)
}

/// One word for all that is there and no account's: a stranger may have made any number of it.
fn odd(site: &Inside, strange: &[String], left_out: usize, has_others: bool) -> Option<SpoolError> {
    let strange = strange.first().map(|first| {
        let such_as = if strange.len() == 1 { ":" } else { ", such as" };
        format!("{} no account's{such_as} `{}`", counted(strange.len(), "name that is", "names that are"), printable(first.as_bytes()))
    });
    let left_out =
        (left_out > 0).then(|| format!("{} no policy, which nobody looks at", counted(left_out, "account with", "accounts with")));
    let others = has_others.then(|| "others that were not looked at".to_owned());
    let all: Vec<String> = strange.into_iter().chain(left_out).chain(others).collect();
    (!all.is_empty()).then(|| SpoolError::Odd { path: printable_path(&site.path), what: all.join(", and ") })
}
