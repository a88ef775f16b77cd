//! The figures that every connection pays for, measured as whole processes and printed as ratios of one run.
//!
//! `make bench` runs it with the release build. It needs root for nothing; it needs rsync, rrsync and about a gigabyte
//! of room in the system's temporary directory. Start-up is timed up to the first instruction of what is started in
//! rsync's place: a probe (this program again, under another name) that says what the clock shows and ends.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails loudly"
)]

#[path = "../../tests/support/getent.rs"]
mod getent;
mod pushes;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 96;
const PUSH: &str = "rsync --server -logDtpre.iLsfxCIvu . .";

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words.first().is_some_and(|name| name == "rsync" || name.ends_with("/probe")) {
        return probe(&words);
    }
    let files = words.iter().find_map(|word| word.strip_prefix("--files=")?.parse().ok()).unwrap_or(100_000);
    let root = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("mode");
    println!("snapgate {}: whole processes, medians; every ratio is of one interleaved run\n", env!("CARGO_PKG_VERSION"));
    let only = |part: &str| words.iter().any(|word| word == part) || !words.iter().any(|word| PARTS.contains(&word.as_str()));
    binary();
    if only("--refusals") {
        refusals(root.path());
    }
    if only("--starts") {
        start_up(root.path());
    }
    if only("--pushes") {
        pushes::throughput(root.path(), files);
    }
    if only("--publishing") {
        pushes::publishing(root.path(), files);
    }
}

/// What may be asked for alone: `cargo bench -- --starts`.
const PARTS: [&str; 4] = ["--refusals", "--starts", "--pushes", "--publishing"];

fn gate() -> &'static str {
    env!("CARGO_BIN_EXE_snapgate")
}

/// Stands in rsync's place: tells the time and waits to be told to end, so that the gate can be looked at.
fn probe(words: &[String]) {
    if words.iter().any(|word| word == "--version") {
        println!("rsync  version 3.5.0  protocol version 32");
        return;
    }
    println!("{}", now().as_nanos());
    let _ = std::io::stdin().read(&mut [0]);
    // As rsync ends when the connection is cut: nothing is published, so no round stands in the next one's way.
    std::process::exit(12);
}

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock").into()
}

fn met(holds: bool) -> &'static str {
    if holds { "met" } else { "NOT MET" }
}

fn binary() {
    let size = fs::metadata(gate()).expect("the program").len();
    println!("program           {:.2} MB  (limit 5: {})\n", size as f64 / 1e6, met(size <= 5_000_000));
}

