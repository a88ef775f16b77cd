//! Who is behind a name or a number: accounts, their groups, addresses of hosts.
//!
//! The program's own C library must never be asked (see [`accounts`]): the file is, then getent(1).

pub mod accounts;
pub mod subids;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::act::child::{self, Ask};
use crate::decide::host::names::{Wanted, answered_addresses, answered_groups, answered_login, answered_user};
use crate::decide::owners::remap::Kind;
use crate::decide::policy::{Policy, address};
use crate::terms::limits::{ACCOUNT_TIMEOUT, MAX_HOSTS, MAX_NAMES_ASKED, NAMES_TIME, RESOLVE_TIMEOUT};
use crate::terms::{Account, Login, Peer};

/// Looks up the policy's `host:` names, unless the address is fine without them.
pub fn resolve_hosts(policy: &Policy, peer: Option<&Peer>) -> Vec<(String, Vec<IpAddr>)> {
    // Of either list only what the address alone does not settle.
    let lists = [policy.from.as_deref(), policy.restore.from.as_deref()].map(Option::unwrap_or_default);
    let open = lists.into_iter().filter(|from| !peer.is_none_or(|peer| address::matches(from, peer, &[])));
    let hosts: Vec<_> = open.flat_map(address::hosts).collect();
    if hosts.is_empty() { Vec::new() } else { addresses(&hosts, RESOLVE_TIMEOUT) }
}

/// The account that this process runs as. Without a name, its number stands for it.
pub fn running() -> Account {
    let (uid, group) = (accounts::running(), accounts::running_group());
    let name = account(Wanted::Number(uid)).map_or_else(|| uid.to_string(), |account| account.name);
    Account { name, uid, group }
}

/// The unix account with this name; `None` where nobody knows it.
pub fn named(name: &str) -> Option<Account> {
    account(Wanted::Name(name))
}

/// The unix account with this number; `None` where nobody knows it.
pub fn numbered(uid: u32) -> Option<Account> {
    account(Wanted::Number(uid))
}

/// Where the account with this name lives, and its shell.
pub fn login(name: &str) -> Option<Login> {
    let wanted = Wanted::Name(name);
    let asked = || answered_login(child::getent(&[(Ask::Account, &wanted.word())], ACCOUNT_TIMEOUT).first()?, wanted);
    accounts::login_in_file(wanted).or_else(asked)
}

fn account(wanted: Wanted<'_>) -> Option<Account> {
    accounts::in_file(wanted).or_else(|| answered_user(child::getent(&[(Ask::Account, &wanted.word())], ACCOUNT_TIMEOUT).first()?, wanted))
}

/// The groups of an account; `None` where nobody can say.
pub fn groups(account: &Account) -> Option<Vec<u32>> {
    let name = &account.name;
    let others = answered_groups(child::getent(&[(Ask::Groups, name)], ACCOUNT_TIMEOUT).first()?, name)?;
    Some(others.into_iter().chain([account.group]).collect())
}

/// The name of a group, where the machine's own list has it.
pub fn group(number: u32) -> Option<String> {
    accounts::numbered(Kind::Group, |one| one == number).ok().flatten().map(|(name, _)| name)
}

/// The addresses of hosts, all asked for at once, for at most `limit` together. A name that fails
/// or is late has none, so nothing matches it. An address is its own.
pub fn addresses(hosts: &[&str], limit: Duration) -> Vec<(String, Vec<IpAddr>)> {
    let hosts = hosts.get(..MAX_HOSTS).unwrap_or(hosts);
    let begun = Instant::now();
    let mut found: Vec<(String, Vec<IpAddr>)> = Vec::new();
    for host in hosts {
        found.extend(host.parse::<IpAddr>().map(|address| ((*host).to_owned(), vec![address.to_canonical()])));
    }
    // A getent before glibc 2.37 does not know the first way, and says so at once.
    for ask in [Ask::Addresses, Ask::OurAddresses] {
        let left: Vec<_> = hosts.iter().filter(|host| !found.iter().any(|(known, _)| known == *host)).map(|host| (ask, *host)).collect();
        let answers = child::getent(&left, limit.saturating_sub(begun.elapsed()));
        let answers = left.iter().zip(answers).map(|((_, host), answer)| ((*host).to_owned(), answered_addresses(&answer)));
        found.extend(answers.filter(|(_, addresses)| !addresses.is_empty()));
    }
    found
}

