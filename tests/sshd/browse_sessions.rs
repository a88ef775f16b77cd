//! Sessions of sftp from the outside: what the process can see, how long it lives, what it stands in the way of.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use snapgate::terms::{Code, Outcome, Verb};

use super::browse::{BROWSE, browsing, names, stocked};
use super::owners::{keeping, skipped};
use support::accounts::is_root;
use support::client::Client;
use support::{Running, Server, Setup, must, processes, run, skip, stock, tree, until};

/// A session that stays open and says nothing.
fn open(client: &Client) -> Running {
    let words: Vec<_> = client.ssh_words().iter().map(|word| format!("'{word}'")).collect();
    Running::start(Command::new("sh").args(["-c", &format!("sleep 80 | {} -s backup sftp", words.join(" "))]))
}

fn gates(server: &Server) -> Vec<u32> {
    processes::of(server.path(), "snapgate-shell")
}

/// The sftp-server of the session that is open, when its root is its own.
fn sftp_server(server: &Server) -> u32 {
    let named = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sftp-server");
    let find = || processes::descendants(&gates(server)).into_iter().find(named);
    let is_ready = |pid: u32| !Path::new(&format!("/proc/{pid}/root/usr")).exists();
    until("it is served", || find().is_some_and(is_ready));
    find().unwrap()
}

#[test]
fn its_root_holds_nothing_of_the_systems_and_every_mount_is_read_only() {
    if !is_root() {
        return skip("only root looks into another's root");
    }
    let (server, snapshots) = browsing();
    let session = open(&server.client("web1"));
    let pid = sftp_server(&server);
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let mut listed: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    listed.sort();
    let mut expected = snapshots.clone();
    expected.push("current".to_owned());
    assert_eq!(listed, expected);
    assert_eq!(fs::read_link(root.join("current")).unwrap(), Path::new(snapshots.last().unwrap()));
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    assert_eq!(mounts.lines().count(), 1 + snapshots.len(), "{mounts}");
    for mount in mounts.lines() {
        let flags = mount.split(' ').nth(5).unwrap();
        assert!(["ro", "nosuid", "nodev", "noexec"].iter().all(|flag| flags.split(',').any(|one| one == *flag)), "{mount}");
        assert_eq!(flags.contains("nosymfollow"), mount.split(' ').nth(4) != Some("/"), "{mount}");
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    // CAP_DAC_OVERRIDE over the account's own files, and nothing else.
    assert_eq!((line("CapEff:").as_str(), line("Seccomp:").as_str(), line("NoNewPrivs:").as_str()), ("0000000000000002", "2", "1"));
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(open.len(), 3, "{open:?}");
    session.kill();
}

#[test]
fn a_session_ends_with_its_gate_and_with_its_time_and_is_counted() {
    let limits = "limits: { sessions: 1 }\ntime_limits: { push: 4s }\n";
    let server = Setup::new().client("web1", &format!("keys: [$KEY]\n{BROWSE}{limits}")).start();
    stocked(&server, "web1");
    let web1 = server.client("web1");
    let session = open(&web1);
    let pid = sftp_server(&server);
    web1.ssh_with(&["-s"], &["sftp"]).exits(75);
    web1.ssh(&["status"]).exits(0);
    until("its time is over", || !processes::is_alive(pid));
    let browsed = || server.records().into_iter().find(|record| record.verb == Some(Verb::Browse) && record.result != Outcome::Busy);
    until("it is recorded", || browsed().is_some());
    let record = browsed().unwrap();
    assert_eq!((record.result, record.exit, record.reasons[0].code), (Outcome::Answered, 75, Code::Deadline));
    assert_eq!(server.mails().len(), 0);
    session.kill();

    let session = open(&web1);
    let pid = sftp_server(&server);
    processes::signal(&gates(&server), Signal::SIGKILL);
    until("it is gone as well", || !processes::is_alive(pid));
    session.kill();
}

#[test]
fn an_open_session_keeps_no_snapshot_from_going_and_what_is_gone_is_gone_cleanly() {
    let (server, snapshots) = browsing();
    let web1 = server.client("web1");
    let go = tempfile::tempdir().unwrap();
    let words: Vec<_> = web1.ssh_words()[1..].iter().map(|word| format!("'{word}'")).collect();
    let (gone, stays) = (&snapshots[0], &snapshots[1]);
    let lines = format!("echo pwd; until [ -e {}/go ]; do sleep 0.1; done; echo -get -r {gone}; echo ls -1 {stays}", go.path().display());
    let session = Running::start(
        Command::new("sh").current_dir(go.path()).args(["-c", &format!("({lines}) | sftp {} -b - backup", words.join(" "))]),
    );
    let pid = sftp_server(&server);
    server.snapgate(&["delete", "--client", "web1", "--force", gone]).exits(0);
    assert!(!server.store().join("web1/snapshots").join(gone).exists() && processes::is_alive(pid));
    // As the reaper does when it is due.
    for entry in fs::read_dir(server.store().join("web1/.snapgate/trash")).unwrap().map(|entry| entry.unwrap().path()) {
        let _ = fs::remove_dir_all(&entry);
    }
    assert_eq!(names(&web1.sftp(&["ls -1"]).exits(0).stdout), [stays.as_str(), &snapshots[2], "current"], "the next session");
    fs::write(go.path().join("go"), "").unwrap();
    let ran = session.wait().exits(0);
    assert!(ran.stdout.contains(&format!("{stays}/a.txt")), "{} {}", ran.stdout, ran.stderr);
    let got = go.path().join(gone);
    assert!(!got.exists() || fs::read_dir(&got).unwrap().count() == 0, "{} {}", ran.stdout, ran.stderr);
}

#[test]
fn with_owners_kept_all_is_read_and_owners_are_the_client_s_numbers() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, source) = (server.client("web1"), server.source("machine"));
    super::owners::machine(&source);
    web1.rsync(&["-aHAX", "--numeric-ids", &format!("{}/", source.display()), "backup:"]).exits(0);
    server.policy("web1", &format!("{BROWSE}owners: keep\n"));
    let to = tempfile::tempdir().unwrap();
    fs::set_permissions(to.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let listed = web1.sftp(&["ls -ln current/var", &format!("get -r current {}/all", to.path().display())]).exits(0).stdout;
    let secret = listed.lines().find(|line| line.ends_with("secret")).unwrap();
    assert!(secret.split_whitespace().collect::<Vec<_>>()[2..4] == ["1234", "5678"], "{listed}");
    assert!(to.path().join("all/var/secret").exists() && to.path().join("all/closed/inside").exists(), "whatever their modes are");
    assert!(web1.sftp(&["ls -l current/var"]).exits(0).stdout.contains("1234"), "no name stands for it");
    assert_ne!(web1.sftp(&["ls /etc"]).status, 0);
}

