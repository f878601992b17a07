//! The address at which this host reaches a guest.

use std::net::Ipv4Addr;

use qapi::qga::{self, GuestNetworkInterface};

use super::agent::Channel;
use super::runtime::Record;
use crate::error::Result;
use crate::job::Job;
use crate::network::{self, is_reachable};
use crate::vm::{Env, VmFolder};

/// Returns the address of a running VM's guest: the one that a network of ours gave it, else the one
/// that its agent tells of an adapter on a bridge of this host.
///
/// # Errors
/// `BadConfig` where the record of the networks makes no sense.
pub(super) fn find(env: &Env, vm: &VmFolder, record: Record) -> Result<Option<Ipv4Addr>> {
    if let Some(address) = network::address_of(&vm.config)? {
        return Ok(Some(address));
    }
    let nics = vm.config.nics();
    let macs = nics.iter().filter(|nic| is_reachable(nic));
    let macs: Vec<_> = macs.filter_map(|nic| nic.mac.as_deref()).collect();
    if macs.is_empty() {
        return Ok(None);
    }
    let job = Job::new();
    let agent = Channel::of(env, record, &job);
    // Where no agent tells it, nobody knows it.
    let told = agent.ask(&qga::guest_network_get_interfaces {}).ok();
    let interfaces = told.unwrap_or_default();
    let ours = |one: &&GuestNetworkInterface| {
        let mac = one.hardware_address.as_deref().unwrap_or_default();
        macs.iter().any(|ours| ours.eq_ignore_ascii_case(mac))
    };
    Ok(first_address(interfaces.iter().filter(ours)))
}

/// Returns the first IPv4 address of a guest's interfaces that others may reach.
pub(crate) fn first_address<'a>(
    interfaces: impl IntoIterator<Item = &'a GuestNetworkInterface>,
) -> Option<Ipv4Addr> {
    let addresses = interfaces
        .into_iter()
        .flat_map(|one| one.ip_addresses.iter().flatten());
    addresses
        .filter_map(|one| one.ip_address.parse::<Ipv4Addr>().ok())
        .find(|ip| !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified())
}
