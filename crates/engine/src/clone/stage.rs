//! A clone's folder while it is being filled: hidden, and whole or gone in the end.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::naming::Names;
use super::promotion::PROMOTION;
use crate::error::{Error, Kind, Result, quoted};
use crate::store::{
    Access, FileKind, Held, LockMode, Store, UNFINISHED, Undo, create_dirs, folder_of,
    hidden_sibling, hidden_siblings, remove_tree,
};

/// How often a hidden folder is made that others take for one left over.
const TRIES: usize = 100;

/// A folder whose own list of names takes more bytes holds thousands: it is not read for each clone.
const LONG_LIST: u64 = 64 << 10;

/// Such a folder is read for one clone of so many.
const SWEEP: u32 = 16;

/// A folder beside (or in) the destination in which the clone's files are written.
///
/// Its lock tells others that somebody works on it: one that is not locked is left over from a
/// process that was killed, and the next clone beside it removes it.
pub(super) struct Stage {
    store: Arc<dyn Store>,
    dir: PathBuf,
    target: PathBuf,
    vmx_name: PathBuf,
    _lock: Box<dyn Held>,
}

impl Stage {
    /// Makes the folder in which the clone at `vmx` is prepared, and those that are missing above.
    ///
    /// # Errors
    /// `FileExists` where the destination exists; what the system says.
    pub(super) fn prepare(store: &Arc<dyn Store>, vmx: &Path, undo: &mut Undo) -> Result<Self> {
        refuse_existing(&**store, vmx)?;
        let target = folder_of(vmx).to_path_buf();
        let named = match store.exists(&target) {
            true => inside(vmx),
            false => beside(vmx),
        };
        let around = folder_of(&named);
        for made in create_dirs(&**store, around)? {
            undo.made_dir(&made);
        }
        if is_to_be_swept(&**store, around) {
            sweep(&**store, around);
        }
        let (dir, lock) = make(&**store, &named, undo)?;
        // After a power failure it is this folder that tells of a clone that was not finished.
        store.sync_dir(around)?;
        let vmx_name = vmx.file_name().unwrap_or_default().into();
        Ok(Self {
            store: Arc::clone(store),
            dir,
            target,
            vmx_name,
            _lock: lock,
        })
    }

    /// Returns the folder to write to.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the clone's files durable, and the clone visible, its `.vmx` last.
    ///
    /// # Errors
    /// `FileExists` where somebody else was faster; what the system says.
    pub(super) fn publish(self, undo: &mut Undo) -> Result<()> {
        for entry in self.store.list(&self.dir)? {
            let file = self
                .store
                .open(&self.dir.join(&entry.name), Access::Write)?;
            file.sync()?;
        }
        self.store.sync_dir(&self.dir)?;
        if !self.store.exists(&self.target) {
            match self.store.rename_new(&self.dir, &self.target) {
                Ok(()) => {
                    undo.made_tree(&self.target);
                    return self.store.sync_dir(folder_of(&self.target));
                }
                Err(error) if error.kind() == Kind::FileExists => {}
                Err(error) => return Err(error),
            }
        }
        self.move_files(undo)
    }

    fn move_files(&self, undo: &mut Undo) -> Result<()> {
        let entries = self.store.list(&self.dir)?;
        let others = entries
            .iter()
            .map(|entry| Path::new(&entry.name))
            .filter(|n| *n != self.vmx_name);
        for name in others.chain([self.vmx_name.as_path()]) {
            let to = self.target.join(name);
            self.store.rename_new(&self.dir.join(name), &to)?;
            undo.made_file(&to);
        }
        self.store.sync_dir(&self.target)?;
        self.store.remove_dir(&self.dir)
    }
}

/// What the hidden folder of the clone at `vmx` is called after where the clone's folder is there.
fn inside(vmx: &Path) -> PathBuf {
    folder_of(vmx).join(vmx.file_stem().unwrap_or_default())
}

