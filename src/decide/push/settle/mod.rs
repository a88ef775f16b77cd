//! What becomes of a tree that was pushed, and how its connection ends. `gate/serve/settle` carries
//! it out.
//!
//! [`settle`] is asked when rsync has ended, and again when more is [`Found`]: when the links are
//! made, and when the rest of the last snapshot is carried over.

use crate::decide::judge::closing::Closing;
use crate::decide::policy::Origins;
use crate::decide::push::outcome::{self, Ended, FILE_IO, PARTIAL, VANISHED};
use crate::decide::push::plan::PushPlan;
use crate::decide::rsync::output::Lack;
use crate::terms::limits::MAX_QUOTED;
use crate::terms::text::still_printable;
use crate::terms::{Code, Excess, Ground, Outcome, Pushed, Reason, Resource, SnapshotName, SubPath, Transaction};

/// What has ended.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// A push.
    Push {
        /// What it was to do.
        plan: &'a PushPlan,
        /// How its rsync ended.
        ended: Ended,
        /// Whether rsync was sent nothing of the directory of its place.
        untouched: bool,
        /// Whether the next one could use what is kept of it.
        can_go_on: bool,
    },
    /// A transaction, by `complete`.
    Transaction {
        /// What the snapshot will be called.
        name: &'a SnapshotName,
        /// What its pushes have left.
        transaction: &'a Transaction,
        /// With which status the client says that its own rsync has ended.
        status: Option<u8>,
    },
}

/// What is known of the tree and of what it is compared with, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether it has no file: nothing, or directories only.
    pub is_empty: bool,
    /// Whether there is a newest snapshot and it holds a file.
    pub newest_has_files: bool,
    /// Whether the store has no room left.
    pub store_full: bool,
    /// What rsync ran out of when it wrote.
    pub lack: Option<Lack>,
    /// Whether something is kept of earlier pushes into this place, where it ran out of something.
    pub keeps_some: bool,
    /// Whether what is kept of earlier pushes has reached the limit by itself.
    pub kept_reaches_limit: bool,
    /// Whether a link to an unchanged file could not be made.
    pub links_lost: bool,
    /// Whether something of the last snapshot could not be carried over.
    pub not_carried: bool,
}

/// What is done with a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It becomes a snapshot.
    Publish,
    /// It waits in its transaction for `complete`.
    Join,
    /// It is kept, so that the next push need not send it again.
    SetAside,
    /// It is removed.
    Discard,
    /// It is removed with what is kept of earlier pushes: both would keep the store full.
    DiscardAll,
}

/// What is done, and how the connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Settled {
    /// What is done with the tree.
    pub fate: Fate,
    /// How the connection ends.
    pub outcome: Outcome,
    /// What the client exits with.
    pub exit: u8,
    /// The client's message; there may be one although there is a snapshot.
    pub reason: Option<Reason>,
    /// Whether a tree that is a backup leaves something out.
    pub partial: bool,
}

