//! What every key of site and policy may hold, and what it may not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::decide::keep::{Extent, Period, Span};
use crate::decide::policy::yaml::Fault;
use crate::terms::limits::{MAX_HOST_NAME, MAX_MAIL_ADDRESS};

use super::*;

fn site(text: &str) -> Result<Site, Fault> {
    read_site(Path::new("/etc/snapgate/snapgate.yaml"), text.as_bytes())
}

fn policy(text: &str) -> Result<Policy, Fault> {
    let site = site("store: /srv/backups\n").unwrap();
    read_policy(Path::new("/etc/snapgate/policies/web1.yaml"), text.as_bytes(), &"web1".parse().unwrap(), &site)
}

/// Each value is tried behind `key: `; every fault points at line 1.
fn refused(key: &str, values: &[&str]) {
    for value in values {
        let fault = policy(&format!("{key}: {value}\n")).expect_err(value);
        assert!(fault.line == 1 && !fault.help.is_empty(), "{value}: {fault}");
    }
}

#[test]
fn a_policy_that_says_little_has_the_usual_values() {
    let policy = policy("report: problems\n").unwrap();
    assert_eq!((policy.user.as_str(), policy.path.as_path()), ("web1", Path::new("/srv/backups/web1")));
    assert!(policy.keys.is_none() && policy.from.is_none() && policy.when.is_none() && !policy.require_mount);
    assert_eq!(policy.partial_pushes, PartialPushes::Publish);
    assert_eq!(policy.verbs, [Verb::Rsync, Verb::Status]);
    assert_eq!(policy.timezone.as_str(), "UTC");
    assert_eq!((policy.idle.as_secs(), policy.deadline.as_secs(), policy.hooks.time_limit.as_secs()), (600, 86_400, 300));
    assert_eq!(policy.names, NamePattern::default());
    assert_eq!(policy.origins.of("user").to_string(), "/etc/snapgate/policies/web1.yaml: by default");
}

#[test]
fn every_key_is_read() {
    let text = "user: backup\nkeys: [\"SHA256:uNiVztksCsDhcc0u9e8BrXVkXUtKkdbn5P0ETxr3nHk\"]\n\
        from: [192.0.2.0/24, \"2001:db8::/48\", 198.51.100.7, host:RT-1080.example.net, \"::ffff:203.0.113.0/120\", 0.0.0.0/0]\n\
        when:\n  - { days: mon-fri, hours: \"22:00-06:00\" }\n  - { days: sat,sun }\n  - hours: [\"12:00-13:00\", 14:00-15:00]\n\
        timezone: Europe/Madrid\nverbs: [prepare, rsync, complete, abort]\npath: /srv//other/./web1/\n\
        snapshots: { name: \"%Y/%m%d/%H%M\" }\nreport: always\n\
        hooks:\n  prepare: [/usr/bin/df, --, \"a b\"]\n  complete: [[/usr/bin/true], [/bin/x, \"\"]]\n\
        time_limits: { idle: 30s, push: 2days, hook: 1h }\nrequire_mount: true\noptions: { allow: [owner, group] }\n\
        partial_pushes: merge\n";
    let policy = policy(text).unwrap();
    let from: Vec<_> = policy.from.unwrap().iter().map(|source| format!("{source:?}")).collect();
    assert_eq!(
        from,
        [
            "Network(192.0.2.0/24)", "Network(2001:db8::/48)", "Network(198.51.100.7/32)", "Host(\"rt-1080.example.net\")",
            "Network(203.0.113.0/24)", "Network(0.0.0.0/0)"
        ]
    );
    let when: Vec<_> = policy.when.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(when, ["mon-fri 22:00-06:00", "sat,sun", "12:00-13:00", "14:00-15:00"]);
    assert_eq!(policy.path.as_os_str(), "/srv/other/web1");
    assert_eq!(policy.hooks.prepare, [["/usr/bin/df", "--", "a b"]]);
    assert_eq!(policy.hooks.complete, [vec!["/usr/bin/true"], vec!["/bin/x", ""]]);
    assert_eq!((policy.idle, policy.deadline), (Duration::from_secs(30), Duration::from_secs(172_800)));
    assert!(policy.require_mount);
    assert_eq!(policy.partial_pushes, PartialPushes::Merge);
    assert_eq!(policy.options.allow, ["owner", "group"]);
    assert!(policy.options.refuse.is_empty());
    assert_eq!(policy.origins.of("timezone").line, 8);
}

