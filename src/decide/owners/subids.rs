//! `/etc/subuid` and `/etc/subgid` as text (subuid(5), subgid(5)), and conflicts in them.
//!
//! Other lines are ignored, as newuidmap(1) does, which has the last word.

use std::path::Path;

use crate::decide::host::names;
use crate::decide::owners::Kind;
use crate::decide::policy::lint::Finding;
use crate::terms::limits::MAX_ID_RANGES;
use crate::terms::text::{digits, printable_name};
use crate::terms::{Account, IdRange, Mapping, Origin};

/// newuidmap(1) and newgidmap(1), of the package uidmap.
pub(crate) const HELPERS: [&str; 2] = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];

/// How many conflicts of a range are named.
const NAMED: usize = 3;

impl Kind {
    /// Where accounts get ids for others.
    pub(crate) fn file(self) -> &'static str {
        if self == Self::User { "/etc/subuid" } else { "/etc/subgid" }
    }

    /// The database of this machine's own.
    pub(crate) fn known(self) -> &'static str {
        if self == Self::User { "/etc/passwd" } else { "/etc/group" }
    }

    fn own(self, account: &Account) -> u32 {
        if self == Self::User { account.uid } else { account.group }
    }
}

/// The ranges of an account, by its name or number, in order. The first of two lines with an id
/// counts; at most [`MAX_ID_RANGES`].
pub(crate) fn ranges(text: &[u8], ids: Kind, account: &Account) -> Vec<IdRange> {
    let mut found: Vec<IdRange> = Vec::new();
    for range in lines(text).filter_map(|line| Line::read(line)?.range_of(ids, account)) {
        if found.len() < MAX_ID_RANGES && !found.iter().any(|before| before.overlaps(range)) {
            found.push(range);
        }
    }
    found
}

/// Who may use an id for others; the first line counts.
pub(crate) fn given_to(text: &[u8], id: u32) -> Option<String> {
    let mut given = lines(text).filter_map(Line::read);
    given.find_map(|line| IdRange::new(line.first, line.count).is_some_and(|range| range.contains(id)).then(|| line.whose.to_owned()))
}

/// Every id that an account may use for others, even those that no map can have.
pub(crate) fn all_of(text: &[u8], account: &Account) -> Vec<IdRange> {
    let given = lines(text).filter_map(Line::read).filter(|line| line.is_of(account));
    given.filter_map(|line| IdRange::new(line.first, line.count)).collect()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// A line of such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line<'a> {
    whose: &'a str,
    first: u32,
    count: u32,
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let mut fields = str::from_utf8(line).ok()?.split(':');
        let (whose, first, count) = (fields.next()?, digits(fields.next()?)?, digits(fields.next()?)?);
        fields.next().is_none().then_some(Self { whose, first, count })
    }

    fn is_of(&self, account: &Account) -> bool {
        self.whose == account.name || digits(self.whose) == Some(account.uid)
    }

    /// The range that a map may have. It may not contain the account's own id.
    fn range_of(&self, ids: Kind, account: &Account) -> Option<IdRange> {
        IdRange::new(self.first, self.count).filter(|range| self.is_of(account) && !range.contains(ids.own(account)))
    }

    /// The same if the account's map has it.
    fn used_by(&self, ids: Kind, account: &Account, mapping: &Mapping) -> Option<IdRange> {
        self.range_of(ids, account).filter(|range| ids.map(mapping).ranges().contains(range))
    }

    /// Whether an id is in both. Others' lines may have root's id, and more than there are.
    fn meets(&self, range: IdRange) -> bool {
        let end = |first: u32, count: u32| u64::from(first) + u64::from(count);
        u64::from(self.first.max(range.first())) < end(self.first, self.count).min(end(range.first(), range.count()))
    }
}

