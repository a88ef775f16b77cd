//! An account's file of keys: a line for each, which restricts it to the gate. Lines that somebody
//! else wrote there stay as they are.

use chrono::{DateTime, Utc};

use super::key::{KINDS, PublicKey};
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

/// When the key of a line ends, where the line says so.
pub fn ends(line: &str) -> Option<DateTime<Utc>> {
    let (options, _) = line.split_at(found(line)?.0);
    let (_, rest) = options.split_once("expiry-time=\"")?;
    let (time, _) = rest.split_once('"')?;
    let time = chrono::NaiveDateTime::parse_from_str(time.strip_suffix('Z')?, "%Y%m%d%H%M").ok()?;
    Some(time.and_utc())
}

/// The line of a key that ends then, or already does so before.
pub fn ending(line: &str, until: DateTime<Utc>) -> String {
    if ends(line).is_some_and(|before| before <= until) {
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
    }
}
