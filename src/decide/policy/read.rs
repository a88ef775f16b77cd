//! A policy's file to [`Policy`]. A key replaces the same key of the site's `defaults:` whole.

use std::path::Path;

use serde::de::{Deserialize, Deserializer};

use crate::decide::keep::Span;
use crate::decide::policy::yaml::{
    self, Fault, Figure, List, OneOrMany, Row, Shape, Table, TableOf, TableOrText, Text, Texts, Truth, Word as _, Written, Wrong, keys,
    wrong,
};
use crate::terms::limits::{DEFAULT_HOOK, DEFAULT_IDLE, DEFAULT_PUSH, MAX_HOOKS};
use crate::terms::{ClientName, Fingerprint, NamePattern, Origin, SubPath, Url, Verb, ZoneName};

use super::anomaly::{self, AnomalyKeys, Off};
use super::arrivals::{Sources, WhenKeys, windows};
use super::drill::Places;
use super::keep::{DEFAULT_GRACE, KeepKeys, Least, Strategy, kept};
use super::limits::ShareKeys;
use super::options::OptionKeys;
use super::quota::QuotaKeys;
use super::restore::RestoreKeys;
use super::told::{Expect, RouteKeys, Said};
use super::values::{Absolute, AccountName, Frozen, HookTime, Idle, MailAddress, Push};
use super::{Hooks, KeepOwners, Origins, PartialPushes, Policy, Report, Site, Source, WhenFull, origins};

/// What the site's `defaults:` say.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    pub(super) keys: PolicyKeys,
    pub(super) origins: Vec<(String, Origin)>,
}

impl Defaults {
    /// The `keys:` of policies that have none.
    pub fn keys(&self) -> &[Fingerprint] {
        self.keys.keys.as_deref().unwrap_or_default()
    }

    /// Those that may only restore.
    pub fn restoring(&self) -> &[Fingerprint] {
        self.keys.restore.as_ref().map(RestoreKeys::keys).unwrap_or_default()
    }

    /// The `timezone:` of policies that have none.
    pub fn timezone(&self) -> Option<&ZoneName> {
        self.keys.timezone.as_ref()
    }

    /// The `user:` of policies that have none.
    pub fn user(&self) -> Option<&str> {
        self.keys.user.as_ref().map(|AccountName(name)| name.as_str())
    }
}

