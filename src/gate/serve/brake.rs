//! Compares what was pushed with the last good snapshot, and decides whether it is held. Nothing here
//! walks over unchanged files: what is known of them was counted when their links were made.

use std::path::{Path, PathBuf};

use super::Connection;
use super::settle::Settling;
use crate::act::store::{Canary, Look, Repository, Staging};
use crate::decide::anomaly::{self, Figure, HeldNote, History, Kind, Past};
use crate::decide::push::again;
use crate::terms::limits::{MAX_NAMED, MAX_QUOTED};
use crate::terms::text::still_printable;
use crate::terms::{Brake, Compared, Reason, RepositoryState, SubPath};

/// What a push is compared with.
pub(super) struct Against {
    /// What its snapshot stands for.
    place: SubPath,
    history: History,
    /// Why that could not be read, and is not to be written.
    unread: Option<Reason>,
    /// The last good snapshot of that, where there is one.
    good: Option<(Past, PathBuf)>,
}

impl Against {
    /// Where the last good snapshot stands.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        self.good.as_ref().map(|(_, path)| path)
    }

    /// These snapshots in the order in which a tree is compared with them: that one first.
    pub(super) fn compared_with(&self, mut snapshots: Vec<PathBuf>) -> Vec<PathBuf> {
        self.path().into_iter().for_each(|path| first(path, &mut snapshots));
        snapshots
    }
}

fn first(path: &PathBuf, snapshots: &mut Vec<PathBuf>) {
    snapshots.retain(|snapshot| snapshot != path);
    snapshots.insert(0, path.clone());
}

