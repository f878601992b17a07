//! Variables of a VM: what programs on the host and in the guest tell each other.

use serde::{Deserialize, Serialize};

/// What a variable is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VariableKind {
    /// The messages between host and guest: what the configuration calls `guestinfo.NAME`.
    Guest,
    /// The configuration of the running VM.
    Config,
}

/// A variable of a VM. What is written to one lasts until the VM is powered off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// What it is a part of.
    pub kind: VariableKind,
    /// Its name, in any case.
    pub name: String,
}
