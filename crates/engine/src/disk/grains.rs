//! Extents in grains, of whatever format: what their tables say about a stretch.

use std::sync::Arc;

use super::link::{Extent, Link};
use super::map::{Packed, Stored};
use super::pool::Pool;
use super::tables::{Page, Tables};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::sparse::{self, Packing, TABLE_BYTES, TABLE_ENTRIES, ZERO_GRAIN};
use crate::format::vmdk::{SECTOR, cowd, sesparse};

/// Where the tables of an extent are, and how they are read.
#[derive(Clone, Copy, Debug)]
pub enum Index {
    /// Of a hosted sparse extent: 512 entries of four bytes to a table.
    Hosted(sparse::Header),
    /// Of a COWD extent: 4096 entries of four bytes.
    Cowd(cowd::Header),
    /// Of a seSparse extent: 4096 entries of eight bytes.
    SeSparse(sesparse::Header),
}

/// Pages of a COWD table.
const COWD_PAGES: u64 = cowd::TABLE_ENTRIES / TABLE_ENTRIES;
/// Pages of a seSparse table.
const SE_PAGES: u64 = sesparse::TABLE_ENTRIES / SE_ENTRIES;
/// Entries of eight bytes in a page.
const SE_ENTRIES: u64 = TABLE_ENTRIES / 2;

impl Index {
    /// Returns the sectors of the extent.
    pub fn capacity(&self) -> u64 {
        match self {
            Self::Hosted(header) => header.capacity,
            Self::Cowd(header) => header.capacity,
            Self::SeSparse(header) => header.capacity,
        }
    }

    /// Returns the sectors of a grain.
    pub fn grain_sectors(&self) -> u64 {
        match self {
            Self::Hosted(header) => header.grain_sectors,
            Self::Cowd(header) => header.grain_sectors,
            Self::SeSparse(_) => sesparse::GRAIN_SECTORS,
        }
    }

    /// Returns how many entries of a table are read at once.
    pub fn page_entries(&self) -> u64 {
        match self {
            Self::Hosted(_) | Self::Cowd(_) => TABLE_ENTRIES,
            Self::SeSparse(_) => SE_ENTRIES,
        }
    }
}

/// A stretch of a file that is known to hold zeros only.
#[derive(Default)]
struct Hole {
    start: u64,
    end: u64,
    /// Tables found empty on the way here.
    empty: u32,
}

/// The page of the tables that is being followed.
#[derive(Default)]
struct Cursor {
    number: Option<u64>,
    /// `None` where it is missing, or known to be empty.
    page: Option<Arc<Page>>,
    hole: Hole,
}

/// After so many empty tables it is cheaper to ask where the file has data again than to read on.
const ENOUGH_EMPTY: u32 = 32;

/// The tables of one extent.
pub(super) struct Grains<'a> {
    link: &'a Link,
    tables: &'a Tables,
    extent: &'a Extent,
    index: Index,
    file_len: u64,
}

impl<'a> Grains<'a> {
    /// Returns the tables of an extent of `link`, whose file has `file_len` bytes.
    pub fn new(
        link: &'a Link,
        tables: &'a Tables,
        extent: &'a Extent,
        index: Index,
        file_len: u64,
    ) -> Self {
        Self {
            link,
            tables,
            extent,
            index,
            file_len,
        }
    }

    /// Answers for `sector` of the extent: follows the tables while they say the same. Damage behind that
    /// is for whoever asks about it: it may be hidden by what stands above.
    pub fn stored(&self, sector: u64, limit: u64) -> Result<(Stored, u64)> {
        let grain = self.index.grain_sectors();
        let (number, inside) = (sector / grain, sector % grain);
        let mut at = Cursor::default();
        let (first, mut grains) = self.step(number, &mut at)?;
        while grains * grain < limit + inside {
            match self.step(number + grains, &mut at) {
                Ok((stored, more)) if stored == first.after(grains * grain) => grains += more,
                _ => break,
            }
        }
        Ok((first.after(inside), (grains * grain - inside).min(limit)))
    }

    /// Says where a grain is, and for how many the answer is the same at a glance.
    fn step(&self, number: u64, at: &mut Cursor) -> Result<(Stored, u64)> {
        let entries = self.index.page_entries();
        let wanted = number / entries;
        if at.number != Some(wanted) {
            at.page = self.page(wanted, &mut at.hole)?;
            at.number = Some(wanted);
        }
        let Some(page) = &at.page else {
            return Ok((Stored::Nothing, entries - number % entries));
        };
        match self.empty_entries(page, number) {
            0 => Ok((self.entry(page, number)?, 1)),
            empty => Ok((Stored::Nothing, empty)),
        }
    }

