//! Which policy applies to a connection: the one that `--client` names, else the one that lists a
//! key sshd reported, else the account's. Nothing that the client said counts, and in doubt none
//! applies.

use std::io::Read as _;
use std::path::Path;

use nix::errno::Errno;

use crate::decide::policy::yaml::Fault;
use crate::decide::policy::{ENDING, Policy, Site, read_policy};
use crate::terms::limits::MAX_CONFIG_FILE;
use crate::terms::text::{printable_name, printable_path};
use crate::terms::{ClientName, Code, Fingerprint, Reason, Request};

use super::{Policies, raw_open, vet};

/// The reason where no policy in the directory speaks for a connection.
fn no_policy(policies: &Path, detail: String) -> Reason {
    Reason::new(Code::NoPolicy, "nothing here is set up for this account and key")
        .hint("ask the administrator of the server")
        .detail(detail)
        .remedy(format!("create a file in {} with `user:` and, if several share the account, `keys:`", printable_path(policies)))
}

/// The reason where `--client` names a client that has no policy.
pub fn unnamed(dir: &Path, named: &ClientName) -> Reason {
    let policies = dir.join(super::POLICIES);
    no_policy(&policies, missing(&policies.join(format!("{named}{ENDING}")), named))
}

fn missing(path: &Path, named: &ClientName) -> String {
    format!("`--client {named}` names a client without a policy: {} is missing", printable_path(path))
}

/// Finds the policy of a connection. Whether it allows anything is not decided here.
///
/// # Errors
/// With [`Code::NoPolicy`] if there is none; with [`Code::Config`] if one that could be meant
/// cannot be used, or two match equally.
pub fn identify(dir: &Path, site: &Site, request: &Request) -> Result<Policy, Reason> {
    let policies = Policies::open(dir)?;
    if let Some(named) = &request.named {
        return policies.load(site, named)?.ok_or_else(|| no_policy(&policies.dir, missing(&policies.path(named), named)));
    }
    let account = request.account.name.as_str();
    // A fault of the account's own file counts only when the key does not lead elsewhere.
    let own = account.parse::<ClientName>().map_or(Ok(None), |client| policies.load(site, &client));
    let is_own = |policy: &Policy| policy.user == account;
    if let Ok(Some(policy)) = &own
        && is_own(policy)
        && lists(policy, &request.keys)
    {
        return Ok(policy.clone());
    }
    if !request.keys.is_empty()
        && let Some(policy) = by_key(&policies, site, request)?
    {
        return Ok(policy);
    }
    match own? {
        Some(policy) if is_own(&policy) => Ok(policy),
        _ => by_account(&policies, site, request),
    }
}

fn lists(policy: &Policy, keys: &[Fingerprint]) -> bool {
    policy.keys.iter().chain(&policy.restore.keys).flatten().any(|key| keys.contains(key))
}

/// The policy that lists one of the keys; among several, the one for this account.
fn by_key(policies: &Policies, site: &Site, request: &Request) -> Result<Option<Policy>, Fault> {
    let all = site.defaults.keys().iter().chain(site.defaults.restoring()).any(|key| request.keys.contains(key));
    let candidate = |bytes: &[u8]| all || request.keys.iter().any(|key| position(bytes, key.as_str().as_bytes(), 0).is_some());
    let mut found = policies.search(site, candidate)?;
    found.retain(|policy| lists(policy, &request.keys));
    if found.len() > 1 && found.iter().any(|policy| policy.user == request.account.name) {
        found.retain(|policy| policy.user == request.account.name);
    }
    only_one(found, "list a key of this connection")
}

