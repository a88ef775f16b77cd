//! Publishing, each step with its reason. After a kill between any two the next session finds the
//! old state or the new one.
//!
//! From just before a snapshot is published until its connection is in ledger and spool it has a
//! note, `unrecorded/<id>`, with its name and the outcome. If the process that published is killed,
//! its gate records that; if the gate is killed too, the next session reports the name.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sys::stat::{FileStat, lstat};

use super::absent::absent;
use super::disk::{read_note, sync_directory};
use super::keep::{move_tree, numbered, remove};
use super::links::{Deferred, Taken};
use super::look::Look;
use super::survey::{Kept, Survey, survey};
use super::{Held, OrTrouble as _, Repository, contents, make_directory, tree, unfinished};
use crate::act::clock;
use crate::decide::push::lost;
use crate::terms::limits::MAX_END;
use crate::terms::record::Lost;
use crate::terms::{Note, Pushed, Reason, SnapshotName, SubPath};

/// The tree in `inprogress/`, for the process that holds the repository. Whatever becomes of it
/// consumes this; if nothing does, the next session sets it aside.
#[derive(Debug)]
#[must_use]
pub struct Staging<'a> {
    held: &'a Held<'a>,
    path: PathBuf,
    /// Where its rsync leaves unfinished files; `None` where none has run.
    partial_dir: Option<String>,
    /// The directory of the push's place as it was made; `None` where no rsync has run.
    made: Option<(PathBuf, FileStat)>,
}

/// A snapshot that cannot be taken back.
#[derive(Debug)]
pub struct Published {
    name: SnapshotName,
    path: PathBuf,
    trouble: Option<Reason>,
}

impl Published {
    /// Its name.
    pub fn name(&self) -> &SnapshotName {
        &self.name
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong after it had its name; the next session puts it right.
    #[must_use]
    pub fn trouble(&self) -> Option<&Reason> {
        self.trouble.as_ref()
    }
}

impl<'a> Staging<'a> {
    /// A tree that no rsync fills any more.
    pub(super) fn filled(held: &'a Held<'a>) -> Self {
        Self { held, path: held.repository.inprogress(), partial_dir: None, made: None }
    }

    /// One for an rsync, with the directory of its place as it was made.
    pub(super) fn empty(held: &'a Held<'a>, partial_dir: String, place: PathBuf, made: FileStat) -> Self {
        Self { held, path: held.repository.inprogress(), partial_dir: Some(partial_dir), made: Some((place, made)) }
    }

    /// Whether rsync was sent only what is in the place and not its directory, as with `rsync -a
    /// /data/file host:`. It would have set its time otherwise, to one before this push, or ahead
    /// by a client's clock.
    pub fn is_untouched(&self) -> bool {
        let Some((place, made)) = &self.made else { return false };
        let same = |found: FileStat| {
            let attributes = |stat: &FileStat| (stat.st_mode, stat.st_uid, stat.st_gid);
            let since = (found.st_mtime, found.st_mtime_nsec) >= (made.st_mtime, made.st_mtime_nsec);
            attributes(&found) == attributes(made) && since && found.st_mtime <= clock::kernel().timestamp()
        };
        lstat(place).is_ok_and(same)
    }

    pub(super) fn held(&self) -> &'a Held<'a> {
        self.held
    }

    /// The directory that rsync is to put unfinished files into.
    pub fn partial_dir(&self) -> &str {
        self.partial_dir.as_deref().unwrap_or_default()
    }

    /// Removes what rsync left unfinished, before the rest is published without it.
    pub fn drop_unfinished(&self) -> Result<(), Reason> {
        let Some(name) = &self.partial_dir else { return Ok(()) };
        unfinished::take_out(&self.path, name, false).or_trouble("clearing", &self.path)
    }

    /// Counts what is in it, against these snapshots, before its `links` are made. `lists`: whether
    /// access lists came with it. A `look` sees what has arrived.
    pub fn survey(
        &self,
        snapshots: &[PathBuf],
        links: Option<&Deferred<'_>>,
        lists: bool,
        look: Option<&mut Look>,
    ) -> Result<Survey, Reason> {
        let nothing = Taken::default();
        let taken = links.map_or(&nothing, Deferred::taken);
        let kept = self.held.repository.ids().map(|ids| Kept { ids, lists });
        survey(&self.path, snapshots, taken, kept, look).or_trouble("counting", &self.path)
    }