/// Ids in which accounts keep owners, and which somebody else has too: a user or group of this
/// machine, or another account's range. `text` and `known` are the two files.
pub(crate) fn shared(ids: Kind, text: &[u8], known: &[u8], accounts: &[(Account, Mapping)]) -> Vec<Finding> {
    let given: Vec<_> = lines(text).zip(1..).filter_map(|(line, at)| Some((Line::read(line)?, at))).collect();
    let known: Vec<_> = lines(known).filter_map(names::entry).collect();
    let mut found = Vec::new();
    for (position, (account, mapping)) in accounts.iter().enumerate() {
        // Earlier accounts' ranges were checked against all lines already.
        let checked = accounts.get(..position).unwrap_or_default();
        let is_checked = |line: &Line<'_>| checked.iter().any(|(earlier, mapping)| line.used_by(ids, earlier, mapping).is_some());
        let used = given.iter().filter_map(|(line, at)| Some((line.used_by(ids, account, mapping)?, *at)));
        for (range, at) in used {
            let somebody = known.iter().filter(|(_, id)| range.contains(*id));
            let others = given.iter().filter(|(line, _)| !line.is_of(account) && line.meets(range) && !is_checked(line));
            let what = if ids == Kind::User { "account" } else { "group" };
            let somebody = somebody.map(|(name, id)| format!("{id} is the {what} `{}`", printable_name(name)));
            let others = others.map(|(line, at)| format!("line {at} gives some to `{}`", printable_name(line.whose.as_bytes())));
            let conflicts: Vec<_> = somebody.chain(others).collect();
            if !conflicts.is_empty() {
                found.push(finding(ids, range, account, at, &conflicts));
            }
        }
    }
    found
}

