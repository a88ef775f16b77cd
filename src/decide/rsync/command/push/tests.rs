use proptest::prelude::*;

use super::*;
use crate::decide::rsync::command::{Command, parse as command};
use crate::decide::rsync::options::{Check, Choice, Row, Runs, Value};
use crate::terms::Original;
use crate::terms::limits::{MAX_REASONS, MAX_SHOWN_WORD};

fn parsed(text: &str) -> Result<Push, Vec<Reason>> {
    let command = command(&Original::Command(text.as_bytes().to_vec()))?;
    // Right behind `--server` it is another command.
    if command.pulls() {
        return Err(vec![options::by_long("--sender").unwrap().refusal(Cause::Pull, "--sender")]);
    }
    let Command::Push(push) = command else { panic!("{command:?}") };
    Ok(push)
}

impl Push {
    /// Why it is refused for an account that no option names.
    pub(super) fn refused_by(&self, choice: &Choice, owners: &Owners) -> Vec<Reason> {
        self.refused_for(choice, owners, &Account { name: "no-account".to_owned(), uid: 4_000_000_000, group: 4_000_000_000 })
    }
}

/// Why a push of `options` that can be read is refused.
fn refusals(options: &str) -> Vec<Reason> {
    with(options).unwrap().refused_by(&Choice::default(), &Owners::Account)
}

/// A push of `options` to `dst/`.
fn with(options: &str) -> Result<Push, Vec<Reason>> {
    parsed(&format!("rsync --server {options} . dst/"))
}

fn printed(options: &str) -> String {
    with(options).unwrap().words().join(" ")
}

fn refused(options: &str) -> Vec<String> {
    with(options).unwrap_err().into_iter().map(|reason| format!("{}: {}", reason.code, reason.says)).collect()
}

#[test]
fn options_are_printed_in_one_order_and_without_the_in_place_capability() {
    assert_eq!(printed("-logDtprze.iLsfxCIvu --delete"), "-logDtprze.iLsfxCvu --delete");
    assert_eq!(printed("-rptDgole.iLsfxCIvu"), printed("-logDtpre.iLsfxCIvu"));
    assert_eq!(printed("-g -l -o -p -D -r -t -z --delete-before"), "-logDtprz --delete-before");
    assert_eq!(printed("-e31.14iLsfI"), "-e31.14iLsf");
    assert_eq!(printed("-rr -ll -HHH -xx"), "-lHHrxx");
    assert_eq!(printed("--relative --recursive --fuzzy --links"), "-lyyrR");
    assert_eq!(printed(""), "");
}

#[test]
fn values_are_read_in_each_way_that_clients_write_them_and_printed_in_one() {
    assert_eq!(printed("-r --min-size 1 --max-size 1G"), "-r --max-size=1G --min-size=1");
    assert_eq!(printed("-r --min-size=1"), "-r --min-size=1");
    assert_eq!(printed("-r -B1024 -@-1"), "-r --block-size=1024 --modify-window=-1");
    assert_eq!(printed("-r --bwlimit=5 --bwlimit=7"), "-r --bwlimit=7", "the last one counts, as for rsync");
    assert_eq!(printed(r"-r --usermap=\*:root"), "-r --usermap=*:0", "nobody is looked up");
    assert!(refusals(r"-r --usermap=\*:backup")[0].hint.as_ref().unwrap().contains("numbers"));
    for wrong in ["--bwlimit 5", "--bwlimit", "--bwlimit=", "--bwlimit=x", "--delete=1", "-B", "-B0", "--max-size", "-e", "-essh"] {
        let reasons = with(&format!("-r {wrong}")).unwrap_err();
        assert_eq!(reasons[0].code, Code::Option, "{wrong}: {reasons:?}");
    }
}

#[test]
fn only_exact_spellings_are_known() {
    for wrong in ["--del=x", "--dele", "--numeric", "--partial-di x", "--Delete", "---delete", "--", "-Z", "--log-format=%n", "--no-o"] {
        let reasons = refused(&format!("-r {wrong}"));
        assert!(reasons[0].starts_with("option: rsync's `-"), "{wrong}: {reasons:?}");
    }
    assert_eq!(refused("-lZrZ")[0], "option: rsync's `-Z` is not allowed: it is not an option that is known here");
    assert_eq!(refused("-lZrZ").len(), 1, "a letter is named once");
    assert!(refused("-lÜr")[0].contains("`-Ü`"));
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

/// A value that the option takes.
fn sample(row: &Row) -> Option<&'static str> {
    let samples = ["1", "x", "%i", "md5", "zstd", "NAME1", "a:7", ".iLs", "utf-8", "2G"];
    match row.value {
        Value::None => None,
        // One that fits no check of an option that is passed on.
        Value::Either(Check::Anything) => Some("x"),
        Value::Attached(check) | Value::Either(check) => Some(samples.into_iter().find(|value| check.allows(value)).unwrap()),
    }
}

