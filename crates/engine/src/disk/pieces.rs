//! Cutting a disk, or a part of it, into pieces of a few grains that several threads work on.

use super::chain::Chain;
use super::map::{Run, Runs};
use crate::error::Result;
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::USUAL_GRAIN;

/// A few neighbouring grains of which some have data.
pub(super) struct Piece {
    /// Number of the first grain, counted from the start of the part.
    pub first_grain: u64,
    /// What data there is, in order.
    pub parts: Vec<Part>,
}

/// A stretch of a run.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// The run.
    pub run: Run,
    /// Sectors of the run before the stretch.
    pub skip: u64,
    /// Sectors of the stretch.
    pub sectors: u64,
    /// First sector, counted from the start of the part of the disk.
    pub sector: u64,
}

impl Piece {
    /// Returns the bytes of data.
    pub fn data_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.sectors * SECTOR).sum()
    }
}

/// The pieces of a part of a disk, in order, without those that read as zeros.
pub(super) struct Pieces<'a> {
    runs: Runs<'a>,
    first_sector: u64,
    grains: u64,
    /// The rest of the run that was cut, and how much of it was taken.
    rest: Option<(Run, u64)>,
}

impl<'a> Pieces<'a> {
    /// Cuts `sectors` sectors from `first_sector` on into pieces of at most `grains` grains, which are
    /// counted from there.
    pub fn new(chain: &'a Chain, first_sector: u64, sectors: u64, grains: u64) -> Self {
        Self {
            runs: chain.runs(first_sector, sectors),
            first_sector,
            grains,
            rest: None,
        }
    }

    /// Returns the next piece.
    ///
    /// # Errors
    /// What the tables of the disk say.
    pub fn take(&mut self) -> Result<Option<Piece>> {
        let mut piece: Option<Piece> = None;
        while let Some((run, skip)) = self.run()? {
            let sector = run.sector + skip - self.first_sector;
            let piece = piece.get_or_insert_with(|| Piece {
                first_grain: sector / USUAL_GRAIN,
                parts: Vec::new(),
            });
            let end = (piece.first_grain + self.grains) * USUAL_GRAIN;
            let sectors = (run.sectors - skip).min(end.saturating_sub(sector));
            if sectors > 0 {
                piece.parts.push(Part {
                    run,
                    skip,
                    sectors,
                    sector,
                });
            }
            if skip + sectors < run.sectors {
                self.rest = Some((run, skip + sectors));
                break;
            }
        }
        Ok(piece)
    }

    /// Returns the next run with data, and how much of it was taken already.
    fn run(&mut self) -> Result<Option<(Run, u64)>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        for run in self.runs.by_ref() {
            let run = run?;
            if run.has_data() {
                return Ok(Some((run, 0)));
            }
        }
        Ok(None)
    }
}