#[test]
fn limits_of_damage_are_read_and_what_means_nothing_points_at_itself() {
    let read = |text: &str| policy(&format!("anomaly: {text}\n")).unwrap_or_else(|fault| panic!("{fault}")).anomaly;
    let usual = policy("report: problems\n").unwrap().anomaly.unwrap();
    assert_eq!(usual, crate::decide::anomaly::Limits::default());
    let own = read("{ changed: off, deleted: 30%, least: 100, canaries: [home/.canary, /srv/x], current: good }").unwrap();
    let shown: Vec<_> =
        own.shares.iter().map(|(figure, share)| format!("{figure} {}", share.map_or("off".into(), |share| share.to_string()))).collect();
    assert_eq!(shown, ["changed off", "deleted 30%", "shrunk 80%", "renamed 20%", "scrambled 10%"]);
    assert_eq!((own.least, own.canaries.len(), own.stays), (100, 2, true));
    assert_eq!(read("off"), None);
    let many = format!("{{ canaries: [{}] }}", vec!["x"; 33].join(", "));
    let wrong = [
        "on", "[]", "{}", "{ deleted: 50 }", "{ deleted: 0% }", "{ deleted: 101% }", "{ deleted: 5.5% }", "{ deleted: half }",
        "{ delete: 50% }", "{ deleted: 10%, deleted: 20% }", "{ least: 0 }", "{ least: -1 }", "{ canaries: [../x] }", "{ canaries: [/] }",
        "{ canaries: x }", "{ current: goood }", "{ current: }", &many,
    ];
    refused("anomaly", &wrong);
    let fault = policy("anomaly:\n  deleted: 30%\n  curent: good\n").unwrap_err();
    assert_eq!((fault.line, fault.help.as_str()), (3, "did you mean `current`?"));
}

