//! Every row of the option table, sent by a real rsync, and what is on the disk afterwards: what is accepted does what it
//! means, a policy that refuses it turns it away, and of what is refused nothing is staged, nothing published, and the ledger
//! says so. A row without a case fails.

mod attributes;
mod cases;
mod forced;
mod looks;
mod neutral;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use snapgate::decide::rsync::argv::Version;
use snapgate::decide::rsync::options::{Row, Rule, Value, by_letter, by_long, rows};
use snapgate::terms::limits::DEFAULT_PUSH;
use snapgate::terms::outcome::Outcome;

use self::cases::{CASES, Case, DIRECT, End};
use support::record::Record;
use support::versions::older_client;
use support::{Gate, POLICY, Ran, is_root, must, run};

/// A gate with a source of everything, and what came of a push.
pub(super) struct Seen {
    pub(super) gate: Gate,
    pub(super) source: PathBuf,
    pub(super) words: Vec<&'static str>,
}

impl Seen {
    fn with(policy: &str, words: &[&'static str]) -> Self {
        let gate = Gate::with("", policy);
        let source = gate.source("data");
        looks::make_source(&source);
        Self { gate, source, words: words.to_vec() }
    }

    /// The same with a snapshot that is there already.
    fn after_a_push(words: &[&'static str]) -> Self {
        let mut seen = Self::with(POLICY, &["-a"]);
        seen.push().exits(0);
        seen.words = words.to_vec();
        seen
    }

    /// Gives the gate another policy.
    fn policy(&self, text: &str) {
        let user = support::getent::my_name();
        self.gate.write("config/policies/web1.yaml", &format!("user: {user}\n{text}"));
    }

    /// Pushes once more.
    #[track_caller]
    pub(super) fn push(&self) -> Ran {
        self.push_with(&[])
    }

    /// The same with more words.
    #[track_caller]
    pub(super) fn push_with(&self, more: &[&str]) -> Ran {
        let from = format!("{}/", self.source.display());
        let mut words = vec!["--stats"];
        words.extend(&self.words);
        words.extend(more);
        words.extend([from.as_str(), "backup:"]);
        // A client that writes a batch writes it where it stands.
        run(self.gate.rsync_command(&words, "").current_dir(self.gate.path()))
    }

    /// A path in the newest snapshot.
    pub(super) fn stored(&self, name: &str) -> PathBuf {
        self.gate.newest().join(name)
    }

    /// A path in the source.
    pub(super) fn own(&self, name: &str) -> PathBuf {
        self.source.join(name)
    }
}

/// The row of a name, `--long` or `-l`.
pub(super) fn row(name: &str) -> &'static Row {
    let letter = name.strip_prefix('-').and_then(|rest| rest.chars().next());
    by_long(name).or_else(|| by_letter(letter.unwrap())).unwrap_or_else(|| panic!("{name} is no row"))
}

/// Whether a command holds this row's option.
fn holds(command: &str, row: &Row) -> bool {
    let is_it = |word: &str| match word.strip_prefix("--") {
        Some(_) => row.long.contains(&word.split('=').next().unwrap_or_default()),
        None => row.letter.is_some_and(|letter| match word.strip_prefix('-') {
            Some(letters) if letter == 'e' => letters.contains("e."),
            Some(letters) => letters.split('e').next().unwrap_or_default().contains(letter),
            None => false,
        }),
    };
    command.split(' ').skip(2).take_while(|word| *word != ".").any(is_it)
}

/// Everything that may not change in a published snapshot, but for content and access times.
fn picture(root: &Path) -> String {
    let find = must(Command::new("find").arg(root).args(["-printf", "%P %i %m %U %G %s %T@ %l\n"]));
    let mut lines: Vec<_> = find.lines().collect();
    lines.sort_unstable();
    let attributes = must(Command::new("getfattr").args(["-R", "-h", "-d", "-m", "-", "--absolute-names"]).arg(root));
    let lists = must(Command::new("getfacl").args(["-R", "-P", "-p", "-n"]).arg(root));
    format!("{}\n{attributes}\n{lists}", lines.join("\n"))
}

/// What a run's log says.
fn log_of(gate: &Gate, record: &Record) -> String {
    fs::read_to_string(gate.inside(&format!(".snapgate/logs/{}.log", record.id))).unwrap()
}

/// Whether the server's rsync is given this option of a command's in another way than it was sent, in part, or not at all.
fn is_neutralised(row: &Row, command: &str) -> bool {
    let word = |begin: &str| command.split(' ').find_map(|word| word.strip_prefix(begin));
    match (row.letter, row.rule) {
        (Some('e'), _) => command.split(' ').any(|word| word.split_once("e.").is_some_and(|(_, capabilities)| capabilities.contains('I'))),
        (Some('y'), _) => !command.contains("yy"),
        (_, Rule::Smaller) => word("--timeout=").is_some_and(|seconds| seconds.parse::<u64>().unwrap() > DEFAULT_PUSH.as_secs()),
        (_, rule) => rule == Rule::Drop || !row.but.is_empty(),
    }
}

/// Each option of a command that was neutralised has a line in its run's log, and no other has.
#[track_caller]
fn is_noted(command: &str, log: &str) {
    let spelled = |row: &Row| row.long.iter().map(|long| (*long).to_owned()).chain(row.letter.map(|letter| format!("-{letter}"))).collect();
    let says = |row: &Row| match row.rule {
        Rule::Drop => format!(" was not passed on: {}", row.why),
        Rule::Smaller => " was not passed on: the server's limit".to_owned(),
        _ if row.letter == Some('y') => " was passed on as `-yy`".to_owned(),
        _ => format!(" was passed on in part: {}", row.but),
    };
    let has_line = |row: &Row| {
        let spelled: Vec<String> = spelled(row);
        let names = |line: &str| spelled.iter().any(|one| line.contains(&format!("`{one}`")) || line.contains(&format!("`{one} ")));
        log.lines().any(|line| names(line) && line.contains(&says(row)))
    };
    let sent: Vec<_> = rows().iter().filter(|row| holds(command, row)).collect();
    for row in &sent {
        assert_eq!(has_line(row), is_neutralised(row, command), "{} in {command}: {log}", row.name());
    }
    let noted = sent.into_iter().filter(|row| has_line(row)).count();
    let lines = log.lines().filter(|line| line.contains(" was not passed on: ") || line.contains(" was passed on in part: ")).count();
    // Those that `-s` hides are not in the command.
    assert!(lines <= noted || command.contains(" -s"), "a line about what was not sent: {log}");
}

/// A push that goes through: what it means is on the disk, the log says what was dropped, and when it is done once more
/// nothing of the first snapshot changes.
fn goes_through(case: &Case, policy: &str) {
    let row = row(case.row);
    let name = format!("{} ({})", case.row, case.words.join(" "));
    let seen = if let End::Nothing = case.end { Seen::after_a_push(case.words) } else { Seen::with(policy, case.words) };
    let ran = seen.push();
    assert_eq!(ran.status, 0, "{name}: {}{}", ran.stdout, ran.stderr);
    let record = seen.gate.record();
    assert!(holds(&record.command, row), "{name}: the client sent another thing: {}", record.command);
    let log = log_of(&seen.gate, &record);
    is_noted(&record.command, &log);
    if let End::Nothing = case.end {
        assert_eq!((record.result, seen.gate.snapshots().len()), (Outcome::Answered, 1), "{name}: {}", ran.stderr);
        return;
    }
    assert_eq!(record.result, Outcome::Published, "{name}: {}", ran.stderr);
    assert_eq!(record.warnings.iter().any(|warning| warning.contains("was used")), row.rule == Rule::Warn, "{name}: {record:?}");
    let widened = row.may_be_allowed() && is_refused_by_default(row);
    assert_eq!(log.contains("because the policy allows it"), widened, "{name}");

    let End::Stored { but, look } = case.end else { return };
    for file in looks::FILES.iter().filter(|file| !but.contains(file) && !but.contains(&"*")) {
        let stored = fs::read(seen.stored(file)).unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
        assert!(stored == looks::content(file), "{name}: {file} is not what the client has");
    }
    for file in but.iter().filter(|file| **file != "*") {
        assert!(fs::symlink_metadata(seen.stored(file)).is_err(), "{name}: {file} is there");
    }
    let first = seen.gate.newest();
    let before = picture(&first);
    look(&seen);
    seen.push().exits(0);
    assert_eq!(picture(&first), before, "{name}: history changed");
    assert!(seen.gate.snapshots().len() >= 2, "{name}");
    assert!(seen.gate.rsyncs().is_empty());
}

/// A push that is refused: nothing is staged or published, and the ledger says why.
#[track_caller]
fn is_refused(seen: &Seen, row: &Row, words: &[&str], says: &str) -> Record {
    let before = seen.gate.ledger().len();
    let ran = seen.push_with(words);
    let name = format!("{} ({} {})", row.name(), seen.words.join(" "), words.join(" "));
    let code = match row.rule {
        Rule::Refuse(cause) => cause.code().as_str(),
        _ => "option",
    };
    assert_ne!(ran.status, 0, "{name}");
    // What kind of session it is comes before an option, and an option before the shape of the whole.
    assert_eq!(ran.code(), Some(code), "{name}: {}", ran.stderr);
    let record = seen.gate.record();
    assert_eq!((record.result, seen.gate.ledger().len()), (Outcome::Refused, before + 1), "{name}");
    let reason = record.reasons.iter().find(|reason| reason.detail.contains(says) && reason.code.as_str() == code);
    let reason = reason.unwrap_or_else(|| panic!("{name}: {says} is not among {:#?}", record.reasons));
    assert!(reason.hint.is_some() && reason.remedy.is_some(), "{name}: {reason:?}");
    assert!(!seen.gate.inside("inprogress").exists(), "{name}: something was staged");
    assert_eq!(seen.gate.snapshots().len(), 1, "{name}: something was published");
    record
}

fn of_rule(rule: impl Fn(&Row) -> bool) -> impl Iterator<Item = &'static Case> {
    let found: Vec<_> = CASES.iter().filter(|case| rule(row(case.row)) && (!case.as_root || is_root())).collect();
    assert!(!found.is_empty());
    found.into_iter()
}