impl<'a> Work<'a> {
    /// What the snapshot will be called.
    pub fn name(self) -> &'a SnapshotName {
        match self {
            Self::Push { plan, .. } => plan.name(),
            Self::Transaction { name, .. } => name,
        }
    }

    /// Where inside the snapshot something was pushed.
    pub fn place(self) -> SubPath {
        match self {
            Self::Push { plan, .. } => plan.place().clone(),
            Self::Transaction { .. } => SubPath::default(),
        }
    }

    /// The pushes in the tree. A `partial` one deletes nothing, as with rsync.
    pub fn pushed(self, partial: bool) -> Vec<Pushed> {
        match self {
            Self::Push { plan, untouched, .. } => {
                vec![Pushed { place: plan.place().clone(), replaces: plan.deletes() && !partial, untouched }]
            }
            Self::Transaction { transaction, .. } => transaction.pushed.clone(),
        }
    }

    /// Whether it waits for `complete`. It may be empty: the sum is judged then.
    pub fn joins(self) -> bool {
        matches!(self, Self::Push { plan, .. } if plan.joins())
    }

    /// Places that no push into has ended well, printable.
    pub fn unfinished(self) -> Vec<String> {
        match self {
            Self::Push { .. } => Vec::new(),
            Self::Transaction { transaction, .. } => {
                transaction.unfinished.iter().map(|place| still_printable(place, MAX_QUOTED)).collect()
            }
        }
    }

    /// The text for a client that has published. A push has none: it would break rsync's protocol.
    pub fn answer(self) -> String {
        match self {
            Self::Push { .. } => String::new(),
            Self::Transaction { name, .. } => format!("published {name}\n"),
        }
    }

    /// Why a snapshot of it is partial, for the administrator.
    pub fn why_partial(self) -> &'static str {
        match self {
            Self::Push { ended, .. } if ended == Ended::Exit(PARTIAL) => {
                "rsync could not read or store everything (its status 23): the snapshot is partial"
            }
            Self::Transaction { status, .. } if status.map(i32::from) == Some(PARTIAL) => {
                "the client said that its rsync had left something out (status 23): the snapshot is partial"
            }
            Self::Push { .. } | Self::Transaction { .. } => "the snapshot is partial",
        }
    }
}

impl Settled {
    /// Whether the tree is a backup, as far as is known.
    pub fn is_backup(&self) -> bool {
        matches!(self.fate, Fate::Publish | Fate::Join)
    }

    /// The same where nothing could be kept: without a hint that something is.
    pub fn with_nothing_kept(self, work: Work<'_>) -> Self {
        let hint = match work {
            Work::Push { .. } => None,
            Work::Transaction { .. } => Some(outcome::FROM_THE_BEGINNING.to_owned()),
        };
        Self { reason: self.reason.map(|reason| Reason { hint, ..reason }), ..self }
    }

    fn well(fate: Fate, outcome: Outcome, exit: u8, partial: bool) -> Self {
        Self { fate, outcome, exit, reason: None, partial }
    }

    fn badly(fate: Fate, outcome: Outcome, exit: u8, reason: Reason) -> Self {
        Self { fate, outcome, exit, reason: Some(reason), partial: false }
    }

    /// A snapshot. The client is told what it `lacks` without knowing, and exits with that code.
    fn published(exit: u8, partial: bool, lacks: Option<Reason>, found: Found) -> Self {
        let reason = lacks.or_else(|| found.not_carried.then(outcome::not_carried));
        let exit = reason.as_ref().map_or(exit, |reason| reason.code.exit());
        Self { reason, ..Self::well(Fate::Publish, Outcome::Published, exit, partial || found.not_carried) }
    }
}

/// Decides by how the work ended and by the tree: rsync's exit status is no proof of a backup.
/// `rules` locates the policy's keys.
pub fn settle(work: Work<'_>, found: Found, rules: &Origins) -> Settled {
    match work {
        Work::Push { plan, ended, can_go_on, .. } => of_push(plan, ended, can_go_on, found, rules),
        Work::Transaction { transaction, status, .. } => of_transaction(transaction, status, &work.unfinished(), found),
    }
}

