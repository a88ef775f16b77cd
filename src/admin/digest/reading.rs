//! Reading ledgers so that each event is told in one digest and in no other. A line may be written
//! long after what it tells of has ended: whoever went by the clock alone would miss what ends just
//! before a digest and is recorded just after it. So a digest notes up to which line it saw each
//! ledger, and what stands behind that is new to the next one, whenever it ended.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::TimeDelta;

use crate::act::prune::{Ids, Place};
use crate::decide::speak::digest::{Span, ended};
use crate::decide::speak::states::{Mark, Past};
use crate::terms::limits::{DIGEST_TIME, LONGEST_CONNECTION, MAX_DIGEST_LEDGER};
use crate::terms::text::os_words;
use crate::terms::{Bytes, Event, Reason};

/// What is read, and what the last digest saw of it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) span: Span,
    pub(super) past: Option<&'a Past>,
    /// When reading began.
    pub(super) begun: Instant,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Read {
    /// Up to which line the ledgers were seen.
    pub(super) mark: Option<Mark>,
    /// What was not read.
    pub(super) unread: Option<String>,
}

impl Reader<'_> {
    /// Reads a place's ledgers, and hands out each event once, with whether it is late. One may stand
    /// in two of them.
    pub(super) fn read(&self, who: &str, place: Result<Place, Reason>, take: &mut dyn FnMut(Event, bool)) -> Read {
        let marks: Option<&BTreeMap<String, Mark>> = self.past.and_then(|past| past.marks.as_ref());
        let before = marks.and_then(|marks| marks.get(who));
        if self.begun.elapsed() >= DIGEST_TIME {
            let unread = format!("{who}: its ledgers were not read, as others took too long");
            return Read { mark: before.cloned(), unread: Some(unread) };
        }
        let (mut ids, mut behind, mut last, mut is_met) = (Ids::default(), 0_usize, None, false);
        let place = place.map_err(|reason| reason.detail);
        let done = place.as_ref().map_err(Clone::clone).and_then(|place| {
            let hand = |event: Event| {
                if !ids.insert(&event.id) {
                    return;
                }
                last = Some(Mark { id: event.id.clone(), at: event.at });
                let is_old = ended(&event) < self.span.since;
                if !is_met && before.is_some_and(|mark| mark.id == event.id) {
                    // It was seen, and so was all before it.
                    is_met = true;
                    behind = 0;
                } else if is_old {
                    behind += 1;
                    return;
                }
                if !is_old {
                    take(event, false);
                }
            };
            let read = place.since(self.span.since, MAX_DIGEST_LEDGER, hand);
            read.map_err(|error| format!("its ledger cannot be read: {}", os_words(&error)))
        });
        // A line that is not met is too old to be read, or the ledger is another now.
        let early = self.span.since - TimeDelta::from_std(LONGEST_CONNECTION).unwrap_or_default();
        let is_behind = is_met || (marks.is_some() && before.is_none_or(|mark| mark.at < early));
        if let Some(place) = place.as_ref().ok().filter(|_| is_behind && behind > 0) {
            self.late(place, before.filter(|_| is_met), behind, take);
        }
        let (mark, unread) = match done {
            Ok(true) => (last.or(before.cloned()), None),
            Ok(false) => {
                let what = format!("no more than {} of each of its ledgers were read, and there was more", Bytes(MAX_DIGEST_LEDGER));
                (last.or(before.cloned()), Some(what))
            }
            // The next one begins where this one did.
            Err(what) => (before.cloned().or(last), Some(what)),
        };
        Read { mark, unread: unread.map(|what| format!("{who}: {what}")) }
    }

    /// Hands out what ended before the span and stands behind the mark: so many, and not what has been
    /// written since. It is read a second time, and never kept: an account may have written any number.
    fn late(&self, place: &Place, mark: Option<&Mark>, many: usize, take: &mut dyn FnMut(Event, bool)) {
        let (mut ids, mut left, mut is_met) = (Ids::default(), many, mark.is_none());
        let hand = |event: Event| {
            if !ids.insert(&event.id) {
                return;
            }
            if !is_met && mark.is_some_and(|mark| mark.id == event.id) {
                is_met = true;
            } else if is_met && left > 0 && ended(&event) < self.span.since {
                left -= 1;
                take(event, true);
            }
        };
        // What cannot be read was said of the first time.
        drop(place.since(self.span.since, MAX_DIGEST_LEDGER, hand));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::act::inspect::running_uid;
    use crate::act::record::ledger;
    use crate::act::record::spool::Spool;
    use crate::decide::speak::message::samples;

    #[test]
    fn a_ledger_for_which_there_is_no_time_is_read_by_the_next_digest() {
        let dir = tempfile::tempdir().unwrap();
        let event = samples::refusal();
        ledger::append(&Spool::open(dir.path(), running_uid()).unwrap().ledger(), &event).unwrap();
        let span = Span { since: event.at - TimeDelta::days(1), until: event.at + TimeDelta::days(1) };
        let mark = Mark { id: "the last one".to_owned(), at: event.at - TimeDelta::hours(1) };
        let marks = Some([("web1".to_owned(), mark.clone())].into());
        let past = Past { due: span.since, at: span.since, set_back: false, used: BTreeMap::new(), points: Vec::new(), marks };
        let read = |spent: Duration| {
            let begun = Instant::now().checked_sub(spent).unwrap();
            let mut seen = 0;
            let place = Ok(Place::of_account(dir.path(), running_uid()).unwrap().unwrap());
            let read = Reader { span, past: Some(&past), begun }.read("web1", place, &mut |_, _| seen += 1);
            (seen, read.mark.map(|mark| mark.id), read.unread.is_some())
        };
        assert_eq!(read(DIGEST_TIME - Duration::from_secs(60)), (1, Some(event.id.clone()), false));
        assert_eq!(read(DIGEST_TIME), (0, Some(mark.id), true), "it begins there, and says so now");
    }
}
