//! Runs the administrator's command. Only this module prints.

mod args;
mod asked;
mod asking;
mod checking;
mod coming;
mod digest;
mod entering;
mod held;
mod helping;
mod manual;
mod standing;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, FromArgMatches as _};

use crate::act::child::{detach, errand};
use crate::act::{clock, config, inspect, process};
use crate::admin::explain::Question;
use crate::admin::{drill, explain, history, import, keys, maintain, metrics, prune, remap, restore, rsh, states, watch};
use crate::terms::{ClientName, build, exit};

use args::{Arguments, Order};
use held::Chosen;

/// The command line, for the program itself, and for what makes its manual pages and completions.
#[must_use]
pub fn command() -> Command {
    let more = "`snapgate help` lists topics besides the commands; snapgate(8) is the manual.";
    manual::added(Arguments::command().long_version(build::FACTS).after_help(more))
}

/// Runs the program.
#[must_use]
pub fn run(words: Vec<OsString>) -> ExitCode {
    if let Some((directory, asked)) = keys::asked(&words) {
        return print(keys::keys(directory, asked));
    }
    let read = command().try_get_matches_from(words).and_then(|found| Arguments::from_arg_matches(&found));
    match read {
        Ok(arguments) => obey(arguments),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 })
        }
    }
}

fn obey(arguments: Arguments) -> ExitCode {
    let directory = arguments.config;
    clock::begin(&directory);
    match arguments.order {
        Order::Help { words } => print(helping::help(&words)),
        Order::Watch { flush, test, detached } => watch(&directory, flush, test.as_ref(), detached),
        Order::Check(orders) => checking::check(&directory, &orders),
        Order::Keys(entering::Keys { account, kind, key }) => print(keys::keys(&directory, [&account, &kind, &key])),
        Order::Coming(order) => coming::run(&directory, order),
        Order::Explain { client, from, at, key, command } => {
            let command = command.map(OsString::into_vec).unwrap_or_default();
            print(explain::explain(&directory, &Question { client, from, at, key, command }))
        }
        Order::Restore { client, snapshot, path, to, force, dry_run, json } => {
            print(restore::restore(&directory, &restore::Orders { client, words: [snapshot, path], to, force, dry_run, json }))
        }
        Order::Drill { client, sample, seed, json } => {
            let quiet = client.is_empty() && !io::stdout().is_terminal() && !json;
            print(drill::drill(&directory, &drill::Orders { clients: client, sample, seed, quiet, json }))
        }
        Order::Import(entering::Import { what, file, keys, user, write }) => {
            let rules = what == entering::Former::Authprogs;
            print(import::import(&directory, &import::Orders { file, rules, keys, user, write }))
        }
        Order::DrillShell { at, command } => ended(
            errand::run(&at, command.get(1..).unwrap_or_default()).map_err(|error| (format!("reaching the gate: {error}"), exit::INTERNAL)),
        ),
        Order::Rsh(entering::Rsh { client, command }) => ended(rsh::rsh(&directory, &client, &command)),
        Order::RestoreSender { client, snapshot, path, dry_run, ignored: _ } => {
            ended(restore::send(&directory, &restore::Source { client, snapshot, path, dry_run }))
        }
        Order::Remap { client, dry_run } => print(remap::remap(&directory, &client, dry_run)),
        Order::Prune { client, dry_run, explain, simulate, every, yes_remove_many, json } => {
            let quiet = client.is_empty() && !io::stdout().is_terminal();
            let orders = prune::Orders { clients: client, dry_run, explain, simulate, every, yes_remove_many, quiet, json };
            print(prune::prune(&directory, &orders))
        }
        Order::Maintain { client, jobs, dry_run, json } => {
            let quiet = client.is_empty() && !io::stdout().is_terminal() && !json;
            maintain(&directory, &maintain::Orders { clients: client, jobs, dry_run, quiet, json })
        }
        Order::MaintainOne { client, dry_run } => print(maintain::one(&directory, &client, dry_run)),
        Order::Status { client, watch, json } => standing::status(&directory, client.as_ref(), watch, json),
        Order::Digest(asked) => digest::run(&directory, &asked),
        Order::Metrics { write } => print(metrics::metrics(&directory, write)),
        Order::Log(asked) => standing::log(&directory, asked),
        Order::Delete { client, snapshot, force, dry_run, json } => {
            print(prune::delete(&directory, &client, &snapshot, prune::How { force, dry_run, json }))
        }
        Order::Undelete { client, snapshot, json } => print(prune::undelete(&directory, &client, &snapshot, json)),
        Order::Protect { client, snapshot, until, why, json } => {
            print(prune::protect(&directory, &client, &prune::Wish { snapshot: &snapshot, until, why: &why }, json))
        }
        Order::Unprotect { client, snapshot, json } => print(prune::unprotect(&directory, &client, &snapshot, json)),
        Order::Release(Chosen { client, snapshot, why, json }) => print(prune::release(&directory, &client, &snapshot, &why, json)),
        Order::Discard(Chosen { client, snapshot, why, json }) => print(prune::discard(&directory, &client, &snapshot, &why, json)),
        Order::Usage { client, recount, snapshots: false, json } => print(prune::usage(&directory, &client, recount, json)),
        Order::List { client, json } => print(history::list(&directory, client.as_ref(), json).map_err(|what| (what, exit::CONFIG))),
        Order::AnswerHistory { client, administrator, words } => {
            ExitCode::from(history::answer(&directory, &client, administrator, &words))
        }
        Order::ReadHistory { order } => ExitCode::from(history::read(&order)),
        order @ (Order::Usage { .. }
        | Order::Ls { .. }
        | Order::Cat { .. }
        | Order::Find { .. }
        | Order::History { .. }
        | Order::Yesterday { .. }
        | Order::Diff { .. }) => asking::ask(&directory, order),
    }
}

