//! What becomes of a tree that rsync has filled, or of a transaction: it is linked and published, kept for the next try, or thrown away.

use std::path::PathBuf;
use std::time::Duration;

use super::measure::{self, Measure};
use super::{End, Session};
use chrono::Utc;

use crate::act::record::runlog::RunLog;
use crate::act::store::{Bounds, Deferred, Held, Made, Published, Repository, Staging, Survey};
use crate::decide::judge::closing::Closing;
use crate::decide::owners;
use crate::decide::push::again;
use crate::decide::push::lost;
use crate::decide::push::outcome::{self, Disposal, Ended, Trees};
use crate::decide::push::plan::PushPlan;
use crate::terms::ids::Mapping;
use crate::terms::limits::{LEAST_LINK_TIME, MAX_QUOTED, WORTH_SYNCING_AHEAD};
use crate::terms::outcome::Outcome;
use crate::terms::path::SubPath;
use crate::terms::reason::{Code, Reason};
use crate::terms::record::PushFacts;
use crate::terms::repository::{Pushed, RepositoryState, Transaction};
use crate::terms::snapshot::SnapshotName;
use crate::terms::text::{counted, still_printable};
use crate::terms::usage::Resource;

/// What is at hand while a push is settled.
pub(super) struct Settling<'a> {
    pub(super) held: &'a Held<'a>,
    pub(super) state: &'a RepositoryState,
    /// Snapshots that it was compared with, the newest first.
    pub(super) snapshots: Vec<PathBuf>,
    /// The status that the client said at `complete`.
    pub(super) said: Option<u8>,
    /// Whether rsync was sent nothing of the directory of its place. Seen before anybody has left for a namespace in which owners have other numbers.
    pub(super) untouched: bool,
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

impl<'a> Settling<'a> {
    /// What holds for whatever is settled. A push, and a transaction, each adds what it alone knows.
    pub(super) fn new(held: &'a Held<'a>, state: &'a RepositoryState, snapshots: Vec<PathBuf>, facts: PushFacts) -> Self {
        Self {
            held,
            state,
            snapshots,
            said: None,
            untouched: false,
            links: None,
            lists: false,
            ignores_times: false,
            facts,
            bytes: None,
            time: LEAST_LINK_TIME,
            warnings: Vec::new(),
            measure: Measure::default(),
        }
    }

    /// How the connection ended, by this outcome.
    fn ends(self, outcome: Outcome, exit: u8, reasons: Vec<Reason>) -> End {
        End { outcome, exit, reasons, warnings: self.warnings, push: Some(self.facts), ..End::answered(String::new()) }
    }
}

/// A tree whose links are made, to be published.
struct Issue<'a> {
    name: SnapshotName,
    /// Where inside it something was pushed.
    place: &'a SubPath,
    /// The pushes that it is of.
    pushed: &'a [Pushed],
    /// Places that no push into has ended well, printable.
    missing: &'a [String],
    /// What stood in it before, and what was linked.
    linked: (Survey, Made),
    /// What the client has to hear although there is a snapshot, where that is known.
    lost: Option<Reason>,
    /// The exit code where there is nothing to hear.
    exit: u8,
    text: String,
}

