//! Processes of one server, found in `/proc`: those below its sshd, and those that have detached themselves but stand
//! in its directory, name it, or hold something in it open. Nothing is ever found by a program's name alone.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends a signal to each; one that has ended meanwhile is no matter.
pub fn signal(pids: &[u32], signal: Signal) {
    for pid in pids {
        let _ = kill(Pid::from_raw(i32::try_from(*pid).unwrap()), signal);
    }
}

/// Everything below these processes.
pub fn descendants(roots: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all() {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = roots.to_vec();
    while let Some(pid) = open.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        found.extend(&below);
        open.extend(below);
    }
    found
}

/// Stops a process and everything below it, and says which these are. From above, and until a look finds nobody new: one
/// that runs may just be starting another, which would go on unseen.
pub fn stop(root: u32) -> Vec<u32> {
    // What waits for a disk, or for a child that was stopped before it became its program (vfork(2)),
    // stops as soon as that is over, and starts nobody until then.
    let is_running = |pid: &u32| stat(*pid).is_some_and(|(state, _)| !matches!(state, 'T' | 't' | 'Z' | 'D'));
    let mut stopped = Vec::new();
    super::until("all of it is stopped", || {
        let tree = [vec![root], descendants(&[root])].concat();
        signal(&tree, Signal::SIGSTOP);
        let is_whole = tree == stopped && !tree.iter().any(is_running);
        stopped = tree;
        is_whole
    });
    stopped
}

/// Processes of that program that stand in `dir`, name it, or hold something in it open.
pub fn of(dir: &Path, program: &str) -> Vec<u32> {
    of_any(dir, &[program])
}

/// The same of any of these programs.
pub fn of_any(dir: &Path, programs: &[&str]) -> Vec<u32> {
    let named = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
        programs.iter().any(|program| first.ends_with(program.as_bytes()))
    };
    // The name first: to see whose it is takes a look at all that it has open.
    all().filter(named).filter(|pid| belongs(*pid, dir)).collect()
}

/// Ends everything that a server has started.
pub fn end_all(roots: &[u32], dir: &Path) {
    for _ in 0..100 {
        let mut pids = descendants(roots);
        pids.extend(all().filter(|pid| !is_of_this_program(*pid) && belongs(*pid, dir)));
        pids.retain(|pid| is_alive(*pid));
        if pids.is_empty() {
            return;
        }
        signal(&pids, Signal::SIGKILL);
        sleep(Duration::from_millis(5));
    }
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The third and fourth fields of `/proc/PID/stat`, after the name in brackets (proc(5)).
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whose child it is.
pub fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|(_, parent)| parent)
}

/// Whether it has not ended; one that only waits to be collected has.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

/// This process, or a child of another of its threads that has not become its program yet: until then it has copies of
/// everything that is open here, whatever that belongs to.
fn is_of_this_program(pid: u32) -> bool {
    let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    pid == std::process::id() || program("self").is_some_and(|own| program(&pid.to_string()) == Some(own))
}

fn belongs(pid: u32, dir: &Path) -> bool {
    let inside = |link: &str| fs::read_link(format!("/proc/{pid}/{link}")).is_ok_and(|path| path.starts_with(dir));
    let needle = dir.as_os_str().as_bytes();
    let names = || {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(needle.len()).any(|window| window == needle)
    };
    // rsync has a file system of its own and stands in a directory of another name, but it holds its lock.
    let holds = || {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(dir)))
    };
    inside("cwd") || inside("exe") || names() || holds()
}
