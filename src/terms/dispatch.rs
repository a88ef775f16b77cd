//! What is told by other ways than mail, and waits in the spool of an account until it was taken. The
//! account may have written it itself: it names a client, and no place to which anything is sent.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::client::ClientName;
use super::event::Event;
use super::limits::MAX_SPOOL_NAME;
use super::mail::{self, MailSubject, Topic, printable_lines};
use super::text::still_printable;
use super::word::{table, words};

table! {
    /// A way other than mail.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Way {
        /// `webhook:` of the site.
        Webhook = "webhook",
        /// `ping:` of a policy.
        Ping = "ping",
        /// `exec:` of the site.
        Exec = "exec",
    }
}

table! {
    /// What is told: in a word, for those who choose.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Tiding {
        /// A push became a snapshot.
        Published = "published",
        /// A push came to nothing, upkeep failed, a client cannot be read, or a way out is down.
        Failed = "failed",
        /// A connection was refused.
        Refused = "refused",
        /// A snapshot may be damage.
        Held = "held",
        /// A snapshot did not come.
        Missed = "missed",
        /// A quota is used up.
        Quota = "quota",
        /// What else is worth a mail, and pushes that neither failed nor became a snapshot.
        Other = "other",
    }
}

impl From<Topic> for Tiding {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::Refused => Self::Refused,
            Topic::Failed => Self::Failed,
            Topic::Held => Self::Held,
            Topic::Missed => Self::Missed,
            Topic::Quota => Self::Quota,
        }
    }
}

words! {
    /// What a ping says.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Signal {
        /// A push begins.
        Start = "start",
        /// A push became a snapshot, and nothing has to be looked into.
        Success = "success",
        /// It did not, or somebody has to.
        Fail = "fail",
        /// Somebody tries whether pings arrive.
        Log = "log",
    }
}

/// Something that is told by one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    /// Which.
    pub way: Way,
    /// Since when it waits.
    pub created: DateTime<Utc>,
    /// What is told.
    pub what: What,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Something that happened.
    Event(Box<Event>),
    /// A state that begins, lasts or ends, or a test.
    Notice(Told),
}

/// What is told of a state, as a mail has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Unique, and the same whenever it is told.
    pub id: String,
    /// When it was found.
    pub at: DateTime<Utc>,
    /// Whose state it is.
    pub client: Option<ClientName>,
    /// What it is about; `None`: nothing, it is a test.
    pub tiding: Option<Tiding>,
    /// The mail's subject.
    pub subject: MailSubject,
    /// Its body.
    pub text: String,
}

impl What {
    /// Unique for each way, and the same for each attempt.
    pub fn id(&self) -> &str {
        match self {
            Self::Event(event) => &event.id,
            Self::Notice(told) => &told.id,
        }
    }
}

impl Dispatch {
    /// What is left of it where the account has written it, and somebody else believes that: an event with
    /// the account's name, and of a state what a mail of the account's would have. Whether its client is
    /// the account's is for others to ask. Root is believed.
    #[must_use]
    pub fn of_account(mut self, uid: u32, name: &str) -> Self {
        match &mut self.what {
            _ if uid == 0 => {}
            What::Event(event) => name.clone_into(&mut event.account),
            What::Notice(told) => {
                let speaks_for = |who: &str| told.client.as_ref().is_some_and(|client| client.as_str() == who);
                (told.subject, told.text) = mail::of_account(&told.subject, std::mem::take(&mut told.text), uid, &speaks_for);
            }
        }
        self
    }

    /// See [`What::id`].
    pub fn id(&self) -> &str {
        self.what.id()
    }

    /// The one client that it is about.
    pub fn client(&self) -> Option<&ClientName> {
        match &self.what {
            What::Event(event) => event.client.as_ref(),
            What::Notice(told) => told.client.as_ref(),
        }
    }

    /// With printable text alone, within its limits. An event was made so where it was read.
    #[must_use]
    pub fn checked(mut self) -> Self {
        if let What::Notice(told) = &mut self.what {
            told.id = still_printable(&told.id, MAX_SPOOL_NAME);
            told.text = printable_lines(&told.text);
        }
        self
    }
}
