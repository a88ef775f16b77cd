//! `check` as root, on the machine: sshd that is asked once for many, what runs regularly, the kernel, rsync's release, the clock. What this
//! machine has not (systemd, other kernels) stands in its place in a mount namespace.

use std::fs;
use std::time::{Duration, Instant};

use crate::checked_world::{World, everything};
use crate::doctor::aged;

/// A program of the test's in the place of the machine's.
fn instead(world: &World, name: &str, place: &str, text: &str) -> String {
    world.put(&format!("bin/{name}"), text, 0o755, 0);
    format!("mount --bind {}/bin/{name} {place}", world.dir.path().display())
}

/// Whether this machine has that, so that something can stand in its place.
fn has(places: &[&str]) -> bool {
    let missing = places.iter().find(|place| !fs::exists(place).unwrap());
    if let Some(missing) = missing {
        support::skip(&format!("this machine has no {missing}"));
    }
    missing.is_none()
}

#[test]
fn accounts_that_sshd_does_not_tell_apart_are_one_question() {
    let Some(world) = World::new(&["ck1", "ck2", "ck3"]) else { return };
    let dir = world.dir.path().display().to_string();
    fs::copy("/usr/sbin/sshd", world.path("bin/real-sshd")).unwrap();
    let counted = instead(&world, "counted", "/usr/sbin/sshd", "#!/bin/sh\necho x >> $DIR/count\nexec $DIR/bin/real-sshd \"$@\"\n");
    let asked = |lines: &str| {
        world.sshd(&format!("{lines}ForceCommand {dir}/bin/snapgate-shell --config {dir}/etc\nExposeAuthInfo yes\n"));
        let _ = fs::remove_file(world.path("count"));
        world.run_after(&counted, &["check"]).exits(0);
        fs::read_to_string(world.path("count")).unwrap_or_default().lines().count()
    };
    assert_eq!(asked(""), 1);
    world.put("more.conf", "Match User ck2\nPermitTTY no\nMatch all\n", 0o644, 0);
    assert_eq!(asked(&format!("Include {dir}/more.c*\n")), 2);
    assert_eq!(asked("Match User \"ck2\"\nPermitTTY no\nMatch all\n"), 3, "what is not understood tells everybody apart");
    let hangs = instead(&world, "hangs", "/usr/sbin/sshd", "#!/bin/sh\nsleep 1000\n");
    let begun = Instant::now();
    let said = world.run_after(&hangs, &["check"]).exits(1).stdout;
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
    assert!(said.contains("sshd does not say what it does with `ck1`"), "{said}");
}

#[test]
fn sshd_is_asked_about_every_place_that_its_settings_tell_apart_and_from_which_a_client_may_come() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let dir = world.dir.path().display().to_string();
    let gate = format!("ForceCommand {dir}/bin/snapgate-shell --config {dir}/etc\nExposeAuthInfo yes\n");
    let open = |address: &str| world.sshd(&format!("Match Address {address}\nForceCommand /bin/sh\nMatch all\n{gate}"));
    let told = |problems: i32, address: &str| {
        let done =
            format!("printf '127.0.0.1 localhost\\n198.51.100.7 rt.example.net\\n' > {dir}/hosts && mount --bind {dir}/hosts /etc/hosts");
        let said = world.run_after(&done, &["check", "--all"]).exits(problems).stdout;
        let words = format!("coming from `{address}`: sshd runs `/bin/sh` for `ck1`, which is something that is not the gate");
        assert_eq!(said.contains(&words), problems == 1, "{words}: {said}");
        assert_eq!(said.contains("1 problem"), problems == 1, "{said}");
    };
    // Beside what it is for everybody else: for the second network, a part of one, a host by its name, and for somebody who may come
    // from anywhere.
    for (from, address, asked) in [
        ("[203.0.113.0/24, 10.0.0.0/8]", "10.0.0.0/8", "10.0.0.0"),
        ("[203.0.113.0/24, 10.0.0.0/8]", "10.7.0.0/16", "10.7.0.0"),
        ("[203.0.113.0/24, \"host:rt.example.net\"]", "198.51.100.0/24", "198.51.100.7"),
        ("", "10.0.0.0/8", "10.0.0.0"),
    ] {
        open(address);
        world.policy("ck1", &if from.is_empty() { String::new() } else { format!("from: {from}\n") });
        told(1, asked);
    }
    world.policy("ck1", "from: [203.0.113.0/24]\n");
    told(0, "10.0.0.0");
    // What keeps a network out that nobody but sshd names is what it is for; where others keep their keys is not known.
    world.policy("ck1", "");
    let at = |lines: &str, status: i32| {
        world.sshd(&format!("Match Address 203.0.113.0/24\n{lines}\nMatch all\n{gate}"));
        world.run(&["check", "--all"]).exits(status).stdout
    };
    let said = at("DenyUsers *", 0);
    assert!(said.contains("note: ") && said.contains("coming from `203.0.113.0`: sshd lets `ck1` not in"), "{said}");
    world.policy("ck1", &format!("keys: [{}]\n", crate::checked_world::KEY_NAME));
    let said = at("AuthorizedKeysFile /etc/other", 0);
    assert!(said.contains("were not compared with those of policies: for those coming from `203.0.113.0` it has others"), "{said}");
    // More than are asked about.
    let many: Vec<_> = (0..20).map(|number| format!("10.{number}.0.0/16")).collect();
    world.policy("ck1", &format!("from: [{}]\n", many.join(", ")));
    open("10.19.0.0/16");
    let said = world.run(&["check", "--all"]).exits(0).stdout;
    assert!(said.contains("sshd was not asked about 4 further addresses of clients"), "{said}");
}

