//! The user database and the name services as text: lines of passwd(5), answers of getent(1). Other
//! lines are ignored, and so are incomplete ones.

use std::borrow::Cow;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::terms::limits::MAX_ADDRESSES;
use crate::terms::text::digits;
use crate::terms::{Account, Login};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    Number(u32),
    Name(&'a str),
}

impl Wanted<'_> {
    /// An argument for getent(1), which takes digits for a number. The answer has to be checked.
    pub fn word(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Name(name) => Cow::Borrowed(name),
        }
    }
}

/// The name and the number in a line of passwd(5) or group(5). Lines with `+`, `-` or `#` are no
/// entries (nsswitch.conf(5)), and the number that setuid(2) takes for "as it is" is none.
pub(crate) fn entry(line: &[u8]) -> Option<(&[u8], u32)> {
    let mut fields = line.trim_ascii_start().split(|byte| *byte == b':');
    let (name, _password, id) = (fields.next()?, fields.next()?, fields.next()?);
    if matches!(name.first(), None | Some(b'+' | b'-' | b'#')) || name.contains(&0) {
        return None;
    }
    Some((name, number(id)?))
}

/// Reads a line of passwd(5) about the account.
pub(crate) fn user(line: &[u8], wanted: Wanted<'_>) -> Option<Account> {
    let (name, uid) = entry(line)?;
    let meant = match wanted {
        Wanted::Number(wanted) => wanted == uid,
        Wanted::Name(wanted) => wanted.as_bytes() == name,
    };
    if !meant {
        return None;
    }
    let group = number(line.split(|byte| *byte == b':').nth(3)?)?;
    Some(Account { name: String::from_utf8_lossy(name).into_owned(), uid, group })
}

/// The home and the shell in such a line. The default shell is `/bin/sh` (passwd(5)).
pub(crate) fn login(line: &[u8], wanted: Wanted<'_>) -> Option<Login> {
    user(line, wanted)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut fields = line.split(|byte| *byte == b':').skip(5);
    let path = |field: &[u8]| PathBuf::from(OsString::from_vec(field.to_vec()));
    let home = path(fields.next().unwrap_or_default());
    let shell = fields.next().filter(|shell| !shell.is_empty()).unwrap_or(b"/bin/sh");
    Some(Login { home, shell: path(shell) })
}

/// The same of an answer.
pub(crate) fn answered_login(answer: &[u8], wanted: Wanted<'_>) -> Option<Login> {
    login(lines(answer).next()?, wanted)
}

/// Reads the answer to `getent passwd` about the account.
pub(crate) fn answered_user(answer: &[u8], wanted: Wanted<'_>) -> Option<Account> {
    user(lines(answer).next()?, wanted)
}

/// Reads the answer to `getent initgroups`: the numbers of the account's other groups.
pub(crate) fn answered_groups(answer: &[u8], name: &str) -> Option<Vec<u32>> {
    let mut words = lines(answer).next()?.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if words.next()? != name.as_bytes() {
        return None;
    }
    words.map(number).collect()
}

/// Reads the answer to `getent ahosts`, a line for each address and kind of socket: each address
/// once, in order, without a zone, an IPv4-mapped one as IPv4; at most [`MAX_ADDRESSES`].
pub(crate) fn answered_addresses(answer: &[u8]) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for line in lines(answer) {
        if found.len() == MAX_ADDRESSES {
            break;
        }
        let word = line.split(|byte| byte.is_ascii_whitespace() || *byte == b'%').next().and_then(|word| str::from_utf8(word).ok());
        let address = word.and_then(|word| word.parse::<IpAddr>().ok()).map(|address| address.to_canonical());
        found.extend(address.filter(|address| !found.contains(address)));
    }
    found
}

