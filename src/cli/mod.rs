//! The command line. The only place that writes to standard output, and never while rsync speaks there.

mod args;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;

use crate::act::{config, detach, inspect, jail, process};
use crate::check::Part;
use crate::decide::namespaces::{self, Lack};
use crate::decide::policy::{Policy, Site};
use crate::enclose::Whom;
use crate::explain::Question;
use crate::export::Wanted;
use crate::serve::Answer;
use crate::terms::limits::MAX_TRIED_ACCOUNTS;
use crate::terms::{ClientName, Owners, exit};
use crate::{check, enclose, explain, export, list, names, remap, rrsync, serve, watch};

use args::{Arguments, DEFAULT_CONFIG, Order};

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    // Every connection pays for its start, and building clap's parser would be the larger part of it.
    if let Some((directory, client)) = serve_order(words.get(1..).unwrap_or_default()) {
        return show(serve::serve(&directory, client));
    }
    if let Some((directory, rest)) = rrsync_order(&words) {
        return show(rrsync::rrsync(&directory, rest));
    }
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    let directory = arguments.config;
    match arguments.order {
        Order::Serve { client } => show(serve::serve(&directory, client)),
        Order::Rrsync { words } => show(rrsync::rrsync(&directory, &words)),
        Order::Watch { flush, detached } => watch(&directory, flush, detached),
        Order::Check => check(&directory),
        Order::Explain { client, from, at, key, command } => {
            let command = command.map(OsString::into_vec).unwrap_or_default();
            said(explain::explain(&directory, &Question { client, from, at, key, command }))
        }
        Order::Export { client, snapshot, path, to } => {
            let wanted = Wanted { client, snapshot, path: path.unwrap_or_default() };
            said(export::export(&directory, &wanted, &to).map(|text| (text, 0)))
        }
        // Standard output is rsync's.
        Order::ExportSender { client, snapshot, path, ignored: _ } => {
            let sent = export::send(&directory, &Wanted { client, snapshot, path });
            sent.map_or_else(|what| said(Err(what)), ExitCode::from)
        }
        Order::Remap { client, dry_run } => said(remap::remap(&directory, &client, dry_run)),
        Order::List { client } => said(list::list(&directory, client.as_ref()).map_err(|what| (what, exit::CONFIG))),
    }
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

fn watch(directory: &Path, flush: bool, detached: bool) -> ExitCode {
    watch::watchdog();
    process::bound_memory();
    if detached {
        detach::leave_session();
        process::close_inherited();
    }
    let site = match config::load_site(directory) {
        Ok(site) => site,
        Err(fault) => return said(Err((fault.to_string(), exit::CONFIG))),
    };
    let report = watch::run(&site, flush);
    for problem in &report.problems {
        let _ = writeln!(io::stderr(), "snapgate: {problem}");
    }
    let code = if report.problems.is_empty() { 0 } else { exit::BUSY };
    // cron mails whatever is printed, so a pass that had nothing to do says nothing.
    let text = if report == watch::WatchReport::default() { String::new() } else { format!("{report}\n") };
    said(Ok((text, code)))
}

fn check(directory: &Path) -> ExitCode {
    // Processes of its become its accounts', which may look into them.
    if inspect::running_uid() == 0
        && let Err(error) = process::forget_environment()
    {
        return said(Err((format!("cannot begin without the environment: {error}"), exit::INTERNAL)));
    }
    let report = check::run(directory, enforced);
    let lines: Vec<_> = report.problems.iter().chain(&report.notes).chain([&report.summary()]).map(|line| format!("{line}\n")).collect();
    said(Ok((lines.concat(), u8::from(!report.is_clean()))))
}

/// What holds rsync on this machine. Namespaces and capabilities are had by account.
fn enforced(site: &Site, policies: &[Policy]) -> Vec<Part> {
    let or_off = || "mend what is said there, or write `jail: off` and know what that means".to_owned();
    let part = |(number, (holds, what)): (usize, (bool, &str))| {
        // The first says whether the jail holds at all.
        let why = if number == 0 { "the kernel has no Landlock, or one before 5.19" } else { "the kernel does not know it" };
        Part { what: what.to_owned(), untried: false, missing: (!holds).then(|| why.to_owned()), help: (number == 0).then(or_off) }
    };
    let mut parts: Vec<_> = jail::describe().into_iter().enumerate().map(part).collect();
    let mut told = Vec::new();
    let mut asked = asked_for(site, policies);
    let left = asked.split_off(asked.len().min(MAX_TRIED_ACCOUNTS));
    for (whose, whom) in asked {
        let lack = enclose::can_have_a_view(&site.rsync, &whom).err().map(Lack::Kept);
        let unasked = enclose::can_be_asked(&site.rsync, &whom).err();
        let found = [lack.as_ref().map(ToString::to_string), unasked.clone()];
        // What is the same for several accounts is said of the first.
        if whom.account.is_some() && told.contains(&found) {
            continue;
        }
        told.push(found);
        let owners = whom.mapping.map_or(Owners::Account, Owners::Mapped);
        let help = lack.as_ref().and_then(|lack| namespaces::without(lack, site, &owners).err()?.remedy);
        parts.push(Part { what: format!("{VIEW}{whose}"), untried: false, missing: lack.map(|lack| lack.to_string()), help });
        parts.push(Part { what: format!("links made by the gate alone{whose}"), untried: false, missing: unasked, help: Some(or_off()) });
    }
    if !left.is_empty() {
        let what = format!("{VIEW} and links made by the gate alone, for {} further accounts", left.len());
        parts.push(Part { what, untried: true, missing: None, help: None });
    }
    parts
}

/// The part of the jail that is had by account.
const VIEW: &str = "a file system of its own";

/// Whom root asks for: the accounts of the clients, each once in each of its ways, and root itself where it is one of them. Anybody else asks for
/// themselves.
fn asked_for(site: &Site, policies: &[Policy]) -> Vec<(String, Whom)> {
    let mut asked: Vec<(String, Whom)> = Vec::new();
    if inspect::running_uid() == 0 {
        for policy in policies {
            let Some(account) = names::named(&policy.user) else { continue };
            let mapping = serve::owners(site, policy, &account).ok().and_then(|owners| owners.mapping().cloned());
            let whose = format!(" (asked for `{}`)", account.name);
            let is_known = asked.iter().any(|(known, whom)| *known == whose && whom.mapping == mapping);
            if !is_known {
                let groups = names::groups(&account).unwrap_or_else(|| vec![account.group]);
                asked.push((whose, Whom { account: (!account.is_root()).then_some((account, groups)), mapping }));
            }
        }
    }
    // Root's own comes last.
    asked.sort_by_key(|(_, whom)| whom.account.is_none());
    if asked.is_empty() { vec![(String::new(), Whom::default())] } else { asked }
}

/// Prints what a connection is answered. The client may be gone, and that is nobody's error.
fn show(answer: Answer) -> ExitCode {
    let _ = io::stdout().write_all(answer.text.as_bytes()).and_then(|()| io::stdout().flush());
    for line in answer.lines {
        let _ = writeln!(io::stderr(), "{line}");
    }
    ExitCode::from(answer.exit)
}

/// Prints what an administrator asked for, or why there is no answer; each with its exit code.
fn said(answer: Result<(String, u8), (String, u8)>) -> ExitCode {
    match answer {
        Ok((text, code)) => {
            let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
            ExitCode::from(if written.is_ok() { code } else { exit::INTERNAL })
        }
        Err((text, code)) => {
            let _ = writeln!(io::stderr(), "snapgate: {text}");
            ExitCode::from(code)
        }
    }
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

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
