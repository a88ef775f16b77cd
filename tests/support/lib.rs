//! What the tests share, and the benchmark. Two worlds to try the programs in: [`gate`] starts the gate itself, by a script that says what
//! sshd would say; [`server`] is a real sshd with its clients. Whoever tests something else finds parts of them here: accounts, trees,
//! processes, a mail server, a file system to fill up.

pub mod accounts;
pub mod client;
pub mod facts;
pub mod gate;
pub mod getent;
pub mod http;
pub mod ids;
pub mod kept;
pub mod layer;
pub mod limits;
pub mod mail;
pub mod mount;
pub mod mutate;
pub mod processes;
pub mod programs;
pub mod record;
pub mod repository;
pub mod run;
pub mod server;
pub mod setup;
pub mod smtp;
pub mod stock;
pub mod strace;
pub mod tree;
pub mod versions;

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub use accounts::is_root;
pub use gate::{Gate, POLICY};
pub use programs::{GATE, SNAPGATE, root};
pub use run::{Ran, Running, must, run};
pub use server::Server;
pub use setup::{ALL_VERBS, Setup};

/// Nothing in the suite takes longer unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Says why a test does nothing, or less than it could. Written past the test runner, which would swallow it.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "skipped: {}: {why}", thread.name().unwrap_or("a test"));
}

/// Sets a mode.
pub fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A directory that goes away, where what a program brings to the disk takes no time: for tests that do it a thousand times.
pub fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Whether strace can kill the gate here. Root has to have it, since `make test` installs it then; for anybody else a test
/// without it is left out, and says so.
pub fn can_trace() -> bool {
    let works = || run(std::process::Command::new("strace").args(["-qq", "-o", "/dev/null", "true"])).status == 0;
    if is_root() || (client::place("strace").is_some() && works()) {
        return true;
    }
    skip("it takes strace, and the right to use it, to kill the gate at a given system call");
    false
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Whether a server answers before it ends.
pub fn answers(port: u16, server: &mut Child) -> bool {
    for _ in 0..1000 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return server.try_wait().unwrap().is_none();
        }
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    false
}