/// One start: milliseconds to the probe, and the starter's peak memory in kilobytes.
fn start(command: &mut Command) -> (f64, u64) {
    let before = now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a start");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let at: u128 = line.trim().parse().unwrap_or_else(|_| panic!("the probe did not answer: `{line}`"));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    drop(child.stdin.take());
    child.wait().expect("an end");
    ((at - before.as_nanos()) as f64 / 1e6, peak.unwrap_or(0))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Set {
    config: PathBuf,
    probe: PathBuf,
}

/// A site whose rsync is the probe, with one policy for this account and `others` besides.
fn set(root: &Path, name: &str, rsync: Option<&Path>, others: usize) -> Set {
    let config = root.join(name);
    let store = config.join("store");
    fs::create_dir_all(config.join("policies")).expect("directories");
    fs::create_dir_all(&store).expect("directories");
    let probe = config.join("probe");
    if rsync.is_none() {
        fs::copy(std::env::current_exe().expect("this program"), &probe).expect("a copy");
    }
    let rsync = rsync.unwrap_or(&probe).display();
    let site = format!(
        "store: {}\nrsync: {rsync}\nspool: {}\nsyslog: off\nmail: {{ transport: off }}\n",
        store.display(),
        config.join("spool").display()
    );
    fs::create_dir_all(config.join("spool")).expect("directories");
    fs::write(config.join("snapgate.yaml"), site).expect("the site file");
    let user = user();
    let own = "verbs: [rsync]\noptions: { allow: [owner, group] }\n";
    fs::write(config.join(format!("policies/{user}.yaml")), own).expect("a policy");
    fs::write(config.join("policies/bench.yaml"), format!("user: {user}\nkeys: [{}]\n{own}", fingerprint())).expect("a policy");
    for number in 0..others {
        let text = format!("user: other{number}\nkeys: [SHA256:{number:043}]\nfrom: [192.0.2.0/24]\nverbs: [rsync]\n");
        fs::write(config.join(format!("policies/other{number}.yaml")), text).expect("a policy");
    }
    Set { config, probe }
}

fn user() -> String {
    getent::my_name()
}

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn fingerprint() -> String {
    use base64::Engine as _;
    let blob = base64::engine::general_purpose::STANDARD.decode(KEY).expect("base64");
    let digest = ring::digest::digest(&ring::digest::SHA256, &blob);
    format!("SHA256:{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest))
}

fn serve(set: &Set, client: Option<&str>, auth: Option<&Path>) -> Command {
    let mut command = Command::new(gate());
    command.arg("--config").arg(&set.config).arg("serve");
    if let Some(client) = client {
        command.args(["--client", client]);
    }
    command.env_clear().env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22").env("SSH_ORIGINAL_COMMAND", PUSH);
    if let Some(auth) = auth {
        command.env("SSH_USER_AUTH", auth);
    }
    command
}

fn start_up(root: &Path) {
    let few = set(root, "few", None, 0);
    let many = set(root, "many", None, 1000);
    let rrsync = rrsync(root, &few.probe);
    let auth = tempfile::Builder::new().prefix("sshauth.").rand_bytes(15).tempfile_in("/tmp").expect("a file");
    auth.as_file().write_all(format!("publickey ssh-ed25519 {KEY}\n").as_bytes()).expect("a line");
    let user = user();

    let mut names = vec!["the probe alone", "gate, by account", "gate, --client", "1,000 policies, by account", "1,000 policies, --client"];
    names.extend(["gate, by key", "1,000 policies, by key", "rrsync"]);
    let mut times = vec![Vec::new(); names.len()];
    let (mut peak, mut random) = (0, 7_u64);
    for round in 0..ROUNDS + 3 {
        // What cargo sets for a benchmark slows the linker down: nobody gets it here.
        let mut alone = Command::new(&few.probe);
        alone.env_clear();
        let mut commands = vec![alone];
        commands.push(serve(&few, None, None));
        commands.push(serve(&few, Some(&user), None));
        commands.push(serve(&many, None, None));
        commands.push(serve(&many, Some(&user), None));
        commands.push(serve(&few, None, Some(auth.path())));
        commands.push(serve(&many, None, Some(auth.path())));
        commands.extend(rrsync.as_ref().map(|(program, directory)| {
            let mut command = Command::new(program);
            command
                .arg(directory)
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("SSH_ORIGINAL_COMMAND", PUSH)
                .env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22");
            command
        }));
        // In an order of its own each round, so that none always comes after the same.
        let mut commands: Vec<_> = commands.into_iter().enumerate().collect();
        for last in (1..commands.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            commands.swap(last, (random >> 33) as usize % (last + 1));
        }
        for (index, mut command) in commands {
            let (time, memory) = start(&mut command);
            // The first rounds fill caches, the gate's own among them.
            if round >= 3 {
                times[index].push(time);
                if index == 1 {
                    peak = peak.max(memory);
                }
            }
        }
    }
    println!("from exec to exec of rsync, ms (median of {ROUNDS}; what the probe alone takes is not taken off)");
    let medians: Vec<f64> = times.iter_mut().filter(|times| !times.is_empty()).map(|times| median(times)).collect();
    for (name, median) in names.iter().zip(&medians) {
        println!("  {name:<28} {median:8.2}");
    }
    let net = medians[1] - medians[0];
    println!("  gate without the probe       {net:8.2}  (limit 2: {})", met(net <= 2.0));
    println!(
        "  1,000 policies cost          {:8.2} by account, {:.2} by --client (limit 1: {}), {:.2} by key (limit 10: {})",
        medians[3] - medians[1],
        medians[4] - medians[2],
        met(medians[3] - medians[1] <= 1.0 && medians[4] - medians[2] <= 1.0),
        medians[6] - medians[5],
        met(medians[6] - medians[5] <= 10.0)
    );
    match medians.get(7) {
        Some(rrsync) => println!(
            "  rrsync / gate                {:8.1}  with the probe, {:.1} without (limit 20: {})",
            rrsync / medians[1],
            (rrsync - medians[0]) / net,
            met((rrsync - medians[0]) / net >= 20.0)
        ),
        None => println!("  rrsync is not installed: no ratio"),
    }
    println!("  gate's peak memory           {:8.2} MiB  (limit 4: {})\n", peak as f64 / 1024.0, met(peak <= 4096));
}

/// What turning somebody away costs: the processor's time of the gate itself, and with the `watch` that it starts to mail.
fn refusals(root: &Path) {
    let set = set(root, "refusals", None, 0);
    let policy = set.config.join(format!("policies/{}.yaml", user()));
    fs::write(policy, "verbs: [rsync]\nfrom: [192.0.2.0/24]\noptions: { allow: [owner, group] }\n").expect("a policy");
    nix::sys::prctl::set_child_subreaper(true).expect("the watches as children");
    let options = "rsync --server -logDtpre.iLsfxCIvu --write-devices . ../x".to_owned();
    let longest = format!("rsync --server {}. x", "-K ".repeat(5000));
    let hidden = "rsync --server -slogDtpre.iLsfxCIvu".to_owned();
    let block = [b"rsync\0".to_vec(), vec![b'x'; 16_384]].concat();
    println!("processor time of a refusal, ms (mean of {ROUNDS})           the gate   and the watch that it starts");
    for (name, command, stdin) in [
        ("an option", &options, &b""[..]),
        ("an address", &PUSH.to_owned(), b""),
        ("scp", &"scp -t x".to_owned(), b""),
        ("the longest command", &longest, b""),
        ("the longest block of -s", &hidden, &block),
    ] {
        let (mut gate, mut both) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            let mut input = tempfile::tempfile().expect("a file");
            input.write_all(stdin).expect("bytes");
            std::io::Seek::rewind(&mut input).expect("its beginning");
            let mut command = {
                let mut serve = serve(&set, None, None);
                if name == "an address" {
                    serve.env("SSH_CONNECTION", "198.51.100.7 50000 192.0.2.1 22");
                }
                serve.env("SSH_ORIGINAL_COMMAND", command).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
                serve
            };
            let before = children();
            let status = command.spawn().expect("a start").wait().expect("an end");
            assert_eq!(status.code(), Some(77), "{name}");
            gate += children() - before;
            // The watch has become a child of ours.
            while nix::sys::wait::wait().is_ok() {}
            both += children() - before;
        }
        let (gate, both) = (gate / ROUNDS as f64, both / ROUNDS as f64);
        println!("  {name:<42} {gate:14.2}  {both:14.2}  (limit 3: {})", met(gate <= 3.0));
    }
    println!();
}

/// Milliseconds of the processor that ended children have used.
fn children() -> f64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).expect("a figure");
    let milliseconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3;
    milliseconds(usage.user_time()) + milliseconds(usage.system_time())
}

/// rrsync with the probe in rsync's place: the script names its rsync in a line of its own.
fn rrsync(root: &Path, probe: &Path) -> Option<(PathBuf, PathBuf)> {
    let script = fs::read_to_string("/usr/bin/rrsync").ok()?;
    let line = script.lines().find(|line| line.starts_with("RSYNC = "))?;
    let changed = script.replace(line, &format!("RSYNC = '{}'", probe.display()));
    let program = root.join("rrsync");
    fs::write(&program, changed).ok()?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).ok()?;
    let directory = root.join("rrsync-store");
    fs::create_dir(&directory).ok()?;
    Some((program, directory))
}
