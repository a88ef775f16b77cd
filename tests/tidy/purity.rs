//! What decides touches nothing: no file, clock, environment, process or network, and it remembers nothing.

use std::collections::BTreeSet;
use std::fs;

use super::files::root;
use super::house::House;

/// The crates that `decide` and `terms` may use. They turn values into values, but for what [`EFFECTS`] has of them.
const PURE: [&str; 10] =
    ["chrono", "hmac_sha256", "humantime", "ipnet", "serde", "serde_json", "serde_yaml", "shell_words", "thiserror", "tz"];

/// What of them and of the standard library is none of theirs. Nothing there can change behind a reader's back, either: no static
/// and no value has an inside that changes.
const EFFECTS: [&str; 28] = [
    "std::fs", "std::env", "std::process", "std::thread", "std::sync", "std::cell", "std::thread_local", "thread_local",
    "std::net::TcpStream", "std::net::TcpListener", "std::net::UdpSocket", "std::net::ToSocketAddrs", "std::os::fd", "std::os::linux",
    "std::os::unix::fs", "std::os::unix::io", "std::os::unix::net", "std::os::unix::process", "std::os::unix::thread", "std::io::std",
    "std::io::Std", "chrono::Local", "serde_yaml::from_reader", "serde_json::from_reader", "serde_json::to_writer",
    "serde_json::to_writer_pretty", "tz::TimeZone::local", "tz::TimeZone::from_posix_tz",
];

/// Methods of a path or of a time that ask the machine.
const METHODS: [&str; 12] = [
    "metadata", "symlink_metadata", "canonicalize", "read_link", "read_dir", "exists", "try_exists", "is_file", "is_dir", "is_symlink",
    "elapsed", "to_socket_addrs",
];

/// The crates that this one depends on, as the code calls them: `tz-rs` is `tz` there.
fn dependencies() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, section) = text.split_once("\n[dependencies]\n").unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" = ")?.0.trim_end_matches("-rs").replace('-', "_")))
        .collect()
}

/// The effect that a path is, or that it brings in with everything else.
fn effect(words: &[String], dependencies: &BTreeSet<String>) -> Option<String> {
    let mut words = words.to_vec();
    if let Some(first) = words.first_mut().filter(|first| *first == "core" || *first == "alloc") {
        *first = "std".to_owned();
    }
    let first = words.first()?.clone();
    let path = words.join("::");
    let is_below = |effect: &&&str| path == **effect || path.starts_with(&format!("{effect}::"));
    // Functions and types of one kind have one beginning.
    let is_kind = |effect: &&&str| effect.to_lowercase() == "std::io::std" && path.starts_with(**effect);
    let all = path.strip_suffix('*');
    let has_all = |effect: &&&str| all.is_some_and(|all| effect.starts_with(all));
    let is_other = words.len() > 1 && dependencies.contains(&first) && !PURE.contains(&first.as_str());
    let is_now = words.len() > 2 && first != "crate" && words.last().is_some_and(|last| last == "now");
    let is_told = is_other || is_now || EFFECTS.iter().any(|effect| is_below(&effect) || is_kind(&effect) || has_all(&effect));
    is_told.then_some(path)
}

fn faults(house: &House) -> Vec<String> {
    let dependencies = dependencies();
    let mut faults = BTreeSet::new();
    for module in ["decide", "terms"].iter().flat_map(|room| house.modules(room)) {
        for said in &module.said {
            let here = format!("src/{}:{}", module.file, said.line);
            if said.is_member {
                let method = said.words.first().filter(|word| METHODS.contains(&word.as_str()));
                faults.extend(method.map(|method| format!("{here}: .{method}")));
                continue;
            }
            let means = house.means(module, &said.words);
            faults.extend(means.iter().filter_map(|words| effect(words, &dependencies)).map(|effect| format!("{here}: {effect}")));
        }
    }
    faults.into_iter().collect()
}

