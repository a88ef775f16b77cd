//! The option table and what is written about it: `docs/options.md` is the table, and whatever rsync here knows is in it. After
//! a change that is meant, `GOLDEN=write cargo test --test options` writes the document anew; read the difference.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use snapgate::decide::rsync::options::{Cause, Check, Force, Row, Rule, Runs, Value, by_letter, by_long, on_restore, rows};

const ABOVE: &str = "\
# Every option of rsync

What becomes of each option that a client's rsync sends with a push, and on a restore. This page is written from the table in the program
(`src/decide/rsync/options/table.rs`) by `GOLDEN=write cargo test --test options`; a test compares the two. What does not stand here is
refused, by name. No spelling is guessed: `--delet` is not `--delete`.

A push always goes into a fresh, empty directory, its destination is never a path that the client named, and unchanged files come
as hard links from the newest snapshot. Most of the reasons follow from these three.

An option with a letter may come alone (`-r -t`) or with others (`-rt`). A value stands behind the letter (`-B1024`, `-@-1`) or
behind `=`; where the table says \"next word too\", also in the next word. A value that is not one of those in the table is refused.
Filters and excludes are not on the command line: they travel inside the protocol, and are the client's business.

| verdict | what it means |
| --- | --- |
| passed | it reaches rsync |
| in part | it reaches rsync, and not all of it is done here, which the run's log notes |
| dropped | accepted and not passed on, which the run's log notes; each was tried on one side alone, with old and new protocols |
| warned | it reaches rsync, and the record of the push has a warning |
| trial | it reaches rsync, and nothing is published |
| smaller | the smaller of the client's number and the server's counts |
| as root by policy | it reaches rsync; where the gate runs as root, only if the policy allows it |
| as an account by policy | it reaches rsync; where the gate does not run as root, only if the policy allows it |
| by policy | refused, unless the policy allows it by this word |
| never | refused, and no policy can allow it |

The last column is about restores: pulls of snapshots, which the verb `restore` lets a client do (docs/restore.md). The server sends then,
reads and changes nothing. An option that is passed has its value checked, as on a push. No policy changes what becomes of one.

A policy narrows and widens this by name, the long name without dashes:

    options: { refuse: [xattrs], allow: [iconv] }

`refuse` takes what is accepted here, `allow` what is refused here \"by policy\", always or to some gates; anything else is an error of the policy's file. A name
covers the forms of its option too (`delete` all that begin with `--delete`, `compress` all ways to compress, `D` devices and specials). What is refused
is never stripped from a command: both ends of a push must agree on most options, and a stream that one end reads in another way is broken.

What the server's rsync can do alone a policy may force on every push, whether or not its client would be allowed to ask for it:

";

fn spelled(row: &Row) -> String {
    let letter = row.letter.map(|letter| format!("`-{letter}`"));
    let long = row.long.iter().map(|long| format!("`{long}`"));
    letter.into_iter().chain(long).collect::<Vec<_>>().join(" ")
}

fn value(row: &Row) -> String {
    let said = |check: Check| check.expected().trim_start_matches("use ").replace('|', "\\|");
    match row.value {
        Value::None => String::new(),
        Value::Attached(check) => said(check),
        Value::Either(check) => format!("{}; next word too", said(check)),
    }
}

fn verdict(row: &Row) -> &'static str {
    match row.rule {
        Rule::Pass if row.but.is_empty() => "passed",
        Rule::Pass => "in part",
        Rule::Drop => "dropped",
        Rule::Warn => "warned",
        Rule::NotABackup => "trial",
        Rule::Smaller => "smaller",
        Rule::NeedsWord(Runs::AsRoot) => "as root by policy",
        Rule::NeedsWord(Runs::AsAccount) => "as an account by policy",
        Rule::Refuse(cause) if cause.never().is_none() => "by policy",
        Rule::Refuse(_) => "never",
    }
}

/// The word that a policy writes, with what the word can do.
fn word(row: &Row) -> String {
    let mut words = Vec::new();
    if row.may_be_refused() {
        words.push(format!("refuse `{}`", row.word()));
        words.extend((!row.kin.is_empty()).then(|| format!("`{}`", row.kin)));
    }
    if row.may_be_allowed() {
        words.push(format!("allow `{}`", row.word()));
    }
    if row.may_be_forced() {
        words.push(format!("force `{}`", row.word()));
    }
    words.join(", ")
}

