//! The site's file from bytes to [`Site`].

use std::path::{Path, PathBuf};

use serde::de::MapAccess;

use crate::decide::yaml::{self, Fault, Figure, Table, TableOf, Text, Wrong};
use crate::terms::limits::DEFAULT_ALL_SESSIONS;

use super::limits::AllSessions;
use super::read::{Defaults, PolicyKeys};
use super::values::{Absolute, AbsoluteOrOff, MailAddress, Switch, texts};
use super::{DEFAULT_RSYNC, DEFAULT_SPOOL, DEFAULT_SYSLOG, MailSettings, Namespaces, Origins, Site, Transport, origins};

#[derive(Debug, Clone, Default)]
struct MailKeys {
    from: Option<MailAddress>,
    to: Option<Vec<MailAddress>>,
    reports_to: Option<Vec<MailAddress>>,
    transport: Option<Transport>,
    password_file: Option<Absolute>,
    ca_file: Option<Absolute>,
}

impl Table for MailKeys {
    const WHAT: &'static str = "`mail`";
    const KEYS: &'static [&'static str] = &["from", "to", "reports_to", "transport", "password_file", "ca_file"];

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "from" => self.from = Some(map.next_value::<Text<_>>()?.0),
            "to" => self.to = Some(texts(map.next_value()?)),
            "reports_to" => self.reports_to = Some(texts(map.next_value()?)),
            "transport" => self.transport = Some(map.next_value::<Text<_>>()?.0),
            "password_file" => self.password_file = Some(map.next_value::<Text<_>>()?.0),
            _ => self.ca_file = Some(map.next_value::<Text<_>>()?.0),
        }
        Ok(())
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

#[derive(Debug, Clone, Default)]
struct SiteKeys {
    store: Option<Absolute>,
    rsync: Option<Absolute>,
    spool: Option<Absolute>,
    syslog: Option<AbsoluteOrOff>,
    jail: Option<Switch>,
    namespaces: Option<Namespaces>,
    sessions: Option<AllSessions>,
    mail: MailKeys,
    defaults: PolicyKeys,
}

impl Table for SiteKeys {
    const WHAT: &'static str = "the site file";
    const KEYS: &'static [&'static str] = &["store", "rsync", "spool", "syslog", "jail", "namespaces", "sessions", "mail", "defaults"];

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "store" => self.store = Some(map.next_value::<Text<_>>()?.0),
            "rsync" => self.rsync = Some(map.next_value::<Text<_>>()?.0),
            "spool" => self.spool = Some(map.next_value::<Text<_>>()?.0),
            "syslog" => self.syslog = Some(map.next_value::<Text<_>>()?.0),
            "jail" => self.jail = Some(map.next_value::<Text<_>>()?.0),
            "namespaces" => self.namespaces = Some(map.next_value::<Text<_>>()?.0),
            "sessions" => self.sessions = Some(map.next_value::<Figure<_>>()?.0),
            "mail" => self.mail = map.next_value::<TableOf<_>>()?.0,
            _ => self.defaults = map.next_value::<TableOf<_>>()?.0,
        }
        Ok(())
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
        return Err(Fault::whole(file, Wrong::new("the key `store` is missing", "add store: and the directory of the repositories")));
    };
    let or = |given: Option<Absolute>, usual: &str| given.map_or_else(|| PathBuf::from(usual), |Absolute(path)| path);
    Ok(Site {
        file: file.to_path_buf(),
        store,
        rsync: or(keys.rsync, DEFAULT_RSYNC),
        spool: or(keys.spool, DEFAULT_SPOOL),
        syslog: keys.syslog.map_or_else(|| Some(PathBuf::from(DEFAULT_SYSLOG)), |AbsoluteOrOff(path)| path),
        jail: keys.jail.is_none_or(|Switch(on)| on),
        namespaces: keys.namespaces.unwrap_or(Namespaces::Required),
        sessions: keys.sessions.map_or(DEFAULT_ALL_SESSIONS, |AllSessions(sessions)| sessions),
        mail: keys.mail.settings(),
        origins: Origins { file: file.to_path_buf(), keys: origins::keys(file, text, None) },
        defaults: Defaults { keys: keys.defaults, origins: origins::keys(file, text, Some("defaults")) },
    })
}
