//! Changing one top-level key of a policy in place. Everything else stays as somebody wrote it,
//! remarks too. Whoever uses it reads the result before it is kept: a file in another style than one
//! key a line may come out wrong, and is then left to a person.

use serde_yaml::{Mapping, Value};

/// The text with `key` set to `value`, which is written as YAML; `None` removes the key.
pub fn edit(text: &str, key: &str, value: Option<&str>) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_key = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    let Some(at) = lines.iter().position(is_key) else {
        let Some(value) = value else { return text.to_owned() };
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return format!("{text}{end}{key}: {value}\n");
    };
    let (before, rest) = lines.split_at(at);
    let below = rest.iter().skip(1).take_while(|line| belongs(line)).count();
    // Remarks and empty lines behind a value are about what follows.
    let kept = rest.iter().skip(1).take(below).rev().take_while(|line| is_remark(line)).count();
    let after: String = rest.iter().skip(1 + below - kept).copied().collect();
    let remark = rest.first().filter(|_| below == kept).and_then(|line| remark(line)).unwrap_or_default();
    let line = value.map(|value| format!("{key}: {value}{remark}\n")).unwrap_or_default();
    format!("{}{line}{after}", before.concat())
}

/// Whether these changes, and no others, make the new text of the old one: as YAML, whatever the
/// lines look like.
pub fn is_only(old: &str, new: &str, changes: &[(&str, Option<&str>)]) -> bool {
    let read = |text: &str| serde_yaml::from_str::<Mapping>(if text.trim().is_empty() { "{}" } else { text }).ok();
    // A file of remarks alone is an empty table.
    let (mut old, Some(new)) = (read(old).unwrap_or_default(), read(new)) else { return false };
    for (key, value) in changes {
        match value.map(serde_yaml::from_str::<Value>) {
            None => drop(old.remove(*key)),
            Some(Ok(value)) => drop(old.insert(Value::from(*key), value)),
            Some(Err(_)) => return false,
        }
    }
    old == new
}

/// Whether a line goes on with the value above it, or is about nothing.
fn belongs(line: &str) -> bool {
    line.starts_with([' ', '\t', ']', '}']) || line.starts_with("- ") || line.trim_end() == "-" || is_remark(line)
}

fn is_remark(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

/// The remark at the end of a line, with the space before it.
fn remark(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let mut quote = None;
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, '#') if line.get(..at).is_some_and(|before| before.ends_with([' ', '\t'])) => {
                let begins = line.get(..at)?.trim_end().len();
                return line.get(begins..);
            }
            _ => {}
        }
    }
    None
}

/// A text as YAML reads it back, whatever is in it.
pub fn text(text: &str) -> String {
    let written: String = text
        .chars()
        .map(|letter| match letter {
            '\\' | '"' => format!("\\{letter}"),
            // Of a line end YAML would make a blank.
            letter if letter.is_control() => format!("\\u{:04x}", u32::from(letter)),
            letter => letter.to_string(),
        })
        .collect();
    format!("\"{written}\"")
}

/// The name of an account. It stands as it is, since files are searched for it before they are read.
pub fn account(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    // A word such as `no`, or a number, is none without quotes.
    if is_plain && name.len() > 5 { name.to_owned() } else { format!("'{name}'") }
}

/// A list of words that need no quotes of their own.
pub fn list(words: &[&str]) -> String {
    let quote = |word: &&str| if word.contains([':', '%']) && !word.starts_with("SHA256:") { text(word) } else { (*word).to_owned() };
    format!("[{}]", words.iter().map(quote).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_set_changed_and_removed_and_all_else_stays() {
        let text = "# mine\nuser: web1   # the account\nverbs:\n  - rsync\n\n  # what it holds\nquota: { bytes: 5G }\n# end\n";
        for (key, value, expected) in [
            ("frozen", Some("\"moving\""), format!("{text}frozen: \"moving\"\n")),
            ("frozen", None, text.to_owned()),
            ("user", Some("web2"), text.replace("web1", "web2")),
            ("user", None, text.replace("user: web1   # the account\n", "")),
            ("quota", None, text.replace("quota: { bytes: 5G }\n", "")),
            ("verbs", Some("[rsync]"), "# mine\nuser: web1   # the account\nverbs: [rsync]\nquota: { bytes: 5G }\n# end\n".to_owned()),
        ] {
            assert_eq!(edit(text, key, value), expected, "{key} {value:?}");
        }
        assert_eq!(edit("use: 1\nuser: a", "user", Some("b")), "use: 1\nuser: b\n");
        assert_eq!(edit("", "user", Some("b")), "user: b\n");
        assert_eq!(edit("a: 1", "user", Some("b")), "a: 1\nuser: b\n");
        let flow = "keys: [a,\n  b\n]\n# about the next\nfrom: [x]\n";
        assert_eq!(edit(flow, "keys", Some("[c]")), "keys: [c]\n# about the next\nfrom: [x]\n");
        assert_eq!(edit("keys:\n- a\n- b\nfrom: [x]\n", "keys", None), "from: [x]\n");
        assert_eq!(edit("frozen: \"a # b\" # why\n", "frozen", Some("\"c\"")), "frozen: \"c\" # why\n");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for said in ["plain", "a \"b\" \\ c", "# no remark", "yes", "a: b", "'", "{x}", "a\nb\tc\u{7}"] {
            let back: String = serde_yaml::from_str(&text(said)).unwrap();
            assert_eq!(back, said);
        }
        let words = ["192.0.2.0/24", "2001:db8::/48", "host:rt.example.net", "fe80::1%eth0", "SHA256:abc+/"];
        let back: Vec<String> = serde_yaml::from_str(&list(&words)).unwrap();
        assert_eq!(back, words);
    }
}
