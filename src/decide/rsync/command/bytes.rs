//! The client's raw bytes, checked before they are split.
//!
//! `shell-words` silently drops what follows ` #`, a newline and a backslash before one. No shell
//! runs here, so what only a shell would act upon is refused first.

use crate::terms::limits::{MAX_COMMAND, MAX_REASONS, MAX_WORDS};
use crate::terms::{Code, Reason};

/// What only a shell acts upon. `* ? [ ] ~` are not here: real clients send them as they are.
const SHELL: &str = ";&|<>$`(){}!#";

/// The words of a command, or every reason for which it cannot be read.
pub(super) fn words(bytes: &[u8]) -> Result<Vec<String>, Vec<Reason>> {
    if bytes.len() > MAX_COMMAND {
        return Err(vec![too_long(format!("the command is longer than {MAX_COMMAND} bytes"))]);
    }
    let mut reasons = Vec::new();
    if let Some(reason) = control(bytes) {
        reasons.push(reason);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        let hint = "add -s (--secluded-args) to rsync, or use names in UTF-8 for the destination";
        reasons.push(Reason::new(Code::Command, "the command is not UTF-8").only_client(hint));
        return Err(reasons);
    };
    reasons.extend(Scan::of(text).reasons());
    if !reasons.is_empty() {
        reasons.truncate(MAX_REASONS);
        return Err(reasons);
    }
    let Ok(words) = shell_words::split(text) else { return Err(vec![unbalanced()]) };
    if words.len() > MAX_WORDS {
        return Err(vec![too_long(format!("the command has more than {MAX_WORDS} words"))]);
    }
    Ok(words)
}

fn too_long(says: String) -> Reason {
    let hint = "see what calls it: no rsync sends as much";
    Reason::new(Code::TooLong, says).only_client(hint)
}

fn unbalanced() -> Reason {
    Reason::new(Code::Command, "a quotation mark in the command is not closed")
        .only_client("put a backslash before quotation marks in paths, or use rsync 3.2.4 or newer, which does")
}

fn control(bytes: &[u8]) -> Option<Reason> {
    // The second block of control characters (U+0080 to U+009F) is two bytes in UTF-8.
    let second_block = bytes.windows(2).any(|pair| matches!(pair, [0xc2, 0x80..=0x9f]));
    let found = bytes.iter().any(u8::is_ascii_control) || second_block;
    found.then(|| {
        Reason::new(Code::Command, "the command has control characters in it (a tab, a line break or the like)")
            .only_client("add -s (--secluded-args) to rsync if the destination holds them, or rename it")
    })
}

/// Where quotes stand while the text is read, as `shell-words` reads them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

/// What a walk over the text has found.
struct Scan {
    /// What only a shell acts upon, each once.
    shell: Vec<char>,
    /// The last character is a backslash that quotes nothing.
    lone_backslash: bool,
    /// A quotation mark is not closed.
    open: bool,
}

impl Scan {
    fn of(text: &str) -> Self {
        let mut quotes = Quotes::None;
        let mut scan = Self { shell: Vec::new(), lone_backslash: false, open: false };
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match (quotes, character) {
                (Quotes::None | Quotes::Double, '\\') => scan.lone_backslash = characters.next().is_none(),
                (Quotes::None, '\'') => quotes = Quotes::Single,
                (Quotes::None, '"') => quotes = Quotes::Double,
                (Quotes::Single, '\'') | (Quotes::Double, '"') => quotes = Quotes::None,
                (Quotes::None, other) if SHELL.contains(other) => scan.acts(other),
                (Quotes::Double, other @ ('$' | '`')) => scan.acts(other),
                _ => {}
            }
        }
        scan.open = quotes != Quotes::None;
        scan
    }

    fn acts(&mut self, character: char) {
        if !self.shell.contains(&character) {
            self.shell.push(character);
        }
    }

    fn reasons(self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if !self.shell.is_empty() {
            let listed: Vec<_> = self.shell.iter().map(|character| format!("`{character}`")).collect();
            let what = format!("the command has {} in it, which only a shell would understand", listed.join(" "));
            reasons.push(Reason::new(Code::Command, what).only_client(
                "no shell runs here: put a backslash before such characters in paths, or use rsync 3.2.4 or newer, which does",
            ));
        }
        if self.lone_backslash {
            reasons.push(
                Reason::new(Code::Command, "the command ends with a backslash that quotes nothing")
                    .only_client("write the destination without it"),
            );
        }
        if self.open {
            reasons.push(unbalanced());
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> Vec<String> {
        words(bytes).unwrap_err().into_iter().map(|reason| format!("{}: {}", reason.code, reason.says)).collect()
    }

    #[test]
    fn what_clients_quote_comes_out_as_it_was() {
        let split = |text: &str| words(text.as_bytes()).unwrap();
        assert_eq!(split(r"rsync . dst\ dir/"), ["rsync", ".", "dst dir/"]);
        assert_eq!(split(r#"rsync . 'a b' "c d" \#x \\"#), ["rsync", ".", "a b", "c d", "#x", "\\"]);
        assert_eq!(split(r"rsync . ~*?[]é"), ["rsync", ".", "~*?[]é"]);
        assert_eq!(split(r#"rsync "\$x" '$x;#'"#), ["rsync", "$x", "$x;#"]);
        assert_eq!(split("rsync --server . "), ["rsync", "--server", "."]);
    }

    #[test]
    fn whatever_only_a_shell_acts_upon_is_refused() {
        for character in SHELL.chars() {
            for text in [format!("rsync a{character}b"), format!("rsync {character}"), format!("{character}")] {
                assert!(refused(text.as_bytes())[0].contains(character), "{text}");
            }
            assert!(words(format!("rsync \\{character} '{character}'").as_bytes()).is_ok());
        }
        assert!(refused(b"rsync \"$x\"")[0].contains('$'));
        assert!(refused(b"rsync \"`x`\"")[0].contains('`'));
        assert!(words(b"rsync \"a;b!\"").is_ok());
    }

    #[test]
    fn bytes_that_no_path_should_hold_are_refused() {
        for bytes in [&b"rsync a\0b"[..], b"rsync a\tb", b"rsync 'a\nb'", b"rsync a\\\nb", b"rsync a\rb", b"rsync \x7f", b"rsync \xc2\x85"]
        {
            assert!(refused(bytes)[0].contains("control"), "{bytes:?}");
        }
        assert_eq!(refused(b"rsync d\xc3\xa9\xff/"), ["command: the command is not UTF-8"]);
        assert_eq!(refused(b"rsync \xff\t").len(), 2, "both reasons");
    }

    #[test]
    fn quotes_and_backslashes_must_end() {
        for text in ["rsync 'a", "rsync \"a", "rsync \"a\\\"", "'"] {
            assert!(refused(text.as_bytes()).iter().any(|reason| reason.contains("not closed")), "{text}");
        }
        assert!(refused(b"rsync a\\")[0].contains("backslash"));
        assert!(refused(b"rsync a\\\\\\")[0].contains("backslash"));
        assert_eq!(refused(b"rsync ; 'a").len(), 2, "both reasons");
    }

    #[test]
    fn a_megabyte_is_not_even_looked_at() {
        assert!(refused(&vec![0; 1 << 20])[0].starts_with("too-long"));
        assert!(refused("a ".repeat(MAX_WORDS + 1).as_bytes())[0].starts_with("too-long"));
        assert!(words("a ".repeat(MAX_WORDS).as_bytes()).is_ok());
    }
}
