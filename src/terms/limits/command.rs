//! Bounds on what a client asks for.

use std::time::Duration;

/// Bytes of `SSH_ORIGINAL_COMMAND`. The longest real rsync command in the captures has under 300;
/// the kernel allows 128 KiB (`MAX_ARG_STRLEN`).
pub const MAX_COMMAND: usize = 16 * 1024;

/// Words of a command. Every option of rsync at once stays under this.
pub const MAX_WORDS: usize = 256;

/// Bytes of the block that `-s` (`--secluded-args`) sends. Every option of rsync and the longest
/// place fit; each byte costs a system call.
pub const MAX_SECLUDED: usize = 4 * 1024;

/// Words of that block behind the name; see [`MAX_WORDS`].
pub const MAX_SECLUDED_WORDS: usize = 256;

/// Time for the whole block. A client sends it at once, so this is for its line.
pub const SECLUDED_TIMEOUT: Duration = Duration::from_secs(10);
