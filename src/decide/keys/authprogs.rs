//! Proposals from the rules of authprogs (its authprogs.yaml), which says by the name of a key what may
//! be run. Whose a name is stands in the lines of keys that force `authprogs --keyname NAME --run`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::import::{Asked, Imported, Proposal, addresses, name, policy, server};
use super::line::Line;
use crate::decide::host::authinfo;
use crate::decide::policy::yaml::{self, Fault};
use crate::terms::limits::{IMPORTED_KEY, MAX_IMPORT_CARRIED, MAX_IMPORT_LINES, MAX_IMPORT_TEXTS, MAX_QUOTED};
use crate::terms::text::still_printable;

/// What the rules let a key do.
#[derive(Debug, Default)]
struct Rules {
    /// The first of them.
    number: usize,
    asked: Asked,
    /// Where it may come from, if every rule says so.
    from: Vec<String>,
    is_anywhere: bool,
    count: usize,
}

/// Reads rules, and the lines of the keys that they name.
pub fn rules(text: &str, keys: &str, account: Option<&str>) -> Imported {
    let mut found = Imported { counts: "rule", ..Imported::default() };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Err(Fault { line, message, help, .. }) = yaml::guarded(Path::new(""), text) {
        found.passed.push((1, format!("the file is not read, for its line {line}: {message}; {help}")));
        return found;
    }
    let rules = match serde_yaml::from_str::<Value>(text) {
        Ok(Value::Sequence(rules)) => rules,
        Ok(_) => {
            found.passed.push((1, "the file is no list of rules".to_owned()));
            return found;
        }
        Err(error) => {
            found.passed.push((1, format!("the file is no YAML: {}", still_printable(&error.to_string(), MAX_QUOTED))));
            return found;
        }
    };
    // By the name of the key; `None` are rules for every key.
    let mut named: BTreeMap<Option<String>, Rules> = BTreeMap::new();
    let mut room = MAX_IMPORT_CARRIED;
    for (at, rule) in rules.iter().enumerate().take(MAX_IMPORT_LINES) {
        let added = of_rule(rule).and_then(|(names, asked, from)| {
            let cost = carried(&asked, &from).saturating_mul(names.len());
            room = room.checked_sub(cost).ok_or("with it there would be more to propose than anybody reads: split the file")?;
            names.into_iter().try_for_each(|name| named.entry(name).or_default().add(at + 1, &asked, &from))
        });
        found.passed.extend(added.err().map(|why| (at + 1, why)));
    }
    if rules.len() > MAX_IMPORT_LINES {
        found.passed.push((MAX_IMPORT_LINES + 1, format!("and all that follow: no more than {MAX_IMPORT_LINES} rules are read")));
    }
    let lines = lines(keys);
    let mut taken = BTreeSet::new();
    for (of, rules) in named {
        let number = rules.number;
        match proposed(of.as_deref(), rules, &lines, account, &mut taken) {
            Ok(proposal) => found.proposals.push(proposal),
            Err(why) => found.passed.push((number, why)),
        }
    }
    found
}

impl Rules {
    fn add(&mut self, number: usize, asked: &Asked, from: &[String]) -> Result<(), String> {
        if self.from.len() + from.len() > MAX_IMPORT_TEXTS || self.asked.left.len() + asked.left.len() > MAX_IMPORT_TEXTS {
            return Err(format!("the rules of one of its keys say more than {MAX_IMPORT_TEXTS} things: write its policy by hand"));
        }
        self.number = if self.count == 0 { number } else { self.number };
        self.count += 1;
        self.asked.pushes |= asked.pushes;
        self.asked.pulls |= asked.pulls;
        self.asked.directory = self.asked.directory.take().or_else(|| asked.directory.clone());
        self.asked.left.extend(asked.left.iter().cloned());
        self.is_anywhere |= from.is_empty();
        self.from.extend(from.iter().cloned());
        Ok(())
    }
}

/// About how many bytes a key is given of a rule that names it.
fn carried(asked: &Asked, from: &[String]) -> usize {
    let texts = asked.left.iter().chain(from).chain(&asked.directory);
    texts.map(|text| text.len().saturating_add(size_of::<String>())).fold(IMPORTED_KEY, usize::saturating_add)
}

/// The names of a rule's keys, what it lets them do, and from where.
type Read = (Vec<Option<String>>, Asked, Vec<String>);