/// Nothing that a client sends is changed or dropped without a note.
fn is_printed_as_it_was_sent_or_noted(row: &Row, spelled: &str, push: &Push) {
    let words = push.words();
    let as_sent = match (row.letter, &row.long) {
        (Some('e'), _) => words == [spelled],
        (Some(letter), _) if matches!(row.value, Value::None) => words == [format!("-{letter}")],
        (_, long) => {
            let value = sample(row).map(|value| format!("={value}")).unwrap_or_default();
            words == [format!("{}{value}", long[0])] || push.timeout().is_some()
        }
    };
    let notes: Vec<_> = push.notes().iter().filter(|note| note.starts_with(&format!("`{}", spelled.split('=').next().unwrap()))).collect();
    let is_whole = as_sent && (row.but.is_empty() || row.letter == Some('e'));
    assert_eq!(notes.len(), usize::from(!is_whole), "{spelled}: {words:?}, {:?}", push.notes());
    assert_eq!(notes.len(), push.notes().len(), "{spelled}: {:?}", push.notes());
    assert!(row.rule != Rule::Drop || notes[0].ends_with(&format!(" was not passed on: {}", row.why)), "{spelled}: {notes:?}");
}

#[test]
fn every_row_of_the_table_becomes_what_its_rule_says() {
    for row in options::rows() {
        for spelled in spellings(row) {
            if row.long.contains(&"--secluded-args") {
                assert_eq!(with(&spelled).unwrap_err()[0].code, Code::Command, "a destination is there already");
                continue;
            }
            let result = with(&spelled);
            match row.rule {
                Rule::Refuse(cause) if !row.may_be_allowed() => {
                    let reasons = result.unwrap_err();
                    assert!(reasons.iter().all(|reason| reason.code == cause.code()), "{spelled}: {reasons:?}");
                    assert!(reasons[0].hint.is_some() && reasons[0].remedy.is_some(), "{spelled}");
                }
                rule @ (Rule::Pass | Rule::Drop | Rule::Warn | Rule::NotABackup | Rule::Smaller | Rule::NeedsWord(_) | Rule::Refuse(_)) => {
                    let push = result.unwrap_or_else(|reasons| panic!("{spelled}: {reasons:?}"));
                    let words = push.words();
                    let expected = usize::from(!matches!(rule, Rule::Drop | Rule::Smaller));
                    assert_eq!(words.len(), expected, "{spelled}: {words:?}");
                    is_printed_as_it_was_sent_or_noted(row, &spelled, &push);
                    assert_eq!(push.widened().len(), usize::from(row.may_be_allowed() && matches!(rule, Rule::Refuse(_))), "{spelled}");
                    assert_eq!(push.warnings().len(), usize::from(rule == Rule::Warn), "{spelled}");
                    assert_eq!(push.is_dry(), rule == Rule::NotABackup, "{spelled}");
                    assert_eq!(push.timeout().is_some(), rule == Rule::Smaller, "{spelled}");
                    let refused = |choice: &Choice, owners| push.refused_by(choice, owners).len();
                    let by_default = usize::from(matches!(rule, Rule::Refuse(_)));
                    for owners in [&Owners::Account, &Owners::Real] {
                        let expected = by_default + usize::from(matches!(rule, Rule::NeedsWord(runs) if Runs::with(owners) == Some(runs)));
                        assert_eq!(refused(&Choice::default(), owners), expected, "{spelled}");
                    }
                    let word = if row.kin.is_empty() { row.word() } else { row.kin };
                    assert_eq!(refused(&Choice { allow: vec![word], refuse: vec![], ..Choice::default() }, &Owners::Real), 0, "{spelled}");
                    let named = refused(&Choice { refuse: vec![row.word()], allow: vec![], ..Choice::default() }, &Owners::Real);
                    assert_eq!(named, usize::from(row.letter != Some('e')), "{spelled}");
                }
            }
        }
    }
}

