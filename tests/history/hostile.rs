//! Trees that mean harm to whoever looks at them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{POLICY, push};
use support::{Gate, is_root, must, run};

/// Something in the newest snapshot that no push would have stored.
fn plant(gate: &Gate, make: impl FnOnce(&Path)) {
    let newest = gate.newest();
    make(&newest);
}

fn gate() -> Gate {
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    fs::create_dir(source.join("d")).unwrap();
    fs::write(source.join("d/file"), "x").unwrap();
    push(&gate, &source, 1);
    push(&gate, &source, 0);
    gate
}

#[test]
fn a_fifo_a_device_and_a_socket_are_refused_and_nobody_waits_for_them() {
    let gate = gate();
    plant(&gate, |newest| {
        must(Command::new("mkfifo").arg(newest.join("d/fifo")));
        drop(std::os::unix::net::UnixListener::bind(newest.join("d/socket")).unwrap());
        if is_root() {
            must(Command::new("mknod").arg(newest.join("d/device")).args(["c", "1", "5"]));
        }
    });
    let begun = Instant::now();
    for (name, what) in [("fifo", "fifo"), ("socket", "socket"), ("device", "character device")] {
        if name == "device" && !is_root() {
            continue;
        }
        for ran in [run(&mut gate.snapgate(&["cat", "--client", "web1", &format!("d/{name}")])), gate.say(&format!("cat d/{name}"))] {
            assert!(ran.status == 64 && ran.stderr.contains(&format!("it is a {what}")), "{ran:?}");
        }
        run(&mut gate.snapgate(&["history", "-d", "--client", "web1", &format!("d/{name}")])).exits(0);
    }
    for words in [&["ls", "--client", "web1", "d"][..], &["diff", "--client", "web1", "@1d", "current"], &["find", "--client", "web1", "*"]]
    {
        let ran = run(&mut gate.snapgate(words)).exits(0);
        assert!(ran.stdout.contains("fifo"), "{ran:?}");
    }
    run(&mut gate.snapgate(&["usage", "--snapshots", "web1"])).exits(0);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn no_link_leads_anywhere() {
    let gate = gate();
    fs::write(gate.path().join("secret"), "the server's").unwrap();
    plant(&gate, |newest| {
        symlink(gate.path().join("secret"), newest.join("out")).unwrap();
        symlink("/etc", newest.join("etc")).unwrap();
        symlink("../../..", newest.join("up")).unwrap();
        symlink("d", newest.join("in")).unwrap();
    });
    for place in ["out", "etc/passwd", "up/secret", "in/file", "up"] {
        for word in ["cat", "history"] {
            let ran = run(&mut gate.snapgate(&[word, "--client", "web1", place]));
            assert!(!ran.stdout.contains("the server's") && !ran.stdout.contains("root:"), "{place}: {ran:?}");
            assert!(ran.status == 64 || (word == "history" && !place.contains('/')), "{place}: {ran:?}");
        }
    }
    let listed = run(&mut gate.snapgate(&["ls", "--client", "web1"])).exits(0).stdout;
    assert!(listed.contains("etc -> /etc"), "{listed}");
    let found = run(&mut gate.snapgate(&["find", "--client", "web1", "passwd"]));
    assert_eq!(found.status, 64, "{found:?}");
}

#[test]
fn names_and_texts_never_move_a_cursor() {
    let gate = gate();
    let name = OsString::from_vec(b"evil\x1b]0;x\x07\n\xff\xe2\x80\xae".to_vec());
    plant(&gate, |newest| {
        fs::write(newest.join("d").join(&name), "a\x1b[2Jb\n").unwrap();
        symlink("\u{1b}[2J", newest.join("d/link")).unwrap();
    });
    for words in [
        &["ls", "--client", "web1", "d"][..],
        &["find", "--client", "web1", "evil*"],
        &["find", "--all", "--client", "web1", "evil*"],
        &["diff", "--client", "web1", "@1d", "current"],
        &["history", "--client", "web1", "d"],
    ] {
        for json in [false, true] {
            let words: Vec<_> = words.iter().copied().chain(json.then_some("--json")).collect();
            let ran = run(&mut gate.snapgate(&words)).exits(0);
            let shown = r"evil\u{1b}]0;x\u{7}\n\xff\u{202e}";
            let expected = if json { shown.replace('\\', r"\\") } else { shown.to_owned() };
            assert!(ran.stdout.contains(&expected), "{words:?}: {ran:?}");
            assert!(ran.stdout.chars().all(|letter| letter == '\n' || !letter.is_control()), "{words:?}: {ran:?}");
        }
    }
    // What is there is shown as it is where no terminal is.
    let mut cat = gate.snapgate(&["cat", "--client", "web1"]);
    let shown = run(cat.arg(Path::new("d").join(&name))).exits(0).stdout;
    assert_eq!(shown, "a\x1b[2Jb\n");
    // On a terminal nothing of it moves the cursor.
    let line = format!(
        "{} --config {}/config cat --client web1 \"d/$(printf 'evil\\033]0;x\\007\\n\\377\\342\\200\\256')\"",
        support::SNAPGATE,
        gate.path().display()
    );
    if Path::new("/usr/bin/script").exists() {
        let typed = run(Command::new("script").args(["-qec", &line, "/dev/null"]));
        assert!(typed.stdout.contains(r"a\u{1b}[2Jb") && !typed.stdout.contains('\u{1b}'), "{typed:?}");
    }
}

#[test]
fn a_tree_of_a_thousand_levels_is_walked() {
    let gate = gate();
    plant(&gate, |newest| {
        let mut script = String::new();
        for _ in 0..1000 {
            script.push_str("mkdir x && cd x && ");
        }
        must(Command::new("sh").args(["-c", &format!("{script} echo deep > deepest")]).current_dir(newest.join("d")));
    });
    for words in [
        &["find", "--client", "web1", "deepest"][..],
        &["diff", "--client", "web1", "@1d", "current"],
        &["history", "--client", "web1", "d"],
        &["usage", "--snapshots", "web1"],
    ] {
        let ran = run(&mut gate.snapgate(words)).exits(0);
        assert!(words[0] == "usage" || ran.stdout.contains("deepest"), "{words:?}");
    }
}

#[test]
fn what_a_client_closed_to_its_owner_is_read_all_the_same() {
    let gate = gate();
    let source = gate.source("data");
    super::set_mode(&source.join("d/file"), 0o000);
    let out = gate.push(&source, &[]);
    if out.status != 0 {
        return;
    }
    run(&mut gate.snapgate(&["cat", "--client", "web1", "d/file"])).exits(0);
    assert_eq!(OsStr::new("x"), OsStr::new(&gate.say("cat d/file").exits(0).stdout));
}

#[test]
fn a_path_for_the_administrators_shell_is_no_link() {
    let gate = gate();
    plant(&gate, |newest| symlink("/etc/shadow", newest.join("d/link")).unwrap());
    for words in [&["yesterday", "--client", "web1", "@0d", "d/link"][..], &["yesterday", "--json", "--client", "web1", "@0d", "d/link"]] {
        let ran = run(&mut gate.snapgate(words)).exits(64);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("is a symlink"), "{ran:?}");
    }
    assert!(run(&mut gate.snapgate(&["yesterday", "--client", "web1", "@0d", "d/file"])).exits(0).stdout.ends_with("/d/file\n"));
}
