//! What becomes of a tree that rsync has filled, or of a transaction: it is linked and published, kept for the next try, or thrown away.

use std::time::Duration;

use super::measure::{self, Measure};
use super::{End, Session};
use chrono::Utc;

use crate::act::child::HookEnd;
use crate::act::runlog::RunLog;
use crate::act::store::{Bounds, Deferred, Held, Made, Published, Repository, Staging, Survey, Which};
use crate::decide::again;
use crate::decide::closing::Closing;
use crate::decide::outcome::{self, Disposal, Ended, Trees};
use crate::decide::plan::PushPlan;
use crate::decide::{lost, owners};
use crate::terms::ids::Mapping;
use crate::terms::limits::{LEAST_LINK_TIME, MAX_QUOTED, WORTH_SYNCING_AHEAD};
use crate::terms::path::SubPath;
use crate::terms::reason::{Code, Reason};
use crate::terms::record::{Outcome, PushFacts};
use crate::terms::shelf::{Shelf, Transaction};
use crate::terms::snapshot::SnapshotName;
use crate::terms::text::still_printable;
use crate::terms::usage::Resource;

/// What is at hand while a push is settled.
pub(super) struct Settling<'a> {
    pub(super) held: &'a Held<'a>,
    pub(super) shelf: &'a Shelf,
    pub(super) log: &'a RunLog,
    /// The links that its rsync has asked for; a transaction's parts have theirs already.
    pub(super) links: Option<&'a Deferred<'a>>,
    /// Whether access lists came with it.
    pub(super) lists: bool,
    /// Whether the client had all its files sent again.
    pub(super) ignores_times: bool,
    pub(super) facts: PushFacts,
    /// The sum of all sizes, where rsync said it and left nothing out.
    pub(super) bytes: Option<u64>,
    /// Time that is left for it.
    pub(super) time: Duration,
    pub(super) warnings: Vec<String>,
    pub(super) measure: Measure,
}

