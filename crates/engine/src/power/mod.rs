//! Power: VMs started, paused, reset, suspended and stopped on QEMU.
//!
//! `machine` turns a configuration into QEMU's arguments and touches nothing; `start` and `stop` own
//! the process; `present` shows QEMU the disks; `runtime` remembers the process for every other one of
//! the user, `variables` what they write about it. `halted` holds a running VM still, `seam` exchanges
//! its disks meanwhile, `saved` is its memory in files, which `transfer` takes from QEMU and gives back,
//! apart as `pages` has it; `feed` reads it ahead.

#[cfg(feature = "local")]
mod accelerator;
#[cfg(feature = "local")]
mod address;
#[cfg(feature = "local")]
mod agent;
mod console;
#[cfg(feature = "local")]
mod feed;
#[cfg(any(all(test, feature = "local"), feature = "fuzz"))]
mod fuzzed;
#[cfg(feature = "local")]
mod halted;
#[cfg(feature = "local")]
mod keys;
#[cfg(feature = "local")]
mod machine;
#[cfg(feature = "local")]
mod media;
#[cfg(feature = "local")]
mod pages;
#[cfg(feature = "local")]
mod pause;
#[cfg(feature = "local")]
mod plug;
#[cfg(feature = "local")]
mod present;
#[cfg(feature = "local")]
mod preview;
#[cfg(feature = "local")]
mod qmp;
#[cfg(feature = "local")]
mod runtime;
#[cfg(feature = "local")]
mod saved;
#[cfg(feature = "local")]
mod screen;
#[cfg(feature = "local")]
mod seam;
#[cfg(feature = "local")]
mod shares;
#[cfg(feature = "local")]
mod start;
#[cfg(feature = "local")]
mod stop;
#[cfg(feature = "local")]
mod suspend;
#[cfg(feature = "local")]
mod transfer;
#[cfg(feature = "local")]
mod user;
#[cfg(feature = "local")]
mod variables;

use serde::{Deserialize, Serialize};

use crate::vm::RemoteDisplay;
pub use console::{Console, ScreenServer, SerialConsole};

#[cfg(any(all(test, feature = "local"), feature = "fuzz"))]
pub(crate) use fuzzed::{read_saved, take_apart};
#[cfg(feature = "local")]
pub(crate) use {
    address::first_address,
    agent::{Channel, shown},
    console::console,
    halted::{Halted, require_savable},
    keys::type_text,
    machine::memory_regions,
    pause::{pause, reset, unpause},
    plug::connect,
    present::require_base,
    preview::preview,
    runtime::{knows_agent, orphaned, running, runs_on, state},
    saved::{Saved, rebase, suspended_memory},
    screen::capture_screen,
    shares::{WINDOWS, mount_shares, sync_shares},
    start::start,
    stop::stop,
    suspend::suspend,
    variables::{read_variable, write_variable},
};

#[cfg(test)]
pub(crate) use {saved::write_sample, suspend::record as record_memory};

/// How a VM is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartSpec {
    /// Show a window, where there is a display.
    pub gui: bool,
    /// Leave the guest stopped before its first instruction: the VM is then paused.
    pub paused: bool,
    /// Serve the screen to VNC clients, whatever the configuration says about that.
    #[serde(default)]
    pub vnc: Option<RemoteDisplay>,
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
