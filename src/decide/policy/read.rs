//! A policy's file from bytes to [`Policy`]. A policy's key replaces the same key of the site's
//! `defaults:` whole; it is never merged with it.

use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess};

use crate::decide::policy::window::{Days, Hours, Window};
use crate::decide::policy::yaml::{
    self, Fault, List, Nothing, OneOrMany, Table, TableOf, Text, Texts, Truth, Word as _, Wrong, keys, wrong,
};
use crate::terms::limits::{DEFAULT_HOOK, DEFAULT_IDLE, DEFAULT_PUSH, MAX_HOOKS, MAX_HOSTS};
use crate::terms::{ClientName, Fingerprint, NamePattern, Origin, Verb, ZoneName};

use super::limits::ShareKeys;
use super::options::OptionKeys;
use super::values::{Absolute, AccountName, HookTime, Idle, Push};
use super::{Hooks, KeepOwners, Origins, PartialPushes, Policy, Report, Site, Source, origins};

/// What the site's `defaults:` say.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    pub(super) keys: PolicyKeys,
    pub(super) origins: Vec<(String, Origin)>,
}

impl Defaults {
    /// The `keys:` that every policy has which names none of its own.
    pub fn keys(&self) -> &[Fingerprint] {
        self.keys.keys.as_deref().unwrap_or_default()
    }

    /// The `user:` of every policy that names none of its own.
    pub fn user(&self) -> Option<&str> {
        self.keys.user.as_ref().map(|AccountName(name)| name.as_str())
    }
}

keys! {
    /// Every key of a policy, as far as a file says it.
    pub(super) struct PolicyKeys, "a policy" {
        user: AccountName as Text<_>,
        keys: Vec<Fingerprint> as Texts<_>,
        from: Vec<Source> as Sources,
        when: Vec<TableOf<WhenKeys>> as List<_>,
        timezone: ZoneName as Text<_>,
        verbs: Vec<Verb> as Texts<_>,
        path: Absolute as Text<_>,
        snapshots: SnapshotKeys as TableOf<_>,
        report: Report as Text<_>,
        partial_pushes: PartialPushes as Text<_>,
        owners: KeepOwners as Text<_>,
        hooks: HookKeys as TableOf<_>,
        time_limits: LimitKeys as TableOf<_>,
        limits: ShareKeys as TableOf<_>,
        require_mount: bool as Truth,
        options: OptionKeys as TableOf<_>,
    }
}

/// `from:`, with its bound on names.
struct Sources(Vec<Source>);

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Texts(all) = Texts::deserialize(from)?;
        let hosts = all.iter().filter(|source| matches!(source, Source::Host(_))).count();
        if hosts > MAX_HOSTS {
            let message = format!("{hosts} `host:` names in one policy");
            return Err(wrong(&Wrong::new(message, format!("use at most {MAX_HOSTS}: each is looked up at every connection"))));
        }
        Ok(Self(all))
    }
}

#[derive(Debug, Clone, Default)]
struct WhenKeys {
    days: Option<Days>,
    hours: Option<OneOrMany<Hours>>,
    stop: Option<bool>,
}

impl Table for WhenKeys {
    const WHAT: &'static str = "an entry of `when`";
    const KEYS: &'static [&'static str] = &["days", "hours", "stop"];

    /// In `{ days: sat,sun }` YAML ends the value at the comma, and `sun` is a key without a value. What is meant is plain.
    fn takes(key: &str) -> bool {
        Days::parse(key).is_ok()
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match (key, self.days.zip(Days::parse(key).ok())) {
            ("days", _) => self.days = Some(map.next_value::<Text<_>>()?.0),
            (_, Some((days, more))) => {
                let Nothing = map.next_value()?;
                self.days = Some(days.and(more));
            }
            ("hours", _) => self.hours = Some(map.next_value()?),
            ("stop", _) => self.stop = Some(map.next_value::<Truth>()?.0),
            _ => return Err(wrong(&Wrong::new(format!("`{key}` stands here without `days:`"), "write days: and the days"))),
        }
        Ok(())
    }
}

impl WhenKeys {
    fn windows(self) -> impl Iterator<Item = Window> {
        let (days, stop) = (self.days.unwrap_or(Days::ALL), self.stop.unwrap_or(false));
        let hours = match self.hours {
            Some(OneOrMany::Many(hours)) => hours,
            Some(OneOrMany::One(hours)) => vec![hours],
            None => vec![Hours::ALL],
        };
        hours.into_iter().map(move |hours| Window::new(days, hours).stopping(stop))
    }
}

keys! {
    struct SnapshotKeys, "`snapshots`" { name: NamePattern as Text<_>, }
}

keys! {
    struct HookKeys, "`hooks`" { prepare: Vec<Vec<String>> as Commands, complete: Vec<Vec<String>> as Commands, }
}

