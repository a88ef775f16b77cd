//! What can be asked for, what comes, and what is refused.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use support::{Gate, POLICY, tree};

use crate::{is_restore, restore, says, told};

/// A gate whose client has pushed once, and has a snapshot of the day before yesterday besides.
fn two() -> (Gate, String, String) {
    let gate = Gate::new();
    let source = gate.source("data");
    tree::small(&source);
    gate.push(&source, &[]).exits(0);
    let newest = gate.snapshots().pop().unwrap();
    let old = "2026-01-02T03-04-05Z";
    support::must(std::process::Command::new("cp").arg("-a").arg(gate.newest()).arg(gate.inside("snapshots").join(old)));
    fs::write(gate.inside("snapshots").join(old).join("a.txt"), "older").unwrap();
    (gate, old.to_owned(), newest)
}

#[test]
fn a_snapshot_is_meant_by_its_time_by_a_beginning_of_its_name_or_by_nothing_at_all() {
    let (gate, old, newest) = two();
    let content = |words: &[&str], number: usize| {
        let to = gate.path().join(format!("to{number}"));
        let said = restore(&gate, words, &to).exits(0).stdout;
        let name = if fs::read_to_string(to.join("a.txt")).is_ok_and(|text| text == "older") { &old } else { &newest };
        assert!(said.contains(&format!("of {name} is in `{}`: ", to.display())), "{said}");
        name.clone()
    };
    let cases: [(&[&str], &String); 9] = [
        (&[], &newest),
        (&["current"], &newest),
        (&["@2026-01-02", ""], &old),
        (&["2026-01"], &old),
        (&["2026-01-02T03-04-05Z", "a.txt"], &old),
        (&["2026-01-02T03-04-05Z/a.txt"], &old),
        (&["a.txt"], &newest),
        (&["./a.txt"], &newest),
        (&["@complete"], &newest),
    ];
    for (number, (words, expected)) in cases.iter().enumerate() {
        assert_eq!(&content(words, number), *expected, "{words:?}");
    }
    let to = gate.path().join("none");
    for (words, why) in [
        (&["@1999-01-01"][..], "there is no snapshot from `@1999-01-01` or before: the first is 2026-01-02T03-04-05Z\n"),
        (&["2026"], "is the beginning of 2 snapshots"),
        (&["@soon"], "`@soon` says no snapshot"),
        (&["current", "ect/hosts"], "did you mean `etc`?"),
        (&["etc/hosty"], "did you mean `etc/hosts`?"),
        (&["current", "../x"], "is no place in a snapshot"),
        (&["2026-01-03", "etc"], "has no snapshot `2026-01-03`\n"),
    ] {
        let ran = restore(&gate, words, &to).exits(64);
        assert!(ran.stderr.contains(why), "{words:?}: {}", ran.stderr);
        assert!(!to.exists() && ran.stdout.is_empty());
    }
    let left: Vec<_> = fs::read_dir(gate.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with(".snapgate-restore-")), "{left:?}");
}

#[test]
fn it_says_what_it_restored_to_people_to_programs_and_to_the_ledger() {
    let (gate, old, newest) = two();
    let to = gate.path().join("to");
    let said = restore(&gate, &["--dry-run", "etc"], &to).exits(0);
    assert!(
        said.stdout.contains("`etc` of ") && said.stdout.contains(" would be in ") && said.stdout.contains(": 2 files, 25 bytes"),
        "{}",
        said.stdout
    );
    assert!(!to.exists() && told(&gate.repository(), is_restore).is_empty());
    let said = restore(&gate, &["--json", &old, "etc"], &to).exits(0);
    let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.stderr.as_str(), json["client"].as_str(), json["snapshot"].as_str()), ("", Some("web1"), Some(old.as_str())));
    assert_eq!((json["path"].as_str(), json["files"].as_u64(), json["bytes"].as_u64()), (Some("etc"), Some(2), Some(25)));
    assert!(json["seconds"].as_f64().is_some() && json["resumed"] == false);
    let other = gate.path().join("other");
    restore(&gate, &[], &other).exits(0);
    let records = told(&gate.repository(), is_restore);
    assert_eq!(records.len(), 2);
    let (event, upkeep) = &records[0];
    assert_eq!((upkeep.snapshots.as_slice(), event.kind()), (&[old][..], "local-restore"));
    let restored = upkeep.restored.clone().unwrap();
    assert_eq!((restored.path.as_str(), restored.files, restored.bytes), ("etc", 2, 25));
    assert!(upkeep.happened.contains(to.to_str().unwrap()));
    assert_eq!(records[1].1.snapshots, [newest]);
    assert_eq!(
        gate.mails().len() + fs::read_dir(gate.spool().join("new")).map_or(0, Iterator::count),
        gate.snapshots().len() - 1,
        "the push's report alone"
    );
}

