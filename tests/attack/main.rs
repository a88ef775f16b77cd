//! Attacks on history, through the real gate: what clients do with options, odd sources and odd names, and what a sender
//! can do that speaks rsync's protocol and lies. `cargo test --test attack -- --nocapture` shows every case in a table:
//! how it is expected to end, and how it ended. With `HOSTILE_WITHOUT_VIEW=1` the gate is started where it may not mount, so
//! that rsync has no view of its own and the jail and the filter have to hold alone; `SERVER_RSYNC` names an rsync
//! for the server.
#![cfg(test)]
#![expect(clippy::too_many_lines, reason = "attacks are rows of tables, and a table is one thing")]

mod clients;
mod entry;
mod items;
mod kinds;
mod lab;
mod lists;
mod midway;
mod mutants;
mod older;
mod owners;
mod reports;
mod sender;
mod sources;
mod streams;
mod sums;
mod ways;
mod wire;