/// The policy that names the account and no keys; failing that, the only one that names the
/// account, so that the key is refused and not the account.
fn by_account(policies: &Policies, site: &Site, request: &Request) -> Result<Policy, Reason> {
    let account = request.account.name.as_str();
    let all = site.defaults.user() == Some(account);
    let mut found = policies.search(site, |bytes| all || names(bytes, account.as_bytes()))?;
    found.retain(|policy| policy.user == account);
    let (open, keyed): (Vec<_>, Vec<_>) = found.into_iter().partition(|policy| policy.keys.is_none());
    if let Some(policy) = only_one(open, "are for this account and tell no keys")? {
        return Ok(policy);
    }
    let keys = request.keys.iter().map(Fingerprint::as_str).collect::<Vec<_>>().join(", ");
    let keys = if keys.is_empty() { "sshd told no key (ExposeAuthInfo)".to_owned() } else { format!("key {keys}") };
    let account = printable_name(account.as_bytes());
    let several = keyed.iter().map(|policy| policy.client.as_str()).collect::<Vec<_>>().join(", ");
    let mut keyed = keyed.into_iter();
    let detail = match (keyed.next(), keyed.next()) {
        (Some(policy), None) => return Ok(policy),
        (None, _) => format!("no policy is for account `{account}`; {keys}"),
        _ => format!("the policies for account `{account}` ({several}) list other keys; {keys}"),
    };
    Err(no_policy(&policies.dir, detail))
}

fn only_one(found: Vec<Policy>, what: &str) -> Result<Option<Policy>, Fault> {
    let clients = found.iter().map(|policy| policy.client.as_str()).collect::<Vec<_>>().join(", ");
    let mut found = found.into_iter();
    let first = found.next();
    match (first, found.next()) {
        (Some(policy), Some(_)) => {
            let message = format!("the policies of {clients} {what}: which is meant cannot be told");
            Err(Fault::whole(&policy.origins.file, message, "give each its own keys or account, or say --client"))
        }
        (policy, _) => Ok(policy),
    }
}

/// Whether a file may say `user: account`: both words are in it, the account as a whole word.
fn names(bytes: &[u8], account: &[u8]) -> bool {
    if position(bytes, b"user", 0).is_none() {
        return false;
    }
    // Between YAML's double quotes a backslash stands twice.
    let doubled = account.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b'\\' { 2 } else { 1 })).collect::<Vec<_>>();
    stands_alone(bytes, account) || (doubled != account && stands_alone(bytes, &doubled))
}

/// Whether the name stands there and is not part of a longer one.
fn stands_alone(bytes: &[u8], account: &[u8]) -> bool {
    let part_of_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-@\\+$".contains(byte));
    let mut from = 0;
    while let Some(at) = position(bytes, account, from) {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        if !part_of_name(before) && !part_of_name(bytes.get(at + account.len())) {
            return true;
        }
        from = at + 1;
    }
    false
}

/// Where `needle` next stands in `bytes`.
fn position(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = needle.first()?;
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| byte == first)?;
        if bytes.get(at..).is_some_and(|rest| rest.starts_with(needle)) {
            return Some(at);
        }
        at += 1;
    }
}

impl Policies {
    /// Every policy whose bytes the candidate test accepts; only these are parsed, so a thousand
    /// files take milliseconds. A candidate that cannot be used is an error: it might be the one. A
    /// file that the account may not read is another account's.
    fn search(&self, site: &Site, candidate: impl Fn(&[u8]) -> bool) -> Result<Vec<Policy>, Fault> {
        let mut found = Vec::new();
        let mut bytes = Vec::new();
        for client in self.list()?.clients {
            let path = self.path(&client);
            let handle = match raw_open(&self.handle, format!("{client}{ENDING}").as_ref()) {
                Ok(handle) => handle,
                // Another account's, or gone since it was listed.
                Err(Errno::EACCES | Errno::ENOENT | Errno::ELOOP) => continue,
                Err(errno) => return Err(super::broken_handle(&path, &errno.into())),
            };
            bytes.clear();
            let read = (&handle).take(MAX_CONFIG_FILE + 1).read_to_end(&mut bytes);
            read.map_err(|error| super::broken_handle(&path, &error))?;
            // What is longer than a policy may be could say anything further down.
            if candidate(&bytes) || bytes.len() as u64 > MAX_CONFIG_FILE {
                vet(&path, &handle, false)?;
                found.push(read_policy(&path, &bytes, &client, site)?);
            }
        }
        Ok(found)
    }
}
