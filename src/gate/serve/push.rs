//! A push: plan it, stage it, run rsync, settle what rsync has left.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::brake::Against;
use super::measure::Measure;
use super::room;
use super::rsync::{self, Attempt};
use super::settle::Settling;
use super::{Connection, End};
use crate::act::child::{self, Meter, Standby};
use crate::act::clock;
use crate::act::process;
use crate::act::record::runlog::RunLog;
use crate::act::store::{Deferred, Repository, Staging, Taken, trouble};
use crate::decide::judge::closing::Closing;
use crate::decide::owners::dropped::{self, Tally};
use crate::decide::push::links::Layout;
use crate::decide::push::metering::Metering;
use crate::decide::push::outcome::{self, Ended};
use crate::decide::push::plan::{self, Places, PushPlan};
use crate::decide::push::settle::Work;
use crate::decide::rsync::command::Push;
use crate::decide::rsync::output::Words;
use crate::decide::sandbox::namespaces;
use crate::decide::sandbox::spec::Confinement;
use crate::gate::connection::Waiting;
use crate::terms::limits::{LEAST_LINK_TIME, MAX_QUOTED, MAX_RSYNC_LOG};
use crate::terms::text::still_printable;
use crate::terms::{Count, DroppedOwners, Note, PartEnd, PushFacts, Reason, RepositoryState, Transaction, Usage};

/// What is known of its rsync when that has ended.
struct Ran {
    ended: Ended,
    began: Instant,
    words: Words,
    dropped: Option<DroppedOwners>,
    measure: Measure,
    against: Against,
}

impl Connection<'_> {
    pub(super) fn push(&self, push: &Push, closing: Option<&Closing>, standby: Option<Standby>) -> Result<End, Reason> {
        let repository = self.open()?;
        let waiting = self.waiting(plan::confinement(push, self.site.jail, self.owners), standby)?;
        let held = repository.hold()?;
        held.make_room(&self.site.min_free)?;
        let mut state = repository.look(&self.policy.names)?;
        // Whatever can refuse the push comes before any change.
        let holding = self.room(&repository, &state, None)?;
        let plan = plan::push(push, self.policy, &state, self.request.at)?.until(closing);
        let version = child::version(&self.site.rsync, Some(&repository.version_cache()))?;
        if waiting.confinement == Confinement::Jail {
            namespaces::walks_by_itself(version)?;
        }
        let mut notes = held.recover(&mut state, self.request.at, self.policy.deadline)?;
        let log = self.begin_log(&repository, &plan, &notes)?;
        if waiting.confinement == Confinement::Jail {
            self.weaken(&log, "it stores access lists, which the policy allows");
        }
        let end = End::of(Attempt { connection: self, held: &held, plan: &plan, version, log: &log, holding }.run(state, waiting));
        held.enter_unpublished();
        if end.push.as_ref().is_some_and(|push| push.resumed) {
            log.note(clock::now(), outcome::USED);
            notes.iter_mut().filter(|note| note.text == outcome::KEPT).for_each(|note| outcome::USED.clone_into(&mut note.text));
        }
        let end = end.noting(notes);
        log.note(clock::now(), &format!("{}, exit {}", end.outcome.as_str(), end.exit));
        Ok(end)
    }

    /// Begins the log of a run.
    pub(super) fn log(&self, repository: &Repository) -> Result<RunLog, Reason> {
        let path = repository.log(self.id);
        let log = RunLog::begin(path.clone()).map_err(|error| trouble("creating", &path, &error))?;
        if let Some(says) = self.jail.get().says() {
            log.note(self.request.at, &format!("the jail is {says}"));
        }
        Ok(log)
    }

    fn begin_log(&self, repository: &Repository, plan: &PushPlan, notes: &[Note]) -> Result<RunLog, Reason> {
        let log = self.log(repository)?;
        let peer = self.request.address.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let first = format!("push of `{}` from {peer} into `{}`", self.policy.client, plan.place());
        let planned = plan.notes(self.owners);
        let notes = notes.iter().map(|note| &note.text);
        log.notes(self.request.at, [&first].into_iter().chain(notes).chain(&planned).chain(plan.warnings()).map(String::as_str));
        Ok(log)
    }

    /// rsync has a log of its own, since it may do with it what it likes.
    fn rsync_log(&self, repository: &Repository) -> Result<RunLog, Reason> {
        let path = repository.rsync_log(self.id);
        RunLog::begin(path.clone()).and_then(|log| repository.give(&path).map(|()| log)).map_err(|error| trouble("creating", &path, &error))
    }
}

