//! A public key as somebody pastes it: one key, and nothing that sshd would take for an option.

use crate::decide::host::authinfo;
use crate::terms::limits::{MAX_KEY_COMMENT, MAX_PUBLIC_KEY};
use crate::terms::text::{printable_within, still_printable};
use crate::terms::{Fingerprint, base64};

/// The kinds that sshd takes by default. Certificates are not keys, and `ssh-dss` is broken.
pub const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// The key itself, in base64.
    pub blob: String,
    /// What its owner calls it, printable and short.
    pub comment: String,
    /// What the policy calls it.
    pub fingerprint: Fingerprint,
}

impl PublicKey {
    /// Reads the text of one key, as `ssh-keygen` writes it.
    ///
    /// # Errors
    /// In words: what it is instead, and what to do. A private key is never repeated.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PUBLIC_KEY {
            return Err(format!("the key has {} bytes, more than any key\ngive the one line of the client's .pub file", text.len()));
        }
        if text.contains("PRIVATE KEY") || text.contains("PuTTY-User-Key-File") {
            return Err(
                "this is a private key, which must never leave the client\ngive the line of the .pub file beside it, and make the \
                        client a new key: this one has been shown around"
                    .to_owned(),
            );
        }
        if text.contains("BEGIN SSH2 PUBLIC KEY") {
            return Err("this key is in the form of RFC 4716\nconvert it: ssh-keygen -i -f FILE".to_owned());
        }
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let Some(line) = lines.next() else {
            return Err("no key was given\ngive the line of the client's .pub file".to_owned());
        };
        if lines.next().is_some() {
            return Err("more than one line was given\ngive one key; `snapgate add-key` adds others".to_owned());
        }
        Self::of_line(line)
    }

    fn of_line(line: &str) -> Result<Self, String> {
        if line.chars().any(|letter| letter.is_control() && letter != '\t') {
            return Err("the key has control characters in it\ncopy the line of the .pub file once more".to_owned());
        }
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == first) else { return Err(no_kind(line, first)) };
        let blob = words.next().unwrap_or_default();
        let said = format!("publickey {kind} {blob}\n");
        // Whoever reads what sshd says of a key reads this one as strictly: kind and bytes must agree.
        let fingerprint = authinfo::fingerprints(said.as_bytes()).into_iter().next().filter(|_| is_whole(kind, blob));
        let Some(fingerprint) = fingerprint else {
            let shown = still_printable(blob, 20);
            return Err(format!("`{kind} {shown}…` is no whole key\ncopy the line of the .pub file once more, in one piece"));
        };
        let comment = words.collect::<Vec<_>>().join(" ");
        let comment = printable_within(comment.as_bytes(), MAX_KEY_COMMENT);
        Ok(Self { kind, blob: blob.to_owned(), comment, fingerprint })
    }

    /// The key as a file of keys or of known hosts has it.
    pub fn plain(&self) -> String {
        format!("{} {}", self.kind, self.blob)
    }
}

/// Whether a key ends where its last field does, and has all of them (RFC 4253, 6.6, and OpenSSH's
/// PROTOCOL.u2f): a line that was cut may still be base64.
fn is_whole(kind: &str, blob: &str) -> bool {
    let Some(bytes) = base64::read(blob) else { return false };
    let (mut rest, mut fields) = (bytes.as_slice(), Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let Some((field, behind)) = usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|length| behind.split_at_checked(length))
        else {
            return false;
        };
        fields.push(field.len());
        rest = behind;
    }
    let wanted = match kind {
        "ssh-ed25519" => 2,
        "sk-ecdsa-sha2-nistp256@openssh.com" => 4,
        _ => 3,
    };
    let is_short = kind.ends_with("ssh-ed25519") && fields.get(1) != Some(&32);
    rest.is_empty() && fields.len() == wanted && !is_short
}

fn no_kind(line: &str, first: &str) -> String {
    if first.starts_with("SHA256:") {
        return "this is a key's fingerprint, and sshd needs the key\ngive the line of the client's .pub file".to_owned();
    }
    if first == "ssh-dss" {
        return "keys of the kind ssh-dss are too weak, and sshd takes none\nmake another: ssh-keygen -t ed25519".to_owned();
    }
    if first.contains("-cert-") {
        return "this is a certificate, and not a key\ngive the line of the .pub file that it was made from".to_owned();
    }
    if line.split_whitespace().any(|word| KINDS.contains(&word)) {
        return format!(
            "`{}` stands before the key\nleave options out: snapgate writes those that are needed",
            still_printable(first, MAX_KEY_COMMENT)
        );
    }
    let shown = still_printable(first, MAX_KEY_COMMENT);
    format!("`{shown}` is no kind of key that sshd takes\ngive the line of the client's .pub file, as `ssh-keygen -t ed25519` makes one")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const GOOD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEgR3IDJ8bNAXcMYuBvTd5K6bHQQGFqsQK6wdNQ1vBY2 me@laptop";
    pub(crate) const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAkEsFfbqYtFLMtEu8UBzTMLnjPdyNkWZPVDBTrJEtWj";

    #[test]
    fn one_key_is_read_and_nothing_else() {
        let key = PublicKey::read(&format!("\n  {GOOD}\r\n\n")).unwrap();
        assert_eq!((key.kind, key.comment.as_str()), ("ssh-ed25519", "me@laptop"));
        assert!(key.fingerprint.as_str().starts_with("SHA256:"));
        let blob = key.blob;
        for (bad, why) in [
            (String::new(), "no key"),
            ("\n\n".to_owned(), "no key"),
            (format!("{GOOD}\n{GOOD}"), "more than one line"),
            (format!("{GOOD}\rssh-ed25519 {blob}"), "control characters"),
            (format!("command=\"/bin/sh\" {GOOD}"), "stands before the key"),
            (format!("no-pty {GOOD}"), "stands before the key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA".to_owned(), "private key"),
            ("PuTTY-User-Key-File-3: ssh-ed25519".to_owned(), "private key"),
            ("---- BEGIN SSH2 PUBLIC KEY ----".to_owned(), "RFC 4716"),
            ("SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk".to_owned(), "fingerprint"),
            ("ssh-dss AAAA".to_owned(), "too weak"),
            (format!("ssh-ed25519-cert-v01@openssh.com {blob}"), "certificate"),
            ("ssh-ed25519".to_owned(), "no whole key"),
            (format!("ssh-rsa {blob}"), "no whole key"),
            (format!("ssh-ed25519 {}", &blob[..60]), "no whole key"),
            ("ssh-ed25519 AAAA\u{1b}[2J".to_owned(), "control characters"),
            ("# a remark".to_owned(), "no kind of key"),
            ("x".repeat(MAX_PUBLIC_KEY + 1), "more than any key"),
        ] {
            let said = PublicKey::read(&bad).unwrap_err();
            assert!(said.contains(why) && said.contains('\n'), "{bad}: {said}");
            assert!(!said.contains("b3BlbnNz"), "a private key is not repeated: {said}");
        }
    }

    #[test]
    fn a_comment_cannot_begin_another_line_and_is_short() {
        let key = PublicKey::read(&format!("ssh-ed25519 {} a\u{85}b \"c\" {}", PublicKey::read(GOOD).unwrap().blob, "d".repeat(500)));
        assert!(key.is_err(), "{key:?}");
        let key = PublicKey::read(&format!("{GOOD} \u{202e}b {}", "d".repeat(500))).unwrap();
        assert!(key.comment.len() <= MAX_KEY_COMMENT + 8 && !key.comment.contains('\u{202e}'), "{}", key.comment);
    }
}
