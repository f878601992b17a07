//! Checking one sparse extent: its directories, its tables, the places of its grains.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::super::CheckReport;
use super::super::link::Extent;
use super::super::map::Packed;
use super::super::pool::Pool;
use super::Findings;
use super::metadata::{Metadata, Misplaced, Places, Side};
use super::reader::{Found, TableReader};
use crate::error::Result;
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Embedded, Header, Packing, TABLE_ENTRIES, ZERO_GRAIN};
use crate::job::Job;

/// The most places of grains that are watched at once: 8 MiB of memory.
const MAX_SLOTS: u64 = 64 << 20;

/// One sparse extent under examination.
pub(in crate::disk) struct Checker<'a> {
    /// The files.
    pub pool: &'a Pool,
    /// The extent's file.
    pub path: Arc<Path>,
    /// The extent.
    pub extent: &'a Extent,
    /// Its header.
    pub header: Header,
    /// Where the descriptor is, if it is in this file.
    pub embedded: Option<Embedded>,
    /// Length of the file in bytes.
    pub file_len: u64,
}

/// What is done about the redundant tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::disk) enum Redundant {
    Compared,
    Ignored,
}

/// Why a grain cannot lie where its table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::disk) enum Stray {
    /// Outside of the file.
    Beyond,
    /// Where tables are.
    AmongTables,
    /// At no multiple of the grain's length from the first one.
    OutOfLine,
}

/// What the tables of an extent came to.
#[derive(Default)]
pub(in crate::disk) struct Usage {
    /// Grains that are there.
    pub grains: u64,
    /// The first sector behind all of them.
    pub end: u64,
}

