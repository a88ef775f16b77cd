//! The cell: what holds a program that reads a client's snapshots. It sees them read-only at
//! [`SNAPSHOTS`], where the kernel follows no symlink, besides itself and the system's libraries.
//!
//! Nothing in it is writable and nobody answers what it asks, whichever program it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::decide::push::plan::Run;
use crate::decide::sandbox::spec::{self, Access, Bind, Confinement, Filter, Grant, Isolation, Kind, Limits, Listing, Sandbox};

/// Where snapshots are seen. Messages show this path, and so nothing about the server.
pub const SNAPSHOTS: &str = "/snapshots";

/// A program that reads history.
#[derive(Debug, Clone)]
pub struct Reader {
    /// It, absolute.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub argv: Vec<OsString>,
    /// Where it starts, as it sees that.
    pub directory: PathBuf,
    /// The trees that it reads.
    pub trees: Vec<Tree>,
    /// Directories that it sees besides, which are empty. Only a view has them.
    pub listing: Option<Listing>,
    /// What else it sees, and what it may do there.
    pub besides: Vec<(Bind, Access)>,
    /// What it may use; `None`: as much as the gate.
    pub limits: Option<Limits>,
}

/// A tree of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Where it is.
    pub from: PathBuf,
    /// Where it is seen in a view.
    pub to: PathBuf,
}

impl Tree {
    /// All snapshots of a repository, whose `snapshots/` this is.
    pub fn all(snapshots: &Path) -> Self {
        Self { from: snapshots.to_path_buf(), to: SNAPSHOTS.into() }
    }

    fn bind(&self) -> Bind {
        Bind { from: self.from.clone(), to: self.to.clone(), kind: Kind::History, optional: false }
    }
}

/// What a process stands on that is to become one.
pub fn isolation(confinement: Confinement) -> Isolation {
    // It makes no links.
    Isolation { asks: false, ..Isolation::new(confinement) }
}

/// The same for snapgate's own reader, which keeps each snapshot while it reads that.
pub fn keeping(confinement: Confinement) -> Isolation {
    let isolation = isolation(confinement);
    Isolation { filter: isolation.filter.map(|_| Filter::Reader), ..isolation }
}

/// The run of a reader. Without a view its trees are read where they are.
pub fn run(reader: Reader, confinement: Confinement) -> Run {
    on(reader, isolation(confinement))
}

/// The same on what it stands on.
pub fn on(reader: Reader, isolation: Isolation) -> Run {
    let Reader { program, argv, directory, trees, listing, besides, limits } = reader;
    let grants = isolation.filter.is_some().then(|| {
        let opened = trees.iter().map(|tree| if isolation.view { &tree.to } else { &tree.from });
        let opened = opened.chain(listing.iter().map(|listing| &listing.at).filter(|_| isolation.view));
        let opened = opened.map(|path| Grant { path: path.clone(), access: Access::Read, optional: false });
        let besides = besides.iter().map(|(bind, access)| {
            let path = if isolation.view { bind.to.clone() } else { bind.from.clone() };
            Grant { path, access: *access, optional: bind.optional }
        });
        spec::system(&program).into_iter().chain(opened).chain(besides).collect()
    });
    let binds = if isolation.view {
        let besides = besides.into_iter().map(|(bind, _)| bind);
        std::iter::once(spec::program_shown(&program)).chain(trees.iter().map(Tree::bind)).chain(besides).collect()
    } else {
        Vec::new()
    };
    let listing = listing.filter(|_| isolation.view);
    Run::unlimited(Sandbox { isolation, limits, binds, listing, front: None, grants, directory, program, argv })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> Reader {
        let from = PathBuf::from("/store/web1/snapshots");
        let extra = Bind { from: "/etc/magic".into(), to: "/etc/magic".into(), kind: Kind::ReadOnly, optional: true };
        Reader {
            program: "/usr/bin/rsync".into(),
            argv: vec!["--version".into()],
            directory: SNAPSHOTS.into(),
            trees: vec![Tree::all(&from)],
            listing: None,
            besides: vec![(extra, Access::Read)],
            limits: None,
        }
    }

    #[test]
    fn nothing_in_it_is_writable_and_nothing_is_asked() {
        for confinement in [Confinement::View, Confinement::Jail, Confinement::None] {
            let run = run(reader(), confinement);
            let sandbox = run.sandbox();
            assert!(!sandbox.isolation.asks);
            assert_eq!(sandbox.isolation.filter.is_some(), confinement != Confinement::None);
            assert_eq!(sandbox.grants.is_some(), confinement != Confinement::None);
            let writes = |grant: &&Grant| !matches!(grant.access, Access::Read | Access::Execute);
            let writable: Vec<_> = sandbox.grants.iter().flatten().filter(writes).map(|grant| grant.path.to_str().unwrap()).collect();
            assert!(writable.iter().all(|path| *path == "/dev/null"), "{writable:?}");
            assert!(sandbox.binds.iter().all(|bind| matches!(bind.kind, Kind::ReadOnly | Kind::History)));
        }
    }

    #[test]
    fn history_is_seen_in_one_place_and_otherwise_where_it_is() {
        let at = |confinement| {
            let run = run(reader(), confinement);
            let opened = run.sandbox().grants.iter().flatten().filter(|grant| grant.access == Access::Read && !grant.optional);
            opened.map(|grant| grant.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(at(Confinement::View), [Path::new(SNAPSHOTS)]);
        assert_eq!(at(Confinement::Jail), [Path::new("/store/web1/snapshots")]);
        let view = run(reader(), Confinement::View);
        let shown: Vec<_> = view.sandbox().binds.iter().map(|bind| (bind.to.to_str().unwrap(), bind.kind)).collect();
        assert_eq!(shown, [("/usr/bin/rsync", Kind::ReadOnly), (SNAPSHOTS, Kind::History), ("/etc/magic", Kind::ReadOnly)]);
        assert!(run(reader(), Confinement::Jail).sandbox().binds.is_empty());
    }
}
