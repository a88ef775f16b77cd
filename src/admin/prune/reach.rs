//! As whom a client's repository is worked on: never as more than its account.
//!
//! An account may put anything into its repository. Root working there by its own power would do
//! things for it that it may not do itself, such as remove somebody else's directory that stands
//! in one of the account's. So root acts as the account. Where the files are the client's ids, only
//! a process in their namespace has power over them. The account may look into that process and
//! speak in its place: what it says is checked as if the account had said it.

use std::cell::RefCell;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::failure;
use super::{Failure, LOOK, Printed};
use crate::act::child;
use crate::act::inspect::running_uid;
use crate::act::names::{self, subids};
use crate::act::process;
use crate::act::sandbox::{self, Whom};
use crate::act::store::remembered;
use crate::decide::owners::{self, Remembered};
use crate::decide::policy::{Policy, Site};
use crate::terms::limits::{MAX_REPORTED_TEXT, MAX_TOLD, REACH_LIMIT};
use crate::terms::text::{still_printable, still_printable_lines};
use crate::terms::{Account, Event, exit};

/// As whom, and where.
pub(in crate::admin) enum Reach {
    /// As whoever runs this, who is the account.
    Here,
    /// As the account, with these groups. Root runs this.
    As(Account, Vec<u32>),
    /// In a process that is the account's, in the namespace of the client's ids.
    Apart(Whom),
}

/// What comes out of work, perhaps from a process that the account may have spoken for.
pub(in crate::admin) trait Said: Serialize + DeserializeOwned {
    /// With every text printable.
    fn checked(self) -> Self;
}

impl Said for Printed {
    fn checked(self) -> Self {
        (lines(&self.0), self.1)
    }
}

impl Said for () {
    fn checked(self) -> Self {}
}

fn lines(text: &str) -> String {
    text.lines().map(|line| still_printable(line, MAX_REPORTED_TEXT) + "\n").collect()
}

/// What a process apart says at its end.
#[derive(Serialize, Deserialize)]
struct End<T> {
    done: Result<T, Failure>,
    mails: Vec<Event>,
    announced: Vec<Event>,
    lost: Vec<String>,
}

/// What is left to whoever began it.
#[derive(Default)]
pub(in crate::admin) struct Left {
    /// Events that ask for a mail.
    pub(in crate::admin) mails: Vec<Event>,
    /// Those that do and are in the ledger. They stay announced until the mail has left.
    pub(in crate::admin) announced: Vec<Event>,
    /// What could not be recorded.
    pub(in crate::admin) lost: Vec<String>,
}

impl Reach {
    /// What a client's repository, its policy and whoever runs this amount to.
    pub(in crate::admin) fn of(site: &Site, policy: &Policy, account: &Account) -> Result<Self, Failure> {
        if account.is_root() {
            return Ok(Self::Here);
        }
        // The repository decides, whatever the policy says of pushes to come.
        let mapping = match remembered(&policy.path).map_err(failure)? {
            Remembered::Mapped(before) => {
                let policy = Policy { owners: None, ..policy.clone() };
                let owners = owners::decide(site, &policy, false, Remembered::Mapped(before), || subids::available(account));
                owners.map_err(failure)?.mapping().cloned()
            }
            Remembered::Account | Remembered::Nothing => None,
        };
        let is_root = running_uid() == 0;
        if !is_root {
            return Ok(mapping.map_or(Self::Here, |mapping| Self::Apart(Whom { account: None, mapping: Some(mapping) })));
        }
        let unknown =
            || (format!("nobody can say in which groups `{}` is\nsee what `getent initgroups {0}` says", account.name), exit::CONFIG);
        let groups = names::groups(account).ok_or_else(unknown)?;
        if mapping.is_none() {
            return Ok(Self::As(account.clone(), groups));
        }
        // The account may read it in the memory of its process.
        process::forget_environment().map_err(|error| (format!("cannot begin without the environment: {error}"), exit::INTERNAL))?;
        Ok(Self::Apart(Whom { account: Some((account.clone(), groups)), mapping }))
    }

    /// Does it. `left` is filled by the work, and by what a process apart has left.
    pub(in crate::admin) fn go<T: Said>(&self, left: &RefCell<Left>, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        match self {
            Self::Here => work(),
            Self::As(account, groups) => {
                let done = process::acting_as(account, groups, work);
                done.unwrap_or_else(|what| Err((format!("becoming the account `{}`: {what}", account.name), exit::INTERNAL)))
            }
            Self::Apart(whom) => apart(whom, left, work),
        }
    }
}

impl Reach {
    /// Does it as [`Reach::go`], but never in a process of root's for an account's files: one that
    /// starts programs would lend them root's power.
    pub(in crate::admin) fn go_apart<T: Said>(
        &self,
        left: &RefCell<Left>,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self {
            Self::As(account, groups) => apart(&Whom { account: Some((account.clone(), groups.clone())), mapping: None }, left, work),
            Self::Here | Self::Apart(_) => self.go(left, work),
        }
    }

    /// Makes this process one of the account's, for good. It stays outside of every namespace.
    ///
    /// # Errors
    /// When the kernel does not do that.
    pub(in crate::admin) fn become_account(&self) -> Result<(), String> {
        match self {
            Self::As(account, groups) | Self::Apart(Whom { account: Some((account, groups)), .. }) => process::log_in(account, groups),
            Self::Here | Self::Apart(Whom { account: None, .. }) => Ok(()),
        }
    }
}

fn apart<T: Said>(whom: &Whom, left: &RefCell<Left>, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let failed = RefCell::new(None);
    let leave = || {
        // The account's processes could type for root, or write over what it reads.
        let silenced = if whom.account.is_some() { process::silence() } else { Ok(()) };
        failed.replace(silenced.and_then(|()| sandbox::reach(whom)).err());
        true
    };
    let said = child::delegated_within(REACH_LIMIT, MAX_TOLD, leave, || {
        let done = failed.take().map_or_else(work, |what| Err(failure(owners::unmapped(&what))));
        let Left { mails, announced, lost } = left.take();
        serde_json::to_vec(&End { done, mails, announced, lost }).unwrap_or_default()
    });
    let said = said.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => {
            let hours = REACH_LIMIT.as_secs() / 3600;
            let what = format!("the process for the client's files was killed: it did not end within {hours} hours");
            (format!("{what}\nsee whether its account stops it"), LOOK)
        }
        _ => (format!("starting a process for the client's files: {error}"), exit::INTERNAL),
    })?;
    let end: Option<End<T>> = said.and_then(|said| serde_json::from_slice(&said).ok());
    let killed = || ("the process that did it was killed\nrun it again: it goes on where that stopped".to_owned(), exit::BUSY);
    let End { done, mails, announced, lost } = end.ok_or_else(killed)?;
    let mut left = left.borrow_mut();
    left.mails.extend(mails);
    left.announced.extend(announced);
    left.lost.extend(lost.iter().map(|text| still_printable_lines(text, MAX_REPORTED_TEXT)));
    done.map(T::checked).map_err(|(text, code)| (lines(&text).trim_end().to_owned(), code))
}
