//! Whole-program tests: the real sshd, the real rsync, the built snapgate; one file for each story. They are one
//! program, because linking a dozen takes longer than running them: `cargo test --test sshd push::` runs one story.
#![cfg(test)]

mod asking;
mod browse;
mod browse_sessions;
mod crowd;
mod demo;
mod dropbear;
mod hooks;
mod identity;
mod jail;
mod machine;
mod neighbours;
mod odd_trees;
mod older;
mod owners;
mod owners_apart;
mod owners_dropped;
mod owners_listed;
mod owners_ranges;
mod push;
mod refused;
mod remap;
mod remap_killed;
mod remap_lab;
mod remap_meanwhile;
mod remap_refused;
mod reports;
mod restore;
mod resume;
mod seed;
mod sessions;
mod shell;
mod sshd_config;
mod store;
mod transaction;