impl Checker<'_> {
    pub(super) fn check(&self, report: &mut CheckReport, job: &Job) -> Result<()> {
        let mut damage = Findings::default();
        let mut oddities = Findings::default();
        let metadata = self.check_directories(Redundant::Compared, &mut damage, &mut oddities)?;
        let usage = self.check_tables(&metadata, &mut damage, Redundant::Compared, job)?;
        self.check_overlap(&mut damage, job)?;
        self.note_unused(&metadata, &usage, &mut oddities);
        report.allocated_grains += usage.grains;
        report.errors.extend(damage.into_lines(&self.path));
        report.notes.extend(oddities.into_lines(&self.path));
        Ok(())
    }

    /// Tells of room that nothing stands in: behind everything, and between.
    fn note_unused(&self, metadata: &Metadata, usage: &Usage, oddities: &mut Findings) {
        // Compressed grains are of any length.
        if self.header.packing.is_some() {
            return;
        }
        let (grain, first) = (self.header.grain_sectors, self.header.overhead);
        let end = self.used_end(metadata, usage);
        let behind = self.file_len.saturating_sub(end * SECTOR);
        if behind > 0 {
            oddities.add(|| format!("the last {behind} bytes of the file are used by none"));
        }
        let tables = metadata.sectors_from(first).div_ceil(grain);
        let unused = ((end - first) / grain).saturating_sub(usage.grains + tables);
        if unused > 0 {
            oddities.add(|| {
                format!("room for {unused} grains is used by none: compacting gives it back")
            });
        }
    }

    /// Returns the first sector behind everything that the tables tell of.
    fn used_end(&self, metadata: &Metadata, usage: &Usage) -> u64 {
        let (grain, first) = (self.header.grain_sectors, self.header.overhead);
        let used = usage.end.max(metadata.end()).saturating_sub(first);
        first + used.next_multiple_of(grain)
    }

    /// Returns the first byte behind everything that the tables of a sound extent tell of.
    pub fn needed_bytes(&self, job: &Job) -> Result<u64> {
        let mut none = Findings::default();
        let metadata =
            self.check_directories(Redundant::Compared, &mut none, &mut Findings::default())?;
        let usage = self.check_tables(&metadata, &mut none, Redundant::Ignored, job)?;
        Ok(self.used_end(&metadata, &usage) * SECTOR)
    }

    /// Looks at the places of the grain tables, and returns where no grain can be.
    pub(super) fn check_directories(
        &self,
        copies: Redundant,
        damage: &mut Findings,
        oddities: &mut Findings,
    ) -> Result<Metadata> {
        let mut places = self.places();
        let mut tables = self.tables(self.header.gd_offset);
        places.read(
            Side::Primary,
            &mut tables,
            |table, sector, found| match found {
                // Nothing is ever written to a stream.
                None if self.header.packing.is_some() => {}
                None => oddities.add(|| {
                    format!(
                        "grain table {table} is missing: QEMU would destroy the file on a write"
                    )
                }),
                Some(found) => damage.add(|| misplaced(Side::Primary, table, sector, found)),
            },
        )?;
        if let (Some(directory), Redundant::Compared) = (self.redundant(), copies) {
            let start = directory.checked_mul(SECTOR);
            if directory == 0 || start.is_none_or(|start| start >= self.file_len) {
                damage.add(|| {
                    format!("its redundant directory at sector {directory} is not in the file")
                });
            } else {
                let mut tables = self.tables(directory);
                places.read(Side::Redundant, &mut tables, |table, sector, found| {
                    damage.add(|| match found {
                        None => format!("redundant grain table {table} is missing"),
                        Some(found) => misplaced(Side::Redundant, table, sector, found),
                    });
                })?;
            }
        }
        Ok(places.finish(|side, table, sector, found| {
            damage.add(|| misplaced(side, table, sector, found));
        }))
    }

    /// Returns the places of the extent, still without tables.
    pub fn places(&self) -> Places {
        let embedded = self.embedded.map(|at| at.offset..at.offset + at.sectors);
        Places::new(&self.header, embedded, self.file_len)
    }

    /// Returns the sector of the redundant directory, where there is a second one.
    pub fn redundant(&self) -> Option<u64> {
        let offset = self.header.rgd_offset;
        offset.filter(|offset| *offset != self.header.gd_offset)
    }

    /// Looks at every entry, and at the redundant tables.
    pub(super) fn check_tables(
        &self,
        metadata: &Metadata,
        damage: &mut Findings,
        copies: Redundant,
        job: &Job,
    ) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut redundant = match (self.redundant(), copies) {
            (Some(directory), Redundant::Compared) => Some(self.tables(directory)),
            _ => None,
        };
        self.for_each_table(job, |table, found| {
            if let Some(redundant) = &mut redundant {
                compare(table, found, &redundant.table(table)?, damage);
            }
            for (number, entry) in self.grains(table, found) {
                if number * self.header.grain_sectors < self.extent.sectors {
                    let sector = u64::from(entry);
                    usage.grains += 1;
                    if let Some(packing) = self.header.packing {
                        job.check()?;
                        self.check_packed(packing, number, sector, damage)?;
                        continue;
                    }
                    if sector * SECTOR < self.file_len {
                        usage.end = usage.end.max(sector + self.header.grain_sectors);
                    }
                    if let Some(stray) = self.stray(metadata, number, sector) {
                        damage.add(|| format!("grain {number} at sector {sector} {stray}"));
                    }
                }
            }
            Ok(())
        })?;
        Ok(usage)
    }

    /// Returns number and sector of each grain in a table.
    pub fn grains<'f>(
        &self,
        table: u64,
        found: &'f Found,
    ) -> impl Iterator<Item = (u64, u32)> + use<'f> {
        let zeros = self.header.zero_grains.then_some(ZERO_GRAIN);
        let page: &[u32] = match found {
            Found::Page(page) => &page[..],
            Found::Missing | Found::Empty => &[],
        };
        let numbers = table * TABLE_ENTRIES..;
        numbers
            .zip(page.iter().copied())
            .filter(move |(_, entry)| *entry != 0 && Some(*entry) != zeros)
    }

    /// Tells why no grain with this number can be at that sector, if it cannot.
    pub fn stray(&self, metadata: &Metadata, number: u64, sector: u64) -> Option<Stray> {
        let grain = self.header.grain_sectors;
        // The last grain need not be whole.
        let left = self.header.capacity.saturating_sub(number * grain);
        let end = sector + left.min(grain);
        if end * SECTOR > self.file_len {
            Some(Stray::Beyond)
        } else if sector < self.header.overhead || metadata.touches(sector, end) {
            Some(Stray::AmongTables)
        } else if !(sector - self.header.overhead).is_multiple_of(grain) {
            Some(Stray::OutOfLine)
        } else {
            None
        }
    }

    /// Decompresses a grain: its checksum tells whether it is sound.
    fn check_packed(
        &self,
        packing: Packing,
        number: u64,
        sector: u64,
        damage: &mut Findings,
    ) -> Result<()> {
        let grain = self.header.grain_sectors;
        let packed = Packed {
            file: self.extent.file,
            offset: sector * SECTOR,
            packing,
            lba: number * grain,
            grain_sectors: grain,
            sectors: grain.min(self.header.capacity - number * grain),
            skip: 0,
        };
        let mut bytes = vec![0; self.header.grain_bytes() as usize];
        if let Err(what) = packed.try_inflate(self.pool, &mut bytes)? {
            damage.add(|| what);
        }
        Ok(())
    }

    /// Looks for grains that are used twice: as many places at a time as memory is allowed for.
    pub(super) fn check_overlap(&self, damage: &mut Findings, job: &Job) -> Result<()> {
        let mut first_slot = 0;
        while first_slot < self.slots() {
            let count = (self.slots() - first_slot).min(MAX_SLOTS);
            let mut seen = Bits::new(count);
            self.for_each_table(job, |table, found| {
                for (number, entry) in self.grains(table, found) {
                    let at = self.slot(u64::from(entry)).wrapping_sub(first_slot);
                    if at < count && seen.take(at) {
                        damage.add(|| format!("grain {number} at sector {entry} is used twice"));
                    }
                }
                Ok(())
            })?;
            first_slot += count;
        }
        Ok(())
    }

    /// Returns how many grains the file has room for, one that is cut off included.
    pub fn slots(&self) -> u64 {
        (self.file_len / SECTOR).min(1 << 32) / self.slot_sectors() + 1
    }

    /// Returns the number of the place in the file where a grain begins.
    pub fn slot(&self, sector: u64) -> u64 {
        let each = self.slot_sectors();
        sector.saturating_sub(self.header.overhead % each) / each
    }

    /// Sectors between two places where a grain may begin.
    fn slot_sectors(&self) -> u64 {
        match self.header.packing {
            Some(_) => 1,
            None => self.header.grain_sectors,
        }
    }

    /// Calls `look` with each primary table.
    pub fn for_each_table(
        &self,
        job: &Job,
        mut look: impl FnMut(u64, &Found) -> Result<()>,
    ) -> Result<()> {
        let mut tables = self.tables(self.header.gd_offset);
        for table in 0..self.header.tables() {
            if table.is_multiple_of(TABLE_ENTRIES) {
                job.check()?;
            }
            look(table, &tables.table(table)?)?;
        }
        Ok(())
    }

    /// Returns a reader of the tables that a directory names.
    pub fn tables(&self, directory: u64) -> TableReader<'_> {
        TableReader::new(self.pool, self.extent.file, self.file_len, directory)
    }
}

