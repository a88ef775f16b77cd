//! What a hostile client tries, and what it planted before.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use support::tree::listing;
use support::{Gate, run};

use crate::{POLICY, gate, target, with};

/// A secret of the server's, and of another client.
fn secrets(gate: &Gate) -> [String; 2] {
    let own = gate.path().join("secret");
    fs::write(&own, "the server's").unwrap();
    let other = gate.path().join("store/web2/snapshots/2026-11-18T02-00-00Z");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("secret"), "web2's").unwrap();
    [own, other].map(|path| path.to_str().unwrap().to_owned())
}

fn contents(root: &Path) -> String {
    support::tree::files(root).iter().filter(|path| !path.is_symlink()).map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
}

#[test]
fn a_planted_symlink_leads_nowhere_at_the_end_or_in_the_middle_of_a_path() {
    let gate = gate();
    let [own, other] = secrets(&gate);
    let source = gate.source("s");
    for (name, to) in [
        ("file", own.as_str()),
        ("dir", other.as_str()),
        ("up", "../../../web2/snapshots/2026-11-18T02-00-00Z"),
        ("etc", "/etc"),
        ("root", "/"),
        ("beside", ".."),
    ] {
        symlink(to, source.join(name)).unwrap();
    }
    fs::write(source.join("list"), format!("dir/secret\nup/secret\netc/passwd\n../../web2/x\n{other}/secret\n../../usr/lib/os-release\n"))
        .unwrap();
    gate.push(&source, &[]).exits(0);
    let before = listing(&gate.repository().join("snapshots"));
    let to = target(&gate);
    let into = format!("{}/", to.display());
    for from in [
        "backup:current/",
        "backup:current/file",
        "backup:current/dir/",
        "backup:current/dir/secret",
        "backup:current/up/secret",
        "backup:current/etc/passwd",
        "backup:current/etc/",
        "backup:current/root/etc/passwd",
        "backup:current/beside/",
        "backup:current/*/secret",
        "backup:current/./dir/secret",
        "backup:current/dir/./secret",
        "backup:current/root/./etc/passwd",
    ] {
        for options in [&["-a"][..], &["-aR"], &["-rptgoD"], &["-aH", "--no-implied-dirs", "-R"], &["-as"]] {
            let mut words = options.to_vec();
            words.extend([from, &into]);
            gate.rsync(&words);
        }
    }
    for list in [":current/list", ":current/dir/secret", ":current/etc/passwd"] {
        gate.rsync(&["-a", &format!("--files-from={list}"), "backup:current/", &into]);
    }
    let local = gate.path().join("names");
    fs::copy(source.join("list"), &local).unwrap();
    for from in ["backup:current/", "backup:current", "backup:"] {
        gate.rsync(&["-a", &format!("--files-from={}", local.display()), from, &into]);
        gate.rsync(&["-rLR", &format!("--files-from={}", local.display()), from, &into]);
    }
    // A symlink is sent as one.
    assert_eq!(fs::read_link(to.join("file")).unwrap().to_str(), Some(own.as_str()));
    let got = contents(&to);
    for secret in ["the server's", "web2's", "root:"] {
        assert!(!got.contains(secret), "{secret}: {:?}", listing(&to));
    }
    assert!(!to.join("usr/lib/os-release").exists() && !to.join("os-release").exists());
    assert_eq!(listing(&gate.repository().join("snapshots")), before);
}

#[test]
fn what_would_follow_links_or_change_anything_is_refused() {
    let gate = gate();
    let source = gate.source("s");
    fs::write(source.join("file"), "x").unwrap();
    gate.push(&source, &[]).exits(0);
    let before = listing(&gate.repository().join("snapshots"));
    let into = format!("{}/", target(&gate).display());
    for option in ["-L", "-k", "--copy-unsafe-links", "--copy-devices", "--remove-source-files", "-M--log-file=/tmp/x", "-M--fake-super"] {
        let ran = gate.rsync(&["-a", option, "backup:current/", &into]);
        assert_eq!((ran.status != 0, ran.code()), (true, Some("option")), "{option}: {}", ran.stderr);
    }
    assert_eq!(listing(&gate.repository().join("snapshots")), before);
}

#[test]
fn a_stolen_key_that_may_not_restore_reads_nothing() {
    let gate = Gate::new();
    let source = gate.source("s");
    fs::write(source.join("file"), "x").unwrap();
    gate.push(&source, &[]).exits(0);
    let to = target(&gate);
    for options in [&["-a"][..], &["-as"], &["-aL"]] {
        let mut words = options.to_vec();
        let into = format!("{}/", to.display());
        words.extend(["backup:current/", &into]);
        gate.rsync(&words).refused("pull", 77);
    }
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
    assert!(gate.record().reasons[0].remedy.as_deref().unwrap().contains("add `restore`"));
}

#[test]
fn munged_links_come_back_as_they_were() {
    let gate = with("");
    gate.write(
        "config/policies/web1.yaml",
        &format!("user: {}\n{}", support::getent::my_name(), POLICY.replace("allow:", "force: [munge-links], allow:")),
    );
    let source = gate.source("s");
    symlink("/etc/passwd", source.join("link")).unwrap();
    gate.push(&source, &[]).exits(0);
    assert!(fs::read_link(gate.newest().join("link")).unwrap().starts_with("/rsyncd-munged/"));
    let to = target(&gate);
    gate.rsync(&["-a", "backup:current/", &format!("{}/", to.display())]).exits(0);
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
}

#[test]
fn a_line_that_no_rsync_sends_is_refused_and_the_gate_goes_on() {
    let gate = gate();
    let source = gate.source("s");
    fs::write(source.join("file"), "x").unwrap();
    gate.push(&source, &[]).exits(0);
    for line in [
        "rsync --server --sender -r . current/\u{1b}[2J",
        "rsync --server --sender -r",
        "rsync --server --sender -r . --daemon current/\\",
        "rsync --server --sender --confine-root=/ -r . current/",
        "rsync --server --sender -r --log-file=/x . current/",
        "rsync --server --sender -r --files-from=/etc/passwd . current/",
        "rsync --server --sender -r --files-from=../x . current/",
        "rsync --server --sender -r . ~/current/",
        "rsync --server --sender -vvvvvvr --debug=all . current/",
    ] {
        let ran = run(&mut gate.say_command(line, ""));
        assert!(ran.status != 0 && ran.code().is_some(), "{line}: {}", ran.stderr);
        assert!(!ran.stderr.contains('\u{1b}'), "{line}");
    }
}
