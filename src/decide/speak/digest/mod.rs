//! The digest: how all clients stand, in one mail that always comes. Its absence is the alarm, so it
//! says when the next one comes.
//!
//! Facts go in, a page comes out, which is shown as text (`text`) and as HTML (`html`, with plots by
//! `plot`). What an account may have written is printable and cut, and nothing of it is taken for a
//! form.

mod due;
mod html;
mod parts;
pub mod plot;
mod seen;
mod text;

use chrono::{DateTime, Utc};

use crate::decide::policy::Digest;
use crate::decide::speak::states::{Kind, Letter, Point};
use crate::terms::limits::{DIGEST_LATE, MAX_DIGESTS};
use crate::terms::page::Section;
use crate::terms::text::counted;
use crate::terms::{ClientName, MailSubject, Page, Zone};

pub use due::{Due, due};
pub use html::html;
pub use seen::{Seen, Span, ended};
pub use text::text;

/// Clients that need somebody and are named at once. A list of mails has no room for more.
const NAMED: usize = 3;

/// A part of the page about these clients; `true`: they are all, and the server's own is told with them.
type Part = fn(&Facts, &[&Client], bool) -> Option<Section>;

/// All of them, in order.
const PARTS: [Part; 7] = [parts::bad, parts::good, parts::due, parts::growth, parts::largest, parts::refusals, parts::unread];

/// What is known of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name.
    pub name: ClientName,
    /// Who gets its reports, where its policy says so.
    pub to: Vec<String>,
    /// Its newest snapshot.
    pub newest: Option<DateTime<Utc>>,
    /// What it uses, where that is known, and what it used at the last digest.
    pub used: Option<u64>,
    /// See there.
    pub before: Option<u64>,
    /// What it may use, and from which share on its administrator is warned.
    pub quota: Option<u64>,
    /// See there.
    pub warn: u64,
    /// How many snapshots wait in the trash.
    pub trash: usize,
    /// What `snapgate maintain` has to do.
    pub upkeep: Vec<&'static str>,
    /// What lasts: since when, and in a few words.
    pub lasting: Vec<(Kind, DateTime<Utc>, String)>,
    /// When its next snapshot was expected, and from when on it is missed, where it is late.
    pub late: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Whether it may do nothing for now.
    pub frozen: bool,
    /// Why nothing more is known.
    pub problem: Option<String>,
    /// What happened.
    pub seen: Seen,
}

/// All that a digest tells of.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The server's name.
    pub here: String,
    /// When it is made.
    pub now: DateTime<Utc>,
    /// Of which time it tells.
    pub span: Span,
    /// When it was due; `None` where a person asks.
    pub due: Option<DateTime<Utc>>,
    /// How many before it did not come.
    pub skipped: i64,
    /// Whether the clock was set back meanwhile.
    pub set_back: bool,
    /// The site's `digest:`.
    pub digest: Digest,
    /// By whose clocks.
    pub zone: Zone,
    /// The clients.
    pub clients: Vec<Client>,
    /// Connections of no client's, each with its account.
    pub apart: Vec<(String, Seen)>,
    /// What lasts of the server's own.
    pub lasting: Vec<(Kind, DateTime<Utc>, String)>,
    /// What could not be read.
    pub unread: Vec<String>,
    /// What all clients used, at the last digests and now.
    pub points: Vec<Point>,
}

/// The digest of all, and those for whom policies name, of their clients alone.
pub fn letters(facts: &Facts) -> Vec<Letter> {
    let all: Vec<_> = facts.clients.iter().collect();
    let mut lists: Vec<&[String]> = all.iter().map(|client| client.to.as_slice()).filter(|to| !to.is_empty()).collect();
    lists.sort_unstable();
    lists.dedup();
    let left = lists.len().saturating_sub(MAX_DIGESTS);
    let mut letters = vec![letter(facts, &all, None, left)];
    for to in lists.into_iter().take(MAX_DIGESTS) {
        let theirs: Vec<_> = all.iter().copied().filter(|client| client.to == to).collect();
        let first = theirs.first().map(|client| client.name.clone());
        letters.push(letter(facts, &theirs, first, 0));
    }
    letters
}

