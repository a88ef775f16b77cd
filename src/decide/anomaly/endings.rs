//! The endings of files' names: ransomware gives what it has encrypted one of its own.

use std::collections::BTreeMap;

use crate::terms::limits::{MAX_ENDING, MAX_ENDINGS};

/// How often each ending is there. With more than [`MAX_ENDINGS`] the rest is counted together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endings {
    counts: BTreeMap<Vec<u8>, u64>,
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
    /// Counts a name.
    pub fn add(&mut self, name: &[u8]) {
        let ending = ending(name).unwrap_or_default();
        if let Some(count) = self.counts.get_mut(&ending) {
            *count += 1;
        } else if self.counts.len() < MAX_ENDINGS {
            self.counts.insert(ending, 1);
        } else {
            self.others += 1;
        }
    }

    /// Counts a name, by its ending if that is one of these.
    pub fn add_known(&mut self, name: &[u8], of: &Self) {
        match ending(name).filter(|ending| of.counts.contains_key(ending)) {
            Some(_) => self.add(name),
            None => self.others += 1,
        }
    }

    /// How many of these have an ending of which `before` has hardly any. Names without one are none
    /// of them.
    pub fn new_beside(&self, before: &Self) -> u64 {
        let is_new = |(ending, count): (&Vec<u8>, &u64)| {
            let had = before.counts.get(ending).copied().unwrap_or(0);
            if !ending.is_empty() && had.saturating_mul(HARDLY) < *count { *count } else { 0 }
        };
        let others = if before.others.saturating_mul(HARDLY) < self.others { self.others } else { 0 };
        self.counts.iter().map(is_new).sum::<u64>() + others
    }
}

/// There were hardly any where there are so many times as many.
const HARDLY: u64 = 10;
