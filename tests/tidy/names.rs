//! Nothing asks the C library about names (docs/architecture.md, "Names").

use std::fs;
use std::path::Path;

use super::files::{name, root, sources};
use super::house::{House, tokens};
use super::tokens::{Said, said};

/// Calls that load modules of the machine's into the process, or are given a name and do.
const ABOUT_NAMES: [&str; 11] = [
    "getpw", "getgr", "getaddrinfo", "gethostby", "getservby", "initgroups", "User::from_", "Group::from_", "to_socket_addrs",
    "ToSocketAddrs", "home_dir",
];

/// The same, where a text that does not begin with a digit is what they are given.
const WITH_A_NAME: [&str; 3] = ["TcpListener::bind", "TcpStream::connect", "UdpSocket::bind"];

/// What is in the program connects to addresses that it was told, and lettre's own ways to a server take its name.
const IN_THE_PROGRAM: [&str; 3] = ["TcpStream::connect", "UdpSocket", "SmtpTransport"];

/// The words for which this path asks the C library about names, or one of these words that it has.
fn about_names(path: &[String], given: Option<&str>, words: &[&str]) -> Vec<String> {
    // A call that asks the kernel, and the number of one.
    let path: Vec<&str> = path.iter().map(String::as_str).filter(|word| !word.starts_with("SYS_") && *word != "getgroups").collect();
    // Of the ways to connect this one takes an address, and no name.
    let path = path.join("::").replace("TcpStream::connect_timeout", "TcpStream");
    let is_name = given.is_some_and(|text| !text.starts_with(char::is_numeric));
    let named = WITH_A_NAME.iter().filter(|call| is_name && path.ends_with(**call));
    let said = ABOUT_NAMES.iter().chain(words).filter(|word| path.contains(**word));
    said.chain(named).map(|word| (*word).to_owned()).collect()
}

/// Where code asks the C library about names.
fn asks_about_names(code: &str) -> Vec<(usize, String)> {
    let asked = |said: Said| about_names(&said.words, said.given.as_deref(), &[]).into_iter().map(move |word| (said.line, word));
    said(tokens("code", code)).into_iter().flat_map(asked).collect()
}

/// The same for what is in the program, by whatever name it calls it there.
fn program_asks(house: &House) -> Vec<String> {
    let mut all = Vec::new();
    for module in house.modules("") {
        for said in &module.said {
            let mut words: Vec<String> = about_names(&said.words, said.given.as_deref(), &IN_THE_PROGRAM);
            for path in house.means(module, &said.words) {
                words.extend(about_names(&path, said.given.as_deref(), &IN_THE_PROGRAM));
            }
            words.sort();
            words.dedup();
            all.extend(words.into_iter().map(|word| format!("src/{}:{}: {word}", module.file, said.line)));
        }
    }
    all
}

#[test]
fn nothing_asks_the_c_library_about_names() {
    let mut all = program_asks(&House::real());
    // The tests are linked as the program is, and on a machine with other modules they died of it.
    for path in ["src", "tests", "benches", "fuzz/fuzz_targets"].iter().flat_map(|dir| sources(dir)) {
        if name(&path) != "tests/tidy/names.rs" {
            let found = asks_about_names(&fs::read_to_string(&path).unwrap());
            all.extend(found.into_iter().map(|(line, word)| format!("{}:{line}: {word}", name(&path))));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
    for planted in ["Group::from_name(GROUP)", "std::env::home_dir()", "TcpStream::connect(\"host:25\")", "UdpSocket::bind((\"host\", 0))"]
    {
        assert_eq!(asks_about_names(planted).len(), 1, "{planted}");
    }
    assert_eq!(asks_about_names("TcpListener::bind(\"127.0.0.1:0\"); UdpSocket::bind((SERVER, 53)); libc::SYS_getgroups"), []);
    for planted in [
        "use nix::unistd::User as Someone;\nfn f() { Someone::from_uid(uid) }",
        "fn f() { std::net::TcpStream::connect(address) }",
        "use std::net::UdpSocket as S;",
        "fn f() { m!(lettre::SmtpTransport::relay(x)) }",
        "#[cfg(test)] mod tests {}\nfn f() { x.to_socket_addrs() }",
    ] {
        let found = program_asks(&House::planted(&[("act/a.rs", planted)]));
        assert!(!found.is_empty(), "{planted}");
    }
    assert_eq!(program_asks(&House::planted(&[("act/a.rs", "#[cfg(test)] mod tests { use std::net::UdpSocket; }")])), [""; 0]);
}

#[test]
fn what_connects_is_given_addresses_and_nothing_linked_asks_about_names() {
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
    for program in [env!("CARGO_BIN_EXE_snapgate"), env!("CARGO_BIN_EXE_snapgate-shell")] {
        assert_eq!(linked(Path::new(program)), [""; 0], "{program}");
    }
    // Such a function would be seen: this program has one, and does not call it.
    std::hint::black_box(nix::unistd::User::from_uid as fn(nix::unistd::Uid) -> nix::Result<Option<nix::unistd::User>>);
    assert_eq!(linked(&std::env::current_exe().unwrap()), ["__getpwuid_r"]);
}
