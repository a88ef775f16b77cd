//! An account's file of keys: a line for each, which restricts it to the gate. Lines that somebody
//! else wrote there stay as they are, and so do those of other clients of the account.

use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::key::{KINDS, PublicKey};
use crate::decide::host::login::is_the_gate;
use crate::decide::keys::line::Line;
use crate::decide::policy::Policy;
use crate::terms::{ClientName, Fingerprint};

/// The line of a key. A shared account says whose key it is, where no `ForceCommand` replaces it.
pub fn line(key: &PublicKey, shared: Option<(&str, &ClientName)>, until: Option<DateTime<Utc>>) -> String {
    let command = shared.map(|(gate, client)| format!(",command=\"{gate} --client {client}\"")).unwrap_or_default();
    let until = until.map(|until| format!(",{}", expiry(until))).unwrap_or_default();
    format!("restrict{until}{command} {} {}", key.plain(), key.comment).trim_end().to_owned()
}

/// sshd's own option for a key that ends.
fn expiry(until: DateTime<Utc>) -> String {
    format!("expiry-time=\"{}\"", until.format("%Y%m%d%H%MZ"))
}

/// The key of a line, and where it begins.
fn found(line: &str) -> Option<(usize, PublicKey)> {
    if line.trim_start().starts_with('#') {
        return None;
    }
    let (mut is_quoted, mut is_escaped, mut begins) = (false, false, true);
    for (at, letter) in line.char_indices() {
        if begins && !is_quoted {
            let rest = line.get(at..).unwrap_or_default();
            let word = rest.split_whitespace().next().unwrap_or_default();
            if KINDS.contains(&word) && rest.starts_with(word) {
                return PublicKey::read(rest).ok().map(|key| (at, key));
            }
        }
        begins = letter == ' ' || letter == '\t';
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
    }
    None
}

/// Every key of the file, with its line.
pub fn keys(text: &str) -> Vec<(PublicKey, &str)> {
    text.lines().filter_map(|line| found(line).map(|(_, key)| (key, line))).collect()
}

/// The file with this line, in the place of any other one for the same key.
pub fn with(text: &str, key: &PublicKey, line: &str) -> String {
    without(text, &[&key.fingerprint]) + line + "\n"
}

/// The file without the lines of these keys.
pub fn without(text: &str, keys: &[&Fingerprint]) -> String {
    let stays = |line: &&str| found(line).is_none_or(|(_, key)| !keys.contains(&&key.fingerprint));
    text.lines().filter(stays).map(|line| format!("{line}\n")).collect()
}

/// The client that a line says it is for: that of `--client`, where the line forces the gate.
pub fn names(line: &str) -> Option<ClientName> {
    let line = Line::read(line)?;
    let words: Vec<&str> = line.value("command")?.split_ascii_whitespace().collect();
    match words.as_slice() {
        [gate, "--client", client] | [gate, "--config", _, "--client", client] if is_the_gate(Path::new(gate)) => client.parse().ok(),
        _ => None,
    }
}

/// The clients that the lines of this key say they are for.
pub fn named(text: &str, key: &PublicKey) -> Vec<ClientName> {
    keys(text).into_iter().filter(|(other, _)| other.fingerprint == key.fingerprint).filter_map(|(_, line)| names(line)).collect()
}

