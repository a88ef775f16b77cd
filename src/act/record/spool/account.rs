//! The reader's side of the spool: one account's events, counts and waiting mails, for `watch`.
//!
//! What cannot be listed or done durably is an error, and so is a file that no gate or watch wrote.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Uid, geteuid};

use super::inside::Inside;
use super::{SpoolError, Stamp, event_name};
use crate::act::clock;
use crate::terms::limits::{MAX_EVENT, MAX_QUOTED, MAX_SPOOL_NAMES, MAX_STATE, MAX_WAITING_MAIL, ROOT_LOOKS, STALE_TMP};
use crate::terms::text::still_printable;
use crate::terms::{ComposedMail, Event};

/// The file of counts.
const STATE: &str = "state.json";

/// The file of states that last, in the spool of whoever looks for them.
const STATES: &str = "states.json";

/// The file of what the mailer has said of mails that it refused.
const REFUSED: &str = "refused.json";

/// The directory of the account that runs this, which is there.
///
/// # Errors
/// When it is not, or is not what a gate makes.
pub fn own(dir: &Path) -> Result<AccountSpool, SpoolError> {
    AccountSpool::open(&Inside::pass_through(dir)?, geteuid())
}

/// When root last looked for states, in seconds since the epoch; `None` where it never did. Nobody
/// else may look into root's directory, but when it was written to can be seen.
pub fn root_looked(dir: &Path) -> Option<i64> {
    let found = std::fs::symlink_metadata(dir.join("0")).ok()?;
    (found.is_dir() && found.uid() == 0).then(|| found.mtime())
}

/// Whether root runs `watch` here, so that no account has to do what root does for all.
pub fn root_is_at_it(dir: &Path) -> bool {
    root_looked(dir).is_some_and(|at| clock::kernel().timestamp() - at < ROOT_LOOKS.as_secs().cast_signed())
}

/// One account's directory.
#[derive(Debug)]
pub struct AccountSpool {
    pub(super) home: Inside,
    pub(super) tmp: Inside,
    pub(super) new: Inside,
    pub(super) out: Inside,
    pub(super) dead: Inside,
}

/// While it lives, no other pass works on the account.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, never read: dropping it unlocks")] Flock<File>);

impl AccountSpool {
    pub(super) fn open(site: &Inside, uid: Uid) -> Result<Self, SpoolError> {
        let home = site.enter(&uid.to_string(), uid)?;
        let [tmp, new, out, dead] = super::INNER.map(|name| home.enter_own(name));
        Ok(Self { tmp: tmp?, new: new?, out: out?, dead: dead?, home })
    }

    /// The account.
    pub fn uid(&self) -> u32 {
        self.home.owner.as_raw()
    }

