//! How long a process that tells may take: it has one budget, however often it goes over the spool. What
//! was begun is not cut off, so each part ends early enough for the longest thing that it may begin. What
//! there is no time for stays where it is, and is the next pass's.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::terms::limits::{ACCOUNT_TIME, COUNTING_TIME, MAILS_TIME, WATCH_TIMEOUT, WAYS_TIME};

/// What of it is used.
#[derive(Debug)]
pub struct Budget {
    begun: Instant,
    /// Spent with other ways than mail.
    told: Cell<Duration>,
}

impl Budget {
    /// Of a process that begins now.
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), told: Cell::default() }
    }

    /// Whether a mail may be begun.
    pub(super) fn has_mails(&self) -> bool {
        self.begun.elapsed() < MAILS_TIME
    }

    /// Whether another account may be looked at, or more of its events, if only to count them.
    pub(super) fn has_counting(&self) -> bool {
        self.begun.elapsed() < COUNTING_TIME
    }

    /// Whether an account that began then, or all of them, had enough of this pass: whoever writes
    /// events without end has the rest of them told in the next one.
    pub(super) fn is_over(&self, begun: Instant) -> bool {
        begun.elapsed() >= ACCOUNT_TIME || !self.has_mails()
    }

    /// What is left for other ways than mail.
    pub(super) fn ways(&self) -> Duration {
        WAYS_TIME.saturating_sub(self.told.get())
    }

    /// So much of it was spent.
    pub(super) fn spent(&self, time: Duration) {
        self.told.set(self.told.get().saturating_add(time));
    }
}