keys! {
    /// The keys of a policy in a file.
    pub(super) struct PolicyKeys, "a policy" {
        /// The unix account that may speak for the client. Write a domain's account as this machine
        /// calls it: `'DOM\jane'`, or `jane@example.org`.
        user: AccountName as Text<_> = Words("the client's name"), "web1";
        /// The keys that may speak for the client, as `ssh-keygen -lf key.pub` prints them. They
        /// tell clients of one account apart. sshd says which key logged in where `ExposeAuthInfo`
        /// is `yes`; Dropbear cannot, so leave `keys:` out there.
        keys: Vec<Fingerprint> as Texts<_>
            = Words("any key that sshd lets in"), "[SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk]";
        /// Where the client may come from. A name behind `host:` is looked up at each connection;
        /// one that does not resolve does not match. An address in `fe80::/10` may name its
        /// interface: `"fe80::1%eth0"`. In brackets, an address with `:` in it needs quotes.
        from: Vec<Source> as Sources = Words("anywhere"), r#"[192.0.2.0/24, "2001:db8::/48", "host:rt-1080.example.net"]"#;
        /// When the client may come: while any of these windows is open. Who is in may stay, unless
        /// the window says `stop: true`.
        when: Vec<TableOf<WhenKeys>> as List<_>
            = Words("at any time"), r#"[{ days: mon-fri, hours: "22:00-06:00", stop: true }, { days: "sat,sun" }]"#;
        /// The time zone of `when:` and `keep:`. Everything else is in UTC: the names of snapshots,
        /// mails and logs.
        timezone: ZoneName as Text<_> = Value("UTC"), "Europe/Madrid";
        /// Lets the client do nothing for a while (code `frozen`, exit 75), and is the text that it
        /// reads. `snapgate freeze` writes it, `snapgate thaw` removes it.
        frozen: Frozen as Text<_> = Words("it may come"), "\"the disks are being replaced; pushes go on tomorrow\"";
        /// What the client may ask for. Every client may ask for `help`. A transaction takes both
        /// `prepare` and `complete`.
        verbs: Vec<Verb> as Texts<_> = Value("[rsync, status]"), "[prepare, rsync, complete, abort]";
        /// The client's repository. Each client needs one of its own, and none may be inside
        /// another.
        path: Absolute as Text<_> = Words("`<store>/<client>`"), "/srv/backups/web1";
        /// How snapshots are named.
        snapshots: SnapshotKeys as TableOf<_> = Below, r#"{ name: "%Y-%m-%dT%H-%M-%SZ" }"#;
        /// Which pushes a report is mailed about, to the site's `reports_to:`. What went wrong is
        /// mailed to its `to:` whatever this says.
        report: Report as Text<_> = Value("problems"), "always";
        /// Who gets the client's reports, instead of the site's `reports_to:`.
        reports_to: Vec<MailAddress> as Texts<_> = Words("the site's `reports_to:`"), "[jane@example.org]";
        /// Who gets the client's alerts, instead of the site's `to:`. A mail about several clients
        /// goes to the site's `to:`.
        alerts_to: Vec<MailAddress> as Texts<_> = Words("the site's `to:`"), "[ops@example.org, jane@example.org]";
        /// Who gets some of these alerts instead, by what they are about.
        routes: RouteKeys as TableOf<_> = Below, "{ held: [security@example.org], missed: [jane@example.org] }";
        /// When you are told that no snapshot has come: so long after the last one. `learn` goes by
        /// the client's own rhythm, as soon as it has made ten snapshots: by when it came in the
        /// last five weeks, on the same days and at the same hours, and by how late it was then. So
        /// nights and weekends are no silence where they never were any. `off` never misses it. See
        /// "Being told" in `docs/administration.md`.
        expect: Expect as Text<_> = Value("learn"), "24h";
        /// How much later a snapshot may be than expected. No hour outside of `when:` makes it late:
        /// where the next window opens later, it is expected then.
        grace: Span as Text<_> = Words("a quarter of `expect:`, from 1h to 1d; where it is learned, at least 2h, and as late as the client was before"), "6h";
        /// Whether the machine travels. It is not missed while it is away for less than 30 days, but
        /// when it comes back and no snapshot comes of it.
        laptop: bool as Truth = Value("false"), "true";
        /// Where a service is told that the client pushed, as healthchecks has it: this URL when a
        /// push became a snapshot, with `/start` behind it when one begins, and with `/fail` when one
        /// came to nothing or somebody has to look into it. `{client}` stands for the client's name,
        /// so that one URL may stand in `defaults:`. Every account of the group `snapgate` can read
        /// it here. See "Other ways out" in `docs/administration.md`.
        ping: Url as Text<_> = Words("nobody is told"), "https://hc-ping.com/5e8a3a32-8d2e-4f0f-9b1a-1a2b3c4d5e6f";
        /// What becomes of a push that has a part of the client's data alone: one into a place
        /// (`backup:etc/`), or of a few files (`--files-from`, filters). See "Pushes of a part".
        partial_pushes: PartialPushes as Text<_> = Value("publish"), "merge";
        /// What becomes of owners, where the client's account is not root (`docs/owners.md`). A
        /// repository stays as it began.
        owners: KeepOwners as Text<_> = Words("`keep` where the account has ids to give away, and `drop` where it has none"), "keep";
        /// Commands that run as the client's account, without a shell (`docs/hooks.md`). One
        /// command is a list of its words, of which the first is an absolute path.
        hooks: HookKeys as TableOf<_> = Words("none"), "{ complete: [/usr/local/sbin/mirror, /mnt/second] }";
        /// How long a push and its hooks may take.
        time_limits: LimitKeys as TableOf<_> = Below, "{ idle: 10m, push: 24h, hook: 10m }";
        /// How much of the server the client may use. See "How much a client may use".
        limits: ShareKeys as TableOf<_> = Below, "{ sessions: 8, memory: 8GiB, processes: 64, bytes: 500G, inodes: 2000000 }";
        /// The rules of the verbs `restore`, `browse` and `history`, where they are others than the
        /// client's own. See `docs/restore.md`.
        restore: RestoreKeys as TableOf<_>
            = Words("the client's own rules"), r#"{ from: [192.0.2.0/24], limits: { bytes: 100G }, alert_over: 20G }"#;
        /// How much the client may hold on the server in all: snapshots, also those in the trash, and
        /// what pushes that did not finish have left. What several snapshots share counts once. A
        /// push is refused once that much is used (code `quota`), and stopped when it would use
        /// more; what it brought is kept for the next one. `snapgate usage` and `ssh HOST status`
        /// show it. See "Room".
        quota: QuotaKeys as TableOf<_> = Words("as much as there is room for"), "{ bytes: 500G, inodes: 5M, warn: 80% }";
        /// What becomes of older snapshots when there is no room for more.
        when_full: WhenFull as Text<_> = Value("refuse"), "shorten";
        /// Which snapshots are kept. A key keeps the last complete snapshot of each hour, day,
        /// week, month or year, from the newest back, in `timezone:`. A number says how many are
        /// kept, and a time without a snapshot does not count. A span says how old they may be when
        /// the newest one begins. What a finer key keeps a coarser one does not count: `{ daily: 7,
        /// weekly: 4 }` keeps seven days, and then four weeks. Each span has to be longer than
        /// those of finer keys. A month is 31 days there, and a year 366.
        ///
        /// `"1:1 30:7 365:30"` is a strategy of rsync-time-backup: after 1 day one snapshot a day
        /// is kept, after 30 days one in 7 days, and after 365 days one in 30. `365:0` keeps
        /// nothing that is older.
        ///
        /// A client that is gone loses nothing. Always kept are the newest snapshot, the newest
        /// complete one, that of `current`, those that are protected or being read, and while one
        /// is held all since the last good one.
        keep: Written<KeepKeys, Strategy> as TableOrText<_, _> = Words("everything is kept"), "{ daily: 14d, weekly: 8, monthly: 12, yearly: 10 }";
        /// How many of the newest complete snapshots are kept, whatever `keep:` says.
        min_snapshots: Least as Figure<_> = Value("3"), "10";
        /// Snapshots that are younger than this when the newest one begins are kept, whatever
        /// `keep:` says. So whoever has a client's key cannot displace its recent snapshots by many
        /// new ones.
        keep_within: Span as Text<_> = Value("7d"), "30d";
        /// For how long `snapgate undelete` brings a removed snapshot back. Its space is freed
        /// afterwards.
        trash_grace: Span as Text<_> = Value("24h"), "3d";
        /// From when on a push may be damage, as by ransomware: it is published and held. You get a
        /// mail at once, and while it is held nothing is removed that is newer than the last good
        /// snapshot; `snapgate release` or `snapgate discard` ends that. Each push is compared with
        /// the last good one. A limit does not hold for what two of the client's last 30 good pushes
        /// have done as well. See "What may be damage".
        anomaly: Written<AnomalyKeys, Off> as TableOrText<_, _> = Below, "{ deleted: 30%, canaries: [home/.canary.docx], current: good }";
        /// Places in the snapshot, files or directories, that `snapgate drill` restores besides its
        /// sample. It fails where one is not there. See `docs/administration.md`.
        drill: Vec<SubPath> as Places = Words("none"), "[etc/fstab, srv/db/dump.sql]";
        /// Whether pushes are refused while the disk is not mounted: the store, or for a `path:`
        /// elsewhere that directory or one above it.
        require_mount: bool as Truth = Value("false"), "true";
        /// What the policy says of rsync's options, over what `docs/options.md` says of each. An
        /// option is called by its long name without dashes.
        options: OptionKeys as TableOf<_> = Words("as in `docs/options.md`"), "{ refuse: [xattrs], allow: [iconv] }";
    }
}

