//! `snapgate init`, `add-client` and its like, with real accounts and a real sshd, in a copy of this machine.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking, its helpers too")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a script says that runs in the copy, in which it ends with these words; `None` where it cannot be tried.
fn said(script: &str, end: &str) -> Option<String> {
    let skip = |why: &str| {
        // Past the test runner, which would swallow it.
        let _ = writeln!(std::io::stderr(), "skipped: clients: {why}");
        None
    };
    if !nix::unistd::Uid::effective().is_root() {
        return skip("it takes root to make accounts");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let work = tempfile::Builder::new().prefix("snapgate-clients-").tempdir().unwrap();
    let mut apart = Command::new("timeout");
    apart.args(["--kill-after=5", "300", "bash"]).arg(root.join("tests/support/readme.sh")).arg("apart").arg(work.path());
    apart.arg(env!("CARGO_BIN_EXE_snapgate")).arg(script);
    let output = apart.current_dir(root).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.code() == Some(77) {
        return skip(said.lines().last().unwrap_or("it cannot be tried here"));
    }
    assert!(output.status.success() && said.contains(end), "{said}");
    Some(said)
}

#[test]
fn clients_come_change_and_go_and_what_fails_or_is_killed_leaves_nothing_half() {
    if let Some(said) = said("tests/support/clients.sh", "== clients come and go") {
        scan(&said);
    }
}

#[test]
fn what_is_done_to_one_client_of_an_account_is_done_to_no_other() {
    said("tests/support/shared.sh", "== they come and go alone");
}

/// What a camera sees of a drawing on a terminal with dark ground, read as a QR code.
fn scanned(drawn: &[&str]) -> String {
    const POINTS: usize = 4;
    let letters: Vec<Vec<char>> = drawn.iter().map(|line| line.chars().collect()).collect();
    let (width, height) = (letters.first().unwrap().len() * POINTS, letters.len() * 2 * POINTS);
    let is_light = |x: usize, y: usize| match letters.get(y / 2).and_then(|line| line.get(x)) {
        Some('█') => true,
        Some('▀') => y.is_multiple_of(2),
        Some('▄') => !y.is_multiple_of(2),
        other => {
            assert_eq!(other, Some(&' '));
            false
        }
    };
    let point = |at: usize| if is_light(at % width / POINTS, at / width / POINTS) { 255 } else { 0 };
    let image: Vec<u8> = (0..width * height).map(point).collect();
    let mut reader = quircs::Quirc::new();
    let codes: Vec<_> = reader.identify(width, height, &image).map(|code| code.unwrap().decode().unwrap()).collect();
    let [code] = &codes[..] else { unreachable!("{} codes in\n{}", codes.len(), drawn.join("\n")) };
    String::from_utf8(code.payload.clone()).unwrap()
}

/// The code of `add-client --qr` makes the files that are printed above it, and pushes by the printed line.
fn scan(said: &str) {
    let printed = said.split("On the client, as ").nth(1).unwrap();
    let blocks: Vec<String> = printed.split("\n\n").filter(|block| block.starts_with("    ")).map(unindented).collect();
    let [config, known, cron, ..] = &blocks[..] else { unreachable!("{printed}") };
    let drawn: Vec<&str> = printed.lines().skip_while(|line| !line.starts_with('█')).take_while(|line| !line.is_empty()).collect();
    let lines = scanned(&drawn);
    let (files, push) = lines.split_once("\ncd;").unwrap();
    assert!(push.ends_with('\n') && cron.ends_with(push) && push.starts_with("rsync -"), "{lines}\n{cron}");

    let home = tempfile::tempdir().unwrap();
    let ran = Command::new("sh").arg("-ec").arg(files).env("HOME", home.path()).status().unwrap();
    assert!(ran.success(), "{files}");
    let written = |name: &str| std::fs::read_to_string(home.path().join(".ssh").join(name)).unwrap();
    assert_eq!(written("config"), config.replace("\n    ", "\n "));
    assert_eq!(written("known_hosts"), *known);
}

fn unindented(block: &str) -> String {
    block.lines().map(|line| line.strip_prefix("    ").unwrap().to_owned() + "\n").collect()
}
