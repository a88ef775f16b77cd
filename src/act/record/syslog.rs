//! One line to the system's log. It never delays or fails a push: if the daemon is missing or
//! stuck, the line is lost.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::act::clock;
use crate::terms::limits::{MAX_SYSLOG_LINE, SYSLOG_TIMEOUT};
use crate::terms::text::still_printable;

/// Facility `auth`, severity `info` (syslog(3)).
const PRIORITY: u8 = (4 << 3) | 6;

/// Sends `line` to the daemon's socket, and says whether the daemon has it.
pub fn send(socket: &Path, line: &str) -> bool {
    deliver(socket, datagram(clock::kernel(), std::process::id(), line).as_bytes()).is_ok()
}

/// An RFC 3164 line without host name, as daemons expect it on a local socket. The time is UTC.
fn datagram(at: DateTime<Utc>, pid: u32, line: &str) -> String {
    format!("<{PRIORITY}>{} snapgate[{pid}]: {}", at.format("%b %d %H:%M:%S"), still_printable(line, MAX_SYSLOG_LINE))
}

fn deliver(socket: &Path, datagram: &[u8]) -> std::io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    // `connect` to a datagram socket never waits; `send` waits for room in the queue (unix(7)).
    sender.set_write_timeout(Some(SYSLOG_TIMEOUT))?;
    sender.connect(socket)?;
    sender.send(datagram).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_line_is_as_daemons_expect_it() {
        let at = "2026-11-03T04:05:06Z".parse().unwrap();
        assert_eq!(datagram(at, 17, "id=1 result=published"), "<38>Nov 03 04:05:06 snapgate[17]: id=1 result=published");
    }

    #[test]
    fn a_daemon_gets_one_line_with_facility_and_process() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let daemon = UnixDatagram::bind(&socket).unwrap();
        assert!(send(&socket, "result=refused code=window\n<0>forged"));
        let mut buffer = [0; 4096];
        let length = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("<38>"), "auth is 4, info is 6: {text}");
        let tag = format!(" snapgate[{}]: result=refused code=window\\n<0>forged", std::process::id());
        assert!(text.ends_with(&tag), "{text}");
    }

    #[test]
    fn a_daemon_that_never_reads_costs_a_moment_and_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let _daemon = UnixDatagram::bind(&socket).unwrap();
        let begun = Instant::now();
        // The kernel queues about ten datagrams (net.unix.max_dgram_qlen), here some hundreds at
        // most.
        let lost = (0..2000).position(|_| !send(&socket, "x"));
        assert!(lost.is_some(), "the queue never filled");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn without_a_daemon_nothing_happens() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!send(&dir.path().join("log"), "x"));
        let stale = dir.path().join("stale");
        drop(UnixDatagram::bind(&stale).unwrap());
        assert!(!send(&stale, "x"));
        assert!(!send(Path::new(&"x".repeat(300)), "x"));
    }
}
