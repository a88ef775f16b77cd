//! What rsync says and is told: its options and command lines, its words on standard input and in its log, and the argv that runs.
//!
//! No word of a client's goes further than this: it becomes a value, and the argv is printed from that.

pub mod argv;
pub mod command;
pub mod options;
pub mod output;
pub mod secluded;
pub mod temporary;
pub mod typed;
