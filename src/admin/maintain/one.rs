//! One client's upkeep, in a process of its own. It works on the client's files as the client's
//! account.

use std::path::Path;

use super::needs;
use super::tasks::{Facts, TASKS};
use super::told::Summary;
use crate::act::prune::Opened;
use crate::act::{config, process};
use crate::admin::prune::{Client, Failure, Printed};
use crate::admin::states;
use crate::terms::{ClientName, exit};

/// Does what is due, and says it for the program that started this one.
pub(crate) fn one(directory: &Path, name: &ClientName, dry_run: bool) -> Result<Printed, Failure> {
    process::many_files();
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let summary = match Client::find(directory, &site, name) {
        Ok(client) => cared(&client, dry_run),
        Err(failure) => Summary::of(name, dry_run).unreadable(failure),
    };
    let json = serde_json::to_string(&summary).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))?;
    Ok((json, 0))
}

fn cared(client: &Client<'_>, dry_run: bool) -> Summary {
    let mut summary = Summary::of(client.name(), dry_run);
    let facts = client.reaching(|| client.open()?.map(|opened| Facts::of(&client.policy, client.site, client.now, &opened)).transpose());
    let facts = match facts {
        Ok(Some(facts)) => facts,
        Ok(None) => return client.gone().into_iter().fold(summary, Summary::unreadable),
        // What the account alone cannot read no look for states finds.
        Err(failure) if states::can_read(&client.policy, client.site) => return summary.failed(failure),
        Err(failure) => return summary.unreadable(failure),
    };
    summary.waiting = facts.trash;
    let mut last = facts.last.clone();
    for task in TASKS.iter().filter(|task| task.always || (task.is_due)(&facts)) {
        let mut done = (task.run)(client, dry_run, &mut summary);
        if is_held_up(&done) && !is_busy(client) {
            // By a push that has just ended, or by something else.
            done = (task.run)(client, dry_run, &mut summary);
        }
        match done {
            Ok(()) => {
                summary.done.push(task.word.to_owned());
                last.insert(task.word.to_owned(), client.now);
            }
            Err((_, exit::BUSY)) if is_busy(client) => summary.busy = true,
            Err(failure) => summary = summary.failed(failure),
        }
    }
    if facts.held > 0 {
        let held = if facts.held == 1 { "1 snapshot is".to_owned() } else { format!("{} snapshots are", facts.held) };
        let what = "held, because it may be damage\nlook at it, then `snapgate release` or `snapgate discard`";
        summary.problems.push(format!("{held} {what}"));
    }
    if let Some(why) = &facts.unread {
        let help = "move it away: the next good push begins it anew";
        summary.problems.push(format!("{why}: as long as it is so, pushes are compared with the last good one alone\n{help}"));
    }
    if !dry_run {
        if last != facts.last {
            // While a push runs the next one does it again, which does no harm.
            let _ = client.reaching(|| client.hold(&client.existing()?)?.has_maintained(&last).map_err(crate::admin::prune::failure));
        }
        needs::record(client, &mut summary);
    }
    summary.problems.extend(client.lost());
    summary.mailed = summary.problems.len();
    summary
}

fn is_held_up(done: &Result<(), Failure>) -> bool {
    matches!(done, Err((_, exit::BUSY)))
}

/// Whether a push is running.
fn is_busy(client: &Client<'_>) -> bool {
    client.reaching(|| Ok(client.open()?.as_ref().is_some_and(Opened::is_busy))).unwrap_or(false)
}
