//! Random hostile commands through the real program, as sshd would hand them over: nothing is changed outside the client's
//! repository and the spool, nothing hangs, nothing panics, and every one is in the ledger. Seeded: the same on every
//! machine. `make hostile-commands` tries ten thousand.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use snapgate::decide::rsync::options;

use support::mutate::Random;
use support::tree;
use support::{GATE, Gate, must};

/// How many in the suite; `HOSTILE_COMMANDS` says another number.
const IN_THE_SUITE: usize = 1000;

/// Whatever is still there after this long hangs. The longest wait of the gate's own is the ten seconds for a block that does
/// not come, and here every standard input ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Processes at once: they wait for the disk more than they compute.
const AT_ONCE: usize = 4;

/// What a shell, a path or a log would act upon.
const SPITE: &[&str] = &[
    ";", "&&", "|", "$(id)", "`id`", ">", "<", "\n", "\r\n", "'", "\"", "\\", "*", "~root", "../../../etc", "/etc/passwd", "..", "/", "-",
    "--", "$IFS", "${HOME}", "\t", "#", "!", "\u{202e}", "\u{1b}[2J", "sh -c id", "decoy", "../neighbour", "../../decoy/file", ".snapgate",
    "snapshots", "current", "inprogress", "rsync", "--server", "--sender", "--daemon", ".", "%s%n", "=", "-e", "-M--sender",
];

/// Parts of a destination, so that many of them would lead to the decoy, to the neighbour or into history.
const STEPS: &[&str] =
    &["..", "..", "..", "neighbour", "decoy", "file", "tree", "snapshots", "current", ".snapgate", "store", "", ".", "~", "etc", "a b"];

/// A destination of a few of them.
fn place(random: &mut Random) -> Vec<u8> {
    let count = 1 + random.below(5);
    (0..count).map(|_| random.pick(STEPS).as_bytes()).collect::<Vec<_>>().join(&b'/')
}

fn dictionary() -> Vec<Vec<u8>> {
    let spellings =
        options::rows().iter().flat_map(|row| row.long.iter().map(|long| (*long).to_owned()).chain(row.letter.map(|l| format!("-{l}"))));
    spellings.chain(SPITE.iter().map(|word| (*word).to_owned())).map(String::into_bytes).collect()
}

/// What fuzzing starts from: what real clients send, and what stands on their standard input behind a NUL.
fn corpus() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files: Vec<_> = ["command", "secluded"]
        .iter()
        .flat_map(|name| fs::read_dir(directory.join(name)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// One command and what the client writes.
fn attempt(random: &mut Random, corpus: &[Vec<u8>], dictionary: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let words = |random: &mut Random, count: usize| -> Vec<u8> {
        (0..count).map(|_| random.pick(dictionary).clone()).collect::<Vec<_>>().join(&b' ')
    };
    let (both, sure_stdin) = match random.below(9) {
        0 | 1 => (random.mutant(corpus, dictionary), None),
        // Nothing is wrong with these but, mostly, where they go.
        2 => ([b"rsync --server -logDtpre.iLsfxCIvu --delete . '".to_vec(), place(random), b"'".to_vec()].concat(), None),
        8 => {
            let block = [b"rsync\0--delete\0.\0".to_vec(), place(random), b"/\0\0\x20\0\0\0".to_vec()].concat();
            (b"rsync --server -slogDtpre.iLsfxCIvu".to_vec(), Some(block))
        }
        3 => {
            let count = 1 + random.below(12);
            let options = words(random, count);
            ([b"rsync --server ".to_vec(), options, b" . ".to_vec(), words(random, 1)].concat(), None)
        }
        4 => {
            let count = random.below(8);
            let line = [b"rsync --server -slogDtpre.iLsfxCIvu ".to_vec(), words(random, count / 4)].concat();
            let hidden = (0..count).flat_map(|_| [random.pick(dictionary).clone(), vec![0]].concat()).collect();
            let block = [b"rsync\0".to_vec(), hidden, b".\0place\0\0\x20\0\0\0".to_vec()].concat();
            let block = if random.below(2) == 0 { block } else { random.mutant(&[block], dictionary) };
            (line, Some(block))
        }
        5 => {
            let count = 1 + random.below(6);
            (words(random, count), None)
        }
        6 => {
            let length = random.below(300);
            (random.bytes(length), None)
        }
        _ => {
            let (times, count) = (1 + random.below(2000), 1 + random.below(3));
            (words(random, count).repeat(times), None)
        }
    };
    // No variable can hold a NUL, nor more than the kernel takes in one (MAX_ARG_STRLEN); what is behind one goes to standard input.
    let (command, rest) = both.split_at(both.iter().position(|byte| *byte == 0).unwrap_or(both.len()));
    let stdin = match (sure_stdin, random.below(3)) {
        (Some(block), _) => block,
        (None, 0) => rest.get(1..).unwrap_or_default().to_vec(),
        (None, 1) => Vec::new(),
        (None, _) => {
            let length = random.below(4096);
            [b"\x20\0\0\0".to_vec(), random.bytes(length)].concat()
        }
    };
    (command[..command.len().min(100_000)].to_vec(), stdin)
}

/// Runs the gate as sshd does; says how it ended, with its words.
fn try_one(gate: &Gate, command: &[u8], stdin: &[u8]) -> (Option<i32>, String) {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(stdin).unwrap();
    input.seek(SeekFrom::Start(0)).unwrap();
    let mut said = tempfile::tempfile().unwrap();
    let mut program = Command::new(GATE);
    program.arg("--config").arg(gate.path().join("config")).current_dir(gate.path().join("decoy")).env_clear();
    program.env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22").env("SSH_ORIGINAL_COMMAND", OsStr::from_bytes(command));
    let mut child = program.stdin(input).stdout(Stdio::null()).stderr(said.try_clone().unwrap()).spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(1)),
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it hangs: \"{}\" with \"{}\"", command.escape_ascii(), stdin.escape_ascii());
            }
        }
    };
    assert_eq!(status.signal(), None, "it was killed: \"{}\"", command.escape_ascii());
    said.seek(SeekFrom::Start(0)).unwrap();
    (status.code(), std::io::read_to_string(said).unwrap_or_else(|_| "not UTF-8".to_owned()))
}

