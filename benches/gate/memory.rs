//! The most memory that the gate itself takes while it serves a push.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::met;
use crate::pushes::{RSYNC, remote_shell, run, small_file, small_files};
use crate::site::{Gate, PUSH, Set, user};

/// Pushes of which each figure is the greatest.
const SMALL_PUSHES: usize = 10;

/// 64 MiB.
const MANY_LINKS: f64 = 67.1;

/// Inodes of the files that are linked: many names for each, and still fewer than any file system allows.
const INODES: usize = 1000;

pub(crate) fn memory(root: &Path, links: usize) {
    println!("peak memory of the gate, MB");
    let limit = |limit: f64, peak: f64| format!("(limit {limit}: {})", met(peak <= limit));
    let gate = Gate::this();
    let peak = small_pushes(root, "small", &gate);
    println!("  {:<28} {peak:8.2}  {}", "a small push", limit(4.0, peak));
    if let Some(base) = Gate::base() {
        println!("  {:<28} {:8.2}", "the same, yesterday's gate", small_pushes(root, "small-base", &base));
    }
    // Only for this gate: an older one may make links at once and record none.
    let set = Set::new(root, "memory", None, 0);
    // What is linked to has to be there first.
    recorded(&set, &gate, PUSH, links);
    for (name, push) in [("", PUSH.to_owned()), (", -H", PUSH.replace("-logDtp", "-logDtpH"))] {
        let peak = recorded(&set, &gate, &push, links);
        let ledger = set.config.join(format!("store/{}/.snapgate/ledger.jsonl", user()));
        let ledger = fs::read_to_string(ledger).expect("the ledger");
        let last = ledger.lines().last().unwrap_or_default();
        assert!(last.contains(&format!("\"linked\":{links},")), "{last}");
        println!("  {:<28} {peak:8.2}  {}", format!("{links} unchanged files{name}"), limit(MANY_LINKS, peak));
    }
    println!();
}

/// A hundred files, which are new, and then are not.
fn small_pushes(root: &Path, name: &str, gate: &Gate) -> f64 {
    let set = Set::new(root, name, Some(Path::new(RSYNC)), 0);
    let (source, shell, pid) = (set.config.join("source"), set.config.join("shell"), set.config.join("pid"));
    small_files(&source, 100);
    // The shell becomes the gate, and so its number is the gate's.
    remote_shell(&shell, &format!("echo $$ >{}\n{}", pid.display(), run(gate, &set)));
    let peaks = (0..SMALL_PUSHES).map(|_| {
        let _ = fs::remove_file(&pid);
        let mut command = Command::new(RSYNC);
        command.args(["-a", "-e"]).arg(&shell).arg(format!("{}/", source.display())).arg("backup:").stdin(Stdio::null());
        let child = command.spawn().expect("rsync");
        peak(child, gate, || fs::read_to_string(&pid).ok())
    });
    peaks.fold(0.0, f64::max)
}

/// The gate with a program in rsync's place that asks for so many links and nothing else.
fn recorded(set: &Set, gate: &Gate, push: &str, links: usize) -> f64 {
    let mut command = set.serve(gate, None, None);
    command.env("SSH_ORIGINAL_COMMAND", push).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("a start");
    let pid = child.id().to_string();
    writeln!(child.stdin.take().expect("its input"), "{links}").expect("a line");
    peak(child, gate, || Some(pid.clone()))
}

/// What the kernel says of the gate until `child` ends, in millions of bytes. It only grows, and nothing says it afterwards: the last
/// look counts, and looks are close together.
fn peak(mut child: Child, gate: &Gate, pid: impl Fn() -> Option<String>) -> f64 {
    // As much of a program's name as the kernel keeps. Before, the process is the shell that becomes the gate.
    let name: String = gate.program.file_name().expect("a name").to_string_lossy().chars().take(15).collect();
    let mut peak = 0;
    loop {
        let status = pid().and_then(|pid| fs::read_to_string(format!("/proc/{}/status", pid.trim())).ok()).unwrap_or_default();
        let field = |field: &str| status.lines().find_map(|line| line.strip_prefix(field)).map(str::trim);
        if field("Name:") == Some(&name) {
            let most = field("VmHWM:").and_then(|most| most.strip_suffix(" kB")?.parse::<u64>().ok());
            peak = peak.max(most.unwrap_or(0));
        }
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success() && peak > 0, "{status}, {peak} kB");
            return peak as f64 * 1024.0 / 1e6;
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// In rsync's place: asks for as many links as a push of so many unchanged files does. Where there is no snapshot to link from it makes
/// one: links among its own files are none of the gate's.
pub(crate) fn record(words: &[String], links: usize) {
    let basis = words.iter().find_map(|word| word.strip_prefix("--link-dest="));
    for number in 0..links {
        let name = small_file(number);
        if number % 100 == 0 {
            fs::create_dir_all(name.parent().expect("a directory")).expect("a directory");
        }
        let made = match basis {
            Some(basis) => fs::hard_link(Path::new(basis).join(&name), &name),
            None if number < INODES => fs::write(&name, "x"),
            None => fs::hard_link(small_file(number % INODES), &name),
        };
        made.expect("a name");
    }
}
