//! Sums that are kept for Prometheus, in the spool of whoever keeps them; and what each account's
//! `watch` has sent, in its own.

use super::SpoolError;
use super::account::{AccountSpool, Lock};
use crate::terms::limits::{MAX_DELIVERIES, MAX_SUMS};

/// The file of sums.
const SUMS: &str = "sums.json";

/// Mails and other ways have a lock each, and so a file each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Mails.
    Mails,
    /// By other ways.
    Ways,
}

impl Sent {
    fn name(self) -> &'static str {
        match self {
            Self::Mails => "sent-mails.json",
            Self::Ways => "sent-ways.json",
        }
    }
}

impl AccountSpool {
    /// Held by whoever counts and writes what it has counted.
    ///
    /// # Errors
    /// When the lock is not a file of the account.
    pub fn lock_sums(&self) -> Result<Option<Lock>, SpoolError> {
        self.lock_by("sums.lock")
    }

    /// The file of sums, as it stands; `None` where there is none.
    ///
    /// # Errors
    /// When it is not a file of the account within its limit.
    pub fn sums(&self) -> Result<Option<Vec<u8>>, SpoolError> {
        self.home.read(SUMS, MAX_SUMS)
    }

    /// Replaces the file of sums.
    ///
    /// # Errors
    /// When it cannot be written; then the old one stands.
    pub fn save_sums(&self, json: &[u8]) -> Result<(), SpoolError> {
        self.home.replace(&self.tmp, SUMS, json)
    }

    /// Lays a file of sums that cannot be read aside.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn lay_sums_aside(&self) -> Result<(), SpoolError> {
        self.home.move_to(SUMS, &self.dead)
    }

    /// How many were sent and failed; `None` where nobody has counted any.
    ///
    /// # Errors
    /// When it is not a file of the account within its limit.
    pub fn sent(&self, what: Sent) -> Result<Option<Vec<u8>>, SpoolError> {
        self.home.read(what.name(), MAX_DELIVERIES)
    }

    /// Replaces that.
    ///
    /// # Errors
    /// When it cannot be written; then the old one stands.
    pub fn save_sent(&self, what: Sent, json: &[u8]) -> Result<(), SpoolError> {
        self.home.replace(&self.tmp, what.name(), json)
    }
}
