//! `snapgate check`: everything that can be wrong with the settings, before a client finds out. It changes nothing.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use crate::act::child::GETENT;
use crate::act::inspect::{Kind, Look, look, may_read, running_uid};
use crate::act::spool::SESSIONS;
use crate::act::store::mounted;
use crate::act::{config, subids, zones};
use crate::decide::lint::{self, Finding};
use crate::decide::owners;
use crate::decide::policy::{Namespaces, Policy, Site, Tls, Transport};
use crate::terms::text::printable;
use crate::terms::{Account, Code, Mapping, Origin, Reason};
use crate::{names, serve};

/// Clients with the same limits that are named.
const NAMED: usize = 5;

/// What was found. Each entry is one or more lines: what, and what to do.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// What is wrong: the exit code is 1.
    pub problems: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// Policies that could be read.
    pub policies: usize,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The last line: how many policies there are, and whether all is well.
    pub fn summary(&self) -> String {
        let policies = if self.policies == 1 { "1 policy".to_owned() } else { format!("{} policies", self.policies) };
        match self.problems.len() {
            0 => format!("{policies}, nothing wrong"),
            1 => format!("{policies} can be read, 1 problem"),
            many => format!("{policies} can be read, {many} problems"),
        }
    }

    fn add(&mut self, finding: &Finding) {
        let list = if finding.wrong { &mut self.problems } else { &mut self.notes };
        list.push(finding.to_string());
    }
}

/// A part of what holds rsync, as it was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is, and for whom.
    pub what: String,
    /// Why it does not hold; `None`: it does.
    pub missing: Option<String>,
    /// What to do where it does not hold and no push can run without it; `None`: pushes run all the same.
    pub help: Option<String>,
}

/// Checks the site file, every policy, and what they name on this machine. `jail` tells which parts of the jail hold for such
/// accounts.
#[must_use]
pub fn run(dir: &Path, jail: impl FnOnce(&Site, &[&str]) -> Vec<Part>) -> CheckReport {
    let mut report = CheckReport::default();
    let site = match config::load_site(dir) {
        Ok(site) => site,
        Err(fault) => {
            report.problems.push(fault.to_string());
            return report;
        }
    };
    site_itself(&site).iter().for_each(|finding| report.add(finding));
    mail(&site).iter().for_each(|finding| report.add(finding));
    strays(dir, &mut report);
    let mut policies = Vec::new();
    match config::all_policies(dir, &site) {
        Err(fault) => report.problems.push(fault.to_string()),
        Ok(all) => {
            for (_, loaded) in all {
                match loaded {
                    Ok(policy) => policies.push(policy),
                    Err(fault) => report.problems.push(fault.to_string()),
                }
            }
        }
    }
    for policy in &policies {
        lint::one(policy).iter().chain(&on_disk(policy, &site)).for_each(|finding| report.add(finding));
    }
    lint::together(&policies).iter().chain(&time_zones(&policies)).for_each(|finding| report.add(finding));
    report.notes.extend(limits(&site, &policies));
    owners(&site, &policies, &mut report);
    report.policies = policies.len();
    let accounts: Vec<_> = policies.iter().map(|policy| policy.user.as_str()).collect();
    for Part { what, missing, help } in jail(&site, &accounts) {
        let enforced = missing.map_or_else(|| "enforced".to_owned(), |why| format!("NOT enforced, {why}"));
        let line = format!("jail, {what}: {enforced}");
        match help {
            Some(help) if site.jail && enforced != "enforced" => report.problems.push(format!("{line}\nno push can run: {help}")),
            _ => report.notes.push(line),
        }
    }
    report
}

fn shown(path: &Path) -> String {
    format!("`{}`", printable(path.as_os_str().as_encoded_bytes()))
}

/// Files in the directory of policies that are not read.
fn strays(dir: &Path, report: &mut CheckReport) {
    // A directory that cannot be listed is a fault of `all_policies` already.
    let Ok(listing) = config::list(dir) else { return };
    if listing.clients.is_empty() {
        let origin = Origin { file: dir.join(config::POLICIES), line: 0 };
        let help = "create one, named after the client, ending in .yaml";
        report.add(&Finding::note(origin, "there are no policies: nobody is let in", help));
    }
    for stray in listing.strays {
        let hidden = stray.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let message = "not a policy, and not read";
        let help = "a policy is a regular file named after its client, ending in .yaml";
        let origin = Origin { file: stray, line: 0 };
        report.add(&if hidden { Finding::note(origin, message, help) } else { Finding::wrong(origin, message, help) });
    }
}

