//! The files that a client's pattern matches, in order of name, listed by descriptor.

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::{Root, exists, literal};
use crate::decide::rsync::transfer::{Place, Tail};
use crate::terms::limits::{MAX_MATCHED, MAX_MATCHES};
use crate::terms::{Code, Reason};

impl Root {
    /// What a place stands for: itself, unless it is a pattern that finds something.
    pub(super) fn expand(&self, place: &Place) -> Result<Vec<Vec<Vec<u8>>>, Reason> {
        let itself = literal(place);
        let Some(first) = place.names.iter().position(|name| name.is_pattern()) else { return Ok(vec![itself]) };
        let mut found = vec![itself.iter().take(first).cloned().collect::<Vec<_>>()];
        for name in place.names.iter().skip(first) {
            let mut next = Vec::new();
            for front in found {
                // What leads out is not looked at, and what is no directory holds nothing.
                let Some(directory) = self.listed(&front) else { continue };
                let names = if name.is_pattern() {
                    let mut names = entries(directory);
                    names.retain(|candidate| name.matches(candidate));
                    names
                } else {
                    Some(name.bytes()).filter(|name| exists(&directory, name)).into_iter().collect()
                };
                for name in names {
                    next.push([front.as_slice(), &[name]].concat());
                    bounded(&next)?;
                }
            }
            found = next;
        }
        if place.tail != Tail::None {
            found.retain(|names| self.way(names, false).map_or(true, |way| way.rest.is_empty()));
        }
        found.sort();
        Ok(if found.is_empty() { vec![itself] } else { found })
    }

    fn listed(&self, names: &[Vec<u8>]) -> Option<std::os::fd::OwnedFd> {
        let way = self.way(names, false).ok().filter(|way| way.rest.is_empty())?;
        self.open_at(&way.directory, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()
    }
}

fn entries(directory: std::os::fd::OwnedFd) -> Vec<Vec<u8>> {
    let Ok(mut directory) = Dir::from_fd(directory) else { return Vec::new() };
    let names = directory.iter().flatten().map(|entry| entry.file_name().to_bytes().to_vec());
    names.filter(|name| name != b"." && name != b"..").collect()
}

fn bounded(found: &[Vec<Vec<u8>>]) -> Result<(), Reason> {
    let bytes = || if found.len().is_multiple_of(256) { found.iter().flatten().map(|name| name.len() + 1).sum() } else { 0 };
    fits(found.len(), bytes())
}

/// Whether so many files, with names of so many bytes, are few enough for a command line.
pub(super) fn fits(files: usize, bytes: usize) -> Result<(), Reason> {
    if files > MAX_MATCHES || bytes > MAX_MATCHED {
        let says = "the patterns stand for too many files";
        return Err(Reason::new(Code::TooLong, says).only_client("name the directory, and choose with --include and --exclude"));
    }
    Ok(())
}
