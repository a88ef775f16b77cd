//! Words for people: answers to clients, log lines, mails.
//!
//! A client must never hear about the server; the administrator hears everything.

#[cfg(feature = "admin")]
pub mod alerts;
pub mod answer;
pub mod asked;
#[cfg(feature = "admin")]
pub mod digest;
pub mod hook;
pub mod line;
#[cfg(feature = "admin")]
pub mod log;
#[cfg(feature = "admin")]
pub mod message;
#[cfg(feature = "admin")]
pub mod metrics;
#[cfg(feature = "admin")]
pub mod post;
#[cfg(feature = "admin")]
pub mod rhythm;
#[cfg(feature = "admin")]
pub mod states;
#[cfg(feature = "admin")]
#[cfg(test)]
mod subjects;
#[cfg(feature = "admin")]
pub mod topic;
#[cfg(feature = "admin")]
pub mod ways;
