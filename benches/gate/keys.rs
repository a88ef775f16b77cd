//! `snapgate keys` of many policies, as a whole process, as sshd starts it at each key that is offered.
//!
//! A key that is nobody's is what strangers offer. Who asks may not be answered from what the policies
//! said before, so each answer looks at every one of their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use snapgate::act::config::{self, keyring};
use snapgate::terms::{Fingerprint, base64};

use crate::{median, met};

const POLICIES: u32 = 10_000;

const ROUNDS: usize = 101;

/// Milliseconds that an answer may take.
const MOST: f64 = 5.0;

pub(crate) fn keys(root: &Path) {
    println!("snapgate keys, with {POLICIES} policies, ms (median of {ROUNDS}, limit {MOST:.0})");
    let labs = [("an account for each client", false), ("one account for all", true)]
        .map(|(name, is_shared)| (name, is_shared, lab(root, is_shared)));
    // Until every change that is to come would show.
    thread::sleep(Duration::from_secs(4));
    for (name, is_shared, lab) in labs {
        let site = config::load_site(&lab).expect("the site file");
        keyring::refresh(&lab, &site).expect("an index");
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            let number = u32::try_from(round * 97).expect("a number");
            times[0].push(ask(&lab, &account(number, is_shared), number, true));
            times[1].push(ask(&lab, &account(number, is_shared), POLICIES + number, false));
        }
        let [hit, miss] = times.map(|mut times| median(&mut times));
        println!("  {name:<28} {hit:8.2} of a client's key ({}), {miss:.2} of a stranger's ({})", met(hit < MOST), met(miss < MOST));
    }
    println!();
}

/// Milliseconds to the answer.
fn ask(lab: &Path, account: &str, number: u32, is_known: bool) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapgate"));
    command.arg("--config").arg(lab).args(["keys", account, "ssh-ed25519", &key(number)]).env_clear();
    let begin = Instant::now();
    let output = command.output().expect("an answer");
    let time = begin.elapsed().as_secs_f64() * 1e3;
    let is_right = if is_known { output.stdout.starts_with(b"restrict,") } else { output.stdout.is_empty() };
    assert!(output.status.success() && is_right, "{output:?}");
    time
}

fn account(number: u32, is_shared: bool) -> String {
    if is_shared { "backup".to_owned() } else { format!("account{number}") }
}

fn lab(root: &Path, is_shared: bool) -> PathBuf {
    let lab = root.join(if is_shared { "keys-shared" } else { "keys" });
    fs::create_dir_all(lab.join("policies")).expect("directories");
    fs::write(lab.join("snapgate.yaml"), format!("store: {0}\nspool: {0}\nsyslog: off\n", lab.display())).expect("the site file");
    for number in 0..POLICIES {
        let blob = base64::read(&key(number)).expect("a key");
        let fingerprint = Fingerprint::of_digest(&hmac_sha256::Hash::hash(&blob));
        let text = format!("user: {}\nkeys: [{fingerprint}]\n", account(number, is_shared));
        fs::write(lab.join(format!("policies/client{number}.yaml")), text).expect("a policy");
    }
    lab
}

/// A key in base64, as sshd tells it.
fn key(number: u32) -> String {
    let mut blob = Vec::new();
    for part in [&b"ssh-ed25519"[..], &[&[7; 28], &number.to_be_bytes()[..]].concat()] {
        blob.extend(u32::try_from(part.len()).expect("a length").to_be_bytes());
        blob.extend(part);
    }
    base64::without_padding(&blob)
}
