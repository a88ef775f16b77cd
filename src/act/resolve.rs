//! Names of hosts to addresses, all at once and within a time limit. A name that fails or is late gives nothing, so that
//! whoever compares with it does not match.
//!
//! Whatever comes back has been a process's output: it counts line by line, and half a line is none.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::terms::limits::{MAX_ADDRESSES, MAX_HOSTS};

/// Looks the names up in parallel, for at most `limit` together, and writes a line for each that has an answer: the name, and
/// its addresses. For a process of its own: a lookup cannot be interrupted, so threads that are late are left behind.
///
/// The C library's resolver obeys variables of the environment (resolv.conf(5), host.conf(5)): with one of them a client
/// that sshd lets set variables could send a name to an address of its choice. Then nothing is looked up at all.
pub fn names(names: &[&str], limit: Duration, out: &mut dyn Write) {
    if std::env::vars_os().any(|(name, _)| bends_resolver(&name)) {
        return;
    }
    let until = Instant::now() + limit;
    let (answer, answers) = mpsc::channel();
    let mut waiting = 0usize;
    for name in names.iter().take(MAX_HOSTS) {
        let (answer, name) = (answer.clone(), (*name).to_owned());
        let started = std::thread::Builder::new().name("resolve".to_owned()).spawn(move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            let addresses = found.map(|all| canonical(all.map(|address| address.ip())));
            // Nobody listens any more when the time is up.
            let _late = answer.send((name, addresses.unwrap_or_default()));
        });
        waiting += usize::from(started.is_ok());
    }
    while waiting > 0 {
        let Ok((name, addresses)) = answers.recv_timeout(until.saturating_duration_since(Instant::now())) else {
            break;
        };
        waiting -= 1;
        let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
        // Nobody who would read it, nobody who would miss it.
        let _ = out.write_all(format!("{name} {}\n", addresses.join(" ")).as_bytes());
    }
}

/// Reads what [`names`] has written. Names without an answer are left out.
#[must_use]
pub fn read(lines: &[u8]) -> Vec<(String, Vec<IpAddr>)> {
    let whole = lines.split_inclusive(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok()?.strip_suffix('\n'));
    let answers = whole.filter_map(|line| {
        let (name, addresses) = line.split_once(' ')?;
        let addresses: Vec<IpAddr> = addresses.split(' ').filter_map(|address| address.parse().ok()).take(MAX_ADDRESSES).collect();
        (!addresses.is_empty()).then(|| (name.to_owned(), addresses))
    });
    answers.collect()
}

/// An answer's addresses in one form, once each, at most [`MAX_ADDRESSES`] of them.
fn canonical(answer: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let all: BTreeSet<_> = answer.take(MAX_ADDRESSES).map(|address| address.to_canonical()).collect();
    all.into_iter().collect()
}

fn bends_resolver(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    [&b"HOSTALIASES"[..], b"LOCALDOMAIN", b"RES_OPTIONS"].contains(&name) || name.starts_with(b"RESOLV_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(asked: &[&str]) -> Vec<(String, Vec<IpAddr>)> {
        let mut said = Vec::new();
        names(asked, Duration::from_secs(3), &mut said);
        read(&said)
    }

    #[test]
    fn half_a_line_is_no_answer() {
        assert_eq!(
            read(b"a 192.0.2.1 x 192.0.2.2\nb\nc \nd 192.0.2.3"),
            [("a".to_owned(), vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()])]
        );
    }

    #[test]
    fn a_name_resolves_and_one_that_does_not_is_left_out() {
        let begun = Instant::now();
        let found = resolved(&["localhost", "nothing.invalid"]);
        assert!(begun.elapsed() < Duration::from_secs(4));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "localhost");
        assert!(found[0].1.iter().all(IpAddr::is_loopback));
        assert!(resolved(&[]).is_empty());
    }

    #[test]
    fn every_name_has_its_own_addresses_once_each() {
        let mut found = resolved(&["127.0.0.2", "localhost", "::ffff:192.0.2.1", "127.0.0.2"]);
        found.sort();
        found.dedup();
        let numbers = found.iter().filter(|(name, _)| name != "localhost").cloned().collect::<Vec<_>>();
        let expected = [("127.0.0.2", "127.0.0.2"), ("::ffff:192.0.2.1", "192.0.2.1")];
        let mut expected = expected.map(|(name, address)| (name.to_owned(), vec![address.parse::<IpAddr>().unwrap()])).to_vec();
        expected.sort();
        assert_eq!(numbers, expected, "an IPv4 address in IPv6's clothes is the IPv4 address");
        let local = found.iter().find(|(name, _)| name == "localhost").unwrap();
        assert_eq!(local.1.iter().collect::<std::collections::BTreeSet<_>>().len(), local.1.len(), "{local:?}");
    }

    #[test]
    fn no_more_names_than_the_limit_are_looked_up() {
        let many: Vec<_> = (0..MAX_HOSTS + 5).map(|number| format!("127.0.1.{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let found: std::collections::BTreeSet<_> = resolved(&many).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, many[..MAX_HOSTS].iter().map(|name| (*name).to_owned()).collect());
    }

    #[test]
    fn an_answer_of_any_length_has_no_more_addresses_than_count() {
        let endless = (0_u32..).map(|number| IpAddr::from(number.to_be_bytes()));
        assert_eq!(canonical(endless).len(), MAX_ADDRESSES);
        let twice = ["::ffff:192.0.2.1", "192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        assert_eq!(canonical(twice.into_iter()), ["192.0.2.1", "2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn a_variable_that_bends_the_resolver_is_known() {
        for name in ["HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_HOST_CONF"] {
            assert!(bends_resolver(OsStr::new(name)), "{name}");
        }
        assert!(!bends_resolver(OsStr::new("LANG")));
    }
}
