//! What somebody asks of history, as a value: read from the words of a client or of the
//! administrator by one parser, and printed as words again for the program that answers.
//!
//! No word of a client's may reach that program except as one of these values.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use chrono::{Days, Months, NaiveDate};

use crate::decide::history::pattern::Pattern;
use crate::terms::limits::{MAX_GOING_BACK, MAX_QUOTED};
use crate::terms::selector::Selector;
use crate::terms::text::{digits, printable};
use crate::terms::word::{as_clause, table};
use crate::terms::{Code, Reason, SubPath, Verb};

/// What stands behind a word, and who may ask for it.
#[derive(Debug)]
pub struct WordRow {
    /// How a client writes it.
    pub usage: &'static str,
    /// The same in a line of help, without most options.
    pub short: &'static str,
    /// Which verb the policy has to list.
    pub verb: Verb,
}

const fn word(usage: &'static str, short: &'static str, verb: Verb) -> WordRow {
    WordRow { usage, short, verb }
}

table! {
    /// What can be asked, in the order of `help`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Word: WordRow {
        /// List snapshots.
        List = "list" => word("list [--json]", "list", Verb::List),
        /// Show how much each snapshot alone takes, and all of them.
        Usage = "usage" => word("usage [--json]", "usage", Verb::List),
        /// List a directory of a snapshot.
        Ls = "ls" => word("ls [--json] [@WHEN] [PATH]", "ls [@WHEN] [PATH]", Verb::History),
        /// Show a file of a snapshot.
        Cat = "cat" => word("cat [@WHEN] PATH", "cat [@WHEN] PATH", Verb::History),
        /// Find names in a snapshot, or in all.
        Find = "find" => word("find [--all] [--json] [@WHEN] PATTERN", "find [--all] NAME", Verb::History),
        /// Show the versions of a file, or what changed in a directory.
        History = "history" => word("history [-d] [--json] PATH", "history [-d] PATH", Verb::History),
        /// Say where a file is as it was.
        Yesterday = "yesterday" => word("yesterday [--json] [-d N] [-m N] [-y N] [@WHEN] PATH", "yesterday PATH", Verb::History),
        /// Show what differs between two snapshots.
        Diff = "diff" => word("diff [--json] A B [PATH]", "diff A B [PATH]", Verb::History),
    }
}

impl Word {
    /// Its line of `help`.
    pub fn help(self) -> String {
        format!("{:<29}{}", format!("ssh HOST {}", self.row().short), as_clause(self.means()))
    }
}

/// How far `yesterday` goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// To a time.
    To(Selector),
    /// By so much, to the end of that day.
    By {
        /// Days.
        days: u32,
        /// Months.
        months: u32,
        /// Years.
        years: u32,
    },
}

impl Back {
    /// As a word for a snapshot; `today` is the day in the policy's zone.
    pub fn selector(&self, today: NaiveDate) -> Selector {
        match self {
            Self::To(selector) => selector.clone(),
            Self::By { days, months, years } => {
                let months = Months::new(years.saturating_mul(12).saturating_add(*months));
                let day = today.checked_sub_months(months).and_then(|day| day.checked_sub_days(Days::new(u64::from(*days))));
                Selector::Day(day.unwrap_or(NaiveDate::MIN))
            }
        }
    }
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Which snapshots there are.
    List,
    /// How much they take.
    Usage,
    /// What is in a directory.
    Ls {
        /// Of which snapshot.
        when: Selector,
        /// Which.
        place: SubPath,
    },
    /// What is in a file.
    Cat {
        /// Of which snapshot.
        when: Selector,
        /// Which.
        place: SubPath,
    },
    /// Where a name is.
    Find {
        /// In which snapshot; `None`: in all.
        when: Option<Selector>,
        /// The name.
        pattern: Pattern,
    },
    /// Which versions of a file there are.
    History {
        /// Which.
        place: SubPath,
        /// Whether texts are compared line by line.
        diffs: bool,
    },
    /// Where a file is as it was.
    Yesterday {
        /// When.
        back: Back,
        /// Which.
        place: SubPath,
    },
    /// What differs.
    Diff {
        /// From this snapshot.
        old: Selector,
        /// To this one.
        new: Selector,
        /// In this place.
        place: SubPath,
    },
}