#[test]
fn a_client_that_comes_by_a_name_without_an_address_is_told_and_a_name_server_that_says_nothing_is_not_waited_for() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let asks = |text: &str| instead(&world, "getent", "/usr/bin/getent", text);
    let said = |getent: &str, policy: &str, status: i32| {
        world.policy("ck1", policy);
        world.run_after(&asks(getent), &["check", "--all"]).exits(status).stdout
    };
    // Of accounts and groups the machine's own answers.
    fs::copy("/usr/bin/getent", world.path("bin/real-getent")).unwrap();
    let hosts = |does: &str| format!("#!/bin/sh\ncase \"$*\" in *ahosts*) {does} ;; esac\nexec $DIR/bin/real-getent \"$@\"\n");
    let (knows, nothing, hangs) = (hosts("echo '192.0.2.7 STREAM'; exit"), hosts("exit 2"), hosts("sleep 1000"));
    let from = "from: [\"host:rt.example.net\"]\n";
    let text = said(&knows, from, 0);
    assert!(!text.contains("rt.example.net"), "{text}");
    let text = said(&nothing, from, 1);
    assert!(
        text.contains(
            "ck1.yaml:2: `rt.example.net` has no address, and ck1 may come from nowhere else: the gate refuses it\nsee what `getent"
        ),
        "{text}"
    );
    let text = said(&nothing, "from: [\"host:rt.example.net\", 192.0.2.0/24]\n", 0);
    assert!(text.contains("`rt.example.net` has no address: whoever comes from there is refused as ck1"), "{text}");
    // Who serves one name can have it stall: that hides no other.
    let stalls = hosts("case \"$*\" in *stalls*) sleep 1000 ;; esac; exit 2");
    let text = said(&stalls, "from: [\"host:rt.example.net\", \"host:stalls.example.net\"]\n", 0);
    assert!(
        text.contains("`rt.example.net` has no address: whoever") && text.contains("whether `stalls.example.net` of ck1 has"),
        "{text}"
    );
    let begun = Instant::now();
    let text = said(&hangs, from, 0);
    assert!(
        text.contains("whether `rt.example.net` of ck1 has an address was not seen") && begun.elapsed() < Duration::from_secs(60),
        "{text}"
    );
}