fn of_push(plan: &PushPlan, ended: Ended, can_go_on: bool, found: Found, rules: &Origins) -> Settled {
    let exit = outcome::exit_code(ended);
    let is_done = matches!(ended, Ended::Exit(0 | PARTIAL | VANISHED));
    if is_done && plan.is_dry() {
        return Settled::well(Fate::Discard, Outcome::Answered, exit, false);
    }
    // Without a free inode rsync leaves files out and calls it partial.
    if found.store_full && matches!(ended, Ended::Exit(FILE_IO | PARTIAL)) {
        return Settled::badly(Fate::DiscardAll, Outcome::Failed, Code::Store.exit(), outcome::store_full());
    }
    // A file's attributes may be too many for it (ENOSPC, ext4) where there is room enough.
    let is_meant = |lack: &Lack| ended == Ended::Exit(FILE_IO) || (ended == Ended::Exit(PARTIAL) && *lack == Lack::Quota);
    if let Some(lack) = found.lack.filter(is_meant) {
        // Kept once, for when there is room. A second time it would only take that.
        let fate = if found.keeps_some || !can_go_on { Fate::DiscardAll } else { Fate::SetAside };
        return Settled::badly(fate, Outcome::Failed, Code::Store.exit(), outcome::ran_out(lack));
    }
    if !is_done {
        let reason = unfinished(ended, plan.closing(), rules);
        let outcome = if ended == Ended::Closed { Outcome::Stopped } else { Outcome::Failed };
        if found.kept_reaches_limit && matches!(ended, Ended::TooMuch(_)) {
            return Settled::badly(Fate::Discard, outcome, exit, outcome::too_much_again(reason));
        }
        if !can_go_on {
            return Settled::badly(Fate::Discard, outcome, exit, Reason { hint: None, ..reason });
        }
        return Settled::badly(Fate::SetAside, outcome, exit, reason);
    }
    let partial = ended == Ended::Exit(PARTIAL) || found.links_lost;
    if plan.joins() {
        return Settled::well(Fate::Join, Outcome::Added, exit, partial);
    }
    if found.is_empty && found.newest_has_files {
        let exit = if exit == 0 { Code::Unpublished.exit() } else { exit };
        return Settled::badly(Fate::Discard, Outcome::Unpublished, exit, outcome::nothing_arrived());
    }
    // A client knows what its own rsync left out.
    let lacks = (found.links_lost && ended != Ended::Exit(PARTIAL)).then(outcome::links_lost);
    Settled::published(exit, partial, lacks, found)
}

fn of_transaction(transaction: &Transaction, status: Option<u8>, unfinished: &[String], found: Found) -> Settled {
    let is_partial = match status.map_or(0, i32::from) {
        0 | VANISHED => transaction.is_partial(),
        PARTIAL => true,
        status => {
            let reason = outcome::failed_there(status);
            return Settled::badly(Fate::SetAside, Outcome::Unpublished, reason.code.exit(), reason);
        }
    };
    if found.is_empty && found.newest_has_files {
        return Settled::badly(Fate::Discard, Outcome::Unpublished, Code::Unpublished.exit(), outcome::nothing_in_transaction());
    }
    let lacks = if is_partial { outcome::not_whole(status, unfinished) } else { None };
    Settled::published(0, is_partial, lacks, found)
}

/// Why a push did not finish, with the key of the policy by which the gate ended it.
fn unfinished(ended: Ended, closing: Option<&Closing>, rules: &Origins) -> Reason {
    let reason = outcome::unfinished(ended);
    match ended {
        Ended::Closed => closing.map_or(reason, Closing::reason).rule(rules.of("when")),
        Ended::Deadline | Ended::Idle(_) => reason.rule(rules.of("time_limits")),
        Ended::TooMuch(Excess { ground: Ground::Quota, .. }) => reason.rule(rules.of("quota")),
        Ended::TooMuch(Excess { ground: Ground::Push, resource, .. }) if resource != Resource::Links => reason.rule(rules.of("limits")),
        Ended::TooMuch(_) | Ended::Exit(_) | Ended::Signal(_) | Ended::Gone => reason,
    }
}

/// The reason where a transaction has to be open.
pub fn no_transaction(verb: &str) -> Reason {
    Reason::new(Code::Transaction, format!("`{verb}` without `prepare`: no transaction is open"))
        .hint("say `prepare`, push, then `complete`; a push without them is published by itself")
        .remedy("see what the client runs: `prepare` comes first, and is closed by `complete`, `abort` or a day of silence")
}

#[cfg(test)]
mod tests;
