//! Makes foreign bytes printable, for every log, mail and answer that quotes a client.

use super::limits::MAX_QUOTED;

/// Marks a text that was cut.
pub const ELLIPSIS: &str = "…";

/// The text, with escapes for control bytes, bytes that are not UTF-8, backslashes and characters
/// that change how their surroundings are read (line separators, bidirectional and zero-width
/// marks), cut to [`MAX_QUOTED`] bytes.
pub fn printable(bytes: &[u8]) -> String {
    printable_within(bytes, MAX_QUOTED)
}

/// The same with another limit, in bytes of the result. [`ELLIPSIS`] marks a cut.
pub fn printable_within(bytes: &[u8], limit: usize) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let whole = out.len();
            push(&mut out, character);
            if is_cut(&mut out, whole, limit) {
                return out;
            }
        }
        for byte in chunk.invalid() {
            let whole = out.len();
            out.push_str(&format!("\\x{byte:02x}"));
            if is_cut(&mut out, whole, limit) {
                return out;
            }
        }
    }
    out
}

/// Text that should be printable already, from an untrusted source: like [`printable_within`], but
/// backslashes are not escaped again.
pub fn still_printable(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let whole = out.len();
        if character == '\\' {
            out.push(character);
        } else {
            push(&mut out, character);
        }
        if is_cut(&mut out, whole, limit) {
            break;
        }
    }
    out
}

/// The same of a text for people that has several lines: each is printable, and together they are
/// within the limit.
pub fn still_printable_lines(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let room = limit.saturating_sub(out.len());
        if !out.is_empty() {
            out.push('\n');
        }
        let shown = if room == 0 { ELLIPSIS.to_owned() } else { still_printable(line, room) };
        out.push_str(&shown);
        // A line may end with the mark of a cut that somebody else has made.
        if room == 0 || shown != still_printable(line, usize::MAX) {
            break;
        }
    }
    out
}

/// A number of things with their name.
pub fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

/// A number of digits alone, without the sign that `parse` would take.
pub fn digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Several lines of our own on one.
pub fn on_one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

/// The name of an account or group. A backslash in it is harmless (`DOM\jane`).
pub fn printable_name(name: &[u8]) -> String {
    still_printable(&String::from_utf8_lossy(name), MAX_QUOTED)
}

/// Ends a text with an ellipsis if its last piece, from `whole` on, exceeds the limit.
fn is_cut(out: &mut String, whole: usize, limit: usize) -> bool {
    let cut = out.len() > limit;
    if cut {
        out.truncate(whole);
        out.push_str(ELLIPSIS);
    }
    cut
}

fn push(out: &mut String, character: char) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other if other.is_control() || misleads(other) => out.push_str(&format!("\\u{{{:x}}}", u32::from(other))),
        other => out.push(other),
    }
}

/// Invisible characters, and those that reorder text (Unicode TR36).
fn misleads(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A path, printable.
pub fn printable_path(path: impl AsRef<std::path::Path>) -> String {
    printable(path.as_ref().as_os_str().as_encoded_bytes())
}

/// A path, printable and in backticks.
pub fn quoted_path(path: &std::path::Path) -> String {
    format!("`{}`", printable_path(path))
}

/// What the system said, in small letters and without its number.
pub fn os_words(error: &std::io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_ends_a_line_survives() {
        assert_eq!(printable(b"plain d\xc3\xa9"), "plain dé");
        assert_eq!(printable(b"a\nb\r\tc\\"), "a\\nb\\r\\tc\\\\");
        assert_eq!(printable(b"\x1b[31m\xff\x00"), "\\u{1b}[31m\\xff\\u{0}");
        assert_eq!(printable("x\u{202e}y\u{2028}".as_bytes()), "x\\u{202e}y\\u{2028}");
    }

    #[test]
    fn a_name_keeps_its_backslash_and_nothing_that_moves_a_cursor() {
        assert_eq!(printable_name(br"DOM\jane"), r"DOM\jane");
        assert_eq!(printable_name(b"a\x1b\xff\n"), "a\\u{1b}\u{fffd}\\n");
    }

    #[test]
    fn a_text_of_several_lines_keeps_them_and_nothing_else_that_moves_a_cursor() {
        assert_eq!(still_printable_lines("a\n    ^ here\r\n\u{1b}[2J\n", 100), "a\n    ^ here\n\\u{1b}[2J");
        for (text, cut) in [("ab\n".repeat(50), "ab\nab\nab\n…"), ("x".repeat(9), "xxxxxxxx…"), ("\n".repeat(9), "")] {
            assert_eq!(still_printable_lines(&text, 8), cut);
            assert_eq!(still_printable_lines(cut, 8), cut, "the same when it is read again");
        }
    }

    #[test]
    fn lines_of_our_own_are_joined_and_not_escaped() {
        assert_eq!(on_one_line("`/x` is no directory\nremove it\n"), "`/x` is no directory; remove it");
        assert_eq!(on_one_line("plain"), "plain");
    }

    #[test]
    fn what_was_escaped_is_not_escaped_twice() {
        let once = printable(b"a\n\\b\x1b");
        assert_eq!(still_printable(&once, 512), once);
        assert_eq!(still_printable("a\nb\u{202e}", 512), "a\\nb\\u{202e}");
    }

    #[test]
    fn a_line_that_somebody_has_cut_does_not_end_the_text() {
        assert_eq!(still_printable_lines("pign: …\n^\nhelp", 512), "pign: …\n^\nhelp");
        assert_eq!(still_printable_lines(&format!("{}\nhelp", "x".repeat(600)), 512), format!("{}…", "x".repeat(512)));
    }

    #[test]
    fn what_is_too_long_is_cut_where_the_limit_is_however_long_an_escape_would_be() {
        for long in ["x".repeat(1 << 20), "\u{e0001}".repeat(1 << 18), "é".repeat(1 << 19)] {
            for limit in [0, 1, 119, 120, 121, MAX_QUOTED] {
                for cut in [still_printable(&long, limit), printable_within(long.as_bytes(), limit)] {
                    assert!(cut.len() <= limit + ELLIPSIS.len() && cut.ends_with(ELLIPSIS), "{limit}: {cut}");
                    assert_eq!(still_printable(&cut, limit), cut, "once is enough");
                }
            }
        }
        let bytes = printable(&[0xff; 1 << 20]);
        assert_eq!(bytes.len(), MAX_QUOTED + ELLIPSIS.len());
        let whole = "x".repeat(MAX_QUOTED);
        assert_eq!((printable(whole.as_bytes()), still_printable(&whole, MAX_QUOTED)), (whole.clone(), whole));
    }
}
