//! Clients that come by a host's name: what the name services say of it now, as the gate asks them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Source, address};
use crate::terms::Peer;

/// The addresses of a name; `None`: no answer came in time.
type Answer = Option<Vec<IpAddr>>;

/// What was said of each name that was asked for.
pub(crate) type Answers = BTreeMap<String, Answer>;

/// Every name by which clients may come, each once.
pub(crate) fn names(policies: &[Policy]) -> BTreeSet<&str> {
    let lists = policies.iter().flat_map(|policy| [policy.from.as_deref(), policy.restore.from.as_deref()]);
    lists.flatten().flat_map(address::hosts).collect()
}

/// Names of a policy that let nobody in now.
pub(crate) fn unresolved(policy: &Policy, answers: &Answers) -> Vec<Finding> {
    let mut found = Vec::new();
    for (word, from) in [("from", &policy.from), ("restore", &policy.restore.from)] {
        let from = from.as_deref().unwrap_or_default();
        let is = |known: &dyn Fn(Option<&Answer>) -> bool| -> Vec<String> {
            address::hosts(from).filter(|host| known(answers.get(*host))).map(|host| format!("`{host}`")).collect()
        };
        let nothing = is(&|answer| matches!(answer, Some(Some(addresses)) if addresses.is_empty()));
        let late = is(&|answer| matches!(answer, Some(None)));
        let unasked = is(&|answer| answer.is_none());
        let have = |names: &[String]| if names.len() == 1 { "has" } else { "have" };
        let origin = policy.origins.of(word);
        let client = &policy.client;
        let help = "see what `getent ahosts` says of it; where the name is right, write its network into the policy until it is back";
        if !nothing.is_empty() {
            let has = format!("{} {} no address", nothing.join(", "), have(&nothing));
            found.push(if word == "from" && nothing.len() == from.len() {
                Finding::wrong(origin.clone(), format!("{has}, and {client} may come from nowhere else: the gate refuses it"), help)
            } else {
                Finding::note(origin.clone(), format!("{has}: whoever comes from there is refused as {client}"), help)
            });
        }
        if !late.is_empty() {
            let message = format!("whether {} of {client} {} an address was not seen: no answer came", late.join(", "), have(&late));
            found.push(Finding::unseen(origin.clone(), message, "see whether the name server answers: the gate waits for it no longer"));
        }
        if !unasked.is_empty() {
            let message =
                format!("whether {} of {client} {} an address was not asked: others took the time", unasked.join(", "), have(&unasked));
            found.push(Finding::unseen(origin, message, "see what `getent ahosts` says of it"));
        }
    }
    found
}

/// An address for each source of a policy, as far as it is known.
pub(crate) fn places(policy: &Policy, answers: &Answers) -> Vec<Peer> {
    let of = |source: &Source| -> Vec<Peer> {
        match source {
            Source::Network(network) => vec![Peer::from(network.addr())],
            Source::OnLink(network, link) => vec![Peer { address: network.addr(), link: Some(link.clone()) }],
            Source::Host(name) => answers.get(name).into_iter().flatten().flatten().map(|address| Peer::from(*address)).collect(),
        }
    };
    policy.from.iter().flatten().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decide::policy::{read_policy, read_site};

    fn policy(text: &str) -> Policy {
        let site = read_site(Path::new("site"), b"store: /s\n").unwrap();
        read_policy(Path::new("web1"), text.as_bytes(), &"web1".parse().unwrap(), &site).unwrap()
    }

    fn answers() -> Answers {
        let address = "198.51.100.7".parse().unwrap();
        [("here", Some(vec![address])), ("gone", Some(Vec::new())), ("late", None)].map(|(name, found)| (name.to_owned(), found)).into()
    }

    #[test]
    fn a_name_that_is_the_only_way_in_and_leads_nowhere_is_wrong_and_one_that_nobody_answered_is_unseen() {
        for (text, state) in [
            ("from: [\"host:here\"]\n", ""),
            ("from: [192.0.2.0/24]\n", ""),
            ("from: [\"host:gone\"]\n", "wrong"),
            ("from: [\"host:gone\", \"host:gone\"]\n", "wrong"),
            ("from: [\"host:gone\", 192.0.2.0/24]\n", "note"),
            ("from: [\"host:gone\", \"host:here\"]\n", "note"),
            ("from: [\"host:gone\", \"host:late\"]\n", "note unseen"),
            ("from: [\"host:late\"]\n", "unseen"),
            ("from: [\"host:unasked\"]\n", "unseen"),
            ("from: [\"host:late\", \"host:unasked\"]\n", "unseen unseen"),
            ("restore: { from: [\"host:gone\"] }\n", "note"),
        ] {
            let found = unresolved(&policy(text), &answers());
            let states: Vec<_> = found.iter().map(Finding::state).collect();
            assert_eq!(states.join(" "), state, "{text}: {found:?}");
        }
        let all = [policy("from: [\"host:b\", 192.0.2.0/24]\nrestore: { from: [\"host:a\", \"host:b\"] }\n")];
        assert_eq!(names(&all).into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn every_source_has_an_address_that_can_be_asked_about() {
        let found = places(&policy("from: [192.0.2.0/24, \"host:here\", \"host:gone\", \"host:late\", \"2001:db8::/48\"]\n"), &answers());
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.0", "198.51.100.7", "2001:db8::"]);
        assert!(places(&policy("timezone: UTC\n"), &answers()).is_empty());
    }
}
