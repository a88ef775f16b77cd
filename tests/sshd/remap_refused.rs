//! What a remap refuses: whoever might be in the way, what could not be undone or told apart, and ids that are somebody else's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::process::{Child, Command, Stdio};

use crate::owners::{first, machine, run, skipped};
use crate::remap::{FULL, from, moved, nothing_is_strange, private, remap, remap_after, server, state, to, until_nobody_runs};
use support::accounts::is_root;
use support::{ALL_VERBS, Server, tree, until};

#[test]
fn what_cannot_be_changed_is_named_and_then_nothing_is() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
    moved(&server);
    let snapshot = repository.snapshot(-1);
    chown(snapshot.join("etc/hosts"), Some(4242), None).unwrap();
    run("setfacl", &["-m", "u:4343:r"], &snapshot.join("photo.raw"));
    let immutable = Command::new("chattr").arg("+i").arg(snapshot.join("a.txt")).output().is_ok_and(|output| output.status.success());
    let before = state(&repository.path);
    let (dry, ran) = (remap(&server, &["--dry-run"]), remap(&server, &[]));
    let after = state(&repository.path);
    if immutable {
        run("chattr", &["-i"], &snapshot.join("a.txt"));
    }
    tree::same(&after, &before);
    for ran in [dry, ran] {
        let ran = ran.exits(1);
        let has = |name: &str, what: &str| {
            ran.stdout.lines().any(|line| line.contains("problem: ") && line.contains(name) && line.contains(what))
        };
        assert!(has("etc/hosts", "the user 4242") && has("photo.raw", "the user 4343"), "{}", ran.stdout);
        assert!(!immutable || has("a.txt", "immutable"), "{}", ran.stdout);
        assert!(ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
    }
    // Once they are mended it is done.
    chown(snapshot.join("etc/hosts"), Some(first(&from())), None).unwrap();
    run("setfacl", &["-b"], &snapshot.join("photo.raw"));
    assert!(remap(&server, &[]).exits(0).stdout.ends_with("done\n"));
    nothing_is_strange(&repository.path, &to());
}

#[test]
fn a_link_that_is_planted_leads_nowhere() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
    let account = from();
    let outside = server.path().join("outside");
    tree::write(&outside.join("file"), "not the client's");
    for path in [outside.clone(), outside.join("file")] {
        chown(&path, Some(account.uid), Some(account.gid)).unwrap();
    }
    for name in ["inprogress", ".snapgate/interrupted", ".snapgate/notes"] {
        std::os::unix::fs::symlink(&outside, repository.path.join(name)).unwrap();
        lchown(repository.path.join(name), Some(account.uid), Some(account.gid)).unwrap();
    }
    // What is not the gate's goes along where it is the account's.
    let (theirs, roots) = (repository.path.join("notes/of/theirs"), repository.path.join("lost+found"));
    tree::write(&theirs, "theirs");
    for path in theirs.ancestors().take(3) {
        chown(path, Some(account.uid), Some(account.gid)).unwrap();
    }
    fs::create_dir(&roots).unwrap();
    moved(&server);
    let before = tree::listing(&outside);
    let said = remap(&server, &[]).exits(0).stdout;
    assert!(said.contains("not the gate's, and goes along: `notes`\n"), "{said}");
    tree::same(&tree::listing(&outside), &before);
    fs::remove_dir(&roots).expect("root's still");
    nothing_is_strange(&repository.path, &to());
}

