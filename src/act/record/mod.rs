//! What is remembered of a connection, and where: the ledger, the log of a run, the spool that mails are made from, syslog.
//!
//! Nothing here decides what is remembered, and nothing that fails here may stop a push.

pub mod ledger;
pub mod runlog;
pub mod spool;
pub mod syslog;
