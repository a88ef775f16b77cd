//! The administrator's own commands, before and after a push. They run as the account, outside the
//! jail; where owners are kept, as root of the namespace that has the client's ids.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Patience;
use super::leader::Leader;
use crate::decide::push::outcome::Ended;

/// In what a hook runs.
#[derive(Debug)]
pub struct Setting {
    /// Its variables.
    pub variables: Vec<(&'static str, OsString)>,
    /// Whether this process is in that namespace.
    pub mapped: bool,
    /// How many files it may open, as for whatever else sshd starts.
    pub files: u64,
    /// How much address space it may have, likewise.
    pub memory: u64,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookEnd {
    /// With status 0.
    Done,
    /// Otherwise, and how.
    Failed(String),
}

/// Runs one command, its output going into `log`.
#[must_use]
pub fn hook(argv: &[String], setting: Setting, limit: Duration, log: &File) -> HookEnd {
    let Some((program, arguments)) = argv.split_first() else { return HookEnd::Failed("it is empty".to_owned()) };
    let (Ok(output), Ok(errors)) = (log.try_clone(), log.try_clone()) else {
        return HookEnd::Failed("the run's log cannot be handed to it".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(setting.variables);
    command.current_dir("/").process_group(0).stdin(Stdio::null()).stdout(output).stderr(errors);
    if setting.mapped {
        command.uid(0).gid(0);
    }
    // The gate has limits of its own.
    let wanted = [(Resource::RLIMIT_NOFILE, setting.files), (Resource::RLIMIT_AS, setting.memory)];
    let started = with_soft(&wanted, || command.spawn());
    let ended = started.and_then(|child| {
        Leader::of_child(&child)?.wait_within(Patience { limit, idle: None, until: None, while_read: false, whole: false }, None, None)
    });
    match ended {
        Ok(Ended::Exit(0)) => HookEnd::Done,
        Ok(Ended::Exit(status)) => HookEnd::Failed(format!("it ended with status {status}")),
        Ok(Ended::Signal(signal)) => HookEnd::Failed(format!("signal {signal} ended it")),
        Ok(Ended::TooMuch(_) | Ended::Idle(_) | Ended::Closed | Ended::Gone) => HookEnd::Failed("it was ended".to_owned()),
        Ok(Ended::Deadline) => HookEnd::Failed(format!("it was ended after {} (`time_limits: hook`)", humantime::format_duration(limit))),
        Err(error) => {
            HookEnd::Failed(format!("it did not start: {error}: see that it is there, what its `#!` line names too, and may be run"))
        }
    }
}

/// Does something under soft limits, and gives back those from before.
fn with_soft<T>(wanted: &[(Resource, u64)], start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut before = Vec::new();
    let set = wanted.iter().try_for_each(|(resource, value)| {
        let (soft, hard) = getrlimit(*resource)?;
        setrlimit(*resource, (*value).min(hard), hard)?;
        before.push((*resource, soft, hard));
        Ok::<_, Errno>(())
    });
    let started = set.map_err(io::Error::from).and_then(|()| start());
    for (resource, soft, hard) in before {
        // Back to what it was a moment ago, which needs no right.
        let _ = setrlimit(resource, soft, hard);
    }
    started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_for_what_is_started_and_not_for_the_gate() {
        // Other tests run in this process meanwhile: one of files' sizes would end them (SIGXFSZ).
        let before = getrlimit(Resource::RLIMIT_STACK).unwrap();
        let output = with_soft(&[(Resource::RLIMIT_STACK, 1 << 20)], || {
            std::process::Command::new("sh").args(["-c", "ulimit -S -s; ulimit -H -s"]).output()
        });
        let answer = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(answer.lines().next(), Some("1024"), "in KiB");
        assert_ne!(answer.lines().nth(1), Some("1024"), "the hard one stays");
        assert_eq!(getrlimit(Resource::RLIMIT_STACK).unwrap(), before);
        assert!(with_soft(&[(Resource::RLIMIT_STACK, 1 << 20)], || Err::<(), _>(io::Error::other("x"))).is_err());
        assert_eq!(getrlimit(Resource::RLIMIT_STACK).unwrap(), before, "after a failure too");
    }
}
