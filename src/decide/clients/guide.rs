//! What to put on the client: how its ssh finds the server, the server's own key, and when it
//! pushes. Its private key is on the client already, and stays there.

use super::key::PublicKey;
use super::preset::{Preset, calendar};
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

/// A text as one word of a command line of systemd's (systemd.service(5), "COMMAND LINES").
fn as_one_word(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$"))
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
        format!("{}  {}", self.preset.times(self.client), self.push())
    }

    fn push(&self) -> String {
        let source = if self.preset.row().source == "$HOME/" { "~/" } else { self.preset.row().source };
        self.preset.pushes(source, self.alias)
    }

    /// What its units are called, without what kind they are (systemd.unit(5)).
    pub fn unit(&self) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
        format!("snapgate-{}", self.client.as_str().chars().map(plain).collect::<String>())
    }

    /// The unit that pushes, by this command line of systemd's. What was missed while the machine was
    /// off is due as soon as it starts, when there is no network yet; in a user's own systemd nobody
    /// knows of that, and these lines say nothing.
    pub fn service(&self, runs: &str) -> String {
        format!(
            "[Unit]\nDescription={} pushes to {}\nWants=network-online.target\nAfter=network-online.target\n\n[Service]\nType=oneshot\n\
             ExecStart={runs}\n",
            self.client, self.alias
        )
    }

    /// The unit that says when. What was missed is made up for.
    pub fn timer(&self) -> String {
        let times = calendar(&self.preset.times(self.client));
        format!(
            "[Unit]\nDescription=when {} pushes to {}\n\n[Timer]\nOnCalendar={times}\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n",
            self.client, self.alias
        )
    }

    /// All of it in few bytes, for a QR code: lines for a shell. They add, so once is enough.
    pub fn lines(&self) -> String {
        let config: String = self.config("~/.ssh/id_backup").lines().map(|line| line.replace("    ", " ") + "\n").collect();
        let known = self.known_host().map(|line| format!("echo '{line}'>>known_hosts\n")).unwrap_or_default();
        format!("mkdir -p ~/.ssh;cd ~/.ssh\ncat>>config<<E\n{config}E\n{known}cd;{}\n", self.push())
    }

    /// All of it, for people.
    pub fn text(&self) -> String {
        let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
        let known = match self.known_host() {
            Some(line) => format!("In ~/.ssh/known_hosts, so that cron meets this server and no other:\n\n{}\n", indented(&line)),
            None => format!("Connect once by hand (`ssh {}`) and compare the server's key: cron cannot.\n\n", self.alias),
        };
        let who = if self.preset == Preset::Server { "its root" } else { "the user whose files they are" };
        let unit = self.unit();
        let place = if self.preset == Preset::Server { "/etc/systemd/system" } else { "~/.config/systemd/user" };
        let (start, lasts) = if self.preset == Preset::Server {
            (format!("systemctl enable --now {unit}.timer"), "")
        } else {
            (format!("systemctl --user enable --now {unit}.timer"), "; loginctl enable-linger, so that it goes on when nobody is logged in")
        };
        format!(
            "On the client, as {who}, in ~/.ssh/config:\n\n{}\n{known}`ssh {}` tells what it may do. In its crontab (crontab -e):\n\n{}\n\
             Or, where systemd runs, in {place}/{unit}.service:\n\n{}\nand in {unit}.timer beside it:\n\n{}\nThen: {start}{lasts}\n",
            indented(&self.config("~/.ssh/id_backup")),
            self.alias,
            indented(&self.cron()),
            indented(&self.service(&format!("/bin/sh -c {}", as_one_word(&self.push())))),
            indented(&self.timer()),
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
        assert!(text.contains("OnCalendar=*-*-* *:") && text.contains("ExecStart=/bin/sh -c \"rsync -az --delete ~/ backup:\""), "{text}");
        // Eighty columns have room for a QR code of so many bytes, with its margin.
        assert!(guide.lines().len() <= 425, "{}", guide.lines());
        let rsbackup = Guide { preset: Preset::Rsbackup, ..guide };
        assert!(rsbackup.text().contains("ssh backup complete $$? ; }\""), "{}", rsbackup.text());
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
