//! One account for many clients: whose key it is that somebody offers to sshd.
//!
//! All three words come from outside. Nothing may be printed that sshd reads otherwise than it is
//! meant here: it takes each line for a key, with options.

pub mod authprogs;
pub mod import;
mod index;
pub mod line;

use crate::decide::host::authinfo;
use crate::decide::speak::line::field;
use crate::terms::limits::{MAX_ACCOUNT_NAME, MAX_KEY_TYPE, MAX_OFFERED_KEY, MAX_QUOTED, MAX_SYSLOG_LINE};
use crate::terms::text::{on_one_line, still_printable};
use crate::terms::{ClientName, Fingerprint};

pub use index::{BLOCK, Entry, Head, Index, Known, Stamp, client, files};

use self::line::Line;

/// What sshd asks about: `%u`, `%t` and `%k` of AuthorizedKeysCommand (sshd_config(5), TOKENS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The account that somebody wants to log in to.
    pub account: String,
    kind: String,
    key: String,
    /// Of the key.
    pub fingerprint: Fingerprint,
}

impl Offer {
    /// Reads the three words; `None` where sshd would not have said them of a key. A certificate is
    /// none: who may use it is said by who signed it.
    pub fn read(account: &[u8], kind: &[u8], key: &[u8]) -> Option<Self> {
        if key.len() > MAX_OFFERED_KEY || kind.len() > MAX_KEY_TYPE {
            return None;
        }
        let [account, kind, key] = [account, kind, key].map(|word| std::str::from_utf8(word).ok());
        let (account, kind, key) = (account.filter(|name| is_an_account(name))?, kind?, key?);
        let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"-@.".contains(&letter);
        if !kind.bytes().all(plain) || kind.contains("-cert-") {
            return None;
        }
        let fingerprint = authinfo::fingerprint(kind, key)?;
        Some(Self { account: account.to_owned(), kind: kind.to_owned(), key: key.to_owned(), fingerprint })
    }

    /// The line for sshd: this key, and what it starts, until the time that a file of keys gives it.
    pub fn admits(&self, gate: &str, client: &ClientName, until: Option<&str>) -> String {
        let until = until.map(|until| format!(",expiry-time=\"{until}\"")).unwrap_or_default();
        format!("restrict{until},command=\"{gate} --client {client}\" {} {}\n", self.kind, self.key)
    }

    /// Until when a file of keys lets this key in, as sshd writes it. `None`: it says nothing of an
    /// end.
    pub fn until(&self, file: &str) -> Option<String> {
        let lines = file.lines().filter(|line| line.contains(&self.key)).filter_map(Line::read);
        let ends: Vec<_> = lines.filter(|line| line.key == self.key).map(|line| line.value("expiry-time").map(str::to_owned)).collect();
        if ends.is_empty() || ends.iter().any(Option::is_none) {
            return None;
        }
        // One that sshd cannot read it refuses, as in that file. Digits sort as times do.
        ends.into_iter().flatten().max().map(|end| if is_a_time(&end) { end } else { ENDED.to_owned() })
    }

    /// A line for syslog about what is wrong with the settings for this key.
    pub fn problem(&self, what: &str) -> String {
        let mut line = String::from("mode=keys");
        field(&mut line, "account", [&self.account]);
        field(&mut line, "key", [&self.fingerprint]);
        field(&mut line, "problem", [still_printable(&on_one_line(what), MAX_QUOTED)]);
        still_printable(&line, MAX_SYSLOG_LINE)
    }
}

/// A time that has passed.
const ENDED: &str = "19700102Z";

