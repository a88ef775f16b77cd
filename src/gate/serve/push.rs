//! A push: stage it, and run rsync in the jail. What becomes of the tree is settled elsewhere.

use std::path::Path;
use std::time::Instant;

use chrono::Utc;

use super::measure::Measure;
use super::settle::Settling;
use super::{End, Session, USUAL};
use crate::act::child::{self, HookEnd, Meter, NotStarted, Setting, Standby};
use crate::act::process::{self, Inherited};
use crate::act::record::runlog::RunLog;
use crate::act::sandbox;
use crate::act::store::{Deferred, Held, Repository, Taken, trouble};
use crate::decide::judge::closing::Closing;
use crate::decide::owners::dropped::{self, Tally};
use crate::decide::push::links::Layout;
use crate::decide::push::metering::{Allowance, Metering};
use crate::decide::push::outcome::{self, Ended};
use crate::decide::push::plan::{self, Places, PushPlan};
use crate::decide::rsync::argv::Version;
use crate::decide::rsync::command::Push;
use crate::decide::rsync::output::{self, Words};
use crate::decide::sandbox::namespaces::{self, Lack};
use crate::decide::sandbox::spec::{Confinement, Isolation};
use crate::decide::speak::hook::{self, Occasion};
use crate::terms::beside::{FailedHook, Note, PartEnd};
use crate::terms::limits::{LEAST_LINK_TIME, MAX_HOOK_LINES, MAX_HOOK_WORDS, MAX_QUOTED, MAX_RSYNC_LOG, MAX_TOLD_HOOKS};
use crate::terms::reason::{Code, Reason};
use crate::terms::record::{DroppedOwners, Jail, PushFacts};
use crate::terms::repository::RepositoryState;
use crate::terms::text::still_printable;
use crate::terms::usage::{Count, Usage};

/// A process that waits to become the push's rsync.
struct Waiting {
    /// What is to hold it.
    confinement: Confinement,
    standby: Standby,
}

