//! The rsync of a push: run it, retry with another sandbox where the kernel refuses one, and read
//! what it logged.

use super::Connection;
use crate::act::child::{Meter, NotStarted};
use crate::act::clock;
use crate::act::record::runlog::RunLog;
use crate::act::sandbox;
use crate::act::store::{Deferred, Held};
use crate::decide::owners::dropped::Tally;
use crate::decide::push::links::Layout;
use crate::decide::push::outcome::Ended;
use crate::decide::push::plan::{Places, PushPlan};
use crate::decide::quota::Holding;
use crate::decide::rsync::argv::Version;
use crate::decide::rsync::output::{self, Words};
use crate::decide::sandbox::namespaces::Lack;
use crate::decide::sandbox::spec::Confinement;
use crate::gate::connection::Waiting;
use crate::terms::{DroppedOwners, Reason};

/// One attempt to push, under the repository's lock.
pub(super) struct Attempt<'a> {
    pub(super) connection: &'a Connection<'a>,
    pub(super) held: &'a Held<'a>,
    pub(super) plan: &'a PushPlan,
    /// rsync's.
    pub(super) version: Version,
    pub(super) log: &'a RunLog,
    /// What its client holds.
    pub(super) holding: Holding,
}

impl Attempt<'_> {
    /// Runs rsync where the plan wants it, and records its links. Where the kernel gives the
    /// account no namespaces, the site file decides whether it runs at all; `check` says so too.
    pub(super) fn rsync<'a>(
        &self,
        mut places: Places,
        mut waiting: Waiting,
        mut meter: Option<Meter<'_>>,
        defer: impl Fn(&Layout) -> Result<Deferred<'a>, Reason>,
    ) -> Result<(Ended, Deferred<'a>), Reason> {
        let Self { connection, held, plan, log, .. } = *self;
        let mut looked_again = false;
        loop {
            places.confinement = waiting.confinement;
            let run = plan.run(places.clone());
            let mut links = defer(run.layout())?;
            let lock = held.rsync_lock()?;
            match waiting.standby.rsync(&run, lock, |listener, pid| sandbox::attend(listener, pid, &mut links), &mut meter) {
                Ok(ended) => return Ok((ended, links)),
                // It sees what was mounted after it began, such as the store, only where mounts are
                // shared. A new one sees it.
                Err(NotStarted::Unseen(why)) if places.confinement == Confinement::View && !looked_again => {
                    log.note(clock::now(), &format!("rsync's own file system is put together once more ({why})"));
                    looked_again = true;
                    waiting = connection.stand_by(Confinement::View)?;
                }
                Err(NotStarted::NoView(why)) if places.confinement == Confinement::View => {
                    waiting = connection.stand_by_without(&Lack::Kept(why), places.version, log)?;
                }
                Err(NotStarted::Unseen(why)) if places.confinement == Confinement::View => {
                    waiting = connection.stand_by_without(&Lack::Unshown(why), places.version, log)?;
                }
                Err(other) => return Err(other.reason()),
            }
        }
    }
}

/// Reads rsync's log. Lines about owners are removed, and counted as files that became the
/// account's.
pub(super) fn read(said: &RunLog, ended: Ended, mut tally: Option<Tally>) -> (Words, Option<DroppedOwners>) {
    let mut reader = output::Reader::new(ended);
    let whole = said.sift(|line| tally.as_mut().is_some_and(|tally| tally.takes(line)), |piece| reader.feed(piece));
    (reader.end(), tally.and_then(|tally| tally.found(whole)))
}