/// The same where that is to be made.
fn beside(vmx: &Path) -> PathBuf {
    let folder = folder_of(vmx);
    let mut name = folder.file_name().unwrap_or_default().to_os_string();
    name.push("-");
    name.push(vmx.file_stem().unwrap_or_default());
    folder.with_file_name(name)
}

/// Returns the hidden folders of clones at `vmx`; nobody works on one that is not locked.
pub(super) fn hidden_folders(store: &dyn Store, vmx: &Path) -> Vec<PathBuf> {
    let mut found = hidden_siblings(store, &inside(vmx));
    found.extend(hidden_siblings(store, &beside(vmx)));
    found.retain(|path| {
        store
            .meta(path)
            .is_ok_and(|meta| meta.kind == FileKind::Dir)
    });
    found
}

/// Makes a hidden folder beside `path` and locks it.
///
/// Before it is locked it looks left over to others that sweep, who may take it away: then the next
/// one has better luck.
///
/// # Errors
/// What the system says.
pub(super) fn make(
    store: &dyn Store,
    path: &Path,
    undo: &mut Undo,
) -> Result<(PathBuf, Box<dyn Held>)> {
    for _ in 0..TRIES {
        let dir = hidden_sibling(path);
        store.create_dir(&dir)?;
        undo.made_tree(&dir);
        match store.try_lock_dir(&dir, LockMode::Exclusive) {
            Ok(Some(lock)) if store.exists(&dir) => return Ok((dir, lock)),
            Err(error) if error.kind() != Kind::FileNotFound => return Err(error),
            _ => {}
        }
    }
    let text = format!(
        "other processes take away what is made beside {}",
        quoted(path)
    );
    Err(Error::new(Kind::FileLocked, text).at(path))
}

/// Fails where something stands at the destination already, or a file where its folder should be.
pub(super) fn refuse_existing(store: &dyn Store, vmx: &Path) -> Result<()> {
    if !store.exists(vmx) {
        return require_folder(store, folder_of(vmx));
    }
    let text = format!("the destination {} exists already", quoted(vmx));
    Err(Error::new(Kind::FileExists, text)
        .at(vmx)
        .hint("choose another path, or delete that VM first"))
}

/// Fails where the nearest of `dir` and the folders above it that exists is no folder.
fn require_folder(store: &dyn Store, dir: &Path) -> Result<()> {
    let there = dir
        .ancestors()
        .find_map(|path| Some((path, store.meta(path).ok()?.kind)));
    match there {
        Some((path, kind)) if kind != FileKind::Dir => {
            let text = format!("{} is a file, not a folder", quoted(path));
            Err(Error::new(Kind::FileName, text).at(path))
        }
        _ => Ok(()),
    }
}

/// Returns `path` with the part that exists resolved, and the rest taken as it reads.
pub(super) fn resolved(store: &dyn Store, path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        let Ok(mut plain) = store.canonical(ancestor) else {
            continue;
        };
        for part in path
            .strip_prefix(ancestor)
            .unwrap_or(Path::new(""))
            .components()
        {
            match part {
                Component::ParentDir => {
                    plain.pop();
                }
                Component::Normal(part) => plain.push(part),
                _ => {}
            }
        }
        return plain;
    }
    path.to_path_buf()
}

/// Returns the names that are taken in the folder of the clone-to-be.
pub(super) fn taken_names(store: &dyn Store, vmx: &Path) -> Names {
    let mut names = Names::default();
    for entry in store.list(folder_of(vmx)).unwrap_or_default() {
        names.take(&entry.name.to_string_lossy());
    }
    names
}

/// Whether it is time to look for what killed processes left in `dir`: nobody waits for it, and the more
/// there is in a folder the longer it takes.
fn is_to_be_swept(store: &dyn Store, dir: &Path) -> bool {
    let is_long = store.meta(dir).is_ok_and(|meta| meta.len > LONG_LIST);
    !is_long || rand::random_ratio(1, SWEEP)
}

