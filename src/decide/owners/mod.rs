//! Who owns a client's files on this machine: by its policy, its repository, and its account's ids.
//!
//! A repository never holds snapshots of two kinds: an id means the same in all of them.

pub(crate) mod dropped;
pub(crate) mod idmaps;
pub(crate) mod idpairs;
pub(crate) mod lists;
pub(crate) mod remap;
pub(crate) mod subids;

use std::fmt;

use crate::decide::policy::{KeepOwners, Namespaces, Policy, Site};
use crate::terms::text::counted;
use crate::terms::{Code, IdMap, Mapping, Owners, Reason};

/// Users and groups have ids of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Group,
}

impl Kind {
    /// The map of these ids.
    fn map(self, mapping: &Mapping) -> &IdMap {
        if self == Self::User { &mapping.users } else { &mapping.groups }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if *self == Self::User { "user" } else { "group" })
    }
}

/// What a repository says about owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// There is no repository yet.
    Nothing,
    Account,
    Mapped(Mapping),
}

/// Why an account can keep no owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    Ranges(&'static str),
    Program(&'static str),
}

impl Lack {
    pub fn help(&self, account: &str) -> String {
        match self {
            Self::Ranges(_) => {
                let account = shell_words::quote(account);
                format!(
                    "give it ranges: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST {account} (65,536 ids of each are usual)"
                )
            }
            Self::Program(_) => "install the package uidmap".to_owned(),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ranges(file) => write!(out, "the account has no ids for others in {file}"),
            Self::Program(path) => write!(out, "there is no {path}"),
        }
    }
}

/// Decides. `available` is asked for the account's ids only where they matter. It is an error if
/// owners are to be kept and cannot be, or the repository holds snapshots of another kind.
pub(crate) fn decide(
    site: &Site,
    policy: &Policy,
    is_root: bool,
    remembered: Remembered,
    available: impl FnOnce() -> Result<Mapping, Lack>,
) -> Result<Owners, Reason> {
    let refusal = |detail: &str, remedy: String| Err(unusable(detail).remedy(remedy).rule(policy.origins.of("owners")));
    let another_place = "give the client a new repository by `path:`";
    match (&remembered, policy.owners) {
        (Remembered::Mapped(_), _) if is_root => {
            let detail = "the repository holds owners in the ids of an account, and the gate runs as root";
            return refusal(detail, format!("set `user:` to the account that it belongs to, or {another_place}"));
        }
        (Remembered::Account | Remembered::Nothing, _) if is_root => return Ok(Owners::Real),
        (Remembered::Mapped(_), Some(KeepOwners::Drop)) => {
            let detail = "the policy says `owners: drop`, and the repository holds snapshots with owners";
            return refusal(detail, format!("say `owners: keep`, or {another_place}"));
        }
        (Remembered::Account, Some(KeepOwners::Keep)) => {
            let detail = "the policy says `owners: keep`, and the repository holds snapshots without owners";
            let remap = format!("run `snapgate remap --client {}`", policy.client);
            return refusal(detail, format!("{remap}, say `owners: drop`, or {another_place}"));
        }
        (Remembered::Mapped(_), None | Some(KeepOwners::Keep)) | (Remembered::Nothing, Some(KeepOwners::Keep)) => {}
        // By default what can be kept is kept. A site with optional namespaces may lack them.
        (Remembered::Nothing, None) if site.jail && site.namespaces == Namespaces::Required => {
            return Ok(available().map_or(Owners::Account, Owners::Mapped));
        }
        (Remembered::Account | Remembered::Nothing, None | Some(KeepOwners::Drop)) => return Ok(Owners::Account),
    }
    if !site.jail {
        return refusal("owners are kept in a sandbox alone, and the site file says `jail: off`", "turn the jail on".to_owned());
    }
    let mapping = match available() {
        Ok(mapping) => mapping,
        Err(lack) => return refusal(&format!("owners cannot be kept: {lack}"), lack.help(&policy.user)),
    };
    match remembered {
        Remembered::Mapped(before) if !mapping.extends(&before) => {
            let detail = format!("the ids in the repository are those of {}, and the account has {}", shown(&before), shown(&mapping));
            let remap = format!("or run `snapgate remap --client {}`", policy.client);
            refusal(&detail, format!("give the account back the ranges that it had, first and in their order, {remap}"))
        }
        Remembered::Mapped(_) | Remembered::Account | Remembered::Nothing => Ok(Owners::Mapped(mapping)),
    }
}

/// An error that owners cannot be kept.
pub(crate) fn unusable(detail: &str) -> Reason {
    Reason::of_the_server(Code::Owners, detail)
}

/// The error if the kernel or the two programs fail.
pub(crate) fn unmapped(detail: &str) -> Reason {
    let remedy = "see that newuidmap and newgidmap may do it (package uidmap; in a container they often may not), or say `owners: drop` in the policy";
    unusable(detail).remedy(remedy)
}

