//! `vmrun listNetworkAdapters|addNetworkAdapter|setNetworkAdapter|deleteNetworkAdapter VMX ...`.

use replix::Vm;
use replix::vm::{Connection, DeviceCall, NicInfo, Variable, VariableKind};

use super::call::{Answer, Call, Lines};
use super::devices;
use super::failure::Failure;

/// Prints the adapters: number, kind of network, network.
pub(super) fn list(call: &Call) -> Answer {
    let vm = call.open()?;
    let nics = vm.info()?.nics;
    let mut lines = Lines::default();
    lines.push(format!("Total network adapters: {}", nics.len()));
    if !nics.is_empty() {
        lines.push(row("INDEX", "TYPE", "VMNET"));
    }
    for nic in nics {
        let index = nic.device.trim_start_matches("ethernet");
        lines.push(row(index, &nic.connection, &network(&vm, &nic)?));
    }
    Ok(lines)
}

/// Columns as wide as VMware's.
fn row(index: &str, kind: &str, network: &str) -> String {
    format!("{index:<5}  {kind:<11}  {network}")
        .trim_end()
        .to_string()
}

/// The virtual network of an adapter: VMware's numbers for all but those of `custom`.
fn network(vm: &Vm, nic: &NicInfo) -> Result<String, Failure> {
    let name = match nic.connection.as_str() {
        "bridged" => "vmnet0",
        "hostonly" => "vmnet1",
        "nat" => "vmnet8",
        _ => {
            let name = format!("{}.vnet", nic.device);
            let kind = VariableKind::Config;
            let vnet = vm.read_variable(&Variable { kind, name })?;
            return Ok(vnet.trim_start_matches("/dev/").to_string());
        }
    };
    Ok(name.into())
}

/// Adds an adapter; prints nothing.
pub(super) fn add(call: &Call) -> Answer {
    let to = connection(call, 1)?;
    devices::run(call, DeviceCall::AddAdapter { to })
}

/// Connects an adapter elsewhere; prints nothing.
pub(super) fn set(call: &Call) -> Answer {
    let (number, to) = (index(call)?, connection(call, 2)?);
    devices::run(call, DeviceCall::SetAdapter { number, to })
}

/// Takes an adapter out; prints nothing.
pub(super) fn delete(call: &Call) -> Answer {
    let number = index(call)?;
    devices::run(call, DeviceCall::RemoveAdapter { number })
}

fn index(call: &Call) -> Result<u8, Failure> {
    let word = call.text(1);
    word.parse()
        .map_err(|_| Failure::said(format!("'{word}' is no index of a network adapter")))
}

/// Reads the kind of network at `index`, and for a custom one its name behind it.
fn connection(call: &Call, index: usize) -> Result<Connection, Failure> {
    Ok(match call.mode(index).as_str() {
        "bridged" => Connection::Bridged,
        "nat" => Connection::Nat,
        "hostonly" => Connection::HostOnly,
        "custom" => {
            call.require(index + 1, "HOSTNETWORK")?;
            Connection::Custom(call.text(index + 1))
        }
        other => {
            let words = "The adapter type must be nat, bridged, hostonly or custom";
            return Err(Failure::said(format!("{words}, not '{other}'")));
        }
    })
}
