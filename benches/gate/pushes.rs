//! Whole pushes, with rsync's own and through the gate, and publishing alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{gate, median, met, set, user};

/// A shell of one's own for `rsync -e`: the client's words become SSH_ORIGINAL_COMMAND, as sshd would hand them over.
fn remote_shell(path: &Path, run: &str) {
    let text = format!(
        "#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND=\"$*\" SSH_CONNECTION='192.0.2.7 50000 192.0.2.1 22'\nexport SSH_ORIGINAL_COMMAND SSH_CONNECTION\n{run}\n"
    );
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
}

/// A hundred files in a directory, and directories three deep, as in somebody's home.
fn small_files(directory: &Path, files: usize) {
    for number in 0..files {
        let parent = directory.join(format!("d{}/d{}/d{}", number / 10_000, number / 1000 % 10, number / 100 % 10));
        if number % 100 == 0 {
            fs::create_dir_all(&parent).expect("a directory");
        }
        fs::write(parent.join(format!("f{number}")), format!("{number}")).expect("a file");
    }
}

fn rsync(arguments: &[&str]) -> f64 {
    let begin = Instant::now();
    let status = Command::new("/usr/bin/rsync").args(arguments).stdin(Stdio::null()).status().expect("rsync");
    assert!(status.success(), "rsync {arguments:?}: {status}");
    begin.elapsed().as_secs_f64()
}

pub(crate) fn throughput(root: &Path, files: usize) {
    let source = root.join("source");
    fs::create_dir(&source).expect("a directory");
    small_files(&source, files);
    let set = set(root, "real", Some(Path::new("/usr/bin/rsync")), 0);
    let (gated, plain) = (root.join("gated.sh"), root.join("plain.sh"));
    remote_shell(&gated, &format!("exec {} --config {} serve --client {}", gate(), set.config.display(), user()));
    remote_shell(&plain, "cd / && exec $SSH_ORIGINAL_COMMAND");
    let from = format!("{}/", source.display());
    let gate = || rsync(&["-a", "--delete", "-e", &gated.display().to_string(), &from, "backup:"]);
    // As deep as the gate's own snapshots: each level costs rsync 3.5.0 some system calls for each file.
    let plain_store = root.join("real/store/plain/snapshots");
    fs::create_dir_all(&plain_store).expect("directories");
    let target = |number: usize| plain_store.join(number.to_string()).display().to_string();
    let push = |number: usize, link: &str| {
        rsync(&[
            "-a",
            "--delete",
            "-e",
            &plain.display().to_string(),
            &format!("--link-dest={link}"),
            &from,
            &format!("backup:{}/", target(number)),
        ])
    };
    fs::create_dir(target(9)).expect("a directory");
    push(0, &target(9));
    gate();
    let (mut gates, mut plains) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        plains.push(push(number, &target(number - 1)));
        gates.push(gate());
    }
    let (gate, plain) = (median(&mut gates), median(&mut plains));
    println!("{files} small unchanged files, a further push, s (median of 3)");
    println!("  plain rsync --link-dest      {plain:8.2}");
    println!("  through the gate             {gate:8.2}");
    println!("  plain / gate                 {:8.2}  (limit 2.5 with rsync 3.5.0: {})\n", plain / gate, met(plain / gate >= 2.5));
    first_pushes(root, files / 5, &plain_store);
}

/// New files, each of which has its mode and times changed by the gate in rsync's stead.
fn first_pushes(root: &Path, files: usize, plain_store: &Path) {
    let source = root.join("new");
    fs::create_dir(&source).expect("a directory");
    small_files(&source, files);
    let from = format!("{}/", source.display());
    let (mut gates, mut plains) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let target = plain_store.join(format!("new{round}"));
        let plain = root.join("plain.sh").display().to_string();
        plains.push(rsync(&["-a", "--delete", "-e", &plain, &from, &format!("backup:{}/", target.display())]));
        let set = set(root, &format!("new{round}"), Some(Path::new("/usr/bin/rsync")), 0);
        let gated = root.join(format!("new{round}.sh"));
        remote_shell(&gated, &format!("exec {} --config {} serve --client {}", gate(), set.config.display(), user()));
        gates.push(rsync(&["-a", "--delete", "-e", &gated.display().to_string(), &from, "backup:"]));
    }
    let (gate, plain) = (median(&mut gates), median(&mut plains));
    println!("{files} small new files, a first push, s (median of 3)");
    println!("  plain rsync                  {plain:8.2}");
    println!("  through the gate             {gate:8.2}");
    println!("  more for each file, us       {:8.1}  (no limit)\n", (gate - plain) * 1e6 / files as f64);
}

/// Publishing alone, through the library: what stands between the end of rsync and the snapshot's name.
pub(crate) fn publishing(root: &Path, files: usize) {
    use snapgate::act::store::Repository;
    use snapgate::terms::path::SubPath;
    use snapgate::terms::snapshot::NamePattern;

    let names = NamePattern::default();
    let uid = nix::unistd::getuid().as_raw();
    let tree = |name: &str, files: usize| {
        let path = root.join(name);
        fs::create_dir(&path).expect("a directory");
        small_files(&path, files);
        path
    };
    let trees = [tree("ten", 10), tree("many-files", files)];
    let path = root.join("publishing");
    let repository = Repository::open(&path, uid).expect("a repository");
    let mut times = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for round in 0..20 {
        let which = round % 4;
        let held = repository.hold().expect("the lock");
        let staging = held.stage(&SubPath::default()).expect("a directory");
        // Hard links, as an unchanged push leaves them.
        let status = Command::new("cp").arg("-al").arg(format!("{}/.", trees[which % 2].display())).arg(staging.path()).status();
        assert!(status.expect("cp").success());
        if which < 2 {
            nix::unistd::syncfs(fs::File::open(&path).expect("the store")).expect("a sync");
        }
        let at = chrono::DateTime::from_timestamp(1_800_000_000 + round as i64, 0).expect("a time");
        let begin = Instant::now();
        staging.publish(names.name_at(at), "bench").expect("a snapshot");
        times[which].push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let [mut ten, mut many, mut fresh_ten, mut fresh_many] = times;
    println!("publishing, ms (median of 5)            on the disk already   just linked, the sync included");
    println!("  10 files                     {:12.2}          {:12.2}", median(&mut ten), median(&mut fresh_ten));
    println!("  {files} files                 {:12.2}          {:12.2}", median(&mut many), median(&mut fresh_many));
}
