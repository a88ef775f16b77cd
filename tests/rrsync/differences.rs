//! Every difference between the two programs, and why ours is better. The texts stand in `docs/from-rrsync.md`, word for word; what each
//! of the two does in each case stands in `differences/`, and is compared too. After a change that is meant,
//! `GOLDEN=write cargo test --test rrsync` writes that anew; read the difference.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::races::Race;

/// One difference, and the cases that show it.
pub(crate) struct Difference {
    /// As it stands in the document.
    pub(crate) text: &'static str,
    /// Command lines: what rrsync does and what snapgate does, and parts of the commands' names.
    pub(crate) lines: (&'static str, &'static str, &'static [&'static str]),
    /// Transfers, whole.
    pub(crate) transfers: &'static [&'static str],
    /// Races that rrsync loses and we do not, or lose less by.
    pub(crate) races: &'static [&'static str],
}

const BEGAN: &str = "rsync began";
const DID_NOT: &str = "rsync did not begin";
const REFUSED: &str = "refused";

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        text: "`-s` (`--secluded-args`) is read and judged, so that a path may hold any byte but zero; rrsync refuses it.",
        lines: ("", "", &[]),
        transfers: &["-as|local/|h:dst/", "-as|local/|h:it's \"a\"\nnew place/", "-as|h:src/*.c|got/", "-as|h:src/with space/f|got/"],
        races: &[],
    },
    Difference {
        text: "A single file can be pushed onto one that is there: rrsync hands rsync a path that it cannot write to, and the push ends with 23.",
        lines: ("", "", &[]),
        transfers: &["-a|local/f|h:top", "-a|local/f|h:dst/old"],
        races: &[],
    },
    Difference {
        text: "A file that is pushed onto a symlink replaces the symlink, as rsync does by itself; rrsync writes where the link leads, or fails.",
        lines: ("", "", &[]),
        transfers: &["-a|local/f|h:tofile", "-a|local/f|h:dangling"],
        races: &[],
    },
    Difference {
        text: "A path that falls apart at a space (rsync before 3.2.4, `--old-args`, openrsync) is refused on a push; rrsync takes the first part \
               and says nothing.",
        lines: (BEGAN, REFUSED, &[" . dst dir/", " . dst one$"]),
        transfers: &["-a|--old-args|local/|h:new place/"],
        races: &[],
    },
    Difference {
        text: "A line break, a no-break space or a tab is part of a path; rrsync ends the path there and says nothing.",
        lines: (REFUSED, BEGAN, &["src/n\\nl", "src/n\\\\\\nl"]),
        transfers: &["-a|local/|h:new\nplace/", "-a|local/|h:new\u{a0}place/"],
        races: &[],
    },
    Difference {
        text: "A backslash takes the meaning of `*`, `?` and `[`, so a name that holds one can be reached; a push to a pattern that finds several \
               places is refused, where rrsync takes any one of them.",
        lines: (BEGAN, REFUSED, &["rsync --server -r . d*$"]),
        transfers: &["-a|local/|h:ds\\?/"],
        races: &[],
    },
    Difference {
        text: "A source that is not there is rsync's to report (23, by name, the others arrive); rrsync refuses all and speaks of a race.",
        lines: (
            REFUSED,
            BEGAN,
            &[
                "src/*.[ch]", "src/\\\\*.c", " . ~/x", " . ~foo$", " . \\\\~foo", "src/with space/f", "src/with\\\\ space/f",
                "src/a\\\\ src/sub", "src/{a,b.txt}", "-r . missing",
            ],
        ),
        transfers: &["-a|h:missing|got/", "-a|h:src/a|:missing|got/", "-a|h:$TREE/outside/secret|got/"],
        races: &[],
    },
    Difference {
        text: "A symlink that leads out is sent as a symlink when a pull names it or a pattern finds it; rrsync refuses the whole pull, so `host:*` \
               fails for one such link. What it leads to is still out of reach.",
        lines: (REFUSED, BEGAN, &["--sender -r . *$", "--sender -r . out$", "--sender -r . */secret"]),
        transfers: &["-a|h:*|got/", "-a|h:out|got/", "-a|h:*/secret|got/"],
        races: &[],
    },
    Difference {
        text: "A destination or a backup directory that is a file, or a symlink that leads nowhere with a slash behind it, is refused before rsync \
               starts.",
        lines: (BEGAN, REFUSED, &["--backup-dir=top", " . dangling/"]),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "A `..` in the path of an option counts from the destination, as for rsync, if it stays beneath DIR: `--link-dest=../yesterday` works. \
               rrsync refuses every `..`.",
        lines: (REFUSED, BEGAN, &["-dest ../2024", "-dest=../prev"]),
        transfers: &[
            "-ab|--backup-dir=../bak|--delete|local/|h:dst/",
            "-a|--link-dest=../prev|local/|h:new/",
            "-a|--link-dest=../outside|local/|h:new/",
        ],
        races: &[],
    },
    Difference {
        text: "`--link-dest` and the other options with a path take the server's own path of a place beneath DIR; rrsync looks for it beneath DIR \
               again, finds nothing, and copies everything without a word.",
        lines: ("", "", &[]),
        transfers: &["-a|--link-dest=$TREE/dir/prev|local/|h:new/"],
        races: &[],
    },
    Difference {
        text: "`--backup-dir` may be DIR itself; rrsync lets rsync fail over it.",
        lines: (DID_NOT, BEGAN, &["--backup-dir=. "]),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "A `--log-file` in a directory that is not there is refused; rrsync hands it on as a path that nobody holds.",
        lines: (BEGAN, REFUSED, &["--log-file=/var/var/tmp/x"]),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "openrsync's spellings `--relative`, `--dirs`, `--backup`, `--prune-empty-dirs`, `--executability`, `--ignore-non-existing` and `-8` are \
               taken, and what rsync itself sends as `-@-1` and `--qsort`.",
        lines: (
            REFUSED,
            BEGAN,
            &["--backup --backup-dir bak", "--dirs -8", "--ignore-non-existing", "--relative . dst/", " -@-1 ", "--qsort"],
        ),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "`--use-qsort`, as rsync's clients call it, reaches rsync as `--qsort`, which is what its server knows; rrsync hands it on, and rsync fails.",
        lines: (DID_NOT, BEGAN, &["--use-qsort"]),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "Values that rsync cannot read are refused with words; rrsync hands them on, and rsync fails.",
        lines: (DID_NOT, REFUSED, &["--info=help", "--stderr=nonsense"]),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "Numbers and words have bounds: `--timeout=0`, `--max-alloc` over 8G or 0, `--compress-threads` over 4, `--log-format` other than clients \
               send, `--iconv` with one of the ISO-2022 converters (CVE-2024-2961) are refused.",
        lines: (
            BEGAN,
            REFUSED,
            &["--timeout=0", "--max-alloc=99T", "--max-alloc=0", "--compress-threads=120", "--log-format=%n", "--iconv=ISO-2022"],
        ),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "The client may say where its `--rsync-path` is, for instance `/usr/bin/rsync`; what runs is the server's own all the same.",
        lines: (REFUSED, BEGAN, &["/usr/bin/rsync --server"]),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "A command that ends in a lone backslash is refused; rrsync leaves it out.",
        lines: (BEGAN, REFUSED, &[" . a\\\\$"]),
        transfers: &[],
        races: &[],
    },
    Difference {
        text: "`-no-del` refuses `--force`, which removes a directory that is not empty to make way for a file.",
        lines: (BEGAN, REFUSED, &["[-no-del] rsync --server -r --force"]),
        transfers: &["[-no-del] -a|--force|clash/|h:dst/"],
        races: &[],
    },
    Difference {
        text: "`-no-overwrite` refuses `--delete` and `--force`, which take away what it should keep.",
        lines: (BEGAN, REFUSED, &["[-no-overwrite] rsync --server -r --delete", "[-no-overwrite] rsync --server -r --force"]),
        transfers: &["[-no-overwrite] -a|--delete|local/|h:dst/"],
        races: &[],
    },
    Difference {
        text: "Where another session swaps a directory on the way to a push, or to its log, for a link that leads out, rrsync 3.5.0 now and then writes outside DIR, and \
               with `--delete` removes what is there; here the directory is held.",
        lines: ("", "", &[]),
        transfers: &[],
        races: &[
            "-a|--delete|local/|h:flip/",
            "-a|local/f|h:flip/f",
            "-a|local/|h:flip/in/",
            "-aR|local/./sub/|h:flip/",
            "-a|-M--log-file=flip/log|local/|h:dst/",
            "-a|--temp-dir=flip|local/|h:dst/",
        ],
    },
    Difference {
        text: "Where another session plants a link while a push makes a new name, rrsync 3.5.0 writes through it, outside DIR. Here the kernel keeps rsync \
               from writing, reading and listing anything outside. What it does not keep it from is giving a directory outside, which belongs to the \
               account, another mode or time; the lock does, so use `-no-lock` together with `-munge`, as rrsync's manual says too.",
        lines: ("", "", &[]),
        transfers: &[],
        races: &["-a|local/|h:leaf"],
    },
];

