//! When a client may come: days and hours on wall clocks of the policy's zone.
//!
//! An hour that autumn repeats counts both times; one that spring skips does not exist.

use std::fmt;

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};

use crate::terms::text::{digits, printable};

/// Days of the week from Monday, as policies write them.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// An entry of `when:`. A window past midnight belongs to the day on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    days: Days,
    hours: Hours,
    stop: bool,
}

/// Days of the week, from Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days([bool; 7]);

/// Minutes of the day, the end excluded; past midnight where the end is not later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    until: u16,
}

impl Window {
    /// A window on these days at these hours.
    pub fn new(days: Days, hours: Hours) -> Self {
        Self { days, hours, stop: false }
    }

    /// The same, and whether it ends a push that still runs when it closes.
    #[must_use]
    pub fn stopping(self, stop: bool) -> Self {
        Self { stop, ..self }
    }

    /// Whether it ends a push that still runs when it closes (see `closing`).
    pub fn stops(&self) -> bool {
        self.stop
    }

    /// Whether the window is open when clocks in its zone show `local`.
    pub fn is_open(&self, local: NaiveDateTime) -> bool {
        // The sum fits, also in a leap second.
        let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0);
        self.is_open_at(local.weekday().num_days_from_monday() as usize, minute)
    }

    fn is_open_at(&self, day: usize, minute: u16) -> bool {
        let Hours { from, until } = self.hours;
        if from < until {
            return self.days.has(day) && (from..until).contains(&minute);
        }
        (self.days.has(day) && minute >= from) || (self.days.has(day + 6) && minute < until)
    }

    /// Whether it says that it stops a push and never can: whenever it closes, another one is open,
    /// or one closes that does not stop.
    pub fn stops_in_vain(&self, all: &[Self]) -> bool {
        let Hours { from, until } = self.hours;
        let overnight = usize::from(until <= from || until == DAY);
        let goes_on = |day: usize| {
            let (end_day, end) = (day + overnight, until % DAY);
            let (last_day, last) = if end == 0 { (end_day + 6, DAY - 1) } else { (end_day, end - 1) };
            all.iter().any(|other| other.is_open_at(end_day % 7, end) || (!other.stop && other.is_open_at(last_day % 7, last)))
        };
        self.stop && (0..7).filter(|day| self.days.has(*day)).all(goes_on)
    }

    /// Whether it is open only when one of `others` is.
    pub fn is_within(&self, others: &[Self]) -> bool {
        (0..7).all(|day| (0..DAY).all(|minute| !self.is_open_at(day, minute) || others.iter().any(|other| other.is_open_at(day, minute))))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.days == Days::ALL, self.hours == Hours::ALL) {
            (true, true) => out.write_str("always"),
            (true, false) => write!(out, "{}", self.hours),
            (false, true) => write!(out, "{}", self.days),
            (false, false) => write!(out, "{} {}", self.days, self.hours),
        }
    }
}

impl Days {
    /// Every day.
    pub const ALL: Self = Self([true; 7]);

    fn has(self, day: usize) -> bool {
        self.0.get(day % 7).copied().unwrap_or(false)
    }

    /// The days of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut days = self.0;
        for (day, more) in days.iter_mut().zip(other.0) {
            *day |= more;
        }
        Self(days)
    }

    /// Reads `mon-fri`, `sat,sun`, `fri-mon` (over the weekend) and combinations.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |name: &str| {
            let found = DAYS.iter().position(|day| day.eq_ignore_ascii_case(name.trim()));
            found.ok_or_else(|| format!("`{}` is not a day: use {}", printable(name.trim().as_bytes()), DAYS.join(", ")))
        };
        let mut days = [false; 7];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if part.contains('-') && first == last {
                return Err(format!("`{}` begins and ends on the same day: name the day alone", part.trim()));
            }
            let length = (last + 7 - first) % 7;
            for step in 0..=length {
                if let Some(day) = days.get_mut((first + step) % 7) {
                    *day = true;
                }
            }
        }
        Ok(Self(days))
    }
}

impl fmt::Display for Days {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return out.write_str("mon-sun");
        }
        let name = |day: usize| DAYS.get(day % 7).copied().unwrap_or_default();
        // Runs of days, each from a day after one that is not included; a run may go over Sunday.
        let mut parts = Vec::new();
        for first in (0..7).filter(|day| self.has(*day) && !self.has(day + 6)) {
            let length = (1..7).take_while(|step| self.has(first + step)).count();
            match length {
                0 => parts.push(name(first).to_owned()),
                1 => parts.push(format!("{},{}", name(first), name(first + 1))),
                _ => parts.push(format!("{}-{}", name(first), name(first + length))),
            }
        }
        out.write_str(&parts.join(","))
    }
}

impl Hours {
    /// The whole day.
    pub const ALL: Self = Self { from: 0, until: DAY };

    /// Reads `22:00-06:00`; `24:00` is the end of the day.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = printable(text.as_bytes());
        let parts = text.split_once('-').and_then(|(from, until)| Some((minutes(from)?, minutes(until)?)));
        let Some((from, until)) = parts else {
            return Err(format!("`{shown}` is not a span of hours: write it like 22:00-06:00, from 00:00 to 24:00"));
        };
        if from == DAY {
            return Err(format!("`{shown}` begins at the end of the day: begin at 00:00"));
        }
        if from == until {
            return Err(format!("`{shown}` never opens: for the whole day write 00:00-24:00"));
        }
        Ok(Self { from, until })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(out, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

/// `HH:MM` as minutes of the day.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| digits::<u16>(text).filter(|_| text.len() == 2);
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests;
