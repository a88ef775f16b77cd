//! Texts for people, written in a small part of Markdown: a terminal and manual pages show the same.

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading, with its depth.
    Heading(usize, String),
    /// Sentences.
    Paragraph(String),
    /// An entry of a list.
    Item(String),
    /// A row of a table. The head of a table is left out.
    Row(Vec<String>),
    /// Lines as they are.
    Code(Vec<String>),
}

/// How words look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As all others.
    Plain,
    /// What is typed, or strong.
    Bold,
    /// What stands out.
    Italic,
}

/// Reads a text.
#[must_use]
pub fn read(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // Whether the next line belongs to the last block.
    let mut is_open = false;
    for line in text.lines() {
        let words = line.trim();
        let is_row = words.starts_with('|');
        let heading = line.bytes().take_while(|byte| *byte == b'#').count();
        match blocks.last_mut() {
            _ if words.is_empty() || words.starts_with("<!--") => is_open = false,
            _ if heading > 0 => {
                blocks.push(Block::Heading(heading, words.trim_start_matches('#').trim().to_owned()));
                is_open = false;
            }
            // What stands above the rule is the head.
            last if words.starts_with("| ---") => {
                if matches!(last, Some(Block::Row(_))) {
                    blocks.pop();
                }
            }
            _ if is_row => {
                blocks.push(Block::Row(cells(words)));
                is_open = false;
            }
            Some(Block::Code(lines)) if line.starts_with("    ") => {
                if !is_open {
                    lines.push(String::new());
                }
                lines.push(line.chars().skip(4).collect());
                is_open = true;
            }
            Some(Block::Paragraph(before) | Block::Item(before)) if is_open && !line.starts_with("- ") => {
                before.push(' ');
                before.push_str(words);
            }
            _ => {
                blocks.push(begin(line));
                is_open = true;
            }
        }
    }
    blocks
}

fn begin(line: &str) -> Block {
    if let Some(item) = line.strip_prefix("- ") {
        return Block::Item(item.trim().to_owned());
    }
    match line.strip_prefix("    ") {
        Some(code) => Block::Code(vec![code.to_owned()]),
        None => Block::Paragraph(line.trim().to_owned()),
    }
}

/// The cells of a row. A `|` in code is none of its borders.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_code = false;
    for letter in row.trim_matches('|').chars() {
        is_code ^= letter == '`';
        match cells.last_mut() {
            Some(cell) if letter != '|' || is_code => cell.push(letter),
            _ => cells.push(String::new()),
        }
    }
    cells.into_iter().map(|cell| cell.trim().to_owned()).collect()
}

/// The words of a paragraph, by how they look. Of a link its words are left.
#[must_use]
pub fn spans(text: &str) -> Vec<(Style, String)> {
    let mut spans: Vec<(Style, String)> = Vec::new();
    let plain = |spans: &mut Vec<(Style, String)>, words: &str| match spans.last_mut() {
        Some((Style::Plain, before)) => before.push_str(words),
        _ if words.is_empty() => {}
        _ => spans.push((Style::Plain, words.to_owned())),
    };
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, from) = rest.split_at(at);
        plain(&mut spans, before);
        rest = match marked(from) {
            Some((Style::Plain, words, behind)) => {
                plain(&mut spans, words);
                behind
            }
            Some((style, words, behind)) => {
                spans.push((style, words.to_owned()));
                behind
            }
            None => {
                let (sign, behind) = from.split_at(1);
                plain(&mut spans, sign);
                behind
            }
        };
    }
    plain(&mut spans, rest);
    spans
}

/// What a mark at the beginning is about, and what stands behind it.
fn marked(text: &str) -> Option<(Style, &str, &str)> {
    if let Some(link) = text.strip_prefix('[') {
        let (words, behind) = link.split_once("](")?;
        let (_, behind) = behind.split_once(')')?;
        return (!words.contains(['[', ']'])).then_some((Style::Plain, words, behind));
    }
    let (style, mark) =
        [(Style::Bold, "`"), (Style::Bold, "**"), (Style::Italic, "*")].into_iter().find(|(_, mark)| text.starts_with(mark))?;
    let (words, behind) = text.strip_prefix(mark)?.split_once(mark)?;
    (!words.is_empty() && !words.starts_with(' ')).then_some((style, words, behind))
}

/// The text without its marks.
#[must_use]
pub fn bare(text: &str) -> String {
    spans(text).into_iter().map(|(_, words)| words).collect()
}

/// An entry of a list as the words that it is about, and what is said of them: `` `off`: None. ``
#[must_use]
pub fn tagged(item: &str) -> Option<(&str, &str)> {
    let (tag, text) = item.split_once(": ").filter(|_| item.starts_with('`'))?;
    tag.matches('`').count().is_multiple_of(2).then_some((tag, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_in_its_parts() {
        let text = "# One\n\nwords\nand more\n\n- `a`: first,\n  and on\n- second\n\n    code\n\n      deeper\n\n| word | means |\n| --- | --- |\n| `x|y` | z |\n";
        let words = str::to_owned;
        let expected = [
            Block::Heading(1, words("One")),
            Block::Paragraph(words("words and more")),
            Block::Item(words("`a`: first, and on")),
            Block::Item(words("second")),
            Block::Code(vec![words("code"), words(""), words("  deeper")]),
            Block::Row(vec![words("`x|y`"), words("z")]),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn marks_become_styles_and_signs_that_mark_nothing_stay() {
        let spans = spans("a `b*c`, *d*, **e** and [f g](h.md), 2 * 3 * 4, x[1] and `");
        let bold: Vec<_> = spans.iter().filter(|(style, _)| *style == Style::Bold).map(|(_, words)| words.as_str()).collect();
        assert_eq!(bold, ["b*c", "e"]);
        assert_eq!(spans.iter().map(|(_, words)| words.as_str()).collect::<String>(), "a b*c, d, e and f g, 2 * 3 * 4, x[1] and `");
        assert_eq!(bare("`mail: {to: …}`"), "mail: {to: …}");
        assert_eq!(tagged("`off`: None: no."), Some(("`off`", "None: no.")));
        assert_eq!(tagged("`mail: {to: …}` is it"), None);
        assert_eq!(tagged("plain: words"), None);
    }
}
