//! Directories whose modes keep their own owner out: what arrived is in the snapshot, is counted, is linked by the next push, and makes none
//! partial, whoever the gate is.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use snapgate::terms::outcome::Outcome;
use snapgate::terms::record::PushFacts;

use support::kept::{again, again_dropped, is_dropped};
use support::{Gate, is_root, mode, must};

/// Modes of a directory that lack something for its owner.
const MODES: [u32; 8] = [0o000, 0o111, 0o222, 0o333, 0o444, 0o500, 0o555, 0o666];

/// A tree with a file, a subdirectory, two names of a file and an attribute below a directory of each mode, in a top directory of this one.
fn source(gate: &Gate, top: u32) -> PathBuf {
    let source = gate.source("data");
    fs::write(source.join("file"), [7; 100_000]).unwrap();
    for bits in MODES {
        let directory = source.join(format!("{bits:03o}"));
        fs::create_dir_all(directory.join("below")).unwrap();
        for name in ["file", "below/file"] {
            fs::write(directory.join(name), format!("{bits} {name}")).unwrap();
        }
        fs::hard_link(directory.join("below/file"), directory.join("below/twin")).unwrap();
        for path in [directory.join("file"), directory.join("below"), directory.clone()] {
            must(Command::new("setfattr").args(["-n", "user.note", "-v", "x"]).arg(path));
        }
    }
    close(&source, top);
    source
}

/// Sets the modes, and times that are not now: rsync compares seconds.
fn close(source: &Path, top: u32) {
    must(Command::new("find").arg(source).args(["-type", "d", "-exec", "touch", "-d", "2026-01-02", "{}", "+"]));
    for bits in MODES {
        let directory = source.join(format!("{bits:03o}"));
        mode(&directory.join("below"), bits);
        mode(&directory, bits);
    }
    mode(source, top);
}

/// Files of [`source`].
const FILES: u64 = 1 + 3 * MODES.len() as u64;

/// Names, modes, times and attributes of everything, by somebody whom no mode keeps out.
fn seen(tree: &Path) -> String {
    let list = "find . -printf '%p %m %T@ %s\\n' | sort; find . | sort | xargs -d '\\n' getfattr -h -d -m user 2>/dev/null";
    must(Command::new("sh").arg("-c").arg(format!("cd {} && {list}", tree.display())))
}

#[track_caller]
fn same(snapshot: &Path, source: &Path) {
    let (mut is, mut has) = (seen(snapshot), seen(source));
    if is_dropped() {
        // An rsync that is not root's gives its owner all rights to a directory while it fills it, and takes them back only where it had to
        // give the one to write (`touch_up_dirs` in generator.c), without a gate too.
        for bits in ["22", "33", "66", "44"] {
            let (from, to) = ([format!(" 2{bits} "), format!(" 3{bits} "), format!(" 6{bits} ")], format!(" 7{bits} "));
            for text in [&mut is, &mut has] {
                *text = from.iter().fold(text.clone(), |text, from| text.replace(from, &to));
            }
        }
    }
    let differs: Vec<_> = is.lines().zip(has.lines()).filter(|(is, has)| is != has).collect();
    assert!(is == has, "{differs:?}");
}

fn inodes(tree: &Path) -> Vec<String> {
    let list = must(Command::new("sh").arg("-c").arg(format!("cd {} && find . -type f -printf '%p %i\\n' | sort", tree.display())));
    list.lines().map(str::to_owned).collect()
}

#[track_caller]
fn whole(gate: &Gate) -> PushFacts {
    let record = gate.record();
    assert_eq!((record.result, record.exit), (Outcome::Published, 0), "{record:?}");
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    let facts = record.push.unwrap();
    assert!(!facts.partial && facts.lost.is_none(), "{facts:?}");
    facts
}