/// What may stand in a policy, and below the site's `defaults:`.
pub const POLICY_KEYS: &[Row] = PolicyKeys::ROWS;

keys! {
    struct SnapshotKeys, "`snapshots`" {
        /// A pattern of strftime(3), in UTC, from the year down, whose names sort as their times
        /// do. `/` makes directories.
        name: NamePattern as Text<_> = Value("\"%Y-%m-%dT%H-%M-%SZ\""), r#""%Y/%m%d/%H%M""#;
    }
}

keys! {
    struct HookKeys, "`hooks`" {
        /// Before a push, or at `prepare`. One that fails refuses it (code `hook`, exit 75).
        prepare: Vec<Vec<String>> as Commands = Words("none"), r#"[/usr/local/sbin/enough-space, "20G"]"#;
        /// After a snapshot is published. One that fails takes nothing back, and is mailed.
        complete: Vec<Vec<String>> as Commands = Words("none"), "[[/usr/local/sbin/roll-off], [/usr/local/sbin/mirror, /mnt/second]]";
    }
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
    struct LimitKeys, "`time_limits`" {
        /// How long a client may stop in its list, or in the middle of a file (code `interrupted`,
        /// exit 30). See "Time limits".
        idle: Idle as Text<_> = Value("10m"), "5m";
        /// How long a whole push may take (code `deadline`, exit 75). What arrived is kept for the
        /// next try. No pull and no session of `browse` may take longer, either.
        push: Push as Text<_> = Value("24h"), "6h";
        /// How long each hook may take. It is then ended with all that it has started in its
        /// process group.
        hook: HookTime as Text<_> = Value("5m"), "30m";
    }
}

