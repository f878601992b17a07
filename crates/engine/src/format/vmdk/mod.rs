//! VMware virtual disks as bytes and types: the descriptor text and the hosted sparse extent.
//!
//! What is known of the format stands in `docs/formats/vmdk.md`; nothing here opens a file.

pub mod as_qemu;
mod compose;
pub mod cowd;
pub mod descriptor;
mod extent;
pub mod sesparse;
pub mod sparse;
pub mod stream;

use std::path::Path;

pub use compose::{NewDescriptor, NewExtent};
pub use descriptor::Descriptor;
pub use extent::{ExtentAccess, ExtentKind, ExtentLine};

use super::Malformed;
use crate::error::{Error, Kind, quoted};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// The content id that stands for "no parent".
pub const NO_PARENT: u32 = 0xffff_ffff;

/// The content id of a disk that was never written.
pub const NEVER_WRITTEN: u32 = 0xffff_fffe;

/// The longest parent hint, in bytes, that every known reader takes.
///
/// Source: QEMU's name buffer of 1024 bytes.
pub const MAX_HINT_BYTES: usize = 1023;

/// Why a disk's bytes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They are damaged, or were never a disk's.
    Malformed(Malformed),
    /// They are sound, and of a sort that cannot be used: what it is and why.
    Unsupported(String),
}

impl Fault {
    /// Makes it an error about the disk file at `path`.
    pub fn in_file(self, path: &Path) -> Error {
        match self {
            Self::Malformed(fault) => fault.in_file(Kind::DiskInvalid, path),
            Self::Unsupported(what) => {
                Error::new(Kind::DiskUnsupported, format!("{}: {what}", quoted(path))).at(path)
            }
        }
    }
}

impl From<Malformed> for Fault {
    fn from(fault: Malformed) -> Self {
        Self::Malformed(fault)
    }
}

/// How a disk's data is laid out in files: the create types that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateType {
    /// One sparse file with the descriptor inside.
    MonolithicSparse,
    /// A descriptor and one raw file.
    MonolithicFlat,
    /// A descriptor and sparse files of at most about 4 GiB each.
    SplitSparse,
    /// A descriptor and raw files of at most about 2 GiB each.
    SplitFlat,
    /// ESXi's: a descriptor and one raw file.
    Vmfs,
    /// One sparse file of compressed grains with the descriptor inside: for transport, never written
    /// to.
    StreamOptimized,
    /// An older ESXi snapshot: a descriptor and a COWD file, read only.
    VmfsSparse,
    /// Today's ESXi snapshot: a descriptor and a seSparse file, read only.
    SeSparse,
    /// A descriptor and extents of any kind.
    Custom,
}

impl CreateType {
    /// Reads VMware's word for it, in any case and in the older spelling.
    ///
    /// # Errors
    /// `Unsupported` with the reason, for every other type.
    pub fn parse(word: &str) -> Result<Self, Fault> {
        match word.to_ascii_lowercase().as_str() {
            "monolithicsparse" => Ok(Self::MonolithicSparse),
            "monolithicflat" => Ok(Self::MonolithicFlat),
            "twogbmaxextentsparse" | "2gbmaxextentsparse" => Ok(Self::SplitSparse),
            "twogbmaxextentflat" | "2gbmaxextentflat" => Ok(Self::SplitFlat),
            "vmfs" | "vmfsthin" | "vmfsthick" | "vmfspreallocated" | "vmfseagerzeroedthick" => {
                Ok(Self::Vmfs)
            }
            "streamoptimized" => Ok(Self::StreamOptimized),
            "vmfssparse" => Ok(Self::VmfsSparse),
            "sesparse" | "vmfssesparse" => Ok(Self::SeSparse),
            "custom" => Ok(Self::Custom),
            other => Err(Fault::Unsupported(format!(
                "a disk of type \"{}\" cannot be used: {}",
                crate::error::escaped(word),
                refusal(other)
            ))),
        }
    }

