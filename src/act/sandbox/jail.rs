//! The jail: Landlock. It holds the calling thread and whatever that starts, and cannot be taken
//! off, so only a process that is about to become rsync enters it.
//!
//! What has to hold is never best effort: an unknown right or a path that cannot be opened is an
//! error (unless marked optional), and the kernel's answer is checked.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use nix::libc;

use crate::decide::sandbox::spec::{Access, Grant};
use crate::terms::text::printable_path;
use crate::terms::{Code, Reason};

/// What has to hold: every right up to moving and linking between directories (Linux 5.19).
const REQUIRED: ABI = ABI::V2;

/// Used if the kernel has it: truncation, TCP, ioctl of devices, signals and abstract sockets.
const WANTED: ABI = ABI::V6;

/// Jails the calling thread and everything it starts from now on.
///
/// # Errors
/// With [`Code::Jail`] if the kernel cannot hold all of it; the thread must then start nothing.
pub fn enter(grants: &[Grant]) -> Result<(), Reason> {
    let ruleset = ruleset().map_err(|error| unheld(&error.to_string()))?;
    let ruleset = grants.iter().try_fold(ruleset, allow)?;
    let status = ruleset.restrict_self().map_err(|error| unheld(&error.to_string()))?;
    held(&status)
}

fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        // All handled, so all denied except for the grants.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(REQUIRED))?
        // The rest as far as this kernel goes; `check` says how far that is.
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))?
        // TCP is handled and never granted.
        .handle_access(AccessNet::from_all(WANTED))?
        // No signals to processes outside, no abstract sockets.
        .scope(Scope::from_all(WANTED))?
        .create()
}

fn allow(ruleset: RulesetCreated, grant: &Grant) -> Result<RulesetCreated, Reason> {
    let open = || {
        let path = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&grant.path)?;
        let is_directory = path.metadata()?.is_dir();
        Ok((path, is_directory))
    };
    let (path, is_directory) = match open() {
        Ok(opened) => opened,
        Err(_) if grant.optional => return Ok(ruleset),
        Err(error) => return Err(missing(grant, &io::Error::to_string(&error))),
    };
    let rule = PathBeneath::new(path, rights(grant.access, is_directory));
    ruleset.add_rule(rule).map_err(|error| missing(grant, &error.to_string()))
}

/// The rights of a grant. A file has no rights of directories; naming one would be an error.
fn rights(access: Access, is_directory: bool) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::WriteFile | AccessFs::Truncate;
    let make = AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::MakeSym | AccessFs::RemoveFile | AccessFs::RemoveDir | AccessFs::Refer;
    let all = match access {
        Access::Execute => read | AccessFs::Execute,
        Access::Read => read,
        Access::Take => read | AccessFs::RemoveFile,
        Access::ReadWrite => AccessFs::ReadFile | AccessFs::WriteFile,
        Access::Stage => read | write | make,
        Access::StageSpecials => read | write | make | AccessFs::MakeFifo | AccessFs::MakeSock,
    };
    if is_directory { all } else { all & AccessFs::from_file(WANTED) }
}

fn held(status: &RestrictionStatus) -> Result<(), Reason> {
    // A kernel without the wanted extras answers "partially"; without the required part there was
    // an error above.
    let enforced = matches!(status.ruleset, RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced);
    if enforced && status.no_new_privs { Ok(()) } else { Err(unheld("the kernel did not enforce it")) }
}

fn unheld(what: &str) -> Reason {
    Reason::of_the_server(Code::Jail, format!("the jail does not hold: {what}")).remedy(
        "run a kernel with Landlock (5.19 or later, `lsm=` with landlock), or set `jail: off` in the site file and know what that means",
    )
}

fn missing(grant: &Grant, what: &str) -> Reason {
    let path = printable_path(&grant.path);
    unheld(&format!("`{path}` ({}): {what}", grant.access.as_str()))
}

/// What this kernel enforces, a line each, for `check`. The first one shows whether the jail holds
/// at all: reading, writing, creating, removing, linking and moving.
pub fn describe() -> Vec<(bool, &'static str)> {
    let knows = |abi| {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(abi));
        ruleset.and_then(Ruleset::create).is_ok()
    };
    let net = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessNet::from_all(WANTED));
    let scope = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).scope(Scope::from_all(WANTED));
    vec![
        (knows(REQUIRED), "the required rights"),
        (knows(ABI::V3), "truncate"),
        (net.and_then(Ruleset::create).is_ok(), "TCP"),
        (knows(ABI::V5), "ioctl on devices"),
        (scope.and_then(Ruleset::create).is_ok(), "signals and abstract sockets"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn grant(path: &Path, access: Access) -> Grant {
        Grant { path: path.to_path_buf(), access, optional: false }
    }

    /// Runs `probe` on a jailed thread.
    fn jailed<T: Send>(grants: &[Grant], probe: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(grants).unwrap();
                probe()
            });
            thread.join().unwrap()
        })
    }

    #[test]
    fn only_the_stage_can_be_written_to_and_the_basis_only_read() {
        let root = tempfile::tempdir().unwrap();
        let (stage, basis, other) = (root.path().join("stage"), root.path().join("basis"), root.path().join("other"));
        for directory in [&stage, &basis, &other] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("f"), "x").unwrap();
        }
        jailed(&[grant(&stage, Access::Stage), grant(&basis, Access::Read)], || {
            fs::write(stage.join("new"), "x").unwrap();
            fs::hard_link(stage.join("f"), stage.join("linked")).unwrap();
            fs::read(basis.join("f")).unwrap();
            fs::remove_file(stage.join("new")).unwrap();
            for denied in [
                fs::write(basis.join("new"), "x"),
                fs::remove_file(basis.join("f")),
                fs::rename(basis.join("f"), stage.join("moved")),
                fs::hard_link(basis.join("f"), stage.join("shared")),
                fs::OpenOptions::new().write(true).open(basis.join("f")).map(drop),
                fs::hard_link(stage.join("f"), basis.join("planted")),
                fs::read(other.join("f")).map(drop),
                fs::hard_link(other.join("f"), stage.join("stolen")),
                fs::read_dir(root.path()).map(drop),
                fs::read("/etc/passwd").map(drop),
            ] {
                assert!(denied.is_err());
            }
        });
        assert_eq!(fs::read_to_string(basis.join("f")).unwrap(), "x");
    }

    #[test]
    fn tcp_is_denied_where_the_kernel_can() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let knows_tcp = describe().iter().any(|(active, what)| *active && *what == "TCP");
        let connected = jailed(&[], || std::net::TcpStream::connect(address).is_ok());
        assert_eq!(connected, !knows_tcp);
    }

    #[test]
    fn a_grant_that_cannot_be_opened_is_an_error_and_never_left_out() {
        let reason = std::thread::scope(|scope| {
            scope.spawn(|| enter(&[grant(Path::new("/does/not/exist"), Access::Stage)]).unwrap_err()).join().unwrap()
        });
        assert_eq!(reason.code, Code::Jail);
    }
}