#[test]
fn whatever_modes_directories_have_each_push_is_whole_counted_and_linked() {
    // Only root can look at what comes of it, and make what an account is not let into.
    if !is_root() {
        return;
    }
    for (top, options) in [(0o755, "-X"), (0o444, "-XH"), (0o000, "-X"), (0o000, "-XH"), (0o555, "-X")] {
        let gate = Gate::new();
        let source = source(&gate, top);
        gate.push(&source, &[options]).exits(0);
        let facts = whole(&gate);
        assert_eq!((facts.files, facts.received, facts.linked), (FILES, FILES, 0), "{top:o}");
        assert!(facts.received_bytes >= 100_000, "{facts:?}");
        let first = gate.newest();
        same(&first, &source);
        // Nothing has changed.
        gate.push(&source, &[options]).exits(0);
        let facts = whole(&gate);
        assert_eq!((facts.files, facts.received, facts.linked), (FILES, 0, FILES), "{top:o}");
        assert_eq!(inodes(&gate.newest()), inodes(&first), "{top:o}");
        // A file has, in a directory that nobody may enter; another one has gone.
        fs::write(source.join("000/below/file"), "changed").unwrap();
        fs::remove_file(source.join("333/file")).unwrap();
        close(&source, top);
        gate.push(&source, &[options]).exits(0);
        let facts = whole(&gate);
        // Both names of the one that has changed.
        assert_eq!((facts.files, facts.received, facts.linked), (FILES - 1, 2, FILES - 3), "{top:o}");
        same(&gate.newest(), &source);
        assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o7777, top, "history is as it was");
    }
}

#[test]
fn in_a_transaction_and_in_a_part_they_are_too() {
    if !is_root() {
        return;
    }
    let gate = Gate::new();
    let source = source(&gate, 0o000);
    let from = format!("{}/", source.display());
    for round in 0..2 {
        gate.say("prepare").exits(0);
        gate.rsync(&["-aX", "--delete", &from, "backup:one/"]).exits(0);
        gate.rsync(&["-aX", "--delete", &from, "backup:two/"]).exits(0);
        gate.say("complete 0").exits(0);
        let facts = whole(&gate);
        assert_eq!((facts.files, facts.received), (2 * FILES, [2 * FILES, 0][round]));
        for part in ["one", "two"] {
            same(&gate.newest().join(part), &source);
        }
    }
}

#[test]
fn what_was_cut_off_in_them_is_gone_on_from() {
    if !is_root() {
        return;
    }
    let gate = Gate::with("", &format!("{}limits: {{ bytes: 60M }}\n", support::POLICY));
    let source = source(&gate, 0o000);
    // Over the limit in the middle of it: what came before is kept.
    fs::write(source.join("zz"), vec![1; 80 << 20]).unwrap();
    close(&source, 0o000);
    assert_ne!(gate.push(&source, &["-X"]).status, 0);
    assert!(gate.record().push.unwrap().kept);
    fs::remove_file(source.join("zz")).unwrap();
    close(&source, 0o000);
    gate.push(&source, &["-X"]).exits(0);
    let facts = whole(&gate);
    assert_eq!(facts.files, FILES);
    same(&gate.newest(), &source);
    assert_eq!(fs::metadata(gate.newest()).unwrap().mode() & 0o7777, 0);
}

/// Root's run has an account for it, of each kind.
#[test]
fn so_they_are_for_an_account() {
    let tests = [
        "modes::whatever_modes_directories_have_each_push_is_whole_counted_and_linked",
        "modes::in_a_transaction_and_in_a_part_they_are_too",
        "modes::what_was_cut_off_in_them_is_gone_on_from",
    ];
    if is_root() {
        again(&tests);
        // What lets it into them is no power over anything else.
        let powers = [
            "limits::rsync_inherits_a_fixed_environment_four_descriptors_and_low_limits",
            "taken_over::code_that_has_taken_rsync_over_changes_nothing_in_history_and_does_not_stay",
        ];
        again_dropped(&[&tests[..], &powers].concat());
    }
}
