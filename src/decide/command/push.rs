//! rsync's words, read against the option table. What comes out can be printed again; what went in is gone.

use super::reading::{Found, Reading, SPACE};
use super::{Command, Secluded};
use crate::decide::options::{self, Rule, Side};
use crate::terms::limits::MAX_SHOWN_WORD;
use crate::terms::path::{NotInside, SubPath};
use crate::terms::reason::{Code, Reason};
use crate::terms::text::printable_within;

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
    needs: Vec<Need>,
}

/// An option that as root needs the policy's word.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Need {
    word: &'static str,
    reason: Reason,
}

impl Push {
    /// Where inside the snapshot it goes.
    #[must_use]
    pub fn place(&self) -> &SubPath {
        &self.place
    }

    /// What was accepted and not passed on, and why, for the run's log.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What somebody should know of the snapshot that comes of it.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether it asks for a trial run or a listing, so that nothing of it may be published.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.dry
    }

    /// The limit of idle time that the client asked for, in seconds; at least 1.
    #[must_use]
    pub fn timeout(&self) -> Option<u32> {
        self.timeout
    }

    /// The reasons for which it is refused by the powers of the account: where the gate is root, an option that lets the
    /// client choose owners needs its word in the policy's `options: {allow: […]}`.
    #[must_use]
    pub fn needs_word(&self, is_root: bool, allowed: &[String]) -> Vec<Reason> {
        if !is_root {
            return Vec::new();
        }
        let missing = self.needs.iter().filter(|need| !allowed.iter().any(|word| word == need.word));
        missing.map(|need| need.reason.clone()).collect()
    }

    /// Whether files of the same size count as the same file.
    #[must_use]
    pub fn trusts_size(&self) -> bool {
        self.words().iter().any(|word| word == "--size-only")
    }

    /// Whether access lists are stored.
    #[must_use]
    pub fn stores_access_lists(&self) -> bool {
        self.letters.contains('A')
    }

    /// The client's options as they are passed on: one word of letters with the capabilities last, then the long ones, all
    /// in the table's order. Its timeout is not among them, since ours may be smaller.
    #[must_use]
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

/// The push that was read, once all of it was.
pub(super) fn finish(mut reading: Reading) -> Result<Push, Vec<Reason>> {
    let other_session = reading.has("--sender") || reading.has("--daemon");
    let place = match (&reading.destinations, other_session) {
        (_, true) => SubPath::default(),
        (Some(words), false) => destination(words).unwrap_or_else(|reasons| {
            reading.reasons.extend(reasons);
            SubPath::default()
        }),
        (None, false) => {
            reading.reasons.push(shape("the command ends before the word `.` that comes before the destination"));
            SubPath::default()
        }
    };
    options(reading, place)
}

/// The options that were read, judged.
pub(super) fn options(reading: Reading, place: SubPath) -> Result<Push, Vec<Reason>> {
    let pull = reading.has("--sender");
    let Reading { found, reasons, .. } = reading;
    let (push, mut refusals) = judge(&found, place, pull);
    // What kind of session was tried is told before what else was wrong with it.
    refusals.sort_by_key(|reason| reason.code == Code::Option);
    refusals.extend(reasons);
    if refusals.is_empty() { Ok(push) } else { Err(refusals) }
}

/// rsync that was not started by another rsync, or with options of its own before `--server` (`--rsync-path='rsync --x'`).
fn not_a_server(words: &[String]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !words.iter().any(|word| word == "--server") {
        let daemon = words.iter().any(|word| word == "--daemon");
        reasons.extend(options::by_long("--daemon").filter(|_| daemon).map(|row| row.refusal(Code::Daemon, "--daemon")));
        reasons.push(shape("rsync was not asked to be the other side of an rsync: `--server` is missing"));
        return reasons;
    }
    let mut reading = Reading::default();
    reading.options(words.iter().take_while(|word| *word != "--server"));
    let early = reading.found.iter().map(|found| (found.row, found.spelled.as_str()));
    for (row, spelled) in early {
        if let Rule::Refuse(code) = row.rule {
            reasons.push(row.refusal(code, spelled));
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

/// What becomes of every option that was found, in the table's order.
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
        needs: Vec::new(),
    };
    let mut reasons = Vec::new();
    for row in options::rows() {
        let Some(found) = found.iter().find(|found| std::ptr::eq(found.row, row)) else { continue };
        let whole = found.shown();
        match row.rule {
            Rule::Pass => push.print(found),
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
            Rule::NeedsWordAsRoot(word) => {
                push.needs.push(Need { word, reason: row.word_missing(word, &found.spelled) });
                push.print(found);
            }
            // What only a sender does is what a pull asks for; the pull itself is refused already.
            Rule::Refuse(_) if pull && row.side == Side::Sender => {}
            Rule::Refuse(code) => reasons.push(row.refusal(code, &found.spelled)),
        }
    }
    (push, reasons)
}

impl Push {
    /// Adds an option to what is passed on, in our spelling.
    fn print(&mut self, found: &Found) {
        match (found.row.letter, &found.value) {
            (Some('e'), Some(capabilities)) => {
                // `I` would let the sender have files written in place that snapshots share.
                self.capabilities = Some(capabilities.replace('I', ""));
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
                self.long.push(value.as_ref().map_or_else(|| (*long).to_owned(), |value| format!("{long}={value}")));
            }
        }
    }
}

#[cfg(test)]
mod tests;
