//! The shape of the source: layers whose arrows point down, files that fit a reader, and nothing unsafe.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, the lowest first. The stories of one program are nothing to the other.
const LAYERS: [&[&str]; 4] = [&["terms"], &["decide"], &["act"], &["gate", "admin"]];

/// The rooms of `act` that may use another one: a process closes itself in and is asked for names through the same children, and a
/// repository asks whose ids an account may use.
const ROOMS: [(&str, &str); 4] = [("sandbox", "child"), ("sandbox", "process"), ("names", "child"), ("store", "names")];

/// Much longer than 400 lines, a file has more than one story; tests are a list and may go on a little.
const MAX_LINES: usize = 420;

/// The same for tests.
const MAX_TEST_LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(dir)];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no source in {dir}");
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Whether a file holds nothing but tests.
fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    path.starts_with(root().join("tests")) || stem == "tests" || stem.ends_with("_tests")
}

/// The modules of a file, outermost first: `src/act/lock.rs` is `act`, `lock`.
fn modules(path: &Path) -> Vec<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let parts = inside.components().map(|part| part.as_os_str().to_str().unwrap().to_owned());
    parts.filter(|part| part != "mod").collect()
}

/// Every path into the crate that a text names, as lists of words: `crate::act::{lock, log::write}` is two.
fn paths(text: &str, here: &[String]) -> Vec<Vec<String>> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect();
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        expand(&code[start + "crate::".len()..], &[], &mut found);
    }
    for (start, _) in code.match_indices("super::") {
        let chained = code[..start].ends_with("super::");
        let depth = 1 + code[start..].split("super::").skip(1).take_while(|rest| rest.is_empty()).count();
        // Inside `mod tests { … }` one `super` is the file itself; counting it as the parent only ever looks too high up
        // among siblings of the same layer, so the tests' own imports are left out.
        if !chained && here.len() >= depth {
            expand(&code[start + depth * "super::".len()..], &here[..here.len() - depth], &mut found);
        }
    }
    found
}

/// Splits `a::{b, c::d}` into `a b` and `a c d`, as far as the text goes on being a path.
fn expand(text: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = &text[word.len()..];
    let mut path = before.to_vec();
    if !word.is_empty() {
        path.push(word);
    }
    if let Some(rest) = rest.strip_prefix("::") {
        return expand(rest, &path, found);
    }
    let Some(list) = rest.strip_prefix('{') else {
        found.push(path);
        return;
    };
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                if !list[start..at].trim().is_empty() {
                    expand(list[start..at].trim(), &path, found);
                }
                start = at + 1;
                if c == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or(LAYERS.len())
}

/// What is wrong with the imports of a file with this text.
fn faults(here: &[String], text: &str) -> Vec<String> {
    // Tests at the end of a file may look wherever they like.
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let Some(own) = here.first() else { return Vec::new() };
    let mut faults = Vec::new();
    for path in paths(text, here) {
        let Some(first) = path.first() else { continue };
        if layer(first) == LAYERS.len() {
            continue;
        }
        if layer(first) > layer(own) {
            faults.push(format!("`{}` points up", path.join("::")));
        } else if layer(first) == layer(own) && first != own {
            faults.push(format!("`{}` is the other program's", path.join("::")));
        } else if layer(first) == layer(own) && own == "act" {
            let is_listed = |mine: &str, other: &str| mine == other || ROOMS.contains(&(mine, other));
            let sibling = path.get(1).filter(|second| here.get(1).is_some_and(|mine| !is_listed(mine, second)));
            if let Some(sibling) = sibling.filter(|name| name.chars().next().is_some_and(char::is_lowercase)) {
                faults.push(format!("`act::{sibling}` is a sibling: what two need is below them, or the story joins them"));
            }
        }
    }
    faults
}

