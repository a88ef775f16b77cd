//! Child processes: the jailed rsync, the administrator's hooks, `rsync --version`, and what is asked about names.
//!
//! No shell, no word of a client's that is not in a [`Run`](crate::decide::plan::Run), and no program with an environment that it
//! inherits.

mod activity;
mod fork;
mod getent;
mod hook;
mod leader;
mod meter;
mod rsync;
mod version;

use std::time::Duration;

use nix::poll::PollTimeout;

pub use fork::apart;
pub use getent::{Ask, GETENT, getent};
pub use hook::{HookEnd, Setting, hook};
pub use meter::Meter;
pub use rsync::{NotStarted, Orders, Standby, become_rsync, no_jail, no_view, stand_by, unseen};
pub use version::version;

/// How long a child may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// In all.
    limit: Duration,
    /// Without doing anything; `None`: that is its own affair.
    idle: Option<Duration>,
    /// Whether what it has started must have ended too.
    whole: bool,
}

/// A time as the kernel counts it when it waits: in whole milliseconds, not too few, and days of them at most.
fn milliseconds(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time.saturating_add(Duration::from_micros(999))).unwrap_or(PollTimeout::MAX)
}
