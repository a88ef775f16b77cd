//! The commands of the README and of the pages about ways of working, as they stand there.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking, its helpers too")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The section, from its heading to the next.
fn section() -> String {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = text.split_once("## A working backup in five minutes\n").unwrap();
    section.split("\n## ").next().unwrap().to_owned()
}

fn skip(why: &str) {
    // Past the test runner, which would swallow it.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

#[test]
fn no_step_leaves_a_client_with_more_than_the_gate_and_none_needs_what_comes_later() {
    let section = section();
    let (package, steps) = section.split_once("\n1. ").unwrap();
    assert_eq!(package.lines().filter(|line| line.starts_with("    ")).count(), 4, "from the package to a snapshot");
    let at = |text: &str| steps.find(text).unwrap_or_else(|| panic!("`{text}` is not in the README's five minutes"));
    assert!(at("50-snapgate.conf /etc/ssh") < at("snapgate add-client"), "an account without the sshd block has a shell");
    assert!(at("reload ssh") < at("snapgate add-client"));
    assert!(at("snapgate init") < at("snapgate add-client"));
    assert!(at("ssh-keygen -q") < at("snapgate add-client"), "the key is made before it is installed");
    assert!(at("known_hosts") < at("crontab -e"), "cron cannot confirm the server's key");
    assert!(at("Rust 1.91") < at("make install"), "what the build needs stands before it");
    assert!(
        at("snapgate-watch.timer") < at("snapgate add-client") && at("snapgate-drill.timer") < at("snapgate add-client"),
        "watch and drill are part of it"
    );
    assert!(at("snapgate-maintain.timer") < at("snapgate add-client"), "the store looks after itself");
    for without_systemd in ["17 * * * *", "service ssh reload", "*/5 * * * *"] {
        at(without_systemd);
    }
    let version = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let needed = version.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"').to_owned();
    assert!(section.contains(&format!("Rust {needed} or later")), "Cargo.toml says {needed}");
}

/// Runs a script of `tests/support` in a copy of this machine, and expects its last words.
fn in_a_copy(what: &str, seconds: &str, script: &[&str], last_words: &str) {
    let skip = |why: &str| skip(&format!("{what}: {why}"));
    if !nix::unistd::Uid::effective().is_root() {
        return skip("it takes root to install something");
    }
    let work = tempfile::Builder::new().prefix("snapgate-readme-").tempdir().unwrap();
    let mut copy = Command::new("timeout");
    copy.args(["--kill-after=5", seconds, "bash"]).arg(root().join("tests/support/readme.sh")).arg("apart").arg(work.path());
    let output = copy.arg(env!("CARGO_BIN_EXE_snapgate")).args(script).current_dir(root()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.code() == Some(77) {
        return skip(said.lines().last().unwrap_or("it cannot be tried here"));
    }
    assert!(output.status.success() && said.contains(last_words), "{said}");
    // What of it this machine could not do.
    said.lines().filter_map(|line| line.strip_prefix("skipped: ")).for_each(skip);
}

#[test]
fn its_commands_work_word_for_word_in_a_copy_of_this_machine() {
    in_a_copy("the README's commands", "120", &[], "== the README works word for word");
}

fn page(path: &str) {
    in_a_copy(path, "240", &["tests/support/ways.sh", path], &format!("== {path} works word for word"));
}

#[test]
fn a_laptop_works_word_for_word() {
    page("docs/ways/laptop.md");
}

#[test]
fn a_time_machine_works_word_for_word() {
    page("docs/ways/time-machine.md");
}

#[test]
fn two_routers_and_one_that_drives_both_directions_work_word_for_word() {
    page("docs/ways/two-routers.md");
}

#[test]
fn prepare_and_complete_work_word_for_word() {
    page("docs/ways/prepare-complete.md");
}

#[test]
fn a_dump_to_a_second_disk_works_word_for_word() {
    page("docs/ways/dump.md");
}

#[test]
fn encryption_at_rest_works_word_for_word() {
    page("docs/encryption.md");
}
