//! A disk, or a quota of the file system, that is used up in the middle of a push.

use std::fs;
use std::process::Command;

use super::quota::{emptied, ended, free, megabytes, on};
use super::{figures, stands, told};
use crate::{make_old, says};
use snapgate::terms::reason::Code;
use support::mount::{Kind, Mount};
use support::{must, tree};

#[test]
fn a_disk_that_runs_full_leaves_history_as_it_was_and_the_next_push_works_once_there_is_room() {
    for (kind, size) in [(Kind::Ext4, 48), (Kind::Xfs, 320)] {
        let Some(mount) = Mount::new(kind, size) else { return };
        let gate = on(&mount, "", "");
        let source = gate.source("data");
        megabytes(&source, 0, 2);
        gate.push(&source, &[]).exits(0);
        let before = tree::listing(&gate.inside("snapshots"));
        let filler = mount.store().join("filler");
        tree::write(&filler, tree::noise(5, usize::try_from(free(&mount) - (12 << 20)).unwrap()));
        megabytes(&source, 2, 24);
        let ran = gate.push(&source, &["--whole-file"]);
        ended(&gate, &ran, Code::Store, &["the store ran full during the push", "make room on the store"]);
        tree::same(&tree::listing(&gate.inside("snapshots")), &before);
        assert!(!gate.inside("inprogress").exists());
        assert_eq!(figures(&told(&gate, &[])), stands(&gate), "{kind:?}");
        emptied(&filler, || free(&mount));
        gate.push(&source, &[]).exits(0);
        assert_eq!(gate.snapshots().len(), 2);
        drop(gate);
    }
}

#[test]
fn a_quota_of_the_file_system_that_is_used_up_is_told_of_as_such_and_what_arrived_is_kept() {
    let Some(mount) = Mount::new(Kind::Btrfs, 320) else { return };
    let gate = on(&mount, "", "");
    let btrfs = |words: &[&str]| must(Command::new("btrfs").args(words));
    let (repository, store) = (gate.repository().display().to_string(), mount.store().display().to_string());
    btrfs(&["subvolume", "create", &repository]);
    support::mode(&gate.repository(), 0o700);
    btrfs(&["quota", "enable", &store]);
    btrfs(&["qgroup", "limit", "30M", &repository]);
    let source = gate.source("data");
    megabytes(&source, 0, 2);
    gate.push(&source, &[]).exits(0);
    let before = tree::listing(&gate.inside("snapshots"));
    megabytes(&source, 2, 60);
    let ran = gate.push(&source, &["--whole-file"]);
    ended(&gate, &ran, Code::Store, &["the quota that the file system has for it", "raise it"]);
    tree::same(&tree::listing(&gate.inside("snapshots")), &before);
    btrfs(&["qgroup", "limit", "200M", &repository]);
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") < 50 << 20, "what arrived is not sent again: {}", ran.stdout);
    assert_eq!(gate.snapshots().len(), 2);
    drop(gate);
}

#[test]
fn a_full_disk_does_not_keep_what_is_in_the_trash_from_being_freed() {
    let Some(mount) = Mount::new(Kind::Ext4, 48) else { return };
    let gate = on(&mount, "", "min_snapshots: 1\n");
    let source = gate.source("data");
    for number in 0..3 {
        megabytes(&source, number, 2);
        gate.push(&source, &["--delete"]).exits(0);
        fs::remove_file(source.join(format!("m{number}"))).unwrap();
    }
    says(&gate, &["prune", "web1"]).exits(0);
    for name in &gate.snapshots()[..2] {
        says(&gate, &["delete", "--client", "web1", "--force", name]).exits(0);
        make_old(&gate);
    }
    let _ = Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", mount.store().join("filler").display())).output();
    let said = says(&gate, &["prune", "web1"]);
    assert!(said.stdout.contains("2 snapshots gone for good"), "{said:?}");
    assert_eq!((figures(&told(&gate, &[])), &told(&gate, &[])["recount_due"]), (stands(&gate), &false.into()));
    drop(gate);
}
