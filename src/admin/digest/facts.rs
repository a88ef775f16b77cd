//! What a digest tells of: how clients stand, what lasts, and what their ledgers say of a span of
//! time. Root reads the gate's own notes here, by descriptor and through no link. What cannot be read
//! is told, and never stops the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::reading::{Read, Reader};
use crate::act::config::{self, zones};
use crate::act::inspect::running_uid;
use crate::act::names;
use crate::act::prune::Place;
use crate::act::{several, spools};
use crate::admin::{states, status};
use crate::decide::policy::yaml::Fault;
use crate::decide::policy::{Policy, Site};
use crate::decide::speak::digest::{Client, Seen, Span};
use crate::decide::speak::rhythm;
use crate::decide::speak::states::{Kind, Known, Mark, Memory};
use crate::terms::limits::STRANGERS_TIME;
use crate::terms::text::counted;
use crate::terms::{ClientName, Event, Zone};

/// All of it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) clients: Vec<Client>,
    /// What belongs to no client, by account.
    pub(super) apart: Vec<(String, Seen)>,
    /// What lasts of the server's own.
    pub(super) lasting: Vec<(Kind, DateTime<Utc>, String)>,
    pub(super) unread: Vec<String>,
    /// Up to which line each ledger was seen.
    pub(super) marks: BTreeMap<String, Mark>,
}

impl Found {
    /// Takes in what came of reading the ledgers of that name.
    fn read(&mut self, who: &str, Read { mark, unread }: Read) {
        self.marks.extend(mark.map(|mark| (who.to_owned(), mark)));
        self.unread.extend(unread);
    }
}

/// What lasts, of each client.
type Lasting = BTreeMap<Option<ClientName>, Vec<(Kind, DateTime<Utc>, String)>>;

/// What a client is asked with.
struct Look<'a> {
    site: &'a Site,
    memory: &'a Memory,
    lasting: Lasting,
    reader: Reader<'a>,
}

/// A client, its account, and what came of reading its ledgers.
type One = (Client, Option<u32>, Read);

/// Asks all clients for which this process may ask.
pub(super) fn all(directory: &Path, site: &Site, memory: &Memory, span: Span) -> Found {
    let mut found = Found::default();
    let policies = config::all_policies(directory, site).unwrap_or_else(|fault| {
        found.unread.push(format!("the policies: {fault}"));
        Vec::new()
    });
    let mut lasting = Lasting::new();
    for state in memory.lasting() {
        lasting.entry(state.client.clone()).or_default().push((state.kind, state.since, state.what.clone()));
    }
    found.lasting = lasting.remove(&None).unwrap_or_default();
    let reader = Reader { span, past: memory.digest.as_ref(), begun: Instant::now() };
    let look = Look { site, memory, lasting, reader };
    let mut accounts: BTreeMap<u32, BTreeSet<ClientName>> = BTreeMap::new();
    let all = several::each(policies, several::processors(), |(name, policy)| look.one(name, policy));
    for (client, uid, read) in all.into_iter().flatten() {
        if let Some(uid) = uid {
            accounts.entry(uid).or_default().insert(client.name.clone());
        }
        found.read(client.name.as_str(), read);
        found.clients.push(client);
    }
    apart(site, accounts, reader, &mut found);
    found
}

