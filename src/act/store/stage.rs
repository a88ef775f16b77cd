//! From an empty directory to a tree that rsync has filled, and what becomes of one that is not
//! published.
//!
//! rsync never starts in a directory that has anything in it: a file there could share its inode
//! with history.

use std::cell::Cell;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::sys::stat::lstat;
use serde::{Deserialize, Serialize};

use super::disk::{found, overwrite, read_value, remove_file};
use super::keep::{self, move_tree, move_under_number, numbered, open_to_owner, remove};
use super::overlay::{Layers, overlay};
use super::publish::Staging;
use super::remove::{remove_at, remove_common};
use super::unfinished::{self, Earlier};
use super::{Held, OrTrouble as _, Repository, contents, tree, trouble};
use crate::decide::push::outcome;
use crate::terms::limits::MAX_NOTE;
use crate::terms::{Note, Reason, RepositoryState, SubPath};

/// What has to be known of a staging directory whose gate is gone.
#[derive(Debug, Default, Serialize, Deserialize)]
struct RunMark {
    /// Which boot it was filled in. After a crash of the machine its files may be shorter or
    /// emptier, with the right size and time on them, so nothing is linked from them.
    boot: String,
    #[serde(default)]
    partial_dir: String,
}

impl<'a> Held<'a> {
    /// Repairs whatever a crash left: `current` names the newest snapshot, what was in progress is
    /// set aside, a transaction that nobody completed is closed. Returns what was done.
    pub fn recover(&self, state: &mut RepositoryState, now: DateTime<Utc>, push_limit: Duration) -> Result<Vec<Note>, Reason> {
        let mut notes = Vec::new();
        if self.heal_current(state)? {
            notes.push(Note::passing("`current` did not name the newest snapshot, and does now"));
        }
        notes.extend(self.report_unrecorded());
        self.forget_holds();
        self.clear_carried()?;
        self.go_back_from_merging(state)?;
        let inprogress = self.repository.inprogress();
        if fs::symlink_metadata(&inprogress).is_ok() {
            let mark = self.run_mark();
            let trusted = !mark.boot.is_empty() && mark.boot == boot_id() && self.clear_placeholders().is_ok();
            let partial_dir = Some(mark.partial_dir).filter(|name| !name.is_empty());
            notes.extend(self.clear_away(&inprogress, trusted, partial_dir.as_deref())?);
        }
        if let Some(transaction) = state.transaction.take_if(|transaction| transaction.is_stale(now, push_limit)) {
            self.close_transaction()?;
            notes.push(transaction.given_up());
        }
        if state.transaction.is_none() {
            for part in numbered(&self.repository.parts()) {
                notes.extend(self.clear_away(&part, true, None)?);
            }
        }
        notes.extend(self.finish_uniting());
        Ok(notes)
    }

    /// Sets a tree aside, or removes it where it cannot be trusted. One that can be neither kept
    /// nor removed moves to `broken/`, which is reported: it must not keep pushes out.
    fn clear_away(&self, path: &Path, trusted: bool, partial_dir: Option<&str>) -> Result<Option<Note>, Reason> {
        let cleared = if trusted {
            self.take_out_unfinished(partial_dir).and_then(|()| self.set_aside(path))
        } else {
            remove(path).map(|()| false).or_trouble("removing", path)
        };
        match cleared {
            Ok(true) => Ok(Some(Note::passing(outcome::KEPT))),
            Ok(false) => Ok(None),
            Err(reason) => {
                let broken = move_under_number(path, &self.repository.broken()).or_trouble("moving", path)?;
                Ok(Some(Note::lasting(format!("{}: it is now `{}`, to be looked at and removed by hand", reason.detail, broken.display()))))
            }
        }
    }