#[test]
fn an_option_that_a_policy_may_allow_is_still_held_to_its_values() {
    assert_eq!(printed("-r --iconv=utf-8 --compress-threads 2 --max-alloc 2G"), "-r --iconv=utf-8 --max-alloc=2G --compress-threads=2");
    for wrong in ["--iconv=ISO-2022-CN-EXT", "--iconv=.", "--iconv", "--max-alloc=0", "--max-alloc=99T", "--zt=121", "--preallocate=1"] {
        let reasons = with(&format!("-r {wrong}")).unwrap_err();
        let hint = reasons[0].hint.as_deref().unwrap();
        assert!(reasons[0].says.contains("its value is") || reasons[0].says.contains("it takes no value"), "{wrong}: {reasons:?}");
        assert!(hint.contains("leave") && hint.contains("where the policy allows it"), "{wrong}: {hint}");
    }
}

#[test]
fn a_policy_narrows_and_widens() {
    let push = with("-aXe.iLs").unwrap_err();
    assert!(push[0].says.contains("spells out"), "{push:?}");
    let push = with("-rXAle.iLs --delete-during --safe-links").unwrap();
    let parsed = |refuse: &[&'static str], allow: &[&'static str]| {
        let choice = Choice { refuse: refuse.to_vec(), allow: allow.to_vec(), ..Choice::default() };
        push.refused_by(&choice, &Owners::Account).into_iter().map(|reason| reason.says).collect::<Vec<_>>().join("; ")
    };
    assert!(parsed(&[], &[]).contains("`--safe-links` is not allowed: the snapshot would silently lack symlinks"));
    assert_eq!(parsed(&[], &["safe-links", "acls"]), "");
    let narrowed = parsed(&["xattrs", "acls", "delete", "links"], &["safe-links"]);
    for word in ["`-X`", "`-A`", "`--delete-during`", "`-l`"] {
        assert!(narrowed.contains(&format!("rsync's {word} is not allowed: the policy refuses it")), "{narrowed}");
    }
    let reasons = push
        .refused_by(&Choice { refuse: vec!["delete", "links"], allow: vec!["safe-links", "acls"], ..Choice::default() }, &Owners::Account);
    assert_eq!(reasons[0].hint.as_deref(), Some("leave it out: `-a` brings it, and --no-l takes it back"));
    assert!(reasons[1].remedy.as_deref().unwrap().contains("remove `delete`"), "its kin is what stands in the policy: {reasons:?}");
}

#[test]
fn what_is_not_passed_on_is_noted() {
    let push = with("-vvvre.I --inplace --partial-dir .p --link-dest ../a --link-dest /b --timeout=60").unwrap();
    assert_eq!(push.words(), ["-vvre."]);
    assert_eq!(push.timeout(), Some(60));
    assert_eq!(push.notes().len(), 5, "{:?}", push.notes());
    assert!(push.notes().iter().any(|note| note.starts_with("`-e .I` was passed on in part: without the letter `I`")));
    assert!(push.notes().iter().any(|note| note.starts_with("`--partial-dir .p` was not passed on:")));
    assert_eq!(with("-r --partial --partial-dir=x").unwrap().words(), ["-r"]);
    let minute = |seconds| with(&format!("-r --timeout={seconds}")).unwrap().outlasted(Duration::from_secs(60));
    assert_eq!((minute(59), minute(60)), (None, None));
    assert_eq!(minute(61).unwrap(), "`--timeout 61` was not passed on: the server's limit is 60 seconds");
    assert_eq!(with("-yr").unwrap().notes()[0], "`-y` was passed on as `-yy`: a similar file is looked for, in the newest snapshot too");
    assert!(with("-yyre.iLs").unwrap().notes().is_empty());
    for wrong in ["--timeout=0", "--timeout=86401", "--timeout=-1"] {
        assert!(refused(wrong)[0].starts_with("option: "), "{wrong}");
    }
}

#[test]
fn a_value_is_never_mistaken_for_the_separator() {
    let codes = |options: &str| with(options).unwrap_err().iter().map(|reason| reason.code).collect::<Vec<_>>();
    assert_eq!(codes("-r --backup-dir ."), [Code::Option], "refused for what it is, and `.` was its value");
    assert_eq!(parsed("rsync --server -r --partial-dir . . x").unwrap().place().to_string(), "x");
    assert_eq!(parsed("rsync --server -r --link-dest . x").unwrap_err()[0].code, Code::Command);
    assert_eq!(codes("-r --backup-dir bak dir"), [Code::Option, Code::Command], "a space from an old client");
}

