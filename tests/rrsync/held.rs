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

/// With `-s` the names go past the shell, and past whoever reads the command: as bytes on standard input.
#[test]
fn pulls_and_pushes_with_secluded_names_get_what_was_named() {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let tree = Tree::aged();
    let names: [&[u8]; 9] = [
        b"with space", b" at both ends ", b"line\nbreak", b"it's \"quoted\"", b"back\\slash", b"$HOME `id` ;|&", b"star*", b"-dash",
        b"\xff\xfe\x80",
    ];
    for name in names {
        let content = [b"content of ", name].concat();
        let on_disk = std::ffi::OsStr::from_bytes(name);
        fs::write(tree.at("dir").join(on_disk), &content).unwrap();
        let remote = std::ffi::OsString::from_vec([b"h:", name].concat());
        let ran = tree.rsync(Program::Ours, "", "-as").arg(&remote).arg("got/").output().unwrap();
        assert!(ran.status.success(), "{}: {ran:?}", name.escape_ascii());
        assert_eq!(fs::read(tree.at("got").join(on_disk)).unwrap(), content, "{}", name.escape_ascii());
        assert_eq!(fs::read_dir(tree.at("got")).unwrap().count(), 1, "{}: and nothing else", name.escape_ascii());
        // Back, under a directory of that name.
        let place = std::ffi::OsString::from_vec([b"h:dst/", name, b"/"].concat());
        let ran = tree.rsync(Program::Ours, "", "-as|got/").arg(&place).output().unwrap();
        assert!(ran.status.success(), "{}: {ran:?}", name.escape_ascii());
        assert_eq!(fs::read(tree.at("dir/dst").join(on_disk).join(on_disk)).unwrap(), content);
        fs::remove_file(tree.at("got").join(on_disk)).unwrap();
    }
    // A star is still rsync's, and stands for more than itself.
    fs::write(tree.at("dir/starfish"), "x").unwrap();
    assert!(tree.rsync(Program::Ours, "", "-as|h:star*|got/").status().unwrap().success());
    assert_eq!(tree.listing("got").into_keys().collect::<Vec<_>>(), ["star*", "starfish"]);
}
