//! The site's file from bytes to [`Site`].

use std::path::{Path, PathBuf};

use crate::decide::policy::yaml::{self, Fault, Figure, TableOf, Text, Texts, Wrong, keys};
use crate::terms::limits::DEFAULT_ALL_SESSIONS;

use super::limits::AllSessions;
use super::read::{Defaults, PolicyKeys};
use super::values::{Absolute, AbsoluteOrOff, MailAddress, Switch};
use super::{DEFAULT_RSYNC, DEFAULT_SPOOL, DEFAULT_SYSLOG, MailSettings, Namespaces, Origins, Site, Sshd, Transport, origins};

keys! {
    struct MailKeys, "`mail`" {
        from: MailAddress as Text<_>,
        to: Vec<MailAddress> as Texts<_>,
        reports_to: Vec<MailAddress> as Texts<_>,
        transport: Transport as Text<_>,
        password_file: Absolute as Text<_>,
        ca_file: Absolute as Text<_>,
    }

    fn whole(&self) -> Result<(), Wrong> {
        let user = matches!(&self.transport, Some(Transport::Smtp { user: Some(_), .. }));
        match (user, self.password_file.is_some()) {
            (true, false) => {
                Err(Wrong::new("the transport names an account but no password", "add password_file: and the path of a file that holds it"))
            }
            (false, true) => Err(Wrong::new("a password file without an account", "name the account in transport: smtps://user@host")),
            _ => Ok(()),
        }
    }
}

impl MailKeys {
    fn settings(self) -> MailSettings {
        let plain = |all: Vec<MailAddress>| all.into_iter().map(|MailAddress(address)| address).collect::<Vec<_>>();
        let to = self.to.map_or_else(|| vec!["root".to_owned()], plain);
        MailSettings {
            from: self.from.map(|MailAddress(address)| address),
            reports_to: self.reports_to.map_or_else(|| to.clone(), plain),
            to,
            transport: self.transport.unwrap_or_else(|| Transport::Sendmail(PathBuf::from("/usr/sbin/sendmail"))),
            password_file: self.password_file.map(|Absolute(path)| path),
            ca_file: self.ca_file.map(|Absolute(path)| path),
        }
    }
}

keys! {
    struct SiteKeys, "the site file" {
        store: Absolute as Text<_>,
        rsync: Absolute as Text<_>,
        spool: Absolute as Text<_>,
        syslog: AbsoluteOrOff as Text<_>,
        sshd: AbsoluteOrOff as Text<_>,
        jail: Switch as Text<_>,
        namespaces: Namespaces as Text<_>,
        sessions: AllSessions as Figure<_>,
        mail: MailKeys as TableOf<_>,
        defaults: PolicyKeys as TableOf<_>,
    }
}

/// Reads the site file.
///
/// # Errors
/// The first thing in it that is not exactly right.
pub fn read_site(file: &Path, bytes: &[u8]) -> Result<Site, Fault> {
    let TableOf(keys): TableOf<SiteKeys> = yaml::read(file, bytes)?;
    let text = yaml::text_of(file, bytes)?;
    let Some(Absolute(store)) = keys.store else {
        return Err(Fault::whole(file, "the key `store` is missing", "add store: and the directory of the repositories"));
    };
    let or = |given: Option<Absolute>, usual: &str| given.map_or_else(|| PathBuf::from(usual), |Absolute(path)| path);
    Ok(Site {
        file: file.to_path_buf(),
        store,
        rsync: or(keys.rsync, DEFAULT_RSYNC),
        spool: or(keys.spool, DEFAULT_SPOOL),
        syslog: keys.syslog.map_or_else(|| Some(PathBuf::from(DEFAULT_SYSLOG)), |AbsoluteOrOff(path)| path),
        sshd: match keys.sshd {
            None => Sshd::OfTheMachine,
            Some(AbsoluteOrOff(None)) => Sshd::None,
            Some(AbsoluteOrOff(Some(file))) => Sshd::With(file),
        },
        jail: keys.jail.is_none_or(|Switch(on)| on),
        namespaces: keys.namespaces.unwrap_or(Namespaces::Required),
        sessions: keys.sessions.map_or(DEFAULT_ALL_SESSIONS, |AllSessions(sessions)| sessions),
        mail: keys.mail.unwrap_or_default().settings(),
        origins: Origins { file: file.to_path_buf(), keys: origins::keys(file, text, None) },
        defaults: Defaults { keys: keys.defaults.unwrap_or_default(), origins: origins::keys(file, text, Some("defaults")) },
    })
}
