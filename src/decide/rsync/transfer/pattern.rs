//! Whether a name matches a pattern: `*`, `?`, `[a-z]`, `[!a-z]`, as in rrsync's Python (fnmatch).
//! It backtracks to the last star alone, so no pattern is slow.

use super::place::Name;

/// A part of a pattern.
enum Step {
    Any,
    One,
    Exactly(u32),
    OneOf { negated: bool, ranges: Vec<(u32, u32)> },
}

impl Name {
    /// Whether `candidate` matches. A leading dot has to be in the pattern.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        let hidden = |bytes: Option<&u8>| bytes == Some(&b'.');
        if hidden(candidate.first()) && !hidden(self.quoted().first().map(|(byte, _)| byte)) {
            return false;
        }
        let candidate: Vec<u32> = characters(candidate).collect();
        run(&steps(self.quoted()), &candidate)
    }
}

/// Characters, and bytes that are not UTF-8 as numbers that no character has.
fn characters(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let foreign = chunk.invalid().iter().map(|byte| 0xdc00 + u32::from(*byte));
        chunk.valid().chars().map(u32::from).chain(foreign)
    })
}

fn steps(name: &[(u8, bool)]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = name;
    while let Some(((byte, quoted), tail)) = rest.split_first() {
        let step = match (byte, quoted) {
            (b'*', false) => Step::Any,
            (b'?', false) => Step::One,
            (b'[', false) => match set(tail) {
                Some((step, behind)) => {
                    rest = behind;
                    steps.push(step);
                    continue;
                }
                None => Step::Exactly(u32::from(b'[')),
            },
            _ => {
                // All bytes up to the next special one, since a character may have several.
                let special = |(byte, quoted): &(u8, bool)| !quoted && b"*?[".contains(byte);
                let length = rest.iter().position(special).unwrap_or(rest.len());
                let (plain, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                let bytes: Vec<u8> = plain.iter().map(|(byte, _)| *byte).collect();
                steps.extend(characters(&bytes).map(Step::Exactly));
                rest = behind;
                continue;
            }
        };
        steps.push(step);
        rest = tail;
    }
    steps
}

/// A set, from behind its bracket; `None` if it does not end, and the bracket is literal.
fn set(text: &[(u8, bool)]) -> Option<(Step, &[(u8, bool)])> {
    let negated = matches!(text.first(), Some((b'!' | b'^', false)));
    let inside = text.get(usize::from(negated)..)?;
    // A bracket at the beginning belongs to the set.
    let end = inside.iter().skip(1).position(|(byte, quoted)| *byte == b']' && !quoted)? + 1;
    let (members, behind) = inside.split_at_checked(end)?;
    let bytes: Vec<u8> = members.iter().map(|(byte, _)| *byte).collect();
    let members: Vec<u32> = characters(&bytes).collect();
    let mut ranges = Vec::new();
    let mut rest = members.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        match tail {
            [dash, last, after @ ..] if *dash == u32::from(b'-') => {
                ranges.push((*first, *last));
                rest = after;
            }
            _ => {
                ranges.push((*first, *first));
                rest = tail;
            }
        }
    }
    Some((Step::OneOf { negated, ranges }, behind.get(1..)?))
}

fn run(steps: &[Step], name: &[u32]) -> bool {
    let (mut step, mut at) = (0, 0);
    // The last star, and the first character that it does not cover.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match (steps.get(step), name.get(at)) {
            (Some(Step::Any), _) => {
                star = Some((step, at));
                step += 1;
            }
            (Some(wanted), Some(found)) if wanted.takes(*found) => {
                step += 1;
                at += 1;
            }
            _ => {
                let Some((star_step, covered)) = star else { return false };
                star = Some((star_step, covered + 1));
                (step, at) = (star_step + 1, covered + 1);
            }
        }
    }
    steps.iter().skip(step).all(|step| matches!(step, Step::Any))
}

impl Step {
    fn takes(&self, found: u32) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Exactly(wanted) => *wanted == found,
            Self::OneOf { negated, ranges } => ranges.iter().any(|(least, most)| (*least..=*most).contains(&found)) != *negated,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::decide::rsync::transfer::Place;
    use crate::decide::rsync::transfer::words::split;

    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        Place::read(&split(pattern).unwrap()[0], false).unwrap().names[0].matches(name)
    }

    #[test]
    fn patterns_stand_for_the_names_that_a_shell_would_find() {
        for (pattern, yes, no) in [
            ("*", &["a", "a.b", ""][..], &[".a"][..]),
            (".*", &[".a"], &["a"]),
            ("a*c", &["ac", "abc", "abbcc"], &["a", "abcd", "bac"]),
            ("*.tar.*", &["x.tar.gz", "a.tar.tar."], &["x.tar", "tar.gz"]),
            ("?", &["a", "é"], &["", "ab", "."]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
            ("[!a-c]x", &["dx"], &["ax"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[ab", &["[ab"], &["a"]),
            ("x[é]", &["xé"], &["x\u{c3}"]),
            ("a\\*b", &["a*b"], &["axb"]),
            ("a**b", &["ab", "axxb"], &["a"]),
        ] {
            for name in yes {
                assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
            for name in no {
                assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
        }
        assert!(matches(b"d?x", b"d\xffx") && !matches(b"d?x", b"d\xff\xffx"));
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time() {
        let begun = std::time::Instant::now();
        assert!(!matches("*a".repeat(120).as_bytes(), &[b'a'; 119]));
        assert!(begun.elapsed() < std::time::Duration::from_secs(1));
    }
}
