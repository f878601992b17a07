//! What is done to single devices of a VM: network adapters, plugs, the keyboard.

use serde::{Deserialize, Serialize};

/// Something done to a device of a VM. Devices have the names of the configuration: `ethernet0`,
/// `sata0:1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceCall {
    /// Gives a VM that is off another network adapter, at the first free place.
    AddAdapter {
        /// What it is connected to.
        to: Connection,
    },
    /// Connects a network adapter of a VM that is off elsewhere.
    SetAdapter {
        /// Its number: 0 for `ethernet0`.
        number: u8,
        /// What it is connected to from now on.
        to: Connection,
    },
    /// Takes a network adapter out of a VM that is off.
    RemoveAdapter {
        /// Its number.
        number: u8,
    },
    /// Plugs a device of a running VM in, or pulls it: an adapter's cable, a CD. It lasts until the
    /// VM is powered off.
    Connect {
        /// The device.
        device: String,
        /// In, or out.
        connected: bool,
    },
    /// Types on the keyboard of a running VM, which is taken for an American one.
    Type {
        /// What is typed; a line feed is the enter key.
        text: String,
    },
}

/// What a network adapter is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// The network of the host itself.
    Bridged,
    /// The network that reaches the outside through the host.
    Nat,
    /// The network of the host and its guests alone.
    HostOnly,
    /// The virtual network of this name: `vmnet2`.
    Custom(String),
}
