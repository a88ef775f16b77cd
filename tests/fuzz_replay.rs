//! The properties of `fuzz/` in the suite: every file of their corpora, and a few seconds of seeded changes to them. Hours of
//! it, guided by coverage, are `make fuzz`.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use support::mutate::Random;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(fuzz().join("corpus").join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Replays the corpus of one property, then as many changes to it.
fn run(target: &str, changes: usize) {
    let (_, property) = properties::TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let (corpus, dictionary) = (corpus(target), properties::dictionary());
    assert!(corpus.len() >= 5, "{target}: {} files", corpus.len());
    corpus.iter().for_each(|bytes| property(bytes));
    let mut random = Random::new(3);
    for _ in 0..changes {
        let bytes = random.mutant(&corpus, &dictionary);
        // The message above says what does not hold; the input that it does not hold for is ours to say.
        assert!(std::panic::catch_unwind(|| property(&bytes)).is_ok(), "{target}: \"{}\"", bytes.escape_ascii());
    }
}

#[test]
fn a_command_is_allowed_only_as_the_table_has_it_and_stays_inside() {
    run("command", 20_000);
}

#[test]
fn words_on_standard_input_are_judged_like_a_command() {
    run("secluded", 20_000);
}

#[test]
fn settings_are_read_or_refused_with_a_place() {
    run("policy", 20_000);
}

#[test]
fn what_sshd_says_of_a_login_makes_keys_or_nothing() {
    run("auth", 20_000);
}

#[test]
fn a_record_comes_back_from_the_ledger_as_it_was() {
    run("ledger", 1_000);
}

#[test]
fn a_command_behind_rrsyncs_flags_keeps_to_them_and_stays_beneath() {
    run("rrsync", 20_000);
}

#[test]
fn every_property_has_its_target_and_its_corpus() {
    let names = |directory: &str| {
        let mut names: Vec<_> = fs::read_dir(fuzz().join(directory)).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut known = properties::TARGETS.map(|(name, _)| name.to_owned());
    known.sort();
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("corpus"), known);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    assert!(known.iter().all(|name| manifest.contains(&format!("name = \"{name}\""))), "fuzz/Cargo.toml");
}

/// `make fuzz` sets the variable, so that the fuzzer's dictionary is always that of today's table.
#[test]
fn the_dictionary_is_in_the_fuzzers_form() {
    let line = |word: &Vec<u8>| format!("\"{}\"\n", word.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>());
    let text: String = properties::dictionary().iter().map(line).collect();
    assert!(text.lines().count() > 150 && text.lines().all(|line| line.len() > 2), "{text}");
    if let Some(path) = std::env::var_os("FUZZ_DICTIONARY") {
        fs::write(path, text).unwrap();
    }
}
