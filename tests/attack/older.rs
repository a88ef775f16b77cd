//! The same attacks on a server with rsync 3.2.7, which has no `--drop-D`, `--confine-root` or `--insecure-links` and looks at less of
//! what it is told: the view, the jail and the filter have to hold without its help. Nothing may differ there either; how some
//! attacks end does, and is said here. `SERVER_RSYNC` names the server's rsync (`tests/support/older.rs`).

use crate::lab::Row;
use support::is_root;
use support::versions::{USUAL, again, old_server};

/// A table, an ending, and the cases that end so with 3.2.7. A case without its protocol means all of that name.
type Ending = (&'static str, &'static str, &'static [&'static str]);

const BY_A_PATH_UP: [&str; 3] =
    ["a basis by a path up", "a basis by a path up from the snapshot", "the first basis, which has no such file"];

const ENDINGS: [Ending; 19] = [
    // It takes a basis by whatever name it is told, as 3.5.0 does not. What that names is not to be seen, so the file is not what
    // the sender said, and is left out.
    (
        "forged bases",
        "rsync 23 unpublished",
        &[
            "the file itself, which is not there",
            "the partial file, which is not there",
            "the backup",
            "a similar file, by a path up",
            "a similar file, by a path up from a directory",
            "a similar file, by an absolute path",
            "a file similar to one of the snapshot, by a path up",
            "a file similar to one of the snapshot, by another path up",
            "the snapshot",
            "the snapshot, with a name",
            "a similar file of the older snapshot",
            "a file of the system",
            "a device",
        ],
    ),
    ("after an interrupted push", "rsync 23 unpublished", &BY_A_PATH_UP),
    ("by themselves", "rsync 23 unpublished", &BY_A_PATH_UP),
    ("twice", "rsync 23 unpublished", &BY_A_PATH_UP),
    ("in a transaction", "rsync 23; complete: published (rsync 65): a=644 d/ d/b=640 d/z=644 sent=644", &BY_A_PATH_UP),
    // Without `--drop-D` it makes FIFOs and sockets, and fails at devices, for which the jail has no right.
    ("kinds and figures", "published: new!", &["a FIFO", "a socket"]),
    ("kinds and figures", "rsync 23 unpublished", &["a character device [29]", "a block device"]),
    ("odd sources", "published: a=644*2 d/ d/b=600*3 fifo!", &["a FIFO"]),
    ("odd sources", "published: a=644*2 d/ d/b=600*3 socket!", &["a socket"]),
    ("odd sources", "published (rsync 23): a=644*2 d/ d/b=600*3", &["a device"]),
    ("names", "rsync 23 unpublished", &["a file called dot"]),
    ("names", "published (rsync 23): a=777", &["a link called dot"]),
    ("behind a link", "rsync 12", &["a list for each of two directories of one name"]),
    // Figures that it finds wrong elsewhere, or with other words.
    ("attributes and access lists", "rsync 11", &["a value of two gigabytes"]),
    ("items that cannot be", "rsync 22 limit", &["an attribute of two gigabytes"]),
    ("blocks", "rsync 2", &["a run of two gigabytes"]),
    ("garbage", "rsync 2", &["garbage 1, MidFile [29]"]),
    ("data without end", "rsync 12", &["words"]),
    ("messages", "rsync 12", &["an error in words"]),
];

fn is(case: &str, named: &str) -> bool {
    case.strip_prefix(named).is_some_and(|rest| rest.is_empty() || rest.starts_with(" ["))
}

/// Takes over how a row ends with the server's rsync. Of releases that nobody wrote down every ending is as good as
/// another, as long as there is one: that nothing has changed is what counts.
pub(crate) fn with_the_server_s(what: &str, row: &mut Row) {
    match old_server() {
        None => (),
        Some(USUAL) => {
            let known = ENDINGS.iter().find(|(table, _, cases)| *table == what && cases.iter().any(|named| is(&row.case, named)));
            // An ordinary account's rsync leaves devices out without a word.
            let known = known.filter(|(table, _, cases)| is_root() || (*table, *cases) != ("odd sources", &["a device"][..]));
            if let Some((_, ending, _)) = known {
                (*ending).clone_into(&mut row.expected);
            }
        }
        Some(_) if !row.found.starts_with("it hangs") => row.expected.clone_from(&row.found),
        Some(_) => (),
    }
}

/// The attacks that lean on what 3.5.0 looks at by itself, once more without it.
#[test]
fn no_lie_changes_history_with_rsync_3_2_7() {
    let tests = [
        "clients::one_push_changes_nothing_in_history",
        "items::groups_of_hard_links_that_do_not_fit_share_nothing_with_history",
        "items::no_forged_basis_reads_what_the_push_may_not_see",
        "kinds::names_lead_nowhere_else",
        "lists::nothing_behind_a_link_is_touched",
        "reports::content_sent_behind_a_link_lands_nowhere",
        "reports::reports_that_nobody_asked_for_change_nothing",
        "sources::odd_sources_change_nothing_in_history",
    ];
    again(support::versions::SERVER, &tests);
}