/// How a command of rsync's has ended: standard output is rsync's.
fn ended(ran: Result<u8, (String, u8)>) -> ExitCode {
    ran.map_or_else(|what| print(Err(what)), ExitCode::from)
}

fn maintain(directory: &Path, orders: &maintain::Orders) -> ExitCode {
    let code = print(maintain::maintain(directory, orders));
    // What it has done for all shows there.
    let is_seen = orders.clients.is_empty() && !orders.dry_run;
    match if is_seen { metrics::refresh(directory) } else { Ok(()) } {
        Ok(()) => code,
        Err(failure) => print(Err(failure)),
    }
}

fn watch(directory: &Path, flush: bool, test: Option<&ClientName>, detached: bool) -> ExitCode {
    let budget = watch::watchdog();
    process::bound_memory();
    process::many_files();
    if detached {
        detach::leave_session();
        process::close_inherited();
    }
    let site = match config::load_site(directory) {
        Ok(site) => site,
        Err(fault) => return print(Err((fault.to_string(), exit::CONFIG))),
    };
    if let Some(client) = test {
        return print(watch::test(directory, &site, client));
    }
    // What waits leaves before a look, which takes its time. A gate's own watch comes with every
    // connection: it sends, and looks for nothing.
    let mut report = watch::run_within(&site, flush, &budget);
    let looked = if detached { Ok(false) } else { states::look(directory, &site, clock::now()) };
    if !detached && states::has_news(&site) {
        report = report.and(watch::run_within(&site, false, &budget));
    }
    watch::ended(&site);
    for problem in looked.as_ref().err().into_iter().chain(&report.problems) {
        let _ = writeln!(io::stderr(), "snapgate: {problem}");
    }
    let code = if report.problems.is_empty() && looked.is_ok() { 0 } else { exit::BUSY };
    // cron mails any output, so an idle pass prints nothing.
    let text = if report == watch::WatchReport::default() { String::new() } else { format!("{report}\n") };
    print(Ok((text, code)))
}

/// Children of `check` become the accounts', which may read their memory. What came of it, if it went wrong.
fn forget() -> Option<ExitCode> {
    if inspect::running_uid() != 0 {
        return None;
    }
    let failed = process::forget_environment().err()?;
    Some(print(Err((format!("cannot begin without the environment: {failed}"), exit::INTERNAL))))
}

/// Prints an answer or an error, each with its exit code.
fn print(answer: Result<(String, u8), (String, u8)>) -> ExitCode {
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

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }
}
