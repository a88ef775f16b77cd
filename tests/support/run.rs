//! Programs that are started, how they ended, and what they said.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{PATIENCE, processes};

/// How a program ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status, or 128 and the signal.
    pub status: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// It has to have ended with this status. Where the gate turns an rsync away before its protocol begins, the client's
    /// rsync may say 12 instead: it takes its child's status only if that has ended by the time the pipe is closed
    /// (`_exit_cleanup` in rsync's cleanup.c waits with WNOHANG). The record has the gate's own.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        if status >= 64 && self.status == 12 && self.stderr.contains("connection unexpectedly closed") {
            return self;
        }
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The stable code in its line.
    pub fn code(&self) -> Option<&str> {
        let line = self.stderr.lines().find(|line| line.starts_with("snapgate: "))?;
        line.rsplit_once("(code ")?.1.strip_suffix(')')
    }

    /// It has to have been turned away with this code and exit status.
    #[track_caller]
    pub fn refused(self, code: &str, status: i32) -> Self {
        let ran = self.exits(status);
        assert_eq!(ran.code(), Some(code), "{}", ran.stderr);
        ran
    }

    /// A figure of `rsync --stats`, for example `Literal data`.
    #[track_caller]
    pub fn figure(&self, name: &str) -> u64 {
        let line = self.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        let line = line.unwrap_or_else(|| panic!("no `{name}` in {}{}", self.stdout, self.stderr));
        let digits: String = line.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
        digits.parse().unwrap()
    }
}

/// A program that still runs.
pub struct Running {
    /// The process.
    pub child: Child,
    out: File,
    err: File,
    began: Instant,
}

impl Running {
    /// Starts a program with an environment of almost nothing.
    pub fn start(command: &mut Command) -> Self {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let began = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, out, err, began }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.began.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("it hangs; stderr: {}", read(&mut self.err));
            }
            sleep(Duration::from_millis(2));
        };
        let took = self.began.elapsed();
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ran { status, stdout: read(&mut self.out), stderr: read(&mut self.err), took }
    }

    /// Ends it at once, as a crash or a lost network does, with its ssh.
    pub fn kill(mut self) {
        processes::signal(&processes::stop(self.child.id()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a program to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    Running::start(command).wait()
}

/// Runs a program that has to succeed.
#[track_caller]
pub fn must(command: &mut Command) -> String {
    run(command).exits(0).stdout
}
