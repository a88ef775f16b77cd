//! `snapgate metrics`: how each client stands, for Prometheus. A timer has it written every few
//! minutes, and so does each `snapgate maintain`; the node exporter reads the file.

mod sums;

use std::path::Path;

use self::sums::Held;

use crate::act::config;
use crate::act::inspect::running_uid;
use crate::act::record::spool::Stamp;
use crate::act::record::textfile;
use crate::admin::prune::{Failure, LOOK, Printed};
use crate::admin::status::{Standing, standings};
use crate::decide::speak::metrics::{Figures, Stand, text};
use crate::terms::{ClientName, exit};

/// The metrics; or, with `write`, nothing, and they stand in the file of the site's `metrics:`.
pub(crate) fn metrics(directory: &Path, write: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    if write && site.metrics.is_none() {
        return Ok((String::new(), 0));
    }
    let standings = standings(directory, &site, None)?;
    let clients = standings.iter().filter_map(|standing| standing.client.parse().ok()).collect();
    // Without sums the rest is told all the same.
    let (held, uncounted) = match sums::count(directory, &site, &clients) {
        Ok(held) => (Some(held), None),
        Err(what) => (None, Some(what)),
    };
    let stand = stand(standings, held.as_ref());
    let problem = uncounted.or_else(|| held.as_ref().and_then(|held| held.problem.clone()));
    let Some(path) = site.metrics.as_ref().filter(|_| write) else {
        // Whoever only looks need not have a spool; Prometheus passes over comments.
        let said: String = problem.iter().flat_map(|what| what.lines()).map(|line| format!("# {line}\n")).collect();
        return Ok((said + &text(&stand), 0));
    };
    textfile::replace(path, &text(&stand)).map_err(|what| (what, LOOK))?;
    Stamp::Ran("metrics").leave(&site.spool);
    problem.map_or(Ok((String::new(), 0)), |what| Err((what, LOOK)))
}

/// After a `maintain`: as root, which alone sees every client.
pub(crate) fn refresh(directory: &Path) -> Result<(), Failure> {
    if running_uid() == 0 { metrics(directory, true).map(drop) } else { Ok(()) }
}

fn stand(standings: Vec<Standing>, held: Option<&Held>) -> Stand {
    let sums = |client: &str| {
        let client: ClientName = client.parse().ok()?;
        held?.counts.clients.get(&client).map(|counted| counted.sums.clone())
    };
    let clients = standings.into_iter().map(figures).map(|of| Figures { sums: sums(&of.client), ..of }).collect();
    Stand { version: env!("CARGO_PKG_VERSION"), clients, accounts: held.map(|held| held.accounts.clone()).unwrap_or_default() }
}

fn figures(standing: Standing) -> Figures {
    let Standing {
        client,
        newest,
        last,
        snapshots,
        used_bytes,
        quota_bytes,
        used_inodes,
        quota_inodes,
        held,
        trash,
        due,
        push,
        problem,
        ..
    } = standing;
    let is_known = problem.is_none();
    Figures {
        client,
        newest,
        tried: last.map(|last| (last.at, last.outcome.served())),
        push: push.map(|(_, facts)| facts),
        snapshots: is_known.then_some([snapshots, held.unwrap_or(0), trash]),
        used: used_bytes.zip(used_inodes).map(|(bytes, inodes)| [bytes, inodes]),
        quota: [quota_bytes, quota_inodes],
        due: is_known.then_some(due.len()),
        problem: !is_known,
        sums: None,
    }
}
