//! The book about what a client holds, as it stands in `.snapgate/usage`, and what the reaper has
//! freed, as it stands in `.snapgate/freed`. Each file has one writer at a time: whoever holds the
//! repository, and whoever holds the reaper's lock.
//!
//! Both are lines of a word and its figures, and end with `end`, so that half a file is none. A
//! reader for JSON would be a large part of what the gate has for all of this.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::terms::Usage;

/// What is entered of a client. All inodes count once; the gate's own files do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// Snapshots, those in the trash as well, and what is being removed of them.
    history: Usage,
    /// Of this, what pushes that did not finish have left.
    set_aside: Usage,
    /// The pushes of an open transaction, and what nobody could remove.
    waiting: Usage,
    /// The snapshot that is about to be published. Whether it was, its name tells.
    next: Option<Next>,
    /// The newest snapshot that is entered.
    last: Option<String>,
    /// What the reaper had freed by when `history` was counted.
    freed: Usage,
    /// How often the reaper had been killed by then.
    gaps: u64,
    /// Whether something was not entered.
    due: bool,
}

/// A snapshot that is about to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Its name.
    pub name: String,
    /// What it adds; `None` where a part of it could not be seen.
    pub adds: Option<Usage>,
}

/// What the reaper has freed since the repository was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// The sum.
    pub freed: Usage,
    /// Whether it is at work, or was killed.
    pub at_work: bool,
    /// How often it was killed, so that what it freed is not in the sum.
    pub gaps: u64,
}

/// What a client holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// All of it.
    pub used: Usage,
    /// Of this, what pushes that did not finish have left. The next push uses it, or gives it up.
    pub set_aside: Usage,
    /// Whether something is missing, so that it should be counted anew.
    pub due: bool,
}

impl fmt::Display for Book {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { history, set_aside, waiting, next, last, freed, gaps, due } = self;
        for (word, Usage { bytes, inodes }) in [("history", history), ("set-aside", set_aside), ("waiting", waiting), ("freed", freed)] {
            writeln!(out, "{word} {bytes} {inodes}")?;
        }
        writeln!(out, "state {gaps} {}", u64::from(*due))?;
        if let Some(last) = last {
            writeln!(out, "last {last}")?;
        }
        match next {
            None => {}
            Some(Next { name, adds: Some(Usage { bytes, inodes }) }) => writeln!(out, "next {bytes} {inodes} {name}")?,
            Some(Next { name, adds: None }) => writeln!(out, "unseen {name}")?,
        }
        out.write_str(END)
    }
}

impl fmt::Display for Reclaimed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { freed: Usage { bytes, inodes }, at_work, gaps } = self;
        write!(out, "freed {bytes} {inodes}\nstate {gaps} {}\n{END}", u64::from(*at_work))
    }
}

/// How a book ends.
const END: &str = "end\n";

/// The lines of a book, each as its word and the rest; `None` for one that is not whole.
fn lines(text: &str) -> Option<impl Iterator<Item = (&str, &str)>> {
    let body = text.strip_suffix(END)?;
    let is_whole = body.lines().all(|line| line.contains(' '));
    is_whole.then(|| body.lines().filter_map(|line| line.split_once(' ')))
}