fn is_refused_by_default(row: &Row) -> bool {
    matches!(row.rule, Rule::Refuse(_))
}

#[test]
fn every_row_has_a_case() {
    for row in rows() {
        let cases = CASES.iter().filter(|case| self::row(case.row) == row).count();
        let needed = !is_refused_by_default(row) || row.may_be_allowed();
        assert_eq!(cases > 0, needed, "{}: what is refused for good needs none, and every other row one", row.name());
    }
    for case in DIRECT {
        assert!(is_refused_by_default(row(case.row)), "{}", case.row);
    }
}

#[test]
fn a_letter_that_is_accepted_does_what_it_means() {
    for case in of_rule(|row| !is_refused_by_default(row) && row.letter.is_some()) {
        goes_through(case, POLICY);
    }
}

#[test]
fn a_word_that_is_accepted_does_what_it_means() {
    for case in of_rule(|row| !is_refused_by_default(row) && row.letter.is_none() && row.rule != Rule::Drop) {
        goes_through(case, POLICY);
    }
}

#[test]
fn what_is_dropped_is_noted_and_the_push_is_whole() {
    // If this is run with another client, it may not have them all.
    let unknown = if older_client(Version(3, 2, 4)) { "--fsync" } else { "" };
    for case in of_rule(|row| row.rule == Rule::Drop && row.letter.is_none()).filter(|case| case.row != unknown) {
        goes_through(case, POLICY);
    }
}

