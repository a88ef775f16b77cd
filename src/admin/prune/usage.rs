//! `snapgate usage`: how much each client holds, and how much it may. It is known without a look at
//! its files; `--recount` looks at all of them, and puts right what was not.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::client::{Client, failure};
use super::reach::Said;
use super::{Failure, LOOK, Printed};
use crate::act::config;
use crate::decide::quota::{Holding, Quota, held};
use crate::terms::{Bytes, ClientName, Usage, exit};

/// What one client holds.
#[derive(Debug, Serialize)]
struct Told {
    client: String,
    bytes: u64,
    inodes: u64,
    /// What it may hold, where that is bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_inodes: Option<u64>,
    /// Of this, what pushes that did not finish have left.
    unfinished: Usage,
    /// Whether something may be missing, and it should be counted anew.
    recount_due: bool,
    /// What the book said before it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Usage>,
    /// Why nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip)]
    text: String,
    #[serde(skip)]
    exit: u8,
}

/// The text and the exit code: that of what went wrong with a client, 1 where something is to be
/// counted anew.
pub(crate) fn usage(directory: &Path, clients: &[ClientName], recount: bool, json: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let told = |(name, client): (ClientName, Result<Client<'_>, Failure>)| {
        let found = client.and_then(|client| Ok((client.reaching(|| one(&client, recount))?, client.policy.quota)));
        match found {
            Ok((Found { now, before }, quota)) => Told::of(&name, &quota, now, before),
            Err((what, exit)) => Told::failed(&name, &what, exit),
        }
    };
    let all: Vec<_> = super::clients(directory, &site, clients)?.into_iter().map(told).collect();
    let exit = all.iter().map(|told| told.exit).max().unwrap_or(0);
    let text = if json {
        serde_json::to_string_pretty(&all).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))? + "\n"
    } else {
        all.iter().map(|told| told.text.as_str()).collect()
    };
    Ok((text, exit))
}

/// What the book says, and what it said before it was put right.
#[derive(Default, Serialize, Deserialize)]
struct Found {
    now: Holding,
    before: Option<Holding>,
}

impl Said for Found {
    fn checked(self) -> Self {
        self
    }
}

fn one(client: &Client<'_>, recount: bool) -> Result<Found, Failure> {
    let Some(opened) = client.open()? else { return Ok(Found::default()) };
    if recount {
        let counted = opened.recount(&client.policy.names).map_err(failure)?;
        return Ok(Found { now: counted.found, before: Some(counted.before) });
    }
    let newest = opened.names(&client.policy.names).map_err(failure)?.pop();
    Ok(Found { now: opened.holding(newest.as_ref()), before: None })
}

impl Told {
    fn of(client: &ClientName, quota: &Quota, holding: Holding, before: Option<Holding>) -> Self {
        let Holding { used, set_aside, due } = holding;
        let mut text = format!("{client}: {}", held(quota, used));
        if set_aside != Usage::default() {
            let _ = write!(text, "; {} of it is of pushes that did not finish", Bytes(set_aside.bytes));
        }
        match before {
            Some(before) if before.used == used => text.push_str("; counted, as the book says"),
            Some(before) => {
                let _ = write!(
                    text,
                    "; counted, where the book said {} and {} files and directories",
                    Bytes(before.used.bytes),
                    before.used.inodes
                );
            }
            None if due => text.push_str(", or more: `snapgate usage --recount` counts it anew"),
            None => {}
        }
        text.push('\n');
        Self {
            client: client.to_string(),
            bytes: used.bytes,
            inodes: used.inodes,
            quota_bytes: quota.bytes,
            quota_inodes: quota.inodes,
            unfinished: set_aside,
            recount_due: due,
            before: before.map(|before| before.used),
            problem: None,
            text,
            exit: if due { LOOK } else { 0 },
        }
    }

    fn failed(client: &ClientName, what: &str, exit: u8) -> Self {
        let nothing = Quota { bytes: None, inodes: None, warn: 100 };
        let told = Self::of(client, &nothing, Holding { due: true, ..Holding::default() }, None);
        Self { problem: Some(what.to_owned()), text: format!("{client}: {what}\n"), exit, ..told }
    }
}
