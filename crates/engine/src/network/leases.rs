//! Who has which address: the leases of the networks' DHCP servers.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::attach::Attachment;
use super::record::networks;
use super::{Network, told};
use crate::error::Result;
use crate::store::{Local, Store, read_small};
use crate::vm::VmConfig;

/// How long an address is a guest's without a new word from it: short, since clones come and go and
/// a network has 127 addresses to give.
pub(super) const LEASE_SECONDS: u64 = 600;

/// No list of leases is larger.
const LIMIT: u64 = 16 << 20;

/// An address that a guest has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// When it ends, in seconds since 1970.
    pub(super) ends: u64,
    /// The guest's MAC address, in lower case.
    pub(super) mac: String,
    /// The address.
    pub(super) address: Ipv4Addr,
    /// What the guest calls itself.
    pub(super) name: Option<String>,
}

/// Where the DHCP server of a network keeps its leases.
pub(super) fn file(network: &Network) -> PathBuf {
    let name = format!("{}.leases", network.name());
    Path::new(super::services::STATE).join(name)
}

/// Returns the leases of a network; none where nothing of it can be read.
pub(super) fn leases_of(store: &dyn Store, network: &Network) -> Vec<Lease> {
    let bytes = read_small(store, &file(network), LIMIT).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let leases = text.lines().filter_map(parse);
    leases
        .filter(|lease| network.subnet.contains(lease.address))
        .collect()
}

/// Reads leases from any bytes, to be fuzzed: what comes of them may stand in a file of ours.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn read_leases(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let leases: Vec<Lease> = text.lines().filter_map(parse).collect();
    for lease in &leases {
        let plain = |name: &String| !name.contains(|c: char| c.is_control() || c == ' ');
        assert!(lease.name.as_ref().is_none_or(plain), "{:?}", lease.name);
        let _ = current(&leases, &lease.mac, 0);
    }
}

/// Reads `ENDS MAC ADDRESS NAME CLIENT`. Source: dnsmasq's manual and what it writes.
fn parse(line: &str) -> Option<Lease> {
    let mut words = line.split(' ');
    let ends = words.next()?.parse().ok()?;
    let mac = words.next()?.to_ascii_lowercase();
    let address = words.next()?.parse().ok()?;
    // dnsmasq lets no other characters pass; what we write into files must not depend on it.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name = words.next().filter(|name| name.chars().all(is_plain));
    Some(Lease {
        ends,
        mac,
        address,
        name: name.map(String::from),
    })
}

/// Returns the address of the guest with this configuration, where it is on a network of this host
/// and has asked for one there. It needs no agent: a lease names the adapter's MAC address.
///
/// # Errors
/// `BadConfig` where the record of the networks makes no sense.
pub(crate) fn address_of(config: &VmConfig) -> Result<Option<Ipv4Addr>> {
    let networks = networks()?;
    for nic in config.nics().iter().filter(|nic| nic.start_connected) {
        let Ok(Attachment::Bridge(bridge)) = Attachment::of(nic) else {
            continue;
        };
        let network = networks.iter().find(|network| network.name() == bridge);
        let found = network
            .zip(nic.mac.as_deref())
            .and_then(|(network, mac)| current(&leases_of(&Local, network), mac, told::now()));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The address that `mac` has now.
fn current(leases: &[Lease], mac: &str, now: u64) -> Option<Ipv4Addr> {
    let mine = |lease: &&Lease| lease.mac.eq_ignore_ascii_case(mac) && lease.ends > now;
    let latest = leases.iter().filter(mine).max_by_key(|lease| lease.ends);
    latest.map(|lease| lease.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_is_read_from_its_line() {
        let lease = parse("1767225599 00:0C:29:AA:BB:01 192.168.90.130 web *").unwrap();
        assert_eq!(
            (lease.ends, lease.mac.as_str()),
            (1_767_225_599, "00:0c:29:aa:bb:01")
        );
        assert_eq!(lease.name.as_deref(), Some("web"));
        let nameless = parse("1 00:0c:29:aa:bb:01 192.168.90.130 * *").unwrap();
        assert_eq!(nameless.name, None);
        assert_eq!(parse("duid 00:01"), None);
    }

    #[test]
    fn only_a_current_lease_is_an_address() {
        let lease = |ends: u64, last: u8| Lease {
            ends,
            mac: "00:0c:29:aa:bb:01".into(),
            address: [192, 168, 90, last].into(),
            name: None,
        };
        let leases = [lease(100, 1), lease(300, 3), lease(200, 2)];
        let found = |mac, now| current(&leases, mac, now).map(|address| address.octets()[3]);
        assert_eq!(found("00:0C:29:AA:BB:01", 150), Some(3));
        assert_eq!(found("00:0c:29:aa:bb:01", 300), None);
        assert_eq!(found("00:0c:29:aa:bb:02", 150), None);
    }
}
