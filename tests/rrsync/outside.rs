//! What a planted link names outside the directory is the same to a client whether it is there or not: one answer, one exit, one
//! line of log, and the same left behind.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use crate::both::{Program, Tree, compared, each};

/// What the link leads to, from the tree's top: a directory, a file, nothing, and what nobody may enter.
const TARGETS: [&str; 4] = ["outside/in", "outside/secret", "none/at/all", "closed/in"];

/// How the link says it. `@` is the target; the second leads back in, if that is there.
const FORMS: [&str; 2] = ["../@", "$TREE/@/../../dir/src"];

/// Where rsync 3.5.0 tells by itself. The gate does not see these names: they stand in a list that rsync reads, or beneath a
/// directory that it compares with, and no jail of Landlock's keeps it from asking by stat(2).
const TOLD_BY_RSYNC: &[(&str, &str)] = &[
    ("l", "-a|--files-from=:names|h:|got/"),
    ("l", "-a|--files-from=names|h:|got/"),
    ("l", "-a|--no-implied-dirs|--files-from=names|h:|got/"),
    ("l", "-a|--files-from=deep|h:|got/"),
    ("dst/sub", "-aRn|--no-implied-dirs|local/./sub/g|h:dst/"),
    ("prev/sub", "-a|--link-dest=prev|local/|h:dst/"),
    ("prev/sub", "-a|--copy-dest=prev|local/|h:dst/"),
    ("prev/sub", "-a|--compare-dest=prev|local/|h:dst/"),
    ("prev/sub", "-aR|--no-implied-dirs|--compare-dest=prev|local/./sub/g|h:dst/"),
];

