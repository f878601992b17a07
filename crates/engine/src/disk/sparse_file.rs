//! Making a new sparse extent: header, descriptor and tables, then its grains in order.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{
    DESCRIPTOR_SECTORS, Layout, TABLE_BYTES, TABLE_ENTRIES, USUAL_GRAIN,
};
use crate::store::{Bytes, Store};

/// Creates an extent without grains at `path`; nothing is durable yet.
///
/// Its tables are holes of the file: an extent of 1 TiB takes two directories of 128 KiB.
///
/// # Errors
/// `FileExists`; what the system says, with the file left behind for the caller to remove.
pub(super) fn create(
    store: &dyn Store,
    path: &Path,
    layout: &Layout,
    on_created: impl FnOnce(),
) -> Result<Box<dyn Bytes>> {
    let file = store.create(path)?;
    on_created();
    file.set_len(layout.overhead * SECTOR)?;
    file.write_at(&layout.header(), 0)?;
    file.write_at(&layout.redundant_directory(), layout.rgd_offset * SECTOR)?;
    file.write_at(&layout.primary_directory(), layout.gd_offset * SECTOR)?;
    Ok(file)
}

/// Writes the descriptor that an extent embeds.
///
/// # Errors
/// `FileName` where the names in it make it too long; what the system says.
pub(super) fn write_descriptor(file: &dyn Bytes, path: &Path, text: &[u8]) -> Result<()> {
    let room = DESCRIPTOR_SECTORS * SECTOR;
    if text.len() as u64 > room {
        let what = format!(
            "the descriptor of {} needs {} bytes, and there is room for {room}",
            quoted(path),
            text.len()
        );
        return Err(Error::new(Kind::FileName, what).at(path));
    }
    file.write_at(text, SECTOR)
}

/// The most tables written at once.
const TABLES_AT_ONCE: usize = 32;

/// Says where the grains of a new sparse extent go, one behind the other in the order of the guest's
/// addresses, and writes its tables, each once.
pub(super) struct Writer {
    file: Arc<dyn Bytes>,
    layout: Layout,
    next_sector: u64,
    /// Neighbouring tables that have entries, and are still to be written.
    tables: Vec<[u8; TABLE_BYTES as usize]>,
    /// Index of the first of them.
    first: u64,
}

impl Writer {
    /// Returns a writer for the extent just made in `file`.
    pub fn new(file: Arc<dyn Bytes>, layout: Layout) -> Self {
        Self {
            file,
            layout,
            next_sector: layout.overhead,
            tables: Vec::with_capacity(TABLES_AT_ONCE),
            first: 0,
        }
    }

    /// Returns the byte where the next grain goes: the format wants each at a multiple of its size.
    pub fn next_offset(&self) -> u64 {
        self.next_sector * SECTOR
    }

    /// Enters `count` grains, which lie from [`Writer::next_offset`] on; `first` is the number of the
    /// first one, above all entered before.
    ///
    /// # Errors
    /// `DiskInvalid` where they do not fit; what writing a table says.
    pub fn enter(&mut self, first: u64, count: u64) -> Result<()> {
        for grain in first..first + count {
            self.enter_grain(grain)?;
        }
        Ok(())
    }

    /// Writes the tables that are still to be written.
    pub fn finish(&mut self) -> Result<()> {
        if self.tables.is_empty() {
            return Ok(());
        }
        for start in [self.layout.rgt_offset, self.layout.gt_offset] {
            let offset = start * SECTOR + self.first * TABLE_BYTES;
            self.file.write_at(self.tables.as_flattened(), offset)?;
        }
        self.tables.clear();
        Ok(())
    }

    fn enter_grain(&mut self, grain: u64) -> Result<()> {
        let table = grain / TABLE_ENTRIES;
        let end = self.first + self.tables.len() as u64;
        if table >= end {
            if table > end || self.tables.len() == TABLES_AT_ONCE {
                self.finish()?;
            }
            if self.tables.is_empty() {
                self.first = table;
            }
            self.tables.push([0; TABLE_BYTES as usize]);
        }
        let sector = u32::try_from(self.next_sector).map_err(|_| {
            Error::new(
                Kind::DiskInvalid,
                "the disk's data does not fit a sparse file of 2 TiB",
            )
        })?;
        let at = (grain % TABLE_ENTRIES) as usize * 4;
        if let Some(table) = self.tables.last_mut() {
            table[at..at + 4].copy_from_slice(&sector.to_le_bytes());
        }
        self.next_sector += USUAL_GRAIN;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Mem;

    #[test]
    fn tables_are_written_wherever_grains_are() {
        let store = Mem::new();
        // 96 tables.
        let layout = Layout::new(96 * TABLE_ENTRIES * USUAL_GRAIN, false).unwrap();
        let path = Path::new("/extent");
        let file: Arc<dyn Bytes> = create(&store, path, &layout, || {}).unwrap().into();
        let mut writer = Writer::new(Arc::clone(&file), layout);
        let used: Vec<u64> = (0..40).chain([50]).chain(60..95).collect();
        for table in &used {
            writer.enter(table * TABLE_ENTRIES + table, 1).unwrap();
        }
        writer.finish().unwrap();
        for start in [layout.rgt_offset, layout.gt_offset] {
            for table in 0..96 {
                let mut bytes = [0; TABLE_BYTES as usize];
                let offset = start * SECTOR + table * TABLE_BYTES;
                file.read_at(&mut bytes, offset).unwrap();
                let mut expected = [0; TABLE_BYTES as usize];
                if let Some(rank) = used.iter().position(|used| *used == table) {
                    let sector = (layout.overhead + rank as u64 * USUAL_GRAIN) as u32;
                    let at = table as usize * 4;
                    expected[at..at + 4].copy_from_slice(&sector.to_le_bytes());
                }
                assert_eq!(bytes, expected, "table {table}");
            }
        }
    }
}
