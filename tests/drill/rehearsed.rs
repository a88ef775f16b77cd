//! What a drill restores, compares, says and leaves behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::TimeDelta;
use nix::sys::signal::Signal;
use snapgate::terms::{Body, Deed, Mail};
use support::{GATE, Gate, POLICY, Running, mode, processes, run, tree, until};

use crate::{says, told};

fn is_drill(body: &Body) -> bool {
    matches!(body, Body::Upkeep(Deed::Drill, _))
}

/// A gate whose client has pushed once, with this policy.
fn pushed(policy: &str) -> Gate {
    let gate = Gate::with("", policy);
    let source = gate.source("data");
    tree::small(&source);
    symlink("a.txt", source.join("link")).unwrap();
    fs::hard_link(source.join("a.txt"), source.join("etc/same")).unwrap();
    fs::set_permissions(source.join("photo.raw"), fs::Permissions::from_mode(0o640)).unwrap();
    for number in 0..300 {
        tree::write(&source.join(format!("many/{number}")), tree::noise(number, 20_000));
    }
    // rsync sets the time of a directory again where seconds differ.
    let old = ["-depth", "-exec", "touch", "-h", "-d", "2026-01-02 03:04:05.678901234", "{}", "+"];
    support::must(Command::new("find").arg(&source).args(old));
    gate.push(&source, &["-H"]).exits(0);
    gate
}

fn json(gate: &Gate, words: &[&str], status: i32) -> serde_json::Value {
    let all = [&["drill", "--json"], words].concat();
    let ran = says(gate, &all).exits(status);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    said.get(0).unwrap().clone()
}

/// Where one restores to if that has no room.
fn elsewhere(repository: &Path) -> PathBuf {
    Path::new("/var/tmp").join(format!("snapgate-drill-web1-{}", tree::inode(repository)))
}

/// Where one restores to.
fn scratch(gate: &Gate) -> PathBuf {
    gate.inside(".snapgate/drill")
}

#[test]
fn a_sample_comes_back_as_it_is_stored_and_nothing_stays() {
    // No verb, no key and no address lets this client restore.
    let gate = pushed(
        &POLICY
            .replace("report: always", "report: problems\nfrom: [198.51.100.1]\nkeys: [SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk]")
            .replace("from: [198", "from: [192.0.2.7, 198")
            .replace("keys:", "# keys:"),
    );
    let before = tree::listing(&gate.inside("snapshots"));
    let found = json(&gate, &["--seed", "7", "--sample", "50"], 0);
    assert_eq!((found["client"].as_str(), found["files"].as_u64(), found["seed"].as_u64()), (Some("web1"), Some(50), Some(7)));
    assert!(found["bytes"].as_u64().unwrap() > 100_000 && found["problems"].as_array().unwrap().is_empty(), "{found}");
    assert_eq!(json(&gate, &["--seed", "7", "--sample", "50"], 0)["bytes"], found["bytes"]);
    assert_eq!(tree::listing(&gate.inside("snapshots")), before);
    assert!(!scratch(&gate).exists() && !elsewhere(&gate.repository()).exists());
    let records = told(&gate.repository(), is_drill);
    assert_eq!(records.len(), 2);
    let (event, upkeep) = &records[0];
    assert_eq!((event.mail, upkeep.snapshots.as_slice()), (Mail::None, &gate.snapshots()[..]));
    assert!(upkeep.happened.starts_with("the drill restored 50 files, "), "{}", upkeep.happened);
    // Everything, and what is said to people.
    let said = says(&gate, &["drill", "web1", "--sample", "100000"]).exits(0).stdout;
    assert!(said.starts_with("web1: 306 files of ") && said.contains("restored as they are stored"), "{said}");
}

