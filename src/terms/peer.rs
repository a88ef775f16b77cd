//! An address, and the link of one that is of a single link (RFC 4007).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::limits::MAX_LINK_NAME;

/// The name of a network interface of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link(String);

impl Link {
    /// The name of an interface. Digits alone would be its number, which can change.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_LINK_NAME).contains(&text.len()) && text != "." && text != "..";
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%\"'\\".contains(&byte));
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        (fits && plain && !number).then(|| Self(text.to_owned()))
    }
}

super::word::text!(Link);

/// The other end of a connection. IPv4-mapped addresses are IPv4.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Its link, where that is known and the address needs one (`fe80::1%eth0`).
    pub link: Option<Link>,
}

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address: write it like 192.0.2.7, 2001:db8::1 or fe80::1%eth0")]
pub struct NotAPeer(pub String);

/// Whether an address is of one link alone (`fe80::/10`).
pub fn is_of_a_link(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), link: None }
    }
}

impl FromStr for Peer {
    type Err = NotAPeer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAPeer(super::text::printable(text.as_bytes()));
        let (address, link) = text.split_once('%').map_or((text, None), |(address, link)| (address, Some(link)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let link = match link {
            None => None,
            Some(link) if is_of_a_link(address) => Some(Link::new(link).ok_or_else(wrong)?),
            Some(_) => return Err(wrong()),
        };
        Ok(Self { address: address.to_canonical(), link })
    }
}

super::word::as_string!(Peer, NotAPeer);

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.link {
            Some(link) => write!(out, "{}%{link}", self.address),
            None => write!(out, "{}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_one_link_may_say_which_and_no_other_can() {
        for (text, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("fe80::1", "fe80::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("fe80::1%br-lan.2", "fe80::1%br-lan.2"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            let peer: Peer = text.parse().unwrap();
            assert_eq!(peer.to_string(), shown);
            assert_eq!(serde_json::from_str::<Peer>(&serde_json::to_string(&peer).unwrap()).unwrap(), peer);
        }
        let long = format!("fe80::1%{}", "e".repeat(MAX_LINK_NAME + 1));
        for text in
            ["", "fe80::1%", "fe80::1%2", "fe80::1%a b", "fe80::1%a/b", "fe80::1%a%b", "2001:db8::1%eth0", "192.0.2.7%eth0", "eth0", &long]
        {
            assert!(text.parse::<Peer>().is_err(), "{text}");
        }
    }
}
