//! Where events stand: in each client's repository, and, for what belongs to none, in each account's
//! directory in the spool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::act::config;
use crate::act::inspect::running_uid;
use crate::act::names::{self, accounts};
use crate::act::prune::{Follower, Piece, Place};
use crate::act::spools;
use crate::act::store::mounted;
use crate::admin::prune::{Client, Failure};
use crate::decide::owners::remap::Kind;
use crate::decide::policy::{Policy, Site};
use crate::terms::{ClientName, Event, Reason, exit};

/// Letters of a name for which there is always room.
const WIDEST: usize = 24;

/// A place, and whose it is.
pub(in crate::admin) struct Source {
    pub(in crate::admin) whose: Whose,
    pub(in crate::admin) at: At,
    place: Open,
    /// Whether it came when others were followed already.
    pub(super) is_late: bool,
}

/// Whose the events of a place are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::admin) enum Whose {
    /// A client's.
    Client(ClientName),
    /// An account's: of its clients, and of what comes as none of them. With their names.
    Account(String, BTreeSet<ClientName>),
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admin) enum At {
    Repository(PathBuf, u32),
    Spool(PathBuf, u32),
}

/// What is open of it.
enum Open {
    /// There is nothing yet.
    Nothing,
    Place(Place),
    Followed(Box<Follower>),
}

impl At {
    fn open(&self) -> Result<Option<Place>, Reason> {
        match self {
            Self::Repository(path, uid) => Place::of_repository(path, *uid),
            Self::Spool(spool, uid) => Place::of_account(spool, *uid),
        }
    }
}

impl Source {
    fn new(whose: Whose, at: At) -> Result<Self, String> {
        let place = at.open().map_err(|reason| format!("{}: {}", whose.name(), reason.detail))?;
        Ok(Self { whose, at, place: place.map_or(Open::Nothing, Open::Place), is_late: false })
    }

    /// It, come late, and opened at the next look.
    pub(super) fn unopened(self) -> Self {
        Self { place: Open::Nothing, is_late: true, ..self }
    }

    /// The room that its name takes: accounts have little to say, and theirs is longer.
    pub(super) fn width(&self) -> usize {
        match &self.whose {
            Whose::Client(client) => client.as_str().len().min(WIDEST),
            Whose::Account(..) => 0,
        }
    }

    /// Begins to follow it from now on. Says what is in the way.
    pub(super) fn begin_to_follow(&mut self) -> Option<String> {
        let Open::Place(place) = std::mem::replace(&mut self.place, Open::Nothing) else { return None };
        match Follower::from_now(place) {
            Ok(follower) => {
                self.place = Open::Followed(Box::new(follower));
                None
            }
            Err(error) => Some(self.problem(&error)),
        }
    }

    /// The lines that have come since the last time.
    pub(super) fn more(&mut self, take: &mut dyn FnMut(&[u8])) -> Option<String> {
        if !matches!(self.place, Open::Followed(_)) {
            // Now there may be something, all of it new.
            self.place = match self.at.open() {
                Ok(Some(place)) => Open::Followed(Box::new(Follower::from_the_start(place))),
                Ok(None) | Err(_) => Open::Nothing,
            };
        }
        let Open::Followed(follower) = &mut self.place else { return None };
        follower.more(take).err().map(|error| self.problem(&error))
    }

    /// Its ledgers that are not over before then, the oldest first.
    pub(super) fn pieces(&self) -> Result<Vec<Piece>, String> {
        let pieces = match &self.place {
            Open::Nothing => Ok(Vec::new()),
            Open::Place(place) => place.pieces(),
            Open::Followed(follower) => follower.pieces(),
        };
        pieces.map_err(|error| self.problem(&error))
    }

    pub(in crate::admin) fn place(&self) -> Option<&Place> {
        match &self.place {
            Open::Nothing => None,
            Open::Place(place) => Some(place),
            Open::Followed(follower) => Some(follower.place()),
        }
    }

    pub(super) fn problem(&self, error: &std::io::Error) -> String {
        format!("{}: its ledger cannot be read: {}", self.whose.name(), crate::terms::text::os_words(error))
    }
}

impl Whose {
    pub(in crate::admin) fn name(&self) -> String {
        match self {
            Self::Client(client) => client.to_string(),
            Self::Account(account, _) => format!("account {account}"),
        }
    }

    /// An event of this place's as that of whoever it is: the event may say anything.
    pub(in crate::admin) fn own(&self, event: Event) -> Event {
        match self {
            Self::Client(client) => Event { client: Some(client.clone()), ..event },
            Self::Account(account, clients) => {
                let client = event.client.filter(|client| clients.contains(client));
                Event { client, account: account.clone(), ..event }
            }
        }
    }
}

/// All places of one client, or of all for which this process may ask, and what is wrong with the
/// others.
pub(in crate::admin) fn all(directory: &Path, site: &Site, client: Option<&ClientName>) -> Result<(Vec<Source>, Vec<String>), Failure> {
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    let policies = match client {
        Some(name) => vec![Client::find(directory, site, name)?.policy],
        None => {
            let all = config::all_policies(directory, site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
            let usable =
                all.into_iter().filter_map(|(name, policy)| policy.map_err(|fault| problems.push(format!("{name}: {fault}"))).ok());
            usable.collect()
        }
    };
    let mut accounts: BTreeMap<u32, (String, BTreeSet<ClientName>)> = BTreeMap::new();
    for policy in &policies {
        let Some(account) = names::named(&policy.user) else {
            problems.push(format!("{}: there is no account `{}`, which the policy names", policy.client, policy.user));
            continue;
        };
        if ![0, account.uid].contains(&running_uid()) {
            continue;
        }
        accounts.entry(account.uid).or_insert_with(|| (account.name.clone(), BTreeSet::new())).1.insert(policy.client.clone());
        match repository(policy, site, account.uid) {
            Ok(source) => sources.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    if client.is_none() {
        others(site, &mut accounts);
    }
    for (uid, (name, clients)) in accounts {
        match Source::new(Whose::Account(name, clients), At::Spool(site.spool.clone(), uid)) {
            Ok(source) => sources.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    Ok((sources, problems))
}

fn repository(policy: &Policy, site: &Site, uid: u32) -> Result<Source, String> {
    // What stands in the place of a mount that is missing is not the repository.
    mounted(policy, site).map_err(|reason| format!("{}: {}", policy.client, reason.detail))?;
    Source::new(Whose::Client(policy.client.clone()), At::Repository(policy.path.clone(), uid))
}

/// Adds accounts that have no policy: root sees what they tried, anybody what itself did.
fn others(site: &Site, all: &mut BTreeMap<u32, (String, BTreeSet<ClientName>)>) {
    let uids = spools::all(site).map(|accounts| accounts.uids().to_vec()).unwrap_or_default();
    for uid in uids {
        let named = || accounts::numbered(Kind::User, |number| number == uid).ok().flatten();
        let name = || named().map_or_else(|| uid.to_string(), |(name, _)| name);
        all.entry(uid).or_insert_with(|| (name(), BTreeSet::new()));
    }
}
