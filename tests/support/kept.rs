//! `owners: keep` beneath tests that are about something else: `OWNERS_KEPT=1 cargo test --test attack`, as root.
//!
//! Every gate is then an ordinary account's that keeps its client's owners, while the client is root's still and so are the tests, which
//! have to see everything. The suite runs some of its tests a second time so; `make owners` all that mean something there. For an ordinary
//! user nothing of this can be: whoever runs the gate may not look at what it stores. With `OWNERS_KEPT=dropped` the account keeps none.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

pub use crate::ids::Keeper;

use crate::ids::able;
use crate::programs::{GATE, SNAPGATE};
use crate::run::must;
use crate::{mode, skip, versions};

/// Says that owners are kept.
pub const VARIABLE: &str = "OWNERS_KEPT";

/// Its value in the suite.
const SHORT: &str = "short";

/// The value where the account is another one and keeps no owners.
const DROPPED: &str = "dropped";

/// The gate, in the directory of each. Tests put others there.
const PROGRAM: &str = "kept-snapgate-shell";

/// The account whose gates keep owners, where they do.
pub fn keeper() -> Option<&'static Keeper> {
    static KEEPER: OnceLock<Option<Keeper>> = OnceLock::new();
    let wanted = || std::env::var_os(VARIABLE).is_some_and(|value| value == "1" || value == SHORT || value == DROPPED);
    let keeper = KEEPER.get_or_init(|| wanted().then(|| able(3).unwrap_or_else(|why| panic!("{VARIABLE}: {why}"))));
    keeper.as_ref()
}

/// Whether the suite runs it, which has no time for every kill.
pub fn is_short() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == SHORT)
}

/// Whether it is an account's that keeps none.
pub fn is_dropped() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == DROPPED)
}

/// What every policy says then.
pub fn policy() -> &'static str {
    match keeper() {
        None => "",
        Some(_) if is_dropped() => "owners: drop\n",
        Some(_) => "owners: keep\n",
    }
}

/// Runs tests of this program once more, with owners kept. Says so where that cannot be.
#[track_caller]
pub fn again(tests: &[&str]) {
    again_as(SHORT, tests);
}

/// The same where the gate is an ordinary account's that keeps none.
#[track_caller]
pub fn again_dropped(tests: &[&str]) {
    again_as(DROPPED, tests);
}

#[track_caller]
fn again_as(value: &str, tests: &[&str]) {
    if keeper().is_some() || versions::server().is_some() {
        return;
    }
    match able(3) {
        Ok(_) => versions::rerun(VARIABLE, value, tests),
        Err(why) => skip(&why),
    }
}

/// Gives the account what of a gate's directory is the gate's.
pub fn move_in(keeper: &Keeper, dir: &Path) {
    let modes = [("", 0o755), ("config", 0o755), ("config/policies", 0o755), ("store", 0o711), ("spool", 0o1777), ("mail", 0o1777)];
    fs::write(dir.join("spool/sessions"), "").unwrap();
    for (name, bits) in modes.into_iter().chain([("spool/sessions", 0o666)]) {
        mode(&dir.join(name), bits);
    }
    chown(dir.join("store"), Some(keeper.account.uid), Some(keeper.account.gid)).unwrap();
    // Where the account can reach it. As a copy by another process, see `tests/support/setup.rs`.
    for (built, name) in [(SNAPGATE, "snapgate"), (GATE, PROGRAM)] {
        if fs::hard_link(built, dir.join(name)).is_err() {
            must(Command::new("cp").arg(built).arg(dir.join(name)));
        }
    }
}

/// The words that start the gate there.
pub fn words(keeper: &Keeper, dir: &Path) -> Vec<String> {
    [keeper.words(), vec![dir.join(PROGRAM).display().to_string()]].concat()
}

/// The words that show every call of the gate and, where owners are kept, of the process that does the work.
pub fn strace() -> &'static str {
    if keeper().is_some() { "strace -f -qq" } else { "strace -qq" }
}

/// Whatever the test was about, no id is on the disk that the account may not use.
#[track_caller]
pub fn no_strangers(dir: &Path) {
    if let Some(keeper) = keeper() {
        // What root's `watch` leaves in the spool has root's group.
        assert_eq!(keeper.strangers(&[dir.join("store/web1")]), [""; 0]);
    }
}