/// Ends this process after [`WATCH_TIMEOUT`], whatever hangs. That loses nothing: see `watch`. Comes back
/// with the time that it has.
pub fn watchdog() -> Budget {
    let budget = Budget::new();
    let dog = std::thread::Builder::new().spawn(|| {
        std::thread::sleep(WATCH_TIMEOUT);
        std::process::exit(i32::from(crate::terms::reason::exit::BUSY));
    });
    // Without a thread to spare the machine is in worse trouble than a long pass.
    drop(dog);
    budget
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::act::record::spool::Spool;
    use crate::admin::watch::{Means, passed};
    use crate::decide::policy::{Site, read_site};
    use crate::decide::speak::message::samples;
    use crate::terms::Event;
    use crate::terms::limits::{EXEC_TIMEOUT, LOOK_PATIENCE, LOOK_TIME, MAIL_TIMEOUT, REQUEST_TIMEOUT, SENDMAIL_TIMEOUT};

    /// As if the process had begun so long ago.
    fn after(time: Duration) -> Budget {
        Budget { begun: Instant::now().checked_sub(time).unwrap(), told: Cell::default() }
    }

    #[test]
    fn a_process_that_uses_all_of_its_time_ends_before_it_is_ended() {
        let second = Duration::from_secs(1);
        let mails = MAILS_TIME + MAIL_TIMEOUT.max(SENDMAIL_TIMEOUT);
        assert!(COUNTING_TIME >= mails, "who has waited for a mail is counted");
        // However often it begins again: no mail and no account is begun later than this, and the rest is used once.
        let ways = WAYS_TIME + EXEC_TIMEOUT.max(REQUEST_TIMEOUT);
        let look = LOOK_PATIENCE + LOOK_TIME;
        // A batch of events and one client may be begun at the end of their time.
        assert!(COUNTING_TIME + ways + look + 30 * second <= WATCH_TIMEOUT);
    }

    #[test]
    fn nothing_is_begun_when_its_time_is_over() {
        let moment = Duration::from_millis(1);
        let second = Duration::from_secs(1);
        for (time, mails, counting) in [(MAILS_TIME - second, true, true), (MAILS_TIME, false, true), (COUNTING_TIME, false, false)] {
            let budget = after(time);
            assert_eq!((budget.has_mails(), budget.has_counting()), (mails, counting), "{time:?}");
            assert_eq!(budget.is_over(Instant::now()), !mails, "{time:?}");
        }
        let ago = |time| Instant::now().checked_sub(time).unwrap();
        let budget = after(ACCOUNT_TIME * 2);
        assert!(budget.is_over(ago(ACCOUNT_TIME)) && !budget.is_over(ago(ACCOUNT_TIME - second)));
        // Three rounds of one that stalls have one round's time.
        for _ in 0..3 {
            budget.spent(WAYS_TIME / 2 + moment);
        }
        assert_eq!((budget.ways(), after(WATCH_TIMEOUT).ways()), (Duration::ZERO, WAYS_TIME));
    }

    /// A site whose mails go into a directory, and its directory.
    fn site() -> (tempfile::TempDir, Site) {
        let dir = tempfile::tempdir().unwrap();
        // An account other than root's asks the policies whose clients it may speak for, so there is a directory of them.
        let [spool, mails, policies] = ["spool", "mails", "policies"].map(|name| dir.path().join(name));
        for place in [&spool, &mails, &policies] {
            std::fs::create_dir(place).unwrap();
        }
        let text = format!(
            "store: /srv\nspool: {0}\nmail: {{ from: s@x.org, to: [root@x.org], transport: \"file:{1}\" }}\nexec: /bin/true\n",
            spool.display(),
            mails.display()
        );
        let site = read_site(&dir.path().join("snapgate.yaml"), text.as_bytes()).unwrap();
        (dir, site)
    }

    #[test]
    fn what_there_was_no_time_for_is_the_next_pass_s() {
        let (dir, site) = site();
        Spool::open(&dir.path().join("spool"), nix::unistd::geteuid().as_raw()).unwrap().add(&samples::refusal()).unwrap();
        let means = Means { now: &crate::act::clock::now, go_on: &|| true };
        let late = [(COUNTING_TIME, WAYS_TIME), (MAILS_TIME, WAYS_TIME), (Duration::ZERO, WAYS_TIME), (MAILS_TIME, Duration::ZERO)];
        let figures = late.map(|(time, told)| {
            let budget = after(time);
            budget.spent(told);
            let done = passed(&site, true, &means, &budget);
            (done.counted, done.sent, done.told, done.problems.len())
        });
        assert_eq!(figures, [(0, 0, 0, 1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0)]);
    }

    #[test]
    fn the_mails_of_one_account_keep_to_the_time_that_there_is_for_all() {
        let (dir, site) = site();
        let spool = Spool::open(&dir.path().join("spool"), nix::unistd::geteuid().as_raw()).unwrap();
        for number in 0..3 {
            spool.add(&Event { id: format!("{}-{number}", samples::published().id), ..samples::published() }).unwrap();
        }
        let now = &crate::act::clock::now;
        let done = passed(&site, false, &Means { now, go_on: &|| true }, &after(MAILS_TIME));
        assert_eq!((done.counted, done.sent, done.waiting), (3, 0, 3), "{done:?}");
        // The first one takes all that is left.
        let (left, is_first) = (Duration::from_secs(2), Cell::new(true));
        let go_on = || {
            std::thread::sleep(if is_first.take() { left } else { Duration::ZERO });
            true
        };
        let done = passed(&site, false, &Means { now, go_on: &go_on }, &after(MAILS_TIME - left));
        assert_eq!((done.sent, done.waiting), (1, 2), "{done:?}");
    }

    #[test]
    fn whoever_writes_events_without_end_has_the_rest_told_in_the_next_pass() {
        for (spent, rounds) in [(Duration::ZERO, 3), (MAILS_TIME, 1)] {
            let dir = tempfile::tempdir().unwrap();
            let text = format!("store: /srv\nspool: {}\nmail: {{ transport: off }}\n", dir.path().display());
            let site = read_site(Path::new("/none/snapgate.yaml"), text.as_bytes()).unwrap();
            let spool = Spool::open(dir.path(), nix::unistd::geteuid().as_raw()).unwrap();
            spool.add(&samples::refusal()).unwrap();
            // Whatever is removed comes again, for a while.
            let taken = Cell::new(0);
            let go_on = || {
                taken.set(taken.get() + 1);
                let more = Event { id: format!("{}-{}", samples::refusal().id, taken.get()), ..samples::refusal() };
                taken.get() >= 3 || spool.add(&more).is_ok()
            };
            let _ = passed(&site, false, &Means { now: &crate::act::clock::now, go_on: &go_on }, &after(spent));
            assert_eq!(taken.get(), rounds, "{spent:?}");
        }
    }
}
