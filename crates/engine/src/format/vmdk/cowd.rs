//! The sparse extent of older ESXi snapshots ("COWD", `vmfsSparse`): read only.
//!
//! Source: VMware, Virtual Disk Format 5.0, section "ESX Server Sparse Extents".

use std::mem::{offset_of, size_of};
use std::ops::RangeInclusive;

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{Fault, SECTOR};
use crate::format::{Malformed, Place};

/// The first bytes of the extent.
pub const MAGIC: [u8; 4] = *b"COWD";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 2048;
/// Entries of a grain table, of four bytes each.
pub const TABLE_ENTRIES: u64 = 4096;

const GRAINS: RangeInclusive<u32> = 1..=2048;

/// The header as it lies on disk; the comments are byte offsets.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    magic: [u8; 4],        // 0
    version: U32,          // 4
    flags: U32,            // 8
    sectors: U32,          // 12
    grain_size: U32,       // 16
    gd_offset: U32,        // 20
    gd_entries: U32,       // 24
    free_sector: U32,      // 28
    names: [u8; 1616],     // 32: the parent's or the geometry, generations, name, description
    unclean_shutdown: U32, // 1648
    pad: [u8; 396],        // 1652
}

const _: () = assert!(size_of::<Raw>() == HEADER_BYTES);
const _: () = assert!(offset_of!(Raw, unclean_shutdown) == 1648);

/// What a header says, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the extent in sectors, at least 1.
    pub capacity: u64,
    /// Sectors of a grain, at least 1.
    pub grain_sectors: u64,
    /// First sector of the grain directory: four bytes for each table, its sector.
    pub gd_offset: u64,
    /// Whether the extent was open for writing when its program ended.
    pub unclean: bool,
    gd_entries: u64,
}

impl Header {
    /// Reads and checks a header.
    ///
    /// # Errors
    /// `Malformed` names the field; `Unsupported` for another version.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Fault> {
        let raw = Raw::ref_from_bytes(bytes)
            .map_err(|_| Malformed::new(Place::Whole, "the header is not 2048 bytes"))?;
        let fault = |at: usize, what: String| Malformed::new(Place::Byte(at as u64), what).into();
        if raw.magic != MAGIC {
            return Err(fault(0, "it is no sparse extent of ESXi".into()));
        }
        if raw.version.get() != 1 {
            let what = format!("version {} of the COWD format is unknown", raw.version);
            return Err(Fault::Unsupported(what));
        }
        if !GRAINS.contains(&raw.grain_size.get()) {
            let what = format!("a grain of {} sectors makes no sense", raw.grain_size);
            return Err(fault(offset_of!(Raw, grain_size), what));
        }
        let header = Self {
            capacity: raw.sectors.get().into(),
            grain_sectors: raw.grain_size.get().into(),
            gd_offset: raw.gd_offset.get().into(),
            unclean: raw.unclean_shutdown.get() != 0,
            gd_entries: raw.gd_entries.get().into(),
        };
        let tables = header
            .capacity
            .div_ceil(TABLE_ENTRIES * header.grain_sectors);
        if header.capacity == 0 || header.gd_entries < tables {
            let what = format!(
                "{} grain tables do not make {} sectors",
                header.gd_entries, header.capacity
            );
            return Err(fault(offset_of!(Raw, gd_entries), what));
        }
        Ok(header)
    }

    /// Checks that the directory lies inside a file of `len` bytes.
    ///
    /// # Errors
    /// Names the numbers.
    pub fn check_fits(&self, len: u64) -> Result<(), Malformed> {
        let end = self.gd_offset * SECTOR + self.gd_entries * 4;
        if self.gd_offset > 0 && end <= len {
            return Ok(());
        }
        let what = format!(
            "its grain directory at sector {} does not lie inside the {len} bytes of the file",
            self.gd_offset
        );
        Err(Malformed::new(
            Place::Byte(offset_of!(Raw, gd_offset) as u64),
            what,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of 10,000 sectors in grains of one, with `value` at byte `at`.
    fn with(at: usize, value: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        let fields = [(4, 1), (8, 3), (12, 10_000), (16, 1), (20, 4), (24, 3)];
        for (at, value) in fields.into_iter().chain([(at, value)]) {
            bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        }
        bytes
    }

    #[test]
    fn header_is_understood() {
        let header = Header::parse(&with(28, 0)).unwrap();
        assert_eq!((header.capacity, header.grain_sectors), (10_000, 1));
        assert!(!header.unclean && Header::parse(&with(1648, 1)).unwrap().unclean);
        assert!(header.check_fits(2048 + 12).is_ok());
        assert!(header.check_fits(2048 + 11).is_err());
        assert!(
            Header::parse(&with(20, u32::MAX))
                .unwrap()
                .check_fits(1 << 40)
                .is_err()
        );
    }

    #[test]
    fn impossible_fields_are_refused() {
        for (at, value, place) in [
            (0, 0, 0),
            (12, 0, 24),
            (12, u32::MAX, 24),
            (16, 0, 16),
            (16, 4096, 16),
            (24, 2, 24),
        ] {
            match Header::parse(&with(at, value)) {
                Err(Fault::Malformed(fault)) => assert_eq!(fault.place, Place::Byte(place)),
                other => panic!("{at} {value}: {other:?}"),
            }
        }
        assert!(matches!(
            Header::parse(&with(4, 2)),
            Err(Fault::Unsupported(_))
        ));
    }
}
