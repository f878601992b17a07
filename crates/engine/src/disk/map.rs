//! The one mapping: for a stretch of the disk, which file holds it, and where.
//!
//! Reading, copying, merging and reporting all stand on it. Positions are sectors of the disk.

use super::MapEntry;
use super::chain::Chain;
use super::grains::{Grains, Index};
use super::link::{Extent, ExtentData, Link};
use super::pool::FileId;
use super::tables::Tables;
use crate::error::Result;
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Packing, USUAL_GRAIN};

/// What one link says about a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Nothing: its parent knows, or it reads as zeros.
    Nothing,
    /// Zeros, whatever the parent has.
    Zeros,
    /// Data, from this byte of this file on.
    Data(FileId, u64),
    /// Data of a compressed grain, of which there is one to a run.
    Packed(Packed),
}

/// A compressed grain, and the place in it where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The file with the grain.
    pub file: FileId,
    /// The byte where it begins: its marker, where it has one.
    pub offset: u64,
    /// How it lies there.
    pub packing: Packing,
    /// First sector that it holds, counted from the start of its extent.
    pub lba: u64,
    /// Sectors of a grain: what it holds at most.
    pub grain_sectors: u64,
    /// Sectors that the extent has of it: what it must hold.
    pub sectors: u64,
    /// Sectors of it before the run.
    pub skip: u64,
}

/// A stretch of a disk that is stored in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First sector of the disk.
    pub sector: u64,
    /// Number of sectors.
    pub sectors: u64,
    /// Number of links between the disk and the one that decides: 0 is the disk itself.
    pub depth: usize,
    /// What that link has; `Nothing` where none of them has anything.
    pub stored: Stored,
}

impl Run {
    /// Tells whether there is data, in whatever form; else the run reads as zeros.
    pub fn has_data(&self) -> bool {
        match self.stored {
            Stored::Data(..) | Stored::Packed(_) => true,
            Stored::Nothing | Stored::Zeros => false,
        }
    }

    /// Returns the file and the byte where the data lies as the guest sees it; `None` where it is
    /// compressed, and where there is none.
    pub fn raw(&self) -> Option<(FileId, u64)> {
        match self.stored {
            Stored::Data(file, offset) => Some((file, offset)),
            Stored::Packed(_) | Stored::Nothing | Stored::Zeros => None,
        }
    }
}

/// The runs of a stretch of a disk, in order, without gaps.
pub struct Runs<'a> {
    chain: &'a Chain,
    /// The first link that is asked: 0 is the disk itself.
    first: usize,
    /// The number of the last one, and one more.
    links: usize,
    at: u64,
    end: u64,
    /// For each link: up to where it is known to have nothing.
    nothing_until: Vec<u64>,
}

impl Chain {
    /// Returns the runs from `sector` on, `sectors` in all; what lies past the end is left out.
    ///
    /// What the tables say is remembered while the chain is open: a disk that is being written is
    /// opened anew.
    pub fn runs(&self, sector: u64, sectors: u64) -> Runs<'_> {
        self.runs_of(self.links().len(), sector, sectors)
    }

    /// Returns the runs that the first `links` links have, as if they stood on nothing.
    pub(super) fn runs_of(&self, links: usize, sector: u64, sectors: u64) -> Runs<'_> {
        Runs {
            chain: self,
            first: 0,
            links,
            at: sector,
            end: sector.saturating_add(sectors).min(self.sectors()),
            nothing_until: vec![0; links],
        }
    }

    /// Returns the runs of what the disk stands on.
    pub(super) fn runs_below(&self, sector: u64, sectors: u64) -> Runs<'_> {
        Runs {
            first: 1,
            ..self.runs(sector, sectors)
        }
    }

    /// Returns how many bytes of data the disk's links hold for it: what a copy has to read.
    ///
    /// # Errors
    /// `DiskInvalid` for damaged tables; what reading says.
    pub fn data_bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for run in self.runs(0, self.sectors()) {
            let run = run?;
            sum += u64::from(run.has_data()) * run.sectors * SECTOR;
        }
        Ok(sum)
    }

    /// Returns the map of the whole disk, neighbours of one kind joined.
    pub fn map(&self) -> impl Iterator<Item = Result<MapEntry>> + '_ {
        let mut runs = self.runs(0, self.sectors()).peekable();
        std::iter::from_fn(move || {
            let mut run = match runs.next()? {
                Ok(run) => run,
                Err(error) => return Some(Err(error)),
            };
            while let Some(Ok(next)) = runs.peek()
                && continues(&run, next)
            {
                run.sectors += next.sectors;
                runs.next();
            }
            Some(Ok(self.entry(&run)))
        })
    }

    fn entry(&self, run: &Run) -> MapEntry {
        let place = match run.stored {
            Stored::Data(file, offset) => Some((file, offset)),
            Stored::Packed(packed) => Some((packed.file, packed.offset)),
            Stored::Nothing | Stored::Zeros => None,
        };
        MapEntry {
            offset: run.sector * SECTOR,
            length: run.sectors * SECTOR,
            file: place.map(|(file, _)| self.pool().path(file).to_path_buf()),
            file_offset: place.map_or(0, |(_, offset)| offset),
            depth: run.depth,
            compressed: matches!(run.stored, Stored::Packed(_)),
        }
    }
}

