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

/// A stretch of whole grains, filled in ascending order.
pub struct Window {
    /// Sector, counted as the grains are, of the first byte.
    start: u64,
    /// How many bytes are filled.
    filled: usize,
    bytes: Vec<u8>,
}

impl Window {
    /// Returns an empty window at sector 0.
    pub fn new() -> Self {
        Self {
            start: 0,
            filled: 0,
            bytes: vec![0; BYTES],
        }
    }

    /// Moves the window, emptied, to the grain of `sector`.
    pub fn move_to(&mut self, sector: u64) {
        self.start = sector / USUAL_GRAIN * USUAL_GRAIN;
        self.filled = 0;
    }

    /// Returns how many sectors from `sector` on the window has room for.
    pub fn room(&self, sector: u64) -> u64 {
        let end = self.start + BYTES as u64 / SECTOR;
        if sector < self.start {
            return 0;
        }
        end.saturating_sub(sector)
    }

    /// Reads `sectors` of a run, `skip` sectors into it, to `sector` of the window.
    ///
    /// What was skipped since the last fill becomes zeros. The caller keeps to the room.
    pub fn fill(
        &mut self,
        chain: &Chain,
        run: &Run,
        skip: u64,
        sector: u64,
        sectors: u64,
    ) -> Result<()> {
        let from = ((sector - self.start) * SECTOR) as usize;
        let to = from + (sectors * SECTOR) as usize;
        self.bytes[self.filled..from].fill(0);
        chain.read_run(run, skip * SECTOR, &mut self.bytes[from..to])?;
        self.filled = to;
        Ok(())
    }

    /// Calls `write` with each group of neighbouring grains that are not all zeros: the number of
    /// the first, and their bytes. The last grain is filled up with zeros.
    pub fn for_each_group(
        &mut self,
        mut write: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let end = self.filled.next_multiple_of(GRAIN);
        self.bytes[self.filled..end].fill(0);
        let first = self.start / USUAL_GRAIN;
        let grains: Vec<&[u8]> = self.bytes[..end].chunks_exact(GRAIN).collect();
        let mut at = 0;
        while at < grains.len() {
            let zeros = is_zero(grains[at]);
            let same = grains[at..]
                .iter()
                .take_while(|grain| is_zero(grain) == zeros)
                .count();
            if !zeros {
                write(
                    first + at as u64,
                    &self.bytes[at * GRAIN..(at + same) * GRAIN],
                )?;
            }
            at += same;
        }
        Ok(())
    }
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

    #[test]
    fn only_grains_with_data_are_handed_out() {
        let mut window = Window::new();
        window.move_to(USUAL_GRAIN * 3 + 5);
        window.filled = GRAIN * 4 + 1;
        window.bytes[GRAIN + 7] = 1;
        window.bytes[GRAIN * 2] = 1;
        window.bytes[GRAIN * 4] = 1;
        let mut groups = Vec::new();
        window
            .for_each_group(|first, bytes| {
                groups.push((first, bytes.len() / GRAIN));
                Ok(())
            })
            .unwrap();
        assert_eq!(groups, [(4, 2), (7, 1)]);
    }

    #[test]
    fn room_ends_with_the_window() {
        let mut window = Window::new();
        window.move_to(USUAL_GRAIN * 2 + 1);
        assert_eq!(window.room(USUAL_GRAIN * 2 - 1), 0);
        assert_eq!(window.room(USUAL_GRAIN * 3), USUAL_GRAIN * 15);
        assert_eq!(window.room(USUAL_GRAIN * 40), 0);
    }
}
