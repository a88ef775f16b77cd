//! What is remembered of the last digest, and digests on their way. Both are in the memory, so that
//! one save has both: a digest whose notice is saved was made, and no other.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Memory, Notice};
use crate::terms::limits::{MAX_DIGEST_POINTS, MAX_NOTICES};
use crate::terms::{Audience, ClientName, MailSubject, Page};

/// The last digest, and what the next one compares with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// When it was due.
    pub due: DateTime<Utc>,
    /// When it was made: it told of what was before.
    pub at: DateTime<Utc>,
    /// Whether the clock was set back since.
    #[serde(default)]
    pub set_back: bool,
    /// What each client used then.
    #[serde(default)]
    pub used: BTreeMap<ClientName, u64>,
    /// What all used at each of the last ones.
    #[serde(default)]
    pub points: Vec<Point>,
    /// Up to which line it saw each ledger, by whose that is; `None` where nobody has noted it.
    #[serde(default)]
    pub marks: Option<BTreeMap<String, Mark>>,
}

/// A line of a ledger. What stands behind it was recorded later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The event's id.
    pub id: String,
    /// Its time.
    pub at: DateTime<Utc>,
}

/// A digest's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Bytes that all clients used.
    pub used: u64,
}

/// A digest to be mailed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// A client whose `reports_to:` gets it; `None`: the site's.
    pub client: Option<ClientName>,
    /// Its subject.
    pub subject: MailSubject,
    /// It as a text.
    pub body: String,
    /// It as a page.
    pub page: Page,
}

impl Memory {
    /// With these digests to be mailed, and the last one's figures if it was due. `None` where so many
    /// notices wait that none is taken: it is tried again.
    pub fn with_digest(self, told: u64, letters: Vec<Letter>, past: Option<Past>, now: DateTime<Utc>) -> Option<Self> {
        let mut this = self.bounded(told, now);
        if !letters.is_empty() && this.notices.len() >= MAX_NOTICES {
            return None;
        }
        for Letter { client, subject, body, page } in letters {
            let notice = Notice::new(now, None, subject, body);
            this.add(Notice { client, audience: Audience::Reports, page: Some(Box::new(page)), ..notice });
        }
        if let Some(mut past) = past {
            let begin = past.points.len().saturating_sub(MAX_DIGEST_POINTS);
            past.points = past.points.split_off(begin);
            this.digest = Some(past);
        }
        Some(this)
    }
}
