//! A mail that is written and waits in the spool of an account. The account may have written it
//! itself, so whoever reads it must call [`ComposedMail::checked`], and somebody else than the account
//! [`ComposedMail::of_account`] besides.

use std::fmt::{self, Display, Formatter};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::client::ClientName;
use super::limits::{MAX_MAIL_BODY, MAX_SPOOL_NAME, MAX_SUBJECT};
use super::page::Page;
use super::text::still_printable;
use super::word::table;

/// A mail without addresses; the site's settings have these when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct ComposedMail {
    /// Its number in the account's spool; with `created` it makes the Message-ID.
    pub seq: u64,
    /// The account, from the spool's directory and not from the file.
    #[serde(skip)]
    pub uid: u32,
    /// When it was written.
    pub created: DateTime<Utc>,
    /// Whom it is for.
    pub audience: Audience,
    /// The number of events in it.
    pub events: u64,
    /// The subject.
    pub subject: MailSubject,
    /// The body, printable lines.
    pub body: String,
    /// The one client that it is about, whose policy may name who gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    /// What it is about, for the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    /// The thread that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Thread>,
    /// The same as the body, for readers that show HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Box<Page>>,
}

table! {
    /// What an alert is about.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Topic {
        /// Connections that were refused.
        Refused = "refused",
        /// What failed.
        Failed = "failed",
        /// A snapshot that may be damage.
        Held = "held",
        /// A snapshot that did not come.
        Missed = "missed",
        /// A quota that is used up.
        Quota = "quota",
    }
}

/// Mails that a reader's program shows together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// The local part of the first mail's Message-ID.
    pub root: String,
    /// Whether this is the first one.
    pub begins: bool,
}

impl Thread {
    /// Whether it holds nothing but what may stand in a header.
    fn is_plain(&self) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=MAX_SPOOL_NAME).contains(&self.root.len()) && self.root.bytes().all(plain)
    }
}

/// Whom a mail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// `to:` in the site file.
    Alerts,
    /// `reports_to:` there.
    Reports,
}

/// `[snapgate] WHO: WHAT`: whom it is about, and what of that. Every subject is made here, so that filters
/// find all mails, and a list sorted by subject has what concerns one client in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct MailSubject(String);

/// Before all that a subject says.
const MARK: &str = "[snapgate] ";

impl MailSubject {
    /// A client, or for instance `the server`, and what there is to say of it.
    pub fn new(who: impl Display, what: impl Display) -> Self {
        Self::of(&format!("{who}: {what}"))
    }

    fn of(said: &str) -> Self {
        Self(still_printable(&format!("{MARK}{said}"), MAX_SUBJECT))
    }

    /// It as one printable line.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One that speaks of whom the account speaks for, or else of the account.
    fn of_account(&self, uid: u32, speaks_for: &dyn Fn(&str) -> bool) -> Self {
        let said = self.0.strip_prefix(MARK).unwrap_or(&self.0);
        let account = format!("account {uid}");
        let who = said.split_once(": ").map(|(who, _)| who);
        if who.is_some_and(|who| who == account || speaks_for(who)) { self.clone() } else { Self::new(account, said) }
    }
}

/// From a file, which may hold anything.
impl From<String> for MailSubject {
    fn from(text: String) -> Self {
        Self::of(text.strip_prefix(MARK).unwrap_or(&text))
    }
}

impl From<MailSubject> for String {
    fn from(subject: MailSubject) -> Self {
        subject.0
    }
}

impl Display for MailSubject {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The last second of the year 9999, in seconds since 1970.
const LAST_SECOND: i64 = 253_402_300_799;

impl ComposedMail {
    /// The mail with printable text alone, within its limits.
    pub fn checked(mut self, uid: u32) -> Self {
        self.uid = uid;
        // Other years have no form in a mail (RFC 5322, 3.3).
        self.created = self.created.clamp(DateTime::UNIX_EPOCH, DateTime::from_timestamp(LAST_SECOND, 0).unwrap_or_default());
        self.body = printable_lines(&self.body);
        self.thread = self.thread.filter(Thread::is_plain);
        self.page = self.page.map(|page| Box::new(page.checked()));
        self
    }

    /// What is left of it where the account has written it, and somebody else believes that: text, and
    /// a subject and a client for which the account `speaks_for`. It says whose it is at its end, whatever
    /// stands before, and belongs to no thread: who forges that another's state is over has to begin one.
    pub fn of_account(mut self, speaks_for: &dyn Fn(&str) -> bool) -> Self {
        (self.thread, self.page) = (None, None);
        self.client = self.client.filter(|client| speaks_for(client.as_str()));
        (self.subject, self.body) = of_account(&self.subject, self.body, self.uid, speaks_for);
        self
    }

