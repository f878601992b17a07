//! Clones: planned, made, named, found again, deleted.

#[cfg(feature = "local")]
mod config;
#[cfg(feature = "local")]
#[cfg(test)]
pub(crate) mod crowd;
#[cfg(feature = "local")]
mod delete;
#[cfg(feature = "local")]
mod foreign;
#[cfg(feature = "local")]
mod hang;
#[cfg(feature = "local")]
#[cfg(test)]
mod killed;
#[cfg(feature = "local")]
mod lineage;
#[cfg(feature = "local")]
mod lookout;
#[cfg(feature = "local")]
mod naming;
#[cfg(feature = "local")]
mod plan;
#[cfg(feature = "local")]
mod promote;
#[cfg(feature = "local")]
mod promotion;
#[cfg(feature = "local")]
mod relink;
#[cfg(feature = "local")]
mod run;
#[cfg(feature = "local")]
mod source;
#[cfg(feature = "local")]
mod stage;
#[cfg(feature = "local")]
#[cfg(test)]
pub(crate) mod testing;
#[cfg(feature = "local")]
mod unfinished;

#[cfg(feature = "local")]
pub(crate) use {
    delete::delete,
    lineage::lineage,
    lookout::Lookout,
    plan::is_base,
    promote::promote,
    promotion::clear as clear_promotions,
    relink::{Seeker, relink},
    run::{plan, run},
    unfinished::clear_hidden,
};

#[cfg(all(test, feature = "local"))]
pub(crate) use unfinished::clear;
#[cfg(feature = "local")]
pub use unfinished::{Unfinished, clear_unfinished, forget_deleted};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::disk::Moved;
use crate::snapshot::SnapshotRef;

/// What a clone shares with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloneKind {
    /// Nothing: an independent copy.
    Full,
    /// The disks, as of a snapshot.
    Linked,
}

/// Which base a linked clone of the current state stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Base {
    /// A new snapshot `Clone` each time, as VIX and vmrun make it.
    #[default]
    New,
    /// The current snapshot, if nothing was written since it was taken; else a new one.
    Reuse,
}

/// A clone to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneSpec {
    /// Full or linked.
    pub kind: CloneKind,
    /// Absolute path of the `.vmx` to create.
    pub destination: PathBuf,
    /// The state to clone; `None` is the current one.
    pub snapshot: Option<SnapshotRef>,
    /// Display name; `None` takes the destination's file name.
    pub name: Option<String>,
    /// Keep uuids and MAC addresses of the source.
    pub keep_identity: bool,
    /// Clone a snapshot that was taken with memory, without that memory.
    pub without_memory: bool,
    /// The base of a linked clone of the current state.
    pub base: Base,
}

impl CloneSpec {
    /// Returns the plain clone of the current state.
    pub fn new(kind: CloneKind, destination: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            destination: destination.into(),
            snapshot: None,
            name: None,
            keep_identity: false,
            without_memory: false,
            base: Base::New,
        }
    }
}

/// What a clone would do, before anything is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClonePlan {
    /// The VM to be cloned.
    pub source: PathBuf,
    /// The `.vmx` to be created.
    pub destination: PathBuf,
    /// Full or linked.
    pub kind: CloneKind,
    /// The snapshot to be cloned; `None` is the current state.
    pub snapshot: Option<String>,
    /// Name of the snapshot that will be made in the source, if one will.
    pub new_snapshot: Option<String>,
    /// The disks.
    pub disks: Vec<PlannedDisk>,
    /// Files that are copied or written besides the disks.
    pub files: Vec<PathBuf>,
    /// Bytes to be written.
    pub bytes: u64,
    /// Bytes free where the clone will be.
    pub free_bytes: u64,
    /// How long the copying may take, in seconds.
    pub seconds: u64,
    /// What the clone loses or keeps that its user should know.
    pub warnings: Vec<String>,
}

/// One disk of a [`ClonePlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDisk {
    /// Where it is plugged in: `scsi0:0`.
    pub node: String,
    /// The link that is copied or linked to.
    pub from: PathBuf,
    /// The new disk.
    pub to: PathBuf,
    /// `copy`, `link`.
    pub action: String,
    /// VMware's create type of the new disk.
    pub create_type: String,
    /// Capacity seen by the guest.
    pub capacity_bytes: u64,
    /// Bytes to be written, at most.
    pub bytes: u64,
}

/// What a clone came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneReport {
    /// The new configuration file.
    pub path: PathBuf,
    /// Full or linked.
    pub kind: CloneKind,
    /// Name of the snapshot that it stands on or was made from.
    pub snapshot: Option<String>,
    /// Bytes of disk data copied, in whatever way.
    pub bytes: u64,
    /// In which ways.
    #[serde(default)]
    pub moved: Moved,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// How a linked clone becomes a full one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromoteSpec {
    /// Remove the snapshot that was made in the parent for a clone, where no other stands on it and
    /// the parent is off.
    pub remove_base: bool,
}

/// What making a VM independent came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    /// The configuration of the VM that it was a linked clone of, where that was found.
    pub parent: Option<PathBuf>,
    /// Disks that were copied: none where it stood on no other VM's.
    pub disks: u64,
    /// Bytes of disk data written by that.
    pub bytes: u64,
}

/// Where a linked clone is to find what it stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelinkSpec {
    /// The parent: its `.vmx`, its folder, or one of its disks; `None` looks where the clone's files
    /// lead, and in the folders of VMs beside it.
    pub parent: Option<PathBuf>,
}

/// What relinking a clone came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relinked {
    /// The configuration of the VM that it stands on, where one was found.
    pub parent: Option<PathBuf>,
    /// Its links that hang on that one's disks: none where it stands on no other VM.
    pub disks: Vec<RelinkedDisk>,
}

/// One link of a relinked clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelinkedDisk {
    /// The clone's own link.
    pub disk: PathBuf,
    /// What it hangs on.
    pub parent: PathBuf,
    /// The content id of that, 8 hex digits.
    pub cid: String,
    /// Whether the long content id proves it too; else the short one and the capacity do.
    pub by_long_id: bool,
}

/// What is removed with a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteSpec {
    /// Remove the disks too.
    pub disks: bool,
    /// Remove it even though living linked clones stand on it.
    pub force: bool,
}

/// A VM with everything that hangs on it, for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// What stands here.
    pub node: LineageNode,
    /// Space that this takes by itself: for a VM, all its own disks with their snapshots.
    pub own_bytes: u64,
    /// Space that is used together with others: of a snapshot with clones, its disks; of a VM, the
    /// other VMs' disks that it stands on.
    pub shared_bytes: u64,
    /// What hangs on it.
    pub children: Vec<Lineage>,
}

/// What stands in a [`Lineage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum LineageNode {
    /// The VM that was asked for, or a linked clone of it.
    Vm {
        /// Display name.
        name: String,
        /// Configuration file.
        path: PathBuf,
        /// Whether it could be opened; a clone may be elsewhere.
        found: bool,
        /// Whether it is running.
        running: bool,
    },
    /// A snapshot.
    Snapshot {
        /// Name.
        name: String,
        /// Unique number within its VM.
        uid: u32,
        /// Microseconds since 1970 UTC.
        created_us: i64,
    },
    /// The present state of the VM.
    Current,
}
