//! What `check --fix` does: what a finding has a remedy for, and nothing else. Each is shown, and
//! done where the administrator agrees.

use crate::act::mend;
use crate::terms::Remedy;

use super::CheckReport;

/// A remedy, and what it mends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// What was found.
    pub(crate) found: String,
    /// What mends it.
    pub(crate) remedy: Remedy,
}

/// What can be mended, in the order in which it was found.
pub(crate) fn steps(report: &CheckReport) -> Vec<Step> {
    report.remedies().into_iter().map(|(found, remedy)| Step { found, remedy }).collect()
}

/// Does it.
///
/// # Errors
/// With why it was not done, printable.
pub(crate) fn mend(step: &Step) -> Result<(), String> {
    mend::apply(&step.remedy)
}
