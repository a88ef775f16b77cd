//! `require_mount: true`: every sample that says it, and that `serve` and `check` give one answer, with a bind mount.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking, its helpers too")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use snapgate::decide::host::mounts;
use snapgate::decide::policy::{Policy, Site, read_policy, read_site};
use support::getent;
use tempfile::TempDir;

fn samples(store: &str) -> Vec<(Policy, Site)> {
    let site = read_site(Path::new("/etc/snapgate/snapgate.yaml"), format!("store: {store}\n").as_bytes()).unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/policies")).unwrap() {
        let path = entry.unwrap().path();
        let client = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let policy = read_policy(&path, &fs::read(&path).unwrap(), &client, &site).unwrap();
        if policy.require_mount {
            found.push((policy, site.clone()));
        }
    }
    found
}

#[test]
fn every_sample_that_requires_a_mount_is_served_from_a_disk_and_from_nothing_else() {
    let found = samples("/srv/backups");
    let names: Vec<_> = found.iter().map(|(policy, _)| policy.client.to_string()).collect();
    for name in ["dump", "routers-pair"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    for (policy, site) in found {
        let disk = policy.path.ancestors().nth(policy.path.components().count() - 3).unwrap();
        let points = |points: &[&Path]| points.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>();
        assert!(mounts::satisfied(&site.store, &policy.path, &points(&[disk])), "{}: {}", policy.client, disk.display());
        assert!(!mounts::satisfied(&site.store, &policy.path, &points(&[])), "{}", policy.client);
        assert!(!mounts::satisfied(&site.store, &policy.path, &points(&[&site.store])), "{}: another disk", policy.client);
    }
}

/// A place that a directory is mounted on, for as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(what: &Path, place: &Path) -> Option<Self> {
        let output = Command::new("mount").arg("--bind").arg(what).arg(place).stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success()).then(|| Self(place.to_path_buf()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// A configuration whose only client is the account that runs this.
struct World {
    dir: TempDir,
}

impl World {
    fn new(policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        for name in ["etc", "etc/policies", "spool", "mail", "disk", "disk/backups", "the store", "my usb"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let account = getent::my_name();
        let site = format!(
            "store: \"{at}/the store\"\nrsync: /bin/true\nspool: {at}/spool\nsyslog: off\nsshd: off\nmail: {{ transport: \"file:{at}/mail\" }}\n"
        );
        fs::write(dir.path().join("etc/snapgate.yaml"), site).unwrap();
        let policy = format!(
            "user: {account}\nrequire_mount: true\nverbs: [prepare, rsync, complete, abort, status]\n{}",
            policy.replace("$DIR", &at.to_string())
        );
        fs::write(dir.path().join("etc/policies/c.yaml"), policy).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn snapgate(&self, words: &[&str]) -> (i32, String) {
        Self::run(Command::new(env!("CARGO_BIN_EXE_snapgate")).arg("--config").arg(self.path("etc")).args(words))
    }

    fn gate(&self, command: &str) -> (i32, String) {
        let mut gate = Command::new(env!("CARGO_BIN_EXE_snapgate-shell"));
        Self::run(gate.arg("--config").arg(self.path("etc")).args(["--client", "c"]).env("SSH_ORIGINAL_COMMAND", command))
    }

    fn run(program: &mut Command) -> (i32, String) {
        let output = program.env("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22").stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Asks everybody who can be asked; they have to agree.
    #[track_caller]
    fn agrees(&self, mounted: bool) {
        let (check, found) = self.snapgate(&["check", "--all"]);
        assert_eq!((check == 0, found.contains("require_mount")), (mounted, !mounted), "check: {found}");
        let (explained, text) = self.snapgate(&["explain", "--client", "c", "rsync --server -ltpre.iLsfxCIvu . ."]);
        assert_eq!(text.contains("require_mount` is set"), !mounted, "explain: {explained} {text}");
        for (verb, exit) in [("status", 0), ("prepare", 0), ("abort", 0), ("complete", 64)] {
            let (status, said) = self.gate(verb);
            assert_eq!(status, if mounted { exit } else { 75 }, "{verb}: {said}");
            assert!(mounted || !said.contains(&*self.path("").display().to_string()), "nothing about the server: {said}");
        }
    }
}

#[test]
fn serve_check_and_explain_agree_on_what_is_mounted() {
    let elsewhere = ("path: \"$DIR/my usb/backups/c\"\n", "my usb", "my usb/backups/c");
    for (policy, place, repository) in [("", "the store", "the store/c"), elsewhere] {
        let world = World::new(policy);
        fs::create_dir_all(world.path(repository)).unwrap();
        world.agrees(false);
        let written: Vec<_> = fs::read_dir(world.path(repository)).unwrap().collect();
        assert!(written.is_empty(), "nothing is written where the mount is missing: {written:?}");
        let Some(mounted) = Mounted::new(&world.path("disk"), &world.path(place)) else {
            let _ = writeln!(std::io::stderr(), "skipped: no bind mount here: needs root");
            return;
        };
        world.agrees(true);
        drop(mounted);
        world.agrees(false);
    }
}