#[test]
fn what_systemd_does_not_start_is_told_and_enabled() {
    if !has(&["/usr/bin/systemctl", "/usr/bin/timedatectl"]) {
        return;
    }
    let Some(world) = World::new(&["ck1"]) else { return };
    // It answers as systemd's does; `enable` is remembered.
    let systemctl = "#!/bin/sh\nshow() { echo \"Id=$1\nLoadState=loaded\nActiveState=$2\nUnitFileState=$3\nResult=$4\nExecMainStatus=0\n\"; }\n\
        case \"$*\" in\n*enable*) eval last=\\${$#}; echo \"$last\" >> $DIR/enabled ;;\n*show*)\n\
        for unit in watch maintain drill check metrics digest; do\n\
        if grep -q snapgate-$unit.timer $DIR/enabled || ! echo maintain metrics | grep -qw $unit; then show snapgate-$unit.timer active enabled success\n\
        else show snapgate-$unit.timer inactive disabled success; fi\n\
        show snapgate-$unit.service inactive static $(cat $DIR/result)\ndone\nshow snapgate-watch.path active enabled success ;;\nesac\n";
    world.put("enabled", "", 0o644, 0);
    world.put("result", "success\n", 0o644, 0);
    let clock = instead(&world, "clock", "/usr/bin/timedatectl", "#!/bin/sh\necho NTPSynchronized=yes\n");
    let done = format!(
        "{} && {clock} && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/sshd",
        instead(&world, "systemctl", "/usr/bin/systemctl", systemctl)
    );
    let said = world.run_after(&done, &["check"]).exits(1).stdout;
    assert!(said.contains("snapgate-maintain.timer is not enabled: nothing old is removed"), "{said}");
    assert!(said.contains("systemctl enable --now snapgate-maintain.timer") && said.contains("1 problem; "), "{said}");
    let said = world.run_after(&done, &["check", "--fix", "--yes"]).exits(0).stdout;
    assert!(said.contains("    systemctl enable --now snapgate-maintain.timer\n    done"), "{said}");
    // Only what the site asks for has to run.
    world.site("metrics: $DIR/snapgate.prom\n");
    let said = world.run_after(&done, &["check"]).exits(1).stdout;
    assert!(said.contains("snapgate-metrics.timer is not enabled: Prometheus shows") && said.contains("1 problem; "), "{said}");
    world.run(&["metrics", "--write"]).exits(0);
    let said = world.run_after(&done, &["check", "--all"]).exits(1).stdout;
    assert!(said.contains("`snapgate metrics` ran last at "), "{said}");
    world.site("");
    world.put("result", "timeout\n", 0o644, 0);
    let said = world.run_after(&done, &["check"]).exits(1).stdout;
    assert!(
        said.contains("the last `snapgate watch` of snapgate-watch.service failed: timeout\njournalctl -u snapgate-watch.service"),
        "{said}"
    );
    let hangs = format!("{done} && {}", instead(&world, "stuck", "/usr/bin/systemctl", "#!/bin/sh\nsleep 1000\n"));
    let said = world.run_after(&hangs, &["check", "--all"]).exits(0).stdout;
    assert!(said.contains("whether snapgate's units are enabled was not seen"), "{said}");
}

#[test]
fn what_nobody_runs_is_told_by_what_ran_and_by_cron() {
    if !has(&["/etc/cron.d"]) {
        return;
    }
    let Some(world) = World::new(&["ck1"]) else { return };
    let own = format!("spool/{}", world.uid("ck1"));
    for directory in ["", "/tmp", "/new", "/out", "/dead"] {
        world.own_directory(&format!("{own}{directory}"), "ck1");
    }
    world.finds(0, &["note: ", "nothing runs `snapgate maintain` regularly, as far as can be seen"]);
    world.put(&format!("{own}/published-ck1"), "", 0o600, world.uid("ck1"));
    aged(&world, &format!("{own}/published-ck1"), 3);
    world.own_directory("store/ck1/snapshots", "ck1");
    world.own_directory("store/ck1/snapshots/2026-01-01T00-00-00Z", "ck1");
    world.finds(
        3,
        &["maintain", "watch", "digest"].map(|job| format!("nothing runs `snapgate {job}` regularly")).each_ref().map(String::as_str),
    );
    fs::create_dir(world.path("cron.d")).unwrap();
    let lines = "*/5 * * * * root snapgate watch\n7 * * * * root /usr/bin/snapgate maintain\n9 * * * * root snapgate digest --if-due\n";
    world.put("cron.d/snapgate", lines, 0o644, 0);
    world.put("uptime", "9000000.12 1.0\n", 0o644, 0);
    let dir = world.dir.path().display();
    let cron = format!("mount --bind {dir}/cron.d /etc/cron.d && mount --bind {dir}/uptime /proc/uptime");
    world.run_after(&cron, &["check"]).exits(0);
    // It is enabled, and does not come to its end.
    let _ = world.run(&["maintain"]);
    let said = world.run_after(&cron, &["check", "--all"]).exits(0).stdout;
    assert!(said.contains("`snapgate maintain` ran last at "), "{said}");
    aged(&world, "spool/0/ran-maintain", 4);
    let said = world.run_after(&cron, &["check"]).exits(1).stdout;
    assert!(said.contains("`snapgate maintain` has not come to its end since ") && said.contains("1 problem; "), "{said}");
    // A machine that was off has not had the time.
    world.put("uptime", "60.12 1.0\n", 0o644, 0);
    world.run_after(&cron, &["check"]).exits(0);
}

#[test]
fn settings_of_the_kernel_that_take_namespaces_away_are_told() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let dir = world.dir.path().display().to_string();
    world.put("none", "0\n", 0o644, 0);
    let none = format!("mount --bind {dir}/none /proc/sys/user/max_user_namespaces");
    let said = world.run_after(&none, &["check"]).exits(1).stdout;
    assert!(said.contains("the kernel gives nobody a user namespace: `user.max_user_namespaces` is 0"), "{said}");
    let apparmor = |profiles: &str| {
        world.put("profiles", profiles, 0o644, 0);
        let done = format!(
            "mount -t tmpfs tmpfs /proc/sys/kernel && echo 1 > /proc/sys/kernel/apparmor_restrict_unprivileged_userns && \
             mount -t tmpfs tmpfs /sys/kernel/security && mkdir /sys/kernel/security/apparmor && cp {dir}/profiles /sys/kernel/security/apparmor/"
        );
        world.run_after(&done, &["check", "--all"]).stdout
    };
    let said = apparmor("/usr/sbin/ntpd (enforce)\n");
    assert!(said.contains("that of snapgate is not loaded\ninstall -m 0644"), "{said}");
    let said = apparmor("snapgate (unconfined)\n");
    assert!(said.contains("\nkernel: ok (") && !said.contains("is not loaded"), "{said}");
}