#[test]
fn there_is_one_destination_inside_the_snapshot() {
    let place = |end: &str| parsed(&format!("rsync --server -r {end}")).map(|push| push.place().to_string());
    for whole in [".", ". ", ". .", ". ''", ". /", ". ~/", ". ./"] {
        assert_eq!(place(whole).unwrap(), ".", "{whole}");
    }
    assert_eq!(place(r". a\ b/c/").unwrap(), "a b/c");
    assert_eq!(place(". ./-x/").unwrap(), "-x");
    assert_eq!(place(". a\u{a0}b").unwrap(), "a\u{a0}b", "a no-break space is part of a name");
    let code = |end: &str| place(end).unwrap_err()[0].code;
    assert_eq!(code(". dst dir/"), Code::Destinations);
    assert_eq!(code(". . ."), Code::Destinations);
    assert_eq!(code(". ../../etc/"), Code::Path);
    assert_eq!(code(". x/.."), Code::Path);
    assert_eq!(code(". ~root/"), Code::Path);
    assert_eq!(code(". -x/"), Code::Path);
    assert_eq!(code(". --inplace"), Code::Path, "an option behind the separator is no option");
    assert_eq!(code("dst"), Code::Command);
    assert_eq!(code(""), Code::Command);
}

#[test]
fn other_sessions_are_told_apart() {
    let codes = |text: &str| parsed(text).unwrap_err().iter().map(|reason| reason.code).collect::<Vec<_>>();
    assert_eq!(codes("rsync --server --sender -lLkre.iLsfxCIvu --skip-compress=gz . a b"), [Code::Pull]);
    assert_eq!(codes("rsync --server -r --append --sender . x"), [Code::Pull, Code::Option], "the pull comes first");
    assert_eq!(codes("rsync --server --daemon ."), [Code::Daemon]);
    assert_eq!(codes("rsync --daemon --config=/x"), [Code::Daemon, Code::Command]);
    assert_eq!(codes("rsync --server --config=/x ."), [Code::Daemon]);
    assert_eq!(codes("rsync --fake-super --server -r . x"), [Code::Option, Code::Command]);
    assert_eq!(codes("rsync -av /etc host:"), [Code::Command]);
    assert_eq!(codes("rsync"), [Code::Command]);
}

#[test]
fn every_reason_is_told_up_to_a_limit() {
    assert_eq!(refused("-KLZr --append --nonsense dst").len(), 6);
    let many: String = ('\u{4e00}'..'\u{4f00}').collect();
    assert_eq!(refused(&format!("-{many}")).len(), MAX_REASONS);
    for word in ["--x", "--info=", "--delete=", "../", "x "].map(|begin| begin.to_owned() + &"y".repeat(5000)) {
        for reason in refused(&format!("-r {word}")) {
            assert!(reason.len() < 2 * MAX_SHOWN_WORD + 200, "{} bytes: {reason}", reason.len());
        }
    }
}

