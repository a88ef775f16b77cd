//! The site's and the clients' rules. `act::config` has checked whose files they are.

pub mod address;
pub mod lint;
pub mod window;
pub mod yaml;

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::terms::word::table;
use crate::terms::{ClientName, Fingerprint, Link, NamePattern, Origin, SubPath, Tiding, Url, Verb, ZoneName};

use self::window::Window;
use super::anomaly::Limits as AnomalyLimits;
use super::keep::{Keep, Span};
use super::quota::{MinFree, Quota};
use super::rsync::options::Choice;

mod anomaly;
mod arrivals;
mod digest;
mod drill;
mod keep;
mod limits;
mod options;
mod origins;
mod quota;
mod read;
mod restore;
mod site;
mod told;
mod values;

pub use anomaly::Current;
pub use digest::Digest;
pub use limits::Limits;
pub use read::{Defaults, POLICY_KEYS, read_policy};
pub use restore::{Restore, Rules};
pub use site::{SITE_KEYS, read_site};
pub use told::{Expect, Told};

/// The default of `rsync:`.
pub const DEFAULT_RSYNC: &str = "/usr/bin/rsync";

/// The default of `sftp_server:`.
pub const DEFAULT_SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

/// The directory of the configuration. Never from the environment, which a client may influence.
pub const DEFAULT_CONFIG: &str = "/etc/snapgate";

/// The end of the name of a policy's file; a client's name is before it.
pub const ENDING: &str = ".yaml";

/// The default of `spool:`.
pub const DEFAULT_SPOOL: &str = "/var/spool/snapgate";

/// The default of `webhook_secret:`.
pub const DEFAULT_WEBHOOK_SECRET: &str = "/etc/snapgate/webhook.key";

/// The default of `syslog:`.
pub const DEFAULT_SYSLOG: &str = "/dev/log";

/// `policies/<client>.yaml` over the site's `defaults:` over the built-in defaults.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The client, by the file's name.
    pub client: ClientName,
    /// `user:` The unix account that may speak for the client; default: the client's name.
    pub user: String,
    /// `keys:` The keys that may speak for it; `None`: any key that sshd lets in.
    pub keys: Option<Vec<Fingerprint>>,
    /// `from:` Where it may come from; `None`: anywhere.
    pub from: Option<Vec<Source>>,
    /// `when:` When it may come; `None`: always.
    pub when: Option<Vec<Window>>,
    /// `timezone:` The zone of `when` and `keep`; default UTC.
    pub timezone: ZoneName,
    /// `frozen:` Why it may do nothing for now; `None`: it may.
    pub frozen: Option<String>,
    /// `verbs:` What it may ask for; help is always allowed.
    pub verbs: Vec<Verb>,
    /// `path:` Its repository, absolute; default `<store>/<client>`.
    pub path: PathBuf,
    /// `snapshots: {name: …}` How snapshots are named.
    pub names: NamePattern,
    /// `report:` Which pushes ask for a job report.
    pub report: Report,
    /// `expect:` and what goes with it, `alerts_to:`, `reports_to:` and `routes:`.
    pub told: Told,
    /// `partial_pushes:` What becomes of a push that is not the whole snapshot.
    pub partial_pushes: PartialPushes,
    /// `owners:` Whether owners and groups are kept by an account that is not root.
    pub owners: Option<KeepOwners>,
    /// `hooks:` What runs before and after a push.
    pub hooks: Hooks,
    /// `time_limits: {idle: …}` rsync ends when nothing moves for this long.
    pub idle: Duration,
    /// `time_limits: {push: …}` rsync is ended after this long, and what was received is kept.
    pub deadline: Duration,
    /// `limits:` How much of the server it may use.
    pub limits: Limits,
    /// `require_mount:` Refuse while the repository's disk is not mounted (`decide::host::mounts`).
    pub require_mount: bool,
    /// `options: {refuse: […], allow: […]}` What it says of rsync's options, over the table.
    pub options: Choice,
    /// `keep:`, `min_snapshots:`, `keep_within:` Which snapshots are kept.
    pub keep: Keep,
    /// `trash_grace:` For how long a removed snapshot can be brought back.
    pub trash_grace: Span,
    /// `restore:` The rules of pulls.
    pub restore: Restore,
    /// `quota:` How much it may hold.
    pub quota: Quota,
    /// `when_full:` What becomes of its history when there is no room for more.
    pub when_full: WhenFull,
    /// `anomaly:` From when on a push is held; `None`: never.
    pub anomaly: Option<AnomalyLimits>,
    /// `drill:` What `snapgate drill` always restores.
    pub drill: Vec<SubPath>,
    /// Where each key stands.
    pub origins: Origins,
}