fn letter(facts: &Facts, clients: &[&Client], client: Option<ClientName>, left: usize) -> Letter {
    let (subject, mut page) = page(facts, clients, client.is_none());
    if left > 0 {
        let left = counted(left, "other list has", "other lists have");
        page.foot.push(format!(
            "Policies name {MAX_DIGESTS} lists of addresses in `reports_to:`, which have a digest of their own; {left} none."
        ));
    }
    let page = page.checked();
    Letter { client, subject, body: text(&page), page }
}

/// The subject and the page of these clients; `whole`: of all, and the server with them.
fn page(facts: &Facts, clients: &[&Client], whole: bool) -> (MailSubject, Page) {
    let day = facts.zone.local(facts.now).format("%Y-%m-%d").to_string();
    let all = counted(clients.len(), "client", "clients");
    let needing: Vec<_> = clients.iter().filter(|client| client.needs_somebody()).map(|client| client.name.as_str()).collect();
    let names = if (1..=NAMED).contains(&needing.len()) { format!(": {}", needing.join(", ")) } else { String::new() };
    let needing = needing.len();
    let server = whole && !facts.lasting.is_empty();
    let how = match (clients.len(), needing) {
        (0, _) => "no client yet".to_owned(),
        (_, 0) if server => "this server needs you".to_owned(),
        (_, 0) => format!("all is well with {all}"),
        (_, 1) => format!("1 of {all} needs you{names}"),
        (_, many) => format!("{many} of {all} need you{names}"),
    };
    let name = match facts.digest.name() {
        "" => "Digest".to_owned(),
        name => name.get(..1).unwrap_or_default().to_uppercase() + name.get(1..).unwrap_or_default() + " digest",
    };
    let mut lead = vec![format!("{}{}.", how.get(..1).unwrap_or_default().to_uppercase(), how.get(1..).unwrap_or_default())];
    lead.push(format!(
        "From {} to {}, by the clocks of {}.",
        facts.moment(facts.span.since),
        facts.moment(facts.span.until),
        facts.zone.name
    ));
    lead.extend(facts.late());
    let sections = PARTS.iter().filter_map(|part| part(facts, clients, whole)).collect();
    let page = Page { title: format!("{name} of {}, {day}", facts.here), lead, sections, foot: facts.foot() };
    (MailSubject::new(format_args!("digest {day}"), how), page)
}

impl Client {
    /// Whether somebody has to look.
    fn needs_somebody(&self) -> bool {
        !self.lasting.is_empty() || self.problem.is_some() || self.seen.ended_badly() || self.seen.problems > 0
    }
}

impl Facts {
    fn moment(&self, at: DateTime<Utc>) -> String {
        self.zone.local(at).format("%a %Y-%m-%d %H:%M").to_string()
    }

    /// What is said where it does not come as it should.
    fn late(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(due) = self.due.filter(|due| (self.now - *due).to_std().is_ok_and(|late| late > DIGEST_LATE)) {
            said.push(format!("It comes late: it was due on {}. This server was off, or its timer did not run.", self.moment(due)));
        }
        if self.skipped > 0 {
            let skipped = counted(self.skipped, "digest before it was", "digests before it were");
            said.push(format!("{skipped} due and did not come. This one tells of that time, too."));
        }
        if self.set_back {
            said.push("The clock of this server was set back since the last digest, so what happened before may be told again.".to_owned());
        }
        said
    }

    fn foot(&self) -> Vec<String> {
        let next = match self.digest.next_due(&self.zone, self.now) {
            Some(next) => format!(
                "The next digest comes on {}, also where all is well. If it does not come, look into it: this server, its timer \
                 (snapgate-digest.timer) or its mail does not work.",
                self.moment(next)
            ),
            None => "No digest is mailed: the site file says `digest: off`.".to_owned(),
        };
        vec![
            next,
            "`snapgate status` shows how clients stand now, `snapgate log` what happened, `snapgate check` what is wrong.".to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests;
