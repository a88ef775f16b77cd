//! `check` as root, on what stands in repositories and on the ways to them.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::process::Command;

use crate::checked_world::World;
use support::run;

#[test]
fn check_finds_what_in_a_repository_its_account_may_not_write() {
    let Some(world) = World::new(&["ck1"]) else { return };
    for directory in ["snapshots", ".snapgate", ".snapgate/logs", ".snapgate/unrecorded"] {
        world.own_directory(&format!("store/ck1/{directory}"), "ck1");
    }
    for file in ["lock", "rsync.lock", "ledger.jsonl"] {
        world.put(&format!("store/ck1/.snapgate/{file}"), "", 0o600, world.uid("ck1"));
    }
    world.finds(0, &[]);
    for (name, words) in [
        ("snapshots", "ck1` may not make anything in"),
        (".snapgate/logs", "ck1` may not make anything in"),
        (".snapgate/unrecorded", "ck1` may not make anything in"),
        (".snapgate/lock", "ck1` may not write to"),
        (".snapgate/rsync.lock", "ck1` may not write to"),
        (".snapgate/ledger.jsonl", "ck1` may not write to"),
    ] {
        let path = world.path(&format!("store/ck1/{name}"));
        chown(&path, Some(0), None).unwrap();
        // So that it can be looked at, and not be changed.
        run(Command::new("chmod").arg("a+rX").arg(&path)).exits(0);
        world.finds(1, &[words, &format!("{name}`\ngive it to `ck1`")]);
        chown(&path, Some(world.uid("ck1")), None).unwrap();
    }
    let repository = world.path("store/ck1");
    if run(Command::new("chattr").arg("+i").arg(&repository)).status == 0 {
        let ran = world.run(&["check", "--all"]);
        run(Command::new("chattr").arg("-i").arg(&repository)).exits(0);
        assert!(ran.stdout.contains("ck1` may not make anything in") && ran.stdout.contains("\nchattr -i `"), "{}", ran.stdout);
        ran.exits(1);
    }
    fs::create_dir(world.path("store/ck1/current")).unwrap();
    world.finds(1, &["`current` beside", "is no symlink: nothing can be published"]);
    fs::remove_dir(world.path("store/ck1/current")).unwrap();
    symlink("snapshots/x", world.path("store/ck1/current")).unwrap();
    world.finds(0, &[]);
    let own = format!("spool/{}", world.uid("ck1"));
    for kept in ["", "/tmp", "/new", "/out", "/dead"] {
        world.own_directory(&format!("{own}{kept}"), "ck1");
    }
    world.finds(0, &[]);
    fs::set_permissions(world.path(&format!("{own}/new")), std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    world.finds(1, &["ck1` may not make anything in", "/new`"]);
}

#[test]
fn check_follows_links_on_the_way_to_a_repository_and_finds_where_it_is_one() {
    let Some(world) = World::new(&["ck1", "ck2"]) else { return };
    fs::rename(world.path("store/ck1"), world.path("store/real")).unwrap();
    symlink("real", world.path("store/ck1")).unwrap();
    world.finds(1, &["ck1` is a symlink: the gate follows none there\nwrite path: ", "store/real"]);
    fs::remove_file(world.path("store/ck1")).unwrap();
    fs::rename(world.path("store/real"), world.path("store/ck1")).unwrap();
    // The store may be one, and two of its names are still one place.
    symlink("store", world.path("shop")).unwrap();
    world.policy("ck1", "path: $DIR/shop/ck1\n");
    world.finds(0, &[]);
    fs::create_dir(world.path("store/ck1/inner")).unwrap();
    chown(world.path("store/ck1/inner"), Some(world.uid("ck2")), None).unwrap();
    fs::set_permissions(world.path("store/ck1/inner"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    world.policy("ck2", "path: $DIR/store/ck1/inner\n");
    assert!(world.run(&["check", "--all"]).exits(1).stdout.contains("inner` is inside the repository of ck1"));
}

#[test]
fn check_asks_sshd_about_the_port_on_which_it_listens() {
    let Some(world) = World::new(&["ck1"]) else { return };
    world.sshd("Port 2222\nMatch LocalPort 2222\nForceCommand $DIR/bin/snapgate-shell --config $DIR/etc\n");
    world.finds(0, &[]);
    world.sshd("Port 2222\nMatch LocalPort 22\nForceCommand $DIR/bin/snapgate-shell --config $DIR/etc\n");
    world.finds(1, &["no `ForceCommand` of sshd's reaches `ck1`", "lport=2222` shows what holds"]);
    world.sshd("ForceCommand $DIR/bin/snapgate-shell\nAuthorizedKeysCommand /bin/false\nAuthorizedKeysCommandUser nobody\n");
    fs::remove_file(world.path("home/ck1/.ssh/authorized_keys")).unwrap();
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(said.contains("a key for `ck1` was not looked at") && said.ends_with("nothing wrong in what was looked at\n"), "{said}");
}
