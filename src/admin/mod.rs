//! The stories of the administrator's program.

pub mod check;
pub mod cli;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod list;
pub(crate) mod prune;
pub(crate) mod remap;
pub mod watch;
