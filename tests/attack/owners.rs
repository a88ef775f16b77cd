//! The same attacks on a server where an ordinary account keeps its clients' owners: rsync is the root of a namespace there, and what works
//! on trees has power over every id of the client's. Nothing of history may differ, and no id be on the disk that the account may not use.
//! `OWNERS_KEPT=1` has every gate so (`tests/support/kept.rs`); `make owners` runs all of them.

use support::kept::again;

#[test]
fn no_lie_changes_history_where_owners_are_kept() {
    let tests = [
        "clients::one_push_changes_nothing_in_history",
        "items::groups_of_hard_links_that_do_not_fit_share_nothing_with_history",
        "kinds::attributes_and_access_lists_that_cannot_be",
        "kinds::kinds_and_figures_that_cannot_be",
        "kinds::names_lead_nowhere_else",
        "lists::nothing_behind_a_link_is_touched",
        "midway::lies_told_by_themselves_change_nothing_in_history",
        "streams::a_line_that_is_cut_leaves_history_alone",
    ];
    again(&tests);
}
