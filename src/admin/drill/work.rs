//! One client's drill, in the process that does it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::SHELL;
use super::scratch::{self, Scratch};
use super::told::Done;
use crate::act::child;
use crate::act::store::{Chosen, Repository, Same, remembered, same};
use crate::admin::prune::{Client, Failure, LOOK, failure};
use crate::decide::history::receive::drill_words;
use crate::decide::history::sample::{Picked, Sample, leave_out_large};
use crate::decide::owners::Remembered;
use crate::decide::push::outcome::{self, Ended};
use crate::terms::limits::MAX_HOOK_LINES;
use crate::terms::text::{counted, os_words, printable};
use crate::terms::{SnapshotName, exit};

/// What is to be done.
pub(super) struct Job<'a> {
    pub(super) client: &'a Client<'a>,
    /// How many files.
    pub(super) sample: u32,
    pub(super) seed: u64,
    /// Where somebody waits who starts the gate.
    pub(super) gate: &'a str,
}

impl Job<'_> {
    /// Does it; `None` where there is no snapshot.
    pub(super) fn work(&self) -> Result<Option<Done>, Failure> {
        let client = self.client;
        scratch::clean(client);
        let Some(opened) = client.open()? else { return client.gone().map_or(Ok(None), Err) };
        let all = client.snapshots(&opened)?;
        let Some(snapshot) = all.iter().find(|one| one.current).or(all.last()).map(|one| &one.name) else { return Ok(None) };
        let repository = Repository::at(&client.policy.path);
        let look = |doing: &str, error: &std::io::Error| (format!("{doing} {snapshot}: {}", os_words(error)), LOOK);
        // While this is open it is not removed.
        let _reading = repository.keep_for_reading(snapshot).map_err(|error| look("reading", &error))?;
        let most = usize::try_from(self.sample).unwrap_or(usize::MAX);
        let chosen = repository.pick(snapshot, &client.policy.drill, Sample::new(self.seed, most));
        let mut chosen = chosen.map_err(|error| look("walking through", &error))?;
        let large = leave_out_large(&mut chosen.files, scratch::room(client), |file| {
            let path = Path::new(OsStr::from_bytes(&file.path));
            client.policy.drill.iter().any(|place| path.starts_with(place.below(Path::new(""))))
        });
        let bytes = chosen.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        let scratch = Scratch::with_room(client, bytes, chosen.files.len() as u64)?;
        let restored = if chosen.files.is_empty() { None } else { self.restore(snapshot, &chosen.files, &scratch)? };
        let stored = snapshot.below(&client.policy.path.join("snapshots"));
        let paths = chosen.files.iter().map(|file| file.path.as_slice());
        let found = same(&stored, &scratch.tree(), client.policy.options.munges(), paths).map_err(|error| look("comparing", &error))?;
        Ok(Some(Done { large, ..told(snapshot, chosen, restored, found) }))
    }

    /// Restores as a client would. Says what went wrong.
    fn restore(&self, snapshot: &SnapshotName, files: &[Picked], scratch: &Scratch) -> Result<Option<String>, Failure> {
        let trouble = |doing: &str, error: &std::io::Error| (format!("{doing}: {}", os_words(error)), exit::INTERNAL);
        let (list, said) = (scratch.path.join("files"), scratch.path.join("said"));
        // With a `./` before it none is a comment.
        let names: Vec<u8> = files.iter().flat_map(|file| [b"./", file.path.as_slice(), b"\0"].concat()).collect();
        fs::write(&list, names).map_err(|error| trouble("writing the list of files", &error))?;
        let program = std::env::current_exe().map_err(|error| trouble("finding this program", &error))?;
        let shell: Vec<OsString> = vec![program.into_os_string(), SHELL.into(), self.gate.into()];
        let mapped = matches!(remembered(&self.client.policy.path).map_err(failure)?, Remembered::Mapped(_));
        let words = drill_words(snapshot.as_str(), &list, &shell, mapped, &scratch.tree());
        let errors = File::create(&said).map_err(|error| trouble("making a file", &error))?;
        let lock = scratch.lock().map_err(|error| trouble("holding the scratch directory", &error))?;
        let ended = child::drilled(&self.client.site.rsync, &words, &scratch.path, lock, errors);
        let ended = ended.map_err(|error| trouble("starting rsync", &error))?;
        if ended == Ended::Exit(0) {
            return Ok(None);
        }
        let said = last_lines(&said);
        Ok(Some(format!("rsync ended with status {}{said}", outcome::exit_code(ended))))
    }
}

fn told(snapshot: &SnapshotName, chosen: Chosen, restored: Option<String>, found: Same) -> Done {
    let Chosen { files: _, missing, more, unread } = chosen;
    let mut problems: Vec<String> = restored.into_iter().collect();
    problems.extend(missing.iter().map(|place| format!("`{place}`, which `drill:` names, is not in {snapshot}")));
    problems.extend(more.then(|| "`drill:` names more files than a drill restores\nname smaller places".to_owned()));
    problems.extend(found.differences);
    let closed = (unread > 0).then(|| format!("{} of {snapshot} could not be read", counted(unread, "directory", "directories")));
    problems.extend(closed);
    Done {
        snapshot: snapshot.to_string(),
        files: found.files,
        directories: found.directories,
        bytes: found.bytes,
        unread: found.unread,
        problems,
        others: found.others,
        ..Done::default()
    }
}

/// The last lines of a file, printable, each on a line.
fn last_lines(path: &Path) -> String {
    let said = fs::read(path).unwrap_or_default();
    let lines: Vec<_> = said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(MAX_HOOK_LINES);
    lines.iter().skip(from).map(|line| format!("\n{}", printable(line))).collect()
}
