//! Whether a connection comes from where a policy says. Pure: names have been looked up by the story `names`.

use std::net::IpAddr;

use super::policy::Source;

/// Whether `address` is in one of the networks, or is an address of one of the names. `resolved` holds, for each name,
/// what it resolved to; a name that is not there does not match. IPv4-mapped addresses count as IPv4 everywhere.
pub fn matches(from: &[Source], address: IpAddr, resolved: &[(String, Vec<IpAddr>)]) -> bool {
    let address = address.to_canonical();
    from.iter().any(|source| match source {
        Source::Network(network) => network.contains(&address),
        Source::Host(name) => {
            let known = resolved.iter().filter(|(resolved, _)| resolved == name);
            known.flat_map(|(_, addresses)| addresses).any(|known| known.to_canonical() == address)
        }
    })
}

/// The names among the sources.
pub fn hosts(from: &[Source]) -> impl Iterator<Item = &str> {
    from.iter().filter_map(|source| match source {
        Source::Host(name) => Some(name.as_str()),
        Source::Network(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_and_names_match_in_one_form_of_address() {
        let from = [
            Source::Network("192.0.2.0/24".parse().unwrap()),
            Source::Network("2001:db8::/48".parse().unwrap()),
            Source::Host("rt.example.net".to_owned()),
        ];
        let resolved =
            [("rt.example.net".to_owned(), vec![ip("::ffff:198.51.100.7")]), ("other.example.net".to_owned(), vec![ip("203.0.113.1")])];
        for address in ["192.0.2.255", "::ffff:192.0.2.1", "2001:db8::1", "198.51.100.7"] {
            assert!(matches(&from, ip(address), &resolved), "{address}");
        }
        for address in ["192.0.3.0", "2001:db8:1::1", "203.0.113.1", "::c000:201"] {
            assert!(!matches(&from, ip(address), &resolved), "{address}");
        }
        assert!(!matches(&from, ip("198.51.100.7"), &[]), "a name that did not resolve does not match");
        assert!(!matches(&[], ip("192.0.2.1"), &resolved), "no source is no place");
        assert!(!matches(&[Source::Network("::/0".parse().unwrap())], ip("::ffff:192.0.2.1"), &[]), "IPv4 is not IPv6");
        assert_eq!(hosts(&from).collect::<Vec<_>>(), ["rt.example.net"]);
    }
}
