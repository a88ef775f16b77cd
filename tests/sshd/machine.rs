//! What a real machine holds: its own `/etc`, `/var/lib/dpkg` and `/usr/bin`, pushed by its root into an ordinary account, got back and
//! compared by rsync itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use crate::owners::{keeping, machine, skipped};
use support::{must, tree};

const PARTS: [&str; 3] = ["etc", "var/lib/dpkg", "usr/bin"];

/// What rsync would still have to change in one tree to make it the other; nothing where they are the same in every respect.
fn differences(from: &Path, to: &Path) -> String {
    let mut command = Command::new("rsync");
    command.args(["-aAXHnc", "--numeric-ids", "--delete", "--itemize-changes"]);
    let output = command.arg(format!("{}/", from.display())).arg(format!("{}/", to.display())).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_machine_of_many_owners_comes_back_as_it_was() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("machine"));
    // A copy, since other tests make accounts meanwhile.
    for part in PARTS {
        let to = source.join(part);
        fs::create_dir_all(&to).unwrap();
        must(Command::new("rsync").args(["-aAXH", "--numeric-ids"]).arg(format!("/{part}/")).arg(&to));
    }
    let odd = source.join("odd");
    fs::create_dir(&odd).unwrap();
    machine(&odd);
    // A directory of somebody's that everybody writes to, and one name for files of two owners.
    let sticky = odd.join("sticky");
    fs::create_dir(&sticky).unwrap();
    chown(&sticky, Some(1000), Some(1001)).unwrap();
    fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777)).unwrap();
    for (name, user) in [("one", 1000), ("other", 1001)] {
        tree::write(&sticky.join(name), name);
        chown(sticky.join(name), Some(user), Some(user)).unwrap();
        fs::hard_link(sticky.join(name), odd.join(format!("link-to-{name}"))).unwrap();
    }
    must(Command::new("chattr").arg("+i").arg(odd.join("etc/sudoers")));
    let pushed = web1.push(&source, &["-AXH", "--numeric-ids"]);
    let again = web1.push(&source, &["-AXH", "--numeric-ids"]);
    must(Command::new("chattr").arg("-i").arg(odd.join("etc/sudoers")));
    pushed.exits(0);
    again.exits(0);
    let facts = server.record().push.unwrap();
    assert_eq!((facts.received, facts.linked), (0, facts.files), "nothing had changed");
    assert!(facts.files > 1000, "{facts:?}");

    for number in [0, 1] {
        let to = server.path().join(format!("restored{number}"));
        let snapshot = repository.snapshots()[number].clone();
        server.snapgate(&["restore", "--client", "web1", &snapshot, "--to", to.to_str().unwrap()]).exits(0);
        assert_eq!(differences(&source, &to), "");
    }
}
