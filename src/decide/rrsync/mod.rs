//! `snapgate-shell rrsync`, in the place of rsync's rrsync. A command becomes a [`Transfer`]: every
//! option has its verdict in `options::rrsync`, every path is a [`Place`] in one directory.
//!
//! Whether a place exists, and where its links lead, is `act::beneath`'s to find out.

mod argv;
pub mod flags;
pub mod line;
mod pattern;
mod place;
mod reading;
mod transfer;
mod words;

pub use argv::{Setup, Spot, words as printed};
pub use flags::Flags;
pub use place::{Name, Place, Tail};
pub use transfer::{Aim, Direction, Transfer};

use crate::decide::rsync::command::front;
use crate::terms::{Code, Original, Reason};

/// What a connection asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// `true`: whether the connection works.
    Probe,
    /// An rsync.
    Transfer(Box<Transfer>),
}

/// Judges a client's command, for the directory `dir` (real and absolute). `hidden` is the block of
/// words from standard input, if one was read. An error has every reason for a refusal.
pub fn judge(flags: &Flags, dir: &[u8], original: &Original, hidden: Option<&[Vec<u8>]>) -> Result<Asked, Vec<Reason>> {
    match original {
        Original::Nothing | Original::Login => {
            let hint = "use rsync: there is nothing else to talk to over this key";
            Err(vec![Reason::new(Code::Login, "no command was given").only_client(hint)])
        }
        Original::Command(bytes) if bytes == b"true" => Ok(Asked::Probe),
        Original::Command(bytes) => {
            let mut words = words::split(bytes)?;
            words.extend(hidden.unwrap_or_default().iter().map(|word| words::hidden(word)));
            let transfer = transfer::parse(flags, dir, &words, hidden.is_some()).map_err(|reasons| with_advice(reasons, bytes));
            transfer.map(|transfer| Asked::Transfer(Box::new(transfer)))
        }
    }
}

/// Better advice for what a client puts before rsync (`--rsync-path`).
fn with_advice(reasons: Vec<Reason>, bytes: &[u8]) -> Vec<Reason> {
    let is_program = reasons.iter().any(|reason| reason.code == Code::Program);
    let front = front(bytes).filter(|_| is_program);
    front.map_or(reasons, |front| vec![front.reason_without_gate()])
}

/// Whether the rest of a command comes on standard input (`-s`) and has to be read first.
pub fn hides(original: &Original) -> bool {
    let Original::Command(bytes) = original else { return false };
    words::split(bytes).is_ok_and(|words| transfer::hides(&words))
}

#[cfg(test)]
mod tests;
