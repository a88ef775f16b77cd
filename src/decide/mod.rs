//! Decisions: values in, values out.
//!
//! Nothing here touches a file, a clock, the environment or a process, and nothing panics.

pub mod argv;
pub mod command;
pub mod letter;
pub mod line;
pub mod notice;
pub mod options;
pub mod policy;
pub mod window;
pub mod yaml;
