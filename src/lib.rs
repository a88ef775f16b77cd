//! snapgate, the gate between sshd and rsync on a backup server.
//!
//! Four layers; arrows point down only, and `tests/tidy.rs` fails on one that does not:
//! [`cli`] → stories ([`serve`], [`watch`], [`check`], [`explain`], [`list`], [`export`], [`remap`], [`rrsync`],
//! [`names`], [`enclose`]) → [`act`] (effects) → [`decide`] (pure) →
//! [`terms`] (nouns). The shape and its invariants are in `docs/architecture.md`.

pub mod act;
pub mod check;
pub mod cli;
pub mod decide;
pub mod enclose;
pub mod explain;
pub mod export;
pub mod list;
pub mod names;
pub mod remap;
pub mod rrsync;
pub mod serve;
pub mod terms;
pub mod watch;
