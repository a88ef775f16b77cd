//! `snapgate list`: the snapshots of one client, or of all, for the administrator.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::act::inspect::look;
use crate::act::names;
use crate::act::prune;
use crate::act::record::spool;
use crate::act::store::{Repository, mounted};
use crate::act::{clock, config};
use crate::decide::history::said::binary;
use crate::decide::policy::{Policy, Site};
use crate::decide::speak::line;
use crate::terms::limits::MAX_UNKNOWN;
use crate::terms::text::{counted, printable_path};
use crate::terms::{ClientName, Code, Event, PushFacts, Reason, SnapshotName, View, exit};

/// The text and the exit code: 75 if snapshots could not be listed, 78 if a policy cannot be read.
/// It is an error if the configuration or the one repository cannot be read.
pub(crate) fn list(directory: &Path, client: Option<&ClientName>, json: bool) -> Result<(String, u8), String> {
    let now = clock::now();
    let site = config::load_site(directory).map_err(|fault| fault.to_string())?;
    let mut text = String::new();
    if let Some(client) = client {
        let policy = config::load_policy(directory, &site, client).map_err(|fault| fault.to_string())?;
        let policy = policy.ok_or_else(|| format!("no policy for `{client}`\n`snapgate list` without a name shows every client"))?;
        let listed = snapshots(&mut text, &site, &policy, now, json)?;
        return Ok((text, if listed { 0 } else { exit::BUSY }));
    }
    let policies = config::all_policies(directory, &site).map_err(|fault| fault.to_string())?;
    if policies.is_empty() {
        let _ = writeln!(text, "no client yet: there is no policy in {}", directory.join("policies").display());
    }
    // An error of one client does not hide the others.
    let (mut listed, mut readable) = (true, true);
    for (client, policy) in policies {
        match policy.map(|policy| snapshots(&mut text, &site, &policy, now, json)) {
            Ok(Ok(there)) => listed &= there,
            Ok(Err(why)) => {
                text.push_str(&format!("{client}: {why}\n"));
                listed = false;
            }
            Err(fault) => {
                text.push_str(&format!("{client}: {fault}\n"));
                readable = false;
            }
        }
    }
    let exit = if !readable {
        exit::CONFIG
    } else if !listed {
        exit::BUSY
    } else {
        0
    };
    Ok((text, exit))
}

/// Adds a client's snapshots; returns whether the repository is there.
fn snapshots(text: &mut String, site: &Site, policy: &Policy, now: DateTime<Utc>, json: bool) -> Result<bool, String> {
    let repository = Repository::at(&policy.path);
    if let Err(reason) = mounted(policy, site) {
        let _ = writeln!(text, "{}: its snapshots are not there: {}", policy.client, reason.detail);
        let _ = writeln!(text, "{}", reason.remedy.unwrap_or_default());
        return Ok(false);
    }
    if look(&policy.path).is_none() {
        let shown = printable_path(&policy.path);
        let was_here = names::named(&policy.user).is_some_and(|account| spool::was_published(&site.spool, account.uid, &policy.client));
        if was_here || look(&site.store).is_none() {
            let _ = writeln!(text, "{}: its snapshots are not there: the repository `{shown}` is missing", policy.client);
            text.push_str("see whether its disk is mounted and who removed it\n");
            return Ok(false);
        }
        let _ = writeln!(text, "{}: no snapshot yet: the repository `{shown}` is not there", policy.client);
        return Ok(true);
    }
    let listed = Listed::of(&repository, policy, now, &protected(policy, now))?;
    let (client, count) = (&policy.client, counted(listed.lines.len(), "snapshot", "snapshots"));
    if json {
        listed.lines.iter().for_each(|line| writeln!(text, "{}", line.object(Some(client))).unwrap_or_default());
        return Ok(true);
    }
    let _ = writeln!(text, "{client}: {count} in {}", policy.path.display());
    listed.lines.iter().for_each(|line| writeln!(text, "  {}", line.line(true)).unwrap_or_default());
    unknown(text, &listed.unknown);
    Ok(true)
}

