//! Accounts of clients, made and removed by the system's own programs.
//!
//! An account that was not made here is never changed: whoever calls has looked at it first. What
//! other name services know of accounts is not looked at: useradd(8) refuses a name of theirs.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::act::child::tool;
use crate::terms::limits::{MAX_PASSWD, MAX_SUBIDS};

/// An account of the machine's own list (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub uid: u32,
    /// Its group's.
    pub group: u32,
    /// What it says of itself.
    pub comment: String,
    /// Its shell.
    pub shell: PathBuf,
}

/// A group of the machine's own list (group(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub number: u32,
    /// Accounts that are in it besides those whose own it is.
    pub members: Vec<String>,
}

/// What is made.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it says of itself.
    pub comment: &'a str,
    /// Where it is at home: a place that it cannot write.
    pub home: &'a Path,
    /// Its shell.
    pub shell: &'a Path,
    /// The group that it is in besides its own.
    pub group: &'a str,
}

/// How many ids an account gets for others.
const IDS: u64 = 65_536;

/// The first that useradd(8) gives away.
const FIRST_ID: u64 = 100_000;

fn read(path: &str, most: u64) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn line(path: &str, name: &str) -> io::Result<Option<Vec<String>>> {
    let text = read(path, MAX_PASSWD)?;
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    Ok(text.lines().map(fields).find(|fields| fields.first().is_some_and(|first| first == name)))
}

/// The account of this name.
///
/// # Errors
/// When the list cannot be read.
pub fn account(name: &str) -> io::Result<Option<Entry>> {
    let Some(fields) = line("/etc/passwd", name)? else { return Ok(None) };
    let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
    let text = |at: usize| fields.get(at).cloned().unwrap_or_default();
    let (Some(uid), Some(group)) = (number(2), number(3)) else { return Err(io::Error::other("its line in /etc/passwd has no numbers")) };
    Ok(Some(Entry { uid, group, comment: text(4), shell: PathBuf::from(text(6)) }))
}

/// The group of this name.
///
/// # Errors
/// When the list cannot be read.
pub fn group(name: &str) -> io::Result<Option<Group>> {
    let Some(fields) = line("/etc/group", name)? else { return Ok(None) };
    let Some(number) = fields.get(2).and_then(|field| field.parse().ok()) else {
        return Err(io::Error::other("its line in /etc/group has no number"));
    };
    let members = fields.get(3).map(String::as_str).unwrap_or_default().split(',').filter(|name| !name.is_empty());
    Ok(Some(Group { number, members: members.map(str::to_owned).collect() }))
}

/// The lists of users and groups for others, and usermod(8)'s words for giving and taking.
const LISTS: [(&str, &str, &str); 2] =
    [("/etc/subuid", "--add-subuids", "--del-subuids"), ("/etc/subgid", "--add-subgids", "--del-subgids")];

/// Of the lists of users and groups for others those that have none for this account.
pub fn lacks_ids(name: &str) -> Vec<&'static str> {
    let has = |file: &str| read(file, MAX_SUBIDS).is_ok_and(|text| text.lines().any(|line| whose(line) == name));
    LISTS.iter().map(|(file, ..)| *file).filter(|file| !has(file)).collect()
}

