//! The manual pages and the completions of shells. All of them follow from tables: the command line as clap has it, the keys of both files,
//! verbs and codes, and the topics of `snapgate help`. What stands in `texts/` is what no table says.
//!
//! The same sources make the same files: nothing here asks a clock or the machine.

mod commands;
mod completions;
mod files;
mod roff;

use std::path::Path;
use std::{fs, io};

/// Writes all of them below a directory: `man/` and `completions/`. `day` is that of the sources, or empty.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path, day: &str) -> io::Result<()> {
    let manual = manual(day).into_iter().map(|(name, text)| (format!("man/{name}"), text));
    let completions = completions::all().into_iter().map(|(name, text)| (format!("completions/{name}"), text));
    for part in ["man", "completions"] {
        // What an earlier build had and this one has not would be installed with it.
        match fs::remove_dir_all(directory.join(part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for (name, text) in manual.chain(completions) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// The manual pages, by name.
#[must_use]
pub fn manual(day: &str) -> Vec<(String, String)> {
    let mut pages = commands::all(day);
    pages.extend(files::all(day));
    pages
}
