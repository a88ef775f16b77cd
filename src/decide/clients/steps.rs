//! What is to be done to make a client, by what is there. What exists and is the client's stays, so
//! a second run finds nothing to do, and one after a kill goes on. What is somebody else's stops it
//! before anything is made.

use super::GROUP;

/// A step, in the order in which they are done. The policy comes last: until it is there, the gate
/// refuses the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make the account.
    Account,
    /// Put it into the group.
    Group,
    /// Give it ids for others.
    Ids,
    /// Make the repository.
    Repository,
    /// Write its key.
    Key,
    /// Write its policy.
    Policy,
}

/// An account that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub uid: u32,
    /// What it says of itself.
    pub comment: String,
    /// Whether its shell is the gate.
    pub has_the_gate: bool,
    /// Its shell, printable.
    pub shell: String,
    /// Whether it is in the group.
    pub in_group: bool,
    /// The lists that give it no ids for others.
    pub lacks_ids: Vec<&'static str>,
    /// Another client that has it, too.
    pub other: Option<String>,
}

/// What stands in the place of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing.
    Missing,
    /// An empty directory of root's, as a run leaves that was killed.
    Begun,
    /// A directory, with its owner and whether others may write it.
    Directory(u32, bool),
    /// A symbolic link.
    Link,
    /// Something else.
    Other,
}

/// What is there.
#[derive(Debug, Clone)]
pub struct Found {
    /// The account.
    pub account: Option<Known>,
    /// Whether a group has its name.
    pub group_is_taken: bool,
    /// What stands in the place of the repository.
    pub place: Place,
    /// Whether the file of keys has the line.
    pub has_key: bool,
    /// Whether the client has a policy, and it is for this account and key.
    pub policy: Option<bool>,
}

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The client.
    pub client: &'a str,
    /// What an account made for it says of itself.
    pub comment: &'a str,
    /// Its account.
    pub account: &'a str,
    /// Whether others use that, too.
    pub shared: bool,
    /// Its repository, printable.
    pub repository: &'a str,
}

/// The steps that are left.
///
/// # Errors
/// In words, when something is another's.
pub fn steps(wish: Wish<'_>, found: &Found) -> Result<Vec<Step>, String> {
    let Wish { client, account, .. } = wish;
    if found.policy == Some(false) {
        return Err(format!(
            "{client} is there already, with another key or account\nuse `snapgate add-key {client}` or `snapgate rotate-key {client}`, or \
             choose another name"
        ));
    }
    let mut steps = Vec::new();
    match &found.account {
        None if found.group_is_taken => {
            return Err(format!("there is a group `{account}` already, and no account of that name\nchoose another with --user"));
        }
        None => steps.extend([Step::Account, Step::Group, Step::Ids]),
        Some(known) => {
            ours(wish, known, found.policy.is_some())?;
            steps.extend((!known.in_group).then_some(Step::Group));
            steps.extend((!known.lacks_ids.is_empty()).then_some(Step::Ids));
        }
    }
    if place(wish, found)? {
        steps.push(Step::Repository);
    }
    steps.extend((!found.has_key).then_some(Step::Key));
    steps.extend(found.policy.is_none().then_some(Step::Policy));
    Ok(steps)
}

fn ours(wish: Wish<'_>, known: &Known, has_policy: bool) -> Result<(), String> {
    let Wish { client, account, shared, comment, .. } = wish;
    if known.uid == 0 {
        return Err(format!("`{account}` is root\nname an account of the client's own with --user"));
    }
    if !known.has_the_gate {
        return Err(format!(
            "there is an account `{account}` already, whose shell is `{}` and not the gate\nchoose another with --user NAME: this one is \
             somebody else's",
            known.shell
        ));
    }
    if shared || has_policy {
        return Ok(());
    }
    if let Some(other) = &known.other {
        return Err(format!(
            "{other} has the account `{account}`, too\nsay --shared-account, and their keys tell them apart; or choose another with --user"
        ));
    }
    if known.comment == comment {
        return Ok(());
    }
    Err(format!(
        "there is an account `{account}` already, and it was not made for {client} (it says `{}`)\nchoose another with --user, or say \
         --shared-account if several clients are to use it",
        crate::terms::text::printable(known.comment.as_bytes())
    ))
}

