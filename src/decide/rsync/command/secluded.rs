//! A push with `-s` (`--secluded-args`): the rest of its command comes on standard input, and is
//! read only if nothing is wrong with the visible half. The two together are one push.

use super::push::{self, Push, shape};
use super::reading::Reading;
use crate::decide::rsync::secluded::Words;
use crate::terms::limits::MAX_REASONS;
use crate::terms::{Code, Reason, SubPath};

/// The visible half of a push, with nothing wrong so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secluded {
    words: Vec<String>,
    /// The push without its place, which is not known yet.
    pub visible: Push,
}

impl Secluded {
    /// Judges the words behind `--server`, which were read as `reading`.
    pub(super) fn begin(words: &[String], mut reading: Reading) -> Result<Self, Vec<Reason>> {
        if reading.destinations.is_some() && !reading.has("--sender") {
            reading
                .reasons
                .push(shape("`-s` (--secluded-args) says that the destination comes on standard input, and there is one already"));
        }
        iconv(&mut reading);
        let visible = push::options(reading, SubPath::default())?;
        Ok(Self { words: words.to_vec(), visible })
    }

    /// The whole push. Every reason for a refusal is an error, at most [`MAX_REASONS`].
    pub fn with(&self, words: &Words) -> Result<Push, Vec<Reason>> {
        let mut hidden = Reading::default();
        hidden.options(words.as_slice().iter());
        let again = hidden.has("--secluded-args");
        let mut reading = Reading::default();
        reading.options(self.words.iter());
        reading.options(words.as_slice().iter());
        if again {
            reading.reasons.push(shape("`-s` (--secluded-args) stands among the words that it sent"));
        }
        iconv(&mut reading);
        push::finish(reading).map_err(|mut reasons| {
            reasons.truncate(MAX_REASONS);
            reasons
        })
    }
}

/// With both, rsync would convert the words themselves (`send_protected_args()` in its `rsync.c`),
/// and the gate would judge others than the client meant.
fn iconv(reading: &mut Reading) {
    if reading.has("--iconv") {
        reading.reasons.push(
            Reason::new(Code::Option, "rsync's `--iconv` is not allowed together with `-s` (--secluded-args)")
                .only_client("leave one of the two out"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rsync::command::{Command, parse};
    use crate::decide::rsync::secluded::Block;
    use crate::terms::request::Original;

    fn codes(reasons: Vec<Reason>) -> Vec<Code> {
        reasons.into_iter().map(|reason| reason.code).collect()
    }

    fn begun(command: &str) -> Result<Secluded, Vec<Code>> {
        let parsed = parse(&Original::Command(command.as_bytes().to_vec())).map_err(codes)?;
        let Command::Secluded(secluded) = parsed else { panic!("{parsed:?}") };
        Ok(secluded)
    }

    /// The block of these words.
    fn words(words: &[&[u8]]) -> Words {
        let mut block = Block::default();
        let bytes = [b"rsync\0".to_vec(), words.join(&0), if words.is_empty() { vec![0] } else { vec![0, 0] }].concat();
        bytes.into_iter().find_map(|byte| block.feed(byte).unwrap()).unwrap()
    }

    fn with(command: &str, hidden: &[&[u8]]) -> Result<Push, Vec<Code>> {
        begun(command).unwrap().with(&words(hidden)).map_err(codes)
    }

    const LINE: &str = "rsync --server -slogDtpre.iLsfxCIvu";

    #[test]
    fn the_two_halves_are_one_push_without_the_s() {
        let push = with(LINE, &[b"--delete", b"--partial-dir", b".", b".", b"dst dir/"]).unwrap();
        assert_eq!(push.words(), ["-logDtpre.iLsfxCvu", "--delete"]);
        assert_eq!(push.place().to_string(), "dst dir");
        let notes = push.notes().join("\n");
        assert!(notes.contains("`-s` was not passed on") && notes.contains("`--partial-dir .`"), "{notes}");
        for long in ["--secluded-args", "--protect-args"] {
            assert_eq!(with(&format!("rsync --server {long} -r"), &[b".", b"x"]).unwrap().words(), ["-r"]);
        }
        for whole in [&[&b"."[..]][..], &[b".", b"."], &[b".", b"/"], &[b".", b"~/"]] {
            assert!(with(LINE, whole).unwrap().place().is_whole(), "{whole:?}");
        }
    }

    #[test]
    fn a_name_of_any_bytes_is_a_place_and_an_option_of_any_bytes_is_none() {
        for name in [&b" "[..], b"a\nb", b"'", b"\"", b"\\", b"*", b"$(x);&|`", b"\xff\xfe", b"#", b"a\tb", b"..."] {
            let push = with(LINE, &[b".", &[name, b"/"].concat()]).unwrap();
            assert_eq!(push.place().components().map(|part| part.as_encoded_bytes()).collect::<Vec<_>>(), [name]);
        }
        assert_eq!(with(LINE, &[b"--del\xff", b".", b"x"]), Err(vec![Code::Option]));
        assert_eq!(with(LINE, &[b"--partial-dir", b"\xff", b".", b"x"]), Err(vec![Code::Option]));
    }

    #[test]
    fn the_hidden_half_is_judged_like_any_other() {
        for (hidden, code) in [
            (&[&b"--write-devices"[..], b".", b"x"][..], Code::Option),
            (&[b"-K", b".", b"x"], Code::Option),
            (&[b"--sender", b".", b"x"], Code::Pull),
            (&[b"--daemon", b"."], Code::Daemon),
            (&[b"--server", b".", b"x"], Code::Option),
            (&[b"--iconv=utf-8", b".", b"x"], Code::Option),
            (&[b".", b"../x"], Code::Path),
            (&[b".", b"~root"], Code::Path),
            (&[b".", b"-x"], Code::Path),
            (&[b".", b"a", b"b"], Code::Destinations),
            (&[b"a", b".", b"b"], Code::Command),
            (&[b"-s", b".", b"b"], Code::Command),
            (&[b"--delete"], Code::Command),
            (&[], Code::Command),
        ] {
            assert_eq!(with(LINE, hidden).unwrap_err()[0], code, "{hidden:?}");
        }
        assert_eq!(with(LINE, &[b"-K", b"--append", b".", b"../x"]).unwrap_err().len(), 3, "every reason is told");
        let many: Vec<Vec<u8>> = ('\u{4e00}'..'\u{4e80}').map(|letter| format!("-{letter}").into_bytes()).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        assert_eq!(with(LINE, &many).unwrap_err().len(), MAX_REASONS);
    }

    #[test]
    fn a_visible_half_with_anything_wrong_is_not_begun() {
        for (command, codes) in [
            ("rsync --server -sK", &[Code::Option][..]),
            ("rsync --server -slogDtpr . x", &[Code::Command]),
            ("rsync --server -sr --daemon", &[Code::Daemon]),
            ("rsync --server -sr stray", &[Code::Command]),
            ("rsync --server -sr --partial-dir", &[Code::Option]),
        ] {
            assert_eq!(begun(command).unwrap_err(), codes, "{command}");
        }
        let iconv = parse(&Original::Command(b"rsync --server -sr --iconv=utf-8".to_vec())).unwrap_err();
        assert!(iconv.iter().any(|reason| reason.says.contains("together with `-s`")), "{iconv:?}");
        assert_eq!(begun("rsync --server -slogDtpr").unwrap().visible.words(), ["-logDtpr"]);
    }
}
