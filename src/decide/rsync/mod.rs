//! rsync's options, command lines, standard input, log and arguments.

pub mod argv;
pub mod command;
pub mod options;
pub mod output;
pub mod secluded;
pub mod temporary;
pub mod transfer;
pub mod typed;
