//! What works in the background: bridges, their DHCP servers, address translation.
//!
//! All of it is gone after a reboot, and made again by `replix network up`, which a unit of systemd
//! calls.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::leases::{self, LEASE_SECONDS};
use super::record::Record;
use super::tool::{feed, run, succeeds};
use super::{Network, NetworkKind};
use crate::error::{Error, Kind, Result};
use crate::store::{Access, Local, Store, create_dirs, machine, read_small};

/// Where leases outlive a reboot.
pub(super) const STATE: &str = "/var/lib/replix/network";

/// Where the numbers of the servers' processes are.
pub(super) const RUN: &str = "/run/replix-network";

/// Whether the host passes packets on between its networks.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// A DHCP server that has not ended by then will not.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes everything that is missing of the networks, and starts their servers anew.
///
/// # Errors
/// What the programs say that do it.
pub(super) fn start(record: &Record) -> Result<()> {
    create_dirs(&Local, Path::new(RUN))?;
    for network in &record.networks {
        bridge(network)?;
        end_server(network)?;
        let args = server(network);
        run(
            "dnsmasq",
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
        )?;
    }
    feed("nft", &["-f", "-"], &rules(&record.networks))?;
    set_forwarding(true)?;
    if let Some(helper) = &record.helper {
        // An upgrade of the package may have taken it away.
        run("chmod", &["u+s", &helper.to_string_lossy()])?;
    }
    Ok(())
}

/// Takes all of it back.
///
/// # Errors
/// As [`start`].
pub(super) fn stop(record: &Record) -> Result<()> {
    for network in &record.networks {
        end_server(network)?;
        if exists(network.name()) {
            run("ip", &["link", "del", network.name()])?;
        }
    }
    feed("nft", &["-f", "-"], CLEAR)?;
    if record.forwarding_was_off {
        set_forwarding(false)?;
    }
    if let Some(helper) = &record.helper {
        run("chmod", &["u-s", &helper.to_string_lossy()])?;
    }
    Ok(())
}

/// Tells whether there is an interface of that name.
pub(super) fn exists(interface: &str) -> bool {
    succeeds("ip", &["link", "show", "dev", interface])
}

/// Tells whether VMs are connected to the network.
///
/// # Errors
/// As [`run`].
pub(super) fn is_used(network: &Network) -> Result<bool> {
    if !exists(network.name()) {
        return Ok(false);
    }
    let ports = run("ip", &["-o", "link", "show", "master", network.name()])?;
    Ok(!ports.trim().is_empty())
}

fn bridge(network: &Network) -> Result<()> {
    let (name, subnet) = (network.name(), network.subnet);
    if !exists(name) {
        // A bridge's port passes packets on at once: there is no loop to be found first.
        let kind = "type bridge stp_state 0 forward_delay 0";
        let line = format!("link add {name} address {} {kind}", network.host_mac());
        run("ip", &line.split(' ').collect::<Vec<_>>())?;
    }
    let address = format!("{}/{}", subnet.host(), subnet.prefix());
    let broadcast = subnet.broadcast().to_string();
    let args = [
        "addr",
        "replace",
        &address,
        "broadcast",
        &broadcast,
        "dev",
        name,
    ];
    run("ip", &args)?;
    run("ip", &["link", "set", name, "up"]).map(drop)
}

/// The file with the number of the server's process.
fn pid_file(network: &Network) -> PathBuf {
    Path::new(RUN).join(format!("{}.pid", network.name()))
}

/// What the server runs when a lease changes.
pub(super) fn event_script(network: &Network) -> PathBuf {
    Path::new("/etc/replix").join(format!("{}.event", network.name()))
}

/// The arguments of dnsmasq. Each network has its own server, which so hears only its own bridge.
fn server(network: &Network) -> Vec<String> {
    let (first, last) = network.subnet.range();
    let mask = network.subnet.mask();
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    let mut args = vec![
        "--conf-file=/dev/null".to_string(),
        "--no-hosts".into(),
        format!("--interface={}", network.name()),
        "--except-interface=lo".into(),
        "--bind-dynamic".into(),
        // Clones of one guest tell the same client id: only their MAC addresses differ.
        "--dhcp-ignore-clid".into(),
        "--dhcp-authoritative".into(),
        // Nobody else gives addresses here, and each ping would hold up all that wait.
        "--no-ping".into(),
        format!("--dhcp-range={first},{last},{mask},{LEASE_SECONDS}"),
        format!("--dhcp-leasefile={}", path(leases::file(network))),
        format!("--dhcp-script={}", path(event_script(network))),
        "--script-on-renewal".into(),
        format!("--pid-file={}", path(pid_file(network))),
    ];
    if network.kind == NetworkKind::HostOnly {
        // There is no way out: no router, no names.
        args.extend(["--dhcp-option=option:router".into(), "--port=0".into()]);
    }
    args
}

