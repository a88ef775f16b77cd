//! `docs/codes.md` and `docs/policy.md` are the tables of the program. After a change that is meant,
//! `GOLDEN=write cargo test --test reference` writes the documents anew; read the difference.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use snapgate::admin::help::keys::{keys, paragraphs, wrapped};
use snapgate::decide::policy::yaml::{Row, Usual};
use snapgate::decide::policy::{POLICY_KEYS, Policy, SITE_KEYS, Site, read_policy, read_site};
use snapgate::decide::speak::metrics::METRICS;
use snapgate::terms::event::{Deed, Kind, VERSION};
use snapgate::terms::{Code, Outcome, Verb};

/// A document, compared with what stands in `docs/`.
fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
    if std::env::var_os("GOLDEN").is_some_and(|word| word == "write") {
        fs::write(&path, text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    for (now, then) in text.lines().zip(written.lines()) {
        assert_eq!(now, then, "{file}");
    }
    assert_eq!(text.lines().count(), written.lines().count(), "{file}");
}

const CODES: &str = include_str!("reference/codes.md");
const POLICY: &str = include_str!("reference/policy.md");
const MONITORING: &str = include_str!("reference/monitoring.md");

/// A frame with each table in the place of its name.
fn framed(frame: &str, tables: &[(&str, String)]) -> String {
    tables.iter().fold(frame.to_owned(), |text, (name, table)| {
        let place = format!("[{name}]\n");
        assert_eq!(text.matches(&place).count(), 1, "{place}");
        text.replace(&place, table)
    })
}

#[test]
fn the_codes_in_the_document_are_the_program_s() {
    let mut codes = "| code | exit | what it means |\n| --- | --- | --- |\n".to_owned();
    for code in Code::ALL {
        writeln!(codes, "| `{code}` | {} | {} |", code.exit(), code.means()).unwrap();
    }
    let outcomes = Outcome::ALL.map(|outcome| wrapped(&format!("- `{outcome}`: {}", outcome.means()), "  ")).concat();
    let kinds = Kind::ALL.map(|kind| (kind.as_str(), kind.means())).into_iter();
    let kinds = kinds.chain(Deed::ALL.map(|deed| (deed.as_str(), deed.means())));
    let kinds: String = kinds.map(|(kind, means)| wrapped(&format!("- `{kind}`: {means}"), "  ")).collect();
    let frame = CODES.replace("[version]", &VERSION.to_string());
    compare("codes.md", &framed(&frame, &[("codes", codes), ("outcomes", outcomes), ("kinds", kinds)]));
}

#[test]
fn the_keys_in_the_document_are_the_program_s() {
    let mut verbs = "| verb | what a client says | what it does |\n| --- | --- | --- |\n".to_owned();
    for verb in Verb::ALL {
        writeln!(verbs, "| `{verb}` | `{}` | {} |", verb.row().usage, verb.means()).unwrap();
    }
    let tables = [("site", keys(SITE_KEYS)), ("policy", keys(POLICY_KEYS)), ("verbs", verbs)];
    compare("policy.md", &framed(POLICY, &tables));
}

#[test]
fn the_metrics_in_the_document_are_the_program_s() {
    let mut metrics = "| metric | type | unit | labels | what it says |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for metric in &METRICS {
        let labels: Vec<String> = metric.labels().iter().map(|label| format!("`{label}`")).collect();
        let help = metric.help.trim_end_matches('.');
        writeln!(metrics, "| `snapgate_{}` | {} | {} | {} | {help} |", metric.name, metric.kind(), metric.unit(), labels.join(", "))
            .unwrap();
    }
    compare("monitoring.md", &framed(MONITORING, &[("metrics", metrics)]));
}

const STORE: &str = "store: /srv/backups\n";