#[test]
fn a_kernel_that_cannot_hold_the_jail_is_wrong_and_how_to_mend_it_is_said() {
    if !has(&["/usr/bin/strace"]) {
        return;
    }
    let Some(world) = World::new(&["ck1"]) else { return };
    let dir = world.dir.path().display().to_string();
    let call = "landlock_create_ruleset";
    let check = |error: &str| {
        let snapgate = format!("{dir}/bin/snapgate --config {dir}/etc check --all");
        let done = format!("exec strace -f -qq -o /dev/null -e trace={call} -e inject={call}:error={error} {snapgate}");
        world.run_after(&done, &[])
    };
    // Before Linux 5.13, and where it is not among `lsm=`.
    for error in ["ENOSYS", "EOPNOTSUPP"] {
        let said = check(error).exits(1).stdout;
        assert!(
            said.contains("\njail: wrong (") && said.contains("jail, the required rights: NOT enforced, the kernel has no Landlock"),
            "{said}"
        );
        assert!(
            said.contains("no push can run: run a kernel with Landlock (5.19 or later, `lsm=` with landlock), or write `jail: off`"),
            "{said}"
        );
    }
    world.site("jail: off\n");
    let said = check("ENOSYS").exits(0).stdout;
    assert!(said.contains("jail, the required rights: NOT enforced"), "{said}");
}

#[test]
fn an_rsync_with_known_vulnerabilities_is_told_unless_its_package_has_them_mended() {
    let Some(world) = World::new(&["ck1"]) else { return };
    world.put("bin/old", "#!/bin/sh\necho 'rsync  version 3.2.7  protocol version 31'\n", 0o755, 0);
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap();
    let own = site.replace("/usr/bin/rsync", &world.path("bin/old").display().to_string());
    world.put("etc/snapgate.yaml", &own, 0o644, 0);
    let said = world.run(&["check", "--all"]).exits(1).stdout;
    assert!(
        said.contains("snapgate.yaml:2: rsync 3.2.7 has known vulnerabilities: a client may run code of its own as rsync, and read its memory (CVE-2024-"),
        "{said}"
    );
    // The same as a package, whose changelog says what was mended.
    world.put("etc/snapgate.yaml", &site, 0o644, 0);
    let packaged = format!("mount --bind {}/bin/old /usr/bin/rsync", world.dir.path().display());
    let row = || {
        let said = world.run_after(&packaged, &["check", "--all"]).stdout;
        said.lines().skip_while(|line| !line.starts_with("rsync: ")).take(2).collect::<Vec<_>>().join("\n")
    };
    if !fs::exists("/usr/share/doc/rsync/changelog.Debian.gz").unwrap() {
        assert!(row().contains("whether its package has them mended was not seen"), "{}", row());
        return;
    }
    assert!(row().starts_with("rsync: ok (") && row().contains("no vulnerability that this release knows of"), "{}", row());
    world.changelog(&everything().replace("CVE-2024-12084", ""));
    assert!(
        row().starts_with("rsync: wrong (") && row().contains("does not name as mended: a client may") && row().contains("CVE-2024-12084"),
        "{}",
        row()
    );
}

#[test]
fn a_clock_that_nothing_sets_is_told() {
    if !has(&["/usr/bin/systemctl", "/usr/bin/timedatectl"]) {
        return;
    }
    let Some(world) = World::new(&["ck1"]) else { return };
    let asked = |answer: &str| {
        let systemctl = instead(&world, "systemctl", "/usr/bin/systemctl", "#!/bin/sh\n:\n");
        let clock = instead(&world, "clock", "/usr/bin/timedatectl", &format!("#!/bin/sh\n{answer}\n"));
        let done = format!("{systemctl} && {clock} && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/sshd");
        world.run_after(&done, &["check", "--all"])
    };
    asked("echo NTPSynchronized=yes").exits(0);
    let said = asked("echo NTP=no; echo NTPSynchronized=no").stdout;
    assert!(said.contains("nothing sets the clock: ") || said.contains("the clock is not synchronised yet"), "{said}");
    let said = asked("sleep 1000").exits(0).stdout;
    assert!(said.contains("whether the clock is right was not seen"), "{said}");
}
