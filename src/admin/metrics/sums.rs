//! Sums of what ledgers say, kept in the spool: what was recorded since they were counted last is
//! added, each event once. Sums and places are saved in one step, before anybody is told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::act::inspect::running_uid;
use crate::act::record::spool::{self, AccountSpool, Lock, Sent, Spool, SpoolError};
use crate::act::{clock, process};
use crate::admin::log::places::{self, At, Source, Whose};
use crate::decide::policy::Site;
use crate::decide::speak::metrics::{Counted, Counts, Deliveries, OTHERS, OfAccount, Sums};
use crate::terms::limits::{LOCK_AGAIN, LOOK_PATIENCE, MAX_FORMER, MAX_GONE, SUMS_TIME};
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
    count_for(directory, site, clients, SUMS_TIME)
}

/// [`count`], with that much time for all ledgers. One is read in any case.
fn count_for(directory: &Path, site: &Site, clients: &BTreeSet<ClientName>, time: Duration) -> Result<Held, String> {
    process::many_files();
    let failed = |error: SpoolError| error.to_string();
    Spool::open(&site.spool, running_uid()).map_err(failed)?;
    let own = spool::own(&site.spool).map_err(failed)?;
    let lock = lock(&own)?;
    let before = read(&own, site)?;
    let (sources, problems) = places::all(directory, site, None).map_err(|(what, _)| what)?;
    let mut counting = Counting { is_first: before.is_none(), counts: before.unwrap_or_default(), clients, strangers: BTreeSet::new() };
    counting.counts.site = here(site);
    counting.strangers = strangers(&sources, &counting.counts, problems.is_empty());
    counting.enter(&sources);
    let behind = std::mem::take(&mut counting.counts.behind);
    let begun = Instant::now();
    for (number, source) in counting.turns(&sources, &behind).into_iter().enumerate() {
        if number > 0 && begun.elapsed() >= time {
            counting.counts.behind.push(source.whose.name());
        } else {
            counting.source(source);
        }
    }
    let Counting { mut counts, strangers, .. } = counting;
    let accounts = accounts(site, &sources, &strangers, &mut counts);
    let json = serde_json::to_vec(&counts).map_err(|error| error.to_string())?;
    // What is not saved is counted again, from the same place, and comes to no less.
    let problem = own.save_sums(&json).err().map(|error| format!("the sums are not saved: {error}"));
    Ok(Held { counts, accounts, problem, _lock: lock })
}

/// Accounts that no policy names. Where a policy cannot be read, nobody becomes one who was none.
fn strangers(sources: &[Source], counts: &Counts, is_whole: bool) -> BTreeSet<u32> {
    let unnamed = sources.iter().filter(|source| matches!(&source.whose, Whose::Account(_, clients) if clients.is_empty()));
    let is_strange = |uid: &u32| is_whole || !counts.accounts.contains_key(uid) || counts.others.seen.contains_key(uid);
    unnamed.filter_map(account).filter(|uid| *uid != running_uid() && is_strange(uid)).collect()
}

