//! Folders to work in, gone afterwards.

use std::fs;
use std::path::PathBuf;

use crate::run::{Doing, Result, say};

/// A folder that goes when this value does.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Creates an empty folder; what a killed run left there is removed.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn create(path: PathBuf) -> Result<Self> {
        if path.exists() {
            fs::remove_dir_all(&path).doing(path.display())?;
        }
        fs::create_dir_all(&path).doing(path.display())?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            say(format_args!("cannot remove {}: {error}", self.0.display()));
        }
    }
}
