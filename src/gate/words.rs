//! The words that the gate is started with. They are few, so they are read by hand.
//!
//! The administrator's words, `--client` and `--config`, count only as the program's arguments,
//! where no client can put any. The text behind `-c` is what sshd gives an account's shell, and may
//! be the client's.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::decide::host::login::Gate;
use crate::decide::policy::DEFAULT_CONFIG;
use crate::terms::{By, ClientName, CommandSource};

/// What the program's words ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order<'a> {
    /// A connection.
    Serve {
        /// Where the configuration is.
        directory: &'a Path,
        /// The client of `--client`.
        client: Option<ClientName>,
        /// Where the client's command is.
        source: CommandSource,
        /// Whose it is.
        by: By,
    },
    /// A connection in the place of rsync's rrsync, whose words these are.
    Rrsync {
        /// Where the configuration is.
        directory: &'a Path,
        /// Its words.
        words: &'a [OsString],
    },
    /// Which words there are.
    Help,
    /// The program's version.
    Version,
}

/// Reads the program's words, its own name first; `None` where they mean nothing.
pub(super) fn read(words: &[OsString]) -> Option<Order<'_>> {
    let (name, words) = words.split_first()?;
    if Path::new(name).file_name().is_some_and(|name| name == "rrsync") {
        return Some(Order::Rrsync { directory: Path::new(DEFAULT_CONFIG), words });
    }
    match words {
        [option] if option == "--help" => return Some(Order::Help),
        [option] if option == "--version" => return Some(Order::Version),
        [option, command] if option == "-c" => return Some(of_shell(command.as_bytes())),
        // login(1): a `-` before a shell's name means a login.
        [] if name.as_bytes().starts_with(b"-") => return Some(shell(CommandSource::Nowhere)),
        _ => {}
    }
    let (directory, words) = match words {
        [option, directory, rest @ ..] if option == "--config" => (Path::new(directory), rest),
        rest => (Path::new(DEFAULT_CONFIG), rest),
    };
    match words {
        [] => Some(Order::Serve { directory, client: None, source: CommandSource::Variable, by: By::Sshd }),
        [option, name] if option == "--client" => {
            let client = Some(name.to_str()?.parse().ok()?);
            Some(Order::Serve { directory, client, source: CommandSource::Variable, by: By::Sshd })
        }
        // It says nothing where a client could be behind it (`connection::serve`).
        [option, name, by] if option == "--client" => {
            let client = Some(name.to_str()?.parse().ok()?);
            let by = [("--drill", By::Drill), ("--local", By::Rsh)].into_iter().find(|(word, _)| by == word)?.1;
            Some(Order::Serve { directory, client, source: CommandSource::Variable, by })
        }
        [order, words @ ..] if order == "rrsync" => Some(Order::Rrsync { directory, words }),
        _ => None,
    }
}

/// What sshd has an account's shell run: the client's command, unless it is the gate itself. That
/// is an administrator's `ForceCommand` or `command="…"`, or a client typed as much: either way the
/// client's command is in sshd's variable, and a name behind `--client` makes nobody that client.
fn of_shell(command: &[u8]) -> Order<'static> {
    shell(match Gate::read(command) {
        Some(Gate { client: None }) => CommandSource::Variable,
        Some(Gate { client: Some(client) }) => CommandSource::VariableOf(client),
        None => CommandSource::Words(command.to_vec()),
    })
}

