//! What holds rsync to the directory, when what rsync was told did not.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::both::{Program, SNAPGATE, Tree};

/// Pushes or pulls that a client uses to get at what a link of its own leads to.
#[test]
fn a_link_that_a_client_planted_leads_it_nowhere() {
    let tree = Tree::aged();
    let before = tree.listing("outside");
    fs::create_dir_all(tree.at("planted")).unwrap();
    for target in ["../outside", "../../outside"] {
        let _ = fs::remove_file(tree.at("planted/d"));
        symlink(target, tree.at("planted/d")).unwrap();
        assert!(tree.rsync(Program::Ours, "", "-a|planted/|h:").status().unwrap().success());
        assert!(tree.rsync(Program::Ours, "", "-a|planted/|h:dst/").status().unwrap().success());
        for words in [
            "-a|local/|h:d/",
            "-a|local/|h:d",
            "-a|local/|h:dst/d/",
            "-a|local/|h:d/new/",
            "-a|--mkpath|local/|h:d/new/er/",
            "-ab|--backup-dir=d|local/|h:dst/",
            "-a|--partial-dir=d/p|local/|h:dst/",
            "-a|--temp-dir=d|local/|h:dst/",
            "-a|-M--log-file=d/log|local/|h:dst/",
            "-a|h:d/|got/",
            "-a|h:d/secret|got/",
            "-aR|h:d/secret|got/",
            "-a|--files-from=:d/secret|h:|got/",
        ] {
            let output = tree.rsync(Program::Ours, "", words).output().unwrap();
            assert!(!output.status.success(), "{words}");
            assert!(!String::from_utf8_lossy(&output.stderr).contains("secret\""), "{words}: {output:?}");
        }
        assert_eq!(tree.listing("outside"), before);
        assert!(tree.listing("got").is_empty());
        fs::remove_file(tree.at("dir/d")).unwrap();
        fs::remove_file(tree.at("dir/dst/d")).unwrap();
    }
    // A directory of the push where the directory has the link: the link goes, nothing is written through it.
    symlink("../../outside", tree.at("dir/dst/sub")).unwrap();
    assert!(tree.rsync(Program::Ours, "", "-a|local/|h:dst/").status().unwrap().success());
    assert_eq!(tree.listing("outside"), before);
    assert!(tree.at("dir/dst/sub/g").exists());
}

#[test]
fn the_kernel_holds_rsync_and_its_descriptors_are_few() {
    let tree = Tree::new();
    let mut gate = Command::new(SNAPGATE);
    gate.arg("rrsync").arg(tree.at("dir")).env_clear().env("SECRET", "x");
    gate.env("SSH_ORIGINAL_COMMAND", "rsync --server -re.iLsfxCIvu --backup-dir=bak/deep -b . dst/");
    let mut gate = gate.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    gate.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
    // The thread that started it may be ending just now, and its child be nobody's in the listing.
    let child = || {
        let children = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let mut tasks = fs::read_dir(format!("/proc/{}/task", gate.id())).unwrap().flatten();
        tasks.find_map(|task| children(task).split_whitespace().next().map(str::to_owned))
    };
    let rsync = std::iter::repeat_with(child).take(1000).flatten().next().unwrap();
    let status = fs::read_to_string(format!("/proc/{rsync}/status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert_eq!(fs::read_link(format!("/proc/{rsync}/cwd")).unwrap(), tree.at("dir/dst"));
    let environment = fs::read_to_string(format!("/proc/{rsync}/environ")).unwrap();
    assert!(!environment.contains("SECRET") && !environment.contains("SSH"), "{environment}");
    let mut held: Vec<_> =
        fs::read_dir(format!("/proc/{rsync}/fd")).unwrap().map(|entry| fs::read_link(entry.unwrap().path()).unwrap()).collect();
    held.retain(|path| path.is_absolute() && path != Path::new("/dev/null"));
    held.sort();
    assert_eq!(held, [tree.at("dir"), tree.at("dir/bak/deep"), tree.at("dir/dst")], "the lock, and what was looked up");
    drop(gate.stdin.take());
    drop(gate.stdout.take());
    gate.wait().unwrap();
}

#[test]
fn every_place_that_may_be_missing_is_treated_as_it_should_be() {
    let tree = Tree::aged();
    let run = |words: &str| tree.rsync(Program::Ours, "", words).status().unwrap().code();
    assert_eq!(run("-a|--partial-dir=.p/q|local/|h:dst/"), Some(0));
    assert!(tree.listing("dir")[".p"].starts_with("700 ") && tree.listing("dir")[".p/q"].starts_with("700 "));
    assert_eq!(run("-ab|--backup-dir=b/c/d|--delete|planted/|h:dst/"), Some(23), "a source that is missing");
    assert!(tree.at("dir/b/c/d").is_dir());
    assert_ne!(run("-a|--temp-dir=missing|local/|h:dst/"), Some(0));
    assert_eq!(run("-a|--link-dest=missing|local/|h:new/"), Some(0));
    assert!(!tree.at("dir/missing").exists(), "nothing is made for it");
    assert_eq!(run("-an|--backup-dir=never|--partial-dir=nor|-b|local/|h:neither/"), Some(0));
    assert!(!["never", "nor", "neither"].iter().any(|name| tree.at("dir").join(name).exists()), "a trial run makes nothing");
}
