//! Windows as their words say; `tests/windows.rs` goes through whole years of them.

use proptest::prelude::*;

use super::*;

fn window(days: &str, hours: &str) -> Window {
    Window::new(Days::parse(days).unwrap(), Hours::parse(hours).unwrap())
}

fn at(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_on_which_it_begins() {
    let nights = window("mon-fri", "22:00-06:00");
    // 2026-11-20 is a Friday.
    for open in ["2026-11-20T22:00:00", "2026-11-21T05:59:59", "2026-11-24T03:00:00"] {
        assert!(nights.is_open(at(open)), "{open}");
    }
    for closed in ["2026-11-20T21:59:59", "2026-11-21T06:00:00", "2026-11-21T23:00:00", "2026-11-23T03:00:00"] {
        assert!(!nights.is_open(at(closed)), "{closed}");
    }
    assert!(window("sun", "22:00-06:00").is_open(at("2026-11-23T03:00:00")), "sunday's night reaches into monday");
}

#[test]
fn days_and_hours_are_read_and_written_back() {
    for (days, shown) in [
        ("mon-fri", "mon-fri"),
        ("sat,sun", "sat,sun"),
        ("fri-mon", "fri-mon"),
        ("SUN, Mon", "sun,mon"),
        ("mon,wed,fri", "mon,wed,fri"),
        ("mon-wed,sat", "mon-wed,sat"),
        ("mon-sun", "mon-sun"),
        ("thu-wed", "mon-sun"),
    ] {
        assert_eq!(Days::parse(days).unwrap().to_string(), shown, "{days}");
    }
    for bad in ["", "monday", "mon-", "-fri", "mon..fri", "mon-fri-sun", "mon,", "1-5", "mon-mon", "daily", "mon fri"] {
        assert!(Days::parse(bad).is_err(), "{bad}");
    }
    for good in ["22:00-06:00", "00:00-24:00", "00:00-00:01", "23:59-24:00", "22:00-00:00"] {
        assert_eq!(Hours::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "", "22-06", "22:00", "22:00-", "24:00-06:00", "24:01-06:00", "22:60-06:00", "06:00-06:00", "00:00-00:00", "6:00-7:00",
        "+1:00-02:00", "22:00-06:00-07:00", "22:00–06:00", "25:00-26:00",
    ] {
        assert!(Hours::parse(bad).is_err(), "{bad}");
    }
    let shown = |days, hours| window(days, hours).to_string();
    assert_eq!(shown("mon-fri", "22:00-06:00"), "mon-fri 22:00-06:00");
    assert_eq!(shown("mon-sun", "22:00-06:00"), "22:00-06:00");
    assert_eq!(shown("sat,sun", "00:00-24:00"), "sat,sun");
    assert_eq!(shown("mon-sun", "00:00-24:00"), "always");
}

#[test]
fn a_window_within_others_is_seen() {
    let nights = window("mon-sun", "22:00-06:00");
    assert!(window("tue", "23:00-24:00").is_within(&[nights]));
    assert!(window("tue", "22:00-06:00").is_within(&[nights]));
    assert!(!window("tue", "21:00-24:00").is_within(&[nights]));
    assert!(window("sat", "00:00-24:00").is_within(&[window("sat", "00:00-12:00"), window("sat", "12:00-24:00")]));
    assert!(!window("sat", "22:00-06:00").is_within(&[window("sat", "00:00-24:00")]), "it reaches into sunday");
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in ".{0,24}") {
        let _ = (Days::parse(&text), Hours::parse(&text));
    }

    #[test]
    fn days_come_back(days in any::<[bool; 7]>()) {
        prop_assume!(days.contains(&true));
        prop_assert_eq!(Days::parse(&Days(days).to_string()).unwrap(), Days(days));
    }
}
