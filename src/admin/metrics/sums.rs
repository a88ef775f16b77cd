//! Sums of what ledgers say, kept in the spool: what was recorded since they were counted last is
//! added, each event once. Sums and places are saved in one step, before anybody is told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use crate::act::inspect::running_uid;
use crate::act::record::spool::{self, AccountSpool, Lock, Sent, Spool, SpoolError};
use crate::act::{clock, process};
use crate::admin::log::places::{self, At, Source, Whose};
use crate::decide::policy::Site;
use crate::decide::speak::metrics::{Counted, Counts, Deliveries, OfAccount, Sums};
use crate::terms::limits::{LOCK_AGAIN, LOOK_PATIENCE, MAX_FORMER};
use crate::terms::text::printable_path;
use crate::terms::{ClientName, Cursor, Event};

/// What was counted. While it lives nobody else counts, so that none shows less than the one before.
pub(super) struct Held {
    pub(super) counts: Counts,
    pub(super) accounts: Vec<OfAccount>,
    /// What is wrong with it, in words for the administrator.
    pub(super) problem: Option<String>,
    _lock: Lock,
}

/// Counts what is new, of these clients, and saves it.
pub(super) fn count(directory: &Path, site: &Site, clients: &BTreeSet<ClientName>) -> Result<Held, String> {
    process::many_files();
    let failed = |error: SpoolError| error.to_string();
    Spool::open(&site.spool, running_uid()).map_err(failed)?;
    let own = spool::own(&site.spool).map_err(failed)?;
    let lock = lock(&own)?;
    let before = read(&own, site)?;
    let (sources, _) = places::all(directory, site, None).map_err(|(what, _)| what)?;
    let mut counting = Counting { is_first: before.is_none(), counts: before.unwrap_or_default(), clients };
    counting.counts.site = here(site);
    counting.enter(&sources);
    sources.iter().for_each(|source| counting.source(source));
    let counts = counting.counts;
    let json = serde_json::to_vec(&counts).map_err(|error| error.to_string())?;
    // What is not saved is counted again, from the same place, and comes to no less.
    let problem = own.save_sums(&json).err().map(|error| format!("the sums are not saved: {error}"));
    let accounts = accounts(site, &sources, &counts);
    Ok(Held { counts, accounts, problem, _lock: lock })
}

struct Counting<'a> {
    /// Whether nobody has counted before. What is recorded by then counts for nothing: it would seem
    /// to have happened just now.
    is_first: bool,
    counts: Counts,
    clients: &'a BTreeSet<ClientName>,
}

impl Counting<'_> {
    /// Enters who is new, and strikes out who is gone.
    fn enter(&mut self, sources: &[Source]) {
        let new: Vec<_> = self.clients.iter().filter(|client| !self.counts.clients.contains_key(*client)).cloned().collect();
        for client in new {
            let source = sources.iter().find(|source| matches!(&source.whose, Whose::Client(other) if *other == client));
            let counted = source.and_then(|source| self.renamed(source)).unwrap_or_else(|| self.begun(source));
            self.counts.clients.insert(client, counted);
        }
        self.counts.clients.retain(|client, _| self.clients.contains(client));
        let theirs: BTreeMap<u32, &Source> = sources.iter().filter_map(|source| account(source).map(|uid| (uid, source))).collect();
        self.counts.accounts.retain(|uid, _| theirs.contains_key(uid));
        for (uid, source) in theirs {
            if !self.counts.accounts.contains_key(&uid) {
                let counted = self.begun(Some(source));
                self.counts.accounts.insert(uid, counted);
            }
        }
    }

    /// The sums of a client that has another name now: its ledger is the one that they are of.
    fn renamed(&mut self, source: &Source) -> Option<Counted> {
        let place = source.place()?;
        let is_gone = |client: &&ClientName| !self.clients.contains(*client);
        let mut former = self.counts.clients.keys().filter(is_gone).take(MAX_FORMER);
        let is_its = |client: &&ClientName| {
            let counted = self.counts.clients.get(*client);
            counted.and_then(|counted| counted.upto.as_ref()).is_some_and(|upto| place.has(upto))
        };
        let name = former.find(is_its).cloned()?;
        self.counts.clients.remove(&name)
    }

    /// Nothing, of somebody new: from the beginning, unless nobody has counted anybody's before.
    fn begun(&self, source: Option<&Source>) -> Counted {
        let is_empty = source.is_some_and(|source| source.place().is_none());
        let upto = (!self.is_first || is_empty).then(Cursor::default);
        Counted { upto, sums: Sums::default() }
    }

    /// Adds what is new in a place. What cannot be read is read the next time.
    fn source(&mut self, source: &Source) {
        let Some(place) = source.place() else { return };
        let upto = match &source.whose {
            Whose::Client(client) => self.counts.clients.get(client).map(|counted| counted.upto.clone()),
            Whose::Account(..) => account(source).and_then(|uid| self.counts.accounts.get(&uid)).map(|counted| counted.upto.clone()),
        };
        let Some(upto) = upto else { return };
        let (mut clients, mut nobody): (BTreeMap<ClientName, Sums>, Sums) = Default::default();
        let read = match &upto {
            None => place.end(),
            Some(upto) => place.onward(upto, clock::now(), &mut |event| {
                let event = self.own(source, event);
                match &event.client {
                    Some(client) => clients.entry(client.clone()).or_default().add(&event),
                    None => nobody.add(&event),
                }
            }),
        };
        let Ok(read) = read else { return };
        for (client, new) in clients {
            if let Some(counted) = self.counts.clients.get_mut(&client) {
                counted.sums.grow(&new);
            }
        }
        let counted = match &source.whose {
            Whose::Client(client) => self.counts.clients.get_mut(client),
            Whose::Account(..) => account(source).and_then(|uid| self.counts.accounts.get_mut(&uid)),
        };
        if let Some(counted) = counted {
            counted.sums.grow(&nobody);
            counted.upto = Some(read);
        }
    }

    /// An event as that of whoever it is. The administrator's own spool speaks of everybody.
    fn own(&self, source: &Source, event: Event) -> Event {
        let is_ours = account(source) == Some(running_uid());
        let client = event.client.clone().filter(|client| is_ours && self.clients.contains(client));
        let own = source.whose.own(event);
        Event { client: own.client.clone().or(client), ..own }
    }
}

