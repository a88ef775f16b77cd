//! A request and a policy become a verdict. What is in doubt is denied.

pub mod closing;
pub mod verdict;
