//! This process itself: what it inherited from sshd is closed, and what its children may use is bounded.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

use crate::terms::limits::{CHILD_FILES, CHILD_MEMORY};

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

/// Sets the mask for new files and the limits that every child inherits.
pub fn limit() {
    umask(Mode::from_bits_truncate(0o022));
    bound();
}

/// Sets the limits that every child inherits. The mask for new files stays the account's.
pub fn bound() {
    // rsync holds the client's data in memory; it must not end up in a core file.
    lower(Resource::RLIMIT_CORE, 0);
    lower(Resource::RLIMIT_AS, CHILD_MEMORY);
    lower(Resource::RLIMIT_NOFILE, CHILD_FILES);
}

/// Lowers a limit, or leaves it where it is lower already.
fn lower(resource: Resource, to: u64) {
    let hard = getrlimit(resource).map_or(to, |(_, hard)| hard.min(to));
    // Lowering a limit needs no right, so this cannot fail for a limit that exists.
    let _ = setrlimit(resource, hard, hard);
}
