//! What a drill needs of a repository: which files it restores, and whether they are as they are
//! stored. Nothing is changed by either.

mod pick;
mod same;

pub use pick::Chosen;
pub use same::{Same, same};
