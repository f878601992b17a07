//! Writing to an existing sparse extent: grains in place and new ones, tables after their data.

use std::path::Path;
use std::sync::Arc;

use super::tables::{Page, to_page};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Header, TABLE_BYTES, TABLE_ENTRIES};
use crate::store::Bytes;

/// The most new grains that wait for their tables: 1 MiB of memory.
const MAX_PENDING: usize = 1 << 16;

/// An extent being written.
pub(super) struct Graft {
    file: Arc<dyn Bytes>,
    path: Arc<Path>,
    header: Header,
    /// Where the next new grain goes.
    next_sector: u64,
    /// Length of the file up to which the tables are written.
    committed_len: u64,
    /// New grains that no table names yet: number and sector.
    pending: Vec<(u64, u32)>,
    /// Bytes not yet written, and where they go: neighbouring grains are written at once.
    gathered: Vec<u8>,
    gathered_at: u64,
}

impl Graft {
    /// Returns a writer for the extent in `file`.
    pub fn new(file: Arc<dyn Bytes>, path: Arc<Path>, header: Header) -> Result<Self> {
        let len = file.len()?;
        let end = len.div_ceil(SECTOR).max(header.overhead);
        Ok(Self {
            file,
            path,
            header,
            next_sector: end.next_multiple_of(header.grain_sectors),
            committed_len: len,
            pending: Vec::new(),
            gathered: Vec::new(),
            gathered_at: 0,
        })
    }

    /// Writes a grain that is there already, at byte `offset`.
    pub fn overwrite(&mut self, offset: u64, grain: &[u8]) -> Result<()> {
        self.gather(offset, grain)
    }

    /// Writes a grain that is new.
    pub fn append(&mut self, number: u64, grain: &[u8]) -> Result<()> {
        let sector = u32::try_from(self.next_sector).map_err(|_| {
            let text = format!("{} is full: 2 TiB fit a sparse file", quoted(&self.path));
            Error::new(Kind::NoSpace, text).at(&self.path)
        })?;
        if self.pending.len() >= MAX_PENDING {
            self.commit()?;
        }
        self.gather(self.next_sector * SECTOR, grain)?;
        self.pending.push((number, sector));
        self.next_sector += self.header.grain_sectors;
        Ok(())
    }

    /// Writes what was gathered.
    pub fn write_out(&mut self) -> Result<()> {
        if !self.gathered.is_empty() {
            self.file.write_at(&self.gathered, self.gathered_at)?;
            self.gathered.clear();
        }
        Ok(())
    }

    /// Makes everything durable.
    pub fn finish(&mut self) -> Result<()> {
        self.commit()?;
        self.file.sync()
    }

    /// Gives back the space of the grains that no table names.
    pub fn give_up(&mut self) {
        // What led here matters more; the space would merely be lost.
        let _ = self.file.set_len(self.committed_len);
    }

    fn gather(&mut self, offset: u64, grain: &[u8]) -> Result<()> {
        if self.gathered_at + self.gathered.len() as u64 != offset {
            self.write_out()?;
        }
        if self.gathered.is_empty() {
            self.gathered_at = offset;
        }
        self.gathered.extend_from_slice(grain);
        Ok(())
    }

    /// Enters the new grains in both tables, after their data is durable.
    fn commit(&mut self) -> Result<()> {
        self.write_out()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.sync()?;
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_unstable();
        // From here on tables name the new grains: their space stays.
        self.committed_len = self.next_sector * SECTOR;
        for of_table in pending.chunk_by(|a, b| a.0 / TABLE_ENTRIES == b.0 / TABLE_ENTRIES) {
            self.enter(of_table)?;
        }
        Ok(())
    }

    /// Enters grains of one table in both its copies; where only one can be written, in none.
    fn enter(&self, grains: &[(u64, u32)]) -> Result<()> {
        let table = grains[0].0 / TABLE_ENTRIES;
        let redundant = self
            .header
            .rgd_offset
            .map(|rgd| self.table(rgd, table))
            .transpose()?;
        let primary = self.table(self.header.gd_offset, table)?;
        if let Some(redundant) = &redundant {
            redundant.write(self.file.as_ref(), grains)?;
        }
        let written = primary.write(self.file.as_ref(), grains);
        if let (Err(_), Some(redundant)) = (&written, &redundant) {
            // Should this fail too, the two are out of step until the merge is done again.
            let _ = redundant.write(self.file.as_ref(), &[]);
        }
        written
    }

    fn table(&self, directory: u64, table: u64) -> Result<Table> {
        let mut entry = [0; 4];
        let at = directory
            .checked_mul(SECTOR)
            .and_then(|start| start.checked_add(table * 4));
        let at = at.ok_or_else(|| self.no_table(table))?;
        if self.file.read_at(&mut entry, at)? < entry.len() {
            return Err(self.no_table(table));
        }
        let offset = u64::from(u32::from_le_bytes(entry)) * SECTOR;
        let mut bytes = [0; TABLE_BYTES as usize];
        if offset == 0 || self.file.read_at(&mut bytes, offset)? < bytes.len() {
            return Err(self.no_table(table));
        }
        Ok(Table {
            offset,
            page: to_page(&bytes),
        })
    }

    fn no_table(&self, table: u64) -> Error {
        let text = format!(
            "{} has no grain table {table}, or a broken one",
            quoted(&self.path)
        );
        Error::new(Kind::DiskInvalid, text).at(&self.path)
    }
}

/// A grain table as it was read.
struct Table {
    offset: u64,
    page: Page,
}

impl Table {
    /// Writes the table with `grains` entered.
    fn write(&self, file: &dyn Bytes, grains: &[(u64, u32)]) -> Result<()> {
        let mut page = self.page;
        for (number, sector) in grains {
            page[(number % TABLE_ENTRIES) as usize] = *sector;
        }
        let bytes: Vec<u8> = page.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        file.write_at(&bytes, self.offset)
    }
}
