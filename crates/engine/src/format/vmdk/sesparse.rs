//! The sparse extent of today's ESXi snapshots (`seSparse`): read only.
//!
//! VMware has not published it. Source: the reader of QEMU (block/vmdk.c), which knows version 2.1 with
//! grains of 4 KiB and nothing else.

use std::mem::{offset_of, size_of};

use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{Fault, SECTOR};
use crate::format::{Malformed, Place};

/// The first bytes of the extent.
pub const MAGIC: [u8; 8] = 0xcafe_babe_u64.to_le_bytes();
/// Bytes of the header, and of the part that changes.
pub const HEADER_BYTES: usize = 512;
/// Entries of a grain table, of eight bytes each.
pub const TABLE_ENTRIES: u64 = TABLE_SECTORS * SECTOR / 8;
/// Sectors of a grain.
pub const GRAIN_SECTORS: u64 = 8;

const TABLE_SECTORS: u64 = 64;
const VERSION: u64 = 0x2_0000_0001;
const VOLATILE_MAGIC: u64 = 0xcafe_cafe;
/// Far above the 62 TiB of VMware: no place in a file is further away, in sectors.
const MAX_PLACE: u64 = 1 << 44;

/// The header as it lies on disk; the comments are byte offsets. Places and sizes are in sectors.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    magic: [u8; 8],         // 0
    version: U64,           // 8
    capacity: U64,          // 16
    grain_size: U64,        // 24
    table_size: U64,        // 32
    flags: U64,             // 40
    reserved: [U64; 4],     // 48
    volatile: [U64; 2],     // 80
    journal: [[U64; 2]; 2], // 96
    directory: [U64; 2],    // 128
    tables: [U64; 2],       // 144
    free_bitmap: [U64; 2],  // 160
    backmap: [U64; 2],      // 176
    grains: [U64; 2],       // 192
    pad: [u8; 304],         // 208
}

const _: () = assert!(size_of::<Raw>() == HEADER_BYTES);
const _: () = assert!(offset_of!(Raw, volatile) == 80 && offset_of!(Raw, directory) == 128);
const _: () = assert!(offset_of!(Raw, grains) == 192);

/// The part of the header that changes, as it lies on disk.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Volatile {
    magic: U64,
    free_table: U64,
    next_transaction: U64,
    replay_journal: U64,
    pad: [u8; 480],
}

const _: () = assert!(size_of::<Volatile>() == HEADER_BYTES);

/// What a header says, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the extent in sectors, at least 1.
    pub capacity: u64,
    /// First sector of the grain directory: eight bytes for each table.
    pub gd_offset: u64,
    /// Sector of the part that changes.
    pub volatile_offset: u64,
    gd_sectors: u64,
    tables_offset: u64,
    grains_offset: u64,
}

/// What an entry of a grain table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Nothing,
    /// Zeros.
    Zeros,
    /// The grain at this sector.
    Grain(u64),
}

