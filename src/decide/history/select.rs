//! Which of a client's snapshots a word or a path means.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use crate::terms::limits::{MAX_QUOTED, MAX_SNAPSHOT_DEPTH};
use crate::terms::selector::{NotASelector, Selector};
use crate::terms::text::still_printable;
use crate::terms::{SnapshotName, Zone};

/// A published snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: SnapshotName,
    /// Whether its push did not bring everything.
    pub partial: bool,
}

/// A client's snapshots, and what a word for one of them depends on besides.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// The snapshots, in any order.
    pub snapshots: &'a [Candidate],
    /// What `current` leads to.
    pub current: Option<&'a SnapshotName>,
    /// The time.
    pub now: DateTime<Utc>,
    /// The policy's time zone, in which days and times are meant.
    pub zone: &'a Zone,
}

/// Where a path leads that begins with a word for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located<'a> {
    /// To all snapshots.
    Root,
    /// To a directory that snapshots with names of several levels are in.
    Above(String),
    /// Into a snapshot.
    Inside {
        /// Which one.
        snapshot: &'a SnapshotName,
        /// How many of the path's names stand for it.
        names: usize,
    },
}

/// Why no snapshot is meant. What is in it is the client's own word and the client's own snapshots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSelected {
    /// There are none at all.
    #[error("there is no snapshot yet")]
    None,
    /// The word is none for a snapshot.
    #[error(transparent)]
    Word(#[from] NotASelector),
    /// No name is so or begins so.
    #[error("there is no snapshot `{0}`")]
    Unknown(String),
    /// Several begin so.
    #[error("`{word}` is the beginning of {count} snapshots, such as {one} and {other}")]
    Ambiguous {
        /// The word.
        word: String,
        /// How many.
        count: usize,
        /// The oldest of them.
        one: SnapshotName,
        /// The newest.
        other: SnapshotName,
    },
    /// All are later.
    #[error("there is no snapshot from `{word}` or before: the first is {first}")]
    TooEarly {
        /// The word.
        word: String,
        /// The first snapshot.
        first: SnapshotName,
    },
    /// All are partial.
    #[error("no snapshot is complete")]
    NoneComplete,
}

impl<'a> History<'a> {
    /// The snapshot that a word means.
    ///
    /// # Errors
    /// When it means none, or several.
    pub fn select(&self, selector: &Selector) -> Result<&'a SnapshotName, NotSelected> {
        let local = |name: &SnapshotName| self.zone.local(name.at);
        match selector {
            Selector::Current => self.current.or_else(|| self.newest(|_| true)).ok_or(NotSelected::None),
            Selector::Complete => self.newest(|one| !one.partial).ok_or_else(|| self.none_or(NotSelected::NoneComplete)),
            Selector::Ago(span) => {
                let until = self.now.checked_sub_signed(*span).unwrap_or(DateTime::<Utc>::MIN_UTC);
                self.until(selector, |name| name.at <= until)
            }
            Selector::Yesterday => {
                let today = self.zone.local(self.now).date();
                self.until(selector, |name| local(name).date() < today)
            }
            Selector::Day(day) => self.until(selector, |name| local(name).date() <= *day),
            // By what clocks showed: in the hour that autumn repeats, both are that time.
            Selector::At(at) => self.until(selector, |name| whole_seconds(local(name)) <= *at),
            Selector::Name(name) => self.named(name, |_| true),
        }
    }

    /// Where a path leads; `names` are its parts.
    ///
    /// # Errors
    /// When its beginning is no word for a snapshot, or one for several.
    pub fn locate(&self, names: &[&str]) -> Result<Located<'a>, NotSelected> {
        let Some((first, rest)) = names.split_first() else { return Ok(Located::Root) };
        if Selector::stands_alone(first) {
            return Ok(Located::Inside { snapshot: self.select(&Selector::read(first)?)?, names: 1 });
        }
        let levels = |count: usize| names.get(..count).map(|names| names.join("/"));
        let most = names.len().min(MAX_SNAPSHOT_DEPTH);
        for count in 1..=most {
            let exact = levels(count).and_then(|word| self.snapshots.iter().find(|one| one.name.as_str() == word));
            if let Some(Candidate { name: snapshot, .. }) = exact {
                return Ok(Located::Inside { snapshot, names: count });
            }
        }
        let whole = names.join("/");
        if rest.len() < MAX_SNAPSHOT_DEPTH && self.snapshots.iter().any(|one| one.name.as_str().starts_with(&format!("{whole}/"))) {
            return Ok(Located::Above(whole));
        }
        // A beginning reaches into the last level of a name, so that what follows is a path.
        let mut fault = NotSelected::Unknown(still_printable(first, MAX_QUOTED));
        for count in 1..=most {
            let Some(word) = levels(count) else { break };
            match self.named(&word, |name| name.as_str().matches('/').count() + 1 == count) {
                Ok(snapshot) => return Ok(Located::Inside { snapshot, names: count }),
                Err(ambiguous @ NotSelected::Ambiguous { .. }) => return Err(ambiguous),
                Err(NotSelected::None) => fault = NotSelected::None,
                Err(NotSelected::Word(_) | NotSelected::Unknown(_) | NotSelected::TooEarly { .. } | NotSelected::NoneComplete) => {}
            }
        }
        Err(fault)
    }

    /// The one of this name or, among those that count, of this beginning.
    fn named(&self, word: &str, counts: impl Fn(&SnapshotName) -> bool) -> Result<&'a SnapshotName, NotSelected> {
        let names = || self.snapshots.iter().map(|one| &one.name);
        if let Some(exact) = names().find(|name| name.as_str() == word) {
            return Ok(exact);
        }
        let shown = || still_printable(word, MAX_QUOTED);
        let mut found: Vec<_> = names().filter(|name| name.as_str().starts_with(word) && counts(name)).collect();
        found.sort_by_key(|name| name.at);
        match found.as_slice() {
            [] => Err(self.none_or(NotSelected::Unknown(shown()))),
            [one] => Ok(one),
            [one, .., other] => {
                Err(NotSelected::Ambiguous { word: shown(), count: found.len(), one: (*one).clone(), other: (*other).clone() })
            }
        }
    }

    fn until(&self, selector: &Selector, is_early: impl Fn(&SnapshotName) -> bool) -> Result<&'a SnapshotName, NotSelected> {
        self.newest(|one| is_early(&one.name)).ok_or_else(|| {
            let first = self.snapshots.iter().map(|one| &one.name).min_by_key(|name| name.at);
            first.map_or(NotSelected::None, |first| NotSelected::TooEarly { word: selector.to_string(), first: first.clone() })
        })
    }

    fn newest(&self, counts: impl Fn(&Candidate) -> bool) -> Option<&'a SnapshotName> {
        self.snapshots.iter().filter(|one| counts(one)).map(|one| &one.name).max_by_key(|name| name.at)
    }

    fn none_or(&self, fault: NotSelected) -> NotSelected {
        if self.snapshots.is_empty() { NotSelected::None } else { fault }
    }
}

fn whole_seconds(at: NaiveDateTime) -> NaiveDateTime {
    at - TimeDelta::nanoseconds(i64::from(at.and_utc().timestamp_subsec_nanos()))
}
