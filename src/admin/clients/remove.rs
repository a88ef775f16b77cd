//! `snapgate remove-client`: its key, its account, then its policy. Its data stays, unless its name
//! is said a second time.
//!
//! It is frozen first and its repository held, so that no push begins between the look and the end.
//! The policy goes last, so that a run that was killed can be run again and still knows what is the
//! client's. Whoever gets the account's number next must find nothing of this client's.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Others, Printed, begin, busy, failed, indexed, kept_out, policy};
use crate::act::accounts::{self, Entry};
use crate::act::clients::{self, Owner};
use crate::act::inspect;
use crate::act::names::accounts::numbered;
use crate::act::record::spool;
use crate::act::store::{self, Lock, Repository};
use crate::admin::watch;
use crate::decide::clients::key::PublicKey;
use crate::decide::clients::steps::Place;
use crate::decide::clients::{comment, edit, is_a_client_s, keyfile};
use crate::decide::owners::remap::Kind;
use crate::decide::policy::{Policy, Site};
use crate::terms::text::printable_path;
use crate::terms::{ClientName, Fingerprint, STATE, exit};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The client.
    pub(crate) client: ClientName,
    /// The client once more, to remove its snapshots as well.
    pub(crate) destroy: Option<ClientName>,
    /// Whether nothing is to be changed.
    pub(crate) dry_run: bool,
}

/// What becomes of what.
struct Plan<'a> {
    directory: &'a Path,
    site: &'a Site,
    policy: &'a Policy,
    others: &'a [Policy],
    entry: Option<Entry>,
    /// Whether the account goes: it was made for this client, and no other has it.
    goes: bool,
    /// Whether root alone gets what stays: the account goes, now or with the client that it was made
    /// for, and its number is another's then.
    shuts: bool,
    destroy: bool,
    /// What stands in the store and is the account's, though no policy says so any more.
    forgotten: Vec<PathBuf>,
    shown: String,
    /// What could not be done, and is no reason to stop.
    notes: RefCell<Vec<String>>,
}

/// What a client reads that is on its way out.
const GOING: &str = "this client is being removed";

/// What goes, whether it does, and how.
type Removal<'a> = (&'static str, bool, &'a dyn Fn() -> Result<(), Printed>);