impl Header {
    /// Reads and checks a header.
    ///
    /// # Errors
    /// `Malformed` names the field; `Unsupported` for another version, and for other sizes than those
    /// that are known.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Fault> {
        let raw = Raw::ref_from_bytes(bytes)
            .map_err(|_| Malformed::new(Place::Whole, "the header is not 512 bytes"))?;
        let fault = |at: usize, what: &str| Malformed::new(Place::Byte(at as u64), what);
        if raw.magic != MAGIC {
            return Err(fault(0, "it is no seSparse extent").into());
        }
        let known = (VERSION, GRAIN_SECTORS, TABLE_SECTORS, 0);
        let found = (
            raw.version.get(),
            raw.grain_size.get(),
            raw.table_size.get(),
            raw.flags.get(),
        );
        if found != known {
            let (version, grain, table, flags) = found;
            return Err(Fault::Unsupported(format!(
                "this seSparse extent is of an unknown sort (version {version:#x}, grains of \
                 {grain} sectors, tables of {table}, flags {flags:#x})"
            )));
        }
        let places = [raw.volatile, raw.directory, raw.tables, raw.grains];
        if places.iter().flatten().any(|place| place.get() > MAX_PLACE) {
            let what = "a part of it lies where no file reaches";
            return Err(fault(offset_of!(Raw, volatile), what).into());
        }
        let header = Self {
            capacity: raw.capacity.get(),
            gd_offset: raw.directory[0].get(),
            volatile_offset: raw.volatile[0].get(),
            gd_sectors: raw.directory[1].get(),
            tables_offset: raw.tables[0].get(),
            grains_offset: raw.grains[0].get(),
        };
        let covered = header
            .gd_sectors
            .saturating_mul(SECTOR / 8 * TABLE_ENTRIES * GRAIN_SECTORS);
        if header.capacity == 0 || header.capacity > covered {
            let what = format!(
                "a directory of {} sectors does not make {} sectors of disk",
                header.gd_sectors, header.capacity
            );
            return Err(fault(offset_of!(Raw, directory), &what).into());
        }
        Ok(header)
    }

    /// Reads from the part that changes whether the extent was open for writing when its program ended.
    ///
    /// # Errors
    /// Where it is none.
    pub fn is_unclean(volatile: &[u8; HEADER_BYTES]) -> Result<bool, Malformed> {
        let part = Volatile::ref_from_bytes(volatile)
            .map_err(|_| Malformed::new(Place::Whole, "the header is not 512 bytes"))?;
        if part.magic.get() != VOLATILE_MAGIC {
            let what = "the part of its header that changes is damaged";
            return Err(Malformed::new(Place::Whole, what));
        }
        Ok(part.replay_journal.get() != 0)
    }

    /// Checks that the directory lies inside a file of `len` bytes.
    ///
    /// # Errors
    /// Names the numbers.
    pub fn check_fits(&self, len: u64) -> Result<(), Malformed> {
        let end = (self.gd_offset + self.gd_sectors) * SECTOR;
        if self.gd_offset > 0 && end <= len {
            return Ok(());
        }
        let what = format!(
            "its grain directory at sector {} does not lie inside the {len} bytes of the file",
            self.gd_offset
        );
        Err(Malformed::new(
            Place::Byte(offset_of!(Raw, directory) as u64),
            what,
        ))
    }

    /// Returns the sector of the table that an entry of the directory stands for, `Ok(None)` for none.
    ///
    /// # Errors
    /// The entry, where it makes no sense.
    pub fn table(&self, entry: u64) -> Result<Option<u64>, u64> {
        match (entry, entry >> 32) {
            (0, _) => Ok(None),
            (_, 0x1000_0000) => Ok(Some(
                self.tables_offset + (entry & 0xffff_ffff) * TABLE_SECTORS,
            )),
            _ => Err(entry),
        }
    }

    /// Returns what an entry of a grain table says.
    ///
    /// # Errors
    /// The entry, where it makes no sense.
    pub fn grain(&self, entry: u64) -> Result<Entry, u64> {
        match (entry, entry >> 60) {
            (0, _) => Ok(Entry::Nothing),
            (_, 1 | 2) => Ok(Entry::Zeros),
            (_, 3) => {
                let number = (entry >> 48 & 0xfff) | (entry & 0xffff_ffff_ffff) << 12;
                let sector = number.checked_mul(GRAIN_SECTORS);
                let sector = sector.and_then(|sector| sector.checked_add(self.grains_offset));
                sector
                    .filter(|sector| *sector <= MAX_PLACE)
                    .map(Entry::Grain)
                    .ok_or(entry)
            }
            _ => Err(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of 10,000 sectors, with `value` at byte `at`.
    fn with(at: usize, value: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let fields = [
            (0, 0xcafe_babe),
            (8, VERSION),
            (16, 10_000),
            (24, 8),
            (32, 64),
            (80, 1),
            (128, 2),
            (136, 1),
            (144, 3),
            (192, 2048),
        ];
        for (at, value) in fields.into_iter().chain([(at, value)]) {
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        }
        bytes
    }

    #[test]
    fn header_is_understood() {
        let header = Header::parse(&with(208, 0)).unwrap();
        assert_eq!((header.capacity, header.gd_offset), (10_000, 2));
        assert!(header.check_fits(3 * 512).is_ok());
        assert!(header.check_fits(3 * 512 - 1).is_err());
        assert_eq!(header.table(0), Ok(None));
        assert_eq!(header.table(0x1000_0000_0000_0002), Ok(Some(3 + 128)));
        assert_eq!(header.table(2), Err(2));
        let mut volatile = [0; HEADER_BYTES];
        assert!(Header::is_unclean(&volatile).is_err());
        volatile[..4].copy_from_slice(&[0xfe, 0xca, 0xfe, 0xca]);
        assert_eq!(Header::is_unclean(&volatile), Ok(false));
        volatile[24] = 1;
        assert_eq!(Header::is_unclean(&volatile), Ok(true));
    }

    #[test]
    fn entries_are_those_that_qemu_reads() {
        let header = Header::parse(&with(208, 0)).unwrap();
        for (entry, meaning) in [
            (0, Ok(Entry::Nothing)),
            (1 << 60, Ok(Entry::Zeros)),
            (2 << 60, Ok(Entry::Zeros)),
            (3 << 60, Ok(Entry::Grain(2048))),
            (3 << 60 | 5 << 48, Ok(Entry::Grain(2048 + 40))),
            (3 << 60 | 1, Ok(Entry::Grain(2048 + 4096 * 8))),
            (7, Err(7)),
            (4 << 60, Err(4 << 60)),
            (u64::MAX, Err(u64::MAX)),
            (3 << 60 | 0xffff_ffff_ffff, Err(3 << 60 | 0xffff_ffff_ffff)),
        ] {
            assert_eq!(header.grain(entry), meaning, "{entry:#x}");
        }
    }

    #[test]
    fn impossible_fields_are_refused() {
        for (at, value) in [
            (0, 1),
            (16, 0),
            (16, u64::MAX),
            (136, 0),
            (192, u64::MAX),
            (80, u64::MAX),
        ] {
            let parsed = Header::parse(&with(at, value));
            assert!(
                matches!(parsed, Err(Fault::Malformed(_))),
                "{at}: {parsed:?}"
            );
        }
        for (at, value) in [(8, 1), (24, 128), (32, 0), (40, 1)] {
            let parsed = Header::parse(&with(at, value));
            assert!(
                matches!(parsed, Err(Fault::Unsupported(_))),
                "{at}: {parsed:?}"
            );
        }
    }
}
