//! Reading the tables of a sparse extent in order.

use std::ops::Range;

use super::super::pool::{FileId, Pool};
use super::super::tables::{Page, to_page};
use crate::error::Result;
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{TABLE_BYTES, TABLE_ENTRIES};

/// A grain table, as far as it is there.
#[derive(PartialEq, Eq)]
pub(in crate::disk) enum Found {
    /// The directory names none, or one outside of the file.
    Missing,
    /// All its entries are 0.
    Empty,
    /// It has entries.
    Page(Box<Page>),
}

/// Reads the tables of one directory in order, without what is a hole of the file.
pub(in crate::disk) struct TableReader<'a> {
    pool: &'a Pool,
    file: FileId,
    file_len: u64,
    /// First sector of the directory.
    directory: u64,
    /// The part of the directory that was read last, and its number.
    entries: Option<(u64, Page)>,
    /// Bytes of the file that are known to be a hole.
    hole: Range<u64>,
}

impl<'a> TableReader<'a> {
    /// Returns a reader of the tables that the directory at sector `directory` names.
    pub fn new(pool: &'a Pool, file: FileId, file_len: u64, directory: u64) -> Self {
        Self {
            pool,
            file,
            file_len,
            directory,
            entries: None,
            hole: 0..0,
        }
    }

    /// Returns the sector of a table as the directory has it.
    pub fn sector(&mut self, table: u64) -> Result<u64> {
        let part = table / TABLE_ENTRIES;
        let known = self.entries.as_ref().filter(|(known, _)| *known == part);
        let entries = match known {
            Some((_, entries)) => entries,
            None => {
                let at = self.directory.saturating_mul(SECTOR);
                let page = self.read(at.saturating_add(part * TABLE_BYTES))?;
                &self.entries.insert((part, page)).1
            }
        };
        Ok(u64::from(entries[(table % TABLE_ENTRIES) as usize]))
    }

    /// Tells whether a table at that sector lies within the file.
    pub fn is_inside(&self, table_sector: u64) -> bool {
        table_sector * SECTOR + TABLE_BYTES <= self.file_len
    }

    /// Returns a table; where the directory names none inside the file, it is missing.
    pub fn table(&mut self, table: u64) -> Result<Found> {
        let sector = self.sector(table)?;
        if sector == 0 || !self.is_inside(sector) {
            return Ok(Found::Missing);
        }
        self.table_at(sector)
    }

    /// Returns the table at a sector inside the file.
    pub fn table_at(&mut self, sector: u64) -> Result<Found> {
        let (start, end) = (sector * SECTOR, sector * SECTOR + TABLE_BYTES);
        if !(self.hole.start <= start && end <= self.hole.end) {
            let page = self.read(start)?;
            if page.iter().any(|entry| *entry != 0) {
                return Ok(Found::Page(Box::new(page)));
            }
            let next = self.pool.get(self.file)?.next_data(end)?;
            self.hole = start..next.map_or(self.file_len, |(data, _)| data);
        }
        Ok(Found::Empty)
    }

    /// Reads a page; what lies past the end of the file is zeros.
    fn read(&self, offset: u64) -> Result<Page> {
        let mut bytes = [0; TABLE_BYTES as usize];
        if offset < self.file_len {
            self.pool.get(self.file)?.read_at(&mut bytes, offset)?;
        }
        Ok(to_page(&bytes))
    }
}
