//! Effects: one facility a room. A room imports another one only where `tests/tidy` lists the
//! arrow; what two of them need is a term or a decision.

#[cfg(feature = "admin")]
pub mod accounts;
pub mod arrive;
pub mod beneath;
pub mod child;
#[cfg(feature = "admin")]
pub mod clients;
pub mod clock;
pub mod config;
#[cfg(feature = "admin")]
pub mod history;
pub mod inspect;
#[cfg(feature = "admin")]
pub mod mail;
#[cfg(feature = "admin")]
pub mod mend;
pub mod names;
pub mod process;
#[cfg(feature = "admin")]
pub mod prune;
pub mod pulls;
pub mod record;
pub mod sandbox;
#[cfg(feature = "admin")]
pub mod several;
#[cfg(feature = "admin")]
pub mod spools;
pub mod store;
#[cfg(feature = "admin")]
pub mod ways;
