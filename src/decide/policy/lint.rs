//! What is legal in policies but cannot be meant: rules without effect, and policies in conflict.

use std::collections::BTreeMap;

use crate::terms::limits::MIN_FREE_BYTES;
use crate::terms::text::printable_path;
use crate::terms::{Bytes, Origin, Remedy, Verb};

use super::{KeepOwners, PartialPushes, Policy, Restore, Source, WhenFull};
use crate::decide::quota::MinFree;
use crate::decide::rsync::options::{self, Row, Rule, Runs};

/// A finding of `check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is wrong, or only worth knowing.
    pub wrong: bool,
    /// Whether something was not looked at, so that more may be wrong.
    pub unseen: bool,
    /// Where.
    pub origin: Origin,
    /// What.
    pub message: String,
    /// What to do.
    pub help: String,
    /// The same as a value, where it takes no decision.
    pub remedy: Option<Remedy>,
}

impl Finding {
    /// What it is, in a word, for tests.
    #[cfg(test)]
    pub(crate) const fn state(&self) -> &'static str {
        match (self.wrong, self.unseen) {
            (true, _) => "wrong",
            (false, true) => "unseen",
            (false, false) => "note",
        }
    }

    /// Something wrong.
    pub fn wrong(origin: Origin, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { wrong: true, unseen: false, origin, message: message.into(), help: help.into(), remedy: None }
    }

    /// Something worth knowing.
    pub fn note(origin: Origin, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { wrong: false, ..Self::wrong(origin, message, help) }
    }

    /// Something that was not looked at.
    pub fn unseen(origin: Origin, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { unseen: true, ..Self::note(origin, message, help) }
    }

    /// The same with what mends it.
    #[must_use]
    pub fn mended_by(self, remedy: Remedy) -> Self {
        Self { remedy: Some(remedy), ..self }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A line of 0 is the file as a whole, or a default: only the file is shown.
        let file = printable_path(&self.origin.file);
        match self.origin.line {
            0 => write!(out, "{file}: {}\n{}", self.message, self.help),
            line => write!(out, "{file}:{line}: {}\n{}", self.message, self.help),
        }
    }
}

/// Everything about one policy.
pub fn one(policy: &Policy) -> Vec<Finding> {
    let mut found = windows(policy);
    found.extend(sources(policy));
    found.extend(policy.frozen.is_some().then(|| {
        let help = format!("snapgate thaw {}", policy.client);
        Finding::note(policy.origins.of("frozen"), "the client is frozen: nothing of it is backed up", help)
    }));
    let has = |verb| policy.verbs.contains(&verb);
    if has(Verb::Complete) != has(Verb::Prepare) {
        let (there, missing) = if has(Verb::Complete) { ("complete", "prepare") } else { ("prepare", "complete") };
        let message = format!("`{there}` without `{missing}`: no transaction can run its course");
        found.push(Finding::wrong(policy.origins.of("verbs"), message, format!("add {missing}, or remove {there}")));
    }
    if !has(Verb::Rsync) {
        found.push(Finding::note(policy.origins.of("verbs"), "`rsync` is not among the verbs: nothing can be pushed", "add rsync"));
    }
    if policy.partial_pushes == PartialPushes::Refuse && !has(Verb::Prepare) {
        let message = "pushes into a part are refused, and without `prepare` there is no other way for them";
        let help =
            "nothing, if the client pushes the whole; otherwise add prepare and complete to `verbs:`, or say `partial_pushes: merge`";
        found.push(Finding::note(policy.origins.of("partial_pushes"), message, help));
    }
    if policy.restore != Restore::default() && !policy.verbs.iter().any(|verb| verb.row().gives_back) {
        let message = "`restore:` has rules, and none of `restore`, `browse` and `history` is among the verbs: nothing can be pulled";
        found.push(Finding::note(policy.origins.of("restore"), message, "add restore to `verbs:`, or remove them"));
    }
    found.extend(options(policy));
    let keys = policy.keys.as_deref().unwrap_or_default();
    for (position, key) in keys.iter().enumerate() {
        if keys.iter().take(position).any(|earlier| earlier == key) {
            found.push(Finding::note(policy.origins.of("keys"), format!("the key `{key}` is listed twice"), "remove one of them"));
        }
    }
    found
}

/// A policy that shortens history where there is no room, on a site where there always is until the
/// disk is full.
pub fn room(policy: &Policy, leave: &MinFree) -> Option<Finding> {
    let is_vain = policy.when_full == WhenFull::Shorten && !policy.quota.is_set() && *leave == MinFree::LEAST;
    let (message, help) = (
        format!("`when_full: shorten` waits until the disk has no more than {}: nothing else says what is full", Bytes(MIN_FREE_BYTES)),
        "set `quota:` here, or `min_free:` in the site file",
    );
    is_vain.then(|| Finding::wrong(policy.origins.of("when_full"), message, help))
}