struct Counting<'a> {
    /// Whether nobody has counted before. What is recorded by then counts for nothing: it would seem
    /// to have happened just now.
    is_first: bool,
    counts: Counts,
    clients: &'a BTreeSet<ClientName>,
    /// Accounts that no policy names.
    strangers: BTreeSet<u32>,
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
        self.forget(&theirs);
        for (uid, source) in theirs {
            let is_strange = self.strangers.contains(&uid);
            if !self.counts.accounts.contains_key(&uid) {
                let counted = self.begun(Some(source));
                self.counts.accounts.insert(uid, counted);
                if is_strange && !self.is_first {
                    self.counts.others.seen.insert(uid, Deliveries::default());
                }
            }
            // Its series ends where its policy does, and what came before is not the others'.
            if let Some(counted) = self.counts.accounts.get_mut(&uid).filter(|_| is_strange) {
                counted.sums = Sums::default();
            }
        }
    }

    /// Forgets accounts whose spool is gone. An account can take its spool away and put it back, and then
    /// nothing in it is new: the latest of these stay known.
    fn forget(&mut self, theirs: &BTreeMap<u32, &Source>) {
        let Counts { accounts, others, .. } = &mut self.counts;
        let newest = |counted: &Counted| counted.upto.as_ref().and_then(|upto| upto.newest);
        let gone = accounts.iter().filter(|(uid, _)| !theirs.contains_key(uid));
        let mut gone: Vec<_> = gone.map(|(uid, counted)| (newest(counted), *uid)).collect();
        gone.sort();
        for (_, uid) in gone.iter().rev().skip(MAX_GONE) {
            accounts.remove(uid);
        }
        let strangers = &self.strangers;
        others.seen.retain(|uid, _| strangers.contains(uid) || (accounts.contains_key(uid) && !theirs.contains_key(uid)));
    }

    /// The places in the order in which they are read: those of accounts that no policy names are the last
    /// ones, and whoever was behind is before others.
    fn turns<'b>(&self, sources: &'b [Source], behind: &[String]) -> Vec<&'b Source> {
        let mut sources: Vec<_> = sources.iter().collect();
        let place: BTreeMap<&str, usize> = behind.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        sources.sort_by_cached_key(|source| {
            let place = place.get(source.whose.name().as_str()).copied();
            (self.stranger(source).is_some(), place.unwrap_or(behind.len()))
        });
        sources
    }

    /// The account, where no policy names it.
    fn stranger(&self, source: &Source) -> Option<u32> {
        account(source).filter(|uid| self.strangers.contains(uid))
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
        let is_strange = self.stranger(source).is_some();
        for (client, new) in clients {
            if let Some(counted) = self.counts.clients.get_mut(&client) {
                counted.sums.grow(&new);
            }
        }
        let counted = match &source.whose {
            Whose::Client(client) => self.counts.clients.get_mut(client),
            Whose::Account(..) => account(source).and_then(|uid| self.counts.accounts.get_mut(&uid)),
        };
        let Some(counted) = counted else { return };
        counted.upto = Some(read);
        let sums = if is_strange { &mut self.counts.others.sums } else { &mut counted.sums };
        sums.grow(&nobody);
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

/// What is told of accounts: of each that a policy names, and of all others together.
fn accounts(site: &Site, sources: &[Source], strangers: &BTreeSet<u32>, counts: &mut Counts) -> Vec<OfAccount> {
    let mut spools: BTreeMap<u32, AccountSpool> =
        crate::act::spools::all(site).into_iter().flatten().flatten().map(|spool| (spool.uid(), spool)).collect();
    let mut all = Vec::new();
    let mut wait_of_others = 0;
    for source in sources {
        let (Some(uid), Whose::Account(name, _)) = (account(source), &source.whose) else { continue };
        let Some(spool) = spools.remove(&uid) else { continue };
        let (deliveries, waiting) = (deliveries(&spool), spool.waiting().ok().map(|waiting| waiting.len()));
        if strangers.contains(&uid) {
            counts.others.sent(uid, deliveries);
            wait_of_others += waiting.unwrap_or(0);
            continue;
        }
        let sums = counts.accounts.get(&uid).map(|counted| counted.sums.clone()).unwrap_or_default();
        all.push(OfAccount { account: name.clone(), sums, deliveries, waiting });
    }
    let (sums, deliveries) = (counts.others.sums.clone(), counts.others.deliveries.clone());
    if !strangers.is_empty() || sums != Sums::default() || deliveries != Deliveries::default() {
        all.push(OfAccount { account: OTHERS.to_owned(), sums, deliveries, waiting: Some(wait_of_others) });
    }
    all
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;
    use crate::act::names;
    use crate::act::record::ledger;
    use crate::decide::policy::read_site;
    use crate::decide::speak::message::samples;

    struct Here {
        dir: tempfile::TempDir,
        site: Site,
        clients: BTreeSet<ClientName>,
    }

    impl Here {
        fn new(clients: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path().display();
            let text = format!("store: {at}/store\nspool: {at}/spool\nmail: {{ transport: off }}\n");
            fs::create_dir_all(dir.path().join("etc/policies")).unwrap();
            fs::create_dir(dir.path().join("spool")).unwrap();
            fs::write(dir.path().join("etc/snapgate.yaml"), &text).unwrap();
            let site = read_site(&dir.path().join("etc/snapgate.yaml"), text.as_bytes()).unwrap();
            let me = names::running().name;
            for client in clients {
                fs::write(dir.path().join(format!("etc/policies/{client}.yaml")), format!("user: {me}\n")).unwrap();
                let state = dir.path().join(format!("store/{client}/.snapgate"));
                fs::create_dir_all(&state).unwrap();
                for private in [state.parent().unwrap(), &state] {
                    fs::set_permissions(private, fs::Permissions::from_mode(0o700)).unwrap();
                }
            }
            let clients = clients.iter().map(|client| client.parse().unwrap()).collect();
            Self { dir, site, clients }
        }

        fn count(&self, time: Duration) -> Held {
            count_for(&self.dir.path().join("etc"), &self.site, &self.clients, time).unwrap()
        }

        fn refused(&self, path: &str, id: &str) {
            ledger::append(&self.dir.path().join(path), &Event { id: id.to_owned(), ..samples::refusal() }).unwrap();
        }

        /// What that account could write there.
        fn stranger(&self, uid: u32, id: &str) {
            let home = self.dir.path().join(format!("spool/{uid}"));
            for inner in ["tmp", "new", "out", "dead"] {
                fs::create_dir_all(home.join(inner)).unwrap();
            }
            self.refused(&format!("spool/{uid}/ledger.jsonl"), id);
            fs::write(home.join("sent-mails.json"), r#"{"sent":{"mail":3},"failed":{}}"#).unwrap();
            for name in ["", "tmp", "new", "out", "dead", "ledger.jsonl", "sent-mails.json"] {
                let path = home.join(name);
                fs::set_permissions(&path, fs::Permissions::from_mode(if path.is_dir() { 0o700 } else { 0o600 })).unwrap();
                chown(&path, Some(uid), Some(uid)).unwrap();
            }
        }
    }

    fn refusals(sums: &Sums) -> u64 {
        sums.refusals.values().sum()
    }

    #[test]
    fn whom_there_was_no_time_for_is_counted_first_the_next_time() {
        let here = Here::new(&["a", "b", "c"]);
        let long = Duration::from_secs(60);
        here.count(long);
        for client in ["a", "b", "c"] {
            here.refused(&format!("store/{client}/.snapgate/ledger.jsonl"), client);
        }
        let all = || {
            let held = here.count(Duration::ZERO);
            held.counts.clients.values().map(|counted| refusals(&counted.sums)).collect::<Vec<_>>()
        };
        // One more each time, whoever would be first by name.
        assert_eq!((all(), all(), all()), (vec![1, 0, 0], vec![1, 1, 0], vec![1, 1, 1]));
        assert!(here.count(long).counts.behind.is_empty());
    }

    #[test]
    fn accounts_that_no_policy_names_are_one_series_which_never_falls_and_come_last() {
        if running_uid() != 0 {
            println!("skipped: only root looks after other accounts");
            return;
        }
        let here = Here::new(&["web1"]);
        let long = Duration::from_secs(60);
        assert!(here.count(long).accounts.iter().all(|of| of.account != OTHERS));
        for uid in 3_000_000..3_000_020 {
            here.stranger(uid, "one");
        }
        here.refused("store/web1/.snapgate/ledger.jsonl", "web1");
        let held = here.count(Duration::ZERO);
        assert_eq!(refusals(&held.counts.clients.values().next().unwrap().sums), 1, "clients are before them");
        drop(held);
        let others = || {
            let held = here.count(long);
            assert!(held.accounts.len() <= 2, "{:?}", held.accounts);
            let others = held.accounts.iter().find(|of| of.account == OTHERS).unwrap();
            (refusals(&others.sums), others.deliveries.sent.get("mail").copied())
        };
        assert_eq!(others(), (20, Some(60)));
        here.stranger(3_000_000, "two");
        assert_eq!(others(), (21, Some(60)));
        // One takes its spool away and puts it back.
        let (home, away) = (here.dir.path().join("spool/3000001"), here.dir.path().join("away"));
        for _ in 0..2 {
            fs::rename(&home, &away).unwrap();
            assert_eq!(others(), (21, Some(60)));
            fs::rename(&away, &home).unwrap();
            assert_eq!(others(), (21, Some(60)), "nothing of it is new");
        }
        for uid in 3_000_000..3_000_020 {
            fs::remove_dir_all(here.dir.path().join(format!("spool/{uid}"))).unwrap();
        }
        assert_eq!(others(), (21, Some(60)), "they are gone");
    }
}
