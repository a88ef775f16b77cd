//! What servers of several releases have written, and what it amounts to.

use super::*;

/// Logs of pushes, each behind a line with its kind, rsync's status and the options. Some names
/// look like errors, and one holds a line break and the beginning of a message. `first` has nothing
/// to compare with, `again` has, and in `failing` the server's rsync may not write everywhere.
const PRINTED: [(&str, &str); 3] = [
    ("3.2.3", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/said/rsync-3.2.3.log"))),
    ("3.2.7", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/said/rsync-3.2.7.log"))),
    ("3.5.0", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/said/rsync-3.5.0.log"))),
];

const DATE_AND_PROCESS: &str = "2026/11/21 09:12:02 [2735] ";

fn read(log: &[u8], status: i32) -> Words {
    let mut reader = Reader::new(Ended::Exit(status));
    reader.feed(log);
    reader.end()
}

fn logged(messages: &[&str], status: i32) -> Words {
    let log: String = messages.iter().map(|message| format!("{DATE_AND_PROCESS}{message}\n")).collect();
    read(log.as_bytes(), status)
}

/// Each push of a release: its kind, its status, its options and its log.
fn pushes(text: &str) -> Vec<(&str, i32, &str, &str)> {
    let parts = text.split("# ").filter(|part| part.starts_with("first ") || part.starts_with("again ") || part.starts_with("failing "));
    parts
        .map(|part| {
            let (head, log) = part.split_once('\n').unwrap();
            let mut words = head.splitn(3, ' ');
            (words.next().unwrap(), words.next().unwrap().parse().unwrap(), words.next().unwrap(), log)
        })
        .collect()
}

#[test]
fn nothing_that_rsync_says_of_a_push_that_went_well_is_a_complaint_whatever_files_are_called() {
    for (release, text) in PRINTED {
        let pushes = pushes(text);
        assert_eq!(pushes.len(), 8, "{release}");
        for (what, status, options, log) in pushes {
            let words = read(log.as_bytes(), status);
            assert_eq!(words.complaints.is_empty(), status == 0, "{release} {what} {options}: {words:#?}");
            assert_eq!(words.wire_bytes.is_some(), status == 0, "{release} {what} {options}");
            if release == "3.5.0" {
                assert_eq!(words.skipped, 3, "{release} {what} {options}");
            }
        }
    }
}

#[test]
fn every_error_of_a_push_that_did_not_go_well_is_a_complaint_and_names_beside_it_are_not() {
    for (release, text) in PRINTED {
        for (_, status, options, log) in pushes(text).into_iter().filter(|push| push.0 == "failing") {
            assert_eq!(status, 23);
            let words = read(log.as_bytes(), status);
            let has = |text: &str| words.complaints.iter().any(|line| line.contains(text));
            assert!(has("mkstemp \"/w/dst/sub/.b.") && has("could not make way for new regular file: new"), "{release}: {words:#?}");
            assert!(has("failed to set permissions on \"/w/dst/sub\""), "{release}: {words:#?}");
            // A FIFO is named with nothing beside it by releases that store FIFOs.
            let forged = usize::from(release != "3.5.0" && options == "-avv");
            assert_eq!((words.complaints.len(), words.more), (4 + forged, 0), "{release} {options}: {words:#?}");
        }
    }
}

#[test]
fn an_error_that_rsync_goes_on_after_is_a_complaint_even_where_all_went_well() {
    for text in [
        "rsync: [generator] failed to open \"/b/x\", continuing: Permission denied (13)",
        "rsync: failed to open \"/b/x\", continuing: Permission denied (13)",
        "rsync: [receiver] do_fallocate \"/r/x\": Operation not supported (95)",
        "--link-dest arg does not exist: /b",
        "do_chmod: no symlink-safe chmod for \"x\"; mode not set",
        "Unable to create partial-dir for x -- discarding completed file.",
    ] {
        for status in [0, VANISHED, 23, 12] {
            assert_eq!(logged(&[text], status).complaints, [text], "{status}");
        }
    }
}

#[test]
fn an_error_of_each_kind_is_a_complaint_where_it_did_not_end_well_and_else_is_a_name() {
    for text in [
        "rsync: [receiver] write failed on \"/r/x\": No space left on device (28)",
        "rsync: [receiver] symlink \"/r/x\" -> \"y\" failed: Permission denied (13)",
        "rsync: write failed on \"/r/x\": No space left on device (28)",
        "rsync: connection unexpectedly closed (24 bytes received so far) [receiver]",
        "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1338) [receiver=3.2.7]",
        "[generator] io timeout after 600 seconds -- exiting",
        "[Receiver] cannot convert filename: x (Invalid argument)",
        "[receiver] out of memory: receive_sums (file=io.c, line=1)",
        "ERROR: x failed verification -- update discarded.",
        "IO error encountered -- skipping file deletion",
        "Invalid file index: 7 (0 - 2) [receiver]",
        "could not make way for new symlink: x",
        "recv_files: \"/r/x\" is a directory",
        "inflate returned -3 (12 bytes)",
    ] {
        assert_eq!(logged(&[text], 23).complaints, [text]);
        assert_eq!(logged(&[text], 0).complaints, [""; 0], "{text}");
    }
}

#[test]
fn what_rsync_notes_is_no_complaint_however_it_ends() {
    let short = [
        "./", "a/", "a", "a -> b", "a => b", "a is uptodate", "deleting a", "deleting a/", "delta-transmission enabled",
        "receiving file list", "received 3 names", "recv_file_list done", ">f+++++++++ a", "cd+++++++++ a/", "*deleting   a", "a exists",
        "a is newer", "a is over max-size", "The notes/", "The notes exists", "rsync: [receiver] a -> (13)", "backed up a to b",
        "fuzzy basis selected for a: b", "total: matches=0  hash_hits=0", "recv_generator(a,1)", "recv_files(a)", "rsync-backup/", "",
    ];
    let long = [
        "delta-transmission disabled for local transfer or --whole-file",
        "rsync: a failed: Permission denied (13)/",
        "rsync: a failed: Permission denied (13) is uptodate",
        "ignoring unsafe symlink \"a\" -> \"/b\"",
        "[generator] receiving flist for dir 1",
        "[generator] hiding file a because of pattern a",
        "cannot delete non-empty directory: a",
        "the server negotiated something that nobody knows yet",
    ];
    for text in short.into_iter().chain(long) {
        for status in [0, VANISHED, 23] {
            assert_eq!(logged(&[text], status), Words::default(), "{status}: {text}");
        }
    }
    let again = "WARNING: a failed verification -- update put into partial-dir (will try again).";
    assert_eq!(logged(&[again], 0), Words::default());
}

#[test]
fn what_was_skipped_is_counted_and_the_bytes_on_the_wire_are_known() {
    let words = logged(
        &[
            "receiving file list",
            "skipping non-regular file \"ff\"",
            "skipping non-regular file \"a \"quoted\" one\"",
            "skipping socket (creation unsupported here): \"/r/s\"",
            "skipping non-regular file \"x/",
            "sent 86 bytes  received 1,191 bytes  total size 10",
        ],
        0,
    );
    assert_eq!(words, Words { skipped: 3, wire_bytes: Some(1191), total_bytes: Some(10), ..Words::default() });
}

/// rsync cuts what it says, the end of the line too.
#[test]
fn a_complaint_behind_a_message_whose_end_was_cut_is_heard() {
    let (name, error) = ("n".repeat(2047), "rsync: [receiver] mkstemp \"/r/x\" failed: Permission denied (13)");
    let log = format!("{DATE_AND_PROCESS}{name}{DATE_AND_PROCESS}{name}{DATE_AND_PROCESS}{error}\n");
    assert_eq!(read(log.as_bytes(), 23).complaints, [error]);
    let cut = format!("rsync: [receiver] mkstemp \"/r/{name}");
    let log = format!("{DATE_AND_PROCESS}{cut}{DATE_AND_PROCESS}{error}\n");
    let complaints = read(log.as_bytes(), 23).complaints;
    assert!(complaints.len() == 2 && complaints[1] == error, "{complaints:?}");
}

#[test]
fn a_name_that_holds_the_beginning_of_a_message_says_nothing_where_all_went_well() {
    let name = format!("{DATE_AND_PROCESS}--link-dest arg ");
    let text = format!("skipping non-regular file \"{name}\"");
    assert_eq!(logged(&[&text, &name, &format!("{name}/")], 0), Words { skipped: 1, ..logged(&[&name], 0) });
    let cut = "n".repeat(CUT);
    let log = format!("{DATE_AND_PROCESS}{cut}{DATE_AND_PROCESS}--link-dest arg does not exist: /b\n");
    assert_eq!(read(log.as_bytes(), 0).complaints, ["--link-dest arg does not exist: /b"]);
}

#[test]
fn a_name_with_lines_of_its_own_hides_no_complaint() {
    let error = "rsync: [receiver] mkstemp \"/r/a\nb\" failed: Permission denied (13)";
    assert_eq!(logged(&[error, "d\ne/"], 23).complaints, [error.replace('\n', "\\n")]);
}

#[test]
fn a_log_is_read_the_same_in_pieces_of_any_length() {
    let long = "x".repeat(3 * MAX_MESSAGE);
    let error = "rsync: [receiver] mkstemp \"/r/x\" failed: Permission denied (13)";
    let mut logs: Vec<_> = PRINTED.iter().map(|(_, text)| (*text).to_owned()).collect();
    logs.push(format!("{DATE_AND_PROCESS}{long}{DATE_AND_PROCESS}{error}\n"));
    for log in logs {
        let whole = read(log.as_bytes(), 23);
        assert!(!whole.complaints.is_empty());
        for length in [7, 29, 30, 31, 1024, MAX_MESSAGE + 1] {
            let mut reader = Reader::new(Ended::Exit(23));
            log.as_bytes().chunks(length).for_each(|piece| reader.feed(piece));
            assert!(reader.rest.len() <= 2 * MAX_MESSAGE + 1);
            assert_eq!(reader.end(), whole, "{length}");
        }
    }
}

/// A search from the beginning for each piece would take thousands of times as long.
#[test]
fn ends_of_lines_without_number_cost_no_more_than_other_bytes() {
    let begun = std::time::Instant::now();
    let mut reader = Reader::new(Ended::Exit(0));
    (0..4 << 20).for_each(|_| reader.feed(b"\n"));
    assert_eq!(reader.end(), Words::default());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn no_number_of_complaints_hides_the_first_or_the_last() {
    let errors: Vec<_> = (0..100).map(|number| format!("rsync: [receiver] open \"{number}\" failed: Permission denied (13)")).collect();
    let words = logged(&errors.iter().map(String::as_str).collect::<Vec<_>>(), 23);
    assert_eq!((words.complaints.len(), words.more), (MAX_LOG_LINES, 100 - u64::try_from(MAX_LOG_LINES).unwrap()));
    assert!(words.complaints[0].contains("\"0\"") && words.complaints[MAX_LOG_LINES - 1].contains("\"99\""), "{words:?}");
    let report: Vec<_> = words.report().collect();
    assert_eq!(report.len(), MAX_LOG_LINES + 1);
    assert_eq!((report[0].as_str(), report[MAX_LOG_LINES / 2].as_str()), (errors[0].as_str(), "rsync: 88 more complaints"));
}

#[test]
fn a_complaint_is_quoted_as_rsync_s() {
    let report = |text| logged(&[text], 23).report().collect::<Vec<_>>();
    assert_eq!(report("could not make way for new symlink: x"), ["rsync: could not make way for new symlink: x"]);
    assert_eq!(report("rsync: [receiver] x: y (13)"), ["rsync: [receiver] x: y (13)"]);
}

#[test]
fn a_file_that_the_kernel_would_not_let_grow_is_known_whatever_its_name() {
    let text = |name: &str| format!("rsync: [receiver] write failed on \"{name}\": File too large (27)");
    for name in ["/r/x", "/r/\u{1b}", &"deep/".repeat(900)] {
        assert!(logged(&[&text(name)], 11).file_too_large);
    }
    assert!(!logged(&["rsync: [receiver] write failed on \"/r\": No space left on device (28)"], 11).file_too_large);
    assert!(!logged(&["a: File too large (27)"], 11).file_too_large, "a name");
}

#[test]
fn what_the_disk_had_no_more_of_is_known() {
    let lack = |text: &str| logged(&[text], 11).lack;
    assert_eq!(lack("rsync: [receiver] write failed on \"/stage/m35\": Disk quota exceeded (122)"), Some(Lack::Quota));
    assert_eq!(lack("rsync: [generator] recv_generator: mkdir \"/stage/d\" failed: No space left on device (28)"), Some(Lack::Room));
    assert_eq!((lack("a: Disk quota exceeded (122)"), lack("rsync: [receiver] x: Permission denied (13)")), (None, None));
}

#[test]
fn a_log_full_of_anything_is_read_without_harm() {
    let mut log = b"2026/11/21 09:12:02 [1] rsync: \x1b[31mred\xff\n".repeat(1000);
    log.extend(b"[[]]\n]\n[\n2026/11/21 09:12:02 []\n2026/11/21 09:12:02 [1]");
    log.extend([b'['; 100]);
    let words = read(&log, 12);
    assert_eq!(words.complaints.len(), MAX_LOG_LINES);
    assert!(words.complaints.iter().take(MAX_LOG_LINES - 1).all(|line| line == "rsync: \\u{1b}[31mred\\xff"), "{words:?}");
}
