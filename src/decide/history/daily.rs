//! What a client has been sent within 24 hours, for the limit on it and for the mail about it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::terms::{Excess, Ground, Resource};

/// Hours of a day.
const DAY: i64 = 24;

/// The book: bytes by the hour, so that it stays small. The hour that a pull began in counts whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daily {
    hours: Vec<(i64, u64)>,
    /// The hour in which the administrator was told that it is much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<i64>,
}

fn hour(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(3600)
}

impl Daily {
    /// With more bytes. What is older than a day goes, and what a clock that was wrong has left.
    pub fn add(&mut self, now: DateTime<Utc>, bytes: u64) {
        let now = hour(now);
        self.hours.retain(|(hour, _)| now.abs_diff(*hour) < DAY.unsigned_abs());
        match self.hours.iter_mut().find(|(hour, _)| *hour == now) {
            Some((_, sent)) => *sent = sent.saturating_add(bytes),
            None => self.hours.push((now, bytes)),
        }
    }

    /// The bytes of the last 24 hours.
    #[must_use]
    pub fn sent(&self, now: DateTime<Utc>) -> u64 {
        let now = hour(now);
        let recent = self.hours.iter().filter(|(hour, _)| now.abs_diff(*hour) < DAY.unsigned_abs());
        recent.fold(0, |sum, (_, sent)| sum.saturating_add(*sent))
    }

    /// What is over the limit.
    #[must_use]
    pub fn excess(&self, now: DateTime<Utc>, limit: Option<u64>) -> Option<Excess> {
        let (limit, found) = (limit?, self.sent(now));
        (found >= limit).then_some(Excess { ground: Ground::Restore, resource: Resource::Bytes, limit, found })
    }

    /// Whether the administrator is to be told now; once in a day.
    pub fn tells(&mut self, now: DateTime<Utc>, over: Option<u64>) -> bool {
        let is_over = over.is_some_and(|over| self.sent(now) > over);
        let was_told = self.told.is_some_and(|told| hour(now).abs_diff(told) < DAY.unsigned_abs());
        let tells = is_over && !was_told;
        if tells {
            self.told = Some(hour(now));
        }
        tells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn bytes_count_for_a_day_and_no_longer() {
        let mut book = Daily::default();
        book.add(at("2026-11-20T03:10:00Z"), 10);
        book.add(at("2026-11-20T03:50:00Z"), 5);
        book.add(at("2026-11-20T20:00:00Z"), 1);
        assert_eq!(book.sent(at("2026-11-21T02:59:00Z")), 16);
        assert_eq!(book.sent(at("2026-11-21T03:00:00Z")), 1);
        book.add(at("2026-11-22T03:00:00Z"), 2);
        assert_eq!(book.hours.len(), 1, "it does not grow");
        let mut wrong = Daily::default();
        wrong.add(at("2099-01-01T00:00:00Z"), 1 << 40);
        assert_eq!(wrong.sent(at("2026-11-22T03:00:00Z")), 0, "a clock that was wrong keeps nobody out");
        wrong.add(at("2026-11-22T03:00:00Z"), u64::MAX);
        wrong.add(at("2026-11-22T03:00:00Z"), u64::MAX);
        assert_eq!(wrong.sent(at("2026-11-22T03:00:00Z")), u64::MAX);
    }

    #[test]
    fn a_limit_is_reached_and_the_mail_is_sent_once_a_day() {
        let (mut book, now) = (Daily::default(), at("2026-11-20T03:10:00Z"));
        assert_eq!((book.excess(now, None), book.excess(now, Some(1)), book.tells(now, Some(0))), (None, None, false));
        book.add(now, 100);
        assert_eq!(book.excess(now, Some(100)).map(|excess| (excess.limit, excess.found)), Some((100, 100)));
        assert_eq!(book.excess(now, Some(101)), None);
        assert_eq!(
            [book.tells(now, None), book.tells(now, Some(100)), book.tells(now, Some(99)), book.tells(now, Some(99))],
            [false, false, true, false]
        );
        let later = at("2026-11-21T04:10:00Z");
        book.add(later, 100);
        assert!(book.tells(later, Some(99)));
        assert_eq!(serde_json::from_str::<Daily>(&serde_json::to_string(&book).unwrap()).unwrap(), book);
    }
}