/// Removes what killed processes left unfinished in `dir`. What is left of a promotion says what else is
/// to be removed: the next one reads it.
fn sweep(store: &dyn Store, dir: &Path) {
    let promotion = format!("{PROMOTION}{UNFINISHED}");
    for entry in store.list(dir).unwrap_or_default() {
        let name = entry.name.to_string_lossy();
        let is_unfinished = name.starts_with('.') && name.contains(UNFINISHED);
        if entry.kind != FileKind::Dir || !is_unfinished || name.contains(&promotion) {
            continue;
        }
        let path = dir.join(&entry.name);
        if let Ok(Some(_lock)) = store.try_lock_dir(&path, LockMode::Exclusive) {
            let _ = remove_tree(store, &path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, write_new};

    fn staged(mem: &Mem, vmx: &str) -> (Undo, Stage) {
        let store: Arc<dyn Store> = Arc::new(mem.clone());
        let mut undo = Undo::new(Arc::clone(&store));
        let stage = Stage::prepare(&store, Path::new(vmx), &mut undo).unwrap();
        for name in ["b.vmx", "b.vmdk"] {
            write_new(mem, &stage.dir().join(name), b"x").unwrap();
        }
        (undo, stage)
    }

    fn names(mem: &Mem, dir: &str) -> Vec<String> {
        let entries = mem.list(Path::new(dir)).unwrap();
        entries
            .into_iter()
            .map(|entry| entry.name.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn clone_appears_whole_in_a_new_folder() {
        let mem = Mem::new();
        let (mut undo, stage) = staged(&mem, "/x/y/b.vmx");
        assert!(!mem.exists(Path::new("/x/y")));
        stage.publish(&mut undo).unwrap();
        undo.keep();
        assert_eq!(names(&mem, "/x"), ["y"]);
        assert_eq!(names(&mem, "/x/y"), ["b.vmdk", "b.vmx"]);
    }

    #[test]
    fn clone_joins_what_is_in_its_folder() {
        let mem = Mem::new();
        mem.create_dir(Path::new("/x")).unwrap();
        write_new(&mem, Path::new("/x/notes"), b"mine").unwrap();
        let (mut undo, stage) = staged(&mem, "/x/b.vmx");
        stage.publish(&mut undo).unwrap();
        undo.keep();
        assert_eq!(names(&mem, "/x"), ["b.vmdk", "b.vmx", "notes"]);
    }

    #[test]
    fn nothing_stays_of_a_clone_that_fails() {
        let mem = Mem::new();
        let (undo, stage) = staged(&mem, "/x/y/b.vmx");
        drop(stage);
        drop(undo);
        assert!(names(&mem, "/").is_empty());
    }

    #[test]
    fn leftovers_of_killed_processes_are_removed() {
        let mem = Mem::new();
        mem.create_dir(Path::new("/.old.replix-00")).unwrap();
        write_new(&mem, Path::new("/.old.replix-00/f"), b"x").unwrap();
        mem.create_dir(Path::new("/.web-promotion.replix-00"))
            .unwrap();
        let (undo, stage) = staged(&mem, "/y/b.vmx");
        assert!(!mem.exists(Path::new("/.old.replix-00")));
        assert!(mem.exists(Path::new("/.web-promotion.replix-00")));
        drop((stage, undo));
    }

    #[test]
    fn folders_of_others_are_not_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(crate::store::Local);
        let prepare = &|thread: usize| {
            for number in 0..50 {
                let vmx = folder.path().join(format!("{thread}-{number}/a.vmx"));
                let mut undo = Undo::new(Arc::clone(&store));
                let stage = Stage::prepare(&store, &vmx, &mut undo).unwrap();
                write_new(&*store, &stage.dir().join("a.vmx"), b"x").unwrap();
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || prepare(thread));
            }
        });
        assert_eq!(store.list(folder.path()).unwrap(), []);
    }
}
