//! Virtual networks of this machine: VMware's `vmnet1` (host only) and `vmnet8` (NAT), made once by
//! root, used by everybody; and any bridge that exists.
//!
//! `record` remembers what was set up, `setup` makes and removes it, `services` runs what works in
//! the background, `told` writes what other programs read about it; `attach` connects an adapter,
//! `leases` finds a guest's address.

#[cfg(feature = "local")]
mod attach;
#[cfg(feature = "local")]
mod leases;
#[cfg(feature = "local")]
mod record;
#[cfg(feature = "local")]
mod services;
#[cfg(feature = "local")]
mod setup;
mod subnet;
#[cfg(feature = "local")]
mod told;
#[cfg(feature = "local")]
mod tool;

use serde::{Deserialize, Serialize};

#[cfg(any(all(test, feature = "local"), feature = "fuzz"))]
pub(crate) use leases::read_leases;
pub use subnet::Subnet;
#[cfg(feature = "local")]
pub(crate) use {
    attach::{Attachment, is_reachable, tap},
    leases::address_of,
};
#[cfg(feature = "local")]
pub use {
    record::networks,
    setup::{SetupSpec, bring_up, remove, setup},
    told::tell_leases,
};

/// What a network connects its guests with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkKind {
    /// This host and each other.
    HostOnly,
    /// These, and the outside in the host's name.
    Nat,
}

impl NetworkKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::HostOnly, Self::Nat];

    /// Returns the name of the network, which is also its bridge's.
    ///
    /// Source: VMware's numbers; its manuals, "Virtual Network Editor".
    pub fn network(self) -> &'static str {
        match self {
            Self::HostOnly => "vmnet1",
            Self::Nat => "vmnet8",
        }
    }

    /// Returns VMware's word for it, as in a `.vmx`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostOnly => "hostonly",
            Self::Nat => "nat",
        }
    }
}

/// A network that is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// What it is.
    pub kind: NetworkKind,
    /// Its addresses. The host has the first one.
    pub subnet: Subnet,
}

impl Network {
    /// Returns its name, which is also its bridge's.
    pub fn name(&self) -> &'static str {
        self.kind.network()
    }

    /// Returns the MAC address of the host on it, as VMware forms it: `00:50:56:c0:00:NN`.
    #[cfg(feature = "local")]
    fn host_mac(&self) -> &'static str {
        match self.kind {
            NetworkKind::HostOnly => "00:50:56:c0:00:01",
            NetworkKind::Nat => "00:50:56:c0:00:08",
        }
    }
}
