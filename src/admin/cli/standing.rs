//! The commands that say how clients stand and what happened: some go on until somebody ends them.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::asked::Asked;
use super::print;
use crate::act::process;
use crate::admin::{log, status};
use crate::decide::speak::log::Wanted;
use crate::terms::limits::WATCH_PAUSE;
use crate::terms::{ClientName, exit};

/// Brings the cursor to the top, and clears the screen from there. Nothing else of a terminal is
/// changed, so that whatever ends this leaves it as it was.
const AGAIN: &str = "\x1b[H\x1b[J";

/// The table, or its rows in JSON; at a terminal again and again, if that is wanted.
pub(super) fn status(directory: &Path, client: Option<&ClientName>, watch: bool, json: bool) -> ExitCode {
    if !watch || !io::stdout().is_terminal() {
        return print(status::status(directory, client, json));
    }
    loop {
        let (text, _) = match status::status(directory, client, false) {
            Ok(said) => said,
            Err(failure) => return print(Err(failure)),
        };
        let shown = status::fitted(&text, process::columns(), process::lines());
        if !put(&format!("{AGAIN}{shown}")) || process::is_closed_within(WATCH_PAUSE) {
            return ExitCode::from(exit::CLOSED);
        }
    }
}

/// The events, and below them on standard error what could not be read.
pub(super) fn log(directory: &Path, asked: Asked) -> ExitCode {
    let Asked { client, follow, code, outcome, verb, since, until, last, verbose, json } = asked;
    let wanted = Wanted { codes: code, ends: outcome, verbs: verb, since: None, until: None };
    let orders = log::Orders { client, wanted, since, until, last, follow, verbose, json };
    match log::log(directory, &orders, &mut put) {
        Ok((problems, code)) => {
            for problem in problems {
                let _ = writeln!(io::stderr(), "snapgate: {problem}");
            }
            ExitCode::from(code)
        }
        Err(failure) => print(Err(failure)),
    }
}

/// Writes a piece of text; `false` where nobody reads it.
fn put(text: &str) -> bool {
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}
