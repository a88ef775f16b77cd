//! A file with as many links as the file system gives one, for real: 65,000 on ext4.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::quota::on;
use super::{figures, stands, told};
use support::mount::{Kind, Mount};
use support::tree;

#[test]
fn a_file_that_can_have_no_more_links_is_stored_anew_once_and_later_pushes_link_to_the_new_one() {
    let Some(mount) = Mount::new(Kind::Ext4, 64) else { return };
    let gate = on(&mount, "", "");
    let source = gate.source("data");
    tree::write(&source.join("d/often"), "the same for ever");
    tree::write(&source.join("other"), "x");
    gate.push(&source, &[]).exits(0);
    let links = |number: usize| {
        let found = fs::metadata(gate.inside("snapshots").join(&gate.snapshots()[number]).join("d/often")).unwrap();
        (found.ino(), found.nlink())
    };
    let (first, _) = links(0);
    // As years of pushes leave it, two short of what ext4 gives.
    let years = gate.inside("snapshots").join("2020-01-01T00-00-00Z");
    fs::create_dir(&years).unwrap();
    (0..64_997).for_each(|number| fs::hard_link(gate.newest().join("d/often"), years.join(number.to_string())).unwrap());
    told(&gate, &["--recount"]);
    for options in [&[][..], &["-H"]] {
        gate.push(&source, options).exits(0);
        assert!(gate.record().warnings.is_empty(), "{:?}", gate.record());
    }
    assert_eq!(links(2), (first, 65_000));
    // It is full now. The push says so once, and so does its mail.
    gate.push(&source, &[]).exits(0);
    let record = gate.record();
    let says = "1 unchanged file was stored again instead of linked: they have as many links as the file system gives a file (EMLINK)";
    assert!(record.warnings.len() == 1 && record.warnings[0].starts_with(says), "{record:?}");
    assert_eq!((record.push.as_ref().unwrap().linked, record.push.as_ref().unwrap().partial), (1, false));
    let (anew, _) = links(4);
    assert_ne!(anew, first);
    assert_eq!(fs::read_to_string(gate.newest().join("d/often")).unwrap(), "the same for ever");
    assert_eq!(figures(&told(&gate, &[])), stands(&gate));
    for options in [&[][..], &["-H"]] {
        gate.push(&source, options).exits(0);
        assert!(gate.record().warnings.is_empty(), "{:?}", gate.record());
        assert_eq!(fs::metadata(gate.newest().join("d/often")).unwrap().ino(), anew);
    }
    gate.flush();
    let told_of = gate.mails().into_iter().filter(|mail| mail.contains("EMLINK")).count();
    assert_eq!(told_of, 1, "{:?}", gate.mails());
    drop(gate);
}

#[test]
fn what_is_carried_over_is_stored_anew_too() {
    let Some(mount) = Mount::new(Kind::Ext4, 64) else { return };
    let gate = on(&mount, "", "partial_pushes: merge\n");
    let source = gate.source("data");
    tree::write(&source.join("d/often"), "the same for ever");
    gate.push(&source, &[]).exits(0);
    let years = gate.inside("snapshots").join("2020-01-01T00-00-00Z");
    fs::create_dir(&years).unwrap();
    (0..64_999).for_each(|number| fs::hard_link(gate.newest().join("d/often"), years.join(number.to_string())).unwrap());
    told(&gate, &["--recount"]);
    let part = gate.source("part");
    tree::write(&part.join("new"), "x");
    let push = || gate.rsync(&["-a", &format!("{}/", part.display()), "backup:place/"]).exits(0);
    push();
    assert_eq!(fs::metadata(gate.newest().join("d/often")).unwrap().nlink(), 1);
    assert!(gate.record().warnings.iter().any(|warning| warning.contains("EMLINK")), "{:?}", gate.record());
    assert_eq!(figures(&told(&gate, &[])), stands(&gate));
    push();
    assert_eq!(fs::metadata(gate.newest().join("d/often")).unwrap().nlink(), 2);
    assert!(!gate.record().warnings.iter().any(|warning| warning.contains("EMLINK")), "{:?}", gate.record());
    drop(gate);
}