impl Connection<'_> {
    /// What a push into `place` is compared with, and snapshots that it may link to: the last good one
    /// among them, also where newer ones are held.
    pub(super) fn against(&self, repository: &Repository, place: &SubPath, state: &RepositoryState) -> (Against, Vec<PathBuf>) {
        let mut snapshots = repository.snapshots_with(place, state);
        let stands_for = self.stands_for(place);
        let (mut history, unread) = match repository.history() {
            Ok(history) => (history, None),
            Err(reason) => (History::default(), Some(reason)),
        };
        let good = repository.last_good(&mut history, &stands_for, state);
        if let Some((_, path)) = good.as_ref().filter(|(_, path)| Repository::has_place(path, place)) {
            first(path, &mut snapshots);
        }
        (Against { place: stands_for, history, unread, good }, snapshots)
    }

    /// Sees what arrives, where that matters.
    pub(super) fn look_at(&self, settling: &Settling<'_>) -> Option<Look> {
        let is_compared = settling.against.as_ref().is_some_and(|against| against.good.is_some());
        (is_compared && self.policy.anomaly.is_some()).then(Look::new)
    }

    /// Enters how the tree differs from the last good snapshot, and holds it where that is too much.
    /// Otherwise returns what good pushes are like, with this one.
    pub(super) fn brake(&self, staging: &Staging<'_>, settling: &mut Settling<'_>) -> Result<Option<History>, Reason> {
        let Some(against) = &settling.against else { return Ok(None) };
        settling.warnings.extend(against.unread.as_ref().map(|reason| reason.detail.clone()));
        let mut braked = None;
        if let Some((good, path)) = &against.good {
            let mut compared = compared(settling, good);
            let nothing = Look::default();
            let look = settling.look.as_ref().unwrap_or(&nothing);
            if let Some(limits) = &self.policy.anomaly {
                if limits.may_be_renamed(&compared) {
                    let before = staging.endings_in(path, &look.endings);
                    compared.renamed = anomaly::renamed(&compared, look.endings.new_beside(&before));
                }
                compared.scrambled = look.sample.sampled().scrambled(compared.changed, compared.renamed);
            }
            braked = self.braked(staging, settling, &compared, path, look);
            settling.facts.compared = Some(compared);
        }
        let (held, name, past) = (settling.held, settling.work.name(), self.past(settling));
        if let Some((why, brake)) = braked {
            let place = against.place.clone();
            let good = settling.facts.compared.as_ref().map(|compared| compared.with.clone()).unwrap_or_default();
            held.hold_back(name, &HeldNote { past, place, why, good, stays: brake.stays })?;
            settling.facts.held = Some(brake);
            return Ok(None);
        }
        held.let_pass(name)?;
        if against.unread.is_some() {
            return Ok(None);
        }
        let mut history = against.history.clone();
        history.add(&against.place, past);
        Ok(Some(history))
    }

    /// Why it is held, if it is.
    fn braked(
        &self,
        staging: &Staging<'_>,
        settling: &Settling<'_>,
        compared: &Compared,
        path: &Path,
        look: &Look,
    ) -> Option<(Vec<String>, Brake)> {
        let (limits, against) = (self.policy.anomaly.as_ref()?, settling.against.as_ref()?);
        let now = (settling.facts.files, settling.facts.bytes);
        let over = anomaly::judge(limits, now, compared, against.history.of(&against.place));
        let mut why: Vec<String> = over.iter().map(ToString::to_string).collect();
        let mut names = Vec::new();
        for canary in &limits.canaries {
            let shown = still_printable(&canary.to_string(), MAX_QUOTED);
            let what = match staging.canary(path, canary) {
                Canary::Same | Canary::Missing => continue,
                Canary::Changed => "has other content",
                Canary::Gone => "is gone",
            };
            why.push(format!("the canary `{shown}` {what}"));
            names.push(shown);
        }
        let is_held = |newest: &str| settling.held.repository().is_held(newest);
        if settling.facts.carried > 0 && settling.state.newest.as_ref().is_some_and(|newest| is_held(newest.as_str())) {
            why.push("what it did not send was carried over from a snapshot that is held".to_owned());
        }
        if why.is_empty() {
            return None;
        }
        for figure in over.iter().map(|over| over.figure) {
            match figure {
                Figure::Changed | Figure::Scrambled => names.extend(look.names(Kind::Changed).iter().cloned()),
                Figure::Renamed => names.extend(look.names(Kind::Added).iter().cloned()),
                Figure::Deleted | Figure::Shrunk => names.extend(staging.gone_since(path)),
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names.truncate(MAX_NAMED);
        Some((why.clone(), Brake { why, names, stays: limits.stays }))
    }

    /// The push as the history will know it.
    fn past(&self, settling: &Settling<'_>) -> Past {
        let (facts, name) = (&settling.facts, settling.work.name());
        let now = (facts.files, facts.bytes);
        let history = settling.against.as_ref().map(|against| against.history.of(&against.place)).unwrap_or_default();
        // Without limits nobody said that what came is usual.
        let judged = self.policy.anomaly.as_ref().zip(facts.compared.as_ref());
        let over = judged.map(|(limits, compared)| anomaly::over(limits, now, compared, history)).unwrap_or_default();
        Past { snapshot: name.to_string(), at: name.at, files: facts.files, bytes: facts.bytes, over, released: false, good: String::new() }
    }
}

/// The figures, by what was counted on the way.
fn compared(settling: &Settling<'_>, good: &Past) -> Compared {
    let Settling { facts, linked: (survey, made), .. } = settling;
    let changed = survey.changed.saturating_sub(survey.again.files) + made.changed;
    let added = survey.added + made.added;
    let unchanged = facts.files.saturating_sub(changed + added);
    let gone = good.files.saturating_sub(unchanged + changed);
    let (with, files, bytes) = (good.snapshot.clone(), good.files, good.bytes);
    Compared { with, files, bytes, unchanged, changed, added, gone, ..Compared::default() }
}

/// The warning about a push that linked nothing, although there was something to link.
pub(super) fn nothing_linked(settling: &Settling<'_>) -> Option<String> {
    let Settling { facts, linked: (survey, _), keeps_times, ignores_times, .. } = settling;
    let warned = || again::nothing_linked(&survey.again, survey.changed, *keeps_times, *ignores_times);
    // Files without any difference are told of by themselves, with the same causes.
    if facts.linked == 0 && facts.carried == 0 && survey.again.same == 0 { warned() } else { None }
}
