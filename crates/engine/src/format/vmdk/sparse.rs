//! The hosted sparse extent ("KDMV"): its header, and where VMware puts its tables.
//!
//! Source: VMware, Virtual Disk Format 5.0, section "Hosted Sparse Extent Header"; layout checked
//! on extents of real disks.

use std::mem::{offset_of, size_of};

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Fault, SECTOR};
use crate::format::{Malformed, Place};

/// The first bytes of a hosted sparse extent.
pub const MAGIC: [u8; 4] = *b"KDMV";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 512;
/// Entries of a grain table, and of the part of a directory that is read at once.
pub const TABLE_ENTRIES: u64 = 512;
/// Bytes of a grain table.
pub const TABLE_BYTES: u64 = TABLE_ENTRIES * 4;
/// The grain that VMware uses, in sectors.
pub const USUAL_GRAIN: u64 = 128;
/// Sectors kept for an embedded descriptor.
pub const DESCRIPTOR_SECTORS: u64 = 20;
/// The entry of a grain that reads as zeros, where the header's flag allows it.
pub const ZERO_GRAIN: u32 = 1;
/// Bytes at the end of a stream whose header names no directory: the footer, which is a second header
/// that does, between its marker and that of the end.
pub const FOOTER_BYTES: usize = 3 * HEADER_BYTES;

/// The byte of a header that is not 0 while a program has the extent open for writing.
pub const UNCLEAN_OFFSET: u64 = offset_of!(Raw, unclean_shutdown) as u64;

/// The most sectors of an extent: what grain tables can address, 2 TiB.
pub const MAX_CAPACITY: u64 = 1 << 32;
const GRAINS: std::ops::RangeInclusive<u64> = 16..=2048;
pub(super) const GD_AT_END: u64 = u64::MAX;
pub(super) const FOOTER_MARKER: u32 = 3;
pub(super) const LINE_ENDS: [u8; 4] = *b"\n \r\n";

pub(super) const FLAG_LINE_ENDS: u32 = 1;
const FLAG_REDUNDANT: u32 = 1 << 1;
const FLAG_ZERO_GRAINS: u32 = 1 << 2;
pub(super) const FLAG_COMPRESSED: u32 = 1 << 16;
pub(super) const FLAG_MARKERS: u32 = 1 << 17;
const INCOMPATIBLE: u32 = 0xffff_0000;
pub(super) const DEFLATE: u16 = 1;

/// The header as it lies on disk; the comments are byte offsets.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Raw {
    pub magic: [u8; 4],          // 0
    pub version: U32,            // 4
    pub flags: U32,              // 8
    pub capacity: U64,           // 12
    pub grain_size: U64,         // 20
    pub descriptor_offset: U64,  // 28
    pub descriptor_size: U64,    // 36
    pub num_gtes_per_gt: U32,    // 44
    pub rgd_offset: U64,         // 48
    pub gd_offset: U64,          // 56
    pub over_head: U64,          // 64
    pub unclean_shutdown: u8,    // 72
    pub line_ends: [u8; 4],      // 73
    pub compress_algorithm: U16, // 77
    pub pad: [u8; 433],          // 79
}

const _: () = assert!(size_of::<Raw>() == HEADER_BYTES);
const _: () = assert!(offset_of!(Raw, capacity) == 12 && offset_of!(Raw, grain_size) == 20);
const _: () = assert!(offset_of!(Raw, descriptor_offset) == 28);
const _: () = assert!(offset_of!(Raw, num_gtes_per_gt) == 44 && offset_of!(Raw, rgd_offset) == 48);
const _: () = assert!(offset_of!(Raw, over_head) == 64 && offset_of!(Raw, unclean_shutdown) == 72);
const _: () = assert!(offset_of!(Raw, compress_algorithm) == 77 && offset_of!(Raw, pad) == 79);