/// What the table says of the options that the policy names.
fn options(policy: &Policy) -> Vec<Finding> {
    let note = |message, help| Finding::note(policy.origins.of("options"), message, help);
    let runs_as = match policy.owners {
        _ if policy.user == "root" => Some(Runs::AsRoot),
        Some(KeepOwners::Keep) => None,
        None | Some(KeepOwners::Drop) => Some(Runs::AsAccount),
    };
    let named = |word: &&str| options::rows().iter().find(|row| row.word() == *word);
    let widened = policy.options.allow.iter().filter_map(named).filter_map(|row| match row.rule {
        Rule::NeedsWord(runs) if runs_as != Some(runs) => {
            let whose = if runs == Runs::AsRoot { "runs as root" } else { "is an account's and keeps no owners" };
            let message = format!("`{}` is allowed, which changes nothing: only a gate that {whose} refuses it", row.word());
            Some(note(message, "remove it from `allow:`".to_owned()))
        }
        Rule::NeedsWord(Runs::AsRoot) => None,
        Rule::NeedsWord(Runs::AsAccount) | Rule::Pass | Rule::Drop | Rule::Warn | Rule::NotABackup | Rule::Smaller | Rule::Refuse(_) => {
            Some(note(format!("`{}` is allowed: {}", row.word(), row.why), "if that is not meant, remove it from `allow:`".to_owned()))
        }
    });
    let archive = |row: &&Row| row.letter.is_some_and(|letter| "rlptgoD".contains(letter));
    let narrowed = policy.options.refuse.iter().filter_map(named).filter(archive).map(|row| {
        let message = format!("`{}` is refused, and `rsync -a` sends it: plain pushes are turned away", row.word());
        note(message, format!("tell the client to add --no-{}, or remove it from `refuse:`", row.word()))
    });
    let forced = policy.options.forces().into_iter().map(|what| note(what, "if that is not meant, remove it from `force:`".to_owned()));
    widened.chain(narrowed).chain(forced).collect()
}

/// Windows that open only when others are open. One that never opens cannot be written.
fn windows(policy: &Policy) -> Vec<Finding> {
    let all = policy.when.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    for (position, window) in all.iter().enumerate() {
        // Of two equal ones the later is superfluous.
        let others = all.iter().enumerate().filter(|(other, same)| *other != position && (*same != window || *other < position));
        // One that does not stop may save a push from others that do.
        let others: Vec<_> = others.map(|(_, other)| *other).filter(|other| window.stops() || !other.stops()).collect();
        if window.is_within(&others) {
            let message = format!("the window `{window}` changes nothing: the others are open whenever it is");
            found.push(Finding::wrong(policy.origins.of("when"), message, "remove it, or shorten the others"));
        } else if window.stops_in_vain(all) {
            let message =
                format!("`stop: true` of the window `{window}` ends no push: whenever it closes, another is open or lets a push go on");
            found.push(Finding::wrong(policy.origins.of("when"), message, "remove it, or say it in the windows that follow, too"));
        }
    }
    found
}

/// Networks and names that are already covered.
fn sources(policy: &Policy) -> Vec<Finding> {
    let all = policy.from.as_deref().unwrap_or_default();
    let covered = |position: usize, source: &Source| {
        all.iter().enumerate().find(|(other, wider)| {
            let within = match (source, wider) {
                (Source::Network(narrow) | Source::OnLink(narrow, _), Source::Network(wide)) => wide.contains(narrow),
                (Source::OnLink(narrow, link), Source::OnLink(wide, same)) => link == same && wide.contains(narrow),
                (one, same) => one == *same,
            };
            within && *other != position && (source != *wider || *other < position)
        })
    };
    let shown = |source: &Source| match source {
        Source::Network(network) => network.to_string(),
        Source::OnLink(network, link) => format!("{}%{link}/{}", network.addr(), network.prefix_len()),
        Source::Host(name) => format!("host:{name}"),
    };
    let found = all.iter().enumerate().filter_map(|(position, source)| {
        let (_, wider) = covered(position, source)?;
        let message = format!("`{}` changes nothing: `{}` covers it", shown(source), shown(wider));
        Some(Finding::wrong(policy.origins.of("from"), message, "remove one of them"))
    });
    found.collect()
}

