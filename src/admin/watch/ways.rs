//! Other ways out than mail: what is told of an event is written beside the mails before the event
//! goes, and is told when its time has come. At worst it is told twice, with the same id.
//!
//! Root tells for all accounts, as it alone can read the secret; an account for itself where root
//! does not. A way that fails is tried again after pauses that grow, which are remembered in the
//! spool of whoever tries. The spool names clients and no places: what an account writes there goes
//! nowhere but where the site file and the policies of its own clients say.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::delivery::remember;
use super::report::WatchReport;
use super::tried::{Place, Tried};
use super::turn::Known;
use super::{Budget, Means, Stopped};
use crate::act::record::spool::{self, AccountSpool, Sent, Spool, SpoolError, Waiting};
use crate::act::spools;
use crate::act::ways::{self, NotTaken, Office};
use crate::act::{config, inspect, names};
use crate::decide::policy::{Policy, Site};
use crate::decide::speak::metrics::Deliveries;
use crate::decide::speak::states::Notice;
use crate::decide::speak::ways::{self as words, Troubles};
use crate::terms::limits::{DISPATCH_LIFETIME, DISPATCHES_IN_PASS, MAX_DISPATCHES};
use crate::terms::{ClientName, ComposedMail, Dispatch, Event, Signal, Url, Way, What};

/// The ways of a site.
pub(super) struct Ways<'a> {
    site: &'a Site,
    host: String,
    /// Policies that were asked for.
    policies: RefCell<BTreeMap<ClientName, Result<Option<Policy>, Unreadable>>>,
    /// Accounts in whose spool something waits, or may.
    accounts: RefCell<BTreeSet<u32>>,
    /// What waits for each way in the spool of the account that is processed.
    waiting: RefCell<BTreeMap<Way, usize>>,
    /// What of it was tried in the spool at which it is, for Prometheus.
    sent: RefCell<Deliveries>,
    office: Office,
    budget: &'a Budget,
    known: Known<'a>,
}

/// What one turn over all accounts goes by, and what it learns.
struct Round<'a> {
    tried: &'a mut Tried,
    /// When nothing more is begun.
    end: Instant,
    means: &'a Means<'a>,
    report: &'a mut WatchReport,
}

/// Nobody knows what a policy says.
#[derive(Clone, Copy)]
struct Unreadable;

/// The addresses of a host, for requests.
pub(super) fn addresses(host: &str, limit: std::time::Duration) -> Vec<std::net::IpAddr> {
    names::addresses(&[host], limit).into_iter().flat_map(|(_, found)| found).collect()
}

impl<'a> Ways<'a> {
    pub(super) fn new(site: &'a Site, budget: &'a Budget) -> Self {
        let office = Office::new(site.mail.ca_file.as_deref(), addresses);
        Self {
            site,
            host: inspect::host_name(),
            policies: RefCell::default(),
            accounts: RefCell::default(),
            waiting: RefCell::default(),
            sent: RefCell::default(),
            office,
            budget,
            known: Known::new(site),
        }
    }

