//! What a client's bytes can reach: the packages that the gate is built from are listed in docs/threat-model.md, they are few, and so is
//! what becomes of them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The gate is built from fewer packages than this.
const PACKAGES: usize = 45;

/// Its program has fewer bytes than this, stripped. The C library, linked in, and Rust's own are half of them. It was 2.5 MB before the
/// gate kept to quotas and compared each push with the last good one, and 2.65 before it gave files back: what decides about a
/// client's bytes cannot be elsewhere. What answers questions about history is in the administrator's program.
const BYTES: u64 = 2_850_000;

/// The file that says how far the clock of a build for tests is ahead (`src/act/clock.rs`).
const FAKED_CLOCK: &[u8] = b"faked-clock";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `cargo tree` says of the packages: each with its version.
fn packages(features: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--offline", "-e", "no-dev", "--prefix", "none", "--format", "{p}"]).args(features);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ").replace(" v", " ");
    text.lines().filter(|line| !line.is_empty()).map(package).collect()
}

#[test]
fn the_packages_of_the_gate_are_those_of_the_threat_model_and_few() {
    let real = packages(&["--no-default-features"]);
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let list = text.split("<!-- packages -->").nth(1).expect("docs/threat-model.md has the list");
    let told: BTreeSet<String> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let list = real.iter().map(|package| format!("`{package}`")).collect::<Vec<_>>().join(", ");
    assert_eq!(told, real, "docs/threat-model.md is to have these: {list}");
    assert!(real.len() < PACKAGES, "{} packages", real.len());
    for administrators in ["clap ", "lettre ", "rustls ", "url "] {
        assert!(!real.iter().any(|package| package.starts_with(administrators)), "{administrators}");
        assert!(packages(&[]).iter().any(|package| package.starts_with(administrators)), "{administrators}");
    }
}

/// When the newest of the files that a program is made from was changed.
fn newest(path: &Path) -> SystemTime {
    let own = fs::metadata(path).unwrap().modified().unwrap();
    let entries = fs::read_dir(path).into_iter().flatten().map(|entry| newest(&entry.unwrap().path()));
    entries.fold(own, SystemTime::max)
}

/// The gate of the release build, where there is one that is no older than what it is made from.
fn release() -> Option<PathBuf> {
    let this = Path::new(env!("CARGO_BIN_EXE_snapgate-shell"));
    let built = this.parent()?.parent()?.join("release/snapgate-shell");
    let made = fs::metadata(&built).ok()?.modified().unwrap();
    let sources = ["src", "Cargo.toml", "Cargo.lock", "build.rs", ".cargo"].map(|name| newest(&root().join(name)));
    sources.iter().all(|source| *source <= made).then_some(built)
}

#[test]
fn nobody_sets_the_clock_of_a_release() {
    let Some(gate) = release() else {
        println!("skipped: there is no release build of these sources to look into (make build)");
        return;
    };
    let has = |path: &Path| fs::read(path).unwrap().windows(FAKED_CLOCK.len()).any(|bytes| bytes == FAKED_CLOCK);
    assert!(!has(&gate), "{} reads a clock that tests set", gate.display());
    let administrators = gate.with_file_name("snapgate");
    assert!(!administrators.exists() || !has(&administrators));
    assert!(has(Path::new(env!("CARGO_BIN_EXE_snapgate-shell"))), "the build of the tests has it, and it is called so");
}

#[test]
fn the_gate_is_small() {
    let Some(gate) = release() else {
        println!("skipped: there is no release build of these sources to weigh (make build)");
        return;
    };
    let bytes = fs::metadata(&gate).unwrap().len();
    assert!(bytes < BYTES, "{} has {bytes} bytes", gate.display());
}