#[test]
fn what_the_policy_names_has_to_be_there() {
    let gate = pushed(&format!("{POLICY}drill: [etc, a.txt]\n"));
    let found = json(&gate, &["--sample", "0"], 0);
    assert_eq!((found["files"].as_u64(), found["directories"].as_u64()), (Some(4), Some(3)), "{found}");
    assert_eq!(told(&gate.repository(), is_drill)[0].0.mail, Mail::Report, "`report: always`");
    let policy = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    gate.write("config/policies/web1.yaml", &policy.replace("drill: [etc,", "drill: [etc/shadow,"));
    let ran = says(&gate, &["drill", "--sample", "1"]).exits(1);
    assert!(ran.stdout.contains("`etc/shadow`, which `drill:` names, is not in "), "{}", ran.stdout);
    let (event, upkeep) = told(&gate.repository(), is_drill).pop().unwrap();
    assert_eq!((event.mail, upkeep.problems.len()), (Mail::Alert, 1));
    gate.flush();
    let mails = gate.mails();
    assert!(mails.iter().any(|mail| mail.contains("the drill failed: 1 problem") && mail.contains("etc/shadow")), "{mails:?}");
}

#[test]
fn a_drill_that_failed_is_a_state_until_one_succeeds() {
    let gate = pushed(&format!("{POLICY}expect: off\ndrill: [etc/shadow]\n"));
    (0..2).for_each(|_| _ = says(&gate, &["drill", "--sample", "1"]).exits(1));
    assert_eq!(gate.told_of("drill failed", TimeDelta::minutes(1)), [""; 0], "the drill has told of it");
    let told = gate.told_of("drill failed", TimeDelta::hours(25));
    assert!(told.len() == 1 && told[0].starts_with("[snapgate] web1: drill failed: none has succeeded since"), "{told:?}");
    let policy = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    // Of one that nothing is known of it is not known to have ended.
    gate.write("config/policies/web1.yaml", "usr: x\n");
    assert_eq!(gate.told_of("drill failed", TimeDelta::minutes(26 * 60 - 30)), told);
    gate.write("config/policies/web1.yaml", &policy.replace("drill: [etc/shadow]", "drill: [etc]"));
    says(&gate, &["drill", "web1", "--sample", "1"]).exits(0);
    let told = gate.told_of("drill failed", TimeDelta::hours(26));
    assert_eq!(told[1..], ["[snapgate] web1: drill failed: resolved after 26 hours"], "{told:?}");
}

/// Starts a drill of everything, and stops it when a good part has been restored.
fn stopped(gate: &Gate) -> (Running, Vec<u32>) {
    let running = Running::start(&mut gate.snapgate(&["drill", "--sample", "100000"]));
    let restored = scratch(gate).join("tree/many");
    until("much is restored", || fs::read_dir(&restored).is_ok_and(|entries| entries.count() > 50));
    let pids = processes::stop(running.child.id());
    (running, pids)
}

