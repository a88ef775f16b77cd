//! The account as which sshd asks whose key it is (sshd_config(5), "AuthorizedKeysCommandUser"): it has
//! to read the policies, or no key of theirs lets anybody in.

use serde::{Deserialize, Serialize};

use super::{Entry, Settings, shown};
use crate::decide::host::seen::Barred;
use crate::decide::policy::lint::Finding;
use crate::terms::text::quoted_path;

/// What came of looking at the policies as that account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    /// sshd names none, or one that this machine has not.
    Missing,
    Looked(Closed),
    Untried,
}

/// What is closed to it: the first, and how much more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub first: Option<Barred>,
    pub more: usize,
}

impl From<Vec<Barred>> for Closed {
    fn from(barred: Vec<Barred>) -> Self {
        let mut places: Vec<_> = barred.iter().map(|one| &one.at).collect();
        places.dedup();
        Self { more: places.len().saturating_sub(1), first: barred.into_iter().next() }
    }
}

/// Why `snapgate keys` does not answer sshd, though that asks it. `asker` is `None` where sshd does not.
pub(crate) fn unheard(entry: Entry<'_>, settings: &Settings, asker: Option<&Asker>) -> Option<Finding> {
    let Entry { account, user, .. } = entry;
    let name = shown(settings.asks_as(account).as_deref().unwrap_or("none"));
    if settings.asks_amiss {
        let command = shown(settings.asked_program.as_deref().unwrap_or_default());
        let message =
            format!("sshd asks `{command}` whose key it is, and does not tell it the key: no key of a policy lets in as `{account}`");
        return Some(Finding::wrong(user.clone(), message, "let `AuthorizedKeysCommand` end in `keys %u %t %k`, then reload sshd"));
    }
    match asker? {
        Asker::Missing => {
            let message =
                format!("sshd asks nobody whose key it is: `AuthorizedKeysCommandUser` for `{account}` is `{name}`, which is no account");
            let help = "name one there that is in the group of /etc/snapgate, then reload sshd";
            Some(Finding::wrong(user.clone(), message, help))
        }
        Asker::Looked(Closed { first: Some(first), more }) => {
            let more = if *more == 0 { String::new() } else { format!(" and {more} more") };
            let message = format!(
                "sshd asks `snapgate keys` as `{name}`, to which {}{more} is closed: keys of policies there let nobody in as `{account}`",
                quoted_path(&first.at)
            );
            let help = format!("add `{name}` to the group that it belongs to, or name another account in `AuthorizedKeysCommandUser`");
            Some(Finding::wrong(user.clone(), message, help))
        }
        Asker::Looked(_) => None,
        Asker::Untried => {
            let message =
                format!("whether `{name}`, as which sshd asks `snapgate keys`, can read the policies of `{account}` was not looked at");
            Some(Finding::unseen(user.clone(), message, "try it out: log in as the client"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decide::host::login::settings;
    use crate::decide::host::login::tests::{ANSWER, entry};
    use crate::decide::host::seen::Need;
    use crate::terms::Origin;

    #[test]
    fn a_question_that_nobody_answers_is_wrong_and_one_that_nobody_tried_is_unseen() {
        let origin = Origin { file: "web1".into(), line: 1 };
        let barred = |path: &str, at: &str| Barred { path: path.into(), need: Need::Read, at: at.into(), fixed: false };
        let looked = |all: Vec<Barred>| Some(Asker::Looked(all.into()));
        let program = "/usr/bin/snapgate";
        for (words, asker, state, said) in [
            ("keys %u %t %k", looked(Vec::new()), (true, None), ""),
            ("keys %u %t %k", looked(vec![barred("/e/a", "/e"), barred("/e/b", "/e")]), (true, Some(true)), "to which `/e` is closed"),
            ("keys %u %t %k", looked(vec![barred("/e/a", "/e/a"), barred("/e/b", "/e/b")]), (true, Some(true)), "`/e/a` and 1 more"),
            ("keys %u %t %k", Some(Asker::Missing), (true, Some(true)), "`AuthorizedKeysCommandUser` for `web1` is `as-web1`"),
            ("keys %u %t %k", Some(Asker::Untried), (true, Some(false)), "was not looked at"),
            ("--config /etc/snapgate keys %u %t %k", looked(Vec::new()), (true, None), ""),
            ("--config /etc/other keys %u %t %k", None, (false, None), ""),
            ("keys %u", None, (false, Some(true)), "does not tell it the key"),
            ("keys", None, (false, Some(true)), "does not tell it the key"),
            ("keys %u %k %t x", None, (false, None), ""),
            ("keys web1 %t %k", None, (false, None), ""),
        ] {
            let lines = format!("authorizedkeyscommand {program} {words}\nauthorizedkeyscommanduser as-%u\n");
            let mut settings = settings(&[ANSWER, lines.as_bytes()].concat()).unwrap();
            settings.ask_the_policies(Path::new("/etc/snapgate"), |path| path == Path::new(program));
            let found = unheard(entry(&origin, Path::new("/bin/sh")), &settings, asker.as_ref());
            assert_eq!((settings.by_policies, found.as_ref().map(|one| one.wrong)), state, "{words}: {found:?}");
            assert!(found.is_none_or(|one| one.wrong != one.unseen && one.message.contains(said)), "{words}");
            assert_eq!(settings.keys_elsewhere, !state.0, "{words}");
        }
        let none = settings(&[ANSWER, b"authorizedkeyscommanduser none\n"].concat()).unwrap();
        assert_eq!(none.asks_as("web1"), None);
    }
}