/// What a header says, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Format version, 1 to 3.
    pub version: u32,
    /// Length of the extent in sectors, 1 to 2^32.
    pub capacity: u64,
    /// Sectors of a grain, a power of two.
    pub grain_sectors: u64,
    /// First sector of the primary grain directory; [`Header::is_at_end`] tells whether the footer
    /// has it.
    pub gd_offset: u64,
    /// First sector of the redundant grain directory, where there is one.
    pub rgd_offset: Option<u64>,
    /// Sectors before the first grain.
    pub overhead: u64,
    /// Whether [`ZERO_GRAIN`] means zeros.
    pub zero_grains: bool,
    /// Whether the extent was open for writing when its program ended.
    pub unclean: bool,
    /// How its grains are compressed; `None` where they lie as they are.
    pub packing: Option<Packing>,
    /// Whether the primary directory does not lie inside the file: [`Header::gd_offset`] is the
    /// redundant one then.
    pub spared: bool,
}

/// How compressed grains lie in a file. Their data is a zlib stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Each behind a marker.
    Marked,
    /// Alone: the stream says itself where it ends.
    Bare,
}

/// The marker before a compressed grain, as it lies on disk.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct GrainMarker {
    /// First sector that the grain holds.
    pub lba: U64,
    /// Bytes of the compressed data behind the marker.
    pub size: U32,
}

/// Bytes of a [`GrainMarker`].
pub const MARKER_BYTES: usize = size_of::<GrainMarker>();
const _: () = assert!(MARKER_BYTES == 12);

/// Where the descriptor lies inside an extent, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// First sector.
    pub offset: u64,
    /// Number of sectors.
    pub sectors: u64,
}

impl Embedded {
    /// Reads from a header where the descriptor is; `None` where the extent has none.
    ///
    /// # Errors
    /// A place or size that makes no sense.
    pub fn parse(header: &[u8; HEADER_BYTES]) -> Result<Option<Self>, Malformed> {
        let raw = raw(header)?;
        let (offset, sectors) = (raw.descriptor_offset.get(), raw.descriptor_size.get());
        if offset == 0 || sectors == 0 {
            return Ok(None);
        }
        let limit = super::descriptor::MAX_BYTES / SECTOR;
        if sectors > limit || offset > MAX_CAPACITY {
            let what = format!("a descriptor of {sectors} sectors at {offset} makes no sense");
            return Err(fault(offset_of!(Raw, descriptor_offset), what));
        }
        Ok(Some(Self { offset, sectors }))
    }
}

impl Header {
    /// Reads and checks a header.
    ///
    /// # Errors
    /// `Malformed` names the field; `Unsupported` for unknown features.
    pub fn parse(header: &[u8; HEADER_BYTES]) -> Result<Self, Fault> {
        let raw = raw(header)?;
        check_features(raw)?;
        check_geometry(raw)?;
        let flags = raw.flags.get();
        Ok(Self {
            version: raw.version.get(),
            capacity: raw.capacity.get(),
            grain_sectors: raw.grain_size.get(),
            gd_offset: raw.gd_offset.get(),
            rgd_offset: (flags & FLAG_REDUNDANT != 0).then(|| raw.rgd_offset.get()),
            overhead: raw.over_head.get(),
            zero_grains: flags & FLAG_ZERO_GRAINS != 0,
            unclean: raw.unclean_shutdown != 0,
            packing: packing(flags),
            spared: false,
        })
    }

    /// Tells whether the footer has the directory's place.
    pub fn is_at_end(&self) -> bool {
        self.gd_offset == GD_AT_END
    }

    /// Returns the header that the footer in the last [`FOOTER_BYTES`] of a stream has, which is right
    /// where it differs from this one.
    ///
    /// # Errors
    /// Where there is no footer: the file is not whole. As [`Header::parse`].
    pub fn footer(&self, end: &[u8; FOOTER_BYTES]) -> Result<Self, Fault> {
        let [marker, footer, last] = [0, 1, 2].map(|i| &end[i * HEADER_BYTES..][..HEADER_BYTES]);
        let is_footer = marker[8..12] == [0; 4] && marker[12..16] == FOOTER_MARKER.to_le_bytes();
        if !is_footer || last[..16] != [0; 16] || !footer.starts_with(&MAGIC) {
            let what = "its end is missing, where its tables are told of: it was not copied whole";
            return Err(Malformed::new(Place::Whole, what).into());
        }
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(footer);
        let found = Self::parse(&bytes)?;
        let is_same = (found.capacity, found.grain_sectors, found.packing)
            == (self.capacity, self.grain_sectors, self.packing);
        if found.is_at_end() || !is_same {
            let what = "the header at its end does not belong to the one at its start";
            return Err(Malformed::new(Place::Whole, what).into());
        }
        Ok(found)
    }

