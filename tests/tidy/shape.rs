//! Files that fit a reader, and nothing unsafe.

use std::fs;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::files::{is_test, name, root, sources};
use super::house::tokens;

/// Much longer than 400 lines, a file has more than one story; tests are a list and may go on a little.
const MAX_LINES: usize = 420;

/// The same for tests.
const MAX_TEST_LINES: usize = 500;

/// What is wrong with a file as a text.
fn faults(text: &str, is_test: bool) -> Vec<String> {
    let mut faults = Vec::new();
    // A module of tests belongs to the one that it tests, which says what it is for.
    if !text.starts_with("//! ") && !is_test {
        faults.push("begins with no `//!`".to_owned());
    }
    let lines = text.lines().count();
    if lines > if is_test { MAX_TEST_LINES } else { MAX_LINES } {
        faults.push(format!("{lines} lines"));
    }
    faults
}

/// Where `unsafe` stands, or an attribute that allows something.
fn dangers(tokens: TokenStream) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut before = None;
    for tree in tokens {
        match &tree {
            TokenTree::Ident(word) if word == "unsafe" => found.push((word.span().start().line, "unsafe")),
            TokenTree::Group(group) => {
                let is_attribute = before == Some('#') && group.delimiter() == Delimiter::Bracket;
                if is_attribute && allows(group.stream()) {
                    found.push((group.span().start().line, "allow"));
                }
                found.extend(dangers(group.stream()));
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        before = match &tree {
            // `#![…]` is an attribute as well.
            TokenTree::Punct(sign) if sign.as_char() == '!' && before == Some('#') => before,
            TokenTree::Punct(sign) => Some(sign.as_char()),
            TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => None,
        };
    }
    found
}

/// Whether an attribute is `allow(…)`, or has that within.
fn allows(tokens: TokenStream) -> bool {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let is_list = |at: usize| matches!(trees.get(at), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
    trees.iter().enumerate().any(|(at, tree)| match tree {
        TokenTree::Ident(word) => word == "allow" && is_list(at + 1),
        TokenTree::Group(group) => allows(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

#[test]
fn every_module_says_what_it_is_for_and_fits_a_reader() {
    let mut all = Vec::new();
    for path in sources("src").into_iter().chain(sources("tests")).chain(sources("benches")) {
        let text = fs::read_to_string(&path).unwrap();
        all.extend(faults(&text, is_test(&path)).into_iter().map(|fault| format!("{}: {fault}", name(&path))));
    }
    assert!(all.is_empty(), "{all:#?}");
    let long = "//! Words.\n".repeat(421);
    assert_eq!(faults(&long, false), ["421 lines"]);
    assert_eq!(faults(&long, true), [""; 0]);
    assert_eq!(faults(&long.repeat(2), true), ["842 lines"]);
    assert_eq!(faults("use a;\n", false), ["begins with no `//!`"]);
    assert_eq!(faults("use a;\n", true), [""; 0]);
}

#[test]
fn nothing_is_unsafe_and_no_lint_is_switched_off_in_silence() {
    let mut all = Vec::new();
    for path in sources("src") {
        let found = dangers(tokens(&name(&path), &fs::read_to_string(&path).unwrap()));
        all.extend(found.into_iter().map(|(line, what)| format!("{}:{line}: {what}", name(&path))));
    }
    assert!(all.is_empty(), "{all:#?}");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for lint in ["unsafe_code = \"forbid\"", "too_many_lines = \"deny\""] {
        assert!(manifest.contains(lint), "{lint}");
    }
    assert!(fs::read_to_string(root().join("clippy.toml")).unwrap().contains("\ntoo-many-lines-threshold = 70\n"));
    let decide = fs::read_to_string(root().join("src/decide/mod.rs")).unwrap();
    assert!(decide.contains("#![deny(clippy::wildcard_enum_match_arm,"));
    for (planted, expected) in [
        ("fn f() {\n unsafe { g() } }", &[(2, "unsafe")][..]),
        ("m!(x, unsafe { g() })", &[(1, "unsafe")]),
        ("#[cfg(test)] mod tests { unsafe fn f() {} }", &[(1, "unsafe")]),
        ("#[allow(dead_code)] fn f() {}", &[(1, "allow")]),
        ("#![allow(dead_code)]", &[(1, "allow")]),
        ("#[cfg_attr(test, allow(dead_code))] fn f() {}", &[(1, "allow")]),
        ("fn f() { #[allow (\n dead_code)] let x = 1; }", &[(1, "allow")]),
        ("// unsafe\nfn f() { \"unsafe\"; allow(x); x[allow(y)] }", &[]),
        ("#[expect(dead_code, reason = \"allow(\")] fn f() {}", &[]),
    ] {
        assert_eq!(dangers(tokens("planted", planted)), expected, "{planted}");
    }
}

/// Whether a line of a script tries several things, of which `set -e` heeds the last alone (bash(1)).
fn tries_in_vain(line: &str) -> bool {
    let line = line.trim();
    let tries = |part: &str| ["[ ", "[[ ", "grep -q", "cmp "].iter().any(|word| part.starts_with(word));
    let ends = |part: &str| ["exit", "fail", "return", "break", "continue", "{"].iter().any(|word| part.starts_with(word));
    let Some((_, last)) = line.rsplit_once(" && ") else { return false };
    tries(line) && !line.contains("||") && !ends(last)
}

#[test]
fn a_script_tries_one_thing_a_line() {
    let vain = ["[ a = b ] && [ c = c ]", "    grep -q a b && grep -q c d", "[ -e a ] && rm a"];
    let good =
        ["[ a = b ]", "[ a = b ] && exit 1", "[ a ] && [ b ] || fail 'no'", "if [ a ] && [ b ]; then", "grep a b && { cat b; exit 1; }"];
    assert!(vain.iter().all(|line| tries_in_vain(line)) && !good.iter().any(|line| tries_in_vain(line)));
    let mut scripts: Vec<_> = ["tests/support", "tests/support/package", "tests/support/ways", "packaging", "packaging/debian"]
        .iter()
        .flat_map(|dir| fs::read_dir(root().join(dir)).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.is_file() && fs::read_to_string(path).is_ok_and(|text| text.starts_with("#!") || name(path).ends_with(".sh")))
        .collect();
    scripts.sort();
    assert!(scripts.len() > 15, "{scripts:?}");
    for script in scripts {
        let text = fs::read_to_string(&script).unwrap();
        let found: Vec<_> = text.lines().enumerate().filter(|(_, line)| tries_in_vain(line)).collect();
        assert!(found.is_empty(), "{}: {found:?}", script.display());
    }
}
