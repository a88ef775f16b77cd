//! `snapgate status`: how each client stands, in a table. It reads directories and small notes, and
//! walks no tree, so it answers at once however many snapshots there are.

mod table;

pub(in crate::admin) use table::fitted;

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::act::inspect::running_uid;
use crate::act::prune::{Opened, Place};
use crate::act::record::spool;
use crate::act::store::mounted;
use crate::act::{clock, config, names, several};
use crate::admin::maintain::{Facts, due};
use crate::admin::prune::{Client, Failure, LOOK, Printed, failure};
use crate::admin::states;
use crate::decide::policy::{Policy, Site};
use crate::decide::quota::Holding;
use crate::decide::speak::states::{Kind, Lasting};
use crate::terms::text::printable_path;
use crate::terms::{ClientName, Code, Outcome, PushFacts, View, exit};

/// A client as it stands.
#[derive(Debug, Default, Serialize)]
pub(in crate::admin) struct Standing {
    pub(in crate::admin) client: String,
    /// When the newest snapshot began.
    pub(in crate::admin) newest: Option<DateTime<Utc>>,
    /// How long ago that was.
    age_seconds: Option<i64>,
    /// How its last try to back up ended.
    pub(in crate::admin) last: Option<Last>,
    pub(in crate::admin) snapshots: usize,
    /// Bytes that the client uses, where they were counted, and that it may use.
    pub(in crate::admin) used_bytes: Option<u64>,
    pub(in crate::admin) quota_bytes: Option<u64>,
    /// The same of inodes.
    pub(in crate::admin) used_inodes: Option<u64>,
    pub(in crate::admin) quota_inodes: Option<u64>,
    /// Snapshots that are held.
    pub(in crate::admin) held: Option<usize>,
    /// How many wait in the trash.
    pub(in crate::admin) trash: usize,
    /// What lasts, as the last `snapgate watch` found it.
    pub(in crate::admin) states: Vec<State>,
    /// What it reads while it is frozen.
    frozen: Option<String>,
    /// What the next `snapgate maintain` has to do.
    pub(in crate::admin) due: Vec<&'static str>,
    /// The last push of which the end of its ledger says something.
    #[serde(skip)]
    pub(in crate::admin) push: Option<(DateTime<Utc>, PushFacts)>,
    /// Why nothing more is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) problem: Option<String>,
}

/// What lasts of a client.
#[derive(Debug, Clone, Serialize)]
pub(in crate::admin) struct State {
    pub(in crate::admin) kind: Kind,
    since: DateTime<Utc>,
    what: String,
}

impl State {
    fn of(lasting: &Lasting) -> Self {
        Self { kind: lasting.kind, since: lasting.since, what: lasting.what.clone() }
    }
}

/// How a try to back up ended.
#[derive(Debug, Clone, Serialize)]
pub(in crate::admin) struct Last {
    /// When it began.
    pub(in crate::admin) at: DateTime<Utc>,
    pub(in crate::admin) outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) code: Option<Code>,
}

/// The table, or its rows in JSON. The exit code is 1 where something is not known of a client.
pub(crate) fn status(directory: &Path, client: Option<&ClientName>, json: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let mut all = standings(directory, &site, client)?;
    let memory = states::of(&site);
    for standing in &mut all {
        // Whoever is frozen is not missed, though nobody may have looked since.
        let is_its = |state: &&Lasting| state.client.as_ref().is_some_and(|client| client.as_str() == standing.client);
        let its = memory.lasting().filter(is_its).filter(|_| standing.frozen.is_none());
        standing.states = its.map(State::of).collect();
    }
    let code = if all.iter().any(|standing| standing.problem.is_some()) { LOOK } else { 0 };
    if json {
        let json = serde_json::to_string_pretty(&all).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))?;
        return Ok((json + "\n", code));
    }
    if all.is_empty() {
        return Ok((format!("no client yet: there is no policy in {}\n", directory.join("policies").display()), code));
    }
    let of_the_server = memory.lasting().filter(|state| state.client.is_none() && client.is_none()).map(State::of);
    Ok((table::draw(&all, &of_the_server.collect::<Vec<_>>()), code))
}

