//! A bound on what is remembered: a file that is too long would be read no more, and nothing told.

use crate::terms::Bytes;
use crate::terms::limits::MAX_STATE;
use crate::terms::text::counted;

use super::{Lasting, Memory};

/// What was forgotten for want of room, in a few words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Forgotten {
    marks: usize,
    closed: usize,
    times: usize,
    lasting: usize,
}

impl Memory {
    /// As it is written, within [`MAX_STATE`], and what had to be forgotten for that, in words for the
    /// administrator. First go states that have ended, the oldest first, then the older half of the
    /// times from which rhythms are learned, and again, and at last states that began last: the others
    /// are in threads that somebody reads.
    ///
    /// # Errors
    /// When there is no room even so.
    pub fn written(self) -> Result<(Vec<u8>, Option<String>), String> {
        self.within(MAX_STATE)
    }

    fn within(mut self, most: u64) -> Result<(Vec<u8>, Option<String>), String> {
        let (mut json, mut gone) = (self.json()?, Forgotten::default());
        while json.len() as u64 > most {
            if !self.forget(&mut gone) {
                return Err(format!(
                    "what lasts takes more than {}, and cannot be saved: nobody is told of it\n\
                     see whether `states.json` in the spool has what no client is called, and remove it then",
                    Bytes(most)
                ));
            }
            json = self.json()?;
        }
        let is_whole = gone == Forgotten::default();
        Ok((json, (!is_whole).then(|| gone.words(most))))
    }

    fn json(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| format!("what lasts cannot be written: {error}"))
    }

    /// Forgets what matters least; `false` where nothing is left that may go.
    fn forget(&mut self, gone: &mut Forgotten) -> bool {
        // Without them a digest goes by the clock.
        if let Some(marks) = self.digest.as_mut().and_then(|past| past.marks.take()).filter(|marks| !marks.is_empty()) {
            gone.marks += marks.len();
            return true;
        }
        let mut closed: Vec<_> = self.lasting.iter().filter_map(|state| state.ended).collect();
        closed.sort_unstable();
        if let Some(middle) = closed.get(closed.len().saturating_sub(1) / 2) {
            let before = self.lasting.len();
            self.lasting.retain(|state| state.ended.is_none_or(|ended| ended > *middle));
            gone.closed += before - self.lasting.len();
            return true;
        }
        let mut times = 0;
        for known in self.known.values_mut() {
            times += known.forget_half();
        }
        gone.times += times;
        if times > 0 {
            return true;
        }
        let mut begun: Vec<_> = self.lasting.iter().map(|state| state.since).collect();
        begun.sort_unstable();
        let Some(middle) = begun.get(begun.len() / 2) else { return false };
        let before = self.lasting.len();
        self.lasting.retain(|Lasting { since, .. }| since < middle);
        gone.lasting += before - self.lasting.len();
        before > self.lasting.len()
    }
}

impl Forgotten {
    fn words(&self, most: u64) -> String {
        let all = [
            (self.marks, "place up to which a ledger was told", "places up to which ledgers were told"),
            (self.closed, "state that has ended", "states that have ended"),
            (self.times, "time of a snapshot", "times of snapshots"),
            (self.lasting, "state that lasts, which is told as a new one", "states that last, which are told as new ones"),
        ];
        let all: Vec<_> = all.into_iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| counted(count, one, many)).collect();
        format!("`states.json` may have {} and no more: forgotten are {}", Bytes(most), all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::decide::speak::states::{Fact, Kind, Known, Subject, step};

    #[test]
    fn a_file_that_is_full_forgets_what_matters_least_and_says_so() {
        let now: DateTime<Utc> = "2026-11-28T07:00:00Z".parse().unwrap();
        let subject = |number: u32, fact| Subject {
            client: Some(format!("web{number}").parse().unwrap()),
            closed: None,
            facts: vec![(Kind::Missed, fact, Vec::new())],
        };
        let lasts = |number: u32| Fact::Lasts(now - TimeDelta::hours(i64::from(number)), "no snapshot".to_owned());
        let all: Vec<_> = (0..8).map(|number| subject(number, lasts(number))).collect();
        let mut memory = step(Memory::default(), 0, &all, None, now);
        for (hour, ended) in [(1, 2), (2, 4)] {
            let over = |number: u32| subject(number, if number < ended { Fact::Over } else { lasts(number) });
            memory = step(memory, 100, &(0..8).map(over).collect::<Vec<_>>(), None, now + TimeDelta::hours(hour)).silent();
        }
        let mut known = Known::new(now);
        known.learn((0..500).map(|hour| now - TimeDelta::hours(hour)), now);
        memory.known.insert("web1".parse().unwrap(), known);
        let whole = memory.json().unwrap().len() as u64;
        // What an account may have filled goes first.
        let id = "x".repeat(1000);
        let past = format!(r#"{{"due":"{0}","at":"{0}","marks":{{"web1":{{"id":"{id}","at":"{0}"}}}}}}"#, now.to_rfc3339());
        let marked = Memory { digest: Some(serde_json::from_str(&past).unwrap()), ..memory.clone() };
        let (json, said) = marked.within(whole + 500).unwrap();
        assert!(said.unwrap().ends_with("forgotten are 1 place up to which a ledger was told"));
        assert_eq!(serde_json::from_slice::<Memory>(&json).unwrap().lasting, memory.lasting);
        assert_eq!(memory.clone().within(whole).unwrap().1, None);
        let less = |most| {
            let (json, said) = memory.clone().within(most).unwrap();
            assert!(json.len() as u64 <= most);
            (serde_json::from_slice::<Memory>(&json).unwrap(), said.unwrap())
        };
        let (left, said) = less(whole - 10);
        assert!(said.ends_with("forgotten are 2 states that have ended"), "{said}");
        assert_eq!((left.lasting().count(), left.lasting.len()), (4, 6));
        let mut open = memory.clone();
        open.lasting.retain(|state| state.ended.is_none());
        let (left, said) = less(open.json().unwrap().len() as u64 - 100);
        assert!(said.contains("4 states that have ended, ") && said.ends_with("times of snapshots"), "{said}");
        assert_eq!(left.lasting().count(), 4);
        assert_eq!(left.known.values().next().unwrap().arrivals().last(), memory.known.values().next().unwrap().arrivals().last());
        assert!(memory.clone().within(10).unwrap_err().contains("cannot be saved"));
    }
}