fn table(found: impl Iterator<Item = &'static Row>) -> String {
    let mut text =
        "| option | value | verdict | why | instead | policy | on a restore |\n| --- | --- | --- | --- | --- | --- | --- |\n".to_owned();
    for row in found {
        let why = if row.but.is_empty() { row.why.to_owned() } else { format!("{}; {}", row.why, row.but) };
        let cells = [spelled(row), value(row), verdict(row).to_owned(), why, row.instead.to_owned(), word(row), on_restore(row)];
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text
}

/// What can be forced, and what an administrator may miss there.
fn forced() -> String {
    let mut text = String::new();
    for row in rows() {
        if let Force::May(what) = row.force {
            writeln!(text, "    options: {{ force: [{}] }}\n\n- `{}`: {what}.", row.word(), row.word()).unwrap();
        }
    }
    let usual = by_long("--xattrs").unwrap().force;
    for row in rows().iter().filter(|row| row.force != usual) {
        if let Force::Never(why) = row.force {
            writeln!(text, "- `{}` can never be forced: {why}.", row.word()).unwrap();
        }
    }
    if let Force::Never(why) = usual {
        writeln!(text, "- Any other can never be forced: {why}.\n").unwrap();
    }
    text
}

fn document() -> String {
    let refused = |row: &&Row| matches!(row.rule, Rule::Refuse(_));
    let mut text = ABOVE.to_owned();
    text.push_str(&forced());
    text.push_str("## Accepted\n\n");
    text.push_str(&table(rows().iter().filter(|row| !refused(row))));
    text.push_str("\n## Refused, unless the policy allows it\n\n");
    text.push_str(&table(rows().iter().filter(|row| refused(row) && row.may_be_allowed())));
    for cause in Cause::ALL {
        let Some(why) = cause.never() else { continue };
        let of_cause: Vec<_> = rows().iter().filter(|row| row.rule == Rule::Refuse(cause)).collect();
        assert!(!of_cause.is_empty(), "{cause:?} is nobody's cause");
        writeln!(text, "\n## Never, because {why} (code `{}`)\n", cause.code()).unwrap();
        text.push_str(&table(of_cause.into_iter()));
    }
    text
}

#[test]
fn the_document_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    let text = document();
    if std::env::var_os("GOLDEN").is_some_and(|word| word == "write") {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    for (now, then) in text.lines().zip(written.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(text.lines().count(), written.lines().count());
}

/// The options that `rsync --help` lists, each spelling by itself.
fn helped() -> Vec<String> {
    let help = Command::new("rsync").arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    let listed = text.lines().skip_while(|line| *line != "Options");
    let spellings = listed.filter(|line| line.starts_with('-')).flat_map(|line| {
        let options = line.split("  ").next().unwrap_or_default();
        options.split(", ").map(|option| option.split(['=', ' ']).next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    });
    spellings.collect()
}

#[test]
fn every_option_that_rsync_here_knows_is_a_row() {
    let spellings = helped();
    assert!(spellings.len() > 100, "{spellings:?}");
    for spelling in spellings.iter().filter(|spelling| *spelling != "--no-OPTION") {
        let found = match spelling.strip_prefix("--") {
            Some(_) => by_long(spelling),
            None => spelling.strip_prefix('-').and_then(|letter| letter.chars().next()).and_then(by_letter),
        };
        assert!(found.is_some(), "{spelling} is not in the table");
    }
}

/// rsync takes `--no-OPTION` for many; what it takes of them stands in its own table of options, in the program.
#[test]
fn every_way_to_take_an_option_back_is_a_row() {
    let program = fs::read("/usr/bin/rsync").unwrap();
    let words = program.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok());
    let negated: Vec<_> =
        words.filter(|word| word.starts_with("no-") && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')).collect();
    assert!(negated.len() > 40, "{negated:?}");
    for word in negated {
        assert!(by_long(&format!("--{word}")).is_some(), "--{word} is not in the table");
    }
}
