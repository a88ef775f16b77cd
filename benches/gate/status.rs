//! `snapgate status` of many clients with many snapshots each, as a whole process.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::terms::snapshot::NamePattern;

use crate::site::user;
use crate::{median, met};

const CLIENTS: usize = 100;

const SNAPSHOTS: i64 = 1000;

/// Milliseconds that it may take.
const MOST: f64 = 200.0;

pub(crate) fn status(root: &Path) {
    let config = root.join("status");
    let (store, spool) = (config.join("store"), config.join("spool"));
    for directory in [&config.join("policies"), &store, &spool] {
        fs::create_dir_all(directory).expect("directories");
    }
    let site = format!("store: {}\nspool: {}\nsyslog: off\nmail: {{ transport: off }}\n", store.display(), spool.display());
    fs::write(config.join("snapgate.yaml"), site).expect("the site file");
    let (names, newest): (_, DateTime<Utc>) = (NamePattern::default(), Utc::now() - TimeDelta::hours(1));
    for number in 0..CLIENTS {
        fs::write(config.join(format!("policies/client{number}.yaml")), format!("user: {}\n", user())).expect("a policy");
        let mut private = fs::DirBuilder::new();
        private.mode(0o700).recursive(true).create(store.join(format!("client{number}/.snapgate"))).expect("a repository");
        let snapshots = store.join(format!("client{number}/snapshots"));
        fs::create_dir(&snapshots).expect("a directory");
        for hours in 0..SNAPSHOTS {
            fs::create_dir(snapshots.join(names.name_at(newest - TimeDelta::hours(hours)).as_str())).expect("a snapshot");
        }
    }
    let mut times: Vec<f64> = (0..11)
        .map(|_| {
            let begin = Instant::now();
            let output = Command::new(env!("CARGO_BIN_EXE_snapgate")).arg("--config").arg(&config).arg("status").output().expect("status");
            let time = begin.elapsed().as_secs_f64() * 1e3;
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.lines().filter(|line| line.contains(" 1000 ")).count() == CLIENTS, "{output:?}");
            time
        })
        .collect();
    let time = median(&mut times);
    println!("status of {CLIENTS} clients with {SNAPSHOTS} snapshots each   {time:.0} ms  (limit {MOST:.0}: {})\n", met(time < MOST));
}
