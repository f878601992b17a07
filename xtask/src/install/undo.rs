//! Changes to files that are taken back unless all of them succeed.
//!
//! New content is written beside its place under a name of its own and renamed; what it replaces is
//! kept beside it until the end. A killed run leaves such files behind; the next one clears them.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::manifest::is_absence;
use crate::run::{Doing, Result, fail, say};

/// What is to stand at a path.
pub enum Content<'a> {
    /// A file of these bytes and permissions.
    File(&'a [u8], u32),
    /// A symbolic link to this target.
    Link(&'a str),
}

enum Step {
    /// A file or link was made.
    Made(PathBuf),
    /// A folder was made.
    MadeFolder(PathBuf),
    /// What was at the first path is kept at the second.
    Kept(PathBuf, PathBuf),
}

/// The changes made so far; dropping this takes them back, the last one first.
#[derive(Default)]
pub struct Undo(Vec<Step>);

impl Undo {
    /// Makes a folder that everyone may enter.
    pub fn make_folder(&mut self, path: &Path) -> Result {
        fs::create_dir(path).doing(path.display())?;
        self.0.push(Step::MadeFolder(path.to_path_buf()));
        fs::set_permissions(path, Permissions::from_mode(0o755)).doing(path.display())
    }

    /// Writes the content for `path` beside it; [`Undo::replace`] puts it in place.
    pub fn prepare(&mut self, path: &Path, content: &Content) -> Result {
        let new = new_beside(path);
        clear(&new);
        let done = match content {
            Content::File(bytes, mode) => write(&new, bytes, *mode),
            Content::Link(target) => symlink(target, &new),
        };
        self.0.push(Step::Made(new.clone()));
        done.doing(new.display())
    }

    /// Puts what was prepared for `path` in place of the file or link that may be there.
    pub fn replace(&mut self, path: &Path) -> Result {
        match fs::symlink_metadata(path) {
            Ok(facts) if facts.is_dir() => return fail(format!("{} is a folder", path.display())),
            Ok(_) => {
                let kept = self.keep(path);
                // A second name where the file system has such: the path is never without a file.
                fs::hard_link(path, &kept)
                    .or_else(|_| fs::rename(path, &kept))
                    .doing(path.display())?;
            }
            Err(_) => self.0.push(Step::Made(path.to_path_buf())),
        }
        fs::rename(new_beside(path), path).doing(path.display())
    }

    /// Puts what was prepared for `path` in place of what [`Undo::replace`] put there before.
    pub fn replace_again(&mut self, path: &Path) -> Result {
        fs::rename(new_beside(path), path).doing(path.display())
    }

    /// Removes the file or link at `path`.
    pub fn remove(&mut self, path: &Path) -> Result {
        let kept = self.keep(path);
        fs::rename(path, &kept).doing(path.display())
    }

    fn keep(&mut self, path: &Path) -> PathBuf {
        let kept = old_beside(path);
        clear(&kept);
        self.0.push(Step::Kept(path.to_path_buf(), kept.clone()));
        kept
    }

    /// Leaves the changes as they are; what they replaced goes.
    pub fn finish(mut self) {
        for step in self.0.drain(..) {
            if let Step::Kept(_, kept) = step {
                clear(&kept);
            }
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for step in self.0.drain(..).rev() {
            let undone = match &step {
                Step::Made(path) => ignore_absence(fs::remove_file(path)),
                Step::MadeFolder(path) => fs::remove_dir(path),
                Step::Kept(path, kept) => ignore_absence(fs::rename(kept, path)),
            };
            let (Step::Made(path) | Step::MadeFolder(path) | Step::Kept(path, _)) = &step;
            if let Err(error) = undone {
                say(format_args!("cannot take back {}: {error}", path.display()));
            }
            if let Step::Kept(_, kept) = &step {
                // A rename between two names of one file does nothing.
                clear(kept);
            }
        }
    }
}

/// Removes what a killed run left beside `path`.
pub fn clear_beside(path: &Path) {
    clear(&new_beside(path));
    clear(&old_beside(path));
}

fn clear(path: &Path) {
    if let Err(error) = ignore_absence(fs::remove_file(path)) {
        say(format_args!("cannot remove {}: {error}", path.display()));
    }
}

fn ignore_absence(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| {
        if is_absence(&error) {
            Ok(())
        } else {
            Err(error)
        }
    })
}

fn new_beside(path: &Path) -> PathBuf {
    beside(path, ".replix-new")
}

fn old_beside(path: &Path) -> PathBuf {
    beside(path, ".replix-old")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    path.with_file_name(name)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    // Whatever the user's mask is.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}
