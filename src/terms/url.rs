//! Where something is told over HTTP. What stands behind the host may be as good as a password, so it
//! is in no error, in no log, and not in the words for debugging.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::client::ClientName;
use super::limits::{MAX_URL, MAX_URL_HOST};

/// What goes before a URL whose contents may be read on the way.
const INSECURE: &str = "insecure:";

/// What stands for the client's name in a URL.
const CLIENT: &str = "{client}";

/// A URL of `https:`, or of `http:` where nobody reads along or that was said to be no matter.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    tls: bool,
    host: String,
    port: u16,
    /// Path and query, from the first `/`.
    target: String,
}

impl Url {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is none, in words that have nothing of it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let (is_insecure, text) = text.strip_prefix(INSECURE).map_or((false, text), |rest| (true, rest));
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err("the URL does not begin with https://: write it like https://host/path"),
        };
        if text.len() > MAX_URL || !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`|#".contains(&byte)) {
            return Err("the URL has letters that none has, or too many: write it as a browser shows it when it is copied, without #");
        }
        let (place, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if place.contains('@') {
            return Err("the URL has a user in it: use a path that has the token, as such services give it");
        }
        let (host, port) = split_port(place).ok_or("the URL has no host, or no port behind `:`: write it like https://host:8443/path")?;
        let address = host.parse::<IpAddr>().ok();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if address.is_none() && (host.is_empty() || host.len() > MAX_URL_HOST || !host.bytes().all(plain)) {
            return Err("the URL has no host that could be found: write it like https://host/path");
        }
        let is_here = host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback());
        if !tls && !is_insecure && !is_here {
            return Err(
                "whoever is on the way reads what goes to an http:// URL: use https://, or write insecure:http:// if that is no matter",
            );
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { tls, host: host.to_ascii_lowercase(), port: port.unwrap_or(if tls { 443 } else { 80 }), target })
    }

    /// Whether it is one of `https:`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The host as the header has it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// The same with another last part of its path.
    #[must_use]
    pub fn below(&self, part: &str) -> Self {
        let (path, query) = self.target.split_at(self.target.find('?').unwrap_or(self.target.len()));
        Self { target: format!("{}/{part}{query}", path.trim_end_matches('/')), ..self.clone() }
    }

    /// The same for that client.
    #[must_use]
    pub fn of(&self, client: &ClientName) -> Self {
        let mut name = String::new();
        for byte in client.as_str().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                name.push(char::from(byte));
            } else {
                name.push_str(&format!("%{byte:02X}"));
            }
        }
        Self { target: self.target.replace(CLIENT, &name), ..self.clone() }
    }
}

/// What anybody may see of it.
impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}/…")
    }
}

fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => {
            let (host, rest) = place.split_at(place.find(':').unwrap_or(place.len()));
            // What looks like an address has to be one.
            let is_numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            (!is_numeric || host.parse::<Ipv4Addr>().is_ok()).then_some((host, rest))?
        }
    };
    match port.strip_prefix(':') {
        None => port.is_empty().then_some((host, None)),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port > 0).map(|port| (host, Some(port)))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_shows_no_more_than_its_host() {
        let url = Url::new("https://HC-ping.com/secret-uuid?a=b").unwrap();
        assert_eq!((url.host(), url.port(), url.target(), url.is_tls()), ("hc-ping.com", 443, "/secret-uuid?a=b", true));
        assert_eq!(url.below("fail").target(), "/secret-uuid/fail?a=b");
        assert_eq!((url.to_string(), format!("{url:?}")), ("https://hc-ping.com".to_owned(), "https://hc-ping.com/…".to_owned()));
        let url = Url::new("http://[::1]:8000").unwrap();
        assert_eq!((url.host(), url.port(), url.target(), url.authority().as_str()), ("::1", 8000, "/", "[::1]:8000"));
        let url = Url::new("https://h/key/{client}").unwrap().of(&"web1@x.org".parse().unwrap());
        assert_eq!(url.target(), "/key/web1%40x.org");
        assert_eq!(Url::new("https://h/a/").unwrap().below("fail").target(), "/a/fail");
    }

    #[test]
    fn what_is_sent_in_the_clear_stays_here_unless_somebody_says_so() {
        for here in ["http://localhost/x", "http://127.0.0.1:1/x", "http://[::1]/x", "insecure:http://10.0.0.5/x", "insecure:https://h/"] {
            assert!(Url::new(here).is_ok(), "{here}");
        }
        for wrong in [
            "http://10.0.0.5/secret",
            "http://localhost.example.org/secret",
            "http://127.0.0.1.example.org/secret",
            "http://127.1/secret",
            "http://2130706433/secret",
            "ftp://h/secret",
            "https:///secret",
            "https://user:secret@h/",
            "https://h:0/secret",
            "https://h:99999/secret",
            "https://h:+80/secret",
            "https://[::1/secret",
            "https://[::1]x/secret",
            "https://h/secret\r\nX: y",
            "https://h/secret#x",
            "https://h h/secret",
            "secret",
            "",
        ] {
            let fault = Url::new(wrong).unwrap_err();
            assert!(!fault.contains("secret") && fault.contains(": "), "{wrong}: {fault}");
        }
    }
}
