//! What must hold for any bytes whatever: one function for each thing that comes from outside. The fuzz targets call them, and
//! `tests/fuzz_replay.rs` does in the suite. A property that does not hold panics; nothing else may.
//!
//! What is allowed is checked here against the option table and a list of its own, never with the code that prints.

mod rrsync;

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use snapgate::decide::host::authinfo;
use snapgate::decide::policy::lint;
use snapgate::decide::policy::yaml::Fault;
use snapgate::decide::policy::{Policy, Site, read_policy, read_site};
use snapgate::decide::push::links::Tree;
use snapgate::decide::push::plan::{self, Places};
use snapgate::decide::rsync::argv::Version;
use snapgate::decide::rsync::command::{Command, Push, Secluded, parse};
use snapgate::decide::rsync::options::{self, Check, Choice, Row, Rule, Value};
use snapgate::decide::rsync::secluded::{Block, Words};
use snapgate::decide::sandbox::spec::{Confinement, Sandbox};
use snapgate::decide::speak::{alerts, line, message};
use snapgate::terms::ids::Owners;
use snapgate::terms::limits;
use snapgate::terms::reason::{Code, Origin, Reason};
use snapgate::terms::repository::RepositoryState;
use snapgate::terms::request::{Account, Original};
use snapgate::terms::text::{ELLIPSIS, printable};
use snapgate::terms::{Body, Event, Mail};

pub use self::rrsync::rrsync;

/// Something that holds for any bytes, or panics.
pub type Property = fn(&[u8]);

/// Every property by its name, which is also the name of its fuzz target and of its corpus.
pub const TARGETS: [(&str, Property); 6] =
    [("command", command), ("secluded", secluded), ("policy", policy), ("auth", auth), ("ledger", ledger), ("rrsync", rrsync)];

/// Options that no push may ever hand to rsync, whatever a table or a policy says.
const NEVER: [&str; 30] = [
    "--sender", "--daemon", "--config", "--dparam", "--server", "--append", "--append-verify", "--inplace", "--write-devices",
    "--copy-devices", "--files-from", "--log-file", "--copy-as", "--copy-dest", "--compare-dest", "--link-dest", "--temp-dir",
    "--partial-dir", "--backup-dir", "--rsh", "--rsync-path", "--remote-option", "--insecure-links", "--confine-root", "--no-drop-D",
    "--trust-sender", "--fake-super", "--super", "--secluded-args", "--protect-args",
];

/// The same for letters.
const NEVER_LETTERS: &str = "KLkTMfF0s";

/// An account that no option names.
fn no_account() -> Account {
    Account { name: "no-account".to_owned(), uid: 4_000_000_000, group: 4_000_000_000 }
}

/// A command as sshd hands it over and, behind a NUL, what the client writes on standard input.
pub fn command(data: &[u8]) {
    let (original, stdin) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b""[..]),
    };
    match parse(&Original::Command(original.to_vec())) {
        Err(reasons) => refused(&reasons),
        Ok(Command::Push(push)) => allowed(&push),
        Ok(Command::Secluded(begun)) => {
            // Nothing is read behind what the policy has still to allow.
            let left_to_the_policy = begun.visible.refused_for(&Choice::default(), &Owners::Account, &no_account());
            if !left_to_the_policy.is_empty() {
                return refused(&left_to_the_policy);
            }
            words_of_the_table(&begun.visible);
            if let Some((words, _)) = block(stdin) {
                whole(&begun, &words);
            }
        }
        Ok(_) => assert!(!original.is_empty()),
    }
}

/// Standard input behind a command with `-s`.
pub fn secluded(data: &[u8]) {
    static BEGUN: OnceLock<Secluded> = OnceLock::new();
    let begun = BEGUN.get_or_init(|| match parse(&Original::Command(b"rsync --server -slogDtpre.iLsfxCIvu".to_vec())) {
        Ok(Command::Secluded(begun)) => begun,
        other => panic!("{other:?}"),
    });
    if let Some((words, read)) = block(data) {
        let again = [b"rsync\0".to_vec(), words.as_slice().iter().flat_map(|word| [word, &b"\0"[..]].concat()).collect(), vec![0]].concat();
        assert_eq!(again, &data[..read], "the words are the block, and the block is what was read");
        whole(begun, &words);
    }
}

