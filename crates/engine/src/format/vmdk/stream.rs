//! What a stream of compressed grains ("streamOptimized") is made of, besides its grains.
//!
//! It is written from its start to its end, as VMware's tools export it: header, descriptor, then
//! grains, a grain table behind the last grain of each, the directory, the footer, the end. All of
//! these are whole sectors, and a marker stands before each.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian};

use super::SECTOR;
use super::sparse::{
    DEFLATE, DESCRIPTOR_SECTORS, FLAG_COMPRESSED, FLAG_LINE_ENDS, FLAG_MARKERS, FOOTER_MARKER,
    GD_AT_END, HEADER_BYTES, LINE_ENDS, MAGIC, Raw, TABLE_ENTRIES, USUAL_GRAIN,
};

/// Where the first grain of a stream stands.
pub const FIRST_GRAIN: u64 = 128;

/// What a marker announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing more.
    End,
    /// A grain table.
    Table,
    /// The grain directory.
    Directory,
    /// A second header, which knows where the directory is.
    Footer,
}

/// A marker of anything but a grain, as it lies on disk.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Marker {
    sectors: little_endian::U64,
    /// Bytes of compressed data: none.
    size: little_endian::U32,
    kind: little_endian::U32,
    pad: [u8; 496],
}

/// Returns the marker of a part that has `sectors` sectors.
pub fn marker(part: Part, sectors: u64) -> [u8; SECTOR as usize] {
    let kind = match part {
        Part::End => 0,
        Part::Table => 1,
        Part::Directory => 2,
        Part::Footer => FOOTER_MARKER,
    };
    let marker = Marker {
        sectors: sectors.into(),
        size: 0.into(),
        kind: kind.into(),
        pad: [0; 496],
    };
    zerocopy::transmute!(marker)
}

/// Returns the header of a stream of `capacity` sectors; with the directory's sector, its footer.
pub fn header(capacity: u64, directory: Option<u64>) -> [u8; HEADER_BYTES] {
    let raw = Raw {
        magic: MAGIC,
        version: 3.into(),
        flags: (FLAG_LINE_ENDS | FLAG_COMPRESSED | FLAG_MARKERS).into(),
        capacity: capacity.into(),
        grain_size: USUAL_GRAIN.into(),
        descriptor_offset: 1.into(),
        descriptor_size: DESCRIPTOR_SECTORS.into(),
        num_gtes_per_gt: (TABLE_ENTRIES as u32).into(),
        rgd_offset: 0.into(),
        gd_offset: directory.unwrap_or(GD_AT_END).into(),
        over_head: FIRST_GRAIN.into(),
        unclean_shutdown: 0,
        line_ends: LINE_ENDS,
        compress_algorithm: DEFLATE.into(),
        pad: [0; 433],
    };
    zerocopy::transmute!(raw)
}

#[cfg(test)]
mod tests {
    use super::super::sparse::{FOOTER_BYTES, Header, Packing};
    use super::*;

    #[test]
    fn end_written_is_end_read() {
        let header = Header::parse(&header(5000, None)).unwrap();
        assert!(header.is_at_end());
        assert_eq!((header.capacity, header.version), (5000, 3));
        assert_eq!(header.packing, Some(Packing::Marked));
        let end = [
            marker(Part::Footer, 1),
            super::header(5000, Some(999)),
            marker(Part::End, 0),
        ];
        let end: [u8; FOOTER_BYTES] = end.concat().try_into().unwrap();
        assert_eq!(header.footer(&end).unwrap().gd_offset, 999);
    }

    #[test]
    fn markers_are_those_of_real_streams() {
        let directory = marker(Part::Directory, 8);
        assert_eq!(
            directory[..16],
            [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]
        );
        assert!(directory[16..].iter().all(|byte| *byte == 0));
        assert_eq!(marker(Part::End, 0), [0; 512]);
        assert_eq!(marker(Part::Table, 4)[12], 1);
    }
}
