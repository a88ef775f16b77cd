//! What a policy says of options, over the table: names, and what they cover. A name never widens what the table says can
//! never be; it is an error of the policy instead.

use super::{Force, Row, Rule, rows};

/// A policy's `options:`. Every name in it is the word of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// `refuse:` Accepted by the table, refused here.
    pub refuse: Vec<&'static str>,
    /// `allow:` Refused by the table (or to root alone), accepted here.
    pub allow: Vec<&'static str>,
    /// `force:` Done by the server's rsync, whether the client asks for it or not.
    pub force: Vec<&'static str>,
}

impl Choice {
    /// The name by which the policy refuses an option: its own, or that of the option that it is a form of.
    pub fn refuses(&self, row: &Row) -> Option<&'static str> {
        self.refuse.iter().copied().find(|name| covers(name, row))
    }

    /// Whether the policy allows an option.
    pub fn allows(&self, row: &Row) -> bool {
        self.allow.iter().any(|name| covers(name, row))
    }

    /// The options that the server's rsync is given unasked, in the table's order.
    pub fn forced(&self) -> impl Iterator<Item = &'static Row> {
        rows().iter().filter(|row| row.may_be_forced() && self.force.contains(&row.word()))
    }

    /// What comes of them, for the run's log and for `explain`.
    pub fn forces(&self) -> Vec<String> {
        self.forced().map(Row::forced).collect()
    }
}

fn covers(name: &str, row: &Row) -> bool {
    !name.is_empty() && (name == row.word() || name == row.kin)
}

/// Why a name cannot stand where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// No option has this name.
    Unknown,
    /// The table's answer is that already.
    Already(&'static Row),
    /// No policy can allow it, for this cause.
    Never(&'static Row, &'static str),
    /// It goes by the word of the option that it is a form of.
    GoesBy(&'static str),
}

/// The word of an option that a policy refuses by this name.
///
/// # Errors
/// Where there is none, or none that is accepted.
pub fn to_refuse(name: &str) -> Result<&'static str, Unfit> {
    let row = named(name)?;
    if row.may_be_refused() { Ok(row.word()) } else { Err(Unfit::Already(row)) }
}

/// The word of an option that a policy allows by this name.
///
/// # Errors
/// Where there is none, or none that can be allowed and is not.
pub fn to_allow(name: &str) -> Result<&'static str, Unfit> {
    let row = named(name)?;
    if row.may_be_allowed() {
        return Ok(row.word());
    }
    match row.rule {
        Rule::Refuse(cause) => Err(cause.never().map_or(Unfit::Unknown, |why| Unfit::Never(row, why))),
        Rule::NeedsWord(_) => Err(Unfit::GoesBy(row.kin)),
        _ => Err(Unfit::Already(row)),
    }
}

/// The word of an option that a policy forces by this name.
///
/// # Errors
/// Where there is none, or none that the server's rsync can do without the client's.
pub fn to_force(name: &str) -> Result<&'static str, Unfit> {
    let row = named(name)?;
    match row.force {
        Force::May(_) => Ok(row.word()),
        Force::Never(why) => Err(Unfit::Never(row, why)),
    }
}

/// The row with a long spelling of this name, or without any and with this word.
fn named(name: &str) -> Result<&'static Row, Unfit> {
    let is_named =
        |row: &&Row| row.long.iter().any(|long| long.strip_prefix("--") == Some(name)) || (row.word() == name && !name.is_empty());
    rows().iter().find(is_named).ok_or(Unfit::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::options::{Value, by_long};

    #[test]
    fn a_policy_may_name_what_the_table_leaves_to_it() {
        assert_eq!(to_allow("iconv"), Ok("iconv"));
        assert_eq!(to_allow("zt"), Ok("compress-threads"), "another name for it");
        assert_eq!(to_allow("owner"), Ok("owner"));
        assert_eq!(to_allow("acls"), Ok("acls"));
        assert_eq!(to_allow("usermap"), Err(Unfit::GoesBy("owner")));
        assert!(matches!(to_allow("append"), Err(Unfit::Never(_, why)) if why.contains("hard links")));
        assert!(matches!(to_allow("xattrs"), Err(Unfit::Already(_))));
        assert!(matches!(to_refuse("append"), Err(Unfit::Already(_))));
        assert_eq!(to_refuse("xattrs"), Ok("xattrs"));
        assert_eq!(to_refuse("D"), Ok("D"));
        for name in ["", "-", "--xattrs", "X", "xattr", "e", "rsync"] {
            assert_eq!((to_allow(name), to_refuse(name)), (Err(Unfit::Unknown), Err(Unfit::Unknown)), "{name}");
        }
    }

    #[test]
    fn every_row_can_be_widened_or_narrowed_as_its_rule_says_and_no_further() {
        for row in rows().iter().filter(|row| !row.word().is_empty()) {
            let (allow, refuse) = (to_allow(row.word()), to_refuse(row.word()));
            let refused = matches!(row.rule, Rule::Refuse(_));
            assert_eq!(refuse.is_ok(), !refused, "{row:?}");
            assert!(allow.is_err() || refused || matches!(row.rule, Rule::NeedsWord(_)), "{row:?}");
            if let Rule::Refuse(cause) = row.rule {
                assert_eq!(allow.is_err(), cause.never().is_some(), "{row:?}");
            }
        }
    }

    #[test]
    fn only_what_the_servers_side_can_do_alone_is_forced() {
        let can: Vec<_> = rows().iter().filter(|row| row.may_be_forced()).map(Row::word).collect();
        assert_eq!(can, ["munge-links"]);
        assert!(matches!(to_force("fake-super"), Err(Unfit::Never(_, why)) if why.contains("every symlink would be missing")));
        assert_eq!((to_force("--munge-links"), to_force("")), (Err(Unfit::Unknown), Err(Unfit::Unknown)));
        for row in rows().iter().filter(|row| row.may_be_forced()) {
            // What is printed is the long spelling, without a value; and who forces it has to know that clients may not ask.
            assert!(!row.word().is_empty() && matches!(row.value, Value::None) && matches!(row.rule, Rule::Refuse(_)), "{row:?}");
            let choice = Choice { force: vec![row.word()], ..Choice::default() };
            assert!(choice.forced().eq([row]) && !choice.allows(row) && choice.refuses(row).is_none(), "{row:?}");
        }
    }

    #[test]
    fn a_name_covers_the_forms_of_its_option() {
        let choice = Choice { refuse: vec!["delete", "compress"], allow: vec!["owner"], ..Choice::default() };
        for long in ["--delete", "--delete-during", "--delete-excluded", "--del"] {
            assert_eq!(choice.refuses(by_long(long).unwrap()), Some("delete"), "{long}");
        }
        assert_eq!(choice.refuses(by_long("--compress-choice").unwrap()), Some("compress"));
        assert_eq!(choice.refuses(by_long("--max-delete").unwrap()), None);
        assert!(choice.allows(by_long("--usermap").unwrap()) && !choice.allows(by_long("--groupmap").unwrap()));
        assert!(!choice.allows(by_long("--append").unwrap()));
        for row in rows().iter().filter(|row| !row.kin.is_empty()) {
            assert!(rows().iter().any(|other| other.word() == row.kin), "{row:?}");
        }
    }
}