fn end_server(network: &Network) -> Result<()> {
    let bytes = read_small(&Local, &pid_file(network), 64).unwrap_or_default();
    let pid: Option<u32> = String::from_utf8_lossy(&bytes).trim().parse().ok();
    let is_server = |pid: &u32| {
        let name = PathBuf::from(format!("/proc/{pid}/exe"));
        Local
            .canonical(&name)
            .is_ok_and(|exe| exe.ends_with("dnsmasq"))
    };
    let ended = || match Local.remove_file(&pid_file(network)) {
        Err(error) if error.kind() != Kind::FileNotFound => Err(error),
        // The server may not remove it itself: it has given up root's rights.
        _ => Ok(()),
    };
    let Some(pid) = pid.filter(is_server) else {
        return ended();
    };
    // One that has ended meanwhile is what we want.
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    let deadline = Instant::now() + PATIENCE;
    while machine::is_alive(pid, None) {
        if Instant::now() >= deadline {
            let text = format!("the DHCP server of {} does not end", network.name());
            return Err(Error::new(Kind::Timeout, text));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    ended()
}

/// Removes our table, if it is there.
const CLEAR: &str = "table ip replix\ndelete table ip replix\n";

/// Our own table of nftables: guests of the NAT network reach out in the host's name, nothing from
/// outside reaches them; a host-only network has no way in or out.
fn rules(networks: &[Network]) -> String {
    let (mut translate, mut forward) = (String::new(), String::new());
    for network in networks {
        let (name, subnet) = (network.name(), network.subnet);
        // Packets within a bridge come here too, where the host filters bridges.
        forward += &format!("iifname \"{name}\" oifname \"{name}\" accept\n");
        match network.kind {
            NetworkKind::HostOnly => forward += &format!("iifname \"{name}\" drop\n"),
            NetworkKind::Nat => {
                forward += &format!("oifname \"{name}\" ct state established,related accept\n");
                translate += &format!("ip saddr {subnet} ip daddr != {subnet} masquerade\n");
            }
        }
        forward += &format!("oifname \"{name}\" drop\n");
    }
    format!(
        "{CLEAR}table ip replix {{\n\
         chain postrouting {{\ntype nat hook postrouting priority srcnat;\n{translate}}}\n\
         chain forward {{\ntype filter hook forward priority filter;\n{forward}}}\n}}\n"
    )
}

/// Tells whether the host passes packets on between its networks.
///
/// # Errors
/// What the system says.
pub(super) fn forwards() -> Result<bool> {
    let mut word = [0];
    Local
        .open(Path::new(FORWARDING), Access::Read)?
        .read_at(&mut word, 0)?;
    Ok(word != *b"0")
}

fn set_forwarding(on: bool) -> Result<()> {
    if forwards()? == on {
        return Ok(());
    }
    let file = Local.open(Path::new(FORWARDING), Access::Write)?;
    file.write_at(if on { b"1" } else { b"0" }, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(kind: NetworkKind) -> Network {
        let subnet = "192.168.90.0/24".parse().unwrap();
        Network { kind, subnet }
    }

    #[test]
    fn host_only_network_has_no_way_out() {
        let args = server(&network(NetworkKind::HostOnly));
        assert!(
            args.contains(&"--port=0".into())
                && args.contains(&"--dhcp-option=option:router".into())
        );
        let rules = rules(&[network(NetworkKind::HostOnly)]);
        assert!(rules.contains("iifname \"vmnet1\" drop\noifname \"vmnet1\" drop\n"));
        assert!(!rules.contains("masquerade"));
    }

    #[test]
    fn nat_network_answers_only_what_it_asked() {
        let args = server(&network(NetworkKind::Nat));
        assert!(!args.contains(&"--port=0".into()));
        assert!(
            args.contains(&"--dhcp-range=192.168.90.128,192.168.90.254,255.255.255.0,600".into())
        );
        let rules = rules(&[network(NetworkKind::Nat)]);
        assert!(rules.contains("ip daddr != 192.168.90.0/24 masquerade\n"));
        assert!(rules.contains("ct state established,related accept\noifname \"vmnet8\" drop\n"));
    }
}
