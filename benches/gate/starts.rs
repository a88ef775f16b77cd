//! From the start of the gate to the start of rsync, which every connection waits for.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::site::{Gate, KEY, PUSH, Set, user};
use crate::{median, met, now};

const ROUNDS: usize = 96;

/// Two medians of the same program differ by so much.
const NOISE: f64 = 1.05;

const ALONE: &str = "the probe alone";
const FEW: &str = "gate, by account";
const FEW_CLIENT: &str = "gate, --client";
const FEW_KEY: &str = "gate, by key";
const MANY: &str = "1,000 policies, by account";
const MANY_CLIENT: &str = "1,000 policies, --client";
const MANY_KEY: &str = "1,000 policies, by key";
const BASE: &str = "yesterday's, by account";
const RRSYNC: &str = "rrsync";

/// One start: milliseconds to the probe.
pub(crate) fn start(command: &mut Command) -> f64 {
    let before = now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a start");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let at: u128 = line.trim().parse().unwrap_or_else(|_| panic!("the probe did not answer: `{line}`"));
    drop(child.stdin.take());
    child.wait().expect("an end");
    (at - before.as_nanos()) as f64 / 1e6
}

type Starter<'a> = (&'static str, Box<dyn Fn() -> Command + 'a>);

pub(crate) fn start_up(root: &Path) {
    let (gate, base) = (Gate::this(), Gate::base());
    let few = Set::new(root, "few", None, 0);
    let many = Set::new(root, "many", None, 1000);
    let base = base.map(|base| (base, Set::new(root, "few-base", None, 0)));
    let rrsync = rrsync(root, &few.probe);
    let auth = tempfile::Builder::new().prefix("sshauth.").rand_bytes(15).tempfile_in("/tmp").expect("a file");
    auth.as_file().write_all(format!("publickey ssh-ed25519 {KEY}\n").as_bytes()).expect("a line");
    let user = user();
    let mut starters: Vec<Starter<'_>> = vec![
        (
            ALONE,
            Box::new(|| {
                let mut alone = Command::new(&few.probe);
                alone.env_clear();
                alone
            }),
        ),
        (FEW, Box::new(|| few.serve(&gate, None, None))),
        (FEW_CLIENT, Box::new(|| few.serve(&gate, Some(&user), None))),
        (MANY, Box::new(|| many.serve(&gate, None, None))),
        (MANY_CLIENT, Box::new(|| many.serve(&gate, Some(&user), None))),
        (FEW_KEY, Box::new(|| few.serve(&gate, None, Some(auth.path())))),
        (MANY_KEY, Box::new(|| many.serve(&gate, None, Some(auth.path())))),
    ];
    if let Some((base, set)) = &base {
        starters.push((BASE, Box::new(|| set.serve(base, None, None))));
    }
    if let Some((program, directory)) = &rrsync {
        starters.push((
            RRSYNC,
            Box::new(move || {
                let mut command = Command::new(program);
                command.arg(directory).env_clear().env("PATH", "/usr/bin:/bin").env("SSH_ORIGINAL_COMMAND", PUSH);
                command.env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22");
                command
            }),
        ));
    }
    report(&measure(&starters));
}

/// The median of each.
fn measure(starters: &[Starter<'_>]) -> Vec<(&'static str, f64)> {
    let mut times = vec![Vec::new(); starters.len()];
    let mut order: Vec<usize> = (0..starters.len()).collect();
    let mut random = 7_u64;
    for round in 0..ROUNDS + 3 {
        // In an order of its own each round, so that none always comes after the same.
        for last in (1..order.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(last, (random >> 33) as usize % (last + 1));
        }
        for &index in &order {
            let time = start(&mut starters[index].1());
            // The first rounds fill caches, the gate's own among them.
            if round >= 3 {
                times[index].push(time);
            }
        }
    }
    starters.iter().zip(&mut times).map(|((name, _), times)| (*name, median(times))).collect()
}

fn report(medians: &[(&'static str, f64)]) {
    println!("from exec to exec of rsync, ms (median of {ROUNDS}; what the probe alone takes is not taken off)");
    for (name, median) in medians {
        println!("  {name:<28} {median:8.2}");
    }
    let found = |name: &str| medians.iter().find(|(other, _)| *other == name).map(|(_, median)| *median);
    let at = |name: &str| found(name).expect("one that is always measured");
    let net = at(FEW) - at(ALONE);
    println!("  gate without the probe       {net:8.2}  (limit 2: {})", met(net <= 2.0));
    if let Some(base) = found(BASE).map(|base| base - at(ALONE)) {
        println!(
            "  gate / yesterday's           {:8.2}  without the probe (limit 1, {NOISE} with the noise: {})",
            net / base,
            met(net <= base * NOISE)
        );
    }
    let (account, client, key) = (at(MANY) - at(FEW), at(MANY_CLIENT) - at(FEW_CLIENT), at(MANY_KEY) - at(FEW_KEY));
    println!(
        "  1,000 policies cost          {account:8.2} by account, {client:.2} by --client (limit 1: {}), {key:.2} by key (limit 10: {})",
        met(account <= 1.0 && client <= 1.0),
        met(key <= 10.0)
    );
    match found(RRSYNC) {
        Some(rrsync) => println!(
            "  rrsync / gate                {:8.1}  with the probe, {:.1} without (limit 20: {})\n",
            rrsync / at(FEW),
            (rrsync - at(ALONE)) / net,
            met((rrsync - at(ALONE)) / net >= 20.0)
        ),
        None => println!("  rrsync is not installed: no ratio\n"),
    }
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