    /// What the newest snapshot has and this has not: at the top, or else at `place`. For a tree
    /// whose links are made. Nothing depends on it.
    pub fn lost(&self, newest: &SnapshotName, place: &SubPath, files: u64) -> Result<Option<Lost>, Reason> {
        let repository = self.held.repository;
        let absent = absent(&newest.below(&repository.snapshots()), &self.path, place).or_trouble("comparing", &self.path)?;
        Ok(lost::judge(absent, repository.files_of(newest), files))
    }

    /// Works on it while the disk takes what has arrived, which leaves less to wait for when it is
    /// published.
    ///
    /// # Errors
    /// Also when the disk does not take it. The kernel says so once, so nothing may come of the
    /// tree.
    pub fn while_syncing<T>(&self, work: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
        let held = self.held;
        let (synced, done) = thread::scope(|scope| {
            let syncing = thread::Builder::new().spawn_scoped(scope, || held.sync());
            let done = work();
            // Where there is no thread to be had nothing is gained, and nothing lost.
            let failed = || Err(io::Error::other("a thread has failed"));
            (syncing.map_or(Ok(()), |syncing| syncing.join().unwrap_or_else(|_| failed())), done)
        });
        synced.or_trouble("syncing", &self.path).and(done)
    }

    /// Whether a file was built on a part that earlier pushes into `place` had received. For a tree
    /// whose rsync is gone and that is untouched. What cannot be read was not.
    pub fn builds_on_parts(&self, place: &SubPath) -> bool {
        let Ok(own) = CString::new(self.partial_dir()) else { return false };
        numbered(&self.held.repository.interrupted()).iter().any(|tries| {
            let below = |root: &Path| tree::open_below(root, place.components());
            let (Ok(stage), Ok(tries)) = (below(&self.path), below(tries)) else { return false };
            unfinished::is_built_on(stage, &own, tries.as_fd()).unwrap_or_default()
        })
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file arrived.
    pub fn has_file(&self) -> Result<bool, Reason> {
        contents::has_file_anywhere(&self.path).or_trouble("reading", &self.path)
    }

    /// Keeps it for the next try, with what only earlier ones had received. Returns whether
    /// anything was in it.
    pub fn set_aside(self) -> Result<bool, Reason> {
        self.held.take_out_unfinished(self.partial_dir.as_deref())?;
        self.held.clear_placeholders().or_trouble("clearing", &self.path)?;
        let kept = self.held.set_aside(&self.path)?;
        // It is kept, whatever becomes of that: the next session goes on with it.
        let _ = self.held.unite();
        Ok(kept)
    }

    /// Removes it.
    pub fn discard(self) -> Result<(), Reason> {
        let removed = remove(&self.path).and_then(|()| self.held.clear_placeholders());
        removed.map(drop).or_trouble("removing", &self.path)
    }

    /// Makes it a part of the open transaction. It replaces what earlier ones have at its place, if
    /// it is to. Directories that it was sent nothing of are what they are in these.
    pub fn join(self, pushed: &Pushed) -> Result<(), Reason> {
        for earlier in self.held.earlier_parts() {
            self.liken_the_way(&earlier, std::slice::from_ref(pushed)).or_trouble("keeping", &self.path)?;
        }
        self.held.join_parts(&self.path, Some(&pushed.place).filter(|_| pushed.replaces))
    }

    /// Makes it the newest snapshot. `says` is kept ([`Repository::unrecorded_outcome`]) until the
    /// connection `id` has been recorded ([`Repository::forget_unrecorded`]).
    ///
    /// # Errors
    /// When the disk does not let it. Then it is not published, and the next session sets it aside.
    pub fn publish(self, name: SnapshotName, id: &str, says: &[u8]) -> Result<Published, Reason> {
        let target = name.below(&self.held.repository.snapshots());
        self.put_in_place(&name, &target, id, says).or_trouble("publishing", &target)?;
        // It is a snapshot now, whatever happens next.
        let finished = self.finish(&name, &target);
        let trouble = finished.or_trouble("after publishing", &target).err();
        Ok(Published { name, path: target, trouble })
    }

    /// Up to the one step that counts.
    fn put_in_place(&self, name: &SnapshotName, target: &Path, id: &str, says: &[u8]) -> io::Result<()> {
        let repository = self.held.repository;
        let snapshots = repository.snapshots();

        // The whole tree is on the disk before its name says that it is a backup. One syncfs does
        // that for a million files, where an fsync of each would take hours.
        self.held.sync()?;

        // Names may be several directories deep. Empty ones that a crash leaves are no snapshots.
        let parent = target.parent().unwrap_or(&snapshots);
        let mut above = snapshots.clone();
        for part in parent.strip_prefix(&snapshots).unwrap_or(Path::new("")).components() {
            make_directory(&above.join(part), 0o755)?;
            sync_directory(&above)?;
            above.push(part);
        }

        // What needs room on the disk is done before there is no way back.
        if !repository.is_passed_over(name.as_str()) {
            repository.prepare_current(&Path::new("snapshots").join(name.as_str()))?;
        }

        // A kill before the ledger would otherwise leave a snapshot that no record mentions.
        repository.note_unrecorded(id, name, says)?;

        // The one step that counts. It cannot replace anything: a name that exists is an error.
        move_tree(&self.path, target)
    }

    /// What follows that step. A crash leaves `current` one behind; the next session heals it.
    fn finish(&self, name: &SnapshotName, target: &Path) -> io::Result<()> {
        let repository = self.held.repository;

        // The rename touched two directories; both reach the disk before `current` speaks of it.
        sync_directory(target.parent().unwrap_or(target))?;
        sync_directory(repository.root())?;

        // Not to one that is held, where the policy says so.
        if repository.is_passed_over(name.as_str()) {
            return Ok(());
        }
        repository.replace_current()?;
        sync_directory(repository.root())
    }
}

impl Repository {
    /// Notes that the connection `id` is about to publish.
    fn note_unrecorded(&self, id: &str, name: &SnapshotName, says: &[u8]) -> io::Result<()> {
        make_directory(&self.unrecorded(), 0o700)?;
        let name = name.as_str().as_bytes();
        // The name counts most: a note that is too long is read as none.
        let fits = u64::try_from(name.len() + 1 + says.len()).is_ok_and(|length| length <= MAX_END);
        fs::write(self.unrecorded().join(id), [name, b"\n", if fits { says } else { b"" }].concat())
    }