/// What the name services say of these hosts, as the gate asks them: each a policy's worth within
/// [`RESOLVE_TIMEOUT`], all within [`NAMES_TIME`]. `None`: no answer came in time. Which were not asked have none at all.
///
/// Whoever serves a name can have it stall: that takes the answer from no other that is asked with it.
pub fn answers(hosts: &BTreeSet<&str>) -> BTreeMap<String, Option<Vec<IpAddr>>> {
    let all: Vec<&str> = hosts.iter().copied().take(MAX_NAMES_ASKED).collect();
    let begun = Instant::now();
    let mut said = BTreeMap::new();
    for some in all.chunks(MAX_HOSTS) {
        let limit = RESOLVE_TIMEOUT.min(NAMES_TIME.saturating_sub(begun.elapsed()));
        if limit.is_zero() {
            break;
        }
        let ways = [Ask::Addresses, Ask::OurAddresses];
        let questions: Vec<_> = some.iter().flat_map(|host| ways.map(|ask| (ask, *host))).collect();
        let answers = child::getent_to_its_end(&questions, limit);
        said.extend(some.iter().zip(answers.chunks(ways.len())).map(|(host, both)| {
            let own = host.parse::<IpAddr>().map(|address| vec![address.to_canonical()]).ok();
            // To the gate the second way is open only where the first came to its end.
            let mut said = both.iter().map(|answer| answer.as_ref().map(|answer| answered_addresses(answer)));
            let known = said.next().flatten().and_then(|first| if first.is_empty() { said.next().flatten() } else { Some(first) });
            ((*host).to_owned(), own.or(known))
        }));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_known_by_name_and_number() {
        assert_eq!(running().uid, accounts::running());
        assert_eq!((named("root").unwrap().uid, named("no-such-account")), (0, None));
        let root = named("root").unwrap();
        assert!(groups(&root).unwrap().contains(&0));
        let nobody = Account { name: "--help".to_owned(), uid: 4242, group: 7 };
        assert!(groups(&nobody).is_none_or(|groups| groups == [7]));
    }

    #[test]
    fn a_name_resolves_and_one_that_does_not_is_left_out() {
        let begun = Instant::now();
        let found = addresses(&["localhost", "nothing.invalid"], Duration::from_secs(3));
        assert!(begun.elapsed() < Duration::from_secs(4));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "localhost");
        assert!(found[0].1.iter().all(IpAddr::is_loopback));
        assert!(addresses(&[], Duration::from_secs(3)).is_empty());
    }

    #[test]
    fn every_name_has_its_own_addresses_once_each() {
        let mut found = addresses(&["127.0.0.2", "localhost", "::ffff:192.0.2.1", "127.3"], Duration::from_secs(3));
        found.sort();
        let numbers: Vec<_> = found.iter().filter(|(name, _)| name != "localhost").cloned().collect();
        let expected = [("127.0.0.2", "127.0.0.2"), ("127.3", "127.0.0.3"), ("::ffff:192.0.2.1", "192.0.2.1")];
        let expected = expected.map(|(name, address)| (name.to_owned(), vec![address.parse::<IpAddr>().unwrap()]));
        assert_eq!(numbers, expected, "an IPv4 address in IPv6's clothes is the IPv4 address");
        let local = found.iter().find(|(name, _)| name == "localhost").unwrap();
        assert_eq!(local.1.iter().collect::<BTreeSet<_>>().len(), local.1.len(), "{local:?}");
    }

    #[test]
    fn no_more_names_than_the_limit_are_looked_up() {
        let many: Vec<_> = (1..MAX_HOSTS + 5).map(|number| format!("127.1.{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let found: BTreeSet<_> = addresses(&many, Duration::from_secs(10)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, many[..MAX_HOSTS].iter().map(|name| (*name).to_owned()).collect());
    }
}
