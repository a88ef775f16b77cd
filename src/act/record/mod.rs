//! Where events are recorded: the ledger, the spool that mails are made from, syslog; and the log
//! of a run.
//!
//! Nothing here decides what is remembered, and nothing that fails here may stop a push.

pub mod ledger;
pub mod runlog;
pub mod spool;
pub mod syslog;
#[cfg(feature = "admin")]
pub mod textfile;