    /// Returns VMware's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::MonolithicSparse => "monolithicSparse",
            Self::MonolithicFlat => "monolithicFlat",
            Self::SplitSparse => "twoGbMaxExtentSparse",
            Self::SplitFlat => "twoGbMaxExtentFlat",
            Self::Vmfs => "vmfs",
            Self::StreamOptimized => "streamOptimized",
            Self::VmfsSparse => "vmfsSparse",
            Self::SeSparse => "seSparse",
            Self::Custom => "custom",
        }
    }

    /// Tells whether a disk of this type may have an extent that holds its data so.
    pub fn may_have(self, kind: &ExtentKind) -> bool {
        match kind {
            ExtentKind::Zero => true,
            ExtentKind::Sparse => {
                self.is_split() && self.is_sparse()
                    || self.embeds_descriptor()
                    || self == Self::Custom
            }
            ExtentKind::VmfsSparse => matches!(self, Self::VmfsSparse | Self::Custom),
            ExtentKind::SeSparse => matches!(self, Self::SeSparse | Self::Custom),
            ExtentKind::Flat(_) => !self.is_sparse(),
            ExtentKind::Other(_) => false,
        }
    }

    /// Tells whether a disk of this type may stand on a parent.
    pub fn may_have_parent(self) -> bool {
        self.is_sparse() || self == Self::Custom
    }

    /// Tells whether the disk takes only the space that was written to.
    pub fn is_sparse(self) -> bool {
        matches!(
            self,
            Self::MonolithicSparse
                | Self::SplitSparse
                | Self::StreamOptimized
                | Self::VmfsSparse
                | Self::SeSparse
        )
    }

    /// Tells whether the disk is cut into several files.
    pub fn is_split(self) -> bool {
        matches!(self, Self::SplitSparse | Self::SplitFlat)
    }

    /// Tells whether the descriptor lies inside the only data file.
    pub fn embeds_descriptor(self) -> bool {
        matches!(self, Self::MonolithicSparse | Self::StreamOptimized)
    }

    /// Returns the type of a child: always sparse, split if this one is.
    pub fn of_child(self) -> Self {
        if self.is_split() {
            Self::SplitSparse
        } else {
            Self::MonolithicSparse
        }
    }

    /// Returns the type of a copy of `sectors` sectors whose layout nobody chose: the same where
    /// it is one that is made, and that can be written to.
    pub fn of_copy(self, sectors: u64) -> Self {
        match self {
            Self::Custom | Self::VmfsSparse | Self::SeSparse if sectors > sparse::MAX_CAPACITY => {
                Self::SplitSparse
            }
            Self::Custom | Self::StreamOptimized | Self::VmfsSparse | Self::SeSparse => {
                Self::MonolithicSparse
            }
            made => made,
        }
    }

    /// Returns the most sectors that VMware puts into one file of a new disk of this type.
    pub fn usual_cut(self) -> u64 {
        match self {
            Self::SplitSparse => 8_323_072,
            Self::SplitFlat => 4_192_256,
            _ => u64::MAX,
        }
    }
}

/// Says why a disk of a known, but unused, create type (in lower case) is refused.
fn refusal(word: &str) -> &'static str {
    match word {
        "fulldevice"
        | "partitioneddevice"
        | "vmfsrdm"
        | "vmfsrawdevicemap"
        | "vmfsrdmp"
        | "vmfspassthroughrawdevicemap"
        | "vmfsraw" => "it stands for a device of the host it was made on",
        _ => "the type is unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_split_are_known() {
        assert_eq!(
            CreateType::parse("2GbMaxExtentSparse"),
            Ok(CreateType::SplitSparse)
        );
        assert_eq!(
            CreateType::parse("TwoGbMaxExtentFlat"),
            Ok(CreateType::SplitFlat)
        );
    }

    #[test]
    fn other_types_are_refused_by_name() {
        let Err(Fault::Unsupported(text)) = CreateType::parse("vmfsRDM") else {
            panic!("accepted");
        };
        assert_eq!(
            text,
            "a disk of type \"vmfsRDM\" cannot be used: it stands for a device of the host it was \
             made on"
        );
    }
}