/// Whether the repository is to be made.
fn place(wish: Wish<'_>, found: &Found) -> Result<bool, String> {
    let shown = wish.repository;
    match (found.place, &found.account) {
        (Place::Missing | Place::Begun, _) => Ok(true),
        (Place::Link, _) => Err(format!("`{shown}` is a symbolic link\nremove it; a repository elsewhere is a policy's `path:`")),
        (Place::Other, _) => Err(format!("`{shown}` is no directory\nmove it away")),
        (Place::Directory(owner, false), Some(known)) if owner == known.uid => Ok(false),
        (Place::Directory(owner, true), Some(known)) if owner == known.uid => {
            Err(format!("others may write to `{shown}`\nchmod go-w it, and look at what is in it"))
        }
        (Place::Directory(owner, _), _) => Err(format!(
            "`{shown}` is there already and belongs to uid {owner}: it may hold another's snapshots\nmove it away; or, if it is what an \
             earlier {} left, see \"Take up a repository again\" in docs/how-to.md",
            wish.client
        )),
    }
}

impl Step {
    /// What it does, for people.
    pub fn says(self, wish: Wish<'_>) -> String {
        let Wish { account, client, repository, .. } = wish;
        match self {
            Self::Account => format!("make the account `{account}`, with the gate as its shell and no password"),
            Self::Group => format!("put `{account}` into the group `{GROUP}`"),
            Self::Ids => format!("see that `{account}` has ids for the owners of its files (/etc/subuid, /etc/subgid)"),
            Self::Repository => format!("make the repository {repository}, `{account}`'s alone"),
            Self::Key => format!("write the key, where `{account}` cannot change it"),
            Self::Policy => format!("write the policy of {client}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: Wish<'_> =
        Wish { client: "web1", comment: "snapgate client web1", account: "web1", shared: false, repository: "/srv/backups/web1" };

    fn known(comment: &str) -> Known {
        let comment = comment.to_owned();
        let shell = "/usr/bin/snapgate-shell".to_owned();
        Known { uid: 1001, comment, has_the_gate: true, shell, in_group: true, lacks_ids: Vec::new(), other: None }
    }

    fn nothing() -> Found {
        Found { account: None, group_is_taken: false, place: Place::Missing, has_key: false, policy: None }
    }

    #[test]
    fn what_is_there_stays_and_a_second_run_has_nothing_to_do() {
        use Step::{Account, Group, Ids, Key, Policy, Repository};
        assert_eq!(steps(WISH, &nothing()).unwrap(), [Account, Group, Ids, Repository, Key, Policy]);
        let account = Some(known(WISH.comment));
        let mut found = Found { account, ..nothing() };
        assert_eq!(steps(WISH, &found).unwrap(), [Repository, Key, Policy]);
        found.place = Place::Directory(1001, false);
        assert_eq!(steps(WISH, &found).unwrap(), [Key, Policy]);
        found.has_key = true;
        assert_eq!(steps(WISH, &found).unwrap(), [Policy]);
        found.policy = Some(true);
        assert_eq!(steps(WISH, &found).unwrap(), []);
        found.account = Some(Known { in_group: false, lacks_ids: vec!["/etc/subgid"], ..known(WISH.comment) });
        assert_eq!(steps(WISH, &found).unwrap(), [Group, Ids]);
    }

    #[test]
    fn what_is_another_s_is_never_taken() {
        let with = |change: &dyn Fn(&mut Found)| {
            let mut found = Found { account: Some(known(WISH.comment)), ..nothing() };
            change(&mut found);
            steps(WISH, &found).unwrap_err()
        };
        for (said, why) in [
            (with(&|found| found.policy = Some(false)), "another key or account"),
            (with(&|found| (found.account, found.group_is_taken) = (None, true)), "group `web1` already"),
            (with(&|found| found.account = Some(Known { uid: 0, ..known(WISH.comment) })), "is root"),
            (with(&|found| found.account = Some(Known { has_the_gate: false, ..known(WISH.comment) })), "somebody else's"),
            (with(&|found| found.account = Some(known("snapgate client web2"))), "not made for web1"),
            (with(&|found| found.account = Some(Known { other: Some("web2".to_owned()), ..known(WISH.comment) })), "web2 has the account"),
            (with(&|found| found.place = Place::Link), "symbolic link"),
            (with(&|found| found.place = Place::Other), "no directory"),
            (with(&|found| found.place = Place::Directory(1002, false)), "belongs to uid 1002"),
            (with(&|found| found.place = Place::Directory(1001, true)), "others may write"),
            (with(&|found| (found.account, found.place) = (None, Place::Directory(0, false))), "belongs to uid 0"),
        ] {
            assert!(said.contains(why) && said.contains('\n'), "{why}: {said}");
        }
        let shared = Wish { shared: true, ..WISH };
        let both = Known { other: Some("web2".to_owned()), ..known("snapgate client web2") };
        assert!(steps(shared, &Found { account: Some(both.clone()), ..nothing() }).is_ok());
        // Run again it has nothing to do, whichever way it is said.
        assert!(steps(WISH, &Found { account: Some(both), policy: Some(true), ..nothing() }).is_ok());
    }
}