/// A command line that the two programs treat differently: its name, what each does, and how.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) verdicts: (&'static str, &'static str),
    pub(crate) how: (String, String),
}

/// Fails for a line that is not listed, and for one that is listed and was not found.
#[track_caller]
pub(crate) fn lines_are_listed(found: &[Line]) {
    let covers = |one: &Difference, line: &Line| {
        (one.lines.0, one.lines.1) == line.verdicts && one.lines.2.iter().any(|part| matches(&line.name, part))
    };
    let unlisted: Vec<_> = found.iter().filter(|line| DIFFERENCES.iter().filter(|one| covers(one, line)).count() != 1).collect();
    let shown: Vec<_> = unlisted.iter().map(|line| format!("{} | {:?} | {:?}", line.name, line.verdicts, line.how)).collect();
    let parts = DIFFERENCES.iter().flat_map(|one| one.lines.2);
    let gone: Vec<_> = parts.filter(|part| !found.iter().any(|line| matches(&line.name, part))).collect();
    assert!(shown.is_empty() && gone.is_empty(), "not listed once: {shown:#?}\nlisted and not found: {gone:#?}");
    let told = |line: &Line| (line.name.clone(), line.how.0.clone(), line.how.1.clone());
    are_as_stated("lines", found.iter().map(told));
}

