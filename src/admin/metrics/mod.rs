//! `snapgate metrics`: how each client stands, for Prometheus. A timer has it written every few
//! minutes, and so does each `snapgate maintain`; the node exporter reads the file.

use std::path::Path;

use crate::act::config;
use crate::act::inspect::running_uid;
use crate::act::record::spool::Stamp;
use crate::act::record::textfile;
use crate::admin::prune::{Failure, LOOK, Printed};
use crate::admin::status::{Standing, standings};
use crate::decide::policy::Site;
use crate::decide::speak::metrics::{Figures, text};
use crate::terms::exit;

/// The metrics; or, with `write`, nothing, and they stand in the file of the site's `metrics:`.
pub(crate) fn metrics(directory: &Path, write: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    if !write {
        return Ok((said(directory, &site)?, 0));
    }
    let Some(path) = &site.metrics else { return Ok((String::new(), 0)) };
    textfile::replace(path, &said(directory, &site)?).map_err(|what| (what, LOOK))?;
    Stamp::Ran("metrics").leave(&site.spool);
    Ok((String::new(), 0))
}

/// After a `maintain`: as root, which alone sees every client.
pub(crate) fn refresh(directory: &Path) -> Result<(), Failure> {
    if running_uid() == 0 { metrics(directory, true).map(drop) } else { Ok(()) }
}

fn said(directory: &Path, site: &Site) -> Result<String, Failure> {
    let figures: Vec<_> = standings(directory, site, None)?.into_iter().map(figures).collect();
    Ok(text(&figures, env!("CARGO_PKG_VERSION")))
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
    }
}
