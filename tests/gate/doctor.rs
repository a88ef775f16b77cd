//! `check` as root, on what makes backups fail silently: keys that open more than the gate, hands on what decides, clients that never came,
//! mail that nobody took, disks that do not answer.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::checked_world::{FIRST, KEY, KEY_NAME, World};
use support::mount::{Kind, Mount};
use support::{mode, run, until};

/// The fingerprint of a key that nobody has.
const OTHER_KEY: &str = "SHA256:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

const GATE_ALONE: &str = "ForceCommand $DIR/bin/snapgate-shell --config $DIR/etc\nExposeAuthInfo yes\n";

/// Sets when a file was written.
pub(crate) fn aged(world: &World, name: &str, days: u64) {
    let file = fs::File::options().write(true).open(world.path(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
}

#[test]
fn check_is_short_unless_everything_is_asked_for_and_says_the_same_to_programs() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let said = world.run(&["check"]).exits(0).stdout;
    assert!(said.lines().count() == 1 && said.starts_with("1 policy, nothing wrong; 18 of 18 checks found nothing wrong, "), "{said}");
    mode(&world.path("store/ck1"), 0o755);
    let said = world.run(&["check"]).exits(1).stdout;
    assert!(said.starts_with(&format!("{}/etc/policies/ck1.yaml: others can look into", world.dir.path().display())), "{said}");
    assert!(
        said.contains("\n1 policy can be read, 1 problem; 17 of 18 checks") || said.contains("\n1 policy can be read, 1 problem"),
        "{said}"
    );
    assert!(said.ends_with("`snapgate check --fix` offers to mend 1 of these\n"), "{said}");
    let all = world.run(&["check", "--all"]).exits(1).stdout;
    assert!(all.contains("\nrepositories: wrong (each client's directory") && all.contains("\ndisks: ok ("), "{all}");
    let json: serde_json::Value = serde_json::from_str(&world.run(&["check", "--json"]).exits(1).stdout).unwrap();
    assert_eq!((&json["wrong"], json["checks"].as_array().unwrap().len()), (&1.into(), 18));
    let row = json["checks"].as_array().unwrap().iter().find(|row| row["check"] == "repositories").unwrap();
    let found = row["found"].as_array().unwrap().iter().find(|item| item["state"] == "wrong").unwrap();
    assert_eq!(found["remedy"], format!("chmod 0700 {}", world.path("store/ck1").display()));
    world.site("colour: blue\n");
    let said = world.run(&["check"]).exits(1).stdout;
    assert!(said.contains("colour") && said.ends_with("\n0 policies can be read, 1 problem; nothing else was looked at\n"), "{said}");
    let said = world.run(&["check", "--fix"]).exits(1).stdout;
    assert!(said.starts_with("nothing that is wrong takes only a mode, an owner or an enabled unit: it is left to you\n"), "{said}");
}

#[test]
fn what_an_account_does_not_reach_is_said_once_for_all_its_clients() {
    let Some(world) = World::new(&["ck1"]) else { return };
    for number in 2..5 {
        world.put(&format!("etc/policies/other{number}.yaml"), "user: ck1\n", 0o644, 0);
        world.own_directory(&format!("store/other{number}"), "ck1");
    }
    mode(&world.path("spool"), 0o700);
    let said = world.run(&["check"]).exits(1).stdout;
    assert_eq!(said.matches("the account `ck1` may not make anything in `").count(), 1, "{said}");
}

#[test]
fn a_key_that_opens_more_than_the_gate_is_told_and_so_is_one_that_opens_nothing_any_more() {
    let Some(world) = World::new(&["ck1"]) else { return };
    world.sshd(&format!("{GATE_ALONE}Match User ck1\nDisableForwarding no\n"));
    world.finds(1, &["ck1.yaml:1: a key of `ck1` without `restrict` may forward connections", "`DisableForwarding yes`"]);
    let keys = |line: &str| world.put("home/ck1/.ssh/authorized_keys", line, 0o600, world.uid("ck1"));
    keys(&format!("restrict {KEY}"));
    world.finds(0, &["keys: ok (", "can change `"]);
    keys(&format!("restrict,port-forwarding {KEY}restrict {KEY}"));
    world.finds(1, &["a key of `ck1` without `restrict`"]);
    keys(&format!("restrict,expiry-time=\"20200101\" {KEY}restrict {KEY}"));
    world.finds(0, &["a key of `ck1` has expired by `expiry-time`"]);
    keys(&format!("restrict,expiry-time=\"20200101\" {KEY}"));
    world.finds(1, &["ck1.yaml:1: sshd takes no key for `ck1`: those in `", "have expired"]);
    // Root's files, as `add-client` makes them: nobody adds a key.
    fs::create_dir(world.path("keys")).unwrap();
    world.put("keys/ck1", &format!("restrict {KEY}"), 0o644, 0);
    let config = fs::read_to_string(world.path("sshd_config")).unwrap();
    world.put("sshd_config", &config.replace("/home/%u/.ssh/authorized_keys", "/keys/%u"), 0o644, 0);
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("can change `"), "{said}");
}

