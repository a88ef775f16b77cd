//! What `/etc/subuid` and `/etc/subgid` give an account, as text (subuid(5), subgid(5)).
//!
//! What has another form is passed over, as newuidmap(1) does, which reads the same files and has the last word.

use crate::terms::limits::MAX_ID_RANGES;
use crate::terms::{Account, IdRange};

/// Ids of users (subuid(5)).
pub const USERS: &str = "/etc/subuid";
/// Ids of groups (subgid(5)).
pub const GROUPS: &str = "/etc/subgid";
/// Who maps them: newuidmap(1) and newgidmap(1), of the package uidmap.
pub const HELPERS: [&str; 2] = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];

/// The ranges of an account, in the order of its lines, under its name or under its number. Of lines that give an id twice the first
/// counts; at most [`MAX_ID_RANGES`].
pub fn ranges(text: &[u8], account: &Account) -> Vec<IdRange> {
    let mut found: Vec<IdRange> = Vec::new();
    for range in text.split(|byte| *byte == b'\n').filter_map(|line| range(line, account)) {
        if found.len() < MAX_ID_RANGES && !found.iter().any(|before| before.overlaps(range)) {
            found.push(range);
        }
    }
    found
}

fn range(line: &[u8], account: &Account) -> Option<IdRange> {
    let mut fields = str::from_utf8(line).ok()?.split(':');
    let (whose, first, count) = (fields.next()?, number(fields.next()?)?, number(fields.next()?)?);
    let is_theirs = whose == account.name || number(whose) == Some(account.uid);
    // An account that is in a range of its own could not be told from the client's ids.
    IdRange::new(first, count).filter(|range| is_theirs && fields.next().is_none() && !range.contains(account.uid))
}

fn number(word: &str) -> Option<u32> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_what_stands_under_its_name_and_its_number() {
        let text = b"root:100000:65536\nweb1:165536:65536\n# a remark\n\nweb11:231072:65536\n1001:300000:10\nweb1:165540:5\nweb1:400000:0\n\
            web1:0:65536\nweb1:-5:10\nweb1:+500000:10\nweb1:600000\nweb1:700000:10:9\nweb1:1000:2\nweb1:4294967290:5\n\xff:1:1\nweb1:800000:3";
        let account = Account { name: "web1".to_owned(), uid: 1001 };
        let found: Vec<_> = ranges(text, &account).into_iter().map(|range| (range.first(), range.count())).collect();
        assert_eq!(found, [(165_536, 65_536), (300_000, 10), (4_294_967_290, 5), (800_000, 3)]);
        assert_eq!(ranges(text, &Account { name: "web".to_owned(), uid: 7 }), []);
        let many: String = (0..1000).map(|number| format!("web1:{}:1\n", 10_000 + number)).collect();
        assert_eq!(ranges(many.as_bytes(), &account).len(), MAX_ID_RANGES);
    }
}
