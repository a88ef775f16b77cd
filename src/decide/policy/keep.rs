//! `keep:`, `min_snapshots:` and `keep_within:` of a policy: how many snapshots of which kind stay.

use std::str::FromStr;

use crate::decide::keep::{Extent, Keep, Period, Rule, Span};
use crate::decide::policy::yaml::{Figure, Word, Written, Wrong, keys};
use crate::terms::NamePattern;
use crate::terms::limits::{KEEP_LIMIT, MAX_KEEP_DAYS, MAX_KEEP_STEPS};
use crate::terms::text::printable;

use super::limits::whole;

/// `min_snapshots:` where nobody says it.
const DEFAULT_LEAST: usize = 3;

/// `keep_within:` where nobody says it.
const DEFAULT_WITHIN_DAYS: u32 = 7;

/// `trash_grace:` where nobody says it.
pub(super) const DEFAULT_GRACE: Span = Span::of_days(1);

/// What a span's unit may be called, and its hours. A month and a year are their longest, so that
/// nothing goes too soon. `m` is none: it is a month to restic and borg, and a minute elsewhere in
/// this file.
const UNITS: [(&[&str], u32); 5] = [
    (&["h", "hour", "hours"], 1),
    (&["d", "day", "days"], 24),
    (&["w", "week", "weeks"], 7 * 24),
    (&["month", "months"], 31 * 24),
    (&["y", "year", "years"], 366 * 24),
];

keys! {
    /// `keep:` as a table.
    pub(super) struct KeepKeys, "`keep`" {
        /// The last snapshots, whenever they came.
        last: Stretch as Figure<_> = Words("none"), "3";
        /// The last one of each hour. Where clocks go back, the hour that they show twice is two.
        hourly: Stretch as Figure<_> = Words("none"), "24";
        /// The last one of each day.
        daily: Stretch as Figure<_> = Words("none"), "14d";
        /// The last one of each week, from Monday to Sunday.
        weekly: Stretch as Figure<_> = Words("none"), "8w";
        /// The last one of each month.
        monthly: Stretch as Figure<_> = Words("none"), "12";
        /// The last one of each year.
        yearly: Stretch as Figure<_> = Words("none"), "10";
    }

    fn whole(&self) -> Result<(), Wrong> {
        let mut finer = None;
        for (word, Rule { extent, .. }) in self.rules() {
            let Extent::Span(span) = extent else { continue };
            match finer.filter(|(_, longest)| span <= *longest) {
                None => finer = Some((word, span)),
                Some((finer, longest)) => {
                    let message = format!("`{word}: {span}` keeps nothing that `{finer}: {longest}` does not keep");
                    return Err(Wrong::new(message, format!("have `{word}` reach further back, or remove it")));
                }
            }
        }
        Ok(())
    }
}

impl KeepKeys {
    /// From the finest to the coarsest, each with its key.
    fn rules(&self) -> impl Iterator<Item = (&'static str, Rule)> {
        let Self { last, hourly, daily, weekly, monthly, yearly } = self;
        let all = [
            ("last", Period::Each, last),
            ("hourly", Period::Hour, hourly),
            ("daily", Period::Day, daily),
            ("weekly", Period::Week, weekly),
            ("monthly", Period::Month, monthly),
            ("yearly", Period::Year, yearly),
        ];
        all.into_iter().filter_map(|(word, period, stretch)| {
            let Stretch(extent) = (*stretch)?;
            Some((word, Rule { period, extent }))
        })
    }
}

/// A number of snapshots, or a span of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch(Extent);

impl Word for Stretch {
    const WHAT: &'static str = "a number like 7, or a span like 7d";

    fn read(text: &str) -> Result<Self, Wrong> {
        if whole(text).is_none() {
            return Span::read(text).map(|span| Self(Extent::Span(span)));
        }
        Least::read(text).map(|Least(count)| Self(Extent::Count(count)))
    }
}

/// A number of snapshots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Least(usize);

impl Word for Least {
    const WHAT: &'static str = "a whole number like 3";

    fn read(text: &str) -> Result<Self, Wrong> {
        let quoted = printable(text.as_bytes());
        let count = whole(text).ok_or_else(|| Wrong::new(format!("`{quoted}` is not a number"), format!("write {}", Self::WHAT)))?;
        let fitting = usize::try_from(count).ok().filter(|_| KEEP_LIMIT.contains(&count));
        let (least, most) = (KEEP_LIMIT.start(), KEEP_LIMIT.end());
        fitting.map(Self).ok_or_else(|| Wrong::new(format!("`{quoted}` is out of range"), format!("use {least} to {most}")))
    }

    fn values() -> String {
        format!("{}, from {} to {}", Self::WHAT, KEEP_LIMIT.start(), KEEP_LIMIT.end())
    }
}

