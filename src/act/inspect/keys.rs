//! Files of keys, as this process, which runs as their account, finds them: sshd reads them as the
//! account, too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use nix::libc;

use super::program::{Identity, leads};
use crate::decide::host::login::{KeyFile, KeyState, Keys, keys};
use crate::terms::limits::{MAX_COMPARED_KEYS, MAX_KEY_FILE};
use crate::terms::text::{os_words, printable_path};

/// Looks at these files. With `strict`, the account and its home, files that others could have written are distrusted, up to
/// that home (`safe_path` in OpenSSH's misc.c).
pub fn key_files(paths: &[PathBuf], strict: Option<(u32, &Path)>, own: Option<Identity>, now: DateTime<Utc>) -> Vec<KeyFile> {
    let mut room = MAX_COMPARED_KEYS;
    let look = |path: &PathBuf| {
        let mut state = state(path, strict, own, now);
        if let KeyState::Holds(keys) = &mut state {
            keys.keep(room);
            room -= keys.taken.len() + keys.ended.len();
        }
        KeyFile { path: path.clone(), state }
    };
    paths.iter().map(look).collect()
}

fn state(path: &Path, strict: Option<(u32, &Path)>, own: Option<Identity>, now: DateTime<Utc>) -> KeyState {
    let (text, cut) = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return KeyState::Missing,
        Err(error) => return KeyState::Unreadable(os_words(&error)),
    };
    match strict.and_then(|(uid, home)| distrusted(path, uid, home)) {
        // It travels as text, and the account may have led the way through any name.
        Some(at) => KeyState::Distrusted(printable_path(at)),
        None => KeyState::Holds(Keys { cut, ..keys(&text, now, |word| leads(word, own)) }),
    }
}

/// The beginning of the file, and whether there is more. Its owner may have put anything there.
fn read(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let file: File = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = Vec::new();
    file.take(MAX_KEY_FILE + 1).read_to_end(&mut text)?;
    let cut = text.len() as u64 > MAX_KEY_FILE;
    Ok((text, cut))
}

/// Where somebody else than root and the account could have had a hand in it.
fn distrusted(path: &Path, uid: u32, home: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    let home = fs::canonicalize(home).unwrap_or_default();
    for at in real.ancestors() {
        let found = fs::metadata(at).ok()?;
        if (found.uid() != 0 && found.uid() != uid) || found.mode() & 0o022 != 0 {
            return Some(at.to_path_buf());
        }
        if at == home {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn whatever_stands_in_the_place_of_a_file_of_keys_is_looked_at_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let uid = nix::unistd::geteuid().as_raw();
        let path = home.join("keys");
        let look = |strict: bool| {
            key_files(std::slice::from_ref(&path), strict.then_some((uid, home.as_path())), None, DateTime::UNIX_EPOCH).remove(0).state
        };
        assert_eq!(look(true), KeyState::Missing);
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert_eq!(look(true), KeyState::Unreadable("it is no file".to_owned()));
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        assert_eq!(look(true), KeyState::Unreadable("it is no file".to_owned()));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "ssh-ed25519 AAAA x\n").unwrap();
        assert_eq!(
            look(true),
            KeyState::Holds(Keys { others: 1, bare: 1, with_terminal: 1, with_agent: 1, with_x11: 1, ..Keys::default() })
        );
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(look(true), KeyState::Holds(Keys { cut: true, others: 1, .. })), "of a file without end the beginning is read");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(look(true), KeyState::Distrusted(path.display().to_string()));
        assert!(matches!(look(false), KeyState::Holds(_)));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(look(true), KeyState::Distrusted(home.display().to_string()));
    }

    #[test]
    fn whatever_the_way_to_a_file_is_called_what_is_found_can_be_told() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let odd = home.join(OsStr::from_bytes(b"\xff\x1b"));
        fs::create_dir(&odd).unwrap();
        fs::write(odd.join("keys"), "ssh-ed25519 AAAA x\n").unwrap();
        fs::set_permissions(&odd, fs::Permissions::from_mode(0o777)).unwrap();
        symlink(&odd, home.join(".ssh")).unwrap();
        let found = key_files(&[home.join(".ssh/keys")], Some((nix::unistd::geteuid().as_raw(), &home)), None, DateTime::UNIX_EPOCH);
        assert!(serde_json::to_vec(&found).is_ok(), "{found:?}");
        assert!(matches!(&found[0].state, KeyState::Distrusted(at) if at.ends_with(r"/\xff\u{1b}")), "{found:?}");
    }
}
