//! The pages of both programs, and one of each command.

use clap::{Arg, Command};
use snapgate::admin::cli;
use snapgate::admin::help::Topic;

use crate::roff::{Page, bold, italic};

/// The pages of commands, by name.
pub(crate) fn all(day: &str) -> Vec<(String, String)> {
    let mut program = cli::command();
    program.build();
    let commands: Vec<&Command> = program.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let names: Vec<&str> = commands.iter().map(|command| command.get_name()).collect();
    let mut pages: Vec<_> =
        commands.iter().map(|command| (format!("snapgate-{}.8", command.get_name()), of_command(command, &names, day))).collect();
    pages.push(("snapgate.8".to_owned(), of_program(&program, &commands, day)));
    pages.push(("snapgate-shell.8".to_owned(), of_gate(day)));
    pages
}

/// A text of clap's as sentences.
fn sentences(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    if text.is_empty() || text.ends_with(['.', ':', '?']) { text } else { text + "." }
}

fn of_command(command: &Command, names: &[&str], day: &str) -> String {
    let name = command.get_name();
    let about = sentences(command.get_about());
    let mut page = Page::new(&format!("snapgate-{name}"), 8, day, &about);
    page.section("synopsis");
    page.line(&usage(command));
    page.section("description");
    let text = sentences(command.get_long_about().or(command.get_about()));
    page.markdown(&text);
    let behind = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default();
    let (notes, examples) = behind.split_once("Examples:\n").unwrap_or((&behind, ""));
    // The program's own hint at these pages is none in them.
    if !notes.contains("`snapgate help`") {
        page.markdown(notes);
    }
    options(&mut page, command);
    if !examples.is_empty() {
        page.section("examples");
        shown(&mut page, examples);
    }
    page.section("exit status");
    page.markdown(&Topic::Exit.text());
    page.section("files");
    let files = Topic::Files.text();
    page.markdown(&files.lines().filter(|line| line.starts_with("| `/etc/snapgate/")).collect::<Vec<_>>().join("\n"));
    let said = format!("{text} {}", command.get_arguments().map(|argument| sentences(argument.get_help())).collect::<String>());
    let related = names.iter().filter(|other| **other != name && said.contains(&format!("`{other}`")));
    let related = related.map(|other| format!("snapgate-{other}(8)"));
    see_also(
        &mut page,
        ["snapgate(8)".to_owned()].into_iter().chain(related).chain(["snapgate.yaml(5)", "snapgate-policy(5)"].map(str::to_owned)),
    );
    page.end()
}

