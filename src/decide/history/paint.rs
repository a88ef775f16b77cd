//! How a line of an answer is shown. Whoever reads a client's tree marks what is what with bytes
//! that nothing printable has; whoever owns the terminal makes colours of them, or nothing.
//!
//! No byte of a tree's may reach a terminal as anything but a letter.

use std::fmt::Write as _;

use crate::terms::limits::MAX_ANSWER_LINE;
use crate::terms::text::{ELLIPSIS, still_printable};
use crate::terms::word::words;

words! {
    /// What is marked, up to the next mark.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Mark {
        /// Nothing.
        Plain = "\u{1}",
        /// What came.
        Added = "\u{2}",
        /// What went.
        Removed = "\u{3}",
        /// What is another now.
        Changed = "\u{4}",
        /// What orders the rest.
        Heading = "\u{5}",
        /// The end of the columns: a name follows, which takes a line of its own where there is no room.
        Name = "\u{6}",
    }
}

impl Mark {
    /// Its colour (ECMA-48, SGR).
    fn colour(self) -> &'static str {
        match self {
            Self::Plain => "\u{1b}[0m",
            Self::Added => "\u{1b}[32m",
            Self::Removed => "\u{1b}[31m",
            Self::Changed => "\u{1b}[33m",
            Self::Heading => "\u{1b}[1m",
            Self::Name => "",
        }
    }
}

/// Where an answer is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether in colours.
    pub colour: bool,
    /// How many letters are in a line; `None`: any number.
    pub width: Option<usize>,
}

/// A text with a mark before it, and the plain one behind it.
pub fn marked(mark: Mark, text: &str) -> String {
    format!("{mark}{text}{}", Mark::Plain)
}

/// A line of ours without its marks.
pub fn unmarked(line: &str) -> String {
    line.chars().filter(|letter| mark(*letter).is_none()).collect()
}

/// A line that may have come from anywhere, as it is shown.
pub fn shown(line: &[u8], style: Style) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::new();
    let (mut length, mut is_coloured) = (0, false);
    // Each piece but the first has its mark in front.
    for piece in text.split_inclusive(|letter: char| mark(letter).is_some()) {
        let (words, mark) = match piece.chars().next_back().and_then(mark) {
            Some(mark) => (piece.strip_suffix(mark.as_str()).unwrap_or(piece), Some(mark)),
            None => (piece, None),
        };
        let words = still_printable(words, MAX_ANSWER_LINE);
        length += words.chars().count();
        out.push_str(&words);
        match mark {
            Some(Mark::Name) if style.width.is_some_and(|width| is_too_long(&text, width)) => {
                let _ = write!(out, "\n{INDENT}");
            }
            Some(mark) if style.colour => {
                out.push_str(mark.colour());
                is_coloured = !matches!(mark, Mark::Plain | Mark::Name) || (is_coloured && mark == Mark::Name);
            }
            Some(_) | None => {}
        }
        if length > MAX_ANSWER_LINE {
            out.push_str(ELLIPSIS);
            break;
        }
    }
    if is_coloured {
        out.push_str(Mark::Plain.colour());
    }
    out
}

/// A line of a client's file, as it is shown on a terminal.
pub fn plain(line: &[u8]) -> String {
    still_printable(&String::from_utf8_lossy(line), MAX_ANSWER_LINE)
}

const INDENT: &str = "    ";

fn mark(letter: char) -> Option<Mark> {
    let mut bytes = [0; 4];
    Mark::read(letter.encode_utf8(&mut bytes))
}

fn is_too_long(text: &str, width: usize) -> bool {
    text.chars().filter(|letter| mark(*letter).is_none()).count() > width
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLOURED: Style = Style { colour: true, width: None };

    #[test]
    fn marks_are_colours_on_a_terminal_and_nothing_elsewhere() {
        let line = format!("{}  x", marked(Mark::Added, "created"));
        assert_eq!(shown(line.as_bytes(), COLOURED), "\u{1b}[32mcreated\u{1b}[0m  x");
        assert_eq!(shown(line.as_bytes(), Style::default()), "created  x");
        let line = format!("a  1{}long name", Mark::Name);
        assert_eq!(shown(line.as_bytes(), Style { colour: false, width: Some(10) }), "a  1\n    long name");
        assert_eq!(shown(line.as_bytes(), Style { colour: false, width: Some(20) }), "a  1long name");
        // A colour never outlasts its line.
        assert!(shown("\u{3}gone".as_bytes(), COLOURED).ends_with("\u{1b}[0m"));
    }

    proptest! {
        #[test]
        fn nothing_reaches_a_terminal_but_letters_and_our_own_colours(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut text = shown(&line, COLOURED);
            for mark in Mark::ALL.into_iter().filter(|mark| *mark != Mark::Name) {
                text = text.replace(mark.colour(), "");
            }
            prop_assert!(text.chars().all(|letter| !letter.is_control()), "{text:?}");
        }
    }
}