impl Attempt<'_> {
    /// Runs rsync into a fresh directory, and settles what it has left there.
    fn run(&self, mut state: RepositoryState, waiting: Waiting) -> Result<End, Reason> {
        let Self { connection, held, plan, log, .. } = *self;
        let (began, repository) = (Instant::now(), held.repository());
        if !plan.joins() {
            connection.prepare_hooks(repository, log)?;
        }
        self.note_in_transaction(&mut state, |transaction| transaction.beginning(&plan.place().to_string(), connection.request.at))?;
        let said = connection.rsync_log(repository)?;
        let staging = held.stage(plan.place())?;
        let (against, snapshots) = connection.against(repository, plan.place(), &state);
        let places = self.places(&staging, &snapshots, said.path(), waiting.confinement);
        let tally = places.logs_owners.then(|| Tally::new(connection.request.account.uid));
        let used = state.transaction.as_ref().filter(|_| plan.joins()).map(|transaction| transaction.used);
        let allowance = room::allowance(connection.policy, &self.holding, used.unwrap_or_default());
        let linked = Taken::default();
        let logged = || Count { usage: Usage { bytes: said.allocated(), inodes: 0 }, blind: false };
        let mut so_far = || staging.count(&linked, false).and(logged());
        let disk = connection.disk_room(repository);
        let meter = Meter::new(allowance.map(Metering::new), &mut so_far, disk.as_deref());
        let defer = |layout: &Layout| staging.defer(layout, plan.place(), plan.keeps_hard_links(), allowance.is_some(), &linked);
        let (ended, links) = match self.rsync(places, waiting, meter, defer) {
            Ok(ended) => ended,
            Err(reason) => {
                staging.discard()?;
                return Err(reason);
            }
        };
        held.wait_for_rsync()?;
        // Before lines are removed from it.
        let log_takes = logged();
        let (words, dropped) = rsync::read(&said, ended, tally);
        let measure = Measure::take(allowance, ended, &words, || staging.count(&linked, true).and(log_takes));
        said.shorten(MAX_RSYNC_LOG);
        let mut end = self.settle(staging, &links, snapshots, state, Ran { ended, began, words, dropped, measure, against })?;
        connection.complete_hooks(&mut end, repository, log);
        Ok(end)
    }

    fn settle(
        &self,
        staging: Staging<'_>,
        links: &Deferred<'_>,
        snapshots: Vec<PathBuf>,
        mut state: RepositoryState,
        ran: Ran,
    ) -> Result<End, Reason> {
        let Self { connection, held, plan, log, .. } = *self;
        let Ran { ended, began, words, dropped, measure, against } = ran;
        if let Some(dropped) = dropped {
            log.note(clock::now(), &format!("{} became the account's: no owners are kept", dropped::describe(dropped)));
        }
        let exit = if let Ended::Exit(status) = ended { Some(status) } else { None };
        let signal = if let Ended::Signal(signal) = ended { Some(signal) } else { None };
        let part = PartEnd { exit, signal, seconds: began.elapsed().as_secs_f64() };
        // For `complete`, however the push is settled.
        self.note_in_transaction(&mut state, |transaction| transaction.ended(part))?;
        let place = plan.place();
        let facts = PushFacts {
            place: (!place.is_whole()).then(|| still_printable(&place.to_string(), MAX_QUOTED)),
            seconds: part.seconds,
            rsync_exit: exit,
            rsync_signal: signal,
            wire_bytes: words.wire_bytes,
            skipped: words.skipped,
            dropped_owners: dropped,
            resumed: links.reused() > 0 || (plan.builds_on(links.bases()) && staging.builds_on_parts(place)),
            ..PushFacts::default()
        };
        let work = Work::Push {
            plan,
            ended: measure.ended(ended),
            // Read here, before a namespace gives owners other numbers.
            untouched: staging.is_untouched(),
            can_go_on: plan.can_go_on(links.bases()),
        };
        let snapshots = against.compared_with(snapshots);
        let settling = Settling {
            links: Some(links),
            lists: plan.keeps_access_lists(),
            ignores_times: plan.ignores_times(),
            keeps_times: plan.keeps_times(),
            against: Some(against).filter(|_| !plan.joins()),
            time: connection.policy.deadline.saturating_sub(began.elapsed()).max(LEAST_LINK_TIME),
            bytes: words.total_bytes.filter(|_| ended == Ended::Exit(0)),
            warnings: plan.warnings().iter().cloned().chain(measure.warning()).chain(words.report()).collect(),
            measure,
            ..Settling::new(held, &state, snapshots, work, facts)
        };
        connection.reaching_all(held, || connection.settle(staging, settling))
    }

    /// Where things stand for its rsync.
    fn places(&self, staging: &Staging<'_>, snapshots: &[PathBuf], log: &Path, confinement: Confinement) -> Places {
        let Self { connection, plan, version, .. } = *self;
        let repository = self.held.repository();
        Places {
            root: repository.root().to_path_buf(),
            program: connection.site.rsync.clone(),
            version,
            stage: staging.path().to_path_buf(),
            bases: repository.bases(plan.place(), snapshots, plan.trusts_size()),
            partial_dir: staging.partial_dir().to_owned(),
            log: log.to_path_buf(),
            confinement,
            mapping: connection.owners.mapping().cloned(),
            running: process::running(),
            logs_owners: plan.drops_owners(connection.owners),
        }
    }

    /// Writes into the transaction that this push joins, if it joins one.
    fn note_in_transaction(&self, state: &mut RepositoryState, change: impl FnOnce(Transaction) -> Transaction) -> Result<(), Reason> {
        if let Some(transaction) = state.transaction.take_if(|_| self.plan.joins()) {
            let transaction = change(transaction);
            self.held.write_transaction(&transaction)?;
            state.transaction = Some(transaction);
        }
        Ok(())
    }
}
