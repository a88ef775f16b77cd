//! What let clients in before, as proposals of policies: keys that forced rsync's rrsync or the like.
//!
//! The files are text of others. A proposal is for a person to read; nothing of theirs may stand in it
//! that YAML reads otherwise, and what cannot be carried over is said.

use std::collections::BTreeSet;

use crate::decide::host::authinfo;
use crate::decide::keys::line::Line;
use crate::decide::rrsync::flags::{Order, parse};
use crate::decide::rsync::transfer::Flags;
use crate::terms::ClientName;
use crate::terms::limits::{MAX_CLIENT_NAME, MAX_IMPORT_LINES, MAX_QUOTED};
use crate::terms::text::still_printable;

/// A policy that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The line of the file.
    pub line: usize,
    /// The client.
    pub client: ClientName,
    /// Its policy.
    pub policy: String,
    /// What is not in it, for a person.
    pub left: Vec<String>,
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// What is counted: lines or rules.
    pub counts: &'static str,
    /// What is proposed.
    pub proposals: Vec<Proposal>,
    /// Lines of which nothing is proposed, and why.
    pub passed: Vec<(usize, String)>,
}

/// Reads a file of keys of this account.
pub fn keys(text: &str, account: Option<&str>) -> Imported {
    let mut found = Imported { counts: "line", ..Imported::default() };
    let mut taken = BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if number > MAX_IMPORT_LINES {
            found.passed.push((number, format!("and all that follow: no more than {MAX_IMPORT_LINES} lines are read")));
            break;
        }
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match of_line(line, number, account, &mut taken) {
            Ok(proposal) => found.proposals.push(proposal),
            Err(why) => found.passed.push((number, why)),
        }
    }
    found
}

fn of_line(line: &str, number: usize, account: Option<&str>, taken: &mut BTreeSet<String>) -> Result<Proposal, String> {
    let line = Line::read(line).ok_or("it is no key")?;
    let fingerprint = authinfo::fingerprint(&line.kind, &line.key).ok_or("its key cannot be read")?;
    let command = line.value("command").ok_or("its key forces no command: whoever has it gets a shell")?;
    let asked = asked(command)?;
    let client = name(&line.comment, &asked, number, taken)?;
    let mut left = asked.left.clone();
    let from = line.value("from").map(|from| addresses(from, &mut left)).unwrap_or_default();
    left.extend(line.options.iter().filter_map(|(word, value)| lost(word, value.as_deref())));
    let policy = policy(&[fingerprint.to_string()], &asked, &from, account, ("line", number));
    Ok(Proposal { line: number, client, policy, left })
}

/// Programs that are forced where a client backs up by something else than rsync, and why each stays.
const OTHERS: [(&str, &str); 6] = [
    ("borg", "borg keeps a repository of its own kind, and `borg serve --append-only --restrict-to-path` guards it"),
    ("rdiff-backup", "rdiff-backup speaks a protocol of its own, and `rdiff-backup server --restrict-path` guards it"),
    ("rclone", "`rclone serve restic --stdio --append-only` guards a repository of restic's"),
    ("btrbk-ssh-filter", "what `ssh_filter_btrbk.sh` lets through is btrfs send and receive"),
    ("ssh_filter_btrbk.sh", "what it lets through is btrfs send and receive"),
    ("sftp-server", "sftp is no rsync; where a client could push by rsync, give it a policy"),
];

/// What a forced command lets a client do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) directory: Option<String>,
    pub(super) pushes: bool,
    pub(super) pulls: bool,
    keeps: bool,
    munges: bool,
    pub(super) left: Vec<String>,
}

fn asked(command: &str) -> Result<Asked, String> {
    let shown = still_printable(command, MAX_QUOTED);
    let words = shell_words::split(command).map_err(|_| format!("`{shown}`: its quotes are not closed"))?;
    if command.contains(['$', '`', ';', '|', '&', '<', '>', '\n']) {
        return Err(format!("`{shown}`: a shell makes more of it than one program; look at it yourself"));
    }
    let mut words =
        words.iter().map(String::as_str).skip_while(|word| ["perl", "python3", "/usr/bin/perl", "/usr/bin/python3"].contains(word));
    let program = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    match program.rsplit('/').next().unwrap_or_default() {
        "rrsync" | "rrsync.pl" => rrsync(&words, &shown),
        "snapgate-shell" if words.first() == Some(&"rrsync") => rrsync(words.get(1..).unwrap_or_default(), &shown),
        "rsync" if words.contains(&"--server") && !words.contains(&"--daemon") => Ok(server(&words)),
        "validate-rsync" | "validate-rsync.sh" | "validate_rsync" | "validate_rsync.sh" => {
            let left = vec![format!("`{shown}` lets any rsync --server through: who pushed where is not known; `path:` is the default")];
            Ok(Asked { pushes: true, pulls: true, left, ..Asked::default() })
        }
        "authprogs" => {
            Err(format!("`{shown}`: its rules say what it may; `snapgate import authprogs` reads them, with --keys and this file"))
        }
        other => Err(OTHERS.iter().find(|(name, _)| *name == other).map_or_else(
            || format!("`{shown}` is nothing that this can read"),
            |(_, keeps)| format!("`{shown}` is not for us: {keeps}; leave its line as it is"),
        )),
    }
}

