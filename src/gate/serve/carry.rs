//! With `partial_pushes: merge`: what a push leaves alone of the last snapshot is carried over into the new one before that is published.
//!
//! Where the policy says nothing of it, nothing is done and nothing looked at.

use super::Session;
use super::settle::Settling;
use crate::act::store::{Bounds, Staging};
use crate::decide::policy::PartialPushes;
use crate::decide::push::parts;
use crate::terms::limits::MAX_QUOTED;
use crate::terms::path::SubPath;
use crate::terms::reason::Reason;
use crate::terms::repository::Pushed;
use crate::terms::text::{counted, still_printable};

impl Session<'_> {
    /// Carries over what these pushes have left alone. Says whether all of it could be.
    pub(super) fn carry_over<'a>(
        &self,
        staging: Staging<'a>,
        pushed: &[Pushed],
        settling: &mut Settling<'_>,
    ) -> Result<(Staging<'a>, bool), Reason> {
        let leaves = self.merges() && parts::leaves_anything(pushed);
        let Some(newest) = settling.state.newest.as_ref().filter(|_| leaves) else { return Ok((staging, true)) };
        let bounds = Bounds { time: settling.time, room: settling.measure.room() };
        let made = match staging.carry_over(newest, pushed, bounds) {
            Ok(made) => made,
            Err(reason) => {
                // What does not fit is not kept: it would keep the store full, and every later push out.
                if settling.held.repository().is_full() {
                    staging.discard()?;
                }
                return Err(reason);
            }
        };
        let facts = &mut settling.facts;
        facts.carried = made.linked + made.anew;
        facts.linked += made.linked;
        facts.files += facts.carried;
        facts.bytes = facts.bytes.saturating_add(made.bytes);
        if made.lost > 0 {
            facts.partial = true;
            let names: Vec<_> = made.examples.iter().map(|path| format!("`{}`", still_printable(path, MAX_QUOTED))).collect();
            let many = format!(
                "{} of the last snapshot could not be carried over",
                counted(made.lost, "file or directory", "files or directories")
            );
            settling.warnings.push(format!("{many}: their owner may not look into them, or they are gone: {}", names.join(", ")));
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
