//! Bounds of what lasts and is told again: states, and the rhythms of clients.

use std::time::Duration;

/// Snapshots from which on a client has a rhythm.
pub const LEAST_RHYTHM: usize = 10;

/// Times of snapshots that a rhythm is learned from, the newest: eleven weeks of one every half
/// hour.
pub const MAX_ARRIVALS: usize = 4000;

/// For so long a machine that travels may be away.
pub const LAPTOP_AWAY: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often states are looked at, at the latest.
pub const STATES_EVERY: Duration = Duration::from_secs(15 * 60);

/// Time for a look at all clients together; whoever is not looked at comes first the next time. An
/// account may have given its ledgers any size.
pub const LOOK_TIME: Duration = Duration::from_secs(60);

/// Time for all ledgers, in a digest: its timer's unit has ten minutes.
pub const DIGEST_TIME: Duration = Duration::from_secs(240);

/// Time for the ledgers of accounts without a client, in a digest.
pub const STRANGERS_TIME: Duration = Duration::from_secs(60);

/// For so long a look waits for another process that is at work in the spool.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(30);

/// How often it tries meanwhile.
pub const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// How often they are looked at, at the earliest.
pub const STATES_PAUSE: Duration = Duration::from_secs(60);

/// Pauses between the mails about a state that lasts; the last one comes again and again.
pub const REMINDERS: [Duration; 4] = [
    Duration::from_secs(24 * 3600),
    Duration::from_secs(2 * 24 * 3600),
    Duration::from_secs(4 * 24 * 3600),
    Duration::from_secs(7 * 24 * 3600),
];

/// A state that comes back within this time is the same one, so that one that comes and goes all
/// the time is one thread.
pub const STATE_RETURNS: Duration = Duration::from_secs(24 * 3600);

/// Pause after a mail about a state that came back so.
pub const RETURN_QUIET: Duration = Duration::from_secs(6 * 3600);

/// For so long the gate's own mail about a state is enough.
pub const TOLD_BY_GATE: Duration = Duration::from_secs(24 * 3600);

/// What cannot be read for so long is told: a disk or a directory of accounts may be away for a
/// moment.
pub const UNREADABLE_FOR: Duration = Duration::from_secs(3600);

/// Notices of one kind that have a mail each. More at once share one.
pub const NOTICES_ALONE: usize = 5;

/// Clients that such a mail names; the others are counted.
pub const MAX_NAMED_CLIENTS: usize = 500;

/// Notices that wait to become mails, from which on nothing new is said.
pub const MAX_NOTICES: usize = 1000;

/// Mail that has waited for so long says that the mailer is down.
pub const MAILER_DOWN: Duration = Duration::from_secs(3600);

/// An account leaves states to root while root has looked at them within this time.
pub const ROOT_LOOKS: Duration = Duration::from_secs(2 * 24 * 3600);

/// Bytes at the end of a ledger that are looked at first for what was recorded lately.
pub const FIRST_LOOK_BACK: u64 = 32 * 1024;

/// A connection that began longer ago is not looked for: it has ended.
pub const LONGEST_CONNECTION: Duration = Duration::from_secs(2 * 24 * 3600);

/// Old ledgers that are read for what was recorded lately.
pub const MAX_RECENT_LEDGERS: usize = 4;

/// Times of snapshots, and of connections, that a look holds while it reads what is new: what comes
/// of them is fewer.
pub const MAX_GATHERED: usize = 16 * 1024;

/// Hours in which a machine that travels was heard of that are remembered: those of more days than it may
/// be away.
pub const MAX_CONTACTS: usize = 1000;