/// How this client stands, or all for which this process may ask.
pub(in crate::admin) fn standings(directory: &Path, site: &Site, client: Option<&ClientName>) -> Result<Vec<Standing>, Failure> {
    let policies = match client {
        Some(name) => vec![(name.clone(), Ok(Client::find(directory, site, name)?.policy))],
        None => {
            let all = config::all_policies(directory, site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
            all.into_iter().map(|(name, policy)| (name, policy.map_err(|fault| (fault.to_string(), exit::CONFIG)))).collect()
        }
    };
    let all = several::each(policies, several::processors(), |(name, policy)| {
        let standing = policy.and_then(|policy| of(site, &policy)).transpose()?;
        let failed = |(what, _)| Standing { client: name.to_string(), problem: Some(what), ..Standing::default() };
        Some(standing.unwrap_or_else(failed))
    });
    Ok(all.into_iter().flatten().collect())
}

/// How a client stands; `None` if it is another account's. This reads names and the gate's own
/// notes, by descriptor and through no link, and so may be root.
pub(in crate::admin) fn of(site: &Site, policy: &Policy) -> Result<Option<Standing>, Failure> {
    let unknown = || (format!("there is no account `{}`, which the policy names", policy.user), exit::CONFIG);
    let account = names::named(&policy.user).ok_or_else(unknown)?;
    if ![0, account.uid].contains(&running_uid()) {
        return Ok(None);
    }
    mounted(policy, site).map_err(failure)?;
    let (last, push) = last(policy, account.uid);
    let frozen = policy.frozen.clone();
    let standing = Standing { client: policy.client.to_string(), last, push, frozen, ..Standing::default() };
    let Some(opened) = Opened::open(&policy.path, account.uid).map_err(failure)? else {
        let was_here = spool::was_published(&site.spool, account.uid, &policy.client);
        let missing = was_here.then(|| format!("the repository `{}` is missing", printable_path(&policy.path)));
        return Ok(Some(Standing { problem: missing, ..standing }));
    };
    let now = clock::now();
    let facts = Facts::of(policy, site, now, &opened)?;
    let Holding { used, due: is_unknown, .. } = facts.holding;
    Ok(Some(Standing {
        newest: facts.newest,
        age_seconds: facts.newest.map(|newest| (now - newest).num_seconds().max(0)),
        snapshots: facts.snapshots,
        used_bytes: (!is_unknown).then_some(used.bytes),
        quota_bytes: policy.quota.bytes,
        used_inodes: (!is_unknown).then_some(used.inodes),
        quota_inodes: policy.quota.inodes,
        held: Some(facts.held),
        trash: facts.trash,
        due: due(&facts),
        ..standing
    }))
}

/// How its last try to back up ended, and the last push that did.
fn last(policy: &Policy, uid: u32) -> (Option<Last>, Option<(DateTime<Utc>, PushFacts)>) {
    let (mut last, mut push) = (None, None);
    // What cannot be read is wrong for the rest as well, which says so.
    let Ok(Some(place)) = Place::of_repository(&policy.path, uid) else { return (None, None) };
    let _ = place.newest_first(|event| {
        if let View::Visit(visit) = event.view() {
            if last.is_none() && visit.verb.is_none_or(|verb| verb.row().backs_up) {
                let code = visit.code().filter(|code| code.as_str() != visit.result.as_str());
                last = Some(Last { at: event.at, outcome: visit.result, code });
            }
            if let Some(facts) = visit.push.filter(|_| push.is_none() && visit.result == Outcome::Published) {
                push = Some((event.at, facts.clone()));
            }
        }
        last.is_none() || push.is_none()
    });
    (last, push)
}
