//! This process itself: what it inherited from sshd is closed, and what it needs for itself is taken.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

use crate::terms::limits::{GATE_FILES, WATCH_MEMORY};

/// Closes every descriptor but the three standard ones, before anything else is opened. A descriptor that leaked from
/// sshd or its hooks would be a hole in the jail: Landlock asks when a file is opened, not when it is used.
pub fn close_inherited() {
    let listed = fs::read_dir("/proc/self/fd").map(|entries| {
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        numbers.collect::<Vec<_>>()
    });
    // Without /proc every number up to the usual soft limit is tried.
    let numbers = listed.unwrap_or_else(|_| (3..1024).collect());
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The listing's own descriptor is in the list and already closed, which is the one error there can be.
        let _ = nix::unistd::close(number);
    }
}

/// Sets the mask for new files, turns core files off for this process and whatever it starts, and gives it descriptors enough for
/// its walks. Returns how many files a program could open before, for those that are not the gate.
pub fn limit() -> u64 {
    umask(Mode::from_bits_truncate(0o022));
    // rsync holds the client's data in memory; it must not end up in a core file. Lowering a limit needs no right.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((GATE_FILES, GATE_FILES));
    // A lower hard limit stands, and the deepest trees cannot be walked then.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, GATE_FILES.min(hard), hard);
    soft
}

/// Bounds this process's own memory, for a `watch`, which reads what a mail server sends: the library reads a line to its end
/// before it asks how long it is. A pass that is ended by it loses nothing; what it was at waits for the next.
pub fn bound_memory() {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap_or((WATCH_MEMORY, WATCH_MEMORY));
    let _ = setrlimit(Resource::RLIMIT_AS, WATCH_MEMORY.min(hard), hard);
}
