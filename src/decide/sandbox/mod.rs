//! What rsync is closed in with: what it sees, what it may do, and what follows where the kernel
//! cannot give it all of that.

pub mod namespaces;
pub mod spec;
