//! Servers and clients of other releases. The tests named here are others', run once more with rsync 3.2.7 on one side; `make hostile`
//! runs more of them, with more releases.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use support::facts::{History, Reads};
use support::processes::of;
use support::versions::{CLIENT, SERVER, again, server, version};
use support::{Gate, POLICY, Ran, must, run, skip};

#[test]
fn pushes_and_history_are_the_same_on_a_server_with_rsync_3_2_7() {
    let tests = [
        "history::a_planted_link_never_leads_a_push_into_history",
        "history::no_push_changes_an_older_snapshot",
        "history::no_push_of_a_transaction_changes_an_older_snapshot",
        "history::no_push_that_was_cut_off_and_begun_again_changes_an_older_snapshot",
        "history::unchanged_files_are_linked_in_the_jail_and_it_is_told_when_they_are_not",
        "older::the_server_s_rsync_is_the_one_that_is_named",
        "options::a_letter_that_is_accepted_does_what_it_means",
        "options::neutral::all_of_them_at_once_are_neutral",
        "said::a_push_that_went_well_is_nobody_s_trouble_however_much_rsync_says_of_it",
        "said::a_real_complaint_is_told_among_thousands_of_names_that_look_like_one",
        "secluded::a_real_client_reaches_a_place_of_any_name_and_finds_its_files_linked_the_next_time",
    ];
    again(SERVER, &tests);
}

#[test]
fn pushes_and_history_are_the_same_for_a_client_with_rsync_3_2_7() {
    let tests = [
        "history::a_planted_link_never_leads_a_push_into_history",
        "history::no_push_changes_an_older_snapshot",
        "history::no_push_that_was_cut_off_and_begun_again_changes_an_older_snapshot",
        "options::neutral::all_of_them_at_once_are_neutral",
        "secluded::a_real_client_reaches_a_place_of_any_name_and_finds_its_files_linked_the_next_time",
        "secluded::every_way_in_which_clients_turn_it_on_works",
    ];
    again(CLIENT, &tests);
}

/// That the tests above are not by mistake done with the machine's own.
#[test]
fn the_server_s_rsync_is_the_one_that_is_named() {
    let gate = Gate::new();
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    gate.push(&source, &[]).exits(0);
    let program = server().unwrap_or_else(|| "/usr/bin/rsync".into());
    let remembered = fs::read_to_string(gate.inside(".snapgate/rsync.json")).unwrap();
    let version = version(&program).unwrap();
    assert!(remembered.contains(&format!("[{},{},{}]", version.0, version.1, version.2)), "{remembered}");
    let inode = fs::metadata(program).unwrap().ino();
    assert!(remembered.contains(&format!("\"inode\":{inode},")), "{remembered}");
}

/// Pushes of a client, each compared with the source and with history: the first, the same again, one with changes.
fn three_pushes(gate: &Gate, source: &Path, push: impl Fn() -> Ran) {
    fs::create_dir(source.join("sub")).unwrap();
    for (name, text) in [("kept", "the same in every push\n"), ("changing", "first\n"), ("sub/mode", "its mode changes\n"), ("gone", "x")] {
        fs::write(source.join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("kept", source.join("link")).unwrap();
    must(Command::new("find").arg(source).args(["-depth", "-exec", "touch", "-h", "-d", "2026-01-01 10:00", "{}", "+"]));
    let mut history = History::default();
    for links in 1..=3 {
        if links == 3 {
            fs::write(source.join("changing"), "second, and longer\n").unwrap();
            must(Command::new("chmod").arg("600").arg(source.join("sub/mode")));
            fs::remove_file(source.join("gone")).unwrap();
            // Protocols before 31 have whole seconds only.
            must(Command::new("touch").args(["-d", "2026-02-01"]).arg(source.join("changing")).arg(source).arg(source.join("sub")));
        }
        let ran = push();
        assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
        // Not every client waits for the server's end.
        support::until("the gate is done", || gate.snapshots().len() == links && of(gate.path(), "snapgate-shell").is_empty());
        assert_eq!(history.changes(gate, Reads::Files), [""; 0]);
        let differs = must(Command::new("rsync").args(["-an", "--delete", "-i"]).arg(format!("{}/", source.display())).arg(gate.newest()));
        assert_eq!(differs, "");
        assert_eq!(fs::metadata(gate.newest().join("kept")).unwrap().nlink(), u64::try_from(links).unwrap(), "it was not linked");
    }
}

/// openrsync itself is not in the tests: these are its words (`tests/captures/openrsync.jsonl`), and its protocol by rsync.
#[test]
fn the_words_and_the_protocol_of_openrsync_make_the_same_snapshots() {
    let captures = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/openrsync.jsonl")).unwrap();
    for (options, words) in [
        ("-a", "rsync --server -g -l -o -p -D -r -t . ."),
        ("-az --delete-before", "rsync --server --delete-before -g -l -o -p -D -r -t -z . dst/"),
        ("-aH --numeric-ids", "rsync --server --numeric-ids -g -l -o -p -D -r -t -H . dst/"),
    ] {
        assert!(captures.contains(&format!("\"{words}\"")), "{words}");
        let gate = Gate::with("", POLICY);
        let source = gate.source("data");
        let words = words.replace("dst/", ".");
        gate.write("as-openrsync", &format!("set -- x '{words}'\n. $DIR/ssh\n"));
        let shell = format!("/bin/sh {}/as-openrsync", gate.path().display());
        let from = format!("{}/", source.display());
        three_pushes(&gate, &source, || {
            let mut command = Command::new(support::versions::client());
            run(command.args(["-e", &shell, "--protocol=27"]).args(options.split(' ')).args([from.as_str(), "backup:"]))
        });
        assert!(gate.ledger().iter().all(|record| record.command == words), "{words}");
    }
}

/// A client that was not made from rsync's source.
#[test]
fn a_client_that_is_another_program_makes_the_same_snapshots() {
    let program = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/rsync/gokr/rsync"));
    if !program.exists() {
        return skip("it is not in target/rsync: `make hostile` puts it there where root and apt can");
    }
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    let shell = format!("/bin/sh {}/ssh", gate.path().display());
    let from = format!("{}/", source.display());
    three_pushes(&gate, &source, || run(Command::new(program).args(["-a", "-e", &shell, &from, "backup:."])));
}
