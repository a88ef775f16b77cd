//! What a pull of snapshots rests on: which there are, and where its paths lead in them.

use std::fs;
use std::io;

use crate::act::beneath::{Found, Root, Seen};
use crate::act::record::ledger;
use crate::act::store::Repository;
use crate::decide::history::pull::{self, Asks, Files, Inside, Named, Places};
use crate::decide::history::{Candidate, History, cell};
use crate::decide::policy::Policy;
use crate::decide::push::plan::Run;
use crate::decide::rsync::transfer::{Spot, Transfer};
use crate::decide::sandbox::spec::Confinement;
use crate::terms::limits::MAX_SNAPSHOT_NAME;
use crate::terms::text::os_words;
use crate::terms::{Code, Reason, SnapshotName};

/// The client's snapshots.
///
/// # Errors
/// When they cannot be listed.
pub fn candidates(repository: &Repository, policy: &Policy) -> Result<Vec<Candidate>, Reason> {
    let names = repository.names(&policy.names)?;
    let partial = ledger::partial(&repository.ledger(), &repository.partial_note());
    Ok(names.into_iter().map(|name| Candidate { partial: partial.contains(name.as_str()), name }).collect())
}

/// What `current` leads to.
#[must_use]
pub fn current(repository: &Repository, policy: &Policy) -> Option<SnapshotName> {
    let target = fs::read_link(repository.current()).ok()?;
    let name = target.strip_prefix("snapshots").ok()?.to_str().filter(|name| name.len() <= MAX_SNAPSHOT_NAME)?;
    policy.names.read(name)
}

/// The reason where a snapshot cannot be held while it is read.
pub fn not_held(snapshot: &SnapshotName, error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::NotFound => pull::is_going(snapshot),
        io::ErrorKind::PermissionDenied => pull::is_shut(snapshot),
        _ => Reason::of_the_server(Code::Store, format!("holding {snapshot}: {}", os_words(error))),
    }
}

/// Looks up every path. What it holds is open as long as the roots are there.
///
/// # Errors
/// When one is not there, leads out, or stands for too much.
pub fn plan(
    transfer: &Transfer,
    policy: &Policy,
    history: &History<'_>,
    asks: &Asks<'_>,
    places: &Places<'_>,
) -> Result<(Run, Vec<Root>), Reason> {
    let files = match asks {
        Asks::List(_) if places.confinement != Confinement::View => return Err(pull::cannot_list()),
        Asks::List(place) => return Ok((pull::list(transfer, policy, history, places, place), Vec::new())),
        Asks::Files(files) => files,
    };
    let mut roots = Vec::new();
    for Named { word, snapshot } in &files.snapshots {
        let path = snapshot.below(&places.snapshots);
        let is_gone = || fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let root = Root::open(path.as_os_str()).map_err(|reason| if is_gone() { pull::is_going(snapshot) } else { reason })?;
        roots.push(if places.confinement == Confinement::View {
            root.seen(Seen { top: cell::SNAPSHOTS.into(), word: word.clone().into_bytes() })
        } else {
            root
        });
    }
    let paths = looked_up(transfer, files, &mut roots)?;
    let mut lists: Vec<Option<Spot>> = Vec::new();
    for list in &files.lists {
        let found = match list {
            Some(Inside { snapshot, place }) => roots.get_mut(*snapshot).map(|root| root.list(place)).transpose()?,
            None => None,
        };
        lists.push(found);
    }
    Ok((pull::send(transfer, policy, files, places, paths, lists), roots))
}

/// What the paths stand for. A pull of nothing that is there is refused.
fn looked_up(transfer: &Transfer, files: &Files<'_>, roots: &mut [Root]) -> Result<Vec<Spot>, Reason> {
    let (mut paths, mut found) = (Vec::new(), Found::default());
    let mut missing = None;
    let mut all = true;
    for Inside { snapshot, place } in &files.paths {
        let (Some(root), Some(named)) = (roots.get_mut(*snapshot), files.snapshots.get(*snapshot)) else { continue };
        let expanded = root.expand(place)?;
        match root.missing(place, &expanded) {
            Some(there) => missing = missing.or_else(|| Some(pull::not_there(named.snapshot, place, there))),
            None => all = false,
        }
        paths.extend(root.stands_for(place, expanded, transfer.relative, &mut found)?);
    }
    match missing {
        Some(reason) if all && !transfer.forgives => Err(reason),
        _ => Ok(paths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::NamePattern;

    #[test]
    fn only_a_snapshot_that_is_gone_is_called_so() {
        let name = NamePattern::default().name_at("2026-11-20T02:00:00Z".parse().unwrap());
        let said = |kind: io::ErrorKind| not_held(&name, &kind.into());
        let (gone, shut, broken) =
            (said(io::ErrorKind::NotFound), said(io::ErrorKind::PermissionDenied), said(io::ErrorKind::NotADirectory));
        assert!(gone.says.contains("being removed"), "{gone:?}");
        assert!(shut.says.contains("shuts out its owner") && shut.code == Code::Snapshot && !shut.of_server, "{shut:?}");
        assert!(broken.of_server && broken.code == Code::Store && !broken.detail.contains("removed"), "{broken:?}");
    }
}
