//! A public key's fingerprint, the way `ssh-keygen -l` prints it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::base64;
use super::word::text;

/// `SHA256:` and 43 characters of base64 without padding (OpenSSH's `sshkey_fingerprint`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

/// The text is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key's fingerprint: `ssh-keygen -lf key.pub` prints it, beginning with SHA256:")]
pub struct NotAFingerprint(pub String);

/// Characters of a SHA-256 in base64 without padding.
const DIGEST_LENGTH: usize = 43;

impl Fingerprint {
    /// The fingerprint of a digest.
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        Self(format!("SHA256:{}", base64::without_padding(digest)))
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = text.strip_prefix("SHA256:");
        let fits = |digest: &str| {
            digest.len() == DIGEST_LENGTH && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        };
        if digest.is_some_and(fits) { Ok(Self(text.to_owned())) } else { Err(NotAFingerprint(super::text::printable(text.as_bytes()))) }
    }
}

text!(Fingerprint, NotAFingerprint);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ssh_keygen_prints_is_a_fingerprint() {
        let good = Fingerprint::of_digest(&[7; 32]);
        assert_eq!(good.as_str().parse::<Fingerprint>().unwrap(), good);
        for bad in ["", "SHA256:", "MD5:aa:bb", "SHA256:short", "sha256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk"] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
