//! What the machine says, as text: accounts, sshd's settings, mounts. `act` reads it.

pub mod authinfo;
pub(crate) mod login;
pub mod mounts;
pub(crate) mod names;
pub(crate) mod seen;
pub(crate) mod sources;
