//! Whether a connection comes from where a policy says.

use std::net::IpAddr;

use super::Source;
use crate::terms::Peer;

/// Whether the peer is in one of the networks, or has an address of one of the names in `resolved`;
/// a name that is not there does not match. IPv4-mapped addresses count as IPv4. A source with a
/// link matches on that link alone.
pub fn matches(from: &[Source], peer: &Peer, resolved: &[(String, Vec<IpAddr>)]) -> bool {
    let address = peer.address.to_canonical();
    from.iter().any(|source| match source {
        Source::Network(network) => network.contains(&address),
        Source::OnLink(network, link) => network.contains(&address) && peer.link.as_ref() == Some(link),
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
        Source::Network(_) | Source::OnLink(..) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn matches(from: &[Source], peer: Peer, resolved: &[(String, Vec<IpAddr>)]) -> bool {
        super::matches(from, &peer, resolved)
    }

    fn peer(text: &str) -> Peer {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_of_one_link_is_somebody_else_on_another() {
        let on = |network: &str, link: &str| Source::OnLink(network.parse().unwrap(), crate::terms::Link::new(link).unwrap());
        let from = [on("fe80::1/128", "eth0"), on("fe80::aa00/120", "br-lan"), Source::Network("fe80::2/128".parse().unwrap())];
        for text in ["fe80::1%eth0", "fe80::aa07%br-lan", "fe80::2", "fe80::2%eth0", "fe80::2%wlan0"] {
            assert!(matches(&from, peer(text), &[]), "{text}");
        }
        for text in ["fe80::1", "fe80::1%eth1", "fe80::1%br-lan", "fe80::aa07%eth0", "fe80::3%eth0"] {
            assert!(!matches(&from, peer(text), &[]), "{text}");
        }
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
            assert!(matches(&from, peer(address), &resolved), "{address}");
        }
        for address in ["192.0.3.0", "2001:db8:1::1", "203.0.113.1", "::c000:201"] {
            assert!(!matches(&from, peer(address), &resolved), "{address}");
        }
        assert!(!matches(&from, peer("198.51.100.7"), &[]), "a name that did not resolve does not match");
        assert!(!matches(&[], peer("192.0.2.1"), &resolved), "no source is no place");
        assert!(!matches(&[Source::Network("::/0".parse().unwrap())], peer("::ffff:192.0.2.1"), &[]), "IPv4 is not IPv6");
        assert_eq!(hosts(&from).collect::<Vec<_>>(), ["rt.example.net"]);
    }
}
