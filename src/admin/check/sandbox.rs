//! Whether rsync can be confined here. Root asks as each client's account, since namespaces and
//! capabilities depend on it.

use crate::act::sandbox::{self, Whom, jail};
use crate::act::{inspect, names, store};
use crate::decide::policy::{Policy, Site};
use crate::decide::sandbox::namespaces::{self, Lack};
use crate::terms::Owners;
use crate::terms::limits::MAX_TRIED_ACCOUNTS;

use super::Part;

/// The parts of the jail on this machine.
pub fn enforced(site: &Site, policies: &[Policy]) -> Vec<Part> {
    let or_off = || "mend what is said there, or write `jail: off` and know what that means".to_owned();
    let part = |(number, (holds, what)): (usize, (bool, &str))| {
        // The first part is the jail as a whole.
        let why = if number == 0 { "the kernel has no Landlock, or one before 5.19" } else { "the kernel does not know it" };
        Part {
            what: what.to_owned(),
            untried: false,
            missing: (!holds).then(|| why.to_owned()),
            help: (number == 0).then(|| KERNEL.to_owned()),
        }
    };
    let mut parts: Vec<_> = jail::describe().into_iter().enumerate().map(part).collect();
    let mut reported = Vec::new();
    let mut asked = asked_for(site, policies);
    let left = asked.split_off(asked.len().min(MAX_TRIED_ACCOUNTS));
    for (whose, whom) in asked {
        let lack = sandbox::can_have_a_view(&site.rsync, &whom).err().map(Lack::Kept);
        let unasked = sandbox::can_be_asked(&site.rsync, &whom).err();
        let found = [lack.as_ref().map(ToString::to_string), unasked.clone()];
        // Equal results are reported for the first account.
        if whom.account.is_some() && reported.contains(&found) {
            continue;
        }
        reported.push(found);
        let owners = whom.mapping.map_or(Owners::Account, Owners::Mapped);
        let help = lack.as_ref().and_then(|lack| namespaces::without(lack, site, &owners).err()?.remedy);
        parts.push(Part { what: format!("{VIEW}{whose}"), untried: false, missing: lack.map(|lack| lack.to_string()), help });
        parts.push(Part { what: format!("links made by the gate alone{whose}"), untried: false, missing: unasked, help: Some(or_off()) });
    }
    if !left.is_empty() {
        let what = format!("{VIEW} and links made by the gate alone, for {} further accounts", left.len());
        parts.push(Part { what, untried: true, missing: None, help: None });
    }
    parts
}

/// The remedy where the kernel has no such jail.
const KERNEL: &str = "run a kernel with Landlock (5.19 or later, `lsm=` with landlock), or write `jail: off` and know what that means";

/// The part that depends on the account.
const VIEW: &str = "a file system of its own";

/// Whom root asks for: each account once with each mapping. Others ask for themselves.
fn asked_for(site: &Site, policies: &[Policy]) -> Vec<(String, Whom)> {
    let mut asked: Vec<(String, Whom)> = Vec::new();
    if inspect::running_uid() == 0 {
        for policy in policies {
            let Some(account) = names::named(&policy.user) else { continue };
            let mapping = store::owners_of(site, policy, &account).ok().and_then(|owners| owners.mapping().cloned());
            let whose = format!(" (asked for `{}`)", account.name);
            let is_known = asked.iter().any(|(known, whom)| *known == whose && whom.mapping == mapping);
            if !is_known {
                let groups = names::groups(&account).unwrap_or_else(|| vec![account.group]);
                asked.push((whose, Whom { account: (!account.is_root()).then_some((account, groups)), mapping }));
            }
        }
    }
    // Root comes last.
    asked.sort_by_key(|(_, whom)| whom.account.is_none());
    if asked.is_empty() { vec![(String::new(), Whom::default())] } else { asked }
}
