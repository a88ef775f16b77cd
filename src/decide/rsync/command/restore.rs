//! A pull of snapshots: the client's rsync asks to be sent files. What is wrong with it is told to
//! nobody who may not pull at all, so it is kept until the verb has been judged.

use crate::decide::rsync::options::restore::RESTORE;
use crate::decide::rsync::secluded::Words;
use crate::decide::rsync::transfer::words::{Word, hidden, split};
use crate::decide::rsync::transfer::{self, Direction, Flags, Transfer};
use crate::terms::limits::MAX_REASONS;
use crate::terms::{Code, Reason};

/// What a command may turn out to be, by its beginning alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// A push.
    Push,
    /// A pull.
    Pull,
}

/// A pull whose words are all known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// What it asks for, or everything that is wrong with it.
    pub transfer: Result<Transfer, Vec<Reason>>,
}

/// The visible half of a pull with `-s` (`--secluded-args`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    words: Vec<Word>,
}

/// What a pull's line is.
pub(super) enum Line {
    Whole(Restore),
    Begun(Begun),
}

/// Reads a line that begins with `rsync --server --sender`.
pub(super) fn parse(bytes: &[u8]) -> Line {
    let words = match split(bytes) {
        Ok(words) => words,
        Err(reasons) => return Line::Whole(Restore { transfer: Err(reasons) }),
    };
    let words = words.get(3..).unwrap_or_default();
    if transfer::hides(&RESTORE, words) { Line::Begun(Begun { words: words.to_vec() }) } else { Line::Whole(Restore::of(words, false)) }
}

impl Restore {
    fn of(words: &[Word], unhidden: bool) -> Self {
        let flags = Flags { read_only: true, no_lock: true, ..Flags::default() };
        let words = transfer::Words { flags: &flags, table: &RESTORE, dir: b"", direction: Direction::Pull, words, unhidden };
        let transfer = transfer::parse(words);
        // With both, rsync would convert the words themselves (`send_protected_args()` in its
        // rsync.c), and the gate would judge others than the client meant.
        let converts = |transfer: &Transfer| unhidden && transfer.converts;
        Self { transfer: transfer.and_then(|transfer| if converts(&transfer) { Err(vec![converted()]) } else { Ok(transfer) }) }
    }
}

fn converted() -> Reason {
    Reason::new(Code::Option, "rsync's `--iconv` is not allowed together with `-s` (--secluded-args)")
        .only_client("leave one of the two out")
}

impl Begun {
    /// The whole pull.
    #[must_use]
    pub fn with(&self, words: &Words) -> Restore {
        let all: Vec<Word> = self.words.iter().cloned().chain(words.as_slice().iter().map(|word| hidden(word))).collect();
        let mut restore = Restore::of(&all, true);
        if let Err(reasons) = &mut restore.transfer {
            reasons.truncate(MAX_REASONS);
        }
        restore
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rsync::command::{Command, parse};
    use crate::decide::rsync::secluded::Block;
    use crate::decide::rsync::transfer::Name;
    use crate::terms::{Original, Verb};

    fn pulled(text: &[u8]) -> Result<Transfer, Vec<Code>> {
        match parse(&Original::Command(text.to_vec())) {
            Ok(Command::Restore(restore)) => restore.transfer.map_err(|reasons| reasons.iter().map(|reason| reason.code).collect()),
            other => panic!("{other:?}"),
        }
    }

    fn paths(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        pulled(text).unwrap().paths.iter().map(|place| place.names.iter().map(Name::bytes).collect()).collect()
    }

    #[test]
    fn a_pull_is_read_with_names_of_any_bytes_and_old_and_foreign_spellings() {
        assert_eq!(paths(b"rsync --server --sender -logDtpre.iLsfxCIvu . current/etc/"), [[b"current".to_vec(), b"etc".to_vec()]]);
        assert_eq!(paths(b"rsync --server --sender -l -o -g -D -t -p -r . current/a\\ b"), [[b"current".to_vec(), b"a b".to_vec()]]);
        assert_eq!(paths(b"rsync --server --sender -r . current/d\xff\xfe @1d/x")[1], [b"@1d".to_vec(), b"x".to_vec()]);
        assert_eq!(paths(b"/usr/bin/rsync --server --sender -de.LsfxCIvu . "), [Vec::<Vec<u8>>::new()]);
        assert_eq!(parse(&Original::Command(b"rsync --server --sender -r . x".to_vec())).unwrap().verb(), Verb::Restore);
    }

    #[test]
    fn what_is_wrong_is_kept_for_those_who_may_pull() {
        for (line, code) in [
            (&b"rsync --server --sender -Lr . current/"[..], Code::Option),
            (b"rsync --server --sender -r --remove-source-files . current/", Code::Option),
            (b"rsync --server --sender -r . ../x", Code::Path),
            (b"rsync --server --sender -r . current/../../x", Code::Path),
            (b"rsync --server --sender -r --sender . x", Code::Option),
            (b"rsync --server --sender -r", Code::Command),
            (b"rsync --server --sender -r . x\\", Code::Command),
            (b"rsync --server --sender --log-file=/x -r . x", Code::Option),
        ] {
            assert_eq!(pulled(line), Err(vec![code]), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn with_s_the_rest_is_read_first_and_judged_with_it() {
        let begun = |line: &[u8]| match parse(&Original::Command(line.to_vec())) {
            Ok(Command::SecludedRestore(begun)) => begun,
            other => panic!("{other:?}"),
        };
        let words = |words: &[&[u8]]| {
            let mut block = Block::default();
            let bytes = [b"rsync\0".to_vec(), words.join(&0), vec![0, 0]].concat();
            bytes.into_iter().find_map(|byte| block.feed(byte).unwrap()).unwrap()
        };
        let whole = begun(b"rsync --server --sender -slogDtpre.iLsfxCIvu").with(&words(&[b".", b"current/a b"]));
        let transfer = whole.transfer.unwrap();
        assert_eq!(transfer.paths[0].names[1].bytes(), b"a b");
        let begun = begun(b"rsync --server --sender -slogDtpr --iconv=utf-8");
        let reasons = begun.with(&words(&[b".", b"x"])).transfer.unwrap_err();
        assert_eq!(reasons[0].code, Code::Option);
        assert!(begun.with(&words(&[b"-L", b".", b"x"])).transfer.is_err());
    }
}
