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

impl Window {
    /// Returns an empty window at sector 0.
    pub fn new() -> Self {
        Self {
            start: 0,
            filled: 0,
            bytes: vec![0; BYTES],
        }
    }

    /// Tells whether nothing was filled in since it was moved.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
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

    /// Returns the groups of neighbouring grains that are not all zeros. The last grain is filled up
    /// with zeros.
    pub fn groups(&mut self) -> Vec<Group> {
        let end = self.filled.next_multiple_of(GRAIN);
        self.bytes[self.filled..end].fill(0);
        let mut groups: Vec<Group> = Vec::new();
        for (number, grain) in self.bytes[..end].chunks_exact(GRAIN).enumerate() {
            if is_zero(grain) {
                continue;
            }
            let start = number * GRAIN;
            match groups.last_mut() {
                Some(last) if last.start + last.len == start => last.len += GRAIN,
                _ => groups.push(Group {
                    first: self.start / USUAL_GRAIN + number as u64,
                    start,
                    len: GRAIN,
                }),
            }
        }
        groups
    }

    /// Takes out the bytes, for [`Window::put_back`]; the window is empty.
    pub fn take(&mut self) -> Vec<u8> {
        self.filled = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Puts in bytes as long as those taken, whatever they are.
    pub fn put_back(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
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
        let groups = window.groups();
        let groups: Vec<_> = groups.iter().map(|g| (g.first, g.len / GRAIN)).collect();
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