    fn pool(&self) -> &Pool {
        self.link.pool()
    }

    /// Returns a page of the tables; `None` where it is missing, or known to be empty without reading
    /// it.
    fn page(&self, number: u64, hole: &mut Hole) -> Result<Option<Arc<Page>>> {
        let Some(offset) = self.page_offset(number)? else {
            return Ok(None);
        };
        let end = offset + TABLE_BYTES;
        if hole.start <= offset && end <= hole.end {
            return Ok(None);
        }
        let page = self.tables.page(self.pool(), self.extent.file, offset)?;
        if page.iter().all(|entry| *entry == 0) {
            hole.empty += 1;
            if hole.empty < ENOUGH_EMPTY {
                return Ok(None);
            }
            // Where many tables are empty, those behind them often are a hole of the file.
            let next = self.pool().get(self.extent.file)?.next_data(end)?;
            hole.start = offset;
            hole.end = next.map_or(self.file_len, |(data, _)| data);
            return Ok(None);
        }
        Ok(Some(page))
    }

    /// Returns the byte where a page of the tables lies; `None` where the directory has no table.
    fn page_offset(&self, number: u64) -> Result<Option<u64>> {
        let (table, sector, page) = match self.index {
            Index::Hosted(header) => return self.hosted_table(&header, number),
            Index::Cowd(header) => {
                let table = number / COWD_PAGES;
                let sector = self.directory_u32(header.gd_offset, table)?;
                (table, sector, number % COWD_PAGES)
            }
            Index::SeSparse(header) => {
                let table = number / SE_PAGES;
                let entry = self.directory_u64(header.gd_offset, table)?;
                let sector = header.table(entry).map_err(|entry| {
                    self.damaged(&format!("the entry {entry:#x} of grain table {table}"))
                })?;
                (table, sector.unwrap_or(0), number % SE_PAGES)
            }
        };
        if sector == 0 {
            return Ok(None);
        }
        let offset = sector * SECTOR + page * TABLE_BYTES;
        self.inside(offset)
            .ok_or_else(|| self.damaged(&format!("grain table {table} at sector {sector}")))
            .map(Some)
    }

    /// Returns the byte where a hosted table lies: as the directory has it, or the redundant one where
    /// the directory is damaged.
    fn hosted_table(&self, header: &sparse::Header, table: u64) -> Result<Option<u64>> {
        let sector = self.directory_u32(header.gd_offset, table)?;
        if let Some(offset) = self.inside(sector * SECTOR).filter(|_| sector > 0) {
            return Ok(Some(offset));
        }
        // There is none in both, or one in both: VMware makes all tables at once.
        match (self.spare_table(header, table)?, sector) {
            (Some(spare), _) => {
                self.tables.spare(self.extent.file);
                Ok(Some(spare))
            }
            (None, 0) => Ok(None),
            (None, _) => Err(self.damaged(&format!("grain table {table} at sector {sector}"))),
        }
    }

    /// Returns the byte where the redundant copy of a table lies, if it can be used.
    fn spare_table(&self, header: &sparse::Header, table: u64) -> Result<Option<u64>> {
        let Some(start) = header
            .rgd_offset
            .filter(|start| *start < self.file_len / SECTOR)
        else {
            return Ok(None);
        };
        let sector = self.directory_u32(start, table)?;
        Ok(self.inside(sector * SECTOR).filter(|_| sector > 0))
    }

    /// Returns the place of a page again, if it is one.
    fn inside(&self, offset: u64) -> Option<u64> {
        (offset + TABLE_BYTES <= self.file_len).then_some(offset)
    }

    /// Returns an entry of four bytes of the directory at sector `start`.
    fn directory_u32(&self, start: u64, number: u64) -> Result<u64> {
        let offset = start * SECTOR + number / TABLE_ENTRIES * TABLE_BYTES;
        let page = self.tables.page(self.pool(), self.extent.file, offset)?;
        Ok(u64::from(page[(number % TABLE_ENTRIES) as usize]))
    }

