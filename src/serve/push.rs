//! A push: stage, run rsync in the jail, and publish what came of it or keep it for the next try.

use std::time::Instant;

use chrono::Utc;

use super::measure::{self, Measure};
use super::{End, Session, USUAL};
use crate::act::child::{self, HookEnd, Meter, NotStarted, Setting, Standby};
use crate::act::runlog::RunLog;
use crate::act::store::{Held, Published, Repository, Staging, trouble};
use crate::act::{filter, process};
use crate::decide::argv::Version;
use crate::decide::cell::Confinement;
use crate::decide::command::Push;
use crate::decide::namespaces::{self, Lack};
use crate::decide::outcome::{self, Disposal, Ended, Trees};
use crate::decide::pace::{Allowance, Pace};
use crate::decide::plan::{self, Places, PushPlan};
use crate::decide::words;
use crate::enclose;
use crate::terms::limits::MAX_QUOTED;
use crate::terms::path::SubPath;
use crate::terms::reason::{Code, Reason};
use crate::terms::record::{Jail, Outcome, PushFacts};
use crate::terms::shelf::{Shelf, Transaction};
use crate::terms::snapshot::SnapshotName;
use crate::terms::text::still_printable;

/// What is at hand while a push is settled.
struct Settling<'a> {
    held: &'a Held<'a>,
    shelf: &'a Shelf,
    log: &'a RunLog,
    facts: PushFacts,
    /// The sum of all sizes, where rsync said it and left nothing out.
    bytes: Option<u64>,
    warnings: Vec<String>,
    measure: Measure,
}

/// A process that waits to become the push's rsync.
struct Waiting {
    /// What is to hold it.
    confinement: Confinement,
    standby: Standby,
}