#[test]
fn what_decides_touches_nothing() {
    let house = House::real();
    let all = faults(&house);
    assert!(all.is_empty(), "{all:#?}");
    let dependencies = dependencies();
    let modules = || ["decide", "terms"].iter().flat_map(|room| house.modules(room));
    let used = modules().flat_map(|module| module.said.iter().flat_map(|said| house.means(module, &said.words)));
    let used: BTreeSet<String> =
        used.filter(|words| words.len() > 1).map(|words| words[0].clone()).filter(|first| dependencies.contains(first)).collect();
    let listed: BTreeSet<String> = PURE.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(used, listed);
}

#[test]
fn an_effect_is_found_whatever_it_is_called() {
    for (code, expected) in [
        ("fn f() { std::fs::read(x) }", "std::fs::read"),
        ("use std::{fmt, fs as files};", "std::fs"),
        ("use std::io as i;\nfn f() { i::stdin() }", "std::io::stdin"),
        ("use std::io::Stdout;", "std::io::Stdout"),
        ("fn f() { ::std::env::var(x) }", "std::env::var"),
        ("use std::process::Command;", "std::process::Command"),
        ("use std::net::TcpStream;", "std::net::TcpStream"),
        ("use std::os::unix::net::UnixStream;", "std::os::unix::net::UnixStream"),
        ("use std::time;\nfn f() { time::Instant::now() }", "std::time::Instant::now"),
        ("use std::time::SystemTime as S;\ntype Clock = S;\nfn f() { <Clock>::now() }", "std::time::SystemTime::now"),
        ("fn f(x: Option<I>) { x.unwrap_or_else(std::time::Instant::now) }", "std::time::Instant::now"),
        ("fn f() { chrono::Utc::now() }", "chrono::Utc::now"),
        ("use chrono::*;\nfn f() { Utc::now() }", "chrono::Utc::now"),
        ("fn f() { nix::unistd::getuid() }", "nix::unistd::getuid"),
        ("fn f() { serde_json::from_reader(x) }", "serde_json::from_reader"),
        ("fn f() { let x: rustix::fd::OwnedFd; }", "rustix::fd::OwnedFd"),
        ("use std::*;", "std::*"),
        ("fn f() { matches!(x, y if std::env::var(z).is_ok()) }", "std::env::var"),
        ("static SEEN: std::sync::atomic::AtomicBool = X;", "std::sync::atomic::AtomicBool"),
        ("use core::cell::OnceCell;", "std::cell::OnceCell"),
        ("thread_local! { static X: u8 = 0; }", "thread_local"),
        ("fn f() { Path::new(x).exists() }", ".exists"),
        ("fn f() { since.elapsed() }", ".elapsed"),
        ("#[cfg(test)] mod tests {}\nfn f() { std::fs::read(x) }", "std::fs::read"),
        // What is allowed, for comparison.
        ("use std::os::unix::ffi::OsStrExt;\nuse std::time::Instant;\nuse std::net::IpAddr;\nuse std::io::Read;", ""),
        ("use std::fmt::*;\nfn f() { x.now(); crate::decide::a::now() }", ""),
        ("// std::fs\n/// std::fs\nfn f() { \"std::fs\" }", ""),
        ("#[cfg(test)] mod tests { use std::fs; }\n#[test] fn f() { std::fs::read(x) }", ""),
    ] {
        for room in ["decide", "terms"] {
            let file = format!("{room}/a.rs");
            let found: BTreeSet<String> =
                faults(&House::planted(&[(&file, code)])).iter().map(|fault| fault.split_once(": ").unwrap().1.to_owned()).collect();
            assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{code}: {found:?}");
        }
        assert_eq!(faults(&House::planted(&[("act/a.rs", code)])), [""; 0]);
    }
    // An import in a module above is found there, and what a module below makes of it is found below.
    let house =
        House::planted(&[("decide/a/mod.rs", "use std::time::Instant;"), ("decide/a/b.rs", "use super::*;\nfn f() { Instant::now() }")]);
    assert_eq!(faults(&house), ["src/decide/a/b.rs:2: std::time::Instant::now"]);
}
