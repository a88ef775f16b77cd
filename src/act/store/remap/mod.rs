//! A repository's files get other owners: root's `snapgate remap`, for one that has moved to
//! another machine or account, or that is to keep owners from now on.
//!
//! Only owners change, and the attributes that name them. Before anything is changed the repository
//! is root's and closed to everybody else, nobody has it open, and a note says what becomes of
//! what. Neither is taken back before all is on the disk: whenever it is killed, pushes are refused
//! until it is run again, and that run continues.

mod inode;
mod notes;
mod pass;
mod private;
mod walk;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchown};

use self::notes::{Notes, ROOT};
use self::pass::Pass;
use self::private::{Place, Private};
use self::walk::{STATE_NAME, Walk};
use super::owners::{NOTE, private};
use super::{Lock, OrTrouble as _, attributes, mounts, tree, trouble, unusable};
use crate::decide::owners::remap::attributes::{ACCESS_LIST, DEFAULT_LIST};
use crate::decide::owners::remap::{Holder, Meaning, Remap};
use crate::terms::text::printable;
use crate::terms::{NamePattern, Reason, STATE};

/// A repository that this process alone may give other owners.
#[derive(Debug)]
pub struct Ownership {
    path: PathBuf,
    /// What it is brought to the disk by: it was open before anything was changed.
    root: OwnedFd,
    found: FileStat,
    place: Place,
    notes: Notes,
    private: Private,
    holder: Holder,
    meaning: Meaning,
    begun: Option<Remap>,
    /// Whether it was closed by this process, and nothing has been changed since.
    is_closed: bool,
    locks: Vec<Lock>,
}

/// What was found or done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Given {
    /// Files, directories and whatever else, each once whatever names it has.
    pub files: u64,
    /// How many of them have access lists that name somebody.
    pub lists: u64,
    /// How many have capabilities.
    pub capabilities: u64,
    /// How many have set-user-ID or set-group-ID bits that had to be set again.
    pub modes: u64,
    /// What cannot be changed and why, printable; the first ones.
    pub problems: Vec<String>,
    /// How many there are in all, by name.
    pub in_all: u64,
    /// What is in the repository's own directory, not the gate's, and goes along; printable, the
    /// first ones.
    pub others: Vec<String>,
}

impl Ownership {
    /// Takes the repository at `path`. `None` where there is none.
    ///
    /// # Errors
    /// When a push runs, or what the owners in it mean is unknown.
    pub fn take(path: &Path) -> Result<Option<Self>, Reason> {
        let Some(beside) = private(path) else { return Ok(None) };
        let parent = parent(path)?;
        let name = tree::c_string(path.file_name().unwrap_or(OsStr::new("."))).or_trouble("looking at", path)?;
        let root = tree::open_at(&parent, name.as_c_str());
        let private = Private::find(parent, beside)?;
        let root = match root {
            Err(Errno::ENOENT) if private.is_there() => {
                let left = printable(private.path().as_os_str().as_encoded_bytes());
                let detail = format!("`{left}` is left of a run that has not ended, and the repository is gone");
                return Err(unusable(detail, "put the repository back; if it is gone for good, remove that directory, too"));
            }
            Err(Errno::ENOENT) => return Ok(None),
            root => root.or_trouble("looking at", path)?,
        };
        if let Some(point) = mounts::ways_around(root.as_fd()).or_trouble("looking at", path)? {
            let point = printable(point.as_os_str().as_encoded_bytes());
            return Err(unusable(format!("a part of the repository is mounted at `{point}`, too"), "unmount it there until this is done"));
        }
        let state = match tree::open_at(root.as_fd(), STATE_NAME) {
            Err(Errno::ENOENT) => return Ok(None),
            state => state.or_trouble("looking at", path)?,
        };
        let notes = Notes::new(state, path.join(STATE));
        let locks = notes.locked()?;
        let place = Place::of(root.as_fd()).or_trouble("looking at", path)?;
        let begun = private.begun(&place)?;
        let found = fstat(&root).or_trouble("looking at", path)?;
        let (holder, meaning) = match &begun {
            Some(remap) => (remap.from(), remap.meant().clone()),
            None => {
                let holder = notes.holder()?;
                // Root's if a run was killed before it changed anything, or after everything.
                if holder.user != found.st_uid && !(found.st_uid == 0 && private.is_there()) {
                    let user = holder.user;
                    let detail = format!("the repository belongs to uid {}, and `{STATE}` in it to uid {user}", found.st_uid);
                    return Err(unusable(detail, "give the directory to the account that what is in it belongs to: chown --reference"));
                }
                (holder, meaning(&notes, holder)?)
            }
        };
        let path = path.to_path_buf();
        Ok(Some(Self { path, root, found, place, notes, private, holder, meaning, begun, is_closed: false, locks }))
    }

