//! The ids that an account may use for others: `/etc/subuid` and `/etc/subgid`.
//!
//! newuidmap(1) and newgidmap(1) read the same files and have the last word.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::decide::owners::subids::{self, HELPERS, ranges, shared};
use crate::decide::owners::{Kind, Lack};
use crate::decide::policy::lint::Finding;
use crate::terms::limits::{MAX_PASSWD, MAX_SUBIDS};
use crate::terms::{Account, IdMap, IdRange, Mapping};

/// What an account may use.
pub fn available(account: &Account) -> Result<Mapping, Lack> {
    let map = |ids: Kind| IdMap::new(ranges(&read(ids.file(), MAX_SUBIDS), ids, account)).ok_or(Lack::Ranges(ids.file()));
    let mapping = Mapping { users: map(Kind::User)?, groups: map(Kind::Group)? };
    match HELPERS.into_iter().find(|helper| !Path::new(helper).is_file()) {
        Some(missing) => Err(Lack::Program(missing)),
        None => Ok(mapping),
    }
}

/// Whom a user's number is given to for others.
pub fn given_to(user: u32) -> Option<String> {
    subids::given_to(&read(Kind::User.file(), MAX_SUBIDS), user)
}

/// Every user and every group that an account may be besides itself.
pub fn given_for_others(account: &Account) -> [Vec<IdRange>; 2] {
    [Kind::User, Kind::Group].map(|ids| subids::all_of(&read(ids.file(), MAX_SUBIDS), account))
}

/// What of the ids that these accounts use somebody else has, too.
pub fn not_theirs_alone(accounts: &[(Account, Mapping)]) -> Vec<Finding> {
    let of = |ids: Kind| shared(ids, &read(ids.file(), MAX_SUBIDS), &read(ids.known(), MAX_PASSWD), accounts);
    [Kind::User, Kind::Group].into_iter().flat_map(of).collect()
}

fn read(path: &str, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = File::open(path).map(|file| file.take(most).read_to_end(&mut bytes));
    bytes
}
