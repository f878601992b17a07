//! Compressed grains: found by their markers, checked, and inflated.
//!
//! No size in a file is believed: a grain's compressed data has at most twice the bytes of a grain,
//! and inflates into a buffer of one grain, however much there may be in it.

use std::sync::{Mutex, PoisonError};

use libdeflater::{DecompressionError, Decompressor};
use zerocopy::FromBytes;

use super::chain::Chain;
use super::map::Packed;
use super::pool::{FileId, Pool};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{GrainMarker, MARKER_BYTES, Packing};

/// What is found in a file, or what is wrong with it.
type Found<T> = std::result::Result<T, String>;

/// The grain of a chain that was inflated last: a reader that takes it in parts inflates it once.
#[derive(Default)]
pub(super) struct LastGrain(Mutex<Option<Unpacked>>);

struct Unpacked {
    file: FileId,
    offset: u64,
    bytes: Vec<u8>,
}

impl Chain {
    /// Fills `buf` from a run of a compressed grain, beginning `skip` bytes into the run.
    ///
    /// # Errors
    /// `DiskInvalid` where the grain is damaged; what the system says.
    pub(super) fn unpack(&self, packed: &Packed, skip: u64, buf: &mut [u8]) -> Result<()> {
        let start = packed.skip * SECTOR + skip;
        if start == 0 && buf.len() as u64 == packed.grain_sectors * SECTOR {
            return packed.inflate(self.pool(), buf).map(|_| ());
        }
        let range = start as usize..start as usize + buf.len();
        let mut last = self
            .unpacked
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = last.take().filter(|last| {
            (last.file, last.offset) == (packed.file, packed.offset)
                && range.end <= last.bytes.len()
        });
        let unpacked = match known {
            Some(unpacked) => unpacked,
            None => {
                let mut bytes = vec![0; (packed.grain_sectors * SECTOR) as usize];
                let len = packed.inflate(self.pool(), &mut bytes)?;
                bytes.truncate(len);
                Unpacked {
                    file: packed.file,
                    offset: packed.offset,
                    bytes,
                }
            }
        };
        buf.copy_from_slice(&last.insert(unpacked).bytes[range]);
        Ok(())
    }
}

impl Packed {
    /// Inflates the grain into `grain`, which has room for a whole one; returns how many bytes there
    /// were: those of the extent at least.
    ///
    /// # Errors
    /// `DiskInvalid` where it is damaged; what the system says.
    pub fn inflate(&self, pool: &Pool, grain: &mut [u8]) -> Result<usize> {
        self.try_inflate(pool, grain)?.map_err(|damage| {
            let path = pool.path(self.file);
            let text = format!("{}: {damage}", quoted(&path));
            Error::new(Kind::DiskInvalid, text).at(&path)
        })
    }

    /// As [`Packed::inflate`]; where the grain is damaged, says how.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_inflate(&self, pool: &Pool, grain: &mut [u8]) -> Result<Found<usize>> {
        let inflated = self.read(pool)?.and_then(|data| {
            let len =
                Decompressor::new()
                    .zlib_decompress(&data, grain)
                    .map_err(|error| match error {
                        DecompressionError::BadData => "cannot be decompressed".to_owned(),
                        DecompressionError::InsufficientSpace => {
                            "holds more than a grain, or has no end".to_owned()
                        }
                    })?;
            match len as u64 >= self.sectors * SECTOR {
                true => Ok(len),
                false => Err(format!("holds {len} bytes only")),
            }
        });
        Ok(inflated.map_err(|what| {
            let (number, sector) = (self.lba / self.grain_sectors, self.offset / SECTOR);
            format!("the compressed grain {number} at sector {sector} {what}")
        }))
    }

    /// Reads the compressed data, its marker checked; without one, as much as it may be.
    fn read(&self, pool: &Pool) -> Result<Found<Vec<u8>>> {
        let cut_off = || "is cut off by the end of the file".to_owned();
        let limit = (2 * self.grain_sectors * SECTOR) as usize;
        let file = pool.get(self.file)?;
        if self.packing == Packing::Bare {
            let mut data = vec![0; limit];
            let got = file.read_at(&mut data, self.offset)?;
            data.truncate(got);
            return Ok(Ok(data));
        }
        let mut bytes = [0; MARKER_BYTES];
        if file.read_at(&mut bytes, self.offset)? < MARKER_BYTES {
            return Ok(Err(cut_off()));
        }
        let (lba, size) = match GrainMarker::ref_from_bytes(&bytes) {
            Ok(marker) => (marker.lba.get(), marker.size.get() as usize),
            Err(_) => (u64::MAX, 0),
        };
        if lba != self.lba || size == 0 || size > limit {
            let what = format!("has a marker that says {size} bytes for sector {lba}");
            return Ok(Err(what));
        }
        let mut data = vec![0; size];
        let got = file.read_at(&mut data, self.offset + MARKER_BYTES as u64)?;
        Ok(if got < size { Err(cut_off()) } else { Ok(data) })
    }
}
