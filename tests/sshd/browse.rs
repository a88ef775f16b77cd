//! Looking at snapshots with sftp, scp and sshfs.

use std::fs;
use std::os::unix::fs::symlink;

use snapgate::terms::{Code, Outcome, Verb};

use support::{Server, Setup, stock, tree};

/// What lets a client browse, and push.
pub(crate) const BROWSE: &str = "verbs: [rsync, status, browse]\n";

/// Three snapshots of a small tree, whose file `number` tells them apart. Returns their names.
pub(crate) fn stocked(server: &Server, client: &str) -> Vec<String> {
    let account = server.client(client).account();
    stock::snapshots(&server.store().join(client), &account, &stock::nights(3), |number, tree| {
        tree::small(tree);
        tree::write(&tree.join("number"), number.to_string());
        symlink("/etc/passwd", tree.join("absolute")).unwrap();
        symlink("../../../../../../etc", tree.join("upwards")).unwrap();
        symlink("etc/hosts", tree.join("inside")).unwrap();
    })
}

pub(crate) fn browsing() -> (Server, Vec<String>) {
    let server = Setup::new().client("web1", &format!("keys: [$KEY]\n{BROWSE}")).client("web2", BROWSE).start();
    let names = stocked(&server, "web1");
    (server, names)
}

