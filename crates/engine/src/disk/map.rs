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

impl Stored {
    /// Returns what stands `sectors` behind this, if all between is of one piece.
    pub(super) fn after(self, sectors: u64) -> Self {
        match self {
            Self::Data(file, offset) => Self::Data(file, offset + sectors * SECTOR),
            Self::Packed(packed) => Self::Packed(Packed {
                skip: packed.skip + sectors,
                ..packed
            }),
            other => other,
        }
    }
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
    /// What each link said last: each is asked once about each stretch, however small the pieces are into
    /// which those above cut it.
    said: Vec<Said>,
}

/// What one link says about the sectors from `start` to `end`.
#[derive(Clone, Copy)]
struct Said {
    start: u64,
    end: u64,
    stored: Stored,
}

impl Said {
    const NOTHING_YET: Self = Self {
        start: 0,
        end: 0,
        stored: Stored::Nothing,
    };
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
            said: vec![Said::NOTHING_YET; links],
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
        let mut limit = self.end - self.at;
        for depth in self.first..self.links {
            let said = self.ask(depth)?;
            limit = limit.min(said.end - self.at);
            if said.stored != Stored::Nothing {
                let stored = said.stored.after(self.at - said.start);
                return Ok(self.run(depth, limit, stored));
            }
        }
        Ok(self.run(self.links - 1, limit, Stored::Nothing))
    }

    /// Returns what a link says about the next sector.
    fn ask(&mut self, depth: usize) -> Result<Said> {
        let (chain, at) = (self.chain, self.at);
        let said = &mut self.said[depth];
        if said.end <= at {
            let (stored, sectors) =
                chain.links()[depth].stored(&chain.tables, at, self.end - at)?;
            *said = Said {
                start: at,
                end: at + sectors,
                stored,
            };
        }
        Ok(*said)
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
            ExtentData::Flat { offset } => self.stored_flat(tables, extent, offset, within, limit),
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
        tables: &Tables,
        extent: &Extent,
        offset: u64,
        sector: u64,
        limit: u64,
    ) -> Result<(Stored, u64)> {
        let start = (offset + sector) * SECTOR;
        let end = start + limit * SECTOR;
        let next = tables.next_data(self.pool(), extent.file, start)?;
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

#[cfg(test)]
mod tests {
    use super::super::testing::{LinkSpec, Sample};
    use crate::error::Kind;
    use crate::store::{Access, Store};

    #[test]
    fn damage_counts_only_where_nothing_hides_it() {
        let link = |grains: &[u16]| LinkSpec {
            cut: vec![16 * 128],
            grain: 128,
            grains: grains.iter().map(|at| (at * 4096, Some(7))).collect(),
        };
        let sample = Sample::new(&[link(&[2, 3, 4, 5]), link(&[4])]);
        let entry = |grain: u64| {
            let base = std::path::Path::new("/vm/d0-s0.vmdk");
            let file = sample.store.open(base, Access::Write).unwrap();
            // Of both tables, which lie behind directories of a sector each.
            for start in [2, 2 + 4 + 1] {
                file.write_at(&[0xff; 4], start * 512 + grain * 4).unwrap();
            }
        };
        entry(4);
        let chain = sample.open(&sample.top);
        assert_eq!(chain.data_bytes().unwrap(), 4 * 65536);
        let mut content = vec![0; sample.content.len()];
        chain.read(&mut content, 0).unwrap();
        assert!(content == sample.content);

        entry(5);
        let chain = sample.open(&sample.top);
        assert_eq!(chain.data_bytes().unwrap_err().kind(), Kind::DiskInvalid);
        let good = chain.runs(0, 5 * 128).all(|run| run.is_ok());
        assert!(good);
    }
}