/// Feeds a block; says how many bytes it took.
fn block(stdin: &[u8]) -> Option<(Words, usize)> {
    let mut block = Block::default();
    for (at, byte) in stdin.iter().enumerate() {
        assert!(at <= limits::MAX_SECLUDED, "more is read than may be");
        match block.feed(*byte) {
            Ok(None) => {}
            Ok(Some(words)) => {
                assert!(words.as_slice().len() <= limits::MAX_SECLUDED_WORDS);
                assert!(words.as_slice().iter().all(|word| !word.is_empty() && !word.contains(&0)));
                one_line(&words.shown());
                return Some((words, at + 1));
            }
            Err(fault) => {
                refused(&[fault.reason()]);
                break;
            }
        }
    }
    one_line(&block.shown());
    None
}

fn whole(begun: &Secluded, words: &Words) {
    match begun.with(words) {
        Err(reasons) => refused(&reasons),
        Ok(push) => allowed(&push),
    }
}

/// A refusal says why, shortly, on one line, and never that the gate itself went wrong.
fn refused(reasons: &[Reason]) {
    assert!(!reasons.is_empty() && reasons.len() <= limits::MAX_REASONS, "{} reasons", reasons.len());
    for reason in reasons {
        assert!(reason.code != Code::Internal && !reason.says.is_empty(), "{reason:?}");
        for text in [Some(&reason.says), reason.hint.as_ref(), Some(&reason.detail), reason.remedy.as_ref()].into_iter().flatten() {
            one_line(text);
            assert!(text.len() < 2048, "{text}");
        }
    }
}

fn one_line(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// A push that is allowed, if a policy that says nothing of options allows it.
fn allowed(push: &Push) {
    let left_to_the_policy = push.refused_for(&Choice::default(), &Owners::Account, &no_account());
    if !left_to_the_policy.is_empty() {
        return refused(&left_to_the_policy);
    }
    words_of_the_table(push);
    stays_inside(push);
    prints_itself(push);
    for text in push.notes().iter().chain(push.warnings()) {
        one_line(text);
    }
}

/// Every word that is passed on is a row's, with a value that the row takes, and none is of the kind that never may be.
fn words_of_the_table(push: &Push) {
    for word in push.words() {
        assert!(!word.bytes().any(|byte| byte == 0) && word != "." && word != "--", "{word}");
        if word.starts_with("--") {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            assert!(!NEVER.contains(&name), "{word}");
            let row = options::by_long(name).unwrap_or_else(|| panic!("{word}"));
            assert!(is_passed_on(row), "{word}: {row:?}");
            match (row.value, value) {
                (Value::None, None) => {}
                (Value::Attached(check) | Value::Either(check), Some(value)) => assert!(check.allows(value), "{word}"),
                _ => panic!("{word}: {row:?}"),
            }
            continue;
        }
        let letters = word.strip_prefix('-').unwrap_or_else(|| panic!("{word}"));
        let (letters, capabilities) = letters.split_once('e').unwrap_or((letters, "."));
        assert!(!capabilities.contains('I') && Check::Capabilities.allows(capabilities), "{word}");
        for letter in letters.chars() {
            let row = options::by_letter(letter).unwrap_or_else(|| panic!("{word}"));
            assert!(is_passed_on(row) && matches!(row.value, Value::None) && !NEVER_LETTERS.contains(letter), "{word}: {row:?}");
            assert!(letters.matches(letter).count() <= row.repeats, "{word}");
        }
    }
}

fn is_passed_on(row: &Row) -> bool {
    !matches!(row.rule, Rule::Refuse(_) | Rule::Drop)
}

/// What would run of a push, held by this.
fn sandbox(push: &Push, confinement: Confinement) -> Sandbox {
    let now = DateTime::<Utc>::default();
    let plan = plan::push(push, &policy_of_nothing().1, &RepositoryState::default(), now).expect("an empty state stops nothing");
    let places = Places {
        root: PathBuf::from("/r"),
        program: PathBuf::from("/usr/bin/rsync"),
        version: Version(3, 5, 0),
        stage: PathBuf::from("/r/inprogress"),
        bases: vec![Tree::published("/r/snapshots/1")],
        partial_dir: ".~snapgate-1~".to_owned(),
        log: PathBuf::from("/r/log"),
        confinement,
        mapping: None,
        running: Some(100),
        logs_owners: true,
    };
    plan.run(places).sandbox().clone()
}

/// What would run of a push that asks for nothing: all of it is the server's.
fn servers_own() -> &'static [(Confinement, Sandbox)] {
    static OWN: OnceLock<Vec<(Confinement, Sandbox)>> = OnceLock::new();
    OWN.get_or_init(|| match parse(&Original::Command(b"rsync --server . .".to_vec())) {
        Ok(Command::Push(push)) => [Confinement::View, Confinement::Jail, Confinement::None].map(|one| (one, sandbox(&push, one))).into(),
        other => panic!("{other:?}"),
    })
}

