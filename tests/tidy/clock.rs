//! One place asks what time it is, so that a test can say so to all that decide.

use std::collections::BTreeSet;

use super::house::House;

/// That place.
const CLOCK: &str = "act/clock.rs";

/// What asks. How long something takes is another question (`Instant`).
const ASKS: [&[&str]; 4] = [
    &["chrono", "Utc", "now"],
    &["chrono", "Local", "now"],
    &["std", "time", "SystemTime", "now"],
    &["std", "time", "UNIX_EPOCH", "elapsed"],
];

fn faults(house: &House) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    for module in house.modules("").filter(|module| module.file != CLOCK) {
        for said in module.said.iter().filter(|said| !said.is_member) {
            let asks = |words: &&Vec<String>| ASKS.iter().any(|ask| words.iter().eq(ask.iter()));
            if let Some(words) = house.means(module, &said.words).iter().find(asks) {
                faults.insert(format!("src/{}:{}: {}: ask act/clock", module.file, said.line, words.join("::")));
            }
        }
    }
    faults
}

#[test]
fn one_place_asks_what_time_it_is() {
    let all = faults(&House::real());
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn whoever_asks_beside_it_is_found() {
    for (file, code, is_found) in [
        ("admin/watch.rs", "use chrono::Utc;\nfn f() { Utc::now() }", true),
        ("gate/serve.rs", "fn f() { x(&chrono::Utc::now) }", true),
        ("act/mail.rs", "use std::time::SystemTime as Time;\nfn f() { Time::now() }", true),
        ("act/clock.rs", "fn f() { chrono::Utc::now() }", false),
        ("act/mail.rs", "fn f() { std::time::Instant::now() }\n#[cfg(test)] mod tests { fn f() { chrono::Utc::now() } }", false),
    ] {
        assert_eq!(!faults(&House::planted(&[(file, code)])).is_empty(), is_found, "{file}: {code}");
    }
}
