//! Keys in an authorized_keys file, and the programs that they force (sshd(8)).

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Gate, shown};
use crate::decide::host::authinfo;
use crate::terms::limits::MAX_COMPARED_KEYS;
use crate::terms::{ClientName, Fingerprint};

/// What a command starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leads {
    Elsewhere,
    /// A program that may start the gate.
    Perhaps,
    ToTheGate,
}

/// A key that sshd takes, as it is compared with those that policies list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub key: Fingerprint,
    /// Whether its own command leads to the gate.
    pub gated: bool,
    /// The client that its command names to the gate.
    pub client: Option<ClientName>,
}

/// The keys of a file, counted by what they start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    pub gated: u64,
    /// Those of these that give the gate arguments, such as `--client`.
    pub worded: u64,
    /// Those with a command that may start the gate.
    pub unclear: u64,
    /// Those with another command.
    pub astray: u64,
    /// The first command that may not start the gate, printable and short.
    pub command: Option<String>,
    pub others: u64,
    /// Those that may forward connections where sshd's settings let them.
    #[serde(default)]
    pub bare: u64,
    /// Those that may have what nobody needs here where sshd's settings let them: a terminal, the
    /// client's agent, X11.
    #[serde(default)]
    pub with_terminal: u64,
    #[serde(default)]
    pub with_agent: u64,
    #[serde(default)]
    pub with_x11: u64,
    /// Those with a command before which sshd runs ~/.ssh/rc where its settings let it.
    #[serde(default)]
    pub with_rc: u64,
    /// Those whose `expiry-time` is over: sshd takes none of them, and they count nowhere else.
    #[serde(default)]
    pub expired: u64,
    /// At most [`MAX_COMPARED_KEYS`] of those that are counted.
    #[serde(default)]
    pub taken: Vec<Taken>,
    /// The same of those whose time is over.
    #[serde(default)]
    pub ended: Vec<Fingerprint>,
    /// Whether there are more than these, or keys that let in those that they have signed.
    #[serde(default)]
    pub untold: bool,
    /// Whether only a part of the file was read.
    pub cut: bool,
}

impl Keys {
    pub fn all(&self) -> u64 {
        self.gated + self.unclear + self.astray + self.others
    }

    /// Keeps a line's key, to be compared.
    fn take(&mut self, line: &str, words: &[String], leads: impl Fn(&str) -> Leads) {
        // Whose certificates an authority has signed, no file says.
        let signs = words.iter().any(|word| word.eq_ignore_ascii_case("cert-authority"));
        let key = key_of(line).filter(|_| !signs);
        self.untold |= signs || (key.is_some() && self.taken.len() >= MAX_COMPARED_KEYS);
        if self.taken.len() < MAX_COMPARED_KEYS {
            let command = forced_by_key(line).unwrap_or_default();
            let gated = command_leads(&command, leads) == Leads::ToTheGate;
            self.taken.extend(key.map(|key| Taken { key, gated, client: named(&command) }));
        }
    }

    /// Keeps no more of them than this.
    pub fn keep(&mut self, most: usize) {
        self.untold |= self.taken.len() > most;
        self.taken.truncate(most);
        self.ended.truncate(most.saturating_sub(self.taken.len()));
    }

    /// The sum of two files.
    #[must_use]
    pub fn and(self, more: &Self) -> Self {
        let mut taken = self.taken;
        let room = MAX_COMPARED_KEYS.saturating_sub(taken.len());
        taken.extend(more.taken.iter().take(room).cloned());
        let mut ended = self.ended;
        ended.extend(more.ended.iter().take(MAX_COMPARED_KEYS.saturating_sub(ended.len())).cloned());
        Self {
            taken,
            ended,
            untold: self.untold || more.untold || more.taken.len() > room,
            gated: self.gated + more.gated,
            worded: self.worded + more.worded,
            unclear: self.unclear + more.unclear,
            astray: self.astray + more.astray,
            command: self.command.or_else(|| more.command.clone()),
            others: self.others + more.others,
            bare: self.bare + more.bare,
            with_terminal: self.with_terminal + more.with_terminal,
            with_agent: self.with_agent + more.with_agent,
            with_x11: self.with_x11 + more.with_x11,
            with_rc: self.with_rc + more.with_rc,
            expired: self.expired + more.expired,
            cut: self.cut || more.cut,
        }
    }
}

