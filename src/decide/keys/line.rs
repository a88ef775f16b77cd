//! A line of an authorized_keys file (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

/// Types of keys begin so.
const TYPES: [&str; 3] = ["ssh-", "ecdsa-", "sk-"];

/// Options, in lower case, with their values.
pub type Options = Vec<(String, Option<String>)>;

/// A key, and what its line says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its options.
    pub options: Options,
    /// The type.
    pub kind: String,
    /// The key, as it is written.
    pub key: String,
    /// What stands behind it.
    pub comment: String,
}

impl Line {
    /// Reads a line; `None` where it holds no key.
    pub fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let (options, rest) = if is_a_type(line) { (Vec::new(), line) } else { options(line)? };
        let mut words = rest.split_ascii_whitespace();
        let (kind, key) = (words.next().filter(|kind| is_a_type(kind))?, words.next()?);
        let comment = words.collect::<Vec<_>>().join(" ");
        Some(Self { options, kind: kind.to_owned(), key: key.to_owned(), comment })
    }

    /// The value of an option.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(word, _)| word == name).and_then(|(_, value)| value.as_deref())
    }
}

fn is_a_type(text: &str) -> bool {
    TYPES.iter().any(|start| text.starts_with(start))
}

/// The options at the beginning, and what follows them. `None` where a quote is not closed.
fn options(line: &str) -> Option<(Options, &str)> {
    let mut found = Vec::new();
    let mut rest = line;
    loop {
        let end = rest.find(|letter: char| letter == '=' || letter == ',' || letter.is_ascii_whitespace())?;
        let (name, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix("=\"") {
            Some(quoted) => unquoted(quoted).map(|(value, after)| (Some(value), after))?,
            None => (None, after),
        };
        found.push((name.to_ascii_lowercase(), value));
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.starts_with(|letter: char| letter.is_ascii_whitespace()) => return Some((found, after.trim_start())),
            None => return None,
        }
    }
}

/// A value up to its quote, and what follows that. A backslash is before a quote alone (`opt_dequote`
/// in OpenSSH's auth2-pubkeyfile.c).
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' if letters.peek().is_some_and(|(_, next)| *next == '"') => value.extend(letters.next().map(|(_, next)| next)),
            _ => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_sshd_reads_them() {
        let line = Line::read("restrict,Command=\"rrsync -ro \\\"/a b\\\", x\",from=\"192.0.2.0/24\" ssh-rsa AAAA web 1 ").unwrap();
        assert_eq!(line.value("command"), Some("rrsync -ro \"/a b\", x"));
        assert_eq!(line.value("from"), Some("192.0.2.0/24"));
        assert_eq!((line.kind.as_str(), line.key.as_str(), line.comment.as_str()), ("ssh-rsa", "AAAA", "web 1"));
        assert_eq!(line.options[0], ("restrict".to_owned(), None));
        assert_eq!(Line::read("sk-ssh-ed25519@openssh.com AAAA").unwrap().options, []);
        for bad in [
            "", "# ssh-rsa AAAA", "ssh-rsa", "command=\"x ssh-rsa AAAA", "command=x\" ssh-rsa AAAA", "x", "x,", "=",
            "a=\"b\"c ssh-rsa AAAA",
        ] {
            assert_eq!(Line::read(bad), None, "{bad}");
        }
    }
}