/// The file with another name for a client, in the lines that are for it.
pub fn renamed(text: &str, old: &ClientName, new: &ClientName) -> String {
    let named = |line: &str| {
        names(line).filter(|client| client == old)?;
        // However the words are spaced and quoted, the name is where another one makes it the other's.
        line.match_indices(old.as_str()).find_map(|(at, _)| {
            let (before, rest) = line.split_at_checked(at)?;
            let changed = format!("{before}{new}{}", rest.strip_prefix(old.as_str())?);
            (names(&changed)? == *new).then_some(changed)
        })
    };
    text.lines().map(|line| named(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// Whether nothing says whose the key of a line is, and it may be this client's as well as another's
/// of the account.
pub fn is_nobodys(own: &Policy, others: &[Policy], alone: bool, (key, line): (&PublicKey, &str)) -> bool {
    let is_anothers = others.iter().any(|other| lists(other, key));
    own.keys.is_none() && names(line).is_none() && !is_anothers && !is_of(own, others, alone, (key, line))
}

/// Whether a policy names this key, for whatever it may be used.
pub fn lists(policy: &Policy, key: &PublicKey) -> bool {
    policy.keys.iter().chain(&policy.restore.keys).flatten().any(|listed| *listed == key.fingerprint)
}

/// Whether the key of a line is this client's. The policies say so first, then the line. Where
/// neither does, it is whose the account is, if that is one client's `alone`.
pub fn is_of(own: &Policy, others: &[Policy], alone: bool, (key, line): (&PublicKey, &str)) -> bool {
    match names(line) {
        _ if lists(own, key) => true,
        _ if others.iter().any(|other| lists(other, key)) => false,
        Some(client) => client == own.client,
        None => alone && own.keys.is_none(),
    }
}

/// When the key of a line ends, where the line says so, and whether by UTC or by the machine's clocks
/// (sshd(8), "expiry-time").
fn expires(line: &str) -> Option<(DateTime<Utc>, bool)> {
    let (options, _) = line.split_at(found(line)?.0);
    let (_, rest) = options.split_once("expiry-time=\"")?;
    let (time, _) = rest.split_once('"')?;
    let digits = time.strip_suffix('Z').unwrap_or(time);
    let whole = format!("{digits}{}", "0".repeat(14_usize.saturating_sub(digits.len())));
    let is_time = [8, 12, 14].contains(&digits.len());
    let end = NaiveDateTime::parse_from_str(&whole, "%Y%m%d%H%M%S").ok().filter(|_| is_time)?;
    Some((end.and_utc(), digits != time))
}

/// When the key of a line ends, where the line says so by UTC.
pub fn ends(line: &str) -> Option<DateTime<Utc>> {
    expires(line).filter(|(_, is_utc)| *is_utc).map(|(end, _)| end)
}

/// The line of a key that ends then, or already does so before.
pub fn ending(line: &str, until: DateTime<Utc>) -> String {
    // Which clocks are meant makes a difference of hours, and none that lets a key stay.
    if expires(line).is_some_and(|(before, _)| before <= until) {
        return line.to_owned();
    }
    let Some((at, _)) = found(line) else { return line.to_owned() };
    let (options, key) = line.split_at(at);
    let options = options.trim_end();
    let options = match options.split_once("expiry-time=\"").map(|(before, rest)| (before, rest.split_once('"'))) {
        Some((before, Some((_, rest)))) => format!("{before}{}", rest.trim_start_matches(',')),
        _ => options.to_owned(),
    };
    let comma = if options.is_empty() { "" } else { "," };
    format!("{}{comma}{} {key}", options.trim_end_matches(','), expiry(until))
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::{GOOD, OTHER};
    use super::*;
    use crate::decide::policy::{read_policy, read_site};

    fn key(text: &str) -> PublicKey {
        PublicKey::read(text).unwrap()
    }

    #[test]
    fn a_line_restricts_the_key_and_is_found_again() {
        let (good, other) = (key(GOOD), key(OTHER));
        let client = "web1".parse().unwrap();
        let plain = line(&good, None, None);
        assert_eq!(plain, format!("restrict {GOOD}"));
        let shared = line(&other, Some(("/usr/bin/snapgate-shell", &client)), None);
        assert_eq!(shared, format!("restrict,command=\"/usr/bin/snapgate-shell --client web1\" {OTHER}"));
        let theirs = format!("# {GOOD}\ncommand=\"ssh-ed25519 AAAA\" what\n");
        let text = with(&with(&theirs, &good, &plain), &other, &shared);
        assert_eq!(text, format!("{theirs}{plain}\n{shared}\n"));
        assert_eq!(
            keys(&text).into_iter().map(|(key, _)| key.fingerprint).collect::<Vec<_>>(),
            [good.fingerprint.clone(), other.fingerprint]
        );
        assert_eq!(with(&text, &good, &plain).lines().count(), 4, "a key has one line");
        assert_eq!(without(&text, &[&good.fingerprint]), format!("{theirs}{shared}\n"));
    }

    #[test]
    fn a_line_is_another_client_s_by_its_whole_name_alone() {
        let line = |client: &str| line(&key(OTHER), Some(("/usr/bin/snapgate-shell", &client.parse().unwrap())), None);
        let text = ["web1", "web10", "a-web1", "web1.old"].map(|client| line(client) + "\n").concat() + "# --client web1\"\n";
        let renamed = renamed(&text, &"web1".parse().unwrap(), &"shop".parse().unwrap());
        assert_eq!(renamed, text.replacen(&line("web1"), &line("shop"), 1));
        let told: Vec<_> = renamed.lines().map(|line| names(line).map(|client| client.to_string())).collect();
        assert_eq!(told, [Some("shop"), Some("web10"), Some("a-web1"), Some("web1.old"), None].map(|name| name.map(str::to_owned)));
        for (command, client) in [
            ("snapgate-shell --client web1", Some("web1")),
            ("/x/snapgate-shell --config /c --client web1", Some("web1")),
            ("snapgate-shell --client web1 --drill", None),
            ("snapgate-shell", None),
            ("/bin/sh --client web1", None),
            ("snapgate-shell --client ../web1", None),
        ] {
            let line = format!("restrict,command=\"{command}\",expiry-time=\"209901150800Z\" {GOOD}");
            assert_eq!(names(&line).map(|client| client.to_string()).as_deref(), client, "{command}");
        }
        let other = format!("command=\"snapgate-shell --config /c --client web1\",no-pty {GOOD}\n");
        for (spaced, by) in [
            (other.clone(), "shop"),
            (other.replace("--client ", "--client  "), "shop"),
            (other.replace("web1\"", "web1 \""), "shop"),
            (other.replace(" --client ", "\t--client\t"), "web10"),
            (other.replace("/c ", "/web1 ").replace("command=\"", "from=\"web1\",Command=\" /web1/"), "a"),
            (other.replace("client web1", "client c"), "d"),
        ] {
            let old = names(&spaced).unwrap();
            let renamed = super::renamed(&spaced, &old, &by.parse().unwrap());
            assert_eq!(names(&renamed).unwrap().to_string(), by, "{renamed}");
            assert_eq!(super::renamed(&renamed, &by.parse().unwrap(), &old), spaced, "nothing else is another");
        }
    }

    #[test]
    fn the_lines_of_a_key_say_which_clients_it_is_for() {
        let by = |text: &str, client: &str| line(&key(text), Some(("/usr/bin/snapgate-shell", &client.parse().unwrap())), None) + "\n";
        let text = by(OTHER, "web1") + &by(GOOD, "web2") + &line(&key(GOOD), None, None) + "\n" + &by(GOOD, "web3");
        let told: Vec<_> = named(&text, &key(GOOD)).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["web2", "web3"]);
        assert_eq!(named("", &key(GOOD)), []);
    }

    #[test]
    fn a_key_is_whose_policy_lists_it_then_whose_line_it_is_then_whose_account_it_is() {
        let site = read_site(Path::new("site"), b"store: /srv\n").unwrap();
        let policy = |client: &str, text: &str| read_policy(Path::new("policy"), text.as_bytes(), &client.parse().unwrap(), &site).unwrap();
        let good = key(GOOD);
        let listing = format!("user: a\nkeys: [{}]\n", good.fingerprint);
        let restoring = format!("user: a\nverbs: [restore]\nrestore: {{ keys: [{}] }}\n", good.fingerprint);
        let (web1, web2) = (policy("web1", "user: a\n"), policy("web2", "user: a\n"));
        let (listed, keyed) = (policy("web1", &listing), policy("web1", &format!("user: a\nkeys: [{}]\n", key(OTHER).fingerprint)));
        let by = |client: &str| line(&good, Some(("/usr/bin/snapgate-shell", &client.parse().unwrap())), None);
        let plain = line(&good, None, None);
        let (its, anothers, nobodys) = ((true, false), (false, false), (false, true));
        for (own, others, alone, line, expected) in [
            (&listed, vec![web2.clone()], false, &plain, its),
            (&web1, vec![policy("web2", &listing)], true, &by("web1"), anothers),
            (&web1, vec![policy("web2", &restoring)], true, &plain, anothers),
            (&web1, vec![policy("web2", &restoring)], false, &plain, anothers),
            (&web1, vec![web2.clone()], false, &by("web1"), its),
            (&keyed, vec![web2.clone()], false, &by("web1"), its),
            (&web1, vec![web2.clone()], false, &by("web2"), anothers),
            (&web1, vec![], true, &by("web10"), anothers),
            (&web1, vec![web2.clone()], false, &plain, nobodys),
            (&web1, vec![], true, &plain, its),
            (&keyed, vec![], true, &plain, anothers),
            (&keyed, vec![web2.clone()], false, &plain, anothers),
        ] {
            let told = (is_of(own, &others, alone, (&good, line)), is_nobodys(own, &others, alone, (&good, line)));
            assert_eq!(told, expected, "{line} {others:?}");
        }
    }

    #[test]
    fn a_key_ends_once_and_never_later_than_it_did() {
        let until = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ended = format!("restrict,expiry-time=\"202701150800Z\" {GOOD}");
        assert_eq!(ending(&format!("restrict {GOOD}"), until), ended);
        assert_eq!(ends(&ended), Some(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
        assert_eq!(ending(&ended, until + chrono::TimeDelta::days(1)), ended);
        let sooner = ending(&ended, until - chrono::TimeDelta::days(1));
        assert_eq!(sooner, format!("restrict,expiry-time=\"202701140800Z\" {GOOD}"));
        assert_eq!(ending(GOOD, until), format!("expiry-time=\"202701150800Z\" {GOOD}"));
        let last = format!("restrict,command=\"x\",expiry-time=\"209901150800Z\" {GOOD}");
        assert_eq!(ending(&last, until), format!("restrict,command=\"x\",expiry-time=\"202701150800Z\" {GOOD}"));
        let first = format!("expiry-time=\"209901150800Z\",restrict {GOOD}");
        assert_eq!(ending(&first, until), format!("restrict,expiry-time=\"202701150800Z\" {GOOD}"));
        assert_eq!(ending("# remark", until), "# remark");
        // As sshd reads it in other lengths, and by the machine's clocks.
        for (before, end) in [("20270114Z", Some(1_799_884_800)), ("20270115000159Z", Some(1_799_971_319)), ("20270114", None)] {
            let line = format!("expiry-time=\"{before}\" {GOOD}");
            assert_eq!(ending(&line, until), line);
            assert_eq!(ends(&line).map(|end| end.timestamp()), end);
        }
        for later in ["20270116Z", "20270116", "never", "2027011Z"] {
            assert_eq!(ending(&format!("expiry-time=\"{later}\" {GOOD}"), until), format!("expiry-time=\"202701150800Z\" {GOOD}"));
        }
    }
}
