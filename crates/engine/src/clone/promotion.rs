//! The hidden folder in which the copies are made that a promoted VM is to stand on.
//!
//! It lies in the VM's folder, locked by who works on it. Before a file is moved out of it, a list in it
//! says which: so what a killed process has moved is told from the user's files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::stage;
use crate::disk::Link;
use crate::error::{Error, Kind, Result, quoted};
use crate::store::{
    FileKind, Held, LockMode, Store, Undo, hidden_siblings, read_small, remove_tree, replace,
    write_new,
};
use crate::vm::{Env, VmFolder, files};

/// What the hidden folder is called, after the VM.
pub(super) const PROMOTION: &str = "-promotion";

/// The list of what is moved.
const LIST: &str = "moved";

/// No list is longer: a disk has some 16,000 files at most, with names of 255 bytes.
const LIST_LIMIT: u64 = 16 << 20;

/// A folder of copies in the making.
pub(super) struct Promotion {
    dir: PathBuf,
    /// The VM's folder.
    home: PathBuf,
    _lock: Box<dyn Held>,
}

impl Promotion {
    /// Makes the folder in that of `vm`.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn prepare(env: &Env, vm: &VmFolder, undo: &mut Undo) -> Result<Self> {
        let (dir, lock) = stage::make(&*env.store, &place(vm), undo)?;
        Ok(Self {
            dir,
            home: vm.dir().to_path_buf(),
            _lock: lock,
        })
    }

    /// Returns where the copy called `name` is made.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Moves the copies, whole and durable, to the VM's folder.
    ///
    /// # Errors
    /// `FileExists` where something is called so there; what the system says.
    pub(super) fn move_out(&self, store: &dyn Store, undo: &mut Undo) -> Result<()> {
        let entries = store.list(&self.dir)?;
        let names = entries.iter().map(|entry| entry.name.to_string_lossy());
        let list: String = names.map(|name| format!("{name}\n")).collect();
        write_new(store, &self.dir.join(LIST), list.as_bytes())?;
        store.sync_dir(&self.dir)?;
        for entry in entries {
            let to = self.home.join(&entry.name);
            store.rename_new(&self.dir.join(&entry.name), &to)?;
            undo.made_file(&to);
        }
        store.sync_dir(&self.home)
    }

    /// Removes the folder: what was moved stays.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn end(self, store: &dyn Store) -> Result<()> {
        remove_tree(store, &self.dir)
    }
}

fn place(vm: &VmFolder) -> PathBuf {
    vm.dir().join(format!("{}{PROMOTION}", vm.stem()))
}

/// Removes what is left of promotions of `vm` whose processes were killed.
///
/// # Errors
/// `FileLocked` where one is under way; what the system says.
pub(crate) fn clear(env: &Env, vm: &VmFolder) -> Result<()> {
    let store = &*env.store;
    for dir in hidden_siblings(store, &place(vm)) {
        if !store
            .meta(&dir)
            .is_ok_and(|meta| meta.kind == FileKind::Dir)
        {
            continue;
        }
        let Some(_lock) = store.try_lock_dir(&dir, LockMode::Exclusive)? else {
            return Err(under_way(store, vm, &dir));
        };
        let moved = moved(store, vm, &dir);
        if !moved.is_empty() {
            let used = used(env, vm)?;
            forget_sentinels(env, vm, &moved)?;
            for path in moved.iter().filter(|path| !used.contains(*path)) {
                store.remove_file(path)?;
            }
        }
        remove_tree(store, &dir)?;
        store.sync_dir(vm.dir())?;
    }
    Ok(())
}

/// Says in the bookkeeping of `vm` which of its links are on copies already, and on no foreign disk.
fn forget_sentinels(env: &Env, vm: &VmFolder, moved: &[PathBuf]) -> Result<()> {
    let (mut vmsd, opener) = (env.vmsd(vm)?, env.opener(vm)?);
    let hangs_on_copy = |name: &String| {
        let found = vm.find(&*env.store, name)?;
        let links = opener.survey(&found.path).ok()?.links;
        let parent = links.get(1)?.path();
        moved.iter().any(|path| path == parent).then_some(())
    };
    let (old, mut new) = (vmsd.sentinels(), vmsd.sentinels());
    new.retain(|name| hangs_on_copy(name).is_none());
    if new == old {
        return Ok(());
    }
    vmsd.set_sentinels(&new);
    let path = vm.vmsd_path(&*env.store);
    replace(&*env.store, &path, &vmsd.to_bytes())
}

/// The files that were moved out of the folder `dir`.
fn moved(store: &dyn Store, vm: &VmFolder, dir: &Path) -> Vec<PathBuf> {
    // A list that is not whole was being written: nothing had been moved.
    let list = read_small(store, &dir.join(LIST), LIST_LIMIT).unwrap_or_default();
    let list = String::from_utf8(list).unwrap_or_default();
    let is_moved = |name: &&str| {
        !name.is_empty() && files::last_part(name) == *name && !store.exists(&dir.join(name))
    };
    let paths = list
        .lines()
        .filter(is_moved)
        .map(|name| vm.dir().join(name));
    let is_file = |path: &PathBuf| {
        store
            .meta(path)
            .is_ok_and(|meta| meta.kind == FileKind::File)
    };
    paths.filter(is_file).collect()
}

/// The files of all disks of a VM.
fn used(env: &Env, vm: &VmFolder) -> Result<BTreeSet<PathBuf>> {
    let (vmsd, opener) = (env.vmsd(vm)?, env.opener(vm)?);
    let mut used = BTreeSet::new();
    for name in vm.disk_names(&vmsd) {
        let path = vm.require(&*env.store, "disk", &name)?;
        let links = opener.survey(&path)?.links;
        used.extend(links.iter().flat_map(Link::files));
    }
    Ok(used)
}

fn under_way(store: &dyn Store, vm: &VmFolder, dir: &Path) -> Error {
    let by = store.lock_owner(dir);
    let by = by.map_or_else(String::new, |pid| format!(" by process {pid}"));
    let text = format!("{} is being made independent{by}", quoted(vm.vmx()));
    let hint = "wait until that has ended, or cancel it";
    Error::new(Kind::FileLocked, text).at(vm.vmx()).hint(hint)
}
