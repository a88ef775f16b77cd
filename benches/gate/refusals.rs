//! What turning somebody away costs.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use crate::met;
use crate::site::{Gate, PUSH, Set, user};

const ROUNDS: usize = 96;

/// What turning somebody away costs: the processor's time of the gate itself, and with the `watch` that it starts to mail.
pub(crate) fn refusals(root: &Path) {
    let gate = Gate::this();
    let set = Set::new(root, "refusals", None, 0);
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
        let (mut alone, mut both) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            let mut input = tempfile::tempfile().expect("a file");
            input.write_all(stdin).expect("bytes");
            std::io::Seek::rewind(&mut input).expect("its beginning");
            let mut command = {
                let mut serve = set.serve(&gate, None, None);
                if name == "an address" {
                    serve.env("SSH_CONNECTION", "198.51.100.7 50000 192.0.2.1 22");
                }
                serve.env("SSH_ORIGINAL_COMMAND", command).stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
                serve
            };
            let before = children();
            let status = command.spawn().expect("a start").wait().expect("an end");
            assert_eq!(status.code(), Some(77), "{name}");
            alone += children() - before;
            // The watch has become a child of ours.
            while nix::sys::wait::wait().is_ok() {}
            both += children() - before;
        }
        let (alone, both) = (alone / ROUNDS as f64, both / ROUNDS as f64);
        println!("  {name:<42} {alone:14.2}  {both:14.2}  (limit 3: {})", met(alone <= 3.0));
    }
    println!();
}

/// Milliseconds of the processor that ended children have used.
fn children() -> f64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).expect("a figure");
    let milliseconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3;
    milliseconds(usage.user_time()) + milliseconds(usage.system_time())
}
