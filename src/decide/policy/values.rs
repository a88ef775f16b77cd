//! Values in site and policy files: each is read from its text, or refused with advice.

use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::decide::policy::window::{Days, Hours};
use crate::decide::policy::yaml::{Word, Wrong};
use crate::terms::limits::{HOOK_LIMIT, IDLE_LIMIT, MAX_ACCOUNT_NAME, MAX_FROZEN, MAX_HOST_NAME, MAX_MAIL_ADDRESS, MAX_QUOTED, PUSH_LIMIT};
use crate::terms::peer::is_of_a_link;
use crate::terms::text::{printable, still_printable};
use crate::terms::word::nearest;
use crate::terms::{Fingerprint, Link, NamePattern, Tiding, Url, Verb, ZoneName};

use super::limits::whole;
use super::{Current, KeepOwners, Namespaces, PartialPushes, Report, Source, Switch, Tls, Transport, WhenFull};

/// The text, quoted for a message.
fn quoted(text: &str) -> String {
    format!("`{}`", printable(text.as_bytes()))
}

/// The error for a text that is no such value.
fn not(text: &str, what: &str, help: impl Into<String>) -> Wrong {
    Wrong::new(format!("{} is not {what}", quoted(text)), help)
}

/// Splits `what: what to do`.
fn split(words: &str) -> Wrong {
    let (message, help) = words.rsplit_once(": ").unwrap_or((words, "see the manual"));
    Wrong::new(message, help)
}

/// Values that are words of a table.
macro_rules! choices {
    ($($name:ident, $what:expr, $is:literal;)+) => {$(
        impl Word for $name {
            const WHAT: &'static str = $what;

            fn read(text: &str) -> Result<Self, Wrong> {
                let words = $name::ALL.map($name::as_str);
                $name::read(text).ok_or_else(|| {
                    let help = match nearest(text, words) {
                        Some(word) => format!("did you mean `{word}`?"),
                        None => format!("write {}", $name::EITHER),
                    };
                    Wrong::new(format!("{} is {}", quoted(text), $is), help)
                })
            }

            fn choices() -> Vec<(&'static str, &'static str)> {
                $name::ALL.map(|one| (one.as_str(), one.means())).to_vec()
            }
        }
    )+};
}

choices! {
    Verb, "a verb", "not a verb";
    Report, Report::EITHER, "not a choice of report";
    KeepOwners, KeepOwners::EITHER, "not a choice about owners";
    PartialPushes, PartialPushes::EITHER, "not a choice about partial pushes";
    Namespaces, Namespaces::EITHER, "neither required nor optional";
    WhenFull, WhenFull::EITHER, "neither refuse nor shorten";
    Switch, Switch::EITHER, "neither on nor off";
    Current, Current::EITHER, "not where `current` can lead";
    Tiding, Tiding::EITHER, "nothing that is told";
}

/// A unix account's name.
#[derive(Debug, Clone)]
pub(super) struct AccountName(pub String);

impl Word for AccountName {
    const WHAT: &'static str = "the name of a unix account";

