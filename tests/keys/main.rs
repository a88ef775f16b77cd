//! Ways in beside sshd's files of keys: `snapgate keys`, which answers sshd for one account with many clients, `snapgate import`, which
//! reads what let clients in before, and `snapgate rsh`, by which the server pushes to itself.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking, its helpers too")]

mod answers;
mod hostile;
mod import;
mod lab;
mod rsh;
mod sshd;