#[test]
fn a_client_whose_key_sshd_does_not_take_is_told_and_none_is_where_sshd_asks_the_policies() {
    let Some(world) = World::new(&["ck1"]) else { return };
    world.policy("ck1", &format!("keys: [{OTHER_KEY}]\n"));
    let missing = "ck1.yaml:2: sshd takes none of `keys:` for `ck1`: ck1 never gets through";
    let strange =
        format!("note: $DIR/etc/policies/ck1.yaml:1: sshd takes the key `{KEY_NAME}` for `ck1`, and no policy of that account lists it");
    let strange = strange.replace("$DIR", &world.dir.path().display().to_string());
    world.finds(
        1,
        &[missing, "see what `ssh-keygen -lf` says of the key on the client, whatever the file holds: put the client's key into", &strange],
    );
    // What the remedy says to write.
    world.policy("ck1", &format!("keys: [{KEY_NAME}]\n"));
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("sshd takes"), "{said}");
    // Another file of keys, of which the account's own home knows nothing.
    world.policy("ck1", &format!("keys: [{OTHER_KEY}]\n"));
    fs::remove_file(world.path("home/ck1/.ssh/authorized_keys")).unwrap();
    let ask =
        "AuthorizedKeysCommand $DIR/bin/snapgate --config $DIR/etc keys %u %t %k\nAuthorizedKeysCommandUser nobody\nExposeAuthInfo yes\n";
    world.sshd(ask);
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("was not looked at") && !said.contains("sshd takes"), "{said}");
    // As the package has it: closed to all but a group.
    chown(world.path("etc"), None, Some(FIRST)).unwrap();
    mode(&world.path("etc"), 0o750);
    let closed = format!("sshd asks `snapgate keys` as `nobody`, to which `{}` is closed", world.path("etc").display());
    world.finds(1, &[&closed, "add `nobody` to the group"]);
    world.sshd(&ask.replace("nobody", "%u"));
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("snapgate keys"), "{said}");
    mode(&world.path("etc/policies/ck1.yaml"), 0o600);
    let said = world.run(&["check", "--all"]).stdout;
    assert!(said.contains("as `ck1`, to which `") && said.contains("policies/ck1.yaml` is closed: keys of policies there"), "{said}");
    mode(&world.path("etc/policies/ck1.yaml"), 0o644);
    world.sshd(&ask.replace("nobody", "no-such-one"));
    world.finds(1, &["`AuthorizedKeysCommandUser` for `ck1` is `no-such-one`, which is no account"]);
    world.sshd(&format!("{GATE_ALONE}{}", ask.replace(" %t %k", "").replace("nobody", "ck1")));
    world.finds(1, &["and does not tell it the key: no key of a policy lets in as `ck1`"]);
    mode(&world.path("etc"), 0o755);
    world.sshd(ask);
    world.policy("ck1", "");
    world.finds(1, &["sshd takes no key for `ck1`: it asks `snapgate keys`, and no policy of that account has `keys:`"]);
    world.policy("ck1", &format!("keys: [{OTHER_KEY}]\n"));
    world.put("bin/keys", "#!/bin/sh\n", 0o755, 0);
    world.sshd(&format!("{GATE_ALONE}{}", ask.replace("$DIR/bin/snapgate --config $DIR/etc keys", "$DIR/bin/keys")));
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(said.contains("whether sshd finds a key for `ck1` was not looked at"), "{said}");
}

