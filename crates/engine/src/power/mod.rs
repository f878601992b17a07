//! Power: VMs started and stopped on QEMU.

#[cfg(feature = "local")]
mod local;
#[cfg(feature = "local")]
pub(crate) use local::*;

use serde::{Deserialize, Serialize};

/// How a VM is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartSpec {
    /// Show a window, where there is a display.
    pub gui: bool,
}

/// How a VM is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopMode {
    /// Ask the guest, and wait for it.
    #[default]
    Soft,
    /// Cut the power.
    Hard,
}
