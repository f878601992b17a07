//! Changes that are taken back unless they are kept: how an operation leaves nothing half-made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Store, folder_of, read_small, remove_tree, replace};
use crate::error::Result;

/// The files that an operation may replace are texts; none is larger.
const TEXT_LIMIT: u64 = 16 << 20;

/// A list of changes, taken back in reverse order when it is dropped before [`Undo::keep`].
pub struct Undo {
    store: Arc<dyn Store>,
    steps: Vec<Step>,
}

enum Step {
    File(PathBuf),
    Dir(PathBuf),
    Tree(PathBuf),
    Text { path: PathBuf, old: Option<Vec<u8>> },
}

impl Undo {
    /// Returns an empty list.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            steps: Vec::new(),
        }
    }

    /// Notes that the file at `path` was made, or is about to be.
    pub fn made_file(&mut self, path: &Path) {
        self.steps.push(Step::File(path.to_path_buf()));
    }

    /// Notes that the folder at `path` was made; it is removed if it is empty by then.
    pub fn made_dir(&mut self, path: &Path) {
        self.steps.push(Step::Dir(path.to_path_buf()));
    }

    /// Notes that the folder at `path` and all in it are ours.
    pub fn made_tree(&mut self, path: &Path) {
        self.steps.push(Step::Tree(path.to_path_buf()));
    }

    /// Replaces the small file at `path` durably, remembering what was there.
    ///
    /// # Errors
    /// Those of reading and replacing; the old file then stands.
    pub fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let old = match self.store.exists(path) {
            true => Some(read_small(&*self.store, path, TEXT_LIMIT)?),
            false => None,
        };
        self.steps.push(Step::Text {
            path: path.to_path_buf(),
            old,
        });
        replace(&*self.store, path, bytes)
    }

    /// Keeps all changes.
    pub fn keep(mut self) {
        self.steps.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for step in self.steps.drain(..).rev() {
            // Each step is tried whatever became of the others: the first error, which is on its
            // way to the caller, is the one that matters.
            let _ = match step {
                Step::File(path) => self.store.remove_file(&path),
                Step::Dir(path) => self.store.remove_dir(&path),
                Step::Tree(path) => remove_tree(&*self.store, &path),
                Step::Text {
                    path,
                    old: Some(old),
                } => replace(&*self.store, &path, &old),
                Step::Text { path, old: None } => self
                    .store
                    .remove_file(&path)
                    .and_then(|()| self.store.sync_dir(folder_of(&path))),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, write_new};

    #[test]
    fn dropped_changes_are_taken_back() {
        let mem = Mem::new();
        write_new(&mem, Path::new("/a"), b"old").unwrap();
        let mut undo = Undo::new(Arc::new(mem.clone()));
        undo.replace(Path::new("/a"), b"new").unwrap();
        undo.replace(Path::new("/b"), b"new").unwrap();
        mem.create_dir(Path::new("/d")).unwrap();
        undo.made_dir(Path::new("/d"));
        undo.made_file(Path::new("/d/f"));
        write_new(&mem, Path::new("/d/f"), b"x").unwrap();
        drop(undo);
        assert_eq!(read_small(&mem, Path::new("/a"), 9).unwrap(), b"old");
        assert_eq!(mem.list(Path::new("/")).unwrap().len(), 1);
    }

    #[test]
    fn kept_changes_stay() {
        let mem = Mem::new();
        let mut undo = Undo::new(Arc::new(mem.clone()));
        undo.replace(Path::new("/a"), b"new").unwrap();
        undo.keep();
        assert_eq!(read_small(&mem, Path::new("/a"), 9).unwrap(), b"new");
    }
}
