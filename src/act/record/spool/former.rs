//! What accounts that are gone had in the spool. Their numbers are given out again, and whoever gets
//! one must find nothing there.
//!
//! Root lays it aside in a directory of its own, where it stays for as long as ledgers do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::inside::Inside;
use super::{AccountSpool, PUBLISHED, RESTORES, SESSIONS, Spool, SpoolError};
use crate::terms::ClientName;
use crate::terms::limits::MAX_SPOOL_NAMES;

/// Where it is, in root's own directory.
const FORMER: &str = "former";

/// How the name begins of what was no account's own. No number does.
const STRANGE: &str = "strange-";

/// The directory of this account; `None` where nothing has its name.
///
/// # Errors
/// When something is there and cannot be used.
pub fn account(dir: &Path, uid: u32) -> Result<Option<AccountSpool>, SpoolError> {
    let site = Inside::listing(dir)?;
    if site.owner_of(&uid.to_string())?.is_none() {
        return Ok(None);
    }
    AccountSpool::open(&site, Uid::from_raw(uid)).map(Some)
}

/// Lays the directory of an account aside that was the client's alone, and whatever else stands in its
/// place: the next account with this number would find a spool that it cannot use. What is another
/// account's is kept as nobody's: it tells nothing of the client.
///
/// # Errors
/// When it cannot be moved. Then it is where it was, or already aside.
pub fn lay_aside(dir: &Path, uid: u32, client: &ClientName) -> Result<bool, SpoolError> {
    let site = Inside::listing(dir)?;
    let name = uid.to_string();
    let Some(owner) = site.owner_of(&name)?.filter(|_| uid != 0) else { return Ok(false) };
    Spool::open(dir, 0)?;
    let own = site.enter("0", Uid::from_raw(0))?;
    own.make(FORMER)?;
    let former = own.enter_own(FORMER)?;
    let mut number = 1_u64;
    loop {
        let to = if owner == uid { format!("{uid}-{client}.{number}") } else { format!("{STRANGE}{uid}.{number}") };
        match site.hand_over(&name, &former, &to) {
            // One of an earlier client with the same name.
            Err(SpoolError::Io { error, .. }) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            moved => return moved.map(|()| true),
        }
    }
}

/// The account and the client of a name there. A client's may have more letters than other names in
/// the spool.
fn parts(name: &str) -> Option<(u32, ClientName)> {
    let (uid, rest) = name.split_once('-')?;
    let (client, number) = rest.rsplit_once('.')?;
    number.parse::<u64>().ok()?;
    Some((uid.parse().ok()?, client.parse().ok()?))
}

/// What was laid aside: the number of its account, its client, and where it is.
pub fn laid_aside(dir: &Path) -> Vec<(u32, ClientName, PathBuf)> {
    let read = |(name, path): (String, PathBuf)| parts(&name).map(|(uid, client)| (uid, client, path));
    aside(dir, |name| parts(name).is_some()).into_iter().filter_map(read).collect()
}

/// What was laid aside and is nobody's.
pub fn strange_aside(dir: &Path) -> Vec<PathBuf> {
    aside(dir, |name| name.starts_with(STRANGE)).into_iter().map(|(_, path)| path).collect()
}

fn aside(dir: &Path, is_one: fn(&str) -> bool) -> Vec<(String, PathBuf)> {
    let found = || {
        let own = Inside::pass_through(dir)?.enter("0", Uid::from_raw(0))?;
        let former = own.enter_own(FORMER)?;
        let (names, _) = former.names_like(MAX_SPOOL_NAMES, is_one)?;
        Ok::<_, SpoolError>(names.into_iter().map(|name| (name.clone(), former.path.join(name))).collect())
    };
    found().unwrap_or_default()
}

/// What says of a client that it was here, beside its account's other clients.
const OF_A_CLIENT: [&str; 3] = [PUBLISHED, SESSIONS, RESTORES];

/// Removes what says of a client that it was here, where its account stays.
///
/// # Errors
/// When the account's directory is not what a gate makes.
pub fn forget_client(dir: &Path, uid: u32, client: &ClientName) -> Result<(), SpoolError> {
    let Some(home) = home(dir, uid)? else { return Ok(()) };
    for what in OF_A_CLIENT {
        home.remove(&format!("{what}-{client}"))?;
    }
    home.sync()
}

/// Says it of the client's new name.
///
/// # Errors
/// When the account's directory is not what a gate makes.
pub fn rename_client(dir: &Path, uid: u32, old: &ClientName, new: &ClientName) -> Result<(), SpoolError> {
    let Some(home) = home(dir, uid)? else { return Ok(()) };
    for what in OF_A_CLIENT {
        home.rename(&format!("{what}-{old}"), &format!("{what}-{new}"))?;
    }
    home.sync()
}

fn home(dir: &Path, uid: u32) -> Result<Option<Inside>, SpoolError> {
    let site = Inside::listing(dir)?;
    let is_its = site.owner_of(&uid.to_string())? == Some(uid);
    is_its.then(|| site.enter(&uid.to_string(), Uid::from_raw(uid))).transpose()
}
