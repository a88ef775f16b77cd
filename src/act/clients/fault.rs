//! Tests end a process behind any step, or have the step fail. As with the clock (`act/clock`), a
//! build with debug assertions, which no release has, obeys a file in the administrator's directory.

use std::path::Path;

/// Behind a step. In a release, nothing.
///
/// # Errors
/// Where a test says so.
#[cfg(not(debug_assertions))]
pub fn after(_: &Path, _: &str) -> Result<(), String> {
    Ok(())
}

/// Behind a step: fails or kills this process where the file `faked-fault` says `fail STEP` or `kill
/// STEP`.
///
/// # Errors
/// Where a test says so.
#[cfg(debug_assertions)]
pub fn after(config: &Path, step: &str) -> Result<(), String> {
    let said = std::fs::read_to_string(config.join("faked-fault")).unwrap_or_default();
    match said.trim().split_once(' ') {
        Some(("fail", named)) if named == step => Err("a test says so".to_owned()),
        Some(("kill", named)) if named == step => {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
            Ok(())
        }
        _ => Ok(()),
    }
}
