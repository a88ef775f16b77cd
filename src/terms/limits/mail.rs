//! Bounds on what is remembered of a connection and mailed: events in the spool, mails, a pass of `watch`.

use std::time::Duration;

/// Bytes of the word for an event's kind; ours have under 16.
pub const MAX_KIND: usize = 32;

/// Events of the ledger that only a later version can read, of which `list` shows the last ones.
pub const MAX_UNKNOWN: usize = 5;

/// Bytes of one event in the spool; a larger file was not written by a gate.
pub const MAX_EVENT: u64 = 256 * 1024;

/// Names looked at in one directory of the spool in one go. A queue that is longer is worked off in several.
pub const MAX_SPOOL_NAMES: usize = 20_000;

/// Accounts in the spool that one pass looks after: more than any server has clients.
pub const MAX_ACCOUNTS: usize = 20_000;

/// Bytes of a name in the spool; a gate's own are under 64.
pub const MAX_SPOOL_NAME: usize = 128;

/// Events counted into the state in one step. Their ids stand in the state until they are deleted.
pub const MAX_BATCH: usize = 500;

/// Bytes of the file in which refusals are counted: every group with every sample at its longest fits.
pub const MAX_STATE: u64 = 32 * 1024 * 1024;

/// Groups of refusals that are told apart. What comes from still more clients, addresses and reasons is counted together.
pub const MAX_GROUPS: usize = 64;

/// Events of a group that are told in full in a mail; of the others there is the count.
pub const MAX_SAMPLES: usize = 3;

/// Reasons, warnings and keys of one event that a mail holds; the ledger has them all.
pub const MAX_TOLD: usize = 20;

/// Bytes of one reason or warning in a mail: two or three times the longest of the gate's own sentences.
pub const MAX_TOLD_TEXT: usize = 1024;

/// Bytes at the end of what a failing hook has printed that are looked at for its mail; the run's log has all of it.
pub const MAX_HOOK_WORDS: u64 = 4096;

/// Lines of these that the mail holds: what went wrong is said last.
pub const MAX_HOOK_LINES: usize = 20;

/// Hooks of one push whose words a mail holds. That others have failed stands in it, too.
pub const MAX_TOLD_HOOKS: usize = 4;

/// Pushes of a transaction that its mail tells of one by one. Of earlier ones there is the count.
pub const MAX_TOLD_PARTS: usize = 20;

/// Bytes of what tells failures of one code apart.
pub const MAX_CAUSE: usize = 512;

/// Bytes of a mail's body. A digest of every group stays under it; what does not fit is cut, never the counts.
pub const MAX_MAIL_BODY: usize = 384 * 1024;

/// Bytes of a mail waiting in the spool: the body as JSON, escapes included.
pub const MAX_WAITING_MAIL: u64 = 2 * 1024 * 1024;

/// Mails of one account that wait for the mailer. While there are more, job reports stay events; alerts are counted anyway.
pub const MAX_WAITING: usize = 500;

/// Bytes of a mail's subject, so that it shows whole in a list of mails.
pub const MAX_SUBJECT: usize = 120;

/// Alert mails about refusals for one account in [`ALERT_SPAN`]. Whoever has stolen a key can spend all of them.
pub const ALERTS_IN_SPAN: usize = 4;

/// Alert mails about pushes that failed, for one account in [`ALERT_SPAN`]. They are their own, so that refusals cannot
/// keep the word of a failed backup waiting.
pub const FAILURES_IN_SPAN: usize = 4;

/// Groups of failures that are told apart, besides [`MAX_GROUPS`] of refusals: a kind for each client of an account that
/// has several.
pub const MAX_FAILURE_GROUPS: usize = 16;

/// Alert mails about what passes by itself, for one account in [`ALERT_SPAN`]; they are their own, too.
pub const PASSING_IN_SPAN: usize = 4;

/// Groups of what passes by itself, besides those: a code for each client of an account that has several.
pub const MAX_PASSING_GROUPS: usize = 32;

/// After a mail about what passes by itself nothing more is said of that client and kind for this long. The next mail has the count.
pub const PASSING_QUIET: Duration = Duration::from_secs(24 * 3600);

/// See [`ALERTS_IN_SPAN`].
pub const ALERT_SPAN: Duration = Duration::from_secs(10 * 60);

/// After a group's first mail nothing more is said of it for this long, so that a client that tries again and again is one line.
pub const FIRST_QUIET: Duration = Duration::from_secs(5 * 60);

/// After each further mail of the group, as long as it goes on; without an event for this long the group is forgotten.
pub const LATER_QUIET: Duration = Duration::from_secs(3600);

/// A mail that the mailer refuses for good is tried again for this long (the five days of RFC 5321, 4.5.4.1), then laid aside.
pub const MAIL_LIFETIME: Duration = Duration::from_secs(5 * 24 * 3600);

/// Refused mails of one account after which a pass stops trying and writes no more alerts: it is the server, not the mails.
pub const MAX_REFUSED_MAILS: usize = 4;

/// Servers not reached, over all accounts, after which a pass only counts and no longer tries.
pub const MAX_UNREACHABLE: usize = 2;

/// One step of SMTP: a connection, an answer. RFC 5321 (4.5.3.2) would have minutes; whoever is slower is tried again.
pub const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// One mail from beginning to end, whatever the server does in between.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(120);

/// `sendmail` may take this long to take a mail into its queue.
pub const SENDMAIL_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of what `sendmail` says that are read: the first lines say what is wrong.
pub const MAX_SENDMAIL_WORDS: u64 = 4096;

/// Bytes of a file with a password or with certificates; Debian's whole bundle is about 220 KiB.
pub const MAX_MAIL_FILE: u64 = 1024 * 1024;

/// A pass over the spool ends after this long, whatever hangs; what is left waits for the next.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Address space of a `watch` and the mailer that it starts: a few threads, of which the C library reserves 64 MiB for each.
pub const WATCH_MEMORY: u64 = 512 * 1024 * 1024;

/// Times that a pass looks again whether something came while it held the lock: a busy gate must not keep it for ever.
pub const MAX_ROUNDS: usize = 100;

/// How long `watch --flush` waits for another pass to let go of an account. Somebody sits in front of it.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// Problems that a pass reports. A hostile account could make any number.
pub const MAX_PROBLEMS: usize = 100;

/// A half-written file in the spool is thrown away after this long: its writer is gone.
pub const STALE_TMP: Duration = Duration::from_secs(3600);
