//! What would be done for a pull of snapshots.

use std::fmt::Write as _;

use super::{describe_sandbox, not_now};
use crate::act::store::{Repository, mounted};
use crate::act::{child, pulls};
use crate::decide::history::History;
use crate::decide::history::pull::{self, Asks, Places};
use crate::decide::policy::{Policy, Site};
use crate::decide::push::plan::Run;
use crate::decide::rsync::transfer::Transfer;
use crate::terms::text::{printable, printable_path};
use crate::terms::{Bytes, Owners, Reason, Request, Zone};

/// The connection that is imagined.
pub(super) struct Imagined<'a> {
    pub(super) site: &'a Site,
    pub(super) policy: &'a Policy,
    pub(super) zone: &'a Zone,
    pub(super) request: &'a Request,
    pub(super) owners: &'a Owners,
}

/// Adds what a pull would do; the exit code says whether it could.
pub(super) fn describe(text: &mut String, imagined: &Imagined<'_>, transfer: &Transfer) -> u8 {
    match planned(text, imagined, transfer) {
        Ok(run) => {
            let _ = writeln!(text, "would run, in {}:", run.sandbox().directory.display());
            let _ = writeln!(text, "  {}", printable_path(&run.sandbox().program));
            for word in &run.sandbox().argv {
                let _ = writeln!(text, "    {}", printable(word.as_encoded_bytes()));
            }
            describe_sandbox(text, run.sandbox(), imagined.site);
            let rules = &imagined.policy.restore;
            let rule = imagined.policy.origins.of("restore");
            if let Some(bytes) = rules.bytes {
                let _ = writeln!(text, "and send at most {} within 24 hours, other pulls counted  ({rule})", Bytes(bytes));
            }
            if let Some(over) = rules.alert_over {
                let _ = writeln!(text, "with a mail if it is more than {} within 24 hours  ({rule})", Bytes(over));
            }
            0
        }
        Err(reason) => not_now(text, imagined.site, &reason),
    }
}

fn planned(text: &mut String, imagined: &Imagined<'_>, transfer: &Transfer) -> Result<Run, Reason> {
    let Imagined { site, policy, zone, request, owners } = imagined;
    mounted(policy, site)?;
    let repository = Repository::at(&policy.path);
    let snapshots: Vec<_> = pulls::candidates(&repository, policy)?.into_iter().filter(|one| one.name.at <= request.at).collect();
    let current = pulls::current(&repository, policy).filter(|current| current.at <= request.at);
    let history = History { snapshots: &snapshots, current: current.as_ref(), now: request.at, zone };
    let asks = pull::ask(transfer, &history)?;
    match &asks {
        Asks::List(_) => text.push_str("lists snapshots\n"),
        Asks::Files(files) => {
            for named in &files.snapshots {
                let _ = writeln!(text, "`{}` is {}", named.word, named.snapshot);
            }
        }
    }
    let places = Places {
        program: &site.rsync,
        version: child::version(&site.rsync, None)?,
        snapshots: repository.snapshots(),
        confinement: pull::confinement(transfer, &asks, site.jail, policy, owners),
        limits: None,
    };
    pulls::plan(transfer, policy, &history, &asks, &places).map(|(run, _)| run)
}