impl Session<'_> {
    /// Does with the tree what its push amounts to.
    pub(super) fn settle(&self, staging: Staging<'_>, plan: &PushPlan, ended: Ended, mut settling: Settling<'_>) -> Result<End, Reason> {
        let trees = trees(&staging, settling.links, settling.held.repository(), settling.shelf, plan.joins())?;
        let exit = outcome::exit_code(ended);
        let end = |outcome, exit, reasons, settling: Settling<'_>| End {
            outcome,
            exit,
            reasons,
            warnings: settling.warnings,
            push: Some(settling.facts),
            text: String::new(),
            unheard: false,
            heard: String::new(),
        };
        match outcome::of_push(ended, plan.is_dry(), trees) {
            Disposal::Publish { partial } => {
                settling.facts.partial = partial;
                let ahead = settling.facts.seconds > WORTH_SYNCING_AHEAD.as_secs_f64();
                let mut link = || self.link(&staging, &mut settling);
                let linked = if ahead { staging.while_syncing(link) } else { link() };
                let (survey, made) = match linked {
                    Ok(linked) => linked,
                    Err(reason) => {
                        // What did not fit is not kept, as above.
                        if settling.held.repository().is_full() {
                            staging.discard()?;
                        }
                        return Err(reason);
                    }
                };
                let partial = settling.facts.partial;
                // Links to nothing are no files.
                let newest_has_files = || settling.held.repository().newest_has_files(settling.shelf);
                if !plan.joins() && survey.files + made.linked + made.anew == 0 && newest_has_files()? {
                    staging.discard()?;
                    let exit = if exit == 0 { Code::Unpublished.exit() } else { exit };
                    return Ok(end(Outcome::Unpublished, exit, vec![outcome::nothing_arrived()], settling));
                }
                if let Some(transaction) = settling.shelf.transaction.as_ref().filter(|_| plan.joins()) {
                    staging.join()?;
                    let joined = transaction.clone().adding(&plan.place().to_string(), partial).using(settling.measure.stored);
                    let joined = joined.dropping(settling.facts.dropped_owners).skipping(settling.facts.skipped);
                    settling.held.write_transaction(&joined.listing(settling.lists))?;
                    return Ok(end(Outcome::Added, exit, Vec::new(), settling));
                }
                count(&mut settling, survey, &made, self.owners.mapping());
                compare(&staging, plan.place(), &mut settling);
                let published = staging.publish(plan.name().clone(), self.id)?;
                self.after_publishing(&published, Some(plan.place()), &mut settling);
                // Where rsync left something out its client knows.
                let lost = (partial && i32::from(exit) != outcome::PARTIAL).then(outcome::links_lost);
                Ok(end(Outcome::Published, lost.as_ref().map_or(exit, |lost| lost.code.exit()), lost.into_iter().collect(), settling))
            }
            Disposal::SetAside(reason) => {
                let reason = self.ruled(reason, ended, plan);
                // What did not fit is not kept, nor what earlier tries left: it would keep the store full, and every later
                // push out.
                if reason.code == Code::Store {
                    staging.discard()?;
                    settling.held.forget_interrupted(&SubPath::default())?;
                } else if settling.measure.is_kept_already(settling.held, plan.place(), settling.shelf.newest.as_ref()) {
                    staging.discard()?;
                    return Ok(end(Outcome::Failed, exit, vec![measure::again(reason)], settling));
                } else {
                    settling.facts.kept = staging.set_aside(settling.links)?;
                }
                let promises = reason.code != Code::Store && !settling.facts.kept;
                let reason = if promises { Reason { hint: None, ..reason } } else { reason };
                let exit = if matches!(reason.code, Code::Store) { reason.code.exit() } else { exit };
                let outcome = if ended == Ended::Closed { Outcome::Stopped } else { Outcome::Failed };
                Ok(end(outcome, exit, vec![reason], settling))
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

    /// With the key of the policy by which the gate itself has ended it.
    fn ruled(&self, reason: Reason, ended: Ended, plan: &PushPlan) -> Reason {
        match ended {
            Ended::Closed => plan.closing().map_or(reason, Closing::reason).rule(self.policy.origins.of("when")),
            Ended::Deadline | Ended::Idle(_) => reason.rule(self.policy.origins.of("time_limits")),
            Ended::TooMuch(excess) if excess.resource != Resource::Links => reason.rule(self.policy.origins.of("limits")),
            Ended::TooMuch(_) | Ended::Exit(_) | Ended::Signal(_) => reason,
        }
    }

    /// Makes the links of a tree that is a backup, so that nothing but its name is missing. What could not be kept in it makes it
    /// partial. Says what stood in it before, and what was made.
    fn link(&self, staging: &Staging<'_>, settling: &mut Settling<'_>) -> Result<(Survey, Made), Reason> {
        // Before there is a link in the tree: files in there are to be removed.
        staging.drop_unfinished()?;
        let survey = staging.survey(settling.shelf.newest.as_ref(), settling.links, settling.lists)?;
        let bounds = Bounds { time: settling.time, room: settling.measure.room() };
        let made = settling.links.map_or(Ok(Made::default()), |links| links.make(Which::All, bounds, settling.bytes.is_none()))?;
        if made.lost > 0 {
            settling.facts.partial = true;
            settling.warnings.push(format!(
                "{} unchanged files could not be linked, because they or their directories had gone: {}",
                made.lost,
                made.examples.iter().map(|path| format!("`{}`", still_printable(path, MAX_QUOTED))).collect::<Vec<_>>().join(", ")
            ));
        }
        Ok((survey, made))
    }

    /// What follows a snapshot: counting it, forgetting interrupted tries, the administrator's hooks. None of it can
    /// take the snapshot back, so what goes wrong here is a warning.
    fn after_publishing(&self, published: &Published, place: Option<&SubPath>, settling: &mut Settling<'_>) {
        let repository = settling.held.repository();
        settling.facts.snapshot = Some(published.name().to_string());
        repository.note_files(published.name(), settling.facts.files);
        settling.facts.published = Some(Utc::now());
        settling.warnings.extend(published.trouble().map(|reason| reason.detail.clone()));
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
        let trees = trees(&staging, None, repository, shelf, false)?;
        let seconds = (self.request.at - transaction.began).as_seconds_f64();
        let facts = PushFacts { seconds, skipped: transaction.skipped, dropped_owners: transaction.dropped_owners, ..PushFacts::default() };
        let measure = Measure::default();
        let (time, lists, warnings) = (LEAST_LINK_TIME, transaction.lists, Vec::new());
        let (links, ignores_times, bytes) = (None, false, None);
        let mut settling = Settling { held, shelf, log: &log, links, lists, ignores_times, facts, time, bytes, warnings, measure };
        let (outcome, reasons) = match outcome::of_transaction(status, transaction.is_partial(), trees) {
            Disposal::Publish { partial } => {
                settling.facts.partial = partial;
                let (survey, made) = self.link(&staging, &mut settling)?;
                count(&mut settling, survey, &made, self.owners.mapping());
                compare(&staging, &SubPath::default(), &mut settling);
                let published = staging.publish(name, self.id)?;
                let missing: Vec<_> = transaction.unfinished.iter().map(|place| still_printable(place, MAX_QUOTED)).collect();
                let told = |place| format!("a push into `{place}` did not end well, and none after it did");
                settling.warnings.extend(missing.iter().map(told));
                let whole = SubPath::default();
                self.after_publishing(&published, Some(&whole).filter(|_| missing.is_empty()), &mut settling);
                let reason = settling.facts.partial.then(|| outcome::not_whole(status, &missing)).flatten();
                (Outcome::Published, reason.into_iter().collect())
            }
            Disposal::SetAside(reason) => {
                settling.facts.kept = staging.set_aside(None)?;
                let reason = if settling.facts.kept { reason } else { reason.hint(outcome::FROM_THE_BEGINNING) };
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
        Ok(End {
            outcome,
            exit,
            reasons,
            warnings: settling.warnings,
            push: Some(settling.facts),
            text,
            unheard: false,
            heard: String::new(),
        })
    }
}

/// Enters what a snapshot holds: what had arrived by itself, and what was linked.
fn count(settling: &mut Settling<'_>, survey: Survey, made: &Made, mapping: Option<&Mapping>) {
    let facts = &mut settling.facts;
    facts.linked = survey.linked + made.linked;
    facts.received = survey.files - survey.linked;
    facts.files = facts.linked + facts.received + made.anew;
    facts.bytes = settling.bytes.unwrap_or(survey.bytes.saturating_add(made.bytes));
    facts.received_bytes = survey.received_bytes;
    facts.beyond = survey.beyond;
    if let (1.., Some(mapping)) = (survey.beyond, mapping) {
        settling.warnings.push(owners::beyond(survey.beyond, mapping));
    }
    facts.stored_again = Some(survey.again).filter(|again| again.files > 0);
    settling.warnings.extend(again::warning(&survey.again, settling.ignores_times));
    settling.warnings.extend(again::unlinked(made.full, made.anew - made.full));
}

/// Enters what the newest snapshot has and the tree that is to be the next one has not. Only the client knows whether that is as it should be.
fn compare(staging: &Staging<'_>, place: &SubPath, settling: &mut Settling<'_>) {
    let Some(newest) = &settling.shelf.newest else { return };
    match staging.lost(newest, place, settling.facts.files) {
        Ok(None) => {}
        Ok(Some(lost)) => {
            settling.warnings.push(format!("{}: {}", lost::told(&lost), lost::ADVICE));
            settling.facts.lost = Some(lost);
        }
        Err(reason) => settling.warnings.push(reason.detail),
    }
}

/// Asks the trees. A part of a transaction may be empty; the sum is asked at `complete`.
fn trees(staging: &Staging<'_>, links: Option<&Deferred<'_>>, repository: &Repository, shelf: &Shelf, part: bool) -> Result<Trees, Reason> {
    let arrived_empty = links.is_none_or(Deferred::is_empty) && !staging.has_file()?;
    let newest_has_files = arrived_empty && !part && repository.newest_has_files(shelf)?;
    Ok(Trees { arrived_empty, newest_has_files, store_full: repository.is_full() })
}