#[test]
fn names_of_several_levels_stand_as_they_are() {
    let pattern = "snapshots: { name: \"usr/%Y/%m%d/%H%M%S\" }\n";
    let server = Setup::new().client("web1", &format!("{BROWSE}{pattern}")).start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    let name = server.repository("web1").current().unwrap();
    let name = name.strip_prefix("snapshots/").unwrap_or(&name).to_owned();
    // A part of a name may be one of the system's own.
    assert_eq!(names(&web1.sftp(&["ls -1"]).exits(0).stdout), ["current", "usr"]);
    for path in [&name, "current"] {
        assert!(web1.sftp(&[&format!("ls -1 {path}/etc")]).exits(0).stdout.contains("hosts"), "{path}");
    }
    assert_ne!(web1.sftp(&["ls /usr/lib"]).status, 0);
}

#[test]
fn a_mount_by_sshfs_is_read_as_a_file_system() {
    let there = is_root() && Path::new("/dev/fuse").exists() && Path::new("/usr/bin/sshfs").exists();
    if !there {
        return skip("sshfs needs root here, /dev/fuse and the package sshfs");
    }
    let (server, snapshots) = browsing();
    let web1 = server.client("web1");
    let mounted = tempfile::tempdir().unwrap();
    let ssh = web1.ssh_words().join(" ");
    must(Command::new("sshfs").args(["backup:/", mounted.path().to_str().unwrap(), "-o", "ro", "-o", &format!("ssh_command={ssh}")]));
    let stored = server.store().join("web1/snapshots").join(&snapshots[2]);
    // sshfs itself refuses links that lead out of what it mounts.
    let compare = |name: &str| run(Command::new("diff").arg("-r").args([stored.join(name), mounted.path().join(&snapshots[2]).join(name)]));
    let compared = [compare("etc"), compare("photo.raw"), compare("empty")];
    let through = fs::read_to_string(mounted.path().join("current/number"));
    let link = fs::read_link(mounted.path().join(&snapshots[0]).join("inside"));
    let writes = fs::write(mounted.path().join("current/new"), "x");
    let time = fs::metadata(mounted.path().join(&snapshots[2]).join("a.txt")).map(|file| file.mtime());
    must(Command::new("fusermount3").arg("-u").arg(mounted.path()));
    for ran in compared {
        ran.exits(0);
    }
    assert_eq!(through.unwrap(), "2");
    assert_eq!(link.unwrap(), Path::new("etc/hosts"));
    assert!(writes.is_err());
    assert_eq!(time.unwrap(), fs::metadata(stored.join("a.txt")).unwrap().mtime());
}

