//! `snapgate check`: looks for mistakes in the site file and in every policy, before a client finds them.

use std::fmt;
use std::path::Path;

use crate::act::config;

/// What was found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// What has to be mended.
    pub problems: Vec<String>,
    /// What is good to know.
    pub notes: Vec<String>,
}

impl CheckReport {
    /// Whether nothing has to be mended.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.problems.iter().chain(&self.notes) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

/// Checks everything below `directory`. `jail` says what the kernel enforces, a line each.
#[must_use]
pub fn run(directory: &Path, jail: Vec<String>) -> CheckReport {
    let mut report = CheckReport { notes: jail, ..CheckReport::default() };
    let policies = config::load_site(directory).and_then(|site| config::all_policies(directory, &site));
    match policies {
        Ok(policies) => report.problems.extend(policies.into_iter().filter_map(|(_, policy)| Some(policy.err()?.to_string()))),
        Err(fault) => report.problems.push(fault.to_string()),
    }
    report
}
