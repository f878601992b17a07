//! Changes that are taken back unless they are kept: how an operation leaves nothing half-made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Store, folder_of, hidden_sibling, read_small, remove_tree, replace};
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
    Text { path: PathBuf, old: Old },
}

/// What stood where a text was replaced.
enum Old {
    Nothing,
    /// The file itself, under a second name: on a full disk nothing else can be put back.
    Kept(PathBuf),
    /// A copy, where files have one name only.
    Copied(Vec<u8>),
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
        let old = self.old(path)?;
        self.steps.push(Step::Text {
            path: path.to_path_buf(),
            old,
        });
        replace(&*self.store, path, bytes)
    }

    fn old(&self, path: &Path) -> Result<Old> {
        if !self.store.exists(path) {
            return Ok(Old::Nothing);
        }
        let kept = hidden_sibling(path);
        match self.store.link(path, &kept) {
            Ok(()) => Ok(Old::Kept(kept)),
            Err(_) => read_small(&*self.store, path, TEXT_LIMIT).map(Old::Copied),
        }
    }

    /// Keeps all changes.
    pub fn keep(mut self) {
        for step in self.steps.drain(..) {
            if let Step::Text {
                old: Old::Kept(kept),
                ..
            } = step
            {
                // Whoever works here next takes it away.
                let _ = self.store.remove_file(&kept);
            }
        }
    }

    fn put_back(&self, path: &Path, old: Old) -> Result<()> {
        match old {
            Old::Nothing if self.store.exists(path) => self.store.remove_file(path)?,
            Old::Nothing => {}
            Old::Kept(kept) => {
                self.store.rename(&kept, path)?;
                // Two names of one file, where nothing was replaced yet, both stay.
                let _ = self.store.remove_file(&kept);
            }
            Old::Copied(old) if read_small(&*self.store, path, TEXT_LIMIT)? == old => {}
            Old::Copied(old) => return replace(&*self.store, path, &old),
        }
        self.store.sync_dir(folder_of(path))
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        while let Some(step) = self.steps.pop() {
            // A file that cannot be removed is in nobody's way: the first error, which is on its way to
            // the caller, is the one that matters.
            let _ = match step {
                Step::File(path) => self.store.remove_file(&path),
                Step::Dir(path) => self.store.remove_dir(&path),
                Step::Tree(path) => remove_tree(&*self.store, &path),
                Step::Text { path, old } => match self.put_back(&path, old) {
                    Ok(()) => Ok(()),
                    // The text that stays may name what was made before it.
                    Err(_) => return,
                },
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
