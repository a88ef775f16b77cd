//! What `snapgate prune` takes: to decide, to take a snapshot out of history, and to free it. `make bench` runs it.
//!
//! Whole processes, on the file system of the system's temporary directory (`TMPDIR`), which needs some three gigabytes of room.
//! `cargo bench --bench prune -- --files=N` has snapshots of so many files.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and fails loudly")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::act::config::zones;
use snapgate::act::store::Repository;
use snapgate::decide::keep::{Extent, Keep, Period, Rule, Snapshot, Span, decide};
use snapgate::terms::NamePattern;
use snapgate::terms::zone::ZoneName;
use support::limits::{self, met};

/// Rounds of each measurement; the median counts.
const ROUNDS: usize = 5;

/// Pairs of trees that are removed, each of which has to be filled first.
const PAIRS: usize = 3;

/// No further pair is begun after so long: on a busy disk filling takes most of it.
const LONG_ENOUGH: Duration = Duration::from_secs(45);

fn main() -> ExitCode {
    let files = std::env::args().find_map(|word| word.strip_prefix("--files=").map(str::to_owned));
    let files: usize = files.map_or(100_000, |number| number.parse().expect("a number"));
    deciding(10_000);
    let place = Place::new(files);
    place.taking_out();
    place.freeing();
    limits::ended()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("a value")
}

fn milliseconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64() * 1e3
}

/// An hourly rhythm, and a policy with every kind of rule.
fn deciding(snapshots: usize) {
    let names = NamePattern::default();
    let now: DateTime<Utc> = "2026-11-28T09:00:00Z".parse().expect("a time");
    let hours = |number: usize| TimeDelta::hours(i64::try_from(number).expect("a number"));
    let all: Vec<_> =
        (0..snapshots).map(|number| now - hours(snapshots - number)).map(|at| Snapshot::complete(names.name_at(at), at)).collect();
    let rule = |period, count| Rule { period, extent: Extent::Count(count) };
    let rules = [(Period::Each, 10), (Period::Hour, 48), (Period::Day, 60), (Period::Week, 52), (Period::Month, 120), (Period::Year, 10)];
    let rules = rules.map(|(period, count)| rule(period, count)).to_vec();
    let keep = Keep { rules, min_snapshots: 3, keep_within: Span::of_days(7), resolution: TimeDelta::zero() };
    let zone = zones::load(&ZoneName::new("Europe/Berlin").expect("a name")).expect("a zone");
    let times = (0..ROUNDS).map(|_| milliseconds(|| assert_eq!(decide(&all, now, &zone, &keep).len(), snapshots))).collect();
    let took = median(times);
    println!("deciding over {snapshots} snapshots    {took:8.1} ms  (limit 50: {})", met(took < 50.0));
}

/// A site with one client.
struct Place {
    root: tempfile::TempDir,
    files: usize,
}

impl Place {
    fn new(files: usize) -> Self {
        let root = tempfile::Builder::new().prefix("snapgate-bench-").tempdir().expect("a directory");
        let place = Self { root, files };
        for directory in ["policies", "spool"] {
            fs::create_dir(place.path(directory)).expect("a directory");
        }
        let site = format!("store: {0}\nspool: {0}/spool\nsyslog: off\nmail: {{ transport: off }}\n", place.path("").display());
        fs::write(place.path("snapgate.yaml"), site).expect("the site file");
        let policy =
            format!("user: {}\nowners: drop\nkeep: {{ last: 1 }}\nmin_snapshots: 1\nkeep_within: 1h\n", support::getent::my_name());
        fs::write(place.path("policies/web1.yaml"), policy).expect("a policy");
        Repository::open(&place.path("web1"), nix::unistd::getuid().as_raw(), None).expect("a repository");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn snapgate(&self, words: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapgate"));
        let output = command.arg("--config").arg(self.root.path()).args(words).env_clear().output().expect("snapgate");
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }

    /// A tree of small files, a hundred in each directory, that is on the disk.
    fn fill(&self, tree: &Path) {
        for directory in 0..self.files.div_ceil(100) {
            let directory = tree.join(format!("{}/{directory}", directory / 100));
            fs::create_dir_all(&directory).expect("a directory");
            (0..100).for_each(|file| fs::write(directory.join(format!("file-{file}")), "some bytes").expect("a file"));
        }
        self.sync();
    }

    fn sync(&self) {
        nix::unistd::syncfs(File::open(self.root.path()).expect("the store")).expect("a sync");
    }

    /// `prune` with one snapshot that goes, which is brought back each time.
    fn taking_out(&self) {
        let names = NamePattern::default();
        let name = |days| names.name_at(Utc::now() - TimeDelta::days(days)).to_string();
        let (goes, stays) = (name(2), name(1));
        let snapshots = self.path("web1/snapshots");
        self.fill(&snapshots.join(&goes));
        fs::create_dir(snapshots.join(&stays)).expect("a snapshot");
        let round = |_| {
            let took = milliseconds(|| self.snapgate(&["prune"]));
            assert!(!snapshots.join(&goes).exists());
            self.snapgate(&["undelete", "--client", "web1", &goes]);
            self.snapgate(&["unprotect", "--client", "web1", &goes]);
            took
        };
        let took = median((0..ROUNDS).map(round).collect());
        println!("prune of a snapshot of {} files {took:8.1} ms  (limit 50: {})", self.files, met(took < 50.0));
    }

    /// The reaper, and `rm -rf` of the same tree, one after the other. What waits in the trash for a
    /// day is in no cache any more: that is what counts, and takes root to measure.
    fn freeing(&self) {
        self.freed("warm", &|| ());
        let drop_caches = || {
            self.sync();
            fs::write("/proc/sys/vm/drop_caches", "3").expect("root's power over the caches");
        };
        if nix::unistd::geteuid().is_root() {
            self.freed("cold", &drop_caches);
        } else {
            println!("freeing it with a cold cache: not measured, that takes root");
        }
    }

    fn freed(&self, cache: &str, before: &dyn Fn()) {
        let due = self.path("web1/.snapgate/reaping/2026-01-01T00-00-00Z@20260101T000000Z");
        let same = self.path("same");
        let reaper = || {
            before();
            let took = milliseconds(|| self.snapgate(&["prune"]));
            assert!(!due.exists());
            took
        };
        let rm = || {
            before();
            milliseconds(|| assert!(Command::new("rm").arg("-rf").arg(&same).status().expect("rm").success()))
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        for round in (0..PAIRS).take_while(|round| *round == 0 || begun.elapsed() < LONG_ENOUGH) {
            self.fill(&due);
            self.fill(&same);
            if round % 2 == 0 {
                ours.push(reaper());
                theirs.push(rm());
            } else {
                theirs.push(rm());
                ours.push(reaper());
            }
            self.sync();
        }
        let each: Vec<_> = theirs.iter().zip(&ours).map(|(theirs, ours)| format!("{:.2}", theirs / ours)).collect();
        let ratio = median(theirs.iter().zip(&ours).map(|(theirs, ours)| theirs / ours).collect());
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "freeing it, {cache} cache: reaper {ours:.0} ms, rm -rf {theirs:.0} ms: {ratio:.2} times as fast  (limit 1.8: {}; pairs: {})",
            met(ratio >= 1.8),
            each.join(" ")
        );
    }
}
