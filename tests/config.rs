//! Site and policy files on a real disk: whose they are, what they say, and for whom they speak.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says no by panicking, its helpers too")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use snapgate::act::config::{all_policies, identify, list, load_policy, load_site};
use snapgate::admin::check::Part;
use snapgate::decide::policy::{Policy, Site};
use snapgate::terms::client::ClientName;
use snapgate::terms::key::Fingerprint;
use snapgate::terms::limits::MAX_POLICIES;
use snapgate::terms::reason::{Code, Reason};
use snapgate::terms::request::{Account, Original, Request};
use support::getent;
use tempfile::TempDir;

struct Settings {
    dir: TempDir,
}

impl Settings {
    fn new(site: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let this = Self { dir };
        this.put("snapgate.yaml", site);
        fs::create_dir(this.path().join("policies")).unwrap();
        mode(&this.path().join("policies"), 0o755);
        this
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), text).unwrap();
        mode(&self.path().join(name), 0o644);
    }

    fn policy(&self, client: &str, text: &str) {
        self.put(&format!("policies/{client}.yaml"), text);
    }

    fn site(&self) -> Site {
        load_site(self.path()).unwrap()
    }

    fn who(&self, account: &str, keys: &[Fingerprint]) -> Result<Policy, Reason> {
        self.ask(account, keys, None)
    }

    fn ask(&self, account: &str, keys: &[Fingerprint], named: Option<&str>) -> Result<Policy, Reason> {
        let request = Request {
            at: "2026-11-21T02:00:00Z".parse().unwrap(),
            account: Account { name: account.to_owned(), uid: 1000, group: 1000 },
            address: None,
            keys: keys.to_vec(),
            named: named.map(|name| name.parse().unwrap()),
            original: Original::Nothing,
        };
        identify(self.path(), &self.site(), &request)
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn name(text: &str) -> ClientName {
    text.parse().unwrap()
}

fn key(seed: u8) -> Fingerprint {
    Fingerprint::of_digest(&[seed; 32])
}

fn known(found: Result<Policy, Reason>) -> String {
    found.unwrap_or_else(|reason| panic!("{}: {}", reason.code, reason.detail)).client.to_string()
}

fn broken(found: Result<Policy, Reason>) -> String {
    let reason = found.unwrap_err();
    assert_eq!(reason.code, Code::Config);
    let client = format!("{} {}", reason.says, reason.hint.unwrap());
    assert!(!client.contains('/') && !client.contains("yaml"), "the client learns nothing of files: {client}");
    reason.detail
}

fn unknown(found: Result<Policy, Reason>) -> String {
    let reason = found.unwrap_err();
    assert_eq!(reason.code, Code::NoPolicy);
    reason.detail
}

#[test]
fn the_account_s_own_policy_speaks_for_it() {
    let settings = Settings::new("store: /srv/backups\n");
    settings.policy("web1", "report: always\n");
    settings.policy("web2", "user: other\n");
    settings.policy("web3", "user: shared\n");
    assert_eq!(known(settings.who("web1", &[])), "web1");
    assert_eq!(known(settings.who("web1", &[key(1)])), "web1");
    assert_eq!(known(settings.who("shared", &[])), "web3");
    assert_eq!(known(settings.ask("web1", &[], Some("web3"))), "web3", "--client decides alone");
    assert!(unknown(settings.who("web2", &[])).contains("`web2`"));
    assert!(unknown(settings.who("../web1", &[])).contains("../web1"));
    assert!(unknown(settings.ask("web1", &[], Some("nobody"))).contains("nobody"));
}

#[test]
fn accounts_of_domains_and_names_that_begin_with_a_digit_are_found() {
    let settings = Settings::new("store: /srv/backups\n");
    settings.policy("one", "user: DOM\\jane\n");
    settings.policy("two", "user: \"DOM\\\\nina\"\n");
    settings.policy("jane@example.org", "report: always\n");
    settings.policy("four", "user: joe@example.org\n");
    settings.policy("1und1", "verbs: [rsync]\n");
    settings.policy("six", "user: 9pm\n");
    for (account, client) in [
        ("DOM\\jane", "one"),
        ("DOM\\nina", "two"),
        ("jane@example.org", "jane@example.org"),
        ("joe@example.org", "four"),
        ("1und1", "1und1"),
        ("9pm", "six"),
    ] {
        assert_eq!(known(settings.who(account, &[])), client, "{account}");
    }
    for account in ["jane", "DOM", "nina", "DOM\\jan", "xDOM\\jane", "joe", "example.org", "und1", "dom\\jane", "DOM\\\\jane", "pm"] {
        assert!(unknown(settings.who(account, &[])).contains(&format!("no policy is for account `{account}`;")), "{account}");
    }
}

#[test]
fn a_key_decides_before_the_account() {
    let settings = Settings::new("store: /srv/backups\n");
    settings.policy("laptop", &format!("user: backup\nkeys: [\"{}\"]\n", key(1)));
    settings.policy("router", &format!("user: backup\nkeys:\n  - {}\n", key(2)));
    settings.policy("backup", "report: never\n");
    settings.policy("lonely", &format!("user: solo\nkeys: [\"{}\"]\n", key(4)));
    assert_eq!(known(settings.who("backup", &[key(1)])), "laptop");
    assert_eq!(known(settings.who("backup", &[key(9), key(2)])), "router");
    assert_eq!(known(settings.who("backup", &[key(3)])), "backup");
    assert_eq!(known(settings.who("elsewhere", &[key(2)])), "router", "and the verdict then refuses the account");
    assert_eq!(known(settings.who("solo", &[key(5)])), "lonely", "and the verdict then refuses the key");
}

#[test]
fn doubt_is_denial() {
    let settings = Settings::new("store: /srv/backups\n");
    settings.policy("one", &format!("user: x\nkeys: [\"{}\"]\n", key(1)));
    settings.policy("two", &format!("user: x\nkeys: [\"{}\"]\n", key(1)));
    settings.policy("three", "user: y\n");
    settings.policy("four", "user: y\n");
    settings.policy("five", &format!("user: z\nkeys: [\"{}\"]\nfrom: []\n", key(2)));
    settings.policy("six", "report: sometimes\n");
    assert!(broken(settings.who("x", &[key(1)])).contains("one, two"));
    assert!(broken(settings.who("y", &[])).contains("four, three"));
    let detail = broken(settings.who("z", &[key(2)]));
    assert!(detail.contains("five.yaml:3:7: an empty list means nothing"), "{detail}");
    assert!(detail.contains(" 3 | from: []\n   |       ^\n"), "{detail}");
    assert!(broken(settings.who("six", &[])).contains("six.yaml:1:9"));
}

#[test]
fn defaults_stand_where_a_policy_says_nothing() {
    let settings = Settings::new("store: /srv/backups\ndefaults:\n  user: backup\n  timezone: Europe/Madrid\n  report: never\n");
    settings.policy("a", &format!("keys: [\"{}\"]\nreport: always\n", key(1)));
    settings.policy("b", "verbs: [prepare, rsync, complete]\n");
    assert_eq!(known(settings.who("backup", &[key(1)])), "a");
    assert_eq!(known(settings.who("backup", &[])), "b");
    let policy = load_policy(settings.path(), &settings.site(), &name("a")).unwrap().unwrap();
    assert_eq!(policy.timezone.as_str(), "Europe/Madrid");
    assert_eq!(policy.path, Path::new("/srv/backups/a"));
    assert_eq!(policy.origins.of("report").line, 2);
    assert!(policy.origins.of("timezone").file.ends_with("snapgate.yaml"));
    assert_eq!(policy.origins.of("timezone").line, 4);
    assert_eq!(policy.origins.of("when").line, 0);
}

#[test]
fn a_file_that_others_could_have_written_is_not_read() {
    let settings = Settings::new("store: /srv/backups\n");
    let site = settings.site();
    let load = |client: &str| load_policy(settings.path(), &site, &name(client)).map(|policy| policy.is_some());
    let fault = |client: &str| load(client).unwrap_err().to_string();
    settings.policy("good", "user: x\n");
    assert!(load("good").unwrap());
    assert!(!load("missing").unwrap());

    settings.policy("group", "user: x\n");
    mode(&settings.path().join("policies/group.yaml"), 0o664);
    assert!(fault("group").contains("others may write it: its mode is 0664\nchmod go-w it"));
    symlink("good.yaml", settings.path().join("policies/link.yaml")).unwrap();
    assert!(fault("link").contains("a symbolic link"));
    nix::unistd::mkfifo(&settings.path().join("policies/fifo.yaml"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(fault("fifo").contains("not a regular file"));
    fs::create_dir(settings.path().join("policies/dir.yaml")).unwrap();
    assert!(fault("dir").contains("not a regular file"));
    settings.policy("long", &"#".repeat(64 * 1024 + 1));
    assert!(fault("long").contains("65537 bytes long"));
    if nix::unistd::geteuid().is_root() {
        settings.policy("foreign", "user: x\n");
        chown(settings.path().join("policies/foreign.yaml"), Some(1234), None).unwrap();
        assert!(fault("foreign").contains("owned by user 1234"));
    }
    let listing = list(settings.path()).unwrap();
    assert_eq!(listing.strays.len(), 3, "{listing:?}");
    assert!(listing.clients.contains(&name("good")));
    assert!(all_policies(settings.path(), &site).unwrap().iter().any(|(client, policy)| client == &name("good") && policy.is_ok()));

    mode(&settings.path().join("policies"), 0o777);
    assert!(fault("good").contains("policies: others may write it"));
    mode(&settings.path().join("policies"), 0o755);
    mode(settings.path(), 0o775);
    assert!(fault("good").contains("others may write it"));
    assert!(load_site(settings.path()).is_err());
}

#[test]
fn a_policy_that_the_account_may_not_read_is_another_account_s() {
    if nix::unistd::geteuid().is_root() {
        let _ = writeln!(std::io::stderr(), "skipped: root may read everything");
        return;
    }
    let settings = Settings::new("store: /srv/backups\n");
    settings.policy("secret", &format!("user: me\nkeys: [\"{}\"]\n", key(1)));
    settings.policy("mine", &format!("user: me\nkeys: [\"{}\"]\n", key(1)));
    mode(&settings.path().join("policies/secret.yaml"), 0);
    assert_eq!(known(settings.who("me", &[key(1)])), "mine");
    assert!(broken(settings.who("secret", &[])).contains("cannot be opened: permission denied"));
    mode(&settings.path().join("policies"), 0o311);
    assert_eq!(known(settings.ask("me", &[], Some("mine"))), "mine", "no listing is needed");
    assert!(broken(settings.who("me", &[key(1)])).contains("cannot be listed"));
    mode(&settings.path().join("policies"), 0o755);
}

#[test]
fn a_site_that_is_missing_or_empty_is_a_fault() {
    let settings = Settings::new("");
    assert!(load_site(settings.path()).unwrap_err().to_string().contains("empty"));
    settings.put("snapgate.yaml", "jail: off\n");
    assert!(load_site(settings.path()).unwrap_err().to_string().contains("`store` is missing"));
    fs::remove_file(settings.path().join("snapgate.yaml")).unwrap();
    assert!(load_site(settings.path()).unwrap_err().to_string().contains("no site file"));
    assert!(load_site(Path::new("/nonexistent")).unwrap_err().to_string().contains("cannot be opened"));
}

#[test]
fn a_file_that_is_made_to_cost_much_costs_little() {
    let settings = Settings::new("store: /srv/backups\n");
    let steps: String = (0..350).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    for deep in ["[".repeat(60_000), "{a: ".repeat(15_000), "- ".repeat(30_000), "[{".repeat(20_000), "'".repeat(60_000), steps] {
        settings.policy("deep", &deep);
        let begun = Instant::now();
        assert!(load_policy(settings.path(), &settings.site(), &name("deep")).is_err());
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_thousand_policies_are_searched_quickly() {
    let settings = Settings::new("store: /srv/backups\n");
    for number in 0..1000u32 {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        let key = Fingerprint::of_digest(&digest);
        settings.policy(
            &format!("c{number}"),
            &format!("user: backup\nkeys: [\"{key}\"]\nfrom: [192.0.2.0/24]\nwhen:\n  - {{ days: mon-fri }}\n"),
        );
    }
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&777u32.to_le_bytes());
    let wanted = Fingerprint::of_digest(&digest);
    let begun = Instant::now();
    assert_eq!(known(settings.who("backup", &[wanted])), "c777");
    // The benchmark measures; this only catches parsing all of them, which takes a debug build seconds.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn more_policies_than_are_searched_are_a_fault_and_a_named_client_is_found_all_the_same() {
    let settings = Settings::new("store: /srv/backups\n");
    settings.policy("c0", "user: backup\n");
    let first = settings.path().join("policies/c0.yaml");
    for number in 1..MAX_POLICIES {
        fs::hard_link(&first, settings.path().join(format!("policies/c{number}.yaml"))).unwrap();
    }
    let listed = || settings.who("nobody", &[key(1)]);
    unknown(listed());
    fs::hard_link(&first, settings.path().join("policies/one-more.yaml")).unwrap();
    let detail = broken(listed());
    assert!(detail.contains("more than 20000 policies"), "{detail}");
    assert_eq!(known(settings.ask("backup", &[], Some("c7"))), "c7");
}

#[test]
fn every_sample_is_a_policy_and_has_nothing_to_lint() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = Settings::new(&fs::read_to_string(root.join("packaging/snapgate.yaml")).unwrap());
    let mut policies = Vec::new();
    for entry in fs::read_dir(root.join("policies")).unwrap() {
        let path = entry.unwrap().path();
        let client = path.file_stem().unwrap().to_str().unwrap().to_owned();
        settings.policy(&client, &fs::read_to_string(&path).unwrap());
        let policy = load_policy(settings.path(), &settings.site(), &name(&client)).unwrap_or_else(|fault| panic!("{fault}")).unwrap();
        assert_eq!(snapgate::decide::policy::lint::one(&policy), [], "{client}");
        policies.push(policy);
    }
    let mut clients: Vec<_> = policies.iter().map(|policy| policy.client.as_str()).collect();
    clients.sort_unstable();
    assert_eq!(clients, ["dump", "laptop", "routers-pair", "rsbackup", "timemachine"]);
    assert_eq!(snapgate::decide::policy::lint::together(&policies), []);
}

/// A server on which nothing is wrong, with a client `a` whose hook is in line 2 of its policy.
fn clean_server() -> (tempfile::TempDir, Settings) {
    let world = tempfile::tempdir().unwrap();
    let here = |name: &str| world.path().join(name).display().to_string();
    for dir in ["store", "store/a", "spool", "mails"] {
        fs::create_dir(world.path().join(dir)).unwrap();
        mode(&world.path().join(dir), 0o700);
    }
    fs::write(world.path().join("hook"), "#!/bin/sh\n").unwrap();
    mode(&world.path().join("hook"), 0o755);
    let settings = Settings::new(&format!(
        "store: {}\nrsync: /bin/true\nspool: {}\nsyslog: off\nsshd: off\nmail: {{ transport: \"file:{}\" }}\n",
        here("store"),
        here("spool"),
        here("mails")
    ));
    settings.policy("a", &format!("user: {}\nhooks: {{ prepare: [{}] }}\n", getent::my_name(), here("hook")));
    (world, settings)
}

/// A part of the jail, as it was tried.
fn part(what: &str, missing: Option<&str>, help: Option<&str>) -> Part {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Part { what: what.to_owned(), untried: false, missing: owned(missing), help: owned(help) }
}

fn check(settings: &Settings) -> snapgate::admin::check::CheckReport {
    snapgate::admin::check::run(settings.path(), |_: &_, _: &_| {
        vec![part("rights", None, Some("mend it")), part("TCP", Some("too old"), None)]
    })
}

#[test]
fn check_finds_nothing_on_a_clean_server() {
    let (_world, settings) = clean_server();
    let report = check(&settings);
    assert!(report.is_clean(), "{report:?}");
    let limits = "limits of a: 8 sessions at once, rsync with 8 GiB and 64 processes, pushes of any size";
    let jail = ["jail, rights: enforced", "jail, TCP: NOT enforced, too old"];
    assert_eq!(report.notes("limits"), ["limits of the server: 100 sessions at once", limits]);
    assert_eq!(report.notes("jail"), jail);
    assert!(matches!(&report.notes("owners")[..], [one] if one.starts_with("owners of a: ")), "{report:?}");
    let noted: Vec<_> = ["settings", "policies", "hands", "answers"].iter().flat_map(|row| report.notes(row)).collect();
    assert_eq!(noted, Vec::<String>::new());
    assert_eq!(report.summary(), "1 policy, nothing wrong");
    let untried = snapgate::admin::check::run(settings.path(), |_, _| vec![Part { untried: true, ..part("a view", None, None) }]);
    assert!(untried.is_clean() && untried.notes("jail").contains(&"jail, a view: not tried".to_owned()), "{untried:?}");
    assert_eq!(untried.summary(), "1 policy, nothing wrong in what was looked at");
    let unheld = snapgate::admin::check::run(settings.path(), |_, _| {
        vec![part("rights", None, Some("mend it")), part("changes", Some("no such right"), Some("allow it"))]
    });
    assert!(unheld.problems().concat().contains("changes: NOT enforced, no such right"), "{unheld:?}");
    assert!(unheld.problems().concat().contains("no push can run: allow it"), "{unheld:?}");
}

#[test]
fn check_finds_what_is_wrong_on_the_disk() {
    let (world, settings) = clean_server();
    let here = |name: &str| world.path().join(name).display().to_string();
    let account = getent::my_name();
    let finds = |words: &str| {
        let report = check(&settings);
        assert!(report.all().contains(words), "{words}: {report:#?}");
    };
    mode(&world.path().join("hook"), 0o777);
    finds("a.yaml:2: everybody may write");
    mode(&world.path().join("hook"), 0o644);
    finds("a.yaml:2: the hook");
    mode(&world.path().join("store"), 0o777);
    finds("snapgate.yaml:1: everybody may write");
    mode(&world.path().join("spool"), 0o777);
    finds("snapgate.yaml:3: the spool");
    settings.policy("b", "user: no-such-account\ntimezone: Europe/Atlantis\nrequire_mount: true\n");
    finds("b.yaml:1: this machine has no account `no-such-account`");
    finds("b.yaml:2: the time zone `Europe/Atlantis` cannot be used");
    finds("b.yaml:3: the store");
    finds("b.yaml: the repository");
    settings.policy("c", "usr: x\n");
    finds("c.yaml:1:1: `usr` is not a key of a policy");
    settings.policy("d", &format!("user: {account}\npath: {}\n", here("store/a/inside")));
    finds("is inside the repository of a");
    finds("several policies without keys: a, d");
    if nix::unistd::geteuid().is_root() {
        settings.policy("e", "user: daemon\n");
        mode(&settings.path().join("policies/e.yaml"), 0o600);
        finds("e.yaml:1: the account `daemon` may not read");
    }
    settings.put("policies/web.yml", "user: x\n");
    settings.put("policies/.d.yaml.swp", "user: x\n");
    finds("web.yml: not a policy, and not read");
    finds(".d.yaml.swp: not a policy");
    settings.put("password", "secret\n");
    let password = settings.path().join("password").display().to_string();
    let bad = format!(
        "store: /nonexistent\nrsync: /nonexistent/rsync\nspool: /nonexistent\njail: off\nmail: {{ transport: \"smtp://u@mail.example.org\", password_file: {password} }}\n"
    );
    settings.put("snapgate.yaml", bad);
    for words in
        ["the store `/nonexistent` is not there", "rsync `/nonexistent/rsync` is not there", "the spool `/nonexistent` is not there"]
    {
        finds(words);
    }
    for words in ["snapgate.yaml:4: the jail is off", "password would travel in clear text", "has mode 0644: others may read"] {
        finds(words);
    }
    settings.put("snapgate.yaml", "stor: /s\n");
    finds("did you mean `store`?");
    assert!(!check(&settings).is_clean());
}
