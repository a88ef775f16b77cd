//! What the documents say of the program, and what a stranger looks for first.

use std::collections::BTreeSet;
use std::fs;

use super::files::{root, sources};

#[test]
fn every_story_of_the_whole_program_is_part_of_the_suite() {
    let main = fs::read_to_string(root().join("tests/sshd/main.rs")).unwrap();
    for path in sources("tests/sshd") {
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(module == "main" || main.contains(&format!("mod {module};")), "tests/sshd/{module}.rs is not run");
    }
}

#[test]
fn every_test_that_the_documents_name_is_there() {
    for document in ["docs/architecture.md", "docs/threat-model.md", "docs/from-rrsync.md", "README.md", "docs/codes.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let named: BTreeSet<&str> = text.split('`').filter(|word| word.starts_with("tests/")).collect();
        assert!(document != "docs/architecture.md" || named.len() > 3, "{named:?}");
        for path in named {
            assert!(root().join(path).exists(), "{document} names {path}");
        }
    }
}

#[test]
fn every_room_and_every_item_that_the_documents_name_is_there() {
    let code: Vec<String> = sources("src").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let is_item = |word: &&str| word.contains("::") && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
    let is_room = |word: &&str| ["act/", "admin/", "decide/", "gate/", "terms/"].iter().any(|layer| word.starts_with(layer));
    let mut found = 0;
    for document in ["docs/architecture.md", "docs/threat-model.md", "docs/owners.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for word in text.split('`').filter(|word| !word.contains([' ', '{', '\n'])) {
            if is_room(&word) {
                let room = word.split("::").next().unwrap();
                let there = ["", ".rs"].iter().any(|end| root().join(format!("src/{room}{end}")).exists());
                assert!(there, "{document} names {word}");
            } else if is_item(&word) {
                let names: Vec<&str> = word.split("::").collect();
                assert!(code.iter().any(|text| names.iter().all(|name| text.contains(name))), "{document} names {word}");
            } else {
                continue;
            }
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}

#[test]
fn every_limit_is_in_the_table_of_lengths_and_every_name_there_is_a_limit() {
    let text = sources("src/terms/limits").iter().map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>().concat();
    let known: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next()).collect();
    let document = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, section) = document.split_once("## What is read, and how much of it").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let is_name = |word: &&str| word.contains('_') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let told: BTreeSet<&str> = section.split('`').filter(is_name).filter(|name| !name.starts_with("SSH_")).collect();
    assert!(told.is_subset(&known), "no limits: {:?}", told.difference(&known));
    let lengths: BTreeSet<&str> = known.into_iter().filter(|name| name.starts_with("MAX_")).collect();
    assert!(lengths.len() > 60 && lengths.is_subset(&told), "not in the table: {:?}", lengths.difference(&told));
}

#[test]
fn the_table_of_codes_has_every_code_with_its_exit_code() {
    let text = fs::read_to_string(root().join("docs/codes.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<String> = rows.map(|(code, rest)| format!("{code} {}", rest.split(' ').next().unwrap_or_default())).collect();
    let real: Vec<String> = snapgate::terms::reason::Code::ALL.iter().map(|code| format!("{code} {}", code.exit())).collect();
    assert_eq!(rows, real);
}

#[test]
fn what_a_stranger_looks_for_first_is_there() {
    for file in ["README.md", "CHANGELOG.md", "LICENSE", "Makefile", ".ci/run", "deny.toml", "clippy.toml", "docs/architecture.md"] {
        assert!(root().join(file).exists(), "{file}");
    }
    for line in fs::read_to_string(root().join("Cargo.toml")).unwrap().lines() {
        assert!(!line.contains("git = \""), "dependencies come from the registry: {line}");
    }
}