impl Word for Span {
    const WHAT: &'static str = "a span like 36h, 7d, 4w, 6months or 1y";

    fn read(text: &str) -> Result<Self, Wrong> {
        let quoted = printable(text.as_bytes());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (figure, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
        if unit == "m" {
            let message = format!("the `m` of `{quoted}` could mean minutes or months");
            return Err(Wrong::new(message, format!("write {figure}months, or hours")));
        }
        let unit = UNITS.iter().find(|(names, _)| names.contains(&unit)).map(|(_, hours)| u64::from(*hours));
        let hours = whole(figure).zip(unit).map(|(figure, unit)| figure.saturating_mul(unit));
        let hours = hours.ok_or_else(|| Wrong::new(format!("`{quoted}` is not a span of time"), format!("write {}", Self::WHAT)))?;
        let longest = Self::of_days(MAX_KEEP_DAYS);
        let fitting = u32::try_from(hours).ok().filter(|hours| (1..=longest.hours()).contains(hours));
        fitting.map(Self::of_hours).ok_or_else(|| Wrong::new(format!("`{quoted}` is out of range"), format!("use 1h to {longest}")))
    }
}

impl FromStr for Span {
    type Err = String;

    /// As in a policy.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|Wrong { message, help }| format!("{message}: {help}"))
    }
}

/// `"1:1 30:7 365:30"`: after so many days one snapshot in so many.
///
/// rsync-time-backup keeps the first snapshot of such days, and the oldest of all; here it is the
/// last one of fixed days, as with every rule, and each step holds from the newest snapshot back to
/// where the next one begins.
#[derive(Debug, Clone)]
pub(super) struct Strategy(Vec<Rule>);

impl Word for Strategy {
    const WHAT: &'static str = "a strategy like \"1:1 30:7 365:30\"";

    fn read(text: &str) -> Result<Self, Wrong> {
        let steps = text.split(' ').map(step).collect::<Result<Vec<_>, _>>()?;
        if steps.len() > MAX_KEEP_STEPS {
            return Err(Wrong::new(format!("the strategy has {} steps", steps.len()), format!("use at most {MAX_KEEP_STEPS}")));
        }
        let mut rules = Vec::new();
        let mut period = Period::Each;
        let (mut reached, mut one_in) = (None, 0);
        for (after, days) in steps {
            if reached.is_some_and(|reached| after <= reached) || (reached.is_some() && days != 0 && days <= one_in) {
                let message = format!("the step `{after}:{days}` is not coarser than the one before it");
                return Err(Wrong::new(message, "write steps in which both numbers grow: \"1:1 30:7 365:30\""));
            }
            if reached.is_some() && one_in == 0 {
                return Err(Wrong::new(format!("the step `{after}:{days}` follows one that keeps nothing"), "remove one of them"));
            }
            if after > 0 {
                rules.push(Rule { period, extent: Extent::Span(Span::of_days(after)) });
            }
            (reached, one_in) = (Some(after), days);
            period = Period::Days(days);
        }
        if one_in != 0 {
            rules.push(Rule { period, extent: Extent::Everything });
        }
        if rules.is_empty() {
            return Err(Wrong::new("the strategy keeps nothing", "write one like \"1:1 30:7 365:30\""));
        }
        Ok(Self(rules))
    }
}

/// One step: after so many days one in so many.
fn step(text: &str) -> Result<(u32, u32), Wrong> {
    let days = |text: &str| whole(text).and_then(|days| u32::try_from(days).ok()).filter(|days| *days <= MAX_KEEP_DAYS);
    let read = text.split_once(':').and_then(|(after, one_in)| days(after).zip(days(one_in)));
    read.ok_or_else(|| {
        let message = format!("`{}` is not a step of a strategy", printable(text.as_bytes()));
        let help =
            "write days and, behind a colon, one snapshot in how many days: \"1:1 30:7 365:30\"; or a table: { daily: 7, weekly: 4 }";
        Wrong::new(message, help)
    })
}

/// All that a policy says about keeping.
pub(super) fn kept(keep: Option<Written<KeepKeys, Strategy>>, least: Option<Least>, within: Option<Span>, names: &NamePattern) -> Keep {
    let rules = match keep {
        None => Vec::new(),
        Some(Written::Table(keys)) => keys.rules().map(|(_, rule)| rule).collect(),
        Some(Written::Text(Strategy(rules))) => rules,
    };
    Keep {
        rules,
        min_snapshots: least.map_or(DEFAULT_LEAST, |Least(count)| count),
        keep_within: within.unwrap_or_else(|| Span::of_days(DEFAULT_WITHIN_DAYS)),
        resolution: names.resolution(),
    }
}
