//! When a push is ended with its client's window (`stop: true`).
//!
//! A push may run as long as any window is open. When the last one closes, it is ended if all that
//! close then say `stop: true`. Windows follow wall clocks.

use std::time::Duration;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use crate::decide::policy::window::Window;
use crate::terms::limits::WINDOWS_AHEAD;
use crate::terms::{Code, Reason, Zone};

/// The end of a client's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// When.
    pub at: DateTime<Utc>,
    /// The same on clocks of the policy's zone.
    pub shown: String,
    /// When the client may come again, on these clocks.
    pub again: Option<String>,
}

/// When a push that begins at `from` is ended; `None`: not at all, or later than `within`.
pub fn closing(windows: &[Window], zone: &Zone, from: DateTime<Utc>, within: Duration) -> Option<Closing> {
    if !windows.iter().any(|window| window.stops()) {
        return None;
    }
    let open = |at: DateTime<Utc>| {
        let local = zone.local(at);
        windows.iter().filter(move |window| window.is_open(local))
    };
    let minute = TimeDelta::minutes(1);
    // Windows begin and end on full minutes.
    let first = from.duration_trunc(minute).ok()?;
    let mut minutes = (1..).map_while(|count: i32| first.checked_add_signed(minute.checked_mul(count)?));
    let last = from.checked_add_signed(TimeDelta::from_std(within).ok()?)?;
    let at = minutes.by_ref().take_while(|at| *at <= last).find(|at| open(*at).next().is_none())?;
    // Outside of every window no push runs.
    let mut before = open(at - minute).peekable();
    if before.peek().is_none() || !before.all(|window| window.stops()) {
        return None;
    }
    let shown = |at: DateTime<Utc>| format!("{} {}", zone.local(at).format("%a %Y-%m-%d %H:%M"), zone.name);
    let again = minutes.take_while(|next| (*next - at).to_std().is_ok_and(|ahead| ahead <= WINDOWS_AHEAD));
    let again = again.filter(|at| open(*at).next().is_some()).map(shown).next();
    Some(Closing { at, shown: shown(at), again })
}

impl Closing {
    /// The reason for ending a push.
    pub fn reason(&self) -> Reason {
        let again = self.again.as_ref().map_or_else(|| "when you may".to_owned(), |again| format!("from {again} on"));
        Reason::new(Code::Window, format!("the push was ended: its time was over at {}", self.shown))
            .hint(format!("push again {again}: what was received is kept, and the next push goes on from it"))
            .detail(format!("the window ended at {}, and says `stop: true`; the next one opens {again}", self.shown))
            .remedy("nothing, if the next night finishes it; otherwise widen `when:`, or remove `stop: true`")
            .passing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::policy::window::{Days, Hours};
    use crate::terms::Administrator;

    fn window(days: &str, hours: &str, stop: bool) -> Window {
        Window::new(Days::parse(days).unwrap(), Hours::parse(hours).unwrap()).stopping(stop)
    }

    /// The end of a push in UTC, and when the next may begin. 2026-11-20 is a Friday.
    fn ends(windows: &[Window], from: &str) -> Option<(String, Option<String>)> {
        let found = closing(windows, &Zone::utc(), from.parse().unwrap(), Duration::from_secs(30 * 86_400))?;
        Some((found.shown.replace(" UTC", ""), found.again.map(|again| again.replace(" UTC", ""))))
    }

    fn some(at: &str, again: &str) -> Option<(String, Option<String>)> {
        Some((at.to_owned(), Some(again.to_owned())))
    }

    #[test]
    fn a_push_ends_with_the_last_window_that_is_open() {
        let nights = window("mon-sun", "22:00-06:00", true);
        for from in ["2026-11-20T22:00:00Z", "2026-11-20T23:59:59Z", "2026-11-21T05:59:59Z"] {
            assert_eq!(ends(&[nights], from), some("Sat 2026-11-21 06:00", "Sat 2026-11-21 22:00"), "{from}");
        }
        let weekend = window("sat,sun", "00:00-24:00", true);
        let week = window("mon-fri", "22:00-06:00", true);
        // Friday's night goes over into the weekend, that into nothing until Monday evening.
        assert_eq!(ends(&[week, weekend], "2026-11-20T22:30:00Z"), some("Mon 2026-11-23 00:00", "Mon 2026-11-23 22:00"));
        assert_eq!(ends(&[week, weekend], "2026-11-19T22:30:00Z"), some("Fri 2026-11-20 06:00", "Fri 2026-11-20 22:00"));
        let morning = window("mon-sun", "06:00-07:30", true);
        assert_eq!(ends(&[nights, morning], "2026-11-20T23:00:00Z"), some("Sat 2026-11-21 07:30", "Sat 2026-11-21 22:00"));
    }

    #[test]
    fn a_window_that_does_not_stop_lets_a_push_go_on() {
        let nights = window("mon-sun", "22:00-06:00", true);
        assert_eq!(ends(&[window("mon-sun", "22:00-06:00", false)], "2026-11-20T23:00:00Z"), None);
        assert_eq!(ends(&[nights, window("mon-sun", "05:00-07:00", false)], "2026-11-20T23:00:00Z"), None, "it is open at the end");
        assert_eq!(ends(&[nights, window("mon-sun", "05:00-06:00", false)], "2026-11-20T23:00:00Z"), None, "it ends with it");
        let early = window("mon-sun", "21:00-23:00", false);
        assert_eq!(ends(&[nights, early], "2026-11-20T21:30:00Z"), some("Sat 2026-11-21 06:00", "Sat 2026-11-21 21:00"));
        assert_eq!(ends(&[window("mon-sun", "00:00-24:00", true)], "2026-11-20T23:00:00Z"), None, "it never ends");
        assert_eq!(closing(&[nights], &Zone::utc(), "2026-11-20T22:00:00Z".parse().unwrap(), Duration::from_secs(3600)), None);
        assert_eq!(ends(&[nights], "2026-11-20T12:00:00Z"), None, "nobody is in");
    }

    #[test]
    fn the_client_hears_when_to_come_again() {
        let found = closing(
            &[window("fri", "22:00-06:00", true)],
            &Zone::utc(),
            "2026-11-20T23:00:00Z".parse().unwrap(),
            Duration::from_secs(86_400),
        );
        let lines = found.unwrap().reason().lines(false, Administrator::Alerted);
        assert_eq!(lines[0], "snapgate: the push was ended: its time was over at Sat 2026-11-21 06:00 UTC (code window)");
        assert!(lines[1].starts_with("snapgate: push again from Fri 2026-11-27 22:00 UTC on: what was received is kept"), "{lines:?}");
    }
}
