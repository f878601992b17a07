//! `vmrun listHostNetworks`, `listPortForwardings HOSTNETWORK`, `setPortForwarding ...`,
//! `deletePortForwarding ...`: VMware's virtual networks on this host, whoever made them.

use std::net::Ipv4Addr;
use std::path::Path;

use replix::{Error, Kind};

use super::call::{Answer, Call, Lines};
use super::failure::Failure;

/// The host's own table of which network is reached through which interface.
const ROUTES: &str = "/proc/net/route";

/// A virtual network of the host: `vmnetN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    number: u8,
    subnet: Ipv4Addr,
    mask: Ipv4Addr,
    /// Whether guests are given addresses.
    dhcp: bool,
}

impl Network {
    fn name(self) -> String {
        format!("vmnet{}", self.number)
    }

    /// VMware's meaning of the numbers.
    fn kind(self) -> &'static str {
        match self.number {
            0 => "bridged",
            8 => "nat",
            _ => "hostOnly",
        }
    }
}

/// Returns the networks that are up, in order.
fn networks() -> Vec<Network> {
    let mut networks = parse(&std::fs::read_to_string(ROUTES).unwrap_or_default());
    for network in &mut networks {
        // Who gives addresses has this file, VMware's DHCP server and ours alike.
        let file = format!("/etc/vmware/{}/dhcpd/dhcpd.conf", network.name());
        network.dhcp = Path::new(&file).exists();
    }
    networks
}

/// Reads the networks at which the host itself stands. Source: the kernel's `fib_trie.c`: name,
/// destination, gateway, flags, three counts, mask, the addresses in hex with their first byte last.
fn parse(routes: &str) -> Vec<Network> {
    let mut networks: Vec<_> = routes.lines().filter_map(network).collect();
    networks.sort_by_key(|network| network.number);
    networks.dedup_by_key(|network| network.number);
    networks
}

fn network(route: &str) -> Option<Network> {
    let fields: Vec<_> = route.split_whitespace().collect();
    let address = |field: &str| {
        let number = u32::from_str_radix(field, 16).ok()?;
        Some(Ipv4Addr::from(number.swap_bytes()))
    };
    let number = fields.first()?.strip_prefix("vmnet")?.parse().ok()?;
    let is_own = address(fields.get(2)?)?.is_unspecified();
    is_own.then_some(Network {
        number,
        subnet: address(fields.get(1)?)?,
        mask: address(fields.get(7)?)?,
        dhcp: false,
    })
}

/// Prints the networks.
pub(super) fn list(_: &Call) -> Answer {
    Ok(render(&networks()))
}

fn render(networks: &[Network]) -> Lines {
    let mut lines = Lines::of(format!("Total host networks: {}", networks.len()));
    if !networks.is_empty() {
        lines.push(row(["INDEX", "NAME", "TYPE", "DHCP", "SUBNET", "MASK"]));
    }
    for network in networks {
        lines.push(row([
            &network.number.to_string(),
            &network.name(),
            network.kind(),
            &network.dhcp.to_string(),
            &network.subnet.to_string(),
            &network.mask.to_string(),
        ]));
    }
    lines
}

/// Columns as wide as VMware's.
fn row(cells: [&str; 6]) -> String {
    let [index, name, kind, dhcp, subnet, mask] = cells;
    format!("{index:<5}  {name:<11}  {kind:<11}  {dhcp:<11}  {subnet:<15}  {mask}")
}

/// Prints the ports of the host that lead into guests: there are none.
pub(super) fn list_forwardings(call: &Call) -> Answer {
    require(call)?;
    Ok(Lines::of("Total port forwardings: 0"))
}

/// Refuses to forward a port, or to end that.
pub(super) fn refuse_forwarding(call: &Call) -> Answer {
    require(call)?;
    let text = "ports of the host are not led into guests";
    let hint = "reach the guest by its own address";
    Err(Error::new(Kind::NotSupported, text).hint(hint).into())
}

fn require(call: &Call) -> Result<(), Failure> {
    let name = call.text(0).to_ascii_lowercase();
    if networks().iter().any(|network| network.name() == name) {
        return Ok(());
    }
    Err(Failure::said(format!("There is no host network '{name}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
vmnet8\t0003A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
vmnet8\t0009A8C0\t0103A8C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
vmnet1\t000B10AC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
vmnetx\t000B10AC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
vmnet9\n";

    #[test]
    fn networks_are_listed_in_columns() {
        let mut networks = parse(TABLE);
        networks[1].dhcp = true;
        let text = String::from_utf8(render(&networks).into_bytes()).unwrap();
        insta::assert_snapshot!(text, @"
        Total host networks: 2
        INDEX  NAME         TYPE         DHCP         SUBNET           MASK
        1      vmnet1       hostOnly     false        172.16.11.0      255.255.255.0
        8      vmnet8       nat          true         192.168.3.0      255.255.255.0
        ");
    }

    #[test]
    fn host_without_networks_has_none() {
        let text = render(&parse("")).into_bytes();
        assert_eq!(text, b"Total host networks: 0\n");
    }
}
