//! `snapgate digest`.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::act::{clock, config, process};
use crate::admin::digest::{self, Done, Order};
use crate::admin::watch;
use crate::terms::exit;

/// What becomes of it; without anything it is shown.
#[derive(Debug, Args)]
pub(super) struct Digest {
    /// As HTML, in one file with its pictures
    #[arg(long, conflicts_with_all = ["mail", "if_due"])]
    html: bool,
    /// Mail it now; the next one comes when it is due all the same
    #[arg(long, conflicts_with = "if_due")]
    mail: bool,
    /// Mail it if it is due; a timer or cron runs this
    #[arg(long)]
    if_due: bool,
}

/// Makes it, and sends it if it is to be mailed.
pub(super) fn run(directory: &Path, asked: &Digest) -> ExitCode {
    let order = match asked {
        Digest { if_due: true, .. } => Order::IfDue,
        Digest { mail: true, .. } => Order::Mail,
        Digest { html, .. } => Order::Show { html: *html },
    };
    match digest::digest(directory, order, clock::now()) {
        Ok(Done::Shown(text)) => print(Ok((text, 0))),
        Ok(Done::Nothing) => ExitCode::SUCCESS,
        Ok(Done::Noted) => send(directory, order == Order::IfDue),
        Err(failure) => print(Err(failure)),
    }
}

/// Sends what waits, and it with that. cron mails any output, so to a timer nothing is said but what went
/// wrong.
fn send(directory: &Path, quiet: bool) -> ExitCode {
    let budget = watch::watchdog();
    process::bound_memory();
    let site = match config::load_site(directory) {
        Ok(site) => site,
        Err(fault) => return print(Err((fault.to_string(), exit::CONFIG))),
    };
    let report = watch::run_within(&site, false, &budget);
    watch::ended(&site);
    for problem in &report.problems {
        let _ = writeln!(io::stderr(), "snapgate: {problem}");
    }
    let code = if report.problems.is_empty() { 0 } else { exit::BUSY };
    print(Ok((if quiet && code == 0 { String::new() } else { format!("{report}\n") }, code)))
}
