//! Numbers behind a verb.

use super::super::options::shown;
use super::usage;
use crate::terms::Reason;
use crate::terms::text::digits;

/// Digits only: a mistyped status could publish a broken backup.
pub(super) fn exit_status(word: &str) -> Result<u8, Vec<Reason>> {
    digits(word).filter(|_| word.len() <= 3).ok_or_else(|| {
        vec![usage(format!("`{}` is not an exit status", shown(word)), "use complete alone, or complete and a number from 0 to 255")]
    })
}

/// What a client means to bring, in bytes.
pub(super) fn size(word: &str) -> Result<u64, Vec<Reason>> {
    digits(word).ok_or_else(|| {
        vec![usage(format!("`{}` is not a number of bytes", shown(word)), "use prepare alone, or prepare and a number of bytes")]
    })
}
