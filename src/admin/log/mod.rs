//! `snapgate log`: the ledgers for people, all clients' together in order of time.
//!
//! Whose an event is its place says, never the event: an account may write anything into its ledger.
//! Ledgers may be of any length and their lines of any kind, so they are read one line at a time and
//! no more is held than puts them in order. Nothing is changed.

mod follow;
mod order;
pub(in crate::admin) mod places;

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::act::config::zones;
use crate::act::{clock, config, process};
use crate::admin::prune::{Client, Failure, LOOK};
use crate::decide::policy::Site;
use crate::decide::speak::log::{self, Edge, Wanted};
use crate::terms::limits::MAX_LAST;
use crate::terms::{ClientName, Event, Zone, ZoneName, exit};

use order::Reading;
use places::Source;

/// Lines that come first where somebody follows and does not say how many.
const LAST_BEFORE_FOLLOWING: u32 = 10;

/// Shows a piece of text; `false` where nobody reads on.
pub(crate) type Show<'a> = dyn FnMut(&str) -> bool + 'a;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// Of whom; of all where it is nobody.
    pub(crate) client: Option<ClientName>,
    /// Which events. Its times come from the two below.
    pub(crate) wanted: Wanted,
    /// From this time on, as it was written.
    pub(crate) since: Option<String>,
    /// Until this one.
    pub(crate) until: Option<String>,
    /// How many, the last ones.
    pub(crate) last: Option<u32>,
    /// Whether to wait for more.
    pub(crate) follow: bool,
    /// Whether to say all that there is to say.
    pub(crate) verbose: bool,
    /// Whether a program reads it.
    pub(crate) json: bool,
}

/// How events are shown.
struct Style {
    zone: Zone,
    verbose: bool,
    json: bool,
    /// Letters of the longest name.
    width: usize,
}

impl Style {
    /// An event of that client's, or of an account's.
    fn text(&self, event: &Event, who: &str) -> String {
        if self.json {
            return serde_json::to_string(event).map(|json| log::escaped(&json) + "\n").unwrap_or_default();
        }
        let width = self.width;
        let mut text = format!("{}  {who:<width$}  {}\n", log::time(event.at, &self.zone), log::line(event));
        if self.verbose {
            log::details(event).iter().for_each(|detail| text.push_str(&format!("    {detail}\n")));
        }
        text
    }
}

/// Shows the events. What could not be read comes back, for the administrator; the exit code is 1
/// then.
pub(crate) fn log(directory: &Path, orders: &Orders, show: &mut Show<'_>) -> Result<(Vec<String>, u8), Failure> {
    // Each client's ledger is open.
    process::many_files();
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let zone = zone(directory, &site, orders.client.as_ref())?;
    let wanted = wanted(orders, clock::now(), &zone)?;
    let (mut sources, mut problems) = places::all(directory, &site, orders.client.as_ref())?;
    let width = sources.iter().map(Source::width).max().unwrap_or(0);
    let style = Style { zone, verbose: orders.verbose, json: orders.json, width };
    let last = orders.last.or(orders.follow.then_some(LAST_BEFORE_FOLLOWING)).map(|last| last.min(MAX_LAST));
    if orders.follow {
        // Before what is there is read: nothing is missed between the two, and nothing told twice.
        sources.iter_mut().for_each(|source| problems.extend(source.begin_to_follow()));
    }
    let reading = Reading { wanted: &wanted, style: &style, only: orders.client.as_ref() };
    let is_read = match last {
        Some(last) => order::last(&sources, &reading, last as usize, &mut problems, show),
        None => order::all(&sources, &reading, &mut problems, show),
    };
    if !is_read {
        return Ok((Vec::new(), exit::CLOSED));
    }
    if !orders.follow {
        let code = if problems.is_empty() { 0 } else { LOOK };
        return Ok((problems, code));
    }
    Ok((problems, follow::follow(directory, &site, sources, &reading, show)))
}

/// In whose time: the client's own, or that of the site's policies.
fn zone(directory: &Path, site: &Site, client: Option<&ClientName>) -> Result<Zone, Failure> {
    let name = match client {
        Some(client) => Client::find(directory, site, client)?.policy.timezone,
        None => site.defaults.timezone().cloned().unwrap_or_else(ZoneName::utc),
    };
    zones::load(&name).map_err(|what| (what, exit::CONFIG))
}

fn wanted(orders: &Orders, now: DateTime<Utc>, zone: &Zone) -> Result<Wanted, Failure> {
    let moment = |text: &Option<String>, edge| {
        let moment = text.as_deref().map(|text| log::moment(text, edge, now, zone)).transpose();
        moment.map_err(|what| (what, exit::USAGE))
    };
    let (since, until) = (moment(&orders.since, Edge::Since)?, moment(&orders.until, Edge::Until)?);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(("nothing lies between these two times: --since is not before --until".to_owned(), exit::USAGE));
    }
    Ok(Wanted { since, until, ..orders.wanted.clone() })
}
