//! Names and numbers of accounts and groups, for the tests. A program of the machine is asked, getent(1), and not the C library: it is
//! part of the test program, and would load modules into it that were made for another one. Where it does, the program dies.

use std::process::Command;

/// The line about a name or number in `passwd` or `group`, as its fields.
pub fn entry(database: &str, key: &str) -> Option<Vec<String>> {
    let output = Command::new("getent").args([database, key]).output().expect("getent, which belongs to the C library");
    // 2 says that nobody knows it.
    assert!(matches!(output.status.code(), Some(0 | 2)), "getent {database} {key}: {output:?}");
    let line = String::from_utf8(output.stdout).expect("a line in UTF-8");
    line.lines().next().map(|line| line.split(':').map(str::to_owned).collect())
}

/// The name of the account that runs the tests.
pub fn my_name() -> String {
    let line = entry("passwd", &nix::unistd::getuid().to_string());
    line.and_then(|fields| fields.into_iter().next()).expect("whoever runs the tests has a name")
}
