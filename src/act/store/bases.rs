//! What a push is compared with: interrupted pushes, those of its transaction, and snapshots that
//! have its place.
//!
//! Only the note that says which snapshots have much is written here, and no symbolic link is
//! followed.

use std::path::{Path, PathBuf};

use super::disk::{overwrite, read_value};
use super::keep::numbered;
use super::{OrTrouble as _, Repository, absent, contents, tree};
use crate::decide::push::links::Tree;
use crate::decide::push::parts::{self, Counted};
use crate::terms::limits::{MAX_BASIS_DIRS, MAX_COUNTED, MAX_LOOKED_BACK, MAX_PART_BASES};
use crate::terms::{Reason, RepositoryState, SnapshotName, SubPath};

impl Repository {
    /// Whether a tree has a place, through no link.
    pub fn has_place(tree: &Path, place: &SubPath) -> bool {
        has(tree, place)
    }

    /// Trees to link unchanged files from, for a push to `place`: interrupted pushes and earlier
    /// parts of the open transaction that have the place, and these snapshots, the newest last.
    ///
    /// With `whole_files_only` no interrupted push: a file in it may be unfinished and of the right
    /// size.
    pub fn bases(&self, place: &SubPath, snapshots: &[PathBuf], whole_files_only: bool) -> Vec<Tree> {
        // `recover` leaves no more than one of them.
        let set_aside = numbered(&self.interrupted()).pop().filter(|_| !whole_files_only);
        let parts = numbered(&self.parts()).into_iter().rev().take(MAX_PART_BASES);
        let unpublished = set_aside.into_iter().map(Tree::set_aside).chain(parts.map(Tree::published));
        let mut bases: Vec<_> = unpublished.filter(|tree| has(&tree.root, place)).collect();
        let room = MAX_BASIS_DIRS.saturating_sub(bases.len()).min(snapshots.len());
        bases.extend(snapshots.iter().take(room).rev().map(Tree::published));
        bases
    }

    /// Snapshots that a push to `place` may share files with: the newest that has it first, then
    /// those that have more.
    pub fn snapshots_with(&self, place: &SubPath, state: &RepositoryState) -> Vec<PathBuf> {
        let all = || state.newest.iter().chain(&state.earlier);
        let path = |name: &SnapshotName| name.below(&self.snapshots());
        let newest = all().take(MAX_LOOKED_BACK).map(path).find(|root| has(root, place));
        let counted = self.counted();
        // By their names, so that the note can name nothing else.
        let fuller = parts::related(&counted, place).filter_map(|counted| all().find(|name| name.as_str() == counted.snapshot));
        let fuller = fuller.map(path).filter(|root| newest.as_ref() != Some(root) && has(root, place));
        let fuller: Vec<_> = fuller.collect();
        newest.into_iter().chain(fuller).collect()
    }

    /// Whether the newest snapshot holds a file at `place`.
    pub fn newest_has_files(&self, state: &RepositoryState, place: &SubPath) -> Result<bool, Reason> {
        let Some(newest) = &state.newest else { return Ok(false) };
        // It was counted when it was published, which spares a walk over many directories.
        match self.files_of(newest) {
            Some(0) => return Ok(false),
            Some(_) if place.is_whole() => return Ok(true),
            _ => {}
        }
        let path = newest.below(&self.snapshots());
        if !has(&path, place) {
            return Ok(false);
        }
        contents::has_file(&place.below(&path)).or_trouble("reading", &path)
    }

    /// Notes how many files the newest snapshot has, and into which `place` it was pushed. If the
    /// note is lost, files that are gone are not reported, and less is linked.
    pub fn note_files(&self, snapshot: &SnapshotName, place: &SubPath, files: u64) {
        let new = Counted { snapshot: snapshot.to_string(), place: place.clone(), files };
        let path = |name: &str| self.snapshots().join(name);
        let stands = path(&new.snapshot);
        let lacks = |old: &Counted| absent::lacks(&path(&old.snapshot), &stands).unwrap_or_default();
        let all = parts::remember(self.counted(), new, lacks);
        let _ = overwrite(&self.counted_note(), &all);
    }

    pub(super) fn files_of(&self, snapshot: &SnapshotName) -> Option<u64> {
        self.counted().into_iter().find(|counted| counted.snapshot == snapshot.as_str()).map(|counted| counted.files)
    }

    /// Snapshots that were pushed into a place, with their files.
    pub(super) fn counted_at(&self, place: &SubPath) -> impl Iterator<Item = (String, u64)> {
        let at = place.clone();
        self.counted().into_iter().filter(move |counted| counted.place == at).map(|counted| (counted.snapshot, counted.files))
    }

    fn counted(&self) -> Vec<Counted> {
        read_value(&self.counted_note(), MAX_COUNTED).unwrap_or_default()
    }
}

fn has(root: &Path, place: &SubPath) -> bool {
    tree::hold_below(root, place.components()).is_ok()
}
