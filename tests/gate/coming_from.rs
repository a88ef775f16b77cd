//! What `docs/coming-from.md` tells those who come from other scripts to run, with the programs themselves where they are installed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Gate, POLICY, Running, skip};

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coming-from.md")).unwrap()
}

/// Runs lsyncd as one of the document's configurations has it, with these changes, while a second file is made.
fn lsyncd(gate: &Gate, number: usize, changes: &[(&str, &str)]) {
    let source = gate.source("data");
    fs::write(source.join("first"), "first").unwrap();
    let document = document();
    let mut lua = document.split("```lua\n").nth(number).unwrap().split("```").next().unwrap().to_owned();
    let usual = [("delay = 900", "delay = 1"), ("/home/me", source.to_str().unwrap())];
    for (there, here) in usual.iter().chain(changes) {
        assert!(lua.contains(there), "{there}: {lua}");
        lua = lua.replace(there, here);
    }
    gate.write("lsyncd.lua", &lua);
    let mut lsyncd = Running::start(Command::new("lsyncd").arg("-nodaemon").arg(gate.path().join("lsyncd.lua")));
    support::until("lsyncd has pushed what is there", || !gate.snapshots().is_empty());
    // It watches from then on.
    std::thread::sleep(std::time::Duration::from_secs(1));
    fs::write(source.join("second"), "second").unwrap();
    support::until("lsyncd has pushed a change", || gate.newest().join("second").exists() && !gate.is_at_work());
    lsyncd.child.kill().unwrap();
    lsyncd.wait();
    let newest = gate.newest();
    assert!(newest.join("first").exists(), "a snapshot is whole");
    assert_eq!(fs::metadata(newest.join("first")).unwrap().nlink(), u64::try_from(gate.snapshots().len()).unwrap(), "and linked");
}

fn has_lsyncd() -> bool {
    let has = Command::new("lsyncd").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok();
    if !has {
        skip("lsyncd is not installed");
    }
    has
}

#[test]
fn lsyncd_pushes_what_has_changed_where_the_rest_is_carried_over() {
    if !has_lsyncd() {
        return;
    }
    let gate = Gate::with("", &format!("partial_pushes: merge\n{POLICY}"));
    let rsh = format!("delete = false, rsync = {{ rsh = \"/bin/sh {}/ssh\" }}", gate.path().display());
    lsyncd(&gate, 1, &[("delete = false", &rsh)]);
    let facts = gate.record().push.unwrap();
    assert_eq!((facts.files, facts.received, facts.carried), (2, 1, 1), "{facts:?}");
}

#[test]
fn lsyncd_pushes_the_whole_tree_after_changes_with_the_configuration_of_the_document() {
    if !has_lsyncd() {
        return;
    }
    let gate = Gate::new();
    let dir = gate.path().display().to_string();
    let (shell, run) = (format!("\"--delete\", \"-e\", \"/bin/sh {dir}/ssh\""), format!("{dir}/"));
    lsyncd(&gate, 2, &[("\"--delete\"", &shell), ("/var/log", &dir), ("/run/", &run)]);
}

#[test]
fn a_script_with_link_dest_loses_its_dates_and_links_and_nothing_else() {
    let gate = Gate::new();
    let source = gate.source("data");
    fs::write(source.join("a"), "a").unwrap();
    for _ in 0..2 {
        gate.push(&source, &["--link-dest=../current"]).exits(0);
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    assert_eq!(fs::metadata(gate.newest().join("a")).unwrap().nlink(), 2);
    let ran = gate.say("cd /srv/backups/me && rm -f current && ln -s 2026-11-21 current").exits(77);
    assert_eq!(ran.code(), Some("program"));
    assert!(ran.stderr.contains("leave `rm`, `ln` out: each push becomes a snapshot by itself"), "{}", ran.stderr);
}

#[test]
fn each_command_that_the_document_calls_refused_is_refused_with_advice_and_each_that_it_calls_answered_is_answered() {
    let gate = Gate::new();
    let document = document();
    let line = document.lines().find(|line| line.starts_with("command (`echo`")).unwrap();
    let refused: Vec<_> = line.split(')').next().unwrap().split('`').skip(1).step_by(2).collect();
    assert!(refused.len() > 8, "{refused:?}");
    for command in refused {
        let ran = gate.say(command).exits(77);
        assert!(
            ran.stderr.lines().count() == 2 && ran.stderr.contains(&format!("leave `{}` out: ", command.split(' ').next().unwrap())),
            "{ran:?}"
        );
    }
    for command in ["true", "rsync --version"] {
        assert!(document.contains(&format!("ssh backup {command}")));
        assert_eq!(gate.say(command).exits(0).stderr, "");
    }
    let table: Vec<_> =
        document.lines().filter(|line| line.starts_with("| `") && line.contains("rsync`") || line.contains("rsync.exe")).collect();
    assert!(table.len() >= 7, "{table:?}");
    let source = gate.source("data");
    for row in table {
        for front in row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2) {
            let ran = gate.push(&source, &["--rsync-path", front]);
            assert!(
                ran.status != 0 && ran.stderr.contains("leave --rsync-path out, so that rsync asks for plain `rsync`; "),
                "{front}: {ran:?}"
            );
        }
    }
}
