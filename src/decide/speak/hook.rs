//! What a hook is told of its push, in variables of its environment.
//!
//! Nothing in here is a client's word: names were checked where they were made, and the rest are
//! the gate's own counts. Where a push went inside the snapshot is a client's choice, so no hook is
//! told.

use std::ffi::OsString;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::terms::{ClientName, Peer, PushFacts};

/// What there is to tell.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// Which list the hook stands in, `prepare` or `complete`.
    pub hook: &'a str,
    /// The client.
    pub client: &'a ClientName,
    /// The connection's id, as in the ledger.
    pub id: &'a str,
    /// When that began.
    pub at: DateTime<Utc>,
    /// Where the client is.
    pub address: Option<&'a Peer>,
    /// The repository.
    pub repository: &'a Path,
    /// Where a push lands.
    pub inprogress: &'a Path,
    /// What was published: where it stands, and what is known of it. Nothing before.
    pub published: Option<(&'a Path, &'a PushFacts)>,
}

/// All variables, each time: unknown ones are empty, for scripts under `set -u`.
pub fn variables(occasion: Occasion<'_>) -> Vec<(&'static str, OsString)> {
    let Occasion { hook, client, id, at, address, repository, inprogress, published } = occasion;
    let facts = published.map(|(_, facts)| facts);
    let snapshot = published.map(|(path, _)| path);
    let count =
        |pick: fn(&PushFacts) -> Option<u64>| OsString::from(facts.and_then(pick).map(|count| count.to_string()).unwrap_or_default());
    let began = facts.and_then(|facts| facts.prepared).unwrap_or(at);
    let outcome = facts.map_or("", |facts| if facts.partial { "partial" } else { "published" });
    let exit = facts.and_then(|facts| facts.rsync_exit).map(|exit| exit.to_string());
    vec![
        ("SNAPGATE_HOOK", hook.into()),
        ("SNAPGATE_CLIENT", client.as_str().into()),
        ("SNAPGATE_ID", id.into()),
        ("SNAPGATE_ADDRESS", address.map(ToString::to_string).unwrap_or_default().into()),
        ("SNAPGATE_BEGAN", began.format("%Y-%m-%dT%H:%M:%SZ").to_string().into()),
        ("SNAPGATE_REPOSITORY", repository.into()),
        ("SNAPGATE_INPROGRESS", inprogress.into()),
        ("SNAPGATE_SNAPSHOT", snapshot.unwrap_or(Path::new("")).into()),
        ("SNAPGATE_NAME", facts.and_then(|facts| facts.snapshot.clone()).unwrap_or_default().into()),
        ("SNAPGATE_OUTCOME", outcome.into()),
        ("SNAPGATE_RSYNC_EXIT", exit.unwrap_or_default().into()),
        ("SNAPGATE_SECONDS", facts.map(|facts| format!("{:.0}", facts.seconds)).unwrap_or_default().into()),
        ("SNAPGATE_FILES", count(|facts| Some(facts.files))),
        ("SNAPGATE_BYTES", count(|facts| Some(facts.bytes))),
        ("SNAPGATE_LINKED", count(|facts| Some(facts.linked))),
        ("SNAPGATE_RECEIVED", count(|facts| Some(facts.received))),
        ("SNAPGATE_RECEIVED_BYTES", count(|facts| Some(facts.received_bytes))),
        ("SNAPGATE_SKIPPED", count(|facts| Some(facts.skipped))),
        ("SNAPGATE_WIRE_BYTES", count(|facts| facts.wire_bytes)),
        ("SNAPGATE_FREE_BYTES", count(|facts| facts.free_bytes)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::decide::speak::message::samples;

    fn told(published: Option<(&Path, &PushFacts)>) -> BTreeMap<&'static str, String> {
        let record = samples::published();
        let client = record.client.clone().unwrap();
        let occasion = Occasion {
            hook: "complete",
            client: &client,
            id: &record.id,
            at: record.at,
            address: samples::connection(&record).address.as_ref(),
            repository: Path::new("/srv/web1"),
            inprogress: Path::new("/srv/web1/inprogress"),
            published,
        };
        variables(occasion).into_iter().map(|(name, value)| (name, value.into_string().unwrap())).collect()
    }

    #[test]
    fn a_hook_is_told_the_snapshot_s_facts_and_nothing_of_where_the_client_put_it() {
        let facts = PushFacts { place: Some("x\ny".to_owned()), ..samples::published().push().unwrap().clone() };
        let told = told(Some((Path::new("/srv/web1/snapshots/s"), &facts)));
        for (name, value) in [
            ("OUTCOME", "published"),
            ("ADDRESS", "203.0.113.9"),
            ("BEGAN", "2026-11-21T02:00:00Z"),
            ("NAME", "2026-11-21T02-00-00Z"),
            ("SNAPSHOT", "/srv/web1/snapshots/s"),
            ("FILES", "5120"),
            ("RECEIVED", "12"),
            ("BYTES", "98765432100"),
            ("WIRE_BYTES", "912345"),
            ("RSYNC_EXIT", "0"),
            ("SECONDS", "4"),
        ] {
            assert_eq!(told[format!("SNAPGATE_{name}").as_str()], value, "{name}");
        }
        assert!(told.values().all(|value| !value.contains(['\n', 'y'])), "{told:?}");
    }

    #[test]
    fn the_page_about_hooks_has_every_variable_and_no_other() {
        let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/hooks.md"));
        let documented: Vec<_> =
            page.lines().filter_map(|line| line.strip_prefix("| `SNAPGATE_")?.split_once('`')).map(|(name, _)| name).collect();
        let facts = samples::published().push().unwrap().clone();
        let told = told(Some((Path::new("/s"), &facts)));
        assert!(documented.iter().all(|name| told.contains_key(format!("SNAPGATE_{name}").as_str())) && documented.len() == told.len());
    }

    #[test]
    fn what_is_not_known_yet_is_there_and_empty() {
        let facts = samples::published().push().unwrap().clone();
        let (before, after) = (told(None), told(Some((Path::new("/s"), &facts))));
        assert!(before.keys().eq(after.keys()));
        assert_eq!((before["SNAPGATE_OUTCOME"].as_str(), before["SNAPGATE_FILES"].as_str()), ("", ""));
        let partial = PushFacts { partial: true, ..facts };
        assert_eq!(told(Some((Path::new("/s"), &partial)))["SNAPGATE_OUTCOME"], "partial");
    }
}
