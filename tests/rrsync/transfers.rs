//! Real transfers by a real client through both programs. What is compared: the client's exit, the directory, what the client got,
//! and that nothing outside was touched.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::both::{Program, Tree, compared, each};
use crate::differences;

/// Flags, and a client's words with `|` between them.
const CASES: &[(&str, &str)] = &[
    // Pushes: where to.
    ("", "-a|local/|h:dst/"),
    ("", "-a|local/|h:dst"),
    ("", "-a|local/|h:"),
    ("", "-a|local/|h:/"),
    ("", "-a|local/|h:."),
    ("", "-a|local|h:dst"),
    ("", "-a|local/|h:new"),
    ("", "-a|local/|h:new/"),
    ("", "-a|local/|h:/new/"),
    ("", "-a|local/|h:deep/er/new"),
    ("", "-a|local/|h:x/y/z/"),
    ("", "-a|--mkpath|local/|h:x/y/z/"),
    ("", "-a|--mkpath|local/f|h:x/y/z"),
    ("", "-a|local/f|h:newname"),
    ("", "-a|local/f|h:top"),
    ("", "-a|local/f|h:dst/old"),
    ("", "-a|local/f|h:dst"),
    ("", "-a|local/f|h:top/"),
    ("", "-a|local/f|h:tofile"),
    ("", "-a|local/f|h:dangling"),
    ("", "-a|local/|h:inside/"),
    ("", "-a|local/|h:absolute/"),
    ("", "-a|local/|h:inside"),
    ("", "-a|local/|h:out/"),
    ("", "-a|local/|h:out"),
    ("", "-a|local/f|h:out/f"),
    ("", "-a|local/|h:$TREE/outside/"),
    ("-absolute", "-a|local/|h:$TREE/dir/dst/"),
    ("", "-a|local/|h:dst/../new/"),
    ("", "-a|local/|h:new place/"),
    ("", "-a|--old-args|local/|h:new place/"),
    ("", "-a|local/|h:new\nplace/"),
    ("", "-a|local/|h:new\u{a0}place/"),
    ("", "-a|local/|h:what's [this]*?/"),
    ("", "-a|local/|h:ds?/"),
    ("", "-a|local/|h:ds\\?/"),
    ("", "-aR|local/./sub/g|h:dst"),
    ("", "-aR|local/sub/|h:new/"),
    // Pushes: how.
    ("", "-a|--delete|local/|h:dst/"),
    ("", "-rt|local/|h:dst/"),
    ("", "-az|local/|h:dst/"),
    ("", "-aHAX|--numeric-ids|local/|h:dst/"),
    ("", "-avvvi|--stats|local/|h:dst/"),
    ("", "-an|local/|h:new/"),
    ("", "-a|--inplace|local/|h:dst/"),
    ("", "-a|--append|local/|h:dst/"),
    ("", "-ac|local/|h:dst/"),
    ("", "-au|local/|h:dst/"),
    ("", "-a|--existing|local/|h:dst/"),
    ("", "-a|--max-size=1|local/|h:dst/"),
    ("", "-a|--delay-updates|local/|h:dst/"),
    ("", "-a|--partial-dir=.p|local/|h:dst/"),
    ("", "-a|--partial-dir=p/q|local/|h:dst/"),
    ("", "-a|--temp-dir=deep|local/|h:dst/"),
    ("", "-a|--temp-dir=missing|local/|h:dst/"),
    ("", "-ab|local/f|h:dst/"),
    ("", "-ab|--backup-dir=bak|local/top|local/f|h:"),
    ("", "-ab|--backup-dir=bak/of/today|--delete|local/|h:dst/"),
    ("", "-ab|--backup-dir=../bak|--delete|local/|h:dst/"),
    ("", "-a|--link-dest=prev|local/|h:new/"),
    ("", "-a|--link-dest=/prev|local/|h:new/"),
    ("", "-a|--link-dest=../prev|local/|h:new/"),
    ("", "-a|--link-dest=$TREE/dir/prev|local/|h:new/"),
    ("", "-a|--link-dest=missing|local/|h:new/"),
    ("", "-a|--link-dest=../outside|local/|h:new/"),
    ("", "-a|--link-dest=../../outside|local/|h:new/"),
    ("", "-a|--copy-dest=prev|local/|h:new/"),
    ("", "-a|--compare-dest=prev|local/|h:new/"),
    ("", "-a|-M--log-file=new.log|-n|local/|h:dst/"),
    ("", "-a|--remove-source-files|local/|h:dst/"),
    ("", "-a|fifo/|h:dst/"),
    ("", "-aK|local/|h:dst/"),
    ("", "-as|local/|h:dst/"),
    ("", "-as|local/|h:it's \"a\"\nnew place/"),
    ("", "-as|local/|h:../outside/"),
    ("", "-as|h:src/*.c|got/"),
    ("", "-as|h:src/with space/f|got/"),
    ("", "-as|h:out/f|got/"),
    ("-wo", "-a|local/|h:dst/"),
    ("-ro", "-a|local/|h:dst/"),
    ("-munge", "-a|links/|h:dst/"),
    ("-no-del", "-a|--delete|local/|h:dst/"),
    ("-no-del", "-a|local/|h:dst/"),
    ("-no-del", "-a|--force|clash/|h:dst/"),
    ("-no-overwrite", "-a|local/|h:dst/"),
    ("-no-overwrite", "-a|local/f|h:top"),
    ("-no-overwrite", "-a|clash/|h:dst/"),
    ("-no-overwrite", "-a|--delete|local/|h:dst/"),
    ("-no-lock", "-a|local/|h:dst/"),
    // Pulls: from where.
    ("", "-a|h:src/|got/"),
    ("", "-a|h:src|got/"),
    ("", "-a|h:|got/"),
    ("", "-a|h:/|got/"),
    ("", "-a|h:.|got/"),
    ("", "-a|h:*|got/"),
    ("", "-a|h:src/*|got/"),
    ("", "-a|h:src/.*|got/"),
    ("", "-a|h:s*/[ab]*|got/"),
    ("", "-a|h:src/sp*/|got/"),
    ("", "-a|h:src/sp ace/|got/"),
    ("", "-a|h:src/a|:src/b.txt|:top|got/"),
    ("", "-a|--old-args|h:src/a src/b.txt|got/"),
    ("", "-aR|h:src/sub/c|got/"),
    ("", "-aR|h:src/./sub/|:deep/./er|got/"),
    ("", "-aR|h:src/*/c|got/"),
    ("", "-a|h:missing|got/"),
    ("", "-a|h:src/a|:missing|got/"),
    ("", "-a|h:tofile|got/"),
    ("", "-a|h:dangling|got/"),
    ("", "-a|h:inside|got/"),
    ("", "-a|h:inside/|got/"),
    ("", "-a|h:absolute/|got/"),
    ("", "-a|h:out|got/"),
    ("", "-a|h:out/|got/"),
    ("", "-a|h:out/secret|got/"),
    ("", "-a|h:*/secret|got/"),
    ("", "-a|h:$TREE/outside/secret|got/"),
    ("-absolute", "-a|h:$TREE/dir/src/|got/"),
    ("-absolute", "-a|h:$TREE/dir|got/"),
    // Pulls: how.
    ("", "-aL|h:src/|got/"),
    ("", "-rt|h:src/|got/"),
    ("", "-d|h:src/|got/"),
    ("", "-az|h:src/|got/"),
    ("", "-aHAX|h:src/|got/"),
    ("", "-a|--list-only|h:src/"),
    ("", "-a|--files-from=:list|h:src|got/"),
    ("", "-a|--files-from=$TREE/dir/list|h:src|got/"),
    ("", "-a|--files-from=$TREE/escape|h:src|got/"),
    ("", "-a|--files-from=:bad|h:src|got/"),
    ("", "-a|--remove-source-files|h:src/|got/"),
    ("", "-a|--exclude=sub|h:src/|got/"),
    ("", "-a|--filter=merge,r $TREE/outside/secret|h:src/|got/"),
    ("", "-a|--filter=dir-merge /../../outside/secret|h:src/|got/"),
    ("-ro", "-a|h:src/|got/"),
    ("-ro", "-a|--remove-source-files|h:src/|got/"),
    ("-wo", "-a|h:src/|got/"),
    ("-munge", "-a|h:|got/"),
    ("-no-lock", "-a|h:src/|got/"),
];

