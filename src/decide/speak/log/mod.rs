//! The ledger for people: which events somebody asks for, and each in a line of plain words. An
//! account may have written anything into its ledger, so all of it is made printable and cut here.

mod when;
mod words;

use chrono::{DateTime, Utc};

use crate::terms::word::{nearest, table};
use crate::terms::{Code, Event, Outcome, Verb, View};

pub use when::{Edge, moment};
pub use words::{details, escaped, line, time};

table! {
    /// How something ended, in a word for several outcomes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Ended {
        /// It did what it was for.
        Ok = "ok",
        /// It was refused, or told to come again later.
        Refused = "refused",
        /// It came to nothing: something went wrong, or what came was no backup.
        Failed = "failed",
    }
}

/// A wanted end: one of several outcomes, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Any of these.
    Like(Ended),
    /// This one.
    As(Outcome),
}

/// Which events are wanted. Of each list any one will do, and none is no wish.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Codes.
    pub codes: Vec<Code>,
    /// Ends.
    pub ends: Vec<End>,
    /// Verbs.
    pub verbs: Vec<Verb>,
    /// From then on.
    pub since: Option<DateTime<Utc>>,
    /// Before then.
    pub until: Option<DateTime<Utc>>,
}

impl Ended {
    /// That of an outcome.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Published | Outcome::Added | Outcome::Started | Outcome::Answered => Self::Ok,
            Outcome::Refused | Outcome::Busy => Self::Refused,
            Outcome::Failed | Outcome::Stopped | Outcome::Unpublished => Self::Failed,
        }
    }

    /// That of an event; `None` where it does not say.
    pub fn of_event(event: &Event) -> Option<Self> {
        match event.view() {
            View::Visit(visit) => Some(Self::of(visit.result)),
            View::Upkeep(upkeep) if upkeep.problems.is_empty() => Some(Self::Ok),
            View::Upkeep(_) => Some(Self::Failed),
            View::Unknown(_) => None,
        }
    }
}

impl End {
    /// Reads a word.
    ///
    /// # Errors
    /// When it is none for an end.
    pub fn read(word: &str) -> Result<Self, String> {
        // `refused` and `failed` are both: the wider one is meant.
        let outcome = || Outcome::read(word).map(Self::As);
        Ended::read(word).map(Self::Like).or_else(outcome).ok_or_else(|| {
            let outcomes: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).filter(|word| Ended::read(word).is_none()).collect();
            format!("write {}; or one outcome: {}", Ended::EITHER, outcomes.join(", "))
        })
    }

    fn is_of(self, event: &Event) -> bool {
        match (self, event.view()) {
            (Self::Like(ended), _) => Ended::of_event(event) == Some(ended),
            (Self::As(outcome), View::Visit(visit)) => visit.result == outcome,
            (Self::As(_), View::Upkeep(_) | View::Unknown(_)) => false,
        }
    }
}

impl Wanted {
    /// Whether it is one of them.
    pub fn has(&self, event: &Event) -> bool {
        let visit = match event.view() {
            View::Visit(visit) => Some(visit),
            View::Upkeep(_) | View::Unknown(_) => None,
        };
        let has_code =
            |code: &Code| visit.is_some_and(|visit| visit.code() == Some(*code) || visit.reasons.iter().any(|reason| reason.code == *code));
        let has_verb = |verb: &Verb| visit.is_some_and(|visit| visit.verb == Some(*verb));
        self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
            && (self.codes.is_empty() || self.codes.iter().any(has_code))
            && (self.verbs.is_empty() || self.verbs.iter().any(has_verb))
            && (self.ends.is_empty() || self.ends.iter().any(|end| end.is_of(event)))
    }
}

/// Reads a code.
///
/// # Errors
/// When there is none of that name.
pub fn code(word: &str) -> Result<Code, String> {
    Code::read(word).ok_or_else(|| unknown(word, Code::ALL.iter().map(|code| code.as_str()), "docs/codes.md has all codes"))
}

/// Reads a verb.
///
/// # Errors
/// When there is none of that name.
pub fn verb(word: &str) -> Result<Verb, String> {
    let every = format!("write {}", Verb::EITHER);
    Verb::read(word).ok_or_else(|| unknown(word, Verb::ALL.iter().map(|verb| verb.as_str()), &every))
}

fn unknown<'a>(word: &str, known: impl Iterator<Item = &'a str>, every: &str) -> String {
    nearest(word, known).map_or_else(|| every.to_owned(), |near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests;
