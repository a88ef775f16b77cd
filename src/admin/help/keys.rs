//! What there is to say of a file's keys, as `docs/policy.md` has it.

use crate::decide::policy::yaml::{Row, Usual};

/// Lines of documents are no longer.
const WIDTH: usize = 100;

/// The manual of a file: a section for each key, with those of its table behind it.
#[must_use]
pub fn keys(rows: &[Row]) -> String {
    rows.iter().map(key).collect::<Vec<_>>().join("\n")
}

/// A key, with those of its table.
#[must_use]
pub fn key(row: &Row) -> String {
    let mut sections = vec![format!("### `{}:`\n\n{}", row.word, about(row))];
    // The keys below `defaults:` are a policy's.
    let below = row.below.iter().filter(|_| row.word != "defaults");
    let (open, close) = if row.example.starts_with('[') { ("[{", "}]") } else { ("{", "}") };
    sections.extend(below.map(|below| format!("#### `{}: {open}{}: …{close}`\n\n{}", row.word, below.word, about(below))));
    sections.join("\n")
}

/// The keys in a table, each with its first sentence.
#[must_use]
pub fn overview(rows: &[Row]) -> String {
    let first = |row: &Row| {
        let words = row.means.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        words.split_inclusive(". ").next().unwrap_or_default().trim_end().to_owned()
    };
    rows.iter().map(|row| format!("| `{}:` | {} |\n", row.word, first(row))).collect()
}

/// What there is to say of one key.
fn about(row: &Row) -> String {
    let usual = match row.usual {
        Usual::Value(value) => format!("Default: `{value}`."),
        Usual::Words(words) => format!("Default: {words}."),
        Usual::Below => "Default: that of each of its keys.".to_owned(),
        Usual::Required => "Required.".to_owned(),
    };
    let mut all: Vec<_> = paragraphs(row.means).iter().map(|words| wrapped(words, "")).collect();
    let choices = (row.choices)();
    if choices.is_empty() {
        all.push(wrapped(&format!("Value: {}. {usual}", (row.values)()), ""));
    } else {
        all.push(choices.iter().map(|(word, means)| wrapped(&format!("- `{word}`: {means}"), "  ")).collect());
        all.push(wrapped(&usual, ""));
    }
    all.push(format!("    {}: {}\n", row.word, row.example));
    all.join("\n")
}

/// The paragraphs of a description, each in one line.
#[must_use]
pub fn paragraphs(means: &str) -> Vec<String> {
    means.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// In lines of which those behind the first begin with `indent`.
#[must_use]
pub fn wrapped(words: &str, indent: &str) -> String {
    let (mut text, mut line) = (String::new(), String::new());
    for word in words.split(' ') {
        if line.trim().is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            text.push_str(&line);
            text.push('\n');
            line = format!("{indent}{word}");
        }
    }
    text + &line + "\n"
}
