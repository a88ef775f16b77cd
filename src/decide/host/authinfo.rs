//! What sshd wrote about a login (`ExposeAuthInfo`): a line for each method, `publickey <type>
//! <base64>` for a key. A line that is not exactly right is no key.

use crate::terms::limits::MAX_AUTH_KEYS;
use crate::terms::{Fingerprint, base64};

/// Certificate types, the type of the key in them, and how many fields make that key, behind a
/// nonce (OpenSSH, PROTOCOL.certkeys and PROTOCOL.u2f).
const CERTIFICATES: [(&str, &str, usize); 8] = [
    ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1),
    ("ssh-rsa-cert-v01@openssh.com", "ssh-rsa", 2),
    ("ssh-dss-cert-v01@openssh.com", "ssh-dss", 4),
    ("ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", 2),
    ("sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", 2),
    ("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", 3),
];

/// The fingerprints of the keys, each once, at most [`MAX_AUTH_KEYS`]. For a certificate it is that
/// of the key in it, as `ssh-keygen -l` prints it.
pub fn fingerprints(bytes: &[u8]) -> Vec<Fingerprint> {
    let mut found = Vec::new();
    for fingerprint in bytes.split(|byte| *byte == b'\n').filter_map(of_line) {
        if found.len() >= MAX_AUTH_KEYS {
            break;
        }
        if !found.contains(&fingerprint) {
            found.push(fingerprint);
        }
    }
    found
}

fn of_line(line: &[u8]) -> Option<Fingerprint> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, kind, encoded) = (words.next()?, words.next()?, words.next()?);
    if method != "publickey" {
        return None;
    }
    fingerprint(kind, encoded)
}

/// The fingerprint of a key of this type, as it is written in base64. `None` where it is no such key.
pub(in crate::decide) fn fingerprint(kind: &str, encoded: &str) -> Option<Fingerprint> {
    let blob = base64::read(encoded)?;
    let plain = plain_key(kind, &blob)?;
    Some(Fingerprint::of_digest(&hmac_sha256::Hash::hash(&plain)))
}

/// The blob of the key itself, or of the key in a certificate.
fn plain_key(kind: &str, blob: &[u8]) -> Option<Vec<u8>> {
    let (inner_kind, mut rest) = string(blob)?;
    if inner_kind != kind.as_bytes() {
        return None;
    }
    if let Some((_, plain_kind, fields)) = CERTIFICATES.iter().find(|(certificate, ..)| *certificate == kind) {
        let mut plain = Vec::new();
        push(&mut plain, plain_kind.as_bytes())?;
        let (_nonce, after) = string(rest)?;
        rest = after;
        for _ in 0..*fields {
            let (field, after) = string(rest)?;
            push(&mut plain, field)?;
            rest = after;
        }
        return Some(plain);
    }
    // An unknown type of certificate must not pass for a key.
    (!kind.contains("-cert-")).then(|| blob.to_vec())
}

/// An SSH string (RFC 4251, 5), and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn push(out: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    out.extend(u32::try_from(field.len()).ok()?.to_be_bytes());
    out.extend(field);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn keygen(dir: &Path, words: &[&str]) -> String {
        let ran = Command::new("ssh-keygen").args(words).current_dir(dir).output().unwrap();
        assert!(ran.status.success(), "ssh-keygen {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    fn as_sshd_writes(public: &Path) -> Vec<u8> {
        let text = fs::read_to_string(public).unwrap();
        let words: Vec<_> = text.split_whitespace().take(2).collect();
        format!("publickey {}\n", words.join(" ")).into_bytes()
    }

    #[test]
    fn fingerprints_are_those_of_ssh_keygen_for_keys_and_for_their_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        keygen(here, &["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
        for (kind, bits) in [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")] {
            let name = format!("{kind}{bits}");
            keygen(here, &["-q", "-t", kind, "-b", bits, "-N", "", "-f", &name]);
            let listed = keygen(here, &["-l", "-f", &format!("{name}.pub")]);
            let expected: Fingerprint = listed.split_whitespace().nth(1).unwrap().parse().unwrap();
            assert_eq!(fingerprints(&as_sshd_writes(&here.join(format!("{name}.pub")))), std::slice::from_ref(&expected), "{name}");
            keygen(here, &["-q", "-s", "ca", "-I", "identity", "-n", "backup", &format!("{name}.pub")]);
            let certificate = as_sshd_writes(&here.join(format!("{name}-cert.pub")));
            assert_eq!(fingerprints(&certificate), [expected], "{name}'s certificate");
            for cut in (10..certificate.len()).step_by(7) {
                let _never_panics = fingerprints(&certificate[..cut]);
            }
        }
    }

    #[test]
    fn a_security_key_comes_out_of_its_certificate_whole() {
        for (certificate, plain, fields) in CERTIFICATES {
            let parts: Vec<Vec<u8>> = (0..fields).map(|field| vec![u8::try_from(field).unwrap(); 32]).collect();
            let mut key = Vec::new();
            push(&mut key, plain.as_bytes()).unwrap();
            let mut whole = Vec::new();
            push(&mut whole, certificate.as_bytes()).unwrap();
            push(&mut whole, &[9; 32]).unwrap();
            for part in &parts {
                push(&mut key, part).unwrap();
                push(&mut whole, part).unwrap();
            }
            whole.extend([0; 40]);
            assert_eq!(plain_key(certificate, &whole).unwrap(), key, "{certificate}");
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        let good = "AAAAC3NzaC1lZDI1NTE5AAAAIEgR3IDJ8bNAXcMYuBvTd5K6bHQQGFqsQK6wdNQ1vBY2";
        assert_eq!(fingerprints(format!("publickey ssh-ed25519 {good}").as_bytes()).len(), 1);
        for bad in [
            String::new(),
            "password".to_owned(),
            "publickey".to_owned(),
            "publickey ssh-ed25519".to_owned(),
            "publickey ssh-ed25519 !!!!".to_owned(),
            format!("publickey ssh-rsa {good}"),
            format!("hostbased ssh-ed25519 {good}"),
            format!("publickey ssh-ed25519 {}", &good[..40]).replace("AAAAC3", "////C3"),
            "publickey new-cert-v09@openssh.com AAAAF25ldy1jZXJ0LXYwOUBvcGVuc3NoLmNvbQ==".to_owned(),
            format!("publickey\tssh-ed25519\t{good}"),
        ] {
            assert_eq!(fingerprints(bad.as_bytes()), [], "{bad}");
        }
        assert_eq!(fingerprints(format!("publickey ssh-ed25519 {good}\n").repeat(100).as_bytes()).len(), 1);
    }

    #[test]
    fn of_more_keys_than_a_login_can_need_the_first_ones_count() {
        let line = |number: usize| {
            let mut blob = Vec::new();
            push(&mut blob, b"ssh-ed25519").unwrap();
            push(&mut blob, &[u8::try_from(number).unwrap(); 32]).unwrap();
            format!("publickey ssh-ed25519 {}\n", base64::without_padding(&blob))
        };
        let of = |count: usize| fingerprints((0..count).map(line).collect::<String>().as_bytes());
        assert_eq!(of(MAX_AUTH_KEYS).len(), MAX_AUTH_KEYS);
        assert_eq!(of(MAX_AUTH_KEYS + 5), of(MAX_AUTH_KEYS));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = fingerprints(&bytes);
            let _ = plain_key("ssh-rsa-cert-v01@openssh.com", &bytes);
        }
    }
}