    /// What the ids in it have meant until now.
    pub fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    /// The account that has it.
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// What was begun and has not ended.
    pub fn begun(&self) -> Option<&Remap> {
        self.begun.as_ref()
    }

    /// Whether an earlier run was killed before it changed anything, or after everything.
    pub fn is_left_closed(&self) -> bool {
        self.begun.is_none() && !self.is_closed && self.private.is_there()
    }

    /// Looks at what would be done. `names` tells snapshots from the directories above them.
    pub fn look(&mut self, remap: &Remap, names: &NamePattern) -> Given {
        let pass = if self.begun.is_some() { Pass::LookAgain } else { Pass::Look };
        self.walk(remap, names, pass)
    }

    fn walk(&mut self, remap: &Remap, names: &NamePattern, pass: Pass) -> Given {
        Walk::new(remap, names, pass, &mut self.private).through(self.root.as_fd())
    }

    /// Gives it back to its account if a run was killed before it changed anything, or after
    /// everything.
    pub fn recover(&mut self) -> Result<(), Reason> {
        if !self.is_left_closed() {
            return Ok(());
        }
        self.give(self.holder, 0o700).and_then(|()| self.private.remove()).map_err(|error| self.writing(&error))?;
        self.found = fstat(&self.root).map_err(|error| self.writing(&error.into()))?;
        Ok(())
    }

    /// Makes it root's and closes it to everybody else. Whoever has something in it open still has.
    pub fn close(&mut self) -> Result<(), Reason> {
        self.private.make()?;
        self.is_closed = self.begun.is_none();
        self.give(ROOT, 0o700).map_err(|error| self.writing(&error))?;
        // Whoever comes from here on waits, also where nobody has ever locked it.
        if self.locks.len() < notes::LOCKS.len() {
            self.locks.clear();
            self.notes.make_locks(self.holder)?;
            self.locks = self.notes.locked()?;
        }
        Ok(())
    }

    /// Looks once more, when nobody can change anything any more, and keeps what has to be given
    /// back.
    pub fn prepare(&mut self, remap: &Remap, names: &NamePattern) -> Result<Given, Reason> {
        if self.begun.is_some() {
            return Ok(self.walk(remap, names, Pass::LookAgain));
        }
        self.is_so_still()?;
        self.private.forget_kept().map_err(|error| self.writing(&error))?;
        Ok(self.walk(remap, names, Pass::Keep))
    }

    /// What was read before it was closed, the account may have changed until then.
    fn is_so_still(&self) -> Result<(), Reason> {
        let path = self.path.join(STATE);
        let state = tree::open_at(self.root.as_fd(), STATE_NAME).or_trouble("looking at", &path)?;
        let notes = Notes::new(state, path);
        if notes.is(&self.notes)? && notes.holder()? == self.holder && meaning(&notes, self.holder)? == self.meaning {
            return Ok(());
        }
        Err(unusable("the repository was changed while it was being closed".to_owned(), "run it again"))
    }

