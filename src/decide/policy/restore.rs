//! `restore:` of a policy: who may pull, and how much.

use crate::decide::policy::window::Window;
use crate::decide::policy::yaml::{Figure, List, TableOf, Texts, keys};
use crate::terms::{Fingerprint, Verb};

use super::arrivals::{Sources, WhenKeys, windows};
use super::limits::Sessions;
use super::quota::HeldBytes;
use super::{Policy, Source};

/// The rules of pulls; where one is absent the client's own holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// The keys that may pull.
    pub keys: Option<Vec<Fingerprint>>,
    /// Where pulls may come from.
    pub from: Option<Vec<Source>>,
    /// When they may come.
    pub when: Option<Vec<Window>>,
    /// How many may run at once.
    pub sessions: Option<u64>,
    /// Bytes that may be sent within 24 hours; `None`: any number.
    pub bytes: Option<u64>,
    /// From how many on the administrator gets a mail; `None`: never.
    pub alert_over: Option<u64>,
    /// Whether what is sent is none of the client's: a drill reads for the administrator.
    pub uncounted: bool,
}

/// The rules that hold for what is asked, and the key of the policy where each stands.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Which keys.
    pub keys: (Option<&'a [Fingerprint]>, &'static str),
    /// From where.
    pub from: (Option<&'a [Source]>, &'static str),
    /// When.
    pub when: (Option<&'a [Window]>, &'static str),
}

impl Policy {
    /// The rules for a verb; `None`: for what could not be read.
    pub fn rules(&self, verb: Option<Verb>) -> Rules<'_> {
        let own =
            Rules { keys: (self.keys.as_deref(), "keys"), from: (self.from.as_deref(), "from"), when: (self.when.as_deref(), "when") };
        if !verb.is_some_and(|verb| verb.row().gives_back) {
            return own;
        }
        let Restore { keys, from, when, .. } = &self.restore;
        Rules {
            keys: keys.as_deref().map_or(own.keys, |keys| (Some(keys), RESTORE)),
            from: from.as_deref().map_or(own.from, |from| (Some(from), RESTORE)),
            when: when.as_deref().map_or(own.when, |when| (Some(when), RESTORE)),
        }
    }

    /// Whether some keys may pull and do nothing else, so that it matters which one came.
    pub fn keeps_keys_for_restores(&self) -> bool {
        self.restore.keys.is_some()
    }

    /// Whether a key may do nothing but pull.
    pub fn only_restores(&self, key: &Fingerprint) -> bool {
        let lists = |keys: &Option<Vec<Fingerprint>>| keys.iter().flatten().any(|listed| listed == key);
        lists(&self.restore.keys) && !lists(&self.keys)
    }
}

/// The key of a policy.
const RESTORE: &str = "restore";

keys! {
    /// `restore:` in a file.
    pub(super) struct RestoreKeys, "`restore`" {
        /// Where pulls may come from.
        from: Vec<Source> as Sources = Words("the client's `from:`"), r#"[192.0.2.0/24, "host:rt-1080.example.net"]"#;
        /// When they may come. One that runs is not ended.
        when: Vec<TableOf<WhenKeys>> as List<_> = Words("the client's `when:`"), r#"[{ days: mon-fri, hours: "08:00-18:00" }]"#;
        /// The keys that may pull. One that stands here and not in the client's `keys:` may do
        /// nothing else; then sshd has to say which key logged in (`ExposeAuthInfo`), also where the
        /// client has no `keys:`.
        keys: Vec<Fingerprint> as Texts<_>
            = Words("the client's `keys:`"), "[SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk]";
        /// How much pulls may take.
        limits: PullKeys as TableOf<_> = Below, "{ sessions: 2, bytes: 100G }";
        /// From how many bytes within 24 hours on you get a mail, one a day: a stolen key that reads
        /// everything is worth one.
        alert_over: HeldBytes as Figure<_> = Words("no mail"), "20G";
    }
}

keys! {
    /// `limits:` of `restore:` in a file.
    pub(super) struct PullKeys, "`limits` of `restore`" {
        /// Pulls that run at once. They do not count among the client's other connections, nor these
        /// among them.
        sessions: Sessions as Figure<_> = Words("as the client's `limits:` say"), "2";
        /// Bytes that the client is sent within 24 hours, by all its pulls together. A pull that
        /// comes past it is ended (code `limit`), and further ones are refused until there is room
        /// again.
        bytes: HeldBytes as Figure<_> = Words("as many as it asks for"), "100G";
    }
}

impl RestoreKeys {
    pub(super) fn keys(&self) -> &[Fingerprint] {
        self.keys.as_deref().unwrap_or_default()
    }

    pub(super) fn restore(self) -> Restore {
        let Self { from, when, keys, limits, alert_over } = self;
        let PullKeys { sessions, bytes } = limits.unwrap_or_default();
        Restore {
            keys,
            from,
            when: when.map(windows),
            sessions: sessions.map(|Sessions(sessions)| sessions),
            bytes: bytes.map(|HeldBytes(bytes)| bytes),
            alert_over: alert_over.map(|HeldBytes(bytes)| bytes),
            uncounted: false,
        }
    }
}