/// Wherever the push goes, rsync starts below the directory that the gate made and is given `.`; every word is the push's
/// own, which are the table's, or the server's; and no word of the client's decides what the sandbox opens.
fn stays_inside(push: &Push) {
    let place = push.place().below(Path::new(""));
    assert!(place.components().all(|part| matches!(part, Component::Normal(name) if !name.as_encoded_bytes().contains(&0))), "{place:?}");
    assert_eq!(place.components().count(), push.place().components().count(), "{place:?}");
    one_line(&push.place().to_string());
    let words = push.words();
    for (confinement, own) in servers_own() {
        let sandbox = sandbox(push, *confinement);
        assert_eq!(
            serde_json::from_slice::<Sandbox>(&serde_json::to_vec(&sandbox).unwrap()).as_ref().ok(),
            Some(&sandbox),
            "a sandbox is read as it was sent"
        );
        assert_eq!((&sandbox.isolation, &sandbox.limits, &sandbox.binds), (&own.isolation, &own.limits, &own.binds));
        assert_eq!((&sandbox.grants, &sandbox.program), (&own.grants, &own.program));
        assert_eq!(sandbox.directory, push.place().below(&own.directory));
        let argv: Vec<_> = sandbox.argv.iter().map(|word| word.as_encoded_bytes()).collect();
        assert!(argv.first() == Some(&&b"--server"[..]) && argv.ends_with(&[b".", b"."]), "{argv:?}");
        assert_eq!(argv.iter().filter(|word| !word.starts_with(b"-")).count(), 2, "{argv:?}");
        for word in &sandbox.argv {
            let text = word.to_str().unwrap_or_default();
            let timeout =
                text.strip_prefix("--timeout=").and_then(|seconds| seconds.parse().ok()).is_some_and(|s: u32| (1..=600).contains(&s));
            let base = || own.argv.iter().filter(|own| own.as_encoded_bytes().starts_with(b"--link-dest="));
            let linked = || base().any(|own| push.place().below(Path::new(own)).as_os_str() == word);
            assert!(words.iter().any(|own| own == text) || own.argv.contains(word) || timeout || linked(), "{text}");
        }
    }
}

