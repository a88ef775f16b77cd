//! What a push has stored when its rsync has ended, and whether that is too much. Whatever rsync
//! says, a push over its limit is not published.

use std::path::Path;

use crate::act::store::Held;
use crate::decide::push::metering::Allowance;
use crate::decide::push::outcome::{Ended, FILE_IO};
use crate::decide::rsync::output::{Lack, Words};
use crate::terms::{Count, Excess, SubPath, Usage};

/// The last look at a push.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measure {
    /// What it stored; nothing where there is no limit.
    pub(super) stored: Usage,
    /// Whether a part of it could not be counted.
    blind: bool,
    allowance: Option<Allowance>,
    excess: Option<Excess>,
    /// What rsync ran out of.
    pub(super) lack: Option<Lack>,
}

impl Measure {
    /// Takes it: a push may have ended between two looks, or the kernel may have stopped a file.
    pub(super) fn take(allowance: Option<Allowance>, ended: Ended, said: &Words, count: impl FnOnce() -> Count) -> Self {
        let Some(limits) = allowance else { return Self { lack: said.lack, ..Self::default() } };
        let Count { usage: stored, blind } = count();
        let excess = match ended {
            Ended::TooMuch(excess) => Some(excess),
            Ended::Exit(FILE_IO) if said.file_too_large => limits.file_too_large(),
            _ => limits.excess(stored),
        };
        Self { stored, blind, allowance, excess, lack: said.lack }
    }

    /// Bytes that it may still bring.
    pub(super) fn room(&self) -> u64 {
        self.allowance.map_or(u64::MAX, |allowance| allowance.room(self.stored))
    }

    /// How the push ended, in the light of it.
    pub(super) fn ended(&self, ended: Ended) -> Ended {
        self.excess.map_or(ended, Ended::TooMuch)
    }

    /// What the administrator should know of the look itself.
    pub(super) fn warning(&self) -> Option<String> {
        self.blind
            .then(|| "a part of what arrived could not be counted against `limits:`: the tree is too deep, or cannot be read".to_owned())
    }

    /// Whether the push is over its limit, and what earlier ones left has reached it already.
    pub(super) fn is_kept_already(&self, held: &Held<'_>, place: &SubPath, newest: Option<&Path>) -> bool {
        self.excess.is_some() && self.allowance.is_some_and(|allowance| held.kept_reaches(&allowance, place, newest))
    }
}