impl Shape for Commands {
    fn values() -> String {
        format!("one command, or a list of at most {MAX_HOOKS}")
    }
}

/// Reads a client's policy over the site's defaults.
pub fn read_policy(file: &Path, bytes: &[u8], client: &ClientName, site: &Site) -> Result<Policy, Fault> {
    let TableOf(own): TableOf<PolicyKeys> = yaml::read(file, bytes)?;
    let text = yaml::text_of(file, bytes)?;
    spelled(file, text, &own)?;
    // Destructured, so that the compiler demands a use for each new key.
    let PolicyKeys {
        user,
        keys,
        from,
        when,
        timezone,
        frozen,
        verbs,
        path,
        snapshots,
        report,
        reports_to,
        alerts_to,
        routes,
        expect,
        grace,
        laptop,
        ping,
        partial_pushes,
        owners,
        hooks,
        time_limits,
        limits,
        restore,
        quota,
        when_full,
        keep,
        min_snapshots,
        keep_within,
        trash_grace,
        anomaly,
        drill,
        require_mount,
        options,
    } = own.over(site.defaults.keys.clone());
    let LimitKeys { idle, push, hook } = time_limits.unwrap_or_default();
    let names = snapshots.and_then(|SnapshotKeys { name }| name).unwrap_or_default();
    Ok(Policy {
        client: client.clone(),
        user: user.map_or_else(|| client.as_str().to_owned(), |AccountName(name)| name),
        keys,
        from,
        when: when.map(windows),
        timezone: timezone.unwrap_or_else(ZoneName::utc),
        frozen: frozen.map(|Frozen(text)| text),
        verbs: verbs.unwrap_or_else(Verb::by_default),
        path: path.map_or_else(|| site.store.join(client.as_str()), |Absolute(path)| path),
        keep: kept(keep, min_snapshots, keep_within, &names),
        names,
        report: report.unwrap_or(Report::Problems),
        told: Said { expect, grace, laptop, reports_to, alerts_to, routes, ping }.told(),
        partial_pushes: partial_pushes.unwrap_or(PartialPushes::Publish),
        owners,
        hooks: run(hooks.unwrap_or_default(), hook),
        idle: idle.map_or(DEFAULT_IDLE, |Idle(time)| time),
        deadline: push.map_or(DEFAULT_PUSH, |Push(time)| time),
        limits: limits.unwrap_or_default().limits(),
        require_mount: require_mount.unwrap_or(false),
        options: options.unwrap_or_default().choice(),
        restore: restore.unwrap_or_default().restore(),
        quota: quota.unwrap_or_default().quota(),
        when_full: when_full.unwrap_or(WhenFull::Refuse),
        trash_grace: trash_grace.unwrap_or(DEFAULT_GRACE),
        anomaly: anomaly::limits(anomaly),
        drill: drill.unwrap_or_default(),
        origins: Origins { file: file.to_path_buf(), keys: places(file, text, site) },
    })
}

/// Where each key stands, those of the defaults too.
fn places(file: &Path, text: &str, site: &Site) -> Vec<(String, Origin)> {
    let mut places = origins::keys(file, text, None);
    let inherited = site.defaults.origins.iter().filter(|(key, _)| !places.iter().any(|(own, _)| own == key)).cloned();
    let inherited: Vec<_> = inherited.collect();
    places.extend(inherited);
    places
}

fn run(hooks: HookKeys, time: Option<HookTime>) -> Hooks {
    let HookKeys { prepare, complete } = hooks;
    Hooks {
        prepare: prepare.unwrap_or_default(),
        complete: complete.unwrap_or_default(),
        time_limit: time.map_or(DEFAULT_HOOK, |HookTime(time)| time),
    }
}

/// Files are searched for a key or an account before they are parsed, so both must be written
/// without YAML's escapes.
fn spelled(file: &Path, text: &str, own: &PolicyKeys) -> Result<(), Fault> {
    let restoring = own.restore.iter().flat_map(RestoreKeys::keys);
    let keys = own.keys.iter().flatten().chain(restoring).map(Fingerprint::as_str);
    let user = own.user.iter().map(|AccountName(name)| name.as_str());
    // Between double quotes a backslash is written twice.
    let stands = |value: &str| text.contains(value) || (value.contains('\\') && text.contains(&value.replace('\\', r"\\")));
    let hidden = keys.chain(user).find(|value| !stands(value));
    match hidden {
        None => Ok(()),
        Some(value) => Err(Fault::whole(file, format!("`{value}` is written with escapes"), "write it as it is")),
    }
}
