//! `check` as root: what stops pushes is a problem with a remedy.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::Command;

use chrono::{TimeDelta, Utc};

use crate::checked_world::{FIRST, KEY, KEY_NAME, World};
use support::{mode, must, run};

#[test]
fn check_finds_nothing_where_every_account_can_do_what_it_has_to_and_says_what_holds_for_each() {
    let Some(world) = World::new(&["ck1", "ck2", "ck3"]) else { return };
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    for line in
        ["jail, a file system of its own (asked for `ck1`): enforced", "jail, links made by the gate alone (asked for `ck1`): enforced"]
    {
        assert!(said.lines().any(|found| found == line), "{line} in {said}");
    }
    assert!(!said.contains("NOT enforced, it") && !said.contains("setgroups"), "{said}");
}

#[test]
fn check_finds_out_what_holds_as_a_connection_of_each_account_does() {
    let Some(world) = World::new(&["ck1", "ck2", "ck3"]) else { return };
    let dir = world.dir.path().display().to_string();
    // ck2 may run it by a group that is not its own, ck1 and ck3 may not.
    must(Command::new("install").args(["-m", "0750", "-g", "77777", "/usr/bin/rsync"]).arg(world.path("bin/rsync")));
    let group = fs::read_to_string("/etc/group").unwrap() + "ckgroup:x:77777:ck2\n";
    world.put("group", &group, 0o644, 0);
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap();
    world.put("etc/snapgate.yaml", &site.replace("/usr/bin/rsync", &format!("{dir}/bin/rsync")), 0o644, 0);
    let grouped = format!("mount --bind {dir}/group /etc/group");
    let said = world.run_after(&grouped, &["check", "--all"]).exits(1).stdout;
    let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} in {said}"));
    for what in ["a file system of its own", "links made by the gate alone"] {
        assert!(line(&format!("jail, {what} (asked for `ck1`)")).contains("NOT enforced, "), "{said}");
        assert!(line(&format!("jail, {what} (asked for `ck2`)")).ends_with(": enforced"), "{said}");
    }
    assert!(!said.contains("asked for `ck3`"), "as for ck1: {said}");
    assert!(said.contains("the account `ck3` may not run") && !said.contains("the account `ck2` may not"), "{said}");

    // Where owners are kept, the namespace of the client's ids is part of it.
    world.put("etc/snapgate.yaml", &site.replace("owners: drop", "owners: keep"), 0o644, 0);
    let ranges: String =
        ["ck1", "ck2", "ck3"].iter().zip(1..).map(|(name, n)| format!("{name}:{}:65536\n", 1_900_000_000 + n * 70_000)).collect();
    world.put("ranges", &ranges, 0o644, 0);
    let mapped = format!("mount --bind {dir}/ranges /etc/subuid && mount --bind {dir}/ranges /etc/subgid");
    let said = world.run_after(&mapped, &["check", "--all"]).exits(0).stdout;
    assert!(said.contains("owners of ck1: kept"), "{said}");
    assert!(said.contains("jail, a file system of its own (asked for `ck1`): enforced"), "{said}");
    world.put("bin/broken.text", "#!/bin/sh\necho no more ranges >&2; exit 1\n", 0o755, 0);
    let broken = format!("{mapped} && mount --bind {dir}/bin/broken.text $(command -v newuidmap)");
    let said = world.run_after(&broken, &["check", "--all"]).exits(1).stdout;
    assert!(said.contains("a file system of its own (asked for `ck1`): NOT enforced, ") && said.contains("no more ranges"), "{said}");
}

#[test]
fn check_finds_logins_that_do_not_lead_to_the_gate() {
    let Some(world) = World::new(&["ck1", "ck2"]) else { return };
    // A block that reaches only one of them.
    world.sshd("Match User ck1\nForceCommand $DIR/bin/snapgate-shell\n");
    world.finds(1, &["ck2.yaml:1: no `ForceCommand` of sshd's reaches `ck2`", "sshd -T -C user=ck2"]);
    // The key's own command does as well.
    let gated = format!("restrict,command=\"$DIR/bin/snapgate-shell\" {KEY}");
    world.put("home/ck2/.ssh/authorized_keys", &gated, 0o600, world.uid("ck2"));
    world.finds(0, &[]);
    world.put("home/ck2/.ssh/authorized_keys", &(gated + KEY), 0o600, world.uid("ck2"));
    world.finds(1, &["ck2.yaml:1: no `ForceCommand`"]);
    world.sshd("ForceCommand /opt/nothing/snapgate-shell\n");
    world.policy("ck1", &format!("keys: [{KEY_NAME}]\n"));
    world.finds(
        3,
        &[
            "what sshd runs for it, `/opt/nothing/snapgate-shell` is not there",
            "ck1.yaml:2: sshd does not tell which key of `ck1` logged in",
        ],
    );
    world.policy("ck1", "");
    world.sshd("ForceCommands x\n");
    world.finds(1, &["sshd does not say what it does with `ck1`", "ForceCommands"]);
    world.site("");
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap();
    world.put("etc/snapgate.yaml", &site.replace("sshd: ", "# "), 0o644, 0);
    assert!(site.contains("sshd: "));
}