/// Whose spool it is.
fn account(source: &Source) -> Option<u32> {
    match &source.at {
        At::Spool(_, uid) => Some(*uid),
        At::Repository(..) => None,
    }
}

/// What is told of accounts.
fn accounts(site: &Site, sources: &[Source], counts: &Counts) -> Vec<OfAccount> {
    let mut spools: BTreeMap<u32, AccountSpool> =
        crate::act::spools::all(site).into_iter().flatten().flatten().map(|spool| (spool.uid(), spool)).collect();
    let one = |source: &Source| {
        let (uid, Whose::Account(name, _)) = (account(source)?, &source.whose) else { return None };
        let spool = spools.remove(&uid)?;
        let sums = counts.accounts.get(&uid).map(|counted| counted.sums.clone()).unwrap_or_default();
        let waiting = spool.waiting().ok().map(|waiting| waiting.len());
        Some(OfAccount { account: name.clone(), sums, deliveries: deliveries(&spool), waiting })
    };
    sources.iter().filter_map(one).collect()
}

/// What has left a spool. The account may have written it: what is none counts for nothing.
fn deliveries(spool: &AccountSpool) -> Deliveries {
    let mut all = Deliveries::default();
    for what in [Sent::Mails, Sent::Ways] {
        let bytes = spool.sent(what).ok().flatten();
        let read = bytes.and_then(|bytes| serde_json::from_slice::<Deliveries>(&bytes).ok()).unwrap_or_default();
        all.add(&read.checked());
    }
    all
}

/// The site's file, whatever directory it was named from.
fn here(site: &Site) -> String {
    printable_path(site.file.canonicalize().as_ref().unwrap_or(&site.file))
}

fn read(own: &AccountSpool, site: &Site) -> Result<Option<Counts>, String> {
    let failed = |error: SpoolError| error.to_string();
    let Some(bytes) = own.sums().map_err(failed)? else { return Ok(None) };
    let Ok(counts) = serde_json::from_slice::<Counts>(&bytes) else {
        own.lay_sums_aside().map_err(failed)?;
        return Ok(None);
    };
    if counts.site != here(site) {
        let other = &counts.site;
        return Err(format!(
            "the spool has the sums of another site, `{other}`: nothing is counted for this one\n\
             give this site a `spool:` of its own, or remove `sums.json` from the spool if the other is gone"
        ));
    }
    Ok(Some(counts))
}

fn lock(own: &AccountSpool) -> Result<Lock, String> {
    let begun = Instant::now();
    loop {
        if let Some(lock) = own.lock_sums().map_err(|error| error.to_string())? {
            return Ok(lock);
        }
        if begun.elapsed() > LOOK_PATIENCE {
            return Err("another `snapgate metrics` is counting\nwait until it has ended".to_owned());
        }
        std::thread::sleep(LOCK_AGAIN);
    }
}
