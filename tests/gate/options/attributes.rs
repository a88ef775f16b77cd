//! Attributes that only root can have: all of them are kept, and a file that has them is linked when nothing has changed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use support::{Gate, is_root, must, run, skip};

use super::picture;

fn set(file: &Path, name: &str) -> bool {
    run(Command::new("setfattr").args(["-n", name, "-v", "kept"]).arg(file)).status == 0
}

/// The attributes of a file, by name and in order.
fn names(file: &Path) -> Vec<String> {
    let said = must(Command::new("getfattr").args(["-h", "-m", "-", "--absolute-names"]).arg(file));
    let mut names: Vec<_> = said.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

#[test]
fn root_s_gate_keeps_attributes_that_only_root_may_see_and_links_files_that_have_them() {
    const HAD: [&str; 3] = ["security.snapgate", "trusted.snapgate", "user.snapgate"];
    if !is_root() {
        return skip("only root can set them");
    }
    let gate = Gate::new();
    let source = gate.source("data");
    for (name, attributes) in [("file", &HAD[..]), ("other", &["security.snapgate", "user.snapgate"])] {
        fs::write(source.join(name), "the same in every push\n").unwrap();
        if !attributes.iter().all(|attribute| set(&source.join(name), attribute)) {
            return skip("the file system of the tests does not take them");
        }
    }
    gate.push(&source, &["-X"]).exits(0);
    let first = gate.newest();
    let before = picture(&first);
    assert_eq!(names(&first.join("file")), HAD);
    gate.push(&source, &["-X"]).exits(0);
    let second = gate.newest();
    assert_ne!(first, second);
    assert_eq!(names(&second.join("file")), HAD);
    let links = |name: &str| fs::metadata(second.join(name)).unwrap().nlink();
    assert_eq!((links("file"), links("other")), (2, 2));
    assert!(gate.record().warnings.is_empty(), "{:?}", gate.record().warnings);
    assert_eq!(picture(&first), before, "history changed");
}
