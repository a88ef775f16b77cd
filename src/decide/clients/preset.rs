//! What kinds of clients there are, and the policy of each to begin with.

use super::edit;
use crate::terms::word::table;
use crate::terms::{ClientName, Fingerprint};

/// What a kind of client needs besides.
#[derive(Debug)]
pub struct Kind {
    /// Lines of its policy.
    policy: &'static str,
    /// What it usually backs up.
    pub source: &'static str,
    /// How it pushes, with `{from}` for what and `{to}` for where.
    pub push: &'static str,
    /// When, in the words of crontab(5), with `{minute}`, `{half}` and `{other}`, which are half an
    /// hour apart, and `{hour}`.
    pub times: &'static str,
}

table! {
    /// `--preset`: what kind of client it is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Preset: Kind {
        /// A machine that travels, and pushes every half hour from wherever it is.
        Laptop = "laptop" => Kind {
            policy: "# A closed lid ends the push soon, so that the next one need not wait.\ntime_limits: { idle: 2m, push: 6h }\n\n\
                # A stolen key cannot fill the disk in one go.\nlimits: { sessions: 4, bytes: 200G, inodes: 2000000 }\n\n\
                # It is not missed while it travels; see \"Being told\" in docs/administration.md.\nlaptop: true\n",
            source: "$HOME/",
            push: "rsync -az --delete {from} {to}:",
            times: "{half},{other} * * * *",
        },
        /// A whole machine, pushed by its root every night, with its owners.
        Server = "server" => Kind {
            policy: "# Owners, groups and access lists are kept (docs/owners.md).\nowners: keep\n",
            source: "/",
            push: "rsync -aAXHx --numeric-ids --delete {from} {to}:",
            times: "{minute} {hour} * * *",
        },
        /// A small machine with little memory and a slow line.
        Router = "router" => Kind {
            policy: "# A router has little memory, and its own data need neither access lists nor attributes.\n\
                limits: { sessions: 2, memory: 256MiB, processes: 16 }\noptions: { refuse: [acls, xattrs] }\n\n\
                # The line is slow, and the router may reboot at any time.\ntime_limits: { idle: 5m, push: 12h }\n",
            source: "/etc/",
            push: "rsync -a --delete {from} {to}:",
            times: "{minute} {hour} * * *",
        },
        /// In the manner of RSBackup: `prepare`, pushes, `complete`.
        Rsbackup = "rsbackup" => Kind {
            policy: "# Several pushes between `prepare` and `complete` become one snapshot.\n\
                verbs: [prepare, rsync, complete, abort, status]\nreport: always\n",
            source: "/srv",
            push: "ssh {to} prepare && { rsync -a --delete {from} {to}: ; ssh {to} complete $? ; }",
            times: "{minute} {hour} * * *",
        },
        /// In the manner of dump: dated trees, `2017/0523/1031`.
        Dump = "dump" => Kind {
            policy: "# Any strftime pattern (UTC) whose names sort by time; `/` makes directories.\n\
                snapshots: { name: \"%Y/%m%d/%H%M\" }\nreport: always\n",
            source: "/srv/",
            push: "rsync -a --delete {from} {to}:",
            times: "{minute} {hour} * * *",
        },
        /// A time machine for a home directory, pushed every hour.
        Timemachine = "timemachine" => Kind {
            policy: "# Snapshots are named after the time at which the push began, as in 2012_03_19_00_18_54.\n\
                snapshots: { name: \"%Y_%m_%d_%H_%M_%S\" }\n",
            source: "$HOME/",
            push: "rsync -az --delete {from} {to}:",
            times: "{minute} * * * *",
        },
    }
}

impl Preset {
    /// How it pushes what is there to a host.
    pub fn pushes(self, from: &str, to: &str) -> String {
        self.row().push.replace("{from}", from).replace("{to}", to)
    }

