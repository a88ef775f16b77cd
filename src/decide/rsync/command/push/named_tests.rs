//! Maps of ids that name an account of the server's.

use super::*;
use crate::decide::rsync::command::{Command, parse as command};
use crate::terms::Said;

/// A push of `options` to `dst/`.
fn with(options: &str) -> Result<Push, Vec<Reason>> {
    let command = command(&Said::Command(format!("rsync --server {options} . dst/").into_bytes()))?;
    let Command::Push(push) = command else { panic!("{command:?}") };
    Ok(push)
}

#[test]
fn an_account_that_keeps_no_owners_may_name_itself_and_nobody_else() {
    let web1 = Account { name: "web1".to_owned(), uid: 1001, group: 1002 };
    let refused = |text: &str, owners: &Owners| with(text).unwrap().refused_for(&Choice::default(), owners, &web1).len();
    for own in
        [r"-logDtpre.iLsfxCIvu --usermap=\*:web1 --groupmap=\*:web1", "-r --usermap=root:web1,0-99:1001", "-r --groupmap=web1:1002,7:web1"]
    {
        assert_eq!(refused(own, &Owners::Account), 0, "{own}");
        let push = with(own).unwrap();
        assert!(
            !push.words().iter().any(|word| word.contains("map")) && push.notes().join(" ").contains("not passed on: whatever"),
            "{own}"
        );
        assert_ne!(push.refused_by(&Choice::default(), &Owners::Account), [], "{own}: whoever it is");
        for owners in [Owners::Real, Owners::Undecided] {
            assert_ne!(refused(own, &owners), 0, "{own} {owners:?}");
        }
    }
    for other in [
        "-r --usermap=1:web2", "-r --usermap=1:web1,2:web2", "-r --usermap=1:web", "-r --groupmap=7:web1,8:staff",
        "-r --usermap=1:web1,2:1002",
    ] {
        let reasons = with(other).unwrap().refused_for(&Choice::default(), &Owners::Account, &web1);
        assert!(reasons.len() == 1 && reasons[0].hint.as_ref().unwrap().contains("use pairs like"), "{other}: {reasons:?}");
    }
    let jane = Account { name: "DOM\\jane".to_owned(), ..web1 };
    assert!(with(r"-r --usermap=\*:DOM\\jane").unwrap().refused_for(&Choice::default(), &Owners::Account, &jane).is_empty());
    let web1 = Account { name: "web1".to_owned(), ..jane };
    let forbidden = Choice { refuse: vec!["usermap"], ..Choice::default() };
    assert_eq!(with("-r --usermap=1:web1").unwrap().refused_for(&forbidden, &Owners::Account, &web1).len(), 1);
}
