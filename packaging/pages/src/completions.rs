//! Completions of bash, zsh and fish, from the command line; the names of clients from the names of policies.
//!
//! They read names in a directory and start nothing. Where the directory cannot be read there are no names.

use std::any::TypeId;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::{Shell, generate};
use snapgate::admin::cli;
use snapgate::admin::help::Topic;
use snapgate::terms::ClientName;

/// The files, by where they belong below a directory of each shell's.
pub(crate) fn all() -> Vec<(String, String)> {
    let command = known();
    vec![
        ("bash/snapgate".to_owned(), bash(&command)),
        ("zsh/_snapgate".to_owned(), zsh(&command)),
        ("fish/snapgate.fish".to_owned(), fish(&command)),
    ]
}

/// The command line without what is not shown, and with what the shells cannot know.
fn known() -> Command {
    let all = cli::command();
    let shown = || all.get_subcommands().filter(|command| !command.is_hide_set());
    let names = shown().map(|command| command.get_name().to_owned());
    // clap takes words that live as long as the program, unless it is built with more than the program needs.
    let words: Vec<&'static str> = names.map(|name| &*name.leak()).chain(Topic::ALL.map(Topic::as_str)).collect();
    let mut known = Command::new("snapgate").version("0").disable_help_subcommand(true).args(all.get_arguments().cloned());
    for command in shown().cloned() {
        let clients: Vec<_> =
            command.get_arguments().filter(|argument| names_clients(argument)).map(|argument| argument.get_id().clone()).collect();
        // The shells' generators have no word for clients. No user of this machine is asked for anywhere, so that word is free.
        let command =
            clients.into_iter().fold(command, |command, id| command.mut_arg(id, |argument| argument.value_hint(ValueHint::Username)));
        let is_help = command.get_name() == "help";
        let words = words.clone();
        known = known.subcommand(if is_help {
            command.mut_arg("words", |argument| argument.value_parser(PossibleValuesParser::new(words)))
        } else {
            command
        });
    }
    known
}

/// Whether an argument is the name of a client.
fn names_clients(argument: &Arg) -> bool {
    argument.get_value_parser().type_id() == TypeId::of::<ClientName>()
}

fn generated(shell: Shell, command: &Command) -> String {
    let mut text = Vec::new();
    generate(shell, &mut command.clone(), "snapgate", &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Commands that are followed by names of clients, each with those of its options that a value follows.
fn followed(command: &Command) -> Vec<(&str, Vec<String>)> {
    let is_followed = |command: &&Command| command.get_positionals().any(names_clients);
    let takes = |argument: &&Arg| argument.get_action().takes_values();
    let options = |command: &Command| command.get_opts().filter(takes).filter_map(Arg::get_long).map(|word| format!("--{word}")).collect();
    command.get_subcommands().filter(is_followed).map(|command| (command.get_name(), options(command))).collect()
}

/// clap's function, and before it one that knows clients.
fn bash(command: &Command) -> String {
    let cases: String = followed(command)
        .into_iter()
        .map(|(name, options)| {
            let before = if options.is_empty() { "''".to_owned() } else { options.join("|") };
            format!("            {name}) case $before in {before}) ;; *) clients=yes ;; esac ;;\n")
        })
        .collect();
    let text = generated(Shell::Bash, command);
    // clap's own registration stands last.
    let (functions, _) = text.split_once("\nif [[ \"${BASH_VERSINFO[0]}\"").unwrap_or((&text, ""));
    format!(
        r#"{functions}
# The names of clients, for --client and for commands that are followed by them.
_snapgate_or_client() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" clients= name
    # Bash takes `--client=web1` for three words.
    if [ "$word" = = ]; then word=; fi
    if [ "$before" = = ] && [ "$COMP_CWORD" -gt 1 ]; then before="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    case "$word,$before" in
        -*) ;;
        *,--client) clients=yes ;;
        *) case "${{COMP_WORDS[1]}}" in
{cases}        esac ;;
    esac
    if [ "$clients" != yes ]; then
        _snapgate "$@"
        return
    fi
    COMPREPLY=()
    for name in /etc/snapgate/policies/*.yaml; do
        [ -e "$name" ] || continue
        name="${{name##*/}}"
        name="${{name%.yaml}}"
        # Whatever is there: only what is the name of a client is offered.
        case "$name" in
            *[!A-Za-z0-9._-]*) ;;
            "$word"*) COMPREPLY+=("$name") ;;
        esac
    done
}}

complete -F _snapgate_or_client -o bashdefault -o default snapgate
"#
    )
}

fn zsh(command: &Command) -> String {
    let function = r#"
_snapgate_clients() {
    local -a names
    names=(/etc/snapgate/policies/*.yaml(N:t:r))
    compadd -a names
}
"#;
    let text = generated(Shell::Zsh, command).replace("_users", "_snapgate_clients");
    // The file is the body of the function, and calls itself at its end.
    text.replacen("\nif [ \"$funcstack[1]\"", &format!("{function}\nif [ \"$funcstack[1]\""), 1)
}

fn fish(command: &Command) -> String {
    let function = r#"
function __snapgate_clients
    for file in /etc/snapgate/policies/*.yaml
        string replace -r '.*/' '' -- $file | string replace -r '\.yaml$' ''
    end
end
"#;
    let follow =
        |name: &str| format!("complete -c snapgate -n \"__fish_snapgate_using_subcommand {name}\" -f -a \"(__snapgate_clients)\"\n");
    let followed: String = followed(command).into_iter().map(|(name, _)| follow(name)).collect();
    // clap's has options alone.
    let words = command.find_subcommand("help").into_iter().flat_map(Command::get_positionals).flat_map(Arg::get_possible_values);
    let words: Vec<String> = words.map(|word| word.get_name().to_owned()).collect();
    let help = format!("complete -c snapgate -n \"__fish_snapgate_using_subcommand help\" -f -a \"{}\"\n", words.join(" "));
    let text = generated(Shell::Fish, command).replace("__fish_complete_users", "__snapgate_clients");
    format!("{text}{function}\n{followed}{help}")
}