    /// When, spread by the client's name, so that not all come in the same minute.
    pub fn times(self, client: &ClientName) -> String {
        let sum = client.as_str().bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let minute = sum % 60;
        let half = minute % 30;
        let hour = 1 + sum / 60 % 4;
        let words = self.row().times;
        words
            .replace("{minute}", &minute.to_string())
            .replace("{half}", &half.to_string())
            .replace("{other}", &(half + 30).to_string())
            .replace("{hour}", &hour.to_string())
    }
}

/// The same times in the words of systemd.time(7).
pub fn calendar(times: &str) -> String {
    let mut fields = times.split(' ').map(|field| {
        let padded = field.split(',').map(|number| if number == "*" { number.to_owned() } else { format!("{number:0>2}") });
        padded.collect::<Vec<_>>().join(",")
    });
    let (minute, hour) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    format!("*-*-* {hour}:{minute}:00")
}

/// What a policy is made of.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The client.
    pub client: &'a ClientName,
    /// The account that speaks for it.
    pub account: &'a str,
    /// Its key.
    pub key: &'a Fingerprint,
    /// Where it may come from; empty: anywhere.
    pub from: &'a [String],
    /// How much it may hold.
    pub quota: Option<&'a str>,
    /// Its kind.
    pub preset: Preset,
}