impl Session<'_> {
    pub(super) fn push(&self, push: &Push, closing: Option<&Closing>, standby: Option<Standby>) -> Result<End, Reason> {
        let repository = self.open()?;
        let confinement = plan::confinement(push, self.site.jail, self.owners);
        let waiting = match standby.filter(|_| confinement == USUAL) {
            Some(standby) => Waiting { confinement, standby },
            None => self.stand_by(confinement)?,
        };
        let held = repository.hold()?;
        held.make_room()?;
        let mut state = repository.look(&self.policy.names)?;
        // What can stop the push comes before anything is changed.
        let plan = plan::push(push, self.policy, &state, self.request.at)?.until(closing);
        let version = child::version(&self.site.rsync, Some(&repository.version_cache()))?;
        if confinement == Confinement::Jail {
            namespaces::walks_by_itself(version)?;
        }
        let mut notes = held.recover(&mut state, self.request.at, self.policy.deadline)?;
        let log = self.begin_log(&repository, &plan, &notes)?;
        if confinement == Confinement::Jail {
            self.weaken(&log, "it stores access lists, which the policy allows");
        }
        let end = End::of(self.run(&plan, version, &held, state, &log, waiting));
        if end.push.as_ref().is_some_and(|push| push.resumed) {
            log.note(Utc::now(), outcome::USED);
            notes.iter_mut().filter(|note| note.text == outcome::KEPT).for_each(|note| outcome::USED.clone_into(&mut note.text));
        }
        let end = end.noting(notes);
        log.note(Utc::now(), &format!("{}, exit {}", end.outcome.as_str(), end.exit));
        Ok(end)
    }

    /// Starts the process that becomes rsync.
    fn stand_by(&self, confinement: Confinement) -> Result<Waiting, Reason> {
        let mapping = self.owners.mapping();
        let standby = sandbox::stand_by(Isolation::new(confinement), mapping, Some(self.inherited)).map_err(NotStarted::reason)?;
        Ok(Waiting { confinement, standby })
    }

    /// The same where there is no file system of rsync's own, if the site file lets it run so.
    fn stand_by_without(&self, lack: &Lack, version: Version, log: &RunLog) -> Result<Waiting, Reason> {
        let confinement = namespaces::without(lack, self.site, self.owners)?;
        namespaces::walks_by_itself(version)?;
        self.weaken(log, &lack.to_string());
        self.stand_by(confinement)
    }

    /// From here on every line says that the jail is not whole.
    fn weaken(&self, log: &RunLog, why: &str) {
        self.jail.set(Jail::WithoutNamespaces);
        let jail = Jail::WithoutNamespaces.says().unwrap_or_default();
        log.note(Utc::now(), &format!("rsync has no file system of its own ({why}): the jail is {jail}"));
    }

    /// Runs rsync into a fresh directory, and does with the tree what its end amounts to.
    #[expect(clippy::too_many_lines, reason = "each step needs what the one before it made")]
    fn run(
        &self,
        plan: &PushPlan,
        version: Version,
        held: &Held<'_>,
        mut state: RepositoryState,
        log: &RunLog,
        waiting: Waiting,
    ) -> Result<End, Reason> {
        let started = Instant::now();
        let repository = held.repository();
        if !plan.joins() {
            self.prepare_hooks(repository, log)?;
        }
        let place = plan.place().to_string();
        if let Some(transaction) = state.transaction.take_if(|_| plan.joins()) {
            let transaction = transaction.beginning(&place, self.request.at);
            held.write_transaction(&transaction)?;
            state.transaction = Some(transaction);
        }
        // rsync's own, since it may do with it what it likes.
        let said = self.rsync_log(repository)?;
        let staging = held.stage(plan.place())?;
        let snapshots = repository.snapshots_with(plan.place(), &state);
        let bases = repository.bases(plan.place(), &snapshots, plan.trusts_size());
        let places = Places {
            root: repository.root().to_path_buf(),
            program: self.site.rsync.clone(),
            version,
            stage: staging.path().to_path_buf(),
            bases,
            partial_dir: staging.partial_dir().to_owned(),
            log: said.path().to_path_buf(),
            confinement: waiting.confinement,
            mapping: self.owners.mapping().cloned(),
            running: process::running(),
            logs_owners: plan.drops_owners(self.owners),
        };
        let tally = places.logs_owners.then(|| Tally::new(self.request.account.uid));
        let used = state.transaction.as_ref().filter(|_| plan.joins()).map(|transaction| transaction.used);
        let allowance = Allowance::new(&self.policy.limits, used.unwrap_or_default());
        let linked = Taken::default();
        let logged = || Count { usage: Usage { bytes: said.allocated(), inodes: 0 }, blind: false };
        let mut so_far = || staging.count(&linked, false).and(logged());
        let meter = allowance.map(|allowance| Meter::new(Metering::new(allowance), &mut so_far));
        let defer = |layout: &Layout| staging.defer(layout, plan.place(), plan.keeps_hard_links(), allowance.is_some(), &linked);
        let (ended, links) = match self.run_rsync(plan, places, waiting, held, log, meter, defer) {
            Ok(ended) => ended,
            Err(reason) => {
                staging.discard()?;
                return Err(reason);
            }
        };
        held.wait_for_rsync()?;

        let taken_by_log = logged();
        let (words, dropped) = read(&said, ended, tally);
        let measure = Measure::take(allowance, ended, &words, || staging.count(&linked, true).and(taken_by_log));
        said.shorten(MAX_RSYNC_LOG);
        let said = words;
        if let Some(dropped) = dropped {
            log.note(Utc::now(), &format!("{} became the account's: no owners are kept", dropped::describe(dropped)));
        }
        let exit = if let Ended::Exit(status) = ended { Some(status) } else { None };
        let signal = if let Ended::Signal(signal) = ended { Some(signal) } else { None };
        let part = PartEnd { exit, signal, seconds: started.elapsed().as_secs_f64() };
        if let Some(transaction) = state.transaction.take_if(|_| plan.joins()) {
            // For `complete`, which tells of it however the push is settled.
            let transaction = transaction.ended(part);
            held.write_transaction(&transaction)?;
            state.transaction = Some(transaction);
        }
        let facts = PushFacts {
            place: (!plan.place().is_whole()).then(|| still_printable(&place, MAX_QUOTED)),
            seconds: part.seconds,
            rsync_exit: exit,
            rsync_signal: signal,
            wire_bytes: said.wire_bytes,
            skipped: said.skipped,
            dropped_owners: dropped,
            resumed: links.reused() > 0 || (plan.builds_on(links.bases()) && staging.builds_on_parts(plan.place())),
            ..PushFacts::default()
        };
        let bytes = said.total_bytes.filter(|_| ended == Ended::Exit(0));
        let mut warnings = plan.warnings().to_vec();
        warnings.extend(measure.warning());
        warnings.extend(said.report());
        let ended = measure.ended(ended);
        let time = self.policy.deadline.saturating_sub(started.elapsed()).max(LEAST_LINK_TIME);
        let settling = Settling {
            untouched: staging.is_untouched(),
            links: Some(&links),
            lists: plan.keeps_access_lists(),
            ignores_times: plan.ignores_times(),
            time,
            bytes,
            warnings,
            measure,
            ..Settling::new(held, &state, snapshots, facts)
        };
        let mut end = self.reaching_all(held, || self.settle(staging, plan, ended, settling))?;
        self.complete_hooks(&mut end, repository, log);
        Ok(end)
    }

    /// Runs rsync where the plan wants it, and records its links. Where the kernel gives the account no namespaces, the site file
    /// decides whether it runs at all; `check` says so too.
    #[expect(clippy::too_many_arguments, reason = "until one value holds a connection")]
    fn run_rsync<'a>(
        &self,
        plan: &PushPlan,
        mut places: Places,
        mut waiting: Waiting,
        held: &Held<'_>,
        log: &RunLog,
        mut meter: Option<Meter<'_>>,
        defer: impl Fn(&Layout) -> Result<Deferred<'a>, Reason>,
    ) -> Result<(Ended, Deferred<'a>), Reason> {
        let mut looked_again = false;
        loop {
            places.confinement = waiting.confinement;
            let run = plan.run(places.clone());
            let mut links = defer(run.layout())?;
            let lock = held.rsync_lock()?;
            match waiting.standby.rsync(&run, lock, |listener, pid| sandbox::attend(listener, pid, &mut links), &mut meter) {
                Ok(ended) => return Ok((ended, links)),
                // What was mounted after it began, the store itself perhaps, it sees only where mounts are shared. A new one sees it.
                Err(NotStarted::Unseen(why)) if places.confinement == Confinement::View && !looked_again => {
                    log.note(Utc::now(), &format!("rsync's own file system is put together once more ({why})"));
                    looked_again = true;
                    waiting = self.stand_by(Confinement::View)?;
                }
                Err(NotStarted::NoView(why)) if places.confinement == Confinement::View => {
                    waiting = self.stand_by_without(&Lack::Kept(why), places.version, log)?;
                }
                Err(NotStarted::Unseen(why)) if places.confinement == Confinement::View => {
                    waiting = self.stand_by_without(&Lack::Unshown(why), places.version, log)?;
                }
                Err(other) => return Err(other.reason()),
            }
        }
    }

    pub(super) fn log(&self, repository: &Repository) -> Result<RunLog, Reason> {
        let path = repository.log(self.id);
        let log = RunLog::begin(path.clone()).map_err(|error| trouble("creating", &path, &error))?;
        if let Some(says) = self.jail.get().says() {
            log.note(self.request.at, &format!("the jail is {says}"));
        }
        Ok(log)
    }

    fn rsync_log(&self, repository: &Repository) -> Result<RunLog, Reason> {
        let path = repository.rsync_log(self.id);
        RunLog::begin(path.clone()).and_then(|log| repository.give(&path).map(|()| log)).map_err(|error| trouble("creating", &path, &error))
    }

    fn begin_log(&self, repository: &Repository, plan: &PushPlan, notes: &[Note]) -> Result<RunLog, Reason> {
        let log = self.log(repository)?;
        let at = self.request.at;
        let peer = self.request.address.as_ref().map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let first = format!("push of `{}` from {peer} into `{}`", self.policy.client, plan.place());
        let planned = plan.notes(self.owners);
        let notes = notes.iter().map(|note| &note.text);
        log.notes(at, [&first].into_iter().chain(notes).chain(&planned).chain(plan.warnings()).map(String::as_str));
        Ok(log)
    }

    /// Runs the hooks of `prepare`.
    ///
    /// # Errors
    /// With [`Code::Hook`] when one says no; the ones after it do not run.
    pub(super) fn prepare_hooks(&self, repository: &Repository, log: &RunLog) -> Result<(), Reason> {
        for argv in &self.policy.hooks.prepare {
            if let Some(failed) = self.hook("prepare", argv, repository, None, log) {
                let reason = Reason { of_server: true, ..Reason::new(Code::Hook, "the server cannot take a push right now") };
                return Err(reason.detail(failed.told()).remedy(failed.remedy()).rule(self.policy.origins.of("hooks")));
            }
        }
        Ok(())
    }

    /// Runs one. What a failing one has printed is remembered for the mail, and for nobody else.
    pub(super) fn hook(
        &self,
        hook: &str,
        argv: &[String],
        repository: &Repository,
        published: Option<(&Path, &PushFacts)>,
        log: &RunLog,
    ) -> Option<FailedHook> {
        let words = argv.join(" ");
        log.note(Utc::now(), &format!("{hook} hook `{words}`"));
        let inprogress = repository.inprogress();
        let Self { policy, request, id, .. } = self;
        let variables = hook::variables(Occasion {
            hook,
            client: &policy.client,
            id,
            at: request.at,
            address: request.address.as_ref(),
            repository: repository.root(),
            inprogress: &inprogress,
            published,
        });
        let Inherited { files, memory } = self.inherited;
        let setting = Setting { variables, mapped: self.owners.mapping().is_some(), files, memory };
        let before = log.length();
        let HookEnd::Failed(how) = child::hook(argv, setting, policy.hooks.time_limit, log.file()) else { return None };
        let tells = self.failed.borrow().len() < MAX_TOLD_HOOKS;
        let printed = if tells { log.last_lines(before, MAX_HOOK_WORDS, MAX_HOOK_LINES) } else { Vec::new() };
        log.note(Utc::now(), &format!("the hook failed: {how}"));
        let shown = |text: &str| still_printable(text, MAX_QUOTED);
        let log = shown(&log.path().display().to_string());
        let failed = FailedHook { hook: hook.to_owned(), command: shown(&words), how, printed, log };
        self.failed.borrow_mut().push(failed.clone());
        Some(failed)
    }
}

/// Reads what rsync has said. Where it told the owners of what it received these are taken out, and whose files became the account's is known.
fn read(said: &RunLog, ended: Ended, mut tally: Option<Tally>) -> (Words, Option<DroppedOwners>) {
    let mut reader = output::Reader::new(ended);
    let whole = said.sift(|line| tally.as_mut().is_some_and(|tally| tally.takes(line)), |piece| reader.feed(piece));
    (reader.end(), tally.and_then(|tally| tally.found(whole)))
}