fn whose(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

fn run(name: &str, words: &[&str]) -> Result<(), String> {
    let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    tool(name, &words).map(drop)
}

/// Makes a group for daemons.
///
/// # Errors
/// With the complaint of groupadd(8).
pub fn make_group(name: &str) -> Result<(), String> {
    run("groupadd", &["--system", "--", name])
}

/// Makes an account that nobody can log in to by a password, with a group of its own.
///
/// # Errors
/// With the complaint of useradd(8).
pub fn make(new: New<'_>) -> Result<(), String> {
    let (home, shell) = (new.home.to_string_lossy(), new.shell.to_string_lossy());
    // `*` is no password's sum; with `!` sshd would take the account for locked.
    let words = [
        "--user-group", "--no-create-home", "--password", "*", "--home-dir", &home, "--shell", &shell, "--comment", new.comment,
        "--groups", new.group, "--", new.name,
    ];
    run("useradd", &words)
}

/// Puts an account into a group besides.
///
/// # Errors
/// With the complaint of usermod(8).
pub fn join(name: &str, group: &str) -> Result<(), String> {
    run("usermod", &["--append", "--groups", group, "--", name])
}

/// Takes an account out of such a group again.
///
/// # Errors
/// With the complaint of gpasswd(1).
pub fn leave(name: &str, group: &str) -> Result<(), String> {
    run("gpasswd", &["--delete", name, group])
}

/// Gives an account users and groups for others, behind all that were given away. useradd(8) does
/// so itself where login.defs(5) lets it.
///
/// # Errors
/// With the complaint of usermod(8), or when the lists cannot be read.
pub fn give_ids(name: &str) -> Result<(), String> {
    for (file, give, _) in LISTS {
        let text = match read(file, MAX_SUBIDS) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(format!("reading `{file}`: {error}")),
            text => text.unwrap_or_default(),
        };
        if text.lines().any(|line| whose(line) == name) {
            continue;
        }
        let first = behind_all(&text);
        run("usermod", &[give, &format!("{first}-{}", first + IDS - 1), "--", name])?;
    }
    Ok(())
}

/// Takes an account all users or groups for others, by these lists.
///
/// # Errors
/// With the complaint of usermod(8), or when the lists cannot be read.
pub fn take_ids(name: &str, files: &[&str]) -> Result<(), String> {
    for (file, _, take) in LISTS.into_iter().filter(|(file, ..)| files.contains(file)) {
        let text = match read(file, MAX_SUBIDS) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(format!("reading `{file}`: {error}")),
            text => text.unwrap_or_default(),
        };
        for line in text.lines().filter(|line| whose(line) == name) {
            let range = line.split(':').skip(1).map(|field| field.trim().parse::<u64>());
            let [Some(Ok(first)), Some(Ok(count @ 1..))] = [range.clone().next(), range.clone().nth(1)] else { continue };
            run("usermod", &[take, &format!("{first}-{}", first + (count - 1)), "--", name])?;
        }
    }
    Ok(())
}

fn behind_all(text: &str) -> u64 {
    let ends = text.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u64>());
        Some(fields.next()?.ok()?.saturating_add(fields.next()?.ok()?))
    });
    ends.max().unwrap_or(FIRST_ID).max(FIRST_ID)
}

/// Has an account say something else of itself.
///
/// # Errors
/// With the complaint of usermod(8).
pub fn describe(name: &str, comment: &str) -> Result<(), String> {
    run("usermod", &["--comment", comment, "--", name])
}

/// Removes an account, and its own group with it.
///
/// # Errors
/// With the complaint of userdel(8). What the account owns stays.
pub fn remove(name: &str) -> Result<(), String> {
    run("userdel", &["--", name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_own_list_says_what_an_account_is() {
        let root = account("root").unwrap().unwrap();
        assert_eq!((root.uid, root.group), (0, 0));
        assert_eq!(account("no-such-account").unwrap(), None);
        assert_eq!(account("roo").unwrap(), None);
        assert_eq!(group("root").unwrap().map(|group| group.number), Some(0));
        assert_eq!(lacks_ids("no-such-account"), ["/etc/subuid", "/etc/subgid"]);
    }

    #[test]
    fn ids_come_behind_all_that_were_given_away() {
        for (text, first) in [
            ("", 100_000),
            ("a:100000:65536\nb:231072:65536\nc:165536:65536\n", 296_608),
            ("a:1:2\n# x\nb:y:z\n", 100_000),
            ("a:4294967295:1\n", 4_294_967_296),
        ] {
            assert_eq!(behind_all(text), first, "{text}");
        }
    }
}
