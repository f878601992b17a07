//! Virtual disks: chains of links, read through, made, copied, checked.
//!
//! A [`Chain`] is opened by an [`Opener`], which knows the [`Places`] that files may lie in. What
//! stands here is portable; the rest needs the feature `local`.

#[cfg(feature = "local")]
pub mod chain;
#[cfg(feature = "local")]
pub mod check;
#[cfg(feature = "local")]
mod compact;
#[cfg(feature = "local")]
mod compare;
#[cfg(feature = "local")]
pub mod copy;
#[cfg(feature = "local")]
pub mod create;
#[cfg(feature = "local")]
mod crew;
#[cfg(feature = "local")]
pub mod edit;
#[cfg(feature = "local")]
mod esxi;
#[cfg(feature = "local")]
mod files;
#[cfg(feature = "local")]
mod find;
#[cfg(feature = "local")]
mod geometry;
#[cfg(feature = "local")]
mod graft;
#[cfg(feature = "local")]
pub mod grains;
#[cfg(feature = "local")]
mod grow;
#[cfg(feature = "local")]
pub mod link;
#[cfg(feature = "local")]
pub mod map;
#[cfg(feature = "local")]
pub mod merge;
#[cfg(feature = "local")]
mod ordered;
#[cfg(feature = "local")]
mod packed;
#[cfg(feature = "local")]
mod pieces;
#[cfg(feature = "local")]
pub mod place;
#[cfg(feature = "local")]
pub mod pool;
#[cfg(feature = "local")]
mod raw;
#[cfg(feature = "local")]
mod read;
#[cfg(feature = "local")]
mod rename;
#[cfg(feature = "local")]
mod repair;
#[cfg(feature = "local")]
mod report;
#[cfg(feature = "local")]
mod sparse_file;
#[cfg(feature = "local")]
mod stream;
#[cfg(feature = "local")]
mod tables;
#[cfg(feature = "local")]
mod target;
#[cfg(all(test, feature = "local"))]
pub(crate) mod testing;
#[cfg(feature = "local")]
mod window;

use std::path::PathBuf;

#[cfg(feature = "local")]
pub use chain::{Chain, Opener, Survey};
#[cfg(feature = "local")]
pub use check::{check, check_alone};
#[cfg(feature = "local")]
pub use compact::{compact, to_compact};
#[cfg(feature = "local")]
pub use compare::compare;
#[cfg(feature = "local")]
pub use copy::{ContentId, Copied, Copy, copy, export};
#[cfg(feature = "local")]
pub use create::{NewDisk, create, create_child};
#[cfg(feature = "local")]
pub use edit::{make_deletable, relink, set_content_id};
#[cfg(feature = "local")]
pub use grow::grow;
#[cfg(feature = "local")]
pub use link::Link;
#[cfg(feature = "local")]
pub use merge::{absorb, merge};
#[cfg(feature = "local")]
pub use place::{Places, vm_folder_of};
#[cfg(feature = "local")]
pub use raw::copy_to_raw;
#[cfg(feature = "local")]
pub use rename::rename;
#[cfg(feature = "local")]
pub use repair::{even_tables, repair};
#[cfg(feature = "local")]
pub use stream::{LEVELS, USUAL_LEVEL};

use serde::{Deserialize, Serialize};

/// How a disk that is made is laid out, and whether it takes its whole space at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskFormat {
    /// One file that grows.
    MonolithicSparse,
    /// Files of at most about 4 GiB that grow.
    SplitSparse,
    /// One raw file beside the descriptor, its space taken.
    MonolithicFlat,
    /// Raw files of at most about 2 GiB, their space taken.
    SplitFlat,
    /// One raw file as ESXi has it, its space taken.
    VmfsThick,
    /// One raw file as ESXi has it, which takes space as it is written.
    VmfsThin,
    /// One file of compressed grains, for transport: nothing can be written to it later.
    StreamOptimized {
        /// How hard it is compressed, from 1, fast, to 9, small; `None` takes the usual 4.
        level: Option<u8>,
    },
}

