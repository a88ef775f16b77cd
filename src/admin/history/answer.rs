//! Answers a question for one client, as its account: decides which snapshots are meant, and has
//! them read in a sandbox. The reader keeps each from being removed for as long as it reads it.
//!
//! Standard output is the answer, and standard error one reason if there is none.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::list;
use super::within::say;
use crate::act::child::{self, Standby};
use crate::act::config::{self, zones};
use crate::act::inspect::running_uid;
use crate::act::names::{self, subids};
use crate::act::prune;
use crate::act::sandbox;
use crate::act::store::{Repository, mounted, remembered};
use crate::act::{clock, process};
use crate::decide::history::cell::{self, Reader, Tree};
use crate::decide::history::order::{Order, Task};
use crate::decide::history::query::{self, Asked, Query, Word};
use crate::decide::history::{Candidate, History, NotSelected};
use crate::decide::owners;
use crate::decide::policy::{Policy, Site};
use crate::decide::push::outcome::Ended;
use crate::decide::sandbox::spec::{Confinement, Limits};
use crate::terms::limits::{MAX_SHOWN_FILE, READER_MEMORY};
use crate::terms::selector::Selector;
use crate::terms::{ClientName, Code, Event, Mapping, Reason, SnapshotName, Zone, exit};

/// The hidden word of the process that reads.
pub(crate) const READ: &str = "read-history";

/// Answers. Returns the exit code.
pub(crate) fn answer(directory: &Path, client: &ClientName, is_administrators: bool, words: &[OsString]) -> u8 {
    process::close_inherited();
    process::no_core();
    process::many_files();
    if !is_administrators {
        process::stand_back();
    }
    match answered(directory, client, is_administrators, words) {
        Ok(exit) => exit,
        Err(reason) => say(&reason),
    }
}

fn answered(directory: &Path, client: &ClientName, is_administrators: bool, words: &[OsString]) -> Result<u8, Reason> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let (word, rest) = words.split_first().ok_or_else(|| query::snapshot("nothing is asked"))?;
    let word = std::str::from_utf8(word).ok().and_then(Word::read).ok_or_else(|| query::snapshot("nothing is asked"))?;
    let asked = Asked::read(word, rest)?;
    let unfit = |what: String| Reason::of_the_server(Code::Config, what);
    let site = config::load_site(directory).map_err(|fault| unfit(fault.to_string()))?;
    let policy = config::load_policy(directory, &site, client).map_err(|fault| unfit(fault.to_string()))?;
    let unknown = || Reason::new(Code::NoPolicy, format!("no policy for `{client}`")).hint("`snapgate list` shows every client");
    let policy = policy.ok_or_else(unknown)?;
    let zone = zones::load(&policy.timezone).map_err(unfit)?;
    mounted(&policy, &site)?;
    let mapping = become_account(&site, &policy)?;
    let now = clock::now();
    let asking = Asking { site: &site, policy: &policy, zone: &zone, now, is_administrators };
    asking.answer(&asked, mapping)
}

/// Makes this process the account's. Returns the mapping of a client whose owners are kept.
fn become_account(site: &Site, policy: &Policy) -> Result<Option<Mapping>, Reason> {
    let client = &policy.client;
    let unfit = |what: String| Reason::of_the_server(Code::Config, what);
    let unknown = || unfit(format!("there is no account `{}`, which the policy of `{client}` names\nmake it, or set `user:`", policy.user));
    let account = names::named(&policy.user).ok_or_else(unknown)?;
    // The repository decides, whatever the policy says of pushes to come.
    let mapping = if account.is_root() {
        None
    } else {
        let policy = Policy { owners: None, ..policy.clone() };
        owners::decide(site, &policy, false, remembered(&policy.path)?, || subids::available(&account))?.mapping().cloned()
    };
    if ![0, account.uid].contains(&running_uid()) {
        let what = format!("the snapshots of `{client}` are the account `{}`'s", policy.user);
        return Err(Reason::new(Code::Account, what).hint("run it as that account, or as root"));
    }
    let groups = names::groups(&account).ok_or_else(|| unfit(format!("nobody can say in which groups `{}` is", account.name)))?;
    process::log_in(&account, &groups)
        .map_err(|what| Reason::of_the_server(Code::Internal, format!("becoming `{}`: {what}", account.name)))?;
    Ok(mapping)
}

/// Who is asked about, and for whom.
struct Asking<'a> {
    site: &'a Site,
    policy: &'a Policy,
    zone: &'a Zone,
    now: DateTime<Utc>,
    is_administrators: bool,
}

