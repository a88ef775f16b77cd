//! What follows if the kernel gives no namespaces, and so rsync no view.

use std::fmt;

use crate::decide::owners;
use crate::decide::policy::{Namespaces, Site};
use crate::decide::rsync::argv::{DEFENCES, Version};
use crate::decide::sandbox::spec::Confinement;
use crate::terms::{Code, Owners, Reason};

/// Why rsync has no file system of its own; each in words for the administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The kernel gives the account none.
    Kept(String),
    /// It gives one, and what was to be seen in it could not be shown.
    Unshown(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(why) => write!(out, "the kernel gives this account no namespaces: {why}"),
            Self::Unshown(why) => write!(out, "what rsync is to see could not be put together: {why}"),
        }
    }
}

/// How an account gets namespaces, for people.
pub const HOW_TO_GET: &str = "on Ubuntu 24.04 and later copy /usr/share/doc/snapgate/apparmor.d/snapgate to /etc/apparmor.d and run \
     `apparmor_parser -r` on it; elsewhere set `user.max_user_namespaces` above 0, and where there is one `kernel.unprivileged_userns_clone` \
     to 1; in docker and podman start the container with a seccomp profile that allows unshare, mount and pivot_root (`--security-opt \
     seccomp=…`) and, on a host with AppArmor, with `apparmor=unconfined`; in LXC and Incus with `nesting`";

/// What is given up without them, for people.
pub const GIVEN_UP: &str = "or write `namespaces: optional` in the site file: history is then no longer read-only for rsync, so that an \
     rsync that a client took over could change modes, owners and times there";

/// What to do where something cannot be shown.
const UNREACHABLE: &str =
    "see that the repository, the way to it and rsync are where the account can reach them, and mounted before it comes";

/// What is to hold rsync instead.
///
/// # Errors
/// Where the site file wants namespaces, or owners are kept, which takes them.
pub fn without(lack: &Lack, site: &Site, owners: &Owners) -> Result<Confinement, Reason> {
    let maps = owners.mapping().is_some();
    if site.namespaces == Namespaces::Optional && !maps {
        return Ok(Confinement::Jail);
    }
    let first = match lack {
        Lack::Kept(_) => HOW_TO_GET,
        Lack::Unshown(_) => UNREACHABLE,
    };
    if maps {
        return Err(owners::unusable(&lack.to_string()).remedy(first));
    }
    Err(Reason::of_the_server(Code::Jail, lack.to_string()).remedy(format!("{first}; {GIVEN_UP}")).rule(site.origins.of("namespaces")))
}

/// The reason for whoever has nothing to do without them, whatever the site file says.
pub fn needed(lack: &Lack) -> Reason {
    Reason::of_the_server(Code::Jail, lack.to_string()).remedy(match lack {
        Lack::Kept(_) => HOW_TO_GET,
        Lack::Unshown(_) => UNREACHABLE,
    })
}

/// Whether an rsync may run without them. Then only its own walk keeps a client's symlinks from
/// leading it into history, and before 3.5.0 it follows some.
///
/// # Errors
/// Where it is older.
pub fn walks_by_itself(version: Version) -> Result<(), Reason> {
    if version >= DEFENCES {
        return Ok(());
    }
    Err(Reason::of_the_server(
        Code::Jail,
        format!("without namespaces rsync has to see to symlinks by itself, and {version} follows them: a client could change history"),
    )
    .remedy(format!("{HOW_TO_GET}; or install rsync 3.5.0 or later")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decide::policy::read_site;
    use crate::terms::limits::MAX_REPORTED_TEXT;

    fn site(more: &str) -> Site {
        read_site(Path::new("/etc/snapgate/snapgate.yaml"), format!("store: /s\n{more}").as_bytes()).unwrap()
    }

    #[test]
    fn an_rsync_that_follows_links_never_runs_without() {
        assert!(walks_by_itself(DEFENCES).is_ok());
        let reason = walks_by_itself(Version(3, 4, 1)).unwrap_err();
        assert!(reason.code == Code::Jail && reason.remedy.is_some_and(|remedy| remedy.len() <= MAX_REPORTED_TEXT));
    }

    #[test]
    fn the_site_file_decides_whether_a_push_runs_without() {
        for lack in [Lack::Kept("EPERM".to_owned()), Lack::Unshown("`/srv`".to_owned())] {
            assert_eq!(without(&lack, &site("namespaces: optional\n"), &Owners::Account), Ok(Confinement::Jail));
            for required in ["", "namespaces: required\n"] {
                let reason = without(&lack, &site(required), &Owners::Account).unwrap_err();
                assert_eq!((reason.code, reason.rule.unwrap().line), (Code::Jail, if required.is_empty() { 0 } else { 2 }));
                assert!(!format!("{} {:?}", reason.says, reason.hint).contains("namespace"), "the client learns nothing");
                let remedy = reason.remedy.unwrap();
                assert!(remedy.contains("namespaces: optional") && remedy.len() <= MAX_REPORTED_TEXT, "{} bytes", remedy.len());
                assert_eq!(remedy.contains("apparmor_parser"), matches!(lack, Lack::Kept(_)));
            }
        }
    }
}
