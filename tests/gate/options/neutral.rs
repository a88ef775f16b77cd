//! What is accepted and not passed on, over every protocol that clients of today and of fifteen years ago speak: the client
//! works by the option and the server does not, and each push has to come out whole, linked and with success all the same:
//! the first one, one with changes, one that is cut off and the one after it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use snapgate::decide::rsync::argv::Version;

use support::tree::noise;
use support::versions::older_client;
use support::{Gate, POLICY, Ran, Running, must};

/// The protocols of rsync 2.6.0 (28), 2.6.4 (29), 3.0 (30), 3.1 (31) and 3.4 (32).
const PROTOCOLS: [&str; 5] = ["--protocol=28", "--protocol=29", "--protocol=30", "--protocol=31", "--protocol=32"];

/// A file that is cut off in the middle: half a second of it at the rate below.
const LARGE: usize = 1 << 20;

struct Client {
    gate: Gate,
    source: PathBuf,
    options: Vec<&'static str>,
    pushes: u64,
}

impl Client {
    fn new(options: &[&'static str]) -> Self {
        let gate = Gate::with("", POLICY);
        let source = gate.source("data");
        fs::create_dir(source.join("sub")).unwrap();
        fs::write(source.join("sub/kept"), "the same in every push\n").unwrap();
        fs::write(source.join("changing"), noise(1, 100_000)).unwrap();
        must(Command::new("find").arg(&source).args(["-exec", "touch", "-d", "2026-01-01 10:00", "{}", "+"]));
        Self { gate, source, options: options.to_vec(), pushes: 0 }
    }

    fn command(&self, protocol: &str, more: &[&str]) -> Command {
        let mut words = self.options.clone();
        words.push(protocol);
        words.extend(more);
        self.gate.push_command(&self.source, &words, "")
    }

    /// A push that has to come out right.
    #[track_caller]
    fn push(&mut self, protocol: &str) -> Ran {
        let ran = Running::start(&mut self.command(protocol, &[])).wait();
        let what = format!("{:?} {protocol}, push {}", self.options, self.pushes + 1);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{what}: {}", ran.stdout);
        self.pushes += 1;
        let newest = self.gate.newest();
        for name in ["sub/kept", "changing", "large"] {
            let own = fs::read(self.source.join(name)).ok();
            assert!(fs::read(newest.join(name)).ok() == own, "{what}: {name} is not what the client has");
        }
        let differs = must(Command::new("rsync").args(["-an", "--delete", "-i"]).arg(format!("{}/", self.source.display())).arg(&newest));
        assert_eq!(differs, "", "{what}");
        assert_eq!(self.links(&newest), self.pushes, "{what}: an unchanged file was not linked");
        assert!(!self.gate.inside("inprogress").exists(), "{what}");
        ran
    }

    fn links(&self, newest: &Path) -> u64 {
        fs::metadata(newest.join("sub/kept")).unwrap().nlink()
    }

    fn change(&self, seed: u64) {
        let mut bytes = noise(1, 100_000);
        let at = usize::try_from(seed).unwrap() * 1000;
        bytes[at..at + 500].copy_from_slice(&noise(seed, 500));
        fs::write(self.source.join("changing"), bytes).unwrap();
        // Protocols before 31 have whole seconds only, and two changes may come in one.
        must(Command::new("touch").args(["-d", &format!("2026-02-{seed:02}")]).arg(self.source.join("changing")));
        fs::write(self.source.join(format!("new-{seed}")), "new\n").unwrap();
    }

    /// A push of a large file that the client is killed in.
    fn cut_off(&self, protocol: &str) {
        let mut running = Running::start(&mut self.command(protocol, &["--bwlimit=2000"]));
        let inprogress = self.gate.inside("inprogress");
        support::until("a part of the large file is there", || {
            assert!(
                running.child.try_wait().unwrap().is_none(),
                "{:?} {protocol}: the push ended before it could be cut off",
                self.options
            );
            arriving(&inprogress).is_some_and(|size| size > 100_000)
        });
        kill(Pid::from_raw(i32::try_from(running.child.id()).unwrap()), Signal::SIGKILL).unwrap();
        running.wait();
        support::until("the gate has put the tree aside", || !self.gate.is_at_work() && !inprogress.exists());
    }
}

/// The size of what rsync is writing of the large file, whatever it calls it meanwhile.
fn arriving(directory: &Path) -> Option<u64> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let of_large = entries.filter(|entry| entry.file_name().to_string_lossy().contains("large"));
    of_large.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.size()).max()
}

/// Every protocol in turn, each push on top of those before it.
fn holds_with(options: &[&'static str]) {
    holds_over(&PROTOCOLS, options);
}

fn holds_over(protocols: &[&'static str], options: &[&'static str]) {
    // Protocol 32 and `--fsync` are for clients from 3.2.4 on, if this is run with another client.
    let old = older_client(Version(3, 2, 4));
    let protocols: Vec<_> = protocols.iter().copied().filter(|protocol| !old || *protocol != PROTOCOLS[4]).collect();
    let options: Vec<_> = options.iter().copied().filter(|option| !old || *option != "--fsync").collect();
    let mut client = Client::new(&options);
    for (protocol, seed) in protocols.iter().copied().zip(2_u64..) {
        client.push(protocol);
        client.change(seed);
        let ran = client.push(protocol);
        assert!(ran.figure("Matched data") > 50_000, "{options:?} {protocol}: the change was sent whole: {}", ran.stdout);
        fs::write(client.source.join("large"), noise(seed, LARGE)).unwrap();
        client.cut_off(protocol);
        let ran = client.push(protocol);
        // A client that may speak a protocol before 29 gets one place to link from, which is the newest snapshot.
        let goes_on = protocol >= PROTOCOLS[2];
        assert_eq!(ran.figure("Matched data") > 50_000, goes_on, "{options:?} {protocol}: {}", ran.stdout);
        fs::remove_file(client.source.join("large")).unwrap();
    }
    assert_eq!(client.gate.snapshots().len(), 3 * protocols.len());
}

#[test]
fn inplace_is_neutral() {
    holds_with(&["--inplace"]);
}

#[test]
fn a_partial_dir_is_neutral() {
    holds_with(&["--partial-dir=.rsync-partial"]);
}

#[test]
fn delayed_updates_are_neutral() {
    holds_with(&["--delay-updates"]);
}

#[test]
fn a_link_dest_of_the_client_is_neutral() {
    holds_with(&["--link-dest=../yesterday"]);
    // Neither a second one nor `--fuzzy` is for protocols before 29, says the client itself.
    holds_over(&PROTOCOLS[1..], &["--link-dest=../yesterday", "--link-dest=/etc"]);
}

#[test]
fn mkpath_and_the_smaller_ones_are_neutral() {
    holds_with(&["--mkpath", "--fsync", "--partial", "--copy-unsafe-links"]);
}

#[test]
fn all_of_them_at_once_are_neutral() {
    holds_over(&PROTOCOLS[1..], &["--partial-dir=.p", "--delay-updates", "--mkpath", "--link-dest=../yesterday", "-y", "--fsync"]);
    holds_over(&PROTOCOLS[1..], &["--inplace", "--mkpath", "--link-dest=../yesterday", "--partial", "-S"]);
}
