//! Mail that does not get through: what of it is worth telling.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::terms::Origin;
use crate::terms::limits::{MAIL_LIFETIME, STALE_EVENTS};
use crate::terms::text::{counted, printable};

use crate::decide::policy::lint::Finding;

/// What lies in the spool of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pile {
    /// The account's number.
    pub account: u32,
    /// Mails that wait, the oldest first.
    pub mails: Vec<u64>,
    /// What the mailer said of mails that it refused, which wait for nothing but its change of mind.
    pub refused: Vec<String>,
    /// Mails that were laid aside, because nobody took them.
    pub dead: usize,
    /// Events of which nobody has made a mail.
    pub events: usize,
    /// When the oldest of these happened.
    pub since: Option<DateTime<Utc>>,
}

/// What is wrong there.
pub fn findings(origin: &Origin, spool: &Path, pile: &Pile, oldest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Vec<Finding> {
    let own = printable(spool.join(pile.account.to_string()).as_os_str().as_encoded_bytes());
    let time = |at: DateTime<Utc>| format!("{} UTC", at.format("%Y-%m-%d %H:%M"));
    let mut found = Vec::new();
    if pile.dead > 0 {
        let message = format!("{} refused for days and laid aside in `{own}/dead`", counted(pile.dead, "mail was", "mails were"));
        found.push(Finding::wrong(origin.clone(), message, "the files that end in .why say why: mend that, then remove them all"));
    }
    if let Some(words) = pile.refused.first() {
        let refused = counted(pile.refused.len(), "mail in `{own}/out` is", "mails in `{own}/out` are").replace("{own}", &own);
        let message = format!("{refused} refused: {words}");
        let days = MAIL_LIFETIME.as_secs() / 86400;
        let help = format!("mend what that says: they are tried again for {days} days, then laid aside in `{own}/dead`");
        found.push(Finding::wrong(origin.clone(), message, help));
    }
    if !pile.mails.is_empty() {
        let since = oldest.map(|at| format!(", the first since {}", time(at))).unwrap_or_default();
        let waiting = counted(pile.mails.len(), "mail waits", "mails wait");
        let message = format!("{waiting} in `{own}/out`{since}: the mailer cannot be reached, or takes none now");
        found.push(Finding::wrong(origin.clone(), message, "run `snapgate watch`: it tries again and says what the mailer answers"));
    }
    let stale = chrono::Duration::from_std(STALE_EVENTS).unwrap_or_default();
    if let Some(at) = pile.since.filter(|at| now - *at > stale) {
        let waiting = counted(pile.events, "event waits", "events wait");
        let message = format!("{waiting} in `{own}/new` since {}: no `snapgate watch` has made mails of them", time(at));
        found.push(Finding::wrong(origin.clone(), message, "have a timer or cron run `snapgate watch`, and see what it says"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_that_waits_is_told_and_events_only_when_nobody_has_come_for_them() {
        let origin = Origin { file: "site".into(), line: 3 };
        let now: DateTime<Utc> = "2026-11-27T20:00:00Z".parse().unwrap();
        let hours = |hours| now - chrono::Duration::hours(hours);
        let said = |pile: &Pile, oldest| {
            let found = findings(&origin, Path::new("/spool"), pile, oldest, now);
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let pile = Pile { account: 1000, ..Pile::default() };
        assert_eq!(said(&pile, None), "");
        assert_eq!(said(&Pile { events: 1, since: Some(now), ..pile.clone() }, None), "", "a watch is about to begin");
        let events = Pile { events: 2, since: Some(hours(25)), ..pile.clone() };
        assert!(
            said(&events, None).contains("site:3: 2 events wait in `/spool/1000/new` since 2026-11-26 19:00 UTC"),
            "{}",
            said(&events, None)
        );
        let mails = Pile { mails: vec![7], ..pile.clone() };
        assert!(said(&mails, Some(hours(1))).contains("1 mail waits in `/spool/1000/out`, the first since 2026-11-27 19:00 UTC"));
        let refused = Pile { refused: vec!["550 nobody here".to_owned(), "550 nor here".to_owned()], ..pile.clone() };
        let words = said(&refused, None);
        assert!(words.contains("2 mails in `/spool/1000/out` are refused: 550 nobody here") && !words.contains("wait"), "{words}");
        assert!(words.contains("for 5 days"), "{words}");
        assert!(said(&Pile { dead: 3, ..pile }, None).contains("3 mails were refused for days and laid aside in `/spool/1000/dead`"));
    }
}
