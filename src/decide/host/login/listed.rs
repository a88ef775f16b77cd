//! Whether the keys that sshd takes are those that policies list: a key of a policy that sshd does not
//! take never gets through, and the server hears nothing of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::keys::{Taken, named};
use super::{Entry, KeyFile, Leads, Settings, held};
use crate::decide::policy::Policy;
use crate::decide::policy::lint::Finding;
use crate::terms::limits::MAX_KEY_REASONS;
use crate::terms::text::quoted_path;
use crate::terms::{ClientName, Fingerprint};

/// How many keys a finding names.
const NAMED: usize = 3;

/// What all policies say of keys.
#[derive(Debug, Default)]
pub(crate) struct Listed<'a> {
    by_key: BTreeMap<&'a Fingerprint, Vec<&'a Policy>>,
    by_client: BTreeMap<&'a ClientName, &'a Policy>,
    /// Accounts of policies that list none.
    open: Vec<&'a str>,
    /// Whether some policy could not be read.
    is_cut: bool,
}

impl<'a> Listed<'a> {
    pub(crate) fn of(policies: &'a [Policy], is_cut: bool) -> Self {
        let mut all = Self { is_cut, ..Self::default() };
        for policy in policies {
            for key in policy.keys.iter().chain(&policy.restore.keys).flatten() {
                all.by_key.entry(key).or_default().push(policy);
            }
            all.by_client.insert(&policy.client, policy);
            all.open.extend(policy.keys.is_none().then_some(policy.user.as_str()));
        }
        all
    }

    /// Why the gate refuses this key of an account whatever its client asks for, as it finds the policy
    /// (`act::config::identify`); `None` where it does not, or nobody can say.
    fn refuses(&self, account: &str, taken: &Taken, client: Option<&ClientName>) -> Option<String> {
        let lists = |policy: &Policy| policy.keys.iter().chain(&policy.restore.keys).flatten().any(|key| *key == taken.key);
        if self.is_cut {
            return None;
        }
        if let Some(client) = client {
            return match self.by_client.get(client) {
                None => Some(format!("for the client {client}, which has no policy")),
                Some(policy) if policy.user != account => Some(format!("for the client {client}, whose account is `{}`", policy.user)),
                Some(policy) if policy.keys.is_some() && !lists(policy) => {
                    Some(format!("for the client {client}, whose `keys:` does not list it"))
                }
                Some(_) => None,
            };
        }
        match self.by_key.get(&taken.key).map(Vec::as_slice) {
            Some(listing) if listing.iter().any(|policy| policy.user == account) => None,
            Some([policy, ..]) => Some(format!("and only {} lists it, whose account is `{}`", policy.client, policy.user)),
            _ => {
                let own = account.parse::<ClientName>().ok().and_then(|client| self.by_client.get(&client).copied());
                let is_open = match own.filter(|policy| policy.user == account) {
                    Some(own) => own.keys.is_none(),
                    None => self.open.contains(&account),
                };
                (!is_open).then(|| "and no policy of that account lists it".to_owned())
            }
        }
    }
}