#[test]
fn as_root_an_owner_needs_the_policys_word() {
    let push = with(r"-logDtpre.iLsfxCIvu --usermap=\*:root").unwrap();
    assert_eq!(push.words(), ["-logDtpre.iLsfxCvu", "--usermap=*:0"], "no name is looked up");
    let needed = |owners: &Owners, allow: &[&'static str]| {
        push.refused_by(&Choice { allow: allow.to_vec(), refuse: vec![], ..Choice::default() }, owners)
    };
    assert!(needed(&Owners::Account, &[]).is_empty());
    assert_eq!(needed(&Owners::Real, &[]).len(), 3);
    assert_eq!(needed(&Owners::Real, &["owner"]).len(), 1);
    assert!(needed(&Owners::Real, &["group", "owner"]).is_empty());
    let reasons = needed(&Owners::Real, &[]);
    assert!(reasons.iter().any(|reason| reason.remedy.as_deref().unwrap().contains("`group`")), "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason.remedy.as_deref().unwrap().starts_with("add `")), "{reasons:?}");
    assert!(reasons.iter().all(|reason| !reason.says.contains("root")), "the client learns nothing about the account");
}

#[test]
fn as_an_account_access_lists_need_the_policys_word() {
    let push = with("-logDtpAre.iLsfxCIvu").unwrap();
    let needed = |owners: &Owners, allow: &[&'static str]| push.refused_by(&Choice { allow: allow.to_vec(), ..Choice::default() }, owners);
    let reasons = needed(&Owners::Account, &[]);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].hint.as_deref().unwrap().contains("leave -A"), "{reasons:?}");
    assert!(reasons[0].remedy.as_deref().unwrap().starts_with("add `acls` to `options: {allow: […]}`"), "{reasons:?}");
    assert!(needed(&Owners::Account, &["acls"]).is_empty() && push.does_without_namespaces(&Owners::Account));
    assert!(needed(&Owners::Real, &["owner", "group"]).is_empty() && !push.does_without_namespaces(&Owners::Real));
}

/// Every spelling of a row, with a value where it takes one.
fn spellings(row: &Row) -> impl Iterator<Item = String> {
    let value = sample(row);
    let long = row.long.iter().map(move |long| value.map_or_else(|| (*long).to_owned(), |value| format!("{long}={value}")));
    long.chain(row.letter.map(|letter| format!("-{letter}{}", value.unwrap_or_default())))
}

/// Words that pass, as clients send them.
fn passing_word() -> impl Strategy<Value = String> {
    let passed: Vec<String> = options::rows().iter().flat_map(spellings).filter(|spelling| with(spelling).is_ok()).collect();
    prop_oneof![
        3 => proptest::sample::select(passed),
        1 => "-[vqulmOJyWogDtprHAXcCIRxSzhn8]{1,12}",
        1 => "-[vlogDtpr]{0,8}e([1-9][0-9]{1,2})?\\.i?L?s?f?x?C?I?v?u?",
        1 => "--(bwlimit|checksum-seed|timeout|max-delete)=[1-9][0-9]{0,3}",
    ]
}

/// The same among what attackers send.
fn any_word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => passing_word(),
        1 => proptest::sample::select(options::rows().iter().flat_map(spellings).collect::<Vec<_>>()),
        1 => "-[a-zA-Z]{1,8}(e[0-9]{0,3}\\.[iLsfxCIvu]{0,9})?",
        1 => "--[a-z]{1,6}(-[a-z]{1,6})?(=[ -~]{0,8})?",
        1 => "[ -~]{0,8}",
        1 => Just(".".to_owned()),
    ]
}

/// Whether the word is one that the table prints.
fn is_from_the_table(word: &str) -> bool {
    let passes = |row: &Row| row.may_be_allowed() || !matches!(row.rule, Rule::Refuse(_) | Rule::Drop);
    if word.starts_with("--") {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let row = options::by_long(name).unwrap();
        return passes(row)
            && match (row.value, value) {
                (Value::None, None) => true,
                (Value::Attached(check) | Value::Either(check), Some(value)) => check.allows(value),
                _ => false,
            };
    }
    let letters = word.strip_prefix('-').unwrap();
    let (letters, capabilities) = letters.split_once('e').unwrap_or((letters, "."));
    letters.chars().all(|letter| options::by_letter(letter).is_some_and(|row| passes(row) && matches!(row.value, Value::None)))
        && Check::Capabilities.allows(capabilities)
        && !capabilities.contains('I')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_allowed_prints_the_table_and_nothing_else(
        words in proptest::collection::vec(any_word(), 0..6),
        place in "[a-z./~-]{0,12}",
    ) {
        if let Ok(push) = parsed(&format!("rsync --server {} . {}", shell_words::join(&words), shell_words::join(&[place]))) {
            for word in push.words() {
                prop_assert!(is_from_the_table(&word), "{}", word);
            }
            prop_assert!(push.place().components().all(|part| part != ".." && part != "." && !part.is_empty() && !part.as_encoded_bytes().contains(&b'/')));
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_push(
        words in proptest::collection::vec(passing_word(), 0..10),
        place in "(~/|/|\\./)?[a-zé ';$]{1,5}(/[a-z]{1,5}){0,3}/?",
    ) {
        let text = format!("rsync --server {} . {}", shell_words::join(&words), shell_words::join(&[place]));
        let push = parsed(&text).unwrap();
        for word in push.words() {
            prop_assert!(is_from_the_table(&word), "{}", word);
        }
        let mut again = push.words();
        again.extend(push.timeout().map(|seconds| format!("--timeout={seconds}")));
        let again = parsed(&format!("rsync --server {} . {}", shell_words::join(&again), shell_words::join(&[push.place().to_string()]))).unwrap();
        prop_assert_eq!(again.words(), push.words());
        prop_assert_eq!(again.place(), push.place());
        prop_assert_eq!(again.timeout(), push.timeout());
        prop_assert_eq!(again.is_dry(), push.is_dry());
        prop_assert_eq!(again.warnings(), push.warnings());
        let dropped = again.notes().iter().filter(|note| !note.contains(" was passed on in part: ")).count();
        prop_assert_eq!(dropped, 0, "what was dropped is gone: {:?}", again.notes());
        prop_assert_eq!(again.widened().len(), push.widened().len());
        let left = |push: &Push| push.refused_by(&Choice::default(), &Owners::Real).len();
        prop_assert_eq!(left(&again), left(&push));
    }
}
