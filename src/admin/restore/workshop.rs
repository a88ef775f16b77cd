//! Where a copy grows until it is complete: a directory of whoever restores, beside the one that is
//! to be. So no owner of a client's choice reaches it before that, and an interrupted copy goes on
//! there.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Failure, failed, misused};
use crate::act::inspect::{self, Kind, Look, running_uid};
use crate::act::store;
use crate::decide::history::receive::Manner;
use crate::decide::rsync::argv::{DEFENCES, Version};
use crate::terms::exit;
use crate::terms::limits::MAX_NOTE;
use crate::terms::text::printable_path;

/// What is copied, in words of this program: a copy of something else does not go on from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) client: String,
    pub(super) snapshot: String,
    pub(super) path: String,
    /// Whose files come. What another wrote has other owners.
    pub(super) uid: u32,
    /// In which boot it was written. After a crash a file may not have what was written to it.
    pub(super) boot: String,
}

/// Where the copy is to be.
#[derive(Debug)]
pub(super) struct Target {
    /// Absolute.
    pub(super) to: PathBuf,
    above: PathBuf,
    /// Whether files are there that it may write over.
    pub(super) over: bool,
}

impl Target {
    /// Looks at it. Nothing is made.
    pub(super) fn find(to: &Path, force: bool) -> Result<Self, Failure> {
        let shown = printable_path(to);
        let give = "give an empty directory, or one that is to be made";
        let name = to.file_name().ok_or_else(|| misused(format!("`{shown}` has no name\ngive a directory that is to be made")))?;
        let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let above = fs::canonicalize(above)
            .map_err(|error| misused(format!("{}\nmake the directory above it first", failed(to, "making", &error))))?;
        let to = above.join(name);
        // A copy could not be renamed over a mount, nor come into it in one step.
        if inspect::is_mount(&to) {
            return Err(misused(format!("`{shown}` is where something is mounted\ngive a directory in it")));
        }
        let over = match fs::read_dir(&to).map(|mut entries| entries.next().is_none()) {
            Ok(true) => false,
            Ok(false) if force => true,
            Ok(false) => return Err(misused(format!("`{shown}` is not empty\n{give}; `--force` writes over what is there"))),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(misused(format!("{}\n{give}", failed(&to, "opening", &error)))),
        };
        // Whoever could rename one of them would choose what these paths lead to.
        for place in above.ancestors().chain(over.then_some(to.as_path())) {
            if !inspect::look(place).is_some_and(is_ours_alone) {
                let place = printable_path(place);
                let who = if running_uid() == 0 { "root" } else { "you" };
                return Err(misused(format!("others can change what is in `{place}`\ngive a place where {who} alone writes")));
            }
        }
        if inspect::is_link(&to) {
            return Err(misused(format!("`{shown}` is a symlink\ngive the directory that it leads to")));
        }
        Ok(Self { to, above, over })
    }

    /// Whether an rsync of this version may write there. Before 3.5.0 it follows a symlink that stands
    /// in a directory's place by now, wherever that leads, and a copy has owners who could do that.
    pub(super) fn guarded(&self, version: Version) -> Result<(), Failure> {
        let is_shut = || self.above.ancestors().any(|place| inspect::look(place).is_some_and(|look| look.mode & 0o011 == 0));
        if !self.over || running_uid() != 0 || version >= DEFENCES || is_shut() {
            return Ok(());
        }
        let what =
            format!("the rsync here ({version}) could be led out of `{}` by whoever owns a directory in it", printable_path(&self.to));
        Err(misused(format!("{what}\nrestore to an empty directory and copy from there, or install rsync {DEFENCES}")))
    }

    /// Whether it is in one of these directories.
    pub(super) fn is_in<'a>(&self, others: impl IntoIterator<Item = &'a Path>) -> bool {
        let real = inspect::real(&self.to);
        others.into_iter().any(|other| real.starts_with(inspect::real(other)))
    }

    fn beside(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".snapgate-restore-");
        name.push(self.to.file_name().unwrap_or_default());
        self.above.join(name)
    }
}

/// Others do not write there, or only what is theirs (sticky, chmod(2)).
fn is_ours_alone(look: Look) -> bool {
    let is_ours = [0, running_uid()].contains(&look.owner);
    look.kind == Kind::Directory && is_ours && (look.mode & 0o022 == 0 || look.mode & 0o1000 != 0)
}

/// The directory beside it, which no other restore has in hand.
#[derive(Debug)]
pub(super) struct Workshop<'a> {
    target: &'a Target,
    path: PathBuf,
    lock: store::Lock,
    /// Whether an interrupted copy is in it.
    pub(super) resumed: bool,
    doubted: bool,
}

impl<'a> Workshop<'a> {
    /// Makes it, or goes on with the one of the same copy.
    pub(super) fn open(target: &'a Target, note: &Note) -> Result<Self, Failure> {
        let path = target.beside();
        let unusable = |error: &io::Error| misused(failed(&path, "making", error));
        let lock = store::private::take_private(&path).map_err(|error| match error {
            TryLockError::WouldBlock => {
                let what = format!("another restore into `{}` is at work", printable_path(&target.to));
                (format!("{what}\nwait for its end, or end it"), exit::BUSY)
            }
            TryLockError::Error(error) => unusable(&error),
        })?;
        let mut this = Self { target, path, lock, resumed: false, doubted: false };
        let before = this.note();
        let same = |before: &Note| Note { boot: note.boot.clone(), ..before.clone() } == *note;
        this.resumed = !target.over && before.as_ref().is_some_and(same) && this.has_something();
        this.doubted = this.resumed && (note.boot.is_empty() || before.is_some_and(|before| before.boot != note.boot));
        this.prepare(note).map_err(|error| misused(failed(&this.path, "making", &error)))?;
        Ok(this)
    }

