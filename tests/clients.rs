//! `snapgate init`, `add-client` and its like, with real accounts and a real sshd, in a copy of this machine.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn clients_come_change_and_go_and_what_fails_or_is_killed_leaves_nothing_half() {
    let skip = |why: &str| {
        // Past the test runner, which would swallow it.
        let _ = writeln!(std::io::stderr(), "skipped: clients: {why}");
    };
    if !nix::unistd::Uid::effective().is_root() {
        return skip("it takes root to make accounts");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let work = tempfile::Builder::new().prefix("snapgate-clients-").tempdir().unwrap();
    let mut script = Command::new("timeout");
    script.args(["--kill-after=5", "300", "bash"]).arg(root.join("tests/support/readme.sh")).arg("apart").arg(work.path());
    script.arg(env!("CARGO_BIN_EXE_snapgate")).arg("tests/support/clients.sh");
    let output = script.current_dir(root).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.code() == Some(77) {
        return skip(said.lines().last().unwrap_or("it cannot be tried here"));
    }
    assert!(output.status.success() && said.contains("== clients come and go"), "{said}");
}