/// Everything about policies side by side.
pub fn together(policies: &[Policy]) -> Vec<Finding> {
    let mut found = paths(policies);
    let mut by_key: BTreeMap<(&str, &str), Vec<&Policy>> = BTreeMap::new();
    let mut by_user: BTreeMap<&str, Vec<&Policy>> = BTreeMap::new();
    for policy in policies {
        let mut keys: Vec<_> = policy.keys.iter().flatten().collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            by_key.entry((key.as_str(), &policy.user)).or_default().push(policy);
        }
        if policy.keys.is_none() {
            by_user.entry(&policy.user).or_default().push(policy);
        }
    }
    for ((key, user), claimants) in by_key {
        if let [first, .., last] = claimants.as_slice() {
            let message = format!("the key `{key}` of account `{user}` is claimed by {}, first by {}", names(&claimants), first.client);
            found.push(Finding::wrong(
                last.origins.of("keys"),
                message,
                "leave it to one of them: who is meant cannot be told, and so nobody is",
            ));
        }
    }
    for (user, claimants) in by_user {
        if let [open] = claimants.as_slice() {
            found.extend(beside_keys(user, open, policies));
        }
        if let [_, .., last] = claimants.as_slice() {
            let message = format!("the account `{user}` has several policies without keys: {}", names(&claimants));
            found.push(Finding::wrong(last.origins.of("user"), message, "give them keys:, or accounts of their own"));
        }
    }
    found
}

/// What the keyed policies of an account mean for the one without keys (`act::config::identify`).
fn beside_keys(user: &str, open: &Policy, policies: &[Policy]) -> Option<Finding> {
    let keyed: Vec<_> = policies.iter().filter(|policy| policy.user == user && policy.keys.is_some()).collect();
    if let Some(own) = keyed.iter().find(|policy| policy.client.as_str() == user) {
        let message = format!(
            "{} is never reached: of the account `{user}`, {} is its own policy and has keys:, so a key that nobody lists is refused there",
            open.client, own.client
        );
        let help = format!("give {0} keys:, too, or start `snapgate-shell --client {0}` by the key's command=", open.client);
        return Some(Finding::wrong(open.origins.of("user"), message, help));
    }
    if keyed.is_empty() {
        return None;
    }
    let message =
        format!("of the account `{user}`, keys that {} lists speak for that, and every other key for {}", names(&keyed), open.client);
    Some(Finding::note(open.origins.of("user"), message, format!("if that is not meant, give {} keys:, too", open.client)))
}

