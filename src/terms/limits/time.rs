//! Bounds on waiting for a client.

use std::time::Duration;

/// Time for a client's rsync to speak before the server's does. It writes its greeting as soon as it runs, so that it has nearly always
/// arrived by then; another program may listen first.
pub const GREETING_WAIT: Duration = Duration::from_secs(2);
