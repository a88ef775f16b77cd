//! The words that rsync sends on standard input with `-s`: each ends with a NUL, the last one is
//! empty. They are read byte by byte, so that rsync's own protocol behind them is left for rsync
//! (`send_protected_args()` in its `rsync.c`, `read_args()` in its `io.c`).

use crate::terms::limits::{MAX_SECLUDED, MAX_SECLUDED_WORDS, SECLUDED_TIMEOUT};
use crate::terms::text::printable_within;
use crate::terms::{Code, Reason};

/// The first word of every block, rsync's `argv[0]`.
const NAME: &[u8] = b"rsync";

/// A block that is being read.
#[derive(Debug, Default)]
pub struct Block {
    words: Vec<Vec<u8>>,
    word: Vec<u8>,
    bytes: usize,
}

/// The words of a whole block without the first. Made by [`Block`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<Vec<u8>>);

/// Why there is no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It begins with another word.
    NotABlock,
    /// More bytes, or more words, than any client sends.
    TooLong,
    /// It was not complete in time.
    Silence,
    /// Standard input was closed before its end.
    Ended,
    /// Standard input could not be read.
    Unreadable,
}

impl Block {
    /// Takes the next byte; the last one returns the words. Nothing may follow them, nor an error.
    pub fn feed(&mut self, byte: u8) -> Result<Option<Words>, Fault> {
        self.bytes += 1;
        if self.bytes > MAX_SECLUDED {
            return Err(Fault::TooLong);
        }
        if byte != 0 {
            self.word.push(byte);
            // The first wrong byte is enough: the client may wait for an answer before it goes on.
            let named = !self.words.is_empty() || NAME.starts_with(&self.word);
            return if named { Ok(None) } else { Err(Fault::NotABlock) };
        }
        let word = std::mem::take(&mut self.word);
        if self.words.is_empty() && word != NAME {
            return Err(Fault::NotABlock);
        }
        if word.is_empty() {
            let words = std::mem::take(&mut self.words);
            return Ok(Some(Words(words.into_iter().skip(1).collect())));
        }
        // The name in front does not count.
        if self.words.len() > MAX_SECLUDED_WORDS {
            return Err(Fault::TooLong);
        }
        self.words.push(word);
        Ok(None)
    }

    /// What has arrived so far, printable, for the record.
    pub fn shown(&self) -> String {
        let words = self.words.iter().chain(Some(&self.word).filter(|word| !word.is_empty()));
        shown(words)
    }
}

impl Words {
    /// The words as they arrived: any bytes but NUL, none of them empty.
    pub fn as_slice(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The block for the record, printable.
    pub fn shown(&self) -> String {
        shown([NAME.to_vec()].iter().chain(&self.0))
    }
}

fn shown<'a>(words: impl Iterator<Item = &'a Vec<u8>>) -> String {
    words.map(|word| format!("`{}`", printable_within(word, MAX_SECLUDED))).collect::<Vec<_>>().join(" ")
}

impl Fault {
    /// The refusal.
    pub fn reason(self) -> Reason {
        let passing = matches!(self, Self::Silence | Self::Ended);
        let (code, says, hint) = match self {
            Self::NotABlock => (
                Code::Command,
                "`-s` (--secluded-args) says that words come on standard input, and something else came".to_owned(),
                "use plain rsync -s -a /data host:",
            ),
            Self::TooLong => (
                Code::TooLong,
                format!("there are more than {MAX_SECLUDED_WORDS} words or {MAX_SECLUDED} bytes on standard input (`-s`)"),
                "see what calls it: no rsync sends as much",
            ),
            Self::Silence => (
                Code::Secluded,
                format!("the words on standard input (`-s`) were not all there after {} seconds", SECLUDED_TIMEOUT.as_secs()),
                "leave -s (--secluded-args) out, or unset RSYNC_PROTECT_ARGS",
            ),
            Self::Ended => (
                Code::Secluded,
                "standard input was closed before the words on it (`-s`) had ended".to_owned(),
                "try again; if it stays so, leave -s (--secluded-args) out, or unset RSYNC_PROTECT_ARGS",
            ),
            Self::Unreadable => (
                Code::Secluded,
                "the words on standard input (`-s`) could not be read".to_owned(),
                "leave -s (--secluded-args) out, or unset RSYNC_PROTECT_ARGS",
            ),
        };
        Reason { passing, ..Reason::new(code, says).only_client(hint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds bytes up to a result; returns how many it took.
    fn fed(bytes: &[u8]) -> (Result<Option<Words>, Fault>, usize) {
        let mut block = Block::default();
        for (at, byte) in bytes.iter().enumerate() {
            match block.feed(*byte) {
                Ok(None) => {}
                end => return (end, at + 1),
            }
        }
        (Ok(None), bytes.len())
    }

    fn words(words: &[&[u8]]) -> Result<Option<Words>, Fault> {
        Ok(Some(Words(words.iter().map(|word| word.to_vec()).collect())))
    }

    #[test]
    fn a_block_ends_where_it_ends_and_its_words_are_as_they_came() {
        let block = b"rsync\0--delete\0.\0a b\n\\'\"*\xff/\0\0";
        let mut line = block.to_vec();
        line.extend([0x20, 0, 0, 0]);
        assert_eq!(fed(&line), (words(&[b"--delete", b".", b"a b\n\\'\"*\xff/"]), block.len()), "not a byte beyond it");
        assert_eq!(fed(b"rsync\0\0"), (words(&[]), 7));
        for cut in 0..block.len() {
            assert_eq!(fed(&block[..cut]), (Ok(None), cut));
        }
    }

    #[test]
    fn what_is_no_block_is_known_at_its_first_wrong_byte() {
        for (bytes, at) in [(&b"\x20\0\0\0"[..], 1), (b"\0", 1), (b"rsyncs\0", 6), (b"rsy\0", 4), (b"RSYNC\0", 1), (b"@RSYNCD: 31.0\n", 1)]
        {
            assert_eq!(fed(bytes), (Err(Fault::NotABlock), at), "{bytes:?}");
        }
    }

    #[test]
    fn a_block_has_a_longest_word_and_a_largest_number_of_words() {
        let endless = [b"rsync\0".to_vec(), vec![b'x'; MAX_SECLUDED]].concat();
        assert_eq!(fed(&endless), (Err(Fault::TooLong), MAX_SECLUDED + 1));
        let many = [b"rsync\0".to_vec(), b"x\0".repeat(MAX_SECLUDED_WORDS + 1)].concat();
        assert_eq!(fed(&many), (Err(Fault::TooLong), many.len()));
        let most = [b"rsync\0".to_vec(), b"x\0".repeat(MAX_SECLUDED_WORDS), vec![0]].concat();
        assert!(matches!(fed(&most).0, Ok(Some(all)) if all.as_slice().len() == MAX_SECLUDED_WORDS));
    }

    #[test]
    fn the_record_shows_what_came_and_nothing_that_moves_a_cursor() {
        let mut block = Block::default();
        for byte in b"rsync\0.\0a\n\x1b" {
            block.feed(*byte).unwrap();
        }
        assert_eq!(block.shown(), "`rsync` `.` `a\\n\\u{1b}`");
        let Ok(Some(words)) = fed(b"rsync\0.\0\xff\0\0").0 else { panic!("it is whole") };
        assert_eq!(words.shown(), "`rsync` `.` `\\xff`");
    }
}
