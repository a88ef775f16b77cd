//! What the machine says of itself, judged for `snapgate check`: timers, the clock, the kernel,
//! rsync's release. `act` reads it; `decide/host` judges accounts, logins and disks.

pub(crate) mod kernel;
pub mod releases;
pub(crate) mod timers;
pub(crate) mod told;
