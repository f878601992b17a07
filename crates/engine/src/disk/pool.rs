//! The open files of a chain: all are known by number, few are open at a time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, Result, quoted};
use crate::store::{Access, Bytes, Store};

/// The most files that one chain keeps open.
///
/// A VM with ten disks, each a chain of hundreds of links or a disk of 16,000 extents, stays below
/// 256 files. Opening one again costs microseconds.
pub const MAX_OPEN: usize = 16;

type Stamp = [u64; 5];

/// A file of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

/// The files of a chain.
pub struct Pool {
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Vec<Known>,
    /// Most recently used last.
    open: Vec<(FileId, Arc<dyn Bytes>)>,
}

struct Known {
    path: Arc<Path>,
    /// What the file was when it was taken in.
    stamp: Stamp,
}

impl Pool {
    /// Returns a pool without files.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            state: Mutex::default(),
        }
    }

    /// Returns where the files are.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Takes in the file at `path`, which its opener has checked, and returns its number.
    ///
    /// # Errors
    /// `FileNotFound`.
    pub fn add(&self, path: PathBuf) -> Result<FileId> {
        let stamp = self.store.meta(&path)?.stamp;
        let mut state = self.state();
        let id = FileId(u32::try_from(state.known.len()).unwrap_or(u32::MAX));
        state.known.push(Known {
            path: path.into(),
            stamp,
        });
        Ok(id)
    }

    /// Refuses a file that was written or replaced since it was taken in.
    ///
    /// # Errors
    /// `Busy` names the file; `FileNotFound`.
    pub fn require_unchanged(&self, id: FileId) -> Result<()> {
        let (path, stamp) = {
            let state = self.state();
            let known = &state.known[id.0 as usize];
            (Arc::clone(&known.path), known.stamp)
        };
        if self.store.meta(&path)?.stamp == stamp {
            return Ok(());
        }
        let text = format!("{} changed while it was copied", quoted(&path));
        Err(Error::new(Kind::Busy, text).at(&path))
    }

    /// Returns the path of a file.
    pub fn path(&self, id: FileId) -> Arc<Path> {
        Arc::clone(&self.state().known[id.0 as usize].path)
    }

    /// Returns the file, open for reading; it is closed some time after its last use.
    ///
    /// # Errors
    /// What opening says.
    pub fn get(&self, id: FileId) -> Result<Arc<dyn Bytes>> {
        let mut state = self.state();
        if let Some(at) = state.open.iter().rposition(|(open, _)| *open == id) {
            let found = state.open.remove(at);
            let file = Arc::clone(&found.1);
            state.open.push(found);
            return Ok(file);
        }
        let path = &state.known[id.0 as usize].path;
        let file: Arc<dyn Bytes> = Arc::from(self.store.open(path, Access::Read)?);
        // Grains mostly lie in the order in which they are asked for.
        file.will_read_in_order();
        if state.open.len() >= MAX_OPEN {
            state.open.remove(0);
        }
        state.open.push((id, Arc::clone(&file)));
        Ok(file)
    }

    /// Fills `buf` from a file.
    ///
    /// # Errors
    /// `DiskInvalid` where the file ends before; what the system says.
    pub fn read(&self, id: FileId, buf: &mut [u8], offset: u64) -> Result<()> {
        if self.get(id)?.read_at(buf, offset)? == buf.len() {
            return Ok(());
        }
        let path = self.path(id);
        let text = format!(
            "{} ends before byte {}, where its data should be",
            quoted(&path),
            offset.saturating_add(buf.len() as u64)
        );
        Err(Error::new(Kind::DiskInvalid, text).at(&path))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, write_new};

    #[test]
    fn more_files_than_may_be_open_are_all_read() {
        let store = Mem::new();
        let pool = Pool::new(Arc::new(store.clone()));
        let ids: Vec<FileId> = (0..MAX_OPEN + 10)
            .map(|i| {
                let path = PathBuf::from(format!("/f{i}"));
                write_new(&store, &path, &[i as u8]).unwrap();
                pool.add(path).unwrap()
            })
            .collect();
        for _ in 0..2 {
            for (i, id) in ids.iter().enumerate() {
                let mut byte = [0];
                pool.read(*id, &mut byte, 0).unwrap();
                assert_eq!(byte[0], i as u8);
                assert!(pool.state().open.len() <= MAX_OPEN);
            }
        }
    }

    #[test]
    fn reading_past_the_end_names_the_file() {
        let store = Mem::new();
        write_new(&store, Path::new("/a"), b"abc").unwrap();
        let pool = Pool::new(Arc::new(store));
        let id = pool.add("/a".into()).unwrap();
        let error = pool.read(id, &mut [0; 4], 1).unwrap_err();
        assert_eq!(error.kind(), Kind::DiskInvalid);
        assert!(error.to_string().contains("\"/a\" ends before byte 5"));
    }
}
