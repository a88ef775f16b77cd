//! `check --fix` and `check --tell`: what is mended is what was shown, and nobody is led astray by it; what is new is mailed, once.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::checked_world::{FIRST, World};
use support::{mode, must, run, until};

fn bits(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn modes_and_the_owner_of_what_is_empty_are_shown_and_mended_and_nothing_is_done_unasked() {
    let Some(world) = World::new(&["ck1"]) else { return };
    mode(&world.path("spool"), 0o777);
    mode(&world.path("store/ck1"), 0o755);
    mode(&world.path("etc/policies/ck1.yaml"), 0o664);
    let said = world.run(&["check", "--fix"]).exits(1).stdout;
    assert!(said.contains(&format!("    chmod 1730 {}", world.path("spool").display())) && said.contains("nothing was done"), "{said}");
    assert_eq!((bits(&world.path("spool")), bits(&world.path("etc/policies/ck1.yaml"))), (0o777, 0o664));
    // What the policy's own fault hid is found in the second round.
    let said = world.run(&["check", "--fix", "--yes"]).exits(0).stdout;
    assert!(said.matches("    done\n").count() == 3 && said.contains("nothing wrong"), "{said}");
    assert_eq!((bits(&world.path("spool")), bits(&world.path("store/ck1"))), (0o1730, 0o700));
    chown(world.path("store/ck1"), Some(0), None).unwrap();
    chown(world.path("spool/sessions"), Some(0), Some(FIRST)).unwrap();
    mode(&world.path("spool/sessions"), 0o600);
    let said = world.run(&["check", "--fix", "--yes"]).exits(0).stdout;
    assert!(said.contains(&format!("    chown {} {}", world.uid("ck1"), world.path("store/ck1").display())), "{said}");
    assert_eq!(fs::metadata(world.path("store/ck1")).unwrap().uid(), world.uid("ck1"));
    assert_eq!(bits(&world.path("spool/sessions")), 0o660);
    world.put("etc/snapgate.yaml", &fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap(), 0o664, 0);
    assert!(world.run(&["check", "--fix", "--yes"]).exits(0).stdout.contains("chmod 0644"));
}

#[test]
fn nobody_is_given_a_history() {
    let Some(world) = World::new(&["ck1", "ck2"]) else { return };
    let asked = || world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
    let of = |name: &str| fs::metadata(world.path(name)).unwrap().uid();
    // As `remove-client` leaves it.
    world.own_directory("store/ck1/snapshots", "ck1");
    chown(world.path("store/ck1"), Some(0), Some(0)).unwrap();
    let said = asked();
    assert!(!said.contains("    chown") && said.contains("see whose history it holds"), "{said}");
    assert_eq!(of("store/ck1"), 0);
    // Another's, by a slip in the policy, even where it is empty.
    chown(world.path("store/ck1"), Some(world.uid("ck1")), None).unwrap();
    world.policy("ck1", "path: $DIR/store/ck2\n");
    let said = asked();
    assert!(!said.contains("    chown") && said.contains("see whose history it holds"), "{said}");
    assert_eq!(of("store/ck2"), world.uid("ck2"));
    // An empty one of root's, in which others may put something meanwhile.
    world.policy("ck1", "path: $DIR/store/new\n");
    fs::create_dir(world.path("store/new")).unwrap();
    mode(&world.path("store/new"), 0o777);
    let said = asked();
    assert!(said.contains("NOT done: ") && said.contains("is no empty directory of root's"), "{said}");
    assert_eq!(of("store/new"), 0);
    mode(&world.path("store/new"), 0o755);
    world.run(&["check", "--fix", "--yes"]).exits(0);
    assert_eq!((of("store/new"), bits(&world.path("store/new"))), (world.uid("ck1"), 0o700));
}

#[test]
fn what_somebody_else_could_write_does_not_become_root_s_word() {
    let Some(world) = World::new(&["ck1"]) else { return };
    fs::copy("/bin/true", world.path("bin/hook")).unwrap();
    fs::copy("/bin/true", world.path("bin/mailer")).unwrap();
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap();
    let (sent, mailer) = (format!("file:{}/mail", world.dir.path().display()), format!("sendmail:{}", world.path("bin/mailer").display()));
    world.put("etc/snapgate.yaml", &site.replace(&sent, &mailer), 0o644, 0);
    world.policy("ck1", "hooks: { complete: [$DIR/bin/hook] }\n");
    world.run(&["check"]).exits(0);
    for name in ["bin/mailer", "bin/hook", "etc/policies/ck1.yaml"] {
        let path = world.path(name);
        let good = bits(&path);
        for (owner, group, wrong) in [(FIRST + 500, 0, good), (0, 0, good | 0o002), (0, FIRST, good | 0o020)] {
            chown(&path, Some(owner), Some(group)).unwrap();
            mode(&path, wrong);
            let said = world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
            assert!(!said.contains("\n    ch") && said.contains("read "), "{name} {owner} {group} {wrong:o}: {said}");
            assert_eq!((fs::metadata(&path).unwrap().uid(), bits(&path)), (owner, wrong), "{name}");
        }
        chown(&path, Some(0), Some(0)).unwrap();
        mode(&path, good | 0o020);
        assert!(world.run(&["check", "--fix", "--yes"]).exits(0).stdout.contains("    done"), "{name}");
        assert_eq!(bits(&path), good, "{name}");
        // A list of accesses shows as the group's right.
        if run(Command::new("setfacl").args(["-m", &format!("u:{FIRST}:rwx")]).arg(&path)).status == 0 {
            let said = world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
            assert!(said.contains("has a list of accesses: read it, then install it anew"), "{name}: {said}");
            must(Command::new("setfacl").args(["-b"]).arg(&path));
        }
    }
    // Bits that are there stay; what is shown is what is done.
    let hook = world.path("bin/hook");
    mode(&hook, 0o2775);
    assert!(world.run(&["check", "--fix", "--yes"]).exits(0).stdout.contains("    chmod 2755 "));
    assert_eq!(bits(&hook), 0o2755);
}

#[test]
fn at_a_terminal_each_is_asked_for() {
    let Some(world) = World::new(&["ck1"]) else { return };
    let dir = world.dir.path().display().to_string();
    mode(&world.path("store/ck1"), 0o755);
    world.put("bin/typed", &format!("#!/bin/sh\nexec {dir}/bin/snapgate --config {dir}/etc check --fix\n"), 0o755, 0);
    let typed = |answer: &str| {
        let script = format!("mount --bind {dir}/passwd /etc/passwd && echo {answer} | script -qec {dir}/bin/typed /dev/null");
        run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script])).stdout
    };
    let said = typed("n");
    if said.is_empty() {
        return support::skip("this machine has no script(1)");
    }
    assert!(said.contains("do it? [y/N]") && said.contains("left as it is"), "{said}");
    assert_eq!(bits(&world.path("store/ck1")), 0o755);
    let said = typed("y");
    assert!(said.contains("    done"), "{said}");
    assert_eq!(bits(&world.path("store/ck1")), 0o700);
}