/// The same for the client itself: without what is the server's.
pub(super) fn for_client(repository: &Repository, policy: &Policy, now: DateTime<Utc>, json: bool) -> Result<String, Reason> {
    let listed = Listed::of(repository, policy, now, &BTreeSet::new()).map_err(|what| Reason::for_now(Code::Store, what))?;
    let line = |line: &Line| if json { line.object(None) } else { line.line(false) };
    let mut text: String = listed.lines.iter().map(|one| line(one) + "\n").collect();
    if text.is_empty() && !json {
        text.push_str("there is no snapshot yet\n");
    }
    Ok(text)
}

/// A client's snapshots, and what of its ledgers only another version can read.
struct Listed {
    lines: Vec<Line>,
    unknown: Unknown,
}

/// How many such events there are, and the last of them.
#[derive(Default)]
struct Unknown {
    count: usize,
    last: VecDeque<Event>,
}

/// What is known of a snapshot.
struct Line {
    name: SnapshotName,
    age: TimeDelta,
    facts: Option<PushFacts>,
    is_current: bool,
    is_held: bool,
    is_protected: bool,
    missing: Option<u64>,
}

impl Listed {
    fn of(repository: &Repository, policy: &Policy, now: DateTime<Utc>, protected: &BTreeSet<String>) -> Result<Self, String> {
        let mut names = repository.names(&policy.names).map_err(|reason| reason.detail)?;
        names.sort_by_key(|name| name.at);
        let mut published: BTreeMap<&str, Option<(DateTime<Utc>, PushFacts)>> = names.iter().map(|name| (name.as_str(), None)).collect();
        let there: BTreeSet<_> = published.keys().copied().collect();
        let is_about_one =
            |event: &Event| event.push().and_then(|facts| facts.snapshot.as_deref()).is_some_and(|name| there.contains(name));
        let mut unknown = Unknown::default();
        prune::recorded(
            &repository.state(),
            |event| is_about_one(event) || matches!(event.view(), View::Unknown(_)),
            |event| match event.push() {
                // A name may have been given again: what was recorded last is about the one that is there.
                Some(facts) => {
                    let of = facts.snapshot.as_deref().and_then(|name| published.get_mut(name));
                    of.into_iter().for_each(|last| *last = Some((event.at, facts.clone())));
                }
                None => unknown.add(event),
            },
        );
        let current = std::fs::read_link(repository.current()).unwrap_or_default();
        let lines = names.iter().map(|name| {
            let facts = published.remove(name.as_str()).flatten();
            Line {
                age: now - name.at,
                is_current: current.ends_with(name.as_str()),
                is_held: repository.is_held(name.as_str()),
                is_protected: protected.contains(name.as_str()),
                missing: facts.as_ref().and_then(|(at, facts)| missing(repository, name, *at, facts)),
                facts: facts.map(|(_, facts)| facts),
                name: name.clone(),
            }
        });
        Ok(Self { lines: lines.collect(), unknown })
    }
}

impl Unknown {
    fn add(&mut self, event: Event) {
        self.count += 1;
        self.last.push_back(event);
        if self.last.len() > MAX_UNKNOWN {
            self.last.pop_front();
        }
    }
}

impl Line {
    /// For people. A client is not told what the server thinks of its snapshots.
    fn line(&self, is_administrators: bool) -> String {
        let Self { name, facts, .. } = self;
        let facts = facts.as_ref();
        let mut line = format!("{name}  {:>4} ago", age(self.age));
        if let Some(facts) = facts {
            let files = if facts.files == 1 { "file" } else { "files" };
            let took = humantime::format_duration(Duration::from_secs(seconds(facts.seconds)));
            let _ = write!(line, "  {:>8}  {:>10} {files:5}  {:>10}", took.to_string(), facts.files, binary(facts.bytes));
            let _ = write!(line, "  {:>10} new  {:>10}", facts.received, binary(facts.received_bytes));
        }
        if let Some(carried) = facts.map(|facts| facts.carried).filter(|carried| *carried > 0) {
            let _ = write!(line, "  {carried} carried over");
        }
        let flags = [
            (facts.is_some_and(|facts| facts.partial), "  partial"),
            (is_administrators && facts.is_some_and(|facts| facts.lost.is_some()), "  shrunk"),
            (is_administrators && self.is_held, "  HELD"),
            (is_administrators && self.is_protected, "  protected"),
        ];
        line.extend(flags.into_iter().filter(|(is_so, _)| *is_so).map(|(_, flag)| flag));
        if is_administrators {
            if let (Some(left), Some(facts)) = (self.missing, facts) {
                let _ = write!(line, "  NOT WHOLE: {left} of {} files are left", facts.files);
            }
            if let Some(beyond) = facts.map(|facts| facts.beyond).filter(|beyond| *beyond > 0) {
                let _ = write!(line, "  {beyond} stored as nobody's");
            }
            // A single owner is not worth a remark.
            if let Some(dropped) = facts.and_then(|facts| facts.dropped_owners).filter(|dropped| dropped.owners > 1) {
                let _ = write!(line, "  {} stored as the account's", dropped.files);
            }
        }
        if self.is_current {
            line.push_str("  current");
        }
        line
    }

