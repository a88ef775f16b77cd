//! Whom the files of a client with `owners: keep` are closed to: other clients' code, even as their ids, and the account outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::ids::{self, Keeper};
use support::{ALL_VERBS, Server, Setup, skip, tree};

/// What there is in a client's tree: path, owner and mode.
const FILES: [(&str, u32, u32); 5] =
    [("of-root", 0, 0o600), ("of-7", 7, 0o600), ("of-account", 1001, 0o640), ("for-all", 7, 0o644), ("closed/for-all", 0, 0o644)];

/// A server with two clients, each with its account and ids, and a snapshot of each.
fn two() -> Option<(Server, [Keeper; 2], [PathBuf; 2])> {
    let keepers = match (ids::able(0), ids::able(1)) {
        (Ok(one), Ok(other)) => [one, other],
        (Err(why), _) | (_, Err(why)) => {
            skip(&why);
            return None;
        }
    };
    let policy = format!("{ALL_VERBS}owners: keep\n");
    let server = Setup::new().client("web1", &policy).client("web2", &policy).start();
    let source = server.source("data");
    for (name, owner, mode) in FILES {
        tree::write(&source.join(name), "secret\n");
        chown(source.join(name), Some(owner), Some(owner)).unwrap();
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(source.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let snapshots = ["web1", "web2"].map(|name| {
        server.client(name).push(&source, &[]).exits(0);
        server.repository(name).snapshot(-1)
    });
    Some((server, keepers, snapshots))
}

/// Runs a command behind these words; whether it succeeded, and what it said.
fn works(words: &[String], command: &[&str], path: &Path) -> (bool, String) {
    let mut all = Command::new(&words[0]);
    all.args(&words[1..]).args(command).arg(path).stdin(Stdio::null());
    let ran = all.output().unwrap();
    (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

/// Everybody who is of a client: its ids as the kernel knows them, its account, and the root of a namespace with all of them.
fn who_is_of(keeper: &Keeper) -> Vec<Vec<String>> {
    let [(user, users), (group, _)] = keeper.ranges;
    let mut all: Vec<_> = [0, 7, 1001, users - 1].iter().map(|id| ids::words(user + id, group + id, "--clear-groups")).collect();
    all.push(keeper.words());
    let inside = ["unshare", "--user", "--map-root-user", "--map-auto"].map(str::to_owned).to_vec();
    all.push([keeper.words(), inside].concat());
    all
}

#[test]
fn code_as_any_of_a_client_s_ids_reads_nothing_of_another_client_s() {
    let Some((server, [one, other], [own, foreign])) = two() else { return };
    let [(first, count), (second, _)] = [one.ranges[0], other.ranges[0]];
    assert!(first + count <= second || second + other.ranges[0].1 <= first, "the accounts share ids");
    for who in who_is_of(&one) {
        for (name, ..) in FILES {
            let (read, said) = works(&who, &["cat"], &foreign.join(name));
            assert!(!read && said.contains("Permission denied"), "{who:?} {name}: {said}");
        }
        for path in [server.repository("web2").path, foreign.clone(), foreign.join("closed")] {
            let (listed, said) = works(&who, &["ls", "-U"], &path);
            assert!(!listed && said.contains("Permission denied"), "{who:?} {}: {said}", path.display());
        }
    }
    // With its ids it can read its own: the commands work, and it is the ids that count.
    assert_eq!(works(&who_is_of(&one)[5], &["cat"], &own.join("of-7")), (true, "secret\n".to_owned()));

    // Even where the way was opened by mistake, what is closed to others is.
    for path in foreign.ancestors().take_while(|path| path.starts_with(server.store())) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for who in who_is_of(&one) {
        for (name, ..) in FILES {
            let (read, said) = works(&who, &["cat"], &foreign.join(name));
            assert_eq!(read, name == "for-all", "{who:?} {name}: {said}");
        }
        assert!(!works(&who, &["ls", "-U"], &foreign.join("closed")).0, "{who:?}");
        let (changed, said) = works(&who, &["chmod", "777"], &foreign.join("for-all"));
        assert!(!changed && said.contains("Operation not permitted"), "{who:?}: {said}");
    }
}

#[test]
fn the_account_outside_its_ids_changes_nothing_in_a_snapshot() {
    let Some((_server, [one, _], [own, _])) = two() else { return };
    let before = tree::listing(&own);
    let append = ["sh", "-c", "echo more >>\"$0\""];
    for (name, ..) in FILES {
        for (command, errors) in [
            (&["chmod", "777"][..], &["Operation not permitted", "Permission denied"][..]),
            (&append, &["Permission denied"]),
            (&["truncate", "-s0"], &["Permission denied"]),
            (&["chown", &one.account.name], &["Operation not permitted", "Permission denied"]),
            (&["touch", "-d", "2020-01-01"], &["Operation not permitted", "Permission denied"]),
            (&["rm", "-f"], &["Permission denied"]),
        ] {
            let (worked, said) = works(&one.words(), command, &own.join(name));
            assert!(!worked && errors.iter().any(|error| said.contains(error)), "{command:?} {name}: {said}");
        }
    }
    let (worked, said) = works(&one.words(), &["mkdir"], &own.join("new"));
    assert!(!worked && said.contains("Permission denied"), "{said}");
    tree::same(&tree::listing(&own), &before);
}