    /// Returns the number of grain tables.
    pub fn tables(&self) -> u64 {
        self.capacity.div_ceil(self.table_sectors())
    }

    /// Returns the sectors that one grain table covers.
    pub fn table_sectors(&self) -> u64 {
        self.grain_sectors * TABLE_ENTRIES
    }

    /// Returns the bytes of a grain.
    pub fn grain_bytes(&self) -> u64 {
        self.grain_sectors * SECTOR
    }

    /// Returns the header in `bytes` with another capacity, and with the directories of `layout`
    /// where there is one.
    ///
    /// # Errors
    /// Where the bytes are no header.
    pub fn regrown(
        bytes: &[u8; HEADER_BYTES],
        capacity: u64,
        layout: Option<&Layout>,
    ) -> Result<[u8; HEADER_BYTES], Malformed> {
        raw(bytes)?;
        let mut bytes = *bytes;
        let raw = Raw::mut_from_bytes(&mut bytes)
            .map_err(|_| Malformed::new(Place::Whole, "the header is not 512 bytes"))?;
        raw.capacity = capacity.into();
        if let Some(layout) = layout {
            raw.gd_offset = layout.gd_offset.into();
            raw.rgd_offset = layout.rgd_offset.into();
            raw.flags |= U32::from(FLAG_REDUNDANT);
        }
        Ok(bytes)
    }

    /// Returns the header with a directory that lies inside a file of `len` bytes: the primary one,
    /// else the redundant one.
    ///
    /// # Errors
    /// Names the numbers, where neither does.
    pub fn fitting(self, len: u64) -> Result<Self, Malformed> {
        if self.is_inside(self.gd_offset, len) {
            return Ok(self);
        }
        let spare = self
            .rgd_offset
            .filter(|offset| self.is_inside(*offset, len));
        let Some(gd_offset) = spare else {
            let what = format!(
                "its grain directory at sector {} does not lie inside the {len} bytes of the file",
                self.gd_offset
            );
            return Err(fault(offset_of!(Raw, gd_offset), what));
        };
        Ok(Self {
            gd_offset,
            rgd_offset: None,
            spared: true,
            ..self
        })
    }

    /// Tells whether a directory at sector `offset` lies inside a file of `len` bytes.
    fn is_inside(&self, offset: u64, len: u64) -> bool {
        let end = offset
            .checked_mul(SECTOR)
            .and_then(|start| start.checked_add(self.tables() * 4));
        offset > 0 && end.is_some_and(|end| end <= len)
    }
}

fn raw(header: &[u8; HEADER_BYTES]) -> Result<&Raw, Malformed> {
    let raw = Raw::ref_from_bytes(header)
        .map_err(|_| Malformed::new(Place::Whole, "the header is not 512 bytes"))?;
    if raw.magic != MAGIC {
        return Err(fault(0, "it is no sparse extent"));
    }
    Ok(raw)
}

fn fault(at: usize, what: impl Into<String>) -> Malformed {
    Malformed::new(Place::Byte(at as u64), what)
}

fn packing(flags: u32) -> Option<Packing> {
    match (flags & FLAG_COMPRESSED != 0, flags & FLAG_MARKERS != 0) {
        (false, _) => None,
        (true, false) => Some(Packing::Bare),
        (true, true) => Some(Packing::Marked),
    }
}

