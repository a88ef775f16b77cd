//! Where a connection comes from and what it asks: sshd's variables, and the keys that sshd
//! reports. Absent or garbled values count as none. No other variable is read.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal as _, Read as _};
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::libc;
use nix::unistd::geteuid;

use crate::act::clock;
use crate::decide::host::authinfo;
use crate::terms::limits::{MAX_AUTH_FILE, MAX_AUTH_NAME, MAX_CONNECTION};
use crate::terms::{Account, ClientName, CommandSource, Fingerprint, Original, Peer, Request};

/// Where sshd puts its file about a login, up to the random part (`session.c`, `auth_info_file`).
const AUTH_FILE: &str = "/tmp/sshauth.";

/// What the client said, by the connection that this process was started for.
pub fn original(source: CommandSource) -> Original {
    let command = match source {
        CommandSource::Variable | CommandSource::VariableOf(_) => std::env::var_os("SSH_ORIGINAL_COMMAND"),
        CommandSource::Words(words) => Some(OsString::from_vec(words)),
        CommandSource::Nowhere => None,
    };
    original_by(std::io::stdin().is_terminal(), command)
}

fn original_by(terminal: bool, command: Option<OsString>) -> Original {
    match command {
        Some(command) if !command.is_empty() => Original::Command(command.into_vec()),
        _ if terminal => Original::Login,
        _ => Original::Nothing,
    }
}

/// Whether sshd has started this process, or something that says it has.
pub fn is_by_sshd() -> bool {
    ["SSH_CONNECTION", "SSH_CLIENT", "SSH_USER_AUTH"].into_iter().any(|name| std::env::var_os(name).is_some())
}

/// The connection that this process was started for, as `account`. `named` is the client of
/// `--client`.
pub fn request(account: Account, named: Option<ClientName>, original: Original) -> Request {
    gather(account, named, original, |name| std::env::var_os(name))
}

fn gather(account: Account, named: Option<ClientName>, original: Original, variable: impl Fn(&str) -> Option<OsString>) -> Request {
    Request {
        at: clock::now(),
        account,
        address: variable("SSH_CONNECTION").and_then(|connection| peer(&connection)),
        keys: variable("SSH_USER_AUTH").map(|path| keys(&path)).unwrap_or_default(),
        named,
        original,
    }
}

/// The first word of `SSH_CONNECTION`. A malformed link is left out, so that it matches no
/// policy's.
fn peer(connection: &OsStr) -> Option<Peer> {
    let word = connection.to_str().filter(|text| text.len() <= MAX_CONNECTION)?.split(' ').next()?;
    let address = word.split('%').next()?;
    word.parse().ok().or_else(|| address.parse::<IpAddr>().ok().map(Peer::from))
}

/// The keys in sshd's file about the login. It has to look like sshd's own: made by `mkstemp`, as
/// the account, for it alone.
fn keys(path: &OsStr) -> Vec<Fingerprint> {
    read_auth_file(path).map(|bytes| authinfo::fingerprints(&bytes)).unwrap_or_default()
}

