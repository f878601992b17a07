//! A store for tests that counts what it is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Access, Bytes, Entry, Held, LockMode, Mem, Meta, Store};
use crate::error::Result;

/// A disk in memory that counts what it is asked and told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting {
    pub(crate) mem: Mem,
    calls: Arc<AtomicU64>,
    names: Arc<AtomicU64>,
}

struct CountedFile {
    file: Box<dyn Bytes>,
    calls: Arc<AtomicU64>,
}

impl Counting {
    fn on(&self) -> &Mem {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.mem
    }

    fn wrapped(&self, file: Box<dyn Bytes>) -> Box<dyn Bytes> {
        let calls = Arc::clone(&self.calls);
        Box::new(CountedFile { file, calls })
    }

    /// Returns how many calls `work` makes.
    pub(crate) fn calls_of(&self, work: impl FnOnce()) -> u64 {
        let before = self.calls.load(Ordering::Relaxed);
        work();
        self.calls.load(Ordering::Relaxed) - before
    }

    /// Returns how many names `work` is told when it lists folders.
    pub(crate) fn names_of(&self, work: impl FnOnce()) -> u64 {
        let before = self.names.load(Ordering::Relaxed);
        work();
        self.names.load(Ordering::Relaxed) - before
    }
}

impl CountedFile {
    fn on(&self) -> &dyn Bytes {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &*self.file
    }
}

impl Bytes for CountedFile {
    fn len(&self) -> Result<u64> {
        self.on().len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.on().read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.on().write_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.on().set_len(len)
    }

    fn sync(&self) -> Result<()> {
        self.on().sync()
    }

    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        self.on().next_data(offset)
    }
}

impl Store for Counting {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn Bytes>> {
        Ok(self.wrapped(self.on().open(path, access)?))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>> {
        Ok(self.wrapped(self.on().create(path)?))
    }

    fn meta(&self, path: &Path) -> Result<Meta> {
        self.on().meta(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let entries = self.on().list(dir)?;
        self.names
            .fetch_add(entries.len() as u64, Ordering::Relaxed);
        Ok(entries)
    }

    fn is_inhabited(&self, dir: &Path) -> bool {
        self.on().is_inhabited(dir)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.on().create_dir(dir)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.on().remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.on().remove_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.on().rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        self.on().rename_new(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.on().link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.on().sync_dir(dir)
    }

    fn copy_ownership(&self, from: &Path, to: &Path) {
        self.on().copy_ownership(from, to);
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.on().canonical(path)
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        self.on().free_bytes(dir)
    }

    fn try_lock_dir(&self, dir: &Path, mode: LockMode) -> Result<Option<Box<dyn Held>>> {
        self.on().try_lock_dir(dir, mode)
    }

    fn lock_owner(&self, dir: &Path) -> Option<u32> {
        self.on().lock_owner(dir)
    }

    fn is_written(&self, path: &Path) -> Result<bool> {
        self.on().is_written(path)
    }

    fn is_writable(&self, path: &Path) -> bool {
        self.on().is_writable(path)
    }
}
