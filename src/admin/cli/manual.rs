//! What `snapgate help COMMAND` and the manual pages say of a command besides its words: `manual.md`, a section for each.
//!
//! A section is text in lines that fit a terminal, and examples. A command may have its own `long_about` and `after_long_help` instead.

use clap::Command;

const MANUAL: &str = include_str!("manual.md");

/// What examples begin with.
const EXAMPLES: &str = "Examples:";

/// The commands in the manual, each with its text and its examples.
fn sections() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    MANUAL.split("\n# ").skip(1).filter_map(|section| {
        let (name, rest) = section.split_once('\n')?;
        let (text, examples) = rest.find(EXAMPLES).map_or((rest, ""), |at| rest.split_at(at));
        Some((name.trim(), text.trim(), examples.trim_end()))
    })
}

/// The command line with all of it.
pub(super) fn added(command: Command) -> Command {
    sections().fold(command, |command, (name, text, examples)| {
        command.mut_subcommand(name, |command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let command = if text.is_empty() { command } else { command.long_about(format!("{about}.\n\n{text}")) };
            if examples.is_empty() { command } else { command.after_long_help(examples) }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::cli::{Arguments, command};
    use clap::CommandFactory as _;

    #[test]
    fn every_section_is_of_a_command_and_fits_a_terminal() {
        let all = Arguments::command();
        for (name, text, _) in sections() {
            assert!(all.find_subcommand(name).is_some_and(|command| !command.is_hide_set()), "{name}");
            assert!(text.is_empty() || text.ends_with('.'), "{name}: {text}");
        }
        for line in MANUAL.lines() {
            assert!(line.starts_with("  snapgate ") || line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn every_example_is_understood() {
        let mut tried = 0;
        for (name, _, examples) in sections() {
            for line in examples.lines().skip(1) {
                if let Some(what) = line.strip_prefix("      ") {
                    assert!(what.ends_with('.'), "{what}");
                    continue;
                }
                let words = shell_words::split(line.strip_prefix("  ").unwrap()).unwrap();
                assert_eq!(words.get(1).map(String::as_str), Some(name), "{line}");
                let read = command().try_get_matches_from(&words);
                assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
                tried += 1;
            }
        }
        assert!(tried > 30, "{tried}");
    }
}
