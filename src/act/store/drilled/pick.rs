//! A walk through a snapshot that chooses what a drill restores.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use nix::sys::stat::SFlag;

use crate::act::store::Repository;
use crate::act::store::tree::{Listed, kind, stat};
use crate::act::store::walk::{Closed, Next, Visitor, walk_tree};
use crate::decide::history::sample::{Picked, Sample};
use crate::terms::limits::{MAX_DRILLED, MAX_PATH};
use crate::terms::{SnapshotName, SubPath};

/// What was chosen.
#[derive(Debug, Default)]
pub struct Chosen {
    /// The files, each once.
    pub files: Vec<Picked>,
    /// Places that were asked for and are not there.
    pub missing: Vec<SubPath>,
    /// Whether what was asked for has more files than may be.
    pub more: bool,
    /// Directories that could not be read.
    pub unread: u64,
}

impl Repository {
    /// Chooses from a snapshot, whatever its directories are: all that is in the `named` places, and
    /// a `sample` of everything.
    pub fn pick(&self, snapshot: &SnapshotName, named: &[SubPath], sample: Sample) -> io::Result<Chosen> {
        let named = named.iter().map(|place| (place, place.below(std::path::Path::new("")).into_os_string().into_encoded_bytes(), false));
        let mut picking = Picking { sample, named: named.collect(), chosen: Chosen::default() };
        walk_tree(&snapshot.below(&self.snapshots()), Vec::new(), Closed::Left, &mut picking)?;
        let Picking { sample, named, mut chosen } = picking;
        chosen.missing = named.into_iter().filter(|(_, _, found)| !found).map(|(place, _, _)| place.clone()).collect();
        chosen.files.extend(sample.into_files());
        chosen.files.sort_by(|one, other| one.path.cmp(&other.path));
        chosen.files.dedup();
        Ok(chosen)
    }
}

struct Picking<'a> {
    sample: Sample,
    /// Each with its path, and whether it was seen.
    named: Vec<(&'a SubPath, Vec<u8>, bool)>,
    chosen: Chosen,
}

impl Visitor for Picking<'_> {
    /// The way to the directory, with a `/` behind it.
    type Here = Vec<u8>;

    fn entry(&mut self, here: &mut Self::Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Self::Here>> {
        let path = [here.as_slice(), entry.name.to_bytes()].concat();
        let found = stat(at, entry.name)?;
        let mut is_named = false;
        for (_, named, seen) in &mut self.named {
            let is_it = path == *named;
            *seen |= is_it || named.is_empty();
            is_named |= is_it || named.is_empty() || path.strip_prefix(named.as_slice()).is_some_and(|rest| rest.starts_with(b"/"));
        }
        let is_directory = kind(&found) == SFlag::S_IFDIR;
        // A longer path can only be restored with the directory that it is in.
        if path.len() < MAX_PATH {
            let size = u64::try_from(found.st_size).unwrap_or(0);
            if !is_directory {
                self.sample.see(&path, size);
            }
            if is_named && self.chosen.files.len() < MAX_DRILLED {
                self.chosen.files.push(Picked { path: path.clone(), size: if is_directory { 0 } else { size } });
            } else {
                self.chosen.more |= is_named;
            }
        }
        Ok(if is_directory { Next::Into([path.as_slice(), b"/"].concat()) } else { Next::Past })
    }

    fn unseen(&mut self, _: io::Error) -> io::Result<ControlFlow<()>> {
        self.chosen.unread += 1;
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::terms::NamePattern;

    #[test]
    fn what_is_named_is_chosen_besides_the_sample_and_what_is_not_there_is_told() {
        let root = tempfile::tempdir().unwrap();
        let name = NamePattern::default().read("2026-11-21T02-00-00Z").unwrap();
        let snapshot = name.below(&root.path().join("snapshots"));
        fs::create_dir_all(snapshot.join("etc/deep")).unwrap();
        fs::create_dir_all(snapshot.join("etcetera")).unwrap();
        for file in ["etc/hosts", "etc/deep/file", "etcetera/file", "other"] {
            fs::write(snapshot.join(file), "four").unwrap();
        }
        std::os::unix::fs::symlink("/etc", snapshot.join("link")).unwrap();
        let pick = |named: &[&str], most: usize| {
            let named: Vec<_> = named.iter().map(|place| SubPath::parse(place).unwrap()).collect();
            let chosen = Repository::at(root.path()).pick(&name, &named, Sample::new(1, most)).unwrap();
            let paths: Vec<_> = chosen.files.iter().map(|file| String::from_utf8(file.path.clone()).unwrap()).collect();
            (paths, chosen.missing.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let all = ["etc/deep/file", "etc/hosts", "etcetera/file", "link", "other"];
        assert_eq!(pick(&[], 10).0, all);
        assert_eq!(pick(&[], 2).0.len(), 2);
        assert_eq!(
            pick(&["etc", "gone/file", "link/passwd"], 0),
            (
                ["etc", "etc/deep", "etc/deep/file", "etc/hosts"].map(str::to_owned).to_vec(),
                vec!["gone/file".to_owned(), "link/passwd".to_owned()],
            )
        );
        assert_eq!(pick(&["."], 3).0.len(), 8, "each once");
    }
}
