//! What is remembered of where the data lies: grain tables and directories, in pages of 512 entries, a bounded
//! number at a time; of flat files the data found last.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::pool::{FileId, Pool};
use crate::error::Result;
use crate::format::vmdk::sparse::{TABLE_BYTES, TABLE_ENTRIES};

/// The most pages kept: 2 KiB each, 4 MiB in all.
const MAX_PAGES: usize = 2048;

/// How many are read at once.
const PAGES_AT_ONCE: usize = 8;

/// 512 entries as they lie on disk.
pub type Page = [u32; TABLE_ENTRIES as usize];

/// The pages of a chain's tables that were used last.
pub struct Tables(Mutex<State>);

struct State {
    pages: HashMap<(FileId, u64), Kept>,
    empty: Arc<Page>,
    clock: u64,
    found: Option<Found>,
    /// Files of which redundant tables were used.
    spared: BTreeSet<FileId>,
}

struct Kept {
    page: Arc<Page>,
    used: u64,
}

/// Data of a flat file.
struct Found {
    file: FileId,
    /// From this byte on there is nothing before it.
    from: u64,
    start: u64,
    end: u64,
}

impl Tables {
    /// Returns an empty cache.
    pub fn new() -> Self {
        Self(Mutex::new(State {
            pages: HashMap::new(),
            empty: Arc::new([0; TABLE_ENTRIES as usize]),
            clock: 0,
            found: None,
            spared: BTreeSet::new(),
        }))
    }

    /// Remembers that a redundant table of a file was used in place of a damaged one.
    pub fn spare(&self, file: FileId) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.spared.insert(file);
    }

    /// Returns the files of which redundant tables were used.
    pub fn spared(&self) -> Vec<FileId> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.spared.iter().copied().collect()
    }

    /// Returns where a flat file has its next data, from byte `offset` on, and where that ends.
    ///
    /// Each is asked for twice, for the hole before it and for itself; file systems take their time for it.
    ///
    /// # Errors
    /// What asking says.
    pub fn next_data(&self, pool: &Pool, file: FileId, offset: u64) -> Result<Option<(u64, u64)>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = &state.found
            && found.file == file
            && (found.from..found.end).contains(&offset)
        {
            return Ok(Some((found.start.max(offset), found.end)));
        }
        let next = pool.get(file)?.next_data(offset)?;
        state.found = next.map(|(start, end)| Found {
            file,
            from: offset,
            start,
            end,
        });
        Ok(next)
    }

    /// Returns the entries at byte `offset` of a file; what lies past the file's end is 0.
    ///
    /// # Errors
    /// What reading says.
    pub fn page(&self, pool: &Pool, file: FileId, offset: u64) -> Result<Arc<Page>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let now = state.clock;
        if let Some(kept) = state.pages.get_mut(&(file, offset)) {
            kept.used = now;
            return Ok(Arc::clone(&kept.page));
        }
        // Tables lie one behind the other, and are read in order.
        let mut bytes = [[0; TABLE_BYTES as usize]; PAGES_AT_ONCE];
        pool.get(file)?.read_at(bytes.as_flattened_mut(), offset)?;
        if state.pages.len() + PAGES_AT_ONCE > MAX_PAGES {
            state.forget_older_half();
        }
        let pages = bytes.each_ref().map(|bytes| state.shared(bytes));
        let page = Arc::clone(&pages[0]);
        for (page, number) in pages.into_iter().zip(0..) {
            if let Some(offset) = offset.checked_add(number * TABLE_BYTES) {
                state.pages.insert((file, offset), Kept { page, used: now });
            }
        }
        Ok(page)
    }
}

impl State {
    /// Returns the entries in `bytes`; those of empty pages, which most are, once for all.
    fn shared(&self, bytes: &[u8; TABLE_BYTES as usize]) -> Arc<Page> {
        match bytes.iter().all(|byte| *byte == 0) {
            true => Arc::clone(&self.empty),
            false => Arc::new(to_page(bytes)),
        }
    }

    /// Drops half of the pages at once, so that the search for them costs little for each.
    fn forget_older_half(&mut self) {
        let mut ages: Vec<u64> = self.pages.values().map(|kept| kept.used).collect();
        let middle = ages.len() / 2;
        let (_, median, _) = ages.select_nth_unstable(middle);
        let limit = *median;
        self.pages.retain(|_, kept| kept.used > limit);
    }
}

/// Returns the entries in `bytes`, little-endian.
pub fn to_page(bytes: &[u8; TABLE_BYTES as usize]) -> Page {
    let mut page = [0; TABLE_ENTRIES as usize];
    for (entry, bytes) in page.iter_mut().zip(bytes.chunks_exact(4)) {
        *entry = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, Store};

    #[test]
    fn pages_stay_bounded_and_right() {
        let store = Mem::new();
        let file = store.create(std::path::Path::new("/t")).unwrap();
        let count = MAX_PAGES as u64 + 100;
        for i in 0..count {
            file.write_at(&(i as u32).to_le_bytes(), i * TABLE_BYTES)
                .unwrap();
        }
        let pool = Pool::new(Arc::new(store));
        let id = pool.add("/t".into()).unwrap();
        let tables = Tables::new();
        for i in (0..count).chain(0..count) {
            assert_eq!(
                tables.page(&pool, id, i * TABLE_BYTES).unwrap()[0],
                i as u32
            );
        }
        assert!(tables.0.lock().unwrap().pages.len() <= MAX_PAGES);
        assert_eq!(tables.page(&pool, id, u64::MAX >> 2).unwrap()[511], 0);
    }
}
