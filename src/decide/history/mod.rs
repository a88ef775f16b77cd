//! Asking history: which snapshot is meant.
//!
//! Nothing here may tell one client anything of another's: all that is looked at is one repository's.

mod select;

pub use select::{Candidate, History, Located, NotSelected};

#[cfg(test)]
mod tests;