#[test]
fn who_is_not_root_is_refused_and_so_is_what_makes_no_sense() {
    let server = server("owners: keep\n");
    if !is_root() {
        assert!(remap(&server, &[]).exits(77).stderr.contains("run it as root"));
        return;
    }
    let account = from();
    let config = server.config();
    let mut as_account = Command::new("setpriv");
    as_account.arg(format!("--reuid={}", account.uid)).arg(format!("--regid={}", account.gid)).args(["--init-groups", "--"]);
    as_account.arg(server.path().join("bin/snapgate"));
    let ran = support::run(as_account.arg("--config").arg(&config).args(["remap", "--client", "web1"]));
    assert!(ran.exits(77).stderr.contains("run it as root"));
    assert!(remap(&server, &[]).exits(78).stderr.contains("there is no repository"));
    let repository = server.repository("web1").path;
    fs::rename(&repository, server.path().join("aside")).unwrap();
    assert!(remap(&server, &[]).exits(78).stderr.contains("there is no repository"));
    fs::create_dir(private(&repository)).unwrap();
    fs::set_permissions(private(&repository), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(remap(&server, &[]).exits(75).stderr.contains("the repository is gone"));
    fs::remove_dir(private(&repository)).unwrap();
    fs::rename(server.path().join("aside"), &repository).unwrap();
    assert!(server.snapgate(&["remap", "--client", "nobody"]).exits(78).stderr.contains("no policy for `nobody`"));
    server.policy("web1", &format!("{ALL_VERBS}user: no-such-account\n"));
    assert_eq!(remap(&server, &[]).status, 78);
}

#[test]
fn a_push_that_runs_is_not_disturbed() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
    moved(&server);
    for name in ["lock", "rsync.lock"] {
        let lock = fs::File::open(repository.path.join(".snapgate").join(name)).unwrap();
        lock.lock().unwrap();
        let before = state(&repository.path);
        assert!(remap(&server, &[]).exits(75).stderr.contains("locked by a push"));
        tree::same(&state(&repository.path), &before);
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
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
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
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
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

#[test]
fn ids_of_this_machine_s_accounts_and_root_by_another_name_are_refused() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
    moved(&server);
    let (old, new, name) = (first(&from()), first(&to()), to().name);
    let before = state(&repository.path);
    let fake = |file: &str, line: String| {
        let path = server.path().join(file);
        fs::write(&path, fs::read_to_string(format!("/etc/{file}")).unwrap() + &line + "\n").unwrap();
        format!("mount --bind {} /etc/{file}", path.display())
    };
    let toor = |user: u32, group: u32| {
        let path = server.path().join("passwd");
        let text = fs::read_to_string("/etc/passwd").unwrap();
        let line = format!("{name}:x:{user}:{group}::/:/bin/sh\n");
        let others = text.lines().filter(|line| !line.starts_with(&format!("{name}:"))).map(|line| format!("{line}\n"));
        fs::write(&path, others.collect::<String>() + &line).unwrap();
        format!("mount --bind {} /etc/passwd", path.display())
    };
    for (kind, name, id) in
        [("user", "passwd", old + 5), ("user", "passwd", new), ("group", "group", new + 65_535), ("group", "group", old + 5)]
    {
        let ran = remap_after(&server, &fake(name, format!("stranger:x:{id}:100::/:/bin/sh"))).exits(78);
        assert!(ran.stderr.contains(&format!("the {kind} {id} is `stranger`")), "{}", ran.stderr);
        assert!(ran.stderr.contains("\ngive the account ranges"), "{}", ran.stderr);
    }
    for (user, group, said) in [(0, to().gid, "is root by its number"), (to().uid, 0, "group is root's")] {
        let ran = remap_after(&server, &toor(user, group)).exits(78);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    tree::same(&state(&repository.path), &before);
    // The account can write what it likes into the note of its repository.
    let note = repository.path.join(".snapgate/owners.json");
    let said = fs::read_to_string(&note).unwrap();
    for (first, count) in [(0, 65_536), (1, 65_536), (u32::MAX - 5, 100), (old, 0)] {
        let range = format!("{{\"first\":{first},\"count\":{count}}}");
        fs::write(&note, format!("{{\"users\":[{range}],\"groups\":[{range}]}}")).unwrap();
        assert_ne!(remap(&server, &[]).status, 0, "{range}");
    }
    fs::write(&note, said).unwrap();
    remap(&server, &[]).exits(0);
}

#[test]
fn nothing_that_is_mounted_in_a_repository_is_changed() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
    moved(&server);
    let (snapshot, outside) = (repository.snapshot(-1), server.path().join("outside"));
    tree::write(&outside.join("file"), "somebody else's");
    for path in [outside.clone(), outside.join("file")] {
        chown(&path, Some(first(&from())), Some(first(&from()))).unwrap();
    }
    let before = (state(&repository.path), tree::listing(&outside));
    // Another file system, a directory of the same one, and a file.
    for (mount, place) in [
        ("-t tmpfs none".to_owned(), snapshot.join("etc")),
        (format!("--bind {}", outside.display()), snapshot.join("etc")),
        (format!("--bind {}", outside.join("file").display()), snapshot.join("a.txt")),
    ] {
        let ran = remap_after(&server, &format!("mount {mount} {}", place.display())).exits(1);
        assert!(ran.stdout.contains("something is mounted there") && ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
        tree::same(&state(&repository.path), &before.0);
        tree::same(&tree::listing(&outside), &before.1);
    }
    // Nor is anything of it reached by another way while it is closed.
    let ran = remap_after(&server, &format!("mount --bind {} /mnt", snapshot.display())).exits(75);
    assert!(ran.stderr.contains("is mounted at `/mnt`"), "{}", ran.stderr);
    tree::same(&state(&repository.path), &before.0);
    remap(&server, &[]).exits(0);
    tree::same(&tree::listing(&outside), &before.1);
}

/// A run that waits where all of it has been changed, and brings it to the disk.
fn waiting_when_changed(server: &Server) -> Child {
    until_nobody_runs();
    held_up(server, "syncfs:delay_exit=3000000:when=3")
}

/// Nobody can, with the repository closed: here it is root.
#[test]
fn what_appears_while_it_is_being_changed_is_found_in_the_end() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
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

#[test]
fn a_note_that_somebody_else_can_write_is_refused_and_so_is_a_way_that_somebody_else_has_made() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
    moved(&server);
    let before = state(&repository.path);
    let beside = private(&repository.path);
    fs::create_dir(&beside).unwrap();
    for (owner, bits) in [(Some(from().uid), 0o700), (Some(0), 0o755)] {
        chown(&beside, owner, Some(0)).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(bits)).unwrap();
        assert!(remap(&server, &[]).exits(75).stderr.contains("not root's alone"));
    }
    fs::remove_dir(&beside).unwrap();
    symlink("/root", &beside).unwrap();
    assert_ne!(remap(&server, &[]).status, 0);
    fs::remove_file(&beside).unwrap();

    // A file of the gate's that has another name may be open to whoever has that.
    let (ledger, other) = (repository.path.join(".snapgate/ledger.jsonl"), server.path().join("other-name"));
    fs::hard_link(&ledger, &other).unwrap();
    assert!(remap(&server, &[]).exits(1).stdout.contains("has further names"));
    fs::remove_file(&other).unwrap();
    tree::same(&state(&repository.path), &before);

    // A directory that the account can put a link into.
    let accounts = server.path().join("accounts");
    fs::create_dir(&accounts).unwrap();
    symlink(server.store(), accounts.join("link")).unwrap();
    chown(&accounts, Some(from().uid), None).unwrap();
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\nuser: {}\npath: {}/link/web1\n", to().name, accounts.display()));
    assert!(remap(&server, &[]).exits(75).stderr.contains("symbolic link on the way"));
    tree::same(&state(&repository.path), &before);
    // Where root alone can have made it, it is as good as the way that it stands for.
    chown(&accounts, Some(0), None).unwrap();
    fs::set_permissions(&accounts, fs::Permissions::from_mode(0o755)).unwrap();
    remap(&server, &[]).exits(0);
    nothing_is_strange(&repository.path, &to());
}

/// A program of the client's, which would be the new account's, and run as one of its ids, wherever it has a name.
#[test]
fn a_program_that_has_a_name_elsewhere_gets_nobody_else_s_power() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("machine"));
    machine(&source);
    web1.push(&source, &FULL).exits(0);
    web1.push(&source, &FULL).exits(0);
    moved(&server);
    let (snapshot, other) = (repository.snapshot(-1), server.path().join("other-name"));
    for name in ["usr/bin/su", "opt/capable"] {
        fs::hard_link(snapshot.join(name), &other).unwrap();
        let before = state(&repository.path);
        let ran = remap(&server, &[]).exits(1);
        assert!(ran.stdout.contains("1 name outside") && ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
        tree::same(&state(&repository.path), &before);
        fs::remove_file(&other).unwrap();
    }
    remap(&server, &[]).exits(0);
    nothing_is_strange(&repository.path, &to());
}

/// Whoever has the directory above could put another in the place of root's, and have root remove it.
#[test]
fn nothing_else_is_removed_in_the_place_of_root_s_directory() {
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
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
    if skipped() {
        return;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &FULL).exits(0);
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