    /// For programs; of a client by name, if the administrator asks.
    fn object(&self, client: Option<&ClientName>) -> String {
        let Self { name, facts, .. } = self;
        let mut object = serde_json::json!({
            "snapshot": name.as_str(), "at": name.at, "age_seconds": self.age.num_seconds(), "current": self.is_current,
        });
        let mut put = |key: &str, value: serde_json::Value| {
            if let Some(object) = object.as_object_mut() {
                object.insert(key.to_owned(), value);
            }
        };
        if let Some(facts) = facts {
            put("seconds", facts.seconds.into());
            put("files", facts.files.into());
            put("bytes", facts.bytes.into());
            put("new_files", facts.received.into());
            put("new_bytes", facts.received_bytes.into());
            put("carried", facts.carried.into());
            put("partial", facts.partial.into());
        }
        if let Some(client) = client {
            put("client", client.as_str().into());
            put("shrunk", facts.as_ref().is_some_and(|facts| facts.lost.is_some()).into());
            put("held", self.is_held.into());
            put("protected", self.is_protected.into());
            self.missing.into_iter().for_each(|left| put("files_left", left.into()));
        }
        object.to_string()
    }
}

/// Snapshots that are protected now.
fn protected(policy: &Policy, now: DateTime<Utc>) -> BTreeSet<String> {
    let account = names::named(&policy.user).map(|account| account.uid);
    let opened = account.and_then(|account| prune::Opened::open(&policy.path, account).ok().flatten());
    let notes = opened.and_then(|opened| opened.protections().ok()).unwrap_or_default();
    notes.into_iter().filter(|(_, note)| note.until.is_none_or(|until| until > now)).map(|(name, _)| name).collect()
}

/// How long ago, in its largest unit.
fn age(span: TimeDelta) -> String {
    let units = [("y", span.num_days() / 365), ("d", span.num_days()), ("h", span.num_hours()), ("m", span.num_minutes())];
    // A year is not the first that people count in.
    let found = units.into_iter().find(|(unit, count)| if *unit == "y" { *count > 1 } else { *count > 0 });
    found.map_or_else(|| "0m".to_owned(), |(unit, count)| format!("{count}{unit}"))
}

/// Whole seconds of a duration from a ledger.
fn seconds(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds.round()).unwrap_or_default().as_secs()
}

/// Adds the last events that only a later version can read, and how many there are.
fn unknown(text: &mut String, unknown: &Unknown) {
    if unknown.count > 0 {
        let count = counted(unknown.count, "event", "events");
        let _ = writeln!(text, "  {count} of the ledger that only another version of snapgate can read:");
    }
    for event in &unknown.last {
        let _ = writeln!(text, "    {}", line::plain(event));
    }
}

/// How many files a snapshot has that has lost some since it was published by a push that began then.
fn missing(repository: &Repository, name: &SnapshotName, began: DateTime<Utc>, facts: &PushFacts) -> Option<u64> {
    repository.left(name, facts.published.unwrap_or(began)).filter(|left| *left < facts.files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_the_largest_unit_that_it_has_one_of() {
        for (span, words) in [
            (TimeDelta::seconds(-5), "0m"),
            (TimeDelta::seconds(59), "0m"),
            (TimeDelta::minutes(119), "1h"),
            (TimeDelta::hours(47), "1d"),
            (TimeDelta::days(400), "400d"),
            (TimeDelta::days(731), "2y"),
        ] {
            assert_eq!(age(span), words);
        }
    }
}
