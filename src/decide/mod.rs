//! Decisions: values in, values out.
//!
//! Nothing here touches a file, a clock, the environment or a process, and nothing panics.

pub mod address;
pub mod again;
pub mod answer;
pub mod argv;
pub mod asked;
pub mod authinfo;
pub mod cell;
pub mod closing;
pub mod command;
pub mod dropped;
pub mod hook;
pub mod idmaps;
pub mod idpairs;
pub mod letter;
pub mod line;
pub mod links;
pub mod lint;
pub mod lists;
pub mod login;
pub mod lost;
pub mod mounts;
pub mod names;
pub mod namespaces;
pub mod notice;
pub mod options;
pub mod outcome;
pub mod owners;
pub mod pace;
pub mod parts;
pub mod plan;
pub mod policy;
pub mod post;
pub mod remap;
pub mod rrsync;
pub mod secluded;
pub mod seen;
pub mod silence;
pub mod subids;
pub mod temporary;
pub mod typed;
pub mod verdict;
pub mod window;
pub mod words;
pub mod yaml;
