//! `snapgate digest`: how all clients stand, as a mail that always comes, or on the terminal.
//!
//! A timer asks every quarter of an hour whether one is due. What one says, that it was made, and
//! with what the next one compares are saved with the states, in one file and one step: so whatever
//! ends this, each digest is made once. It becomes a mail when the spool is processed (`watch`). It
//! reads what others have counted and written down, and walks no repository.

mod facts;
mod reading;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use crate::act::config::zones;
use crate::act::record::spool::Stamp;
use crate::act::{config, inspect, mail, process};
use crate::admin::prune::{Failure, LOOK};
use crate::admin::states;
use crate::decide::policy::{Site, Transport};
use crate::decide::speak::digest::{self, Due, Facts, Span, letters};
use crate::decide::speak::states::{Letter, Mark, Memory, Past, Point};
use crate::terms::{Page, Zone, ZoneName, base64, exit};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// To be shown, as it would be mailed now.
    Show {
        /// As HTML, with its pictures in it.
        html: bool,
    },
    /// To be mailed now. The next one comes when it is due all the same.
    Mail,
    /// To be mailed if it is due.
    IfDue,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It, to be shown.
    Shown(String),
    /// It is among what is to be mailed.
    Noted,
    /// Nothing was to be done.
    Nothing,
}

/// Does it.
///
/// # Errors
/// When it cannot be made, or not be noted, in words for the administrator, with the exit code.
pub fn digest(directory: &Path, order: Order, now: DateTime<Utc>) -> Result<Done, Failure> {
    process::many_files();
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let asked = Asked { directory, site: &site, now };
    let failed = |what: String| (what, LOOK);
    match order {
        Order::Show { html } => {
            let memory = states::of(&site);
            let (facts, _) = asked.facts(&memory, None, 0);
            let Some(Letter { body, page, .. }) = letters(&facts).into_iter().next() else { return Ok(Done::Nothing) };
            Ok(Done::Shown(if html { whole(&page).map_err(failed)? } else { body }))
        }
        Order::Mail if site.mail.transport == Transport::Off => {
            Err(("no mail leaves here: the site file says `transport: off`".to_owned(), exit::CONFIG))
        }
        Order::Mail => asked.mail().map_err(failed),
        Order::IfDue if site.mail.transport == Transport::Off => Ok(Done::Nothing),
        Order::IfDue => {
            let done = asked.if_due().map_err(failed)?;
            Stamp::Ran("digest").leave(&site.spool);
            Ok(done)
        }
    }
}

/// It as one file, which needs nothing else.
fn whole(page: &Page) -> Result<String, String> {
    let mut pictures = Vec::new();
    for section in &page.sections {
        let picture = section.plot.as_ref().map(mail::png).transpose()?;
        pictures.push(picture.map(|picture| format!("data:image/png;base64,{}", base64::without_padding(&picture))));
    }
    Ok(digest::html(page, &|number| pictures.get(number).cloned().flatten().unwrap_or_default()))
}

/// Where, and when.
struct Asked<'a> {
    directory: &'a Path,
    site: &'a Site,
    now: DateTime<Utc>,
}

impl Asked<'_> {
    /// That of the site's policies, or UTC, and why.
    fn zone(&self) -> (Zone, Option<String>) {
        let name = self.site.defaults.timezone().cloned().unwrap_or_else(ZoneName::utc);
        match zones::load(&name) {
            Ok(zone) => (zone, None),
            Err(what) => (Zone::utc(), Some(format!("times are UTC: {}", what.lines().next().unwrap_or_default()))),
        }
    }

    /// All that there is to tell, and up to which line each ledger was seen for that.
    fn facts(&self, memory: &Memory, due: Option<DateTime<Utc>>, skipped: i64) -> (Facts, BTreeMap<String, Mark>) {
        let (zone, no_zone) = self.zone();
        let past = memory.digest.as_ref();
        let days = TimeDelta::days(self.site.digest.days());
        let since = past.map(|past| past.at).filter(|at| *at < self.now).unwrap_or(self.now - days);
        let span = Span { since, until: self.now };
        let facts::Found { clients, apart, lasting, unread, marks } = facts::all(self.directory, self.site, memory, span);
        let unread = no_zone.into_iter().chain(unread).collect();
        let used = clients.iter().filter_map(|client| client.used).fold(0, u64::saturating_add);
        let points = past.map(|past| past.points.as_slice()).unwrap_or_default();
        let points = points.iter().copied().filter(|point| point.at < self.now).chain([Point { at: self.now, used }]).collect();
        let facts = Facts {
            here: inspect::host_name(),
            now: self.now,
            span,
            due,
            skipped,
            set_back: past.is_some_and(|past| past.set_back),
            digest: self.site.digest,
            zone,
            clients,
            apart,
            lasting,
            unread,
            points,
        };
        (facts, marks)
    }

    fn mail(&self) -> Result<Done, String> {
        let Some(mut held) = states::hold(self.site)? else { return Err(BUSY.to_owned()) };
        let memory = std::mem::take(&mut held.memory);
        let (facts, _) = self.facts(&memory, None, 0);
        let noted = memory.with_digest(held.told, letters(&facts), None, self.now).ok_or(FULL)?;
        held.save(noted)?;
        Ok(Done::Noted)
    }

    fn if_due(&self) -> Result<Done, String> {
        let (zone, _) = self.zone();
        let due = |past: Option<&Past>| digest::due(self.site.digest, &zone, past, self.now);
        // Most times it is not, and nobody is kept from the spool.
        if !states::is_ours(self.site) || due(states::digested(self.site).as_ref()) == Due::Not {
            return Ok(Done::Nothing);
        }
        let Some(mut held) = states::hold(self.site)? else { return Ok(Done::Nothing) };
        let mut memory = std::mem::take(&mut held.memory);
        let (at, letters, (facts, marks)) = match due(memory.digest.as_ref()) {
            Due::Not => return Ok(Done::Nothing),
            Due::Off => {
                memory.digest = None;
                held.save(memory)?;
                return Ok(Done::Nothing);
            }
            Due::Begin(at) => (at, Vec::new(), self.facts(&memory, None, 0)),
            Due::Since { due, skipped } => {
                let facts = self.facts(&memory, Some(due), skipped);
                (due, letters(&facts.0), facts)
            }
        };
        // Where nothing is mailed, the clock was set back, if there was one before.
        let set_back = letters.is_empty() && memory.digest.is_some();
        let done = if letters.is_empty() { Done::Nothing } else { Done::Noted };
        let used = facts.clients.iter().filter_map(|client| Some((client.name.clone(), client.used?))).collect();
        let past = Past { due: at, at: self.now, set_back, used, points: facts.points, marks: Some(marks) };
        // Where so many mails wait, it is made later, and says that it is late.
        let noted = memory.with_digest(held.told, letters, Some(past), self.now).ok_or(FULL)?;
        held.save(noted)?;
        Ok(done)
    }
}

const BUSY: &str = "another process is at work in the spool: try again in a moment\nor let root do it, where root looks for states";

const FULL: &str = "so many mails wait that no digest is added: see what `snapgate watch` says of the mailer";
