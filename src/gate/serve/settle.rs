//! Settles a push or a transaction: asks `decide/push/settle`, and carries out the answer.

use std::path::PathBuf;
use std::time::Duration;

use super::brake::{self, Against};
use super::measure::Measure;
use super::room;
use super::{Connection, End};
use crate::act::clock;
use crate::act::store::{Bounds, Deferred, Held, Look, Made, Published, Staging, Survey};
use crate::decide::owners;
use crate::decide::push::settle::{Fate, Found, Settled, Work, no_transaction, settle};
use crate::decide::push::{again, lost};
use crate::terms::limits::{LEAST_LINK_TIME, MAX_QUOTED, WORTH_SYNCING_AHEAD};
use crate::terms::text::{counted, still_printable};
use crate::terms::{Mapping, PushFacts, Pushed, Reason, RepositoryState, SubPath};

/// What is at hand while a tree is settled.
pub(super) struct Settling<'a> {
    pub(super) held: &'a Held<'a>,
    pub(super) state: &'a RepositoryState,
    /// Snapshots that it was compared with, the newest first.
    pub(super) snapshots: Vec<PathBuf>,
    /// What has ended.
    pub(super) work: Work<'a>,
    /// The links that rsync asked for; parts of a transaction have theirs already.
    pub(super) links: Option<&'a Deferred<'a>>,
    /// Whether access lists came with it.
    pub(super) lists: bool,
    /// Whether the client had all its files sent again.
    pub(super) ignores_times: bool,
    pub(super) facts: PushFacts,
    /// What it is compared with; not where it waits for `complete`.
    pub(super) against: Option<Against>,
    /// What was seen of what arrived.
    pub(super) look: Option<Look>,
    /// Whether the client has its rsync keep times.
    pub(super) keeps_times: bool,
    /// The sum of all sizes, where rsync said it and left nothing out.
    pub(super) bytes: Option<u64>,
    /// Time that is left for it.
    pub(super) time: Duration,
    pub(super) warnings: Vec<String>,
    pub(super) measure: Measure,
    /// What stood in the tree before its links were made, and what these are.
    pub(super) linked: (Survey, Made),
}

impl<'a> Settling<'a> {
    /// What pushes and transactions have in common. Each adds the rest.
    pub(super) fn new(held: &'a Held<'a>, state: &'a RepositoryState, snapshots: Vec<PathBuf>, work: Work<'a>, facts: PushFacts) -> Self {
        Self {
            held,
            state,
            snapshots,
            work,
            links: None,
            lists: false,
            ignores_times: false,
            keeps_times: true,
            against: None,
            look: None,
            facts,
            bytes: None,
            time: LEAST_LINK_TIME,
            warnings: Vec::new(),
            measure: Measure::default(),
            linked: Default::default(),
        }
    }

    /// What further links may take.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds { time: self.time, room: self.measure.room() }
    }

    /// Passes on what was made in the tree. What did not fit is removed: it would keep the store
    /// full, and every later push out.
    pub(super) fn unless_full<'s, T>(&self, staging: Staging<'s>, made: Result<T, Reason>) -> Result<(Staging<'s>, T), Reason> {
        match made {
            Ok(made) => Ok((staging, made)),
            Err(reason) => {
                if self.held.repository().is_full() {
                    staging.discard()?;
                }
                Err(reason)
            }
        }
    }

    /// How the connection ends.
    fn ends(self, settled: Settled) -> End {
        let Settled { outcome, exit, reason, partial, .. } = settled;
        let push = Some(PushFacts { partial, ..self.facts });
        End { outcome, exit, reasons: reason.into_iter().collect(), warnings: self.warnings, push, ..End::answered(String::new()) }
    }
}

