//! Foreign bytes made printable. This is the one place; a log, a mail or an answer that quotes a client goes through it.

use super::limits::MAX_QUOTED;

/// The text with every control byte, every byte that is not UTF-8, every backslash and every character that would
/// change how its surroundings are read (line separators, bidirectional and zero-width marks) written as an escape,
/// cut to about [`MAX_QUOTED`] bytes.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    printable_within(bytes, MAX_QUOTED)
}

/// [`printable`] with a limit of one's own, in bytes of the result (an ellipsis may follow).
#[must_use]
pub fn printable_within(bytes: &[u8], limit: usize) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push(&mut out, character);
            if out.len() > limit {
                out.push('…');
                return out;
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
            if out.len() > limit {
                out.push('…');
                return out;
            }
        }
    }
    out
}

/// Text that should be printable already, from somebody who may not have seen to it: like [`printable_within`], but
/// backslashes stay as they are, so what was escaped before is not escaped twice.
#[must_use]
pub fn still_printable(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character == '\\' {
            out.push(character);
        } else {
            push(&mut out, character);
        }
        if out.len() > limit {
            out.push('…');
            break;
        }
    }
    out
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

/// Characters that are invisible or reorder what stands around them (Unicode TR36).
fn misleads(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
    fn what_was_escaped_is_not_escaped_twice() {
        let once = printable(b"a\n\\b\x1b");
        assert_eq!(still_printable(&once, 512), once);
        assert_eq!(still_printable("a\nb\u{202e}", 512), "a\\nb\\u{202e}");
        assert!(still_printable(&"x".repeat(1 << 20), 512).len() < 520);
    }

    #[test]
    fn a_megabyte_is_cut() {
        assert!(printable(&[b'x'; 1 << 20]).len() < MAX_QUOTED + 16);
        assert!(printable(&[0xff; 1 << 20]).len() < MAX_QUOTED + 16);
    }
}
