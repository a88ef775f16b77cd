//! Whoever runs, writes or waits while a remap does: it is refused, or found, and nothing is lost by it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Child, Command, Stdio};

use crate::owners::{first, run};
use crate::remap_lab::{from, moved, nothing_is_strange, private, pushed, remap, state, to, until_nobody_runs};
use support::{Server, tree, until};

#[test]
fn a_push_that_runs_is_not_disturbed() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    for name in ["lock", "rsync.lock"] {
        let lock = fs::File::open(repository.path.join(".snapgate").join(name)).unwrap();
        lock.lock().unwrap();
        let before = state(&repository.path);
        assert!(remap(&server, &[]).exits(75).stderr.contains("locked by a push"));
        tree::same(&state(&repository.path), &before);
        // Not by closing it: a process that is just being made has it open, too.
        lock.unlock().unwrap();
    }
    remap(&server, &[]).exits(0);
}

/// Somebody who does nothing, until the test ends.
struct Idler(Child);

impl Idler {
    fn new(words: &[String]) -> Self {
        Self::with(words, Stdio::null())
    }

    /// With something open.
    fn with(words: &[String], open: Stdio) -> Self {
        let mut command = Command::new("setpriv");
        command.args(words).args(["--clear-groups", "--", "sleep", "600"]).stdin(open);
        let this = Self(command.spawn().unwrap());
        until("it runs as whom it is to run", || {
            fs::read_to_string(format!("/proc/{}/comm", this.0.id())).is_ok_and(|name| name == "sleep\n")
        });
        this
    }
}

impl Drop for Idler {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn nothing_is_changed_while_anybody_runs_who_may_have_something_open() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    fs::set_permissions(&repository.path, fs::Permissions::from_mode(0o750)).unwrap();
    moved(&server);
    until_nobody_runs();
    let before = state(&repository.path);
    let (old, new) = (first(&from()), first(&to()));
    for (kind, user, group) in [
        ("user", from().uid, from().gid),
        ("user", to().uid, 4242),
        ("user", old + 33, 4242),
        ("user", new + 65_535, 4242),
        ("group", 4242, old),
        ("group", 4242, new + 7),
    ] {
        let _idler = Idler::new(&[format!("--reuid={user}"), format!("--regid={group}")]);
        let id = if kind == "user" { user } else { group };
        let run = |words: &[&str]| server.snapgate(&[&["remap", "--client", "web1"], words].concat());
        let said = run(&[]).exits(75).stderr;
        assert!(said.contains(&format!("(`sleep`) runs as {kind} {id}")), "{said}");
        assert!(run(&["--dry-run"]).exits(0).stdout.contains("not now: process"), "{user}:{group}");
        tree::same(&state(&repository.path), &before);
        assert!(!private(&repository.path).exists());
    }
    // One of somebody else's only where it was given something of the repository.
    let words = ["--reuid=4242".to_owned(), "--regid=4242".to_owned()];
    let handed = fs::File::open(repository.snapshot(-1).join("a.txt")).unwrap();
    let idler = Idler::with(&words, Stdio::from(handed));
    assert!(remap(&server, &[]).exits(75).stderr.contains("(`sleep`) has something in the repository open"));
    tree::same(&state(&repository.path), &before);
    drop(idler);
    let _idler = Idler::new(&words);
    remap(&server, &[]).exits(0);
}

/// Whoever comes between the first look and the closing is found by the second look.
#[test]
fn who_begins_to_run_while_it_is_being_closed_has_it_given_up() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    fs::set_permissions(&repository.path, fs::Permissions::from_mode(0o750)).unwrap();
    moved(&server);
    until_nobody_runs();
    let before = state(&repository.path);
    let running = slow(&server);
    until("it is being closed", || private(&repository.path).exists());
    let idler = Idler::new(&[format!("--reuid={}", from().uid), format!("--regid={}", from().gid)]);
    let ran = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() == Some(75) && said.contains("(`sleep`) runs as user"), "{ran:?}");
    tree::same(&state(&repository.path), &before);
    assert!(!private(&repository.path).exists());
    drop(idler);

    // The same with one that has ended by then: what it has changed is not gone by.
    let note = repository.path.join(".snapgate/owners.json");
    let said = fs::read_to_string(&note).unwrap();
    let running = slow(&server);
    until("it is being closed", || private(&repository.path).exists());
    fs::write(&note, said.replace("65536", "65535")).unwrap();
    let ran = running.wait_with_output().unwrap();
    assert!(ran.status.code() == Some(75) && String::from_utf8_lossy(&ran.stderr).contains("while it was being closed"), "{ran:?}");
    fs::write(&note, said).unwrap();
    assert!(!private(&repository.path).exists());
    remap(&server, &[]).exits(0);
}

