//! Effects: one facility a file. Siblings never import each other; what two of them need is a term or a decision.

pub mod config;
pub mod detach;
pub mod mail;
pub mod spool;
pub mod syslog;
pub mod zones;
