//! A fault in a file of settings, with its place. A client never sees it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::terms::Origin;
use crate::terms::text::{printable_path, printable_within};

/// Characters of the line that are shown on either side of the place.
const CONTEXT: usize = 100;

/// Keys whose whole value is as good as a password, however it is written.
const SECRET: [&str; 2] = ["ping", "webhook"];

/// What is wrong with a value, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Wrong {
    /// Both halves.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// A fault in a file: `file:line:column: what`, the line itself with a caret, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[must_use]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 when it is the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 when it is the file as a whole.
    pub column: usize,
    /// The line itself.
    pub line_text: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    /// A fault of the file as a whole: missing, of the wrong owner, too long.
    pub fn whole(file: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (message.into(), help.into());
        Self { file: file.to_path_buf(), line: 0, column: 0, line_text: String::new(), message, help }
    }

    /// A fault at a line and column of `text`, or at its end: the YAML parser counts more line
    /// breaks than editors do, and a line behind a last one that has none.
    pub fn at(file: &Path, text: &str, line: usize, column: usize, wrong: Wrong) -> Self {
        let found = text.split('\n').nth(line.saturating_sub(1));
        let line = if found.is_some() { line.max(1) } else { text.split('\n').count() };
        let line_text = found.or_else(|| text.rsplit('\n').next()).unwrap_or_default();
        let line_text = line_text.strip_suffix('\r').unwrap_or(line_text);
        let end = line_text.chars().count() + 1;
        let column = if found.is_some() { column.clamp(1, end) } else { end };
        let line_text = without_url(&without_value(text, line, &key_alone(line_text, column)));
        let quoted = |(at, part): (usize, &str)| if at % 2 == 1 { without_url(part) } else { part.to_owned() };
        let message = wrong.message.split('`').enumerate().map(quoted).collect::<Vec<_>>().join("`");
        Self { file: file.to_path_buf(), line, column, line_text, message, help: wrong.help }
    }

    /// A fault at a byte of `text`.
    pub fn at_offset(file: &Path, text: &str, offset: usize, wrong: Wrong) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self::at(file, text, line, column, wrong)
    }

    /// The place, for a reason.
    pub fn origin(&self) -> Origin {
        Origin { file: self.file.clone(), line: self.line }
    }
}

/// A text without what a URL has behind its host, nor before it, with a password: either may be as
/// good as one, and a fault goes into logs and mails.
fn without_url(text: &str) -> String {
    let url = text.split_once("://").and_then(|(_, rest)| {
        let shown = if rest.contains('@') { 0 } else { rest.find(['/', '?'])? + 1 };
        text.get(..text.len() - rest.len() + shown)
    });
    // A name and a password, whatever is wrong with the rest of it.
    let ends = |letter: char| letter.is_whitespace() || "\"'`{}[],".contains(letter);
    let words = text.split(ends).scan(0, |at, word| {
        let begin = *at;
        *at += word.len() + text.get(begin + word.len()..)?.chars().next().map_or(0, char::len_utf8);
        Some((begin, word))
    });
    let password = words.filter_map(|(at, word)| Some(at + word.split_once('@')?.0.find(':')? + 1)).next().and_then(|at| text.get(..at));
    let cut = url.into_iter().chain(password).min_by_key(|shown| shown.len());
    cut.map_or_else(|| text.to_owned(), |shown| format!("{shown}…"))
}

/// A line up to the key at this column: a fault there says nothing of its value, and behind a key
/// that is misspelt may be a secret.
fn key_alone(line: &str, column: usize) -> String {
    let at = line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let (before, key) = line.split_at_checked(at).unwrap_or_default();
    let begins = before.is_empty() || before.ends_with([' ', '\t', '{', ',']);
    let end = key.match_indices(':').map(|(colon, _)| colon + 1).find(|end| {
        let (key, value) = key.split_at_checked(*end).unwrap_or_default();
        (value.is_empty() || value.starts_with([' ', '\t'])) && !key.contains(['{', '[', ',', '#'])
    });
    let cut = end.filter(|_| begins).and_then(|end| line.split_at_checked(at + end)).filter(|(_, value)| !value.trim().is_empty());
    cut.map_or_else(|| line.to_owned(), |(key, _)| format!("{key} …"))
}

/// Where the value of one of [`SECRET`] begins in a line.
fn secret_value(line: &str) -> Option<usize> {
    let begins = |key: &str| {
        line.match_indices(key).find_map(|(at, _)| {
            let (before, rest) = (line.get(..at)?, line.get(at..)?.strip_prefix(key)?);
            let is_whole = !before.ends_with(|last: char| last.is_ascii_alphanumeric() || "_-.".contains(last));
            let value = rest.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?;
            is_whole.then_some(line.len() - value.len())
        })
    };
    SECRET.into_iter().filter_map(begins).min()
}