/// What is compared of a case.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    exit: String,
    dir: BTreeMap<String, String>,
    got: BTreeMap<String, String>,
    listed: String,
}

/// 2020-01-01 in days, which everything in a tree is of that nobody has touched.
const AGED: &str = "18262";

fn see(program: Program, flags: &str, words: &str) -> Seen {
    let tree = Tree::aged();
    // Nothing that is there already looks like it.
    fs::write(tree.at("local/f"), "newer than what is there").unwrap();
    fs::write(tree.at("escape"), "../../outside/secret\na\n../out/secret\n").unwrap();
    fs::write(tree.at("dir/bad"), "../../outside/secret\n../../outside/none\n../out/secret\na\n").unwrap();
    fs::create_dir_all(tree.at("links")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", tree.at("links/l")).unwrap();
    fs::create_dir_all(tree.at("clash/old")).unwrap();
    fs::create_dir_all(tree.at("fifo")).unwrap();
    assert!(Command::new("mkfifo").arg(tree.at("fifo/p")).status().unwrap().success());
    let outside = tree.listing("outside");
    let output = tree.rsync(program, flags, words).output().unwrap();
    assert_eq!(tree.listing("outside"), outside, "{program:?} changed something outside: {words}");
    // A fault of its own is no refusal (sysexits.h: `EX_SOFTWARE`, `EX_CONFIG`).
    let fault = program == Program::Ours && matches!(output.status.code(), Some(70 | 78));
    assert!(!fault, "{words}: {output:?}");
    let exit = match output.status.code() {
        // The client has its ssh's status, or says that the line broke, whichever came first.
        Some(1 | 12 | 64..=78) => "refused".to_owned(),
        Some(code) => format!("ends with {code}"),
        None => "is killed".to_owned(),
    };
    let listed = if words.contains("--list-only") { String::from_utf8_lossy(&output.stdout).into_owned() } else { String::new() };
    let mut dir = tree.listing("dir");
    // Its lines have the time in them.
    dir.entry("new.log".to_owned()).and_modify(|what| "a log".clone_into(what));
    Seen { exit, dir, got: tree.listing("got"), listed }
}

/// What each has that the other has not: how it ended, and what is on the disk, of DIR and at the client.
fn only(these: &Seen, those: &Seen) -> String {
    let lines = |seen: &Seen| {
        let mut lines: Vec<_> = seen.listed.lines().map(|line| format!("lists {line}")).collect();
        for (place, listing) in [("dir", &seen.dir), ("got", &seen.got)] {
            lines.extend(listing.iter().map(|(name, what)| format!("{place}/{} {}", name.escape_debug(), told(what))));
        }
        lines
    };
    let those = lines(those);
    let mine = lines(these).into_iter().filter(|line| !those.contains(line));
    let mine: Vec<_> = [these.exit.clone()].into_iter().chain(mine).collect();
    mine.join("; ")
}

/// What a listing says of a name, without modes, which the umask decides, and with the day that all trees have left out.
fn told(what: &str) -> String {
    let (_, rest) = what.split_once(' ').unwrap_or_default();
    match rest.split_once(' ') {
        Some((day, rest)) if day.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{rest}{}", if day == AGED { "" } else { " of another day" })
        }
        _ => rest.to_owned(),
    }
}

#[test]
fn every_transfer_ends_as_through_rrsync_or_the_difference_is_listed() {
    if !compared("transfers through both programs") {
        return;
    }
    let found = each(CASES, |(flags, words)| (see(Program::Theirs, flags, words), see(Program::Ours, flags, words)));
    let mut different = Vec::new();
    for ((flags, words), (theirs, ours)) in CASES.iter().zip(found) {
        if theirs != ours {
            let flags = if flags.is_empty() { String::new() } else { format!("[{flags}] ") };
            different.push((format!("{flags}{words}"), only(&theirs, &ours), only(&ours, &theirs)));
        }
    }
    differences::transfers_are_listed(&different);
}
