//! Asking history: which snapshot is meant, and what holds a program that reads it.
//!
//! Nothing here may tell one client anything of another's: all that is looked at is one repository's.

pub mod cell;
pub mod daily;
pub mod pull;
pub mod receive;
pub mod sample;
mod select;
pub mod send;

pub use select::{Candidate, History, Located, NotSelected};

#[cfg(test)]
mod tests;