/// A file that has been restored.
fn restored(gate: &Gate) -> String {
    let names = fs::read_dir(scratch(gate).join("tree/many")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let whole = |name: &String| fs::metadata(scratch(gate).join("tree/many").join(name)).is_ok_and(|found| found.len() == 20_000);
    names.filter(|name| !name.starts_with('.')).find(whole).unwrap()
}

#[test]
fn a_byte_a_mode_and_a_file_that_differ_are_each_found_and_named() {
    type Change = fn(&Path, &Path);
    let cases: [(Change, &str); 3] = [
        (
            |stored, _| {
                let times = fs::metadata(stored).unwrap().modified().unwrap();
                let mut bytes = fs::read(stored).unwrap();
                bytes[10_000] ^= 1;
                fs::write(stored, bytes).unwrap();
                fs::File::options().write(true).open(stored).unwrap().set_modified(times).unwrap();
            },
            "has other content from byte 10000 on",
        ),
        (|_, copy| mode(copy, 0o777), "has mode 777 instead of "),
        (|_, copy| fs::remove_file(copy).unwrap(), "was not restored"),
    ];
    for (change, why) in cases {
        let gate = pushed(POLICY);
        let (running, pids) = stopped(&gate);
        let name = restored(&gate);
        change(&gate.newest().join("many").join(&name), &scratch(&gate).join("tree/many").join(&name));
        processes::signal(&pids, Signal::SIGCONT);
        let ran = running.wait().exits(1);
        assert!(ran.stdout.contains(&format!("`many/{name}` {why}")) && ran.stdout.contains("--seed "), "{}", ran.stdout);
        let (event, upkeep) = told(&gate.repository(), is_drill).pop().unwrap();
        assert!(event.mail == Mail::Alert && upkeep.problems.iter().any(|problem| problem.contains(&name)), "{upkeep:?}");
        assert!(!scratch(&gate).exists());
    }
}

#[test]
fn whoever_waits_as_the_account_holds_nothing_of_whoever_drills() {
    let gate = pushed(POLICY);
    let (running, pids) = stopped(&gate);
    let drill = fs::read_link(format!("/proc/{}/exe", running.child.id())).unwrap();
    let waits = |pid: &&u32| {
        let is_child = processes::parent(**pid) == Some(running.child.id());
        is_child && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == drill)
    };
    let held = |pid: &u32| {
        let all = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
        let mut all: Vec<_> = all.map(|held| held.to_string_lossy().split(':').next().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    let all: Vec<_> = pids.iter().filter(waits).map(held).collect();
    processes::signal(&pids, Signal::SIGCONT);
    running.wait().exits(0);
    // Where it was found, and who has asked.
    assert!(all.contains(&["/dev/null", "/dev/null", "/dev/null", "socket", "socket"].map(String::from).to_vec()), "{all:?}");
}

#[test]
fn what_a_killed_one_leaves_the_next_one_removes() {
    let gate = pushed(POLICY);
    let (running, pids) = stopped(&gate);
    processes::signal(&pids, Signal::SIGKILL);
    running.wait();
    assert!(scratch(&gate).join("tree/many").exists());
    until("its rsync is gone", || json_or_busy(&gate));
    assert!(!scratch(&gate).exists());
}

/// Whether a drill went through.
fn json_or_busy(gate: &Gate) -> bool {
    says(gate, &["drill", "--sample", "3"]).status == 0
}

#[test]
fn a_disk_without_room_for_it_is_left_alone() {
    let Some(mount) = support::mount::Mount::new(support::mount::Kind::Ext4, 40) else { return };
    let gate = pushed(&format!("{POLICY}path: {}/web1\n", mount.store().display()));
    let repository = mount.store().join("web1");
    fs::write(mount.store().join("ballast"), tree::noise(1, 20 << 20)).unwrap();
    // There is room elsewhere.
    says(&gate, &["drill"]).exits(0);
    assert!(!elsewhere(&repository).exists());
    assert!(!repository.join(".snapgate/drill").exists());
}

#[test]
fn no_client_can_say_that_it_is_a_drill() {
    let gate = pushed(POLICY);
    let command = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new("/usr/bin/env");
        command.arg("-i").args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(GATE.to_string()).arg("--config").arg(gate.path().join("config")).args(words);
        run(&mut command)
    };
    let asks = ("SSH_ORIGINAL_COMMAND", "rsync --server --sender -logDtpre.iLsfxCIvu . current/a.txt");
    // As in somebody's `command=`.
    for sshd in ["SSH_CONNECTION", "SSH_CLIENT", "SSH_USER_AUTH"] {
        let ran = command(&["--client", "web1", "--drill"], &[asks, (sshd, "x")]);
        assert!(ran.status == 78 && ran.stdout.is_empty(), "{} {}", ran.status, ran.stderr);
    }
    // As a command of the client's.
    let said = "snapgate-shell --client web1 --drill";
    assert_ne!(gate.say(said).status, 0);
    assert_ne!(gate.say(&format!("{} --drill", asks.1)).status, 0);
    // And where it is one, nothing else can be done.
    for other in ["rsync --server -logDtpre.iLsfxCIvu . .", "status", "prepare"] {
        let ran = command(&["--client", "web1", "--drill"], &[("SSH_ORIGINAL_COMMAND", other)]);
        assert_eq!(ran.status, 77, "{other}: {}", ran.stderr);
    }
    assert_eq!(gate.snapshots().len(), 1);
}
