//! What the machine says of itself, as text: accounts, sshd's settings, logins, mounts. Reading the files and asking the programs is `act`'s.

pub mod authinfo;
pub mod login;
pub mod mounts;
pub mod names;
pub mod seen;
