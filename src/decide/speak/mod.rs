//! Words for people: answers to clients, log lines, mails.
//!
//! A client must never hear about the server; the administrator hears everything.

pub mod answer;
pub mod asked;
pub mod hook;
pub mod letter;
pub mod line;
pub mod notice;
pub mod post;
