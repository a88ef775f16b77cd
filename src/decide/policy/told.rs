//! Being told: when a client's silence is noticed (`expect:`, `grace:`, `laptop:`), and who gets its
//! mail (`alerts_to:`, `reports_to:`, `routes:`).

use crate::decide::keep::Span;
use crate::decide::policy::yaml::{Texts, Word, Wrong, keys};
use crate::terms::{Topic, Url};

use super::values::MailAddress;

/// `expect:` When a client's next snapshot is missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expect {
    /// By its own rhythm, once there is one.
    #[default]
    Learn,
    /// So long after the last one.
    Within(Span),
    /// Never.
    Off,
}

impl Word for Expect {
    const WHAT: &'static str = "a span like 24h or 7d, learn, or off";

    fn read(text: &str) -> Result<Self, Wrong> {
        match text {
            "learn" => Ok(Self::Learn),
            "off" => Ok(Self::Off),
            _ => Span::read(text).map(Self::Within).map_err(|Wrong { message, .. }| Wrong::new(message, format!("write {}", Self::WHAT))),
        }
    }
}

keys! {
    /// `routes:` as a table. Each key is a [`Topic`].
    pub(super) struct RouteKeys, "`routes`" {
        /// Connections that were refused.
        refused: Vec<MailAddress> as Texts<_> = Words("the addresses of `alerts_to:`"), "[security@example.org]";
        /// Pushes that failed, hooks that failed, upkeep that failed, and a repository that cannot
        /// be read.
        failed: Vec<MailAddress> as Texts<_> = Words("the addresses of `alerts_to:`"), "[ops@example.org]";
        /// Snapshots that are held.
        held: Vec<MailAddress> as Texts<_> = Words("the addresses of `alerts_to:`"), "[security@example.org]";
        /// Snapshots that did not come.
        missed: Vec<MailAddress> as Texts<_> = Words("the addresses of `alerts_to:`"), "[jane@example.org]";
        /// A quota that is used up, and pushes that it refuses or stops.
        quota: Vec<MailAddress> as Texts<_> = Words("the addresses of `alerts_to:`"), "[billing@example.org]";
    }
}

/// When a client's silence is noticed, and who hears of the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// `expect:`
    pub expect: Expect,
    /// `grace:` How late a snapshot may be; `None`: what suits the rhythm.
    pub grace: Option<Span>,
    /// `laptop:` Whether the machine travels, so that it is not missed while it is away.
    pub laptop: bool,
    /// `ping:` Where a service is told that it pushed.
    pub ping: Option<Url>,
    pub(in crate::decide) reports: Vec<String>,
    pub(in crate::decide) alerts: Vec<String>,
    pub(in crate::decide) routes: Vec<(Topic, Vec<String>)>,
}

impl Told {
    /// Who gets the client's alerts about that; nobody in particular where the site's `to:` does.
    pub fn alerts_to(&self, topic: Option<Topic>) -> &[String] {
        let routed = self.routes.iter().find(|(routed, _)| Some(*routed) == topic);
        routed.map_or(&self.alerts, |(_, to)| to)
    }

    /// Who gets its reports; nobody in particular where the site's `reports_to:` does.
    pub fn reports_to(&self) -> &[String] {
        &self.reports
    }
}

/// What a policy says of it.
pub(super) struct Said {
    pub(super) expect: Option<Expect>,
    pub(super) grace: Option<Span>,
    pub(super) laptop: Option<bool>,
    pub(super) reports_to: Option<Vec<MailAddress>>,
    pub(super) alerts_to: Option<Vec<MailAddress>>,
    pub(super) routes: Option<RouteKeys>,
    pub(super) ping: Option<Url>,
}

impl Said {
    pub(super) fn told(self) -> Told {
        let plain = |all: Vec<MailAddress>| all.into_iter().map(|MailAddress(address)| address).collect::<Vec<_>>();
        let Self { expect, grace, laptop, reports_to, alerts_to, routes, ping } = self;
        let RouteKeys { refused, failed, held, missed, quota } = routes.unwrap_or_default();
        let routes =
            [(Topic::Refused, refused), (Topic::Failed, failed), (Topic::Held, held), (Topic::Missed, missed), (Topic::Quota, quota)];
        Told {
            expect: expect.unwrap_or_default(),
            grace,
            laptop: laptop.unwrap_or(false),
            ping,
            reports: reports_to.map(plain).unwrap_or_default(),
            alerts: alerts_to.map(plain).unwrap_or_default(),
            routes: routes.into_iter().filter_map(|(topic, to)| Some((topic, plain(to?)))).collect(),
        }
    }
}