impl Policy {
    /// The rules of a drill, in which the administrator asks in the client's place: nothing may be
    /// done but to restore, whoever comes and when.
    #[must_use]
    pub fn for_drill(self) -> Self {
        let limits = Limits { sessions: u64::MAX, ..self.limits };
        Self {
            keys: None,
            from: None,
            when: None,
            frozen: None,
            verbs: vec![Verb::Restore],
            limits,
            restore: Restore { uncounted: true, ..Restore::default() },
            ..self
        }
    }

    /// The rules where somebody on this machine pushes to it: there is no key, and whoever runs it is
    /// the account, or root.
    #[must_use]
    pub fn for_this_machine(self) -> Self {
        Self { keys: None, restore: Restore { keys: None, ..self.restore }, ..self }
    }

    /// Whether the client may ask for it.
    pub fn allows(&self, verb: Verb) -> bool {
        verb.row().always || self.verbs.contains(&verb)
    }
}

/// Where a client may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A network or a single address.
    Network(IpNet),
    /// The same on one link of this machine.
    OnLink(IpNet, Link),
    /// A name, resolved when the client connects.
    Host(String),
}

table! {
    /// `report:` Which pushes ask for a job report.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Report {
        /// Every push.
        Always = "always",
        /// A push with warnings.
        Problems = "problems",
        /// No push.
        Never = "never",
    }
}

table! {
    /// `owners:` What becomes of the owners and groups of a client's files, where the account is
    /// not root.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum KeepOwners {
        /// Owners, groups, access lists, capabilities and modes are kept, as ids of the account's
        /// ranges in `/etc/subuid` and `/etc/subgid`. A push that would lose an owner is refused
        /// (code `owners`).
        Keep = "keep",
        /// Everything belongs to the account.
        Drop = "drop",
    }
}

table! {
    /// `partial_pushes:` What becomes of a push, outside of a transaction, that may have a part of
    /// the client's data alone.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum PartialPushes {
        /// A push into a place is refused (code `part`, exit 77), except between `prepare` and
        /// `complete`. Whether a push to the top has a few files alone, the server cannot know
        /// beforehand: it is published as with `publish`.
        Refuse = "refuse",
        /// What was sent is the snapshot, and nothing else is in it. Where that is much less than
        /// before, `snapgate list` says `shrunk`, and the client and you are told.
        Publish = "publish",
        /// What was not sent is carried over from the last snapshot, by links, so that several
        /// pushes make one whole snapshot. A transaction, too, is completed so.
        Merge = "merge",
    }
}

table! {
    /// `when_full:` What `snapgate prune` does when there is no room for more.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum WhenFull {
        /// Nothing but what `keep:` says. Pushes are refused once there is no room left.
        Refuse = "refuse",
        /// It removes snapshots that `keep:` would keep, the oldest first, until the client is
        /// below its quota's `warn:` and the disk has what `min_free:` says. What is always kept
        /// stays. The trash is emptied for it, whatever `trash_grace:` says: what goes so cannot be
        /// brought back. Each time it is mailed, and no more than one in four snapshots go at once.
        Shorten = "shorten",
    }
}

table! {
    /// `namespaces:` What becomes of a push where the kernel gives its account no namespaces.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Namespaces {
        /// It is refused (code `jail`).
        Required = "required",
        /// It runs in a weaker jail, and every line of its log says `jail=without-namespaces`.
        /// `docs/threat-model.md` says what is given up; pushes of many unchanged files take three
        /// to four times as long.
        Optional = "optional",
    }
}

table! {
    /// Whether something is done.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Switch {
        /// Yes.
        On = "on",
        /// No.
        Off = "off",
    }
}

/// The administrator's commands, run as the account. Each is an absolute path and arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Before a push or at `prepare`: one that fails refuses.
    pub prepare: Vec<Vec<String>>,
    /// After publishing.
    pub complete: Vec<Vec<String>>,
    /// Each one's time limit.
    pub time_limit: Duration,
}

/// Where the keys of a policy are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// The policy's file.
    pub file: PathBuf,
    /// Keys with their file and line.
    pub keys: Vec<(String, Origin)>,
}

