//! What the site file names: the store, programs, the spool, and the mail's transport.

use std::path::Path;

use crate::act::child::GETENT;
use crate::act::inspect::{Kind, look, running_uid};
use crate::act::record::spool::SESSIONS;
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Namespaces, Policy, Site, Tls, Transport};
use crate::terms::{Origin, Remedy, Verb};

use super::files::{program, shown, writable};

pub(super) fn itself(site: &Site) -> Vec<Finding> {
    let at = |key: &str| site.origins.of(key);
    let wrong = |key: &str, message: String, help: &str| Finding::wrong(at(key), message, help);
    let note = |key: &str, message: &str, help: &str| Finding::note(at(key), message, help);
    let mut found = Vec::new();
    match look(&site.store) {
        Some(store) if store.kind == Kind::Directory => found.extend(writable(&store, at("store"), &site.store, &[])),
        Some(_) => found.push(wrong("store", format!("the store {} is not a directory", shown(&site.store)), "name a directory")),
        None => found.push(wrong("store", format!("the store {} is not there", shown(&site.store)), "create or mount it")),
    }
    found.extend(program(&site.rsync, at("rsync"), "rsync", &[]));
    match look(&site.spool) {
        Some(spool) if spool.kind == Kind::Directory => {
            let private = spool.mode & 0o007 == 0 && (!spool.group_writes() || spool.mode & 0o1000 != 0);
            let trusted = spool.owner == 0 || spool.owner == running_uid();
            if !private || !trusted {
                let message = format!("the spool {} has mode {:04o} and owner {}", shown(&site.spool), spool.mode, spool.owner);
                let finding = wrong("spool", message, "chown root:snapgate it and chmod 1730 it: accounts add, none reads another's");
                let path = site.spool.clone();
                let remedy = Remedy::Mode { path, mode: 0o1730 };
                // By a slip it may be a directory of the system's. What another has owned is for a person to look at.
                let is_one = trusted && look(&site.spool.join(SESSIONS)).is_some();
                found.push(Finding { remedy: Some(remedy).filter(|_| is_one), ..finding });
            }
        }
        _ => {
            let message = format!("the spool {} is not there", shown(&site.spool));
            found.push(wrong("spool", message, "install -d -o root -g snapgate -m 1730 it"));
        }
    }
    found.extend(sessions(site));
    if let Some(socket) = &site.syslog
        && look(socket).is_none_or(|look| look.kind != Kind::Socket)
    {
        let message = format!("the syslog socket {} is not there: lines for syslog are lost", shown(socket));
        found.push(note("syslog", &message, "start a syslog daemon, or write syslog: off"));
    }
    if look(Path::new(GETENT)).is_none_or(|look| !look.is_program()) {
        let message = format!("`{GETENT}` is missing: no name of a host has an address, and accounts have names only in /etc/passwd");
        found.push(Finding::note(Origin { file: site.file.clone(), line: 0 }, message, "install it; on Debian it is in libc-bin"));
    }
    if !site.jail {
        let message = "the jail is off: rsync may touch whatever its account may";
        found.push(note("jail", message, "remove jail: off once the kernel has Landlock"));
    } else if site.namespaces == Namespaces::Optional {
        let message = "namespaces are optional: where an account gets none its pushes run in a weaker jail";
        found.push(note("namespaces", message, "remove namespaces: optional once every account gets them"));
    }
    found
}

/// What clients who may browse are shown their snapshots by.
pub(super) fn sftp(site: &Site, policies: &[Policy]) -> Vec<Finding> {
    if !policies.iter().any(|policy| policy.allows(Verb::Browse)) {
        return Vec::new();
    }
    program(&site.sftp_server, site.origins.of("sftp_server"), "the sftp-server for the verb `browse`", &[])
}

/// The file that counts all sessions. A gate with a spool of its own makes it.
fn sessions(site: &Site) -> Option<Finding> {
    let path = site.spool.join(SESSIONS);
    let spool = look(&site.spool)?;
    let found = look(&path);
    let message = match found {
        // A spool of one account: its gate makes the file.
        None if spool.owner == running_uid() && !spool.group_writes() => return None,
        None => format!("{} is not there: the sessions of all clients cannot be counted", shown(&path)),
        Some(file) if file.kind != Kind::File || file.owner != spool.owner || (spool.group_writes() && !file.group_writes()) => {
            format!("{} has mode {:04o} and owner {}: the sessions of all clients cannot be counted", shown(&path), file.mode, file.owner)
        }
        Some(_) => return None,
    };
    let finding = Finding::wrong(site.origins.of("spool"), message, "install -o root -g snapgate -m 0660 /dev/null it");
    Some(match found {
        Some(file) if file.kind == Kind::File && file.owner == spool.owner => finding.mended_by(Remedy::Mode { path, mode: 0o660 }),
        _ => finding,
    })
}

/// What the mail's transport needs.
pub(super) fn mail(site: &Site) -> Vec<Finding> {
    let at = || site.origins.of("mail");
    let mut found = Vec::new();
    match &site.mail.transport {
        Transport::Sendmail(path) => found.extend(program(path, at(), "the mailer", &[])),
        Transport::Directory(path) if look(path).is_none_or(|look| look.kind != Kind::Directory) => {
            found.push(Finding::wrong(at(), format!("the directory for mails {} is not there", shown(path)), "create it"));
        }
        Transport::Smtp { tls: Tls::None, user: Some(_), host, .. } if !["localhost", "127.0.0.1", "::1"].contains(&host.as_str()) => {
            found.push(Finding::wrong(at(), "the mail server's password would travel in clear text", "use smtps:// or starttls://"));
        }
        Transport::Off => found.push(Finding::note(at(), "mail is off: nobody is told of refusals", "name a transport")),
        Transport::Smtp { .. } | Transport::Directory(_) => {}
    }
    if let Some(path) = &site.mail.password_file {
        match look(path) {
            None => found.push(Finding::wrong(at(), format!("the password file {} is not there", shown(path)), "create it")),
            Some(look) if look.kind != Kind::File || look.mode & 0o027 != 0 => {
                let message = format!("the password file {} has mode {:04o}: others may read or write it", shown(path), look.mode);
                let finding = Finding::wrong(at(), message, "chmod 0640 it, with the group of the gate's accounts");
                // It gives nobody a right.
                let remedy = Remedy::Mode { path: path.clone(), mode: look.mode & 0o640 };
                let is_ours = path.parent() == site.file.parent() && look.kind == Kind::File && look.is_written_by_root_alone();
                found.push(Finding { remedy: Some(remedy).filter(|_| is_ours), ..finding });
            }
            Some(_) => {}
        }
    }
    if let Some(path) = &site.mail.ca_file
        && look(path).is_none_or(|look| look.kind != Kind::File)
    {
        found.push(Finding::wrong(at(), format!("the file of certificates {} is not there", shown(path)), "create it, or remove ca_file:"));
    }
    found
}