/// The names of a listing.
pub(crate) fn names(listed: &str) -> Vec<&str> {
    listed.lines().filter(|line| !line.starts_with("sftp>")).map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_root_is_the_snapshots_and_current_and_a_tree_comes_back_whole() {
    let (server, snapshots) = browsing();
    let web1 = server.client("web1");
    let (before, to) = (server.state(), tempfile::tempdir().unwrap());
    fs::set_permissions(to.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let listed = web1.sftp(&["ls -1a", "pwd"]).exits(0).stdout;
    let mut expected: Vec<&str> = vec![".", ".."];
    expected.extend(snapshots.iter().map(String::as_str));
    expected.push("current");
    let mut found = names(&listed);
    assert_eq!(found.pop(), Some("Remote working directory: /"));
    assert_eq!(found, expected, "{listed}");
    let get = format!("get -pr {}/. {}", snapshots[0], to.path().join("whole").display());
    let get_current = format!("get -r current/etc {}", to.path().join("etc").display());
    web1.sftp(&[&get, &get_current, "cd current", "ls -l", &format!("get number {}", to.path().display())]).exits(0);
    assert_eq!(fs::read_to_string(to.path().join("number")).unwrap(), "2");
    assert_eq!(fs::read_to_string(to.path().join("etc/deep/er/file")).unwrap(), "deep\n");
    let stored = server.store().join("web1/snapshots").join(&snapshots[0]);
    for name in ["a.txt", "etc/hosts", "etc/deep/er/file", "photo.raw", "number"] {
        assert_eq!(fs::read(to.path().join("whole").join(name)).unwrap(), fs::read(stored.join(name)).unwrap(), "{name}");
    }
    tree::same(&server.state(), &before);
    let record = server.record();
    assert_eq!((record.verb, record.result, record.exit), (Some(Verb::Browse), Outcome::Answered, 0));
}

#[test]
fn nothing_leads_out_and_nothing_changes() {
    let (server, snapshots) = browsing();
    stocked(&server, "web2");
    let web1 = server.client("web1");
    let before = server.state();
    let name = &snapshots[1];
    for outside in ["/etc", "/etc/passwd", "/proc", "/usr", "/lib", "/dev", "/snapshots", "/front", "../..", "/web2", "/.snapgate"] {
        let ran = web1.sftp(&[&format!("ls -1 {outside}")]);
        let inside = outside == "../..";
        assert_eq!(ran.status == 0, inside, "{outside}: {} {}", ran.stdout, ran.stderr);
        if inside {
            assert_eq!(names(&ran.stdout).len(), 4, "{}", ran.stdout);
        }
    }
    let to = tempfile::tempdir().unwrap();
    fs::set_permissions(to.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    for link in ["absolute", "upwards/passwd", "inside"] {
        assert_ne!(web1.sftp(&[&format!("get {name}/{link} {}/got", to.path().display())]).status, 0, "{link}");
        assert!(!to.path().join("got").exists());
    }
    let listed = web1.sftp(&[&format!("ls -l {name}")]).exits(0).stdout;
    assert!(listed.lines().any(|line| line.starts_with('l') && line.contains("absolute")), "{listed}");
    let local = to.path().join("local");
    fs::write(&local, "x").unwrap();
    let local = local.display();
    for attempt in [
        format!("put {local} /new"),
        format!("put {local} {name}/new"),
        format!("put {local} current/number"),
        format!("reput {local} {name}/number"),
        format!("rm {name}/number"),
        "rm current".to_owned(),
        format!("rename {name} other"),
        format!("rename {name}/number {name}/other"),
        format!("chmod 777 {name}/number"),
        format!("chown 0 {name}/number"),
        format!("chgrp 0 {name}"),
        format!("ln {name}/number {name}/linked"),
        format!("ln -s /etc/passwd {name}/linked"),
        "ln -s /etc/passwd /linked".to_owned(),
        format!("mkdir {name}/made"),
        "mkdir /made".to_owned(),
        format!("rmdir {name}/empty"),
        "df".to_owned(),
        format!("copy {name}/number {name}/copied"),
    ] {
        assert_ne!(web1.sftp(&[&attempt]).status, 0, "{attempt}");
    }
    tree::same(&server.state(), &before);
}

#[test]
fn scp_fetches_and_stores_nothing() {
    let (server, snapshots) = browsing();
    let (web1, to) = (server.client("web1"), tempfile::tempdir().unwrap());
    fs::set_permissions(to.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let to = to.path().display();
    web1.scp(&["backup:current/a.txt", &format!("{to}/a")]).exits(0);
    web1.scp(&["-r", &format!("backup:/{}/etc", snapshots[0]), &format!("{to}/etc")]).exits(0);
    assert_eq!(fs::read_to_string(format!("{to}/a")).unwrap(), "first\n");
    assert_eq!(fs::read_to_string(format!("{to}/etc/hosts")).unwrap(), "127.0.0.1 localhost\n");
    assert_ne!(web1.scp(&[&format!("{to}/a"), "backup:current/a.txt"]).status, 0);
    // Its own protocol is another program on the server.
    assert_ne!(web1.scp(&["-O", "backup:current/a.txt", &format!("{to}/b")]).status, 0);
    assert_eq!(server.record().reasons[0].code, Code::Scp);
}

#[test]
fn who_may_not_browse_is_told_so_in_the_record_alone() {
    let server = Setup::new().client("web1", "").start();
    stocked(&server, "web1");
    server.client("web1").ssh_with(&["-s"], &["sftp"]).exits(77);
    let record = server.record();
    assert_eq!((record.verb, record.reasons[0].code), (Some(Verb::Browse), Code::Sftp));
    assert!(record.reasons[0].remedy.as_ref().unwrap().contains("`browse`"));
}

#[test]
fn a_program_that_is_not_there_or_is_another_one_is_the_server_s_fault() {
    for (program, says) in [("/nonexistent/sftp-server", "it is not there"), ("/bin/cat", "it did not say that it was loaded")] {
        let server = Setup::new().client("web1", BROWSE).site(&format!("sftp_server: {program}\n")).start();
        stocked(&server, "web1");
        assert_ne!(server.client("web1").sftp(&["ls"]).status, 0);
        let record = server.record();
        assert_eq!((record.reasons[0].code, record.exit), (Code::SftpServer, 78));
        assert!(record.reasons[0].detail.contains(says) && record.reasons[0].remedy.is_some(), "{record:?}");
    }
}

#[test]
fn where_the_gate_is_the_shell_sshd_starts_it_for_sftp_as_well() {
    if !support::accounts::is_root() {
        return support::skip("only root gives accounts another shell");
    }
    let server = Setup::new().client("web1", &format!("keys: [$KEY]\n{BROWSE}")).unforced().shell().start();
    stocked(&server, "web1");
    let web1 = server.client("web1");
    assert_eq!(names(&web1.sftp(&["ls -1"]).exits(0).stdout).len(), 4);
    // A client may have another path started, with any options: none of them counts.
    let listed = web1.ssh(&["/usr/libexec/sftp-server -d / -e -l DEBUG3 -f AUTH"]).exits(0);
    assert_eq!((listed.stdout.as_str(), listed.stderr.as_str()), ("", ""));
    assert_ne!(web1.ssh(&["browse"]).status, 0);
}
