//! The names in folders, and a store that remembers them: an operation that looks for thousands of
//! names in one folder reads it once.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Access, Bytes, Entry, Held, LockMode, Meta, Store};
use crate::error::Result;

/// No more names are remembered; then it begins anew.
const MOST_NAMES: usize = 1_000_000;

/// The names in a folder, looked up whatever the case of their letters.
#[derive(Debug, Default)]
pub struct Names {
    /// By the name in lower case; `None` where several differ only by case.
    by_lower: HashMap<String, Option<OsString>>,
}

impl Names {
    /// Returns the names of these entries.
    pub fn of(entries: Vec<Entry>) -> Self {
        let mut by_lower = HashMap::with_capacity(entries.len());
        for Entry { name, .. } in entries {
            let lower = name.to_string_lossy().to_lowercase();
            by_lower
                .entry(lower)
                .and_modify(|one| *one = None)
                .or_insert(Some(name));
        }
        Self { by_lower }
    }

    /// Returns the name that is `name` in whatever case. Several that differ only by case are none: nobody
    /// could say which is meant.
    pub fn alike(&self, name: &str) -> Option<&OsStr> {
        self.by_lower.get(&name.to_lowercase())?.as_deref()
    }
}

/// A store that remembers the names in folders for as long as these do not change. It is made for one
/// operation: what somebody else renames in the very moment of a look may count as it was before.
#[derive(Debug)]
pub struct Glance {
    store: Arc<dyn Store>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// By the path, with the stamp of then.
    folders: HashMap<PathBuf, ([u64; 5], Arc<Names>)>,
    /// How many names they have in all.
    count: usize,
}

impl Glance {
    /// Returns `store`, with nothing remembered.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            seen: Mutex::default(),
        }
    }
}

impl Store for Glance {
    fn alike(&self, dir: &Path, name: &str) -> Option<OsString> {
        self.names(dir).ok()?.alike(name).map(OsStr::to_os_string)
    }

    fn names(&self, dir: &Path) -> Result<Arc<Names>> {
        // Each VM has its own way up to the folder that holds all of them.
        let is_straight = dir.components().all(|part| part != Component::ParentDir);
        let real = match is_straight {
            true => dir.to_path_buf(),
            false => self.store.canonical(dir)?,
        };
        let dir = real.as_path();
        // Taken before: what changes while the folder is read shows the next time.
        let stamp = self.store.meta(dir)?.stamp;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of_then, names)) = seen.folders.get(dir)
            && *of_then == stamp
        {
            return Ok(Arc::clone(names));
        }
        let names = self.store.names(dir)?;
        if seen.count > MOST_NAMES {
            *seen = Seen::default();
        }
        seen.count += names.by_lower.len() + 1;
        let known = (stamp, Arc::clone(&names));
        if let Some((_, before)) = seen.folders.insert(dir.to_path_buf(), known) {
            seen.count -= before.by_lower.len() + 1;
        }
        Ok(names)
    }

    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn Bytes>> {
        self.store.open(path, access)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>> {
        self.store.create(path)
    }

    fn meta(&self, path: &Path) -> Result<Meta> {
        self.store.meta(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.store.list(dir)
    }

    fn is_inhabited(&self, dir: &Path) -> bool {
        self.store.is_inhabited(dir)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.store.create_dir(dir)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.store.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.store.remove_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.store.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        self.store.rename_new(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.store.link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.store.sync_dir(dir)
    }

    fn copy_ownership(&self, from: &Path, to: &Path) {
        self.store.copy_ownership(from, to);
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.store.canonical(path)
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        self.store.free_bytes(dir)
    }

    fn try_lock_dir(&self, dir: &Path, mode: LockMode) -> Result<Option<Box<dyn Held>>> {
        self.store.try_lock_dir(dir, mode)
    }

    fn lock_owner(&self, dir: &Path) -> Option<u32> {
        self.store.lock_owner(dir)
    }

    fn is_written(&self, path: &Path) -> Result<bool> {
        self.store.is_written(path)
    }

    fn is_writable(&self, path: &Path) -> bool {
        self.store.is_writable(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.store.exists(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, write_new};

    /// The answers of a store that remembers and of one that does not.
    fn alike(store: &Glance, name: &str) -> Option<OsString> {
        let found = store.alike(Path::new("/v"), name);
        assert_eq!(found, store.store.alike(Path::new("/v"), name));
        found
    }

    #[test]
    fn names_are_found_in_whatever_case_until_two_are_alike() {
        let mem = Mem::new();
        mem.create_dir(Path::new("/v")).unwrap();
        let glance = Glance::new(Arc::new(mem.clone()));
        assert_eq!(alike(&glance, "disk.vmdk"), None);
        // What changes is seen.
        write_new(&mem, Path::new("/v/Disk.VMDK"), b"").unwrap();
        assert_eq!(alike(&glance, "disk.vmdk"), Some("Disk.VMDK".into()));
        write_new(&mem, Path::new("/v/disk.VMDK"), b"").unwrap();
        assert_eq!(alike(&glance, "disk.vmdk"), None);
    }

    #[test]
    fn folder_that_stays_is_read_once() {
        let mem = Mem::new();
        mem.create_dir(Path::new("/v")).unwrap();
        let glance = Glance::new(Arc::new(mem));
        let first = glance.names(Path::new("/v")).unwrap();
        for again in ["/v", "/v/web/..", "/v/db/.."] {
            let names = glance.names(Path::new(again)).unwrap();
            assert!(Arc::ptr_eq(&first, &names), "{again}");
        }
        assert!(glance.names(Path::new("/gone")).is_err());
    }
}
