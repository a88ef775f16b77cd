//! `snapgate add-client`: account, repository, key and policy, in this order, and what to put on the
//! client.
//!
//! What is there and the client's stays. What this run has made goes again when a step fails; what a
//! killed run has made the next one takes up.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Others, Printed, another_s, begin, failed, given, step_failed};
use crate::act::accounts::{self, New};
use crate::act::child::{self, ask_sshd};
use crate::act::clients::{self, Owner};
use crate::act::{config, inspect};
use crate::admin::check;
use crate::decide::clients::guide::{Guide, names_a_host};
use crate::decide::clients::key::PublicKey;
use crate::decide::clients::preset::{self, Preset};
use crate::decide::clients::steps::{Found, Known, Place, Step, Wish, steps};
use crate::decide::clients::{GROUP, comment, keyfile, names_an_account, script};
use crate::decide::host::login;
use crate::decide::policy::{Policy, Site, Sshd, read_policy};
use crate::terms::limits::MAX_PUBLIC_KEY;
use crate::terms::text::{counted, printable_path};
use crate::terms::{ClientName, exit};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The client.
    pub(crate) client: ClientName,
    /// Its key.
    pub(crate) key: Option<String>,
    /// The same in a file.
    pub(crate) key_file: Option<PathBuf>,
    /// Where it may come from.
    pub(crate) from: Vec<String>,
    /// Its kind.
    pub(crate) preset: Preset,
    /// How much it may hold.
    pub(crate) quota: Option<String>,
    /// Its account; the client's name without it.
    pub(crate) user: Option<String>,
    /// Whether others use that, too.
    pub(crate) shared: bool,
    /// What the client calls the server.
    pub(crate) host: Option<String>,
    /// What its ssh calls it.
    pub(crate) alias: String,
    /// Whether to print a script for the client.
    pub(crate) script: bool,
    /// Whether to draw what the client needs as a QR code.
    pub(crate) qr: bool,
    /// Whether nothing is to be changed.
    pub(crate) dry_run: bool,
}

/// All that is known before anything is made.
struct Plan<'a> {
    directory: &'a Path,
    site: &'a Site,
    orders: &'a Orders,
    key: PublicKey,
    account: String,
    /// Another client that has it, too.
    other: Option<ClientName>,
    /// Its file of keys, as it is before.
    keys: Option<String>,
    comment: String,
    repository: PathBuf,
    shown: String,
    gate: PathBuf,
    policy: String,
}

/// Makes the client, or says what would be made.
pub(crate) fn add(directory: &Path, orders: &Orders) -> Result<Printed, Printed> {
    let key = given(orders.key.as_deref(), orders.key_file.as_deref())?;
    let (site, _taken) = begin(directory, "adding a client")?;
    let others = Others::of(directory, &site, &orders.client)?;
    let plan = plan(directory, &site, orders, (key, &others))?;
    let found = plan.found()?;
    let left = steps(plan.wish(), &found).map_err(|what| (what, exit::REFUSED))?;
    if orders.dry_run {
        let mut text = format!("{}: nothing was changed, it was a dry run\n", orders.client);
        text.extend(left.iter().map(|step| format!("  would {}\n", step.says(plan.wish()))));
        if left.is_empty() {
            text.push_str("  nothing is to be done: it is set up already\n");
        }
        return Ok((text, 0));
    }
    let mut made = Vec::new();
    for step in &left {
        made.push(*step);
        let done = plan.step(*step).and_then(|()| clients::after(directory, &format!("{step:?}").to_ascii_lowercase()));
        if let Err(what) = done {
            return Err((plan.undone(&made, &found, &what), exit::INTERNAL));
        }
    }
    plan.told(&left)
}