/// Refuses what we would read wrongly.
fn check_features(raw: &Raw) -> Result<(), Fault> {
    let (version, flags) = (raw.version.get(), raw.flags.get());
    if !(1..=3).contains(&version) {
        return Err(Fault::Unsupported(format!(
            "version {version} of the sparse format is unknown"
        )));
    }
    let algorithm = raw.compress_algorithm.get();
    if algorithm != if packing(flags).is_some() { DEFLATE } else { 0 } {
        return Err(Fault::Unsupported(format!(
            "its compression is unknown (algorithm {algorithm}, flags {flags:#x})"
        )));
    }
    let known = match packing(flags) {
        Some(_) => FLAG_COMPRESSED | FLAG_MARKERS,
        None => 0,
    };
    if flags & INCOMPATIBLE & !known != 0 {
        return Err(Fault::Unsupported(format!(
            "it uses features of the sparse format that are unknown (flags {flags:#x})"
        )));
    }
    if flags & FLAG_LINE_ENDS != 0 && raw.line_ends != LINE_ENDS {
        let what = "its line ends were changed: it was copied as text, not as data";
        return Err(fault(offset_of!(Raw, line_ends), what).into());
    }
    Ok(())
}

fn check_geometry(raw: &Raw) -> Result<(), Malformed> {
    let (capacity, grain) = (raw.capacity.get(), raw.grain_size.get());
    if capacity == 0 || capacity > MAX_CAPACITY {
        let what = format!("a capacity of {capacity} sectors is not between 1 and {MAX_CAPACITY}");
        return Err(fault(offset_of!(Raw, capacity), what));
    }
    if !grain.is_power_of_two() || !GRAINS.contains(&grain) {
        let what = format!("a grain of {grain} sectors makes no sense");
        return Err(fault(offset_of!(Raw, grain_size), what));
    }
    if raw.over_head.get() > MAX_CAPACITY {
        let what = format!("no grain can begin at sector {}", raw.over_head);
        return Err(fault(offset_of!(Raw, over_head), what));
    }
    if u64::from(raw.num_gtes_per_gt.get()) != TABLE_ENTRIES {
        let what = format!(
            "grain tables of {} entries make no sense",
            raw.num_gtes_per_gt
        );
        return Err(fault(offset_of!(Raw, num_gtes_per_gt), what));
    }
    Ok(())
}

/// Where everything lies in a new extent, in sectors, exactly as VMware puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Length of the extent.
    pub capacity: u64,
    /// Whether sectors 1 to 20 hold a descriptor.
    pub embedded: bool,
    /// Number of grain tables.
    pub tables: u64,
    /// Redundant grain directory.
    pub rgd_offset: u64,
    /// First redundant grain table; the others follow, four sectors each.
    pub rgt_offset: u64,
    /// Primary grain directory.
    pub gd_offset: u64,
    /// First primary grain table.
    pub gt_offset: u64,
    /// Where the first grain goes.
    pub overhead: u64,
}

/// Sectors of a grain table.
const TABLE_SECTORS: u64 = TABLE_BYTES / SECTOR;

impl Layout {
    /// Lays out an extent of `capacity` sectors with grains of the usual size.
    ///
    /// # Errors
    /// A capacity of 0 or above 2 TiB.
    pub fn new(capacity: u64, embedded: bool) -> Result<Self, Malformed> {
        if capacity == 0 || capacity > MAX_CAPACITY {
            let what = format!("a sparse file cannot hold {capacity} sectors, at most 2 TiB fit");
            return Err(Malformed::new(Place::Whole, what));
        }
        let first = 1 + if embedded { DESCRIPTOR_SECTORS } else { 0 };
        let behind = Self::behind(first, capacity, USUAL_GRAIN);
        Ok(Self { embedded, ..behind })
    }

    /// Lays out new tables that begin at sector `first`, for an extent that has grown to `capacity`
    /// sectors in grains of `grain`.
    pub fn behind(first: u64, capacity: u64, grain: u64) -> Self {
        let tables = capacity.div_ceil(grain * TABLE_ENTRIES);
        let directory = (tables * 4).div_ceil(SECTOR);
        let rgt_offset = first + directory;
        let gd_offset = rgt_offset + tables * TABLE_SECTORS;
        let gt_offset = gd_offset + directory;
        let end = gt_offset + tables * TABLE_SECTORS;
        Self {
            capacity,
            embedded: false,
            tables,
            rgd_offset: first,
            rgt_offset,
            gd_offset,
            gt_offset,
            overhead: end.next_multiple_of(grain),
        }
    }

