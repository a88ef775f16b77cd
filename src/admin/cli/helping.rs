//! `snapgate help`: of commands what clap knows, and of all else what `admin::help` has.

use super::command;
use crate::act::process;
use crate::admin::help::{self, Topic};
use crate::terms::exit;
use crate::terms::text::printable;
use crate::terms::word::nearest;

/// What is printed, or an error, each with its exit code.
type Printed = Result<(String, u8), (String, u8)>;

/// Explains a command, a topic or a key; without words it lists what can be explained.
pub(super) fn help(words: &[String]) -> Printed {
    let columns = process::columns();
    let (text, key) = match words {
        [] => return Ok((help::shown(&overview(), columns), 0)),
        [word] => (of_command(word).or_else(|| Some(help::shown(&Topic::read(word)?.text(), columns))), Some(word)),
        [topic, key] => (None, Some(key).filter(|_| !topics(topic).is_empty())),
        _ => (None, None),
    };
    let topics = words.first().filter(|_| words.len() == 2).map_or(Topic::ALL.to_vec(), |topic| topics(topic));
    let of_key = || help::key(&topics, key?).map(|text| help::shown(&text, columns));
    text.or_else(of_key).map(|text| (text, 0)).ok_or_else(|| (unknown(words), exit::USAGE))
}

/// The topic of this name, if it is about keys.
fn topics(name: &str) -> Vec<Topic> {
    Topic::read(name).filter(|topic| !topic.rows().is_empty()).into_iter().collect()
}

/// All that clap says of a command.
fn of_command(name: &str) -> Option<String> {
    let mut all = command();
    all.build();
    let command = all.find_subcommand_mut(name).filter(|command| !command.is_hide_set())?;
    Some(command.render_long_help().to_string())
}

fn overview() -> String {
    let all = command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set());
    let commands: String =
        shown.map(|command| row(command.get_name(), &command.get_about().map(ToString::to_string).unwrap_or_default())).collect();
    let topics: String = Topic::ALL.map(|topic| row(topic.as_str(), topic.means().trim_end_matches('.'))).concat();
    format!(
        "`snapgate help COMMAND` explains a command:\n\n{commands}\n`snapgate help TOPIC` explains a topic:\n\n{topics}\n\
         `snapgate help KEY` explains a key of the site file or of a policy, such as `quota`. The manual pages are snapgate(8), \
         snapgate.yaml(5), snapgate-policy(5) and snapgate-shell(8).\n"
    )
}

fn row(word: &str, means: &str) -> String {
    format!("| {word} | {means} |\n")
}

/// That there is no help for these words, and which were perhaps meant.
fn unknown(words: &[String]) -> String {
    let said = printable(words.join(" ").as_bytes());
    let all = command();
    let names = all.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    let keys = Topic::ALL.into_iter().flat_map(Topic::rows).map(|row| row.word);
    let known = names.chain(Topic::ALL.map(Topic::as_str)).chain(keys);
    let meant = words.last().and_then(|word| nearest(word.trim_end_matches(':'), known));
    let help = meant.map_or_else(|| "`snapgate help` lists what there is".to_owned(), |word| format!("did you mean `{word}`?"));
    format!("there is no help about `{said}`\n{help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Printed {
        help(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn commands_topics_and_keys_are_explained() {
        let (all, _) = said(&[]).unwrap();
        for command in command().get_subcommands() {
            let name = command.get_name();
            let text = said(&[name]);
            assert_eq!(text.is_ok(), !command.is_hide_set(), "{name}");
            assert_eq!(all.contains(&format!("\n  {name} ")), !command.is_hide_set(), "{name}");
        }
        assert!(said(&["restore"]).unwrap().0.contains("Usage: snapgate restore "));
        for topic in Topic::ALL {
            assert!(said(&[topic.as_str()]).is_ok() && all.contains(&format!("\n  {topic} ")), "{topic}");
            for row in topic.rows() {
                let (text, _) = said(&[topic.as_str(), row.word]).unwrap();
                assert!(text.contains(&format!("\n{}:\n", row.word)), "{text}");
            }
        }
        assert!(said(&["quota:"]).unwrap().0.starts_with("In a policy"));
    }

    #[test]
    fn what_has_no_help_is_said_with_what_was_perhaps_meant() {
        assert_eq!(said(&["restor"]), Err(("there is no help about `restor`\ndid you mean `restore`?".to_owned(), 64)));
        assert_eq!(said(&["policy", "quotas"]).unwrap_err().0, "there is no help about `policy quotas`\ndid you mean `quota`?");
        assert_eq!(said(&["codes", "quota"]).unwrap_err().1, 64);
        assert_eq!(said(&["\u{1b}[2Jxyzzy"]).unwrap_err().0.lines().last(), Some("`snapgate help` lists what there is"));
        assert!(!said(&["\u{1b}[2Jxyzzy"]).unwrap_err().0.contains('\u{1b}'));
        assert!(said(&["site", "quota", "x"]).is_err());
    }
}
