//! Folders that are costly to make, kept in the target folder until their recipe changes.
//!
//! Each is named after a hash of its recipe and appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use crate::run::{Doing, Result, stage};
use crate::scratch::Scratch;

/// What the name of the folder starts with that a process builds in; its id follows.
const BUILDING: &str = "building-";

/// A folder by its recipe.
pub struct Cached {
    cache: PathBuf,
    folder: PathBuf,
}

impl Cached {
    /// Names the folder in `cache` that `recipe` makes: all that decides what is in it.
    pub fn new(cache: PathBuf, recipe: &[&[u8]]) -> Self {
        let folder = cache.join(format!("{:016x}", hash(recipe)));
        Self { cache, folder }
    }

    /// Returns the folder where it is there already.
    pub fn found(&self) -> Option<PathBuf> {
        self.folder.is_dir().then(|| self.folder.clone())
    }

    /// Makes the folder in a stage called `name` and returns it; those of older recipes go.
    ///
    /// `make` gets a folder to work in and the one to fill, which is below it and empty.
    ///
    /// # Errors
    /// Those of `make`; nothing is left of the attempt then.
    pub fn make(self, name: &str, make: impl FnOnce(&Path, &Path) -> Result) -> Result<PathBuf> {
        stage(name, || {
            let work = self.cache.join(format!("{BUILDING}{}", process::id()));
            let work = Scratch::create(work)?;
            let made = work.0.join("made");
            fs::create_dir(&made).doing(made.display())?;
            make(&work.0, &made)?;
            // Another process may have been quicker: its folder is as good.
            match fs::rename(&made, &self.folder) {
                Err(error) if !self.folder.is_dir() => Err(error).doing(self.folder.display()),
                _ => Ok(()),
            }
        })?;
        remove_stale(&self.cache, &self.folder);
        Ok(self.folder)
    }
}

/// Removes the folders of older recipes and what killed builds left.
fn remove_stale(cache: &Path, current: &Path) {
    let is_stale = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let builder = name
            .strip_prefix(BUILDING)
            .map(|pid| Path::new("/proc").join(pid));
        path != current && !builder.is_some_and(|process| process.exists())
    };
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(is_stale) {
        // Two processes may clean up at once; what one of them leaves goes next time.
        let _ = fs::remove_dir_all(path);
    }
}

/// Returns the FNV-1a hash of the parts and their lengths.
fn hash(parts: &[&[u8]]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        let length = (part.len() as u64).to_le_bytes();
        length.iter().chain(*part).fold(hash, step)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_tells_parts_apart() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"a"]), hash(&[b"b"]));
    }
}