fn of_rule(rule: &Value) -> Result<Read, String> {
    let rule = rule.as_mapping().ok_or("it is no rule")?;
    let mut asked = Asked::default();
    let allow = rule.get("allow").ok_or("it allows nothing")?;
    for sub in several(allow)? {
        let Some(sub) = sub.as_mapping() else { continue };
        of_subrule(sub, &mut asked)?;
        if asked.left.len() > MAX_IMPORT_TEXTS {
            return Err(too_many());
        }
    }
    if !asked.pushes && !asked.pulls {
        let what = asked.left.into_iter().next().unwrap_or_else(|| "it allows no transfer".to_owned());
        return Err(format!("no rsync in it: {what}"));
    }
    let names: Vec<Option<String>> = texts(rule.get("keynames"))?.into_iter().map(Some).collect();
    let names = if names.is_empty() { vec![None] } else { names };
    Ok((names, asked, texts(rule.get("from"))?))
}

fn of_subrule(sub: &Mapping, asked: &mut Asked) -> Result<(), String> {
    let is_so = |key: &str| sub.get(key).and_then(Value::as_bool).unwrap_or(false);
    let shown = |text: &str| still_printable(text, MAX_QUOTED);
    match sub.get("rule_type").and_then(Value::as_str).unwrap_or("command") {
        "rsync" => {
            asked.pushes |= is_so("allow_upload");
            asked.pulls |= is_so("allow_download");
            let (paths, begun) = (texts(sub.get("paths"))?, texts(sub.get("path_startswith"))?);
            for path in paths.into_iter().chain(begun) {
                asked.left.push(format!("`{}`: here each push is a snapshot, in a repository of its own (docs/seed.md)", shown(&path)));
                asked.directory.get_or_insert(path);
            }
            if sub
                .keys()
                .filter_map(Value::as_str)
                .any(|key| key.starts_with("allow_") && !["allow_upload", "allow_download"].contains(&key))
            {
                asked.left.push("its `allow_…` of rsync's options: here the client chooses, within docs/options.md".to_owned());
            }
        }
        "command" => {
            let command = sub.get("command").and_then(Value::as_str).unwrap_or_default();
            let words: Vec<&str> = command.split_whitespace().collect();
            let is_rsync = words.first().is_some_and(|program| program.rsplit('/').next() == Some("rsync"));
            if is_rsync && words.contains(&"--server") && !words.contains(&"--daemon") && !is_so("pcre_match") {
                let Asked { directory, pushes, pulls, left, .. } = server(&words);
                asked.pushes |= pushes;
                asked.pulls |= pulls;
                asked.directory = asked.directory.take().or(directory);
                asked.left.extend(left);
            } else {
                asked.left.push(format!("`{}`: nothing but rsync runs here", shown(command)));
            }
        }
        other => asked.left.push(format!("{}: there is none here; rsync does the same", shown(other))),
    }
    Ok(())
}

/// One, or each of a list.
fn several(value: &Value) -> Result<&[Value], String> {
    let all = value.as_sequence().map_or(std::slice::from_ref(value), Vec::as_slice);
    if all.len() > MAX_IMPORT_TEXTS { Err(too_many()) } else { Ok(all) }
}

