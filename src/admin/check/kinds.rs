//! What is worth knowing of every client: what it may use, and whose its files are. Clients of one kind share a line.

use std::collections::BTreeMap;

use crate::act::names;
use crate::act::names::subids;
use crate::act::store::owners_of;
use crate::decide::owners;
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site};
use crate::terms::{Account, Code, Mapping, Reason};

use super::CheckReport;

/// Clients with the same limits that are named.
const NAMED: usize = 5;

/// What clients may use of the server: a line for each kind of limits, with the clients that have it.
pub(super) fn limits(site: &Site, policies: &[Policy]) -> Vec<String> {
    let all = format!("limits of the server: {} sessions at once", site.sessions);
    let kinds = together(policies.iter().map(|policy| (policy.limits.to_string(), policy)));
    std::iter::once(all).chain(kinds.map(|(limits, clients)| format!("limits of {clients}: {limits}"))).collect()
}

/// What is the same for several clients, with their names.
fn together<'a>(said: impl Iterator<Item = (String, &'a Policy)>) -> impl Iterator<Item = (String, String)> {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (what, policy) in said {
        kinds.entry(what).or_default().push(policy.client.as_str());
    }
    kinds.into_iter().map(|(what, clients)| {
        let named = clients.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = clients.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!(" and {more} more")).unwrap_or_default();
        (what, format!("{named}{more}"))
    })
}

/// Whose the files of each client are, and how owners could be kept that are not.
pub(super) fn owners(site: &Site, policies: &[Policy], report: &mut CheckReport) {
    let mut said = Vec::new();
    let mut mapped: Vec<(Account, Mapping)> = Vec::new();
    for policy in policies {
        // An account or a repository that cannot be looked at is told of elsewhere.
        let Some(account) = names::named(&policy.user) else { continue };
        match owners_of(site, policy, &account) {
            Ok(owners) => {
                said.push((owners::told(&owners, policy, || subids::available(&account)), policy));
                let is_known = mapped.iter().any(|(known, _)| *known == account);
                mapped.extend(owners.mapping().filter(|_| !is_known).map(|mapping| (account, mapping.clone())));
            }
            Err(Reason { code: Code::Store, .. }) => {}
            Err(reason) => report.add(&Finding::wrong(policy.origins.of("owners"), reason.detail, reason.remedy.unwrap_or_default())),
        }
    }
    subids::not_theirs_alone(&mapped).iter().for_each(|finding| report.add(finding));
    report.notes.extend(together(said.into_iter()).map(|(what, clients)| format!("owners of {clients}: {what}")));
}
