//! Bounds of events in the spool, of mails, and of a pass of `watch`.

use std::time::Duration;

/// Bytes of the word for an event's kind; ours have under 16.
pub const MAX_KIND: usize = 32;

/// Events of the ledger that only a later version can read, of which `list` shows the last ones.
pub const MAX_UNKNOWN: usize = 5;

/// Bytes of one event in the spool; a larger file was not written by a gate.
pub const MAX_EVENT: u64 = 256 * 1024;

/// Names of one directory of the spool that are read at once. A longer queue takes several passes.
pub const MAX_SPOOL_NAMES: usize = 20_000;

/// Names in the spool that are looked at: more than any server has clients.
pub const MAX_ACCOUNTS: usize = 20_000;

/// Accounts of these that no policy names. Whoever has subordinate ids can make a directory for each.
pub const MAX_STRANGERS: usize = 1000;

/// Directories of accounts that cannot be used, of which `check` has a finding for each.
pub const MAX_UNUSABLE: usize = 10;

/// Mails to `reports_to:` of one account that root sends in [`ALERT_SPAN`]: one for each push, where a
/// policy asks for that. Of alerts as many as the account's own counts allow.
pub const REPORTS_IN_SPAN: usize = 100;

/// Bytes of the note that has when these were sent.
pub const MAX_SENT: u64 = 16 * 1024;

/// Bytes of a name in the spool; a gate's own are under 64.
pub const MAX_SPOOL_NAME: usize = 128;

/// Events counted into the state in one step. Their ids are in it until they are deleted.
pub const MAX_BATCH: usize = 500;

/// Bytes of the file that counts refusals: every group with every sample at its longest fits.
pub const MAX_STATE: u64 = 32 * 1024 * 1024;

/// Groups of refusals. Further clients, addresses and reasons are counted together.
pub const MAX_GROUPS: usize = 64;

/// Events of a group that a mail shows in full; the others are counted.
pub const MAX_SAMPLES: usize = 3;

/// Reasons, warnings and keys of one event in a mail; the ledger has them all.
pub const MAX_REPORTED: usize = 20;

/// Bytes of a reason or warning in a mail: two or three times the longest of the gate's own.
pub const MAX_REPORTED_TEXT: usize = 1024;

/// Bytes at the end of a failed hook's output that are read for its mail; the run's log has all.
pub const MAX_HOOK_WORDS: u64 = 4096;

/// Lines of these in the mail: the error comes last.
pub const MAX_HOOK_LINES: usize = 20;

/// Hooks of one push whose output a mail shows. Others are named.
pub const MAX_REPORTED_HOOKS: usize = 4;

/// Pushes of a transaction that its mail lists. Earlier ones are counted.
pub const MAX_REPORTED_PARTS: usize = 20;

/// Bytes of what distinguishes failures of one code.
pub const MAX_CAUSE: usize = 512;

/// Bytes of a mail's body. A digest of every group fits; otherwise text is cut, never the counts.
pub const MAX_MAIL_BODY: usize = 384 * 1024;

/// Bytes of a mail waiting in the spool: the body as JSON, escapes included.
pub const MAX_WAITING_MAIL: u64 = 2 * 1024 * 1024;

/// Waiting mails of one account. With more, reports stay events, and alerts are counted.
pub const MAX_WAITING: usize = 500;

/// Bytes of a mail's subject, so that a list of mails shows it whole.
pub const MAX_SUBJECT: usize = 120;

/// Alert mails on refusals for one account in [`ALERT_SPAN`]. A stolen key can use up all of them.
pub const ALERTS_IN_SPAN: usize = 4;

/// The same on failed pushes, so that refusals cannot delay them.
pub const FAILURES_IN_SPAN: usize = 4;

/// Groups of failures, besides [`MAX_GROUPS`] of refusals: some for each client of an account.
pub const MAX_FAILURE_GROUPS: usize = 16;

/// Alert mails on passing problems for one account in [`ALERT_SPAN`].
pub const PASSING_IN_SPAN: usize = 4;

/// Groups of passing problems: a code for each client of an account with several.
pub const MAX_PASSING_GROUPS: usize = 32;

/// Pause after a mail on a passing problem of a client and kind. The next mail has the count.
pub const PASSING_QUIET: Duration = Duration::from_secs(24 * 3600);

/// See [`ALERTS_IN_SPAN`].
pub const ALERT_SPAN: Duration = Duration::from_secs(10 * 60);

/// Pause after a group's first mail, so that a client that tries again and again is one line.
pub const FIRST_QUIET: Duration = Duration::from_secs(5 * 60);

/// Pause after each further mail; a group without an event for this long is forgotten.
pub const LATER_QUIET: Duration = Duration::from_secs(3600);

/// A mail that the mailer refuses is retried for so long (RFC 5321, 4.5.4.1), then set aside.
pub const MAIL_LIFETIME: Duration = Duration::from_secs(5 * 24 * 3600);

/// Refused mails of one account after which a pass stops: it is the server, not the mails.
pub const MAX_REFUSED_MAILS: usize = 4;

/// Unreachable servers, over all accounts, after which a pass only counts.
pub const MAX_UNREACHABLE: usize = 2;

/// One step of SMTP. RFC 5321 (4.5.3.2) allows minutes; a slower server is tried again.
pub const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// One mail from beginning to end.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(120);

/// Time for `sendmail` to queue a mail.
pub const SENDMAIL_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of `sendmail`'s output that are read: the first lines say what is wrong.
pub const MAX_SENDMAIL_WORDS: u64 = 4096;

/// Bytes of a file with a password or with certificates; Debian's whole bundle is about 220 KiB.
pub const MAX_MAIL_FILE: u64 = 1024 * 1024;

/// Time for a pass over the spool; the rest waits for the next.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Time of it after which an account's spool is not looked at once more, whatever has come meanwhile.
pub const ACCOUNT_TIME: Duration = Duration::from_secs(30);

/// Time of it in which mails are begun, however often a process goes over the spool: what is told by
/// other ways comes after them.
pub const MAILS_TIME: Duration = Duration::from_secs(4 * 60);

/// Time of it in which accounts are looked at: the last mail may take its time, and others are counted
/// all the same.
pub const COUNTING_TIME: Duration = Duration::from_secs(6 * 60);

/// Address space of a `watch` and its mailer: the C library reserves 64 MiB for each thread.
pub const WATCH_MEMORY: u64 = 512 * 1024 * 1024;

/// How often a pass looks again for new events: a busy gate must not keep it for ever.
pub const MAX_ROUNDS: usize = 100;

/// How long `watch --flush` waits for another pass to release an account. Somebody waits for it.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// Problems that a pass reports. A hostile account could make any number.
pub const MAX_PROBLEMS: usize = 100;

/// A half-written file in the spool is deleted after this long: its writer is gone.
pub const STALE_TMP: Duration = Duration::from_secs(3600);
