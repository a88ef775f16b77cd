//! The command line. The only place that writes to standard output, and never while rsync speaks there.

use std::process::ExitCode;

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