/// One command or several: `[/usr/bin/df, /srv]` or `[[/usr/bin/df, /srv], [/usr/bin/true]]`.
struct Commands(Vec<Vec<String>>);

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let List(parts) = List::<OneOrMany<String>>::deserialize(from)?;
        let lists = parts.iter().filter(|part| matches!(part, OneOrMany::Many(_))).count();
        let mixed = lists != 0 && lists != parts.len();
        let mut commands = Vec::new();
        let mut words = Vec::new();
        for part in parts {
            match part {
                OneOrMany::One(word) => words.push(word),
                OneOrMany::Many(command) => commands.push(command),
            }
        }
        let problem = if mixed {
            Some(Wrong::new("words and lists side by side", "write one command as a list of words, or several as a list of such lists"))
        } else {
            commands.extend((!words.is_empty()).then_some(words));
            let bad = commands.iter().find_map(|command| Absolute::read(command.first().map_or("", String::as_str)).err());
            bad.map(|Wrong { message, help }| Wrong::new(format!("a hook's program: {message}"), help))
        };
        let too_many = (commands.len() > MAX_HOOKS)
            .then(|| Wrong::new(format!("{} commands in one list of hooks", commands.len()), format!("use at most {MAX_HOOKS}")));
        match problem.or(too_many) {
            Some(problem) => Err(wrong(&problem)),
            None => Ok(Self(commands)),
        }
    }
}

keys! {
    struct LimitKeys, "`time_limits`" { idle: Idle as Text<_>, push: Push as Text<_>, hook: HookTime as Text<_>, }
}

/// Reads a client's policy over the site's defaults.
///
/// # Errors
/// The first thing in it that is not exactly right.
pub fn read_policy(file: &Path, bytes: &[u8], client: &ClientName, site: &Site) -> Result<Policy, Fault> {
    let TableOf(own): TableOf<PolicyKeys> = yaml::read(file, bytes)?;
    let text = yaml::text_of(file, bytes)?;
    spelled(file, text, &own)?;
    let mut places = origins::keys(file, text, None);
    let inherited = site.defaults.origins.iter().filter(|(key, _)| !places.iter().any(|(own, _)| own == key)).cloned();
    let inherited: Vec<_> = inherited.collect();
    places.extend(inherited);

    let usual = site.defaults.keys.clone();
    let hooks = own.hooks.or(usual.hooks).unwrap_or_default();
    let limits = own.time_limits.or(usual.time_limits).unwrap_or_default();
    Ok(Policy {
        client: client.clone(),
        user: own.user.or(usual.user).map_or_else(|| client.as_str().to_owned(), |AccountName(name)| name),
        keys: own.keys.or(usual.keys),
        from: own.from.or(usual.from),
        when: own.when.or(usual.when).map(|all| all.into_iter().flat_map(|TableOf(entry)| entry.windows()).collect()),
        timezone: own.timezone.or(usual.timezone).unwrap_or_else(ZoneName::utc),
        verbs: own.verbs.or(usual.verbs).unwrap_or_else(|| Verb::DEFAULT.to_vec()),
        path: own.path.or(usual.path).map_or_else(|| site.store.join(client.as_str()), |Absolute(path)| path),
        names: own.snapshots.or(usual.snapshots).and_then(|snapshots| snapshots.name).unwrap_or_default(),
        report: own.report.or(usual.report).unwrap_or(Report::Problems),
        partial_pushes: own.partial_pushes.or(usual.partial_pushes).unwrap_or(PartialPushes::Publish),
        owners: own.owners.or(usual.owners),
        hooks: Hooks {
            prepare: hooks.prepare.unwrap_or_default(),
            complete: hooks.complete.unwrap_or_default(),
            time_limit: limits.hook.map_or(DEFAULT_HOOK, |HookTime(time)| time),
        },
        idle: limits.idle.map_or(DEFAULT_IDLE, |Idle(time)| time),
        deadline: limits.push.map_or(DEFAULT_PUSH, |Push(time)| time),
        limits: own.limits.or(usual.limits).unwrap_or_default().limits(),
        require_mount: own.require_mount.or(usual.require_mount).unwrap_or(false),
        options: own.options.or(usual.options).map(|OptionKeys(choice)| choice).unwrap_or_default(),
        origins: Origins { file: file.to_path_buf(), keys: places },
    })
}

/// Policies are searched for a key or an account by their bytes before they are parsed. So both have to stand in the
/// file as they are, not in YAML's escapes.
fn spelled(file: &Path, text: &str, own: &PolicyKeys) -> Result<(), Fault> {
    let keys = own.keys.iter().flatten().map(Fingerprint::as_str);
    let user = own.user.iter().map(|AccountName(name)| name.as_str());
    // Between double quotes a backslash is written twice.
    let stands = |value: &str| text.contains(value) || (value.contains('\\') && text.contains(&value.replace('\\', r"\\")));
    let hidden = keys.chain(user).find(|value| !stands(value));
    match hidden {
        None => Ok(()),
        Some(value) => Err(Fault::whole(file, format!("`{value}` is written with escapes"), "write it as it is")),
    }
}
