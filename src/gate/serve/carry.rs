//! With `partial_pushes: merge`, what a push did not send is carried over from the last snapshot.
//! Otherwise nothing here looks at anything.
//!

use super::Connection;
use super::settle::{Settling, quoted};
use crate::act::store::Staging;
use crate::decide::policy::PartialPushes;
use crate::decide::push::{again, parts};
use crate::terms::text::counted;
use crate::terms::{Pushed, Reason, SubPath};

impl Connection<'_> {
    /// Carries over what these pushes did not send. Returns whether all of it could be.
    pub(super) fn carry_over<'a>(
        &self,
        staging: Staging<'a>,
        pushed: &[Pushed],
        settling: &mut Settling<'_>,
    ) -> Result<(Staging<'a>, bool), Reason> {
        let leaves = self.merges() && parts::leaves_anything(pushed);
        let Some(newest) = settling.state.newest.as_ref().filter(|_| leaves) else { return Ok((staging, true)) };
        let made = staging.carry_over(newest, pushed, settling.bounds());
        let (staging, made) = settling.unless_full(staging, made)?;
        let facts = &mut settling.facts;
        facts.carried = made.linked + made.anew;
        facts.linked += made.linked;
        facts.files += facts.carried;
        facts.bytes = facts.bytes.saturating_add(made.bytes);
        settling.warnings.extend(again::unlinked(made.full, made.anew - made.full));
        if made.lost > 0 {
            let many = counted(made.lost, "file or directory", "files or directories");
            let why = "their owner may not look into them, or they are gone";
            settling.warnings.push(format!("{many} of the last snapshot could not be carried over: {why}: {}", quoted(&made.examples)));
        }
        Ok((staging, made.lost == 0))
    }

    fn merges(&self) -> bool {
        self.policy.partial_pushes == PartialPushes::Merge
    }

    /// The place of the last snapshot that a push into this one takes the place of.
    pub(super) fn compared(&self, place: &SubPath) -> SubPath {
        if self.merges() { place.clone() } else { SubPath::default() }
    }

    /// What the snapshot of a push into this place stands for.
    pub(super) fn stands_for(&self, place: &SubPath) -> SubPath {
        if self.merges() { SubPath::default() } else { place.clone() }
    }
}
