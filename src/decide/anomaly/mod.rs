//! Whether a snapshot may be damage: a push is compared with the client's last good snapshot and with
//! its last [`MAX_PAST`] good pushes. What is over a limit is published and *held*.
//!
//! **Nothing that a client does moves a limit.** It is held against good snapshots alone, and what is
//! held is not good before the administrator has said so (`snapgate release`). What a client's
//! snapshots usually have is the median of pushes that came half a day apart, so that many pushes in
//! a row move nothing. A figure over its limit is usual where two of these were over it as well, and
//! the first two were the administrator's word.
//!
//! **What ordinary machines do is no damage.** Files that change, however many, still compress as
//! before; files that are gone are replaced by as many; what is added replaces nothing. The limits
//! ask for what none of these does.

mod endings;
mod past;
mod sample;
mod share;

use crate::terms::word::table;
use crate::terms::{Compared, SubPath};

pub use endings::{Endings, ending};
pub use past::{HeldNote, History, Past};
pub use sample::{Kind, Sample, Sampled, compresses, is_dense};
pub use share::Share;

table! {
    /// What a push is judged by.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Figure {
        /// Files that have other content.
        Changed = "changed",
        /// Files that are gone, and not replaced by as many others.
        Deleted = "deleted",
        /// Bytes that are gone.
        Shrunk = "shrunk",
        /// Files that are gone, with as many new ones under new endings.
        Renamed = "renamed",
        /// Files that were replaced by content that does not compress.
        Scrambled = "scrambled",
    }
}

/// `anomaly:` of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The limit of each figure; `None`: not judged by it.
    pub shares: [(Figure, Option<Share>); Figure::ALL.len()],
    /// Fewer files are never damage.
    pub least: u64,
    /// Files that never change.
    pub canaries: Vec<SubPath>,
    /// Whether `current` stays on the last good snapshot while newer ones are held.
    pub stays: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let usual = |figure| match figure {
            Figure::Changed => 90,
            Figure::Deleted => 50,
            Figure::Shrunk => 80,
            Figure::Renamed => 20,
            Figure::Scrambled => 10,
        };
        let shares = Figure::ALL.map(|figure| (figure, Some(Share::of(usual(figure)))));
        Self { shares, least: DEFAULT_LEAST, canaries: Vec::new(), stays: false }
    }
}

impl Limits {
    /// Whether so much was replaced that it matters by what: the names of the last good snapshot are
    /// read then.
    pub fn may_be_renamed(&self, compared: &Compared) -> bool {
        let replaced = compared.added.min(compared.gone);
        let asks = |(figure, limit): &(Figure, Option<Share>)| {
            matches!(figure, Figure::Renamed | Figure::Scrambled) && limit.is_some_and(|limit| limit.is_reached(replaced, compared.files))
        };
        replaced >= self.least && self.shares.iter().any(asks)
    }
}

/// `least:` where nobody says it.
pub const DEFAULT_LEAST: u64 = 25;

/// A figure that is over its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Which.
    pub figure: Figure,
    /// How much of it.
    found: u64,
    /// Of how much.
    of: u64,
    limit: Share,
    /// Whether it is measured by what the client's snapshots usually have.
    usually: bool,
}

/// So many good pushes have to be known before it is said what the client's snapshots usually have.
const KNOWN: usize = 5;

/// So many of the last good pushes make a figure usual.
const USUAL: usize = 2;

/// Where nine of ten names are gone, it does not matter what came instead.
const NEARLY_ALL: Share = Share::of(90);

/// Bytes count as gone where one in so many files is, and [`FEW`] are: a large log that was
/// compressed is not.
const ONE_IN: u64 = 20;

/// See [`ONE_IN`].
const FEW: u64 = 5;

