//! `snapgate check`: what can be wrong with settings and what they name. It changes nothing but the
//! index of keys.

mod asked;
mod client;
mod disks;
mod entry;
mod files;
mod kinds;
mod post;
mod sandbox;
mod site;
mod ways;

use std::path::Path;

pub use sandbox::enforced;

use crate::act::config;
use crate::act::inspect::{self, running_uid};
use crate::decide::policy::lint::{self, Finding};
use crate::decide::policy::{Policy, Site};
use crate::terms::Origin;
use crate::terms::text::counted;

/// The findings, each one or more lines: what, and what to do.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// What is wrong; then the exit code is 1.
    pub problems: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// Whether something was not checked.
    pub unseen: bool,
    /// Policies that could be read.
    pub policies: usize,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The last line: how many policies there are, and whether all is well.
    pub fn summary(&self) -> String {
        let policies = counted(self.policies, "policy", "policies");
        match self.problems.len() {
            0 if self.unseen => format!("{policies}, nothing wrong in what was looked at"),
            0 => format!("{policies}, nothing wrong"),
            problems => format!("{policies} can be read, {}", counted(problems, "problem", "problems")),
        }
    }

    fn add(&mut self, finding: &Finding) {
        // The last line counts problems alone, so notes are marked.
        self.unseen |= finding.unseen;
        if finding.wrong {
            self.problems.push(finding.to_string());
        } else {
            self.notes.push(format!("note: {finding}"));
        }
    }
}

/// A part of the jail on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is, and for whom.
    pub what: String,
    /// Whether it was not tried.
    pub untried: bool,
    /// Why it does not hold; `None`: it does.
    pub missing: Option<String>,
    /// What to do if no push can run without it.
    pub help: Option<String>,
}

/// Checks the site file, every policy and what they name. `jail` tries the parts of the jail.
#[must_use]
pub fn run(dir: &Path, jail: impl FnOnce(&Site, &[Policy]) -> Vec<Part>) -> CheckReport {
    let mut report = CheckReport::default();
    let site = match config::load_site(dir) {
        Ok(site) => site,
        Err(fault) => {
            report.problems.push(fault.to_string());
            return report;
        }
    };
    site::itself(&site).iter().for_each(|finding| report.add(finding));
    site::mail(&site).iter().chain(&ways::out(&site)).for_each(|finding| report.add(finding));
    strays(dir, &mut report);
    let mut policies = Vec::new();
    match config::all_policies(dir, &site) {
        Err(fault) => report.problems.push(fault.to_string()),
        Ok(all) => {
            for (_, loaded) in all {
                match loaded {
                    Ok(policy) => policies.push(policy),
                    Err(fault) => report.problems.push(fault.to_string()),
                }
            }
        }
    }
    post::waiting(&site).iter().for_each(|finding| report.add(finding));
    site::sftp(&site, &policies).iter().for_each(|finding| report.add(finding));
    disks::rooms(&site, &policies).iter().for_each(|finding| report.add(finding));
    clients(&site, &policies, &mut report);
    // Two paths may be the same place.
    let real: Vec<_> = policies.iter().map(|policy| Policy { path: inspect::real(&policy.path), ..policy.clone() }).collect();
    lint::together(&real).iter().chain(&client::time_zones(&policies)).for_each(|finding| report.add(finding));
    report.notes.extend(kinds::limits(&site, &policies));
    kinds::owners(&site, &policies, &mut report);
    report.policies = policies.len();
    report.notes.extend(config::keyring::refreshed(dir, &site));
    for Part { what, untried, missing, help } in jail(&site, &policies) {
        if untried {
            report.unseen = true;
            report.notes.push(format!("jail, {what}: not tried"));
            continue;
        }
        let enforced = missing.map_or_else(|| "enforced".to_owned(), |why| format!("NOT enforced, {why}"));
        let line = format!("jail, {what}: {enforced}");
        match help {
            Some(help) if site.jail && enforced != "enforced" => report.problems.push(format!("{line}\nno push can run: {help}")),
            _ => report.notes.push(line),
        }
    }
    report
}

/// Checks each policy, and what it and its account find on this machine.
fn clients(site: &Site, policies: &[Policy], report: &mut CheckReport) {
    let (accounts, unasked) = entry::accounts(site, policies);
    unasked.iter().for_each(|finding| report.add(finding));
    let mut looked_at: Vec<&str> = Vec::new();
    for policy in policies {
        let known = accounts.get(policy.user.as_str());
        let asked = known.and_then(|known| known.ask(policy, site));
        let mut found = lint::one(policy);
        found.extend(lint::room(policy, &site.min_free));
        found.extend(client::on_disk(policy, site, known.map(|known| &known.account), asked.as_ref()));
        // An account's logins are reported with its first policy.
        if let Some(known) = known.filter(|_| !looked_at.contains(&policy.user.as_str())) {
            looked_at.push(&policy.user);
            let its: Vec<_> = policies.iter().filter(|other| other.user == policy.user).collect();
            found.extend(entry::findings(known, &its, asked.as_ref().map(|asked| asked.seen.keys.as_slice())));
            if asked.is_none() && running_uid() == 0 {
                let message = format!("the account `{}` has not come to an end of looking at what its gate needs", policy.user);
                found.push(Finding::wrong(policy.origins.of("user"), message, "see whether a disk or the name services hang"));
            }
        }
        found.iter().for_each(|finding| report.add(finding));
    }
}

/// Files in the directory of policies that are not policies.
fn strays(dir: &Path, report: &mut CheckReport) {
    // `all_policies` reports a directory that cannot be listed.
    let Ok(listing) = config::list(dir) else { return };
    if listing.clients.is_empty() {
        let origin = Origin { file: dir.join(config::POLICIES), line: 0 };
        let help = "create one, named after the client, ending in .yaml";
        report.add(&Finding::note(origin, "there are no policies: nobody is let in", help));
    }
    for stray in listing.strays {
        let hidden = stray.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let message = "not a policy, and not read";
        let help = "a policy is a regular file named after its client, ending in .yaml";
        let origin = Origin { file: stray, line: 0 };
        report.add(&if hidden { Finding::note(origin, message, help) } else { Finding::wrong(origin, message, help) });
    }
}
