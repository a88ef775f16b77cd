//! Changing a policy for an administrator: one top-level key at a time, in place. The file is whole
//! or as it was, keeps its owner and mode, and is read again before it counts.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::libc;

use super::{POLICIES, Policies, contents, open_file};
use crate::decide::clients::edit::{edit, is_only};
use crate::decide::policy::yaml::{Fault, text_of};
use crate::decide::policy::{ENDING, Site, read_policy};
use crate::terms::ClientName;

/// A top-level key of a policy, and its new value as YAML; `None` removes it.
pub type Change<'a> = (&'a str, Option<&'a str>);

/// Who has a new file, and its mode.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// The account.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// The mode.
    pub mode: u32,
}

/// Where a client's policy stands.
pub fn policy_file(dir: &Path, client: &ClientName) -> PathBuf {
    dir.join(POLICIES).join(format!("{client}{ENDING}"))
}

/// Changes keys of a client's policy. Returns whether that changed anything.
///
/// # Errors
/// When there is none, it cannot be used, before or afterwards, or is written in a way in which a
/// key cannot be changed alone.
pub fn change(dir: &Path, site: &Site, client: &ClientName, changes: &[Change<'_>]) -> Result<bool, Fault> {
    let policies = Policies::open(dir)?;
    let path = policies.path(client);
    let found = open_file(&policies.handle, &path, OsStr::new(&format!("{client}{ENDING}")))?;
    let handle = found.ok_or_else(|| Fault::whole(&path, "there is no such policy", "see `snapgate status` for the clients"))?;
    let bytes = contents(&handle, &path)?;
    let old = text_of(&path, &bytes)?;
    read_policy(&path, &bytes, client, site)?;
    let new = changes.iter().fold(old.to_owned(), |text, (key, value)| edit(&text, key, *value));
    if new == old {
        return Ok(false);
    }
    let by_hand = || {
        let lines = changes.iter().map(|(key, value)| value.map_or_else(|| format!("remove `{key}:`"), |value| format!("{key}: {value}")));
        let lines: Vec<_> = lines.collect();
        Fault::whole(&path, "it is written in a way that snapgate cannot change", format!("change it yourself: {}", lines.join("; ")))
    };
    if !is_only(old, &new, changes) {
        return Err(by_hand());
    }
    read_policy(&path, new.as_bytes(), client, site)?;
    let kept = handle.metadata().map(|found| Owner { user: found.uid(), group: found.gid(), mode: found.mode() & 0o7777 });
    let written = kept.and_then(|owner| write(&path, &new, owner));
    written.map_err(|error| Fault::whole(&path, format!("it cannot be written: {error}"), "see whether its disk is full or read-only"))?;
    Ok(true)
}

/// Writes a file of the administrator's: there is the old one, or the whole new one, which stays.
pub fn write(path: &Path, text: &str, owner: Owner) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return Err(io::Error::other("it has no name"));
    };
    // A name with a dot is no policy, and sshd asks for none.
    let draft = parent.join(format!(".{name}.new"));
    gone(&draft)?;
    let options = OpenOptions::new().create_new(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(&draft);
    let written = options.and_then(|mut file: File| {
        file.write_all(text.as_bytes())?;
        // Whoever runs this may be somebody else than root, and then gives to nobody.
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (owner.user, owner.group) {
            fchown(&file, Some(owner.user), Some(owner.group))?;
        }
        file.set_permissions(fs::Permissions::from_mode(owner.mode))?;
        file.sync_all()?;
        fs::rename(&draft, path)
    });
    if written.is_err() {
        let _ = gone(&draft);
    }
    written?;
    File::open(parent)?.sync_all()
}

/// Removes a file of the administrator's for good. One that is gone already is as good.
pub fn gone(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(path.parent().unwrap_or(path))?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::config::{load_policy, load_site};

    #[test]
    fn a_key_is_changed_and_the_file_is_the_same_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::create_dir(dir.join(POLICIES)).unwrap();
        fs::write(dir.join("snapgate.yaml"), "store: /srv/backups\n").unwrap();
        let site = load_site(dir).unwrap();
        let client = "web1".parse().unwrap();
        let file = policy_file(dir, &client);
        assert!(change(dir, &site, &client, &[("user", Some("web2"))]).is_err(), "there is none");
        fs::write(&file, "# mine\nverbs: [rsync]  # no more\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(change(dir, &site, &client, &[("user", Some("web2"))]).unwrap());
        assert!(!change(dir, &site, &client, &[("user", Some("web2"))]).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\nverbs: [rsync]  # no more\nuser: web2\n");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(load_policy(dir, &site, &client).unwrap().unwrap().user, "web2");
        // What would be a lie is not written.
        assert!(change(dir, &site, &client, &[("user", Some("we b"))]).is_err());
        for odd in
            ["{verbs: [rsync]}\n", "\"user\": web3\n", "verbs:\n  [rsync,\nstatus]\n", "user: |\n  web1\n", "user: >-\n\n  web1\n# x\n"]
        {
            fs::write(&file, odd).unwrap();
            match change(dir, &site, &client, &[("user", Some("web2"))]) {
                Ok(_) => assert_eq!(load_policy(dir, &site, &client).unwrap().unwrap().user, "web2", "{odd}"),
                Err(_) => assert_eq!(fs::read_to_string(&file).unwrap(), odd),
            }
        }
        assert_eq!(fs::read_dir(dir.join(POLICIES)).unwrap().count(), 1, "no draft is left");
    }
}