/// The figures of a snapshot with so many `files` and `bytes` that are over their limits.
pub fn judge(limits: &Limits, (files, bytes): (u64, u64), compared: &Compared, history: &[Past]) -> Vec<Over> {
    let usual = past::usual(history, KNOWN);
    let measured = limits.shares.iter().filter_map(|(figure, limit)| {
        let limit = (*limit)?;
        let (found, of, usually) = measure(*figure, (files, bytes), compared, usual);
        let enough = *figure == Figure::Shrunk || found >= limits.least;
        (enough && limit.is_reached(found, of)).then_some(Over { figure: *figure, found, of, limit, usually })
    });
    let known = |over: &Over| history.iter().filter(|past| past.over.contains(&over.figure)).count() >= USUAL;
    let is_judged = compared.files.max(usual.map_or(0, |(files, _)| files)) >= limits.least;
    measured.filter(|over| is_judged && !known(over)).collect()
}

/// All figures over their limits, usual or not: what the history remembers.
pub fn over(limits: &Limits, now: (u64, u64), compared: &Compared, history: &[Past]) -> Vec<Figure> {
    let plain: Vec<Past> = history.iter().map(|past| Past { over: Vec::new(), ..past.clone() }).collect();
    judge(limits, now, compared, &plain).into_iter().map(|over| over.figure).collect()
}

/// How many of the files that are gone came back under new endings, of which so many are `new`. What
/// else was added may be the others under other names, as where somebody sorts pictures and brings
/// new ones.
pub fn renamed(compared: &Compared, new: u64) -> u64 {
    let moved = compared.added.saturating_sub(new);
    new.min(compared.gone.saturating_sub(moved))
}

/// How much of a figure there is, of how much, and whether that is what is usual.
fn measure(figure: Figure, (files, bytes): (u64, u64), compared: &Compared, usual: Option<(u64, u64)>) -> (u64, u64, bool) {
    let Compared { files: before, bytes: had, changed, added, gone, renamed, scrambled, .. } = *compared;
    let (usual_files, usual_bytes) = usual.unwrap_or_default();
    let fewer = usual_files.saturating_sub(files);
    match figure {
        Figure::Changed => (changed, before, false),
        Figure::Renamed => (renamed, before, false),
        Figure::Scrambled => (scrambled, before, false),
        Figure::Deleted => {
            let missing = if NEARLY_ALL.is_reached(gone, before) { gone } else { gone.saturating_sub(added) };
            larger((missing, before), (fewer, usual_files))
        }
        Figure::Shrunk => {
            let few = |gone: u64, of: u64| gone < FEW || gone < of / ONE_IN;
            let since = if few(gone, before) { 0 } else { had.saturating_sub(bytes) };
            let in_all = if few(fewer, usual_files) { 0 } else { usual_bytes.saturating_sub(bytes) };
            larger((since, had), (in_all, usual_bytes))
        }
    }
}

/// The larger share, and whether it is the second.
fn larger(one: (u64, u64), other: (u64, u64)) -> (u64, u64, bool) {
    let weight = |(part, of): (u64, u64)| u128::from(part) * u128::from(u64::MAX) / u128::from(of.max(1));
    if weight(other) > weight(one) { (other.0, other.1, true) } else { (one.0, one.1, false) }
}

impl std::fmt::Display for Over {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { figure, found, of, limit, usually } = self;
        let before = if *usually { "that its snapshots usually have" } else { "of the last good snapshot" };
        match figure {
            Figure::Changed => write!(out, "{found} of {of} files {before} have other content")?,
            Figure::Deleted => write!(out, "{found} of {of} files {before} are gone")?,
            Figure::Shrunk => write!(out, "{} of {} {before} are gone", crate::terms::Bytes(*found), crate::terms::Bytes(*of))?,
            Figure::Renamed => write!(out, "{found} of {of} files {before} are gone, with as many new ones under new endings")?,
            Figure::Scrambled => write!(out, "about {found} of {of} files {before} were replaced by content that does not compress")?,
        }
        write!(out, " ({figure} {}, limit {limit})", Share::rounded(*found, *of))
    }
}

#[cfg(test)]
mod tests;