    /// Returns the header.
    pub fn header(&self) -> [u8; HEADER_BYTES] {
        let raw = Raw {
            magic: MAGIC,
            version: 1.into(),
            flags: (FLAG_LINE_ENDS | FLAG_REDUNDANT).into(),
            capacity: self.capacity.into(),
            grain_size: USUAL_GRAIN.into(),
            descriptor_offset: u64::from(self.embedded).into(),
            descriptor_size: (u64::from(self.embedded) * DESCRIPTOR_SECTORS).into(),
            num_gtes_per_gt: (TABLE_ENTRIES as u32).into(),
            rgd_offset: self.rgd_offset.into(),
            gd_offset: self.gd_offset.into(),
            over_head: self.overhead.into(),
            unclean_shutdown: 0,
            line_ends: LINE_ENDS,
            compress_algorithm: 0.into(),
            pad: [0; 433],
        };
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(raw.as_bytes());
        bytes
    }

    /// Returns the redundant directory: the sector of each of its tables.
    pub fn redundant_directory(&self) -> Vec<u8> {
        self.directory(self.rgt_offset)
    }

    /// Returns the primary directory.
    ///
    /// No entry is ever 0: QEMU 10, writing to a grain whose table is missing, writes over the
    /// header of the extent.
    pub fn primary_directory(&self) -> Vec<u8> {
        self.directory(self.gt_offset)
    }

    fn directory(&self, first_table: u64) -> Vec<u8> {
        // Fits 32 bits: 2 TiB need 65,536 tables twice, well below 2^32 sectors.
        let entry = |i: u64| ((first_table + i * TABLE_SECTORS) as u32).to_le_bytes();
        (0..self.tables).flat_map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(capacity: u64, embedded: bool) -> (u64, u64, u64) {
        let layout = Layout::new(capacity, embedded).unwrap();
        (layout.rgd_offset, layout.gd_offset, layout.overhead)
    }

    #[test]
    fn layout_is_that_of_real_extents() {
        assert_eq!(numbers(8_323_072, false), (1, 510, 1024));
        assert_eq!(numbers(327_680, false), (1, 22, 128));
        assert_eq!(numbers(2048, true), (21, 26, 128));
        assert_eq!(numbers(16_777_216, true), (21, 1047, 2176));
    }

    #[test]
    fn header_written_is_header_read() {
        let layout = Layout::new(2048, true).unwrap();
        let bytes = layout.header();
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header.capacity, 2048);
        assert_eq!(header.rgd_offset, Some(21));
        assert_eq!(header.gd_offset, 26);
        assert_eq!((header.zero_grains, header.unclean), (false, false));
        let place = Embedded::parse(&bytes).unwrap().unwrap();
        assert_eq!((place.offset, place.sectors), (1, 20));
    }

    #[test]
    fn directories_name_adjacent_tables() {
        let layout = Layout::new(65536 * 3, false).unwrap();
        let first = layout.rgt_offset as u32;
        let expected: Vec<u8> = [first, first + 4, first + 8]
            .iter()
            .flat_map(|e| e.to_le_bytes())
            .collect();
        assert_eq!(layout.redundant_directory(), expected);
    }

    /// Returns a sound header with the little-endian `value` put at `at`.
    fn with(at: usize, value: &[u8]) -> [u8; HEADER_BYTES] {
        let mut bytes = Layout::new(2048, true).unwrap().header();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    }