/// Tries so many; says how many were refused.
fn try_many(gate: &Gate, seed: u64, count: usize) -> usize {
    let (corpus, dictionary, mut random) = (corpus(), dictionary(), Random::new(seed));
    let mut refused = 0;
    for _ in 0..count {
        let (command, stdin) = attempt(&mut random, &corpus, &dictionary);
        let (code, said) = try_one(gate, &command, &stdin);
        let shown = || format!("\"{}\" with \"{}\": {code:?} {said}", command.escape_ascii(), stdin.escape_ascii());
        // rsync's own, or ours without 70, which would be a fault of the gate.
        assert!(code.is_some_and(|code| (0..=35).contains(&code) || [64, 65, 75, 77].contains(&code)), "{}", shown());
        assert!(!said.contains("panicked") && !said.contains("(code internal)") && !said.contains("RUST_BACKTRACE"), "{}", shown());
        let told = code != Some(77) || said.lines().all(|line| line.starts_with("snapgate: ") && !line.chars().any(char::is_control));
        assert!(told && !said.contains("neighbour/") && !said.contains("store/"), "{}", shown());
        refused += usize::from(code == Some(77));
    }
    refused
}

#[test]
fn random_hostile_commands_change_nothing_outside_hang_nowhere_and_are_all_remembered() {
    let count = std::env::var("HOSTILE_COMMANDS").ok().and_then(|count| count.parse().ok()).unwrap_or(IN_THE_SUITE);
    let gate = Gate::new();
    let source = gate.source("s");
    tree::small(&source);
    gate.push(&source, &[]).exits(0);
    // A neighbour's repository and a tree of somebody else, both of which the account could write to.
    fs::create_dir(gate.path().join("decoy")).unwrap();
    tree::small(&gate.path().join("decoy/tree"));
    fs::write(gate.path().join("decoy/file"), "as it was").unwrap();
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(gate.path().join("store/neighbour")));
    let watched = ["decoy", "store/neighbour", "config", "source", "ssh", "store/web1/snapshots"];
    let look = || watched.map(|name| tree::listing(&gate.path().join(name)));
    let (before, began, remembered) = (look(), Instant::now(), gate.ledger().len());

    let refused: usize = std::thread::scope(|scope| {
        let share = |at: usize| count / AT_ONCE + usize::from(at < count % AT_ONCE);
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|at| {
                scope.spawn({
                    let gate = &gate;
                    move || try_many(gate, 7 + at as u64, share(at))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let took = began.elapsed();
    for (now, before) in look().iter().zip(&before) {
        tree::same(now, before);
    }
    support::until("no rsync is left", || gate.rsyncs().is_empty());
    assert_eq!(gate.ledger().len() - remembered, count, "every one is in the ledger");
    assert!(fs::read_dir(gate.path().join("store")).unwrap().count() == 2, "something was made beside the repositories");
    assert!(refused * 10 > count * 6 && refused * 100 < count * 99, "{refused} of {count} were refused");
    if count > IN_THE_SUITE {
        let mut out = std::io::stderr();
        let _ = writeln!(out, "{count} hostile commands in {took:.0?}: {refused} refused, none changed anything outside, hung or panicked");
    }
}
