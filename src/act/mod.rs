//! Effects: one facility a file. Siblings never import each other; what two of them need is a term or a decision.

pub mod config;
pub mod inspect;
pub mod intake;
pub mod resolve;
pub mod zones;