#[test]
fn check_finds_accounts_without_a_key_whatever_stands_in_the_place_of_the_file() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let file = world.path("home/ck1/.ssh/authorized_keys");
    fs::remove_file(&file).unwrap();
    world.finds(1, &["ck1.yaml:1: sshd takes no key for `ck1`", "authorized_keys` is not there"]);
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    chown(&file, Some(world.uid("ck1")), None).unwrap();
    world.finds(1, &["authorized_keys` cannot be read by it: it is no file"]);
    fs::remove_file(&file).unwrap();
    symlink("/etc/shadow", &file).unwrap();
    world.finds(1, &["authorized_keys` cannot be read by it: permission denied"]);
    fs::remove_file(&file).unwrap();
    world.put("home/ck1/.ssh/authorized_keys", "# none\n", 0o600, world.uid("ck1"));
    world.finds(1, &["authorized_keys` holds none"]);
    world.put("home/ck1/.ssh/authorized_keys", KEY, 0o600, 0);
    world.finds(1, &["authorized_keys` cannot be read by it"]);
}

#[test]
fn check_finds_shells_that_stand_in_the_way() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let shell = |text: &str| {
        world.put("bin/shell.text", text, 0o644, 0);
        must(Command::new("install").args(["-m", "0755"]).arg(world.path("bin/shell.text")).arg(world.path("bin/odd")));
        world.shell(&world.path("bin/odd").display().to_string());
    };
    shell("#!/bin/sh\necho Welcome to the server\nexec /bin/sh \"$@\"\n");
    world.finds(1, &["of `ck1` prints `Welcome to the server` of its own accord", "chsh -s /bin/sh ck1"]);
    // It is the account who says it, and it has no terminal of root's.
    shell("#!/bin/sh\necho $(id -u) $(id -G) $( (: </dev/tty) 2>&1 | grep -c 'No such device'); exec /bin/sh \"$@\"\n");
    world.finds(1, &[&format!("prints `{} {FIRST} 1` of its own accord", world.uid("ck1"))]);
    shell("#!/bin/sh\nyes\n");
    world.finds(1, &["does not run what sshd gives it: it says `y"]);
    shell("#!/bin/sh\nsleep 1000 &\necho one two three; exit 1\n");
    world.finds(1, &["does not run what sshd gives it: it says `one two three`"]);
    for turned_away in ["/usr/sbin/nologin", "/bin/false", "/no/such/shell"] {
        world.shell(turned_away);
        world.finds(1, &[&format!("the shell `{turned_away}` of `ck1` does not run what sshd gives it")]);
    }
    // The gate as a shell is one, as long as it is given no words of its own.
    world.shell(&world.path("bin/snapgate-shell").display().to_string());
    world.finds(1, &["ck1.yaml:1: the shell of `ck1` is the gate, which refuses `", "in `keys:` of its policy"]);
    for forced in ["ForceCommand $DIR/bin/snapgate-shell\nSubsystem sftp internal-sftp\n", "ForceCommand snapgate-shell\n", ""] {
        world.sshd(&format!("{forced}ExposeAuthInfo yes\n"));
        world.finds(0, &[]);
    }
    // sshd's own sftp is started by no shell.
    world.sshd("Subsystem sftp internal-sftp\nExposeAuthInfo yes\n");
    world.finds(1, &["ck1.yaml:1: sshd answers sftp for `ck1` itself, past its shell"]);
}

