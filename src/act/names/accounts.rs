//! The machine's own list of accounts, `/etc/passwd` (passwd(5)), read by the gate itself.
//!
//! The C library's functions for it (getpwuid(3) and the like) must not be called: they load the
//! modules that nsswitch.conf(5) names, which were built for the machine's C library and not for
//! this program's. A process of its own asks other sources.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc;

use crate::decide::host::names::{Wanted, entry, login, user};
use crate::decide::owners::remap::Kind;
use crate::terms::limits::{MAX_PASSWD, MAX_PASSWD_LINE};
use crate::terms::{Account, Login};

const PASSWD: &str = "/etc/passwd";
/// Groups, in the same form as far as their numbers (group(5)).
const GROUP: &str = "/etc/group";

/// The number of the account that this process runs as, by the kernel's word.
pub fn running() -> u32 {
    nix::unistd::getuid().as_raw()
}

/// The number of its group.
pub fn running_group() -> u32 {
    nix::unistd::getgid().as_raw()
}

/// The account, if it is in the file. Of several lines the first counts, as for everybody.
pub fn in_file(wanted: Wanted<'_>) -> Option<Account> {
    find(Path::new(PASSWD), |line| user(line, wanted)).ok().flatten()
}

/// The first account or group whose number is one of these: a name and the number.
pub fn numbered(kind: Kind, is_one: impl Fn(u32) -> bool) -> io::Result<Option<(String, u32)>> {
    let mut text = Vec::new();
    let path = if kind == Kind::User { PASSWD } else { GROUP };
    File::open(path)?.take(MAX_PASSWD + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_PASSWD {
        return Err(io::Error::other(format!("{path} has more than {MAX_PASSWD} bytes")));
    }
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter_map(entry)
        .find(|(_, number)| is_one(*number))
        .map(|(name, number)| (String::from_utf8_lossy(name).into_owned(), number)))
}

/// Where the account that is in the file lives, and its shell.
pub fn login_in_file(wanted: Wanted<'_>) -> Option<Login> {
    find(Path::new(PASSWD), |line| login(line, wanted)).ok().flatten()
}

fn find<T>(path: &Path, read: impl Fn(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
    // Without waiting, should it be something else than a file.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    search(BufReader::new(file.take(MAX_PASSWD)), read)
}

/// Reads as far as the account's line. Only a line that came in two parts is copied.
fn search<T>(mut file: impl BufRead, read: impl Fn(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
    // The beginning of a line, and whether that line is too long to be one.
    let (mut begun, mut too_long) = (Vec::new(), false);
    loop {
        let room = file.fill_buf()?;
        if room.is_empty() {
            return Ok(read(&begun).filter(|_| !too_long));
        }
        let end = room.iter().position(|byte| *byte == b'\n');
        let (part, _) = room.split_at(end.unwrap_or(room.len()));
        let used = part.len() + usize::from(end.is_some());
        too_long |= begun.len() + part.len() > MAX_PASSWD_LINE;
        let found = match end {
            _ if too_long => None,
            Some(_) if begun.is_empty() => read(part),
            _ => {
                begun.extend_from_slice(part);
                end.and_then(|_| read(&begun))
            }
        };
        if found.is_some() {
            return Ok(found);
        }
        if end.is_some() {
            begun.clear();
            too_long = false;
        }
        file.consume(used);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::sys::stat::Mode;

    use super::*;

    fn found(text: &[u8], wanted: Wanted<'_>) -> Option<String> {
        // However the parts come, the answer is the same.
        let all = [1, 7, 64, 8192].map(|size| search(BufReader::with_capacity(size, text), |line| user(line, wanted)).unwrap());
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        all[0].clone().map(|account| account.name)
    }

    #[test]
    fn the_first_line_about_the_account_counts_and_odd_lines_are_passed_over() {
        let file = b"root:x:0:0:root:/root:/bin/sh\n\n+nis::::::\nbroken\r\nweb1:x:1000:1000:::\r\nweb2:x:1000:1000:::\nweb1:x:7:7:::\n\
            late:x:1001:1001::/:/bin/sh";
        assert_eq!(found(file, Wanted::Number(1000)).as_deref(), Some("web1"));
        assert_eq!(found(file, Wanted::Number(7)).as_deref(), Some("web1"));
        assert_eq!(found(file, Wanted::Name("web2")).as_deref(), Some("web2"));
        assert_eq!(found(file, Wanted::Number(1001)).as_deref(), Some("late"), "the last line has no end");
        assert_eq!(found(file, Wanted::Name("nis")), None);
        assert_eq!(found(file, Wanted::Number(4242)), None);
        assert_eq!(found(b"", Wanted::Number(0)), None);
    }

    #[test]
    fn a_line_that_is_too_long_is_no_line_and_hides_none() {
        let with = |length: usize| {
            let line = format!("long:x:1:1:{}", "x".repeat(length - "long:x:1:1:".len()));
            assert_eq!(line.len(), length);
            format!("{line}\nweb1:x:1000:1000:::\n{line}")
        };
        let most = with(MAX_PASSWD_LINE);
        assert_eq!(found(most.as_bytes(), Wanted::Number(1)).as_deref(), Some("long"));
        for length in [MAX_PASSWD_LINE + 1, 1 << 20] {
            let longer = with(length);
            assert_eq!(found(longer.as_bytes(), Wanted::Number(1)), None, "{length}");
            assert_eq!(found(longer.as_bytes(), Wanted::Number(1000)).as_deref(), Some("web1"), "{length}");
        }
    }

    #[test]
    fn only_a_file_is_read_and_no_more_of_it_than_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let find = |path: &Path, wanted| find(path, |line| user(line, wanted));
        assert!(find(&path, Wanted::Number(0)).is_err());
        assert!(find(dir.path(), Wanted::Number(0)).unwrap_or_default().is_none());
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert_eq!(find(&path, Wanted::Number(0)).unwrap(), None);
        fs::remove_file(&path).unwrap();
        let filled = |before: usize| {
            let mut text = "#".repeat(99) + "\n";
            text = text.repeat(before / 100 + 1);
            text.truncate(before - 1);
            fs::write(&path, text + "\nweb1:x:1000:1000:::\n").unwrap();
            find(&path, Wanted::Number(1000)).unwrap().is_some()
        };
        let most = usize::try_from(MAX_PASSWD).unwrap();
        assert!(filled(most - 20) && !filled(most));
    }

    #[test]
    fn this_machine_s_root_is_found() {
        assert_eq!(in_file(Wanted::Number(0)).unwrap().name, "root");
        assert_eq!(in_file(Wanted::Name("root")).unwrap().uid, 0);
        for kind in [Kind::User, Kind::Group] {
            assert_eq!(numbered(kind, |number| number == 0).unwrap(), Some(("root".to_owned(), 0)));
            assert_eq!(numbered(kind, |number| number == u32::MAX - 7).unwrap(), None);
        }
    }
}