/// Removes the client, or says what would be removed.
pub(crate) fn remove(directory: &Path, orders: &Orders) -> Result<Printed, Printed> {
    let Orders { client, destroy, dry_run } = orders;
    if destroy.as_ref().is_some_and(|named| named != client) {
        let help = format!("to remove its snapshots for good, say --destroy-data {client}");
        return Err((format!("--destroy-data names another client than {client}\n{help}"), exit::USAGE));
    }
    let (site, _taken) = begin(directory, "removing a client")?;
    let policy = policy(directory, &site, client)?;
    let entry = accounts::account(&policy.user).map_err(|error| failed("reading", Path::new("/etc/passwd"), &error))?;
    let others = Others::of(directory, &site, client)?;
    others.all_read()?;
    let is_ours = entry.as_ref().is_some_and(|entry| entry.uid != 0 && is_a_client_s(&entry.comment));
    let goes = is_ours && entry.as_ref().is_some_and(|entry| entry.comment == comment(client)) && others.with(&policy.user).is_none();
    let shuts = goes || (is_ours && within(&others.policies, &policy.path).is_none());
    let (forgotten, unseen) = match &entry {
        Some(entry) if goes => clients::of_account(&site.store, entry.uid),
        _ => Default::default(),
    };
    let real = inspect::real(&policy.path);
    let plan = Plan {
        directory,
        site: &site,
        policy: &policy,
        others: &others.policies,
        entry,
        goes,
        shuts,
        destroy: destroy.is_some(),
        forgotten: forgotten.into_iter().filter(|path| inspect::real(path) != real).collect(),
        shown: printable_path(&policy.path),
        notes: RefCell::new(unseen.iter().map(unseen_note).collect()),
    };
    plan.vetted()?;
    let mut text = format!("{client}:\n");
    let (did, would) = if *dry_run { ("would remove", "would stay") } else { ("removed", "stays") };
    let has_keys = plan.keys_left()?.is_some();
    let _held = if *dry_run { Vec::new() } else { plan.shut_out()? };
    let steps: [Removal<'_>; 4] = [
        ("its keys", has_keys, &|| plan.keys()),
        ("its account", plan.goes, &|| plan.account()),
        ("its snapshots, for good", plan.destroy, &|| plan.data()),
        ("its policy", true, &|| plan.file()),
    ];
    for (what, is_done, step) in steps {
        if is_done && !dry_run {
            step().map_err(|(why, code)| (format!("{client}: {what}: {why}\nmend that and run it again: it goes on there"), code))?;
            clients::after(directory, what).map_err(|what| (what, exit::INTERNAL))?;
        }
        let _ = if is_done { writeln!(text, "  {did} {what}") } else { Ok(()) };
    }
    if !has_keys && !plan.goes && policy.keys.is_none() {
        let _ = writeln!(text, "  whatever key it used {would}: its policy names none; look into the keys of `{}` yourself", policy.user);
    }
    if !plan.goes && plan.entry.is_some() {
        let _ = writeln!(text, "  the account `{}` {would}: it was not made for this client alone", policy.user);
    }
    text.push_str(&plan.left(*dry_run, would));
    for what in plan.notes.take() {
        let _ = writeln!(text, "  note: {}", what.replace('\n', "\n  "));
    }
    if !*dry_run && let Err(what) = watch::forget(&site, client) {
        let _ = writeln!(text, "  note: what lasted of it is still remembered: {}", what.replace('\n', "\n  "));
    }
    if *dry_run {
        text.push_str("nothing was changed: it was a dry run\n");
        return Ok((text, 0));
    }
    Ok(indexed(directory, &site, text))
}

/// What could not be looked at, and may be the account's.
fn unseen_note((path, error): &(PathBuf, std::io::Error)) -> String {
    let help = "if it is the account's, give it to root before another account has that number";
    format!("`{}` could not be looked at, and stays as it is: {error}\n{help}", printable_path(path))
}

/// One of these clients whose repository is there, by whatever name.
fn within<'a>(clients: &'a [Policy], path: &Path) -> Option<&'a Policy> {
    let real = inspect::real(path);
    clients.iter().find(|client| inspect::real(&client.path).starts_with(&real))
}

