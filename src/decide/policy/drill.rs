//! `drill:` of a policy: what has to come back.

use serde::de::{Deserialize, Deserializer};

use crate::decide::policy::yaml::{Shape, Texts, Word, Wrong, wrong};
use crate::terms::SubPath;
use crate::terms::limits::MAX_DRILL_PLACES;
use crate::terms::text::printable;

/// A place in the snapshot.
#[derive(Debug, Clone)]
struct Place(SubPath);

impl Word for Place {
    const WHAT: &'static str = "a place in the snapshot, like etc/fstab";

    fn read(text: &str) -> Result<Self, Wrong> {
        let leaves = |_| Wrong::new(format!("`{}` leaves the snapshot", printable(text.as_bytes())), format!("write {}", Self::WHAT));
        SubPath::parse(text).map(Self).map_err(leaves)
    }
}

/// Some of them, with their limit.
pub(super) struct Places(pub(super) Vec<SubPath>);

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Texts(all) = Texts::<Place>::deserialize(from)?;
        if all.len() > MAX_DRILL_PLACES {
            let message = format!("{} places in one `drill:`", all.len());
            return Err(wrong(&Wrong::new(message, format!("name at most {MAX_DRILL_PLACES}, or a directory that they are in"))));
        }
        Ok(Self(all.into_iter().map(|Place(place)| place).collect()))
    }
}

impl Shape for Places {
    fn values() -> String {
        format!("{}, at most {MAX_DRILL_PLACES}", <Texts<Place> as Shape>::values())
    }
}