impl Origins {
    /// Where `key` is written; line 0 of the policy's file for a default.
    pub fn of(&self, key: &str) -> Origin {
        debug_assert!(SITE_KEYS.iter().chain(POLICY_KEYS).any(|row| row.word == key), "`{key}` is no key");
        let found = self.keys.iter().find(|(name, _)| name == key);
        found.map_or_else(|| Origin { file: self.file.clone(), line: 0 }, |(_, origin)| origin.clone())
    }
}

/// The site: what `snapgate.yaml` says.
#[derive(Debug, Clone)]
pub struct Site {
    /// The file.
    pub file: PathBuf,
    /// `store:` Where repositories are by default.
    pub store: PathBuf,
    /// `rsync:` The real rsync.
    pub rsync: PathBuf,
    /// `sftp_server:` OpenSSH's sftp-server.
    pub sftp_server: PathBuf,
    /// `spool:` Where events wait for the mailer.
    pub spool: PathBuf,
    /// `syslog:` The daemon's socket; `None`: `off`.
    pub syslog: Option<PathBuf>,
    /// `sshd:` Which sshd clients reach, for `check` alone.
    pub sshd: Sshd,
    /// `sessions:` How many connections of all clients are served at once.
    pub sessions: u64,
    /// `jail:` Whether rsync is jailed; only `off` turns it off.
    pub jail: bool,
    /// `namespaces:` Whether a push may run without.
    pub namespaces: Namespaces,
    /// `min_free:` What pushes leave free on a disk.
    pub min_free: MinFree,
    /// `mail:` How mail leaves.
    pub mail: MailSettings,
    /// `digest:` When the digest is mailed.
    pub digest: Digest,
    /// `webhook:` The server that is told.
    pub webhook: Option<Url>,
    /// `webhook_secret:` The file of what signs that.
    pub webhook_secret: PathBuf,
    /// `webhook_kinds:` What it is told.
    pub webhook_kinds: Vec<Tiding>,
    /// `exec:` The program that is told.
    pub exec: Option<PathBuf>,
    /// `metrics:` The file for Prometheus' node exporter, if there is to be one.
    pub metrics: Option<PathBuf>,
    /// `logs: keep:` For how long logs and the like are kept.
    pub logs_keep: Span,
    /// `defaults:` What policies say where they say nothing themselves.
    pub defaults: Defaults,
    /// Where each key stands.
    pub origins: Origins,
}

impl Site {
    /// Whether a push is told of that is worth no mail.
    pub fn tells_all(&self, policy: Option<&Policy>) -> bool {
        self.webhook.is_some() || self.exec.is_some() || policy.is_some_and(|policy| policy.told.ping.is_some())
    }
}

/// The sshd whose settings `check` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sshd {
    /// With the machine's own settings; the default.
    OfTheMachine,
    /// With this file of settings, as behind `sshd -f`.
    With(PathBuf),
    /// `off`: none, since clients come in another way.
    None,
}

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// `from:` The sender; `None`: `snapgate@` and the host's name.
    pub from: Option<String>,
    /// `to:` Who gets alerts; default root.
    pub to: Vec<String>,
    /// `reports_to:` Who gets job reports; default: as `to`.
    pub reports_to: Vec<String>,
    /// `transport:` The way.
    pub transport: Transport,
    /// `password_file:` The SMTP password, alone on the first line.
    pub password_file: Option<PathBuf>,
    /// `ca_file:` Certificates (PEM) to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// The way of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// `sendmail` or `sendmail:/path`: the local mailer.
    Sendmail(PathBuf),
    /// `smtp://`, `starttls://`, `smtps://`, with `user@` where it needs one.
    Smtp {
        /// The server's name or address.
        host: String,
        /// Its port; by default 25, 587 and 465.
        port: u16,
        /// How the connection is protected.
        tls: Tls,
        /// The account there.
        user: Option<String>,
    },
    /// `file:/some/dir`: a directory of `.eml` files.
    Directory(PathBuf),
    /// `off`: no mail at all.
    Off,
}

/// How an SMTP connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not at all (`smtp://`): for a server on this machine.
    None,
    /// STARTTLS, required (`starttls://`).
    Starttls,
    /// From the first byte (`smtps://`).
    Implicit,
}

#[cfg(test)]
mod tests;
