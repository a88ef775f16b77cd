//! `snapgate-shell rrsync`, in the place of rsync's rrsync: what may begin there. What a transfer
//! is, and where its paths lead, is the same as for a pull of snapshots (`rsync::transfer`).

pub mod flags;
pub mod line;

use crate::decide::rsync::command::{front, is_rsync, stranger};
use crate::decide::rsync::options::rrsync::RRSYNC;
use crate::decide::rsync::transfer::words::{self, Word, plain};
use crate::decide::rsync::transfer::{self, Direction, Flags, Transfer, Words};
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
            let whole = session(flags, &words).and_then(|(direction, words)| {
                transfer::parse(Words { flags, table: &RRSYNC, dir, direction, words, unhidden: hidden.is_some() })
            });
            let transfer = whole.map_err(|reasons| with_advice(reasons, bytes));
            transfer.map(|transfer| Asked::Transfer(Box::new(transfer)))
        }
    }
}

/// The direction and the words behind it, or why there can be no transfer.
fn session<'a>(flags: &Flags, words: &'a [Word]) -> Result<(Direction, &'a [Word]), Vec<Reason>> {
    let is = |word: Option<&Word>, text: &str| word.is_some_and(|word| plain(word) == text.as_bytes());
    let (first, rest) = words.split_first().map_or((Vec::new(), words), |(first, rest)| (plain(first), rest));
    let first = String::from_utf8_lossy(&first).into_owned();
    if !is_rsync(&first) {
        return Err(vec![stranger(&first)]);
    }
    if !is(rest.first(), "--server") {
        return Err(vec![shape("`--server` is not the first word behind rsync")]);
    }
    let rest = rest.get(1..).unwrap_or_default();
    let pull = is(rest.first(), "--sender");
    if pull && flags.write_only {
        let reason = Reason::new(Code::Pull, "only pushes are allowed over this key");
        return Err(vec![reason.hint("ask the administrator for a restore").remedy("leave `-wo` out of the key's command")]);
    }
    if !pull && flags.read_only {
        let reason = Reason::new(Code::ReadOnly, "only pulls are allowed over this key");
        return Err(vec![reason.hint("use another key to send files").remedy("leave `-ro` out of the key's command")]);
    }
    Ok(if pull { (Direction::Pull, rest.get(1..).unwrap_or_default()) } else { (Direction::Push, rest) })
}

/// Why a command has no shape of rsync's.
fn shape(says: &str) -> Reason {
    Reason::new(Code::Command, says).only_client("use plain rsync, without options in --rsync-path")
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
    words::split(bytes).is_ok_and(|words| transfer::hides(&RRSYNC, words.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
