//! snapgate, the gate between sshd and rsync on a backup server.
//!
//! Arrows point down only, and `tests/tidy` fails on one that does not: [`gate`] and [`admin`] (the
//! stories of the two programs, which never import each other) → [`act`] (effects) → [`decide`]
//! (pure) → [`terms`] (nouns). The rooms of each layer have the same names. The shape and its
//! invariants are in `docs/architecture.md`.

#![cfg_attr(
    not(feature = "admin"),
    expect(
        dead_code,
        unused_imports,
        reason = "the gate leaves out what only the administrator's program uses; where both are built nothing is unused"
    )
)]

pub mod act;
#[cfg(feature = "admin")]
pub mod admin;
pub mod decide;
pub mod gate;
pub mod terms;
