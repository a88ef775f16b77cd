//! rsync's arguments, read against the option table. What comes out can be printed again.

use std::time::Duration;

use super::reading::{Found, Reading, SPACE, names_somebody};
use super::{Command, Secluded};
use crate::decide::owners::idpairs;
use crate::decide::rsync::options::{self, Cause, Check, Choice, NOT_TAKEN, Row, Rule, Runs, Side, Value, bad_value};
use crate::terms::limits::MAX_SHOWN_WORD;
use crate::terms::text::printable_within;
use crate::terms::{Account, Code, NotInside, Owners, Reason, SubPath};

/// A push whose every option has passed the table. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    place: SubPath,
    letters: String,
    capabilities: Option<String>,
    long: Vec<String>,
    timeout: Option<u32>,
    dry: bool,
    notes: Vec<String>,
    warnings: Vec<String>,
    used: Vec<Used>,
    named: Vec<Named>,
}

/// A map of ids that names an account of the server's. It is never passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    row: &'static Row,
    value: String,
}

impl Named {
    fn reason(&self, check: Check) -> Reason {
        let Self { row, value } = self;
        bad_value(&format!("{}={value}", row.name()), NOT_TAKEN, check.expected())
    }

    /// Whether it names the account itself, to which everything belongs anyway.
    fn is_own(&self, account: &Account) -> bool {
        let own = if self.row.kin == "group" { account.group } else { account.uid };
        idpairs::names_only(&self.value, &account.name, own)
    }
}

/// An option that the client sent and that the policy can refuse or allow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Used {
    row: &'static Row,
    /// As the client spelled it.
    spelled: String,
}

impl Push {
    /// Where inside the snapshot it goes.
    pub fn place(&self) -> &SubPath {
        &self.place
    }

    /// What was accepted and not passed on, and why, for the run's log.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the snapshot may lack, for its record.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether it is a trial run or a listing, and must not be published.
    pub fn is_dry(&self) -> bool {
        self.dry
    }

    /// A note on the client's limit of idle time where a push may not even take as long.
    #[must_use]
    pub fn outlasted(&self, deadline: Duration) -> Option<String> {
        let theirs = self.timeout.filter(|theirs| u64::from(*theirs) > deadline.as_secs())?;
        Some(format!("`--timeout {theirs}` was not passed on: the server's limit is {} seconds", deadline.as_secs().max(1)))
    }

    /// The limit of idle time that the client asked for, in seconds; at least 1.
    pub fn timeout(&self) -> Option<u32> {
        self.timeout
    }

    /// The reasons for which the policy's `options:` refuse it: an option that they name; one that
    /// the table leaves to them and that they do not allow; one that the table leaves to them for a
    /// gate that runs as this one does. Only a push without any may run. The account may name
    /// itself where everything is its own.
    #[must_use]
    pub fn refused_for(&self, choice: &Choice, owners: &Owners, account: &Account) -> Vec<Reason> {
        let own = Some(account).filter(|_| *owners == Owners::Account);
        let refused = |Used { row, spelled }: &Used| {
            if let Some(word) = choice.refuses(row) {
                return Some(row.refused_by_policy(word, spelled));
            }
            match row.rule {
                Rule::Refuse(cause) => (!choice.allows(row)).then(|| row.refusal(cause, spelled)),
                Rule::NeedsWord(runs) => (Runs::with(owners) == Some(runs) && !choice.allows(row)).then(|| row.word_missing(runs, spelled)),
                Rule::Pass | Rule::Drop | Rule::Warn | Rule::NotABackup | Rule::Smaller => None,
            }
        };
        let others = self.named.iter().filter(|named| !own.is_some_and(|account| named.is_own(account)));
        self.used.iter().filter_map(refused).chain(others.map(|named| named.reason(Check::NumberMapping))).collect()
    }

    /// What only `options: {allow: […]}` lets in, and why it is refused by default.
    pub fn widened(&self) -> Vec<String> {
        let widened = self.used.iter().filter(|used| matches!(used.row.rule, Rule::Refuse(_)));
        widened.map(|Used { row, spelled }| format!("`{spelled}` was passed on because the policy allows it: {}", row.why)).collect()
    }

