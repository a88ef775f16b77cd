//! What the kernel lets rsync use. The limits are set on the gate itself for as long as it takes to start rsync, which inherits
//! them, and are taken back: only the soft ones, since a hard limit that is lowered stays low for hooks too. So they bound an
//! rsync that is misled, not code that has taken it over, which could raise them again to the hard ones.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::getuid;

use crate::decide::plan::ChildLimits;
use crate::terms::limits::CHILD_FILES;

/// The limits of an rsync that is about to start. Asked before the jail is entered, which hides `/proc`.
pub(super) fn of_rsync(limits: &ChildLimits) -> Vec<(Resource, u64)> {
    let mut wanted = vec![(Resource::RLIMIT_AS, limits.memory), (Resource::RLIMIT_NOFILE, CHILD_FILES)];
    wanted.extend(limits.file_size.map(|bytes| (Resource::RLIMIT_FSIZE, bytes)));
    wanted.extend(processes(limits.processes).map(|processes| (Resource::RLIMIT_NPROC, processes)));
    for (resource, value) in &mut wanted {
        // What somebody has set lower for the account stays.
        *value = getrlimit(*resource).map_or(*value, |(soft, _)| soft.min(*value));
    }
    wanted
}

/// Does something under soft limits, and gives back those from before.
pub(super) fn with_soft<T>(wanted: &[(Resource, u64)], start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
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

/// The limit on processes: so many besides as many as the whole machine runs now. The kernel counts all of an account's processes
/// and threads against it, wherever they were started, and tells nobody how many that are but by a look at every process there is,
/// which takes longer than all the rest before a push. For root the limit does not hold at all (setrlimit(2), `RLIMIT_NPROC`).
fn processes(more: u64) -> Option<u64> {
    if getuid().is_root() { None } else { Some(running()?.saturating_add(more)) }
}

/// Processes and threads of the machine (proc(5), `/proc/loadavg`, the fourth field).
fn running() -> Option<u64> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    load.split(' ').nth(3)?.split_once('/')?.1.parse().ok()
}

/// The bytes that a process and its children have written so far, to whatever it may be (proc(5), `/proc/pid/io`, `wchar`).
pub(super) fn written(pid: nix::unistd::Pid) -> Option<u64> {
    let of = |pid: &str| {
        let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
        io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse::<u64>().ok())
    };
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let sum = of(&pid.to_string())?;
    Some(children.split_whitespace().filter_map(of).fold(sum, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_for_what_is_started_and_not_for_the_gate() {
        let before = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        let output = with_soft(&[(Resource::RLIMIT_FSIZE, 1 << 20)], || {
            std::process::Command::new("sh").args(["-c", "ulimit -S -f; ulimit -H -f"]).output()
        });
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(said.lines().next(), Some("2048"), "in blocks of 512 bytes");
        assert_ne!(said.lines().nth(1), Some("2048"), "the hard one stays");
        assert_eq!(getrlimit(Resource::RLIMIT_FSIZE).unwrap(), before);
        assert!(with_soft(&[(Resource::RLIMIT_FSIZE, 1 << 20)], || Err::<(), _>(io::Error::other("x"))).is_err());
        assert_eq!(getrlimit(Resource::RLIMIT_FSIZE).unwrap(), before, "after a failure too");
    }

    #[test]
    fn the_machine_says_how_many_processes_there_are() {
        let listed = fs::read_dir("/proc").unwrap().flatten().filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
        let listed = u64::try_from(listed.count()).unwrap();
        // Threads count too, and others come and go meanwhile.
        assert!(running().unwrap() * 2 >= listed, "{listed}");
    }

    #[test]
    fn what_a_child_has_written_is_known() {
        use std::io::Read as _;
        let script = "i=0; while [ $i -lt 100 ]; do echo 123456789 >/dev/null; i=$((i+1)); done; echo done; read line";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert_eq!(written(pid), Some(1005));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(written(nix::unistd::Pid::from_raw(i32::MAX)), None);
    }
}
