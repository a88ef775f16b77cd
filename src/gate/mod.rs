//! The stories of the gate: all that sshd starts, and nothing else. The words that it is started with are read here.
//!
//! Nothing here may be of the administrator's program: whatever a client's bytes can reach is in this program.

pub mod rrsync;
pub mod serve;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::decide::policy::DEFAULT_CONFIG;
use crate::terms::ClientName;

/// What the client is told, in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The exit code.
    pub exit: u8,
    /// For standard output; only ever for a verb that is not rsync.
    pub text: String,
    /// For standard error, a line each.
    pub lines: Vec<String>,
}

/// Serves what the words ask for, if that is the gate's.
#[must_use]
pub fn run(words: &[OsString]) -> Option<ExitCode> {
    if let Some((directory, client)) = serve_order(words.get(1..).unwrap_or_default()) {
        return Some(show(serve::serve(&directory, client)));
    }
    rrsync_order(words).map(|(directory, rest)| show(rrsync::rrsync(&directory, rest)))
}

/// Reads `[--config DIR] serve [--client NAME]`, and nothing else: any other shape is clap's to read or to explain.
fn serve_order(words: &[OsString]) -> Option<(PathBuf, Option<ClientName>)> {
    let (directory, rest) = match words {
        [option, directory, rest @ ..] if option == "--config" => (PathBuf::from(directory), rest),
        rest => (PathBuf::from(DEFAULT_CONFIG), rest),
    };
    match rest {
        [serve] if serve == "serve" => Some((directory, None)),
        [serve, option, name] if serve == "serve" && option == "--client" => Some((directory, Some(name.to_str()?.parse().ok()?))),
        _ => None,
    }
}

/// Reads `[--config DIR] rrsync WORDS…`, or any words where the program is called `rrsync`.
fn rrsync_order(words: &[OsString]) -> Option<(PathBuf, &[OsString])> {
    let (name, rest) = words.split_first()?;
    if Path::new(name).file_name().is_some_and(|name| name == "rrsync") {
        return Some((PathBuf::from(DEFAULT_CONFIG), rest));
    }
    match rest {
        [option, directory, order, rest @ ..] if option == "--config" && order == "rrsync" => Some((PathBuf::from(directory), rest)),
        [order, rest @ ..] if order == "rrsync" => Some((PathBuf::from(DEFAULT_CONFIG), rest)),
        _ => None,
    }
}

/// Prints what a connection is answered. The client may be gone, and that is nobody's error.
fn show(answer: Answer) -> ExitCode {
    let _ = io::stdout().write_all(answer.text.as_bytes()).and_then(|()| io::stdout().flush());
    for line in answer.lines {
        let _ = writeln!(io::stderr(), "{line}");
    }
    ExitCode::from(answer.exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(words: &[&str]) -> Option<(PathBuf, Option<ClientName>)> {
        serve_order(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn serve_is_read_without_the_parser_and_nothing_else_is() {
        assert_eq!(order(&["serve"]), Some((PathBuf::from("/etc/snapgate"), None)));
        let named = order(&["--config", "/c", "serve", "--client", "web1"]);
        assert_eq!(named, Some((PathBuf::from("/c"), Some("web1".parse().unwrap()))));
        for other in [&["check"][..], &["serve", "--client", "../x"], &["serve", "x"], &["--config"], &[]] {
            assert_eq!(order(other), None, "{other:?}");
        }
    }

    #[test]
    fn rrsync_is_known_by_its_word_and_by_its_name() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let order = |text: &[&str]| rrsync_order(&words(text)).map(|(directory, rest)| (directory, rest.to_vec()));
        let usual = PathBuf::from("/etc/snapgate");
        assert_eq!(order(&["snapgate", "rrsync", "-ro", "d"]), Some((usual.clone(), words(&["-ro", "d"]))));
        assert_eq!(order(&["/usr/local/bin/rrsync", "d"]), Some((usual, words(&["d"]))));
        assert_eq!(order(&["snapgate", "--config", "/c", "rrsync"]), Some((PathBuf::from("/c"), vec![])));
        assert_eq!(order(&["snapgate", "serve", "rrsync"]), None);
    }
}