/// Two figures, and what is behind them.
fn figures(text: &str) -> Option<(u64, u64, &str)> {
    let (one, rest) = text.split_once(' ')?;
    let (other, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((one.parse().ok()?, other.parse().ok()?, rest))
}

impl Holding {
    /// What a push adds to.
    pub fn before_a_push(&self) -> Usage {
        self.used.without(self.set_aside)
    }
}

impl Book {
    /// Reads one. A word that a later version knows is passed over.
    pub fn read(text: &str) -> Option<Self> {
        let mut book = Self::default();
        for (word, rest) in lines(text)? {
            let usage = || figures(rest).map(|(bytes, inodes, _)| Usage { bytes, inodes });
            match word {
                "history" => book.history = usage()?,
                "set-aside" => book.set_aside = usage()?,
                "waiting" => book.waiting = usage()?,
                "freed" => book.freed = usage()?,
                "state" => (book.gaps, book.due) = figures(rest).map(|(gaps, due, _)| (gaps, due != 0))?,
                "last" => book.last = Some(rest.to_owned()),
                "next" => book.next = Some(Next { name: figures(rest)?.2.to_owned(), adds: usage() }),
                "unseen" => book.next = Some(Next { name: rest.to_owned(), adds: None }),
                _ => {}
            }
        }
        Some(book)
    }

    /// A book about what a count has found. `last` is the newest snapshot.
    pub fn counted(history: Usage, set_aside: Usage, waiting: Usage, last: Option<String>, reclaimed: Reclaimed) -> Self {
        let Reclaimed { freed, gaps, at_work: _ } = reclaimed;
        Self { history, set_aside, waiting, next: None, last, freed, gaps, due: false }
    }

    /// With what has become of the snapshot that was about to be published. `newest` is the name of
    /// the newest that there is, and names sort as their times do: one that is newer than all that
    /// is entered was published by somebody who entered nothing.
    #[must_use]
    pub fn brought_up(mut self, newest: Option<&str>, is_there: impl FnOnce(&str) -> bool) -> Self {
        if let Some(Next { name, adds }) = self.next.take().filter(|next| is_there(&next.name)) {
            self.history = self.history.and(adds.unwrap_or_default());
            self.due |= adds.is_none();
            self.last = Some(name);
        }
        if let Some(newest) = newest.filter(|newest| self.last.as_deref().is_none_or(|last| *newest > last)) {
            self.due = true;
            self.last = Some(newest.to_owned());
        }
        self
    }

    /// Before a snapshot is published.
    #[must_use]
    pub fn announcing(self, next: Next) -> Self {
        Self { next: Some(next), ..self }
    }

    /// With what stands unpublished.
    #[must_use]
    pub fn with_unpublished(self, set_aside: Usage, waiting: Usage) -> Self {
        Self { set_aside, waiting, ..self }
    }

    /// With one more push that waits in a transaction.
    #[must_use]
    pub fn with_part(self, adds: Option<Usage>) -> Self {
        Self { waiting: self.waiting.and(adds.unwrap_or_default()), due: self.due || adds.is_none(), ..self }
    }

    /// What waits in an open transaction, and what nobody could remove.
    pub fn waiting(&self) -> Usage {
        self.waiting
    }

    /// Whether something stands unpublished.
    pub fn has_unpublished(&self) -> bool {
        self.set_aside != Usage::default() || self.waiting != Usage::default()
    }

    /// What it comes to.
    pub fn holding(&self, reclaimed: Reclaimed) -> Holding {
        let Reclaimed { freed, gaps, at_work: _ } = reclaimed;
        let went_back = freed.bytes < self.freed.bytes || freed.inodes < self.freed.inodes;
        let history = self.history.without(freed.without(self.freed));
        Holding {
            used: history.and(self.set_aside).and(self.waiting),
            set_aside: self.set_aside,
            due: self.due || went_back || gaps != self.gaps,
        }
    }
}

impl Reclaimed {
    /// Reads it likewise.
    pub fn read(text: &str) -> Option<Self> {
        let mut this = Self::default();
        for (word, rest) in lines(text)? {
            match (word, figures(rest)?) {
                ("freed", (bytes, inodes, _)) => this.freed = Usage { bytes, inodes },
                ("state", (gaps, at_work, _)) => (this.gaps, this.at_work) = (gaps, at_work != 0),
                _ => {}
            }
        }
        Some(this)
    }

    /// When the reaper begins.
    #[must_use]
    pub fn begun(self) -> Self {
        Self { at_work: true, gaps: self.gaps.saturating_add(u64::from(self.at_work)), ..self }
    }

    /// With something more that is free.
    #[must_use]
    pub fn and(self, more: Usage) -> Self {
        Self { freed: self.freed.and(more), ..self }
    }

    /// When it has ended.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { at_work: false, ..self }
    }
}
