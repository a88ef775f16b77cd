//! Pairs of ids in `--usermap` and `--groupmap` (rsync(1)).
//!
//! A client's names are never looked up on the server: that would reveal its accounts.

use crate::terms::text::digits;

const ROOT: (&str, &str) = ("root", "0");

/// Whether no name on the right side has to be looked up.
pub(crate) fn names_nobody(text: &str) -> bool {
    pairs(text).all(|(_, to)| to == ROOT.0 || digits::<u32>(to).is_some_and(|number| number < u32::MAX))
}

/// Whether the right side is this account or group alone.
pub(crate) fn names_only(text: &str, name: &str, number: u32) -> bool {
    pairs(text).all(|(_, to)| to == name || to.parse() == Ok(number))
}

/// The text with numbers alone on the right side.
pub(crate) fn in_numbers(text: &str) -> String {
    joined(pairs(text).map(|(from, to)| format!("{from}:{}", if to == ROOT.0 { ROOT.1 } else { to })))
}

/// The text with `last` for every greater number on the right side.
pub(crate) fn up_to(text: &str, last: u32) -> String {
    let fits = |to: &str| to.parse::<u32>().is_ok_and(|number| number <= last);
    joined(pairs(text).map(|(from, to)| if fits(to) { format!("{from}:{to}") } else { format!("{from}:{last}") }))
}

/// Whether the left side has numbers alone, or `*`.
pub(crate) fn from_numbers(text: &str) -> bool {
    pairs(text).all(|(from, _)| from == "*" || from.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|pair| pair.split_once(':'))
}

fn joined(pairs: impl Iterator<Item = String>) -> String {
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_side_is_a_number_or_root() {
        for good in ["*:root", "*:0", "0-99:33,alice:root", "[ab]*:4294967294"] {
            assert!(names_nobody(good), "{good}");
        }
        for bad in ["*:backup", "1:2,3:nobody", "*:4294967295", "*:-1", "*:0x1", "*:"] {
            assert!(!names_nobody(bad), "{bad}");
        }
        assert!(from_numbers("*:0,0-99:33,7:8") && !from_numbers("*:0,root:7") && !from_numbers("[0-9]*:7"));
        assert_eq!(in_numbers("*:root,root:7,bob:root"), "*:0,root:7,bob:0");
        assert_eq!(up_to("*:65536,root:65535,bob:7", 65_535), "*:65535,root:65535,bob:7");
    }
}
