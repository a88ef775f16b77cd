//! The name of a client, which is also a file name and a word in mails.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::limits::MAX_CLIENT_NAME;
use super::word::text;

/// A client's name: letters, digits and `._-@+`, at most [`MAX_CLIENT_NAME`] bytes. Safe as a file
/// name, in a mail header and in a key's `command=`. A policy's `user:` may have other letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(String);

/// The text is not a client's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a client's name: use letters, digits and `._-@+`, beginning with a letter or digit; for an account with another name say `user:` in its policy"
)]
pub struct NotAClientName(pub String);

impl FromStr for ClientName {
    type Err = NotAClientName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte));
        if first && rest && text.len() <= MAX_CLIENT_NAME {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAClientName(super::text::printable(text.as_bytes())))
        }
    }
}

text!(ClientName, NotAClientName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_directory_or_break_a_header() {
        for good in ["web1", "rt-1080.example", "A", "9", "jane@example.org", "1und1", "DOM+jane"] {
            assert!(good.parse::<ClientName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".web", "a/b", "a b", "a\nb", "é", "-x", "@x", "DOM\\jane", "a$b", &"a".repeat(65)] {
            assert!(bad.parse::<ClientName>().is_err(), "{bad}");
        }
    }
}