/// A question, and for whom the answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What is asked.
    pub query: Query,
    /// Whether a program reads the answer.
    pub json: bool,
}

/// Options as they were read.
#[derive(Default)]
struct Options {
    json: bool,
    all: bool,
    diffs: bool,
    back: Option<[u32; 3]>,
}

impl Asked {
    /// Reads what stands behind a word.
    ///
    /// # Errors
    /// When it cannot be read: with what the word takes.
    pub fn read<W: AsRef<[u8]>>(word: Word, rest: &[W]) -> Result<Self, Reason> {
        let (options, words) = options(word, rest)?;
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let query = match (word, words.as_slice()) {
            (Word::List, []) => Query::List,
            (Word::Usage, []) => Query::Usage,
            (Word::Ls, []) => Query::Ls { when: Selector::Current, place: SubPath::default() },
            (Word::Ls, [when]) if stands_alone(when) => Query::Ls { when: selector(when)?, place: SubPath::default() },
            (Word::Ls, [path]) => Query::Ls { when: Selector::Current, place: place(path)? },
            (Word::Ls, [when, path]) => Query::Ls { when: selector(when)?, place: place(path)? },
            (Word::Cat, [path]) if !stands_alone(path) => Query::Cat { when: Selector::Current, place: place(path)? },
            (Word::Cat, [when, path]) => Query::Cat { when: selector(when)?, place: place(path)? },
            (Word::Find, [pattern]) => Query::Find { when: (!options.all).then_some(Selector::Current), pattern: Pattern::read(pattern)? },
            (Word::Find, [when, pattern]) if !options.all => Query::Find { when: Some(selector(when)?), pattern: Pattern::read(pattern)? },
            (Word::History, [path]) => Query::History { place: place(path)?, diffs: options.diffs },
            (Word::Yesterday, [path]) if !stands_alone(path) => {
                let back = options.back.map_or(Back::To(Selector::Yesterday), |[days, months, years]| Back::By { days, months, years });
                Query::Yesterday { back, place: place(path)? }
            }
            (Word::Yesterday, [when, path]) if options.back.is_none() => {
                Query::Yesterday { back: Back::To(selector(when)?), place: place(path)? }
            }
            (Word::Diff, [old, new]) => Query::Diff { old: selector(old)?, new: selector(new)?, place: SubPath::default() },
            (Word::Diff, [old, new, path]) => Query::Diff { old: selector(old)?, new: selector(new)?, place: place(path)? },
            (Word::List | Word::Usage | Word::Ls | Word::Cat | Word::Find | Word::History | Word::Yesterday | Word::Diff, _) => {
                return Err(unread(word, format!("the words behind `{word}` mean nothing")));
            }
        };
        Ok(Self { query, json: options.json })
    }

    /// Which word asks it.
    pub fn word(&self) -> Word {
        match self.query {
            Query::List => Word::List,
            Query::Usage => Word::Usage,
            Query::Ls { .. } => Word::Ls,
            Query::Cat { .. } => Word::Cat,
            Query::Find { .. } => Word::Find,
            Query::History { .. } => Word::History,
            Query::Yesterday { .. } => Word::Yesterday,
            Query::Diff { .. } => Word::Diff,
        }
    }