    fn prepare(&self, note: &Note) -> io::Result<()> {
        store::remove(&self.unfinished())?;
        if !self.resumed {
            store::remove(&self.tree())?;
        }
        fs::write(self.path.join("note"), serde_json::to_vec(note)?)?;
        for directory in [self.unfinished(), self.tree()].into_iter().filter(|_| !self.target.over) {
            let made = DirBuilder::new().mode(0o700).create(&directory);
            if made.as_ref().is_err_and(|error| error.kind() != ErrorKind::AlreadyExists) {
                made?;
            }
        }
        Ok(())
    }

    fn note(&self) -> Option<Note> {
        let path = self.path.join("note");
        let is_short = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= MAX_NOTE);
        if is_short { serde_json::from_slice(&fs::read(path).ok()?).ok() } else { None }
    }

    fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    fn unfinished(&self) -> PathBuf {
        self.path.join("unfinished")
    }

    fn has_something(&self) -> bool {
        fs::read_dir(self.tree()).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Where rsync writes.
    pub(super) fn directory(&self) -> PathBuf {
        if self.target.over { self.target.to.clone() } else { self.tree() }
    }

    /// How.
    pub(super) fn manner(&self) -> Manner {
        if self.target.over {
            return Manner::Over;
        }
        Manner::Apart { unfinished: self.unfinished(), doubted: self.doubted }
    }

    /// For the process that writes.
    pub(super) fn lock(&self) -> io::Result<File> {
        self.lock.carried()
    }

    /// Gives a complete copy its name, over an empty directory or nothing. It is on the disk then.
    pub(super) fn finish(self) -> io::Result<()> {
        nix::unistd::syncfs(File::open(self.directory())?)?;
        if !self.target.over {
            fs::rename(self.tree(), &self.target.to)?;
        }
        store::remove(&self.path)
    }

    /// Leaves what has come for the next try. Says where it is, if there is anything.
    pub(super) fn leave(self) -> Option<PathBuf> {
        if self.has_something() {
            return Some(self.directory());
        }
        let _ = store::remove(&self.path);
        self.target.over.then(|| self.directory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn note(snapshot: &str, boot: &str) -> Note {
        Note { client: "web1".into(), snapshot: snapshot.into(), path: ".".into(), uid: 0, boot: boot.into() }
    }

    #[test]
    fn the_same_copy_goes_on_and_another_begins_anew() {
        let root = tempfile::tempdir().unwrap();
        let target = Target::find(&root.path().join("to"), false).unwrap();
        let work = Workshop::open(&target, &note("a", "1")).unwrap();
        assert!(!work.resumed && Workshop::open(&target, &note("a", "1")).is_err_and(|(_, code)| code == exit::BUSY));
        fs::write(work.directory().join("half"), "x").unwrap();
        assert!(work.leave().is_some());
        for (other, resumed, doubted) in [(note("a", "1"), true, false), (note("a", "2"), true, true), (note("b", "2"), false, false)] {
            let work = Workshop::open(&target, &other).unwrap();
            assert_eq!((work.resumed, work.doubted, work.directory().join("half").exists()), (resumed, doubted, resumed));
            if resumed {
                work.leave();
            } else {
                fs::write(work.directory().join("whole"), "y").unwrap();
                work.finish().unwrap();
            }
        }
        let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!((names.len(), fs::read_to_string(root.path().join("to/whole")).unwrap().as_str()), (1, "y"));
    }

    #[test]
    fn what_is_there_is_not_written_over_by_an_rsync_that_its_owners_could_lead_out() {
        let root = tempfile::tempdir().unwrap();
        let to = root.path().join("to");
        fs::create_dir_all(to.join("there")).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let refused = |version| Target::find(&to, true).unwrap().guarded(version).is_err();
        assert!(!refused(Version(3, 2, 7)), "nobody else comes there");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!((refused(Version(3, 2, 7)), refused(DEFENCES)), (running_uid() == 0, false));
        assert!(Target::find(&root.path().join("new"), true).unwrap().guarded(Version(3, 2, 7)).is_ok());
    }

    #[test]
    fn a_place_that_others_can_move_is_none_however_far_above_they_can() {
        let root = tempfile::tempdir().unwrap();
        let (others, above) = (root.path().join("others"), root.path().join("others/mine"));
        fs::create_dir_all(&above).unwrap();
        for (bits, fits) in [(0o755, true), (0o777, false), (0o1777, true), (0o775, false)] {
            fs::set_permissions(&others, fs::Permissions::from_mode(bits)).unwrap();
            assert_eq!(Target::find(&above.join("to"), false).is_ok(), fits, "{bits:o}");
        }
    }

    #[test]
    fn what_holds_nothing_stays_no_longer_and_what_somebody_else_has_made_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let target = Target::find(&root.path().join("to"), false).unwrap();
        assert_eq!(Workshop::open(&target, &note("a", "1")).unwrap().leave(), None);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        fs::create_dir(target.beside()).unwrap();
        fs::set_permissions(target.beside(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Workshop::open(&target, &note("a", "1")).is_err_and(|(what, _)| what.contains("somebody else has made it")));
        fs::remove_dir(target.beside()).unwrap();
        std::os::unix::fs::symlink("/etc", target.beside()).unwrap();
        assert!(Workshop::open(&target, &note("a", "1")).is_err());
    }
}
