//! Kills a command at each of its system calls, by strace(1).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{must, run};

/// How often a command makes each of these calls. The command has to succeed; `log` is written.
#[track_caller]
pub fn calls(program: &Command, calls: &str, log: &Path) -> BTreeMap<String, usize> {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(log).arg("-e").arg(format!("trace={calls}")).arg("--");
    must(command.arg(program.get_program()).args(program.get_args()));
    let mut all = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let call = line.split_once(' ').map_or("", |(_, rest)| rest.trim_start()).split('(').next().unwrap();
        if !call.is_empty() && call.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            *all.entry(call.to_owned()).or_default() += 1;
        }
    }
    all
}

/// Runs a command, and kills it before it makes a call for that time.
pub fn kill(program: &Command, call: &str, nth: usize) {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("inject={call}:signal=KILL:when={nth}")).arg("--");
    run(command.arg(program.get_program()).args(program.get_args()));
}
