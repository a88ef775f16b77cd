//! Who gets a mail: whom the client's policy names, or else the site's file. A spool names clients
//! and no addresses: whoever can write there must not have mail sent to anybody else.

use std::borrow::Cow;

use crate::act::{config, names};
use crate::decide::policy::{MailSettings, Site};
use crate::terms::{Audience, ComposedMail};

/// The site's settings, with the addresses of this mail.
pub(super) fn settings<'a>(site: &'a Site, mail: &ComposedMail) -> Cow<'a, MailSettings> {
    routed(site, mail)
        .map_or(Cow::Borrowed(&site.mail), |to| Cow::Owned(MailSettings { to: to.clone(), reports_to: to, ..site.mail.clone() }))
}

/// Those of the policy, where the mail is about its client and comes from the client's account, or
/// from root. A policy that cannot be read names nobody: then the administrator gets it.
fn routed(site: &Site, mail: &ComposedMail) -> Option<Vec<String>> {
    let client = mail.client.as_ref()?;
    let policy = config::load_policy(site.file.parent()?, site, client).ok().flatten()?;
    let to = match mail.audience {
        Audience::Alerts => policy.told.alerts_to(mail.topic),
        Audience::Reports => policy.told.reports_to(),
    };
    let is_theirs = || mail.uid == 0 || names::named(&policy.user).is_some_and(|account| account.uid == mail.uid);
    (!to.is_empty() && is_theirs()).then(|| to.to_vec())
}
