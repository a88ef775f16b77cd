//! Asking history: what is asked, which snapshot is meant, what holds a program that reads it, what
//! differs, and how it is said.
//!
//! Nothing here may tell one client anything of another's: all that is looked at is one repository's.

pub mod browse;
pub mod cell;
pub mod daily;
pub mod differ;
pub mod entry;
pub mod moves;
pub mod order;
pub mod paint;
pub mod pattern;
pub mod pull;
pub mod query;
pub mod receive;
pub mod said;
pub mod sample;
mod select;
pub mod send;

pub use select::{Candidate, History, Located, NotSelected};

#[cfg(test)]
mod tests;
