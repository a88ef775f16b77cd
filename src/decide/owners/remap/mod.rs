//! What becomes of each id in a repository that `snapgate remap` changes.
//!
//! A killed run is run again and finds changed and unchanged ids. So no id may be both an old and a
//! new one, unless it means the same.

pub(crate) mod attributes;
pub(crate) mod kept;
pub(crate) mod status;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use crate::decide::owners::Kind;
use crate::decide::owners::shown;
use crate::decide::policy::{KeepOwners, Policy};
use crate::terms::{IdMap, Mapping};

/// The account that owns a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub user: u32,
    pub group: u32,
}

/// What the ids in a repository mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// Ids of these ranges are the client's.
    Mapped(Mapping),
    /// Everything is the account's. Access lists have the client's own numbers.
    Account,
    /// They are the client's own: the gate ran as root.
    Real,
}

/// Who stored a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The account: the gate's notes, and the directories around snapshots.
    Accounts,
    /// The client's rsync.
    Clients,
}

/// From what, to what. A note holds it until it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Remap {
    meant: Meaning,
    from: Holder,
    mapping: Mapping,
    to: Holder,
}

/// The same in a note.
#[derive(Deserialize)]
struct Written {
    meant: Meaning,
    from: Holder,
    mapping: Mapping,
    to: Holder,
}

impl TryFrom<Written> for Remap {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { meant, from, mapping, to } = written;
        Self::new(meant, from, mapping, to)
    }
}

/// Whether the policy wants owners kept. The error has a remedy.
pub(crate) fn wanted(policy: &Policy, meant: &Meaning) -> Result<(), String> {
    let origin = policy.origins.of("owners");
    match (policy.owners, meant) {
        _ if policy.user == "root" => {
            Err("`user: root` stores the client's ids as they are\nset `user:` to the account that the repository is for".to_owned())
        }
        (Some(KeepOwners::Drop), _) => {
            Err(format!("the policy says `owners: drop`: there is nothing to remap  ({origin})\nsay `owners: keep`, and run this again"))
        }
        (None, Meaning::Account | Meaning::Real) => Err(format!(
            "the repository holds no owners in the ids of an account, and the policy does not say `owners: keep`  ({origin})\n\
             say so, and run this again"
        )),
        (None, Meaning::Mapped(_)) | (Some(KeepOwners::Keep), _) => Ok(()),
    }
}

impl Remap {
    /// Of a repository of `from`; `to` has this `mapping` for the client's ids. It is an error if
    /// changed ids could not be told from unchanged ones.
    pub fn new(meant: Meaning, from: Holder, mapping: Mapping, to: Holder) -> Result<Self, String> {
        if to.user == 0 || to.group == 0 {
            let what = if to.user == 0 { "the account is root by its number" } else { "the account's group is root's" };
            return Err(format!("{what}, and root's gate stores the client's ids as they are\nset `user:` to an ordinary account"));
        }
        let this = Self { meant, from, mapping, to };
        for kind in [Kind::User, Kind::Group] {
            let (after, accounts) = (this.after(kind), [of(this.from, kind), of(this.to, kind)]);
            let before = this.before(kind);
            if let Some(before) = before.filter(|before| *before != after && !after.extends(before) && overlap(before, after)) {
                return Err(format!(
                    "some of the ids that the account has for {kind}s, {after}, are in the repository already, as others: {before}\n\
                     give it others by usermod --del-sub{kind0}ids and --add-sub{kind0}ids, as many",
                    kind0 = initial(kind),
                ));
            }
            let ranges = before.into_iter().chain([after]);
            if let Some(id) = accounts.into_iter().find(|id| ranges.clone().any(|map| map.client(*id).is_some())) {
                return Err(format!(
                    "the account's own {kind} {id} is one of the ids that stand for the client's\n\
                     give it other ranges by usermod --del-sub{kind0}ids and --add-sub{kind0}ids",
                    kind0 = initial(kind),
                ));
            }
        }
        Ok(this)
    }

    /// Whether there is nothing to change.
    pub fn is_done(&self) -> bool {
        self.from == self.to && matches!(&self.meant, Meaning::Mapped(before) if self.mapping.extends(before))
    }

    /// Whether a run that was begun has this result.
    pub fn leads_to(&self, mapping: &Mapping, to: Holder) -> bool {
        self.mapping == *mapping && self.to == to
    }

    /// What the ids meant before.
    pub fn meant(&self) -> &Meaning {
        &self.meant
    }

    /// The owner before.
    pub fn from(&self) -> Holder {
        self.from
    }

    /// Where the client's ids are stored afterwards.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The owner afterwards.
    pub fn to(&self) -> Holder {
        self.to
    }