impl Session<'_> {
    /// Does with the tree what its push amounts to.
    #[expect(clippy::too_many_lines, reason = "each step needs what the one before it made")]
    pub(super) fn settle(&self, staging: Staging<'_>, plan: &PushPlan, ended: Ended, mut settling: Settling<'_>) -> Result<End, Reason> {
        let trees = trees(
            &staging,
            settling.links,
            settling.held.repository(),
            settling.state,
            (!plan.joins()).then(|| self.compared(plan.place())),
        )?;
        let exit = outcome::exit_code(ended);
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
                let newest_has_files = || settling.held.repository().newest_has_files(settling.state, &self.compared(plan.place()));
                if !plan.joins() && survey.files + made.linked + made.anew == 0 && newest_has_files()? {
                    staging.discard()?;
                    let exit = if exit == 0 { Code::Unpublished.exit() } else { exit };
                    return Ok(settling.ends(Outcome::Unpublished, exit, vec![outcome::nothing_arrived()]));
                }
                // Where something could not be read nothing is taken for deleted, as rsync has it.
                let replaces = plan.deletes() && !partial;
                let pushed = Pushed { place: plan.place().clone(), replaces, untouched: settling.untouched };
                if let Some(transaction) = settling.state.transaction.as_ref().filter(|_| plan.joins()) {
                    staging.join(&pushed)?;
                    let joined = transaction.clone().adding(pushed, partial).using(settling.measure.stored);
                    let joined = joined.dropping(settling.facts.dropped_owners).skipping(settling.facts.skipped);
                    let joined = joined.listing(settling.lists).ignoring_times(settling.ignores_times);
                    settling.held.write_transaction(&joined)?;
                    return Ok(settling.ends(Outcome::Added, exit, Vec::new()));
                }
                // Where rsync left something out its client knows.
                let lost = (partial && i32::from(exit) != outcome::PARTIAL).then(outcome::links_lost);
                let (name, place, pushed, linked) = (plan.name().clone(), plan.place(), &[pushed][..], (survey, made));
                self.publish(staging, Issue { name, place, pushed, missing: &[], linked, lost, exit, text: String::new() }, settling)
            }
            Disposal::SetAside(reason) => {
                let reason = self.ruled(reason, ended, plan);
                // What did not fit is not kept, nor what earlier tries left: it would keep the store full, and every later
                // push out.
                if reason.code == Code::Store {
                    staging.discard()?;
                    settling.held.forget_interrupted(&SubPath::default(), None)?;
                } else if settling.measure.is_kept_already(settling.held, plan.place(), settling.snapshots.first().map(PathBuf::as_path)) {
                    staging.discard()?;
                    return Ok(settling.ends(Outcome::Failed, exit, vec![measure::again(reason)]));
                } else if settling.links.is_some_and(|links| !plan.can_go_on(links.bases())) {
                    staging.discard()?;
                } else {
                    let kept = staging.set_aside()?;
                    settling.facts.kept = kept || settling.held.keeps(plan.place());
                }
                let promises = reason.code != Code::Store && !settling.facts.kept;
                let reason = if promises { Reason { hint: None, ..reason } } else { reason };
                let exit = if matches!(reason.code, Code::Store) { reason.code.exit() } else { exit };
                let outcome = if ended == Ended::Closed { Outcome::Stopped } else { Outcome::Failed };
                Ok(settling.ends(outcome, exit, vec![reason]))
            }
            Disposal::Discard => {
                staging.discard()?;
                Ok(settling.ends(Outcome::Answered, exit, Vec::new()))
            }
            Disposal::Reject(reason) => {
                staging.discard()?;
                let exit = if exit == 0 { reason.code.exit() } else { exit };
                Ok(settling.ends(Outcome::Unpublished, exit, vec![reason]))
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
        let survey = staging.survey(&settling.snapshots, settling.links, settling.lists)?;
        let bounds = Bounds { time: settling.time, room: settling.measure.room() };
        let made = settling.links.map_or(Ok(Made::default()), |links| links.make(bounds, settling.bytes.is_none()))?;
        if made.lost > 0 {
            settling.facts.partial = true;
            settling.warnings.push(format!(
                "{} not be linked, because something on the way to it had gone: {}",
                counted(made.lost, "unchanged file could", "unchanged files could"),
                made.examples.iter().map(|path| format!("`{}`", still_printable(path, MAX_QUOTED))).collect::<Vec<_>>().join(", ")
            ));
        }
        Ok((survey, made))
    }

    /// Publishes a tree whose links are made. How the connection ends is written down first, for whoever goes on if this process is killed.
    fn publish(&self, staging: Staging<'_>, issue: Issue<'_>, mut settling: Settling<'_>) -> Result<End, Reason> {
        let Issue { name, place, pushed, missing, linked: (survey, made), lost, exit, text } = issue;
        count(&mut settling, survey, &made, self.owners.mapping());
        let (staging, whole) = self.carry_over(staging, pushed, &mut settling)?;
        compare(&staging, place, &mut settling);
        let told = |place| format!("a push into `{place}` did not end well, and none after it did");
        settling.warnings.extend(missing.iter().map(told));
        if settling.facts.partial {
            settling.warnings.push(outcome::partial(settling.facts.rsync_exit, settling.said).to_owned());
        }
        settling.facts.snapshot = Some(name.to_string());
        settling.facts.published = Some(Utc::now());
        let held = settling.held;
        let lost = lost.or_else(|| (!whole).then(outcome::not_carried));
        let exit = lost.as_ref().map_or(exit, |lost| lost.code.exit());
        let mut end = End { text, ..settling.ends(Outcome::Published, exit, lost.into_iter().collect()) };
        let published = staging.publish(name, self.id, &serde_json::to_vec(&end).unwrap_or_default())?;
        self.after_publishing(&published, place, missing.is_empty(), held, &mut end);
        Ok(end)
    }

    /// What follows a snapshot: counting it, forgetting interrupted tries. None of it can take the snapshot back, so what goes wrong here is
    /// a warning.
    fn after_publishing(&self, published: &Published, place: &SubPath, ended_well: bool, held: &Held<'_>, end: &mut End) {
        let repository = held.repository();
        end.warnings.extend(published.trouble().map(|reason| reason.detail.clone()));
        if let Some(facts) = &mut end.push {
            repository.note_files(published.name(), &self.stands_for(place), facts.files);
            facts.published = Some(Utc::now());
        }
        // What a place received that the snapshot does not have is still good for the next try.
        if ended_well && let Err(reason) = held.forget_interrupted(place, Some(published.path())) {
            end.warnings.push(reason.detail);
        }
        if let Some(facts) = &mut end.push {
            facts.free_bytes = repository.free_bytes();
        }
    }

    /// Runs the hooks of `complete`, where there is a snapshot.
    pub(super) fn complete_hooks(&self, end: &mut End, repository: &Repository, log: &RunLog) {
        let End { push: Some(facts), warnings, .. } = end else { return };
        let Some(name) = &facts.snapshot else { return };
        let snapshot = repository.snapshots().join(name);
        for argv in &self.policy.hooks.complete {
            let failed = self.hook("complete", argv, repository, Some((&snapshot, facts)), log);
            warnings.extend(failed.map(|failed| failed.told()));
        }
    }

    /// Publishes a completed transaction, or keeps it.
    pub(super) fn settle_transaction(
        &self,
        status: Option<u8>,
        transaction: &Transaction,
        name: SnapshotName,
        held: &Held<'_>,
        state: &RepositoryState,
    ) -> Result<End, Reason> {
        let repository = held.repository();
        let staging = held.merge_transaction(transaction)?;
        let whole = SubPath::default();
        let trees = trees(&staging, None, repository, state, Some(whole.clone()))?;
        let seconds = (self.request.at - transaction.began).as_seconds_f64();
        let facts = PushFacts {
            seconds,
            prepared: Some(transaction.began),
            parts: transaction.told.clone(),
            earlier_parts: transaction.unrecorded,
            skipped: transaction.skipped,
            dropped_owners: transaction.dropped_owners,
            ..PushFacts::default()
        };
        let mut settling = Settling {
            said: status,
            lists: transaction.lists,
            ignores_times: transaction.ignores_times,
            ..Settling::new(held, state, repository.snapshots_with(&whole, state), facts)
        };
        let ends = |settling: Settling<'_>, outcome, reason: Reason| settling.ends(outcome, reason.code.exit(), vec![reason]);
        let mut end = match outcome::of_transaction(status, transaction.is_partial(), trees) {
            Disposal::Publish { partial } => {
                settling.facts.partial = partial;
                let linked = self.link(&staging, &mut settling)?;
                let missing: Vec<_> = transaction.unfinished.iter().map(|place| still_printable(place, MAX_QUOTED)).collect();
                let lost = settling.facts.partial.then(|| outcome::not_whole(status, &missing)).flatten();
                let (pushed, missing, text) = (&transaction.pushed[..], &missing[..], format!("published {name}\n"));
                self.publish(staging, Issue { name, place: &whole, pushed, missing, linked, lost, exit: 0, text }, settling)?
            }
            Disposal::SetAside(reason) => {
                settling.facts.kept = staging.set_aside()?;
                let reason = if settling.facts.kept { reason } else { reason.hint(outcome::FROM_THE_BEGINNING) };
                ends(settling, Outcome::Unpublished, reason)
            }
            Disposal::Reject(reason) => {
                staging.discard()?;
                ends(settling, Outcome::Unpublished, reason)
            }
            Disposal::Discard => {
                staging.discard()?;
                settling.ends(Outcome::Answered, 0, Vec::new())
            }
        };
        match held.close_transaction() {
            // The next session closes it.
            Err(reason) if end.outcome == Outcome::Published => end.warnings.push(reason.detail),
            closed => closed?,
        }
        Ok(end)
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
    let Some(newest) = &settling.state.newest else { return };
    match staging.lost(newest, place, settling.facts.files) {
        Ok(None) => {}
        Ok(Some(lost)) => {
            settling.warnings.push(format!("{}: {}", lost::told(&lost), lost::advice(&lost, settling.facts.place.as_deref())));
            settling.facts.lost = Some(lost);
        }
        Err(reason) => settling.warnings.push(reason.detail),
    }
}

/// Asks the trees, the newest snapshot at `compared`. A part of a transaction may be empty; the sum is asked at `complete`.
fn trees(
    staging: &Staging<'_>,
    links: Option<&Deferred<'_>>,
    repository: &Repository,
    state: &RepositoryState,
    compared: Option<SubPath>,
) -> Result<Trees, Reason> {
    let arrived_empty = links.is_none_or(Deferred::is_empty) && !staging.has_file()?;
    let newest_has_files = match compared.filter(|_| arrived_empty) {
        Some(place) => repository.newest_has_files(state, &place)?,
        None => false,
    };
    Ok(Trees { arrived_empty, newest_has_files, store_full: repository.is_full() })
}