impl Session<'_> {
    pub(super) fn push(&self, push: &Push, standby: Option<Standby>) -> Result<End, Reason> {
        let repository = self.open()?;
        let confinement = plan::confinement(push, self.site.jail, self.request.account.is_root());
        let waiting = match standby.filter(|_| confinement == USUAL) {
            Some(standby) => Waiting { confinement, standby },
            None => self.stand_by(confinement)?,
        };
        let held = repository.hold()?;
        held.make_room()?;
        let mut shelf = repository.look(&self.policy.names)?;
        // What can stop the push comes before anything is changed.
        let plan = plan::push(push, self.policy, &shelf, self.request.at)?;
        let version = child::version(&self.site.rsync, Some(&repository.version_cache()))?;
        let notes = held.recover(&mut shelf, self.request.at, self.policy.deadline)?;
        let log = self.begin_log(&repository, &plan, &notes)?;
        if confinement == Confinement::Jail {
            self.weaken(&log, "it stores access lists, which the policy allows");
        }
        let end = End::of(self.run(&plan, version, &held, shelf, &log, waiting)).noting(notes);
        log.note(Utc::now(), &format!("{}, exit {}", end.outcome.as_str(), end.exit));
        Ok(end)
    }

    /// Starts the process that becomes rsync.
    fn stand_by(&self, confinement: Confinement) -> Result<Waiting, Reason> {
        let standby = enclose::stand_by(confinement.into()).map_err(NotStarted::reason)?;
        Ok(Waiting { confinement, standby })
    }

    /// The same where there is no file system of rsync's own, if the site file lets it run so.
    fn stand_by_without(&self, lack: &Lack, log: &RunLog) -> Result<Waiting, Reason> {
        let confinement = namespaces::without(lack, self.site)?;
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
    fn run(
        &self,
        plan: &PushPlan,
        version: Version,
        held: &Held<'_>,
        mut shelf: Shelf,
        log: &RunLog,
        waiting: Waiting,
    ) -> Result<End, Reason> {
        let started = Instant::now();
        let repository = held.repository();
        if !plan.joins() {
            self.prepare_hooks(repository, log)?;
        }
        let place = plan.place().to_string();
        if let Some(transaction) = shelf.transaction.take_if(|_| plan.joins()) {
            let transaction = transaction.beginning(&place);
            held.write_transaction(&transaction)?;
            shelf.transaction = Some(transaction);
        }
        let staging = held.stage(plan.place())?;
        let bases = repository.bases(plan.place(), &shelf, plan.trusts_size());
        let places = Places {
            root: repository.root().to_path_buf(),
            program: self.site.rsync.clone(),
            version,
            stage: staging.path().to_path_buf(),
            since: staging.born_after(&bases),
            bases,
            partial_dir: staging.partial_dir().to_owned(),
            log: log.path().to_path_buf(),
            confinement: waiting.confinement,
            running: process::running(),
        };
        let used = shelf.transaction.as_ref().filter(|_| plan.joins()).map(|transaction| transaction.used);
        let allowance = Allowance::new(&self.policy.limits, used.unwrap_or_default());
        let mut count = || staging.count(&shelf, false);
        let meter = allowance.map(|allowance| Meter::new(Pace::new(allowance), &mut count));
        let ended = match self.run_rsync(plan, places, waiting, held, log, meter) {
            Ok(ended) => ended,
            Err(reason) => {
                staging.discard()?;
                return Err(reason);
            }
        };
        held.wait_for_rsync()?;

        let said = words::read(&log.tail());
        let measure = Measure::take(allowance, ended, &said, || staging.count(&shelf, true));
        let facts = PushFacts {
            place: (!plan.place().is_whole()).then(|| still_printable(&place, MAX_QUOTED)),
            seconds: started.elapsed().as_secs_f64(),
            rsync_exit: if let Ended::Exit(status) = ended { Some(status) } else { None },
            wire_bytes: said.wire_bytes,
            ..PushFacts::default()
        };
        let bytes = said.total_bytes.filter(|_| ended == Ended::Exit(0));
        let mut warnings = plan.warnings().to_vec();
        warnings.extend(measure.warning());
        warnings.extend(said.complaints.iter().map(|line| format!("rsync: {line}")));
        let ended = measure.ended(ended);
        self.settle(staging, plan, ended, Settling { held, shelf: &shelf, log, facts, bytes, warnings, measure })
    }

    /// Runs rsync where the plan wants it. Where the kernel gives the account no namespaces, the site file decides whether it
    /// runs at all; `check` says so too.
    fn run_rsync(
        &self,
        plan: &PushPlan,
        mut places: Places,
        mut waiting: Waiting,
        held: &Held<'_>,
        log: &RunLog,
        mut meter: Option<Meter<'_>>,
    ) -> Result<Ended, Reason> {
        let mut looked_again = false;
        loop {
            places.confinement = waiting.confinement;
            let run = plan.run(places.clone());
            let supervise = |listener, pid| filter::supervise(listener, pid, run.bounds().clone());
            match waiting.standby.rsync(&run, held.rsync_lock()?, supervise, &mut meter) {
                Ok(ended) => return Ok(ended),
                // What was mounted after it began, the store itself perhaps, it sees only where mounts are shared. A new one sees it.
                Err(NotStarted::Unseen(why)) if places.confinement == Confinement::View && !looked_again => {
                    log.note(Utc::now(), &format!("rsync's own file system is put together once more ({why})"));
                    looked_again = true;
                    waiting = self.stand_by(Confinement::View)?;
                }
                Err(NotStarted::NoView(why)) if places.confinement == Confinement::View => {
                    waiting = self.stand_by_without(&Lack::Kept(why), log)?;
                }
                Err(NotStarted::Unseen(why)) if places.confinement == Confinement::View => {
                    waiting = self.stand_by_without(&Lack::Unshown(why), log)?;
                }
                Err(other) => return Err(other.reason()),
            }
        }
    }

    /// Does with the tree what its push amounts to.
    fn settle(&self, staging: Staging<'_>, plan: &PushPlan, ended: Ended, mut settling: Settling<'_>) -> Result<End, Reason> {
        let trees = trees(&staging, settling.held.repository(), settling.shelf, plan.joins())?;
        let exit = outcome::exit_code(ended);
        let end = |outcome, exit, reasons, settling: Settling<'_>| End {
            outcome,
            exit,
            reasons,
            warnings: settling.warnings,
            push: Some(settling.facts),
            text: String::new(),
            heard: String::new(),
        };
        match outcome::of_push(ended, plan.is_dry(), trees) {
            Disposal::Publish { partial } => {
                settling.facts.partial = partial;
                if ended != Ended::Exit(0) {
                    staging.drop_unfinished()?;
                }
                if let Some(transaction) = settling.shelf.transaction.as_ref().filter(|_| plan.joins()) {
                    staging.join()?;
                    settling.held.write_transaction(
                        &transaction.clone().adding(&plan.place().to_string(), partial).using(settling.measure.stored),
                    )?;
                    return Ok(end(Outcome::Added, exit, Vec::new(), settling));
                }
                let published = staging.publish(plan.name().clone(), self.id)?;
                self.after_publishing(&published, Some(plan.place()), &mut settling);
                Ok(end(Outcome::Published, exit, Vec::new(), settling))
            }
            Disposal::SetAside(reason) => {
                // What did not fit is not kept, nor what earlier tries left: it would keep the store full, and every later
                // push out.
                if reason.code == Code::Store {
                    staging.discard()?;
                    settling.held.forget_interrupted(&SubPath::default())?;
                } else if settling.measure.is_kept_already(settling.held, plan.place(), settling.shelf) {
                    staging.discard()?;
                    return Ok(end(Outcome::Failed, exit, vec![measure::again(reason)], settling));
                } else {
                    settling.facts.kept = staging.set_aside()?;
                }
                let promises = reason.code != Code::Store && !settling.facts.kept;
                let reason = if promises { Reason { hint: None, ..reason } } else { reason };
                let exit = if matches!(reason.code, Code::Store) { reason.code.exit() } else { exit };
                Ok(end(Outcome::Failed, exit, vec![reason], settling))
            }
            Disposal::Discard => {
                staging.discard()?;
                Ok(end(Outcome::Answered, exit, Vec::new(), settling))
            }
            Disposal::Reject(reason) => {
                staging.discard()?;
                let exit = if exit == 0 { reason.code.exit() } else { exit };
                Ok(end(Outcome::Unpublished, exit, vec![reason], settling))
            }
        }
    }

    /// What follows a snapshot: counting it, forgetting interrupted tries, the administrator's hooks. None of it can
    /// take the snapshot back, so what goes wrong here is a warning.
    fn after_publishing(&self, published: &Published, place: Option<&SubPath>, settling: &mut Settling<'_>) {
        let repository = settling.held.repository();
        settling.facts.snapshot = Some(published.name().to_string());
        settling.warnings.extend(published.trouble().map(|reason| reason.detail.clone()));
        match repository.survey(published, settling.shelf.newest.as_ref(), settling.bytes) {
            Ok(survey) => {
                settling.facts.files = survey.files;
                settling.facts.linked = survey.linked;
                settling.facts.received = survey.files - survey.linked;
                settling.facts.bytes = survey.bytes;
                settling.facts.received_bytes = survey.received_bytes;
                if survey.copied > 0 {
                    settling.warnings.push(format!(
                        "{} files are the same as in the last snapshot and were stored again instead of linked: \
                         their links may be used up (EMLINK), the client uses --ignore-times, or root's gate stores attributes of `trusted.`, \
                         which rsync may not compare",
                        survey.copied
                    ));
                }
            }
            Err(reason) => settling.warnings.push(reason.detail),
        }
        if settling.facts.partial {
            let status = if settling.facts.rsync_exit == Some(outcome::PARTIAL) { " (its status 23)" } else { "" };
            settling.warnings.push(format!("rsync could not read or store everything{status}: the snapshot is partial"));
        }
        // What a place received that the snapshot does not have is still good for the next try.
        if let Some(Err(reason)) = place.map(|place| settling.held.forget_interrupted(place)) {
            settling.warnings.push(reason.detail);
        }
        settling.facts.free_bytes = repository.free_bytes();
        for argv in &self.policy.hooks.complete {
            if let HookEnd::Failed(how) = self.hook("complete", argv, repository, Some(published), settling.log) {
                settling.warnings.push(format!("the complete hook `{}` failed: {how}", argv.join(" ")));
            }
        }
    }

    /// Publishes a completed transaction, or keeps it.
    pub(super) fn settle_transaction(
        &self,
        status: Option<u8>,
        transaction: &Transaction,
        name: SnapshotName,
        held: &Held<'_>,
        shelf: &Shelf,
    ) -> Result<End, Reason> {
        let repository = held.repository();
        let log = self.log(repository)?;
        let staging = held.merge_transaction(transaction)?;
        let trees = trees(&staging, repository, shelf, false)?;
        let seconds = (self.request.at - transaction.began).as_seconds_f64();
        let facts = PushFacts { seconds, ..PushFacts::default() };
        let measure = Measure::default();
        let mut settling = Settling { held, shelf, log: &log, facts, bytes: None, warnings: Vec::new(), measure };
        let (outcome, reasons) = match outcome::of_transaction(status, transaction.is_partial(), trees) {
            Disposal::Publish { partial } => {
                settling.facts.partial = partial;
                let published = staging.publish(name, self.id)?;
                let missing = transaction.unfinished.iter().map(|place| still_printable(place, MAX_QUOTED));
                settling.warnings.extend(missing.map(|place| format!("a push into `{place}` did not end well, and none after it did")));
                let whole = SubPath::default();
                self.after_publishing(&published, Some(&whole).filter(|_| transaction.unfinished.is_empty()), &mut settling);
                (Outcome::Published, Vec::new())
            }
            Disposal::SetAside(reason) => {
                settling.facts.kept = staging.set_aside()?;
                (Outcome::Unpublished, vec![reason])
            }
            Disposal::Reject(reason) => {
                staging.discard()?;
                (Outcome::Unpublished, vec![reason])
            }
            Disposal::Discard => {
                staging.discard()?;
                (Outcome::Answered, Vec::new())
            }
        };
        held.close_transaction()?;
        let exit = reasons.first().map_or(0, |reason| reason.code.exit());
        let text = settling.facts.snapshot.as_ref().map(|name| format!("published {name}\n")).unwrap_or_default();
        Ok(End { outcome, exit, reasons, warnings: settling.warnings, push: Some(settling.facts), text, heard: String::new() })
    }

    pub(super) fn log(&self, repository: &Repository) -> Result<RunLog, Reason> {
        let path = repository.log(self.id);
        let log = RunLog::begin(path.clone()).map_err(|error| trouble("creating", &path, &error))?;
        if let Some(says) = self.jail.get().says() {
            log.note(self.request.at, &format!("the jail is {says}"));
        }
        Ok(log)
    }

    fn begin_log(&self, repository: &Repository, plan: &PushPlan, notes: &[String]) -> Result<RunLog, Reason> {
        let log = self.log(repository)?;
        let at = self.request.at;
        let peer = self.request.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let first = format!("push of `{}` from {peer} into `{}`", self.policy.client, plan.place());
        let planned = plan.notes();
        log.notes(at, [&first].into_iter().chain(notes).chain(&planned).chain(plan.warnings()).map(String::as_str));
        Ok(log)
    }

    /// Runs the hooks of `prepare`.
    ///
    /// # Errors
    /// With [`Code::Hook`] when one says no; the ones after it do not run.
    pub(super) fn prepare_hooks(&self, repository: &Repository, log: &RunLog) -> Result<(), Reason> {
        for argv in &self.policy.hooks.prepare {
            if let HookEnd::Failed(how) = self.hook("prepare", argv, repository, None, log) {
                return Err(Reason::new(Code::Hook, "the server cannot take a push right now")
                    .hint("try again later; the administrator has been told")
                    .detail(format!("the prepare hook `{}` said no: {how}", argv.join(" ")))
                    .remedy(format!("see its output in `{}`", log.path().display()))
                    .rule(self.policy.origins.of("hooks")));
            }
        }
        Ok(())
    }

    fn hook(&self, hook: &str, argv: &[String], repository: &Repository, published: Option<&Published>, log: &RunLog) -> HookEnd {
        log.note(Utc::now(), &format!("{hook} hook `{}`", argv.join(" ")));
        let inprogress = repository.inprogress();
        let snapshot = published.map(Published::path);
        let (client, open_files) = (&self.policy.client, self.open_files);
        let setting = Setting { hook, client, repository: repository.root(), inprogress: &inprogress, snapshot, open_files };
        let end = child::hook(argv, setting, self.policy.hooks.time_limit, log.file());
        if let HookEnd::Failed(how) = &end {
            log.note(Utc::now(), &format!("the hook failed: {how}"));
        }
        end
    }
}

/// Asks the trees. A part of a transaction may be empty; the sum is asked at `complete`.
fn trees(staging: &Staging<'_>, repository: &Repository, shelf: &Shelf, part: bool) -> Result<Trees, Reason> {
    let arrived_empty = !staging.has_file()?;
    let newest_has_files = arrived_empty && !part && repository.newest_has_files(shelf)?;
    Ok(Trees { arrived_empty, newest_has_files, store_full: repository.is_full() })
}