/// Where the link is planted, and the words of the client's rsync.
const CASES: &[(&str, &str)] = &[
    // What is pulled.
    ("l", "-a|h:l|got/"),
    ("l", "-r|h:l|got/"),
    ("l", "-d|h:l|got/"),
    ("l", "-a|h:l/|got/"),
    ("l", "-a|h:l/.|got/"),
    ("l", "-d|h:l/|got/"),
    ("l", "-a|h:l/g|got/"),
    ("l", "-a|h:l/g/|got/"),
    ("l", "-a|h:l/none|got/"),
    ("l", "-a|h:src/|:l|got/"),
    ("l", "-a|h:src/|:l/g|got/"),
    ("l", "-a|h:l*|got/"),
    ("l", "-a|h:l*/|got/"),
    ("l", "-a|h:l*/g|got/"),
    ("l", "-a|h:l/*|got/"),
    ("l", "-a|h:*/g|got/"),
    ("l", "-a|h:*/*|got/"),
    ("l", "-aR|h:l|got/"),
    ("l", "-aR|h:l/g|got/"),
    ("l", "-aR|h:l/./g|got/"),
    ("l", "-aR|h:./l/g|got/"),
    ("l", "-aR|--no-implied-dirs|h:l/g|got/"),
    ("l", "-a|--list-only|h:l"),
    ("l", "-a|--list-only|h:l/"),
    ("l", "-aX|h:l|got/"),
    ("l", "-a|--remove-source-files|h:l|got/"),
    ("l", "-a|--remove-source-files|h:l/|got/"),
    ("src/l", "-a|h:src/|got/"),
    ("src/l", "-rt|h:src/|got/"),
    ("src/l", "-a|h:src/*/|got/"),
    ("src/l", "-a|h:src/*/g|got/"),
    ("src/l", "-aR|h:src/./l/g|got/"),
    ("src/l", "-a|h:inside/l/g|got/"),
    // Names in lists and filters, which rsync reads by itself.
    ("l", "-a|--files-from=:names|h:|got/"),
    ("l", "-a|--files-from=names|h:|got/"),
    ("l", "-a|--no-implied-dirs|--files-from=names|h:|got/"),
    ("l", "-a|--files-from=deep|h:|got/"),
    ("l", "-a|--files-from=:l|h:src|got/"),
    ("l", "-a|--files-from=:l/g|h:src|got/"),
    ("l", "-a|--files-from=:dst/../l|h:src|got/"),
    ("src/.rsync-filter", "-aF|h:src/|got/"),
    ("src/.cvsignore", "-aC|h:src/|got/"),
    ("src/l", "-a|--filter=dir-merge l|h:src/|got/"),
    ("src/l", "-a|--filter=dir-merge,C l|h:src/|got/"),
    ("src/l", "-a|--filter=dir-merge /l|h:src/|got/"),
    // Where a push goes.
    ("l", "-a|local/|h:l"),
    ("l", "-a|local/|h:l/"),
    ("l", "-a|local/|h:l/."),
    ("l", "-a|local/|h:l/g"),
    ("l", "-a|local/|h:l/none/"),
    ("l", "-a|local/|h:l*"),
    ("l", "-a|local/|h:l*/"),
    ("l", "-a|local/|h:*/g"),
    ("l", "-an|local/|h:l"),
    ("l", "-an|local/|h:l/"),
    ("l", "-a|local/f|h:l"),
    ("l", "-a|local/f|h:l/"),
    ("l", "-a|local/f|h:l/secret"),
    ("l", "-an|local/f|h:l"),
    ("l", "-d|local|h:l"),
    ("l", "-aR|local/./sub/|h:l"),
    ("l", "-aR|local/./sub/|h:l/"),
    ("l", "-a|--mkpath|local/|h:l"),
    ("l", "-a|--mkpath|local/|h:l/new/er/"),
    ("l", "-a|--mkpath|local/f|h:l/g"),
    ("l", "-a|--delete|local/|h:l/"),
    ("l", "-a|--existing|local/|h:l"),
    ("dst/l", "-a|local/|h:dst/l"),
    ("dst/l", "-a|local/|h:dst/l/new/"),
    // What options name.
    ("l", "-ab|--backup-dir=l|local/|h:dst/"),
    ("l", "-ab|--backup-dir=l/b|local/|h:dst/"),
    ("l", "-ab|--backup-dir=../l|local/|h:dst/"),
    ("l", "-abn|--backup-dir=l/b|local/|h:dst/"),
    ("l", "-a|--partial-dir=l|local/|h:dst/"),
    ("l", "-a|--partial-dir=l/p|local/|h:dst/"),
    ("l", "-a|--temp-dir=l|local/|h:dst/"),
    ("l", "-a|--temp-dir=l/t|local/|h:dst/"),
    ("l", "-a|--link-dest=l|local/|h:dst/"),
    ("l", "-a|--link-dest=l/g|local/|h:dst/"),
    ("l", "-a|--link-dest=../l|local/|h:dst/"),
    ("l", "-a|--copy-dest=l|local/|h:dst/"),
    ("l", "-a|--compare-dest=l|local/|h:dst/"),
    ("l", "-a|--compare-dest=$TREE/dir/l|local/|h:dst/"),
    ("l", "-a|-M--log-file=l|local/|h:dst/"),
    ("l", "-a|-M--log-file=l/log|local/|h:dst/"),
    ("l", "-a|-M--log-file=l|h:src/|got/"),
    // Links where rsync itself comes by.
    ("dst/sub", "-a|local/|h:dst/"),
    ("dst/sub", "-aO|local/|h:dst/"),
    ("dst/sub", "-a|--existing|local/|h:dst/"),
    ("dst/sub", "-a|--ignore-existing|local/|h:dst/"),
    ("dst/sub", "-a|--delete|local/|h:dst/"),
    ("dst/sub", "-an|local/|h:dst/"),
    ("dst/sub", "-aR|local/./sub/g|h:dst/"),
    ("dst/sub", "-aR|--no-implied-dirs|local/./sub/g|h:dst/"),
    ("dst/sub", "-aR|--no-implied-dirs|--existing|local/./sub/g|h:dst/"),
    ("dst/sub", "-aR|--no-implied-dirs|--ignore-existing|local/./sub/g|h:dst/"),
    ("dst/sub", "-aRn|--no-implied-dirs|local/./sub/g|h:dst/"),
    ("dst/sub", "-aRb|--no-implied-dirs|local/./sub/g|h:dst/"),
    ("dst/sub", "-aR|--no-implied-dirs|--inplace|local/./sub/g|h:dst/"),
    ("dst/sub", "-aR|--no-implied-dirs|--append|local/./sub/g|h:dst/"),
    ("dst/f", "-a|local/|h:dst/"),
    ("dst/f", "-a|--inplace|local/|h:dst/"),
    ("dst/f", "-a|--append|local/|h:dst/"),
    ("dst/f", "-a|--existing|local/|h:dst/"),
    ("dst/f", "-a|--ignore-existing|local/|h:dst/"),
    ("dst/f", "-au|local/|h:dst/"),
    ("dst/f", "-ab|local/|h:dst/"),
    ("dst/f", "-a|--size-only|local/|h:dst/"),
    ("dst/f", "-ay|local/|h:dst/"),
    ("dst/f", "-a|--delay-updates|local/|h:dst/"),
    ("bak/f", "-ab|--backup-dir=bak|local/|h:dst/"),
    ("bak/sub", "-ab|--backup-dir=bak|local/|h:held/"),
    ("par/f", "-a|--partial-dir=par|local/|h:dst/"),
    ("dst/par", "-a|--partial-dir=par|local/|h:dst/"),
    ("prev/sub", "-a|--link-dest=prev|local/|h:dst/"),
    ("prev/sub", "-a|--copy-dest=prev|local/|h:dst/"),
    ("prev/sub", "-a|--compare-dest=prev|local/|h:dst/"),
    ("prev/sub", "-aR|--no-implied-dirs|--compare-dest=prev|local/./sub/g|h:dst/"),
    ("prev/f", "-a|--compare-dest=prev|local/|h:dst/"),
    ("prev/f", "-a|--link-dest=prev|local/|h:dst/"),
    ("prev/f", "-a|--copy-dest=prev|local/|h:dst/"),
    ("prev/f", "-a|-yy|--link-dest=prev|local/|h:dst/"),
];