/// What the site file names.
fn site_itself(site: &Site) -> Vec<Finding> {
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
                found.push(wrong("spool", message, "chown root:snapgate it and chmod 1730 it: accounts add, none reads another's"));
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

/// The file that lets the sessions of all clients be counted. Where it is missing the gate makes it if the spool is its own.
fn sessions(site: &Site) -> Option<Finding> {
    let path = site.spool.join(SESSIONS);
    let spool = look(&site.spool)?;
    let found = look(&path);
    let message = match found {
        // A spool of one account's own: its gate makes the file.
        None if spool.owner == running_uid() && !spool.group_writes() => return None,
        None => format!("{} is not there: the sessions of all clients cannot be counted", shown(&path)),
        Some(file) if file.kind != Kind::File || file.owner != spool.owner || (spool.group_writes() && !file.group_writes()) => {
            format!("{} has mode {:04o} and owner {}: the sessions of all clients cannot be counted", shown(&path), file.mode, file.owner)
        }
        Some(_) => return None,
    };
    Some(Finding::wrong(site.origins.of("spool"), message, "install -o root -g snapgate -m 0660 /dev/null it"))
}

/// What the way of the mail needs.
fn mail(site: &Site) -> Vec<Finding> {
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
                found.push(Finding::wrong(at(), message, "chmod 0640 it, with the group of the gate's accounts"));
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

/// A program that is missing, cannot run, or that somebody else could replace.
fn program(path: &Path, origin: Origin, what: &str, owners: &[u32]) -> Vec<Finding> {
    match look(path) {
        None => vec![Finding::wrong(origin, format!("{what} {} is not there", shown(path)), "install it, or name its place")],
        Some(look) if !look.is_program() => {
            vec![Finding::wrong(origin, format!("{what} {} is not a program", shown(path)), "make it executable, or name another")]
        }
        Some(look) => writable(&look, origin, path, owners),
    }
}

/// What the wrong user owns or may write. Root and the running user may own everything.
fn writable(look: &Look, origin: Origin, path: &Path, owners: &[u32]) -> Vec<Finding> {
    let mut found = Vec::new();
    if look.owner != 0 && look.owner != running_uid() && !owners.contains(&look.owner) {
        let message = format!("{} belongs to user {}", shown(path), look.owner);
        found.push(Finding::wrong(origin.clone(), message, "chown it to root"));
    }
    if look.others_write() {
        found.push(Finding::wrong(origin, format!("everybody may write {}", shown(path)), "chmod o-w it"));
    } else if look.group_writes() && look.kind == Kind::File {
        found.push(Finding::wrong(origin, format!("a group may write {}", shown(path)), "chmod g-w it"));
    }
    found
}

/// What a policy names: its account, its repository, its hooks.
fn on_disk(policy: &Policy, site: &Site) -> Vec<Finding> {
    let at = |key: &str| policy.origins.of(key);
    let mut found = Vec::new();
    let account = names::named(&policy.user);
    let uid = account.as_ref().map(|account| account.uid);
    if uid.is_none() {
        let message = format!("this machine has no account `{}`", policy.user);
        found.push(Finding::note(at("user"), message, "create it, or write user: and the account that the client logs in as"));
    }
    found.extend(account.iter().flat_map(|account| readable(policy, site, account)));
    let owners: Vec<u32> = uid.into_iter().collect();
    match look(&policy.path) {
        None => {
            let message = format!("the repository {} is not there yet", shown(&policy.path));
            let help = format!("install -d -o {} -m 0700 it, unless the account may create it", policy.user);
            found.push(Finding::note(at("path"), message, help));
        }
        Some(look) if look.kind != Kind::Directory => {
            let message = format!("the repository {} is not a directory", shown(&policy.path));
            found.push(Finding::wrong(at("path"), message, "name a directory"));
        }
        Some(look) => {
            if uid.is_some_and(|uid| uid != look.owner) {
                let message = format!("the repository {} belongs to user {}, not to `{}`", shown(&policy.path), look.owner, policy.user);
                found.push(Finding::wrong(at("path"), message, format!("chown {} it", policy.user)));
            }
            found.extend(writable(&look, at("path"), &policy.path, &[look.owner]));
            if look.others_read() {
                let message = format!("others can look into the repository {}", shown(&policy.path));
                let help = "chmod 0700 it: files in snapshots have the modes that they have on the client";
                found.push(Finding::wrong(at("path"), message, help));
            }
        }
    }
    if let Err(reason) = mounted(policy, site) {
        found.push(Finding::wrong(at("require_mount"), reason.detail, reason.remedy.unwrap_or_default()));
    }
    for command in policy.hooks.prepare.iter().chain(&policy.hooks.complete) {
        if let Some(path) = command.first() {
            found.extend(program(Path::new(path), at("hooks"), "the hook", &owners));
        }
    }
    found
}

/// The gate runs as the client's account: it has to reach and read both files.
fn readable(policy: &Policy, site: &Site, account: &Account) -> Vec<Finding> {
    let files = [&site.file, &policy.origins.file];
    let directories = files.iter().filter_map(|file| file.parent());
    let all: Vec<&Path> = directories.chain(files.iter().map(|file| file.as_path())).collect();
    // Asked for once, if at all.
    let groups = OnceCell::new();
    let barred = all.iter().enumerate().filter(|(position, path)| {
        !all.iter().take(*position).any(|earlier| earlier == *path)
            && may_read(path, account, || groups.get_or_init(|| names::groups(account)).clone()) == Some(false)
    });
    let found = barred.map(|(_, path)| {
        let message = format!("the account `{}` may not read {}", policy.user, shown(path));
        let help = "chmod o+r a file and o+x a directory, or give it to a group of the account's: the gate runs as the account";
        Finding::wrong(policy.origins.of("user"), message, help)
    });
    found.collect()
}

/// What clients may use of the server: a line for each kind of limits, with the clients that have it.
fn limits(site: &Site, policies: &[Policy]) -> Vec<String> {
    let all = format!("limits of the server: {} sessions at once", site.sessions);
    let kinds = together(policies.iter().map(|policy| (policy.limits.to_string(), policy)));
    std::iter::once(all).chain(kinds.map(|(limits, clients)| format!("limits of {clients}: {limits}"))).collect()
}

/// What is the same for several clients, with their names.
fn together<'a>(said: impl Iterator<Item = (String, &'a Policy)>) -> impl Iterator<Item = (String, String)> {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (what, policy) in said {
        kinds.entry(what).or_default().push(policy.client.as_str());
    }
    kinds.into_iter().map(|(what, clients)| {
        let named = clients.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = clients.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!(" and {more} more")).unwrap_or_default();
        (what, format!("{named}{more}"))
    })
}