fn site(text: &str) -> Site {
    read_site(Path::new("snapgate.yaml"), text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn policy(text: &str) -> Policy {
    let read = read_policy(Path::new("web1.yaml"), text.as_bytes(), &"web1".parse().unwrap(), &site(STORE));
    read.unwrap_or_else(|fault| panic!("{fault}"))
}

/// All that a file says, but where.
fn said(file: File, text: &str) -> String {
    match file {
        File::Site => {
            let site = site(text);
            format!("{:?}", Site { origins: Default::default(), ..site })
        }
        File::Policy => {
            let policy = policy(text);
            format!("{:?}", Policy { origins: Default::default(), ..policy })
        }
    }
}

#[derive(Clone, Copy)]
enum File {
    Site,
    Policy,
}

/// Each file with its keys, and the least that it can say.
const FILES: [(File, &[Row], &str); 2] = [(File::Site, SITE_KEYS, STORE), (File::Policy, POLICY_KEYS, "report: problems\n")];

/// A file with an example of each key but `without`.
fn examples(rows: &[Row], without: &str) -> String {
    let rows = rows.iter().filter(|row| row.word != without);
    rows.map(|row| format!("{}: {}\n", row.word, row.example)).collect()
}

/// A table with these keys; nothing where there are none, since an empty one means nothing.
fn table(parent: &Row, keys: &[String]) -> String {
    let table = format!("{{ {} }}", keys.join(", "));
    match parent.example.starts_with('[') {
        _ if keys.is_empty() => String::new(),
        true => format!("{}: [{table}]\n", parent.word),
        false => format!("{}: {table}\n", parent.word),
    }
}

/// The tables of a file, but for the one whose keys are a policy's.
fn tables(rows: &'static [Row]) -> impl Iterator<Item = &'static Row> {
    rows.iter().filter(|row| !row.below.is_empty() && row.word != "defaults")
}

fn line(row: &Row, value: &str) -> String {
    format!("{}: {value}", row.word)
}

#[test]
fn every_example_can_be_read_alone_and_with_all_others() {
    for (file, rows, least) in FILES {
        said(file, &examples(rows, ""));
        for row in rows.iter().filter(|row| !least.starts_with(row.word)) {
            let alone = said(file, &format!("{least}{}\n", line(row, row.example)));
            let is_usual = ["user", "path", "snapshots", "mail"].contains(&row.word);
            assert_eq!(alone == said(file, least), is_usual, "{}: {}", row.word, row.example);
        }
        for row in tables(rows) {
            let below: Vec<_> = row.below.iter().map(|below| line(below, below.example)).collect();
            said(file, &(examples(rows, row.word) + &table(row, &below)));
        }
    }
}

#[test]
fn a_default_that_is_written_out_is_what_holds_without_it() {
    let mut tried = 0;
    let mut same = |file, without: String, with: String| {
        assert_eq!(said(file, &without), said(file, &with), "{with}");
        tried += 1;
    };
    for (file, rows, _) in FILES {
        for row in rows {
            let Usual::Value(value) = row.usual else { continue };
            let others = examples(rows, row.word);
            same(file, others.clone(), others + &line(row, value));
        }
        for (row, below) in tables(rows).flat_map(|row| row.below.iter().map(move |below| (row, below))) {
            let Usual::Value(value) = below.usual else { continue };
            // A table is not empty: one more key is in it, where there is one.
            let other = row.below.iter().find(|other| other.word != below.word).map(|other| line(other, other.example));
            let without: Vec<_> = other.into_iter().collect();
            let with = [without.clone(), vec![line(below, value)]].concat();
            let others = examples(rows, row.word);
            same(file, others.clone() + &table(row, &without), others + &table(row, &with));
        }
    }
    assert!(tried > 15, "{tried}");
}

#[test]
fn a_row_says_what_a_reader_needs() {
    let all = SITE_KEYS.iter().chain(POLICY_KEYS).flat_map(|row| std::iter::once(row).chain(row.below));
    for row in all {
        let means = paragraphs(row.means);
        assert!(means.iter().all(|words| words.ends_with('.') && words.len() > 10), "{}: {means:?}", row.word);
    }
    let sentences = Code::ALL.map(Code::means).into_iter().chain(Outcome::ALL.map(Outcome::means)).chain(Verb::ALL.map(Verb::means));
    for means in sentences {
        assert!(means.ends_with('.') && !means.contains('|'), "{means}");
    }
}
