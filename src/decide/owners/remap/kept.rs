//! What chown(2) clears of a file: its mode and its capability, as a word of a note. The time of
//! the last write shows that an inode was not reused meanwhile.

use std::fmt;
use std::str::FromStr;

use crate::terms::limits::MAX_KEPT;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub mode: u32,
    /// When it was last written, in seconds and nanoseconds.
    pub written: (i64, u32),
    /// Its capability with the new root, or nothing.
    pub capability: Vec<u8>,
}

impl fmt::Display for Kept {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:o}:{}:{}:", self.mode, self.written.0, self.written.1)?;
        self.capability.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl FromStr for Kept {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut fields = text.split(':');
        let mut field = || fields.next().filter(|_| text.len() <= MAX_KEPT).ok_or(());
        let mode = u32::from_str_radix(field()?, 8).ok().filter(|mode| *mode <= 0o7777).ok_or(())?;
        let written = (field()?.parse().map_err(drop)?, field()?.parse().map_err(drop)?);
        let digits = field()?.as_bytes();
        if fields.next().is_some() || digits.len() % 2 != 0 {
            return Err(());
        }
        let byte = |pair: &[u8]| str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let capability = digits.chunks_exact(2).map(byte).collect::<Option<_>>().ok_or(())?;
        Ok(Self { mode, written, capability })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        for kept in [
            Kept { mode: 0o4755, written: (1_700_000_000, 999_999_999), capability: Vec::new() },
            Kept { mode: 0o755, written: (-5, 0), capability: (0..24).collect() },
        ] {
            assert_eq!(kept.to_string().parse(), Ok(kept));
        }
        for text in ["", "4755:1:2", "4755:1:2:0", "4755:1:2:zz", "4755:1:2::", "17777:1:2:", "4755:x:2:", &"0".repeat(500)] {
            assert_eq!(text.parse::<Kept>(), Err(()), "{text}");
        }
    }
}