    /// Does it. What has problems stays as it is, and so does the note: no push is let in, and a
    /// further run continues.
    pub fn change(&mut self, remap: &Remap, names: &NamePattern) -> Result<Given, Reason> {
        let syncing = |this: &Self| rustix::fs::syncfs(&this.root).or_trouble("syncing", &this.path);
        if self.begun.is_none() {
            syncing(self)?;
            let noted = self.private.begin(remap, &self.place).map_err(|error| self.writing(&error));
            // It may be there all the same. Where it is not, nothing has been begun.
            if noted.is_ok() || !matches!(self.private.begun(&self.place), Ok(None)) {
                self.begun = Some(remap.clone());
                self.is_closed = false;
            }
            noted?;
        }
        let mut given = self.walk(remap, names, Pass::Change);
        syncing(self)?;
        if given.in_all == 0 {
            let Given { problems, in_all, .. } = self.walk(remap, names, Pass::Verify);
            (given.problems, given.in_all) = (problems, in_all);
        }
        if given.in_all == 0 {
            self.finish(remap).map_err(|error| self.writing(&error))?;
        }
        Ok(given)
    }

    fn finish(&mut self, remap: &Remap) -> io::Result<()> {
        self.notes.write(NOTE, remap.mapping(), remap.to())?;
        // They are the old account's, and count for nothing at mode 0700.
        for list in [ACCESS_LIST, DEFAULT_LIST] {
            attributes::remove_at(&format!("/proc/self/fd/{}/.", self.root.as_raw_fd()), list)?;
        }
        self.notes.close()?;
        rustix::fs::syncfs(&self.root)?;
        self.private.end()?;
        // From here on a further run finds everything done, and the account's name on it.
        self.give(remap.to(), 0o700)?;
        self.private.remove()
    }

    /// Gives it up, where nothing has been changed: it is its account's again, and as it was.
    pub fn give_up(&mut self) -> Result<(), Reason> {
        if !std::mem::take(&mut self.is_closed) {
            return Ok(());
        }
        let owner = Holder { user: self.found.st_uid, group: self.found.st_gid };
        let given = self.give(owner, self.found.st_mode & 0o7777).and_then(|()| self.private.remove());
        given.map_err(|error| self.writing(&error))
    }

    fn give(&self, to: Holder, mode: u32) -> io::Result<()> {
        fchmod(&self.root, Mode::S_IRWXU)?;
        fchown(&self.root, Some(Uid::from_raw(to.user)), Some(Gid::from_raw(to.group)))?;
        fchmod(&self.root, Mode::from_bits_truncate(mode))?;
        Ok(rustix::fs::fsync(&self.root)?)
    }

    fn writing(&self, error: &io::Error) -> Reason {
        trouble("writing", if self.private.is_there() { self.private.path() } else { &self.path }, error)
    }
}

impl Drop for Ownership {
    /// If this fails the next run does it (`recover`).
    fn drop(&mut self) {
        let _ = self.give_up();
    }
}

fn meaning(notes: &Notes, holder: Holder) -> Result<Meaning, Reason> {
    Ok(match notes.mapping()? {
        Some(mapping) => Meaning::Mapped(mapping),
        None if holder.user == 0 => Meaning::Real,
        None => Meaning::Account,
    })
}

/// The directory that a repository is in. Only a link that root alone can have made is followed:
/// with anybody else's root would give away what it leads to.
fn parent(path: &Path) -> Result<OwnedFd, Reason> {
    let above = path.parent().unwrap_or(path);
    let open = |path: &Path| {
        let how = OpenHow::new().flags(OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC);
        openat2(AT_FDCWD, path, how.resolve(ResolveFlag::RESOLVE_NO_SYMLINKS))
    };
    match open(above) {
        Err(Errno::ELOOP) => {}
        opened => return opened.or_trouble("looking at", above),
    }
    let real = fs::canonicalize(above).or_trouble("looking at", above)?;
    if above.ancestors().chain(real.ancestors()).all(is_roots_alone) {
        return open(&real).or_trouble("looking at", above);
    }
    let shown = printable(above.as_os_str().as_encoded_bytes());
    let detail = format!("there is a symbolic link on the way to `{shown}`, and somebody else than root can change what is there");
    Err(unusable(detail, "write the path without links in `path:`, or in `store:`"))
}

fn is_roots_alone(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(directory)
        .is_ok_and(|found| found.is_dir() && found.uid() == 0 && (found.mode() & 0o022 == 0 || found.mode() & 0o1000 != 0))
}
