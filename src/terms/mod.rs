//! The nouns, each checked where it is made and trusted from then on: `terms::Reason`.
//!
//! Nothing here reads a file, a clock or the environment.

#![deny(clippy::wildcard_enum_match_arm, reason = "what is new among our words has to say what becomes of it")]

pub mod base64;
pub mod beside;
pub mod build;
pub mod client;
pub mod compared;
pub mod cursor;
pub mod dispatch;
pub mod event;
pub mod ids;
pub mod key;
pub mod limits;
pub mod mail;
pub mod outcome;
pub mod page;
pub mod path;
pub mod peer;
pub mod reason;
pub mod record;
pub mod remedy;
pub mod repository;
pub mod request;
pub mod restored;
pub mod selector;
pub mod snapshot;
pub mod text;
pub mod url;
pub mod usage;
pub mod verb;
pub(crate) mod word;
pub mod zone;

pub use beside::{FailedHook, Note, Part, PartEnd};
pub use client::ClientName;
pub use compared::{Brake, Compared};
pub use cursor::Cursor;
pub use dispatch::{Dispatch, Signal, Tiding, Told, Way, What};
pub use event::{Body, Connection, Deed, Event, Mail, Push, Restored, Unknown, Upkeep, View, Visit};
pub use ids::{IdMap, IdRange, Mapping, Owners};
pub use key::Fingerprint;
pub use mail::{Audience, ComposedMail, MailSubject, Thread, Topic, footer, printable_lines};
pub use outcome::Outcome;
pub use page::Page;
pub use path::{NotInside, SubPath};
pub use peer::{Link, Peer};
pub use reason::{Administrator, Code, Origin, Reason, exit};
pub use record::{DroppedOwners, Jail, PushFacts, StoredAgain};
pub use remedy::{Remedy, is_written_by_root_alone};
pub use repository::{Pushed, RepositoryState, STATE, Transaction};
pub use request::{Account, By, CommandSource, Login, Original, Request};
pub use restored::RestoreFacts;
pub use selector::{NotASelector, Selector};
pub use snapshot::{NamePattern, SnapshotName};
pub use url::Url;
pub use usage::{Bytes, Count, Excess, Ground, Resource, Shares, Usage};
pub use verb::Verb;
pub use zone::{Zone, ZoneName};