#[test]
fn nothing_is_mended_by_a_way_that_an_account_can_change() {
    let Some(world) = World::new(&["ck1"]) else { return };
    world.own_directory("home/ck1/repository", "ck1");
    mode(&world.path("home/ck1/repository"), 0o755);
    world.policy("ck1", "path: $DIR/home/ck1/repository\n");
    let said = world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
    assert!(said.contains("NOT done: somebody else than root can change a directory on the way to"), "{said}");
    assert_eq!(bits(&world.path("home/ck1/repository")), 0o755);
    world.policy("ck1", "");
    // A link in the place of the spool: where it leads was not meant.
    fs::rename(world.path("spool"), world.path("elsewhere")).unwrap();
    mode(&world.path("elsewhere"), 0o777);
    symlink("elsewhere", world.path("spool")).unwrap();
    let said = world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
    assert!(said.contains("NOT done: ") && said.contains("is a link: mend it by hand"), "{said}");
    assert_eq!(bits(&world.path("elsewhere")), 0o777);
    fs::remove_file(world.path("spool")).unwrap();
    fs::rename(world.path("elsewhere"), world.path("spool")).unwrap();
    mode(&world.path("spool"), 0o1730);
    // A file with a second name may be another's.
    world.put("etc/password", "secret\n", 0o644, 0);
    fs::hard_link(world.path("etc/password"), world.path("mail/second")).unwrap();
    let site = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap();
    let sent = format!("file:{}/mail", world.dir.path().display());
    let with = site.replace(&sent, "smtp://u@127.0.0.1:1").replace("transport:", "password_file: $DIR/etc/password, transport:");
    world.put("etc/snapgate.yaml", &with, 0o644, 0);
    let said = world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
    assert!(said.contains("NOT done: ") && said.contains("has another name elsewhere"), "{said}");
    fs::remove_file(world.path("mail/second")).unwrap();
    assert!(world.run(&["check", "--fix", "--yes"]).exits(0).stdout.contains("    done\n"));
    // What is named by a slip of the pen is the system's, and stays so.
    mode(&world.path("mail"), 0o1777);
    for slip in ["path: $DIR/etc\n", "path: $DIR/mail\n"] {
        world.policy("ck1", slip);
        let said = world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
        assert!(!said.contains("    ch"), "{said}");
    }
    assert_eq!((fs::metadata(world.path("etc")).unwrap().uid(), bits(&world.path("mail"))), (0, 0o1777));
    let with = with.replace("$DIR", &world.dir.path().display().to_string());
    for (there, slip) in [("/spool\n", "/mail\n"), ("etc/password", "passwd")] {
        world.put("etc/snapgate.yaml", &with.replace(there, slip), 0o644, 0);
        let said = world.run(&["check", "--fix", "--yes"]).exits(1).stdout;
        assert!(!said.contains("    ch"), "{said}");
    }
}

