//! Places beneath one directory, for a mode in which clients name them. A place is looked up once
//! and handed on by its descriptor, so nothing that is put in its way later matters.
//!
//! Nothing outside the directory is ever opened, made or listed: every open is by
//! `openat2(RESOLVE_BENEATH)` along a path in which the kernel may find no link. These are single
//! paths: no tree is walked here.

mod glob;
mod walk;

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstatat, mkdirat};

pub use self::glob::Expanded;
use self::walk::Leads;
use crate::decide::rsync::transfer::{Aim, Name, Place, Spot, Tail, Transfer};
use crate::terms::text::printable;
use crate::terms::{Code, Reason};

/// The file that gets a line for each connection, if it is there.
const LOG_FILE: &str = "rrsync.log";

/// The directory, open, and what is held beneath it.
#[derive(Debug)]
pub struct Root {
    /// It, real and absolute.
    pub path: PathBuf,
    /// As the administrator wrote it, if that begins at `/`: links of the account's may name it so.
    written: Option<PathBuf>,
    handle: File,
    held: Vec<(PathBuf, OwnedFd)>,
    /// Where rsync sees it, and needs no descriptor; `None`: it is handed one.
    seen: Option<Seen>,
}

/// Where rsync sees the directory.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The directory above its names, which `--relative` leaves out.
    pub top: PathBuf,
    /// Its names from there.
    pub word: Vec<u8>,
}

/// What has been found for a command so far, to be bounded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    spots: usize,
    bytes: usize,
}

struct Way {
    /// The deepest directory on it, from the root, without links.
    directory: PathBuf,
    rest: Vec<Vec<u8>>,
}

impl Root {
    /// Opens the directory. From a relative path, beneath the directory that the process stands in.
    pub fn open(dir: &OsStr) -> Result<Self, Reason> {
        let broken = |error: io::Error| {
            Reason::of_the_server(Code::Store, format!("`{}`: {error}", printable(dir.as_bytes())))
                .remedy("make the directory that the key's command names, or name another")
        };
        let path = fs::canonicalize(dir).map_err(broken)?;
        let handle = File::open(&path).map_err(broken)?;
        if !handle.metadata().map_err(broken)?.is_dir() {
            return Err(broken(ErrorKind::NotADirectory.into()));
        }
        let written = Some(PathBuf::from(dir)).filter(|dir| dir.is_absolute());
        Ok(Self { path, written, handle, held: Vec::new(), seen: None })
    }

    /// Has rsync see it at another place, where it finds everything by its name.
    #[must_use]
    pub fn seen(self, seen: Seen) -> Self {
        Self { seen: Some(seen), ..self }
    }

    /// The names by which links may lead back to it.
    fn places(&self) -> impl Iterator<Item = &Path> {
        [Some(self.path.as_path()), self.written.as_deref()].into_iter().flatten()
    }

    /// Locks the directory as rrsync does; with `shared`, only against those who do not share.
    ///
    /// # Errors
    /// With [`Code::Busy`] when another holds it.
    pub fn lock(&self, shared: bool) -> Result<(), Reason> {
        let locked = if shared { self.handle.try_lock_shared() } else { self.handle.try_lock() };
        match locked {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(Reason::new(Code::Busy, "another transfer is running")
                .hint("try again when it has ended")
                .remedy("`-no-lock` lets transfers run at the same time")),
            Err(TryLockError::Error(error)) => Err(self.trouble("locking", Path::new("."), &error)),
        }
    }

    /// The directory with its lock, for rsync to carry: it is free when the last holder is gone.
    pub fn carried(&self) -> Result<File, Reason> {
        self.handle.try_clone().map_err(|error| self.trouble("opening", Path::new("."), &error))
    }