/// Whose the files of each client are, and how owners could be kept that are not.
fn owners(site: &Site, policies: &[Policy], report: &mut CheckReport) {
    let mut said = Vec::new();
    let mut mapped: Vec<(Account, Mapping)> = Vec::new();
    for policy in policies {
        // An account or a repository that cannot be looked at is told of elsewhere.
        let Some(account) = names::named(&policy.user) else { continue };
        match serve::owners(site, policy, &account) {
            Ok(owners) => {
                said.push((owners::told(&owners, policy, || subids::available(&account)), policy));
                let is_known = mapped.iter().any(|(known, _)| *known == account);
                mapped.extend(owners.mapping().filter(|_| !is_known).map(|mapping| (account, mapping.clone())));
            }
            Err(Reason { code: Code::Store, .. }) => {}
            Err(reason) => report.add(&Finding::wrong(policy.origins.of("owners"), reason.detail, reason.remedy.unwrap_or_default())),
        }
    }
    subids::not_theirs_alone(&mapped).iter().for_each(|finding| report.add(finding));
    report.notes.extend(together(said.into_iter()).map(|(what, clients)| format!("owners of {clients}: {what}")));
}

/// Zones that the system does not know, each told once.
fn time_zones(policies: &[Policy]) -> Vec<Finding> {
    let named: BTreeMap<&str, &Policy> = policies.iter().map(|policy| (policy.timezone.as_str(), policy)).collect();
    let found = named.into_values().filter_map(|policy| {
        let words = zones::load(&policy.timezone).err()?;
        let (message, help) = words.split_once('\n').unwrap_or((&words, "install tzdata"));
        Some(Finding::wrong(policy.origins.of("timezone"), message, help))
    });
    found.collect()
}