#[test]
fn a_file_that_sshd_runs_before_the_gate_is_told_where_the_account_can_write_it_and_only_there() {
    let Some(world) = World::new(&["ck1"]) else { return };
    world.sshd("PermitUserRC yes\nX11Forwarding yes\nExposeAuthInfo yes\n");
    let line = format!("command=\"$DIR/bin/snapgate-shell\" {KEY}");
    world.put("home/ck1/.ssh/authorized_keys", &line, 0o600, world.uid("ck1"));
    let runs = "for a key of `ck1` without `restrict` sshd runs ~/.ssh/rc, which the account can write";
    world.finds(1, &[runs, "a key of `ck1` without `restrict` may ask sshd for more than the gate (a terminal)", "set `PermitTTY no`"]);
    let roots = |path: &str| {
        chown(world.path(path), Some(0), None).unwrap();
        mode(&world.path(path), 0o755);
    };
    // Who owns the directory above may put another in its place.
    roots("home/ck1/.ssh");
    world.finds(1, &[runs]);
    roots("home/ck1");
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("~/.ssh/rc"), "{said}");
    mode(&world.path("home/ck1/.ssh"), 0o777);
    world.finds(1, &[runs]);
}

#[test]
fn what_decides_over_an_account_and_is_in_its_hands_is_told_and_not_blessed() {
    let Some(world) = World::new(&["ck1"]) else { return };
    chown(world.path("bin"), Some(world.uid("ck1")), None).unwrap();
    world.finds(2, &["ck1.yaml:1: the account `ck1` can change `", "/bin/snapgate-shell`, which decides what it may do"]);
    mode(&world.path("sshd_config"), 0o666);
    world.finds(3, &["sshd_config`, which decides"]);
    // Whatever it has put there would be root's word.
    let said = world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
    assert!(!said.contains("\n    ch") && said.contains("read it, for the account may have written it, and install it anew"), "{said}");
    assert_eq!(fs::metadata(world.path("bin")).unwrap().uid(), world.uid("ck1"));
    assert_eq!(fs::metadata(world.path("sshd_config")).unwrap().mode() & 0o7777, 0o666);
    chown(world.path("bin"), Some(0), None).unwrap();
    mode(&world.path("sshd_config"), 0o644);
    world.finds(0, &[]);
    // A list of accesses lets an account in where the mode of a directory does not show it.
    if run(Command::new("setfacl").args(["-m", &format!("u:{}:rwx", world.uid("ck1"))]).arg(world.path("bin"))).status == 0 {
        world.finds(2, &["/bin/snapgate-shell`, which decides"]);
    }
}

#[test]
fn each_part_of_sshd_s_settings_is_root_s_alone() {
    if !fs::exists("/etc/ssh/sshd_config.d").unwrap() || !fs::exists("/etc/ssh/sshd_config").unwrap() {
        return support::skip("this machine has no /etc/ssh/sshd_config.d");
    }
    let Some(world) = World::new(&["ck1"]) else { return };
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap();
    let without: String = site.lines().filter(|line| !line.starts_with("sshd:")).map(|line| format!("{line}\n")).collect();
    world.put("etc/snapgate.yaml", &without, 0o644, 0);
    fs::create_dir(world.path("parts")).unwrap();
    let dir = world.dir.path().display();
    let done = format!("mount --bind {dir}/sshd_config /etc/ssh/sshd_config && mount --bind {dir}/parts /etc/ssh/sshd_config.d");
    let hands = |uid: u32| {
        world.put("parts/60-more.conf", "# nothing\n", 0o644, uid);
        let said = world.run_after(&done, &["check"]).stdout;
        said.contains("the account `ck1` can change `/etc/ssh/sshd_config.d/60-more.conf`, which decides what it may do")
    };
    assert!(!hands(0) && hands(world.uid("ck1")));
}

