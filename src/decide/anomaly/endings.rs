//! The endings of files' names: ransomware gives what it has encrypted one of its own.

use crate::terms::limits::{MAX_ENDING, MAX_ENDINGS};

/// How often each ending is there. With more than [`MAX_ENDINGS`] the rest is counted together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endings {
    /// In order.
    counts: Vec<(Vec<u8>, u64)>,
    others: u64,
}

/// A name's ending, in small letters: what stands behind its last dot. Digits are a number (of a log,
/// of a version); a name that only begins with a dot has none, and neither has one that is longer
/// than any program's. What a Maildir appends (`:2,S`, `,S=1234`) says what became of a message.
pub fn ending(name: &[u8]) -> Option<Vec<u8>> {
    let name = name.split(|byte| b":,".contains(byte)).next().unwrap_or(name);
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    let ending = name.get(dot + 1..)?;
    let is_one = !ending.is_empty() && ending.len() <= MAX_ENDING && !ending.iter().all(u8::is_ascii_digit);
    is_one.then(|| ending.to_ascii_lowercase())
}

impl Endings {
    fn place(&self, ending: &[u8]) -> Result<usize, usize> {
        self.counts.binary_search_by(|(known, _)| known.as_slice().cmp(ending))
    }

    /// Counts a name.
    pub fn add(&mut self, name: &[u8]) {
        let ending = ending(name).unwrap_or_default();
        match self.place(&ending) {
            Ok(place) => self.counts.get_mut(place).into_iter().for_each(|(_, count)| *count += 1),
            Err(place) if self.counts.len() < MAX_ENDINGS => self.counts.insert(place, (ending, 1)),
            Err(_) => self.others += 1,
        }
    }

    /// Counts a name, by its ending if that is one of these.
    pub fn add_known(&mut self, name: &[u8], of: &Self) {
        match ending(name).filter(|ending| of.place(ending).is_ok()) {
            Some(_) => self.add(name),
            None => self.others += 1,
        }
    }

    /// How many of these have an ending of which `before` has hardly any. Names without one are none
    /// of them.
    pub fn new_beside(&self, before: &Self) -> u64 {
        let is_new = |(ending, count): &(Vec<u8>, u64)| {
            let had = before.place(ending).ok().and_then(|place| before.counts.get(place)).map_or(0, |(_, count)| *count);
            if !ending.is_empty() && had.saturating_mul(HARDLY) < *count { *count } else { 0 }
        };
        let others = if before.others.saturating_mul(HARDLY) < self.others { self.others } else { 0 };
        self.counts.iter().map(is_new).sum::<u64>() + others
    }
}

/// There were hardly any where there are so many times as many.
const HARDLY: u64 = 10;
