//! A range of IPv4 addresses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 network with 16 to 28 fixed bits: `192.168.100.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    first: u32,
    prefix: u8,
}

impl Subnet {
    /// Returns the network address: the first one, which nobody has.
    pub fn address(self) -> Ipv4Addr {
        self.first.into()
    }

    /// Returns the address that the host has on it.
    pub fn host(self) -> Ipv4Addr {
        (self.first + 1).into()
    }

    /// Returns the mask: `255.255.255.0`.
    pub fn mask(self) -> Ipv4Addr {
        (u32::MAX << (32 - self.prefix)).into()
    }

    /// Returns the address that reaches all.
    pub fn broadcast(self) -> Ipv4Addr {
        (self.first + (self.size() - 1)).into()
    }

    /// Returns the first and the last address that guests are given: the upper half, as VMware does.
    pub fn range(self) -> (Ipv4Addr, Ipv4Addr) {
        let first = self.first + self.size() / 2;
        let last = u32::from(self.broadcast()) - 1;
        (first.into(), last.into())
    }

    /// Returns the number of fixed bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Tells whether the address is one of this network's.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & u32::from(self.mask()) == self.first
    }

    fn size(self) -> u32 {
        1 << (32 - self.prefix)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "24"));
        let parsed = address.parse::<Ipv4Addr>().ok().zip(prefix.parse().ok());
        let (address, prefix) = parsed.ok_or("a subnet looks like 192.168.100.0/24")?;
        if !(16..=28).contains(&prefix) {
            return Err("a subnet has 16 to 28 fixed bits".into());
        }
        let subnet = Self {
            first: address.into(),
            prefix,
        };
        match subnet.contains(address) && address.is_private() {
            true => Ok(subnet),
            false => Err("a subnet begins with its network address, and is private".into()),
        }
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnet_knows_its_addresses() {
        let subnet: Subnet = "192.168.77.0".parse().unwrap();
        assert_eq!(subnet.to_string(), "192.168.77.0/24");
        assert_eq!(subnet.host().to_string(), "192.168.77.1");
        assert_eq!(subnet.mask().to_string(), "255.255.255.0");
        let (first, last) = subnet.range();
        assert_eq!(first.to_string(), "192.168.77.128");
        assert_eq!(last.to_string(), "192.168.77.254");
        assert!(subnet.contains(last) && !subnet.contains([192, 168, 78, 1].into()));
        let wide: Subnet = "10.7.0.0/16".parse().unwrap();
        assert_eq!(wide.broadcast().to_string(), "10.7.255.255");
    }

    #[test]
    fn senseless_subnets_are_refused() {
        for text in [
            "",
            "x",
            "10.0.0.0/8",
            "10.0.0.0/29",
            "192.168.7.9/24",
            "8.8.8.0/24",
        ] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }
}