impl Connection<'_> {
    /// Decides, makes the links of a backup and decides again, then carries the decision out.
    pub(super) fn settle(&self, mut staging: Staging<'_>, mut settling: Settling<'_>) -> Result<End, Reason> {
        let Settling { held, work, .. } = settling;
        let mut found = self.look(&staging, &settling)?;
        let mut settled = settle(work, found, &self.policy.origins);
        if settled.is_backup() {
            (staging, found) = self.link(staging, found, &mut settling)?;
            settled = settle(work, found, &self.policy.origins);
        }
        match settled.fate {
            Fate::Publish => return self.publish(staging, &work.pushed(settled.partial), found, settling),
            Fate::Join => join(staging, work.pushed(settled.partial), settled.partial, &settling)?,
            Fate::SetAside => {
                settling.facts.kept = staging.set_aside()? || (matches!(work, Work::Push { .. }) && held.keeps(&work.place()));
                if !settling.facts.kept {
                    settled = settled.with_nothing_kept(work);
                }
            }
            Fate::Discard => staging.discard()?,
            Fate::DiscardAll => {
                staging.discard()?;
                held.forget_interrupted(&SubPath::default(), None)?;
            }
        }
        Ok(settling.ends(settled))
    }

    /// Looks at the trees, and at the store.
    fn look(&self, staging: &Staging<'_>, settling: &Settling<'_>) -> Result<Found, Reason> {
        let Settling { held, work, links, measure, snapshots, .. } = settling;
        let is_empty = links.is_none_or(Deferred::is_empty) && !staging.has_file()?;
        Ok(Found {
            is_empty,
            newest_has_files: is_empty && self.newest_has_files(settling)?,
            store_full: held.repository().is_full(),
            lack: measure.lack,
            keeps_some: measure.lack.is_some() && held.keeps(&work.place()),
            kept_reaches_limit: measure.is_kept_already(held, &work.place(), snapshots.first().map(PathBuf::as_path)),
            ..Found::default()
        })
    }

    fn newest_has_files(&self, settling: &Settling<'_>) -> Result<bool, Reason> {
        let Settling { held, state, work, .. } = settling;
        Ok(!work.joins() && held.repository().newest_has_files(state, &self.compared(&work.place()))?)
    }

    /// Makes the links of a backup.
    fn link<'s>(&self, staging: Staging<'s>, found: Found, settling: &mut Settling<'_>) -> Result<(Staging<'s>, Found), Reason> {
        let mut look = self.look_at(settling);
        let Some(links) = settling.links else {
            settling.linked = (staging.survey(&settling.snapshots, None, settling.lists, look.as_mut())?, Made::default());
            settling.look = look;
            return Ok((staging, found));
        };
        let mut make = || {
            // Before there are links: this removes files.
            staging.drop_unfinished()?;
            let survey = staging.survey(&settling.snapshots, Some(links), settling.lists, look.as_mut())?;
            let beside = settling.against.as_ref().and_then(Against::path).map(PathBuf::as_path);
            Ok((survey, links.make(settling.bounds(), settling.bytes.is_none(), beside)?))
        };
        let is_worth_syncing = settling.facts.seconds > WORTH_SYNCING_AHEAD.as_secs_f64();
        let linked = if is_worth_syncing { staging.while_syncing(make) } else { make() };
        let (staging, (survey, made)) = settling.unless_full(staging, linked)?;
        let links_lost = made.lost > 0;
        if links_lost {
            settling.warnings.push(format!(
                "{} not be linked, because something on the way to it had gone: {}",
                counted(made.lost, "unchanged file could", "unchanged files could"),
                quoted(&made.examples)
            ));
        }
        // Links to nothing are no files.
        let is_empty = survey.files + made.linked + made.anew == 0;
        settling.linked = (survey, made);
        settling.look = look;
        let newest_has_files = is_empty && self.newest_has_files(settling)?;
        Ok((staging, Found { is_empty, newest_has_files, links_lost, ..found }))
    }

    /// Publishes a tree whose links are made. The end of the connection is written first, for
    /// whoever goes on if this process is killed.
    fn publish(&self, staging: Staging<'_>, pushed: &[Pushed], found: Found, mut settling: Settling<'_>) -> Result<End, Reason> {
        let Settling { held, work, .. } = settling;
        let (place, unfinished) = (work.place(), work.unfinished());
        count(&mut settling, self.owners.mapping());
        let (staging, is_carried) = self.carry_over(staging, pushed, &mut settling)?;
        compare(&staging, &place, &mut settling);
        let history = self.brake(&staging, &mut settling)?;
        // The last decision: by now all that a snapshot can be judged by is counted and compared.
        let settled = settle(work, Found { not_carried: !is_carried, ..found }, &self.policy.origins);
        let missing = |place| format!("a push into `{place}` did not end well, and none after it did");
        settling.warnings.extend(unfinished.iter().map(missing));
        settling.warnings.extend(settled.partial.then(|| work.why_partial().to_owned()));
        let adds = room::adds(&staging, &settling);
        settling.warnings.extend(room::enter(self.policy, &settling, work.name(), adds));
        settling.facts.snapshot = Some(work.name().to_string());
        settling.facts.published = Some(clock::now());
        let mut end = End { text: work.answer(), ..settling.ends(settled) };
        let published = staging.publish(work.name().clone(), self.id, &serde_json::to_vec(&end).unwrap_or_default())?;
        self.after_publishing(&published, &place, unfinished.is_empty(), held, &mut end);
        let remembered = history.map_or(Ok(()), |history| held.write_history(&history));
        end.warnings.extend(remembered.err().map(|reason| reason.detail));
        Ok(end)
    }

    /// What follows a snapshot. Nothing here can take it back, so failures are warnings.
    fn after_publishing(&self, published: &Published, place: &SubPath, ended_well: bool, held: &Held<'_>, end: &mut End) {
        let repository = held.repository();
        end.warnings.extend(published.trouble().map(|reason| reason.detail.clone()));
        if let Some(facts) = &mut end.push {
            repository.note_files(published.name(), &self.stands_for(place), facts.files);
            facts.published = Some(clock::now());
        }
        // What a place received and the snapshot lacks is still of use to the next push.
        if ended_well && let Err(reason) = held.forget_interrupted(place, Some(published.path())) {
            end.warnings.push(reason.detail);
        }
        if let Some(facts) = &mut end.push {
            facts.free_bytes = repository.free_bytes();
        }
    }
}

