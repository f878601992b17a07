//! The firmware's memory `.nvram`: recognised, and copied as it is.
//!
//! Layout: `MRVN`, u32 1, then records of a name in 8 bytes, u32 size, data. All little-endian.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{Malformed, Place};

const MAGIC: &[u8; 4] = b"MRVN";

/// Offset 0 of the file.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4], // 0
    _version: U32,  // 4
}

/// Before the data of each record.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RecordHeader {
    name: [u8; 8], // 0
    size: U32,     // 8
}

/// A record: where its data stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Name: `CMOS`, `ESCD`, `EFI_NV`.
    pub name: String,
    /// Position of its data.
    pub offset: usize,
    /// Length of its data.
    pub size: usize,
}

/// Returns the records of a `.nvram` file.
///
/// # Errors
/// What is none, or has a record that does not fit.
pub fn records(bytes: &[u8]) -> Result<Vec<Record>, Malformed> {
    let broken = |at: usize, what: &str| Malformed::new(Place::Byte(at as u64), what);
    let (header, mut rest) = Header::ref_from_prefix(bytes)
        .map_err(|_| broken(0, "too short for the firmware's memory"))?;
    if header.magic != *MAGIC {
        return Err(broken(0, "this is not the memory of a VM's firmware"));
    }
    let mut records = Vec::new();
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (record, data) =
            RecordHeader::ref_from_prefix(rest).map_err(|_| broken(at, "a record is cut off"))?;
        let size = record.size.get() as usize;
        rest = data
            .get(size..)
            .ok_or_else(|| broken(at, "a record is longer than the file"))?;
        records.push(Record {
            name: String::from_utf8_lossy(&record.name)
                .trim_end_matches('\0')
                .to_string(),
            offset: bytes.len() - data.len(),
            size,
        });
    }
    Ok(records)
}

/// Tells whether `bytes` begin as the firmware's memory does.
pub fn is_nvram(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_listed() {
        let bytes = b"MRVN\x01\0\0\0CMOS\0\0\0\0\x02\0\0\0abEFI_NV\0\0\x01\0\0\0c";
        let records = records(bytes).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!((&*records[0].name, records[0].size), ("CMOS", 2));
        assert_eq!(&bytes[records[1].offset..], b"c");
    }

    #[test]
    fn damaged_memory_is_refused() {
        for bytes in [
            &b""[..],
            b"MRVN",
            b"VRVN\x01\0\0\0",
            b"MRVN\x01\0\0\0CMOS",
            b"MRVN\x01\0\0\0CMOS\0\0\0\0\xff\xff\xff\xffab",
        ] {
            assert!(records(bytes).is_err(), "{bytes:?}");
        }
    }
}
