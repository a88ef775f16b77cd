//! A fault in a file of settings, with its place. A client never sees it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::terms::Origin;
use crate::terms::text::{printable_path, printable_within};

/// Characters of the line that are shown on either side of the place.
const CONTEXT: usize = 100;

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
        let line_text = line_text.strip_suffix('\r').unwrap_or(line_text).to_owned();
        let end = line_text.chars().count() + 1;
        let column = if found.is_some() { column.clamp(1, end) } else { end };
        let (line_text, message) = (without_secrets(line_text, "http"), without_secrets(wrong.message, "`http"));
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

/// A text without what a URL has behind its host, where that `begins` so: it may be as good as a
/// password, and a fault goes into logs and mails. What a message quotes ends with a backtick.
fn without_secrets(text: String, begins: &str) -> String {
    let Some((before, rest)) = text.split_once(begins) else { return text };
    let path = rest.split_once("://").and_then(|(_, rest)| rest.split_once(['/', '?', '@'])).map(|(_, path)| path);
    let Some(path) = path else { return text };
    let shown = rest.strip_suffix(path).unwrap_or_default();
    let after = path.split_once('`').map(|(_, after)| format!("`{after}")).unwrap_or_default();
    format!("{before}{begins}{shown}…{after}")
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
