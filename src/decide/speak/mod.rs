//! Words for people: answers to clients, log lines, mails.
//!
//! A client must never hear about the server; the administrator hears everything.

pub mod answer;
pub mod asked;
pub mod hook;
#[cfg(feature = "admin")]
pub mod letter;
pub mod line;
#[cfg(feature = "admin")]
pub mod notice;
#[cfg(feature = "admin")]
pub mod post;
