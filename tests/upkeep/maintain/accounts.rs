//! The same where the snapshots are an ordinary account's, which keeps its clients' owners or does not.

use support::kept::{again, again_dropped};

/// What holds whosever the files are.
const TESTS: [&str; 3] = [
    "maintain::it_says_a_line_for_each_client_and_frees_and_removes_in_this_order",
    "maintain::past::logs_of_runs_go_after_their_time_and_nothing_else_does",
    "maintain::past::old_ledgers_are_read_like_the_new_one_and_stay_while_they_speak_of_a_snapshot",
];

#[test]
fn root_looks_after_an_account_that_keeps_owners() {
    again(&TESTS);
}

#[test]
fn root_looks_after_an_account_that_keeps_none() {
    again_dropped(&TESTS);
}
