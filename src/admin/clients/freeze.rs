//! `snapgate freeze` and `thaw`: a switch for maintenance, with a text that the client reads.

use std::path::Path;

use super::{Printed, indexed, policy, taken};
use crate::act::{clients, config};
use crate::decide::clients::edit;
use crate::terms::{ClientName, exit};

/// Lets a client in no more, and tells it this.
pub(crate) fn freeze(directory: &Path, client: &ClientName, say: &str) -> Result<Printed, Printed> {
    if say.chars().any(char::is_control) {
        let shown = crate::terms::text::printable(say.as_bytes());
        return Err((format!("`{shown}` is no text for a client\nwrite one line, without control characters"), exit::USAGE));
    }
    set(directory, client, Some(&edit::text(say)), |was| {
        let what = if was { "frozen" } else { "frozen already, with these words" };
        format!("{client} is {what}; a push that runs goes on to its end. `snapgate thaw {client}` ends it\n")
    })
}

/// Lets it in again.
pub(crate) fn thaw(directory: &Path, client: &ClientName) -> Result<Printed, Printed> {
    set(directory, client, None, |was| if was { format!("{client} may come again\n") } else { format!("{client} was not frozen\n") })
}

fn set(directory: &Path, client: &ClientName, value: Option<&str>, says: impl FnOnce(bool) -> String) -> Result<Printed, Printed> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let _taken = taken(directory)?;
    policy(directory, &site, client)?;
    let changed = clients::change(directory, &site, client, &[("frozen", value)]);
    let changed = changed.map_err(|fault| (fault.to_string(), exit::USAGE))?;
    let frozen = policy(directory, &site, client)?.frozen;
    if value.is_none() && frozen.is_some() {
        let help = "thaw it there: snapgate changes no defaults";
        return Err((format!("the site file's `defaults:` freeze every client\n{help}"), exit::CONFIG));
    }
    Ok(indexed(directory, &site, says(changed)))
}