/// Tells whether `next` lies behind `run` in the file as it does on the disk. Of compressed grains in
/// one file only the first has its place told.
fn continues(run: &Run, next: &Run) -> bool {
    run.depth == next.depth
        && match (run.stored, next.stored) {
            (Stored::Data(file, offset), Stored::Data(other, at)) => {
                (file, offset + run.sectors * SECTOR) == (other, at)
            }
            (Stored::Packed(packed), Stored::Packed(other)) => packed.file == other.file,
            _ => !run.has_data() && !next.has_data(),
        }
}

impl Runs<'_> {
    fn step(&mut self) -> Result<Run> {
        let chain = self.chain;
        let mut limit = self.end - self.at;
        let asked = chain.links()[..self.links].iter().enumerate();
        for (depth, link) in asked.skip(self.first) {
            let known = self.nothing_until[depth].saturating_sub(self.at);
            if known > 0 {
                limit = limit.min(known);
                continue;
            }
            let (stored, sectors) = link.stored(&chain.tables, self.at, limit)?;
            if stored != Stored::Nothing {
                return Ok(self.run(depth, sectors, stored));
            }
            self.nothing_until[depth] = self.at + sectors;
            limit = sectors;
        }
        Ok(self.run(self.links - 1, limit, Stored::Nothing))
    }

    fn run(&self, depth: usize, sectors: u64, stored: Stored) -> Run {
        Run {
            sector: self.at,
            sectors,
            depth,
            stored,
        }
    }
}

impl Iterator for Runs<'_> {
    type Item = Result<Run>;

    fn next(&mut self) -> Option<Result<Run>> {
        if self.at >= self.end {
            return None;
        }
        let run = self.step();
        match &run {
            Ok(run) => self.at += run.sectors,
            Err(_) => self.at = self.end,
        }
        Some(run)
    }
}

impl Link {
    /// Returns what this link alone says about `sector`, and for how many sectors, at most `limit`,
    /// it says the same.
    ///
    /// # Errors
    /// `DiskInvalid` where a table points outside of its file; what reading says.
    pub(super) fn stored(&self, tables: &Tables, sector: u64, limit: u64) -> Result<(Stored, u64)> {
        let next = self
            .extents()
            .partition_point(|extent| extent.first_sector <= sector);
        let extent = &self.extents()[next - 1];
        let within = sector - extent.first_sector;
        let limit = limit.min(extent.sectors - within);
        match extent.data {
            ExtentData::Flat { offset } => self.stored_flat(extent, offset, within, limit),
            ExtentData::Zero => Ok((Stored::Zeros, limit)),
            ExtentData::Sparse { header, file_len } => {
                let index = Index::Hosted(header);
                Grains::new(self, tables, extent, index, file_len).stored(within, limit)
            }
            ExtentData::Esxi {
                index, file_len, ..
            } => Grains::new(self, tables, extent, index, file_len).stored(within, limit),
        }
    }

    /// Answers for `sector` of a flat extent whose data begins at sector `offset` of its file.
    ///
    /// Small holes are data like any other: to tell them apart costs more than to read them.
    fn stored_flat(
        &self,
        extent: &Extent,
        offset: u64,
        sector: u64,
        limit: u64,
    ) -> Result<(Stored, u64)> {
        let start = (offset + sector) * SECTOR;
        let end = start + limit * SECTOR;
        let next = self.pool().get(extent.file)?.next_data(start)?;
        let Some((data, data_end)) = next.filter(|(data, _)| *data < end) else {
            return Ok((Stored::Zeros, limit));
        };
        let data = data / SECTOR - offset;
        let data = (data / USUAL_GRAIN * USUAL_GRAIN).max(sector);
        if data > sector {
            return Ok((Stored::Zeros, data - sector));
        }
        let data_end = data_end.min(end).div_ceil(SECTOR) - offset;
        let data_end = data_end.next_multiple_of(USUAL_GRAIN);
        Ok((
            Stored::Data(extent.file, start),
            (data_end.max(sector + 1) - sector).min(limit),
        ))
    }
}