#[test]
fn many_problems_at_once_are_told_once_and_what_cannot_be_told_is_a_failure() {
    let Some(world) = World::new(&["ck1"]) else { return };
    for number in 0..1500 {
        fs::write(world.path(&format!("etc/policies/a-client-with-quite-a-long-name-{number:04}.yaml")), "user: ck1\ncolour: blue\n")
            .unwrap();
    }
    let mails = || {
        let all = fs::read_dir(world.path("mail")).unwrap().map(|mail| fs::read_to_string(mail.unwrap().path()).unwrap_or_default());
        all.filter(|mail| mail.contains("more: `snapgate check` shows all")).collect::<Vec<_>>()
    };
    world.run(&["check", "--tell"]).exits(1);
    until("the mail", || {
        let _ = world.run(&["watch", "--flush"]);
        !mails().is_empty()
    });
    assert!(mails()[0].contains("and 1401 more: `snapgate check` shows all"), "{}", mails()[0]);
    // What the mail had no room for is new the next time.
    world.run(&["check", "--tell"]).exits(1);
    assert!(mails().iter().any(|mail| mail.contains("and 1302 more: `snapgate check` shows all")), "{:?}", mails());
    let ledger = fs::read_to_string(world.path("spool/0/ledger.jsonl")).unwrap();
    assert_eq!(ledger.lines().filter(|line| line.contains("\"kind\":\"check\"")).count(), 2, "{ledger}");
    // Nobody can be told where the spool is not one: that is no "something is wrong, which is mailed".
    fs::rename(world.path("spool/0"), world.path("was")).unwrap();
    fs::write(world.path("spool/0"), "").unwrap();
    let ran = world.run(&["check", "--tell"]).exits(78);
    assert!(ran.stderr.contains("spool/0`"), "{}", ran.stderr);
    world.site("colour: blue\n");
    world.run(&["check", "--tell"]).exits(78);
    world.run(&["check"]).exits(1);
}

#[test]
fn no_number_of_names_in_the_spool_hides_what_else_is_wrong() {
    let Some(world) = World::new(&["ck1"]) else { return };
    for number in 0..150 {
        fs::create_dir(world.path(&format!("spool/{}", 2_000_000 + number))).unwrap();
    }
    mode(&world.path("store/ck1"), 0o755);
    world.run(&["check", "--tell"]).exits(1);
    // It comes back when the mail has left.
    let all = fs::read_dir(world.path("mail")).unwrap().map(|mail| fs::read_to_string(mail.unwrap().path()).unwrap());
    // As quoted-printable goes on in the next line (RFC 2045, 6.7).
    let mails: Vec<_> = all.map(|mail| mail.replace("=\r\n", "")).collect();
    assert!(mails.len() == 1 && mails[0].contains("others can look"), "{mails:?}");
    assert!(mails[0].contains("holds 150 names that are no account's, such as `2000000`"), "{mails:?}");
}