#[test]
fn a_thousand_snapshots_cost_little() {
    let policy = format!("keys: [$KEY]\n{BROWSE}");
    let server = Setup::new().client_on(0, "web1", &policy).client_on(0, "web2", &policy).start();
    for (client, count) in [("web1", 1000), ("web2", 1)] {
        let account = server.client(client).account();
        stock::snapshots(&server.store().join(client), &account, &stock::nights(count), |_, tree| tree::write(&tree.join("a"), "x"));
    }
    let best = |client: &str| {
        let client = server.client(client);
        let one = || {
            let begun = Instant::now();
            client.sftp(&["pwd"]).exits(0);
            begun.elapsed()
        };
        (0..5).map(|_| one()).min().unwrap()
    };
    let (many, one) = (best("web1"), best("web2"));
    eprintln!("a session of 1000 snapshots: {many:?}, of one: {one:?}");
    assert!(many < one + Duration::from_millis(500), "{many:?} {one:?}");
    assert_eq!(names(&server.client("web1").sftp(&["ls -1"]).exits(0).stdout).len(), 1001);
}

#[test]
fn what_is_read_counts_and_is_bounded_as_what_is_restored() {
    let rules = "restore: { keys: [$KEY], limits: { bytes: 4MiB }, alert_over: 1MiB }\n";
    let server = Setup::new().client("web1", &format!("{BROWSE}{rules}")).start();
    let web1 = server.client("web1");
    let account = web1.account();
    stock::snapshots(&server.store().join("web1"), &account, &stock::nights(1), |_, tree| {
        tree::write(&tree.join("photo.raw"), tree::noise(1, 1_500_000));
        tree::write(&tree.join("large"), tree::noise(2, 6_000_000));
    });
    let to = tempfile::tempdir().unwrap();
    fs::set_permissions(to.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let get = |name: &str| web1.sftp(&[&format!("get current/{name} {}", to.path().display())]);
    let ran = get("photo.raw");
    assert_eq!(ran.status, 0, "{:?}", server.records().pop());
    let facts = server.record().restore.unwrap();
    assert!(facts.sent_bytes.is_some_and(|sent| (1_500_000..1_600_000).contains(&sent)) && facts.seconds > 0.0, "{facts:?}");
    server.mail("within 24 hours");
    // The push's own key is the same here; one that `restore:` does not list is refused.
    get("large");
    assert_ne!(get("photo.raw").status, 0);
    assert_eq!(server.record().reasons[0].code, Code::Limit);
    server.policy("web1", &format!("{BROWSE}keys: [$KEY]\nrestore: {{ from: [192.0.2.0/24] }}\n"));
    assert_ne!(get("photo.raw").status, 0);
    assert_eq!(server.record().reasons[0].code, Code::Address);
    web1.ssh(&["status"]).exits(0);
}