fn shell(source: CommandSource) -> Order<'static> {
    Order::Serve { directory: Path::new(DEFAULT_CONFIG), client: None, source, by: By::Sshd }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "/etc/snapgate";

    fn words(text: &[&str]) -> Vec<OsString> {
        text.iter().map(OsString::from).collect()
    }

    fn serve<'a>(directory: &'a str, client: Option<&str>, source: CommandSource) -> Option<Order<'a>> {
        Some(Order::Serve { directory: Path::new(directory), client: client.map(|name| name.parse().unwrap()), source, by: By::Sshd })
    }

    #[test]
    fn the_administrators_words_are_read_where_they_are_arguments() {
        for (text, expected) in [
            (&["snapgate-shell"][..], serve(USUAL, None, CommandSource::Variable)),
            (&["snapgate-shell", "--client", "web1"], serve(USUAL, Some("web1"), CommandSource::Variable)),
            (&["/x/snapgate-shell", "--config", "/c"], serve("/c", None, CommandSource::Variable)),
            (&["snapgate-shell", "--config", "/c", "--client", "web1"], serve("/c", Some("web1"), CommandSource::Variable)),
            (&["snapgate-shell", "--help"], Some(Order::Help)),
            (&["snapgate-shell", "--version"], Some(Order::Version)),
        ] {
            assert_eq!(read(&words(text)), expected, "{text:?}");
        }
        for text in [
            &[][..],
            &["snapgate-shell", "serve"],
            &["snapgate-shell", "--client"],
            &["snapgate-shell", "--client", "../x"],
            &["snapgate-shell", "--client", "web1", "x"],
            &["snapgate-shell", "--drill"],
            &["snapgate-shell", "--drill", "--client", "web1"],
            &["snapgate-shell", "--client", "web1", "--drill", "x"],
            &["snapgate-shell", "--local"],
            &["snapgate-shell", "--local", "--client", "web1"],
            &["snapgate-shell", "--client", "web1", "--local", "--drill"],
            &["snapgate-shell", "--config"],
            &["snapgate-shell", "--config", "/c", "-c", "true"],
            &["snapgate-shell", "-c"],
            &["snapgate-shell", "-c", "true", "x"],
            &["snapgate-shell", "--client", "web1", "-c", "true"],
            &["snapgate-shell", "/etc/passwd"],
            &["snapgate-shell", ""],
        ] {
            assert_eq!(read(&words(text)), None, "{text:?}");
        }
    }

    #[test]
    fn what_a_shell_is_told_to_run_is_the_clients_unless_it_is_the_gate_alone() {
        let said = |text: &str| CommandSource::Words(text.as_bytes().to_vec());
        for command in [
            "rsync --server -logDtpre.iLsfxC . .",
            "",
            "true",
            "/usr/lib/openssh/sftp-server",
            "snapgate-shell --client",
            "snapgate-shell --client ../web1",
            "snapgate-shell --client 'web1'",
            "snapgate-shell --client web1 x",
            "snapgate-shell --client=web1",
            "/usr/bin/snapgate-shell --config /x",
            "/usr/bin/snapgate-shell --config /x --client web1",
            "snapgate-shell rrsync -ro /",
            "./snapgate-shell",
            "x/snapgate-shell",
            "/usr/bin/snapgate",
            "snapgate-shell --client web1 --drill",
            "snapgate-shell --client web1 --local",
            "exec snapgate-shell",
            "'snapgate-shell'",
            "snapgate-shell;",
        ] {
            assert_eq!(read(&words(&["snapgate-shell", "-c", command])), serve(USUAL, None, said(command)), "{command}");
            assert_eq!(read(&words(&["-snapgate-shell", "-c", command])), serve(USUAL, None, said(command)), "{command}");
        }
        for command in ["snapgate-shell", "/usr/bin/snapgate-shell", " /opt/snapgate-shell "] {
            assert_eq!(read(&words(&["snapgate-shell", "-c", command])), serve(USUAL, None, CommandSource::Variable), "{command}");
        }
        for command in ["snapgate-shell --client web1", "/usr/bin/snapgate-shell  --client web1 "] {
            let meant = CommandSource::VariableOf("web1".parse().unwrap());
            assert_eq!(read(&words(&["snapgate-shell", "-c", command])), serve(USUAL, None, meant), "{command}");
        }
    }

    #[test]
    fn a_drill_is_the_administrator_s_word_and_stands_where_no_client_s_words_do() {
        for (word, whose) in [("--drill", By::Drill), ("--local", By::Rsh)] {
            let words = words(&["snapgate-shell", "--config", "/c", "--client", "web1", word]);
            let read = read(&words);
            assert!(matches!(read, Some(Order::Serve { by, client: Some(_), source: CommandSource::Variable, .. }) if by == whose));
        }
    }

    #[test]
    fn somebody_who_logs_in_has_said_nothing_whatever_the_environment_says() {
        assert_eq!(read(&words(&["-snapgate-shell"])), serve(USUAL, None, CommandSource::Nowhere));
    }

    #[test]
    fn rrsync_is_known_by_its_word_and_by_its_name() {
        let rrsync = |text: &[&str]| match read(&words(text)) {
            Some(Order::Rrsync { directory, words }) => Some((directory.display().to_string(), words.to_vec())),
            _ => None,
        };
        let usual = || USUAL.to_owned();
        assert_eq!(rrsync(&["snapgate-shell", "rrsync", "-ro", "d"]), Some((usual(), words(&["-ro", "d"]))));
        assert_eq!(rrsync(&["/usr/local/bin/rrsync", "d"]), Some((usual(), words(&["d"]))));
        assert_eq!(rrsync(&["snapgate-shell", "--config", "/c", "rrsync"]), Some(("/c".to_owned(), vec![])));
        assert_eq!(rrsync(&["snapgate-shell", "--client", "web1", "rrsync"]), None);
    }
}
