//! Command lines as sshd hands them over: the captured ones of every client, and hostile ones. Nobody speaks the protocol; what is
//! compared is whether rsync is run, and whether it takes its options.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::both::{Program, Said, Tree, compared, each};
use crate::differences::{self, Line};

/// The captures write a byte that is not UTF-8 as a lone surrogate, which JSON readers refuse; this stands for it meanwhile.
const FOREIGN_BYTE: char = '\u{f8ff}';

/// Flags, and a command, that no capture holds.
const MORE: &[(&str, &str)] = &[
    // Other things than transfers.
    ("", "true"),
    ("", "true "),
    ("", "false"),
    ("", "sh -c id"),
    ("", "rsync"),
    ("", "rsync --server"),
    ("", "rsync --server --daemon ."),
    ("", "rsync  --server -r . dst"),
    ("", "rsync -r --server . dst"),
    ("", "rsync --sender --server -r . src"),
    ("", "rsync --server -r --sender . src"),
    ("", "/usr/bin/rsync --server -r . dst"),
    ("", "sudo rsync --server -r . dst"),
    ("-ro", "rsync --server -r . dst"),
    ("-ro", "rsync --server --sender -r . src"),
    ("-wo", "rsync --server -r . dst"),
    ("-wo", "rsync --server --sender -r . src"),
    ("-ro", "true"),
    // Paths.
    ("", "rsync --server -r . ../outside"),
    ("", "rsync --server -r . dst/../../outside"),
    ("", "rsync --server -r . dst/.."),
    ("", "rsync --server -r . /etc"),
    ("", "rsync --server -r . /"),
    ("", "rsync --server -r . $TREE/dir/dst"),
    ("-absolute", "rsync --server -r . $TREE/dir/dst"),
    ("-absolute", "rsync --server -r . $TREE/dir"),
    ("-absolute", "rsync --server -r . $TREE/outside"),
    ("", "rsync --server -r . out"),
    ("", "rsync --server -r . out/"),
    ("", "rsync --server -r . out/in/"),
    ("", "rsync --server -r . inside/"),
    ("", "rsync --server -r . absolute/"),
    ("", "rsync --server -r . dangling"),
    ("", "rsync --server -r . dangling/"),
    ("", "rsync --server -r . top/"),
    ("", "rsync --server -r . deep/er/new/newer"),
    ("", "rsync --server --sender -r . out"),
    ("", "rsync --server --sender -r . out/"),
    ("", "rsync --server --sender -r . out/secret"),
    ("", "rsync --server --sender -r . inside/"),
    ("", "rsync --server --sender -r . absolute/"),
    ("", "rsync --server --sender -r . dangling"),
    ("", "rsync --server --sender -r . tofile"),
    ("", "rsync --server --sender -r . missing"),
    ("", "rsync --server --sender -r . missing/deeper"),
    ("", "rsync --server --sender -r . *"),
    ("", "rsync --server --sender -r . src/* s*/*"),
    ("", "rsync --server --sender -r . ../*"),
    ("", "rsync --server --sender -r . */secret"),
    ("", "rsync --server --sender -lr . src/{a,b.txt}"),
    ("", "rsync --server -r . dst one"),
    ("", "rsync --server -r . d*"),
    ("", "rsync --server -r . it's"),
    ("", "rsync --server -r . d(1)&;|$x`y`"),
    ("", "rsync --server -r . a\\"),
    ("", "rsync --server -r . -dst"),
    ("", "rsync --server -r . ~/dst"),
    ("", "rsync --server -r . new\u{a0}dir/"),
    ("", "rsync --server -r . new\tdir/"),
    ("", "rsync --server -r . new\ndir/"),
    ("", "rsync --server -r . new\\\ndir/"),
    // Options.
    ("", "rsync --server -r --timeout=0 . dst"),
    ("", "rsync --server -r --timeout=60 . dst"),
    ("", "rsync --server -r --timeout 60 . dst"),
    ("", "rsync --server -r --compress-threads=120 . dst"),
    ("", "rsync --server -zr --compress-threads=2 . dst"),
    ("", "rsync --server -r --max-alloc=99T . dst"),
    ("", "rsync --server -r --max-alloc=2G . dst"),
    ("", "rsync --server -r --max-alloc 2G . dst"),
    ("", "rsync --server -r --max-alloc=0 . dst"),
    ("", "rsync --server -r --iconv=ISO-2022-CN-EXT . dst"),
    ("", "rsync --server -r --info=help . dst"),
    ("", "rsync --server -r --use-qsort . dst"),
    ("", "rsync --server -r --qsort . dst"),
    ("", "rsync --server -r --no-relative . dst"),
    ("", "rsync --server -br --suffix=.old . dst"),
    ("", "rsync --server -br --suffix=/../x . dst"),
    ("", "rsync --server -r --log-format=%n . dst"),
    ("", "rsync --server -r --stderr=all . dst"),
    ("", "rsync --server -r --stderr=nonsense . dst"),
    ("", "rsync --server -r --debug=ALL . dst"),
    ("", "rsync --server -r --insecure-links . dst"),
    ("", "rsync --server -r --confine-root=/ . dst"),
    ("", "rsync --server -r --no-munge-links . dst"),
    ("", "rsync --server -r --munge-links . dst"),
    ("", "rsync --server -r --write-devices . dst"),
    ("", "rsync --server -r --copy-devices . dst"),
    ("", "rsync --server -Kr . dst"),
    ("", "rsync --server --sender -Lr . src"),
    ("", "rsync --server --sender -kr . src"),
    ("", "rsync --server --sender -r --copy-unsafe-links . src"),
    ("", "rsync --server -sr . dst"),
    ("", "rsync --server -r --sec . dst"),
    ("", "rsync --server -r --dele . dst"),
    ("", "rsync --server -rZ . dst"),
    ("", "rsync --server -r -e/bin/sh . dst"),
    ("", "rsync --server -logDtpre.iLsfxCIvuZ . dst"),
    ("", "rsync --server -r --rsh=/bin/sh . dst"),
    ("", "rsync --server -r --exclude-from=/etc/passwd . dst"),
    ("", "rsync --server -r -f+_x . dst"),
    ("", "rsync --server -r -T/tmp . dst"),
    ("", "rsync --server -r --temp-dir=deep . dst"),
    ("", "rsync --server -r --temp-dir=missing . dst"),
    ("", "rsync --server -r --temp-dir=out . dst"),
    ("", "rsync --server -r --temp-dir=../outside . dst"),
    ("", "rsync --server -br --backup-dir=out/x . dst"),
    ("", "rsync --server -br --backup-dir=new/est . dst"),
    ("", "rsync --server -br --backup-dir=. . dst"),
    ("", "rsync --server -br --backup-dir=top . dst"),
    ("", "rsync --server -r --partial-dir=out . dst"),
    ("", "rsync --server -r --link-dest=prev . dst"),
    ("", "rsync --server -r --link-dest=../prev . dst"),
    ("", "rsync --server -r --link-dest=../../outside . dst"),
    ("", "rsync --server -r --link-dest=out . dst"),
    ("", "rsync --server -r --link-dest=missing . dst"),
    ("", "rsync --server -r --link-dest=$TREE/dir/prev . dst"),
    ("", "rsync --server -r --log-file=out/log . dst"),
    ("", "rsync --server -r --log-file=my.log . dst"),
    ("-ro", "rsync --server --sender -r --log-file=my.log . src"),
    ("", "rsync --server --sender -r --files-from=list . src"),
    ("", "rsync --server --sender -r --files-from=out/secret . src"),
    ("", "rsync --server --sender -r --files-from=missing . src"),
    ("-wo", "rsync --server -r --files-from=list . dst"),
    ("-wo", "rsync --server -r --files-from=- . dst"),
    // What the flags forbid.
    ("-no-del", "rsync --server -r --delete . dst"),
    ("-no-del", "rsync --server -r --delete-missing-args . dst"),
    ("-no-del", "rsync --server -r --force . dst"),
    ("-no-del", "rsync --server --sender -r --remove-source-files . src"),
    ("-ro", "rsync --server --sender -r --remove-source-files . src"),
    ("", "rsync --server --sender -r --remove-source-files . src"),
    ("-no-overwrite", "rsync --server -r . dst"),
    ("-no-overwrite", "rsync --server -br . dst"),
    ("-no-overwrite", "rsync --server -r --backup . dst"),
    ("-no-overwrite", "rsync --server -r --backup-dir=b . dst"),
    ("-no-overwrite", "rsync --server -r --partial-dir=p . dst"),
    ("-no-overwrite", "rsync --server -r --delay-updates . dst"),
    ("-no-overwrite", "rsync --server -r --log-file=l . dst"),
    ("-no-overwrite", "rsync --server -r --delete . dst"),
    ("-no-overwrite", "rsync --server -r --force . dst"),
    ("-no-overwrite", "rsync --server -r --remove-source-files . dst"),
    ("-munge", "rsync --server -lr . dst"),
    ("-no-lock", "rsync --server -r . dst"),
];

