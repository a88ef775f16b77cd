//! Base64 with padding (RFC 4648), as keys are written. Only what is written in the one right way is
//! read: no key has two texts.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes bytes, without the padding at the end.
pub fn without_padding(bytes: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let sum = (0..3).fold(0_usize, |sum, at| (sum << 8) | usize::from(group.get(at).copied().unwrap_or(0)));
        let letters = [18, 12, 6, 0].map(|shift| LETTERS.get((sum >> shift) & 63).copied().map_or('A', char::from));
        out.extend(letters.iter().take(group.len() + 1));
    }
    out
}

/// Reads a text with its padding; `None` where it is no such text.
pub fn read(text: &str) -> Option<Vec<u8>> {
    let written = text.trim_end_matches('=');
    let mut out = Vec::new();
    for group in written.as_bytes().chunks(4) {
        let mut sum = 0_u32;
        for at in 0..4 {
            let value = group.get(at).map_or(Some(0), |letter| LETTERS.iter().position(|known| known == letter))?;
            sum = (sum << 6) | u32::try_from(value).ok()?;
        }
        out.extend(sum.to_be_bytes().iter().skip(1).take(group.len() - 1));
    }
    // Neither a letter too many, nor bits that belong to no byte, nor other padding.
    let padding = (4 - written.len() % 4) % 4;
    (without_padding(&out) == written && text.len() == written.len() + padding).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_text_and_nothing_else_is_read() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(without_padding(bytes.as_bytes()), text.trim_end_matches('='));
            assert_eq!(read(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        for bad in ["Zg", "Zg=", "Zg===", "Zm8", "Zm9v====", "Zh==", "Z", "Z===", "Zm 9v", "Zm9v\n", "Zm-_", "=", "Zg==Zg=="] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let all: Vec<u8> = (0..=255).collect();
        let text = without_padding(&all);
        assert_eq!(read(&format!("{text}==")), Some(all));
    }
}
