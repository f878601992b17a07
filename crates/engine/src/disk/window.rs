//! A piece of a disk in memory: collects runs, hands out the grains that hold anything.

use super::chain::Chain;
use super::map::Run;
use crate::error::Result;
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::USUAL_GRAIN;

/// Bytes of a grain of a new disk, and the unit in which zeros are left out.
pub const GRAIN: usize = (USUAL_GRAIN * SECTOR) as usize;

/// Bytes read and written at once.
pub const BYTES: usize = 16 * GRAIN;

/// What is to be read: parts of runs, in ascending order, that lie in a stretch of whole grains.
#[derive(Default)]
pub struct Plan {
    /// Sector, counted as the grains are, of the first byte.
    start: u64,
    parts: Vec<Part>,
}

/// A part of a run.
struct Part {
    run: Run,
    /// Sectors of the run before it.
    skip: u64,
    /// First sector, counted as the grains are.
    sector: u64,
    sectors: u64,
}

/// Neighbouring grains of a window that are not all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Number of the first one.
    pub first: u64,
    /// First byte in the window.
    pub start: usize,
    /// Number of bytes: whole grains.
    pub len: usize,
}

impl Plan {
    /// Tells whether nothing is to be read.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns how many sectors from `sector` on there is room for.
    pub fn room(&self, sector: u64) -> u64 {
        if self.is_empty() {
            return BYTES as u64 / SECTOR - sector % USUAL_GRAIN;
        }
        let end = self.start + BYTES as u64 / SECTOR;
        end.saturating_sub(sector)
    }

    /// Adds `sectors` of a run, `skip` sectors into it, for `sector`. The caller keeps to the room.
    pub fn add(&mut self, run: &Run, skip: u64, sector: u64, sectors: u64) {
        if self.is_empty() {
            self.start = sector / USUAL_GRAIN * USUAL_GRAIN;
        }
        self.parts.push(Part {
            run: *run,
            skip,
            sector,
            sectors,
        });
    }
}

/// A buffer for what a plan names.
pub struct Window {
    bytes: Vec<u8>,
}

impl Window {
    /// Returns one.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BYTES],
        }
    }

    /// Returns what was read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads what the plan names; what it leaves out is zeros. Returns the groups of neighbouring
    /// grains that are not all zeros.
    ///
    /// # Errors
    /// What reading says.
    pub fn read(&mut self, chain: &Chain, plan: &Plan) -> Result<Vec<Group>> {
        let mut filled = 0;
        for part in &plan.parts {
            let from = ((part.sector - plan.start) * SECTOR) as usize;
            let to = from + (part.sectors * SECTOR) as usize;
            self.bytes[filled..from].fill(0);
            chain.read_run(&part.run, part.skip * SECTOR, &mut self.bytes[from..to])?;
            filled = to;
        }
        let end = filled.next_multiple_of(GRAIN);
        self.bytes[filled..end].fill(0);
        Ok(groups(plan.start / USUAL_GRAIN, &self.bytes[..end]))
    }
}

/// Finds the grains with data in whole grains, the first of which has the number `first`.
fn groups(first: u64, bytes: &[u8]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, grain) in bytes.chunks_exact(GRAIN).enumerate() {
        if is_zero(grain) {
            continue;
        }
        let start = number * GRAIN;
        match groups.last_mut() {
            Some(last) if last.start + last.len == start => last.len += GRAIN,
            _ => groups.push(Group {
                first: first + number as u64,
                start,
                len: GRAIN,
            }),
        }
    }
    groups
}

/// Tells whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes
        .chunks(ZEROS.len())
        .all(|chunk| *chunk == ZEROS[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::map::Stored;

    #[test]
    fn only_grains_with_data_are_handed_out() {
        let mut bytes = vec![0; GRAIN * 5];
        bytes[GRAIN + 7] = 1;
        bytes[GRAIN * 2] = 1;
        bytes[GRAIN * 4] = 1;
        let groups: Vec<_> = groups(3, &bytes)
            .iter()
            .map(|group| (group.first, group.start / GRAIN, group.len / GRAIN))
            .collect();
        assert_eq!(groups, [(4, 1, 2), (7, 4, 1)]);
    }

    #[test]
    fn room_ends_with_the_window() {
        let run = Run {
            sector: 0,
            sectors: 1 << 20,
            depth: 0,
            stored: Stored::Nothing,
        };
        let mut plan = Plan::default();
        assert_eq!(plan.room(USUAL_GRAIN * 2 + 1), USUAL_GRAIN * 16 - 1);
        plan.add(&run, 0, USUAL_GRAIN * 2 + 1, USUAL_GRAIN);
        assert_eq!(plan.room(USUAL_GRAIN * 3), USUAL_GRAIN * 15);
        assert_eq!(plan.room(USUAL_GRAIN * 40), 0);
    }
}
