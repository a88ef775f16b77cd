//! `options:` of a policy. A name that would change nothing, or can never be allowed, is an error.

use crate::decide::policy::yaml::{Texts, Word, Wrong, keys};
use crate::decide::rsync::options::{self, Choice, Force, Row, Rule};
use crate::terms::text::printable;
use crate::terms::word::nearest;

keys! {
    /// The table below `options:`.
    pub(super) struct OptionKeys, "`options`" {
        /// Options that turn a push away although they are accepted otherwise. They are never
        /// stripped from a command, since both ends of a push have to agree on most.
        refuse: Vec<Refused> as Texts<_> = Words("none"), "[xattrs]";
        /// Options that are accepted although they are refused otherwise. One that can never be
        /// allowed in a store of hard links is an error, which says why.
        allow: Vec<Allowed> as Texts<_> = Words("none"), "[iconv, safe-links]";
        /// Options that the server's rsync is given whether or not the client asks for them.
        force: Vec<Forced> as Texts<_> = Words("none"), "[munge-links]";
    }

    fn whole(&self) -> Result<(), Wrong> {
        let refused = |word: &str| self.refuse.iter().flatten().any(|Refused(other)| *other == word);
        match self.allow.iter().flatten().find(|Allowed(word)| refused(word)) {
            Some(Allowed(word)) => Err(Wrong::new(format!("`{word}` stands in both lists of `options`"), "remove it from one of them")),
            None => Ok(()),
        }
    }
}

impl OptionKeys {
    pub(super) fn choice(self) -> Choice {
        let Self { refuse, allow, force } = self;
        Choice {
            refuse: refuse.into_iter().flatten().map(|Refused(word)| word).collect(),
            allow: allow.into_iter().flatten().map(|Allowed(word)| word).collect(),
            force: force.into_iter().flatten().map(|Forced(word)| word).collect(),
        }
    }
}

/// The names in each list, and how one is read.
macro_rules! names {
    ($($list:ident, $what:literal, $read:ident;)+) => {$(
        #[derive(Debug, Clone)]
        struct $list(&'static str);

        impl Word for $list {
            const WHAT: &'static str = $what;

            fn read(text: &str) -> Result<Self, Wrong> {
                $read(text).map(Self)
            }
        }
    )+};
}

names! {
    Refused, "an option that a policy may refuse", refused;
    Allowed, "an option that a policy may allow", allowed;
    Forced, "an option that a policy may force", forced;
}

/// The word of an option that is accepted by default.
fn refused(text: &str) -> Result<&'static str, Wrong> {
    match options::by_name(text) {
        Some(row) if row.may_be_refused() => Ok(row.word()),
        Some(row) => Err(superfluous(format!("`{text}` is refused anyway: {}", row.why))),
        None => Err(unknown(text, Row::may_be_refused)),
    }
}

/// The word of an option that is refused by default.
fn allowed(text: &str) -> Result<&'static str, Wrong> {
    let row = options::by_name(text).ok_or_else(|| unknown(text, Row::may_be_allowed))?;
    match row.rule {
        _ if row.may_be_allowed() => Ok(row.word()),
        Rule::Refuse(cause) => Err(superfluous(format!("`{text}` can never be allowed: {}", cause.never().unwrap_or_default()))),
        Rule::NeedsWord(_) => Err(Wrong::new(
            format!("`{text}` is allowed anyway, unless the gate is root"),
            format!("for a gate that is root, write {}", row.kin),
        )),
        Rule::Drop => Err(superfluous(format!("`{text}` is accepted anyway, and never passed on: {}", row.why))),
        Rule::Pass | Rule::Warn | Rule::NotABackup | Rule::Smaller => Err(superfluous(format!("`{text}` is allowed anyway"))),
    }
}

/// The word of an option that the server's rsync can do alone.
fn forced(text: &str) -> Result<&'static str, Wrong> {
    let row = options::by_name(text).ok_or_else(|| unknown(text, Row::may_be_forced))?;
    match row.force {
        Force::May(_) => Ok(row.word()),
        Force::Never(why) => Err(superfluous(format!("`{text}` can never be forced: {why}"))),
    }
}

fn superfluous(message: String) -> Wrong {
    Wrong::new(message, "remove it from the list")
}

/// The error for an unknown name, with a suggestion.
fn unknown(text: &str, fits: fn(&Row) -> bool) -> Wrong {
    let words: Vec<&str> = options::rows().iter().filter(|row| fits(row)).map(Row::word).collect();
    let plain = text.trim_start_matches('-');
    let mut letters = plain.chars();
    let by_letter = match (letters.next(), letters.next()) {
        (Some(letter), None) => options::by_letter(letter).map(Row::word).filter(|word| !word.is_empty()),
        _ => None,
    };
    let meant = by_letter.or_else(|| words.iter().copied().find(|word| *word == plain)).or_else(|| nearest(plain, words.iter().copied()));
    let help = match meant {
        Some(word) => format!("did you mean `{word}`?"),
        None if words.len() <= SHORT_LIST => format!("these can stand here: {}", words.join(", ")),
        None => "write an option's long name without dashes, as in rsync(1) and docs/options.md".to_owned(),
    };
    Wrong::new(format!("`{}` is not the name of an option", printable(text.as_bytes())), help)
}

/// The longest list of names that is shown whole.
const SHORT_LIST: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn says(read: Result<&'static str, Wrong>, words: &str) -> bool {
        read.is_err_and(|wrong| wrong.message.contains(words))
    }

    #[test]
    fn a_policy_may_name_what_the_table_leaves_to_it() {
        assert_eq!(allowed("iconv"), Ok("iconv"));
        assert_eq!(allowed("zt"), Ok("compress-threads"), "another name for it");
        assert_eq!(allowed("owner"), Ok("owner"));
        assert_eq!(allowed("acls"), Ok("acls"));
        assert_eq!(allowed("usermap").unwrap_err().help, "for a gate that is root, write owner");
        assert!(says(allowed("append"), "hard links") && says(allowed("xattrs"), "is allowed anyway"));
        assert!(says(refused("append"), "is refused anyway") && says(forced("fake-super"), "every symlink would be missing"));
        assert_eq!(refused("xattrs"), Ok("xattrs"));
        assert_eq!(refused("D"), Ok("D"));
        for name in ["", "-", "--xattrs", "X", "xattr", "e", "rsync", "--munge-links"] {
            let all = [allowed(name), refused(name), forced(name)];
            assert!(all.into_iter().all(|read| says(read, "is not the name of an option")), "{name}");
        }
    }

    #[test]
    fn every_row_can_be_widened_or_narrowed_as_its_rule_says_and_no_further() {
        for row in options::rows().iter().filter(|row| !row.word().is_empty()) {
            let (allow, refuse) = (allowed(row.word()), refused(row.word()));
            let is_refused = matches!(row.rule, Rule::Refuse(_));
            assert_eq!(refuse.is_ok(), !is_refused, "{row:?}");
            assert!(allow.is_err() || is_refused || matches!(row.rule, Rule::NeedsWord(_)), "{row:?}");
            if let Rule::Refuse(cause) = row.rule {
                assert_eq!(allow.is_err(), cause.never().is_some(), "{row:?}");
            }
        }
    }
}
