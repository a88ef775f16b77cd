//! `check` as root, on what stands between a login and the gate: other programs, doors of the machine's own, and what sshd asks for besides.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::checked_world::{FIRST, KEY, World};
use support::{must, run};

#[test]
fn check_takes_a_program_for_the_gate_by_its_file_and_by_no_name() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let keys = |command: &str| {
        let line = format!("restrict,command=\"{command}\" {KEY}");
        world.put("home/ck1/.ssh/authorized_keys", &line, 0o600, world.uid("ck1"));
    };
    let no_gate = ["which is something that is not the gate"];
    world.put("bin/rrsync", "#!/usr/bin/env python3\nimport os\n", 0o755, 0);
    for (program, problems) in [("rrsync", 1), ("gate", 0), ("wrapper", 0), ("snapgate-shell", 0)] {
        match program {
            "gate" => symlink("snapgate-shell", world.path("bin/gate")).unwrap(),
            "wrapper" => world.put("bin/wrapper", "#!/bin/sh\nexec snapgate-shell\n", 0o755, 0),
            _ => {}
        }
        let words: &[&str] = if problems == 1 {
            &no_gate
        } else if program == "wrapper" {
            &["cannot be seen"]
        } else {
            &[]
        };
        world.sshd("");
        keys(&format!("$DIR/bin/{program}"));
        world.finds(problems, words);
        world.sshd(&format!("ForceCommand $DIR/bin/{program}\n"));
        world.finds(problems, words);
    }
    fs::remove_file(world.path("bin/rrsync")).unwrap();
    symlink("snapgate-shell", world.path("bin/rrsync")).unwrap();
    world.sshd("");
    keys("$DIR/bin/rrsync -wo /srv");
    world.finds(0, &[]);
    for forced in ["internal-sftp", "/bin/true", "$DIR/home/ck1"] {
        world.sshd(&format!("ForceCommand {forced}\n"));
        assert!(world.run(&["check", "--all"]).exits(1).stdout.contains(no_gate[0]), "{forced}");
    }
    // As a shell it has to be the gate, too.
    world.sshd("");
    world.put("home/ck1/.ssh/authorized_keys", KEY, 0o600, world.uid("ck1"));
    world.put("bin/snapgate-old", "#!/bin/sh\nexec /bin/sh \"$@\"\n", 0o755, 0);
    world.shell(&world.path("bin/snapgate-old").display().to_string());
    world.finds(1, &["no `ForceCommand` of sshd's reaches `ck1`"]);
    world.shell(&world.path("bin/rrsync").display().to_string());
    world.finds(0, &[]);
}

#[test]
fn check_finds_what_sshd_wants_besides_a_key() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let gate = "ForceCommand $DIR/bin/snapgate-shell --config $DIR/etc\n";
    for (line, words) in [
        ("ChrootDirectory /srv", "sshd locks `ck1` into `/srv`"),
        ("AuthenticationMethods publickey,password", "sshd is not content with a key of `ck1`"),
        ("PubkeyAuthentication no", "`PubkeyAuthentication` is off"),
        ("DenyUsers ck?", "keeps it out"),
        ("AllowUsers somebody", "keeps it out"),
        (
            "AuthorizedKeysCommand /no/such/program\nAuthorizedKeysCommandUser nobody",
            "what sshd asks for keys, `/no/such/program` is not there",
        ),
        ("TrustedUserCAKeys /no/such/file", "what sshd asks for keys, `/no/such/file` is not there"),
    ] {
        world.sshd(&format!("{gate}{line}\n"));
        world.finds(1, &[words]);
    }
    world.sshd(&format!("{gate}AllowGroups backups\n"));
    // The group has no name: nobody can say.
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(said.contains("was not looked at") && said.ends_with("1 policy, nothing wrong in what was looked at\n"), "{said}");
    world.sshd(gate);
    for no_key in ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n", "ssh-ed25519 AAA\n", "laptop\n"] {
        world.put("home/ck1/.ssh/authorized_keys", no_key, 0o600, world.uid("ck1"));
        world.finds(1, &["authorized_keys` holds none"]);
    }
}

#[test]
fn check_finds_an_account_that_is_shut_and_a_machine_that_is() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let dir = world.dir.path().display().to_string();
    let shadow = |pam: &str, fields: &str| {
        world.sshd(&format!("ForceCommand {dir}/bin/snapgate-shell --config {dir}/etc\nUsePAM {pam}\n"));
        world.put("shadow", &format!("root:*:19000::::::\nck1:{fields}\n"), 0o600, 0);
        world.run_after(&format!("mount --bind {dir}/shadow /etc/shadow"), &["check", "--all"])
    };
    for (pam, fields, words) in [
        ("no", "!:19000:0:99999:7:::", "the password of `ck1` is locked"),
        ("no", "*:19000:0:99999:7::19001:", "the account `ck1` has expired"),
        ("yes", "*:19000:0:99999:7::19001:", "the account `ck1` has expired"),
        ("yes", "*:0:0:99999:7:::", "has to be changed"),
        ("yes", "*:19000:0:90:7:1::", "has expired: PAM"),
    ] {
        let said = shadow(pam, fields).exits(1).stdout;
        assert!(said.contains(words) && said.ends_with("1 problem\n"), "{words} in {said}");
    }
    shadow("yes", "!:19000:0:99999:7:::").exits(0);
    shadow("no", "*:0:0:90:7:::").exits(0);
    let said = world.run_after("mount -t tmpfs tmpfs /run && touch /run/nologin && mkdir /run/sshd", &["check", "--all"]).exits(1).stdout;
    assert!(said.contains("sshd lets `ck1` not in while `/run/nologin` is there\nremove it"), "{said}");
}

#[test]
fn nothing_of_the_environment_of_root_is_shown_to_an_account_that_is_looked_at() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let dir = world.dir.path().display().to_string();
    // While the maps of a namespace are written, the processes that wait for it are the account's.
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap();
    world.put("etc/snapgate.yaml", &site.replace("owners: drop", "owners: keep"), 0o644, 0);
    world.put("ranges", "ck1:1900000000:65536\n", 0o644, 0);
    world.put("bin/slow", "#!/bin/sh\nsleep 2; echo too slow >&2; exit 1\n", 0o755, 0);
    world.put(
        "bin/looks",
        "#!/bin/sh\nwhile test -e $DIR/etc/looks; do cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; sleep 0.1; done > $DIR/mail/seen\n",
        0o755,
        0,
    );
    world.put("etc/looks", "", 0o644, 0);
    let script = format!(
        "mount --bind {dir}/passwd /etc/passwd
        mount --bind {dir}/ranges /etc/subuid; mount --bind {dir}/ranges /etc/subgid
        mount --bind {dir}/bin/slow $(command -v newuidmap)
        setpriv --reuid={} --regid={FIRST} --clear-groups env SEEN=anything {dir}/bin/looks & looks=$!
        CK_SECRET=of-root {dir}/bin/snapgate --config {dir}/etc check
        rm {dir}/etc/looks; wait $looks",
        world.uid("ck1")
    );
    let ran = run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script]));
    let seen = fs::read_to_string(world.path("mail/seen")).unwrap();
    assert!(seen.contains("SEEN=anything") && ran.stdout.contains("too slow"), "it did look: {ran:?}");
    assert!(!seen.contains("CK_SECRET"), "{ran:?}");
    must(Command::new("rm").arg(world.path("mail/seen")));
}