    /// The options as they are passed on: one word of letters with the capabilities last, then the
    /// long ones, all in the table's order. The timeout is not among them.
    pub fn words(&self) -> Vec<String> {
        let capabilities = self.capabilities.as_ref().map(|capabilities| format!("e{capabilities}")).unwrap_or_default();
        let mut words = Vec::new();
        if !self.letters.is_empty() || !capabilities.is_empty() {
            words.push(format!("-{}{capabilities}", self.letters));
        }
        words.extend(self.long.iter().cloned());
        words
    }
}

/// Reads the words behind `rsync`.
pub(super) fn parse(words: &[String]) -> Result<Command, Vec<Reason>> {
    let rest = match words.split_first() {
        Some((first, rest)) if first == "--server" => rest,
        _ => return Err(not_a_server(words)),
    };
    let mut reading = Reading::default();
    reading.options(rest.iter());
    if reading.has("--secluded-args") {
        return Secluded::begin(rest, reading).map(Command::Secluded);
    }
    finish(reading).map(Command::Push)
}

/// The whole push, once all of it was read.
pub(super) fn finish(mut reading: Reading) -> Result<Push, Vec<Reason>> {
    let other_session = reading.has("--sender") || reading.has("--daemon");
    let place = match &reading.destinations {
        _ if other_session => Ok(SubPath::default()),
        Some(words) => destination(words),
        None => Err(vec![shape("the command ends before the word `.` that comes before the destination")]),
    };
    let place = place.unwrap_or_else(|reasons| {
        reading.reasons.extend(reasons);
        SubPath::default()
    });
    options(reading, place)
}

pub(super) fn options(reading: Reading, place: SubPath) -> Result<Push, Vec<Reason>> {
    let pull = reading.has("--sender");
    let Reading { found, reasons, .. } = reading;
    let (push, mut refusals) = judge(&found, place, pull);
    // The kind of session comes before its faults.
    refusals.sort_by_key(|reason| reason.code == Code::Option);
    refusals.extend(reasons);
    if refusals.is_empty() { Ok(push) } else { Err(refusals) }
}

/// rsync that no rsync started, or with options before `--server` (`--rsync-path='rsync --x'`).
fn not_a_server(words: &[String]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !words.iter().any(|word| word == "--server") {
        let daemon = words.iter().any(|word| word == "--daemon");
        reasons.extend(options::by_long("--daemon").filter(|_| daemon).map(|row| row.refusal(Cause::Daemon, "--daemon")));
        reasons.push(shape("rsync was not asked to be the other side of an rsync: `--server` is missing"));
        return reasons;
    }
    let mut reading = Reading::default();
    reading.options(words.iter().take_while(|word| *word != "--server"));
    let early = reading.found.iter().map(|found| (found.row, found.spelled.as_str()));
    for (row, spelled) in early {
        if let Rule::Refuse(cause) = row.rule {
            reasons.push(row.refusal(cause, spelled));
        }
    }
    reasons.extend(reading.reasons);
    reasons.push(shape("`--server` is not the first word behind rsync"));
    reasons
}

pub(super) fn shape(says: &str) -> Reason {
    let hint = "use plain rsync -a /data host: without options in --rsync-path";
    Reason::new(Code::Command, says).only_client(hint)
}

fn destination(words: &[Vec<u8>]) -> Result<SubPath, Vec<Reason>> {
    let shown = |word: &[u8]| printable_within(word, MAX_SHOWN_WORD);
    let word = match words {
        [] => &[],
        [word] => word.as_slice(),
        _ => {
            let shown: Vec<_> = words.iter().take(3).map(|word| format!("`{}`", shown(word))).collect();
            let says = format!("there are {} destinations where there can be one: {}", words.len(), shown.join(" "));
            return Err(vec![Reason::new(Code::Destinations, says).only_client(SPACE)]);
        }
    };
    if word.starts_with(b"-") {
        let hint = "write ./ before it";
        return Err(vec![Reason::new(Code::Path, "the destination begins with `-`").only_client(hint)]);
    }
    SubPath::parse(word).map_err(|problem| {
        let hint = match problem {
            NotInside::Parent => "name a place inside the snapshot: host: is the whole, host:etc/ is etc inside it",
            NotInside::Home => "name a place inside the snapshot, without another account's name",
            NotInside::TooLong => "use a shorter path",
            NotInside::Nul => "use a name without it",
        };
        let reason = Reason::new(Code::Path, problem.to_string()).only_client(hint).detail(format!("{problem}: `{}`", shown(word)));
        vec![reason]
    })
}

