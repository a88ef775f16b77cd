//! What others try, where an ordinary account keeps its clients' owners (`tests/support/kept.rs`); `make owners` runs more of them.

use std::fs;

use snapgate::terms::reason::Code;

use crate::layer::layer;
use crate::support::kept::{VARIABLE, again, keeper};
use crate::support::{Gate, POLICY, skip};

#[test]
fn code_that_has_taken_rsync_over_changes_nothing_where_owners_are_kept() {
    let tests = [
        "attacks::everything::no_call_of_the_kernel_changes_anything_in_rsync_s_view_but_the_stage",
        "attacks::links::what_stands_in_the_place_of_links_is_in_no_snapshot",
        "attacks::links::what_stands_in_the_place_of_links_is_gone_after_the_gate_was_killed",
        "attacks::calls::names_that_are_removed_while_the_gate_looks_open_no_way_to_history",
        "attacks::calls::nothing_is_left_in_memory_and_what_others_share_there_is_out_of_reach",
        "history::no_push_changes_an_older_snapshot",
        "taken_over::capabilities_that_an_account_was_given_do_not_reach_rsync",
        "taken_over::code_that_has_taken_rsync_over_changes_nothing_in_history_and_does_not_stay",
        "owners::without_a_view_owners_are_not_kept_and_nothing_is_stored",
    ];
    again("code_that_has_taken_rsync_over_changes_nothing_where_owners_are_kept", &tests);
}

/// Whatever the site file gives up: without a namespace for its files they would be the account's.
#[test]
fn without_a_view_owners_are_not_kept_and_nothing_is_stored() {
    if keeper().is_none() {
        return skip("without a view owners are not kept", &format!("another test runs it with {VARIABLE}"));
    }
    let gate = Gate::with("namespaces: optional\n", POLICY);
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    gate.push(&source, &[]).exits(0);
    // Whoever is in a jail already may not mount.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(layer().is_ok());
            let ran = gate.push(&source, &[]).exits(Code::Owners.exit().into());
            assert_eq!(ran.code(), Some("owners"));
        });
    });
    assert_eq!((gate.record().reasons[0].code, gate.snapshots().len()), (Code::Owners, 1));
}