/// Keys that policies of an account list and sshd does not take, and the other way round. `its` are the
/// policies that are asked about, `own` files of keys that the account can change.
pub(crate) fn unlisted(
    entry: Entry<'_>,
    settings: &Settings,
    files: &[KeyFile],
    own: &[PathBuf],
    its: &[&Policy],
    all: &Listed<'_>,
) -> Vec<Finding> {
    let held = held(files);
    // That sshd takes none at all is said elsewhere.
    if settings.takes_no_keys || (held.all() == 0 && !held.cut) {
        return Vec::new();
    }
    let forced = settings.force.as_deref().map(named);
    let client = |taken: &'_ Taken| forced.clone().unwrap_or_else(|| taken.client.clone());
    let leads_here = |taken: &Taken| match settings.force {
        Some(_) => entry.forced == Some(Leads::ToTheGate),
        None => taken.gated || entry.is_gate,
    };
    let mut strange: BTreeMap<String, Vec<&Fingerprint>> = BTreeMap::new();
    for taken in held.taken.iter().filter(|taken| leads_here(taken)) {
        if let Some(why) = all.refuses(entry.account, taken, client(taken).as_ref()) {
            strange.entry(why).or_default().push(&taken.key);
        }
    }
    let cannot_tell = held.cut || held.untold || settings.keys_elsewhere;
    let place = files.first().map_or_else(|| "a file of `AuthorizedKeysFile`".to_owned(), |file| quoted_path(&file.path));
    let candidates: Vec<_> = strange.values().flatten().copied().collect();
    let mut found = Vec::new();
    for policy in its.iter().filter(|_| !settings.by_policies) {
        let is_taken = |key: &&Fingerprint| {
            held.taken.iter().any(|taken| taken.key == **key && client(taken).is_none_or(|client| client == policy.client))
        };
        for (word, listed) in [("keys", &policy.keys), ("restore", &policy.restore.keys)] {
            let Some(listed) = listed else { continue };
            let mut missing: Vec<_> = listed.iter().filter(|key| !is_taken(key)).collect();
            let takes_none = word == "keys" && missing.len() == listed.len();
            if !takes_none {
                // That these have ended is said elsewhere.
                missing.retain(|key| !held.ended.contains(key));
            }
            if missing.is_empty() {
                continue;
            }
            let origin = policy.origins.of(word);
            let (account, which) = (entry.account, names(&missing));
            if cannot_tell {
                let message = format!("whether sshd takes {which} of {} for `{account}` was not looked at", policy.client);
                found.push(Finding::unseen(origin, message, "try it out: log in as the client"));
            } else if takes_none {
                let message =
                    format!("sshd takes none of `keys:` for `{account}`: {} never gets through, and nothing is heard of it", policy.client);
                let other = match candidates.as_slice() {
                    [] => String::new(),
                    // Whoever took the account over may have put their own key there.
                    _ if !own.is_empty() => "see what `ssh-keygen -lf` says of the key on the client, whatever the file holds: ".to_owned(),
                    strangers => format!("if {} is the client's, which sshd takes, write that there; if not, ", names(strangers)),
                };
                found.push(Finding::wrong(origin, message, format!("{other}put the client's key into {place}")));
            } else {
                let message =
                    format!("sshd does not take {which} of {} for `{account}`: whoever has no other is not let in", policy.client);
                found.push(Finding::note(origin, message, format!("put that into {place}, or take it out of the policy")));
            }
        }
    }
    found.extend(refused(entry, strange, own));
    found
}

/// Keys that sshd takes and the gate refuses, by why.
fn refused(entry: Entry<'_>, strange: BTreeMap<String, Vec<&Fingerprint>>, own: &[PathBuf]) -> Vec<Finding> {
    let help = match own {
        [] => "write that into `keys:` of the client whose it is, or take it out of its file",
        _ => "write that into `keys:` of a client where `ssh-keygen -lf` says the same on it, or take it out of its file",
    };
    let more = strange.len().saturating_sub(MAX_KEY_REASONS);
    // Each try is refused, recorded and mailed: no backup fails in silence.
    let told = strange.into_iter().take(MAX_KEY_REASONS).map(|(why, keys)| {
        let message = format!("sshd takes {} for `{}`, {why}: whoever comes with that is refused", names(&keys), entry.account);
        Finding::note(entry.user.clone(), message, help)
    });
    let mut found: Vec<_> = told.collect();
    if more > 0 {
        let message = format!("sshd takes keys for `{}` that the gate refuses for {more} more reasons like these", entry.account);
        found.push(Finding::note(entry.user.clone(), message, help));
    }
    found
}