/// Counts the keys in the text of a file. `leads` says what a word of a command starts.
pub(crate) fn keys(text: &[u8], now: DateTime<Utc>, leads: impl Fn(&str) -> Leads) -> Keys {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && holds_a_key(line));
    lines.fold(Keys::default(), |mut all, line| {
        let options = words(options(line).0);
        if expires(&options).is_some_and(|at| at < now) {
            let room = all.ended.len() < MAX_COMPARED_KEYS;
            all.ended.extend(key_of(line).filter(|_| room));
            return Keys { expired: all.expired + 1, ..all };
        }
        all.take(line, &options, &leads);
        all.bare += u64::from(may(&options, "port-forwarding"));
        all.with_terminal += u64::from(may(&options, "pty"));
        all.with_agent += u64::from(may(&options, "agent-forwarding"));
        all.with_x11 += u64::from(may(&options, "x11-forwarding"));
        let Some(command) = forced_by_key(line) else { return Keys { others: all.others + 1, ..all } };
        all.with_rc += u64::from(may(&options, "user-rc"));
        let leads = command_leads(&command, &leads);
        match leads {
            Leads::ToTheGate => {
                all.gated += 1;
                all.worded += u64::from(Gate::read(command.as_bytes()).is_none());
            }
            Leads::Perhaps => all.unclear += 1,
            Leads::Elsewhere => all.astray += 1,
        }
        if leads != Leads::ToTheGate {
            all.command.get_or_insert_with(|| shown(&command));
        }
        all
    })
}

fn key_of(line: &str) -> Option<Fingerprint> {
    let mut rest = options(line).1.split_ascii_whitespace();
    rest.next().zip(rest.next()).and_then(|(kind, key)| authinfo::fingerprint(kind, key))
}

/// What a command starts: the closest of its words to the gate.
pub(crate) fn command_leads(command: &str, leads: impl Fn(&str) -> Leads) -> Leads {
    let words = command.split(|c: char| c.is_ascii_whitespace() || "\"';&|()".contains(c)).filter(|word| !word.is_empty());
    words.map(leads).max().unwrap_or(Leads::Elsewhere)
}

/// The client that a command names to the gate.
pub(super) fn named(command: &str) -> Option<ClientName> {
    let mut words = command.split_ascii_whitespace().skip_while(|word| *word != "--client");
    words.nth(1)?.trim_matches(['"', '\'']).parse().ok()
}

/// Whether a line has a key: its type, and the key, which begins with the length of the type.
fn holds_a_key(line: &str) -> bool {
    let (_, rest) = options(line);
    let mut words = rest.split_ascii_whitespace();
    let kind = words.next().unwrap_or_default();
    let known = ["ssh-", "ecdsa-", "sk-", "rsa-"].iter().any(|start| kind.starts_with(start));
    known && words.next().is_some_and(|key| key.starts_with("AAAA"))
}

/// The options of a key, and the rest of the line.
fn options(line: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    let end = line.find(|character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return true,
            _ => {}
        }
        false
    });
    let (first, rest) = line.split_at(end.unwrap_or(line.len()));
    // A line without options begins with the kind.
    if ["ssh-", "ecdsa-", "sk-", "rsa-"].iter().any(|start| first.starts_with(start)) { ("", line) } else { (first, rest) }
}

/// The single options of a key.
fn words(options: &str) -> Vec<String> {
    let (mut quoted, mut escaped) = (false, false);
    let apart = options.split(move |character: char| {
        let is_end = character == ',' && !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        is_end
    });
    apart.map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether these options leave this right to a key: a later word wins (sshd(8), "restrict").
fn may(options: &[String], right: &str) -> bool {
    options.iter().fold(true, |may, word| match word.to_ascii_lowercase().as_str() {
        "restrict" => false,
        word if word.strip_prefix("no-") == Some(right) => false,
        word if word == right => true,
        _ => may,
    })
}

/// When a key ends to be valid: `expiry-time="YYYYMMDD[HHMM[SS]][Z]"` (sshd(8)). Without `Z` it is
/// the machine's own time, which may differ by hours.
fn expires(options: &[String]) -> Option<DateTime<Utc>> {
    let value = options.iter().find_map(|word| word.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("expiry-time")))?.1;
    let digits = value.trim_matches('"').trim_end_matches(['Z', 'z']);
    let seconds = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&seconds, "%Y%m%d%H%M%S").ok().map(|at| at.and_utc())
}

/// The value of `command="…"` among a key's options.
fn forced_by_key(line: &str) -> Option<String> {
    let (options, _) = options(line);
    let start = options.to_ascii_lowercase().find("command=\"")?;
    let value = options.get(start + "command=\"".len()..)?;
    let mut command = String::new();
    let mut rest = value.chars();
    while let Some(character) = rest.next() {
        match character {
            '"' => return Some(command),
            '\\' => command.extend(rest.next()),
            _ => command.push(character),
        }
    }
    None
}
