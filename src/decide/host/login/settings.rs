//! sshd's settings for an account, as `sshd -T` prints them (sshd_config(5)).

use std::path::{Path, PathBuf};

use super::Keys;
use crate::decide::policy::DEFAULT_CONFIG;
use crate::terms::Login;

/// The address of a client whose policy names no network: nobody's (RFC 5737).
pub(crate) const NOWHERE: &str = "192.0.2.1";

/// sshd's default port.
pub(crate) const USUAL_PORT: u16 = 22;

/// sshd's own sftp, for which no shell is started (sshd_config(5), "Subsystem").
const INTERNAL_SFTP: &str = "internal-sftp";

/// sshd's settings for an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub port: Option<u16>,
    pub force: Option<String>,
    pub key_files: Vec<String>,
    /// Whether keys also come from a program or a certificate, of which nothing is known.
    pub keys_elsewhere: bool,
    /// `AuthorizedKeysCommand`, and whether that is `snapgate keys`: then they are those of the policies.
    pub(super) asked_program: Option<String>,
    pub by_policies: bool,
    /// Whether it is that, and is not told the key.
    pub(super) asks_amiss: bool,
    /// `AuthorizedKeysCommandUser`.
    pub(super) asker: Option<String>,
    /// `TrustedUserCAKeys`.
    pub(super) certified: bool,
    /// The program and the file: `AuthorizedKeysCommand` and `TrustedUserCAKeys`.
    pub named: Vec<PathBuf>,
    pub exposes: bool,
    pub strict: bool,
    /// Whether sshd answers `sftp` itself, unless a command is forced.
    pub(super) internal_sftp: bool,
    /// `AllowTcpForwarding`, `AllowStreamLocalForwarding` and `DisableForwarding`.
    pub(super) forwards_tcp: bool,
    pub(super) forwards_sockets: bool,
    pub(super) forwards_none: bool,
    /// `X11Forwarding`, `AllowAgentForwarding` and `PermitTTY`.
    pub(super) forwards_x11: bool,
    pub(super) forwards_agents: bool,
    pub(super) gives_terminals: bool,
    /// `PermitTunnel`.
    pub(super) makes_tunnels: bool,
    /// `PermitUserRC` and `PermitUserEnvironment`.
    pub(super) runs_rc: bool,
    pub(super) takes_environment: bool,
    pub pam: bool,
    pub(super) chroot: Option<String>,
    /// `PermitRootLogin no`.
    pub(super) keeps_root_out: bool,
    /// `AuthenticationMethods`, if no list of them needs only a key.
    pub(super) wants_more: Option<String>,
    /// `PubkeyAuthentication no`.
    pub(super) takes_no_keys: bool,
    /// `AllowUsers`, `DenyUsers`, `AllowGroups` and `DenyGroups`.
    pub(super) allowed: Vec<String>,
    pub(super) denied: Vec<String>,
    pub(super) allowed_groups: Vec<String>,
    pub(super) denied_groups: Vec<String>,
}

impl Settings {
    pub(crate) fn asks_for_groups(&self) -> bool {
        !self.allowed_groups.is_empty() || !self.denied_groups.is_empty()
    }

    /// Has the keys come from the policies in this directory if that is what sshd asks. `is_snapgate`
    /// knows this program by its path.
    pub(crate) fn ask_the_policies(&mut self, directory: &Path, is_snapgate: impl Fn(&Path) -> bool) {
        let words: Vec<_> = self.asked_program.iter().flat_map(|command| command.split_ascii_whitespace()).collect();
        let (program, of) = match words.as_slice() {
            [program, "keys", ..] => (*program, Path::new(DEFAULT_CONFIG)),
            [program, "--config", of, "keys", ..] => (*program, Path::new(*of)),
            _ => return,
        };
        if of != directory || !is_snapgate(Path::new(program)) {
            return;
        }
        // It answers to these words alone, and whatever differs from them is not known to be right.
        if words.ends_with(&["keys", "%u", "%t", "%k"]) {
            self.by_policies = true;
            self.keys_elsewhere = self.certified;
        } else {
            self.asks_amiss = !["%t", "%k"].iter().all(|token| words.contains(token));
        }
    }

    /// The program that sshd asks whose key it is.
    pub(crate) fn asks(&self) -> Option<&Path> {
        self.asked_program.as_ref()?.split_ascii_whitespace().next().map(Path::new)
    }

    /// The account as which it does (sshd_config(5), "TOKENS").
    pub(crate) fn asks_as(&self, account: &str) -> Option<String> {
        Some(self.asker.as_ref()?.replace("%u", account))
    }

    /// Whether a key may do so unless `restrict` stands before it.
    pub(super) fn forwards(&self) -> bool {
        (self.forwards_tcp || self.forwards_sockets) && !self.forwards_none
    }

    /// What it leaves to keys that nobody needs here, with its keyword and how many of these keys may have it.
    /// (Before OpenSSH 10.0 `DisableForwarding` left X11 and agents alone, CVE-2025-32728.)
    pub(super) fn idle_rights(&self, held: &Keys) -> Vec<(&'static str, &'static str, u64)> {
        let forwards = !self.forwards_none;
        let all = [
            (self.gives_terminals, "`PermitTTY no`", "a terminal", held.with_terminal),
            (self.forwards_agents && forwards, "`AllowAgentForwarding no`", "a socket of its agent", held.with_agent),
            (self.forwards_x11 && forwards, "`X11Forwarding no`", "X11", held.with_x11),
        ];
        all.into_iter().filter(|(is_open, .., keys)| *is_open && *keys > 0).map(|(_, keyword, what, keys)| (keyword, what, keys)).collect()
    }

