//! Strict YAML: text to typed values, or a [`Fault`] with its place.
//!
//! YAML lets the last of two equal keys win, reads `~` as a text, and ignores unknown keys. Here
//! each of these is a fault.

mod fault;
mod guard;
mod row;
mod shape;
mod table;

pub use fault::{Fault, Wrong};
pub(in crate::decide) use row::Shape;
pub use row::{Row, Usual};
pub use shape::{Figure, List, Nothing, OneOrMany, Several, Text, Texts, Truth, Word, wrong};
pub(in crate::decide) use table::keys;
pub use table::{Table, TableOf, TableOrText, Written};

use std::path::Path;

use serde::de::DeserializeOwned;

/// Reads a file's bytes as one document of the shape `T`.
pub fn read<T: DeserializeOwned>(file: &Path, bytes: &[u8]) -> Result<T, Fault> {
    let text = text_of(file, bytes)?;
    guarded(file, text)?;
    serde_yaml::from_str(text).map_err(|error| explain(file, text, &error))
}

/// Refuses a text that would cost the parser too much, or hides what it means. To be asked before any
/// text of others is parsed: a few aliases may stand for more than fits into memory.
pub fn guarded(file: &Path, text: &str) -> Result<(), Fault> {
    guard::check(text).map_err(|(offset, wrong)| Fault::at_offset(file, text, offset, wrong))
}

/// The bytes as text without a byte order mark.
pub fn text_of<'a>(file: &Path, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        // As far as it is UTF-8 it stays what it is.
        let text = String::from_utf8_lossy(bytes);
        Fault::at_offset(file, &text, error.valid_up_to(), Wrong::new("the file is not UTF-8 here", "save it as UTF-8"))
    })
}

/// The parser's error in our words, or those of [`shape`], which are between marks.
fn explain(file: &Path, text: &str, error: &serde_yaml::Error) -> Fault {
    let error_text = error.to_string();
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    if let Some(wrong) = shape::unmark(&error_text) {
        return Fault::at(file, text, line, column, wrong);
    }
    let line_text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let help = if line_text.contains("::") && line_text.contains('[') {
        "an IPv6 address in a list in brackets needs quotes: [\"2001:db8::/48\"]"
    } else {
        "check indentation, colons, quotes and brackets here and on the line before"
    };
    let known = [
        ("EOF while parsing", "the file is empty", "say at least one thing in it; a file of comments alone means nothing"),
        ("more than one document", "the file holds more than one document", "remove `---` and what follows it"),
        ("recursion limit", "the file is nested too deeply", "no value here needs more than a few levels"),
        ("repetition limit", "the file repeats itself by aliases", "write the values out"),
    ];
    if let Some((_, message, help)) = known.iter().find(|(part, ..)| error_text.contains(part)) {
        return Fault::at(file, text, line, column, Wrong::new(*message, *help));
    }
    let words = error_text.split(" at line ").next().unwrap_or_default();
    let words = crate::terms::text::printable(words.trim_start_matches("error: ").as_bytes());
    Fault::at(file, text, line, column, Wrong::new(format!("this is not YAML: {words}"), help))
}

#[cfg(test)]
mod tests;
