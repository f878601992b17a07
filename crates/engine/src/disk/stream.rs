//! Writing a stream of compressed grains, by all processors, in the order of the guest's addresses.
//!
//! Threads read and compress pieces of the disk; what they made is appended in the order of the pieces,
//! so that the file is the same whatever their number.

use std::path::Path;

use libdeflater::{CompressionLvl, Compressor};
use zerocopy::IntoBytes;

use super::chain::Chain;
use super::ordered::Team;
use super::pieces::{Piece, Pieces};
use super::window::{GRAIN, is_zero};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{
    GrainMarker, MAX_CAPACITY, TABLE_BYTES, TABLE_ENTRIES, USUAL_GRAIN,
};
use crate::format::vmdk::stream::{FIRST_GRAIN, Part, header, marker};
use crate::job::Job;
use crate::store::Bytes;

/// How hard a stream is compressed where nobody says: a hundredth larger than by zlib's usual level, in
/// less than a third of its time.
pub const USUAL_LEVEL: u8 = 4;

/// How hard a stream may be compressed, from fast to small.
pub const LEVELS: std::ops::RangeInclusive<u8> = 1..=9;

/// Up to which chi-squared a grain counts as noise: 256 byte values of even chance come to 255 with a
/// deviation of 23. One of which a quarter is there twice comes to 380 or so.
const MOST_NOISE: u64 = 330;

/// Grains of a piece.
const PIECE: u64 = 4;

/// The most threads: each takes some 1.2 MiB.
const MAX_THREADS: usize = 12;

/// The most pieces that wait for one before them, at most 0.3 MiB each.
const WAITING: usize = 40;

/// A stream to be written.
pub(super) struct Stream<'a> {
    /// What it will read as.
    pub chain: &'a Chain,
    /// Its file, for errors.
    pub path: &'a Path,
    /// How hard it is compressed, one of [`LEVELS`].
    pub level: u8,
    /// Who compresses.
    pub team: Team,
}

impl Stream<'_> {
    /// Writes everything but the descriptor to `file`, which is empty; returns the bytes of data that
    /// went into it, before they were compressed.
    ///
    /// The job advances by [`Chain::data_bytes`] in all.
    ///
    /// # Errors
    /// `Argument` for a disk or a level that cannot be; `Cancelled`; `NoSpace`; what reading the chain
    /// says.
    pub fn write(&self, file: &dyn Bytes, job: &Job) -> Result<u64> {
        let capacity = self.chain.sectors();
        if capacity > MAX_CAPACITY {
            let text = format!("{} cannot hold more than 2 TiB", quoted(self.path));
            return Err(Error::new(Kind::Argument, text).at(self.path));
        }
        let level = level(self.level)?;
        file.write_at(&header(capacity, None), 0)?;
        let mut pieces = Pieces::new(self.chain, 0, capacity, PIECE);
        let mut tail = Tail::new(file, self.path, capacity);
        self.team.run(
            job,
            || pieces.take(),
            || {
                let mut packer = Packer::new(level);
                move |piece: Piece| {
                    let packed = packer.pack(self.chain, &piece)?;
                    job.advance(piece.data_bytes());
                    Ok(packed)
                }
            },
            |packed| tail.append(&packed),
        )?;
        tail.finish()
    }
}

/// Returns who compresses where nobody says.
pub(super) fn usual_team() -> Team {
    Team::of_all(MAX_THREADS, WAITING)
}

fn level(level: u8) -> Result<CompressionLvl> {
    let known = Some(level).filter(|level| LEVELS.contains(level));
    known
        .and_then(|level| CompressionLvl::new(i32::from(level)).ok())
        .ok_or_else(|| {
            let (least, most) = (LEVELS.start(), LEVELS.end());
            let text =
                format!("a level of compression of {level} is not between {least} and {most}");
            Error::new(Kind::Argument, text)
        })
}

/// Reads and compresses the pieces of one thread.
struct Packer {
    compressor: Compressor,
    /// Wraps what compressing would not make smaller.
    wrapper: Compressor,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

/// The grains of a piece as they go into the file.
struct PackedPiece {
    /// Number of each grain, and where in `bytes` its marker is.
    grains: Vec<(u64, usize)>,
    /// Whole sectors.
    bytes: Vec<u8>,
}

impl Packer {
    fn new(level: CompressionLvl) -> Self {
        let mut compressor = Compressor::new(level);
        let most = compressor.zlib_compress_bound(GRAIN);
        let nothing = CompressionLvl::new(0).unwrap_or(level);
        Self {
            compressor,
            wrapper: Compressor::new(nothing),
            raw: vec![0; PIECE as usize * GRAIN],
            packed: vec![0; most],
        }
    }

