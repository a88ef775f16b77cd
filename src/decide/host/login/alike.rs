//! For which accounts sshd's answer is the same: what its settings tell apart are the criteria of
//! their `Match` lines (sshd_config(5)), and nothing else. So a thousand accounts are a few
//! questions. Whatever is written in a way that is not understood here tells everybody apart.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{NOWHERE, matches};
use crate::decide::host::sources::{self, Answers};
use crate::decide::policy::{Policy, address};
use crate::terms::Peer;

/// From where a client comes, as sshd is asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// An address of a policy's `from:`.
    Source(String),
    /// None in particular.
    Anywhere,
    /// An address that only sshd's settings name.
    Named(String),
}

impl Place {
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Source(address) | Self::Named(address) => address,
            Self::Anywhere => NOWHERE,
        }
    }

    pub(crate) fn is_named_by_sshd_alone(&self) -> bool {
        matches!(self, Self::Named(_))
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Source(address) | Self::Named(address) => format!("coming from `{address}`"),
            Self::Anywhere => "coming from anywhere else".to_owned(),
        }
    }
}

/// What the settings tell apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Criteria {
    users: Vec<String>,
    groups: Vec<String>,
    /// Whether addresses, hosts or ports count.
    places: bool,
    /// An address for each that they name.
    addresses: Vec<IpAddr>,
    /// Whether something was not understood.
    unclear: bool,
}

