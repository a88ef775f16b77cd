//! The nouns. Each is checked once, where it is made, and trusted from then on.
//!
//! Nothing here reads a file, a clock or the environment.

pub mod client;
pub mod key;
pub mod limits;
pub mod mail;
pub mod path;
pub mod reason;
pub mod record;
pub mod request;
pub mod shelf;
pub mod snapshot;
pub mod text;
pub mod usage;
pub mod verb;
pub(crate) mod word;
pub mod zone;
