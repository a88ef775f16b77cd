//! rsync's sandbox: what it sees, what it may do, and what follows if the kernel cannot give all of
//! it.

pub mod namespaces;
pub mod spec;