fn misplaced(side: Side, table: u64, sector: u64, found: Misplaced) -> String {
    format!("{} {table} at sector {sector} {found}", side.table())
}

/// Compares a table with its copy. What the directories have wrong was told with them.
fn compare(table: u64, primary: &Found, redundant: &Found, damage: &mut Findings) {
    match (primary, redundant) {
        (Found::Missing, Found::Page(page)) => {
            let grains = page.iter().filter(|entry| **entry != 0).count();
            damage.add(|| {
                format!(
                    "grain table {table} is lost, of whose {grains} grains its redundant copy tells"
                )
            });
        }
        (Found::Missing, _) | (_, Found::Missing) => {}
        (primary, redundant) if primary != redundant => {
            damage.add(|| format!("grain table {table} and its redundant copy differ"));
        }
        _ => {}
    }
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Beyond => "lies beyond the end of the file",
            Self::AmongTables => "lies among the tables",
            Self::OutOfLine => "is out of line",
        })
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond => f.write_str("lies beyond the end of the file"),
            Self::OnHeader => f.write_str("lies on the header, the descriptor or a directory"),
            Self::OnTable(side, number) => write!(f, "lies on {} {number}", side.table()),
        }
    }
}

/// One bit for each of many places.
pub(in crate::disk) struct Bits(Vec<u64>);

impl Bits {
    /// Returns `count` bits, none marked.
    pub fn new(count: u64) -> Self {
        Self(vec![0; count.div_ceil(64) as usize])
    }

    /// Marks a bit; tells whether it was marked already.
    pub fn take(&mut self, at: u64) -> bool {
        let (word, bit) = (&mut self.0[(at / 64) as usize], 1 << (at % 64));
        let was = *word & bit != 0;
        *word |= bit;
        was
    }
    /// Tells whether a bit is marked; none is behind the last one.
    pub fn has(&self, at: u64) -> bool {
        let word = self.0.get((at / 64) as usize);
        word.is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}
