//! The administrator's command line.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use super::asked::Asked;
use super::checking::Checking;
use super::coming::Coming;
use super::digest::Digest;
use super::entering::{Import, Keys, Rsh};
use super::held::Chosen;
use crate::decide::keep::Span;
use crate::decide::keep::Until;
use crate::decide::policy::DEFAULT_CONFIG;
use crate::terms::{ClientName, Fingerprint, Peer};

/// The gate between sshd and rsync on a backup server.
#[derive(Debug, Parser)]
#[command(name = "snapgate", version, about, disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Arguments {
    /// The directory that holds snapgate.yaml and policies/
    #[arg(long, value_name = "DIR", default_value = DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
    #[command(subcommand)]
    pub(super) order: Order,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Order {
    /// Explain a command, a topic, or a key of the configuration; alone, list them
    Help {
        /// What to explain; a key may have `site` or `policy` before it
        #[arg(value_name = "WORD")]
        words: Vec<String>,
    },
    /// Send the mail that waits in the spool; a timer or cron runs this
    Watch {
        /// Send everything now, also what waits to be sent together, but what passes by itself and
        /// is told once a day
        #[arg(long)]
        flush: bool,
        /// Send one of each that a client's events would cause, marked as a test, by every way that is
        /// set up, and say of each whether it was accepted
        #[arg(long, value_name = "CLIENT", conflicts_with = "flush")]
        test: Option<ClientName>,
        /// Leave the session of the one who started it
        #[arg(long, hide = true)]
        detached: bool,
    },
    #[command(flatten)]
    Coming(Coming),
    /// Look for everything that makes backups fail silently: settings, sshd, keys, disks, timers,
    /// mail; exits with 1 when something is wrong
    Check(Checking),
    /// Say which client a key is, for sshd: AuthorizedKeysCommand /usr/bin/snapgate keys %u %t %k
    Keys(Keys),
    /// Say whether a connection would be allowed, and why; does nothing
    Explain {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: ClientName,
        /// Where it would come from
        #[arg(long, value_name = "ADDRESS")]
        from: Option<Peer>,
        /// When, in the policy's time zone, like 2026-11-21T03:00; now by default
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// The key it would use; by default one that the policy allows
        #[arg(long, value_name = "SHA256:…")]
        key: Option<Fingerprint>,
        /// The command as one argument: what SSH_ORIGINAL_COMMAND holds, or what is typed at the
        /// client
        command: Option<OsString>,
    },
    /// Copy files out of a snapshot; as root with the client's owners
    Restore {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: ClientName,
        /// Which snapshot: current (the default), a name or its beginning, @1d, @2w, @36h,
        /// @yesterday, @2026-11-20, @2026-11-20T03:00, @complete
        snapshot: Option<OsString>,
        /// A file or directory in it; the whole by default
        path: Option<OsString>,
        /// Where it is copied to; made if it is missing
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Write over what is in that directory
        #[arg(long)]
        force: bool,
        /// Say what would be copied, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Read what is restored; the rsync of `restore` runs this
    #[command(name = crate::admin::restore::SEND, hide = true)]
    RestoreSender {
        /// The client
        #[arg(long)]
        client: ClientName,
        /// The snapshot
        #[arg(long)]
        snapshot: String,
        /// What of it
        #[arg(long)]
        path: OsString,
        /// Send nothing of any file
        #[arg(long)]
        dry_run: bool,
        /// What rsync would have run; it is told something else
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        ignored: Vec<OsString>,
    },
    /// Restore a random sample through the gate, compare it with the store, and remove it; a timer or
    /// cron runs this
    Drill {
        /// The clients; all of them by default
        client: Vec<ClientName>,
        /// How many files of each
        #[arg(long, value_name = "NUMBER", default_value = "200", value_parser = clap::value_parser!(u32).range(0..=100_000))]
        sample: u32,
        /// Which files: the same number chooses the same again
        #[arg(long, value_name = "NUMBER")]
        seed: Option<u64>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a drill's rsync to the gate; that rsync runs this
    #[command(name = crate::admin::drill::SHELL, hide = true)]
    DrillShell {
        /// Where the gate is to be had
        at: String,
        /// The host, and what rsync would run there
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Propose policies from a file of keys that let clients in before, such as authorized_keys; changes
    /// nothing
    Import(Import),
    /// Stand in for ssh where an rsync of this machine pushes to it:
    /// rsync -a -e 'snapgate rsh --client NAME' /data/ x:
    Rsh(Rsh),
    /// Give a client's repository the ids that its account has now in /etc/subuid and /etc/subgid;
    /// for root
    Remap {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: ClientName,
        /// Say what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove the snapshots that no policy keeps, and free what was removed long enough ago
    Prune {
        /// The clients; all of them by default
        client: Vec<ClientName>,
        /// Say what would be removed, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Say of each snapshot what keeps it, and change nothing
        #[arg(long)]
        explain: bool,
        /// Say what would be there after that time, and change nothing
        #[arg(long, value_name = "SPAN")]
        simulate: Option<Span>,
        /// How often the client would push
        #[arg(long, value_name = "TIME", default_value = "1d", requires = "simulate", value_parser = humantime::parse_duration)]
        every: Duration,
        /// Also if nine of ten snapshots or more would go at once
        #[arg(long)]
        yes_remove_many: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Do for every client what is due: prune, free what was removed, forget old logs; a timer or
    /// cron runs this
    Maintain {
        /// The clients; all of them by default
        client: Vec<ClientName>,
        /// How many clients at once; by default as many as there are processors, up to four
        #[arg(long, value_name = "NUMBER")]
        jobs: Option<NonZero<u8>>,
        /// Say what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Do it for one client; `maintain` runs this
    #[command(name = crate::act::child::ONE, hide = true)]
    MaintainOne {
        /// The client
        client: ClientName,
        /// Say what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Show in a table how each client stands: its newest snapshot, how its last connection ended, and
    /// what is due
    Status {
        /// The client; all of them by default
        client: Option<ClientName>,
        /// Draw it again every two seconds, until Ctrl-C; at a terminal
        #[arg(long, conflicts_with = "json")]
        watch: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Show in one page what went well, what did not, and what is due; the site's `digest:` says when
    /// it is mailed
    Digest(Digest),
    /// Show how clients stand, for Prometheus
    Metrics {
        /// Write it to the file that the site's `metrics:` names, instead; nothing if it names none
        #[arg(long)]
        write: bool,
    },
    /// Show what happened: every connection, and what was done on this machine, in order of time
    Log(Asked),
    /// Remove snapshots; `undelete` brings them back for a while
    Delete {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: ClientName,
        /// Their names, as `snapgate list` shows them
        #[arg(required = true)]
        snapshot: Vec<String>,
        /// Also what has to stay: the newest, the last few, what is protected or being read
        #[arg(long)]
        force: bool,
        /// Say what would be removed, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring back a snapshot that was removed
    Undelete {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: ClientName,
        /// Its name
        snapshot: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep a snapshot, whatever the policy says
    Protect {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: ClientName,
        /// Its name, as `snapgate list` shows it
        snapshot: String,
        /// For how long: 30d, or up to a time in the policy's zone, like 2026-12-31
        #[arg(long, value_name = "WHEN")]
        until: Option<Until>,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        why: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Leave a snapshot to the policy again
    Unprotect {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: ClientName,
        /// Its name
        snapshot: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how much clients hold, and how much they may
    Usage {
        /// The clients; all of them by default
        client: Vec<ClientName>,
        /// Count it anew, by a walk through everything
        #[arg(long, conflicts_with = "snapshots")]
        recount: bool,
        /// Show what each snapshot alone takes, by a walk through all of them
        #[arg(long)]
        snapshots: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Say that held snapshots are no damage
    Release(Chosen),
    /// Remove held snapshots, which are damage; `undelete` brings them back for a while
    Discard(Chosen),
    /// Show snapshots, with their age, size and what was new in them
    List {
        /// The client; all of them by default
        client: Option<ClientName>,
        /// Answer in JSON, an object for each snapshot
        #[arg(long)]
        json: bool,
    },
    /// List a directory of a snapshot
    Ls {
        #[command(flatten)]
        of: Of,
        /// Which snapshot, and the place in it: `@1d etc`, `etc`, `@2026-11-20`
        #[arg(value_name = "[@WHEN] [PATH]")]
        words: Vec<OsString>,
    },
    /// Show a file of a snapshot
    Cat {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: ClientName,
        /// Which snapshot, and the file in it
        #[arg(value_name = "[@WHEN] PATH", required = true)]
        words: Vec<OsString>,
    },
    /// Find names in a snapshot, or in all
    Find {
        #[command(flatten)]
        of: Of,
        /// In all snapshots, with where each was first and last
        #[arg(long)]
        all: bool,
        /// Which snapshot, and a name such as `*.conf` or `etc/*`
        #[arg(value_name = "[@WHEN] PATTERN", required = true)]
        words: Vec<OsString>,
    },
    /// Show the versions of a file, or what changed in a directory
    History {
        #[command(flatten)]
        of: Of,
        /// Show what differs in texts
        #[arg(short)]
        diffs: bool,
        /// The file or directory
        path: OsString,
    },
    /// Say where a file is as it was yesterday, or at another time
    Yesterday {
        /// The client; not needed where the path is one of the store's
        #[arg(long, value_name = "NAME")]
        client: Option<ClientName>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        /// So many days ago
        #[arg(short = 'd', value_name = "N")]
        days: Option<u32>,
        /// So many months ago
        #[arg(short = 'm', value_name = "N")]
        months: Option<u32>,
        /// So many years ago
        #[arg(short = 'y', value_name = "N")]
        years: Option<u32>,
        /// When, and the file
        #[arg(value_name = "[@WHEN] PATH", required = true)]
        words: Vec<OsString>,
    },
    /// Show what differs between two snapshots
    Diff {
        #[command(flatten)]
        of: Of,
        /// From this snapshot
        old: OsString,
        /// To this one
        new: OsString,
        /// In this place
        path: Option<OsString>,
    },
    /// Answer a question of a client's; the gate and this program run it
    #[command(name = crate::act::child::ANSWER, hide = true)]
    AnswerHistory {
        /// The client
        #[arg(long)]
        client: ClientName,
        /// For the administrator
        #[arg(long = crate::act::child::FOR_ADMINISTRATOR)]
        administrator: bool,
        /// The question
        #[arg(allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Read snapshots; this program runs it in a sandbox
    #[command(name = crate::admin::history::READ, hide = true)]
    ReadHistory {
        /// What to read
        order: OsString,
    },
}

/// Whose history, and for whom.
#[derive(Debug, clap::Args)]
pub(super) struct Of {
    /// The client
    #[arg(long, value_name = "NAME")]
    pub(super) client: ClientName,
    /// Answer in JSON, an object a line
    #[arg(long)]
    pub(super) json: bool,
}
