//! The stories of the administrator's program.

pub mod check;
pub mod cli;
pub(crate) mod clients;
pub mod digest;
pub(crate) mod drill;
pub(crate) mod explain;
pub mod help;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod maintain;
pub(crate) mod metrics;
pub(crate) mod prune;
pub(crate) mod remap;
pub(crate) mod restore;
pub(crate) mod rsh;
pub mod states;
pub(crate) mod status;
pub mod watch;
