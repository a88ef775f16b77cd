//! Bounds of what is told by other ways than mail: a webhook, pings, a program.

use std::time::Duration;

/// Bytes of a URL in a file.
pub const MAX_URL: usize = 2048;

/// Bytes of a host's name in it (RFC 1035, 2.3.4).
pub const MAX_URL_HOST: usize = 253;

/// One request from its beginning to the head of the answer, however it is spread over time.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Being connected, over all addresses of a server, with what TLS has to settle.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer that are looked at: its status and headers. As many may wait of answers that
/// come before the real one (RFC 9110, 15.2).
pub const MAX_ANSWER_HEAD: usize = 16 * 1024;

/// How long a program may take over one event.
pub const EXEC_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of what such a program says that are read.
pub const MAX_EXEC_WORDS: usize = 4096;

/// Bytes of a file with a secret; more than any hash has use for.
pub const MAX_SECRET: u64 = 4096;

/// Least bytes of a secret: those of 128 bits in hexadecimal digits are twice as many.
pub const LEAST_SECRET: usize = 16;

/// What waits for one way in the spool of an account. More is not kept for it: the ledger has it.
pub const MAX_DISPATCHES: usize = 500;

/// As many of them may be refusals and what else happens often: whoever makes a thousand of those
/// hides nothing that matters.
pub const MAX_SMALL_DISPATCHES: usize = MAX_DISPATCHES / 2;

/// As many may be those and pushes that ended as most do, so that a snapshot that may be damage has
/// room.
pub const MAX_COMMON_DISPATCHES: usize = MAX_DISPATCHES / 4 * 3;

/// Bytes of one of them: an event within what a mail tells, or a notice, as JSON.
pub const MAX_DISPATCH: u64 = 2 * 1024 * 1024;

/// How many of an account are tried in a pass, so that a flood of one does not hold up others.
pub const DISPATCHES_IN_PASS: usize = 200;

/// Time of a process for all of them, in all its rounds. What is left waits for the next one.
pub const WAYS_TIME: Duration = Duration::from_secs(60);

/// A pass that spent so long with them looks again for mails.
pub const WAYS_LONG: Duration = Duration::from_secs(1);

/// How often.
pub const WAYS_ROUNDS: usize = 3;

/// Pauses after the first failures in a row of a way. The last one repeats.
pub const WAY_PAUSES: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(5 * 60), Duration::from_secs(15 * 60), Duration::from_secs(3600)];

/// What no way has taken for so long is laid aside.
pub const DISPATCH_LIFETIME: Duration = Duration::from_secs(5 * 24 * 3600);

/// Bytes of what is remembered of ways that fail.
pub const MAX_TROUBLES: u64 = 4 * 1024 * 1024;
