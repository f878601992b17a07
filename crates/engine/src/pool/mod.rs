//! Pools: linked clones of a snapshot that are kept ready, handed out one by one, and destroyed when
//! they come back (docs/adr/0014).
//!
//! A pool is a plain folder and the VMs in it; nothing runs in the background. `folder` is what lies
//! on disk, `record` what is known of each VM, `fill` makes them, `hand` hands them out and takes
//! them back, `clean` destroys them.

#[cfg(feature = "local")]
mod clean;
#[cfg(feature = "local")]
mod fill;
#[cfg(feature = "local")]
mod folder;
#[cfg(feature = "local")]
mod hand;
#[cfg(feature = "local")]
mod record;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::snapshot::SnapshotRef;
use crate::vm::PowerState;

#[cfg(feature = "local")]
pub use folder::Pool;

/// What a pool keeps ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// The VM that is cloned, absolute.
    pub of: PathBuf,
    /// The snapshot that the clones stand on; `None`, for a new pool, is the current one, if nothing
    /// was written since.
    pub snapshot: Option<SnapshotRef>,
    /// How many are kept ready.
    pub size: u32,
    /// What ready means.
    pub ready: Ready,
    /// When a guest that was started counts as booted.
    pub booted: Booted,
    /// How long a guest may take to boot, in seconds.
    pub boot_seconds: u32,
}

/// In which state VMs wait to be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// Powered off: they boot when they are handed out.
    Off,
    /// Running and booted.
    Started,
    /// Suspended after they booted: they go on when they are handed out.
    Suspended,
}

/// By what a guest shows that it has booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Booted {
    /// Its agent answers.
    Agent,
    /// It has an address on a network of this host.
    Address,
    /// So many seconds have passed since it was started.
    Seconds(u32),
}

/// How long a VM is kept for whom it is handed out to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until it is given back.
    Given,
    /// As long as the process with this number lives, at most.
    Owner(u32),
    /// So many seconds, at most.
    Lease(u32),
}

/// A VM that was handed out: it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handout {
    /// Its name in the pool.
    pub name: String,
    /// Its configuration.
    pub vm: PathBuf,
    /// Whether it was ready, rather than made for this call.
    pub warm: bool,
}

/// What filling a pool came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// VMs that were made.
    pub made: u32,
    /// VMs that were destroyed, as nobody has them any more.
    pub destroyed: u32,
    /// VMs that are ready now.
    pub ready: u32,
    /// VMs that other processes are making.
    pub others: u32,
}

/// A VM of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name: that of its folder.
    pub name: String,
    /// Its configuration.
    pub vm: PathBuf,
    /// What becomes of it.
    pub state: MemberState,
    /// The process that has it, or works on it.
    pub process: Option<u32>,
    /// When its lease ends, if it has one: microseconds since 1970 UTC.
    pub lease_ends_us: Option<i64>,
    /// Its power state, where it can be told.
    pub power: Option<PowerState>,
}

/// What becomes of a VM of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// It is being made.
    Making,
    /// It waits to be handed out.
    Ready,
    /// It is handed out, or about to be.
    Taken,
    /// It is being destroyed.
    Leaving,
    /// Nobody has it any more: whoever cleans the pool destroys it.
    Over,
}
