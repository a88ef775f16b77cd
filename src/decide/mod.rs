//! Decisions: values in, values out.
//!
//! Nothing here touches a file, a clock, the environment or a process, and nothing panics.

pub mod address;
pub mod authinfo;
pub mod lint;
pub mod policy;
pub mod window;
pub mod yaml;
