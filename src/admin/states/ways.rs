//! The ways out: whether something has waited for one of them for too long, be it mail or another.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::act::record::spool::AccountSpool;
use crate::act::spools;
use crate::decide::policy::Site;
use crate::decide::speak::states::{Fact, Kind};
use crate::decide::speak::ways::Troubles;
use crate::terms::Way;
use crate::terms::limits::MAILER_DOWN;
use crate::terms::text::counted;

/// What waits for a way.
struct Queue {
    oldest: DateTime<Utc>,
    count: usize,
    /// Mails that wait for nothing, since the mailer has refused them, and what it said of the first.
    refused: usize,
    words: Option<String>,
}

impl Queue {
    fn mails(&self) -> String {
        let waiting = Some(self.count).filter(|count| *count > 0).map(|count| counted(count, "mail waits", "mails wait"));
        let refused = self.words.as_ref().map(|words| format!("{} refused: {words}", counted(self.refused, "mail is", "mails are")));
        waiting.into_iter().chain(refused).collect::<Vec<_>>().join(", ")
    }
}

/// A state of the server's for each way, with nobody in particular who is told.
pub(super) fn facts(site: &Site, own: &AccountSpool, now: DateTime<Utc>) -> Vec<(Kind, Fact, Vec<String>)> {
    let kinds = [(None, Kind::Mailer)].into_iter().chain(Way::ALL.map(|way| (Some(way), kind(way))));
    let Some(queues) = queues(site, now) else { return kinds.map(|(_, kind)| (kind, Fact::Unknown, Vec::new())).collect() };
    let troubles: Troubles = own.troubles().ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let fact = |way: Option<Way>| {
        let late = |queue: &&Queue| (now - queue.oldest).to_std().is_ok_and(|waited| waited >= MAILER_DOWN);
        let Some(queue) = queues.get(&way).filter(late) else { return Fact::Over };
        let what = match way {
            None => queue.mails(),
            Some(Way::Ping) => counted(queue.count, "ping waits", "pings wait"),
            Some(Way::Webhook | Way::Exec) => counted(queue.count, "event waits", "events wait"),
        };
        let why = way.and_then(|way| troubles.of(way)).map(|trouble| format!(": {}", trouble.why)).unwrap_or_default();
        Fact::Lasts(queue.oldest, what + &why)
    };
    kinds.map(|(way, kind)| (kind, fact(way), Vec::new())).collect()
}

fn kind(way: Way) -> Kind {
    match way {
        Way::Webhook => Kind::Webhook,
        Way::Ping => Kind::Ping,
        Way::Exec => Kind::Exec,
    }
}

/// What waits in all spools, for the mailer (`None`) and for each other way.
fn queues(site: &Site, now: DateTime<Utc>) -> Option<BTreeMap<Option<Way>, Queue>> {
    let mut queues = BTreeMap::new();
    let mut more = |way, count, since: Option<DateTime<Utc>>, refusals: BTreeMap<u64, String>| {
        let queue = queues.entry(way).or_insert(Queue { oldest: now, count: 0, refused: 0, words: None });
        queue.count += count;
        queue.oldest = since.map_or(queue.oldest, |since| since.min(queue.oldest));
        queue.refused += refusals.len();
        queue.words = queue.words.take().or(refusals.into_values().next());
    };
    for account in spools::all(site).ok()?.flatten() {
        let waiting = account.waiting().unwrap_or_default();
        let mut refusals = account.refusals();
        refusals.retain(|seq, _| waiting.contains(seq));
        let since = waiting.first().and_then(|seq| account.mail_waits_since(*seq, now));
        more(None, waiting.len().saturating_sub(refusals.len()), since, refusals);
        let waiting = account.dispatches().unwrap_or_default();
        for way in Way::ALL {
            let mut of_it = waiting.iter().filter(|one| one.way == way).peekable();
            let first = of_it.peek().and_then(|one| account.dispatch(one).ok().flatten());
            more(Some(way), of_it.count(), first.map(|dispatch| account.dispatch_waits_since(&dispatch, now)), BTreeMap::new());
        }
    }
    Some(queues)
}
