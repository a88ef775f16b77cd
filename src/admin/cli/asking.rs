//! The commands that ask history: their words as a question, and the answer on standard output.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::args::{Of, Order};
use super::print;
use crate::act::{child, process};
use crate::admin::history::{self, Wanted};
use crate::decide::history::paint::Style;
use crate::decide::history::query::{Asked, Word};
use crate::terms::limits::ASK_TIME;
use crate::terms::{ClientName, exit};

/// A question as words: of which client, which word, and what stands behind it.
type Question = (Vec<ClientName>, Word, Vec<OsString>);

/// Asks, and shows the answer.
pub(super) fn ask(directory: &Path, order: Order) -> ExitCode {
    let asked = question(directory, order).and_then(|(clients, word, rest)| {
        let rest: Vec<&[u8]> = rest.iter().map(|word| word.as_bytes()).collect();
        let asked = Asked::read(word, &rest).map_err(|reason| {
            let advice = reason.hint.map(|hint| format!("\n{hint}")).unwrap_or_default();
            (format!("{}{advice}", reason.detail), exit::USAGE)
        })?;
        Ok((clients, asked))
    });
    let (clients, asked) = match asked {
        Ok(asked) => asked,
        Err(failure) => return print(Err(failure)),
    };
    let is_terminal = io::stdout().is_terminal();
    let width = process::columns().filter(|_| is_terminal && !asked.json);
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let style = Style { colour: is_terminal && !is_plain && !asked.json, width };
    let mut code = 0;
    for client in &clients {
        let several = format!("{client}:\n");
        let is_headed = clients.len() > 1 && !asked.json;
        if is_headed && io::stdout().write_all(several.as_bytes()).is_err() {
            return ExitCode::from(exit::CLOSED);
        }
        let mut show = |piece: &[u8]| child::hand_on(&io::stdout(), piece, Instant::now() + ASK_TIME);
        match history::ask(directory, &Wanted { client, asked: &asked, style, is_terminal }, &mut show) {
            Ok(0) => {}
            Ok(exit) => return ExitCode::from(exit),
            Err((what, exit)) => {
                let _ = writeln!(io::stderr(), "snapgate: {what}");
                code = exit;
            }
        }
    }
    ExitCode::from(code)
}

fn question(directory: &Path, order: Order) -> Result<Question, (String, u8)> {
    let option = |is_given: bool, word: &str| is_given.then(|| OsString::from(word)).into_iter();
    let end = || std::iter::once(OsString::from("--"));
    let one = |of: Of, word, options: Vec<OsString>, words: Vec<OsString>| {
        let rest = option(of.json, "--json").chain(options).chain(end()).chain(words).collect();
        Ok((vec![of.client], word, rest))
    };
    match order {
        Order::Ls { of, words } => one(of, Word::Ls, Vec::new(), words),
        Order::Cat { client, words } => Ok((vec![client], Word::Cat, end().chain(words).collect())),
        Order::Find { of, all, words } => one(of, Word::Find, option(all, "--all").collect(), words),
        Order::History { of, diffs, path } => one(of, Word::History, option(diffs, "-d").collect(), vec![path]),
        Order::Diff { of, old, new, path } => one(of, Word::Diff, Vec::new(), [old, new].into_iter().chain(path).collect()),
        Order::Yesterday { client, json, days, months, years, mut words } => {
            let back = [("-d", days), ("-m", months), ("-y", years)].into_iter();
            let back = back.filter_map(|(option, number)| Some([OsString::from(option), number?.to_string().into()])).flatten();
            let options: Vec<_> = back.collect();
            let client = match client {
                Some(client) => client,
                None => stored(directory, &mut words)?,
            };
            one(Of { client, json }, Word::Yesterday, options, words)
        }
        Order::Usage { client, json, .. } => {
            let clients = if client.is_empty() { history::clients(directory)? } else { client };
            Ok((clients, Word::Usage, option(json, "--json").collect()))
        }
        _ => Err(("this asks nothing of history".to_owned(), exit::INTERNAL)),
    }
}

/// The client whose snapshot a path leads into. The path becomes that within the snapshot.
fn stored(directory: &Path, words: &mut [OsString]) -> Result<ClientName, (String, u8)> {
    let Some(path) = words.last_mut() else { return Err(("no path is given\nname a file".to_owned(), exit::USAGE)) };
    let found = history::whose(directory, Path::new(path))?;
    let (client, place) = found.ok_or_else(|| {
        let help = "say with --client whose it is, or name a path in a snapshot on the store";
        (format!("`{}` is in no client's snapshot\n{help}", crate::terms::text::printable(path.as_bytes())), exit::USAGE)
    })?;
    *path = Path::new(".").join(place).into_os_string();
    Ok(client)
}
