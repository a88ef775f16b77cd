//! Effects: one facility a file. Siblings never import each other; what two of them need is a term or a decision.

pub mod accounts;
pub mod beneath;
pub mod child;
pub mod config;
pub mod detach;
pub mod filter;
pub mod inspect;
pub mod intake;
pub mod jail;
pub mod ledger;
pub mod mail;
pub mod process;
pub mod runlog;
pub mod running;
pub mod secluded;
pub mod spool;
pub mod store;
pub mod subids;
pub mod syslog;
pub mod view;
pub mod zones;
