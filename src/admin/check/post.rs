//! Mail that nobody gets: refused, waiting, or never composed.

use std::thread;

use chrono::{DateTime, Utc};

use crate::act::clock;
use crate::act::record::spool::{self, AccountSpool, SpoolError, Stamp};
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Digest, Site, Transport};
use crate::decide::speak::post::{self, Pile};
use crate::terms::limits::{MAIL_PAUSE, MAX_SILENT_POST};

/// What is wrong with the mail of all accounts, or of one's own.
pub(super) fn waiting(site: &Site) -> Vec<Finding> {
    if site.mail.transport == Transport::Off {
        return Vec::new();
    }
    let origin = || site.origins.of("mail");
    // A spool that cannot be opened is reported with the site file.
    let accounts = spool::accounts(&site.spool).unwrap_or_default();
    let mut found = Vec::new();
    let mut piles = Vec::new();
    for account in accounts {
        match account.and_then(|spool| pile(&spool).map(|pile| (spool, pile))) {
            Ok(counted) => piles.push(counted),
            // An account without events has no directories.
            Err(SpoolError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => found.push(in_the_spool(site, &error)),
        }
    }
    // A mail that is being sent is gone in a moment.
    if piles.iter().any(|(_, pile)| !pile.mails.is_empty()) {
        thread::sleep(MAIL_PAUSE);
        for (spool, pile) in &mut piles {
            let still = spool.waiting().unwrap_or_default();
            pile.mails.retain(|mail| still.contains(mail));
            let mut refusals = spool.refusals();
            refusals.retain(|mail, _| still.contains(mail));
            pile.mails.retain(|mail| !refusals.contains_key(mail));
            pile.refused = refusals.into_values().collect();
        }
    }
    let now = clock::now();
    for (spool, pile) in piles {
        let oldest = pile.mails.first().and_then(|mail| spool.mail(*mail).ok().flatten()).map(|mail| spool.waits_since(&mail, now));
        found.extend(post::findings(&origin(), &site.spool, &pile, oldest, now));
    }
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
    let accounts = spool::accounts(&site.spool).unwrap_or_default();
    let last = accounts.iter().flatten().filter_map(|spool| spool.stamped(Stamp::Mailed)).max();
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