/// Lets a push wait in its transaction, which adds up what `complete` has to know of it.
fn join(staging: Staging<'_>, mut pushed: Vec<Pushed>, partial: bool, settling: &Settling<'_>) -> Result<(), Reason> {
    let Settling { held, state, facts, .. } = settling;
    let (pushed, transaction) = pushed.pop().zip(state.transaction.clone()).ok_or_else(|| no_transaction("rsync"))?;
    let adds = room::adds(&staging, settling);
    staging.join(&pushed)?;
    held.enter_part(adds);
    let joined = transaction.adding(pushed, partial).using(settling.measure.stored);
    let joined = joined.dropping(facts.dropped_owners).skipping(facts.skipped);
    held.write_transaction(&joined.listing(settling.lists).ignoring_times(settling.ignores_times))
}

/// Names of files or directories, as they are shown.
pub(super) fn quoted(paths: &[String]) -> String {
    paths.iter().map(|path| format!("`{}`", still_printable(path, MAX_QUOTED))).collect::<Vec<_>>().join(", ")
}

/// Enters what a snapshot holds: what had arrived by itself, and what was linked.
fn count(settling: &mut Settling<'_>, mapping: Option<&Mapping>) {
    let Settling { facts, bytes, warnings, linked: (survey, made), .. } = settling;
    facts.linked = survey.linked + made.linked;
    facts.received = survey.files - survey.linked;
    facts.files = facts.linked + facts.received + made.anew;
    facts.bytes = bytes.unwrap_or(survey.bytes.saturating_add(made.bytes));
    facts.received_bytes = survey.received_bytes;
    facts.beyond = survey.beyond;
    if let (1.., Some(mapping)) = (survey.beyond, mapping) {
        warnings.push(owners::beyond(survey.beyond, mapping));
    }
    let nothing_linked = brake::nothing_linked(settling);
    let Settling { facts, warnings, ignores_times, linked: (survey, made), .. } = settling;
    facts.stored_again = Some(survey.again).filter(|again| again.files > 0);
    warnings.extend(again::warning(&survey.again, *ignores_times));
    warnings.extend(nothing_linked);
    warnings.extend(again::unlinked(made.full, made.anew - made.full));
}

/// Enters what the newest snapshot has and this tree lacks. Only the client knows whether that is
/// intended.
fn compare(staging: &Staging<'_>, place: &SubPath, settling: &mut Settling<'_>) {
    let Some(newest) = &settling.state.newest else { return };
    match staging.lost(newest, place, settling.facts.files) {
        Ok(None) => {}
        Ok(Some(lost)) => {
            settling.warnings.push(format!("{}: {}", lost::describe(&lost), lost::advice(&lost, settling.facts.place.as_deref())));
            settling.facts.lost = Some(lost);
        }
        Err(reason) => settling.warnings.push(reason.detail),
    }
}