/// How a command is called, as clap says it: what is typed in bold, what stands for something else in italics.
fn usage(command: &Command) -> String {
    let text = command.clone().render_usage().to_string();
    let word = |word: &str| {
        let (open, rest) = word.strip_prefix('[').map_or(("", word), |rest| ("[", rest));
        let (rest, dots) = rest.strip_suffix("...").map_or((rest, ""), |rest| (rest, "..."));
        let (rest, close) = rest.strip_suffix(']').map_or((rest, ""), |rest| (rest, "]"));
        let is_typed = !rest.starts_with('<') && rest.chars().any(char::is_lowercase);
        let bare = rest.trim_matches(['<', '>']);
        format!("{open}{}{close}{dots}", if is_typed { bold(bare) } else { italic(if bare == "OPTIONS" { "options" } else { bare }) })
    };
    text.trim_start_matches("Usage:").split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// The words and options of a command, each with what it means.
fn options(page: &mut Page, command: &Command) {
    let is_shown = |argument: &&Arg| !argument.is_hide_set();
    let own = |argument: &&Arg| argument.get_id() != "config" || command.get_name() == "snapgate";
    let (words, options): (Vec<&Arg>, Vec<&Arg>) =
        command.get_arguments().filter(is_shown).filter(own).partition(|argument| argument.is_positional());
    for (section, arguments) in [("arguments", words), ("options", options)] {
        if !arguments.is_empty() {
            page.section(section);
        }
        for argument in arguments {
            page.tag(&tag(argument), &means(argument));
        }
    }
}

fn tag(argument: &Arg) -> String {
    let takes = argument.get_action().takes_values();
    let values: Vec<String> = argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let value = if values.is_empty() { argument.get_id().to_string().to_uppercase() } else { values.join(" ") };
    let short = argument.get_short().map(|letter| bold(&format!("-{letter}")));
    let long = argument.get_long().map(|word| bold(&format!("--{word}")));
    let spelled = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    match (spelled.is_empty(), takes) {
        (true, _) => italic(&value),
        (false, true) => format!("{spelled} {}", italic(&value)),
        (false, false) => spelled,
    }
}

fn means(argument: &Arg) -> String {
    let mut text = sentences(argument.get_long_help().or(argument.get_help()));
    let defaults: Vec<String> = argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
    if !defaults.is_empty() && argument.get_action().takes_values() && !argument.is_hide_default_value_set() {
        text += &format!(" Default: {}.", defaults.join(" "));
    }
    let choices: Vec<_> = argument.get_possible_values().into_iter().filter(|value| !value.is_hide_set()).collect();
    if argument.get_action().takes_values() && !choices.is_empty() {
        text += "\n\n";
        for choice in choices {
            text += &format!("- `{}`: {}\n", choice.get_name(), sentences(choice.get_help()));
        }
    }
    text
}

/// Examples as `snapgate help COMMAND` shows them: lines of what is typed, and further in what it is good for.
fn shown(page: &mut Page, examples: &str) {
    let mut lines = examples.lines().filter(|line| !line.trim().is_empty()).peekable();
    while let Some(line) = lines.next() {
        let mut what = String::new();
        while let Some(more) = lines.next_if(|line| line.starts_with("      ")) {
            what += more.trim();
            what.push(' ');
        }
        page.tag(&bold(line.trim()), &what);
    }
}

fn see_also(page: &mut Page, pages: impl Iterator<Item = String>) {
    page.section("see also");
    let pages: Vec<String> =
        pages.map(|name| name.split_once('(').map_or(name.clone(), |(name, section)| format!("{}({section}", bold(name)))).collect();
    page.line(&pages.join(", "));
}

fn of_program(program: &Command, commands: &[&Command], day: &str) -> String {
    let mut page = Page::new("snapgate", 8, day, "administer the gate between sshd and rsync on a backup server");
    page.section("synopsis");
    page.line(&format!("{} [{} {}] {} [{}]", bold("snapgate"), bold("--config"), italic("DIR"), italic("command"), italic("arguments")));
    page.section("description");
    page.markdown(include_str!("../texts/snapgate.md"));
    options(&mut page, program);
    page.section("commands");
    for command in commands {
        let tag = format!("{}(8)", bold(&format!("snapgate-{}", command.get_name())));
        page.tag(&tag, &sentences(command.get_about()));
    }
    for topic in [Topic::Snapshots, Topic::Times, Topic::Checks] {
        page.section(topic.as_str());
        page.markdown(&topic.text());
    }
    page.section("exit status");
    page.markdown(&Topic::Exit.text());
    page.section("files");
    page.markdown(&Topic::Files.text());
    let commands = commands.iter().map(|command| format!("snapgate-{}(8)", command.get_name()));
    let others =
        ["snapgate.yaml(5)", "snapgate-policy(5)", "snapgate-shell(8)", "rsync(1)", "sshd(8)", "sshd_config(5)"].map(str::to_owned);
    see_also(&mut page, commands.chain(others));
    page.end()
}

fn of_gate(day: &str) -> String {
    let mut page = Page::new("snapgate-shell", 8, day, "the gate that sshd starts for a client of the backup server");
    page.markdown(include_str!("../texts/snapgate-shell.md"));
    for topic in [Topic::Verbs, Topic::Codes, Topic::Outcomes] {
        page.section(topic.as_str());
        page.markdown(&topic.text());
    }
    page.section("exit status");
    page.markdown(&Topic::Exit.text());
    page.section("files");
    page.markdown(&Topic::Files.text());
    let pages = ["snapgate(8)", "snapgate.yaml(5)", "snapgate-policy(5)", "rsync(1)", "sshd(8)", "sshd_config(5)"].map(str::to_owned);
    see_also(&mut page, pages.into_iter());
    page.end()
}