fn texts(value: Option<&Value>) -> Result<Vec<String>, String> {
    let all = value.map(several).transpose()?.unwrap_or_default();
    Ok(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn too_many() -> String {
    format!("it lists more than {MAX_IMPORT_TEXTS} things: split it")
}

/// The fingerprints of keys whose lines force authprogs, by the name that they give it.
fn lines(keys: &str) -> Vec<(Option<String>, String)> {
    let of_line = |line: &str| {
        let line = Line::read(line)?;
        let words = shell_words::split(line.value("command")?).ok()?;
        if words.first()?.rsplit('/').next() != Some("authprogs") {
            return None;
        }
        let behind = words.iter().position(|word| word == "--keyname").and_then(|at| words.get(at + 1)).cloned();
        let name = behind.or_else(|| words.iter().find_map(|word| word.strip_prefix("--keyname=")).map(str::to_owned));
        Some((name, authinfo::fingerprint(&line.kind, &line.key)?.to_string()))
    };
    keys.lines().take(MAX_IMPORT_LINES).filter(|line| !line.trim_start().starts_with('#')).filter_map(of_line).collect()
}

fn proposed(
    of: Option<&str>,
    rules: Rules,
    lines: &[(Option<String>, String)],
    account: Option<&str>,
    taken: &mut BTreeSet<String>,
) -> Result<Proposal, String> {
    let Rules { number, mut asked, from, is_anywhere, count } = rules;
    let client = name(of.unwrap_or_default(), &asked, number, taken)?;
    let mut keys: Vec<String> = lines.iter().filter(|(name, _)| name.as_deref() == of).map(|(_, key)| key.clone()).collect();
    if keys.is_empty() {
        // Nobody, rather than everybody.
        keys.push(format!("SHA256:{}", "A".repeat(43)));
        let whose = of.map_or_else(|| "without a name".to_owned(), |name| format!("`{}`", still_printable(name, MAX_QUOTED)));
        asked.left.push(format!(
            "`keys:` names a key that nobody has: give the file of keys with --keys, or write what ssh-keygen -lf says of key {whose}"
        ));
    }
    if count > 1 {
        asked.left.push(format!("{count} rules are one policy: what one of them allowed from an address, this allows from all of them"));
    }
    let from = if is_anywhere { Vec::new() } else { addresses(&from.join(","), &mut asked.left) };
    let policy = policy(&keys, &asked, &from, account, ("rule", number));
    let mut left = Vec::new();
    asked.left.into_iter().for_each(|what| {
        if !left.contains(&what) {
            left.push(what)
        }
    });
    Ok(Proposal { line: number, client, policy, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_read_and_nothing_of_it_becomes_yaml() {
        for text in [
            "",
            "x",
            "- ",
            "- 1",
            "- {allow: 1}",
            "- {allow: {rule_type: [1]}}",
            "{",
            "- allow: [{rule_type: rsync, allow_upload: yes please}]",
        ] {
            assert_eq!(rules(text, "", None).proposals, [], "{text}");
        }
        let hostile = "- keynames: \"a: {b}\\n- c\\e[2J\"\n  from: 'x: y'\n  allow: { rule_type: rsync, allow_upload: true, paths: \"/x\\nuser: root\" }\n";
        let found = rules(hostile, "", Some("backup"));
        let [proposal] = found.proposals.as_slice() else { panic!("{found:?}") };
        let policy: Mapping = serde_yaml::from_str(&proposal.policy).unwrap();
        assert_eq!(policy.get("user").and_then(Value::as_str), Some("backup"));
        assert_eq!(policy.get("from").and_then(Value::as_sequence).map(Vec::len), Some(1), "nobody, where nothing can be said");
        assert!(!proposal.left.concat().chars().any(char::is_control), "{:?}", proposal.left);
    }

    #[test]
    fn a_short_file_does_not_stand_for_more_than_fits_into_memory() {
        let list = |count: usize| (0..count).map(|number| format!("a{number},")).collect::<String>();
        let allow = "allow: {rule_type: rsync, allow_upload: true}";
        // Of 100,000 texts, 10,000 times over.
        let bomb = format!("- &a [{}]\n- [{}]\n", list(100_000), "*a,".repeat(10_000));
        let found = rules(&bomb, "", None);
        assert_eq!((found.proposals.len(), found.passed.len()), (0, 1), "{:?}", found.passed);
        assert!(found.passed[0].1.contains("its line 1: an anchor or alias"), "{:?}", found.passed);
        // Each of its keys would get each of its addresses.
        let long = format!("- {{keynames: [{}], from: [{}], {allow}}}\n", list(200_000), list(200_000));
        let found = rules(&long, "", None);
        assert_eq!((found.proposals.len(), found.passed.len()), (0, 1));
        assert!(found.passed[0].1.contains("lists more than 1000 things"), "{:?}", found.passed);
        let many = format!("- {{keynames: [{}], from: [{}], {allow}}}\n", list(1000), list(900)).repeat(2);
        let found = rules(&many, "", None);
        assert_eq!((found.proposals.len(), found.passed.len()), (0, 2));
        assert!(found.passed.iter().all(|(_, why)| why.contains("split the file")), "{:?}", found.passed);
        let of_one = format!("- {{keynames: a, from: [{}], {allow}}}\n", list(600)).repeat(2);
        let found = rules(&of_one, "", None);
        assert_eq!((found.proposals.len(), found.passed.len()), (1, 1));
        assert!(found.passed[0].1.contains("one of its keys"), "{:?}", found.passed);
        let subrules =
            format!("- {{allow: [{}]}}\n", format!("{{rule_type: rsync, allow_upload: true, paths: [{}]}},", list(500)).repeat(3));
        assert_eq!(rules(&subrules, "", None).proposals, []);
        // What a person has written.
        let real = format!("\u{feff}---\n- {{keynames: [{}], from: [10.0.0.0/8, 192.0.2.7], {allow}}}\n", list(200));
        assert_eq!(rules(&real, "", None).proposals.len(), 200);
    }
}
