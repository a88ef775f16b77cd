//! What sshd started this process for: who is there, and what they say.
//!
//! Nothing of the environment is trusted here but what sshd itself has set.

pub mod intake;
pub mod secluded;
