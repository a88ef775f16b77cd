//! Asking history: which snapshot is meant.
//!
//! Nothing here may tell one client anything of another's: all that is looked at is one repository's.

pub mod receive;
mod select;

pub use select::{Candidate, History, Located, NotSelected};

#[cfg(test)]
mod tests;