fn rrsync(words: &[&str], shown: &str) -> Result<Asked, String> {
    let words: Vec<_> = words.iter().map(Into::into).collect();
    let flags = match parse(&words) {
        Ok(Order::Serve(flags)) => flags,
        Ok(Order::Help) => return Err(format!("`{shown}` only prints a help")),
        Err(why) => return Err(format!("`{shown}`: {}", still_printable(&why, MAX_QUOTED))),
    };
    let Flags { dir, read_only, write_only, munge, no_del, no_overwrite, .. } = flags;
    let directory = dir.to_string_lossy().into_owned();
    let mut left = vec![format!(
        "it pushed into `{}` as it is; here each push is a snapshot, in a repository of its own: bring the data over (docs/seed.md)",
        still_printable(&directory, MAX_QUOTED)
    )];
    if no_del && !read_only {
        left.push("-no-del: a snapshot is what the client sends; older ones keep what was deleted".to_owned());
    }
    if no_overwrite {
        left.push("-no-overwrite: no push changes an older snapshot".to_owned());
    }
    if read_only {
        left.push("-ro: it read plain files; here it reads its own snapshots, of which there are none yet".to_owned());
    }
    Ok(Asked { directory: Some(directory), pushes: !read_only, pulls: !write_only, keeps: false, munges: munge, left })
}

/// `rsync --server OPTIONS . DIR`, as one that was copied from a log.
pub(super) fn server(words: &[&str]) -> Asked {
    let sends = words.contains(&"--sender");
    let directory = words.last().filter(|last| !last.starts_with('-') && **last != ".").map(|last| (*last).to_owned());
    let mut left = vec!["its options of rsync were fixed; here the client chooses, within docs/options.md".to_owned()];
    left.extend(directory.iter().map(|directory| {
        let shown = still_printable(directory, MAX_QUOTED);
        if sends {
            format!("it read `{shown}` as it is; here it reads its own snapshots, of which there are none yet")
        } else {
            format!("it pushed into `{shown}`; here each push is a snapshot, in a repository of its own (docs/seed.md)")
        }
    }));
    Asked { directory, pushes: !sends, pulls: sends, left, ..Asked::default() }
}

/// Addresses of `from="…"` that a policy can have, too; what it cannot have is left to a person.
pub(super) fn addresses(from: &str, left: &mut Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for pattern in from.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()) {
        let is_one = pattern.parse::<std::net::IpAddr>().is_ok() || pattern.parse::<ipnet::IpNet>().is_ok();
        let is_host = pattern.contains('.')
            && pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
            && pattern.bytes().any(|byte| byte.is_ascii_alphabetic());
        if is_one {
            found.push(format!("\"{pattern}\""));
        } else if is_host {
            found.push(format!("\"host:{pattern}\""));
        } else {
            left.push(format!("from=`{}`: write it as addresses or networks under `from:`", still_printable(pattern, MAX_QUOTED)));
        }
    }
    if found.is_empty() {
        // Nobody, rather than everybody.
        found.push("\"192.0.2.1\"".to_owned());
        left.push("`from:` names an address that nobody has, until you write the right ones".to_owned());
    }
    found
}

/// An option of a key's line that has no place in a policy, if somebody would miss it.
fn lost(word: &str, value: Option<&str>) -> Option<String> {
    let value = value.map(|value| still_printable(value, MAX_QUOTED)).unwrap_or_default();
    match word {
        "command" | "from" | "restrict" | "no-pty" | "no-port-forwarding" | "no-agent-forwarding" | "no-x11-forwarding" | "no-user-rc" => {
            None
        }
        "expiry-time" => Some(format!("expiry-time={value}: leave it in the line of the key")),
        "environment" => Some(format!("environment={value}: the gate takes none")),
        word => Some(format!("{}: it has no place in a policy", still_printable(word, MAX_QUOTED))),
    }
}

/// A name for the client, by the comment of its key, or by its directory.
pub(super) fn name(comment: &str, asked: &Asked, number: usize, taken: &mut BTreeSet<String>) -> Result<ClientName, String> {
    let plain = |text: &str| -> String {
        let kept = text.chars().map(|letter| if letter.is_ascii_alphanumeric() || "._-@+".contains(letter) { letter } else { '-' });
        kept.skip_while(|letter| !letter.is_ascii_alphanumeric()).take(MAX_CLIENT_NAME - 8).collect()
    };
    let directory = asked.directory.as_deref().and_then(|path| path.trim_end_matches('/').rsplit('/').next()).unwrap_or_default();
    let host = comment.rsplit('@').next().unwrap_or_default();
    let base = [plain(host), plain(directory), format!("client-{number}")].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let name = if taken.contains(&base) { format!("{base}-{number}") } else { base };
    taken.insert(name.clone());
    name.parse().map_err(|_| format!("`{name}` is no name of a client"))
}

pub(super) fn policy(keys: &[String], asked: &Asked, from: &[String], account: Option<&str>, (counts, number): (&str, usize)) -> String {
    let verbs = match (asked.pushes, asked.pulls) {
        (true, true) => "rsync, status, restore",
        (true, false) => "rsync, status",
        (false, _) => "status, restore",
    };
    let mut text = format!("# Proposed by `snapgate import` from {counts} {number}. Read it before you use it.\n");
    if let Some(account) = account {
        text.push_str(&format!("user: {account}\n"));
    }
    let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    text.push_str(&format!("keys: [{}]\n", keys.join(", ")));
    if !from.is_empty() {
        text.push_str(&format!("from: [{}]\n", from.join(", ")));
    }
    text.push_str(&format!("verbs: [{verbs}]\n"));
    if asked.munges {
        text.push_str("options: { force: [munge-links] }\n");
    }
    text
}