/// What `keep: …` has kept.
fn rules(keep: &str) -> String {
    let policy = policy(&format!("keep: {keep}\n")).unwrap_or_else(|fault| panic!("{fault}"));
    let shown = policy.keep.rules.iter().map(|rule| match rule.extent {
        Extent::Count(count) => format!("{} {count}", rule.period),
        Extent::Span(span) => format!("{} {span}", rule.period),
        Extent::Everything => format!("{} forever", rule.period),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn what_is_kept_is_a_number_or_a_span_of_each_kind_or_a_strategy() {
    let usual = policy("report: problems\n").unwrap().keep;
    assert_eq!((usual.rules.len(), usual.min_snapshots, usual.keep_within), (0, 3, Span::of_days(7)));
    let floors = policy("min_snapshots: 1\nkeep_within: 36h\n").unwrap().keep;
    assert_eq!((floors.rules.len(), floors.min_snapshots, floors.keep_within), (0, 1, Span::of_hours(36)));
    for (keep, shown) in [
        ("{ yearly: 10, daily: 7, last: 3 }", "last 3, daily 7, yearly 10"),
        ("{ daily: 7d, weekly: 4w, monthly: 6 }", "daily 7d, weekly 28d, monthly 6"),
        (
            "{ last: 36h, hourly: \"24\", daily: 2days, monthly: 6months, yearly: 75y }",
            "last 36h, hourly 24, daily 2d, monthly 186d, yearly 27450d",
        ),
        ("\"1:1 30:7 365:30\"", "last 1d, every-1d 30d, every-7d 365d, every-30d forever"),
        ("\"0:1 30:7\"", "every-1d 30d, every-7d forever"),
        ("30:1", "last 30d, every-1d forever"),
        ("\"7:1 365:0\"", "last 7d, every-1d 365d"),
        ("365:0", "last 365d"),
    ] {
        assert_eq!(rules(keep), shown, "{keep}");
    }
    // A client's own `keep:` stands for all of it.
    let site = site("store: /srv\ndefaults: { keep: { daily: 7 }, min_snapshots: 9 }\n").unwrap();
    let own = read_policy(Path::new("web1"), b"keep: { yearly: 1 }\n", &"web1".parse().unwrap(), &site).unwrap().keep;
    assert_eq!((own.rules.len(), own.rules[0].period, own.min_snapshots), (1, Period::Year, 9));
}

#[test]
fn what_would_keep_nothing_or_could_mean_two_things_is_refused() {
    refused(
        "keep",
        &[
            "{}",
            "~",
            "7",
            "all",
            "[daily]",
            "true",
            "{ daily: }",
            "{ daily: 0 }",
            "{ daily: 0d }",
            "{ daily: -1 }",
            "{ daily: 1.5 }",
            "{ daily: 100001 }",
            "{ daily: 101y }",
            "{ daily: 9999999999999999999999d }",
            "{ daily: 7D }",
            "{ daily: \"7 d\" }",
            "{ daily: d }",
            "{ daily: 07d }",
            "{ daily: [7] }",
            "{ daily: all }",
            "{ secondly: 7 }",
            "{ days: 7 }",
            "{ monthly: 6m }",
            "\"\"",
            "1",
            "\"1:\"",
            "\":1\"",
            "\"1:1,30:7\"",
            "\"1:1  30:7\"",
            "\"30:7 1:1\"",
            "\"1:7 30:7\"",
            "\"1:7 30:1\"",
            "\"1:1 1:7\"",
            "\"0:0\"",
            "\"1:0 30:0\"",
            "\"1:0 30:7\"",
            "\"1:1 40000:7\"",
            "\"1:1 30:40000\"",
        ],
    );
    refused("min_snapshots", &["0", "-1", "all", "100001", "~"]);
    refused("keep_within", &["0h", "7", "6m", "forever", "10m", "~"]);
    let steps: Vec<_> = (1..=17).map(|step| format!("{step}:{step}")).collect();
    refused("keep", &[&format!("\"{}\"", steps.join(" "))]);
    let shown = |text: &str| policy(text).unwrap_err().to_string();
    assert_eq!(
        shown("report: never\nkeep: { daily: 30d, last: 5, weekly: 4w }\n"),
        "/etc/snapgate/policies/web1.yaml:2:7: `weekly: 28d` keeps nothing that `daily: 30d` does not keep\n \
         2 | keep: { daily: 30d, last: 5, weekly: 4w }\n   |       ^\nhave `weekly` reach further back, or remove it"
    );
    assert!(
        shown("keep: { last: 2y, hourly: 9, yearly: 366d }\n").contains("`yearly: 366d` keeps nothing that `last: 732d` does not keep")
    );
    assert!(shown("keep: { monthly: 6m }\n").ends_with("write 6months, or hours"));
    assert!(shown("keep: { dayly: 7 }\n").contains("did you mean `daily`?"));
    assert!(shown("keep: \"1:1 30:1\"\n").contains("1:7: the step `30:1` is not coarser than the one before it"));
}

#[test]
fn a_source_is_a_network_in_its_one_form_or_a_name() {
    refused(
        "from",
        &[
            "[010.0.0.1/8]", "[10.0.0.1/8]", "[192.0.2.1/33]", "[192.0.2.1/032]", "[192.0.2.0/+24]", "[192.0.2.0/]", "[192.0.2.0/24/24]",
            "[192.0.2.0/255.255.255.0]", "[192.0.2]", "[\"::ffff:0.0.0.0/95\"]", "[\"2001:db8::1/48\"]", "[any]", "[\"*\"]",
            "[\" 192.0.2.1\"]", "[host:]", "[\"host:192.0.2.1\"]", "[\"host:a b\"]", "[host:-a.example]", "[host:a_b.example]",
            "[host:a..example]", "[\"host:a.example/24\"]", "[\"host:*.example\"]", "[\"host:é.example\"]",
        ],
    );
    assert_eq!(policy("from: [rt.example.net]\n").unwrap_err().help, "if it is a name, write host:rt.example.net");
    let many: Vec<_> = (0..17).map(|number| format!("host:h{number}.example")).collect();
    assert!(policy(&format!("from: [{}]\n", many.join(", "))).unwrap_err().message.contains("17 `host:` names"));
    let networks: Vec<_> = (0..4097).map(|_| "1.2.3.4".to_owned()).collect();
    assert!(policy(&format!("from: [{}]\n", networks.join(","))).unwrap_err().message.contains("more than 4096"));
    let name = |length: usize| format!("{}a", "a.".repeat(length / 2));
    assert_eq!(name(MAX_HOST_NAME).len(), MAX_HOST_NAME);
    assert!(policy(&format!("from: [host:{}]\n", name(MAX_HOST_NAME))).is_ok());
    refused("from", &[&format!("[host:{}]", name(MAX_HOST_NAME + 2))]);
}

#[test]
fn an_address_of_one_link_may_say_which_and_no_other_can() {
    for text in ["fe80::1%eth0", "fe80::%br-lan/64", "fe80::%enp0s31f6.2/10", "fe80::1"] {
        let policy = policy(&format!("from: [\"{text}\"]\n")).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(matches!(policy.from.unwrap()[0], Source::OnLink(..)), text.contains('%'), "{text}");
    }
    let wrong = [
        "fe80::1%", "fe80::1%2", "fe80::1%eth0%eth1", "fe80::1%a b", "fe80::/64%eth0", "fe80::%eth0/9", "fe80::1%eth0/64",
        "2001:db8::1%eth0", "192.0.2.7%eth0", "::ffff:192.0.2.7%eth0",
    ];
    for text in wrong {
        let fault = policy(&format!("from: [\"{text}\"]\n")).unwrap_err();
        assert!(!fault.help.is_empty() && fault.message.contains(text), "{text}: {fault}");
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    refused(
        "user",
        &[
            "\"\"", "\"1000\"", "\"a b\"", "-x", "../x", "a/b", "+x", "\"#x\"", "a:b", "\"DOM\\\\\"", "'DOM\\'", "\"DOM\\Lars\"",
            "\"DOM\\Nina\"",
        ],
    );
    refused("user", &[&"a".repeat(256)]);
    for (written, name) in [
        ("DOM\\jane", "DOM\\jane"),
        ("'DOM\\nina'", "DOM\\nina"),
        ("\"DOM\\\\jane\"", "DOM\\jane"),
        ("jane@example.org", "jane@example.org"),
        ("DOM+jane", "DOM+jane"),
        ("\"DOM\\\\pc1$\"", "DOM\\pc1$"),
        ("1und1", "1und1"),
        ("9pm", "9pm"),
        ("\"0x7e\"", "0x7e"),
        ("jörg", "jörg"),
        ("_apt", "_apt"),
        ("DOM\\1st", "DOM\\1st"),
    ] {
        assert_eq!(policy(&format!("user: {written}\n")).unwrap_or_else(|fault| panic!("{written}: {fault}")).user, name);
    }
    refused("keys", &["[web1]", "[SHA256:x]", "[\"MD5:aa:bb\"]"]);
    refused(
        "when",
        &[
            "[{days: monday}]", "[{hours: \"22-06\"}]", "[{hours: \"06:00-06:00\"}]", "[{hours: 2200}]", "[mon-fri]", "{days: mon}",
            "[{days: [mon]}]",
        ],
    );
    refused("timezone", &["Madrid time", "../etc/passwd", "/etc/localtime", "\"\"", "2"]);
    refused("verbs", &["[restor]", "[push]", "[Rsync]", "[\"\"]"]);
    refused("path", &["srv", "/srv/../etc", "/", "//", "\"\"", "~/x", "/..", "off"]);
    refused("snapshots", &["{name: \"\"}", "{name: fixed}", "{name: \"%d-%m-%Y\"}", "{name: \"../%Y%m%d\"}", "\"%Y\""]);
    refused("report", &["sometimes", "Always", "true", "[always]"]);
    refused(
        "hooks",
        &[
            "{prepare: /bin/x}", "{prepare: [df]}", "{prepare: [[/bin/x], y]}", "{prepare: [[[/bin/x]]]}", "{prepare: [/bin/x, 1]}",
            "{before: [/bin/x]}", "{prepare: [/bin/../x]}",
        ],
    );
    refused("hooks", &[&format!("{{prepare: [{}]}}", vec!["[/bin/x]"; 17].join(", "))]);
    refused(
        "time_limits",
        &[
            "{idle: 5s}", "{idle: 2days}", "{push: 0s}", "{push: 31days}", "{hook: 0s}", "{hook: 2h}", "{idle: 600}", "{idle: forever}",
            "{idle: 10500ms}", "{idle: -10m}", "10m",
        ],
    );
    refused("partial_pushes", &["yes", "[merge]", "Merge", "\"\""]);
    refused("require_mount", &["1", "on", "\"\""]);
    refused("options", &["{allow: [delete]}", "{allow: owner}", "[owner]"]);
}

#[test]
fn the_site_is_read_and_has_the_usual_values() {
    let little = site("store: /srv/backups\n").unwrap();
    assert_eq!((little.rsync, little.spool), (PathBuf::from("/usr/bin/rsync"), PathBuf::from("/var/spool/snapgate")));
    assert_eq!((little.syslog, little.jail, little.namespaces), (Some(PathBuf::from("/dev/log")), true, Namespaces::Required));
    assert_eq!((little.mail.to.as_slice(), little.mail.reports_to.as_slice()), (&["root".to_owned()][..], &["root".to_owned()][..]));
    assert_eq!(little.mail.transport, Transport::Sendmail(PathBuf::from("/usr/sbin/sendmail")));
    let full = site(
        "store: /s\nrsync: /opt/rsync\nspool: /spool\nsyslog: off\njail: off\nnamespaces: optional\nmail:\n  from: snapgate@backup.example.org\n  to: [root, ops@example.org]\n  \
         reports_to: [reports@example.org]\n  transport: smtps://gate@example.org@mail.example.org\n  password_file: /etc/snapgate/password\n  ca_file: /etc/ca.pem\n",
    )
    .unwrap();
    let sshd = |line: &str| site(&format!("store: /s\n{line}")).unwrap().sshd;
    assert_eq!((sshd(""), sshd("sshd: off\n")), (Sshd::OfTheMachine, Sshd::None));
    assert_eq!(sshd("sshd: /etc/ssh/backup_config\n"), Sshd::With(PathBuf::from("/etc/ssh/backup_config")));
    assert!(site("store: /s\nsshd: sshd_config\n").is_err());
    assert!(full.syslog.is_none() && !full.jail && full.namespaces == Namespaces::Optional);
    let expected =
        Transport::Smtp { host: "mail.example.org".to_owned(), port: 465, tls: Tls::Implicit, user: Some("gate@example.org".to_owned()) };
    assert_eq!(full.mail.transport, expected);
}

#[test]
fn a_transport_is_one_of_a_few_forms() {
    let of = |text: &str| site(&format!("store: /s\nmail: {{ transport: \"{text}\" }}\n")).map(|site| site.mail.transport);
    let smtp = |host: &str, port, tls| Transport::Smtp { host: host.to_owned(), port, tls, user: None };
    for (text, transport) in [
        ("off", Transport::Off),
        ("sendmail:/opt/mail", Transport::Sendmail(PathBuf::from("/opt/mail"))),
        ("file:/some/dir", Transport::Directory(PathBuf::from("/some/dir"))),
        ("file:///some/dir", Transport::Directory(PathBuf::from("/some/dir"))),
        ("smtp://localhost", smtp("localhost", 25, Tls::None)),
        ("smtp://127.0.0.1:2525", smtp("127.0.0.1", 2525, Tls::None)),
        ("smtp://[::1]:2525", smtp("::1", 2525, Tls::None)),
        ("starttls://mail.example.org", smtp("mail.example.org", 587, Tls::Starttls)),
    ] {
        assert_eq!(of(text).unwrap(), transport, "{text}");
    }
    for bad in [
        "", "mail", "sendmail:mail", "smtp:host", "smtp://", "smtp://host:0", "smtp://host:65536", "smtp://host:", "smtp://a b",
        "smtp://[::1", "smtp://[::1]x", "smtps://user@host", "file:dir", "smtp://host/path", "http://host", "smtps://u:secret@host",
    ] {
        let fault = of(bad).expect_err(bad);
        assert!(fault.line == 2 && !fault.message.contains("secret"), "{fault}");
    }
    assert!(site("store: /s\nmail: { password_file: /x }\n").unwrap_err().message.contains("without an account"));
    for bad in
        ["\"\"", "-oQ/tmp", "\"a b\"", "a@", "@b", "a@b@c", "\"a,b\"", "\"|/bin/sh\"", "/tmp/x", "\"<a@b>\"", "\"a@b\\r\\nBcc: c\"", "é@b"]
    {
        assert!(site(&format!("store: /s\nmail: {{ to: [{bad}] }}\n")).is_err(), "{bad}");
    }
    let to = |length: usize| site(&format!("store: /s\nmail: {{ to: [{}@b.example] }}\n", "a".repeat(length - "@b.example".len())));
    assert!(to(MAX_MAIL_ADDRESS).is_ok() && to(MAX_MAIL_ADDRESS + 1).is_err());
}

#[test]
fn a_policy_s_key_replaces_the_default_whole() {
    let site =
        site("store: /s\ndefaults:\n  time_limits: { idle: 1m, push: 48h }\n  verbs: [prepare, rsync, complete]\n  from: [192.0.2.1]\n")
            .unwrap();
    let read = |text: &str| read_policy(Path::new("p"), text.as_bytes(), &"c".parse().unwrap(), &site).unwrap();
    let own = read("time_limits: { idle: 2m }\n");
    assert_eq!((own.idle.as_secs(), own.deadline.as_secs()), (120, 86_400), "not merged");
    assert_eq!(own.verbs.len(), 3);
    assert_eq!(own.origins.of("from").to_string(), "/etc/snapgate/snapgate.yaml:5");
    assert!(read("from: [192.0.2.2]\n").origins.of("from").file.ends_with("p"));
    let escaped = read_policy(Path::new("p"), b"user: \"\\x77eb1\"\n", &"c".parse().unwrap(), &site).unwrap_err();
    assert!(escaped.message.contains("written with escapes"), "{escaped}");
}

#[test]
fn limits_are_numbers_and_sizes_and_replace_the_default_ones_whole() {
    let read = |text| policy(text).unwrap().limits;
    assert_eq!(read("report: problems\n"), Limits::default());
    let limits = read("limits: { sessions: 2, memory: 2GiB, processes: \"16\", bytes: 500G, inodes: 1000000 }\n");
    let expected = Limits { sessions: 2, memory: 2 << 30, processes: 16, bytes: Some(500 << 30), inodes: Some(1_000_000) };
    assert_eq!(limits, expected);
    assert_eq!(read("limits: { bytes: 1048576 }\n").bytes, Some(1 << 20), "a number of bytes");
    refused(
        "limits",
        &[
            "8", "[8]", "{}", "~", "{ session: 8 }", "{ sessions: 8, sessions: 9 }", "{ sessions: 0 }", "{ sessions: -1 }",
            "{ sessions: 1.5 }", "{ sessions: many }", "{ sessions: 8k }", "{ sessions: true }", "{ sessions: ~ }", "{ memory: 1M }",
            "{ memory: 2 GiB }", "{ processes: 1 }", "{ bytes: unlimited }", "{ bytes: 500g }", "{ bytes: [500G] }", "{ inodes: 1 }",
            "{inodes: 99999999999999999999}",
        ],
    );
    let fault = policy("user: web1\nlimits:\n  bytes: 500g\n").unwrap_err();
    assert_eq!((fault.line, fault.column), (3, 10), "{fault}");
    assert!(fault.to_string().contains("`500g` is not a size like 500G"), "{fault}");

    let usual = site("store: /s\nsessions: 20\ndefaults:\n  limits: { sessions: 3, bytes: 1T }\n").unwrap();
    assert_eq!(usual.sessions, 20);
    let read = |text: &str| read_policy(Path::new("/p/web1.yaml"), text.as_bytes(), &"web1".parse().unwrap(), &usual).unwrap().limits;
    assert_eq!((read("report: problems\n").sessions, read("report: problems\n").bytes), (3, Some(1 << 40)));
    assert_eq!((read("limits: { sessions: 5 }\n").sessions, read("limits: { sessions: 5 }\n").bytes), (5, None));
    assert_eq!(site("store: /s\n").unwrap().sessions, 100);
    for text in ["sessions: 0", "sessions: 100000", "sessions: lots", "sessions: [1]"] {
        assert!(site(&format!("store: /s\n{text}\n")).is_err(), "{text}");
    }
}

#[test]
fn options_are_named_as_the_table_names_them_and_only_where_that_changes_something() {
    let message = |text: &str| policy(&format!("report: never\n{text}\n")).expect_err(text).to_string();
    let named = policy("options: { refuse: [acls, xattrs, D, zc], allow: [iconv, safe-links] }\n").unwrap();
    assert_eq!(named.options.refuse, ["acls", "xattrs", "D", "compress-choice"]);
    assert_eq!(named.options.allow, ["iconv", "safe-links"]);
    let forced = policy("options: { allow: [munge-links], force: [munge-links] }\n").unwrap();
    assert_eq!((forced.options.allow, forced.options.force), (vec!["munge-links"], vec!["munge-links"]), "a client may ask for it, too");

    let never = message("options:\n  allow: [iconv, append]");
    assert!(never.contains("web1.yaml:3:18: `append` can never be allowed: a store of hard links shares the inodes"), "{never}");
    assert!(never.contains("\n 3 |   allow: [iconv, append]\n   |                  ^\n"), "{never}");
    for (text, words) in [
        ("options: { allow: [temp-dir] }", "2:20: `temp-dir` can never be allowed: it reaches outside"),
        ("options: { allow: [sender] }", "`sender` can never be allowed: it is another kind of session"),
        ("options: { allow: [xattr] }", "`xattr` is not the name of an option"),
        ("options: { allow: [xattrs] }", "`xattrs` is allowed anyway"),
        ("options: { allow: [inplace] }", "`inplace` is accepted anyway, and never passed on"),
        ("options: { allow: [usermap] }", "for a gate that is root, write owner"),
        ("options: { allow: [nonsense] }", "these can stand here: owner, group, acls, remove-source-files"),
        ("options: { refuse: [xattr] }", "did you mean `xattrs`?"),
        ("options: { refuse: [--xattrs] }", "did you mean `xattrs`?"),
        ("options: { refuse: [X] }", "did you mean `xattrs`?"),
        ("options: { refuse: [e] }", "is not the name of an option"),
        ("options: { refuse: [append] }", "`append` is refused anyway: it writes into files"),
        ("options: { refuse: [owner], allow: [group, owner] }", "`owner` stands in both lists"),
        ("options: { refuse: [] }", "an empty list means nothing"),
        ("options: {}", "an empty table means nothing"),
        ("options: { force: [fake-super] }", "2:20: `fake-super` can never be forced: rsync then keeps a symlink as a file"),
        ("options: { force: [xattrs] }", "`xattrs` can never be forced: it is the client's to ask for"),
        ("options: { force: [munge-link] }", "did you mean `munge-links`?"),
        ("options: { force: [--munge-links] }", "did you mean `munge-links`?"),
        ("options: { force: [nonsense] }", "these can stand here: munge-links"),
        ("options: { force: munge-links }", "`munge-links` is not a list"),
        ("options: { force: [] }", "an empty list means nothing"),
        ("options: { deny: [xattrs] }", "`deny` is not a key of `options`"),
    ] {
        let fault = message(text);
        assert!(fault.contains(words) && fault.contains("web1.yaml:2:") && fault.contains('^'), "{text}: {fault}");
    }
}

#[test]
fn the_sites_options_are_every_policys_that_says_none() {
    let text = "store: /s\ndefaults:\n  options: { refuse: [acls] }\n";
    let site = site(text).unwrap();
    let read = |text: &str| read_policy(Path::new("p"), text.as_bytes(), &"web1".parse().unwrap(), &site).unwrap();
    let inherited = read("report: never\n");
    assert_eq!((inherited.options.refuse, inherited.origins.of("options").line), (vec!["acls"], 3));
    let own = read("options: { allow: [owner] }\n");
    assert!(own.options.refuse.is_empty(), "a key replaces the site's whole");
    assert_eq!(own.options.allow, ["owner"]);
}
