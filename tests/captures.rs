//! Every command line in `tests/captures/`, as sshd handed it over from a real client, has a verdict, and it stays the same.
//! After a change that is meant, `GOLDEN=write cargo test --test captures` writes the file anew; read the difference.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snapgate::decide::rsync::argv::{self, Version, for_push};
use snapgate::decide::rsync::command::{Command, Push, parse};
use snapgate::decide::rsync::options::Choice;
use snapgate::decide::rsync::secluded::Block;
use snapgate::decide::rsync::transfer::{Flags, Keeps, Place, Setup, Spot, Transfer, printed};
use snapgate::decide::sandbox::spec::Confinement;
use snapgate::terms::ids::Owners;
use snapgate::terms::reason::Reason;
use snapgate::terms::request::{Account, Original};

/// The captures write a byte that is not UTF-8 as a lone surrogate, which JSON readers refuse; this stands for it meanwhile.
const FOREIGN_BYTE: char = '\u{f8ff}';

#[derive(serde::Deserialize)]
struct Capture {
    client: String,
    case: String,
    command: String,
    /// The first bytes that the client wrote.
    #[serde(default)]
    stdin_hex: String,
}

fn captures() -> Vec<Capture> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap().replace("\\udcff", &FOREIGN_BYTE.to_string());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Capture>>()
    };
    files.iter().flat_map(read).collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

fn bytes(capture: &Capture) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in capture.command.chars() {
        if character == FOREIGN_BYTE { bytes.push(0xff) } else { bytes.extend(character.to_string().bytes()) }
    }
    bytes
}

/// What came of a line; where `-s` sent the rest of it on standard input, of both.
fn parsed(capture: &Capture) -> Result<Command, Vec<Reason>> {
    match parse(&Original::Command(bytes(capture)))? {
        begun @ (Command::Secluded(_) | Command::SecludedRestore(_)) => {
            let mut block = Block::default();
            let hex = capture.stdin_hex.as_bytes().chunks(2);
            let mut bytes = hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            let words = bytes.by_ref().find_map(|byte| block.feed(byte).unwrap());
            assert_eq!(bytes.count(), 4, "the protocol's number comes behind the block");
            match begun {
                Command::Secluded(begun) => begun.with(&words.unwrap()).map(Command::Push),
                Command::SecludedRestore(begun) => Ok(Command::Restore(Box::new(begun.with(&words.unwrap())))),
                whole => Ok(whole),
            }
        }
        whole => Ok(whole),
    }
}

/// The verdict on one line: the codes, or the place and the words that run.
fn verdict(capture: &Capture) -> String {
    let setup = argv::Setup {
        version: Version(3, 5, 0),
        confinement: Confinement::View,
        root: PathBuf::from("/r"),
        idle: Duration::from_secs(600),
        link_dests: vec![PathBuf::from("/r/b")],
        partial_dir: ".~snapgate-1~".to_owned(),
        log: PathBuf::from("/r/l"),
        forced: Vec::new(),
        ids: None,
        logs_owners: false,
    };
    let refuse = |reasons: Vec<Reason>| {
        let told: Vec<_> = reasons.iter().map(|reason| format!("{} ({})", reason.code, reason.says)).collect();
        format!("refuse {}", told.join("; "))
    };
    let account = Account { name: "no-account".to_owned(), uid: 4_000_000_000, group: 4_000_000_000 };
    let refused = |push: &Push| push.refused_for(&Choice::default(), &Owners::Account, &account);
    match parsed(capture) {
        Err(reasons) => refuse(reasons),
        // By a policy that says nothing of options, for an ordinary account.
        Ok(Command::Push(push)) if !refused(&push).is_empty() => refuse(refused(&push)),
        Ok(Command::Push(push)) => {
            let words: Vec<_> = for_push(&push, &setup).into_iter().map(|word| word.into_string().unwrap()).collect();
            let dry = if push.is_dry() { " dry" } else { "" };
            // What every plain push of a client of today says is left out.
            let notes = push.notes().iter().filter(|note| !note.contains(" was passed on in part: "));
            let said = notes.chain(push.warnings()).fold(String::new(), |mut all, one| {
                write!(all, " [{one}]").unwrap();
                all
            });
            format!("push `{}`{dry}: {}{said}", push.place(), words.join(" "))
        }
        Ok(Command::Restore(restore)) => match &restore.transfer {
            Err(reasons) => refuse(reasons.clone()),
            Ok(transfer) => pulled(transfer),
        },
        Ok(other) => format!("{other:?}"),
    }
}

/// A pull, by its paths and the words that run.
fn pulled(transfer: &Transfer) -> String {
    let names = |place: &Place| {
        let names: Vec<_> = place.names.iter().map(|name| name.bytes().escape_ascii().to_string()).collect();
        format!("{}{}", names.join("/"), place.tail.as_str())
    };
    let paths: Vec<_> = transfer.paths.iter().map(|place| format!("`{}`", names(place))).collect();
    let (options, flags) = (transfer.options().map(|_| Some(Spot::held("LIST".into()))).collect(), Flags::default());
    let setup = Setup {
        version: Version(3, 5, 0),
        flags: &flags,
        keeps: Keeps::Kernel,
        spares_times: false,
        options,
        paths: vec![Spot::held("PATHS".into())],
    };
    let words: Vec<_> = printed(transfer, &setup).into_iter().map(|word| word.into_string().unwrap()).collect();
    format!("restore {}: {}", paths.join(" "), words.join(" "))
}

#[test]
fn every_captured_line_has_the_verdict_that_it_had() {
    let captures = captures();
    assert!(captures.len() >= 490, "only {} lines were found", captures.len());
    let mut verdicts = String::new();
    for capture in &captures {
        writeln!(verdicts, "{} | {} | {}", capture.client, capture.case, verdict(capture)).unwrap();
    }
    let golden = directory().join("verdicts.txt");
    if std::env::var_os("GOLDEN").is_some_and(|word| word == "write") {
        fs::write(&golden, &verdicts).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap();
    for (now, then) in verdicts.lines().zip(expected.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(verdicts.lines().count(), expected.lines().count());
}

#[test]
fn the_plainest_pushes_of_every_client_are_allowed_and_what_s_hides_too_and_what_reads_is_a_pull() {
    for capture in captures() {
        let parsed = parsed(&capture);
        let name = format!("{} | {} | {}", capture.client, capture.case, capture.command);
        if ["push -a", "push -az --delete", "push -aHAX --numeric-ids --delete", "-a h:dst/"].contains(&capture.case.as_str())
            && !capture.command.contains("--temp-dir")
        {
            assert!(matches!(parsed, Ok(Command::Push(_))), "{name}");
        }
        if capture.command.contains("--daemon") {
            assert!(parsed.is_err(), "{name}");
        }
        if capture.command.contains("--sender") {
            assert!(matches!(parsed, Ok(Command::Restore(_))), "{name}");
        }
        let hides = capture.command.contains(" -s") && !["--sender", "--iconv"].iter().any(|refused| capture.command.contains(refused));
        assert!(!hides || matches!(parsed, Ok(Command::Push(_))), "{name}");
    }
}
