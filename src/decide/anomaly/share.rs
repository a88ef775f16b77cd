//! A share of a whole, in percent.

use std::fmt;

/// So many of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u8);

impl Share {
    /// So many of a hundred; never more than all.
    pub const fn of(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// Whether a part is so much of the whole, or more. No part of nothing is.
    pub fn is_reached(self, part: u64, whole: u64) -> bool {
        whole > 0 && part > 0 && u128::from(part) * 100 >= u128::from(whole) * u128::from(self.0)
    }

    /// A part of the whole, rounded down.
    pub fn rounded(part: u64, whole: u64) -> Self {
        let percent = u128::from(part) * 100 / u128::from(whole.max(1));
        Self::of(u8::try_from(percent).unwrap_or(u8::MAX))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}%", self.0)
    }
}
