//! `webhook:` of the site: who is told by HTTP.

use std::path::PathBuf;

use crate::decide::policy::yaml::{Text, Texts, Wrong, keys};
use crate::terms::{Tiding, Url};

use super::values::Absolute;
use super::{Policy, Site};

/// A server that is told what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// `url:` Where.
    pub url: Url,
    /// `secret_file:` The file of what signs it.
    pub secret_file: PathBuf,
    /// `kinds:` Of what.
    pub kinds: Vec<Tiding>,
}

keys! {
    pub(super) struct WebhookKeys, "`webhook`" {
        /// Where each event is sent, by POST. `http://` is for this machine alone; elsewhere write
        /// `insecure:http://` if everybody on the way may read it.
        url: Url as Text<_> = Required, "https://ops.example.org/snapgate";
        /// A file whose first line is the secret of the signature. Only root may be able to read it
        /// (mode 0600).
        secret_file: Absolute as Text<_> = Required, "/etc/snapgate/webhook.key";
        /// What is sent.
        kinds: Vec<Tiding> as Texts<_> = Words("all of it"), "[failed, held, missed, quota]";
    }

    fn whole(&self) -> Result<(), Wrong> {
        match (&self.url, &self.secret_file) {
            (Some(_), Some(_)) => Ok(()),
            (None, _) => Err(Wrong::new("the key `url` is missing", "add url: and where events are sent")),
            (_, None) => Err(Wrong::new(
                "the key `secret_file` is missing",
                "add secret_file: and the path of a file whose first line signs what is sent",
            )),
        }
    }
}

impl WebhookKeys {
    pub(super) fn webhook(self) -> Option<Webhook> {
        let Self { url, secret_file, kinds } = self;
        let (url, Absolute(secret_file)) = url.zip(secret_file)?;
        Some(Webhook { url, secret_file, kinds: kinds.unwrap_or_else(|| Tiding::ALL.to_vec()) })
    }
}

impl Site {
    /// Whether a push is told of that is worth no mail.
    pub fn tells_all(&self, policy: Option<&Policy>) -> bool {
        self.webhook.is_some() || self.exec.is_some() || policy.is_some_and(|policy| policy.told.ping.is_some())
    }
}
