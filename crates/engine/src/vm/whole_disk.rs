//! New disks that are there whole or not at all: made in a hidden folder, then moved beside it, the
//! file that names the others last.
//!
//! As long as the hidden folder is there and the disk is not, what was moved out of it is nobody's: who
//! makes the disk again takes it away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env::Env;
use super::files;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::descriptor::{Descriptor, MAX_BYTES};
use crate::store::{
    FileKind, LockMode, Store, Undo, folder_of, hidden_sibling, hidden_siblings, read_small,
    remove_tree,
};

/// Has `make` make a disk, which gets the path to make it at, and puts it at `path`. It is durable
/// then.
///
/// # Errors
/// `FileExists` where one of its files is there already; those of making it. No file is left.
pub(super) fn make(env: &Env, path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let store = &*env.store;
    require_none(store, path)?;
    sweep(store, path);
    let folder = folder_of(path);
    let stage = hidden_sibling(path);
    let mut undo = Undo::new(Arc::clone(&env.store));
    store.create_dir(&stage)?;
    undo.made_tree(&stage);
    let _lock = store.try_lock_dir(&stage, LockMode::Exclusive)?;
    // After a power failure it is this folder that tells of a disk that was not finished.
    store.sync_dir(folder)?;
    let name = path.file_name().unwrap_or_default();
    make(&stage.join(name)).map_err(|error| error.speaking_of(&stage, folder))?;
    store.sync_dir(&stage)?;
    let entries = store.list(&stage)?.into_iter().map(|entry| entry.name);
    let others: Vec<_> = entries.filter(|entry| entry != name).collect();
    for name in others.iter().map(|other| &**other).chain([name]) {
        let to = folder.join(name);
        require_none(store, &to)?;
        store.rename_new(&stage.join(name), &to)?;
        undo.made_file(&to);
    }
    store.sync_dir(folder)?;
    undo.keep();
    // The disk is there; the empty folder goes the next time at the latest.
    let _ = store.remove_dir(&stage);
    Ok(())
}

/// Refuses a place where something stands, or that is in no folder.
///
/// # Errors
/// `FileExists`; `FileNotFound`.
pub(super) fn require_none(store: &dyn Store, path: &Path) -> Result<()> {
    store.list(folder_of(path))?;
    if !store.exists(path) {
        return Ok(());
    }
    let text = format!("{} is there already", quoted(path));
    Err(Error::new(Kind::FileExists, text).at(path))
}

/// Removes the hidden folders of a disk at `path` that nobody works on, and what was moved out of them if
/// there is no such disk.
pub fn clear_hidden(store: &dyn Store, path: &Path) {
    if !store.exists(path) {
        sweep(store, path);
    }
}

/// Takes away what a process left that ended while it made the disk `path`, which is not there.
fn sweep(store: &dyn Store, path: &Path) {
    for stage in hidden_siblings(store, path) {
        let is_dir = store
            .meta(&stage)
            .is_ok_and(|meta| meta.kind == FileKind::Dir);
        // Somebody may be making it now.
        let Ok(Some(_lock)) = store.try_lock_dir(&stage, LockMode::Exclusive) else {
            continue;
        };
        if !is_dir {
            continue;
        }
        for part in moved(store, &stage, path) {
            let _ = store.remove_file(&part);
        }
        let _ = remove_tree(store, &stage);
    }
}

/// The parts of the disk `path` that were moved out of `stage`, as what is still there names them.
fn moved(store: &dyn Store, stage: &Path, path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default();
    let bytes = read_small(store, &stage.join(name), MAX_BYTES).unwrap_or_default();
    let Ok(descriptor) = Descriptor::parse(&bytes) else {
        return Vec::new();
    };
    let own = format!("{}-", files::stem(&name.to_string_lossy()));
    let named = descriptor.extent_names().into_iter().flatten();
    let named = named.map(|name| String::from_utf8_lossy(&name).into_owned());
    // Its own names only, whoever wrote it.
    let parts = named.filter(|part| part.starts_with(&own) && !part.contains(['/', '\\']));
    let is_moved = |part: &String| !store.exists(&stage.join(part));
    let moved = parts
        .filter(is_moved)
        .map(|part| folder_of(path).join(part));
    let is_file = |part: &PathBuf| {
        store
            .meta(part)
            .is_ok_and(|meta| meta.kind == FileKind::File)
    };
    moved.filter(is_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, create_dirs, write_new};
    use crate::vm::Settings;

    fn env() -> (Mem, Env) {
        let mem = Mem::new();
        create_dirs(&mem, Path::new("/d")).unwrap();
        let env = Env {
            store: Arc::new(mem.clone()),
            settings: Settings::default(),
        };
        (mem, env)
    }

    fn names(mem: &Mem) -> Vec<String> {
        let entries = mem.list(Path::new("/d")).unwrap().into_iter();
        entries
            .map(|entry| entry.name.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn disk_appears_with_all_its_parts() {
        let (mem, env) = env();
        make(&env, Path::new("/d/a.vmdk"), |path| {
            assert_eq!(names(&mem).len(), 1);
            write_new(&mem, path, b"a")?;
            write_new(&mem, &path.with_file_name("a-flat.vmdk"), b"b")
        })
        .unwrap();
        assert_eq!(names(&mem), ["a-flat.vmdk", "a.vmdk"]);
    }

    #[test]
    fn link_that_is_called_like_a_hidden_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("home");
        std::fs::create_dir(&precious).unwrap();
        std::fs::write(precious.join("notes"), "x").unwrap();
        let path = folder.path().join("a.vmdk");
        let link = folder.path().join(".a.vmdk.replix-0123456789abcdef");
        std::os::unix::fs::symlink(&precious, link).unwrap();
        let env = Env {
            store: Arc::new(crate::store::Local),
            settings: Settings::default(),
        };
        make(&env, &path, |path| write_new(&*env.store, path, b"a")).unwrap();
        assert!(precious.join("notes").exists() && path.exists());
    }

    #[test]
    fn part_of_another_disk_is_not_replaced() {
        let (mem, env) = env();
        write_new(&mem, Path::new("/d/a-flat.vmdk"), b"precious").unwrap();
        let made = make(&env, Path::new("/d/a.vmdk"), |path| {
            write_new(&mem, path, b"a")?;
            write_new(&mem, &path.with_file_name("a-flat.vmdk"), b"b")
        });
        assert_eq!(made.unwrap_err().kind(), Kind::FileExists);
        assert_eq!(names(&mem), ["a-flat.vmdk"]);
        let kept = read_small(&mem, Path::new("/d/a-flat.vmdk"), 99).unwrap();
        assert_eq!(kept, b"precious");
    }
}
