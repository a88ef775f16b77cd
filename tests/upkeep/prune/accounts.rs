//! Whose the snapshots are: an ordinary account's, of which some keep their clients' owners. Root works there as the account, and the account
//! may do it itself.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use super::{says, with_history};
use crate::make_old;
use support::kept::{VARIABLE, again, again_dropped, keeper};
use support::{Gate, accounts, must, skip, versions};

/// With owners kept, and the account's own commands; otherwise root's.
const BY_ACCOUNT: &str = "1";

/// Whether the account runs the administrator's program.
pub(super) fn is_by_account() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == BY_ACCOUNT)
}

/// What holds whoever runs it, and whosever the files are.
const TESTS: [&str; 9] = [
    "prune::by_hand::what_one_chooses_goes_and_comes_back",
    "prune::by_hand::what_came_back_stays_although_a_rule_had_removed_it",
    "prune::by_hand::floors_hold_unless_it_is_forced_and_current_never_dangles",
    "prune::by_hand::a_protected_snapshot_stays_until_then_or_until_somebody_says_otherwise",
    "prune::by_hand::what_a_restore_reads_is_not_removed",
    "prune::rules::what_no_rule_keeps_goes_to_the_trash_and_is_freed_after_its_grace",
    "prune::rules::nine_of_ten_go_only_where_somebody_says_so_and_that_is_mailed",
    "prune::rules::two_at_once_remove_each_snapshot_once",
    "prune::rules::a_snapshot_of_many_files_goes_at_once_and_none_of_it_is_left_in_the_end",
];

#[test]
fn an_account_that_keeps_owners_prunes_for_itself() {
    if keeper().is_none() {
        match support::ids::able(3) {
            Ok(_) => versions::rerun(VARIABLE, BY_ACCOUNT, &TESTS),
            Err(why) => skip(&why),
        }
    }
}

#[test]
fn root_prunes_for_an_account_that_keeps_owners() {
    let more = [
        "prune::accounts::nothing_is_done_for_the_account_that_it_may_not_do",
        "prune::killed::prune_killed_anywhere_leaves_whole_snapshots_and_ends_the_next_time",
        "prune::killed::delete_killed_anywhere_takes_whole_snapshots_and_tells_of_each",
    ];
    again(&[&TESTS[..], &more].concat());
}

#[test]
fn root_prunes_for_an_account_that_keeps_none() {
    again_dropped(&[&TESTS[..], &["prune::accounts::nothing_is_done_for_the_account_that_it_may_not_do"]].concat());
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
}

/// Puts something in another's place, as the account may at any time.
fn plant(gate: &Gate, at: &str, what: &Path) {
    let at = gate.inside(".snapgate").join(at);
    if at.exists() {
        fs::rename(&at, gate.path().join("aside")).unwrap();
    }
    symlink(what, &at).unwrap();
}

#[test]
fn nothing_is_done_for_the_account_that_it_may_not_do() {
    let Some(keeper) = keeper() else { return skip(&format!("another test runs it with {VARIABLE}")) };
    let (gate, names) = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    let other = accounts::account(1);
    assert_ne!(other.uid, keeper.account.uid);
    says(&gate, &["prune"]).exits(0);
    make_old(&gate);
    // A directory of somebody else's, which the account may move with the one of its own that it is in.
    let shared = gate.inside(".snapgate/trash").join(format!("{}@20260101T000000Z/shared-with", names[0]));
    fs::create_dir_all(shared.join("others")).unwrap();
    fs::write(shared.join("others/diary"), "dear").unwrap();
    open_to_all(&shared);
    chown(&shared, Some(keeper.account.uid), Some(keeper.account.gid)).unwrap();
    for path in [shared.join("others"), shared.join("others/diary")] {
        chown(path, Some(other.uid), Some(other.gid)).unwrap();
    }
    let said = says(&gate, &["prune", "web1"]).exits(1).stdout;
    assert!(said.contains("`diary`: "), "{said}");
    let left = gate.inside(".snapgate/reaping").join(format!("{}@20260101T000000Z/shared-with/others/diary", names[0]));
    assert_eq!(fs::read_to_string(&left).unwrap(), "dear");
    assert_eq!(fs::read_dir(gate.inside(".snapgate/reaping")).unwrap().count(), 1, "the other one is gone");
    must(Command::new("rm").arg("-rf").arg(gate.inside(".snapgate/reaping")));

    // A file of root's in the place of one of the gate's.
    let secret = gate.path().join("secret");
    fs::write(&secret, "of root").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    says(&gate, &["protect", "--client", "web1", &gate.snapshots()[0]]).exits(0);
    for at in ["ledger.jsonl", "lock", "reaper.lock", "announced.json", "draft", "trash/draft", "protected/draft"] {
        plant(&gate, at, &secret);
        says(&gate, &["protect", "--client", "web1", &gate.snapshots()[0]]);
        says(&gate, &["prune", "web1"]);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "of root", "{at}");
        fs::remove_file(gate.inside(".snapgate").join(at)).unwrap_or_default();
        fs::rename(gate.path().join("aside"), gate.inside(".snapgate").join(at)).unwrap_or_default();
    }
    // A directory of root's likewise.
    let closed = gate.path().join("closed");
    fs::create_dir(&closed).unwrap();
    for name in &names {
        fs::create_dir_all(closed.join(format!("{name}@20260101T000000Z"))).unwrap();
    }
    let all = fs::read_dir(&closed).unwrap().count();
    for at in ["trash", "reaping", "protected"] {
        plant(&gate, at, &closed);
        says(&gate, &["prune", "web1"]);
        says(&gate, &["delete", "--client", "web1", "--force", &gate.snapshots()[0]]);
        says(&gate, &["undelete", "--client", "web1", &names[0]]);
        assert_eq!(fs::read_dir(&closed).unwrap().count(), all, "{at}");
        fs::remove_file(gate.inside(".snapgate").join(at)).unwrap();
        fs::rename(gate.path().join("aside"), gate.inside(".snapgate").join(at)).unwrap_or_default();
    }
    // What nobody ever writes to is not waited for.
    let ledger = gate.inside(".snapgate/ledger.jsonl");
    fs::remove_file(&ledger).unwrap();
    must(Command::new("mkfifo").arg(&ledger));
    says(&gate, &["prune", "web1"]);
    fs::remove_file(&ledger).unwrap();
}