/// Whether a name holds a part, or ends with one that ends with `$`.
fn matches(name: &str, part: &str) -> bool {
    part.strip_suffix('$').map_or_else(|| name.contains(part), |end| name.ends_with(end))
}

/// The same for transfers, by their whole names.
#[track_caller]
pub(crate) fn transfers_are_listed(found: &[(String, String, String)]) {
    let count = |name: &str| DIFFERENCES.iter().flat_map(|one| one.transfers).filter(|case| **case == name).count();
    let unlisted: Vec<_> = found.iter().filter(|(name, ..)| count(name) != 1).collect();
    let gone: Vec<_> =
        DIFFERENCES.iter().flat_map(|one| one.transfers).filter(|case| !found.iter().any(|(name, ..)| name == **case)).collect();
    assert!(unlisted.is_empty() && gone.is_empty(), "not listed once: {unlisted:#?}\nlisted and not found: {gone:#?}");
    are_as_stated("transfers", found.iter().cloned());
}

/// Fails for a race that rrsync loses by more than we do and that is not listed, and for one that is listed and is none.
#[track_caller]
pub(crate) fn races_are_listed(races: &[Race]) {
    let count = |words: &str| DIFFERENCES.iter().flat_map(|one| one.races).filter(|race| **race == words).count();
    for race in races {
        assert_eq!(count(race.words), usize::from(race.theirs > race.ours), "{}", race.words);
        assert!(race.theirs >= race.ours, "{}: rrsync does better", race.words);
    }
    let mut listed = DIFFERENCES.iter().flat_map(|one| one.races);
    assert!(listed.all(|words| races.iter().any(|race| race.words == *words)));
}

/// Compares what each of the two did with what is stated of it.
#[track_caller]
fn are_as_stated(chapter: &str, found: impl Iterator<Item = (String, String, String)>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/rrsync/differences/{chapter}.txt"));
    let mut text = String::new();
    for (name, theirs, ours) in found {
        let name = name.replace('\n', "\\n").replace('\u{a0}', "\\u{a0}");
        writeln!(text, "{name}\n  rrsync:   {theirs}\n  snapgate: {ours}").unwrap();
    }
    if std::env::var_os("GOLDEN").is_some_and(|word| word == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let stated = fs::read_to_string(&path).unwrap();
    let mut case = "";
    for (now, then) in text.lines().zip(stated.lines()) {
        if !now.starts_with(' ') {
            case = now;
        }
        assert_eq!(now, then, "of {case}");
    }
    assert_eq!(text.lines().count(), stated.lines().count());
}

#[test]
fn the_document_lists_every_difference_word_for_word() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-rrsync.md")).unwrap();
    let list = text.split("## What differs").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let mut told: Vec<String> = Vec::new();
    for line in list.lines() {
        match (line.strip_prefix("- "), told.last_mut()) {
            (Some(item), _) => told.push(item.to_owned()),
            (None, Some(item)) if line.starts_with("  ") => *item = format!("{item} {}", line.trim()),
            _ => {}
        }
    }
    let listed: Vec<String> = DIFFERENCES.iter().map(|one| one.text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(told, listed);
}