    /// What an owner becomes. `None` if it is unknown; or if it seems to be changed already
    /// although nothing is (`untouched`).
    pub fn owner(&self, whose: Whose, kind: Kind, id: u32, untouched: bool) -> Option<u32> {
        match (&self.meant, whose, kind) {
            (Meaning::Mapped(_), ..) | (_, Whose::Accounts, _) if self.is_accounts(kind, id) => Some(of(self.to, kind)),
            // An account's files may belong to any of its groups.
            (_, Whose::Accounts, Kind::Group) => self.mapped(kind, id).or(Some(self.to.group)),
            (Meaning::Mapped(_), ..) => self.mapped(kind, id),
            (_, Whose::Accounts, Kind::User) => self.is_after(kind, id).then_some(id),
            (Meaning::Account, Whose::Clients, _) if self.is_after(kind, id) => Some(id),
            (Meaning::Account, Whose::Clients, _) => {
                (self.is_accounts(kind, id) || kind == Kind::Group).then(|| self.after(kind).stored(0)).flatten()
            }
            (Meaning::Real, Whose::Clients, _) => self.numbered(kind, id, untouched),
        }
    }

    /// Whether a set-id program keeps its power under the new owner. What the account itself has
    /// written could abuse it.
    pub fn keeps_power(&self, whose: Whose, kind: Kind, id: u32) -> bool {
        match self.meant {
            _ if whose == Whose::Accounts => false,
            Meaning::Mapped(_) => !self.is_accounts(kind, id),
            Meaning::Account => false,
            Meaning::Real => true,
        }
    }

    /// Whether an id is one of the accounts', or stands for a client's.
    pub fn concerns(&self, kind: Kind, id: u32) -> bool {
        let is_accounts = kind == Kind::User && id != 0 && (id == self.from.user || id == self.to.user);
        is_accounts || self.stands_for_a_client(kind, id)
    }

    /// Whether an id stands for a client's, before or afterwards.
    pub fn stands_for_a_client(&self, kind: Kind, id: u32) -> bool {
        self.is_after(kind, id) || self.before(kind).is_some_and(|before| before.client(id).is_some())
    }

    /// What an id in an access list or a capability becomes. `None` as for [`Self::owner`].
    pub fn listed(&self, whose: Whose, kind: Kind, id: u32, untouched: bool) -> Option<u32> {
        match (&self.meant, whose) {
            (_, Whose::Accounts) if self.is_accounts(kind, id) => Some(of(self.to, kind)),
            // An account that the administrator has let in.
            (_, Whose::Accounts) => self.mapped(kind, id).or(Some(id)),
            (Meaning::Mapped(_), Whose::Clients) => self.mapped(kind, id),
            (Meaning::Account | Meaning::Real, Whose::Clients) => self.numbered(kind, id, untouched),
        }
    }

    /// The client's root.
    pub fn client_root(&self) -> Option<u32> {
        self.mapping.users.stored(0)
    }

    /// Whether an id is the old or the new account's.
    pub fn is_accounts(&self, kind: Kind, id: u32) -> bool {
        id == of(self.from, kind) || id == of(self.to, kind)
    }

    fn mapped(&self, kind: Kind, id: u32) -> Option<u32> {
        match self.before(kind).and_then(|before| before.client(id)) {
            Some(client) => self.after(kind).stored(client),
            None => self.is_after(kind, id).then_some(id),
        }
    }

    /// A client's own number, unless it is changed already.
    fn numbered(&self, kind: Kind, id: u32, untouched: bool) -> Option<u32> {
        if self.is_after(kind, id) { (!untouched).then_some(id) } else { self.after(kind).stored(id) }
    }

    fn is_after(&self, kind: Kind, id: u32) -> bool {
        self.after(kind).client(id).is_some()
    }

    fn after(&self, kind: Kind) -> &IdMap {
        kind.map(&self.mapping)
    }

    fn before(&self, kind: Kind) -> Option<&IdMap> {
        if let Meaning::Mapped(mapping) = &self.meant { Some(kind.map(mapping)) } else { None }
    }
}

/// For people: from what to what, in a line each.
impl fmt::Display for Remap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.meant {
            Meaning::Mapped(before) => writeln!(out, "from {}", shown(before))?,
            Meaning::Account => writeln!(out, "from a repository without owners: all of it is root's of the client from now on")?,
            Meaning::Real => writeln!(out, "from the client's own ids, as root's gate stored them")?,
        }
        writeln!(out, "to {}", shown(&self.mapping))?;
        if self.from == self.to {
            return Ok(());
        }
        let (from, to) = (self.from, self.to);
        writeln!(out, "the account's own files: from {}:{} to {}:{}", from.user, from.group, to.user, to.group)
    }
}

fn of(holder: Holder, kind: Kind) -> u32 {
    if kind == Kind::User { holder.user } else { holder.group }
}

/// As in usermod(8)'s options.
fn initial(kind: Kind) -> char {
    if kind == Kind::User { 'u' } else { 'g' }
}

fn overlap(one: &IdMap, other: &IdMap) -> bool {
    one.ranges().iter().any(|range| other.ranges().iter().any(|other| range.overlaps(*other)))
}

#[cfg(test)]
mod tests;