/// A client's owners, described for the administrator; `available` as for [`decide`].
pub(crate) fn describe(owners: &Owners, policy: &Policy, available: impl FnOnce() -> Result<Mapping, Lack>) -> String {
    let lost = || format!("not kept, its files are all `{}`'s", policy.user);
    match (owners, policy.owners) {
        (Owners::Real, _) => "kept as they are, since the gate runs as root".to_owned(),
        (Owners::Mapped(mapping), _) => format!("kept, as {} of this machine", shown(mapping)),
        (Owners::Account, Some(KeepOwners::Drop)) => format!("{}, as the policy says", lost()),
        (Owners::Account, None | Some(KeepOwners::Keep)) | (Owners::Undecided, _) => match available() {
            Ok(_) => {
                let remap = format!("`owners: keep` and `snapgate remap --client {}` change that", policy.client);
                format!("{}, since its snapshots began so; {remap}", lost())
            }
            Err(lack) => format!("{}: {lack}; before its first push, {}", lost(), lack.help(&policy.user)),
        },
    }
}

/// The warning for files whose owner or group has no id of the account's.
pub(crate) fn beyond(files: u64, mapping: &Mapping) -> String {
    let last = |map: &IdMap| map.count().saturating_sub(1);
    format!(
        "{}, or an entry of an access list, beyond the ids that the account can keep; the last \
         stands in its place (user {}, group {}): give the account more ranges if they are wanted (usermod --add-subuids, --add-subgids)",
        counted(files, "file or directory has an owner or group", "files and directories have an owner or group"),
        last(&mapping.users),
        last(&mapping.groups)
    )
}

/// A mapping for people.
pub(crate) fn shown(mapping: &Mapping) -> String {
    format!("users {} and groups {}", mapping.users, mapping.groups)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decide::policy::{read_policy, read_site};
    use crate::terms::IdRange;

    fn mapping(ranges: &[(u32, u32)]) -> Mapping {
        let map = IdMap::new(ranges.iter().map(|(first, count)| IdRange::new(*first, *count).unwrap()).collect()).unwrap();
        Mapping { users: map.clone(), groups: map }
    }

    fn site(text: &str) -> Site {
        read_site(Path::new("/s.yaml"), format!("store: /s\n{text}").as_bytes()).unwrap()
    }

    fn policy(text: &str) -> Policy {
        let site = site("");
        read_policy(Path::new("/c.yaml"), format!("report: never\n{text}").as_bytes(), &"c".parse().unwrap(), &site).unwrap()
    }

    #[test]
    fn what_a_repository_holds_and_the_policy_says_decide_together() {
        let (one, more, other) =
            (mapping(&[(100_000, 65_536)]), mapping(&[(100_000, 65_536), (900_000, 10)]), mapping(&[(300_000, 65_536)]));
        let decided = |text: &str, remembered: &Remembered| decide(&site(""), &policy(text), false, remembered.clone(), || Ok(one.clone()));
        let (held, grown, strange) = (Remembered::Mapped(one.clone()), Remembered::Mapped(more.clone()), Remembered::Mapped(other.clone()));
        let kept = Owners::Mapped(one.clone());
        for (text, remembered, expected) in [
            ("", &Remembered::Nothing, Some(&kept)),
            ("", &Remembered::Account, Some(&Owners::Account)),
            ("", &held, Some(&kept)),
            ("owners: keep", &Remembered::Nothing, Some(&kept)),
            ("owners: keep", &Remembered::Account, None),
            ("owners: keep", &held, Some(&kept)),
            ("owners: keep", &grown, None),
            ("owners: keep", &strange, None),
            ("owners: drop", &Remembered::Nothing, Some(&Owners::Account)),
            ("owners: drop", &Remembered::Account, Some(&Owners::Account)),
            ("owners: drop", &held, None),
        ] {
            let found = decided(text, remembered);
            assert_eq!(found.as_ref().ok(), expected, "{text} {remembered:?} {found:?}");
            if let Err(reason) = found {
                assert!(reason.code == Code::Owners && reason.remedy.is_some() && reason.rule.is_some(), "{reason:?}");
                assert!(!reason.says.contains("owner"), "the client learns nothing: {reason:?}");
            }
        }
        let more_ids = decide(&site(""), &policy("owners: keep"), false, held.clone(), || Ok(more.clone()));
        assert_eq!(more_ids, Ok(Owners::Mapped(more)), "what was stored means the same");
        for (text, lacks) in [("", true), ("jail: off\n", false)] {
            let lack = || if lacks { Err(Lack::Ranges("/etc/subuid")) } else { Ok(other.clone()) };
            assert!(decide(&site(text), &policy("owners: keep"), false, Remembered::Nothing, lack).is_err());
            assert_eq!(decide(&site(text), &policy(""), false, Remembered::Nothing, lack), Ok(Owners::Account));
        }
        let unasked =
            |text: &str, policy_text: &str, remembered| decide(&site(text), &policy(policy_text), false, remembered, || Ok(one.clone()));
        assert_eq!(unasked("namespaces: optional\n", "", Remembered::Nothing), Ok(Owners::Account));
        assert_eq!(unasked("namespaces: optional\n", "owners: keep", Remembered::Nothing), Ok(kept.clone()));
        assert_eq!(decide(&site(""), &policy("owners: keep"), true, Remembered::Nothing, || panic!("nobody asks")), Ok(Owners::Real));
        assert!(decide(&site(""), &policy(""), true, held, || panic!("nobody asks")).is_err());
    }
}