    /// The logs that somebody made: regular files of that name, no links. rrsync 3.5.0 looks for
    /// one where it is started, the account's home; older ones looked in the directory.
    pub fn logs(&self) -> Vec<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let here = nix::fcntl::open(LOG_FILE, flags, Mode::empty()).map_err(io::Error::from);
        let beneath = self.open_at(Path::new(LOG_FILE), flags, Mode::empty());
        let mut logs: Vec<File> = Vec::new();
        for file in [here, beneath].into_iter().flatten().map(File::from) {
            let identity = |file: &File| file.metadata().ok().filter(Metadata::is_file).map(|found| (found.dev(), found.ino()));
            if identity(&file).is_some() && logs.iter().all(|log| identity(log) != identity(&file)) {
                logs.push(file);
            }
        }
        logs
    }

    /// Looks up the values of a transfer's options, one for each.
    ///
    /// # Errors
    /// When one leads out, or is not what it has to be.
    pub fn options(&mut self, transfer: &Transfer) -> Result<Vec<Option<Spot>>, Reason> {
        transfer.options().map(|(aim, places)| self.option(aim, places, transfer.dry)).collect()
    }

    fn option(&mut self, aim: Aim, places: &[Place], dry: bool) -> Result<Option<Spot>, Reason> {
        let mut ways = Vec::new();
        for place in places {
            ways.push(self.way(&literal(place), false)?);
        }
        let there = ways.iter().position(|way| way.rest.is_empty() || matches!(aim, Aim::List | Aim::Log) && way.rest.len() == 1);
        let Some(way) = ways.into_iter().nth(there.unwrap_or_default()) else { return Ok(None) };
        let shown = || printable(&[way.directory.as_os_str().as_bytes(), b"/", way.rest.join(&b'/').as_slice()].concat());
        match aim {
            Aim::List | Aim::Log => self.file(aim, &way).map(Some),
            _ if way.rest.is_empty() => Ok(Some(Spot::held(self.hold(&way.directory)?))),
            Aim::Basis => Ok(None),
            Aim::Temporary => Err(Reason::new(Code::Path, "the directory of `--temp-dir` is not there")
                .only_client("make it first, or leave --temp-dir out")
                .detail(format!("`--temp-dir`: `{}` is not there", shown()))),
            Aim::Backup | Aim::Partial if dry => Ok(Some(Spot { rest: way.rest.join(&b'/'), ..Spot::held(self.hold(&way.directory)?) })),
            Aim::Backup => self.make(&way, 0o777).map(|made| Some(Spot::held(made))),
            Aim::Partial => self.make(&way, 0o700).map(|made| Some(Spot::held(made))),
        }
    }

    /// A file that rsync reads or writes by itself.
    fn file(&mut self, aim: Aim, way: &Way) -> Result<Spot, Reason> {
        let [name] = way.rest.as_slice() else {
            let says = "a file that an option names is not there";
            return Err(Reason::new(Code::Path, says).only_client("name a file of the server, beneath the directory that this key is for"));
        };
        let path = way.directory.join(OsStr::from_bytes(name));
        let flags = match aim {
            Aim::Log => OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT,
            Aim::List | Aim::Backup | Aim::Partial | Aim::Temporary | Aim::Basis => OFlag::O_RDONLY,
        };
        let mode = if aim == Aim::Log { Mode::from_bits_truncate(0o666) } else { Mode::empty() };
        let opened = self.open_at(&path, flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK, mode);
        let file = File::from(opened.map_err(|error| self.not_usable(&path, &error))?);
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err(self.not_usable(&path, &io::ErrorKind::InvalidInput.into()));
        }
        Ok(Spot::held(self.keep(path, OwnedFd::from(file))))
    }

    /// Looks up the destination of a push, holds it, and makes what its name says is a directory.
    ///
    /// # Errors
    /// When it leads out, or a pattern matches several.
    pub fn destination(&mut self, transfer: &Transfer) -> Result<Spot, Reason> {
        let place = transfer.paths.first().cloned().unwrap_or_default();
        let found = self.expand(&place)?;
        let [names] = found.as_slice() else {
            let says = format!("there are {} destinations where there can be one", found.len());
            return Err(Reason::new(Code::Destinations, says).only_client("put a backslash before `*`, `?` and `[`, or name one place"));
        };
        let way = self.way(names, place.tail == Tail::None)?;
        let makes = !transfer.dry
            && match way.rest.len() {
                0 => false,
                1 => transfer.wants_directory() && !self.is_there(&way),
                _ => transfer.makes_path,
            };
        if !makes {
            let rest = way.rest.join(&b'/');
            return Ok(Spot { rest, tail: place.tail, ..Spot::held(self.hold(&way.directory)?) });
        }
        // The last name of `dir/new` may become a file; rsync alone knows.
        let leaf = if transfer.wants_directory() { None } else { way.rest.last().cloned() };
        let directories = way.rest.iter().take(way.rest.len() - usize::from(leaf.is_some())).cloned().collect();
        let anchor = self.make(&Way { directory: way.directory, rest: directories }, 0o777)?;
        Ok(Spot { rest: leaf.unwrap_or_default(), ..Spot::held(anchor) })
    }

    /// Looks up everything that a pull asks for.
    ///
    /// # Errors
    /// When something leads out, or patterns stand for too much.
    pub fn sources(&mut self, transfer: &Transfer) -> Result<Vec<Spot>, Reason> {
        let (mut spots, mut found) = (Vec::new(), Found::default());
        for place in &transfer.paths {
            let expanded = self.expand(place)?;
            spots.extend(self.stands_for(place, expanded, transfer.relative, &mut found)?);
        }
        Ok(spots)
    }

    /// Looks up what one path of a pull was expanded to. `found` is what all of the command's are.
    ///
    /// # Errors
    /// As [`Root::sources`].
    pub fn stands_for(&mut self, place: &Place, expanded: Expanded, relative: bool, found: &mut Found) -> Result<Vec<Spot>, Reason> {
        let mut spots = Vec::new();
        // Each pattern is bounded by itself; a command may hold thousands of them.
        for names in expanded {
            let spot = self.source(place, names, relative)?;
            found.spots += 1;
            found.bytes += spot.rest.len() + 1;
            spots.push(spot);
            glob::fits(found.spots, found.bytes)?;
        }
        Ok(spots)
    }

    /// How many of a path's names are there; `None`: all of it is. A pattern that finds nothing is
    /// a name like another.
    pub fn missing(&self, place: &Place, expanded: &Expanded) -> Option<usize> {
        let names = literal(place);
        if !matches!(expanded.as_slice(), [itself] if *itself == names) {
            return None;
        }
        let way = self.way(&names, true).ok()?;
        let is_missing = match way.rest.len() {
            0 => false,
            1 => !self.is_there(&way),
            _ => true,
        };
        is_missing.then(|| names.len().saturating_sub(way.rest.len()))
    }

    /// Looks up a list that rsync reads by itself.
    ///
    /// # Errors
    /// When it is no file, or leads out.
    pub fn list(&mut self, place: &Place) -> Result<Spot, Reason> {
        let way = self.way(&literal(place), false)?;
        let Some(Seen { top, word }) = self.seen.clone() else { return self.file(Aim::List, &way) };
        // It is opened to see what it is; rsync has another name for it.
        self.file(Aim::List, &way)?;
        Ok(Spot::held(top.join(OsStr::from_bytes(&word)).join(&way.directory).join(OsStr::from_bytes(&way.rest.join(&b'/')))))
    }

    fn source(&mut self, place: &Place, names: Vec<Vec<u8>>, relative: bool) -> Result<Spot, Reason> {
        let tail = place.tail;
        // rsync follows a link at the end only where something stands behind it.
        let (followed, leaf) = match names.split_last() {
            Some((leaf, before)) if tail == Tail::None => (before, Some(leaf)),
            _ => (names.as_slice(), None),
        };
        let way = self.way(followed, false)?;
        if let (true, None, Some(Seen { top, word })) = (relative, place.marker, &self.seen) {
            let rest = [word.as_slice()].into_iter().chain(names.iter().map(Vec::as_slice)).collect::<Vec<_>>().join(&b'/');
            return Ok(Spot { anchor: top.clone(), marked: true, rest, tail });
        }
        if relative {
            let (before, kept) = names.split_at_checked(place.marker.unwrap_or_default()).unwrap_or((&names, &[]));
            let before = self.way(before, false).ok().filter(|before| before.rest.is_empty()).ok_or_else(|| not_there(&names))?;
            return Ok(Spot { anchor: self.hold(&before.directory)?, marked: true, rest: kept.join(&b'/'), tail });
        }
        if let (true, Some(Seen { top, word })) = (names.is_empty(), &self.seen) {
            // It has a name there, by which it is sent unless something stands behind it.
            return Ok(Spot { anchor: top.clone(), marked: false, rest: word.clone(), tail });
        }
        let tail = if names.is_empty() { Tail::Dot } else { tail };
        let rest: Vec<_> = way.rest.iter().chain(leaf).cloned().collect();
        Ok(Spot { rest: rest.join(&b'/'), tail, ..Spot::held(self.hold(&way.directory)?) })
    }

    /// Finds out how far a path goes. With `leaf`, a link at its end that leads nowhere beneath the
    /// directory stays a name, to be replaced.
    fn way(&self, names: &[Vec<u8>], leaf: bool) -> Result<Way, Reason> {
        let mut directory = PathBuf::new();
        for (depth, name) in names.iter().enumerate() {
            let rest = names.get(depth..).unwrap_or_default();
            match self.follow(&directory, name) {
                Ok(Leads::Directory(next)) => directory = next,
                Ok(Leads::Out) => return Err(leads_out(names)),
                Ok(Leads::Nowhere { linked: true }) if !(leaf && rest.len() == 1) => return Err(leads_out(names)),
                Ok(Leads::Other | Leads::Nowhere { .. }) => return Ok(Way { directory, rest: rest.to_vec() }),
                Err(error) => return Err(self.not_usable(&directory.join(OsStr::from_bytes(name)), &error)),
            }
        }
        Ok(Way { directory, rest: Vec::new() })
    }

    /// Whether the one name behind a way's directory is there, whatever it is.
    fn is_there(&self, way: &Way) -> bool {
        let directory = self.open_at(&way.directory, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        directory.is_ok_and(|directory| exists(&directory, &way.rest.join(&b'/')))
    }

    /// Holds a directory, once, for rsync to inherit.
    fn hold(&mut self, directory: &Path) -> Result<PathBuf, Reason> {
        if let Some(Seen { top, word }) = &self.seen {
            return Ok(top.join(OsStr::from_bytes(word)).join(directory));
        }
        if let Some((_, held)) = self.held.iter().find(|(path, _)| path == directory) {
            return Ok(behind(held));
        }
        let opened = self.open_at(directory, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty());
        let opened = opened.map_err(|error| self.not_usable(directory, &error))?;
        Ok(self.keep(directory.to_path_buf(), opened))
    }

    fn keep(&mut self, path: PathBuf, descriptor: OwnedFd) -> PathBuf {
        let behind = behind(&descriptor);
        self.held.push((path, descriptor));
        behind
    }

    /// Makes the directories that are missing, each beneath the one before, and holds the last.
    fn make(&mut self, way: &Way, mode: u32) -> Result<PathBuf, Reason> {
        let mut path = way.directory.clone();
        for name in &way.rest {
            path.push(OsStr::from_bytes(name));
            let parent =
                self.open_at(path.parent().unwrap_or(Path::new("")), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
            let parent = parent.map_err(|error| self.not_usable(&path, &error))?;
            match mkdirat(&parent, OsStr::from_bytes(name), Mode::from_bits_truncate(mode)) {
                Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
                Err(error) => return Err(self.not_usable(&path, &error.into())),
            }
        }
        self.hold(&path)
    }

    /// Opens something beneath the directory, through no link. The flags say whether exec closes
    /// it.
    fn open_at(&self, path: &Path, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        // The C library says so of each file in 32 bits, and it does not know this call.
        let flags = if flags.contains(OFlag::O_PATH) { flags } else { flags | OFlag::O_LARGEFILE };
        let how = OpenHow::new().flags(flags).mode(mode);
        let how = how.resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        Ok(openat2(self.handle.as_fd(), path, how)?)
    }

    fn trouble(&self, doing: &str, path: &Path, error: &io::Error) -> Reason {
        let path = printable(self.path.join(path).as_os_str().as_bytes());
        Reason::of_the_server(Code::Store, format!("{doing} `{path}`: {error}"))
    }

    fn not_usable(&self, path: &Path, error: &io::Error) -> Reason {
        let path = printable(self.path.join(path).as_os_str().as_bytes());
        Reason::new(Code::Path, "a path cannot be used: it is no directory, is locked, or has just been changed")
            .hint("look at it, and try again")
            .detail(format!("`{path}`: {error}"))
    }
}

/// What is open, as a path.
fn behind(descriptor: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

fn literal(place: &Place) -> Vec<Vec<u8>> {
    place.names.iter().map(Name::bytes).collect()
}

fn leads_out(names: &[Vec<u8>]) -> Reason {
    let shown = printable(&names.join(&b'/'));
    Reason::new(Code::Path, format!("`{shown}` runs through a symlink that leads out of the directory, or nowhere"))
        .only_client("name the place itself")
}

fn not_there(names: &[Vec<u8>]) -> Reason {
    Reason::new(Code::Path, format!("`{}` is not there", printable(&names.join(&b'/')))).only_client("look at the spelling")
}

fn exists(directory: &OwnedFd, name: &[u8]) -> bool {
    fstatat(directory, OsStr::from_bytes(name), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

#[cfg(test)]
mod tests;