    /// When the account left this.
    pub fn stamped(&self, stamp: Stamp) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.home.written_at(&stamp.name())?, 0)
    }

    /// Takes the account's lock; `None` while another pass has it.
    ///
    /// # Errors
    /// When the lock is not a file of the account.
    pub fn lock(&self) -> Result<Option<Lock>, SpoolError> {
        self.lock_by("lock")
    }

    pub(super) fn lock_by(&self, file: &str) -> Result<Option<Lock>, SpoolError> {
        match Flock::lock(self.home.lock_file(file)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Lock(lock))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(SpoolError::io("lock", &self.home.path, error)),
        }
    }

    /// The ids of the events that wait, in order of time.
    pub fn news(&self) -> Result<Vec<String>, SpoolError> {
        let (names, _) = self.new.names(MAX_SPOOL_NAMES)?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect())
    }

    /// One event; `None` if it is gone.
    ///
    /// # Errors
    /// When it is none of a gate's: that has one id, by its name and inside.
    pub fn event(&self, id: &str) -> Result<Option<Event>, SpoolError> {
        let name = event_name(id)?;
        let Some(bytes) = self.new.read(&name, MAX_EVENT)? else { return Ok(None) };
        let failed = |what: String| SpoolError::Record(format!("event `{id}`: {what}"));
        let event = serde_json::from_slice::<Event>(&bytes).map_err(|error| failed(error.to_string()))?;
        if event.id == id { Ok(Some(event)) } else { Err(failed("it has another id inside".to_owned())) }
    }

    /// Deletes events for good: durable when this returns.
    pub fn forget(&self, ids: &[String]) -> Result<(), SpoolError> {
        for id in ids {
            self.new.remove(&event_name(id)?)?;
        }
        self.new.sync()
    }

    /// The file of counts, as it stands; `None` where there is none.
    ///
    /// # Errors
    /// When it is not a file of the account within its limit.
    pub fn state(&self) -> Result<Option<Vec<u8>>, SpoolError> {
        self.home.read(STATE, MAX_STATE)
    }

    /// Replaces the file of counts.
    ///
    /// # Errors
    /// When it cannot be written; then the old one stands.
    pub fn save_state(&self, json: &[u8]) -> Result<(), SpoolError> {
        self.home.replace(&self.tmp, STATE, json)
    }

    /// The file of states, as it stands; `None` where there is none.
    ///
    /// # Errors
    /// When it is not a file of the account within its limit.
    pub fn states(&self) -> Result<Option<Vec<u8>>, SpoolError> {
        self.home.read(STATES, MAX_STATE)
    }

    /// Replaces the file of states.
    ///
    /// # Errors
    /// When it cannot be written; then the old one stands.
    pub fn save_states(&self, json: &[u8]) -> Result<(), SpoolError> {
        self.home.replace(&self.tmp, STATES, json)
    }

    /// Which of its mails the mailer has refused, and in which words, printable. Whoever cannot read it
    /// knows of none: each is tried again.
    pub fn refusals(&self) -> BTreeMap<u64, String> {
        let bytes = self.home.read(REFUSED, MAX_STATE).ok().flatten();
        let all: BTreeMap<u64, String> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        all.into_iter().map(|(seq, words)| (seq, still_printable(&words, MAX_QUOTED))).collect()
    }

    /// Replaces that.
    ///
    /// # Errors
    /// When it cannot be written; then the old one stands.
    pub fn save_refusals(&self, refusals: &BTreeMap<u64, String>) -> Result<(), SpoolError> {
        let json = serde_json::to_vec(refusals).map_err(|error| SpoolError::Record(error.to_string()))?;
        self.home.replace(&self.tmp, REFUSED, &json)
    }

    /// Lays a file of states that cannot be read aside.
    pub fn lay_states_aside(&self) -> Result<(), SpoolError> {
        self.home.move_to(STATES, &self.dead)
    }

    /// Lays a file of counts that cannot be read aside, so that somebody can look at it.
    pub fn lay_state_aside(&self) -> Result<(), SpoolError> {
        self.home.move_to(STATE, &self.dead)
    }

    /// The numbers of the mails that wait, in order, and of those laid aside.
    pub fn waiting(&self) -> Result<Vec<u64>, SpoolError> {
        numbers(&self.out)
    }

    /// The numbers of the mails that were laid aside.
    pub fn dead(&self) -> Result<Vec<u64>, SpoolError> {
        numbers(&self.dead)
    }

    /// A mail that waits, with nothing but printable text in it; `None` if it is gone. Of a mail that
    /// another account may have written no more is believed than is that account's to say: whom it
    /// `speaks_for`.
    pub fn mail(&self, seq: u64, speaks_for: &dyn Fn(&str) -> bool) -> Result<Option<ComposedMail>, SpoolError> {
        let Some(mail) = self.written(seq)? else { return Ok(None) };
        Ok(Some(if self.home.owner == geteuid() { mail } else { mail.of_account(speaks_for) }))
    }

    fn written(&self, seq: u64) -> Result<Option<ComposedMail>, SpoolError> {
        let Some(bytes) = self.out.read(&mail_name(seq), MAX_WAITING_MAIL)? else { return Ok(None) };
        let mail = serde_json::from_slice::<ComposedMail>(&bytes).map_err(|error| SpoolError::Record(format!("mail {seq}: {error}")))?;
        Ok(Some(ComposedMail { seq, ..mail.checked(self.uid()) }))
    }

    /// Since when the mail with this number waits; `None` where none can be read.
    pub fn mail_waits_since(&self, seq: u64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.written(seq).ok().flatten().map(|mail| self.waits_since(&mail, now))
    }

    /// Since when a mail waits: not for longer than its file is there, whatever the account has written
    /// into it. The time of a file's last change can be set by nobody.
    pub fn waits_since(&self, mail: &ComposedMail, now: DateTime<Utc>) -> DateTime<Utc> {
        since(&self.out, &mail_name(mail.seq), mail.created, now)
    }

    /// Puts a mail among those that wait.
    pub fn post(&self, mail: &ComposedMail) -> Result<(), SpoolError> {
        let json = serde_json::to_vec(mail).map_err(|error| SpoolError::Record(error.to_string()))?;
        self.out.replace(&self.tmp, &mail_name(mail.seq), &json)
    }

    /// Takes a mail away: it was sent, or never happened.
    pub fn take_away(&self, seq: u64) -> Result<(), SpoolError> {
        self.out.remove(&mail_name(seq))?;
        self.out.sync()
    }

    /// Lays a mail aside that nobody takes, with a note beside it that says why.
    pub fn bury(&self, seq: u64, why: &str) -> Result<(), SpoolError> {
        self.dead.replace(&self.tmp, &format!("{seq:012}.why"), why.as_bytes())?;
        self.out.move_to(&mail_name(seq), &self.dead)
    }

    /// Removes mails that were laid aside before that time, in seconds since the epoch. Returns how
    /// many files went.
    pub fn forget_dead(&self, before: i64) -> Result<u64, SpoolError> {
        let (names, _) = self.dead.names(MAX_SPOOL_NAMES)?;
        let mut forgotten = 0;
        for name in names.iter().filter(|name| self.dead.written_at(name).is_some_and(|at| at < before)) {
            self.dead.remove(name)?;
            forgotten += 1;
        }
        self.dead.sync()?;
        Ok(forgotten)
    }

    /// Removes half-written files whose writers are gone. `now` is in seconds since the epoch.
    pub fn sweep(&self, now: i64) {
        let Ok((names, _)) = self.tmp.names(MAX_SPOOL_NAMES) else { return };
        for name in names {
            let age = self.tmp.written_at(&name).map_or(0, |at| now.saturating_sub(at));
            if u64::try_from(age).is_ok_and(|age| age > STALE_TMP.as_secs()) {
                // What cannot be removed is in nobody's way.
                let _ = self.tmp.remove(&name);
            }
        }
    }
}

/// Since when a file waits that says of itself that it was `created` then.
pub(super) fn since(dir: &Inside, name: &str, created: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    match dir.changed_at(name) {
        // A time to come is none: it would wait for ever, and for no time at all.
        Some(changed) if created > now => changed.min(now),
        Some(changed) => created.max(changed).min(now),
        None => created.min(now),
    }
}

fn mail_name(seq: u64) -> String {
    // Twelve digits, so that names sort as numbers do.
    format!("{seq:012}.json")
}

fn numbers(dir: &Inside) -> Result<Vec<u64>, SpoolError> {
    let (names, _) = dir.names(MAX_SPOOL_NAMES)?;
    let mut found: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
    // Only what writes back to the same name: `1.json` and `000000000001.json` are not two mails.
    found.retain(|seq| names.binary_search(&mail_name(*seq)).is_ok());
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