#[test]
fn check_finds_an_account_whose_groups_sshd_keeps_out() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let groups = fs::read_to_string("/etc/group").unwrap();
    world.put("group", &format!("{groups}backups:x:{FIRST}:\n"), 0o644, 0);
    let check = |lines: &str| {
        world.sshd(&format!("ForceCommand $DIR/bin/snapgate-shell --config $DIR/etc\nExposeAuthInfo yes\n{lines}\n"));
        let ran = world.run_after(&format!("mount --bind {}/group /etc/group", world.dir.path().display()), &["check", "--all"]);
        ran.stdout.contains("sshd lets `ck1` not in")
    };
    assert!(check("AllowGroups admins") && check("DenyGroups backups"));
    assert!(!check("AllowGroups admins backup*") && !check("DenyGroups admins"));
}

#[test]
fn nothing_that_check_has_started_as_an_account_outlives_it() {
    let Some(world) = World::new(&["ck1"]) else { return };
    // `$$` would be its number in the namespace that ends with it.
    world.put("bin/hangs", "#!/bin/sh\nread pid rest < /proc/self/stat\necho $pid > $DIR/home/ck1/pid\nexec sleep 1000\n", 0o755, 0);
    world.shell(&world.path("bin/hangs").display().to_string());
    let script = "mount --bind $0/passwd /etc/passwd; $0/bin/snapgate --config $0/etc check --all & check=$!
        for try in $(seq 100); do test -s $0/home/ck1/pid && break; sleep 0.1; done
        kill -9 $check; pid=$(cat $0/home/ck1/pid) || exit 2
        for try in $(seq 50); do kill -0 $pid || exit 0; sleep 0.1; done
        kill -9 $pid; exit 1";
    run(Command::new("unshare").args(["-m", "/bin/sh", "-c", script]).arg(world.dir.path())).exits(0);
}

#[test]
fn check_finds_an_account_that_is_missing_and_says_so_at_the_end() {
    let Some(world) = World::new(&["ck1"]) else { return };
    world.policy("ck1", "");
    world.put("etc/policies/gone.yaml", "user: no-such-one\n", 0o644, 0);
    world.finds(1, &["gone.yaml:1: this machine has no account `no-such-one`"]);
}

#[test]
fn check_finds_what_an_account_cannot_reach() {
    let Some(world) = World::new(&["ck1"]) else { return };
    mode(&world.path("store"), 0o700);
    world.finds(1, &["ck1.yaml:1: the account `ck1` may not enter", "store`\nchmod o+x"]);
    mode(&world.path("store"), 0o711);
    mode(&world.path("bin/snapgate-shell"), 0o700);
    world.finds(1, &["the account `ck1` may not run", "bin/snapgate-shell"]);
    mode(&world.path("bin/snapgate-shell"), 0o755);
    chown(world.path("spool"), None, Some(0)).unwrap();
    world.finds(1, &["the account `ck1` may not make anything in", "spool"]);
}

#[test]
fn check_finds_repositories_that_are_missing_and_names_that_are_no_snapshots() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let snapshots = world.path("store/ck1/snapshots");
    let whole = (Utc::now() - TimeDelta::days(1)).format("%Y-%m-%dT%H-%M-%SZ").to_string();
    world.own_directory("store/ck1/snapshots", "ck1");
    fs::create_dir(snapshots.join(&whole)).unwrap();
    world.finds(0, &[]);
    for odd in ["home", "2026/notes", "2026-02-31T00-00-00Z"] {
        fs::create_dir_all(snapshots.join(odd)).unwrap();
    }
    world.finds(1, &["holds what is no snapshot of this client's: ", "`home`", "`2026`", "`2026-02-31T00-00-00Z`", "move it out"]);
    for odd in ["home", "2026", "2026-02-31T00-00-00Z"] {
        fs::remove_dir_all(snapshots.join(odd)).unwrap();
    }
    let ahead = (Utc::now() + TimeDelta::days(400)).format("%Y-%m-%dT%H-%M-%SZ").to_string();
    fs::create_dir(snapshots.join(&ahead)).unwrap();
    world.finds(1, &[&format!("`{ahead}`, is in the future"), "set the clock"]);
    // Whatever the account has made of it: nothing of root's is looked at, and nobody waits.
    fs::remove_dir_all(&snapshots).unwrap();
    symlink("/root", &snapshots).unwrap();
    world.finds(1, &["cannot be read: permission denied"]);

    fs::remove_dir_all(world.path("store/ck1")).unwrap();
    world.finds(1, &["ck1` is not there, and the account `ck1` cannot make it", "install -d -o ck1 -m 0700"]);
    mode(&world.path("store"), 0o777);
    world.finds(1, &["is not there yet", "everybody may write"]);
    mode(&world.path("store"), 0o711);
    // As a gate leaves it that has published something.
    world.own_directory(&format!("spool/{}", world.uid("ck1")), "ck1");
    fs::write(world.path(&format!("spool/{}/published-ck1", world.uid("ck1"))), "").unwrap();
    world.finds(1, &["ck1` is not there, though ck1 has pushed before", "see whether its disk is mounted"]);
    let listed = world.run(&["list", "ck1"]);
    assert!(listed.status == 75 && listed.stdout.contains("ck1: its snapshots are not there: the repository `"), "{listed:?}");
}

