//! Reading ledgers so that each event is told in one digest and in no other. A line may be written
//! long after what it tells of has ended: whoever went by the clock alone would miss what ends just
//! before a digest and is recorded just after it. So a digest notes up to which line it saw each
//! ledger, and what stands behind that is new to the next one, whenever it ended.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::act::prune::{Ids, Place};
use crate::decide::speak::digest::{Span, ended};
use crate::decide::speak::states::{Mark, Past};
use crate::terms::limits::{LONGEST_CONNECTION, MAX_DIGEST_LEDGER};
use crate::terms::text::os_words;
use crate::terms::{Bytes, Event, Reason};

/// What is read, and what the last digest saw of it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) span: Span,
    pub(super) past: Option<&'a Past>,
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
        let (mut ids, mut behind, mut last, mut is_met) = (Ids::default(), Vec::new(), None, false);
        let done = place.map_err(|reason| reason.detail).and_then(|place| {
            let hand = |event: Event| {
                if !ids.insert(&event.id) {
                    return;
                }
                last = Some(Mark { id: event.id.clone(), at: event.at });
                let is_old = ended(&event) < self.span.since;
                if !is_met && before.is_some_and(|mark| mark.id == event.id) {
                    // It was seen, and so was all before it.
                    is_met = true;
                    behind.clear();
                } else if is_old {
                    behind.push(event);
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
        if is_behind {
            behind.into_iter().for_each(|event| take(event, true));
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
}
