//! The ids that an account may use for others, as this machine has them: `/etc/subuid`, `/etc/subgid` and the two programs that map them.
//!
//! It must never be believed beyond these: newuidmap(1) and newgidmap(1) read the same files and have the last word.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::decide::owners::Lack;
use crate::decide::subids::{GROUPS, HELPERS, USERS, ranges};
use crate::terms::limits::MAX_SUBIDS;
use crate::terms::{Account, IdMap, Mapping};

/// What an account may use.
///
/// # Errors
/// With what is missing.
pub fn available(account: &Account) -> Result<Mapping, Lack> {
    let map = |file: &'static str| IdMap::new(ranges(&read(Path::new(file)), account)).ok_or(Lack::Ranges(file));
    let mapping = Mapping { users: map(USERS)?, groups: map(GROUPS)? };
    match HELPERS.into_iter().find(|helper| !Path::new(helper).is_file()) {
        Some(missing) => Err(Lack::Program(missing)),
        None => Ok(mapping),
    }
}

/// What stands in the file; nothing where it cannot be read.
fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = File::open(path).map(|file| file.take(MAX_SUBIDS).read_to_end(&mut bytes));
    bytes
}