fn plan<'a>(directory: &'a Path, site: &'a Site, orders: &'a Orders, (key, others): (PublicKey, &Others)) -> Result<Plan<'a>, Printed> {
    let client = &orders.client;
    let account = orders.user.clone().unwrap_or_else(|| client.to_string());
    if !names_an_account(&account) {
        let shown = crate::terms::text::printable(account.as_bytes());
        let help = "use small letters, digits, `_` and `-`, beginning with a letter; --user names another account than the client";
        return Err((format!("`{shown}` cannot be an account's name\n{help}"), exit::USAGE));
    }
    let path = clients::key_file(directory, &account);
    let keys = clients::read(&path).map_err(|error| failed("reading", &path, &error))?;
    // A policy that is there may have the repository elsewhere, and lists the key where this is a second run.
    let own = config::load_policy(directory, site, client).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    another_s(others, own.as_ref(), &key, (&account, keys.as_deref().unwrap_or_default()))?;
    let is_host = |text: &String| names_a_host(text);
    if let Some(bad) = orders.host.iter().chain([&orders.alias]).find(|text| !is_host(text)) {
        return Err((format!("`{}` is no host's name", crate::terms::text::printable(bad.as_bytes())), exit::USAGE));
    }
    // It stands in the script for the client.
    if orders.host.is_none() && !names_a_host(&inspect::host_name()) {
        return Err(("this machine's own name is no host's name\nsay what the client calls it: --host NAME".to_owned(), exit::USAGE));
    }
    if !site.store.is_dir() {
        let help = "mount it, or make it: install -d -m 0711 it; the site file's `store:` names it";
        return Err((format!("the store `{}` is not there\n{help}", printable_path(&site.store)), exit::CONFIG));
    }
    let gate = child::gate().map_err(|what| (what, exit::CONFIG))?;
    let wanted = preset::Wanted {
        client,
        account: &account,
        key: &key.fingerprint,
        from: &orders.from,
        quota: orders.quota.as_deref(),
        preset: orders.preset,
    };
    let policy = preset::policy(&wanted).map_err(|what| (what, exit::USAGE))?;
    let file = clients::policy_file(directory, client);
    let read = read_policy(&file, policy.as_bytes(), client, site).map_err(|fault| (fault.to_string(), exit::USAGE))?;
    let own = own.unwrap_or(read);
    super::mounted(&own, site)?;
    let repository = own.path;
    // It is root's for a moment when it is made, and then given away.
    if matches!(clients::place(&repository).map_err(|error| failed("looking at", &repository, &error))?, Place::Missing | Place::Begun) {
        super::is_roots_alone(&repository)?;
    }
    let shown = printable_path(&repository);
    let comment = comment(client);
    let other = others.with(&account).map(|other| other.client.clone());
    Ok(Plan { directory, site, orders, key, account, other, keys, comment, repository, shown, gate, policy })
}