    /// Returns an entry of eight bytes of the directory at sector `start`.
    fn directory_u64(&self, start: u64, number: u64) -> Result<u64> {
        let offset = start * SECTOR + number / SE_ENTRIES * TABLE_BYTES;
        let page = self.tables.page(self.pool(), self.extent.file, offset)?;
        Ok(long_entry(&page, number))
    }

    /// Returns how many entries of a page, from that of grain `number` on, name no grain: one look at
    /// them all, since most of a chain's tables are empty.
    fn empty_entries(&self, page: &Page, number: u64) -> u64 {
        let entries = self.index.page_entries();
        let words = TABLE_ENTRIES / entries;
        let rest = &page[(number % entries * words) as usize..];
        let used = rest.iter().position(|word| *word != 0);
        used.unwrap_or(rest.len()) as u64 / words
    }

    /// Returns what the entry of a grain says; where it is damaged, what its redundant copy says.
    fn entry(&self, page: &Page, number: u64) -> Result<Stored> {
        let damage = match self.entry_in(page, number) {
            Err(damage) if damage.kind() == Kind::DiskInvalid => damage,
            entry => return entry,
        };
        let Index::Hosted(header) = self.index else {
            return Err(damage);
        };
        let Some(offset) = self.spare_table(&header, number / TABLE_ENTRIES)? else {
            return Err(damage);
        };
        let spare = self.tables.page(self.pool(), self.extent.file, offset)?;
        match self.entry_in(&spare, number) {
            // Two that say different things, of which one is wrong: the other proves nothing.
            Ok(stored) if stored != Stored::Nothing => {
                self.tables.spare(self.extent.file);
                Ok(stored)
            }
            _ => Err(damage),
        }
    }

    fn entry_in(&self, page: &Page, number: u64) -> Result<Stored> {
        let (sector, least) = match self.index {
            Index::Hosted(header) => {
                let entry = page[(number % TABLE_ENTRIES) as usize];
                match entry {
                    0 => return Ok(Stored::Nothing),
                    ZERO_GRAIN if header.zero_grains => return Ok(Stored::Zeros),
                    _ => {}
                }
                if let Some(packing) = header.packing {
                    return self.packed(packing, u64::from(entry), number);
                }
                (u64::from(entry), header.overhead)
            }
            Index::Cowd(_) => match page[(number % TABLE_ENTRIES) as usize] {
                0 => return Ok(Stored::Nothing),
                entry => (u64::from(entry), 0),
            },
            Index::SeSparse(header) => match header.grain(long_entry(page, number)) {
                Ok(sesparse::Entry::Nothing) => return Ok(Stored::Nothing),
                Ok(sesparse::Entry::Zeros) => return Ok(Stored::Zeros),
                Ok(sesparse::Entry::Grain(sector)) => (sector, 0),
                Err(entry) => {
                    return Err(self.damaged(&format!("grain {number}, of entry {entry:#x},")));
                }
            },
        };
        let end = (sector + self.sectors(number)) * SECTOR;
        if sector < least || end > self.file_len {
            return Err(self.damaged(&format!("grain {number} at sector {sector}")));
        }
        Ok(Stored::Data(self.extent.file, sector * SECTOR))
    }

    /// Returns the sectors that the extent has of a grain: the disk may end within the last one.
    fn sectors(&self, number: u64) -> u64 {
        let grain = self.index.grain_sectors();
        (self.index.capacity() - number * grain).min(grain)
    }

    /// Returns the compressed grain at `sector`; how long it is, only reading it tells.
    fn packed(&self, packing: Packing, sector: u64, number: u64) -> Result<Stored> {
        let grain = self.index.grain_sectors();
        let offset = sector * SECTOR;
        if offset >= self.file_len {
            return Err(self.damaged(&format!("grain {number} at sector {sector}")));
        }
        Ok(Stored::Packed(Packed {
            file: self.extent.file,
            offset,
            packing,
            lba: number * grain,
            grain_sectors: grain,
            sectors: self.sectors(number),
            skip: 0,
        }))
    }

    fn damaged(&self, what: &str) -> Error {
        let path = self.link.extent_path(self.extent);
        let text = format!(
            "{}: {what} does not lie among the file's data",
            quoted(&path)
        );
        Error::new(Kind::DiskInvalid, text).at(&path)
    }
}

/// Returns an entry of eight bytes.
fn long_entry(page: &Page, number: u64) -> u64 {
    let at = (number % SE_ENTRIES * 2) as usize;
    u64::from(page[at]) | u64::from(page[at + 1]) << 32
}
