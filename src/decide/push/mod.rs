//! What is done in a push, what it may take, and what it amounts to when it has ended.

pub mod again;
pub mod links;
pub mod lost;
pub mod metering;
pub mod outcome;
pub mod parts;
pub mod plan;
pub mod settle;
pub mod silence;