    /// Who the accounts of clients are.
    pub(super) fn known(&self) -> &Known<'a> {
        &self.known
    }

    /// Whether anything but mail may be wanted. Any policy may want pings.
    pub(super) fn are_wanted(&self) -> bool {
        self.site.webhook.is_some()
            || self.site.exec.is_some()
            || self.site.file.parent().is_some_and(|dir| dir.join(config::POLICIES).is_dir())
    }

    /// Looks what waits in this spool, before more is added.
    pub(super) fn look(&self, spool: &AccountSpool) -> Result<(), SpoolError> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.clear();
        for one in spool.dispatches()? {
            *waiting.entry(one.way).or_default() += 1;
            self.may_wait(spool);
        }
        Ok(())
    }

    /// Something may wait there, as where another pass is at work.
    pub(super) fn may_wait(&self, spool: &AccountSpool) {
        self.accounts.borrow_mut().insert(spool.uid());
    }

    /// Has an event told. `false`: too much waits already.
    pub(super) fn event(&self, spool: &AccountSpool, event: &Event, now: DateTime<Utc>) -> Result<bool, SpoolError> {
        let pings = event.client.as_ref().is_some_and(|client| self.pings(client));
        self.later(spool, &words::of_event(event, self.site, pings, now))
    }

    /// Has a notice about a state told.
    pub(super) fn notice(
        &self,
        spool: &AccountSpool,
        notice: &Notice,
        mail: &ComposedMail,
        now: DateTime<Utc>,
    ) -> Result<bool, SpoolError> {
        self.later(spool, &words::of_notice(notice, mail, self.site, now))
    }

    fn later(&self, spool: &AccountSpool, dispatches: &[Dispatch]) -> Result<bool, SpoolError> {
        let mut fits = true;
        for dispatch in dispatches {
            let mut waiting = self.waiting.borrow_mut();
            let waiting = waiting.entry(dispatch.way).or_default();
            if *waiting >= words::room(&dispatch.what) {
                fits = false;
                continue;
            }
            match spool.dispatch_later(dispatch) {
                Ok(()) => {}
                // No gate gives such an id. Mails and the ledger have it all the same.
                Err(SpoolError::Name(_)) => continue,
                Err(error) => return Err(error),
            }
            *waiting += 1;
            self.may_wait(spool);
        }
        Ok(fits)
    }

    /// Something of a client's policy; `None` where it has none.
    fn of<T>(&self, client: &ClientName, what: impl FnOnce(&Policy) -> T) -> Result<Option<T>, Unreadable> {
        let mut policies = self.policies.borrow_mut();
        let policy = policies.entry(client.clone()).or_insert_with(|| {
            let directory = self.site.file.parent().ok_or(Unreadable)?;
            config::load_policy(directory, self.site, client).map_err(|_| Unreadable)
        });
        policy.as_ref().map(|policy| policy.as_ref().map(what)).map_err(|unreadable| *unreadable)
    }

    /// Whether a client has a URL for pings. With a policy that cannot be read nothing was pushed.
    fn pings(&self, client: &ClientName) -> bool {
        self.of(client, |policy| policy.told.ping.is_some()).is_ok_and(|pings| pings == Some(true))
    }

    /// Tells what waits, of every account whose ways are this process's to use.
    pub(super) fn tell(&self, means: &Means<'_>, flush: bool, report: &mut WatchReport) -> Result<(), Stopped> {
        let waiting = self.accounts.take();
        if waiting.is_empty() {
            return Ok(());
        }
        let Ok(accounts) = spools::all(self.site) else { return Ok(()) };
        let accounts: Vec<_> = accounts.only(&waiting).flatten().collect();
        if inspect::running_uid() != 0 && spool::root_is_at_it(&self.site.spool) {
            // Its pass may have come while this one still wrote.
            accounts.iter().for_each(AccountSpool::wake);
            return Ok(());
        }
        let count = |account: &AccountSpool| account.dispatches().map_or(usize::MAX, |all| all.len());
        let mut accounts: Vec<_> = accounts.into_iter().map(|account| (count(&account), account)).collect();
        if accounts.iter().all(|(count, _)| *count == 0) {
            return Ok(());
        }
        let mut tried = match self.remembered(flush) {
            Ok(tried) => tried,
            Err(error) => {
                report.problem(&error.to_string());
                return Ok(());
            }
        };
        // What was told in vain, and a flood of one, are behind all others, and behind these is whom no policy names.
        let is_alone = accounts.len() < 2;
        accounts.sort_by_cached_key(|(count, account)| {
            (!is_alone && self.known.is_strange(account.uid()), tried.has_failed(account.uid()), *count)
        });
        let end = Instant::now() + self.budget.ways();
        for (_, account) in accounts {
            let begun = Instant::now();
            let told = self.account(&account, &mut Round { tried: &mut tried, end, means, report });
            self.budget.spent(begun.elapsed());
            match told {
                Ok(()) => {}
                Err(None) => return Err(Stopped),
                Err(Some(error)) => report.problem(&error.to_string()),
            }
        }
        self.remember(tried, means, report)
    }

    /// The same of one account. `None` for an error: stopped.
    fn account(&self, spool: &AccountSpool, round: &mut Round<'_>) -> Result<(), Option<SpoolError>> {
        let Some(seen) = self.once(spool, round)? else { return Ok(()) };
        // Whoever came meanwhile with something new, as the end of a push whose beginning was being told, found it locked and left.
        // Once, as the account may bring something new for ever.
        if spool.dispatches()?.iter().any(|one| !seen.contains(one)) {
            self.once(spool, round)?;
        }
        Ok(())
    }

    /// Goes once over what waits, and says what that was; `None` where nothing does, or another one is at it.
    fn once(&self, spool: &AccountSpool, round: &mut Round<'_>) -> Result<Option<Vec<Waiting>>, Option<SpoolError>> {
        let waiting = spool.dispatches()?;
        if waiting.is_empty() {
            return Ok(None);
        }
        let Some(_lock) = spool.lock_ways()? else {
            round.report.waiting += waiting.len() as u64;
            round.tried.cut = true;
            return Ok(None);
        };
        // Another one may have told some of it just now.
        let waiting = spool.dispatches()?;
        let account = names::numbered(spool.uid()).map_or_else(|| spool.uid().to_string(), |account| account.name);
        let mut left = DISPATCHES_IN_PASS;
        self.sent.take();
        for (seen, one) in waiting.iter().enumerate() {
            if left == 0 || seen >= MAX_DISPATCHES * Way::ALL.len() || Instant::now() >= round.end {
                round.tried.cut = true;
                round.report.waiting += (waiting.len() - seen) as u64;
                break;
            }
            let dispatch = match spool.dispatch(one) {
                Ok(Some(dispatch)) => dispatch.of_account(spool.uid(), &account),
                Ok(None) => continue,
                Err(error) => {
                    round.report.problem(&format!("what waits to be told is left where it is: {error}"));
                    continue;
                }
            };
            let end = words::end_of(&dispatch).map(|id| Waiting { id: id.to_owned(), way: Way::Ping });
            let Ok(place) = self.place(&dispatch, spool.uid()) else {
                round.tried.cut = true;
                round.report.waiting += 1;
                continue;
            };
            let Some(place) = place.filter(|_| end.is_none_or(|end| !waiting.contains(&end))) else {
                // Nobody wants to be told any more, or it is none of the account's, or its end says more.
                step(round.means)?;
                spool.dispatched(one)?;
                continue;
            };
            let name = words::name(one.way, dispatch.client());
            if !round.tried.may(spool.uid(), &name, &place, (round.means.now)()) {
                round.report.waiting += 1;
                continue;
            }
            left -= 1;
            self.one(spool, one, (&name, &dispatch, &place), round)?;
        }
        step(round.means)?;
        remember(spool, Sent::Ways, &mut self.sent.borrow_mut())?;
        Ok(Some(waiting))
    }

    /// Tries one.
    fn one(
        &self,
        spool: &AccountSpool,
        one: &Waiting,
        (name, dispatch, place): (&str, &Dispatch, &Place),
        Round { tried, means, report, .. }: &mut Round<'_>,
    ) -> Result<(), Option<SpoolError>> {
        let now = (means.now)();
        step(means)?;
        let Err(error) = self.try_one(dispatch, place, now) else {
            report.told += 1;
            self.sent.borrow_mut().tried(one.way.as_str(), true);
            tried.works(spool.uid(), name);
            step(means)?;
            return Ok(spool.dispatched(one)?);
        };
        self.sent.borrow_mut().tried(one.way.as_str(), false);
        report.problem(&format!("{} of account {} waits: {error}", described(dispatch), spool.uid()));
        tried.failed(spool.uid(), name, place, &error, now);
        let age = (now - spool.dispatch_waits_since(dispatch, now)).to_std().unwrap_or_default();
        if age <= DISPATCH_LIFETIME {
            report.waiting += 1;
            return Ok(());
        }
        step(means)?;
        Ok(spool.bury_dispatch(one, &format!("not told for {} days, the last time because: {error}\n", age.as_secs() / 86400))?)
    }

    /// Where it goes, by the site and its client's policy; `None`: nowhere.
    fn place(&self, dispatch: &Dispatch, uid: u32) -> Result<Option<Place>, Unreadable> {
        let client = dispatch.client();
        if uid != 0 {
            // Whoever can write in a spool must speak neither for the clients of others nor for the
            // server. Where nobody knows whose a client is, it waits.
            let is_theirs = |policy: &Policy| names::named(&policy.user).is_some_and(|account| account.uid == uid);
            let theirs = client.map_or(Ok(None), |client| self.of(client, is_theirs))?;
            // A gate may have refused whom no policy knows; but only root looks at the server.
            let is_free = matches!(dispatch.what, What::Event(_)) || inspect::running_uid() != 0;
            if !theirs.unwrap_or(is_free) {
                return Ok(None);
            }
        }
        Ok(match (dispatch.way, client, &dispatch.what) {
            (Way::Webhook, ..) => self.site.webhook.clone().map(Place::Web),
            (Way::Exec, ..) => self.site.exec.as_ref().map(|_| Place::Program),
            (Way::Ping, Some(client), What::Event(event)) => match words::signal(event) {
                Some(signal) => self.ping(client, signal)?.map(Place::Web),
                None => None,
            },
            (Way::Ping, ..) => None,
        })
    }

    /// The URL of a ping.
    fn ping(&self, client: &ClientName, signal: Signal) -> Result<Option<Url>, Unreadable> {
        let url = self.of(client, |policy| policy.told.ping.clone())?.flatten();
        Ok(url.map(|url| words::ping(&url, client, signal)))
    }

    fn try_one(&self, dispatch: &Dispatch, place: &Place, now: DateTime<Utc>) -> Result<(), NotTaken> {
        match (place, dispatch.way) {
            (Place::Web(url), Way::Ping) => self.ping_with(url, &words::ping_text(&dispatch.what)),
            (Place::Web(_), _) => self.post(&dispatch.what, now),
            (Place::Program, _) => self.run(&dispatch.what),
        }
    }

    /// Pings with these words.
    pub(super) fn ping_with(&self, url: &Url, text: &str) -> Result<(), NotTaken> {
        self.office.post(url, &[("Content-Type", "text/plain; charset=utf-8")], text)
    }

    /// Tells the webhook, in the moment `now`, which is signed with the rest.
    pub(super) fn post(&self, what: &What, now: DateTime<Utc>) -> Result<(), NotTaken> {
        let Some(url) = &self.site.webhook else { return Ok(()) };
        let body = words::document(what, &self.host).map_err(NotTaken::Refused)?;
        let secret = ways::secret(&self.site.webhook_secret)?;
        let signature = words::signature(&secret, now.timestamp(), &body);
        let headers = [("Content-Type", "application/json"), (words::ID_HEADER, what.id()), (words::SIGNATURE_HEADER, &signature)];
        self.office.post(url, &headers, &body)
    }

    /// Tells the program.
    pub(super) fn run(&self, what: &What) -> Result<(), NotTaken> {
        let Some(program) = &self.site.exec else { return Ok(()) };
        let text = words::document(what, &self.host).map_err(NotTaken::Refused)? + "\n";
        ways::run(program, &text)
    }

    /// What is remembered of ways that fail; with `flush` nothing, so that all are tried.
    fn remembered(&self, flush: bool) -> Result<Tried, SpoolError> {
        Spool::open(&self.site.spool, inspect::running_uid())?;
        // What cannot be read is written anew.
        let bytes = spool::own(&self.site.spool)?.troubles().ok().flatten();
        let troubles: Troubles = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Ok(Tried::new(troubles, flush))
    }

    fn remember(&self, mut tried: Tried, means: &Means<'_>, report: &mut WatchReport) -> Result<(), Stopped> {
        if !tried.settle() {
            return Ok(());
        }
        if !(means.go_on)() {
            return Err(Stopped);
        }
        let saved = serde_json::to_vec(&tried.troubles).map_err(|error| SpoolError::Record(error.to_string()));
        let saved = saved.and_then(|json| spool::own(&self.site.spool)?.save_troubles(&json));
        if let Err(error) = saved {
            report.problem(&error.to_string());
        }
        Ok(())
    }
}

fn described(dispatch: &Dispatch) -> String {
    match (dispatch.way, dispatch.client()) {
        (way, Some(client)) => format!("a {way} about {client}"),
        (way, None) => format!("a {way}"),
    }
}

fn step(means: &Means<'_>) -> Result<(), Option<SpoolError>> {
    if (means.go_on)() { Ok(()) } else { Err(None) }
}

#[cfg(test)]
mod tests;