    /// What stands behind the word: read again, it is the same question.
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        words.extend(self.json.then(|| "--json".into()));
        let path = |place: &SubPath| place.below(Path::new("./")).into_os_string();
        match &self.query {
            Query::List | Query::Usage => {}
            Query::Ls { when, place } | Query::Cat { when, place } => {
                words.extend(["--".into(), when.to_string().into(), path(place)]);
            }
            Query::Find { when: None, pattern } => {
                words.extend(["--all".into(), "--".into(), OsString::from_vec(pattern.bytes().to_vec())]);
            }
            Query::Find { when: Some(when), pattern } => {
                words.extend(["--".into(), when.to_string().into(), OsString::from_vec(pattern.bytes().to_vec())]);
            }
            Query::History { place, diffs } => {
                words.extend(diffs.then(|| "-d".into()));
                words.extend(["--".into(), path(place)]);
            }
            Query::Yesterday { back: Back::To(when), place } => words.extend(["--".into(), when.to_string().into(), path(place)]),
            Query::Yesterday { back: Back::By { days, months, years }, place } => {
                for (option, number) in [("-d", days), ("-m", months), ("-y", years)] {
                    words.extend([option.into(), number.to_string().into()]);
                }
                words.extend(["--".into(), path(place)]);
            }
            Query::Diff { old, new, place } => {
                words.extend(["--".into(), old.to_string().into(), new.to_string().into(), path(place)]);
            }
        }
        words
    }

    /// It as a line for a record, printable.
    pub fn shown(&self) -> String {
        let words: Vec<_> = self.words().iter().filter(|word| *word != "--").map(|word| printable(word.as_bytes())).collect();
        format!("{} {}", self.word(), words.join(" ")).trim_end().to_owned()
    }
}

/// The options in front, and the words behind them. `--` ends options.
fn options<W: AsRef<[u8]>>(word: Word, rest: &[W]) -> Result<(Options, &[W]), Reason> {
    let mut options = Options::default();
    let mut rest = rest;
    while let [first, behind @ ..] = rest {
        let first = first.as_ref();
        match (word, first) {
            (_, b"--") => return Ok((options, behind)),
            (Word::Cat, b"--json") => break,
            (_, b"--json") => options.json = true,
            (Word::Find, b"--all") => options.all = true,
            (Word::History, b"-d") => options.diffs = true,
            (Word::Yesterday, b"-d" | b"-m" | b"-y") => {
                let [number, after @ ..] = behind else {
                    return Err(unread(word, format!("`{}` needs a number", printable(first))));
                };
                let number = going_back(number.as_ref())
                    .ok_or_else(|| unread(word, format!("`{}` is no number from 0 to {MAX_GOING_BACK}", printable(number.as_ref()))))?;
                let [days, months, years] = options.back.get_or_insert_default();
                *(match first {
                    b"-d" => days,
                    b"-m" => months,
                    _ => years,
                }) = number;
                rest = after;
                continue;
            }
            _ if first.starts_with(b"-") && first.len() > 1 => break,
            _ => return Ok((options, rest)),
        }
        rest = behind;
    }
    match rest {
        [] => Ok((options, rest)),
        [first, ..] => Err(unread(word, format!("`{word}` has no option `{}`", printable(first.as_ref())))),
    }
}

fn going_back(word: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(word).ok().filter(|text| !text.is_empty())?;
    digits(text).filter(|number| *number <= MAX_GOING_BACK)
}

fn stands_alone(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(Selector::stands_alone)
}

fn selector(word: &[u8]) -> Result<Selector, Reason> {
    let text = std::str::from_utf8(word).map_err(|_| snapshot(format!("`{}` says no snapshot", printable(word))))?;
    Selector::read(text).map_err(|fault| snapshot(fault.to_string()))
}

/// The reason for a word that means no snapshot.
pub fn snapshot(says: impl Into<String>) -> Reason {
    Reason::new(Code::Snapshot, says).only_client("use list to see which snapshots there are")
}

fn place(word: &[u8]) -> Result<SubPath, Reason> {
    let shown = || printable(word.get(..MAX_QUOTED).unwrap_or(word));
    SubPath::parse(word).map_err(|_| {
        Reason::new(Code::Path, format!("`{}` is no place in a snapshot", shown()))
            .only_client("name it from the top of the snapshot on, without `..`")
    })
}

fn unread(word: Word, says: String) -> Reason {
    Reason::new(Code::Command, says).only_client(format!("it is {}", word.row().usage))
}

#[cfg(test)]
mod tests;
