//! What it costs an ordinary account to keep owners: the same gate and the same pushes, with `owners: keep` and with `drop`.
//!
//! The gate has to run as an account that has ids for others, and the client as the root of a machine, so this part needs root.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::pushes::{RSYNC, order, remote_shell, small_file, small_files};
use crate::site::{Gate, PUSH};
use crate::starts::start;
use crate::{median, met};
use support::getent::entry;

const STARTS: usize = 48;
const PUSHES: usize = 6;
const WAYS: [&str; 2] = ["drop", "keep"];

/// An account with ids for others.
struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The first that `/etc/subuid` names.
    fn any() -> Option<Self> {
        let text = fs::read_to_string("/etc/subuid").ok()?;
        text.lines().find_map(|line| {
            let fields = entry("passwd", line.split(':').next()?)?;
            Some(Self { name: fields[0].clone(), uid: fields[2].parse().ok()?, gid: fields[3].parse().ok()? })
        })
    }

    /// A site of its own, which says what becomes of owners.
    fn site(&self, root: &Path, name: &str, owners: &str, rsync: &Path) -> PathBuf {
        let config = root.join(format!("{name}-{owners}"));
        for directory in ["policies", "store", "spool"] {
            fs::create_dir_all(config.join(directory)).expect("directories");
        }
        for directory in ["store", "spool"] {
            chown(config.join(directory), Some(self.uid), Some(self.gid)).expect("an owner");
        }
        let shown = config.display();
        let site =
            format!("store: {shown}/store\nrsync: {}\nspool: {shown}/spool\nsyslog: off\nmail: {{ transport: off }}\n", rsync.display());
        fs::write(config.join("snapgate.yaml"), site).expect("the site file");
        fs::write(config.join(format!("policies/{}.yaml", self.name)), format!("verbs: [rsync]\nowners: {owners}\n")).expect("a policy");
        config
    }
}

pub(crate) fn owners(root: &Path, files: usize) {
    let account = Account::any().filter(|_| nix::unistd::Uid::effective().is_root() && Path::new("/usr/bin/newuidmap").exists());
    let Some(account) = account else {
        return println!("keeping owners: not measured, it needs root, newuidmap and an account in /etc/subuid\n");
    };
    let root = &root.join("owners");
    fs::create_dir(root).expect("a directory");
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).expect("mode");
    starts(root, &account);
    pushes(root, &account, files);
}

/// From exec to exec.
fn starts(root: &Path, account: &Account) {
    const LIMIT: f64 = 4.0;
    let probe = root.join("probe");
    fs::copy(std::env::current_exe().expect("this program"), &probe).expect("a copy");
    let program = root.join("snapgate-shell");
    fs::copy(Gate::this().program, &program).expect("a copy");
    let sites = WAYS.map(|owners| account.site(root, "starts", owners, &probe));
    let command = |index: usize| {
        let mut command = Command::new(if index == 0 { &probe } else { &program });
        command.env_clear().uid(account.uid).gid(account.gid);
        if let Some(site) = index.checked_sub(1).and_then(|index| sites.get(index)) {
            command.arg("--config").arg(site);
            command.env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22").env("SSH_ORIGINAL_COMMAND", PUSH);
        }
        command
    };
    let mut taken = vec![Vec::new(); WAYS.len() + 1];
    for round in 0..STARTS + 3 {
        for index in order(taken.len(), round) {
            let time = start(&mut command(index));
            if round >= 3 {
                taken[index].push(time);
            }
        }
    }
    let medians: Vec<f64> = taken.iter_mut().map(|times| median(times)).collect();
    println!("an account's push, from exec to exec of rsync, ms (median of {STARTS}; without what the probe alone takes)");
    println!("  owners dropped               {:8.2}", medians[1] - medians[0]);
    let kept = medians[2] - medians[0];
    println!("  owners kept                  {kept:8.2}  (limit {LIMIT}: {})\n", met(kept <= LIMIT));
}

/// Files that are as they were, of several owners.
fn pushes(root: &Path, account: &Account, files: usize) {
    const LIMIT: f64 = 1.1;
    let source = root.join("source");
    fs::create_dir(&source).expect("a directory");
    small_files(&source, files);
    for number in 0..files {
        let id = u32::try_from(number % 10).expect("a digit");
        chown(source.join(small_file(number)), Some(id), Some(id)).expect("an owner");
    }
    let shells = WAYS.map(|owners| {
        let site = account.site(root, "pushes", owners, Path::new(RSYNC));
        let shell = site.join("shell");
        let Account { uid, gid, .. } = account;
        let gate = root.join("snapgate-shell");
        let run = format!("exec setpriv --reuid={uid} --regid={gid} --clear-groups {} --config {}", gate.display(), site.display());
        remote_shell(&shell, &run);
        shell
    });
    let push = |index: usize| {
        let mut command = Command::new(RSYNC);
        command.args(["-a", "--numeric-ids", "--delete", "-e"]).arg(&shells[index]).arg(format!("{}/", source.display())).arg("backup:");
        nix::unistd::sync();
        let begin = Instant::now();
        let status = command.stdin(Stdio::null()).status().expect("rsync");
        assert!(status.success(), "{}: {status}", WAYS[index]);
        begin.elapsed().as_secs_f64()
    };
    let mut taken = vec![Vec::new(); WAYS.len()];
    for round in 0..=PUSHES {
        for index in order(WAYS.len(), round) {
            let time = push(index);
            // The first is the one that stores the files.
            if round > 0 {
                taken[index].push(time);
            }
        }
    }
    let medians: Vec<f64> = taken.iter_mut().map(|times| median(times)).collect();
    println!("{files} small unchanged files, a further push of an account's, -a, s (median of {PUSHES})");
    println!("  owners dropped               {:8.2}", medians[0]);
    println!("  owners kept                  {:8.2}", medians[1]);
    let ratio = medians[1] / medians[0];
    println!("  kept / dropped               {ratio:8.2}  (limit {LIMIT}: {})\n", met(ratio <= LIMIT));
}