    /// The outcome of the connection `id` that has published, while it is not recorded.
    #[must_use]
    pub fn unrecorded_outcome(&self, id: &str) -> Option<Vec<u8>> {
        self.published(&self.unrecorded().join(id)).map(|(_, says)| says)
    }

    /// The name in a note and the outcome, where there is such a snapshot.
    fn published(&self, note: &Path) -> Option<(String, Vec<u8>)> {
        let mut name = read_note(note, MAX_END).ok()?;
        let says = name.iter().position(|byte| *byte == b'\n').map(|end| name.split_off(end)).unwrap_or_default();
        let name = String::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        self.snapshots().join(&name).is_dir().then_some((name, says))
    }

    /// Strikes the note, once the connection is in the ledger and in the spool.
    pub fn forget_unrecorded(&self, id: &str) {
        // If it stays, the next session reports the snapshot once more.
        let _ = fs::remove_file(self.unrecorded().join(id));
    }
}

impl Held<'_> {
    /// Reports snapshots that were not recorded, and removes the notes of sessions that are gone.
    pub(super) fn report_unrecorded(&self) -> Vec<Note> {
        let entries = fs::read_dir(self.repository.unrecorded()).into_iter().flatten().flatten();
        let left = entries.map(|entry| entry.path()).filter(|path| !is_at_work(path)).filter_map(|path| {
            let published = self.repository.published(&path);
            let _ = fs::remove_file(&path);
            published.map(|(name, _)| {
                let what = format!("the session that published `{name}` was ended before it had told of it");
                // Whoever has to look at it learns of it nowhere else.
                let held = "and it is held, because it may be damage: look at it, then `snapgate release` or `snapgate discard`";
                if self.repository.is_held(&name) { Note::alert(format!("{what}, {held}")) } else { Note::passing(what) }
            })
        });
        left.collect()
    }
}

/// Whether the session lives on: it frees the repository before it writes the ledger. Its id ends
/// in its process.
fn is_at_work(note: &Path) -> bool {
    let process = note.file_name().and_then(|id| id.to_str()?.rsplit('-').next()?.parse::<u32>().ok());
    process.is_some_and(|process| Path::new("/proc").join(process.to_string()).exists())
}