    fn read(text: &str) -> Result<Self, Wrong> {
        let first = text.starts_with(|first: char| first.is_alphanumeric() || first == '_');
        // A domain comes before `\` or `+`, or behind `@`; machine accounts end with `$`.
        let rest = text.chars().all(|letter| letter.is_alphanumeric() || "._-@\\+$".contains(letter)) && !text.ends_with('\\');
        if !first || !rest || text.len() > MAX_ACCOUNT_NAME {
            return Err(Wrong::new(
                format!("`{}` is not the name of a unix account", still_printable(text, MAX_QUOTED)),
                format!("use letters, digits and `._-@\\+$`, beginning with a letter or digit, at most {MAX_ACCOUNT_NAME} bytes"),
            ));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Wrong::new(
                format!("{} could be a name or a number", quoted(text)),
                format!("leave `user:` out and call the policy's file {text}.yaml, which is for the account of that name"),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Word for Fingerprint {
    const WHAT: &'static str = "a key's fingerprint";

    fn read(text: &str) -> Result<Self, Wrong> {
        let help = "write what `ssh-keygen -lf key.pub` prints: SHA256: and 43 characters";
        text.parse().map_err(|_| not(text, Self::WHAT, help))
    }
}

/// Values whose own errors say what to do.
macro_rules! outspoken {
    ($($name:ident, $what:literal, $read:expr;)+) => {$(
        impl Word for $name {
            const WHAT: &'static str = $what;

            fn read(text: &str) -> Result<Self, Wrong> {
                $read(text).map_err(|error| split(&error.to_string()))
            }
        }
    )+};
}

outspoken! {
    ZoneName, "the name of a time zone", ZoneName::new;
    Days, "days like mon-fri or sat,sun", Days::parse;
    Hours, "hours like \"22:00-06:00\"", Hours::parse;
    Url, "a URL like https://host/path", Url::new;
}

impl Word for NamePattern {
    const WHAT: &'static str = "a strftime pattern";

    fn read(text: &str) -> Result<Self, Wrong> {
        Self::new(text).map_err(|error| {
            Wrong::new(format!("{} cannot name snapshots: {error}", quoted(text)), format!("for example \"{}\"", Self::DEFAULT))
        })
    }
}

/// What a frozen client reads: one line.
#[derive(Debug, Clone)]
pub(super) struct Frozen(pub String);

impl Word for Frozen {
    const WHAT: &'static str = "a text of one line";

    fn read(text: &str) -> Result<Self, Wrong> {
        let is_printable = still_printable(text, usize::MAX) == text;
        if text.trim().is_empty() || !is_printable || text.len() > MAX_FROZEN {
            return Err(Wrong::new(
                format!("{} is no text for a client", quoted(text)),
                format!("write one line of at most {MAX_FROZEN} bytes that can be printed"),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An absolute path without `..`.
#[derive(Debug, Clone)]
pub(super) struct Absolute(pub PathBuf);

impl Word for Absolute {
    const WHAT: &'static str = "an absolute path";

    fn read(text: &str) -> Result<Self, Wrong> {
        let path = Path::new(text);
        if !path.is_absolute() {
            return Err(not(text, Self::WHAT, "begin it with `/`"));
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(Wrong::new(format!("{} has `..` in it", quoted(text)), "write the path without it"));
        }
        if path.components().count() < 2 {
            return Err(Wrong::new("the root directory cannot be meant here", "name a directory or file below it"));
        }
        Ok(Self(path.components().collect()))
    }
}

/// A file that Prometheus' node exporter reads.
#[derive(Debug, Clone)]
pub(super) struct Textfile(pub PathBuf);

impl Word for Textfile {
    const WHAT: &'static str = "an absolute path that ends in .prom";

    fn read(text: &str) -> Result<Self, Wrong> {
        let Absolute(path) = Absolute::read(text)?;
        if path.extension().is_none_or(|end| end != "prom") {
            return Err(Wrong::new(format!("{} does not end in .prom", quoted(text)), "the node exporter reads no other files"));
        }
        Ok(Self(path))
    }
}

/// A path, or `off`.
#[derive(Debug, Clone)]
pub(super) struct AbsoluteOrOff(pub Option<PathBuf>);

impl Word for AbsoluteOrOff {
    const WHAT: &'static str = "an absolute path, or off";

    fn read(text: &str) -> Result<Self, Wrong> {
        if text == "off" { Ok(Self(None)) } else { Absolute::read(text).map(|Absolute(path)| Self(Some(path))) }
    }
}

/// Time limits, each with its range.
macro_rules! limit {
    ($name:ident, $range:ident) => {
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name(pub Duration);

        impl Word for $name {
            const WHAT: &'static str = "a time like 10m or 24h";

            fn read(text: &str) -> Result<Self, Wrong> {
                let (least, most) = (humantime::format_duration(*$range.start()), humantime::format_duration(*$range.end()));
                let time = humantime::parse_duration(text).map_err(|_| not(text, "a time", "write it like 30s, 10m or 24h"))?;
                if $range.contains(&time) && time.subsec_nanos() == 0 {
                    return Ok(Self(time));
                }
                Err(Wrong::new(format!("{} is out of range", quoted(text)), format!("use whole seconds from {least} to {most}")))
            }

            fn values() -> String {
                let (least, most) = (humantime::format_duration(*$range.start()), humantime::format_duration(*$range.end()));
                format!("{}, from {least} to {most}", Self::WHAT)
            }
        }
    };
}

limit!(Idle, IDLE_LIMIT);
limit!(Push, PUSH_LIMIT);
limit!(HookTime, HOOK_LIMIT);

impl Word for Source {
    const WHAT: &'static str = "a network, an address or host:NAME";

    fn read(text: &str) -> Result<Self, Wrong> {
        if let Some(name) = text.strip_prefix("host:") {
            return host(name).map(Self::Host);
        }
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let (address, link) = address.split_once('%').map_or((address, None), |(address, link)| (address, Some(link)));
        let Ok(address) = address.parse::<IpAddr>() else {
            let help = match host(text) {
                Ok(_) if text.bytes().any(|byte| byte.is_ascii_alphabetic()) => format!("if it is a name, write host:{text}"),
                _ => "write it like 192.0.2.0/24, 192.0.2.7 or \"2001:db8::/48\", no part with a leading zero".to_owned(),
            };
            return Err(not(text, "a network, nor an address", help));
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) => {
                whole(digits).and_then(|length| u8::try_from(length).ok()).filter(|length| *length <= most).ok_or_else(|| {
                    Wrong::new(format!("{} has no prefix length after `/`", quoted(text)), format!("write a number from 0 to {most}"))
                })?
            }
        };
        let network = network(text, address, length)?;
        match link {
            None => Ok(Self::Network(network)),
            Some(link) => on_link(text, address, length, link).map(|link| Self::OnLink(network, link)),
        }
    }
}

/// The link behind `%` (RFC 4007, 11).
fn on_link(text: &str, address: IpAddr, length: u8, link: &str) -> Result<Link, Wrong> {
    if !is_of_a_link(address) || length < 10 {
        return Err(Wrong::new(
            format!("{} says a link for addresses that are the same on every one", quoted(text)),
            "leave out what stands behind `%`: only addresses in fe80::/10 are of one link",
        ));
    }
    Link::new(link).ok_or_else(|| {
        Wrong::new(
            format!("{} has no name of a network interface behind `%`", quoted(text)),
            "write it as `ip link` shows it, and a prefix behind it: \"fe80::1%eth0\" or \"fe80::%eth0/64\"",
        )
    })
}

/// The network, an IPv4-mapped one as IPv4, as connections are compared.
fn network(text: &str, address: IpAddr, length: u8) -> Result<IpNet, Wrong> {
    let canonical = address.to_canonical();
    let (address, length) = if canonical.is_ipv4() && address.is_ipv6() {
        let short = length.checked_sub(96).ok_or_else(|| {
            Wrong::new(format!("{} reaches beyond the IPv4-mapped addresses", quoted(text)), "write the IPv4 network itself")
        })?;
        (canonical, short)
    } else {
        (address, length)
    };
    let network = IpNet::new(address, length).map_err(|_| not(text, "a network", "shorten its prefix"))?;
    if network.trunc() != network {
        return Err(Wrong::new(
            format!("{} has bits set beyond its prefix", quoted(text)),
            format!("write {} for the network, or {address} for the address", network.trunc()),
        ));
    }
    Ok(network)
}

/// A DNS name (RFC 1123, 2.1), in lower case.
fn host(name: &str) -> Result<String, Wrong> {
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if name.len() <= MAX_HOST_NAME && name.split('.').all(label_ok) && !numeric {
        return Ok(name.to_ascii_lowercase());
    }
    Err(not(name, "the name of a host", "write it like host:rt-1080.example.net; an address stands without host:"))
}

/// A mail address, or an account on this machine.
#[derive(Debug, Clone)]
pub(super) struct MailAddress(pub String);

impl Word for MailAddress {
    const WHAT: &'static str = "a mail address";

    fn read(text: &str) -> Result<Self, Wrong> {
        let (local, domain) = text.split_once('@').map_or((text, None), |(local, domain)| (local, Some(domain)));
        // Plain addresses only: nothing that a mailer could take for an option.
        let local_ok = !local.is_empty()
            && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&*+/=?^_~-".contains(&byte))
            && !local.starts_with(['-', '.', '|', '/'])
            && !local.ends_with('.')
            && !local.contains("..");
        if local_ok && domain.is_none_or(|domain| host(domain).is_ok()) && text.len() <= MAX_MAIL_ADDRESS {
            return Ok(Self(text.to_owned()));
        }
        Err(not(text, Self::WHAT, "write it like ops@example.org, or an account of this machine like root"))
    }
}

impl Word for Transport {
    const WHAT: &'static str = "a way for mail";

    fn read(text: &str) -> Result<Self, Wrong> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("off", "") => Ok(Self::Off),
            ("sendmail", "") => Ok(Self::Sendmail(PathBuf::from("/usr/sbin/sendmail"))),
            ("sendmail", path) => Absolute::read(path).map(|Absolute(path)| Self::Sendmail(path)),
            ("file", path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                Absolute::read(path).map(|Absolute(path)| Self::Directory(path))
            }
            ("smtp", rest) => smtp(text, rest, Tls::None, 25),
            ("starttls", rest) => smtp(text, rest, Tls::Starttls, 587),
            ("smtps", rest) => smtp(text, rest, Tls::Implicit, 465),
            _ => {
                let help = "write sendmail, smtp://host:25, starttls://user@host, smtps://user@host, file:/some/dir or off";
                Err(not(text, Self::WHAT, help))
            }
        }
    }
}

fn smtp(text: &str, rest: &str, tls: Tls, port: u16) -> Result<Transport, Wrong> {
    let bad = |help: &str| not(text, "a mail server", help);
    let rest = rest.strip_prefix("//").ok_or_else(|| bad("write two slashes after the colon"))?;
    let (user, server) = rest.rsplit_once('@').map_or((None, rest), |(user, server)| (Some(user), server));
    if user.is_some_and(|user| user.contains(':')) {
        return Err(Wrong::new(
            "a password in the transport",
            "put it into a file of its own and name that: password_file: in the site file, --password-file for `snapgate init`",
        ));
    }
    let user_ok = |user: &str| !user.is_empty() && user.len() <= MAX_MAIL_ADDRESS && user.bytes().all(|byte| byte.is_ascii_graphic());
    if !user.is_none_or(user_ok) {
        return Err(bad("the account before `@` has to be plain letters"));
    }
    let (name, digits) = match server.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((address, after)) => (address, after.strip_prefix(':').or(if after.is_empty() { None } else { Some("") })),
        None => server.split_once(':').map_or((server, None), |(name, digits)| (name, Some(digits))),
    };
    let port = match digits {
        None => port,
        Some(digits) => digits.parse().ok().filter(|port| *port > 0).ok_or_else(|| bad("the port is a number from 1 to 65535"))?,
    };
    let host = match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host(name).map_err(|_| bad("after `//` and an optional `user@` stands the server's name or address"))?,
    };
    Ok(Transport::Smtp { host, port, tls, user: user.map(str::to_owned) })
}
