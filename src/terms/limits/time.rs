//! Bounds on waiting for a client.

use std::time::Duration;

/// How far ahead a client's next window is searched: any window opens within a week.
pub const WINDOWS_AHEAD: Duration = Duration::from_secs(8 * 24 * 3600);

/// Pause between two looks at the wall clock in a push that it will end: timers stand still while a
/// machine sleeps, and clocks can be set.
pub const CLOCK_LOOK: Duration = Duration::from_secs(30);
