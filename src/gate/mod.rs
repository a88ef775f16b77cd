//! The stories of the gate: all that sshd starts, and nothing else.
//!
//! Nothing of the administrator's program may be used here: a client's bytes reach this program.

mod connection;
pub mod rrsync;
mod serve;
mod words;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::act::clock;
use crate::terms::{build, exit};

use self::words::Order;

/// Which words there are.
const USAGE: &str = "\
usage: snapgate-shell [--config DIR] [--client NAME]   in ForceCommand or command=\"…\"
       snapgate-shell [--config DIR] rrsync WORDS…     in the place of rsync's rrsync
       snapgate-shell -c COMMAND                       as an account's shell
";

/// What the client gets in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The exit code.
    pub exit: u8,
    /// For standard output; only ever for a verb that is not rsync.
    pub text: String,
    /// For standard error, a line each.
    pub lines: Vec<String>,
}

/// Runs the program.
#[must_use]
pub fn run(words: &[OsString]) -> ExitCode {
    let order = words::read(words);
    if let Some(Order::Serve { directory, .. } | Order::Rrsync { directory, .. }) = &order {
        clock::begin(directory);
    }
    show(match order {
        Some(Order::Serve { directory, client, source, by }) => connection::serve(directory, client, source, by, serve::perform),
        Some(Order::Rrsync { directory, words }) => rrsync::rrsync(directory, words),
        Some(Order::Help) => Answer { text: USAGE.to_owned(), ..Answer::default() },
        Some(Order::Version) => Answer { text: build::FACTS_OF_GATE.to_owned(), ..Answer::default() },
        None => Answer { exit: exit::USAGE, lines: USAGE.lines().map(str::to_owned).collect(), ..Answer::default() },
    })
}

/// Prints the answer. It is no error if the client is gone.
fn show(answer: Answer) -> ExitCode {
    let _ = io::stdout().write_all(answer.text.as_bytes()).and_then(|()| io::stdout().flush());
    for line in answer.lines {
        let _ = writeln!(io::stderr(), "{line}");
    }
    ExitCode::from(answer.exit)
}