#[derive(serde::Deserialize)]
struct Capture {
    command: String,
}

/// Flags and commands, each once.
fn all() -> Vec<(String, Vec<u8>)> {
    let mut commands = BTreeMap::new();
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    for entry in fs::read_dir(captures).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap().replace("\\udcff", &FOREIGN_BYTE.to_string());
        for line in text.lines() {
            let capture: Capture = serde_json::from_str(line).unwrap();
            commands.insert((String::new(), bytes(&capture.command)), ());
        }
    }
    assert!(commands.len() > 250, "only {} captured lines were found", commands.len());
    for (flags, command) in MORE {
        commands.insert(((*flags).to_owned(), command.as_bytes().to_vec()), ());
    }
    commands.into_keys().collect()
}

fn bytes(command: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in command.chars() {
        if character == FOREIGN_BYTE { bytes.push(0xff) } else { bytes.extend(character.to_string().bytes()) }
    }
    bytes
}

/// Without the numbers of descriptors, and the places in an order that no directory decides.
fn unnumbered(what: &str) -> String {
    let mut words = what.split(' ').map(|word| match word.split_once("/proc/self/fd/") {
        Some((before, after)) => format!("{before}/proc/self/fd/N{}", after.trim_start_matches(|digit: char| digit.is_ascii_digit())),
        None => word.to_owned(),
    });
    let mut text: Vec<_> = words.by_ref().take_while(|word| word != "--").collect();
    let mut places: Vec<_> = words.collect();
    places.sort();
    if !places.is_empty() {
        text.push("--".to_owned());
    }
    text.extend(places);
    text.join(" ")
}