impl Criteria {
    /// Adds those of a file, and returns what it includes.
    pub(crate) fn read(&mut self, text: &[u8]) -> Vec<String> {
        let Ok(text) = std::str::from_utf8(text) else {
            self.unclear = true;
            return Vec::new();
        };
        let mut included = Vec::new();
        for line in text.lines().map(str::trim) {
            let (keyword, rest) = line.split_once(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or((line, ""));
            match keyword.to_ascii_lowercase().as_str() {
                "include" if is_plain(rest) => included.extend(rest.split_ascii_whitespace().map(str::to_owned)),
                "match" if is_plain(rest) => self.criteria(rest),
                "include" | "match" => self.unclear = true,
                // A quoted keyword would be one, too.
                _ => self.unclear |= keyword.contains('"'),
            }
        }
        included
    }

    fn criteria(&mut self, rest: &str) {
        let rest = rest.split('#').next().unwrap_or(rest);
        let mut words = rest.split_ascii_whitespace();
        while let Some(word) = words.next() {
            let mut listed =
                || words.next().unwrap_or_default().split(',').map(|one| one.trim_start_matches('!').to_owned()).collect::<Vec<_>>();
            match word.to_ascii_lowercase().as_str() {
                "all" => {}
                "user" => self.users.extend(listed()),
                "group" => self.groups.extend(listed()),
                "address" => {
                    self.addresses.extend(listed().iter().filter_map(|pattern| an_address(pattern)));
                    self.places = true;
                }
                "host" | "localaddress" | "localport" | "rdomain" => {
                    listed();
                    self.places = true;
                }
                _ => self.unclear = true,
            }
        }
    }

    /// Addresses at which an account's clients may come, and which the settings may tell apart: an address
    /// of each of their sources, and what the settings name of these.
    pub(crate) fn places(&self, its: &[&Policy], answers: &Answers) -> Vec<Place> {
        let own = its.iter().flat_map(|policy| sources::places(policy, answers)).map(|peer| Place::Source(peer.to_string()));
        let anywhere = its.iter().any(|policy| policy.from.is_none()).then_some(Place::Anywhere);
        let may_come = |peer: &Peer| its.iter().any(|policy| policy.from.as_deref().is_none_or(|from| address::matches(from, peer, &[])));
        let named = self.addresses.iter().map(|found| Peer::from(*found)).filter(may_come).map(|peer| Place::Named(peer.to_string()));
        let mut seen = BTreeSet::new();
        own.chain(anywhere).chain(named).filter(|place| seen.insert(place.address().to_owned())).collect()
    }

    /// Something could not be read.
    pub(crate) fn give_up(&mut self) {
        self.unclear = true;
    }

    /// Whether the groups of accounts count.
    pub(crate) fn asks_for_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// What the answer for an account depends on: equal for two accounts, they have equal answers.
    pub(crate) fn question(&self, account: &str, groups: Option<&[String]>, address: &str) -> String {
        let Some(groups) = groups.filter(|_| !self.unclear).or_else(|| Some(&[][..]).filter(|_| !self.unclear && self.groups.is_empty()))
        else {
            return format!("user {account} {address}");
        };
        let like = |patterns: &[String], name: &str| -> String {
            patterns.iter().map(|pattern| if matches(pattern, name) { '1' } else { '0' }).collect()
        };
        // A group that no pattern means is as good as none.
        let mut kinds: Vec<String> = groups.iter().map(|group| like(&self.groups, group)).filter(|bits| bits.contains('1')).collect();
        kinds.sort();
        kinds.dedup();
        let mut question = format!("{} {}", like(&self.users, account), kinds.join(","));
        if self.places {
            let _ = write!(question, " {address}");
        }
        question
    }
}

/// An address that a pattern means (ssh_config(5), PATTERNS): a network's first, any for a wildcard.
fn an_address(pattern: &str) -> Option<IpAddr> {
    let network = |text: &str| text.parse::<IpNet>().map(|network| network.network()).or_else(|_| text.parse()).ok();
    let mut text = pattern.replace(['*', '?'], "1");
    for _ in 0..3 {
        if network(&text).is_some() {
            break;
        }
        text.push_str(".1");
    }
    network(&text)
}

/// Whether words are what they look like: sshd's quotes and escapes are left to sshd.
fn is_plain(words: &str) -> bool {
    !words.contains(['"', '\'', '\\', '='])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::decide::policy::{read_policy, read_site};

    fn criteria(text: &str) -> Criteria {
        let mut found = Criteria::default();
        found.read(text.as_bytes());
        found
    }

    #[test]
    fn accounts_that_no_line_tells_apart_are_one_question() {
        let found = criteria("Port 22\nMatch Group snapgate\n  ForceCommand x\nmatch User=admin\n");
        assert!(found.unclear);
        let found = criteria("Port 22\nMatch Group snapgate,back* # all\n  ForceCommand x\nmatch user admin,!web9\n");
        let ask = |account: &str, groups: &[&str]| {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            found.question(account, Some(&groups), "192.0.2.1")
        };
        assert_eq!(ask("web1", &["web1", "snapgate"]), ask("web2", &["snapgate", "web2", "users"]));
        for (account, groups) in
            [("web1", &["web1"][..]), ("admin", &["snapgate"]), ("web9", &["snapgate"]), ("web1", &["snapgate", "backup"])]
        {
            assert_ne!(ask("web1", &["snapgate"]), ask(account, groups), "{account} {groups:?}");
        }
        assert_ne!(found.question("web1", None, "a"), found.question("web2", None, "a"), "nobody knows their groups");
        let flat = criteria("Port 22\n");
        assert_eq!(flat.question("web1", None, "a"), flat.question("web2", None, "b"));
        let placed = criteria("Match Address 10.0.0.0/8 User *\n");
        assert_ne!(placed.question("web1", None, "a"), placed.question("web1", None, "b"));
        assert_eq!(placed.question("web1", None, "a"), placed.question("web2", None, "a"));
    }

    #[test]
    fn every_source_of_a_client_and_every_address_of_the_settings_that_it_may_have_is_a_place() {
        let site = read_site(Path::new("site"), b"store: /s\n").unwrap();
        let policy = |text: &str| read_policy(Path::new("web1"), text.as_bytes(), &"web1".parse().unwrap(), &site).unwrap();
        let answers = Answers::from([("rt".to_owned(), Some(vec!["203.0.113.9".parse().unwrap()]))]);
        let settings = "Match Address 10.1.0.0/16,!192.0.2.129\nPermitTTY no\nMatch Address 198.51.*\nPermitTTY no\n";
        let places = |texts: &[&str]| {
            let policies: Vec<_> = texts.iter().map(|text| policy(text)).collect();
            criteria(settings)
                .places(&policies.iter().collect::<Vec<_>>(), &answers)
                .iter()
                .map(Place::address)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(places(&["timezone: UTC\n"]), "192.0.2.1 10.1.0.0 192.0.2.129 198.51.1.1");
        assert_eq!(places(&["from: [203.0.113.0/24, \"host:rt\", 10.0.0.0/8]\n"]), "203.0.113.0 203.0.113.9 10.0.0.0 10.1.0.0");
        assert_eq!(places(&["from: [203.0.113.0/24]\n", "from: [192.0.2.128/25]\n"]), "203.0.113.0 192.0.2.128 192.0.2.129");
        assert_eq!(places(&["from: [\"host:gone\"]\n"]), "");
    }

    #[test]
    fn what_is_not_understood_tells_everybody_apart() {
        for text in ["Match User \"a b\"\n", "Match exec true\n", "Include \"/etc/x y\"\n", "\"Match\" user x\n"] {
            let found = criteria(text);
            let apart = found.question("web1", Some(&[]), "a") != found.question("web2", Some(&[]), "a");
            assert!(apart, "{text}: {found:?}");
        }
        let mut found = Criteria::default();
        assert_eq!(found.read(b"Include /etc/ssh/sshd_config.d/*.conf other\n"), ["/etc/ssh/sshd_config.d/*.conf", "other"]);
    }
}
