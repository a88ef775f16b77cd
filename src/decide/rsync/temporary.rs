//! rsync's temporary names: `.NAME.` and six random characters (`get_tmpname` in its receiver.c). A
//! killed rsync leaves such a file. Several names may share a temporary one.

/// Length of the random part (mkstemp(3)).
const SUFFIX: usize = 6;

/// Bytes of a name that rsync keeps: `NAME_MAX` less a dot, the suffix and a byte to spare.
const KEPT: usize = 246;

/// What a temporary name keeps of a file's name.
pub fn stem(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b".").unwrap_or(name);
    let mut stem = name.get(..KEPT).unwrap_or(name);
    // A character of several bytes may have been cut: then all trailing bytes with the high bit go.
    if name.get(KEPT).is_some_and(|next| !next.is_ascii()) {
        let end = stem.iter().rposition(u8::is_ascii).map_or(0, |last| last + 1);
        stem = stem.get(..end).unwrap_or_default();
    }
    stem.strip_suffix(b".").unwrap_or(stem)
}

/// The same of a temporary name; `None` where it does not look like one.
pub fn stem_of(temporary: &[u8]) -> Option<&[u8]> {
    let (rest, suffix) = temporary.split_at_checked(temporary.len().checked_sub(SUFFIX)?)?;
    let is_one = suffix.iter().all(u8::is_ascii_alphanumeric) && rest.ends_with(b".");
    let rest = rest.strip_suffix(b".").filter(|_| is_one)?;
    // Of a name of which nothing is left there is one dot.
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b".") }
}

/// The names with this stem, the likeliest first, without those that were cut.
pub fn likely(of: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let names = [of.to_vec(), [b".", of].concat(), [of, b"."].concat(), [b".", of, b"."].concat()];
    names.into_iter().filter(move |name| !matches!(name.as_slice(), b"" | b"." | b"..") && stem(name) == of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As rsync 3.5.0 has called them (strace).
    #[test]
    fn names_are_shortened_as_rsync_shortens_them() {
        let long = |unit: &str, count: usize| unit.repeat(count).into_bytes();
        for (name, left) in [
            (b"foo".to_vec(), b"foo".to_vec()),
            (b".foo".to_vec(), b"foo".to_vec()),
            (b"..foo".to_vec(), b".foo".to_vec()),
            (b"foo.".to_vec(), b"foo".to_vec()),
            (b"foo..".to_vec(), b"foo.".to_vec()),
            (long("x", 255), long("x", 246)),
            (long("x", 246), long("x", 246)),
            (long("\u{fc}", 123), long("\u{fc}", 123)),
            (long("\u{fc}", 127), Vec::new()),
            ([b"ab".to_vec(), long("\u{fc}", 125)].concat(), b"ab".to_vec()),
            ([long("x", 245), b".xx".to_vec()].concat(), long("x", 245)),
        ] {
            assert_eq!(stem(&name), left, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn what_has_not_the_form_is_none() {
        for name in ["foo.AbCdEf", ".foo.AbCdE", ".foo.AbCd-f", ".fooAbCdEf", ".AbCdE", "AbCdEf", ""] {
            assert_eq!(stem_of(name.as_bytes()), None, "{name}");
        }
        assert_eq!(stem_of(b".a.b.AbCdEf"), Some(&b"a.b"[..]));
        assert_eq!(stem_of(b".AbCdEf"), Some(&b""[..]));
        assert_eq!(likely(b"").count(), 0);
        assert_eq!(likely(b".foo").collect::<Vec<_>>(), [b"..foo".to_vec(), b"..foo.".to_vec()]);
    }

    proptest! {
        #[test]
        fn a_name_that_was_not_cut_is_likely(name in "[a-z\u{fc}]{1,4}(\\.[a-z]{0,3})?", dot in any::<bool>()) {
            let name = format!("{}{name}", if dot { "." } else { "" }).into_bytes();
            let temporary = [b".", stem(&name), b".x1Y2z3"].concat();
            let of = stem_of(&temporary).unwrap();
            prop_assert!(likely(of).any(|one| one == name));
        }
    }
}
