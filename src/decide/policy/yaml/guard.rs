//! Refuses what would hide meaning from a reader, or costs the parser too much. It reads tokens
//! roughly and errs towards refusal.

use crate::terms::limits::MAX_CONFIG_DEPTH;
use crate::terms::text::printable;

use super::Wrong;

type Place = (usize, Wrong);

/// Checks a whole file. The place is a byte of the text.
pub(super) fn check(text: &str) -> Result<(), Place> {
    characters(text)?;
    lines(text)?;
    Tokens::default().walk(text)
}

/// Refuses control characters, other line ends than newline, and misleading characters.
fn characters(text: &str) -> Result<(), Place> {
    let mut all = text.char_indices().peekable();
    while let Some((offset, character)) = all.next() {
        if matches!(character, ' '..='~' | '\n' | '\t') {
            continue;
        }
        let newline_next = all.peek().is_some_and(|(_, next)| *next == '\n');
        let fine = character == '\r' && newline_next;
        let mut buffer = [0; 4];
        let shown = printable(character.encode_utf8(&mut buffer).as_bytes());
        if !fine && !shown.starts_with(character) {
            return Err((offset, Wrong::new(format!("the character `{shown}` has no place in this file"), "delete it")));
        }
    }
    Ok(())
}

/// Refuses tabs in indentation, directives, and more than one document.
fn lines(text: &str) -> Result<(), Place> {
    let mut offset = 0;
    let mut begun = false;
    for line in text.split_inclusive('\n') {
        let body = line.trim_start_matches([' ', '\t']);
        let meaningful = !body.trim().is_empty() && !body.starts_with('#');
        let indent = line.get(..line.len() - body.len()).unwrap_or_default();
        if let (true, Some(tab)) = (meaningful, indent.find('\t')) {
            return Err((offset + tab, Wrong::new("a tab in the indentation", "indent with spaces")));
        }
        if line.starts_with('%') {
            return Err((offset, Wrong::new("a YAML directive", "remove the line")));
        }
        let marker = |mark: &str| line.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker("...") || (marker("---") && begun) {
            return Err((offset, Wrong::new("the file holds more than one document", "remove this line and what follows it")));
        }
        begun |= meaningful;
        offset += line.len();
    }
    Ok(())
}

#[derive(Default)]
struct Tokens {
    quote: Option<char>,
    depth: usize,
    dashes: usize,
    after_quote: bool,
}

impl Tokens {
    fn walk(mut self, text: &str) -> Result<(), Place> {
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            self.line(line).map_err(|(inside, wrong)| (offset + inside, wrong))?;
            offset += line.len();
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), Place> {
        let mut start = true; // of a token
        let mut previous = ' ';
        self.dashes = 0;
        let mut all = line.char_indices().peekable();
        while let Some((offset, character)) = all.next() {
            let next = all.peek().map_or('\n', |(_, next)| *next);
            if let Some(quote) = self.quote {
                if (quote == '"' && character == '\\') || (quote == '\'' && character == '\'' && next == '\'') {
                    all.next();
                } else if character == quote {
                    (self.quote, self.after_quote) = (None, true);
                }
                start = false;
            } else if character == '#' && previous.is_whitespace() {
                return Ok(());
            } else if !character.is_whitespace() {
                start = self.token(start, character, next).map_err(|wrong| (offset, wrong))?;
                self.after_quote = false;
            }
            previous = character;
        }
        Ok(())
    }

    /// One character outside quotes and comments; returns whether a token may begin after it.
    fn token(&mut self, start: bool, character: char, next: char) -> Result<bool, Wrong> {
        let ends = next.is_whitespace();
        match character {
            '[' | '{' if start || self.depth > 0 => {
                self.depth += 1;
                if self.depth > MAX_CONFIG_DEPTH { Err(too_deep()) } else { Ok(true) }
            }
            ']' | '}' if self.depth > 0 => {
                self.depth -= 1;
                Ok(false)
            }
            ',' if self.depth > 0 => Ok(true),
            ':' if ends || self.after_quote || (self.depth > 0 && ",[]{}".contains(next)) => Ok(true),
            _ if !start => Ok(false),
            '\'' | '"' => {
                self.quote = Some(character);
                Ok(false)
            }
            '&' | '*' => Err(Wrong::new(
                "an anchor or alias: this file has none, so that it means what it shows",
                "write the value out, or put it in quotes if it is a text",
            )),
            '!' => Err(Wrong::new("a YAML tag", "remove it, or put the value in quotes if it is a text")),
            '?' if ends => Err(Wrong::new("a key in YAML's long form", "write `key: value`")),
            '-' if ends => {
                self.dashes += 1;
                if self.dashes > MAX_CONFIG_DEPTH { Err(too_deep()) } else { Ok(true) }
            }
            _ => Ok(false),
        }
    }
}

fn too_deep() -> Wrong {
    Wrong::new("the file is nested too deeply", "no value here needs more than a few levels")
}
