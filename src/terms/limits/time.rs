//! Bounds on waiting for a client.

use std::time::Duration;

/// How far ahead a client's next window is looked for: whatever opens at all opens within a week.
pub const WINDOWS_AHEAD: Duration = Duration::from_secs(8 * 24 * 3600);

/// Between two looks at the clock on the wall while a push runs that it will end: the kernel's timers stand still while a machine sleeps,
/// and nobody tells of a clock that was set.
pub const CLOCK_LOOK: Duration = Duration::from_secs(30);