impl Plan<'_> {
    fn wish(&self) -> Wish<'_> {
        let Self { orders, comment, account, shown, .. } = self;
        Wish { client: orders.client.as_str(), comment, account, shared: orders.shared, repository: shown }
    }

    fn line(&self) -> String {
        let gate = self.gate.to_string_lossy();
        let is_shared = self.orders.shared || self.other.is_some();
        keyfile::line(&self.key, is_shared.then_some((&*gate, &self.orders.client)), None)
    }

    fn key_file(&self) -> PathBuf {
        clients::key_file(self.directory, &self.account)
    }

    fn found(&self) -> Result<Found, Printed> {
        let lists = |error: std::io::Error| (format!("reading the lists of accounts: {error}"), exit::CONFIG);
        let group = accounts::group(GROUP).map_err(lists)?;
        let Some(group) = group else {
            return Err((format!("there is no group `{GROUP}`\n`snapgate init` makes it"), exit::CONFIG));
        };
        let known = accounts::account(&self.account).map_err(lists)?.map(|entry| Known {
            uid: entry.uid,
            has_the_gate: entry.shell == self.gate,
            shell: printable_path(&entry.shell),
            in_group: entry.group == group.number || group.members.contains(&self.account),
            lacks_ids: accounts::lacks_ids(&self.account),
            other: self.other.as_ref().map(ToString::to_string),
            comment: entry.comment,
        });
        let own = config::load_policy(self.directory, self.site, &self.orders.client).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
        let is_same = |own: &Policy| own.user == self.account && own.keys.as_ref().is_none_or(|keys| keys.contains(&self.key.fingerprint));
        Ok(Found {
            account: known,
            group_is_taken: accounts::group(&self.account).map_err(lists)?.is_some(),
            place: clients::place(&self.repository).map_err(|error| failed("looking at", &self.repository, &error))?,
            // One that ends on a date is not made to last. One for a client that is gone lets nobody in.
            has_key: keyfile::keys(self.keys.as_deref().unwrap_or_default()).iter().any(|(key, line)| {
                let is_its = keyfile::names(line).is_none_or(|client| client == self.orders.client);
                key.fingerprint == self.key.fingerprint && is_its
            }),
            policy: own.as_ref().map(is_same),
        })
    }

    fn step(&self, step: Step) -> Result<(), String> {
        let account = || {
            let entry = accounts::account(&self.account).map_err(|error| format!("reading /etc/passwd: {error}"))?;
            entry.ok_or_else(|| format!("the account `{}` is gone", self.account))
        };
        match step {
            Step::Account => {
                let home = self.directory.join(clients::KEYS);
                self.keys_directory()?;
                accounts::make(New { name: &self.account, comment: &self.comment, home: &home, shell: &self.gate, group: GROUP })
            }
            Step::Group if account_is_in(&self.account) => Ok(()),
            Step::Group => accounts::join(&self.account, GROUP),
            Step::Ids => accounts::give_ids(&self.account),
            Step::Repository => {
                let entry = account()?;
                let made = clients::make_repository(&self.repository, entry.uid, entry.group);
                made.map_err(|error| step_failed("making", &self.repository, &error))
            }
            Step::Key => {
                self.keys_directory()?;
                let path = self.key_file();
                let text = keyfile::with(self.keys.as_deref().unwrap_or_default(), &self.key, &self.line());
                let written = clients::write(&path, &text, Owner { user: 0, group: 0, mode: 0o644 });
                written.map_err(|error| step_failed("writing", &path, &error))
            }
            Step::Policy => {
                let path = clients::policy_file(self.directory, &self.orders.client);
                let group = accounts::group(GROUP).ok().flatten().map_or(0, |group| group.number);
                let written = clients::write(&path, &self.policy, Owner { user: 0, group, mode: 0o640 });
                written.map_err(|error| step_failed("writing", &path, &error))
            }
        }
    }

    fn keys_directory(&self) -> Result<(), String> {
        let keys = self.directory.join(clients::KEYS);
        // sshd reads it as the account, which is in the group of the directory above.
        let made = clients::directory(&keys, Owner { user: 0, group: 0, mode: 0o755 });
        made.map(drop).map_err(|error| step_failed("making", &keys, &error))
    }

    /// Takes back what this run has made, the last first.
    fn undone(&self, made: &[Step], before: &Found, what: &str) -> String {
        let client = &self.orders.client;
        let mut left = Vec::new();
        for step in made.iter().rev() {
            let undone = match step {
                Step::Policy => clients::gone(&clients::policy_file(self.directory, client)).map_err(|error| error.to_string()),
                Step::Key => self.keys_as_before(),
                Step::Repository => match clients::unmade(&self.repository) {
                    Ok(()) => Ok(()),
                    Err(error) => Err(error.to_string()),
                },
                Step::Account => match accounts::account(&self.account) {
                    Ok(Some(entry)) if entry.comment == self.comment && before.account.is_none() => accounts::remove(&self.account),
                    _ => Ok(()),
                },
                Step::Group | Step::Ids => match &before.account {
                    Some(known) if *step == Step::Ids => accounts::take_ids(&self.account, &known.lacks_ids),
                    Some(_) if account_is_in(&self.account) => accounts::leave(&self.account, GROUP),
                    // They go with the account.
                    _ => Ok(()),
                },
            };
            left.extend(undone.err().map(|error| format!("; not undone: {}: {error}", step.says(self.wish()))));
        }
        let all = if left.is_empty() { "what was made before was undone" } else { "what was made before was not all undone" };
        format!("{client}: {what}\n{all}{}; mend that and run it again", left.concat())
    }

    /// A line may have been replaced by the client's, and so the whole file comes back.
    fn keys_as_before(&self) -> Result<(), String> {
        let path = self.key_file();
        let changed = match &self.keys {
            Some(text) => clients::write(&path, text, Owner { user: 0, group: 0, mode: 0o644 }),
            None => clients::gone(&path),
        };
        changed.map_err(|error| error.to_string())
    }

    /// What was done, what is to be put on the client, and what `check` says of it.
    fn told(&self, done: &[Step]) -> Result<Printed, Printed> {
        let Orders { client, script: is_script, .. } = self.orders;
        let Self { account, key, shown, .. } = self;
        let mut text = format!("{client}: account `{account}`, repository {shown}, key {}\n", key.fingerprint);
        if done.is_empty() {
            text.push_str("  nothing was to be done: it is set up already, and its policy stays as it is\n");
        }
        text.extend(done.iter().map(|step| format!("  did {}\n", step.says(self.wish()))));
        let server = server(self.site, account);
        let host = self.orders.host.clone().unwrap_or_else(inspect::host_name);
        let (alias, preset) = (self.orders.alias.as_str(), self.orders.preset);
        let guide = Guide { client, account, host: &host, port: server.port, host_key: server.key.as_ref(), alias, preset };
        let (checked, code) = checked(self.directory, client, account);
        if *is_script {
            let script = script::script(&guide, key);
            let remarks: String = text.lines().chain(checked.lines()).map(|line| format!("# {line}\n")).collect();
            return Ok((script.replacen('\n', &format!("\n{remarks}"), 1), code));
        }
        let unsure = if self.orders.host.is_none() {
            format!("\nWhere the client calls this server something else than {host}, say --host NAME.\n")
        } else {
            String::new()
        };
        let drawn = if self.orders.qr { drawn(&guide) } else { String::new() };
        Ok((format!("{text}\n{}{unsure}\n{drawn}{checked}", guide.text()), code))
    }
}

