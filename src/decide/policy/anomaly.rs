//! `anomaly:` of a policy: from when on a push is held.

use crate::decide::anomaly::{Figure, Limits, Share};
use crate::decide::policy::yaml::{Figure as Number, Text, Texts, Word, Written, Wrong, keys};
use crate::terms::limits::MAX_CANARIES;
use crate::terms::text::printable;
use crate::terms::word::table;
use crate::terms::{NotInside, SubPath};

use super::limits::{Inodes, whole};

keys! {
    /// `anomaly:` as a table.
    pub(super) struct AnomalyKeys, "`anomaly`" {
        /// How many of the files of the last good snapshot have other content now.
        changed: Most as Text<_> = Value("90%"), "off";
        /// How many of them are gone and not replaced by as many others, or nine of ten whatever
        /// came instead. A push is also held against what the client's last 30 usually had.
        deleted: Most as Text<_> = Value("50%"), "30%";
        /// How many of the bytes are gone, where files are gone as well.
        shrunk: Most as Text<_> = Value("80%"), "50%";
        /// How many of the files are gone, with as many new ones under endings of which there were
        /// hardly any, such as `.locked`.
        renamed: Most as Text<_> = Value("20%"), "5%";
        /// How many of the files were replaced by content that does not compress, as encrypted
        /// content does not: a sample is compressed.
        scrambled: Most as Text<_> = Value("10%"), "5%";
        /// Snapshots with fewer files are not judged by these, nor fewer files anywhere.
        least: Inodes as Number<_> = Value("25"), "100";
        /// Files that never change, by their places in the snapshot. A push in which one of them has
        /// other content, or is gone, is held.
        canaries: Vec<Canary> as Texts<_> = Words("none"), "[home/.a-canary.docx, srv/000.xlsx]";
        /// Where `current` leads while snapshots are held.
        current: Current as Text<_> = Value("newest"), "good";
    }

    fn whole(&self) -> Result<(), Wrong> {
        let count = self.canaries.as_ref().map_or(0, Vec::len);
        if count > MAX_CANARIES {
            return Err(Wrong::new(format!("{count} canaries in one policy"), format!("name at most {MAX_CANARIES}")));
        }
        Ok(())
    }
}

table! {
    /// `anomaly: {current: …}` Where `current` leads while snapshots are held.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Current {
        /// To the newest snapshot, held or not.
        Newest = "newest",
        /// To the newest one that is not held.
        Good = "good",
    }
}

/// A limit, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most(Option<Share>);

impl Word for Most {
    const WHAT: &'static str = "a share like 50%, or off";

    fn read(text: &str) -> Result<Self, Wrong> {
        if text == "off" {
            return Ok(Self(None));
        }
        let quoted = printable(text.as_bytes());
        let percent = text.strip_suffix('%').and_then(whole);
        let percent = percent.ok_or_else(|| Wrong::new(format!("`{quoted}` is not a share"), format!("write {}", Self::WHAT)))?;
        let fitting = u8::try_from(percent).ok().filter(|percent| (1..=100).contains(percent));
        let out_of_range = || Wrong::new(format!("`{quoted}` is out of range"), "use 1% to 100%, or off");
        fitting.map(|percent| Self(Some(Share::of(percent)))).ok_or_else(out_of_range)
    }

    fn values() -> String {
        format!("{}, from 1% to 100%", Self::WHAT)
    }
}

/// The place of a file in the snapshot.
#[derive(Debug, Clone)]
pub(super) struct Canary(SubPath);

impl Word for Canary {
    const WHAT: &'static str = "a file's place in the snapshot, like home/.canary";

    fn read(text: &str) -> Result<Self, Wrong> {
        let quoted = printable(text.as_bytes());
        let wrong = |_: NotInside| Wrong::new(format!("`{quoted}` leaves the snapshot"), format!("write {}", Self::WHAT));
        let place = SubPath::parse(text).map_err(wrong)?;
        if place.is_whole() {
            return Err(Wrong::new(format!("`{quoted}` is the snapshot itself"), format!("write {}", Self::WHAT)));
        }
        Ok(Self(place))
    }
}

/// `anomaly: off`
#[derive(Debug, Clone, Copy)]
pub(super) struct Off;

impl Word for Off {
    const WHAT: &'static str = "off";

    fn read(text: &str) -> Result<Self, Wrong> {
        let quoted = printable(text.as_bytes());
        let help = "write `off` if no push is to be held, or a table: { deleted: 30%, current: good }";
        if text == "off" { Ok(Self) } else { Err(Wrong::new(format!("`{quoted}` is not `off`"), help)) }
    }
}

/// What a policy says; `None`: no push is held.
pub(super) fn limits(written: Option<Written<AnomalyKeys, Off>>) -> Option<Limits> {
    let keys = match written {
        None => AnomalyKeys::default(),
        Some(Written::Table(keys)) => keys,
        Some(Written::Text(Off)) => return None,
    };
    let AnomalyKeys { changed, deleted, shrunk, renamed, scrambled, least, canaries, current } = keys;
    let usual = Limits::default();
    let shares = usual.shares.map(|(figure, usual)| {
        let said = match figure {
            Figure::Changed => changed,
            Figure::Deleted => deleted,
            Figure::Shrunk => shrunk,
            Figure::Renamed => renamed,
            Figure::Scrambled => scrambled,
        };
        (figure, said.map_or(usual, |Most(share)| share))
    });
    Some(Limits {
        shares,
        least: least.map_or(usual.least, |Inodes(count)| count),
        canaries: canaries.unwrap_or_default().into_iter().map(|Canary(place)| place).collect(),
        stays: current == Some(Current::Good),
    })
}
