//! The stories of a push through sshd, once more on a server with rsync 3.2.7. The accounts are ordinary ones here.

use support::versions::{SERVER, again};

#[test]
fn pushes_through_sshd_are_the_same_on_a_server_with_rsync_3_2_7() {
    let tests = [
        "odd_trees::directories_that_nobody_may_write_or_enter_are_pushed_twice_and_again",
        "odd_trees::hard_links_of_the_client_stay_hard_links_and_share_with_history",
        "push::a_dry_run_and_a_listing_publish_nothing",
        "push::a_symlink_that_a_client_planted_leads_nowhere",
        "push::clients_of_different_accounts_cannot_read_each_other",
        "push::no_later_push_changes_a_snapshot",
        "push::two_pushes_are_two_snapshots_that_share_what_did_not_change",
        "push::words_that_travel_on_standard_input_come_through_sshd_as_they_are",
        "refused::a_pull",
        "resume::nothing_that_had_arrived_travels_again",
        "resume::one_big_file_goes_on_in_the_middle",
        "transaction::several_pushes_between_prepare_and_complete_are_one_snapshot",
    ];
    again(SERVER, &tests);
}
