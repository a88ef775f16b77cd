//! What `list` says of snapshots that are not whole, and of what it cannot look at.

use std::fs;
use std::process::Command;

use support::{Gate, POLICY, must, run};

#[test]
fn list_says_that_a_store_is_not_mounted_and_that_a_snapshot_is_not_whole() {
    let gate = Gate::with("", POLICY);
    let list = || run(&mut gate.snapgate(&["list", "web1"]));
    let source = gate.source("data");
    for number in 0..9 {
        fs::create_dir_all(source.join(format!("d{}", number % 3))).unwrap();
        fs::write(source.join(format!("d{}/{number}", number % 3)), number.to_string()).unwrap();
    }
    for _ in 0..2 {
        gate.push(&source, &[]).exits(0);
    }
    let names = gate.snapshots();
    let said = list().exits(0).stdout;
    assert!(said.contains("2 snapshots") && !said.contains("NOT WHOLE"), "{said}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let snapshots = gate.path().join("store/web1/snapshots");
    fs::remove_dir_all(snapshots.join(&names[0]).join("d1")).unwrap();
    fs::remove_file(snapshots.join(&names[1]).join("d0/0")).unwrap();
    let said = list().exits(0).stdout;
    for (name, left) in [(&names[0], 6), (&names[1], 8)] {
        let line = said.lines().find(|line| line.contains(name.as_str())).unwrap();
        assert!(line.contains(&format!("  NOT WHOLE: {left} of 9 files are left")), "{said}");
    }
    // A copy of the store has other times, and all that it had.
    let kept = gate.path().join("kept");
    must(Command::new("cp").arg("-a").arg(gate.path().join("store/web1")).arg(&kept));
    fs::remove_dir_all(gate.path().join("store/web1")).unwrap();
    let gone = list();
    assert!(gone.status == 75 && gone.stdout.contains("its snapshots are not there"), "{gone:?}");
    fs::rename(&kept, gate.path().join("store/web1")).unwrap();
    assert_eq!(list().exits(0).stdout, said);
    gate.write(
        "config/policies/web1.yaml",
        &format!("{}require_mount: true\n", fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap()),
    );
    let unmounted = list();
    assert!(unmounted.status == 75 && unmounted.stdout.contains("is not a mount point"), "{unmounted:?}");
    assert!(!unmounted.stdout.contains("snapshots in"), "{unmounted:?}");
}

#[test]
fn a_list_says_what_it_could_not_list_and_shows_the_others() {
    let gate = Gate::with("", POLICY);
    let source = gate.source("a");
    fs::write(source.join("0"), "0").unwrap();
    gate.push(&source, &[]).exits(0);
    let list = || run(&mut gate.snapgate(&["list"]));
    // The policy that is read first.
    gate.write("config/policies/a.yaml", "bogus: 1\n");
    let said = list().exits(78).stdout;
    assert!(said.contains("`bogus` is not a key") && said.contains("web1: 1 snapshot in"), "{said}");
    // A repository whose snapshots nobody can read.
    let policy = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    gate.write("config/policies/a.yaml", &policy);
    fs::create_dir(gate.path().join("store/a")).unwrap();
    fs::write(gate.path().join("store/a/snapshots"), "").unwrap();
    let said = list().exits(75).stdout;
    assert!(said.contains("\na: ") || said.starts_with("a: "), "{said}");
    assert!(said.contains("web1: 1 snapshot in"), "{said}");
    fs::remove_file(gate.path().join("config/policies/a.yaml")).unwrap();
    fs::remove_file(gate.path().join("config/policies/web1.yaml")).unwrap();
    let said = list().exits(0).stdout;
    assert!(said.starts_with("no client yet: there is no policy in "), "{said}");
}
