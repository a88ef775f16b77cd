//! What rsync wrote into a run's log, as far as the gate uses it: its complaints, and how much came over the network.

use crate::terms::limits::MAX_LOG_LINES;
use crate::terms::text::printable;

/// What rsync said in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Its complaints, printable, the last [`MAX_LOG_LINES`].
    pub complaints: Vec<String>,
    /// Bytes it read from the network, when it came as far as saying so.
    pub wire_bytes: Option<u64>,
    /// Sum of the sizes of all files that it was told of, in bytes.
    pub total_bytes: Option<u64>,
    /// Whether the kernel stopped it at the largest size that it may give a file (`EFBIG`, in the words of the C library).
    pub file_too_large: bool,
}

/// Reads the end of a run's log. The lines come from rsync, so names in them come from the client: they are only quoted.
pub fn read(log: &[u8]) -> Words {
    let mut words = Words::default();
    for line in log.split(|byte| *byte == b'\n') {
        let Some(said) = by_rsync(line) else { continue };
        if let Some((wire, total)) = summary(said) {
            (words.wire_bytes, words.total_bytes) = (Some(wire), Some(total));
        } else if said != b"receiving file list" && !said.is_empty() {
            words.file_too_large |= said.ends_with(b": File too large (27)");
            words.complaints.push(printable(said));
        }
    }
    let surplus = words.complaints.len().saturating_sub(MAX_LOG_LINES);
    words.complaints.drain(..surplus);
    words
}

/// The text of a line that rsync wrote: `2026/11/21 09:12:02 [2735] text`.
pub(super) fn by_rsync(line: &[u8]) -> Option<&[u8]> {
    let bracket = line.iter().position(|byte| *byte == b'[')?;
    let (date, rest) = line.split_at_checked(bracket)?;
    let end = rest.iter().position(|byte| *byte == b']')?;
    let (pid, text) = rest.split_at_checked(end)?;
    let is_date = date.len() == 20 && date.iter().all(|byte| byte.is_ascii_digit() || b"/: ".contains(byte));
    let is_pid = pid.len() > 1 && pid.iter().skip(1).all(u8::is_ascii_digit);
    (is_date && is_pid).then(|| text.strip_prefix(b"] ").unwrap_or_default())
}

/// `sent 86 bytes  received 191 bytes  total size 10`, as rsync's `log_exit` writes it: the last two.
fn summary(said: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(said).ok()?;
    let (_, received) = text.strip_prefix("sent ")?.split_once(" bytes  received ")?;
    let (received, total) = received.split_once(" bytes  total size ")?;
    let number = |text: &str| text.replace(',', "").parse().ok();
    Some((number(received)?, number(total)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_and_the_bytes_on_the_wire_are_told_apart() {
        let log = b"2026/11/21 09:12:02 [snapgate] begin\nhook output [1] x\n\
            2026/11/21 09:12:02 [2735] receiving file list\n\
            2026/11/21 09:12:02 [2735] skipping non-regular file \"ff\"\n\
            2026/11/21 09:12:02 [2735] sent 86 bytes  received 1,191 bytes  total size 10\n";
        let words = read(log);
        assert_eq!(words.complaints, ["skipping non-regular file \"ff\""]);
        assert_eq!((words.wire_bytes, words.total_bytes), (Some(1191), Some(10)));
    }

    #[test]
    fn a_file_that_the_kernel_would_not_let_grow_is_known_whatever_its_name() {
        let said = |name: &str| format!("2026/11/21 09:12:02 [1] rsync: [receiver] write failed on \"{name}\": File too large (27)\n");
        for name in ["/r/x", "/r/\u{1b}", &"deep/".repeat(900)] {
            assert!(read(said(name).as_bytes()).file_too_large);
        }
        assert!(!read(b"2026/11/21 09:12:02 [1] rsync: [receiver] write failed on \"/r\": No space left on device (28)\n").file_too_large);
    }

    #[test]
    fn a_log_full_of_anything_is_read_without_harm() {
        let mut log = b"2026/11/21 09:12:02 [1] \x1b[31mred\xff\n".repeat(1000);
        log.extend(b"[[]]\n]\n[\n2026/11/21 09:12:02 []\n");
        let words = read(&log);
        assert_eq!(words.complaints.len(), MAX_LOG_LINES);
        assert!(words.complaints.iter().all(|line| line == "\\u{1b}[31mred\\xff"));
    }
}
