//! Child processes: the jailed rsync, hooks, `rsync --version`, questions about names and to sshd.
//!
//! No shell, no client's word that is not in a [`Run`](crate::decide::push::plan::Run), no
//! inherited environment.

mod activity;
mod asked;
mod audience;
pub mod detach;
#[cfg(feature = "admin")]
pub mod errand;
mod fork;
mod getent;
#[cfg(feature = "admin")]
mod handed;
mod hook;
mod leader;
mod mapping;
mod meter;
mod orders;
#[cfg(feature = "admin")]
pub mod pace;
#[cfg(feature = "admin")]
mod receiver;
mod rsync;
mod shell;
mod sshd;
mod system;
#[cfg(feature = "admin")]
mod tool;
#[cfg(feature = "admin")]
mod upkeep;
mod version;

use std::os::fd::AsFd;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::poll::PollTimeout;

use crate::decide::push::plan::Run;
use crate::terms::Excess;

pub use asked::{ANSWER, Answered, FOR_ADMINISTRATOR, Question, ask, hand_on};
#[cfg(feature = "admin")]
pub use errand::{Errand, errand};
pub use fork::{LastWord, Successor, apart, apart_for_good, delegated, succeeded};
#[cfg(feature = "admin")]
pub use fork::{delegated_within, with_all_it_starts};
pub use getent::{Ask, GETENT, getent, getent_to_its_end};
#[cfg(feature = "admin")]
pub use handed::hand;
pub use hook::{HookEnd, Setting, hook};
pub use mapping::{Namespace, NamespaceBegun, begin_namespace};
pub use meter::Meter;
pub use orders::{Orders, Part};
#[cfg(feature = "admin")]
pub use receiver::{drilled, receive};
pub use rsync::{NotStarted, Standby, Undecided, become_rsync, begin, stand_by};
pub use shell::become_shell;
pub use sshd::ask_sshd;
pub use system::{has_systemd, systemctl, timedatectl};
#[cfg(feature = "admin")]
pub use tool::{gate, tool};
#[cfg(feature = "admin")]
pub use upkeep::{ONE, upkeep};
pub use version::version;

/// Somebody who answers a child while it is waited for. Readable where there is a question.
pub trait Attend: AsFd {
    /// Answers one. Says so where the child has asked for too much, and is to be ended.
    fn answer(&mut self) -> Option<Excess>;

    /// For how long silence changes nothing; `None`: for ever.
    fn patience(&self) -> Option<Duration>;

    /// Takes note of such a silence.
    fn silence(&mut self);
}

/// How long a child may take.
#[derive(Debug, Clone, Copy)]
struct Patience<'a> {
    /// In all.
    limit: Duration,
    /// Without doing anything, and for whom; `None`: that is its own affair.
    idle: Option<Idle<'a>>,
    /// By the clock on the wall.
    until: Option<DateTime<Utc>>,
    /// Whether it ends when nobody reads what it says any more.
    while_read: bool,
    /// Whether what it has started must have ended too.
    whole: bool,
}

/// When a client counts as gone.
#[derive(Debug, Clone, Copy)]
struct Idle<'a> {
    /// The time in which nothing moves although the client has to send.
    limit: Duration,
    /// The run, which shows whose turn it is.
    run: &'a Run,
}

/// A time in whole milliseconds, rounded up, for poll(2): some days at most.
fn milliseconds(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time.saturating_add(Duration::from_micros(999))).unwrap_or(PollTimeout::MAX)
}
