//! A file system that fails: after a number of changes, every further one ends in "disk full".

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use replix::store::{Access, Bytes, Entry, Held, Local, LockMode, Meta, Store};
use replix::{Error, Result};

/// The file system of this machine, which stops taking changes.
#[derive(Clone)]
pub struct Failing {
    left: Arc<AtomicI64>,
}

struct FailingFile {
    file: Box<dyn Bytes>,
    path: PathBuf,
    store: Failing,
}

impl Failing {
    /// Returns one that takes `changes` more changes.
    pub fn after(changes: i64) -> Self {
        Self {
            left: Arc::new(AtomicI64::new(changes)),
        }
    }

    fn change(&self, path: &Path) -> Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(Error::io("write", path, io::ErrorKind::StorageFull.into()))
    }

    fn wrap(&self, file: Box<dyn Bytes>, path: &Path) -> Box<dyn Bytes> {
        Box::new(FailingFile {
            file,
            path: path.to_path_buf(),
            store: self.clone(),
        })
    }
}

impl fmt::Debug for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failing")
    }
}

impl Bytes for FailingFile {
    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.store.change(&self.path)?;
        self.file.write_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        // Giving space back works on a full disk.
        if len > self.file.len()? {
            self.store.change(&self.path)?;
        }
        self.file.set_len(len)
    }

    fn sync(&self) -> Result<()> {
        self.store.change(&self.path)?;
        self.file.sync()
    }

    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        self.file.next_data(offset)
    }
}

impl Store for Failing {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn Bytes>> {
        Ok(self.wrap(Local.open(path, access)?, path))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>> {
        self.change(path)?;
        Ok(self.wrap(Local.create(path)?, path))
    }

    fn meta(&self, path: &Path) -> Result<Meta> {
        Local.meta(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        Local.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.change(dir)?;
        Local.create_dir(dir)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        Local.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        Local.remove_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change(to)?;
        Local.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        self.change(to)?;
        Local.rename_new(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.change(to)?;
        Local.link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.change(dir)?;
        Local.sync_dir(dir)
    }

    fn copy_ownership(&self, from: &Path, to: &Path) {
        Local.copy_ownership(from, to);
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        Local.canonical(path)
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        Local.free_bytes(dir)
    }

    fn try_lock_dir(&self, dir: &Path, mode: LockMode) -> Result<Option<Box<dyn Held>>> {
        Local.try_lock_dir(dir, mode)
    }

    fn lock_owner(&self, dir: &Path) -> Option<u32> {
        Local.lock_owner(dir)
    }

    fn is_written(&self, path: &Path) -> Result<bool> {
        Local.is_written(path)
    }

    fn is_writable(&self, path: &Path) -> bool {
        Local.is_writable(path)
    }
}
