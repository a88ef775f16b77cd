//! Mail that nobody gets: refused, waiting, or never composed.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use chrono::{DateTime, Utc};

use crate::act::clock;
use crate::act::record::spool::{AccountSpool, SpoolError, Stamp};
use crate::act::spools;
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Digest, Site, Transport};
use crate::decide::speak::post::{self, Pile};
use crate::terms::limits::{MAIL_PAUSE, MAX_SILENT_POST, MAX_UNUSABLE};
use crate::terms::text::counted;

/// What is wrong with the mail of all accounts, or of one's own.
pub(super) fn waiting(site: &Site) -> Vec<Finding> {
    if site.mail.transport == Transport::Off {
        return Vec::new();
    }
    let (mut found, mut unusable, mut piles) = (Vec::new(), Vec::new(), BTreeMap::new());
    // A spool that cannot be opened is reported with the site file.
    for account in spools::all(site).into_iter().flatten() {
        match account.and_then(|spool| pile(&spool)) {
            Ok(pile) => drop(piles.insert(pile.account, (pile, None))),
            // An account without events has no directories.
            Err(SpoolError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error @ SpoolError::Odd { .. }) => found.push(in_the_spool(site, &error)),
            Err(error) => unusable.push(in_the_spool(site, &error)),
        }
    }
    // A mail that is being sent is gone in a moment.
    let sending: BTreeSet<u32> = piles.values().filter(|(pile, _)| !pile.mails.is_empty()).map(|(pile, _)| pile.account).collect();
    let now = clock::now();
    if !sending.is_empty() {
        thread::sleep(MAIL_PAUSE);
        for spool in spools::all(site).into_iter().flat_map(|accounts| accounts.only(&sending)).flatten() {
            let Some((pile, oldest)) = piles.get_mut(&spool.uid()) else { continue };
            let still = spool.waiting().unwrap_or_default();
            pile.mails.retain(|mail| still.contains(mail));
            let mut refusals = spool.refusals();
            refusals.retain(|mail, _| still.contains(mail));
            pile.mails.retain(|mail| !refusals.contains_key(mail));
            pile.refused = refusals.into_values().collect();
            *oldest = pile.mails.first().and_then(|mail| spool.mail_waits_since(*mail, now));
        }
    }
    // Whoever has ids of its own can make any number: the first speak for the rest.
    let others = unusable.len().saturating_sub(MAX_UNUSABLE);
    unusable.truncate(MAX_UNUSABLE);
    found.extend(unusable);
    if others > 0 {
        let message = format!("{} in the spool cannot be used either", counted(others, "account's directory", "accounts' directories"));
        found.push(Finding::wrong(site.origins.of("spool"), message, "run `snapgate watch`: it says why"));
    }
    found.extend(piles.values().flat_map(|(pile, oldest)| post::findings(&site.origins.of("mail"), &site.spool, pile, *oldest, now)));
    found
}

fn pile(spool: &AccountSpool) -> Result<Pile, SpoolError> {
    let news = spool.news()?;
    let since: Option<DateTime<Utc>> = match news.first() {
        Some(first) => spool.event(first)?.map(|record| record.at),
        None => None,
    };
    Ok(Pile { account: spool.uid(), mails: spool.waiting()?, refused: Vec::new(), dead: spool.dead()?.len(), events: news.len(), since })
}

fn in_the_spool(site: &Site, error: &SpoolError) -> Finding {
    let text = error.to_string();
    let (message, help) = text.split_once('\n').unwrap_or((&text, "look at it; `snapgate watch` cannot go on there"));
    Finding::wrong(site.origins.of("spool"), message, help)
}

/// When a mailer took a mail last: whether mail arrives is seen only by one that does.
pub(super) fn taken(site: &Site) -> Option<Finding> {
    if site.mail.transport == Transport::Off {
        return None;
    }
    let last = spools::all(site).into_iter().flatten().flatten().filter_map(|spool| spool.stamped(Stamp::Mailed)).max();
    let Some(last) = last else {
        let message = "no mailer has taken a mail of this server's yet: whether one arrives is not known";
        return Some(Finding::note(site.origins.of("mail"), message, "have a push refused, and see that its mail comes"));
    };
    let age = (clock::kernel() - last).to_std().unwrap_or_default();
    (age > MAX_SILENT_POST).then(|| {
        let message = format!("the last mail that a mailer took was on {}", last.format("%F"));
        let at = site.origins.of("mail");
        if site.digest == Digest::Off {
            return Finding::note(at, message, "if there should have been others since, see whether one arrives");
        }
        Finding::wrong(at, message, "a digest was due since: see what `snapgate watch` and the mailer's own log say")
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::act::inspect::running_uid;
    use crate::act::record::spool::{self, Spool};
    use crate::admin::watch;
    use crate::decide::policy::read_site;
    use crate::decide::speak::alerts::{self, Alerts, State};
    use crate::decide::speak::message::{self, samples};
    use crate::terms::Event;

    #[test]
    fn a_watch_that_came_to_its_end_hides_nothing_for_which_it_had_no_time() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("store: /srv\nspool: {}\nmail: {{ to: [root@x.org] }}\n", dir.path().display());
        let site = read_site(&dir.path().join("snapgate.yaml"), text.as_bytes()).unwrap();
        let now = clock::now();
        let event = Event { at: now - TimeDelta::hours(2), ..samples::refusal() };
        Spool::open(dir.path(), running_uid()).unwrap().add(&event).unwrap();
        let (_, drafts) = alerts::step(State::default(), vec![(event.id.clone(), event)], now, Alerts::Due);
        spool::own(dir.path()).unwrap().post(&message::compose(&drafts[0], running_uid(), now)).unwrap();
        watch::ended(&site);
        let said = waiting(&site).iter().map(ToString::to_string).collect::<Vec<_>>().concat();
        assert!(said.contains("1 mail waits") && said.contains("1 event waits"), "{said}");
    }
}