/// Applies the table's rule to every option, in the table's order.
fn judge(found: &[Found], place: SubPath, pull: bool) -> (Push, Vec<Reason>) {
    let mut push = Push {
        place,
        letters: String::new(),
        capabilities: None,
        long: Vec::new(),
        timeout: None,
        dry: false,
        notes: Vec::new(),
        warnings: Vec::new(),
        used: Vec::new(),
        named: Vec::new(),
    };
    let mut reasons = Vec::new();
    for row in options::rows() {
        let Some(found) = found.iter().find(|found| std::ptr::eq(found.row, row)) else { continue };
        let whole = found.shown();
        match row.rule {
            _ if let Some(named) = found.named() => {
                push.notes.push(format!("`{whole}` was not passed on: whatever is stored belongs to this account"));
                push.named.push(named);
            }
            Rule::Pass | Rule::NeedsWord(_) => push.print(found),
            Rule::Drop => push.notes.push(format!("`{whole}` was not passed on: {}", row.why)),
            Rule::Warn => {
                push.warnings.push(format!("`{whole}` was used: {}", row.why));
                push.print(found);
            }
            Rule::NotABackup => {
                push.dry = true;
                push.print(found);
            }
            Rule::Smaller => push.timeout = found.value.as_ref().and_then(|value| value.parse().ok()),
            // What only a sender does is part of a pull, which is refused already.
            Rule::Refuse(_) if pull && row.side == Side::Sender => {}
            // The policy has the last word, in `refused_for`.
            Rule::Refuse(_) if row.may_be_allowed() => push.print(found),
            Rule::Refuse(cause) => reasons.push(row.refusal(cause, &found.spelled)),
        }
        push.used.push(Used { row, spelled: found.spelled.clone() });
    }
    (push, reasons)
}

impl Found {
    fn named(&self) -> Option<Named> {
        let Value::Attached(check) = self.row.value else { return None };
        let value = self.value.as_ref().filter(|value| names_somebody(check, value))?;
        Some(Named { row: self.row, value: value.clone() })
    }
}

impl Push {
    /// Passes an option on, in our spelling, and notes what was changed.
    fn print(&mut self, found: &Found) {
        let whole = match (found.row.letter, &found.value) {
            // With `I` the sender could have shared files written in place.
            (Some('e'), Some(capabilities)) => !capabilities.contains('I'),
            _ => found.row.but.is_empty(),
        };
        if !whole {
            self.notes.push(format!("`{}` was passed on in part: {}", found.shown(), found.row.but));
        }
        match (found.row.letter, &found.value) {
            (Some('e'), Some(capabilities)) => self.capabilities = Some(capabilities.replace('I', "")),
            // Twice, it also looks in the directories that files are linked from. The stage itself
            // is empty, so once would find nothing.
            (Some('y'), None) => {
                self.letters.push_str("yy");
                if found.count < 2 {
                    self.notes.push(format!("`{}` was passed on as `-yy`: {}", found.shown(), found.row.why));
                }
            }
            (Some(letter), None) => {
                let count = found.count.min(found.row.repeats);
                if found.count > count && found.row.repeats > 1 {
                    self.notes.push(format!("`-{letter}` was passed {count} times, not {}: {}", found.count, found.row.why));
                }
                self.letters.extend(std::iter::repeat_n(letter, count));
            }
            (_, value) => {
                let Some(long) = found.row.long.first() else { return };
                let passed = value.as_ref().map(|value| match found.row.value {
                    Value::Attached(Check::NumberMapping) => idpairs::in_numbers(value),
                    Value::None | Value::Attached(_) | Value::Either(_) => value.clone(),
                });
                if passed != *value {
                    self.notes.push(format!("`{}` was passed on in numbers: no name is looked up on the server", found.shown()));
                }
                let value = passed;
                self.long.push(value.map_or_else(|| (*long).to_owned(), |value| format!("{long}={value}")));
            }
        }
    }
}

mod asks;
#[cfg(test)]
mod tests;