/// The line of that number without a value of [`SECRET`], which may have begun further up.
fn without_value(text: &str, number: usize, line: &str) -> String {
    if let Some((key, value)) = secret_value(line).and_then(|at| line.split_at_checked(at)) {
        return if value.trim().is_empty() { line.to_owned() } else { format!("{key} …") };
    }
    let indent = |line: &str| line.len() - line.trim_start().len();
    let has_key = |line: &str| line.contains(": ") || line.trim_end().ends_with(':');
    let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let above: Vec<_> = text.split('\n').take(number.saturating_sub(1)).filter(is_said).collect();
    let parent = above.iter().rev().find(|above| indent(above) < indent(line));
    // A line without a key goes on with the value of the last one.
    let last = above.iter().rev().find(|above| has_key(above)).filter(|_| !has_key(line));
    let is_value = [parent, last].into_iter().flatten().any(|above| secret_value(above).is_some());
    let shown = line.split_at_checked(indent(line)).map_or("", |(space, _)| space);
    if is_value { format!("{shown}…") } else { line.to_owned() }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = printable_path(&self.file);
        if self.line == 0 {
            return write!(out, "{file}: {}\n{}", self.message, self.help);
        }
        writeln!(out, "{file}:{}:{}: {}", self.line, self.column, self.message)?;
        // A line may be as long as the file.
        let before: String = self.line_text.chars().take(self.column.saturating_sub(1)).collect();
        let skipped = before.chars().count().saturating_sub(CONTEXT);
        let before: String = before.chars().skip(skipped).collect();
        let after: String = self.line_text.chars().skip(self.column.saturating_sub(1)).take(CONTEXT).collect();
        let shown = |part: &str| printable_within(part.as_bytes(), 16 * CONTEXT).replace("\\\\", "\\");
        let number = self.line.to_string();
        let (before, gutter) = (shown(&before), " ".repeat(number.len()));
        writeln!(out, " {number} | {before}{}", shown(&after))?;
        writeln!(out, " {gutter} | {}^", " ".repeat(before.chars().count()))?;
        out.write_str(&self.help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize) -> String {
        let wrong = Wrong::new("`HTTPS://h.example/token` and `x` are wrong", "mend it");
        Fault::at(Path::new("/f"), text, line, 3, wrong).to_string()
    }

    #[test]
    fn no_spelling_of_what_is_as_good_as_a_password_is_shown() {
        for value in [
            "https://h/token", "HTTPS://h/token", "h/token", "'token", "ftp://u:token@h", "[\"h/token\"]", "|\n  h\n  token",
            "\n  url: token",
        ] {
            for key in ["ping: ", "webhook: ", "\"ping\" : ", "ping:\n  ", "told: { ping: ", "ping:\n"] {
                let text = format!("user: x\n{key}{value}");
                for line in 1..=text.lines().count() + 1 {
                    assert!(!shown(&text, line).contains("token"), "{text}: {}", shown(&text, line));
                }
            }
        }
        let said = shown("  routes: HTTPS://h.example/token", 1);
        assert!(said.contains("routes: …\n") && said.contains("`HTTPS://h.example/…` and `x` are wrong"), "{said}");
        for url in [
            "smtps:/gate:token@h", "smtp//gate:token@h", "gate:token@h", "smtps://gate:token@h.example", "smtps://token@h/x",
            "https://h.example/token", "smtp://gate:to/ken@h",
        ] {
            for line in [format!("x: {url}"), format!("mail: {{ transport: \"{url}\" }}"), format!("- {url}")] {
                for column in 1..line.len() + 2 {
                    let wrong = Wrong::new(format!("`{url}` is wrong"), "mend it");
                    let said = Fault::at(Path::new("/f"), &line, 1, column, wrong).to_string();
                    assert!(!said.contains("token") && !said.contains("ken@"), "{line}: {said}");
                }
            }
        }
        let unknown = |line: &str, column| Fault::at(Path::new("/f"), line, 1, column, Wrong::new("no key", "mend it")).to_string();
        for (line, column) in [("pign: h/token", 1), ("Webhook : 'h/token'", 1), ("told: { pign: h/token }", 9), ("\"pings\": token", 1)] {
            assert!(!unknown(line, column).contains("token"), "{}", unknown(line, column));
        }
        assert!(unknown("mail: { to: [joe@example.org, x] }", 30).contains("joe@example.org, x"), "an address is none");
        assert!(unknown("from: [192.0.2.1/33]", 8).contains("| from: [192.0.2.1/33]"), "a value in which a fault is");
        assert!(shown("webhook_secret: /etc/key\nstore: /x", 1).contains("/etc/key"), "that is a path");
        assert!(shown("ping: h\nstore: /x", 2).contains("store: /x"), "what is beside it is shown");
    }
}