#[test]
fn what_a_policy_can_allow_is_refused_and_goes_through_where_it_does() {
    let mut seen = Seen::after_a_push(&[]);
    for case in of_rule(is_refused_by_default) {
        let row = row(case.row);
        seen.words = case.words.to_vec();
        let record = is_refused(&seen, row, &[], row.why);
        let remedy = record.reasons[0].remedy.clone().unwrap();
        assert!(remedy.contains(&format!("add `{}` to `options: {{allow", row.word())), "{remedy}");
        goes_through(case, &POLICY.replace("group]", &format!("group, {}]", row.word())));
    }
}

#[test]
fn what_a_policy_refuses_is_refused_and_never_stripped() {
    let elsewhere = POLICY.replace("options: { allow: [acls, owner, group] }\n", "");
    let mut seen = Seen::after_a_push(&[]);
    let kept = picture(&seen.gate.inside("snapshots"));
    for case in of_rule(|row| row.may_be_refused()) {
        let row = row(case.row);
        seen.words = case.words.to_vec();
        // The word of the option that it is a form of does as well as its own.
        for word in [row.word(), row.kin].into_iter().filter(|word| !word.is_empty()) {
            // As root `-a` needs its words; what is refused cannot be allowed as well.
            let allowed = match word {
                "owner" => "group",
                "group" => "owner",
                _ => "owner, group",
            };
            seen.policy(&format!("{elsewhere}options:\n  refuse: [\"{word}\"]\n  allow: [{allowed}]\n"));
            let record = is_refused(&seen, row, &[], "the policy refuses it");
            let reason = record.reasons.iter().find(|reason| reason.says.ends_with("the policy refuses it")).unwrap();
            let rule = reason.rule.as_ref().unwrap().to_string();
            let line = fs::read_to_string(seen.gate.path().join("config/policies/web1.yaml")).unwrap();
            let line = line.lines().position(|line| line == "options:").unwrap() + 1;
            assert!(rule.ends_with(&format!("policies/web1.yaml:{line}")), "{rule}");
        }
    }
    assert_eq!(picture(&seen.gate.inside("snapshots")), kept);
}

