//! What an account finds by itself. A process of the account looks at what is the account's: what
//! it cannot reach is not shown to root, and no push can reach it either.

use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use crate::act::inspect::{Identity, barred, key_files, leads, links, look, open_to, running_uid, the_gate};
use crate::act::names;
use crate::act::store::Repository;
use crate::act::{child, clock, config, process};
use crate::decide::host::login::{self, Asker, Closed, GATE, Leads, Place, Settings};
use crate::decide::host::seen::{Need, Seen, Stock, Wanted};
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site, Sshd};
use crate::decide::sandbox::spec::Limits;
use crate::terms::limits::{DEFAULT_PROCESSES, LOOK_TIMEOUT, MAX_LINKS_SEEN, MAX_SEEN, MAX_SHELL_ANSWER, MAX_SSHD_FILES, READER_MEMORY};
use crate::terms::{Account, Login};

/// Precedes the shell's output.
const BEGINS: &[u8] = b"\n";

/// The settings of the machine's sshd.
pub(super) const SSHD_SETTINGS: &str = "/etc/ssh/sshd_config";

/// Where the rest of them stands.
const SSHD_PARTS: &str = "/etc/ssh/sshd_config.d";

/// An account's findings for a policy.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) seen: Seen,
    /// Whether the account could create a missing repository.
    pub(super) may_make: bool,
}

/// An account and its login.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) account: Account,
    pub(super) login: Option<Login>,
    /// sshd's settings for it, if they are known.
    pub(super) sshd: Option<Settings>,
    /// An address where they are others than usual.
    pub(super) place: Option<Place>,
    groups: Vec<u32>,
    /// The gate that root sees.
    own: Option<Identity>,
}

impl Known {
    pub(super) fn new(account: Account) -> Self {
        let login = names::login(&account.name);
        let groups = if is_oneself(&account) { Vec::new() } else { names::groups(&account).unwrap_or_else(|| vec![account.group]) };
        Self { account, login, sshd: None, place: None, groups, own: the_gate() }
    }

    /// The same account at an address where sshd's settings for it are these.
    pub(super) fn at(&self, place: Place, sshd: Option<Settings>) -> Self {
        Self { sshd, place: Some(place), ..self.clone() }
    }

    /// The same finding, where it holds at one address.
    pub(super) fn placed(&self, finding: Finding) -> Finding {
        let message = self.place.as_ref().map(|place| format!("{}: {}", place.shown(), finding.message));
        Finding { message: message.unwrap_or(finding.message), ..finding }
    }

    /// Whether only sshd's settings speak of where it comes from.
    pub(super) fn is_named_by_sshd_alone(&self) -> bool {
        self.place.as_ref().is_some_and(Place::is_named_by_sshd_alone)
    }

    /// Whether sshd keeps it out there, so that no key opens anything.
    pub(super) fn is_kept_out(&self) -> bool {
        let groups = self.sshd.as_ref().filter(|settings| settings.asks_for_groups()).and_then(|_| self.group_names());
        self.sshd.as_ref().is_some_and(|settings| !settings.lets_in(&self.account.name, groups.as_deref()))
    }

    /// Whether sshd looks for keys where it does for another.
    pub(super) fn has_the_key_files_of(&self, other: &Self) -> bool {
        let (own, others) = (self.sshd.as_ref(), other.sshd.as_ref());
        own.zip(others).is_some_and(|(own, others)| own.key_files == others.key_files && own.by_policies == others.by_policies)
    }

    /// The names of its groups, if all are known.
    pub(super) fn group_names(&self) -> Option<Vec<String>> {
        if self.groups.is_empty() { None } else { self.groups.iter().map(|group| names::group(*group)).collect() }
    }

