//! Code that has taken rsync over, in the sandbox: a program in rsync's place tries whatever it can think of.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::libc::{EACCES, ELOOP, ENOENT, EPERM, EROFS, EXDEV, SIGSYS};

use support::facts::{History, Reads};
use support::kept::{Keeper, is_dropped, keeper, policy};
use support::{Gate, POLICY, is_root, must, run, skip};

const PUSH: &str = "rsync --server -logDtpre.iLsfxCIvu . .";

/// A gate whose rsync is that program.
fn taken_over() -> Gate {
    let gate = Gate::with("rsync: $DIR/taken\n", POLICY);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gate/taken_over.c");
    must(Command::new("cc").args(["-O1", "-w", "-o"]).arg(gate.path().join("taken")).arg(source));
    gate
}

/// Each attempt ended as it must. With a `view` history is read-only; without one it may not be written to, and its metadata is not
/// looked at here.
fn all_were_refused(attempts: &Path, view: bool) {
    let text = fs::read_to_string(attempts).unwrap();
    let attempts: BTreeMap<&str, i32> =
        text.lines().map(|line| line.split_once(' ').unwrap()).map(|(what, error)| (what, error.parse().unwrap())).collect();
    for (what, error) in &attempts {
        let expected = match *what {
            // What the sandbox is for lets these happen; they are the push's own, or a record.
            "link" => &[0][..],
            _ if what.starts_with("own-") => &[0],
            "absent-name" => &[ENOENT],
            "linkat-descriptor" | "linkat-follow" => &[EXDEV, EACCES, ENOENT],
            // No link is followed; without a view Landlock answers.
            "chmod-through-a-link" | "open-through-a-link" if view => &[ELOOP],
            // What ends the process that tries it.
            "mount" | "remount" | "umount" | "pivot-root" | "fsopen" | "handle" => &[-SIGSYS],
            "unlink-basis" | "rename-basis" | "device" => &[EACCES, EXDEV, EROFS],
            "open" | "append" | "truncate" | "open-through-a-link" => &[EROFS, EACCES, EPERM],
            "chmod" | "fchmod" | "fchmod-again" | "chown" | "utimes" | "futimens" | "setxattr" | "fsetxattr" | "chmod-through-a-link" => {
                if view {
                    &[EROFS][..]
                } else {
                    &[0, EPERM][..]
                }
            }
            "chmod-null" => &[EROFS, EPERM, 0],
            _ => &[EPERM],
        };
        assert!(expected.contains(error), "{what} ended with {error}\n{text}");
    }
    assert_eq!(attempts.len(), 45, "{text}");
}

#[test]
fn code_that_has_taken_rsync_over_changes_nothing_in_history_and_does_not_stay() {
    let gate = taken_over();
    let mut history = History::default();
    gate.say(PUSH).exits(0);
    assert_eq!(history.changes(&gate, Reads::Nothing), [""; 0]);
    let first = gate.newest();
    std::thread::sleep(Duration::from_millis(1100));

    gate.say(PUSH).exits(0);
    assert_ne!(gate.newest(), first);
    all_were_refused(&gate.newest().join("attempts"), true);
    assert_eq!(history.changes(&gate, Reads::Files), [""; 0]);

    // Longer than what it left behind would have slept.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(fs::read_to_string(gate.newest().join("kept")).unwrap(), "innocent");
    assert_eq!(history.changes(&gate, Reads::Files), [""; 0]);
}

/// As pam_cap or a unit's `AmbientCapabilities=` would: what an account was given beyond its own goes no further than the gate, with
/// a view and (because of `A`) without.
#[test]
fn capabilities_that_an_account_was_given_do_not_reach_rsync() {
    if !is_root() {
        return skip("only root gives capabilities away");
    }
    let (name, uid, gid) = keeper().map_or(("nobody", 65534, 65534), |Keeper { account, .. }| (&account.name, account.uid, account.gid));
    for push in [PUSH, "rsync --server -logDtpAre.iLsfxCIvu . ."] {
        let gate = taken_over();
        gate.write("config/policies/nobody.yaml", &format!("user: {name}\n{POLICY}{}", policy()));
        support::programs::copy(Path::new(env!("CARGO_BIN_EXE_snapgate-shell")), &gate.path().join("snapgate-shell"));
        for (name, mode) in
            [("", 0o755), ("config", 0o755), ("config/policies", 0o755), ("store", 0o1777), ("spool", 0o1777), ("mail", 0o1777)]
                .into_iter()
                .chain([
                    ("config/snapgate.yaml", 0o644),
                    ("config/policies/nobody.yaml", 0o644),
                    ("taken", 0o755),
                    ("snapgate-shell", 0o755),
                ])
        {
            fs::set_permissions(gate.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let given = "+sys_admin,+sys_chroot,+dac_override,+mknod";
        for _ in 0..2 {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]);
            command.arg(format!("--inh-caps={given}")).arg(format!("--ambient-caps={given}")).args(["/usr/bin/env", "-i"]);
            command.arg("SSH_CONNECTION=192.0.2.7 50000 192.0.2.1 22").arg(format!("SSH_ORIGINAL_COMMAND={push}"));
            command.arg(gate.path().join("snapgate-shell")).arg("--config").arg(gate.path().join("config")).args(["--client", "nobody"]);
            run(&mut command).exits(0);
            std::thread::sleep(Duration::from_millis(1100));
        }
        all_were_refused(&gate.path().join("store/nobody/current/attempts"), push == PUSH || (keeper().is_some() && !is_dropped()));
        if let Some(keeper) = keeper() {
            assert_eq!(keeper.strangers(&[gate.path().join("store/nobody")]), [""; 0]);
        }
    }
}