/// The text of a policy. Whoever keeps it reads it first, which refuses what is no address or size.
///
/// # Errors
/// When a word has letters that neither an address nor a size has.
pub fn policy(wanted: &Wanted<'_>) -> Result<String, String> {
    let Wanted { client, account, key, from, quota, preset } = wanted;
    let strange = |text: &&str| text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:/%_-".contains(&byte));
    if let Some(word) = from.iter().map(String::as_str).chain(quota.iter().copied()).find(strange) {
        let shown = crate::terms::text::printable(word.as_bytes());
        return Err(format!("`{shown}` is neither an address nor a size\nwrite 192.0.2.0/24, host:NAME or 500G"));
    }
    let from: Vec<&str> = from.iter().map(String::as_str).collect();
    let or = |line: Option<String>, remark: &str| line.unwrap_or_else(|| format!("# {remark}\n"));
    Ok(format!(
        "# What {client} may do, begun by `snapgate add-client` as a {preset}. Change it as you like, then run `snapgate check`.\n\
         # docs/policy.md has every key; what is not said here the site file's `defaults:` say.\n\
         user: {account}\n\n# The keys that speak for it: `ssh-keygen -lf key.pub` prints them. `snapgate rotate-key` changes them.\nkeys: {}\n\n{}{}{}\n{}",
        edit::list(&[key.as_str()]),
        or((!from.is_empty()).then(|| format!("from: {}\n", edit::list(&from))), "from: [192.0.2.0/24]    # from anywhere without it"),
        or(
            quota.map(|quota| format!("quota: {{ bytes: {quota} }}\n")),
            "quota: { bytes: 500G }  # as much as there is room for without it"
        ),
        if preset.row().policy.contains("verbs:") {
            ""
        } else {
            "verbs: [rsync, status]    # restore, browse and history let it read its snapshots\n"
        },
        preset.row().policy,
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::key::PublicKey;
    use super::super::key::tests::GOOD;
    use super::*;
    use crate::decide::policy::{KeepOwners, Origins, Policy, Report, read_policy, read_site};
    use crate::terms::{NamePattern, Verb};

    fn read(text: &str) -> Policy {
        let site = read_site(Path::new("/site"), b"store: /srv/backups\n").unwrap();
        read_policy(Path::new("/policy"), text.as_bytes(), &"web1".parse().unwrap(), &site)
            .unwrap_or_else(|fault| panic!("{fault}\n{text}"))
    }

    /// What makes it that kind, of a policy that says nothing but who it is and the usual verbs.
    fn makes(preset: Preset, policy: &mut Policy) {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let times = |policy: &mut Policy, idle, hours: u64| (policy.idle, policy.deadline) = (minutes(idle), minutes(60 * hours));
        match preset {
            Preset::Laptop => {
                times(policy, 2, 6);
                policy.limits.sessions = 4;
                (policy.limits.bytes, policy.limits.inodes) = (Some(200 << 30), Some(2_000_000));
                policy.told.laptop = true;
            }
            Preset::Server => policy.owners = Some(KeepOwners::Keep),
            Preset::Router => {
                times(policy, 5, 12);
                (policy.limits.sessions, policy.limits.memory, policy.limits.processes) = (2, 256 << 20, 16);
                policy.options.refuse = vec!["acls", "xattrs"];
            }
            Preset::Rsbackup => {
                policy.verbs = vec![Verb::Prepare, Verb::Rsync, Verb::Complete, Verb::Abort, Verb::Status];
                policy.report = Report::Always;
            }
            Preset::Dump => {
                policy.names = NamePattern::new("%Y/%m%d/%H%M").unwrap();
                policy.report = Report::Always;
            }
            Preset::Timemachine => policy.names = NamePattern::new("%Y_%m_%d_%H_%M_%S").unwrap(),
        }
        policy.keep.resolution = policy.names.resolution();
    }

    #[test]
    fn each_kind_of_client_is_what_makes_it_that_kind_and_nothing_else() {
        let key = PublicKey::read(GOOD).unwrap().fingerprint;
        let client: ClientName = "web1".parse().unwrap();
        let of_all = |policy: Policy| format!("{:#?}", Policy { origins: Origins::default(), ..policy });
        for preset in Preset::ALL {
            let wanted = Wanted { client: &client, account: "web1", key: &key, from: &[], quota: None, preset };
            let mut plain = read(&format!("user: web1\nkeys: [\"{}\"]\nverbs: [rsync, status]\n", key.as_str()));
            makes(preset, &mut plain);
            assert_eq!(of_all(read(&policy(&wanted).unwrap())), of_all(plain), "{preset}");
        }
    }

    #[test]
    fn every_kind_of_client_has_a_policy_that_can_be_read() {
        let key = PublicKey::read(GOOD).unwrap().fingerprint;
        let client: ClientName = "web1".parse().unwrap();
        for preset in Preset::ALL {
            for (from, quota) in [(vec![], None), (vec!["192.0.2.0/24".to_owned(), "2001:db8::/48".to_owned()], Some("500G"))] {
                let wanted = Wanted { client: &client, account: "web1", key: &key, from: &from, quota, preset };
                let text = policy(&wanted).unwrap();
                let read = read(&text);
                assert_eq!(
                    (read.user.as_str(), read.keys, read.from.map(|from| from.len()), read.quota.bytes),
                    ("web1", Some(vec![key.clone()]), (!from.is_empty()).then_some(2), quota.map(|_| 500 << 30))
                );
                assert!(text.lines().all(|line| line.len() <= 140), "{text}");
            }
            let (times, push) = (preset.times(&client), preset.pushes("/x/", "backup"));
            assert!(!times.contains('{') && times.split(' ').count() == 5, "{times}");
            assert!(push.contains("/x/ backup:") && !push.contains("{to}"), "{push}");
        }
    }

    #[test]
    fn no_word_brings_another_key_into_a_policy() {
        let key = PublicKey::read(GOOD).unwrap().fingerprint;
        let client: ClientName = "web1".parse().unwrap();
        for bad in ["", "a\nuser: root", "a]", "a, b", "a # b", "\"", "a b", "'"] {
            let from = [bad.to_owned()];
            let one = Wanted { client: &client, account: "web1", key: &key, from: &from, quota: None, preset: Preset::Server };
            assert!(policy(&one).is_err(), "{bad}");
            let one = Wanted { client: &client, account: "web1", key: &key, from: &[], quota: Some(bad), preset: Preset::Server };
            assert!(policy(&one).is_err(), "{bad}");
        }
    }
}