fn names(keys: &[&Fingerprint]) -> String {
    let first = keys.iter().take(NAMED).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    match (keys.len(), keys.len().saturating_sub(NAMED)) {
        (1, _) => format!("the key {first}"),
        (_, 0) => format!("the keys {first}"),
        (_, more) => format!("the keys {first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decide::host::authinfo;
    use crate::decide::host::login::tests::{ANSWER, entry, leads};
    use crate::decide::host::login::{KeyState, keys, settings};
    use crate::decide::policy::{read_policy, read_site};
    use crate::terms::Origin;
    use crate::terms::limits::MAX_COMPARED_KEYS;

    const KEYS: [&str; 2] = [
        "AAAAC3NzaC1lZDI1NTE5AAAAIEgR3IDJ8bNAXcMYuBvTd5K6bHQQGFqsQK6wdNQ1vBY2",
        "AAAAC3NzaC1lZDI1NTE5AAAAIPlTNFcpSsyAP3G9ssXcmvpMJTbf+KFlvGwzGeyTlKJs",
    ];

    fn fingerprint(number: usize) -> String {
        authinfo::fingerprint("ssh-ed25519", KEYS[number]).unwrap().to_string()
    }

    /// What is found where `web1` is asked about, by what each client's policy says; `$A` and `$B` are keys.
    fn found(policies: &[(&str, &str)], lines: &str, held: &str, cut: bool) -> Vec<String> {
        found_in(policies, lines, held, cut, &[])
    }

    fn found_in(policies: &[(&str, &str)], lines: &str, held: &str, cut: bool, own: &[PathBuf]) -> Vec<String> {
        let site = read_site(Path::new("site"), b"store: /s\n").unwrap();
        let text = |text: &str| text.replace("$A", &fingerprint(0)).replace("$B", &fingerprint(1));
        let read =
            |(client, says): &(&str, &str)| read_policy(Path::new(client), text(says).as_bytes(), &client.parse().unwrap(), &site).unwrap();
        let policies: Vec<_> = policies.iter().map(read).collect();
        let its: Vec<_> = policies.iter().filter(|policy| policy.user == "web1").collect();
        let mut settings = settings(&[ANSWER, lines.as_bytes()].concat()).unwrap();
        settings.ask_the_policies(Path::new("/etc/snapgate"), |program| program == Path::new("/usr/bin/snapgate"));
        let held = held.replace("$A", &format!("ssh-ed25519 {}\n", KEYS[0])).replace("$B", &format!("ssh-ed25519 {}\n", KEYS[1]));
        let files = [KeyFile { path: "/k".into(), state: KeyState::Holds(keys(held.as_bytes(), chrono::Utc::now(), leads)) }];
        let origin = Origin { file: "web1".into(), line: 0 };
        let entry = entry(&origin, Path::new("/bin/sh"));
        let found = unlisted(entry, &settings, &files, own, &its, &Listed::of(&policies, cut));
        let said = |one: &Finding| format!("{} {one}", one.state()).replace(&fingerprint(0), "$A").replace(&fingerprint(1), "$B");
        found.iter().map(said).collect()
    }

    /// Policies, sshd's lines, what the file of keys holds, and what is found.
    type Case<'a> = (&'a [(&'a str, &'a str)], String, String, &'a [&'a str]);

    #[test]
    fn a_client_whose_keys_sshd_does_not_take_is_told_and_one_whom_nobody_lists() {
        let forced_to = |client: &str| format!("forcecommand /usr/bin/snapgate-shell --client {client}\n");
        let by_key = |client: &str| format!("command=\"/usr/bin/snapgate-shell --client {client}\" ");
        let free = "forcecommand none\n";
        let ask = "authorizedkeyscommand /usr/bin/snapgate keys %u %t %k\n";
        let other = "authorizedkeyscommand /usr/local/bin/keys %u\n";
        let alone: &[(&str, &str)] = &[("web1", "keys: [\"$A\"]\n")];
        let several: &[(&str, &str)] = &[("db1", "user: web1\nkeys: [\"$A\"]\n"), ("db2", "user: web1\nkeys: [\"$B\"]\n")];
        let never = "wrong web1:1: sshd takes none of `keys:` for `web1`: web1 never gets through, and nothing is heard of it\n";
        let nobodys = "note web1: sshd takes the key `$B` for `web1`, and no policy of that account lists it";
        let cases: &[Case<'_>] = &[
            (alone, String::new(), "$A".into(), &[]),
            (alone, String::new(), "restrict $B".into(), &[never, nobodys]),
            (alone, String::new(), "$B".into(), &["if the key `$B` is the client's, which sshd takes, write that there", nobodys]),
            (alone, String::new(), "$A$B".into(), &[nobodys]),
            (alone, String::new(), String::new(), &[]),
            (alone, "pubkeyauthentication no\n".into(), "$B".into(), &[]),
            (alone, String::new(), "cert-authority $B".into(), &["unseen web1:1: whether sshd takes the key `$A`"]),
            (alone, "trustedusercakeys /ca\n".into(), "$B".into(), &["unseen web1:1: ", nobodys]),
            (alone, ask.into(), String::new(), &[]),
            (alone, ask.into(), "$B".into(), &[nobodys]),
            (alone, other.into(), "$B".into(), &["unseen web1:1: ", nobodys]),
            // Keys that do not lead to the gate speak for nobody, and are somebody else's to judge.
            (alone, free.into(), "$A$B".into(), &[]),
            (alone, free.into(), format!("{}$A", by_key("web1")), &[]),
            (alone, free.into(), format!("{}$A", by_key("web9")), &[never, "for the client web9, which has no policy"]),
            (alone, free.into(), format!("{}$A{0}$B", by_key("web1")), &["for the client web1, whose `keys:` does not list it"]),
            (alone, forced_to("web9"), "$A".into(), &[never, "for the client web9, which has no policy"]),
            (alone, forced_to("web1"), format!("{}$A", by_key("web9")), &[]),
            // That a key has ended is said beside what else it opens.
            (&[("web1", "keys: [\"$A\", \"$B\"]\n")], String::new(), "expiry-time=\"20200101\" $A$B".into(), &[]),
            (alone, String::new(), "expiry-time=\"20200101\" $A$B".into(), &[never, nobodys]),
            (several, String::new(), "$A$B".into(), &[]),
            (several, String::new(), "$A".into(), &["wrong db2:2: sshd takes none of `keys:` for `web1`: db2 never gets through"]),
            (&[("web1", "timezone: UTC\n")], String::new(), "$A$B".into(), &[]),
            (
                &[("web1", "timezone: UTC\n"), ("web2", "keys: [\"$A\"]\n")],
                String::new(),
                "$A".into(),
                &["and only web2 lists it, whose account is `web2`"],
            ),
            (
                &[("web1", "keys: [\"$A\", \"$B\"]\n")],
                String::new(),
                "$A".into(),
                &["note web1:1: sshd does not take the key `$B` of web1"],
            ),
            (
                &[("web1", "keys: [\"$A\"]\nrestore: { keys: [\"$B\"] }\n")],
                String::new(),
                "$A".into(),
                &["note web1:2: sshd does not take the key `$B`"],
            ),
            (&[("web1", "keys: [\"$A\"]\nrestore: { keys: [\"$B\"] }\n")], String::new(), "$A$B".into(), &[]),
        ];
        for (policies, lines, held, words) in cases {
            let found = found(policies, lines, held, false);
            let all = found.join("\n");
            let said = words.iter().zip(&found).all(|(word, one)| one.contains(word));
            assert!(said && found.len() == words.len(), "{policies:?} {lines} {held}: {all}");
        }
        assert_eq!(found(alone, "", "$A$B", true).len(), 0, "another policy, which nobody could read, may list it");
        let own = found_in(alone, "", "$B", false, &["/k".into()]).join("\n");
        assert!(own.contains("whatever the file holds: put the client's") && !own.contains("which sshd takes, write that there"), "{own}");
        assert!(own.contains("where `ssh-keygen -lf` says the same on it"), "{own}");
        let names: String = (0..MAX_KEY_REASONS + 3).map(|number| format!("{}$B", by_key(&format!("x{number}")))).collect();
        let all = found(alone, free, &format!("{}$A{names}", by_key("web1")), false);
        assert!(all.len() == MAX_KEY_REASONS + 1 && all[MAX_KEY_REASONS].contains("for 3 more reasons"), "{all:?}");
        let many: String = (0..MAX_COMPARED_KEYS + 1).map(|_| format!("ssh-ed25519 {}\n", KEYS[1])).collect();
        let all = found(alone, "", &many, true).join("\n");
        assert!(all.starts_with("unseen web1:1: whether sshd takes the key `$A` of web1"), "{all}");
    }
}
