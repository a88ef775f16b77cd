//! Trees that are not as tidy as one would like.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use support::{ALL_VERBS, Server, Setup, accounts, mode, skip, tree};

#[test]
fn a_fifo_in_the_source_does_not_fail_the_push() {
    let server = Server::start();
    let source = server.source("data");
    tree::small(&source);
    mkfifo(&source.join("pipe"), Mode::S_IRWXU).unwrap();
    server.client("web1").push(&source, &[]).exits(0);
    let snapshot = server.repository("web1").snapshot(-1);
    assert!(snapshot.join("a.txt").exists());
    let old = support::versions::old_server().is_some();
    assert!(old || !snapshot.join("pipe").exists(), "devices and pipes are no data");
}

#[test]
fn directories_that_nobody_may_write_or_enter_are_pushed_twice_and_again() {
    if !accounts::is_root() {
        return skip("the client has to read a directory of mode 0000: needs root");
    }
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    tree::write(&source.join("readonly/sub/file"), "kept\n");
    tree::write(&source.join("closed/sub/file"), "hidden\n");
    tree::write(&source.join("closed/readonly"), "hidden\n");
    mode(&source.join("closed/readonly"), 0o400);
    mode(&source.join("readonly/sub"), 0o555);
    mode(&source.join("readonly"), 0o555);
    mode(&source.join("closed"), 0);
    for count in 1..=3 {
        web1.push(&source, &[]).exits(0);
        assert_eq!(repository.snapshots().len(), count);
        let newest = repository.snapshot(-1);
        assert_eq!(tree::files(&newest), tree::files(&source));
        for (place, bits) in [("readonly", 0o555), ("readonly/sub", 0o555), ("closed", 0)] {
            assert_eq!(fs::metadata(newest.join(place)).unwrap().permissions().mode() & 0o777, bits, "{place}");
        }
    }
    let [first, last] = [repository.snapshot(0), repository.snapshot(-1)];
    assert_eq!(tree::inode(&first.join("readonly/sub/file")), tree::inode(&last.join("readonly/sub/file")));
}

#[test]
fn a_root_directory_without_write_permission_can_be_pushed() {
    let server = Server::start();
    let source = server.source("data");
    tree::small(&source);
    mode(&source, 0o555);
    for _ in 0..2 {
        server.client("web1").push(&source, &[]).exits(0);
    }
    assert_eq!(server.repository("web1").snapshots().len(), 2);
    let bits = fs::metadata(server.repository("web1").snapshot(-1)).unwrap().permissions().mode() & 0o777;
    assert_eq!(bits, 0o555);
    mode(&source, 0o755);
}

#[test]
fn names_with_spaces_newlines_and_bytes_that_are_no_text_arrive_as_they_are() {
    let server = Server::start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    let names: [&[u8]; 8] = [b"a b", b"new\nline", b"tab\t", b"caf\xe9", "caf\u{e9}".as_bytes(), b"-rf", b"$(reboot)", b"*"];
    for name in names {
        tree::write(&source.join(OsStr::from_bytes(name)), name);
        tree::write(&source.join("dir").join(OsStr::from_bytes(name)).join("file"), name);
    }
    web1.push(&source, &[]).exits(0);
    web1.push(&source, &[]).exits(0);
    let [first, second] = [0, 1].map(|number| server.repository("web1").snapshot(number));
    assert_eq!(tree::files(&second), tree::files(&source));
    for file in tree::files(&source) {
        assert_eq!(tree::inode(&first.join(&file)), tree::inode(&second.join(&file)), "{file:?}");
    }
}

#[test]
fn a_destination_with_a_space_is_one_directory() {
    let server = Server::start();
    let source = server.source("data");
    tree::small(&source);
    server.client("web1").rsync(&["-a", &format!("{}/", source.display()), "backup:my photos/"]).exits(0);
    assert!(server.repository("web1").snapshot(-1).join("my photos/a.txt").exists());
}

#[test]
fn hard_links_of_the_client_stay_hard_links_and_share_with_history() {
    let server = Server::start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    fs::hard_link(source.join("photo.raw"), source.join("etc/same.raw")).unwrap();
    web1.push(&source, &["-H"]).exits(0);
    web1.push(&source, &["-H"]).exits(0);
    let [first, second] = [0, 1].map(|number| server.repository("web1").snapshot(number));
    assert_eq!(tree::inode(&second.join("photo.raw")), tree::inode(&second.join("etc/same.raw")));
    assert_eq!(tree::inode(&first.join("photo.raw")), tree::inode(&second.join("photo.raw")));
    assert_eq!(fs::metadata(second.join("photo.raw")).unwrap().nlink(), 4);
}

#[test]
fn symlinks_arrive_as_they_are_wherever_they_point() {
    let server = Server::start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    for (name, target) in [("up", "../../../../etc/passwd"), ("absolute", "/etc/shadow"), ("dangling", "nowhere"), ("good", "a.txt")] {
        symlink(target, source.join(name)).unwrap();
    }
    web1.push(&source, &[]).exits(0);
    web1.push(&source, &[]).exits(0);
    let newest = server.repository("web1").snapshot(-1);
    assert_eq!(fs::read_link(newest.join("up")).unwrap(), Path::new("../../../../etc/passwd"));
    assert_eq!(fs::read_link(newest.join("absolute")).unwrap(), Path::new("/etc/shadow"));
    assert_eq!(fs::read_link(newest.join("good")).unwrap(), Path::new("a.txt"));
}

#[test]
fn a_deep_tree_and_many_files_are_pushed() {
    let server = Server::start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    let deep = source.join(vec!["d"; 100].join("/"));
    tree::write(&deep.join("bottom"), "deep\n");
    for number in 0..1000 {
        tree::write(&source.join(format!("many/{}/{number}", number % 10)), format!("{number}\n"));
    }
    web1.push(&source, &[]).exits(0);
    web1.push(&source, &[]).exits(0);
    let push = server.record().push.unwrap();
    assert_eq!((push.files, push.linked, push.received), (1001, 1001, 0));
}

#[test]
fn extended_attributes_and_acls_of_a_later_push_do_not_reach_history() {
    if support::versions::old_server().is_some() {
        return support::skip("an account's push with access lists has no view, and without one no rsync before 3.5.0 may run");
    }
    let policy = format!("{ALL_VERBS}options: {{ allow: [acls] }}\n");
    let server = Setup::new().client("web1", &policy).start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &["-AX"]).exits(0);
    let old = repository.snapshot(0).join("photo.raw");
    let describe = || {
        let acl = support::must(std::process::Command::new("getfacl").args(["-cp"]).arg(&old));
        let xattr = support::must(std::process::Command::new("getfattr").args(["-d", "--absolute-names"]).arg(&old));
        format!("{acl}{xattr}")
    };
    let before = describe();
    let photo = source.join("photo.raw");
    support::must(std::process::Command::new("setfattr").args(["-n", "user.mark", "-v", "new"]).arg(&photo));
    support::must(std::process::Command::new("setfacl").args(["-m", "u:65534:rwx"]).arg(&photo));
    web1.push(&source, &["-AX"]).exits(0);
    assert_eq!(describe(), before);
}