fn read_auth_file(path: &OsStr) -> Option<Vec<u8>> {
    let random = path.to_str()?.strip_prefix(AUTH_FILE)?;
    if random.is_empty() || random.len() > MAX_AUTH_NAME || !random.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(Path::new(path)).ok()?;
    let metadata = file.metadata().ok()?;
    let ours = metadata.is_file()
        && metadata.uid() == geteuid().as_raw()
        && metadata.mode() & 0o7777 == 0o600
        && metadata.nlink() == 1
        && metadata.len() <= MAX_AUTH_FILE;
    let mut bytes = Vec::new();
    if !ours || file.take(MAX_AUTH_FILE).read_to_end(&mut bytes).is_err() {
        return None;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::*;

    const LINE: &str = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEgR3IDJ8bNAXcMYuBvTd5K6bHQQGFqsQK6wdNQ1vBY2\n";

    fn gathered(terminal: bool, variables: &[(&str, &[u8])]) -> Request {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsStr::from_bytes(value).to_owned());
        let account = Account { name: "web1".to_owned(), uid: 1000, group: 1000 };
        gather(account, None, original_by(terminal, find("SSH_ORIGINAL_COMMAND")), find)
    }

    struct AuthFile(PathBuf);

    impl AuthFile {
        fn new(name: &str) -> Self {
            let path = PathBuf::from(format!("{AUTH_FILE}{name}{}", std::process::id()));
            fs::write(&path, LINE).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            Self(path)
        }
    }

    impl Drop for AuthFile {
        fn drop(&mut self) {
            fs::remove_file(&self.0).unwrap();
        }
    }

    #[test]
    fn the_peer_is_sshd_s_first_word_in_one_form() {
        for (connection, address) in [
            ("192.0.2.7 50000 192.0.2.1 22", Some("192.0.2.7")),
            ("::ffff:192.0.2.7 50000 ::1 22", Some("192.0.2.7")),
            ("fe80::1%eth0 50000 fe80::2%eth0 22", Some("fe80::1%eth0")),
            ("fe80::1%7 50000 fe80::2%7 22", Some("fe80::1")),
            ("2001:db8::1%eth0 50000 ::1 22", Some("2001:db8::1")),
            ("2001:db8::1 1 ::1 22", Some("2001:db8::1")),
            ("UNKNOWN 65535 UNKNOWN 65535", None),
            ("", None),
            (" 192.0.2.7", None),
            ("192.0.2.07 1", None),
            ("host.example.org 1", None),
        ] {
            let request = gathered(false, &[("SSH_CONNECTION", connection.as_bytes())]);
            assert_eq!(request.address, address.map(|text| text.parse().unwrap()), "{connection}");
        }
        assert_eq!(gathered(false, &[("SSH_CONNECTION", b"\xff\xfe")]).address, None);
        let long = format!("192.0.2.7 {}", "1".repeat(MAX_CONNECTION));
        assert_eq!(gathered(false, &[("SSH_CONNECTION", long.as_bytes())]).address, None);
    }

    #[test]
    fn the_command_is_kept_byte_by_byte_and_a_terminal_counts_only_without_one() {
        assert_eq!(gathered(false, &[("SSH_ORIGINAL_COMMAND", b"x\xff\n")]).original, Original::Command(b"x\xff\n".to_vec()));
        assert_eq!(gathered(true, &[("SSH_ORIGINAL_COMMAND", b"x")]).original, Original::Command(b"x".to_vec()));
        assert_eq!(gathered(true, &[]).original, Original::Login);
        assert_eq!(gathered(false, &[]).original, Original::Nothing);
        assert_eq!(gathered(false, &[("SSH_ORIGINAL_COMMAND", b"")]).original, Original::Nothing);
    }

    #[test]
    fn keys_come_only_from_a_file_that_looks_like_sshd_s() {
        let keys_of = |path: &Path| gathered(false, &[("SSH_USER_AUTH", path.as_os_str().as_bytes())]).keys;
        let good = AuthFile::new("good");
        assert_eq!(keys_of(&good.0).len(), 1);
        // A name as long as it may be, and longer.
        let of_length = |length: usize| {
            let file = AuthFile(PathBuf::from(format!("{AUTH_FILE}{:0>length$}", std::process::id())));
            fs::copy(&good.0, &file.0).unwrap();
            file
        };
        assert_eq!(keys_of(&of_length(MAX_AUTH_NAME).0).len(), 1);
        assert_eq!(keys_of(&of_length(MAX_AUTH_NAME + 1).0), []);

        let open = AuthFile::new("open");
        fs::set_permissions(&open.0, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(keys_of(&open.0), []);
        let linked = AuthFile::new("linked");
        let other = AuthFile(PathBuf::from(format!("{AUTH_FILE}other{}", std::process::id())));
        fs::hard_link(&linked.0, &other.0).unwrap();
        assert_eq!(keys_of(&linked.0), []);
        let link = AuthFile(PathBuf::from(format!("{AUTH_FILE}link{}", std::process::id())));
        symlink(&good.0, &link.0).unwrap();
        assert_eq!(keys_of(&link.0), []);
        let long = AuthFile::new("long");
        let most = usize::try_from(MAX_AUTH_FILE).unwrap();
        let padded = LINE.to_owned() + &" ".repeat(most - LINE.len());
        fs::write(&long.0, &padded).unwrap();
        assert_eq!(keys_of(&long.0).len(), 1);
        fs::write(&long.0, padded + " ").unwrap();
        assert_eq!(keys_of(&long.0), [], "one byte longer than any of sshd's");
        if geteuid().is_root() {
            let foreign = AuthFile::new("foreign");
            std::os::unix::fs::chown(&foreign.0, Some(1234), None).unwrap();
            assert_eq!(keys_of(&foreign.0), []);
        }
        for bad in ["/etc/passwd", "/tmp/sshauth.", "/tmp/sshauth./../../etc/passwd", "", "/tmp/sshauth.nosuchfile"] {
            assert_eq!(keys_of(Path::new(bad)), [], "{bad}");
        }
    }
}
