//! Snapshots of a VM: the tree, and what is done with it.

#[cfg(feature = "local")]
mod consolidate;
#[cfg(feature = "local")]
mod frozen;
#[cfg(feature = "local")]
mod leavings;
#[cfg(feature = "local")]
mod links;
#[cfg(feature = "local")]
mod local;
#[cfg(feature = "local")]
pub(crate) mod names;
#[cfg(feature = "local")]
mod remains;
#[cfg(feature = "local")]
mod remove;
#[cfg(feature = "local")]
mod revert;
#[cfg(feature = "local")]
mod take;
mod tree;
#[cfg(feature = "local")]
mod unfinished;

#[cfg(feature = "local")]
pub(crate) use {
    consolidate::{consolidate, consolidate_still},
    frozen::read as frozen,
    leavings::{end_changes, left},
    local::{create, entry, find, hold_still, list, unchanged_since},
    remains::{Remains, remains},
    remove::remove,
    revert::revert,
    take::{require_allowed, take},
    unfinished::clear as clear_unfinished,
};

use serde::{Deserialize, Serialize};

use crate::power::StartSpec;

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Unique number within the VM, never used again.
    pub uid: u32,
    /// The snapshot that it was taken after; `None` for a root.
    pub parent: Option<u32>,
    /// Name; need not be unique.
    pub name: String,
    /// Description; may be empty.
    pub description: String,
    /// When it was taken: microseconds since 1970 UTC.
    pub created_us: i64,
    /// Whether the guest's memory was saved with it.
    pub with_memory: bool,
    /// Configurations of the linked clones that stand on it, as written.
    pub clones: Vec<String>,
}

/// The snapshots of a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTree {
    /// All snapshots, in the order of the bookkeeping (oldest first).
    pub snapshots: Vec<Snapshot>,
    /// The one that the present state descends from.
    pub current: Option<u32>,
}

/// What consolidating the disks of a VM came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consolidated {
    /// Links that are no more.
    pub links: u64,
    /// Bytes of data moved.
    pub bytes: u64,
}

/// How a caller names a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotRef {
    /// By its number.
    Uid(u32),
    /// By its name, or by names from an ancestor down, joined by `/` or by `\`.
    Name(String),
}

/// How a VM is put back to a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevertSpec {
    /// The snapshot.
    pub snapshot: SnapshotRef,
    /// Leave the VM off though the snapshot holds a running guest's memory, which is not used.
    pub without_memory: bool,
    /// Leave the VM suspended to that memory, for whoever starts it to go on with.
    #[serde(default)]
    pub suspended: bool,
    /// How a guest whose memory is restored goes on, besides being paused where it was then.
    #[serde(default)]
    pub start: StartSpec,
}

impl From<SnapshotRef> for RevertSpec {
    fn from(snapshot: SnapshotRef) -> Self {
        Self {
            snapshot,
            without_memory: false,
            suspended: false,
            start: StartSpec::default(),
        }
    }
}

/// A snapshot to be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSnapshot {
    /// Name; need not be unique.
    pub name: String,
    /// Description; may be empty.
    pub description: String,
    /// Save the memory of a running guest too.
    pub with_memory: bool,
}
