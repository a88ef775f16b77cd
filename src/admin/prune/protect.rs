//! `snapgate protect` and `unprotect`: what no rule removes.

use std::path::Path;

use super::client::{Client, UNPROTECTED, failure, upkeep};
use super::done::Done;
use super::{Failure, Printed};
use crate::act::config;
use crate::act::prune::Protected;
use crate::decide::keep::Until;
use crate::terms::limits::MAX_QUOTED;
use crate::terms::text::{on_one_line, printable, printable_within};
use crate::terms::{Body, ClientName, Deed, Mail, exit};

/// `snapgate protect`, as it is said.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// The snapshot.
    pub(crate) snapshot: &'a str,
    /// Until then; for good without it.
    pub(crate) until: Option<Until>,
    /// Why, for whoever asks later.
    pub(crate) why: &'a str,
}

/// Protects a snapshot from every rule.
pub(crate) fn protect(directory: &Path, name: &ClientName, wish: &Wish<'_>, json: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let client = Client::find(directory, &site, name)?;
    client.reaching(|| protected(&client, wish))?.printed(&client, json)
}

fn protected(client: &Client<'_>, wish: &Wish<'_>) -> Result<Done, Failure> {
    let opened = client.existing()?;
    let held = client.hold(&opened)?;
    let snapshot = client.named(&opened, wish.snapshot)?;
    let until = match wish.until {
        None => None,
        Some(until) => Some(until.end(client.now, &client.zone).map_err(|what| (what, exit::USAGE))?),
    };
    let why = printable_within(on_one_line(wish.why).as_bytes(), MAX_QUOTED);
    let note = Protected { until, why: why.clone(), by: client.by.clone(), at: client.now };
    let how_long =
        until.map_or_else(|| "until `snapgate unprotect`".to_owned(), |end| format!("until {}", end.format("%Y-%m-%d %H:%M UTC")));
    let happened = format!("{snapshot} protected {how_long}");
    let event = client.event(Body::Upkeep(Deed::Protect, upkeep(happened.clone(), [snapshot.as_str()], &why)), Mail::None);
    held.announce(&event).map_err(failure)?;
    opened.protect(&snapshot, &note).map_err(failure)?;
    client.record(&opened, &event);
    held.told();
    Ok(Done::new(client, [snapshot.as_str()], happened))
}

/// Ends the protection of a snapshot, which may be gone.
pub(crate) fn unprotect(directory: &Path, name: &ClientName, wanted: &str, json: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let client = Client::find(directory, &site, name)?;
    client.reaching(|| unprotected(&client, wanted))?.printed(&client, json)
}

fn unprotected(client: &Client<'_>, wanted: &str) -> Result<Done, Failure> {
    let name = client.name();
    let opened = client.existing()?;
    let held = client.hold(&opened)?;
    let shown = printable(wanted.as_bytes());
    if !opened.protections().map_err(failure)?.iter().any(|(name, _)| name == wanted) {
        let help = format!("`snapgate prune --explain {name}` shows what keeps each");
        return Err((format!("`{shown}` of `{name}` is not protected\n{help}"), exit::USAGE));
    }
    let happened = format!("{shown} {UNPROTECTED}");
    let event = client.event(Body::Upkeep(Deed::Protect, upkeep(happened.clone(), [shown.as_str()], "")), Mail::None);
    held.announce(&event).map_err(failure)?;
    opened.unprotect(wanted).map_err(failure)?;
    client.record(&opened, &event);
    held.told();
    Ok(Done::new(client, [shown.as_str()], happened))
}
