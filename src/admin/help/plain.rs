//! A text on a terminal, or in a pipe.

use super::blocks::{Block, bare};

/// Where nobody says how wide it is.
const WIDTH: usize = 80;

/// Lines are not longer, since nobody reads such, nor shorter, since nothing would fit.
const READABLE: std::ops::RangeInclusive<usize> = 40..=100;

/// A column of words may be so wide.
const COLUMN: usize = 24;

/// Shows a text in so many columns. Only words longer than a line, and lines of code, are not wrapped.
pub(super) fn shown(blocks: &[Block], columns: Option<usize>) -> String {
    let width = columns.unwrap_or(WIDTH).clamp(*READABLE.start(), *READABLE.end());
    let mut text = String::new();
    let mut indent = 0;
    let mut last: Option<&Block> = None;
    for block in blocks {
        let goes_on = matches!((last, block), (Some(Block::Item(_)), Block::Item(_)) | (Some(Block::Row(_)), Block::Row(_)));
        if last.is_some() && !goes_on {
            text.push('\n');
        }
        match block {
            Block::Heading(depth, words) => {
                let own = depth.saturating_sub(3) * 4;
                indent = own + 4;
                text += &wrapped(&bare(words), own, own, width);
            }
            Block::Paragraph(words) => text += &wrapped(words, indent, indent, width),
            Block::Item(words) => text += &wrapped(&format!("- {words}"), indent, indent + 2, width),
            Block::Row(cells) => text += &row(cells, indent, column(blocks), width),
            Block::Code(lines) => {
                for line in lines {
                    text += format!("{:1$}{line}", "", indent + 4).trim_end();
                    text.push('\n');
                }
            }
        }
        last = Some(block);
    }
    text
}

/// How wide the first column of all tables is.
fn column(blocks: &[Block]) -> usize {
    let first = |block: &Block| match block {
        Block::Row(cells) => cells.first().map_or(0, |cell| bare(cell).chars().count()),
        Block::Heading(..) | Block::Paragraph(_) | Block::Item(_) | Block::Code(_) => 0,
    };
    blocks.iter().map(first).filter(|width| *width <= COLUMN).max().unwrap_or(0)
}

fn row(cells: &[String], indent: usize, column: usize, width: usize) -> String {
    let (first, rest) = cells.split_first().map_or((String::new(), String::new()), |(first, rest)| (bare(first), rest.join("; ")));
    let from = indent + 2 + column + 2;
    let words = wrapped(&rest, from, from, width);
    let space = " ".repeat(indent + 2);
    if first.chars().count() > column {
        return format!("{space}{first}\n{words}");
    }
    format!("{space}{first:column$}  {}", words.trim_start_matches(' '))
}

/// The words in lines, of which the first and the others begin with so much room.
fn wrapped(words: &str, first: usize, others: usize, width: usize) -> String {
    let (mut text, mut line) = (String::new(), " ".repeat(first));
    for word in words.split_whitespace() {
        let is_begun = !line.trim().is_empty();
        if is_begun && line.chars().count() + 1 + word.chars().count() > width {
            text += &line;
            text.push('\n');
            line = " ".repeat(others);
        } else if is_begun {
            line.push(' ');
        }
        line += word;
    }
    text + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::help::blocks::read;

    #[test]
    fn a_text_fits_the_terminal() {
        let text = read(
            "### `a:`\n\nSome words that go on and on until the line is full.\n\n- one\n- two\n\n    code\n\n| `b` | c |\n| `de` | f |",
        );
        let expected = "\
a:

    Some words that go on and on until
    the line is full.

    - one
    - two

        code

      b   c
      de  f
";
        assert_eq!(shown(&text, Some(1)), expected);
        assert!(shown(&text, Some(1000)).contains("until the line is full."));
    }
}