impl Asking<'_> {
    fn answer(&self, asked: &Asked, mapping: Option<Mapping>) -> Result<u8, Reason> {
        let confinement = if self.site.jail { Confinement::View } else { Confinement::None };
        let none = || Reason::new(Code::Snapshot, NotSelected::None.to_string()).hint("push first");
        // In a namespace the account has another number.
        let account = running_uid();
        if std::fs::symlink_metadata(&self.policy.path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Err(none());
        }
        let repository = Repository::checked(&self.policy.path, account)?;
        let standby = standby(confinement, mapping.as_ref())?;
        if let Query::List = asked.query {
            drop(standby);
            let text = list::for_client(&repository, self.policy, self.now, asked.json)?;
            let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
            return Ok(if written.is_ok() { 0 } else { exit::CLOSED });
        }
        let names = repository.names(&self.policy.names)?;
        if names.is_empty() {
            return Err(none());
        }
        let task = self.task(asked, &repository, names)?;
        let is_seen = confinement == Confinement::View;
        let order = Order {
            root: if is_seen { "/".into() } else { repository.root().as_os_str().to_owned() },
            names: self.policy.names.as_str().to_owned(),
            json: asked.json,
            owners: mapping.is_some(),
            is_administrator: self.is_administrators,
            task,
        };
        let broken = |what: String| Reason::of_the_server(Code::Internal, what);
        let words = serde_json::to_string(&order).map_err(|error| broken(error.to_string()))?;
        let program = std::env::current_exe().map_err(|error| broken(format!("this program cannot be found: {error}")))?;
        let reader = Reader {
            program,
            argv: vec![READ.into(), "--".into(), words.into()],
            directory: PathBuf::from(if is_seen { cell::SNAPSHOTS } else { "/" }),
            trees: vec![Tree::all(&repository.snapshots())],
            listing: None,
            besides: Vec::new(),
            limits: Some(Limits { memory: READER_MEMORY, processes: None, file_size: None }),
        };
        let ended = standby.unlocked(&cell::on(reader, cell::keeping(confinement))).map_err(|not| not.reason())?;
        // The reader has said why, unless it was killed: whoever has started this says that.
        Ok(if let Ended::Exit(status) = ended { u8::try_from(status).unwrap_or(exit::INTERNAL) } else { exit::INTERNAL })
    }

    /// What is to be read.
    fn task(&self, asked: &Asked, repository: &Repository, names: Vec<SnapshotName>) -> Result<Task, Reason> {
        let current = std::fs::read_link(repository.current()).unwrap_or_default();
        let current = current.strip_prefix("snapshots").ok().and_then(Path::to_str).map(str::to_owned);
        let partial = self.partial(asked, repository, &names);
        let snapshots: Vec<_> = names.into_iter().map(|name| Candidate { partial: partial.contains(name.as_str()), name }).collect();
        let current = snapshots.iter().map(|one| &one.name).find(|name| Some(name.as_str()) == current.as_deref());
        let history = History { snapshots: &snapshots, current, now: self.now, zone: self.zone };
        let select = |selector: &Selector| history.select(selector).cloned().map_err(|fault| query::snapshot(fault.to_string()));
        Ok(match &asked.query {
            Query::Ls { when, place } => Task::Ls { snapshot: select(when)?.to_string(), place: place.clone() },
            Query::Cat { when, place } => {
                let most = (!self.is_administrators).then_some(MAX_SHOWN_FILE);
                Task::Cat { snapshot: select(when)?.to_string(), place: place.clone(), most }
            }
            Query::Find { when, pattern } => {
                let snapshot = when.as_ref().map(select).transpose()?;
                Task::Find { snapshot: snapshot.map(|name| name.to_string()), pattern: pattern.bytes().to_vec() }
            }
            Query::History { place, diffs } => Task::History { place: place.clone(), diffs: *diffs },
            Query::Yesterday { back, place } => {
                let until = select(&back.selector(self.zone.local(self.now).date()))?;
                let before = if self.is_administrators { repository.snapshots().join("").into_os_string() } else { OsString::new() };
                Task::Yesterday { until: until.to_string(), place: place.clone(), before }
            }
            Query::Diff { old, new, place } => {
                Task::Diff { old: select(old)?.to_string(), new: select(new)?.to_string(), place: place.clone() }
            }
            Query::Usage | Query::List => Task::Usage,
        })
    }

    /// Snapshots whose push did not bring everything, where somebody asks for one that is whole.
    fn partial(&self, asked: &Asked, repository: &Repository, names: &[SnapshotName]) -> BTreeSet<String> {
        let asks = |selector: &Selector| *selector == Selector::Complete;
        let is_asked = match &asked.query {
            Query::Ls { when, .. } | Query::Cat { when, .. } | Query::Find { when: Some(when), .. } => asks(when),
            Query::Yesterday { back: query::Back::To(when), .. } => asks(when),
            Query::Diff { old, new, .. } => asks(old) || asks(new),
            Query::List | Query::Usage | Query::History { .. } | Query::Find { when: None, .. } => false,
            Query::Yesterday { back: query::Back::By { .. }, .. } => false,
        };
        let mut partial = BTreeSet::new();
        if !is_asked {
            return partial;
        }
        let names: BTreeSet<_> = names.iter().map(SnapshotName::as_str).collect();
        let is_about_one =
            |event: &Event| event.push().and_then(|facts| facts.snapshot.as_deref()).is_some_and(|name| names.contains(name));
        prune::recorded(&repository.state(), is_about_one, |event| {
            // A name may have been given again: what was recorded last is about the one that is there.
            let Some(facts) = event.push() else { return };
            facts.snapshot.as_deref().map(|name| if facts.partial { partial.insert(name.to_owned()) } else { partial.remove(name) });
        });
        partial
    }
}

/// A process that waits to read. Where owners are kept, this one goes to where it has power over
/// the client's files.
fn standby(confinement: Confinement, mapping: Option<&Mapping>) -> Result<Standby, Reason> {
    let isolation = cell::keeping(confinement);
    let Some(mapping) = mapping else {
        return sandbox::stand_by(isolation, None, None).map_err(|not| not.reason());
    };
    let begun = sandbox::begin(isolation, None).map_err(|not| not.reason())?;
    let unmapped = |what: String| owners::unmapped(&what);
    let (namespace, standby) = child::begin_namespace(begun, mapping).and_then(child::NamespaceBegun::finish).map_err(unmapped)?;
    namespace.enter().map_err(unmapped)?;
    Ok(standby)
}