/// What the client needs as a QR code.
fn drawn(guide: &Guide<'_>) -> String {
    match super::qr::draw(&guide.lines()) {
        Ok(code) => format!(
            "For a client with a camera: lines for its shell that say where the server is, and push once, with the key\n\
             ~/.ssh/id_backup. Scan them, read them, paste them.\n\n{code}\n"
        ),
        Err(what) => format!("note: {what}; use --script\n\n"),
    }
}

fn account_is_in(account: &str) -> bool {
    accounts::group(GROUP).ok().flatten().is_some_and(|group| group.members.iter().any(|member| member == account))
}

/// What `check` says, of this client first.
fn checked(directory: &Path, client: &ClientName, account: &str) -> (String, u8) {
    let report = check::of_client(directory, client);
    let own = clients::policy_file(directory, client);
    let policies = own.parent().map(printable_path).unwrap_or_default();
    let own = printable_path(&own);
    let is_its = |line: &&String| line.contains(&own) || line.contains(&format!("`{account}`")) || !line.contains(&policies);
    let problems = report.problems();
    let its: Vec<&String> = problems.iter().filter(is_its).collect();
    let others = problems.len() - its.len();
    let mut text: String = its.iter().map(|problem| format!("{problem}\n")).collect();
    if others > 0 {
        let _ = writeln!(text, "`snapgate check` has {} more, of other clients", counted(others, "problem", "problems"));
    }
    let _ = writeln!(text, "check: {}", if its.is_empty() { "nothing wrong" } else { "mend what is said above" });
    (text, u8::from(!its.is_empty()))
}

/// What sshd says of itself.
struct Server {
    port: u16,
    key: Option<PublicKey>,
}

fn server(site: &Site, account: &str) -> Server {
    let file = match &site.sshd {
        Sshd::None => return Server { port: login::USUAL_PORT, key: None },
        Sshd::OfTheMachine => None,
        Sshd::With(file) => Some(file.as_path()),
    };
    let answer = ask_sshd(file, &login::connection(account, login::NOWHERE, login::USUAL_PORT)).ok().flatten().unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let value =
        |name: &str| answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned).collect::<Vec<_>>();
    let port = value("port").first().and_then(|port| port.parse().ok()).unwrap_or(login::USUAL_PORT);
    let keys: Vec<PublicKey> = value("hostkey")
        .iter()
        .filter_map(|file| PublicKey::read(&inspect::text(Path::new(&format!("{file}.pub")), MAX_PUBLIC_KEY).ok()?).ok())
        .collect();
    // The first of ours is the one that every client takes.
    let best = keys.iter().find(|key| key.kind == "ssh-ed25519").or_else(|| keys.first()).cloned();
    Server { port, key: best }
}
