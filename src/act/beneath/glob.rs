//! The files that a client's pattern matches, in order of name, listed by descriptor.

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::{Root, exists, literal};
use crate::decide::rsync::transfer::{Name, Place, Tail};
use crate::terms::limits::{MAX_MATCHED, MAX_MATCHES};
use crate::terms::{Code, Reason};

/// What a place stands for, each as its names from the root.
pub type Expanded = Vec<Vec<Vec<u8>>>;

impl Root {
    /// What a place stands for: itself, unless it is a pattern that finds something.
    ///
    /// # Errors
    /// When that is too much.
    pub fn expand(&self, place: &Place) -> Result<Expanded, Reason> {
        let itself = literal(place);
        let Some(first) = place.names.iter().position(|name| name.is_pattern()) else { return Ok(vec![itself]) };
        let mut found = vec![itself.iter().take(first).cloned().collect::<Vec<_>>()];
        for name in place.names.iter().skip(first) {
            let mut next = Vec::new();
            for front in found {
                // What leads out is not looked at, and what is no directory holds nothing.
                let Some(directory) = self.listed(&front) else { continue };
                if !name.is_pattern() {
                    let there = Some(name.bytes()).filter(|name| exists(&directory, name));
                    matching(there.into_iter(), name, &front, &mut next)?;
                } else if let Ok(mut directory) = Dir::from_fd(directory) {
                    let entries = directory.iter().flatten().map(|entry| entry.file_name().to_bytes().to_vec());
                    matching(entries.filter(|name| name != b"." && name != b".."), name, &front, &mut next)?;
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

/// Those of a directory's names that match, behind `front`. A client has filled the directory: no
/// more of it is held than a command may name.
fn matching(mut names: impl Iterator<Item = Vec<u8>>, wanted: &Name, front: &[Vec<u8>], found: &mut Expanded) -> Result<(), Reason> {
    names.try_for_each(|name| {
        if !wanted.is_pattern() || wanted.matches(&name) {
            found.push([front, &[name]].concat());
            bounded(found)?;
        }
        Ok(())
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_end_is_left_where_a_command_would_be_too_long() {
        let endless = std::iter::repeat_with(|| b"name".to_vec());
        let mut found = Expanded::new();
        let matched = matching(endless, &Name::unquoted(b"n*"), &[b"front".to_vec()], &mut found);
        assert_eq!(matched.unwrap_err().code, Code::TooLong);
        assert_eq!(found.len(), MAX_MATCHES + 1);
    }
}