/// What a client sends by itself, as its users write it.
#[test]
fn what_is_refused_for_good_is_refused_as_real_clients_send_it() {
    let mut seen = Seen::after_a_push(&[]);
    let kept = picture(&seen.gate.inside("snapshots"));
    for case in DIRECT {
        let row = row(case.row);
        seen.words = case.words.to_vec();
        let record = is_refused(&seen, row, &[], row.why);
        assert!(holds(&record.command, row), "{}: the client sent another thing: {}", case.row, record.command);
    }
    assert_eq!(picture(&seen.gate.inside("snapshots")), kept);
}

/// Every spelling, with a value where it takes one, in each way of writing it; handed through by `-M`.
#[test]
fn what_is_refused_for_good_is_refused_in_every_spelling() {
    let seen = Seen::after_a_push(&["-a"]);
    let kept = picture(&seen.gate.inside("snapshots"));
    for row in rows().iter().filter(|row| is_refused_by_default(row) && !row.may_be_allowed()) {
        for long in row.long {
            match row.value {
                Value::None => drop(is_refused(&seen, row, &[&format!("-M{long}")], row.why)),
                _ => {
                    is_refused(&seen, row, &[&format!("-M{long}=x")], row.why);
                    // Its value is the next word, whatever that looks like.
                    is_refused(&seen, row, &[&format!("-M{long}"), "-M--nonsense"], row.why);
                }
            }
        }
        if let Some(letter) = row.letter {
            let spelled = match row.value {
                Value::None => vec![format!("-M-{letter}"), format!("-M-t{letter}")],
                _ => vec![format!("-M-{letter}/x"), format!("-M-{letter}x y"), format!("-M-t{letter}x")],
            };
            for spelled in spelled {
                is_refused(&seen, row, &[&spelled], row.why);
            }
        }
    }
    assert_eq!(picture(&seen.gate.inside("snapshots")), kept);
}

/// popt takes `--delet` for `--delete`; the gate takes no spelling but the table's.
#[test]
fn what_is_no_spelling_of_the_table_is_refused_by_name() {
    let seen = Seen::after_a_push(&["-a"]);
    for spelled in
        ["--delet", "--part", "--numeric", "--link-des=x", "--Delete", "-Y", "-5", "--no-such-option", "--delete=1", "--bwlimit 5"]
    {
        let before = seen.gate.ledger().len();
        let ran = seen.push_with(&[&format!("-M{spelled}")]);
        assert_eq!(ran.code(), Some("option"), "{spelled}: {}", ran.stderr);
        let name = spelled.split(['=', ' ']).next().unwrap();
        assert!(ran.stderr.contains(&format!("rsync's `{name}")), "{}", ran.stderr);
        assert!(seen.gate.snapshots().len() == 1 && seen.gate.ledger().len() == before + 1);
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let seen = Seen::after_a_push(&["-a"]);
    for spelled in [
        "--timeout=0", "--timeout=86401", "--bwlimit=-1", "-B0", "-B131073", "-@-2", "--modify-window=86401", "--compress-level=23",
        "--max-delete=-2", "--checksum-seed=2147483648", "--max-size=1e9", "--info=NAME9", "--compress-choice=xz",
        "--checksum-choice=crc32", "--log-format=%n", "--usermap=*:/etc/passwd",
    ] {
        let ran = seen.push_with(&[&format!("-M{spelled}")]);
        assert_eq!(ran.code(), Some("option"), "{spelled}: {}", ran.stderr);
        assert!(ran.stderr.contains("its value is not one that is taken here"), "{spelled}: {}", ran.stderr);
    }
    assert_eq!(seen.gate.snapshots().len(), 1);
}