#[test]
fn check_finds_disks_that_are_full_or_not_the_ones_that_are_meant() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let on_disk = |options: &str, fill: &str, place: &Path| {
        let dir = world.dir.path().display();
        let script = format!(
            "mount --bind {dir}/passwd /etc/passwd && mount -t tmpfs -o {options} tmpfs {place} && chown ck1 {place} && {{ {fill}; }} && \
             exec {dir}/bin/snapgate --config {dir}/etc check",
            place = place.display()
        );
        run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script])).exits(1).stdout
    };
    let store = world.path("store");
    let own = "install -d -o ck1 -m 700 $PWD/ck1";
    let fill = |with: &str| format!("cd {}; {own}; {with}; cd /; true", store.display());
    for (options, with, words) in [
        ("size=4m,mode=711", "dd if=/dev/zero of=fill bs=4096 2>/dev/null", "is full: "),
        ("size=40m,mode=711", "dd if=/dev/zero of=fill bs=1M count=39 2>/dev/null", "is nearly full: 1 MiB of 40 MiB are free"),
        ("size=40m,nr_inodes=200,mode=711", "for i in $(seq 195); do touch $i; done", "more files of 200"),
        ("size=40m,nr_inodes=20,mode=711", "for i in $(seq 30); do touch $i; done 2>/dev/null", "can hold no more files"),
        ("size=40m,mode=711", "mount -o remount,ro .", "is mounted read-only"),
    ] {
        let said = on_disk(options, &fill(with), &store);
        assert!(said.contains(words) && said.contains("the disk of"), "{words} in {said}");
    }
    // Elsewhere, and nothing says that it has to be there.
    fs::create_dir(world.path("usb")).unwrap();
    world.policy("ck1", "path: $DIR/usb/ck1\n");
    let usb = world.path("usb");
    let said = on_disk("size=400m,mode=711", &format!("cd {}; {own}; cd /", usb.display()), &usb);
    assert!(said.contains("ck1.yaml:2: the repository") && said.contains("is on another disk than the store"), "{said}");
    assert!(said.contains("write require_mount: true"), "{said}");
    world.policy("ck1", "");
    let snapshots = world.path("store/ck1/snapshots");
    fs::create_dir(&snapshots).unwrap();
    let said = on_disk("size=400m,mode=755", "true", &snapshots);
    assert!(said.contains("is on another disk than the repository: nothing can be published"), "{said}");
}

#[test]
fn check_finds_mail_that_was_refused() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let dir = world.dir.path().display().to_string();
    world.site("");
    // Nobody listens there.
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap().replace(&format!("file:{dir}/mail"), "smtp://127.0.0.1:1");
    world.put("etc/snapgate.yaml", &site, 0o644, 0);
    world.finds(0, &[]);
    let script = format!(
        "mount --bind {dir}/passwd /etc/passwd && SSH_ORIGINAL_COMMAND=reboot SSH_CONNECTION='192.0.2.1 1 192.0.2.2 22' \
         setpriv --reuid={} --regid={FIRST} --clear-groups {dir}/bin/snapgate-shell --config {dir}/etc",
        world.uid("ck1")
    );
    run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script])).exits(77);
    // The gate's own watch may be at it.
    let waits = || fs::read_dir(world.path(&format!("spool/{}/out", world.uid("ck1")))).is_ok_and(|mut out| out.next().is_some());
    assert!((0..200).any(|_| {
        let _ = world.run(&["watch"]);
        waits()
    }));
    world.finds(1, &["snapgate.yaml:6: 1 mail waits in", "the mailer cannot be reached, or takes none now", "run `snapgate watch`"]);
    // Something that is no spool's in the account's directory holds nobody up.
    let out = world.path(&format!("spool/{}/out", world.uid("ck1")));
    fs::rename(&out, world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), &out).unwrap();
    world.finds(1, &["out"]);
}
