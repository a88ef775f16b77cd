//! Limits and owners of all clients. Clients with the same share a line.

use std::collections::BTreeMap;
use std::path::Path;

use crate::act::inspect::{real, system};
use crate::act::names;
use crate::act::names::subids;
use crate::act::store::owners_of;
use crate::decide::host::seen;
use crate::decide::owners;
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site};
use crate::terms::{Account, Code, Mapping, Reason};

use super::Row;

/// How many clients a line names.
const NAMED: usize = 5;

/// What clients may use, in a line for each set of limits.
pub(super) fn limits(site: &Site, policies: &[Policy]) -> Vec<String> {
    let all = format!("limits of the server: {} sessions at once", site.sessions);
    let kinds = together(policies.iter().map(|policy| (policy.limits.to_string(), policy)));
    std::iter::once(all).chain(kinds.map(|(limits, clients)| format!("limits of {clients}: {limits}"))).collect()
}

/// Equal texts of several clients, with their names.
fn together<'a>(texts: impl Iterator<Item = (String, &'a Policy)>) -> impl Iterator<Item = (String, String)> {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (what, policy) in texts {
        kinds.entry(what).or_default().push(policy.client.as_str());
    }
    kinds.into_iter().map(|(what, clients)| {
        let named = clients.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = clients.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!(" and {more} more")).unwrap_or_default();
        (what, format!("{named}{more}"))
    })
}

/// The owners of each client's files, and how to keep those that are lost.
pub(super) fn owners(site: &Site, policies: &[Policy], row: &mut Row) {
    let mut texts = Vec::new();
    let mut mapped: Vec<(Account, Mapping)> = Vec::new();
    let mounted = system::small(Path::new("/proc/self/mountinfo")).unwrap_or_default();
    for policy in policies {
        // A missing account or repository is reported elsewhere.
        let Some(account) = names::named(&policy.user) else { continue };
        match owners_of(site, policy, &account) {
            Ok(owners) => {
                row.find(&seen::served(&policy.origins.of("owners"), &real(&policy.path), &owners, &mounted));
                texts.push((owners::describe(&owners, policy, || subids::available(&account)), policy));
                let is_known = mapped.iter().any(|(known, _)| *known == account);
                mapped.extend(owners.mapping().filter(|_| !is_known).map(|mapping| (account, mapping.clone())));
            }
            Err(Reason { code: Code::Store, .. }) => {}
            Err(reason) => row.find(&[Finding::wrong(policy.origins.of("owners"), reason.detail, reason.remedy.unwrap_or_default())]),
        }
    }
    row.find(&subids::not_theirs_alone(&mapped));
    together(texts.into_iter()).for_each(|(what, clients)| row.say(format!("owners of {clients}: {what}")));
}