fn lines(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

fn number(field: &[u8]) -> Option<u32> {
    digits(str::from_utf8(field).ok()?).filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, uid: u32, group: u32) -> Option<Account> {
        Some(Account { name: name.to_owned(), uid, group })
    }

    #[test]
    fn a_line_is_about_one_account_or_about_none() {
        for (line, found) in [
            (&b"web1:x:1000:1001:Web,,,:/home/web1:/bin/sh"[..], known("web1", 1000, 1001)),
            (b"web1:x:1000:1001:Web:/home/web1:/bin/sh\r", known("web1", 1000, 1001)),
            (b"web1::1000:1001", known("web1", 1000, 1001)),
            (b" \tweb1:x:1000:1001:::", known("web1", 1000, 1001)),
            (b"web1:x:0001000:1001:::", known("web1", 1000, 1001)),
            (b"w\xffb:x:1000:1001:::", known("w\u{fffd}b", 1000, 1001)),
        ] {
            assert_eq!(user(line, Wanted::Number(1000)), found, "{}", line.escape_ascii());
        }
        let nobodys: [&[u8]; 16] = [
            b"web1:x:1000", b"web1:x:1000:1001\r", b":x:1000:1001:::", b"+web1:x:1000:1001:::", b"-web1:x:1000:1001:::", b"+::::::",
            b"#web1:x:1000:1001:::", b"we\0b1:x:1000:1001:::", b"web1:x:+1000:1001:::", b"web1:x:-1000:1001:::", b"web1:x: 1000:1001:::",
            b"web1:x:1000:x:::", b"web1:x:1000::::", b"web1:x:4294968296:1001:::", b"1000", b"",
        ];
        for line in nobodys {
            assert_eq!(user(line, Wanted::Number(1000)), None, "{}", line.escape_ascii());
        }
        assert_eq!(user(b"all:x:4294967295:1:::", Wanted::Number(u32::MAX)), None);
        assert_eq!(user(b"last:x:4294967294:1:::", Wanted::Number(u32::MAX - 1)), known("last", u32::MAX - 1, 1));
        assert_eq!(user(b"web1:x:1000:1001:::", Wanted::Name("web1")), known("web1", 1000, 1001));
        assert_eq!(user(b"web1:x:1000:1001:::", Wanted::Name("web")), None);
        assert_eq!(user(b"web1:x:1000:1001:::", Wanted::Name("1000")), None);
    }

    #[test]
    fn a_line_tells_home_and_shell_and_an_account_without_a_shell_has_the_usual_one() {
        let read = |line: &[u8]| login(line, Wanted::Name("web1")).map(|login| (login.home, login.shell));
        let is = |home: &str, shell: &str| Some((PathBuf::from(home), PathBuf::from(shell)));
        assert_eq!(read(b"web1:x:1000:1001:Web,,,:/home/web1:/bin/bash"), is("/home/web1", "/bin/bash"));
        assert_eq!(read(b"web1:x:1000:1001:Web:/home/web1:\r"), is("/home/web1", "/bin/sh"));
        assert_eq!(read(b"web1:x:1000:1001"), is("", "/bin/sh"));
        assert_eq!(read(b"web2:x:1000:1001::/home/web2:/bin/sh"), None);
        assert_eq!(answered_login(b"web1:x:1000:1001::/h:/bin/false\n", Wanted::Name("web1")).map(|login| login.home), Some("/h".into()));
    }

    #[test]
    fn an_answer_is_about_what_was_asked_and_whole() {
        let answer = b"web1:x:1000:1001:::\nweb2:x:1002:1001:::\n";
        assert_eq!(answered_user(answer, Wanted::Number(1000)), known("web1", 1000, 1001));
        assert_eq!(answered_user(answer, Wanted::Name("web2")), None, "one question has one answer");
        assert_eq!(answered_user(b"web1:x:1000:100", Wanted::Number(1000)), None);
        assert_eq!(answered_user(b"", Wanted::Number(1000)), None);
        assert_eq!(answered_groups(b"web1                  4 27 1000\n", "web1"), Some(vec![4, 27, 1000]));
        assert_eq!(answered_groups(b"web1                 \n", "web1"), Some(Vec::new()));
        assert_eq!(answered_groups(b"a-name-of-more-than-21-bytes 4\n", "a-name-of-more-than-21-bytes"), Some(vec![4]));
        for wrong in [&b"web2 4\n"[..], b"web1 4 2", b"web1 4 x\n", b"\n", b""] {
            assert_eq!(answered_groups(wrong, "web1"), None, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn addresses_are_first_words_once_each_in_their_order() {
        let answer = b"2001:db8::1     STREAM mail.example.net\n2001:db8::1     DGRAM  \n192.0.2.1       STREAM \n\
            ::ffff:192.0.2.1 STREAM \nfe80::1%eth0    STREAM \nname STREAM 192.0.2.9\n 192.0.2.9 STREAM\n\xff STREAM\n192.0.2.2\n192.0.2.3";
        let expected = ["2001:db8::1", "192.0.2.1", "fe80::1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(answered_addresses(answer), expected);
        assert!(answered_addresses(b"").is_empty());
        let many: String = (0..MAX_ADDRESSES * 2).map(|number| format!("192.0.2.{number} STREAM\n")).collect();
        assert_eq!(answered_addresses(many.as_bytes()).len(), MAX_ADDRESSES);
    }
}