/// What a client sees of a transfer, what is left of it, and what is logged.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: Option<i32>,
    said: String,
    left: BTreeMap<String, String>,
    log: String,
}

fn see(link: &str, words: &str, form: &str, target: &str) -> Seen {
    let tree = Tree::new();
    for name in ["closed/in", "dir/bak", "dir/par", "dir/held/sub"] {
        fs::create_dir_all(tree.at(name)).unwrap();
    }
    // What is outside is the same as what is pushed, so that a comparison with it would show.
    for (name, text) in [
        ("outside/in/g", "g"),
        ("outside/in/f", "new"),
        ("outside/secret", "new"),
        ("closed/in/g", "g"),
        ("dir/held/sub/g", "old"),
        ("dir/names", "l/g\nl/none\nl/\nl\ntop\n"),
        ("names", "l/g\nl/none\nl/\nl\ntop\n"),
        ("deep", "l/./g\nl/in/../g\nl//g\n"),
    ] {
        fs::write(tree.at(name), text).unwrap();
    }
    let deep = link.matches('/').count();
    let text = form.replace('@', target).replace("$TREE", tree.path().to_str().unwrap());
    let text = if text.starts_with('/') { text } else { format!("{}{text}", "../".repeat(deep)) };
    symlink(text, tree.at("dir").join(link)).unwrap();
    let age = Command::new("find").arg(tree.path()).args(["-exec", "touch", "-h", "-d", "2020-01-01", "{}", "+"]).status();
    assert!(age.unwrap().success());
    fs::set_permissions(tree.at("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let outside = tree.listing("outside");
    let output = tree.rsync(Program::Ours, "", words).output().unwrap();
    assert_eq!(tree.listing("outside"), outside, "{words}");
    fs::set_permissions(tree.at("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    // Numbers of processes and descriptors, times, and the tree's own name are nobody's business; nor what the link itself says.
    let bare = |text: &str| {
        let text = text.replace(tree.path().to_str().unwrap(), "$TREE");
        let mut bare = String::new();
        for part in text.split(|character: char| character.is_ascii_digit()).filter(|part| !part.is_empty()) {
            bare.push_str(part);
        }
        bare
    };
    let left = ["dir", "got"].iter().flat_map(|top| tree.listing(top).into_iter().map(move |(name, what)| (format!("{top}/{name}"), what)));
    let left = left.map(|(name, what)| (name, what.split("->").next().unwrap_or_default().to_owned()));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let lines = said.lines().map(|line| line.split(" -> ").next().unwrap_or_default());
    // Of a gate that turned it away rsync says 12, or the gate's status: whichever it sees first.
    let refused = said.contains("snapgate: refused: ");
    let lines = lines.filter(|line| !refused || line.starts_with("snapgate: ")).map(|line| line.split_whitespace().collect::<Vec<_>>());
    Seen {
        status: output.status.code().filter(|_| !refused),
        said: bare(&lines.map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")),
        left: left.collect(),
        log: bare(&tree.log()),
    }
}

#[test]
fn what_a_link_names_outside_is_the_same_whether_it_is_there_or_not() {
    // What rsync itself tells differs from release to release; that the gate tells nothing is tested where it looks (`act::beneath`).
    if !compared("what a link names outside") {
        return;
    }
    let all: Vec<_> = CASES.iter().flat_map(|case| FORMS.map(|form| (*case, form))).collect();
    let found = each(&all, |((link, words), form)| {
        let seen = TARGETS.map(|target| (target, see(link, words, form, target)));
        let (_, first) = &seen[0];
        let other = seen.iter().find(|(_, other)| other != first);
        other.map(|(target, other)| format!("{link} -> {form}, {words}: {target}\n  {first:?}\n  {other:?}"))
    });
    let told: Vec<_> = all.iter().zip(&found).filter_map(|((case, _), told)| Some((*case, told.as_ref()?))).collect();
    let unlisted: Vec<_> = told.iter().filter(|(case, _)| !TOLD_BY_RSYNC.contains(case)).map(|(_, told)| told.as_str()).collect();
    assert!(unlisted.is_empty(), "{} differ:\n{}", unlisted.len(), unlisted.join("\n"));
    let gone: Vec<_> = TOLD_BY_RSYNC.iter().filter(|case| told.iter().all(|(found, _)| found != *case)).collect();
    assert!(gone.is_empty(), "listed, and no longer told: {gone:?}");
}