#[test]
fn a_client_that_never_came_is_told_once_it_had_the_time() {
    let Some(world) = World::new(&["ck1", "ck2"]) else { return };
    world.finds(0, &["the client ck1 has never pushed"]);
    aged(&world, "etc/policies/ck1.yaml", 5);
    world.finds(1, &["ck1.yaml:1: the client ck1 has never pushed; its policy is of "]);
    world.policy("ck1", "frozen: \"its disk is being replaced\"\n");
    aged(&world, "etc/policies/ck1.yaml", 5);
    world.finds(0, &["the client is frozen"]);
    world.policy("ck1", "verbs: [status]\n");
    aged(&world, "etc/policies/ck1.yaml", 5);
    world.finds(0, &[]);
    world.policy("ck1", "");
    aged(&world, "etc/policies/ck1.yaml", 5);
    world.own_directory("store/ck1/snapshots", "ck1");
    world.own_directory("store/ck1/snapshots/2026-01-01T00-00-00Z", "ck1");
    world.finds(0, &[]);
}

#[test]
fn that_a_mailer_took_a_mail_is_remembered() {
    let Some(world) = World::new(&["ck1"]) else { return };
    world.finds(0, &["no mailer has taken a mail of this server's yet"]);
    let dir = world.dir.path().display().to_string();
    let script = format!(
        "mount --bind {dir}/passwd /etc/passwd && SSH_ORIGINAL_COMMAND=reboot SSH_CONNECTION='192.0.2.1 1 192.0.2.2 22' \
         setpriv --reuid={} --regid={FIRST} --clear-groups {dir}/bin/snapgate-shell --config {dir}/etc",
        world.uid("ck1")
    );
    run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script])).exits(77);
    let uid = world.uid("ck1");
    // The gate's own watch may have sent it, or root's does.
    until("a mail that is taken", || {
        let _ = world.run(&["watch", "--flush"]);
        [0, uid].iter().any(|uid| world.path(&format!("spool/{uid}/mailed")).exists())
    });
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("a mail of this server's yet"), "{said}");
    assert!(said.contains("`snapgate watch` ran last at "), "{said}");
    for uid in [0, uid] {
        if world.path(&format!("spool/{uid}/mailed")).exists() {
            aged(&world, &format!("spool/{uid}/mailed"), 20);
        }
    }
    world.finds(1, &["the last mail that a mailer took was on ", "a digest was due since"]);
    world.site("digest: off\n");
    world.finds(0, &["the last mail that a mailer took was on "]);
}

#[test]
fn a_disk_that_does_not_answer_is_told_and_holds_nothing_else_up() {
    let Some(world) = World::new(&["ck1", "ck2"]) else { return };
    fs::create_dir(world.path("usb")).unwrap();
    world.policy("ck1", "path: $DIR/usb/ck1\n");
    mode(&world.path("store/ck2"), 0o755);
    let usb = world.path("usb").display().to_string();
    // Nobody serves it: whoever looks waits for ever.
    let hang = |place: &str| format!("exec 9<>/dev/fuse && mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none {place}");
    if run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &hang(&usb)])).status != 0 {
        return support::skip("this machine mounts no FUSE");
    }
    let begun = Instant::now();
    let said = world.run_after(&hang(&usb), &["check"]).exits(1).stdout;
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(said.contains("ck1.yaml:2: the disk of `") && said.contains("does not answer: its client cannot push"), "{said}");
    assert!(said.contains("ck2.yaml: others can look into") && said.contains("2 problems; "), "the rest was looked at: {said}");
    let said = world.run_after(&hang(&world.path("store").display().to_string()), &["check"]).exits(1).stdout;
    assert!(said.contains("no push can run, and nothing else was looked at") && said.contains("1 problem; "), "{said}");
}