/// One that waits for two seconds when it has looked for processes, and made the directory beside.
fn slow(server: &Server) -> Child {
    held_up(server, "mkdirat:delay_exit=2000000:when=1")
}

/// One that strace(1) holds up at a call.
fn held_up(server: &Server, inject: &str) -> Child {
    let call = inject.split(':').next().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", &format!("-etrace={call}"), &format!("-einject={inject}")]);
    strace.arg(server.path().join("bin/snapgate")).arg("--config").arg(server.config()).args(["remap", "--client", "web1"]);
    strace.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A run that waits where all of it has been changed, and brings it to the disk.
fn waiting_when_changed(server: &Server) -> Child {
    until_nobody_runs();
    held_up(server, "syncfs:delay_exit=3000000:when=3")
}

/// Nobody can, with the repository closed: here it is root.
#[test]
fn what_appears_while_it_is_being_changed_is_found_in_the_end() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    let snapshot = repository.snapshot(-1);
    let running = waiting_when_changed(&server);
    let old = [from().uid, first(&from())];
    let is_new = |line: &String| !old.iter().any(|id| line.contains(&format!(" {id}:")));
    until("all of it is changed", || tree::listing(&repository.path).iter().all(is_new));
    tree::write(&snapshot.join("planted"), "whoever's");
    chown(snapshot.join("planted"), Some(old[1] + 3), Some(old[1] + 3)).unwrap();
    run("setfacl", &["-m", &format!("u:{}:r", old[1] + 9)], &snapshot.join("a.txt"));
    let ran = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.code() == Some(75) && said.contains("it is not done"), "{ran:?}");
    for name in ["planted", "a.txt"] {
        assert!(said.lines().any(|line| line.contains(name) && line.contains("is not as it should be")), "{said}");
    }
    assert!(private(&repository.path).join("remap.json").exists());
    // The next run takes it along.
    assert!(remap(&server, &[]).exits(0).stdout.ends_with("done\n"));
    nothing_is_strange(&repository.path, &to());
    let list = String::from_utf8(Command::new("getfacl").args(["-pcn"]).arg(snapshot.join("a.txt")).output().unwrap().stdout).unwrap();
    assert!(list.contains(&format!("user:{}:r--", first(&to()) + 9)), "{list}");
}

/// Whoever has the directory above could put another in the place of root's, and have root remove it.
#[test]
fn nothing_else_is_removed_in_the_place_of_root_s_directory() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    let running = waiting_when_changed(&server);
    let old = [from().uid, first(&from())];
    until("all of it is changed", || {
        tree::listing(&repository.path).iter().all(|line| !old.iter().any(|id| line.contains(&format!(" {id}:"))))
    });
    let beside = private(&repository.path);
    fs::rename(&beside, server.path().join("aside")).unwrap();
    tree::write(&beside.join("theirs"), "somebody else's");
    let ran = running.wait_with_output().unwrap();
    assert!(beside.join("theirs").exists() && ran.status.code() == Some(75), "{ran:?}");
}

/// The account could give the repository to one of its ids for others, say in the note that these are fewer, and be looked for no more.
#[test]
fn an_account_that_hides_behind_one_of_its_ids_is_refused() {
    let Some((server, _, repository, _)) = pushed(tree::small) else { return };
    moved(&server);
    let hidden = first(&from()) + 60_000;
    let (whose, to_whom) = (format!("--from={}", from().uid), format!("{hidden}:{hidden}"));
    run("chown", &["-hR", &whose, &to_whom], &repository.path);
    let range = format!(r#"[{{"first":{},"count":1000}}]"#, first(&from()));
    tree::write(&repository.path.join(".snapgate/owners.json"), format!(r#"{{"users":{range},"groups":{range}}}"#));
    let before = state(&repository.path);
    let ran = remap(&server, &[]).exits(78);
    assert!(ran.stderr.contains(&format!("uid {hidden}, which /etc/subuid gives to")), "{}", ran.stderr);
    tree::same(&state(&repository.path), &before); // Nor does one of its processes hide in what the note says nothing of.
    run("chown", &["-hR", &format!("--from={hidden}"), &format!("{}:{}", from().uid, from().gid)], &repository.path);
    let _idler = Idler::new(&[format!("--reuid={hidden}"), format!("--regid={hidden}")]);
    let ran = server.snapgate(&["remap", "--client", "web1"]).exits(75);
    assert!(ran.stderr.contains(&format!("runs as user {hidden}")), "{}", ran.stderr);
}