fn is_a_time(text: &str) -> bool {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    [8, 12, 14].contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it is written as policies may write an account. So it is also a name in a directory.
pub fn is_an_account(name: &str) -> bool {
    let first = name.starts_with(|first: char| first.is_alphanumeric() || first == '_');
    first && name.len() <= MAX_ACCOUNT_NAME && name.chars().all(|letter| letter.is_alphanumeric() || "._-@\\+$".contains(letter))
}

/// Whether sshd, and the shell that it starts, read this path as one word.
pub fn is_one_word(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIEgR3IDJ8bNAXcMYuBvTd5K6bHQQGFqsQK6wdNQ1vBY2";

    fn read(account: &str, kind: &str, key: &str) -> Option<Offer> {
        Offer::read(account.as_bytes(), kind.as_bytes(), key.as_bytes())
    }

    fn offer() -> Offer {
        read("backup", "ssh-ed25519", KEY).unwrap()
    }

    #[test]
    fn the_line_is_the_key_that_was_offered_and_what_it_starts() {
        let line = offer().admits("/usr/bin/snapgate-shell", &"web1".parse().unwrap(), None);
        assert_eq!(line, format!("restrict,command=\"/usr/bin/snapgate-shell --client web1\" ssh-ed25519 {KEY}\n"));
        let line = offer().admits("/usr/bin/snapgate-shell", &"web1".parse().unwrap(), Some("20270101Z"));
        assert!(line.starts_with("restrict,expiry-time=\"20270101Z\",command=\"/usr/bin/"), "{line}");
    }

    #[test]
    fn what_sshd_would_not_have_said_is_nobody_s() {
        let long = "A".repeat(MAX_OFFERED_KEY + 1);
        for (account, kind, key) in [
            ("", "ssh-ed25519", KEY),
            ("../x", "ssh-ed25519", KEY),
            ("..", "ssh-ed25519", KEY),
            ("a/b", "ssh-ed25519", KEY),
            ("a b", "ssh-ed25519", KEY),
            ("a\nb", "ssh-ed25519", KEY),
            ("-c", "ssh-ed25519", KEY),
            ("backup", "", KEY),
            ("backup", "ssh-rsa", KEY),
            ("backup", "ssh-ed25519 ", KEY),
            ("backup", "ssh-ed25519\n", KEY),
            ("backup", "ssh-ed25519-cert-v01@openssh.com", KEY),
            ("backup", "ssh-ed25519", ""),
            ("backup", "ssh-ed25519", "AAAA"),
            ("backup", "ssh-ed25519", &format!("{KEY}\nssh-ed25519 {KEY}")),
            ("backup", "ssh-ed25519", &format!("{KEY} x")),
            ("backup", "ssh-ed25519", &format!("{KEY}=")),
            ("backup", "ssh-ed25519", &long),
        ] {
            assert_eq!(read(account, kind, key), None, "{account:?} {kind:?} {key:?}");
        }
        assert_eq!(Offer::read(b"backup\xff", b"ssh-ed25519", KEY.as_bytes()), None);
        assert_eq!(Offer::read(b"backup", b"ssh-ed25519", b"\xff"), None);
    }

    #[test]
    fn a_key_ends_where_every_line_of_the_file_says_so() {
        let until = |file: &str| offer().until(&file.replace("KEY", &format!("ssh-ed25519 {KEY}")));
        assert_eq!(until(""), None);
        assert_eq!(until("restrict KEY old\n"), None);
        assert_eq!(until("restrict,expiry-time=\"20270101Z\" ssh-ed25519 AAAA x\n"), None);
        assert_eq!(until("restrict,expiry-time=\"20270101Z\" KEY x\n").as_deref(), Some("20270101Z"));
        assert_eq!(
            until("expiry-time=\"202701010000Z\",restrict KEY\nexpiry-time=\"202801010000Z\" KEY\n").as_deref(),
            Some("202801010000Z")
        );
        assert_eq!(until("expiry-time=\"20270101Z\" KEY\nrestrict KEY\n"), None, "another line lets it in without an end");
        assert_eq!(until("#expiry-time=\"20270101Z\" KEY\n"), None);
        assert_eq!(until("expiry-time=\"soon\\\",command=\\\"sh\" KEY\n").as_deref(), Some(ENDED));
    }

    #[test]
    fn only_a_path_that_no_shell_reads_otherwise_is_one_word() {
        assert!(is_one_word("/usr/bin/snapgate-shell"));
        for bad in ["", "bin/x", "/a b", "/a\"b", "/a$b", "/a'b", "/a\nb", "/a;b", "/ä"] {
            assert!(!is_one_word(bad), "{bad:?}");
        }
    }
}