    fn pack(&mut self, chain: &Chain, piece: &Piece) -> Result<PackedPiece> {
        let start = piece.first_grain * USUAL_GRAIN;
        self.raw.fill(0);
        for part in &piece.parts {
            let at = ((part.sector - start) * SECTOR) as usize;
            let bytes = &mut self.raw[at..at + (part.sectors * SECTOR) as usize];
            chain.read_run(&part.run, part.skip * SECTOR, bytes)?;
        }
        let mut grains = Vec::new();
        let mut bytes = Vec::new();
        for (number, grain) in (piece.first_grain..).zip(self.raw.chunks_exact(GRAIN)) {
            if is_zero(grain) {
                continue;
            }
            let compressor = match is_noise(grain) {
                true => &mut self.wrapper,
                false => &mut self.compressor,
            };
            let size = compressor.zlib_compress(grain, &mut self.packed);
            let size = size.map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
            grains.push((number, bytes.len()));
            let marker = GrainMarker {
                lba: (number * USUAL_GRAIN).into(),
                size: (size as u32).into(),
            };
            bytes.extend_from_slice(marker.as_bytes());
            bytes.extend_from_slice(&self.packed[..size]);
            bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
        }
        Ok(PackedPiece { grains, bytes })
    }
}

/// Tells whether the bytes of a grain are spread as evenly as by chance: packed or encrypted data, on which
/// a compressor spends the most time for nothing.
fn is_noise(grain: &[u8]) -> bool {
    // Four counters of each value: one and the same would be waited for.
    let mut counts = [[0_u32; 256]; 4];
    for bytes in grain.chunks_exact(4) {
        for (counts, byte) in counts.iter_mut().zip(bytes) {
            counts[usize::from(*byte)] += 1;
        }
    }
    let count = |value: usize| -> u64 { counts.iter().map(|of| u64::from(of[value])).sum() };
    let squares: u64 = (0..256).map(|value| count(value).pow(2)).sum();
    let len = grain.len() as u64;
    256 * squares <= (len + MOST_NOISE) * len
}

/// The end of the file, to which pieces are appended.
struct Tail<'a> {
    file: &'a dyn Bytes,
    path: &'a Path,
    capacity: u64,
    next_sector: u64,
    /// The grain table that is being filled, if there is one, and its number.
    table: [u32; TABLE_ENTRIES as usize],
    current: Option<u64>,
    directory: Vec<u32>,
    grains: u64,
}

impl<'a> Tail<'a> {
    fn new(file: &'a dyn Bytes, path: &'a Path, capacity: u64) -> Self {
        let tables = capacity.div_ceil(USUAL_GRAIN * TABLE_ENTRIES);
        Self {
            file,
            path,
            capacity,
            next_sector: FIRST_GRAIN,
            table: [0; TABLE_ENTRIES as usize],
            current: None,
            directory: vec![0; tables as usize],
            grains: 0,
        }
    }

    fn append(&mut self, piece: &PackedPiece) -> Result<()> {
        let mut done = 0;
        for (number, start) in &piece.grains {
            let table = number / TABLE_ENTRIES;
            if self.current.is_some_and(|current| current != table) {
                // The table goes between the grains that it names and the next.
                self.put(&piece.bytes[done..*start])?;
                done = *start;
                self.end_table()?;
            }
            self.current = Some(table);
            let sector = self.next_sector + (start - done) as u64 / SECTOR;
            self.table[(number % TABLE_ENTRIES) as usize] = self.entry(sector)?;
            self.grains += 1;
        }
        self.put(&piece.bytes[done..])
    }

    /// Writes whole sectors to the end.
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if !bytes.is_empty() {
            self.file.write_at(bytes, self.next_sector * SECTOR)?;
        }
        self.next_sector += bytes.len() as u64 / SECTOR;
        Ok(())
    }

    fn end_table(&mut self) -> Result<()> {
        let Some(table) = self.current.take() else {
            return Ok(());
        };
        self.put(&marker(Part::Table, TABLE_BYTES / SECTOR))?;
        self.directory[table as usize] = self.entry(self.next_sector)?;
        let entries = std::mem::replace(&mut self.table, [0; TABLE_ENTRIES as usize]);
        self.put(&to_bytes(&entries))
    }

    /// Writes what comes behind the last grain.
    fn finish(&mut self) -> Result<u64> {
        self.end_table()?;
        let mut directory = to_bytes(&self.directory);
        directory.resize(directory.len().next_multiple_of(SECTOR as usize), 0);
        self.put(&marker(Part::Directory, directory.len() as u64 / SECTOR))?;
        let at = self.next_sector;
        self.put(&directory)?;
        self.put(&marker(Part::Footer, 1))?;
        self.put(&header(self.capacity, Some(at)))?;
        self.put(&marker(Part::End, 0))?;
        Ok(self.grains * GRAIN as u64)
    }

    /// Returns the sector as tables have it.
    fn entry(&self, sector: u64) -> Result<u32> {
        u32::try_from(sector).map_err(|_| {
            let text = format!("{} is full: 2 TiB fit a stream", quoted(self.path));
            Error::new(Kind::NoSpace, text).at(self.path)
        })
    }
}

fn to_bytes(entries: &[u32]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn only_what_has_no_pattern_is_noise() {
        let mut noise = vec![0; GRAIN];
        StdRng::seed_from_u64(7).fill(&mut noise[..]);
        assert!(is_noise(&noise));
        let mut repeated = noise.clone();
        repeated.copy_within(..GRAIN / 2, GRAIN / 2);
        let mut text = noise.clone();
        text.iter_mut().for_each(|byte| *byte &= 0x7f);
        let mut mixed = noise.clone();
        mixed[..2048].fill(0);
        for patterned in [&repeated, &text, &mixed] {
            assert!(!is_noise(patterned));
        }
    }
}
