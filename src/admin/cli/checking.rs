//! `snapgate check` on the command line: what it prints, and what it asks before it mends.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::act::inspect;
use crate::admin::check::{self, CheckReport, Step};
use crate::terms::exit;

use super::{forget, print};

/// How to check.
#[derive(Debug, Args)]
pub(super) struct Checking {
    /// Show everything that was looked at, and not only what is wrong
    #[arg(long)]
    pub(super) all: bool,
    /// Offer to mend what only takes a mode, an owner or an enabled unit: shows it, asks, does it
    #[arg(long, conflicts_with_all = ["json", "tell"])]
    pub(super) fix: bool,
    /// Do not ask before mending
    #[arg(long, requires = "fix")]
    pub(super) yes: bool,
    /// Answer in JSON
    #[arg(long, conflicts_with = "all")]
    pub(super) json: bool,
    /// Mail what was not wrong before; a timer or cron runs this
    #[arg(long)]
    pub(super) tell: bool,
}

/// Rounds in which something is mended: what was in the way may have hidden more.
const ROUNDS: usize = 3;

/// Checks, and does what else is asked for.
pub(super) fn check(directory: &Path, orders: &Checking) -> ExitCode {
    if let Some(code) = forget() {
        return code;
    }
    let mut report = check::run(directory, check::enforced);
    if orders.fix {
        match fix(directory, &mut report, orders.yes) {
            Ok(()) => {}
            Err(failure) => return print(Err(failure)),
        }
    }
    let mut code = u8::from(!report.is_clean());
    if orders.tell {
        let told = check::tell(directory, &report);
        if let Ok(Some(why)) | Err(why) = &told {
            let _ = writeln!(io::stderr(), "snapgate: {why}");
        }
        if told.is_err() {
            // Somebody was to hear of what is wrong, and has not: for a timer that is not the same as "told".
            code = exit::CONFIG;
        }
    }
    let text = match orders {
        Checking { json: true, .. } => format!("{:#}\n", report.json()),
        Checking { all: true, .. } => report.all(),
        Checking { .. } => report.short(),
    };
    print(Ok((text, code)))
}

/// Shows each remedy, asks, and does it. Ends with what is found then.
fn fix(directory: &Path, report: &mut CheckReport, yes: bool) -> Result<(), (String, u8)> {
    if inspect::running_uid() != 0 {
        return Err(("mending takes root\nrun it by sudo, or as root".to_owned(), exit::REFUSED));
    }
    let asks = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut tried: Vec<Step> = Vec::new();
    if check::steps(report).is_empty() && !report.is_clean() {
        let _ = writeln!(io::stdout(), "nothing that is wrong takes only a mode, an owner or an enabled unit: it is left to you\n");
    }
    for _ in 0..ROUNDS {
        let left: Vec<Step> =
            check::steps(report).into_iter().filter(|step| !tried.iter().any(|known| known.remedy == step.remedy)).collect();
        if left.is_empty() {
            break;
        }
        for step in &left {
            let told = mended(step, yes, asks).map_err(|error| (format!("asking: {error}"), exit::INTERNAL))?;
            let _ = writeln!(io::stdout(), "{told}");
        }
        tried.extend(left);
        if !yes && !asks {
            let _ = writeln!(io::stdout(), "nothing was done: run this at a terminal, or say --yes\n");
            return Ok(());
        }
        *report = check::run(directory, check::enforced);
    }
    Ok(())
}

/// What became of a step.
fn mended(step: &Step, yes: bool, asks: bool) -> io::Result<String> {
    let mut out = io::stdout();
    writeln!(out, "{}\n    {}", step.found, step.remedy)?;
    if !yes && !asks {
        return Ok(String::new());
    }
    if !yes {
        write!(out, "    do it? [y/N] ")?;
        out.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if !["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
            return Ok("    left as it is\n".to_owned());
        }
    }
    Ok(match check::mend(step) {
        Ok(()) => "    done\n".to_owned(),
        Err(why) => format!("    NOT done: {why}\n"),
    })
}
