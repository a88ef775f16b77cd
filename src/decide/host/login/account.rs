//! Whether an account is locked or expired, by its line of shadow(5).

use shell_words::quote;

use super::Entry;
use serde::{Deserialize, Serialize};

use crate::decide::policy::lint::Finding;

/// The fields of that line. Days count from 1970; -1 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    locked: bool,
    changed: i64,
    lasts: i64,
    grace: i64,
    ends: i64,
}

/// Finds the account's line.
pub(crate) fn shadow(text: &[u8], account: &str) -> Option<Shadow> {
    let line =
        text.split(|byte| *byte == b'\n').find(|line| line.strip_prefix(account.as_bytes()).is_some_and(|rest| rest.starts_with(b":")))?;
    let line = String::from_utf8_lossy(line);
    let field = |number: usize| line.split(':').nth(number).unwrap_or_default();
    let days = |number: usize| field(number).parse().unwrap_or(-1);
    Some(Shadow { locked: field(1).starts_with('!'), changed: days(2), lasts: days(4), grace: days(6), ends: days(7) })
}

/// Why nobody can log in on this day. Without PAM sshd checks less (`allowed_user` in its auth.c).
pub(crate) fn shut(entry: Entry<'_>, pam: bool, shadow: Shadow, today: i64) -> Option<Finding> {
    let Shadow { locked, changed, lasts, grace, ends } = shadow;
    let (account, quoted) = (entry.account, quote(entry.account));
    let wrong = |message: String, help: String| Some(Finding::wrong(entry.user.clone(), message, help));
    if ends >= 0 && (today > ends || (pam && today == ends)) {
        return wrong(format!("the account `{account}` has expired: sshd lets nobody in"), format!("chage -E -1 {quoted}"));
    }
    if locked && !pam {
        let message = format!("the password of `{account}` is locked, and without PAM sshd lets nobody in then");
        return wrong(message, format!("usermod -p '*' {quoted}: it has no password, and is not locked"));
    }
    let age = today - changed;
    if pam && changed >= 0 && (changed == 0 || (lasts >= 0 && age > lasts)) {
        let message = if lasts >= 0 && grace >= 0 && age > lasts + grace {
            format!("the password of `{account}` has expired: PAM lets nobody in")
        } else {
            format!("the password of `{account}` has to be changed: until then no login runs anything")
        };
        return wrong(message, format!("chage -d $(date +%F) -M -1 {quoted}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::host::login::tests::entry;
    use crate::terms::Origin;
    use std::path::Path;

    #[test]
    fn an_account_is_shut_by_its_dates_and_by_its_password_as_sshd_or_pam_has_it() {
        let origin = Origin { file: "web1.yaml".into(), line: 1 };
        let finding = |line: &str, pam| {
            let text = format!("root:*:1:0:99999:7:::\nweb10:!:1::::::\n{line}\n");
            let found = shadow(text.as_bytes(), "web1").unwrap();
            shut(entry(&origin, Path::new("/bin/sh")), pam, found, 20_000).map(|found| format!("{}\n{}", found.message, found.help))
        };
        for (line, with_pam, without) in [
            ("web1:*:19000:0:99999:7:::", "", ""),
            ("web1:x:::::::", "", ""),
            ("web1:!:19000:0:99999:7:::", "", "is locked, and without PAM"),
            ("web1:!$y$abc:19000:0:99999:7:::", "", "usermod -p '*' web1"),
            ("web1:*:19000:0:99999:7::19999:", "has expired: sshd lets nobody in\nchage -E -1 web1", "has expired: sshd"),
            ("web1:*:19000:0:99999:7::20000:", "has expired: sshd", ""),
            ("web1:*:19000:0:99999:7::20001:", "", ""),
            ("web1:*:0:0:99999:7:::", "has to be changed", ""),
            ("web1:*:19000:0:90:7:::", "has to be changed", ""),
            ("web1:*:19000:0:90:7:30::", "has expired: PAM", ""),
            ("web1:*:19990:0:90:7:30::", "", ""),
        ] {
            for (pam, words) in [(true, with_pam), (false, without)] {
                let found = finding(line, pam).unwrap_or_default();
                assert!(found.contains(words) && found.is_empty() == words.is_empty(), "{line} {pam}: {found}");
            }
        }
        assert_eq!(shadow(b"web10:*:1\n", "web1"), None);
    }
}