#[test]
fn a_disk_that_is_to_be_mounted_and_is_not_is_told_and_how_it_is_mounted() {
    if !fs::exists("/etc/fstab").unwrap() {
        return support::skip("this machine has no /etc/fstab");
    }
    let Some(world) = World::new(&["ck1"]) else { return };
    let store = world.path("store").display().to_string();
    world.put("fstab", &format!("# x\nUUID=1 / ext4 defaults 0 1\n/dev/nothing {store} ext4 noatime 0 2\n"), 0o644, 0);
    let fstab = format!("mount --bind {}/fstab /etc/fstab", world.dir.path().display());
    let said = world.run_after(&fstab, &["check", "--all"]).exits(1).stdout;
    assert!(said.contains(&format!("snapgate.yaml:1: `{store}` is in /etc/fstab and not mounted")), "{said}");
    let mounted = |options: &str| {
        format!("{fstab} && mount -t tmpfs -o size=400m,mode=711{options} tmpfs {store} && install -d -o ck1 -m 700 {store}/ck1")
    };
    let said = world.run_after(&mounted(""), &["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("not mounted:") && said.contains("is mounted without `noatime`"), "{said}");
    let said = world.run_after(&mounted(",noatime"), &["check", "--all"]).exits(0).stdout;
    assert!(!said.contains("without `noatime`"), "{said}");
    // A repository on another disk.
    let elsewhere = world.path("elsewhere").display().to_string();
    fs::create_dir(&elsewhere).unwrap();
    world.policy("ck1", &format!("path: {elsewhere}/ck1\n"));
    let other = format!("mount -t tmpfs -o size=400m,mode=711 tmpfs {elsewhere} && install -d -o ck1 -m 700 {elsewhere}/ck1");
    let said = world.run_after(&format!("{} && {other}", mounted(",noatime")), &["check", "--all"]).stdout;
    assert!(said.contains(&format!("the disk of `{elsewhere}/ck1` is mounted without `noatime`")), "{said}");
}

#[test]
fn files_that_soon_cannot_have_another_name_are_told() {
    let Some(world) = World::new(&["ck1"]) else { return };
    for (kind, size, most) in [(Kind::Ext4, 64, 65_000), (Kind::Btrfs, 200, 65_535)] {
        let Some(disk) = Mount::new(kind, size) else { continue };
        let snapshot = disk.store().join("ck1/snapshots/2026-01-01T00-00-00Z");
        fs::create_dir_all(&snapshot).unwrap();
        let other = disk.store().join("names");
        fs::create_dir(&other).unwrap();
        fs::write(snapshot.join("file"), "x").unwrap();
        let few = most * 9 / 10 - 100;
        let link = |name: u64| fs::hard_link(snapshot.join("file"), other.join(name.to_string())).unwrap();
        (1..few).for_each(link);
        run(Command::new("chown").args(["-R", &world.uid("ck1").to_string()]).arg(disk.store().join("ck1"))).exits(0);
        mode(&disk.store().join("ck1"), 0o700);
        mode(&disk.store(), 0o755);
        world.policy("ck1", &format!("path: {}/ck1\n", disk.store().display()));
        let said = || world.run(&["check", "--all"]).stdout;
        assert!(!said().contains(&format!(" names of the {most}")), "{few} are not yet many");
        (few..few + 200).for_each(link);
        let (have, left) = (few + 200, most - few - 200);
        let words = format!(
            "have {have} names of the {most} that their file system lets them have: after {left} more snapshots they are stored anew"
        );
        assert!(said().contains(&words), "{words} in {}", said());
        // As many as it says, and no more.
        (have..most).for_each(link);
        let refused = fs::hard_link(snapshot.join("file"), other.join("last")).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(nix::errno::Errno::EMLINK as i32));
    }
}
