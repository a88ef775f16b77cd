//! What to put on the client: how its ssh finds the server, the server's own key, and when it
//! pushes. Its private key is on the client already, and stays there.

use super::key::PublicKey;
use super::preset::Preset;
use crate::terms::ClientName;

/// What the client's machine has to know.
#[derive(Debug, Clone, Copy)]
pub struct Guide<'a> {
    /// The client.
    pub client: &'a ClientName,
    /// The account.
    pub account: &'a str,
    /// The server's name or address, as the client calls it.
    pub host: &'a str,
    /// sshd's port.
    pub port: u16,
    /// The server's own key, if it has one that could be read.
    pub host_key: Option<&'a PublicKey>,
    /// What the client calls the server.
    pub alias: &'a str,
    /// Its kind.
    pub preset: Preset,
}

/// Whether a text is a host's name or address, and nothing that ssh or a shell would take for more.
pub fn names_a_host(text: &str) -> bool {
    let first = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == ':');
    first
        && text.len() <= crate::terms::limits::MAX_HOST_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_".contains(&byte))
}

impl Guide<'_> {
    /// The server in a file of known hosts.
    pub fn known_host(&self) -> Option<String> {
        let name = if self.port == 22 { self.host.to_owned() } else { format!("[{}]:{}", self.host, self.port) };
        self.host_key.map(|key| format!("{name} {}", key.plain()))
    }

    /// The lines of ssh_config(5), with the file of the private key.
    pub fn config(&self, identity: &str) -> String {
        let Self { host, account, alias, .. } = self;
        let port = if self.port == 22 { String::new() } else { format!("    Port {}\n", self.port) };
        format!(
            "Host {alias}\n    HostName {host}\n{port}    User {account}\n    IdentityFile {identity}\n    IdentitiesOnly yes\n    \
             ServerAliveInterval 60\n"
        )
    }

    /// The line of the client's crontab.
    pub fn cron(&self) -> String {
        let source = if self.preset.row().source == "$HOME/" { "~/" } else { self.preset.row().source };
        format!("{}  {}", self.preset.times(self.client), self.preset.pushes(source, self.alias))
    }

    /// All of it, for people.
    pub fn text(&self) -> String {
        let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
        let known = match self.known_host() {
            Some(line) => format!("In ~/.ssh/known_hosts, so that cron meets this server and no other:\n\n{}\n", indented(&line)),
            None => format!("Connect once by hand (`ssh {}`) and compare the server's key: cron cannot.\n\n", self.alias),
        };
        let who = if self.preset == Preset::Server { "its root" } else { "the user whose files they are" };
        format!(
            "On the client, as {who}, in ~/.ssh/config:\n\n{}\n{known}`ssh {}` tells what it may do. In its crontab (crontab -e):\n\n{}",
            indented(&self.config("~/.ssh/id_backup")),
            self.alias,
            indented(&self.cron()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::GOOD;
    use super::*;

    #[test]
    fn the_client_is_told_all_that_it_needs() {
        let (client, key) = ("web1".parse().unwrap(), PublicKey::read(GOOD).unwrap());
        let guide = Guide {
            client: &client,
            account: "web1",
            host: "backup.example.org",
            port: 22,
            host_key: Some(&key),
            alias: "backup",
            preset: Preset::Laptop,
        };
        let text = guide.text();
        for line in [
            "Host backup",
            "HostName backup.example.org",
            "User web1",
            "backup.example.org ssh-ed25519 AAAA",
            "rsync -az --delete ~/ backup:",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let other = Guide { port: 2222, host: "2001:db8::1", host_key: None, ..guide };
        assert!(other.text().contains("Port 2222") && other.text().contains("by hand"), "{}", other.text());
        let other = Guide { port: 2222, ..guide };
        assert!(other.text().contains("[backup.example.org]:2222 ssh-ed25519"), "{}", other.text());
    }

    #[test]
    fn a_host_is_no_option_and_no_second_line() {
        for good in ["backup", "backup.example.org", "192.0.2.1", "2001:db8::1", "::1"] {
            assert!(names_a_host(good), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a\nb", "a;b", "$(id)", "a'b", &"a".repeat(300)] {
            assert!(!names_a_host(bad), "{bad}");
        }
    }
}