/// A push, printed and read again, is the same push: on the command line where its place can stand there, and on standard input.
fn prints_itself(push: &Push) {
    let mut words = push.words();
    words.extend(push.timeout().map(|seconds| format!("--timeout={seconds}")));
    let place = push.place().below(Path::new("."));
    let place = place.as_os_str().as_encoded_bytes();
    let plain = std::str::from_utf8(place).ok().filter(|place| !place.chars().any(char::is_control));
    if let Some(place) = plain {
        let all: Vec<&str> = ["rsync", "--server"].into_iter().chain(words.iter().map(String::as_str)).chain([".", place]).collect();
        let quoted: Vec<String> = all.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        let line = quoted.join(" ");
        // Quoting makes it longer, and a push may already be as long as it can be.
        if line.len() <= limits::MAX_COMMAND {
            match parse(&Original::Command(line.clone().into_bytes())) {
                Ok(Command::Push(again)) => same(push, &again),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
    let hidden = words.iter().map(String::as_bytes).chain([&b"."[..], place]);
    let bytes = [b"rsync\0".to_vec(), hidden.flat_map(|word| [word, &b"\0"[..]].concat()).collect(), vec![0]].concat();
    if bytes.len() <= limits::MAX_SECLUDED {
        let (words, _) = block(&bytes).expect("a block");
        match parse(&Original::Command(b"rsync --server -s".to_vec())) {
            Ok(Command::Secluded(begun)) => same(push, &begun.with(&words).expect("the same push")),
            other => panic!("{other:?}"),
        }
    }
}

fn same(one: &Push, other: &Push) {
    assert_eq!(one.words(), other.words());
    assert_eq!(one.place(), other.place());
    assert_eq!(one.timeout(), other.timeout());
    assert_eq!(one.is_dry(), other.is_dry());
    assert_eq!(one.warnings(), other.warnings());
    let needs = |push: &Push| {
        push.refused_for(&Choice::default(), &Owners::Real, &no_account()).into_iter().map(|reason| reason.remedy).collect::<Vec<_>>()
    };
    assert_eq!(needs(one), needs(other));
}

fn policy_of_nothing() -> &'static (Site, Policy) {
    static BOTH: OnceLock<(Site, Policy)> = OnceLock::new();
    BOTH.get_or_init(|| {
        let site = read_site(Path::new("/etc/snapgate/snapgate.yaml"), b"store: /r\n").expect("a site");
        let policy = read_policy(Path::new("/etc/snapgate/policies/c.yaml"), b"verbs: [rsync]\n", &"c".parse().expect("a name"), &site);
        (site, policy.expect("a policy"))
    })
}

/// A site file and, behind a line `---`, a client's policy.
pub fn policy(data: &[u8]) {
    const RULE: &[u8] = b"\n---\n";
    let cut = data.windows(RULE.len()).position(|window| window == RULE);
    let (first, second) = cut.map_or((&b""[..], data), |at| (&data[..at + 1], &data[at + RULE.len()..]));
    let site = if first.is_empty() {
        policy_of_nothing().0.clone()
    } else {
        match read_site(Path::new("/s.yaml"), first) {
            Ok(site) => site,
            Err(fault) => return has_a_place(&fault, first),
        }
    };
    let client = "c".parse().expect("a name");
    let policy = match read_policy(Path::new("/c.yaml"), second, &client, &site) {
        Ok(policy) => policy,
        Err(fault) => return has_a_place(&fault, second),
    };
    assert!(policy.path.is_absolute() && policy.path.components().all(|part| part != Component::ParentDir), "{policy:?}");
    let hooks = policy.hooks.prepare.iter().chain(&policy.hooks.complete);
    assert!(hooks.map(|argv| argv.first()).all(|program| program.is_some_and(|program| program.starts_with('/'))), "{policy:?}");
    assert!(limits::IDLE_LIMIT.contains(&policy.idle) && limits::PUSH_LIMIT.contains(&policy.deadline), "{policy:?}");
    let at = DateTime::from_timestamp(1_795_226_400, 0).expect("a time");
    let name = policy.names.name_at(at);
    assert!(Path::new(name.as_str()).components().all(|part| matches!(part, Component::Normal(_))), "{name}");
    for finding in lint::one(&policy).into_iter().chain(lint::together(&[policy.clone(), policy])) {
        drop(finding.to_string());
    }
}

/// A fault is at a line and column of its file, or of the file as a whole, and can be shown.
fn has_a_place(fault: &Fault, bytes: &[u8]) {
    assert!(!fault.message.is_empty() && !fault.help.is_empty(), "{fault:?}");
    assert!(!fault.to_string().chars().any(|letter| letter.is_control() && letter != '\n'), "{fault}");
    if fault.line == 0 {
        assert_eq!(fault.column, 0, "{fault:?}");
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    let line = lines.get(fault.line - 1).unwrap_or_else(|| panic!("line {} of {}: {fault:?}", fault.line, lines.len()));
    assert!((1..=line.chars().count() + 1).contains(&fault.column), "{fault:?}");
}

/// The file that `SSH_USER_AUTH` names.
pub fn auth(data: &[u8]) {
    let found = authinfo::fingerprints(data);
    assert!(found.len() <= limits::MAX_AUTH_KEYS);
    let keyed = data.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"publickey ")).count();
    assert!(found.len() <= keyed, "a key out of nothing");
    for (at, key) in found.iter().enumerate() {
        assert!(!found[..at].contains(key), "{key} stands twice");
        assert_eq!(key.as_str().parse().as_ref(), Ok(key));
    }
    let more = [data, b"\npassword\nhostbased x\npublickey ssh-ed25519 !\n"].concat();
    assert_eq!(authinfo::fingerprints(&more), found, "what is no key changes nothing");
}

/// A line of the ledger; and events with the bytes in every text that a client can bring in, or an account.
pub fn ledger(data: &[u8]) {
    if let Ok(event) = serde_json::from_slice::<Event>(data) {
        remembered(&event);
    }
    let text = printable(data);
    let base = br#"{"version":1,"kind":"connection","id":"1","at":"2026-11-21T02:00:00Z","account":"a","mail":"alert","result":"refused","exit":77}"#;
    let mut event: Event = serde_json::from_slice(base).expect("an event");
    let (connection, ..) = event.body.visit_mut().expect("a connection");
    connection.command.clone_from(&text);
    connection.warnings = vec![text.clone()];
    connection.reasons = vec![
        Reason::new(Code::Path, &text).only_client(&text).detail(&text).rule(Origin { file: PathBuf::from("/p.yaml"), line: data.len() }),
    ];
    event.account.clone_from(&text);
    remembered(&event);
    let mut unknown: serde_json::Value = serde_json::from_slice(base).expect("an object");
    let raw = String::from_utf8_lossy(data);
    (unknown["version"], unknown["account"], unknown["summary"]) = (2.into(), raw.as_ref().into(), raw.as_ref().into());
    remembered(&serde_json::from_value(unknown).expect("an event of another version"));
}

/// An event is one line, comes back as it was, and can be logged, listed and mailed.
fn remembered(event: &Event) {
    let printed = serde_json::to_string(event).expect("an event can be printed");
    assert!(!printed.contains('\n'), "{printed}");
    let again: Event = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    assert_eq!(&again, event, "{printed}");
    let logged = line::record_line(event);
    one_line(&logged);
    assert!(logged.len() <= limits::MAX_SYSLOG_LINE, "{logged}");
    if matches!(event.body, Body::Unknown(_)) {
        one_line(&line::plain(event));
    }
    if event.mail != Mail::None {
        let (_, drafts) = alerts::step(alerts::State::starting_at(1), vec![("1".to_owned(), again)], event.at, alerts::Alerts::Due);
        for draft in drafts {
            let mail = message::compose(&draft, 1000, event.at);
            assert!(mail.subject.as_str().len() <= limits::MAX_SUBJECT + ELLIPSIS.len(), "{}", mail.subject);
            one_line(mail.subject.as_str());
        }
    }
}

/// Words that a fuzzer should know: every spelling of the option table and the marks of rsync's command line.
pub fn dictionary() -> Vec<Vec<u8>> {
    let marks = ["rsync", "--server", " . ", " -", "e.iLsfxCIvu", "..", "/", "~/", "\\ ", "'", "\"", "=", "prepare", "complete 0"];
    let flags = ["-ro", "-wo", "-munge", "-absolute", "-no-del", "-no-lock", "-no-overwrite", "d\n", "/\n", "/srv/d", "--sender"];
    let mut words: Vec<Vec<u8>> = marks.iter().chain(&flags).map(|mark| mark.as_bytes().to_vec()).collect();
    words.extend([b"rsync\0".to_vec(), b".\0".to_vec(), b"\0\0".to_vec(), b"rsync --server -slogDtpr\0rsync\0".to_vec()]);
    for row in options::rows() {
        words.extend(row.long.iter().map(|long| long.as_bytes().to_vec()));
        words.extend(row.letter.map(|letter| format!("-{letter}").into_bytes()));
    }
    words
}
