//! Where the tables of a sparse extent lie, and which of them lie where they cannot.

use std::ops::Range;

use super::reader::TableReader;
use crate::error::Result;
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Header, TABLE_BYTES};

/// Sectors of a grain table.
pub(in crate::disk) const TABLE_SECTORS: u64 = TABLE_BYTES / SECTOR;

/// One of the two copies of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::disk) enum Side {
    /// The one that is read.
    Primary,
    /// The other.
    Redundant,
}

impl Side {
    /// Returns what a grain table of this side is called.
    pub fn table(self) -> &'static str {
        match self {
            Self::Primary => "grain table",
            Self::Redundant => "redundant grain table",
        }
    }
}

/// Why a table cannot lie where its directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::disk) enum Misplaced {
    /// Outside of the file.
    Beyond,
    /// On the header, the descriptor or a directory.
    OnHeader,
    /// On another table, the one with this number.
    OnTable(Side, u64),
}

/// The sectors of an extent's file that hold no grains: sorted, none touching another.
pub(in crate::disk) struct Metadata {
    ranges: Vec<Range<u64>>,
}

/// The places of an extent's tables, as they are read: 8 bytes for each.
pub(in crate::disk) struct Places {
    /// What stands apart from the tables: header, descriptor, directories.
    fixed: Vec<Range<u64>>,
    /// How many tables each side has.
    count: u64,
    /// Sector, then number and side in one.
    tables: Vec<(u32, u32)>,
}

impl Places {
    /// Returns the places in the extent with this header, of `file_len` bytes, still without tables;
    /// `embedded` are the sectors of the descriptor, where it is in the extent.
    pub fn new(header: &Header, embedded: Option<Range<u64>>, file_len: u64) -> Self {
        let directory = |start: u64| {
            let sectors = (header.tables() * 4).div_ceil(SECTOR);
            start..start.saturating_add(sectors)
        };
        let redundant = header
            .rgd_offset
            .filter(|at| (1..file_len / SECTOR).contains(at));
        let directories = [Some(header.gd_offset), redundant];
        let directories = directories.into_iter().flatten().map(directory);
        let fixed = [Some(0..1), embedded].into_iter().flatten();
        Self {
            fixed: fixed.chain(directories).collect(),
            count: header.tables(),
            tables: Vec::new(),
        }
    }

    /// Takes in the tables of one side; calls `misplaced` with number and sector of each that
    /// cannot be there, and with those for which the directory has 0.
    pub fn read(
        &mut self,
        side: Side,
        reader: &mut TableReader<'_>,
        mut misplaced: impl FnMut(u64, u64, Option<Misplaced>),
    ) -> Result<()> {
        for table in 0..self.count {
            let sector = reader.sector(table)?;
            let place = sector..sector + TABLE_SECTORS;
            if sector == 0 {
                misplaced(table, sector, None);
            } else if !reader.is_inside(sector) {
                misplaced(table, sector, Some(Misplaced::Beyond));
            } else if self.fixed.iter().any(|range| overlap(range, &place)) {
                misplaced(table, sector, Some(Misplaced::OnHeader));
            } else {
                self.add(side, table, sector as u32);
            }
        }
        Ok(())
    }

    /// Takes in a table that is known to be in the file.
    pub fn add(&mut self, side: Side, table: u64, sector: u32) {
        // Fits: there are at most 2^32 sectors in grains of 16, thus 2^19 tables.
        let number = (table as u32) << 1 | u32::from(side == Side::Redundant);
        self.tables.push((sector, number));
    }

    /// Calls `misplaced` with each table that lies on another, and returns what is taken.
    pub fn finish(mut self, mut misplaced: impl FnMut(Side, u64, u64, Misplaced)) -> Metadata {
        self.tables.sort_unstable();
        for pair in self.tables.windows(2) {
            let [(first, one), (second, other)] = [pair[0], pair[1]];
            // A directory may name a table of the other side: then there is no copy, but no harm.
            let is_shared = first == second && one >> 1 == other >> 1;
            if u64::from(second - first) < TABLE_SECTORS && !is_shared {
                let (side, table) = named(other);
                let (under, number) = named(one);
                let what = Misplaced::OnTable(under, number);
                misplaced(side, table, u64::from(second), what);
            }
        }
        let tables = self.tables.iter().map(|(sector, _)| {
            let start = u64::from(*sector);
            start..start + TABLE_SECTORS
        });
        Metadata::of(self.fixed.iter().cloned().chain(tables).collect())
    }
}

impl Misplaced {
    /// Returns the table on which another one lies.
    pub fn table(self) -> Option<(Side, u64)> {
        match self {
            Self::OnTable(side, table) => Some((side, table)),
            Self::Beyond | Self::OnHeader => None,
        }
    }
}

fn named(packed: u32) -> (Side, u64) {
    let side = match packed & 1 {
        0 => Side::Primary,
        _ => Side::Redundant,
    };
    (side, u64::from(packed >> 1))
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

impl Metadata {
    fn of(mut ranges: Vec<Range<u64>>) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self { ranges: joined }
    }

    /// Tells whether something stands in the sectors from `start` to `end`.
    pub fn touches(&self, start: u64, end: u64) -> bool {
        let next = self.ranges.partition_point(|range| range.end <= start);
        self.ranges.get(next).is_some_and(|range| range.start < end)
    }

    /// Returns the first sector behind all of it.
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range.end)
    }

    /// Returns how many of its sectors lie at `start` or behind it.
    pub fn sectors_from(&self, start: u64) -> u64 {
        let parts = self.ranges.iter();
        parts
            .map(|range| range.end.saturating_sub(range.start.max(start)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_and_asked() {
        let metadata = Metadata::of(vec![8..12, 0..1, 12..16, 10..14, 40..44]);
        assert_eq!(metadata.ranges, [0..1, 8..16, 40..44]);
        assert!(!metadata.touches(1, 8) && !metadata.touches(16, 40) && !metadata.touches(44, 99));
        assert!(metadata.touches(15, 16) && metadata.touches(2, 9) && metadata.touches(0, 99));
        assert_eq!((metadata.end(), metadata.sectors_from(12)), (44, 8));
    }
}