#[test]
fn what_nobody_hears_of_is_not_told() {
    let Some(world) = World::new(&["ck1"]) else { return };
    mode(&world.path("store/ck1"), 0o755);
    // No `watch` gets to what waits there.
    fs::create_dir(world.path("spool/0")).unwrap();
    mode(&world.path("spool/0"), 0o700);
    let lock = fs::File::create(world.path("spool/0/lock")).unwrap();
    lock.lock().unwrap();
    let ran = world.run(&["check", "--tell"]).exits(78);
    assert!(ran.stderr.contains("nobody is told: no `snapgate watch` has come for it"), "{}", ran.stderr);
    lock.unlock().unwrap();
    // What waits already is sent, and is not new.
    world.run(&["check", "--tell"]).exits(1);
    assert_eq!(fs::read_dir(world.path("mail")).unwrap().count(), 1);
    let text = fs::read_to_string(world.path("etc/snapgate.yaml")).unwrap();
    fs::write(world.path("etc/snapgate.yaml"), text.replace(&format!("file:{}/mail", world.dir.path().display()), "off")).unwrap();
    // By the administrator's own word: something is wrong, and that is all.
    let ran = world.run(&["check", "--tell"]).exits(1);
    assert!(ran.stdout.contains("others can look"), "{}", ran.stdout);
    assert!(ran.stderr.contains("nobody is told: the site file says `transport: off`"), "{}", ran.stderr);
    mode(&world.path("store/ck1"), 0o700);
    world.run(&["check", "--tell"]).exits(0);
}

#[test]
fn what_is_new_is_mailed_and_what_is_known_is_not() {
    let Some(world) = World::new(&["ck1", "ck2"]) else { return };
    let mails = || {
        let all = fs::read_dir(world.path("mail")).unwrap().map(|mail| fs::read_to_string(mail.unwrap().path()).unwrap_or_default());
        all.filter(|mail| mail.contains("others can look")).count()
    };
    let sent = |many: usize| {
        until("the mail", || {
            let _ = world.run(&["watch", "--flush"]);
            mails() >= many
        });
        assert_eq!(mails(), many);
    };
    world.run(&["check", "--tell"]).exits(0);
    assert!(!world.path("spool/0/checked.json").exists(), "nothing is wrong, and nothing has to be remembered");
    assert!(world.path("spool/0/ran-check").exists());
    mode(&world.path("store/ck1"), 0o755);
    world.run(&["check", "--tell"]).exits(1);
    sent(1);
    world.run(&["check", "--tell"]).exits(1);
    let _ = world.run(&["watch", "--flush"]);
    assert_eq!(mails(), 1, "it is known");
    mode(&world.path("store/ck2"), 0o755);
    world.run(&["check", "--tell"]).exits(1);
    sent(2);
    // What was gone is new when it comes again.
    mode(&world.path("store/ck1"), 0o700);
    world.run(&["check", "--tell"]).exits(1);
    mode(&world.path("store/ck1"), 0o755);
    world.run(&["check", "--tell"]).exits(1);
    sent(3);
    let ledger = fs::read_to_string(world.path("spool/0/ledger.jsonl")).unwrap();
    assert_eq!(ledger.lines().filter(|line| line.contains("\"kind\":\"check\"")).count(), 3, "{ledger}");
    let mail = fs::read_dir(world.path("mail")).unwrap().map(|mail| fs::read_to_string(mail.unwrap().path()).unwrap()).next().unwrap();
    let problems = mail.lines().filter(|line| line.starts_with("Problem: ")).count();
    assert!(problems > 1 && !mail.contains("\\n"), "each line of it is one: {mail}");
    // A note that somebody broke is none.
    fs::write(world.path("spool/0/checked.json"), "x").unwrap();
    world.run(&["check", "--tell"]).exits(1);
    sent(4);
}

#[test]
fn whatever_an_account_s_shell_starts_ends_with_it_and_is_bounded() {
    if run(Command::new("unshare").args(["-p", "-f", "true"])).status != 0 {
        return support::skip("this machine gives no namespace of processes");
    }
    let Some(world) = World::new(&["ck1"]) else { return };
    let long = 900_000_000 + u64::from(std::process::id());
    let text = format!(
        "#!/bin/sh\nulimit -Hv > $DIR/mail/bound\nulimit -Hp >> $DIR/mail/bound\nsetsid sleep {long} >/dev/null 2>&1 &\nexec /bin/sh \"$@\"\n"
    );
    world.put("bin/shell", &text, 0o755, 0);
    world.shell(&world.path("bin/shell").display().to_string());
    world.run(&["check"]).exits(0);
    let bound = fs::read_to_string(world.path("mail/bound")).unwrap();
    let (memory, processes) = bound.trim_end().split_once('\n').unwrap();
    assert_eq!(memory, "524288");
    assert!(processes.parse::<u64>().is_ok_and(|most| most < 20_000), "{processes}");
    let sleeps = format!("sleep\0{long}\0");
    let left = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find(|process| fs::read(process.path().join("cmdline")).is_ok_and(|words| words == sleeps.as_bytes()));
    assert!(left.is_none(), "{left:?}");
}
