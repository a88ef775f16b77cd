//! Runs the administrator's command. Only this module prints.

mod args;
mod asking;
mod checking;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use crate::act::child::{detach, errand};
use crate::act::{clock, config, process};
use crate::admin::explain::Question;
use crate::admin::{drill, explain, history, maintain, prune, remap, restore, status, watch};
use crate::terms::exit;

use args::{Arguments, Chosen, Order};

/// Runs the program.
#[must_use]
pub fn run(words: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    let directory = arguments.config;
    clock::begin(&directory);
    match arguments.order {
        Order::Watch { flush, detached } => watch(&directory, flush, detached),
        Order::Check(orders) => checking::check(&directory, &orders),
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
        // rsync uses standard output of these two.
        Order::DrillShell { at, command } => match errand::run(&at, command.get(1..).unwrap_or_default()) {
            Ok(code) => ExitCode::from(code),
            Err(error) => print(Err((format!("reaching the gate: {error}"), exit::INTERNAL))),
        },
        Order::RestoreSender { client, snapshot, path, dry_run, ignored: _ } => {
            let sent = restore::send(&directory, &restore::Source { client, snapshot, path, dry_run });
            sent.map_or_else(|what| print(Err(what)), ExitCode::from)
        }
        Order::Remap { client, dry_run } => print(remap::remap(&directory, &client, dry_run)),
        Order::Prune { client, dry_run, explain, simulate, every, yes_remove_many, json } => {
            let quiet = client.is_empty() && !io::stdout().is_terminal();
            let orders = prune::Orders { clients: client, dry_run, explain, simulate, every, yes_remove_many, quiet, json };
            print(prune::prune(&directory, &orders))
        }
        Order::Maintain { client, jobs, dry_run, json } => {
            let quiet = client.is_empty() && !io::stdout().is_terminal() && !json;
            print(maintain::maintain(&directory, &maintain::Orders { clients: client, jobs, dry_run, quiet, json }))
        }
        Order::MaintainOne { client, dry_run } => print(maintain::one(&directory, &client, dry_run)),
        Order::Status { client, json } => print(status::status(&directory, client.as_ref(), json)),
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

fn watch(directory: &Path, flush: bool, detached: bool) -> ExitCode {
    watch::watchdog();
    process::bound_memory();
    if detached {
        detach::leave_session();
        process::close_inherited();
    }
    let site = match config::load_site(directory) {
        Ok(site) => site,
        Err(fault) => return print(Err((fault.to_string(), exit::CONFIG))),
    };
    let report = watch::run(&site, flush);
    for problem in &report.problems {
        let _ = writeln!(io::stderr(), "snapgate: {problem}");
    }
    let code = if report.problems.is_empty() { 0 } else { exit::BUSY };
    // cron mails any output, so an idle pass prints nothing.
    let text = if report == watch::WatchReport::default() { String::new() } else { format!("{report}\n") };
    print(Ok((text, code)))
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
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
