//! The files of a link: which they are, whether somebody writes to them, removing them.

use std::path::PathBuf;

use super::link::Link;
use crate::error::{Error, Kind, Result, quoted};
use crate::store::{Store, hidden_siblings, remove_if_there};

impl Link {
    /// Returns the link's files: the one with the descriptor first, then the other extents.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.path().to_path_buf()];
        let extents = self.extents().iter().map(|extent| self.extent_path(extent));
        files.extend(
            extents
                .filter(|path| **path != *self.path())
                .map(|path| path.to_path_buf()),
        );
        files
    }

    /// Returns the space that the link's files take on the host.
    ///
    /// # Errors
    /// What the system says.
    pub fn allocated_bytes(&self, store: &dyn Store) -> Result<u64> {
        let mut sum = 0;
        for file in self.files() {
            sum += store.meta(&file)?.allocated_bytes;
        }
        Ok(sum)
    }

    /// Refuses a link of which a file was written or replaced since it was opened.
    ///
    /// # Errors
    /// `Busy` names the file.
    pub fn require_unchanged(&self) -> Result<()> {
        self.pool().require_unchanged(self.file())?;
        self.extents()
            .iter()
            .try_for_each(|extent| self.pool().require_unchanged(extent.file))
    }

    /// Refuses a link that some process has open for writing, as QEMU does.
    ///
    /// # Errors
    /// `FileLocked` names the file.
    pub fn require_unused(&self, store: &dyn Store) -> Result<()> {
        for file in self.files() {
            if store.is_written(&file)? {
                let text = format!("{} is in use by a running program", quoted(&file));
                return Err(Error::new(Kind::FileLocked, text).at(&file));
            }
        }
        Ok(())
    }

    /// Refuses a link with a part that is not to be written, or whose changes another file keeps count
    /// of.
    ///
    /// # Errors
    /// `DiskUnsupported`.
    pub(super) fn require_writable(&self) -> Result<()> {
        let refuse = |what: &str| {
            let text = format!("{} {what}", quoted(self.path()));
            Err(Error::new(Kind::DiskUnsupported, text).at(self.path()))
        };
        if self.extents().iter().any(|extent| !extent.is_writable) {
            return refuse("has a part that cannot be written to");
        }
        if self.descriptor().get("changeTrackPath").is_some() {
            return refuse("has its changes tracked, which is not kept up yet");
        }
        Ok(())
    }

    /// Removes the link's files, the descriptor last: after a crash the rest can still be named. What a killed
    /// process meant to put in the descriptor's place goes before, since nobody would look for it then.
    ///
    /// # Errors
    /// What the system says; files that are gone already are no error.
    pub fn remove(&self, store: &dyn Store) -> Result<()> {
        for left in hidden_siblings(store, self.path()) {
            remove_if_there(store, &left)?;
        }
        for file in self.files().iter().rev() {
            remove_if_there(store, file)?;
        }
        Ok(())
    }
}

/// Files being made: removed again unless they are kept.
pub(super) struct Made<'a> {
    store: &'a dyn Store,
    files: Vec<PathBuf>,
}

impl<'a> Made<'a> {
    /// Returns an empty list.
    pub fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            files: Vec::new(),
        }
    }

    /// Takes in a file that was just created.
    pub fn add(&mut self, file: PathBuf) {
        self.files.push(file);
    }

    /// Makes the files' content durable, in the order in which they were made.
    ///
    /// They are opened again one by one: a disk may have more files than a process may open.
    pub fn sync(&self) -> Result<()> {
        for file in &self.files {
            self.store.open(file, crate::store::Access::Write)?.sync()?;
        }
        Ok(())
    }

    /// Keeps the files and returns them.
    pub fn keep(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.files)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for file in self.files.iter().rev() {
            // The error that brought us here matters more than this one.
            let _ = self.store.remove_file(file);
        }
    }
}