    /// Has the account check a policy's paths, and its own files if `with_its_own`; `None` if nobody can.
    pub(super) fn ask(&self, policy: &Policy, site: &Site, with_its_own: bool) -> Option<Asked> {
        let repository = look(&policy.path);
        let is_missing = repository.is_none();
        // Others' directories may lead anywhere, and root could follow.
        let is_its_own = repository.is_some_and(|found| found.owner == self.account.uid);
        let above = policy.path.parent().unwrap_or(&policy.path);
        let mut wanted = self.wanted(policy, site);
        wanted.push(if is_missing { want(above, Need::Fill) } else { want(&policy.path, Need::Fill) });
        let guarded = self.guarded(policy, site);
        let is_oneself = is_oneself(&self.account);
        let mut looks = || {
            if is_its_own {
                wanted.extend(Repository::at(&policy.path).needed());
            }
            let barred = barred(&wanted);
            // What is out of reach is reported once.
            let may_look = is_its_own && !barred.iter().any(|barred| policy.path.starts_with(&barred.at));
            let stock = may_look.then(|| Repository::at(&policy.path).stock(&policy.names));
            let newest = stock.as_ref().and_then(|stock: &Stock| stock.newest.as_ref()).map(|(name, _)| name.clone());
            let links = newest.map_or(0, |name| links(&Repository::at(&policy.path).snapshots().join(name), MAX_LINKS_SEEN));
            let (keys, is_root) = (if with_its_own { self.keys() } else { Vec::new() }, self.account.is_root());
            let others = |paths: &[PathBuf]| if is_root || is_oneself { Vec::new() } else { open_to(paths) };
            let own_keys = others(&keys.iter().map(|file| file.path.clone()).collect::<Vec<_>>());
            let writes_rc = with_its_own && !is_root && !is_oneself && self.writes_rc();
            Seen { barred, stock, keys, hands: others(&guarded), own_keys, writes_rc, links }
        };
        let mut seen: Seen = if is_oneself {
            looks()
        } else if running_uid() == 0 {
            let answer = child::apart(LOOK_TIMEOUT, MAX_SEEN, |out| {
                if process::live_as(&self.account, &self.groups).is_ok() {
                    let _ = out.write_all(&serde_json::to_vec(&looks()).unwrap_or_default());
                }
            });
            serde_json::from_slice(&answer).ok()?
        } else {
            return None;
        };
        let may_make = !is_missing || !seen.barred.iter().any(|barred| barred.path == above);
        if is_missing {
            // It is reported with the repository.
            seen.barred.retain(|barred| barred.path != above || barred.at != above || barred.need != Need::Fill);
        }
        Some(Asked { seen, may_make })
    }

    /// Whether the account as which sshd asks `snapgate keys` reads what that reads; `None` where sshd does not ask it.
    pub(super) fn asker(&self, directory: &Path, site: &Site, its: &[&Policy]) -> Option<Asker> {
        let settings = self.sshd.as_ref().filter(|settings| settings.by_policies)?;
        let Some(asker) = settings.asks_as(&self.account.name).and_then(|name| names::named(&name)) else { return Some(Asker::Missing) };
        let Some(groups) = names::groups(&asker) else { return Some(Asker::Untried) };
        let program = settings.asks().map(|program| want(program, Need::Run));
        let keys = directory.join(config::keyring::KEYS).join(&self.account.name);
        let read = [site.file.clone(), directory.join(config::POLICIES), keys].into_iter();
        let read = read.chain(its.iter().map(|policy| policy.origins.file.clone())).map(|path| want(&path, Need::Read));
        let wanted: Vec<_> = program.into_iter().chain(read).collect();
        let answer = child::apart(LOOK_TIMEOUT, MAX_SEEN, |out| {
            if process::live_as(&asker, &groups).is_ok() {
                let _ = out.write_all(&serde_json::to_vec(&Closed::from(barred(&wanted))).unwrap_or_default());
            }
        });
        Some(serde_json::from_slice(&answer).map_or(Asker::Untried, Asker::Looked))
    }

    /// Whether the account can write ~/.ssh/rc, or make one: what it owns it opens to itself.
    fn writes_rc(&self) -> bool {
        let Some(home) = self.login.as_ref().map(|login| login.home.as_path()) else { return false };
        let ssh = home.join(".ssh");
        let places = [ssh.join("rc"), ssh, home.to_path_buf()];
        let its_own = |path: &PathBuf| look(path).is_some_and(|found| found.owner == self.account.uid);
        let nearest = places.iter().find(|path| path.exists());
        places.iter().any(its_own) || nearest.is_some_and(|path| !open_to(std::slice::from_ref(path)).is_empty())
    }

