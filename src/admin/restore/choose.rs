//! Which snapshot and which place in it somebody means.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use serde::{Deserialize, Serialize};

use super::misused;
use crate::act::store::Repository;
use crate::admin::prune::{Client, Failure, Said};
use crate::decide::history::{Candidate, History, Located, NotSelected};
use crate::terms::text::printable;
use crate::terms::{Selector, SnapshotName, SubPath};

/// What was chosen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Chosen {
    pub(super) snapshot: String,
    pub(super) place: SubPath,
}

impl Said for Chosen {
    fn checked(self) -> Self {
        self
    }
}

/// Chooses, and sees that it is there. One word alone is a snapshot if it can be one, with a place
/// behind it perhaps, and otherwise a place in `current`.
pub(super) fn chosen(client: &Client<'_>, words: &[Option<OsString>; 2]) -> Result<Chosen, Failure> {
    let opened = client.open()?.ok_or_else(|| client.gone().unwrap_or_else(|| no_snapshot(client)))?;
    let all = client.snapshots(&opened)?;
    let current = all.iter().find(|one| one.current).map(|one| &one.name);
    let snapshots: Vec<_> = all.iter().map(|one| Candidate { name: one.name.clone(), partial: !one.complete }).collect();
    let history = History { snapshots: &snapshots, current, now: client.now, zone: &client.zone };
    let explain = |fault: NotSelected| match fault {
        NotSelected::None => no_snapshot(client),
        NotSelected::Unknown(word) => client.unknown(&opened, &word),
        NotSelected::Word(_) | NotSelected::Ambiguous { .. } | NotSelected::TooEarly { .. } | NotSelected::NoneComplete => {
            misused(format!("{fault}\n`snapgate list {}` shows those that there are", client.name()))
        }
    };
    let select = |selector: &Selector| history.select(selector).cloned().map_err(explain);
    let (snapshot, place) = match words {
        [None, None] => (select(&Selector::Current)?, SubPath::default()),
        [Some(word), Some(path)] => {
            let word = word.to_string_lossy();
            let selector = Selector::read(&word).map_err(|fault| explain(fault.into()))?;
            (select(&selector)?, parsed(path.as_bytes())?)
        }
        [Some(word), None] | [None, Some(word)] => one_word(&history, word).map_err(explain)?.map_or_else(
            || Ok::<_, Failure>((select(&Selector::Current)?, parsed(word.as_bytes())?)),
            |(snapshot, rest)| Ok((snapshot, parsed(rest.as_bytes())?)),
        )?,
    };
    let repository = Repository::at(&client.policy.path);
    repository.find(&snapshot, &place).map_err(|what| match repository.nearest(&snapshot, &place) {
        Some(near) => misused(format!("{}\ndid you mean `{near}`?", what.lines().next().unwrap_or_default())),
        None => misused(what),
    })?;
    Ok(Chosen { snapshot: snapshot.to_string(), place })
}

/// The snapshot that a word begins with, and the rest; `None`: it is a place.
fn one_word(history: &History<'_>, word: &OsString) -> Result<Option<(SnapshotName, String)>, NotSelected> {
    let Some(text) = word.to_str().filter(|text| !text.starts_with(['.', '/'])) else { return Ok(None) };
    let names: Vec<_> = text.split('/').filter(|name| !name.is_empty()).collect();
    match history.locate(&names) {
        Ok(Located::Inside { snapshot, names: count }) => {
            Ok(Some((snapshot.clone(), format!("./{}", names.get(count..).unwrap_or_default().join("/")))))
        }
        Ok(Located::Root | Located::Above(_)) | Err(NotSelected::Unknown(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn parsed(path: &[u8]) -> Result<SubPath, Failure> {
    let wrong = || misused(format!("`{}` is no place in a snapshot\nname it from the snapshot on, without `..`", printable(path)));
    SubPath::parse(path).map_err(|_| wrong())
}

fn no_snapshot(client: &Client<'_>) -> Failure {
    misused(format!("`{}` has no snapshot yet\nlet it push first", client.name()))
}
