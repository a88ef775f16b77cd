//! The stories of the administrator's program.

pub mod check;
pub mod cli;
pub mod explain;
pub mod export;
pub mod list;
pub mod remap;
pub mod watch;