impl Plan<'_> {
    /// What stands in the way, before anything is removed.
    fn vetted(&self) -> Result<(), Printed> {
        let Self { policy, shown, site, .. } = self;
        let path = &policy.path;
        let refuse = |what: String| Err((what, exit::REFUSED));
        let uid = self.entry.as_ref().map(|entry| entry.uid);
        super::mounted(policy, site)?;
        let stands = clients::place(path).map_err(|error| failed("looking at", path, &error))?;
        let had_one = uid.is_some_and(|uid| spool::was_published(&site.spool, uid, &policy.client));
        if self.shuts && stands == Place::Missing && had_one {
            let help = "mount its disk, or make an empty directory of its account's there, if the snapshots are gone";
            return refuse(format!("`{shown}` is missing, and its account's number is another's one day\n{help}"));
        }
        if self.repository().is_some_and(|repository| repository.is_busy()) {
            return Err(busy(&policy.client));
        }
        for path in &self.forgotten {
            super::is_roots_alone(path)?;
        }
        // Root shuts it: who could put something else in its place would leave the snapshots to whoever
        // gets the account's number next.
        if (self.shuts || self.destroy) && stands != Place::Missing {
            super::is_roots_alone(path)?;
        }
        if !self.destroy {
            let help = "remove the link, and give root what it leads to: its account's number is another's one day";
            return if self.shuts && stands == Place::Link { refuse(format!("`{shown}` is a symbolic link\n{help}")) } else { Ok(()) };
        }
        match stands {
            Place::Missing | Place::Begun => return Ok(()),
            Place::Link => return refuse(format!("`{shown}` is a symbolic link\nwhere it leads is not removed: do that yourself")),
            Place::Other => return refuse(format!("`{shown}` is no directory\nremove it yourself")),
            // Root's is what an earlier run has shut.
            Place::Directory(owner, _) if owner == 0 || Some(owner) == uid => {}
            Place::Directory(owner, _) => {
                return refuse(format!("`{shown}` belongs to uid {owner}, and not to `{}`\nremove it yourself", policy.user));
            }
        }
        let is_empty = std::fs::read_dir(path).is_ok_and(|mut found| found.next().is_none());
        // Two paths may be the same place.
        let real = inspect::real(path);
        if inspect::real(&site.store).starts_with(&real) || !(is_empty || path.join(STATE).is_dir()) {
            return refuse(format!("`{shown}` is no repository\nremove it yourself"));
        }
        if let Some(other) = within(self.others, path) {
            return refuse(format!("the repository of {} is in `{shown}`\nmove that first", other.client));
        }
        match clients::mounted_beneath(path).map_err(|error| failed("looking at", path, &error))? {
            Some(point) => refuse(format!("something is mounted at `{point}`\nunmount it first")),
            None => Ok(()),
        }
    }

    fn repository(&self) -> Option<Repository> {
        self.entry.as_ref().and_then(|entry| Repository::existing(&self.policy.path, entry.uid))
    }

    /// Freezes the client, and holds its repository: a push that began before is one that is running.
    fn shut_out(&self) -> Result<Vec<Lock>, Printed> {
        let Self { directory, site, policy, .. } = self;
        let freeze = |value: Option<&str>| {
            // Whoever froze it knows why.
            let done =
                if policy.frozen.is_some() { Ok(false) } else { clients::change(directory, site, &policy.client, &[("frozen", value)]) };
            done.map_err(|fault| (fault.to_string(), exit::CONFIG))
        };
        freeze(Some(&edit::text(GOING)))?;
        clients::after(directory, "frozen").map_err(|what| (what, exit::INTERNAL))?;
        let Some(repository) = self.repository() else { return Ok(Vec::new()) };
        kept_out(&repository, &policy.client).map_err(|(text, code)| {
            let left = freeze(None).err().map(|(why, _)| format!("\nit stays frozen: {why}")).unwrap_or_default();
            (text + &left, code)
        })
    }

    /// The account's file of keys, and what is left of it without the client's; `None` where it has
    /// none of the client's.
    fn keys_left(&self) -> Result<Option<(PathBuf, String)>, Printed> {
        let path = clients::key_file(self.directory, &self.policy.user);
        let Some(text) = clients::read(&path).map_err(|error| failed("reading", &path, &error))? else { return Ok(None) };
        let found = keyfile::keys(&text);
        let is_its = |found: &&(PublicKey, &str)| keyfile::is_of(self.policy, self.others, false, (&found.0, found.1));
        let its: Vec<&Fingerprint> = found.iter().filter(is_its).map(|(key, _)| &key.fingerprint).collect();
        let left = if self.goes { String::new() } else { keyfile::without(&text, &its) };
        Ok((left != text).then_some((path, left)))
    }

    fn keys(&self) -> Result<(), Printed> {
        let Some((path, left)) = self.keys_left()? else { return Ok(()) };
        let changed = if left.trim().is_empty() {
            clients::gone(&path)
        } else {
            clients::write(&path, &left, Owner { user: 0, group: 0, mode: 0o644 })
        };
        changed.map_err(|error| failed("writing", &path, &error))
    }

    /// Every repository of the account's is root's, and its spool is out of the way, before the
    /// account's number is free for another.
    fn account(&self) -> Result<(), Printed> {
        let Some(entry) = &self.entry else { return Ok(()) };
        self.shut()?;
        self.forgotten(entry.uid)?;
        self.spool(entry.uid)?;
        clients::after(self.directory, "its spool").map_err(|what| (what, exit::INTERNAL))?;
        accounts::remove(&self.policy.user).map_err(|what| (what, exit::BUSY))?;
        clients::after(self.directory, "its entry").map_err(|what| (what, exit::INTERNAL))?;
        // What a process of its has made there before it ended.
        self.spool(entry.uid)
    }

    /// The repository is root's.
    fn shut(&self) -> Result<(), Printed> {
        let (path, uid) = (&self.policy.path, self.entry.as_ref().filter(|_| self.shuts).map(|entry| entry.uid));
        uid.map_or(Ok(false), |uid| clients::close(path, uid)).map(drop).map_err(|error| failed("shutting", path, &error))
    }

    /// What no policy speaks of any more is root's, too.
    fn forgotten(&self, uid: u32) -> Result<(), Printed> {
        for path in &self.forgotten {
            clients::close(path, uid).map_err(|error| failed("shutting", path, &error))?;
        }
        Ok(())
    }

    /// What stays, and for whom, as it is afterwards.
    fn left(&self, dry_run: bool, would: &str) -> String {
        let mut text = String::new();
        if !self.destroy {
            let place = clients::place(&self.policy.path);
            let is_its = matches!((&place, &self.entry), (Ok(Place::Directory(owner, _)), Some(entry)) if *owner == entry.uid);
            let is_shut = self.shuts && (clients::is_shut(&self.policy.path) || (dry_run && is_its));
            let _ = match place {
                Ok(Place::Missing) => {
                    writeln!(text, "  {} is not there: if its disk is not mounted, its snapshots stay on that", self.shown)
                }
                _ => writeln!(text, "  {} {would}, with all snapshots{}", self.shown, if is_shut { ", for root alone" } else { "" }),
            };
        }
        for path in self.forgotten.iter().filter(|path| dry_run || clients::is_shut(path)) {
            let _ = writeln!(text, "  {} is the account's, too, and {would}, for root alone", printable_path(path));
        }
        text
    }

    fn spool(&self, uid: u32) -> Result<(), Printed> {
        let Self { site, policy, .. } = self;
        let notes = watch::adopt(site, uid).map_err(|what| (what, exit::BUSY))?;
        self.notes.borrow_mut().extend(notes);
        spool::lay_aside(&site.spool, uid, &policy.client).map(drop).map_err(|error| (error.to_string(), exit::INTERNAL))
    }

    /// What says in the spool that the client was here. Where a run was killed when the account had
    /// just gone, also what that had made anew.
    fn traces(&self) -> Result<(), Printed> {
        let Self { site, policy, entry, destroy, .. } = self;
        let laid_aside = || spool::laid_aside(&site.spool).into_iter().filter(|(_, client, _)| *client == policy.client);
        if let Some(entry) = entry.as_ref().filter(|_| !self.goes) {
            // What stands there is the account's to make, and keeps no client.
            let forgotten = spool::forget_client(&site.spool, entry.uid, &policy.client);
            self.notes.borrow_mut().extend(forgotten.err().map(|error| error.to_string()));
        } else {
            let uids: BTreeSet<u32> = laid_aside().map(|(uid, ..)| uid).collect();
            for uid in uids {
                let is_free = numbered(Kind::User, |number| number == uid).is_ok_and(|found| found.is_none());
                if is_free {
                    self.spool(uid)?;
                }
            }
        }
        for (.., path) in laid_aside().filter(|_| *destroy) {
            store::remove(&path).map_err(|error| failed("removing", &path, &error))?;
        }
        Ok(())
    }

    fn data(&self) -> Result<(), Printed> {
        store::remove(&self.policy.path).map_err(|error| failed("removing", &self.policy.path, &error))
    }

    fn file(&self) -> Result<(), Printed> {
        self.shut()?;
        self.traces()?;
        let path = clients::policy_file(self.directory, &self.policy.client);
        clients::gone(&path).map_err(|error| failed("removing", &path, &error))
    }
}
