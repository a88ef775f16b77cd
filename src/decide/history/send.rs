//! A restore on this machine: one rsync, in a sandbox, reads a snapshot, and one of whoever restores
//! writes it (`decide/history/receive`). Their words have to agree.
//!
//! No word of a client's or an administrator's may be read as anything but a name.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::cell::{self, Reader, Tree};
use crate::decide::push::plan::Run;
use crate::decide::rsync::argv::{self, Version};
use crate::decide::sandbox::spec::Confinement;

/// Where the one that reads sees what it sends.
const SNAPSHOT: &str = "/snapshot";

/// What travels: `-aAXH --numeric-ids` without devices, which no snapshot holds. The rest of the
/// word tells the reading rsync what the writing one, the same program, can do: it looks for the
/// letters that it knows (`set_allow_inc_recurse` and `setup_protocol` in rsync's compat.c).
const SENT: [&str; 3] = ["-lHogtpAXre.iLsfxCIvu", "--specials", "--numeric-ids"];

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The site's rsync.
    pub program: &'a Path,
    /// Its version.
    pub version: Version,
    /// What is sent of the directory that the process stands in; `None`: all of it, and itself.
    pub name: Option<&'a OsStr>,
    /// Whether the site has a jail.
    pub jail: bool,
    /// Whether symlinks were stored so that they lead nowhere, and get their own text back.
    pub munged: bool,
    /// Whether nothing of a file is sent, since nobody will write it. Both have to know.
    pub dry: bool,
}

/// The rsync that reads. It sees only what it sends, and can change nothing.
pub fn sender(source: Source<'_>) -> Run {
    let Source { program, version, name, jail, munged, dry } = source;
    // The process is in it already, without a symlink on the way: no path is looked up again.
    let here = PathBuf::from(".");
    let confinement = if jail { Confinement::View } else { Confinement::None };
    let directory = if jail { SNAPSHOT.into() } else { here.clone() };

    let mut words: Vec<OsString> = ["--server", "--sender"].iter().chain(&SENT).map(OsString::from).collect();
    words.extend(dry.then(|| OsString::from("-n")));
    if version >= argv::OPEN_NOATIME {
        words.push("--open-noatime".into());
    }
    if version >= argv::DEFENCES && jail {
        // In the view the kernel follows no symlink (`argv::for_push`).
        words.push("--insecure-links".into());
    }
    if munged {
        // Said to the one that sends it means the way back (rsync(1)).
        words.push("--munge-links".into());
    }
    // With a `./` before it no name is an option.
    words.extend([".".into(), name.map_or_else(|| ".".into(), |name| Path::new(".").join(name).into_os_string())]);
    // It was pushed within the policy's limits and only root reads it: they must not break a
    // restore.
    let trees = vec![Tree { from: here, to: SNAPSHOT.into() }];
    let reader = Reader { program: program.to_path_buf(), argv: words, directory, trees, listing: None, besides: Vec::new(), limits: None };
    cell::run(reader, confinement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::sandbox::spec::{Access, Kind};

    fn printed(words: &[OsString]) -> String {
        words.join(OsStr::new(" ")).into_string().unwrap()
    }

    fn source(name: Option<&OsStr>) -> Source<'_> {
        Source { program: Path::new("/usr/bin/rsync"), version: argv::DEFENCES, name, jail: true, munged: false, dry: false }
    }

    #[test]
    fn the_one_that_reads_sees_what_it_sends_read_only_and_nothing_else() {
        let run = sender(source(None));
        let sandbox = run.sandbox();
        assert!(sandbox.isolation.view && !sandbox.isolation.asks && sandbox.isolation.filter.is_some());
        let kinds: Vec<_> = sandbox.binds.iter().map(|bind| (bind.to.to_str().unwrap(), bind.kind)).collect();
        assert_eq!(kinds, [("/usr/bin/rsync", Kind::ReadOnly), (SNAPSHOT, Kind::History)]);
        let opened = sandbox.grants.iter().flatten().filter(|grant| grant.path == Path::new(SNAPSHOT));
        assert_eq!(opened.map(|grant| grant.access).collect::<Vec<_>>(), [Access::Read]);
    }

    #[test]
    fn a_name_is_never_an_option() {
        let name = OsStr::new("--delete");
        let run = sender(source(Some(name)));
        let expected = "--server --sender -lHogtpAXre.iLsfxCIvu --specials --numeric-ids --open-noatime --insecure-links . ./--delete";
        assert_eq!(printed(&run.sandbox().argv), expected);
        let older = sender(Source { version: Version(3, 1, 3), jail: false, ..source(None) });
        assert_eq!(printed(&older.sandbox().argv), "--server --sender -lHogtpAXre.iLsfxCIvu --specials --numeric-ids . .");
        assert_eq!((older.sandbox().grants.as_ref(), older.sandbox().directory.as_path()), (None, Path::new(".")));
        let munged = sender(Source { munged: true, dry: true, ..source(None) });
        assert!(printed(&munged.sandbox().argv).ends_with("--numeric-ids -n --open-noatime --insecure-links --munge-links . ."));
    }
}
