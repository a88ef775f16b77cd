//! The run of a transfer beneath one directory, without snapshots.

use std::path::{Path, PathBuf};

use super::{Run, limits};
use crate::decide::rsync::argv;
use crate::decide::rsync::transfer::{self, Aim, Direction, Transfer};
use crate::decide::sandbox::spec::{self, Access, Filter, Grant, Isolation, Sandbox};
use crate::terms::limits::{CHILD_MEMORY, DEFAULT_PROCESSES};

/// A run of `snapgate-shell rrsync`, without a time limit unless the client sets one. It starts in
/// `start`. If it is `jailed` the kernel opens DIR, for writing if files go there.
pub fn transfer(
    transfer: &Transfer,
    setup: &transfer::Setup<'_>,
    (program, root): (&Path, &Path),
    start: PathBuf,
    jailed: bool,
    running: Option<u64>,
) -> Run {
    let dir = match transfer.direction {
        Direction::Push if setup.version >= argv::DEFENCES => Access::Stage,
        Direction::Push => Access::StageSpecials,
        Direction::Pull if transfer.removes() => Access::Take,
        Direction::Pull => Access::Read,
    };
    let mut grants = spec::system(program);
    // Owners and groups travel by name here, as they do for rrsync.
    for path in ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"] {
        grants.push(Grant { path: path.into(), access: Access::Read, optional: true });
    }
    grants.push(Grant { path: root.to_path_buf(), access: dir, optional: false });
    let logs = transfer.options().zip(&setup.options).filter(|((aim, _), _)| *aim == Aim::Log);
    let logs = logs.filter_map(|(_, spot)| spot.as_ref());
    grants.extend(logs.map(|log| Grant { path: log.path().into(), access: Access::ReadWrite, optional: false }));
    let argv = transfer::printed(transfer, setup);
    // There is no history here, and so no link to it.
    let isolation = Isolation { view: false, asks: false, filter: jailed.then_some(Filter::Plain) };
    let (grants, limits) = (jailed.then_some(grants), Some(limits(CHILD_MEMORY, DEFAULT_PROCESSES, None, running)));
    let program = program.to_path_buf();
    Run::unlimited(Sandbox { isolation, limits, binds: Vec::new(), listing: None, grants, directory: start, program, argv })
}
