//! The ways out: whether something has waited for one of them for too long, be it mail or another.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::act::inspect::running_uid;
use crate::act::record::spool::AccountSpool;
use crate::act::spools;
use crate::decide::policy::Site;
use crate::decide::speak::states::{self, Fact, Kind};
use crate::decide::speak::ways::Troubles;
use crate::terms::Way;
use crate::terms::limits::MAILER_DOWN;
use crate::terms::text::counted;

/// What waits for a way.
struct Queue {
    oldest: DateTime<Utc>,
    count: usize,
    /// What the mailer said of the first mail that it has refused.
    words: Option<String>,
    /// In whose spools, by number.
    accounts: BTreeSet<u32>,
}

/// A state of the server's for each way, with nobody in particular who is told.
pub(super) fn facts(site: &Site, own: &AccountSpool, now: DateTime<Utc>) -> Vec<(Kind, Fact, Vec<String>)> {
    let kinds = [Kind::Mailer, Kind::Undelivered].map(|kind| (kind, None)).into_iter();
    let kinds = kinds.chain(Way::ALL.map(|way| (Kind::of(way), Some(way))));
    let Some(queues) = queues(site, now) else { return kinds.map(|(kind, _)| (kind, Fact::Unknown, Vec::new())).collect() };
    let troubles: Troubles = own.troubles().ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let fact = |kind: Kind, way: Option<Way>| {
        let late = |queue: &&Queue| queue.count > 0 && (now - queue.oldest).to_std().is_ok_and(|waited| waited >= MAILER_DOWN);
        let Some(Queue { oldest, count, words, accounts }) = queues.get(&kind).filter(late) else { return Fact::Over };
        let mut what = match way {
            None if kind == Kind::Undelivered => counted(*count, "mail is refused", "mails are refused"),
            None => counted(*count, "mail waits", "mails wait"),
            Some(Way::Ping) => counted(*count, "ping waits", "pings wait"),
            Some(Way::Webhook | Way::Exec) => counted(*count, "event waits", "events wait"),
        };
        let why = way.and_then(|way| troubles.of(way)).map(|trouble| &trouble.why).or(words.as_ref());
        if words.is_none() {
            what += &whose(accounts, running_uid());
        }
        Fact::Lasts(*oldest, what + &why.map(|why| format!(": {why}")).unwrap_or_default())
    };
    kinds.map(|(kind, way)| (kind, fact(kind, way), Vec::new())).collect()
}

/// Whose spool it is where all of it waits in one that is not our own: an account may have made it wait itself, for
/// instance by holding a lock, and then the way may be in order.
fn whose(accounts: &BTreeSet<u32>, own: u32) -> String {
    match (accounts.first(), accounts.len()) {
        (Some(uid), 1) if *uid != own => format!(", all in the spool of account {uid}"),
        _ => String::new(),
    }
}

/// What waits in all spools, by what lasts if it waits for too long.
fn queues(site: &Site, now: DateTime<Utc>) -> Option<BTreeMap<Kind, Queue>> {
    let mut queues = BTreeMap::new();
    let mut more = |uid, kind, count, since: Option<DateTime<Utc>>, words: Option<String>| {
        let queue = queues.entry(kind).or_insert(Queue { oldest: now, count: 0, words: None, accounts: BTreeSet::new() });
        if count > 0 {
            queue.accounts.insert(uid);
        }
        queue.count += count;
        queue.oldest = since.map_or(queue.oldest, |since| since.min(queue.oldest));
        queue.words = queue.words.take().or(words);
    };
    for account in spools::all(site).ok()?.flatten() {
        let (mut waiting, mut refusals) = (account.waiting().unwrap_or_default(), account.refusals());
        refusals.retain(|seq, _| waiting.contains(seq));
        waiting.retain(|seq| !refusals.contains_key(seq));
        refusals.retain(|seq, _| !tells_of_refusals(&account, *seq));
        let since = |first: Option<&u64>| first.and_then(|seq| account.mail_waits_since(*seq, now));
        more(account.uid(), Kind::Mailer, waiting.len(), since(waiting.first()), None);
        let oldest = since(refusals.keys().next());
        let words = refusals.values().next().map(|words| said_in(&account, words.clone()));
        more(account.uid(), Kind::Undelivered, refusals.len(), oldest, words);
        let waiting = account.dispatches().unwrap_or_default();
        for way in Way::ALL {
            let mut of_it = waiting.iter().filter(|one| one.way == way).peekable();
            let first = of_it.peek().and_then(|one| account.dispatch(one).ok().flatten());
            more(account.uid(), Kind::of(way), of_it.count(), first.map(|dispatch| account.dispatch_waits_since(&dispatch, now)), None);
        }
    }
    Some(queues)
}

/// Whether a mail that was refused tells itself that mail is refused: such a one makes no others, or
/// they would go on for ever. Only whoever looks writes such mails.
fn tells_of_refusals(account: &AccountSpool, seq: u64) -> bool {
    let is_about = || account.mail(seq, &|_| false).ok().flatten().is_some_and(|mail| states::is_about(&mail, Kind::Undelivered));
    account.uid() == running_uid() && is_about()
}

/// The mailer's words, as they stand in the spool of an account, which may have written any.
fn said_in(account: &AccountSpool, words: String) -> String {
    if account.uid() == running_uid() { words } else { format!("{words} (by the spool of account {})", account.uid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_one_account_s_spool_alone_is_said_to_be_there() {
        let cases: &[(&[u32], &str)] =
            &[(&[], ""), (&[0], ""), (&[1001], ", all in the spool of account 1001"), (&[0, 1001], ""), (&[1001, 1002], "")];
        for (accounts, words) in cases {
            assert_eq!(whose(&accounts.iter().copied().collect(), 0), *words, "{accounts:?}");
        }
    }
}
