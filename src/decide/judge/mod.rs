//! A request and a policy become a verdict. Doubt is a denial.

pub mod closing;
pub(crate) mod verdict;
