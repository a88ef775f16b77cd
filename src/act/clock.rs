//! What time it is: the one place that asks. `tests/tidy` sees to that.
//!
//! Tests live through years in seconds. So a build with debug assertions, which no release has,
//! adds to the clock what the administrator's directory says. It is not a variable and not a word
//! of the command line: a client may have a say in both. Whoever can write to that directory writes
//! the policies, and needs no clock to do harm. Only decisions, names and records live by that
//! time. What is compared with the times of files, and how long something takes, does not.

use std::path::Path;

use chrono::{DateTime, Utc};

/// The time that decisions go by.
pub fn now() -> DateTime<Utc> {
    faked::shifted(Utc::now())
}

/// The kernel's time, which it gives to files. Nothing fakes it.
pub fn kernel() -> DateTime<Utc> {
    Utc::now()
}

/// Begins to go by the clock of the administrator's directory, where this build can do so.
pub fn begin(directory: &Path) {
    faked::begin(directory);
}

#[cfg(not(debug_assertions))]
mod faked {
    use super::{DateTime, Path, Utc};

    pub(super) fn shifted(now: DateTime<Utc>) -> DateTime<Utc> {
        now
    }

    pub(super) fn begin(_: &Path) {}
}

#[cfg(debug_assertions)]
mod faked {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::sync::atomic::{AtomicI64, Ordering};

    use chrono::TimeDelta;

    use super::{DateTime, Path, Utc};

    /// The file with the milliseconds that are added.
    const FILE: &str = "faked-clock";

    static AHEAD: AtomicI64 = AtomicI64::new(0);

    pub(super) fn shifted(now: DateTime<Utc>) -> DateTime<Utc> {
        let ahead = TimeDelta::try_milliseconds(AHEAD.load(Ordering::Relaxed)).unwrap_or_default();
        now.checked_add_signed(ahead).unwrap_or(now)
    }

    pub(super) fn begin(directory: &Path) {
        let file = directory.join(FILE);
        let me = nix::unistd::geteuid().as_raw();
        // As every file of that directory: nobody else may have had a hand in it.
        let is_ours =
            fs::symlink_metadata(&file).is_ok_and(|found| found.is_file() && [0, me].contains(&found.uid()) && found.mode() & 0o022 == 0);
        let milliseconds = fs::read_to_string(&file).ok().filter(|_| is_ours).and_then(|text| text.trim().parse().ok());
        AHEAD.store(milliseconds.unwrap_or(0), Ordering::Relaxed);
    }
}