    /// Whether the account may log in, by its name and its groups, if they are known.
    pub(crate) fn lets_in(&self, account: &str, groups: Option<&[String]>) -> bool {
        let any = |patterns: &[String], name: &str| patterns.iter().any(|pattern| matches(pattern, name));
        let in_one_of = |patterns: &[String]| groups.iter().copied().flatten().any(|group| any(patterns, group));
        // Denied from some hosts is not denied from all.
        let is_denied = self.denied.iter().any(|pattern| !pattern.contains('@') && matches(pattern, account));
        let is_allowed = self.allowed.is_empty() || any(&self.allowed, account);
        let is_in = self.allowed_groups.is_empty() || groups.is_none() || in_one_of(&self.allowed_groups);
        !is_denied && is_allowed && is_in && !in_one_of(&self.denied_groups)
    }
}

/// The connection for `sshd -T -C`. A `Match` on what is not given is an error.
pub(crate) fn connection(account: &str, address: &str, port: u16) -> String {
    format!("user={account},host={address},addr={address},laddr=127.0.0.1,lport={port}")
}

pub(crate) fn settings(answer: &[u8]) -> Option<Settings> {
    let text = String::from_utf8_lossy(answer);
    let mut found = Settings::default();
    let mut whole = false;
    for (keyword, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        let words = || value.split_ascii_whitespace().filter(|word| *word != "none").map(str::to_owned);
        match keyword {
            "forcecommand" => found.force = Some(value.trim().to_owned()).filter(|command| command != "none" && !command.is_empty()),
            "authorizedkeysfile" => {
                whole = true;
                found.key_files = words().collect();
            }
            "authorizedkeyscommand" | "trustedusercakeys" => {
                let value = value.trim();
                found.keys_elsewhere |= value != "none";
                found.certified |= value != "none" && keyword == "trustedusercakeys";
                if keyword == "authorizedkeyscommand" {
                    found.asked_program = Some(value.to_owned()).filter(|command| command != "none");
                }
                found.named.extend(words().next().map(PathBuf::from));
            }
            "authorizedkeyscommanduser" => found.asker = words().next(),
            "port" => found.port = found.port.or_else(|| value.trim().parse().ok()),
            "usepam" => found.pam = value.trim() == "yes",
            "chrootdirectory" => found.chroot = words().next(),
            "permitrootlogin" => found.keeps_root_out = value.trim() == "no",
            "authenticationmethods" => found.wants_more = Some(value.trim().to_owned()).filter(|methods| !is_content_with_a_key(methods)),
            "exposeauthinfo" => found.exposes = value.trim() == "yes",
            "pubkeyauthentication" => found.takes_no_keys = value.trim() == "no",
            "allowtcpforwarding" => found.forwards_tcp = value.trim() != "no",
            "allowstreamlocalforwarding" => found.forwards_sockets = value.trim() != "no",
            "permituserrc" => found.runs_rc = value.trim() == "yes",
            "permituserenvironment" => found.takes_environment = value.trim() != "no",
            "x11forwarding" => found.forwards_x11 = value.trim() == "yes",
            "allowagentforwarding" => found.forwards_agents = value.trim() == "yes",
            "permittty" => found.gives_terminals = value.trim() == "yes",
            "permittunnel" => found.makes_tunnels = value.trim() != "no",
            "disableforwarding" => found.forwards_none = value.trim() == "yes",
            "subsystem" => {
                found.internal_sftp |= words().next().as_deref() == Some("sftp") && words().nth(1).as_deref() == Some(INTERNAL_SFTP)
            }
            "strictmodes" => found.strict = value.trim() == "yes",
            "allowusers" => found.allowed.extend(words()),
            "denyusers" => found.denied.extend(words()),
            "allowgroups" => found.allowed_groups.extend(words()),
            "denygroups" => found.denied_groups.extend(words()),
            _ => {}
        }
    }
    whole.then_some(found)
}

/// Whether one of the lists needs only keys (sshd_config(5), "AuthenticationMethods").
fn is_content_with_a_key(lists: &str) -> bool {
    lists.split_ascii_whitespace().any(|list| list == "any" || list.split(',').all(|method| method == "publickey"))
}

/// The account's files of keys (sshd_config(5), "AuthorizedKeysFile", "TOKENS").
pub(crate) fn key_files(settings: &Settings, account: &str, uid: u32, login: &Login) -> Vec<PathBuf> {
    let home = login.home.display().to_string();
    let expanded = settings.key_files.iter().map(|written| {
        let mut path = String::new();
        let mut rest = written.chars();
        while let Some(character) = rest.next() {
            match (character, if character == '%' { rest.next() } else { None }) {
                ('%', Some('h')) => path.push_str(&home),
                ('%', Some('u')) => path.push_str(account),
                ('%', Some('U')) => path.push_str(&uid.to_string()),
                ('%', Some('%')) => path.push('%'),
                (character, other) => path.extend([Some(character), other].into_iter().flatten()),
            }
        }
        login.home.join(path)
    });
    expanded.collect()
}

/// Whether a name matches a pattern (sshd_config(5), "PATTERNS"); conditions on hosts count as met.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    fn like(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|from| like(rest, name.get(from..).unwrap_or_default())),
            Some((b'?', rest)) => name.split_first().is_some_and(|(_, name)| like(rest, name)),
            Some((byte, rest)) => name.split_first().is_some_and(|(first, name)| first == byte && like(rest, name)),
        }
    }
    let user = pattern.split('@').next().unwrap_or(pattern);
    like(user.as_bytes(), name.as_bytes())
}
