//! Decisions: values in, values out.
//!
//! Nothing here touches a file, a clock, the environment or a process, and nothing panics.

#![deny(clippy::wildcard_enum_match_arm, reason = "what is new among our words has to say what becomes of it")]

pub mod anomaly;
#[cfg(feature = "admin")]
pub mod clients;
pub mod doctor;
pub mod history;
pub mod host;
pub mod judge;
pub mod keep;
pub mod keys;
pub(crate) mod owners;
pub mod policy;
pub mod push;
pub mod quota;
pub mod rrsync;
pub mod rsync;
pub mod sandbox;
pub mod speak;