    /// The Message-ID of the mail that this one answers.
    pub fn answers(&self, host: &str) -> Option<String> {
        self.thread.as_ref().filter(|thread| !thread.begins).map(|thread| format!("<{}@{host}>", thread.root))
    }

    /// The Message-ID, the same for each attempt.
    pub fn message_id(&self, host: &str) -> String {
        if let Some(thread) = self.thread.as_ref().filter(|thread| thread.begins) {
            return format!("<{}@{host}>", thread.root);
        }
        format!("<snapgate.{}.{}.{}@{host}>", self.created.timestamp_micros(), self.uid, self.seq)
    }
}

/// The end of a mail, which says where its text is from.
pub fn footer(uid: u32) -> String {
    format!("\n-- \nsnapgate, from what the unix account with uid {uid} recorded.\n")
}

/// A subject and a text that an account has written, for somebody who is to know that: the one speaks of whom the
/// account `speaks_for`, or else of the account, and the other says at its end whose it is.
pub(super) fn of_account(subject: &MailSubject, mut text: String, uid: u32, speaks_for: &dyn Fn(&str) -> bool) -> (MailSubject, String) {
    let footer = footer(uid);
    if !text.ends_with(&footer) {
        text += &footer;
    }
    (subject.of_account(uid, speaks_for), text)
}

/// Lines of printable text, together within [`MAX_MAIL_BODY`].
pub fn printable_lines(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let room = MAX_MAIL_BODY.saturating_sub(out.len());
        if room == 0 {
            out.push_str("(cut)\n");
            break;
        }
        out.push_str(&still_printable(line, room));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_mail_holds_nothing_but_printable_lines() {
        let forged = ComposedMail {
            seq: 1,
            uid: 0,
            created: DateTime::UNIX_EPOCH,
            audience: Audience::Alerts,
            events: 1,
            subject: "x\r\nBcc: victim@example.org".to_owned().into(),
            body: format!("one\r\x1b[2J\ntwo\n{}", "y".repeat(1 << 20)),
            client: None,
            topic: None,
            thread: Some(Thread { root: "x>\r\nBcc: victim@example.org".to_owned(), begins: true }),
            page: None,
        };
        let mail = forged.checked(1001);
        assert_eq!(mail.subject.as_str(), "[snapgate] x\\r\\nBcc: victim@example.org");
        assert!(mail.body.starts_with("one\\r\\u{1b}[2J\ntwo\nyyy"));
        assert!(mail.body.len() < MAX_MAIL_BODY + 64);
        assert_eq!((mail.uid, &mail.thread), (1001, &None));
        assert_eq!(mail.message_id("h"), "<snapgate.0.1001.1@h>");
    }

    #[test]
    fn what_an_account_has_written_speaks_of_its_clients_alone_and_says_whose_it_is() {
        let speaks_for = |who: &str| ["web1", "account jane"].contains(&who);
        let written = |subject: &str| ComposedMail {
            seq: 1,
            uid: 0,
            created: DateTime::UNIX_EPOCH,
            audience: Audience::Alerts,
            events: 1,
            subject: subject.to_owned().into(),
            body: format!("All is well.\n{}", footer(0)),
            client: Some("shop".parse().unwrap()),
            topic: None,
            thread: Some(Thread { root: "snapgate.missed.1.shop".to_owned(), begins: false }),
            page: None,
        };
        for (subject, sent) in [
            ("[snapgate] web1: refused", "[snapgate] web1: refused"),
            ("web1: refused", "[snapgate] web1: refused"),
            ("[snapgate] account 1001: refused", "[snapgate] account 1001: refused"),
            ("[snapgate] account jane: refused", "[snapgate] account jane: refused"),
            ("[snapgate] account 0: refused", "[snapgate] account 1001: account 0: refused"),
            ("[snapgate] shop: missed: resolved after 30 hours", "[snapgate] account 1001: shop: missed: resolved after 30 hours"),
            ("[snapgate] digest 2026-11-29: all is well", "[snapgate] account 1001: digest 2026-11-29: all is well"),
            ("[snapgate] [snapgate] web1: x", "[snapgate] account 1001: [snapgate] web1: x"),
            ("Re: [snapgate] web1: x", "[snapgate] account 1001: Re: [snapgate] web1: x"),
            ("", "[snapgate] account 1001: "),
        ] {
            let mail = written(subject).checked(1001).of_account(&speaks_for);
            assert_eq!(mail.subject.as_str(), sent);
            assert!(mail.body.ends_with(&footer(1001)), "{}", mail.body);
            assert_eq!((&mail.client, &mail.thread, &mail.page), (&None, &None, &None));
            let again = mail.clone().of_account(&speaks_for);
            assert_eq!(again, mail, "what ends so already ends so once");
        }
    }
}