fn finding(ids: Kind, range: IdRange, account: &Account, line: usize, conflicts: &[String]) -> Finding {
    let (named, more) = conflicts.split_at_checked(NAMED).unwrap_or((conflicts, &[]));
    let mut conflicts = named.join(", ");
    if !more.is_empty() {
        conflicts.push_str(&format!(" and {} more", more.len()));
    }
    let last = range.first().saturating_add(range.count() - 1);
    let message = format!("the ids {}-{last} of `{}` are not its alone: {conflicts}", range.first(), account.name);
    let option = if ids == Kind::User { "subuids" } else { "subgids" };
    let help = format!(
        "give one of them others before it stores anything (usermod --del-{option} FIRST-LAST --add-{option} FIRST-LAST NAME); \
         a repository that has files in such ids needs them as they are"
    );
    let origin = Origin { file: Path::new(ids.file()).to_owned(), line };
    Finding::wrong(origin, message, help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::IdMap;

    fn account(name: &str, uid: u32, group: u32) -> Account {
        Account { name: name.to_owned(), uid, group }
    }

    #[test]
    fn an_id_is_found_with_whom_it_is_given_to() {
        let text = b"web1:100000:10\nodd\n1002:100010:5\nweb3:100012:9\nweb4:0:5\n";
        let given = [99_999, 100_009, 100_012, 100_015, 100_021, 0].map(|id| given_to(text, id));
        assert_eq!(given.each_ref().map(Option::as_deref), [None, Some("web1"), Some("1002"), Some("web3"), None, None]);
    }

    #[test]
    fn an_account_has_what_stands_under_its_name_and_its_number() {
        let text = b"root:100000:65536\nweb1:165536:65536\n# a remark\n\nweb11:231072:65536\n1001:300000:10\nweb1:165540:5\nweb1:400000:0\n\
            web1:0:65536\nweb1:-5:10\nweb1:+500000:10\nweb1:600000\nweb1:700000:10:9\nweb1:1000:2\nweb1:4294967290:5\n\xff:1:1\nweb1:800000:3";
        let web1 = account("web1", 1001, 1001);
        let found: Vec<_> = ranges(text, Kind::User, &web1).into_iter().map(|range| (range.first(), range.count())).collect();
        assert_eq!(found, [(165_536, 65_536), (300_000, 10), (4_294_967_290, 5), (800_000, 3)]);
        assert_eq!(ranges(text, Kind::User, &account("web", 7, 7)), []);
        let many: String = (0..1000).map(|number| format!("web1:{}:1\n", 10_000 + number)).collect();
        assert_eq!(ranges(many.as_bytes(), Kind::User, &web1).len(), MAX_ID_RANGES);
    }

    #[test]
    fn a_range_that_holds_the_account_itself_or_its_group_is_not_used() {
        let text = b"web1:1000:10\nweb1:2000:10\n";
        let first = |ids, account: &Account| ranges(text, ids, account).iter().map(|range| range.first()).collect::<Vec<_>>();
        let (web1, staff) = (account("web1", 1001, 1001), account("web1", 1001, 2005));
        assert_eq!((first(Kind::User, &web1), first(Kind::Group, &web1)), (vec![2000], vec![2000]));
        assert_eq!((first(Kind::User, &staff), first(Kind::Group, &staff)), (vec![2000], vec![1000]));
    }

    fn conflicts(ids: Kind, text: &str, known: &str, accounts: &[Account]) -> Vec<String> {
        let map = |account: &Account| IdMap::new(ranges(text.as_bytes(), ids, account)).unwrap();
        let mapped = |account: &Account| (account.clone(), Mapping { users: map(account), groups: map(account) });
        let accounts: Vec<_> = accounts.iter().map(mapped).collect();
        let found = shared(ids, text.as_bytes(), known.as_bytes(), &accounts);
        assert!(found.iter().all(|finding| finding.wrong && finding.help.starts_with("give one of them others")), "{found:?}");
        found.iter().map(|finding| format!("{}: {}", finding.origin.line, finding.message)).collect()
    }

    const ALONE: &str = "are not its alone:";

    #[test]
    fn ids_that_another_account_has_for_others_are_found_and_each_pair_once() {
        let (web1, web2) = (account("web1", 1001, 1001), account("web2", 1002, 1002));
        let apart = "web1:100000:65536\nweb2:165536:65536\n1001:300000:10\nweb1:400000:10\nweb1:400005:10\n";
        for ids in [Kind::User, Kind::Group] {
            assert_eq!(conflicts(ids, apart, "", &[web1.clone(), web2.clone()]), [""; 0]);
        }
        for (other, is_shared) in [
            ("165535:1", true),
            ("165536:1", false),
            ("99999:1", false),
            ("99999:2", true),
            ("0:4294967295", true),
            ("100000:4294967295", true),
            ("120000:5", true),
            ("120000:0", false),
            ("nothing:5", false),
        ] {
            let text = format!("# mine\nweb1:100000:65536\nlxd:{other}\n");
            let expected = format!("2: the ids 100000-165535 of `web1` {ALONE} line 3 gives some to `lxd`");
            let expected = if is_shared { vec![expected] } else { Vec::new() };
            assert_eq!(conflicts(Kind::User, &text, "", std::slice::from_ref(&web1)), expected, "{other}");
        }
        let both = "web2:100000:65536\nweb1:100000:65536\n";
        let checked = conflicts(Kind::Group, both, "", &[web1.clone(), web2]);
        assert_eq!(checked, [format!("2: the ids 100000-165535 of `web1` {ALONE} line 1 gives some to `web2`")]);
        // What the other may map and the gate would not is as good as any.
        let unused = "web1:100000:10\nweb1:1000:10\nweb2:1005:10\n";
        let checked = conflicts(Kind::User, unused, "", &[web1.clone(), account("web2", 2, 2)]);
        assert_eq!(checked, [format!("3: the ids 1005-1014 of `web2` {ALONE} line 2 gives some to `web1`")]);
        // A range that is not used does no harm.
        assert_eq!(conflicts(Kind::User, "web1:100000:10\nweb1:100005:100\nlxd:100050:5\n", "", &[web1]), [""; 0]);
    }

    #[test]
    fn ids_that_are_somebody_s_on_this_machine_are_found() {
        let web1 = account("web1", 1001, 1001);
        let known = "root:x:0:0::/:\nweb1:x:1001:\n+nis::2003:\nbob:x:2000:\nann:x:2009:\neve:x:2010:\n\x1b[2Jodd:x:2001:\nodder:x:2002:\n";
        let found = conflicts(Kind::User, "web1:2000:10\n", known, std::slice::from_ref(&web1));
        let four = "2000 is the account `bob`, 2009 is the account `ann`, 2001 is the account `\\u{1b}[2Jodd` and 1 more";
        assert_eq!(found, [format!("1: the ids 2000-2009 of `web1` {ALONE} {four}")]);
        let found = conflicts(Kind::Group, "web1:2009:1\nlxd:2009:9\n", known, &[web1]);
        assert_eq!(found, [format!("1: the ids 2009-2009 of `web1` {ALONE} 2009 is the group `ann`, line 2 gives some to `lxd`")]);
    }
}
