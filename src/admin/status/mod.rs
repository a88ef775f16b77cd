//! `snapgate status`: how each client stands, in a table. It reads directories and small notes, and
//! walks no tree, so it answers at once however many snapshots there are.

mod table;

use std::num::NonZero;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::act::{clock, config};
use crate::admin::maintain::{Facts, due};
use crate::admin::prune::{Client, Failure, LOOK, Printed};
use crate::decide::policy::{Policy, Site};
use crate::terms::{ClientName, exit};

/// A client as it stands.
#[derive(Debug, Default, Serialize)]
struct Standing {
    client: String,
    /// When the newest snapshot began.
    newest: Option<DateTime<Utc>>,
    /// How long ago that was.
    age_seconds: Option<i64>,
    snapshots: usize,
    /// Bytes that the client uses, and that it may use. Nobody counts them yet.
    used_bytes: Option<u64>,
    quota_bytes: Option<u64>,
    /// Snapshots that are held. Nothing holds any yet.
    held: Option<usize>,
    /// How many wait in the trash.
    trash: usize,
    /// What the next `snapgate maintain` has to do.
    due: Vec<&'static str>,
    /// Why nothing more is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The table, or its rows in JSON. The exit code is 1 where something is not known of a client.
pub(crate) fn status(directory: &Path, client: Option<&ClientName>, json: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let policies = match client {
        Some(name) => vec![(name.clone(), Ok(Client::find(directory, &site, name)?.policy))],
        None => {
            let all = config::all_policies(directory, &site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
            all.into_iter().map(|(name, policy)| (name, policy.map_err(|fault| (fault.to_string(), exit::CONFIG)))).collect()
        }
    };
    let all = each(directory, &site, policies);
    let code = if all.iter().any(|standing| standing.problem.is_some()) { LOOK } else { 0 };
    if json {
        let json = serde_json::to_string_pretty(&all).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))?;
        return Ok((json + "\n", code));
    }
    if all.is_empty() {
        return Ok((format!("no client yet: there is no policy in {}\n", directory.join("policies").display()), code));
    }
    Ok((table::draw(&all), code))
}

fn each(directory: &Path, site: &Site, policies: Vec<(ClientName, Result<Policy, Failure>)>) -> Vec<Standing> {
    let queue = Mutex::new(policies.into_iter());
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((name, policy)) = next else { return };
            let client = policy.and_then(|policy| Client::of(directory, site, policy));
            let standing = match client {
                Ok(None) => None,
                Ok(Some(client)) => Some(of(&client)),
                Err((what, _)) => Some(Standing { client: name.to_string(), problem: Some(what), ..Standing::default() }),
            };
            done.lock().unwrap_or_else(PoisonError::into_inner).extend(standing);
        }
    };
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism().map_or(1, NonZero::get) {
            // With fewer it takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut all = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by(|one, other| one.client.cmp(&other.client));
    all
}

fn of(client: &Client<'_>) -> Standing {
    let standing = Standing { client: client.name().to_string(), ..Standing::default() };
    let facts = client.open().and_then(|opened| opened.map(|opened| Facts::of(client, &opened)).transpose());
    match facts {
        Ok(None) => Standing { problem: client.lost().map(|(what, _)| what), ..standing },
        Ok(Some(facts)) => Standing {
            newest: facts.newest,
            age_seconds: facts.newest.map(|newest| (clock::now() - newest).num_seconds().max(0)),
            snapshots: facts.snapshots,
            trash: facts.trash,
            due: due(&facts),
            ..standing
        },
        Err((what, _)) => Standing { problem: Some(what), ..standing },
    }
}