#[test]
fn arrows_point_down_and_effects_do_not_know_each_other() {
    let mut all = Vec::new();
    for path in sources("src") {
        let here = modules(&path);
        if here == ["lib"] || here[0] == "bin" {
            continue;
        }
        all.extend(faults(&here, &fs::read_to_string(&path).unwrap()).into_iter().map(|fault| format!("{}: {fault}", name(&path))));
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn the_reader_of_imports_sees_every_way_of_writing_one() {
    let module = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (here, text, count) in [
        (module(&["terms", "path"]), "use crate::decide::policy::Policy;", 1),
        (module(&["terms", "path"]), "use crate::{terms::text, act::lock};", 1),
        (module(&["decide", "plan"]), "use super::super::act::lock;", 1),
        (module(&["decide", "plan"]), "fn f() { crate::admin::cli::run() }", 1),
        (module(&["act", "lock"]), "use super::log::write;", 1),
        (module(&["act", "lock"]), "use crate::act::{log, mail};", 2),
        (module(&["act", "lock"]), "use crate::decide::plan::Plan;\nuse crate::terms::path;", 0),
        (module(&["act", "mail", "smtp"]), "use super::Mail;\nuse crate::act::mail::Mail;", 0),
        (module(&["gate", "serve"]), "use crate::act::{lock, log};\nuse crate::decide::verdict;", 0),
        (module(&["gate", "serve"]), "use crate::admin::watch;", 1),
        (module(&["act", "sandbox"]), "use crate::act::child::Orders;", 0),
        (module(&["act", "child"]), "use crate::act::sandbox::view;", 1),
        (module(&["terms", "path"]), "// crate::act is above\n#[cfg(test)]\nmod tests { use crate::act::lock; }", 0),
    ] {
        assert_eq!(faults(&here, text).len(), count, "{here:?}: {text}: {:?}", faults(&here, text));
    }
}

#[test]
fn what_decides_touches_nothing() {
    let effects = [
        "std::fs", "std::env", "std::process", "std::net::Tcp", "std::net::Udp", "std::os::unix::net", "std::io::std", "Utc::now",
        "SystemTime::now", "Instant::now", "nix::",
    ];
    let mut all = Vec::new();
    for path in sources("src/decide").into_iter().chain(sources("src/terms")).filter(|path| !is_test(path)) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            // Bytes as names of files are `std::os::unix::ffi`, which is no effect and not the crate `nix`.
            let line = line.replace("unix::ffi", "");
            all.extend(
                effects.iter().filter(|effect| line.contains(**effect)).map(|effect| format!("{}:{}: {effect}", name(&path), number + 1)),
            );
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn every_module_says_what_it_is_for_and_fits_a_reader() {
    let mut all = Vec::new();
    for path in sources("src").into_iter().chain(sources("tests")).chain(sources("benches")) {
        let text = fs::read_to_string(&path).unwrap();
        // A module of tests belongs to the one that it tests, which says what it is for.
        if !text.starts_with("//! ") && !is_test(&path) {
            all.push(format!("{}: begins with no `//!`", name(&path)));
        }
        let lines = text.lines().count();
        if lines > if is_test(&path) { MAX_TEST_LINES } else { MAX_LINES } {
            all.push(format!("{}: {lines} lines", name(&path)));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn nothing_is_unsafe_and_no_lint_is_switched_off_in_silence() {
    let mut all = Vec::new();
    for path in sources("src") {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let outside_strings: String = line.split('"').step_by(2).collect();
            let words: BTreeSet<&str> = outside_strings.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            let code = !line.trim_start().starts_with("//");
            if code && words.contains("unsafe") {
                all.push(format!("{}:{}: unsafe", name(&path), number + 1));
            }
            if code && (line.contains("#[allow(") || line.contains("#![allow(")) {
                all.push(format!("{}:{}: allow", name(&path), number + 1));
            }
        }
    }
    assert!(all.is_empty(), "{all:#?}");
    assert!(fs::read_to_string(root().join("Cargo.toml")).unwrap().contains("unsafe_code = \"forbid\""));
}

#[test]
fn every_story_of_the_whole_program_is_part_of_the_suite() {
    let main = fs::read_to_string(root().join("tests/whole/main.rs")).unwrap();
    for path in sources("tests/whole") {
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(module == "main" || main.contains(&format!("mod {module};")), "tests/whole/{module}.rs is not run");
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
fn every_limit_is_in_the_table_of_lengths_and_every_name_there_is_a_limit() {
    let text = [
        "src/terms/limits/mod.rs", "src/terms/limits/mail.rs", "src/terms/limits/snapshots.rs", "src/terms/limits/check.rs",
        "src/terms/limits/time.rs",
    ]
    .map(|file| fs::read_to_string(root().join(file)).unwrap())
    .concat();
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

/// Calls that load modules of the machine's into the process, or are given a name and do (docs/architecture.md, "Names").
const ABOUT_NAMES: [&str; 11] = [
    "getpw", "getgr", "getaddrinfo", "gethostby", "getservby", "initgroups", "User::from_", "Group::from_", "to_socket_addrs",
    "ToSocketAddrs", "home_dir",
];

/// The same, where a text that does not begin with a digit is what they are given.
const WITH_A_NAME: [&str; 3] = ["TcpListener::bind(", "TcpStream::connect(", "UdpSocket::bind("];

/// Where code asks the C library about names, or says one of these words.
fn asks_about_names(code: &str, words: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        // The word for a database of getent(1), and the number of a call that asks the kernel.
        let line = line.replace("&[\"--\", \"initgroups\"]", "").replace("libc::SYS_getgroups", "");
        let is_name = |rest: &str| rest.trim_start_matches('(').strip_prefix('"').is_some_and(|text| !text.starts_with(char::is_numeric));
        let named = WITH_A_NAME.iter().filter(|call| line.split(**call).skip(1).any(is_name));
        let said = ABOUT_NAMES.iter().chain(words).filter(|word| line.contains(**word));
        found.extend(said.chain(named).map(|word| (number + 1, (*word).to_owned())));
    }
    found
}

#[test]
fn nothing_asks_the_c_library_about_names() {
    let told = |path: &Path, found: Vec<(usize, String)>| {
        let path = name(path);
        found.into_iter().map(move |(number, word)| format!("{path}:{number}: {word}"))
    };
    let mut all = Vec::new();
    // What is in the program connects to addresses that it was told, and lettre's own ways to a server take its name.
    let program = ["TcpStream::connect", "UdpSocket", "SmtpTransport"];
    for path in sources("src").into_iter().filter(|path| !is_test(path)) {
        let text = fs::read_to_string(&path).unwrap();
        all.extend(told(&path, asks_about_names(text.split("#[cfg(test)]").next().unwrap_or_default(), &program)));
    }
    // The tests are linked as the program is, and on a machine with other modules they died of it.
    for path in ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"].iter().flat_map(|dir| sources(dir)) {
        if name(&path) != "tests/tidy.rs" {
            all.extend(told(&path, asks_about_names(&fs::read_to_string(&path).unwrap(), &[])));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
    for planted in ["Group::from_name(GROUP)", "std::env::home_dir()", "TcpStream::connect(\"host:25\")", "UdpSocket::bind((\"host\", 0))"]
    {
        assert_eq!(asks_about_names(planted, &[]).len(), 1, "{planted}");
    }
    assert_eq!(asks_about_names("TcpListener::bind(\"127.0.0.1:0\"); UdpSocket::bind((SERVER, 53))", &[]), []);
    // What the library is asked to connect to is addresses, by their type.
    let mail = fs::read_to_string(root().join("src/act/mail/mod.rs")).unwrap();
    assert!(mail.contains("addresses: Vec<SocketAddr>") && mail.contains("SmtpConnection::connect(self.addresses.as_slice(),"));
    assert_eq!(mail.matches("SmtpConnection::connect").count(), 1);
    // Nor does anything else that is in the program: by the names that these functions have inside the C library, since its tables
    // of modules name them as everybody else does.
    let symbols = ["getaddrinfo", "__getpwuid_r", "__getpwnam_r", "__getgrnam_r", "__getgrgid_r", "__gethostbyname_r", "__getservbyname_r"];
    let linked = |program: &Path| {
        let program = fs::read(program).unwrap();
        let names = program.split(|byte| *byte == 0).filter(|text| symbols.iter().any(|symbol| symbol.as_bytes() == *text));
        names.map(|name| name.escape_ascii().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(linked(Path::new(env!("CARGO_BIN_EXE_snapgate"))), [""; 0]);
    // Such a function would be seen: this program has one, and does not call it.
    std::hint::black_box(nix::unistd::User::from_uid as fn(nix::unistd::Uid) -> nix::Result<Option<nix::unistd::User>>);
    assert_eq!(linked(&std::env::current_exe().unwrap()), ["__getpwuid_r"]);
}