/// Something that is done to a disk by itself, outside of any VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskCall {
    /// Makes an empty disk.
    Create {
        /// Its format.
        format: DiskFormat,
        /// Its capacity in bytes; a part of a sector is filled up.
        capacity_bytes: u64,
        /// `ide`, `buslogic` or `lsilogic`.
        adapter: String,
    },
    /// Makes a copy of what a guest sees of the disk, its parents included.
    Convert {
        /// The new disk's `.vmdk`.
        to: PathBuf,
        /// The format of the new one.
        format: DiskFormat,
    },
    /// Makes a raw file of what a guest sees of the disk.
    ToRaw {
        /// The new file.
        to: PathBuf,
    },
    /// Makes a disk of the raw file that is named in the disk's place.
    FromRaw {
        /// The new disk's `.vmdk`.
        to: PathBuf,
        /// Its format.
        format: DiskFormat,
        /// `ide`, `buslogic` or `lsilogic`.
        adapter: String,
    },
    /// Makes the disk larger.
    Grow {
        /// Its new capacity in bytes; a part of a sector is filled up.
        capacity_bytes: u64,
    },
    /// Writes the files of a growing disk anew: in the order of the guest's addresses, and without
    /// what reads as zeros.
    Compact,
    /// Gives the disk another name in its folder, and names it so in what stands on it.
    Rename {
        /// Its new `.vmdk`.
        to: PathBuf,
    },
    /// Marks the disk as one that a VM's deletion may take with it.
    MakeDeletable,
    /// Removes the disk's own files.
    Delete,
    /// Compares what a guest sees of the disk with what it sees of another one.
    Compare {
        /// The other one's `.vmdk`.
        with: PathBuf,
    },
    /// Mends what the disk itself proves.
    Repair {
        /// Only tells what would be done.
        dry_run: bool,
    },
}

/// What a [`DiskCall`] came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskAnswer {
    /// It is done; there is nothing to tell.
    Done,
    /// What was repaired.
    Repaired(RepairReport),
    /// How two disks differ.
    Compared(Comparison),
}

/// How two disks differ for a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The capacity of each.
    pub capacity_bytes: [u64; 2],
    /// The first byte in which they differ; `None` where there is none up to the end of the
    /// smaller one.
    pub first_difference: Option<u64>,
}

impl Comparison {
    /// Tells whether a guest sees the same of both.
    pub fn is_same(&self) -> bool {
        let [one, other] = self.capacity_bytes;
        self.first_difference.is_none() && one == other
    }
}

/// How the data of a copy got to its place, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Not at all: the copy and its source are the same blocks until one of them is written to.
    pub shared: u64,
    /// Within the file server that has both.
    pub handed_over: u64,
    /// Read and written.
    pub written: u64,
}

impl Moved {
    /// Returns the data in all.
    pub fn bytes(&self) -> u64 {
        self.shared + self.handed_over + self.written
    }
}

impl std::ops::AddAssign for Moved {
    fn add_assign(&mut self, other: Self) {
        self.shared += other.shared;
        self.handed_over += other.handed_over;
        self.written += other.written;
    }
}

/// A virtual disk as its files describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskReport {
    /// The disk itself first, then its parents down to the base.
    pub links: Vec<LinkReport>,
    /// Capacity seen by the guest.
    pub capacity_bytes: u64,
}

/// One link of a [`DiskReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReport {
    /// Descriptor file (or the sparse file that embeds it).
    pub path: PathBuf,
    /// VMware's create type.
    pub create_type: String,
    /// Content id, 8 hex digits.
    pub cid: String,
    /// Content id that the parent must have; `ffffffff` for a base.
    pub parent_cid: String,
    /// The parent as written.
    pub parent_hint: Option<String>,
    /// Extent files.
    pub extents: Vec<PathBuf>,
    /// Space that the link's files take on the host.
    pub allocated_bytes: u64,
    /// What is wrong with it, and does not keep it from being read.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A stretch of a disk that is stored in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapEntry {
    /// Position seen by the guest.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// The file with the data; `None` reads as zeros.
    pub file: Option<PathBuf>,
    /// Position in that file; that of the first of compressed grains.
    pub file_offset: u64,
    /// Number of links between the disk and the one that has it: 0 is the disk itself.
    pub depth: usize,
    /// Whether the file has it compressed.
    #[serde(default)]
    pub compressed: bool,
}

/// What a check of a disk found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Damage: the disk cannot be trusted.
    pub errors: Vec<String>,
    /// Oddities that do no harm.
    pub notes: Vec<String>,
    /// Grains in use, over all links.
    pub allocated_grains: u64,
}

/// What a repair of a disk came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairReport {
    /// What a check found before.
    pub found: CheckReport,
    /// What was mended, or would be: a sentence each.
    pub steps: Vec<String>,
    /// What was not, and why: a person must decide.
    pub left: Vec<String>,
    /// What a check found afterwards; `None` where nothing was to be done but to tell.
    pub after: Option<CheckReport>,
}