/// What came of a line: the words that rsync is started with, or why it is not, and the status.
fn how(tree: &Tree, said: &Said) -> String {
    let log = tree.log();
    let line = log.lines().next().unwrap_or_default();
    let what = if let Some((_, words)) = line.split_once(" runs: ") {
        format!("runs {words}")
    } else if said.ran {
        // Theirs writes them as Python does.
        let words = line.split_once('(').map_or("", |(_, words)| words.trim_end_matches(')'));
        let words: Vec<_> = words.split(", ").map(|word| word.trim_matches(['\'', ','])).skip(1).collect();
        format!("runs rsync {}", words.join(" "))
    } else {
        // Without the program's own name, which is a path.
        let first = said.stderr.lines().next().unwrap_or_default();
        first.split_once(": ").map_or(first, |(_, words)| words).to_owned()
    };
    let what = unnumbered(&what.replace(tree.path().to_str().unwrap(), "$TREE"));
    format!("{}, {what} (status {})", said.verdict(), said.status)
}

#[test]
fn every_line_is_taken_or_refused_as_by_rrsync_or_the_difference_is_listed() {
    if !compared("lines through both programs") {
        return;
    }
    let all = all();
    let found = each(&all, |(flags, command)| {
        let verdict = |program| {
            let tree = Tree::new();
            let outside = tree.listing("outside");
            let said = tree.say(program, flags, command);
            assert_eq!(tree.listing("outside"), outside, "{program:?} changed something outside: {}", String::from_utf8_lossy(command));
            assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
            (said.verdict(), how(&tree, &said))
        };
        (verdict(Program::Theirs), verdict(Program::Ours))
    });
    let mut different = Vec::new();
    for ((flags, command), (theirs, ours)) in all.iter().zip(found) {
        if theirs.0 != ours.0 {
            let flags = if flags.is_empty() { String::new() } else { format!("[{flags}] ") };
            let name = format!("{flags}{}", snapgate::terms::text::printable_within(command, 200));
            different.push(Line { name, verdicts: (theirs.0, ours.0), how: (theirs.1, ours.1) });
        }
    }
    differences::lines_are_listed(&different);
}