impl Look<'_> {
    /// A client; `None` if it is another account's.
    fn one(&self, name: ClientName, policy: Result<Policy, Fault>) -> Option<One> {
        let new = Client {
            to: Vec::new(),
            newest: None,
            used: None,
            before: self.memory.digest.as_ref().and_then(|past| past.used.get(&name).copied()),
            quota: None,
            warn: 100,
            trash: 0,
            upkeep: Vec::new(),
            lasting: self.lasting.get(&Some(name.clone())).cloned().unwrap_or_default(),
            late: None,
            frozen: false,
            problem: None,
            seen: Seen::default(),
            name,
        };
        let policy = match policy {
            Ok(policy) => policy,
            Err(_) if !states::may_open(self.site, &new.name) => return None,
            Err(fault) => return Some((Client { problem: Some(fault.to_string()), ..new }, None, Read::default())),
        };
        let new = Client {
            to: policy.told.reports_to().to_vec(),
            quota: policy.quota.bytes,
            warn: policy.quota.warn,
            late: self.late(&policy, self.memory.known.get(&policy.client)),
            frozen: policy.frozen.is_some(),
            ..new
        };
        let standing = match status::of(self.site, &policy).transpose()? {
            Ok(standing) => standing,
            Err((what, _)) => return Some((Client { problem: Some(what), ..new }, None, Read::default())),
        };
        let uid = names::named(&policy.user).map(|account| account.uid);
        let mut seen = Seen::default();
        let place = uid.and_then(|uid| Place::of_repository(&policy.path, uid).transpose());
        let mut take = |event: Event, is_late| seen.add(&event, &self.reader.span, is_late);
        let read = place.map(|place| self.reader.read(policy.client.as_str(), place, &mut take)).unwrap_or_default();
        let client = Client {
            newest: standing.newest,
            used: standing.used_bytes,
            trash: standing.trash,
            upkeep: standing.due,
            problem: standing.problem,
            seen,
            ..new
        };
        Some((client, uid, read))
    }

    /// When its snapshot was expected, and from when on it is missed, if that is between the two.
    fn late(&self, policy: &Policy, known: Option<&Known>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let known = known.filter(|_| !policy.told.laptop && policy.frozen.is_none())?;
        let last = known.last();
        let known =
            rhythm::Known { last: last.unwrap_or(known.since), has_one: last.is_some(), learned: known.learned, contacts: &known.contacts };
        let expected = rhythm::expected(&policy.told, &known)?;
        let zone = zones::load(&policy.timezone).unwrap_or_else(|_| Zone::utc());
        let missed = rhythm::missed_at(&policy.told, policy.when.as_deref(), &zone, &known)?;
        // Where it may come later only, it is expected then.
        let expected = missed.checked_sub_signed(TimeDelta::seconds(i64::from(expected.slack)))?;
        let now = self.reader.span.until;
        (expected <= now && now < missed).then_some((expected, missed))
    }
}

/// Reads what accounts have recorded apart from any repository: of their own clients, and of none.
fn apart(site: &Site, mut accounts: BTreeMap<u32, BTreeSet<ClientName>>, reader: Reader<'_>, found: &mut Found) {
    if running_uid() == 0 {
        // Root sees what others tried that have no client.
        if let Ok(all) = spools::all(site) {
            for uid in all.uids() {
                accounts.entry(*uid).or_default();
            }
            found.unread.extend(all.odd().map(|odd| odd.to_string().lines().next().unwrap_or_default().to_owned()));
        }
    } else {
        accounts.entry(running_uid()).or_default();
    }
    // What strangers have there comes last, and in one line: whoever has ids of its own may be many.
    let is_strange = |uid: u32, clients: &BTreeSet<ClientName>| clients.is_empty() && uid != running_uid();
    let (strange, known): (Vec<_>, Vec<_>) = accounts.into_iter().partition(|(uid, clients)| is_strange(*uid, clients));
    let (begun, mut unread_of_strangers) = (Instant::now(), Vec::new());
    for (uid, clients) in known.into_iter().chain(strange) {
        let is_strange = is_strange(uid, &clients);
        if is_strange && begun.elapsed() >= STRANGERS_TIME {
            unread_of_strangers.push(format!("account {uid}: its ledger was not read, as others took too long"));
            continue;
        }
        let place = match Place::of_account(&site.spool, uid) {
            Ok(None) => continue,
            Ok(Some(place)) => Ok(place),
            Err(reason) => Err(reason),
        };
        let (name, mut seen) = (format!("account {uid}"), Seen::default());
        let mut take = |event: Event, is_late| {
            // Whose an event is its place says; the administrator's own speaks of everybody.
            let theirs = event.client.as_ref().filter(|client| uid == running_uid() || clients.contains(*client));
            let client = theirs.and_then(|name| found.clients.iter_mut().find(|client| client.name == *name));
            client.map_or(&mut seen, |client| &mut client.seen).add(&event, &reader.span, is_late);
        };
        let read = reader.read(&name, place, &mut take);
        let before = found.unread.len();
        found.read(&name, read);
        if is_strange {
            unread_of_strangers.extend(found.unread.split_off(before));
        }
        if seen != Seen::default() {
            found.apart.push((name, seen));
        }
    }
    if let Some(first) = unread_of_strangers.first() {
        let others = unread_of_strangers.len() - 1;
        let others = if others > 0 { format!(", and of {}", counted(others, "more account", "more accounts")) } else { String::new() };
        found.unread.push(format!("{first}{others}"));
    }
}
