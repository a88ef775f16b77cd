//! A client's bytes as words. rsync's clients put a backslash before what a shell would act upon,
//! and spaces between words; nothing else has a meaning here.

use crate::terms::limits::{MAX_PULL_COMMAND, MAX_PULL_WORDS};
use crate::terms::{Code, Reason};

/// A byte, and whether a backslash quotes it.
pub(in crate::decide) type Quoted = (u8, bool);

pub(in crate::decide) type Word = Vec<Quoted>;

/// Splits at spaces without a backslash. Empty words are kept, so that each word keeps its place.
pub(in crate::decide) fn split(bytes: &[u8]) -> Result<Vec<Word>, Vec<Reason>> {
    if bytes.len() > MAX_PULL_COMMAND {
        return Err(vec![too_long(format!("the command is longer than {MAX_PULL_COMMAND} bytes"))]);
    }
    let mut words = vec![Word::new()];
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        let quoted = match byte {
            b' ' => {
                words.push(Word::new());
                continue;
            }
            b'\\' => match rest.next() {
                Some(next) => (*next, true),
                None => {
                    let says = "the command ends with a backslash that quotes nothing";
                    return Err(vec![Reason::new(Code::Command, says).only_client("write the path without it")]);
                }
            },
            byte => (*byte, false),
        };
        if let Some(word) = words.last_mut() {
            word.push(quoted);
        }
    }
    if words.len() > MAX_PULL_WORDS {
        return Err(vec![too_long(format!("the command has more than {MAX_PULL_WORDS} words"))]);
    }
    Ok(words)
}

/// The word without its backslashes.
pub(in crate::decide) fn plain(word: &[Quoted]) -> Vec<u8> {
    word.iter().map(|(byte, _)| *byte).collect()
}

/// A word of a block on standard input. Only patterns have backslashes there.
pub(in crate::decide) fn hidden(bytes: &[u8]) -> Word {
    if !bytes.iter().any(|byte| b"*?[".contains(byte)) {
        return bytes.iter().map(|byte| (*byte, true)).collect();
    }
    let mut word = Word::new();
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        match (byte, rest.as_slice().first()) {
            (b'\\', Some(next)) => {
                word.push((*next, true));
                rest.next();
            }
            _ => word.push((*byte, false)),
        }
    }
    word
}

fn too_long(says: String) -> Reason {
    Reason::new(Code::TooLong, says).only_client("name fewer files, or a directory, or use --files-from")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_words(bytes: &[u8]) -> Vec<Vec<u8>> {
        split(bytes).unwrap().iter().map(|word| plain(word)).collect()
    }

    #[test]
    fn nothing_but_a_space_ends_a_word() {
        assert_eq!(plain_words(b"rsync . a\\ b\tc\nd\xa0\xff'\""), [&b"rsync"[..], b".", b"a b\tc\nd\xa0\xff'\""]);
        assert_eq!(plain_words(b"a\\\nb \\\\"), [&b"a\nb"[..], b"\\"]);
        assert_eq!(plain_words(b"a  b "), [&b"a"[..], b"", b"b", b""]);
    }

    #[test]
    fn a_hidden_word_is_as_it_is_unless_it_is_a_pattern() {
        assert_eq!(plain(&hidden(b"a b\\c")), b"a b\\c");
        assert_eq!(hidden(b"\\**"), [(b'*', true), (b'*', false)]);
    }

    #[test]
    fn what_cannot_be_whole_is_refused() {
        assert_eq!(split(b"rsync a\\").unwrap_err()[0].code, Code::Command);
        assert_eq!(split(&vec![b'a'; MAX_PULL_COMMAND + 1]).unwrap_err()[0].code, Code::TooLong);
        assert_eq!(split("a ".repeat(MAX_PULL_WORDS).as_bytes()).unwrap_err()[0].code, Code::TooLong);
    }
}
