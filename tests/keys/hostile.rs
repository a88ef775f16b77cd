//! Words of a stranger's, and an index that is none.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::Command;
use std::thread;

use snapgate::decide::keys::BLOCK;
use support::{SNAPGATE, is_root, mode, must, run, skip};

use crate::lab::{Lab, fingerprint, key, policy, replaced};

#[test]
fn no_word_of_a_stranger_s_is_more_than_a_word() {
    let lab = Lab::new(&[("web1", &policy("backup", &[1])), ("--help", "x"), ("keys", &policy("keys", &[2]))]);
    fs::create_dir(lab.path().join("keys")).unwrap();
    let (kind, text) = key(1);
    let long = "a".repeat(100_000);
    for (account, kind, text) in [
        ("backup\nssh-ed25519", kind, text.as_str()),
        ("../policies/web1", kind, &text),
        ("--help", kind, &text),
        ("--config", kind, &text),
        ("", kind, &text),
        ("%u", kind, &text),
        ("backup", "ssh-ed25519\"", &text),
        ("backup", "restrict", &text),
        ("backup", "", &text),
        ("backup", kind, &format!("{text}\n{kind} {text}")),
        ("backup", kind, &format!("{text} # x")),
        ("backup", kind, "--version"),
        ("backup", kind, "%k"),
        ("backup", kind, ""),
        ("backup", kind, &long),
        (&long, kind, &text),
        ("backup", &long, &text),
    ] {
        let ran = lab.ask(account, kind, text);
        assert!(ran.status == 0 && ran.stdout.is_empty() && ran.stderr.is_empty(), "{account:.40} {kind:.40} {text:.40}: {ran:?}");
    }
    // With fewer words or more it is a person who asks.
    for words in [&["keys"][..], &["keys", "backup"], &["keys", "backup", kind, &text, "x"]] {
        let ran = run(Command::new(SNAPGATE).arg("--config").arg(lab.path()).args(words));
        assert!(ran.status != 0 && ran.stdout.is_empty(), "{ran:?}");
    }
}

#[test]
fn an_index_that_is_not_ours_or_not_whole_misleads_nobody() {
    let lab = Lab::new(&[("a", &policy("backup", &[1])), ("b", &policy("backup", &[2]))]);
    lab.settle(&["a", "b"]);
    let whole = fs::read(lab.index()).unwrap();
    let right = |what: &str| {
        assert_eq!(lab.client("backup", 1).as_deref(), Some("a"), "{what}");
        assert_eq!(lab.client("backup", 2).as_deref(), Some("b"), "{what}");
        assert_eq!(lab.client("backup", 3), None, "{what}");
        assert_eq!(lab.client("root", 1), None, "{what}");
    };
    right("as it is");
    // It promises keys of others, of accounts, of clients that are none.
    let swapped = [(" a backup", " X backup"), (" b backup", " a backup"), (" X backup", " b backup")];
    let swapped = swapped.iter().fold(whole.clone(), |bytes, (from, to)| replaced(&bytes, from, to));
    for (what, text) in [
        ("swapped", swapped),
        ("for another account", replaced(&whole, "backup", "root\t\t")),
        ("of another key", replaced(&whole, fingerprint(1).as_str(), fingerprint(3).as_str())),
        ("empty", Vec::new()),
        ("half", whole[..whole.len() / 2].to_owned()),
        ("without the last block", whole[..whole.len() - BLOCK].to_owned()),
        ("with a line more", [whole.as_slice(), format!("{} a backup\n", fingerprint(3)).as_bytes()].concat()),
        ("with files that are none", replaced(&whole, "b.yaml", "b.yamm")),
        ("with a name of a file that has no end", [&whole[..whole.len() - BLOCK], &[b'b'; BLOCK]].concat()),
        ("with lines of keys that are none", replaced(&whole, " a backup", " a/backup")),
        ("noise", b"\0\n".repeat(500)),
    ] {
        fs::write(lab.index(), text).unwrap();
        let is_a_lie_of_root_s = what == "for another account" || what == "of another key";
        if !is_a_lie_of_root_s {
            right(what);
        }
        assert_eq!(lab.client("backup", 3), None, "{what}");
        assert_eq!(lab.client("root", 1), None, "{what}");
        // `check` does not believe it, either.
        let _ = fs::remove_file(lab.index());
        fs::write(lab.index(), &whole).unwrap();
    }
    // One that hides a key, and could have been written by somebody else.
    let hiding = replaced(&whole, fingerprint(1).as_str(), fingerprint(3).as_str());
    fs::write(lab.index(), &hiding).unwrap();
    assert_eq!(lab.client("backup", 1), None, "root's own lie is believed where no file has changed");
    mode(&lab.index(), 0o666);
    right("others may write it");
    mode(&lab.index(), 0o640);
    if is_root() {
        chown(lab.index(), Some(12345), None).unwrap();
        right("another owner's");
    }
    fs::remove_file(lab.index()).unwrap();
    right("absent");
    fs::write(lab.path().join("elsewhere"), &hiding).unwrap();
    symlink("elsewhere", lab.index()).unwrap();
    right("a link");
    fs::remove_file(lab.index()).unwrap();
    must(Command::new("mkfifo").arg(lab.index()));
    right("a FIFO");
    fs::remove_file(lab.index()).unwrap();
    fs::create_dir(lab.index()).unwrap();
    right("a directory");
}

#[test]
fn many_who_write_it_at_once_leave_one_that_is_whole() {
    let lab = Lab::new(&[("a", &policy("backup", &[1])), ("b", &policy("backup", &[2]))]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| lab.refresh()));
        }
        for number in 0..20 {
            lab.write("c", &policy("backup", &[10 + number]));
            assert_eq!(lab.client("backup", 1).as_deref(), Some("a"));
            assert_eq!(lab.client("backup", 10 + number).as_deref(), Some("c"));
            assert_eq!(lab.client("backup", 9 + number), None);
        }
    });
    lab.refresh();
    let found = fs::metadata(lab.index()).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o640);
    assert!(!lab.path().join("keys.index.new").exists());
    // What one has left that was killed is written over.
    fs::write(lab.path().join("keys.index.new"), "half").unwrap();
    lab.write("c", &policy("backup", &[99]));
    lab.refresh();
    assert!(lab.read().entries.values().any(|entry| entry.keys.contains(&fingerprint(99))));
    assert!(!lab.path().join("keys.index.new").exists());
}

#[test]
fn check_keeps_the_index_and_whoever_may_not_write_it_is_not_troubled() {
    let lab = Lab::new(&[("a", &policy("backup", &[1]))]);
    let check = || run(Command::new(SNAPGATE).arg("--config").arg(lab.path()).arg("check"));
    check();
    assert!(lab.read().entries.values().any(|entry| entry.keys.contains(&fingerprint(1))));
    lab.write("a", "user: backup\n");
    check();
    assert!(lab.read().is_empty());
    if is_root() {
        fs::remove_file(lab.index()).unwrap();
        fs::create_dir(lab.index()).unwrap();
        lab.write("a", &policy("backup", &[1]));
        let said = run(Command::new(SNAPGATE).arg("--config").arg(lab.path()).args(["check", "--all"])).stdout;
        assert!(said.contains("keys.index: the index of keys was not written"), "{said}");
    } else {
        skip("what root is told takes root");
    }
    let bare = Lab::new(&[("a", "user: backup\n")]);
    run(Command::new(SNAPGATE).arg("--config").arg(bare.path()).arg("check"));
    assert!(!bare.index().exists(), "where no policy lists a key there is nothing to remember");
}
