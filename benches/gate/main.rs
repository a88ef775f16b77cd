//! The figures that every connection and every push pay for, measured as whole processes and printed as ratios of one run.
//!
//! `make bench` runs it with the release build. It needs root for two parts, which say so; it needs rsync, rrsync and about two gigabytes
//! of room in the system's temporary directory. Start-up is timed up to the first instruction of what is started in
//! rsync's place: a probe (this program again, under another name) that says what the clock shows.
//!
//! `cargo bench -- --starts` measures one part ([`PARTS`]), `--files=N` says how many files are pushed unchanged: a fifth of them are
//! new in a first push, and ten times as many links are recorded for the gate's memory. `BASE_GATE=/path/to/an/older/build` has that
//! one measured beside, in the same rounds.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails loudly"
)]

mod clients;
mod history;
mod keys;
mod memory;
mod owners;
mod publishing;
mod pushes;
mod refusals;
mod restores;
mod site;
mod starts;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use site::Gate;
use support::limits::{self, met};

/// What may be asked for alone.
const PARTS: [&str; 14] = [
    "--history", "--restores", "--refusals", "--starts", "--first-pushes", "--pushes", "--publishing", "--memory", "--owners", "--status",
    "--digest", "--watch", "--keys", "--add-client",
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words.first().is_some_and(|name| name == "rsync" || name.ends_with("/probe")) {
        probe(&words);
        return ExitCode::SUCCESS;
    }
    let files = words.iter().find_map(|word| word.strip_prefix("--files=")).map_or(100_000, |number| number.parse().expect("a number"));
    let root = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("mode");
    println!("snapgate {}: whole processes, medians; every ratio is of one interleaved run\n", env!("CARGO_PKG_VERSION"));
    let only = |part: &str| words.iter().any(|word| word == part) || !words.iter().any(|word| PARTS.contains(&word.as_str()));
    binary();
    if only("--refusals") {
        refusals::refusals(root.path());
    }
    if only("--starts") {
        starts::start_up(root.path());
    }
    if only("--first-pushes") {
        pushes::first(root.path(), files / 5);
    }
    if only("--pushes") {
        pushes::unchanged(root.path(), files);
    }
    if only("--restores") {
        restores::restores(root.path(), files);
    }
    if only("--history") {
        history::history(root.path(), files);
    }
    if only("--publishing") {
        publishing::publishing(root.path(), files);
    }
    if only("--memory") {
        memory::memory(root.path(), files * 10);
    }
    if only("--owners") {
        owners::owners(root.path(), files);
    }
    if only("--status") {
        clients::status(root.path());
    }
    if only("--digest") {
        clients::digest(root.path());
    }
    if only("--watch") {
        clients::watch(root.path());
    }
    if only("--keys") {
        keys::keys(root.path());
    }
    if only("--add-client") {
        clients::added();
    }
    limits::ended()
}

/// Stands in rsync's place: tells the time and waits to be told what to do, so that the gate can be looked at. A number has it ask for
/// so many links.
fn probe(words: &[String]) {
    if words.iter().any(|word| word == "--version") {
        println!("rsync  version 3.5.0  protocol version 32");
        return;
    }
    println!("{}", now().as_nanos());
    let mut line = String::new();
    let told = std::io::stdin().read_line(&mut line);
    match line.trim().parse() {
        Ok(count) if told.is_ok() => memory::record(words, count),
        // As rsync ends when the connection is cut: nothing is published, so no round stands in the next one's way.
        _ => std::process::exit(12),
    }
}

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock").into()
}

fn binary() {
    let size = |program: &Path| fs::metadata(program).expect("the program").len();
    let gate = size(&Gate::this().program);
    println!("gate              {:.2} MB  (limit 2.85: {})", gate as f64 / 1e6, met(gate < 2_850_000));
    println!("snapgate          {:.2} MB\n", size(Path::new(env!("CARGO_BIN_EXE_snapgate"))) as f64 / 1e6);
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { values[middle - 1].midpoint(values[middle]) } else { values[middle] }
}