    fn malformed_at(bytes: &[u8; HEADER_BYTES]) -> Place {
        match Header::parse(bytes) {
            Err(Fault::Malformed(fault)) => fault.place,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rejects_impossible_fields() {
        assert_eq!(
            malformed_at(&with(12, &u64::MAX.to_le_bytes())),
            Place::Byte(12)
        );
        assert_eq!(
            malformed_at(&with(12, &0u64.to_le_bytes())),
            Place::Byte(12)
        );
        for grain in [0u64, 8, 100, 1 << 63] {
            assert_eq!(
                malformed_at(&with(20, &grain.to_le_bytes())),
                Place::Byte(20)
            );
        }
        assert_eq!(
            malformed_at(&with(44, &1024u32.to_le_bytes())),
            Place::Byte(44)
        );
        assert_eq!(malformed_at(&with(73, b"\n \n\n")), Place::Byte(73));
        assert_eq!(malformed_at(&with(0, b"COWD")), Place::Byte(0));
        assert_eq!(
            malformed_at(&with(64, &u64::MAX.to_le_bytes())),
            Place::Byte(64)
        );
    }

    #[test]
    fn refuses_unknown_features_by_name() {
        let refused = |bytes| matches!(Header::parse(&bytes), Err(Fault::Unsupported(_)));
        assert!(refused(with(4, &4u32.to_le_bytes())));
        // Compressed by nothing, by deflate without the flag, with markers alone.
        assert!(refused(with(8, &0x3_0001u32.to_le_bytes())));
        assert!(refused(with(77, &1u16.to_le_bytes())));
        assert!(refused(with(8, &0x2_0003u32.to_le_bytes())));
        assert!(refused(with(8, &0x8000_0003u32.to_le_bytes())));
        assert!(!refused(with(8, &0x7u32.to_le_bytes())));
    }

    /// The header of a compressed extent whose directory lies at sector `gd`.
    fn compressed(gd: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = with(8, &0x3_0001u32.to_le_bytes());
        bytes[56..64].copy_from_slice(&gd.to_le_bytes());
        bytes[77] = 1;
        bytes
    }

    #[test]
    fn footer_tells_of_the_directory() {
        let header = Header::parse(&compressed(GD_AT_END)).unwrap();
        assert_eq!(header.packing, Some(Packing::Marked));
        assert!(header.is_at_end());
        assert!(header.fitting(u64::MAX).is_err());
        let mut end = [0; FOOTER_BYTES];
        end[12] = 3;
        end[512..1024].copy_from_slice(&compressed(77));
        assert_eq!(header.footer(&end).unwrap().gd_offset, 77);
        // Without its marker, with one whose directory is at the end again, with another capacity.
        for (at, value) in [(12, 2), (8, 1), (1024, 1), (512, b'X'), (512 + 12, 9)] {
            let mut end = end;
            end[at] = value;
            assert!(header.footer(&end).is_err(), "{at}");
        }
        end[512..1024].copy_from_slice(&compressed(GD_AT_END));
        assert!(header.footer(&end).is_err());
        assert!(header.footer(&[0; FOOTER_BYTES]).is_err());
    }

    #[test]
    fn directory_outside_the_file_is_refused() {
        let header = Header::parse(&with(56, &26u64.to_le_bytes())).unwrap();
        assert_eq!(header.fitting(65536), Ok(header));
        assert!(!header.spared);
        // Not even the redundant one is.
        assert!(header.fitting(21 * 512 + 3).is_err());
        let header = Header::parse(&with(56, &(u64::MAX - 1).to_le_bytes())).unwrap();
        let spared = header.fitting(65536).unwrap();
        assert!(spared.spared);
        assert_eq!((spared.gd_offset, spared.rgd_offset), (21, None));
    }

    #[test]
    fn descriptor_of_terabytes_is_refused() {
        assert!(Embedded::parse(&with(36, &u64::MAX.to_le_bytes())).is_err());
        assert_eq!(Embedded::parse(&with(28, &0u64.to_le_bytes())), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_or_refused(mut bytes in proptest::collection::vec(0u8.., 512)) {
            bytes[..4].copy_from_slice(&MAGIC);
            let bytes: [u8; 512] = bytes.try_into().unwrap();
            let _ = Embedded::parse(&bytes);
            if let Ok(header) = Header::parse(&bytes) {
                let _ = header.fitting(1 << 20);
            }
        }
    }

    #[test]
    fn extent_above_two_tebibytes_is_refused() {
        assert!(Layout::new((1 << 32) + 1, false).is_err());
        assert!(Layout::new(1 << 32, false).is_ok());
    }
}
