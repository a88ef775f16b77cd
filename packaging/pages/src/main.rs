//! `snapgate-pages DIR` writes `DIR/man` and `DIR/completions`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: snapgate-pages DIR");
        return ExitCode::from(64);
    };
    // Only where a builder says which day it is, so that the same sources make the same pages.
    let seconds = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let day = seconds.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0)).map(|at| at.format("%Y-%m-%d").to_string());
    match pages::write(Path::new(&directory), &day.unwrap_or_default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("snapgate-pages: {}: {error}", Path::new(&directory).display());
            ExitCode::FAILURE
        }
    }
}
