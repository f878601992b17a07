//! What other programs read about the networks, in `/etc/vmware` as VMware's products leave it there.
//!
//! Source of the forms: what VMware's products write, as the programs that read it expect it
//! (image builders, Vagrant, docker-machine).

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::leases::{LEASE_SECONDS, Lease, leases_of};
use super::record::networks;
use super::{Network, NetworkKind};
use crate::error::{Error, Kind, Result, escaped};
use crate::store::{Local, replace};

const FOLDER: &str = "/etc/vmware";

/// Image builders want a file called `license-ws-*` before they start anything.
const LICENCE: (&str, &str) = (
    "license-ws-replix",
    "# Replix needs no licence key. Programs that were written for others look for this file.\n",
);

/// Returns the files about networks with what is in them; no leases yet.
pub(super) fn files(networks: &[Network]) -> Vec<(PathBuf, String)> {
    let folder = Path::new(FOLDER);
    let mut networking = "VERSION=1,0\n".to_string();
    let mut map = "network0.name = \"Bridged\"\nnetwork0.device = \"vmnet0\"\n".to_string();
    let mut files = Vec::new();
    for network in networks {
        networking += &answers(network);
        map += &map_lines(network);
        let own = folder.join(network.name());
        files.push((own.join("dhcpd/dhcpd.conf"), dhcp(network)));
        files.push((told(network), String::new()));
        if network.kind == NetworkKind::Nat {
            files.push((own.join("nat/nat.conf"), nat(network)));
        }
    }
    files.push((folder.join("networking"), networking));
    files.push((folder.join("netmap.conf"), map));
    files.push((folder.join(LICENCE.0), LICENCE.1.into()));
    files
}

/// Where the leases of a network are told.
fn told(network: &Network) -> PathBuf {
    Path::new(FOLDER)
        .join(network.name())
        .join("dhcpd/dhcpd.leases")
}

fn number(network: &Network) -> &'static str {
    network.name().trim_start_matches("vmnet")
}

fn answers(network: &Network) -> String {
    let (n, subnet) = (number(network), network.subnet);
    let nat = match network.kind {
        NetworkKind::Nat => format!("answer VNET_{n}_NAT yes\n"),
        NetworkKind::HostOnly => String::new(),
    };
    let (mask, address) = (subnet.mask(), subnet.address());
    format!(
        "answer VNET_{n}_DHCP yes\nanswer VNET_{n}_HOSTONLY_NETMASK {mask}\n\
         answer VNET_{n}_HOSTONLY_SUBNET {address}\n{nat}answer VNET_{n}_VIRTUAL_ADAPTER yes\n"
    )
}

fn map_lines(network: &Network) -> String {
    let (n, name) = (number(network), network.name());
    let title = match network.kind {
        NetworkKind::HostOnly => "HostOnly",
        NetworkKind::Nat => "NAT",
    };
    format!("network{n}.name = \"{title}\"\nnetwork{n}.device = \"{name}\"\n")
}

fn dhcp(network: &Network) -> String {
    let (subnet, host) = (network.subnet, network.subnet.host());
    let (first, last) = subnet.range();
    let router = match network.kind {
        NetworkKind::Nat => {
            format!("\toption domain-name-servers {host};\n\toption routers {host};\n")
        }
        NetworkKind::HostOnly => String::new(),
    };
    format!(
        "subnet {} netmask {} {{\n\trange {first} {last};\n\toption broadcast-address {};\n\
         {router}\tdefault-lease-time {LEASE_SECONDS};\n\tmax-lease-time {LEASE_SECONDS};\n}}\n\
         host {} {{\n\thardware ethernet {};\n\tfixed-address {host};\n}}\n",
        subnet.address(),
        subnet.mask(),
        subnet.broadcast(),
        network.name(),
        network.host_mac(),
    )
}

fn nat(network: &Network) -> String {
    let (host, prefix) = (network.subnet.host(), network.subnet.prefix());
    let device = network.name();
    format!(
        "[host]\nip = {host}/{prefix}\ndevice = /dev/{device}\n\n[incomingtcp]\n\n[incomingudp]\n"
    )
}

/// Tells the leases of the network `name` as they are now; its DHCP server calls for it.
///
/// # Errors
/// `Argument` where there is no such network; what the system says.
pub fn tell_leases(name: &str) -> Result<()> {
    let networks = networks()?;
    let network = networks.iter().find(|network| network.name() == name);
    let Some(network) = network else {
        let text = format!("there is no network \"{}\"", escaped(name));
        return Err(Error::new(Kind::Argument, text));
    };
    let text: String = leases_of(&Local, network).iter().map(entry).collect();
    replace(&Local, &told(network), text.as_bytes())
}

/// A lease in the form of ISC's DHCP server, times in UTC.
fn entry(lease: &Lease) -> String {
    let starts = utc(lease.ends.saturating_sub(LEASE_SECONDS));
    let name = lease.name.as_ref().map_or(String::new(), |name| {
        format!("\tclient-hostname \"{name}\";\n")
    });
    format!(
        "lease {} {{\n\tstarts {starts};\n\tends {};\n\thardware ethernet {};\n{name}}}\n",
        lease.address,
        utc(lease.ends),
        lease.mac,
    )
}

/// Seconds since 1970 as `W YYYY/MM/DD HH:MM:SS`, Sunday being 0.
fn utc(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86400, seconds % 86400);
    let weekday = (days + 4) % 7;
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday} {year}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Days since 1970 as year, month and day.
fn date(mut days: u64) -> (u64, usize, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
    ] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(kind: NetworkKind) -> Network {
        let subnet = "192.168.90.0/24".parse().unwrap();
        Network { kind, subnet }
    }

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(utc(0), "4 1970/01/01 00:00:00");
        assert_eq!(utc(951_827_696), "2 2000/02/29 12:34:56");
        assert_eq!(utc(1_767_225_599), "3 2025/12/31 23:59:59");
    }

    #[test]
    fn lease_has_the_form_of_isc() {
        let lease = Lease {
            ends: LEASE_SECONDS,
            mac: "00:0c:29:00:00:01".into(),
            address: [192, 168, 90, 130].into(),
            name: Some("web".into()),
        };
        assert!(entry(&lease).starts_with(
            "lease 192.168.90.130 {\n\tstarts 4 1970/01/01 00:00:00;\n\tends 4 1970/01/01 00:10:00;\n\
             \thardware ethernet 00:0c:29:00:00:01;\n\tclient-hostname \"web\";\n}\n"
        ));
    }

    #[test]
    fn files_say_what_callers_look_for() {
        let files = files(&NetworkKind::ALL.map(network));
        let text = |name: &str| {
            &files
                .iter()
                .find(|(path, _)| path.ends_with(name))
                .unwrap()
                .1
        };
        let conf = text("vmnet8/dhcpd/dhcpd.conf");
        assert!(conf.contains("host vmnet8 {\n\thardware ethernet 00:50:56:c0:00:08;\n"));
        assert!(conf.contains("fixed-address 192.168.90.1;") && conf.contains("option routers"));
        assert!(!text("vmnet1/dhcpd/dhcpd.conf").contains("option routers"));
        assert!(
            text("netmap.conf").contains("network8.name = \"NAT\"\nnetwork8.device = \"vmnet8\"")
        );
        assert!(text("networking").contains("answer VNET_8_NAT yes\n"));
        assert_eq!(text("vmnet1/dhcpd/dhcpd.leases"), "");
        assert!(text("license-ws-replix").starts_with("# Replix needs no licence key."));
    }
}