fn names(policies: &[&Policy]) -> String {
    let names = policies.iter().take(NAMED).map(|policy| policy.client.as_str()).collect::<Vec<_>>().join(", ");
    match policies.len().saturating_sub(NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// How many clients a finding names.
const NAMED: usize = 5;

/// Repositories that are the same or nested. Sorted by path, the inner follows the outer.
fn paths(policies: &[Policy]) -> Vec<Finding> {
    let mut sorted: Vec<_> = policies.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    let mut found = Vec::new();
    let mut outer: Option<&Policy> = None;
    for policy in sorted {
        match outer {
            Some(outer) if policy.path.starts_with(&outer.path) => {
                let shown = printable_path(&policy.path);
                let relation = if policy.path == outer.path { "is also the repository" } else { "is inside the repository" };
                let message = format!("the repository `{shown}` {relation} of {}", outer.client);
                found.push(Finding::wrong(policy.origins.of("path"), message, "give each client a directory of its own"));
            }
            _ => outer = Some(policy),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::policy::{read_policy, read_site};
    use std::path::Path;

    fn policy(client: &str, text: &str) -> Policy {
        let site = read_site(Path::new("site"), b"store: /s\n").unwrap();
        read_policy(Path::new(client), text.as_bytes(), &client.parse().unwrap(), &site).unwrap()
    }

    fn text_of(found: &[Finding]) -> String {
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn rules_that_decide_nothing_are_found() {
        for (text, words) in [
            (
                "when: [{hours: \"22:00-06:00\"}, {days: tue, hours: \"23:00-01:00\"}]\n",
                "c:1: the window `tue 23:00-01:00` changes nothing",
            ),
            ("when: [{days: mon}, {days: mon}]\n", "the window `mon` changes nothing"),
            ("when: [{stop: true}]\n", "`stop: true` of the window `always` ends no push"),
            (
                "when: [{hours: \"22:00-06:00\", stop: true}, {hours: \"06:00-07:00\"}]\n",
                "c:1: `stop: true` of the window `22:00-06:00` ends no push",
            ),
            ("when: [{days: mon, stop: true}, {days: tue}]\n", "`stop: true` of the window `mon` ends no push"),
            ("when: [{hours: \"22:00-06:00\", stop: true}, {hours: \"05:00-06:00\"}]\n", "`stop: true` of the window `22:00-06:00`"),
            ("from: [\"fe80::/10\", \"fe80::1%eth0\"]\n", "`fe80::1%eth0/128` changes nothing: `fe80::/10` covers it"),
            ("from: [192.0.2.0/24, 192.0.2.7]\n", "`192.0.2.7/32` changes nothing: `192.0.2.0/24` covers it"),
            ("from: [192.0.2.7, 192.0.2.7]\n", "`192.0.2.7/32` changes nothing"),
            ("from: [host:a.example, host:A.example]\n", "`host:a.example` changes nothing"),
            ("verbs: [rsync, complete]\n", "`complete` without `prepare`"),
            ("verbs: [status]\n", "nothing can be pushed"),
            ("options: { allow: [safe-links] }\n", "c:1: `safe-links` is allowed: the snapshot would silently lack symlinks"),
            ("options: { allow: [owner] }\n", "c:1: `owner` is allowed, which changes nothing"),
            ("options: { allow: [acls] }\n", "c:1: `acls` is allowed: access lists name other accounts, which takes a weaker jail"),
            ("options: { refuse: [perms, acls] }\n", "c:1: `perms` is refused, and `rsync -a` sends it"),
        ] {
            let found = one(&policy("c", text));
            assert_eq!(found.len(), 1, "{text}: {}", text_of(&found));
            assert!(text_of(&found).contains(words), "{}", text_of(&found));
        }
        let stops = "when: [{days: mon-fri, hours: \"22:00-06:00\", stop: true}, {days: sat,sun, stop: true}]\n";
        assert_eq!(one(&policy("c", stops)), []);
        let clean = "when: [{days: mon-fri, hours: \"22:00-06:00\"}, {days: sat,sun}]\nfrom: [192.0.2.0/24, 198.51.100.0/24, \"2001:db8::/32\"]\nuser: root\noptions: { allow: [owner], refuse: [acls] }\n";
        assert_eq!(one(&policy("c", clean)), []);
    }

    #[test]
    fn a_policy_that_shortens_history_on_a_site_that_has_no_room_to_run_short_of_is_found() {
        let of = |text: &str, leave: &MinFree| room(&policy("c", text), leave).map(|found| found.to_string());
        let found = of("when_full: shorten\n", &MinFree::LEAST).unwrap();
        assert!(found.starts_with("c:1: `when_full: shorten` waits until the disk has no more than 1 MiB: "), "{found}");
        let leaves = MinFree { inodes: crate::decide::quota::Part::Percent(5), ..MinFree::LEAST };
        for (text, leave) in [
            ("when_full: shorten\nquota: { inodes: 1M }\n", MinFree::LEAST),
            ("when_full: shorten\n", leaves),
            ("verbs: [rsync]\n", MinFree::LEAST),
        ] {
            assert_eq!(of(text, &leave), None, "{text}");
        }
    }

    #[test]
    fn policies_in_each_other_s_way_are_found() {
        let key = "SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk";
        let keyed = |user: &str| format!("user: {user}\nkeys: [\"{key}\"]\n");
        let found = together(&[policy("a", &keyed("x")), policy("b", &keyed("x")), policy("c", &keyed("y"))]);
        assert_eq!(found.len(), 1, "{}", text_of(&found));
        assert!(text_of(&found).contains("b:2: the key") && text_of(&found).contains("a, b"));
        let found = together(&[policy("a", "user: x\n"), policy("b", "user: x\n"), policy("c", &keyed("x"))]);
        assert!(found.len() == 1 && text_of(&found).contains("several policies without keys: a, b"), "{}", text_of(&found));
        let many: Vec<_> = (0..1000).map(|number| policy(&format!("c{number}"), "user: x\n")).collect();
        let found = text_of(&together(&many));
        assert!(found.contains("without keys: c0, c1, c2, c3, c4 and 995 more\n") && !found.contains("c5,"), "{found}");
        let found = together(&[policy("a", "user: x\n"), policy("b", &keyed("x"))]);
        assert!(matches!(&found[..], [one] if !one.wrong), "{}", text_of(&found));
        assert!(text_of(&found).contains("a:1: of the account `x`, keys that b lists speak for that, and every other key for a"));
        let found = together(&[policy("a", "user: x\n"), policy("x", &keyed("x")), policy("c", &keyed("y"))]);
        assert!(matches!(&found[..], [one] if one.wrong), "{}", text_of(&found));
        assert!(text_of(&found).contains("a:1: a is never reached: of the account `x`, x is its own policy"));
        let found = together(&[
            policy("a", "path: /s/x\n"),
            policy("b", "path: /s/x/y\n"),
            policy("c", "path: /s/x\n"),
            policy("d", "path: /s/xy\n"),
        ]);
        assert!(found.len() == 2 && text_of(&found).contains("`/s/x/y` is inside the repository of a"), "{}", text_of(&found));
        assert!(text_of(&found).contains("c:1: the repository `/s/x` is also the repository of a"));
    }
}