#[test]
fn nothing_is_written_over_but_by_force_and_then_file_by_file() {
    let (gate, old, _) = two();
    let to = gate.path().join("to");
    tree::write(&to.join("a.txt"), "mine");
    tree::write(&to.join("mine/deep"), "mine");
    tree::write(&to.join("etc/mine"), "mine");
    symlink("/etc", to.join("empty")).unwrap();
    let before = tree::listing(&to);
    let ran = restore(&gate, &[], &to).exits(64);
    assert!(ran.stderr.contains("is not empty\n") && ran.stderr.contains("`--force` writes over"), "{}", ran.stderr);
    restore(&gate, &["--force", "--dry-run"], &to).exits(0);
    assert_eq!(tree::listing(&to), before);
    restore(&gate, &["--force", &old], &to).exits(0);
    assert_eq!(fs::read_to_string(to.join("a.txt")).unwrap(), "older");
    for kept in ["mine/deep", "etc/mine"] {
        assert_eq!(fs::read_to_string(to.join(kept)).unwrap(), "mine");
    }
    assert!(fs::symlink_metadata(to.join("empty")).unwrap().is_dir(), "nothing is written through a symlink");
    // A directory with something in it does not give way to a file, and that is said.
    fs::remove_file(to.join("a.txt")).unwrap();
    tree::write(&to.join("a.txt/inside"), "mine");
    let ran = restore(&gate, &["--force", &old], &to);
    assert!(ran.status == 23 && ran.stderr.contains("a.txt"), "{} {}", ran.status, ran.stderr);
    assert_eq!(fs::read_to_string(to.join("a.txt/inside")).unwrap(), "mine");
    let (link, file) = (gate.path().join("link"), gate.path().join("file"));
    symlink(&to, &link).unwrap();
    fs::write(&file, "mine").unwrap();
    assert!(restore(&gate, &["--force"], &link).exits(64).stderr.contains("is a symlink"));
    restore(&gate, &["--force"], &file).exits(64);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    // A place where others write is none, by force neither.
    support::mode(&to, 0o777);
    assert!(restore(&gate, &["--force"], &to).exits(64).stderr.contains("others can change what is in"));
}

#[test]
fn a_store_is_no_place_to_restore_to() {
    let (gate, _, newest) = two();
    let before = tree::listing(&gate.repository().join("snapshots"));
    for to in ["store/web1/snapshots/2026-01-01T00-00-00Z", "store/restored", "store/web1/to"] {
        let ran = restore(&gate, &[], &gate.path().join(to)).exits(64);
        assert!(ran.stderr.contains("is where backups are stored"), "{}", ran.stderr);
    }
    let inside = gate.inside("snapshots").join(newest);
    restore(&gate, &["--force"], &inside).exits(64);
    assert_eq!(tree::listing(&gate.repository().join("snapshots")), before);
}

#[test]
fn holes_links_and_what_symlinks_said_before_they_were_munged_come_back() {
    let policy = POLICY.replace("options: { ", "options: { force: [munge-links], ");
    let gate = Gate::with("", &policy);
    let source = gate.source("data");
    tree::write(&source.join("one"), "same");
    fs::hard_link(source.join("one"), source.join("two")).unwrap();
    symlink("/etc/passwd", source.join("out")).unwrap();
    symlink("one", source.join("in")).unwrap();
    let holes = fs::File::create(source.join("holes")).unwrap();
    holes.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"end", (64 << 20) - 3).unwrap();
    gate.push(&source, &["-H", "-S"]).exits(0);
    assert_eq!(fs::read_link(gate.newest().join("out")).unwrap(), Path::new("/rsyncd-munged//etc/passwd"));
    let to = gate.path().join("to");
    restore(&gate, &[], &to).exits(0);
    assert_eq!(fs::read_link(to.join("out")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(fs::read_link(to.join("in")).unwrap(), Path::new("one"));
    assert_eq!(tree::inode(&to.join("one")), tree::inode(&to.join("two")));
    let found = fs::metadata(to.join("holes")).unwrap();
    assert!(found.len() == 64 << 20 && found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
    // Also where it takes the place of another file.
    restore(&gate, &["--force", "holes"], &to).exits(0);
    says(&gate, &["check", "--all"]);
}
