//! A prepared transaction: `transaction.json` says that one is open, `parts/<n>/` holds its pushes.
//!
//! Each push landed in an empty directory; they are merged only at `complete`.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::disk::{found, read_value, remove_file, sync_directory, write_value};
use super::keep::{move_tree, move_under_number, numbered, remove};
use super::overlay::{Layers, overlay};
use super::publish::Staging;
use super::remove::remove_place;
use super::{Held, OrTrouble as _, Repository};
use crate::decide::push::outcome::FROM_THE_BEGINNING;
use crate::terms::limits::MAX_TRANSACTION;
use crate::terms::{Code, Reason, RepositoryState, SubPath, Transaction};

impl Repository {
    pub(super) fn transaction(&self) -> Result<Option<Transaction>, Reason> {
        let path = self.transaction_file();
        found(read_value(&path, MAX_TRANSACTION)).or_trouble("reading", &path)
    }
}

impl Held<'_> {
    /// Opens a transaction. What an older one held is kept for linking.
    pub fn open_transaction(&self, began: DateTime<Utc>) -> Result<(), Reason> {
        self.close_transaction()?;
        for part in numbered(&self.repository.parts()) {
            self.set_aside(&part)?;
        }
        // Whatever becomes of that, the next session goes on with it.
        let _ = self.unite();
        self.write_transaction(&Transaction::new(began))
    }

    /// Records that the client was here, and whether a part was added.
    pub fn write_transaction(&self, transaction: &Transaction) -> Result<(), Reason> {
        let path = self.repository.transaction_file();
        write_value(&path, transaction).or_trouble("writing", &path)
    }

    /// Closes the transaction; its parts stay where they are.
    pub fn close_transaction(&self) -> Result<(), Reason> {
        let path = self.repository.transaction_file();
        remove_file(&path).or_trouble("removing", &path)
    }

    /// Closes the transaction and removes its parts.
    pub fn abort_transaction(&self) -> Result<(), Reason> {
        self.close_transaction()?;
        let parts = self.repository.parts();
        remove(&parts).or_trouble("removing", &parts)
    }

    /// Lays the parts over one another, later ones on top, and moves the sum to where a push would
    /// stand. The transaction stays open until the sum is published or put away
    /// ([`Held::close_transaction`]); after a crash `complete` can be said again.
    ///
    /// # Errors
    /// Also with [`Code::Unpublished`] when there are no parts.
    pub fn merge_transaction(&self, transaction: &Transaction) -> Result<Staging<'_>, Reason> {
        let mut parts = numbered(&self.repository.parts());
        let Some(sum) = parts.pop() else {
            self.close_transaction()?;
            // A push that was cut off before its first file leaves nothing either.
            let reason = Reason::new(Code::Unpublished, "not published: nothing has arrived since `prepare`").hint(FROM_THE_BEGINNING);
            return Err(reason.remedy("look at the client: no push came, or none brought a file before it was cut off"));
        };
        for earlier in parts.iter().rev() {
            overlay(&sum, earlier, Layers::Parts).or_trouble("merging", earlier)?;
        }
        // Written before the move, so that the sum is not taken for a push that was cut off, nor
        // such a push for the sum.
        self.write_transaction(&Transaction { merging: true, ..transaction.clone() })?;
        let inprogress = self.repository.inprogress();
        // Its new place is its last one before `snapshots/`, so it has its own mode there.
        move_tree(&sum, &inprogress).map(|()| Staging::filled(self)).or_trouble("moving", &sum)
    }

    /// Takes back a `complete` that was cut short, or closes its transaction if that was all it
    /// lacked.
    pub(super) fn go_back_from_merging(&self, state: &mut RepositoryState) -> Result<(), Reason> {
        let Some(transaction) = state.transaction.take_if(|transaction| transaction.merging) else { return Ok(()) };
        let inprogress = self.repository.inprogress();
        if fs::symlink_metadata(&inprogress).is_ok() {
            // Its parts were on the disk before they were counted, so no reboot takes anything from
            // it.
            self.add_part(&inprogress)?;
        } else if numbered(&self.repository.parts()).is_empty() {
            return self.close_transaction();
        }
        let transaction = Transaction { merging: false, ..transaction };
        self.write_transaction(&transaction)?;
        state.transaction = Some(transaction);
        Ok(())
    }

    /// The pushes of the transaction so far, in their order.
    pub(super) fn earlier_parts(&self) -> Vec<PathBuf> {
        numbered(&self.repository.parts())
    }

    /// Adds a tree to the parts. With `replaces`, what earlier ones have at that place is removed
    /// when the later part is on the disk, so that a kill leaves more and never less.
    pub(super) fn join_parts(&self, path: &Path, replaces: Option<&SubPath>) -> Result<(), Reason> {
        let earlier = self.earlier_parts();
        self.add_part(path)?;
        let Some(place) = replaces else { return Ok(()) };
        let remove = |part: &PathBuf| remove_place(part, place.components()).or_trouble("clearing", part);
        earlier.iter().try_for_each(remove)
    }

    pub(super) fn add_part(&self, path: &Path) -> Result<(), Reason> {
        let parts = self.repository.parts();
        let add = || -> std::io::Result<()> {
            // `complete` may come after a power cut, and publishes what stands here.
            self.sync()?;
            move_under_number(path, &parts)?;
            sync_directory(&parts)
        };
        add().or_trouble("keeping", path)
    }
}
