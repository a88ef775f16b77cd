//! Attacks on history, through the real gate: what clients do with options, odd sources and odd names, and what a sender
//! can do that speaks rsync's protocol and lies. `cargo test --test hostile -- --nocapture` shows every case in a table:
//! how it is expected to end, and how it ended.
#![cfg(test)]

mod clients;
mod entry;
#[path = "../support/history.rs"]
mod facts;
mod items;
mod kinds;
mod lab;
mod lists;
mod mutants;
#[path = "../support/processes.rs"]
mod processes;
mod reports;
mod sender;
mod sources;
mod streams;
mod sums;
#[path = "../support/direct.rs"]
#[expect(dead_code, reason = "shared with tests/direct, which needs more of it")]
mod support;
mod wire;