    fn wanted(&self, policy: &Policy, site: &Site) -> Vec<Wanted> {
        let own = site.spool.join(self.account.uid.to_string());
        let kept = ["tmp", "new", "out", "dead"].map(|name| own.join(name)).into_iter().filter(|path| look(path).is_some());
        let mut wanted =
            vec![if look(&own).is_some() { want(&own, Need::Fill) } else { want(&site.spool, Need::Fill) }, want(&site.rsync, Need::Run)];
        wanted.extend(kept.map(|path| Wanted { path, need: Need::Fill }));
        if policy.path.starts_with(&site.store) {
            wanted.push(want(&site.store, Need::Enter));
        }
        wanted.extend(self.runs().map(|program| want(&program, Need::Run)));
        let hooks = policy.hooks.prepare.iter().chain(&policy.hooks.complete).filter_map(|command| command.first());
        wanted.extend(hooks.map(|hook| Wanted { path: hook.into(), need: Need::Run }));
        wanted
    }

    /// What says what the account may do, and what does it: only root is to change that.
    fn guarded(&self, policy: &Policy, site: &Site) -> Vec<PathBuf> {
        let own = std::env::current_exe().unwrap_or_default();
        let mut all = vec![site.file.clone(), policy.origins.file.clone(), site.rsync.clone(), own.with_file_name(GATE), own];
        all.extend(self.runs());
        all.extend(match &site.sshd {
            Sshd::With(file) => Some(file.clone()),
            Sshd::OfTheMachine => Some(PathBuf::from(SSHD_SETTINGS)),
            Sshd::None => None,
        });
        if site.sshd == Sshd::OfTheMachine {
            let parts = std::fs::read_dir(SSHD_PARTS).into_iter().flatten().flatten();
            all.extend(parts.map(|part| part.path()).take(MAX_SSHD_FILES));
        }
        all
    }

    /// The program that sshd starts for it, by its whole path.
    pub(super) fn runs(&self) -> Option<PathBuf> {
        let word = self.sshd.as_ref()?.force.as_ref()?.split_ascii_whitespace().next()?;
        word.starts_with('/').then(|| PathBuf::from(word))
    }

    /// What sshd's forced command starts; `None` if the program is missing.
    pub(super) fn forced(&self) -> Option<Leads> {
        let command = self.sshd.as_ref().and_then(|settings| settings.force.as_deref()).unwrap_or_default();
        // A gate that is the account's shell recognises itself, wherever it is.
        if self.has_the_gate_for_a_shell() && login::Gate::read(command.as_bytes()).is_some() {
            return Some(Leads::ToTheGate);
        }
        if self.runs().is_some_and(|program| look(&program).is_none()) {
            return None;
        }
        Some(login::command_leads(command, |word| leads(word, self.own)))
    }

    pub(super) fn has_the_gate_for_a_shell(&self) -> bool {
        self.login.as_ref().is_some_and(|login| leads(&login.shell.to_string_lossy(), self.own) == Leads::ToTheGate)
    }

    fn keys(&self) -> Vec<login::KeyFile> {
        let Some((settings, login)) = self.sshd.as_ref().zip(self.login.as_ref()) else { return Vec::new() };
        let files = login::key_files(settings, &self.account.name, self.account.uid, login);
        key_files(&files, settings.strict.then_some((self.account.uid, login.home.as_path())), self.own, clock::kernel())
    }

    /// What its shell prints at its start; `None` if nobody can start it.
    pub(super) fn shell_prints(&self) -> Option<Vec<u8>> {
        let login = self.login.as_ref()?;
        if login::turns_away(&login.shell) {
            return Some(Vec::new());
        }
        if !is_oneself(&self.account) && running_uid() != 0 {
            return None;
        }
        let answer = child::apart_for_good(LOOK_TIMEOUT, MAX_SHELL_ANSWER, |mut out| {
            process::close_all_but(&[out.as_raw_fd()]);
            // The account's own files may have its shell start anything, which has to end with it.
            child::with_all_it_starts(move || {
                let processes = process::all_running().map(|running| running.saturating_add(DEFAULT_PROCESSES));
                let bounds = Limits { memory: READER_MEMORY, file_size: None, processes };
                let ready = process::silence().and_then(|()| process::bound(&bounds));
                let ready = ready.and_then(|()| process::live_as(&self.account, &self.groups));
                // Without a process, as in parts of the jail, the first byte is missing.
                if ready.is_ok() && out.write_all(BEGINS).is_ok() {
                    child::become_shell(&self.account.name, login, out);
                }
            });
        });
        answer.strip_prefix(BEGINS).map(<[u8]>::to_vec)
    }
}

fn want(path: &Path, need: Need) -> Wanted {
    Wanted { path: path.to_path_buf(), need }
}

fn is_oneself(account: &Account) -> bool {
    account.uid == running_uid()
}
