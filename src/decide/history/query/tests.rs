//! Words as questions, and questions as words.

use proptest::prelude::*;

use super::*;

fn read(line: &str) -> Result<Asked, String> {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let word = Word::read(words.next().unwrap()).unwrap();
    Asked::read(word, &words.collect::<Vec<_>>()).map_err(|reason| reason.code.to_string())
}

#[test]
fn every_question_is_read_and_printed_as_the_same() {
    for (line, shown) in [
        ("list", "list"),
        ("list --json", "list --json"),
        ("usage", "usage"),
        ("ls", "ls current ./"),
        ("ls @1d", "ls @1d ./"),
        ("ls etc", "ls current ./etc"),
        ("ls 2026-11 etc/", "ls 2026-11 ./etc"),
        ("ls --json @1d etc", "ls --json @1d ./etc"),
        ("cat etc/hosts", "cat current ./etc/hosts"),
        ("cat -- -x", "cat current ./-x"),
        ("cat @2026-11-20T03:00 a", "cat @2026-11-20T03:00:00 ./a"),
        ("find *.conf", "find current *.conf"),
        ("find --all etc/*", "find --all etc/*"),
        ("find @1d x", "find @1d x"),
        ("history -d etc/hosts", "history -d ./etc/hosts"),
        ("history --json .", "history --json ./"),
        ("yesterday etc", "yesterday @yesterday ./etc"),
        ("yesterday -d 3 -y 1 etc", "yesterday -d 3 -m 0 -y 1 ./etc"),
        ("yesterday @2w etc", "yesterday @14d ./etc"),
        ("diff @1d current", "diff @1d current ./"),
        ("diff 2026 @1d etc", "diff 2026 @1d ./etc"),
    ] {
        let asked = read(line).unwrap();
        assert_eq!(asked.shown(), shown, "{line}");
        assert_eq!(Asked::read(asked.word(), &asked.words().iter().map(|word| word.as_bytes()).collect::<Vec<_>>()).unwrap(), asked);
    }
}

#[test]
fn what_means_nothing_says_how_it_is_written() {
    for (line, code) in [
        ("list x", "command"),
        ("usage -v", "command"),
        ("ls a b c", "command"),
        ("ls @soon", "snapshot"),
        ("ls @1d ../x", "path"),
        ("cat", "command"),
        ("cat @1d", "command"),
        ("cat --json x", "command"),
        ("cat etc/../x", "path"),
        ("cat ~root/x", "path"),
        ("find", "command"),
        ("find --all @1d x", "command"),
        ("history -d", "command"),
        ("history --all x", "command"),
        ("yesterday", "command"),
        ("yesterday -d x", "command"),
        ("yesterday -d -1 x", "command"),
        ("yesterday -d 1000001 x", "command"),
        ("yesterday -d 1 @1d x", "command"),
        ("diff @1d", "command"),
        ("diff @1d .. x", "snapshot"),
    ] {
        assert_eq!(read(line).unwrap_err(), code, "{line}");
    }
}

#[test]
fn yesterday_goes_back_by_the_calendar() {
    let today = NaiveDate::from_ymd_opt(2026, 3, 31).unwrap();
    for (days, months, years, expected) in
        [(1, 0, 0, "@2026-03-30"), (0, 1, 0, "@2026-02-28"), (0, 0, 2, "@2024-03-31"), (3, 1, 1, "@2025-02-25")]
    {
        assert_eq!(Back::By { days, months, years }.selector(today).to_string(), expected);
    }
    // Further back than calendars go.
    assert!(matches!(Back::By { days: 1_000_000, months: 1_000_000, years: 1_000_000 }.selector(today), Selector::Day(_)));
}

proptest! {
    #[test]
    fn any_words_are_read_as_a_question_that_is_printed_as_itself_or_refused(
        word in proptest::sample::select(Word::ALL.to_vec()),
        words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..4),
    ) {
        if let Ok(asked) = Asked::read(word, &words) {
            let again = asked.words();
            let again: Vec<&[u8]> = again.iter().map(|word| word.as_bytes()).collect();
            prop_assert_eq!(Asked::read(word, &again).unwrap(), asked);
        }
    }
}