    /// Makes the empty directory, with `place` in it. Where there is no room even for that, what
    /// interrupted pushes left is given up.
    pub fn stage(&self, place: &SubPath) -> Result<Staging<'_>, Reason> {
        let no_room = Cell::new(false);
        match self.try_stage(place, &no_room) {
            Err(_) if no_room.get() && !numbered(&self.repository.interrupted()).is_empty() => {
                self.forget_unfinished()?;
                self.try_stage(place, &no_room)
            }
            tried => tried,
        }
    }

    fn try_stage(&self, place: &SubPath, no_room: &Cell<bool>) -> Result<Staging<'_>, Reason> {
        // Of a gate that was killed while it tidied up.
        self.clear_placeholders().or_trouble("clearing", &self.repository.state())?;
        let partial_dir = self.mark_run().or_trouble("writing", &self.repository.run_mark())?;
        let is_lack = |error: &io::Error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        let make = |directory: &Path| {
            let made = keep::make(self.repository, directory).inspect_err(|error| no_room.set(is_lack(error)));
            made.or_trouble("creating", directory)
        };
        let mut directory = self.repository.inprogress();
        make(&directory)?;
        for part in place.components() {
            directory.push(part);
            make(&directory)?;
        }
        let made = lstat(&directory).or_trouble("looking at", &directory)?;
        Ok(Staging::empty(self, partial_dir, directory, made))
    }

    /// Notes what has to be known of the run that begins, and names its directory for unfinished
    /// files.
    fn mark_run(&self) -> io::Result<String> {
        let mark = RunMark { boot: boot_id(), partial_dir: unfinished::new_partial_dir()? };
        // Over the old text, which is as long: removing a file costs more than any other call
        // before a push (ext4), and truncating it writes its text to the disk. After a crash of the
        // machine either text is of another boot.
        overwrite(&self.repository.run_mark(), &mark)?;
        Ok(mark.partial_dir)
    }

    /// Brings everything to the disk (syncfs(2)). An error is reported once, and the data are lost:
    /// so the run no longer counts as of this boot, and the next session removes what it left.
    pub(super) fn sync(&self) -> io::Result<()> {
        nix::unistd::syncfs(self.lock.file()).map_err(|error| {
            let _ = fs::remove_file(self.repository.run_mark());
            error.into()
        })
    }

    /// What rsync had of a file that was cut off goes where the next push looks for it.
    pub(super) fn take_out_unfinished(&self, partial_dir: Option<&str>) -> Result<(), Reason> {
        let inprogress = self.repository.inprogress();
        let Some(name) = partial_dir else { return Ok(()) };
        let newest = fs::read_link(self.repository.current()).ok().map(|newest| self.repository.root().join(newest));
        let earlier = Earlier { tries: numbered(&self.repository.interrupted()).pop(), newest };
        let taken = unfinished::take_out(&inprogress, name, true).and_then(|()| unfinished::take_temporary(&inprogress, &earlier));
        taken.or_trouble("reading", &inprogress)
    }

    /// Keeps a tree for the next push, as the latest. Returns whether it has a file, and was kept.
    pub(super) fn set_aside(&self, path: &Path) -> Result<bool, Reason> {
        if !contents::has_file_anywhere(path).or_trouble("reading", path)? {
            remove(path).or_trouble("removing", path)?;
            return Ok(false);
        }
        // It is trusted by size and time later on, so its data have to survive a power cut.
        self.sync().or_trouble("syncing", path)?;
        let kept = move_under_number(path, &self.repository.interrupted()).or_trouble("setting aside", path)?;
        // The next push looks into it by name. Nobody publishes this mode.
        open_to_owner(&kept).or_trouble("opening", &kept)?;
        Ok(true)
    }

    /// Lays what was set aside over one another: one tree is left, which has all that was received
    /// and nothing twice. If that fails nothing is lost, and the next session continues.
    pub(super) fn unite(&self) -> io::Result<()> {
        let mut all = numbered(&self.repository.interrupted());
        let Some(latest) = all.pop() else { return Ok(()) };
        for earlier in all.iter().rev() {
            overlay(&latest, earlier, Layers::Tries)?;
        }
        // Numbers tell which is the later one; alone it is the first again.
        let first = self.repository.interrupted().join("1");
        if latest == first { Ok(()) } else { move_tree(&latest, &first) }
    }

    /// The same, where a kill left it undone. A failure must keep nobody out: this only saves
    /// sending again.
    fn finish_uniting(&self) -> Vec<Note> {
        let Err(error) = self.unite() else { return Vec::new() };
        let what = trouble("merging", &self.repository.interrupted(), &error).detail;
        if is_lack(&error) {
            return vec![Note::passing(format!("{what}: what earlier pushes had received waits until there is enough of it"))];
        }
        let mut notes = vec![Note::lasting(format!("{what}: what earlier pushes had received is given up for what the latest one had"))];
        let mut all = numbered(&self.repository.interrupted());
        all.pop();
        for earlier in all {
            if remove(&earlier).is_err() {
                let broken = move_under_number(&earlier, &self.repository.broken());
                notes.extend(broken.map(|broken| Note::lasting(format!("`{}` is to be looked at and removed by hand", broken.display()))));
            }
        }
        notes
    }

    /// Whether something is kept for pushes into `place`.
    pub fn keeps(&self, place: &SubPath) -> bool {
        numbered(&self.repository.interrupted()).iter().any(|tree| tree::place_in(tree, place).is_ok_and(|found| found.is_some()))
    }

    /// Removes what was set aside of pushes into `place`, once a snapshot holds it, and what that
    /// snapshot has of other places: a killed gate may have carried it over. The rest stays.
    /// Nothing depends on it.
    pub fn forget_interrupted(&self, place: &SubPath, snapshot: Option<&Path>) -> Result<(), Reason> {
        for tree in numbered(&self.repository.interrupted()) {
            let forget = || -> io::Result<()> {
                if let Some((parent, name)) = tree::place_in(&tree, place)? {
                    remove_at(parent.as_fd(), &name)?;
                }
                if let Some(snapshot) = snapshot.filter(|_| !place.is_whole()) {
                    remove_common(&tree, snapshot)?;
                }
                if place.is_whole() || contents::has_file_anywhere(&tree)? { Ok(()) } else { remove(&tree) }
            };
            forget().or_trouble("removing", &tree)?;
        }
        // Fails while there are others, as it should.
        let _ = fs::remove_dir(self.repository.interrupted());
        Ok(())
    }

    /// Removes what was set aside and what a killed gate left. Not what belongs to an open
    /// transaction: the client knows that it is there.
    pub(super) fn forget_unfinished(&self) -> Result<(), Reason> {
        self.clear_carried()?;
        if self.repository.transaction()?.is_none() {
            let inprogress = self.repository.inprogress();
            remove(&inprogress).or_trouble("removing", &inprogress)?;
        }
        self.forget_interrupted(&SubPath::default(), None)
    }

    fn heal_current(&self, state: &RepositoryState) -> Result<bool, Reason> {
        let current = self.repository.current();
        let all = || state.newest.iter().chain(&state.earlier);
        // Where nothing else is left it is better than nothing.
        let newest = all().find(|name| !self.repository.is_passed_over(name.as_str())).or(state.newest.as_ref());
        let wanted = newest.map(|newest| PathBuf::from("snapshots").join(newest.as_str()));
        let found = found(fs::read_link(&current)).or_trouble("reading", &current)?;
        match wanted {
            wanted if wanted == found => return Ok(false),
            Some(wanted) => {
                let replaced = self.repository.prepare_current(&wanted).and_then(|()| self.repository.replace_current());
                replaced.or_trouble("replacing", &current)?;
            }
            // Somebody removed the last snapshot: a link to nothing is worse than no link.
            None => fs::remove_file(&current).or_trouble("removing", &current)?,
        }
        Ok(true)
    }

    fn run_mark(&self) -> RunMark {
        read_value(&self.repository.run_mark(), MAX_NOTE).unwrap_or_default()
    }
}

impl Repository {
    /// Makes the link that will be `current`, so that nothing but a rename is left to do.
    pub(super) fn prepare_current(&self, target: &Path) -> io::Result<()> {
        let new = self.next_current();
        remove_file(&new)?;
        symlink(target, &new)
    }

    /// Puts the prepared link in `current`'s place, in one step: it is never missing, never half.
    pub(super) fn replace_current(&self) -> io::Result<()> {
        fs::rename(self.next_current(), self.current())
    }
}

/// The machine's boot. Empty where the kernel does not say, and then nothing counts as of this one.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Whether the machine had too little of something, which it may have again.
fn is_lack(error: &io::Error) -> bool {
    let lacks = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOSPC, Errno::EDQUOT, Errno::EINTR];
    error.raw_os_error().is_some_and(|number| lacks.contains(&Errno::from_raw(number)))
}
