//! Where bytes live: the only door of the engine to files and folders.
//!
//! Everything above speaks to these two traits, so that a test can put memory, a recording or a
//! failing disk in place of [`Local`]. What stands here knows nothing of formats.

#[cfg(test)]
pub(crate) mod counting;
mod glance;
mod local;
pub mod machine;
mod mem;
mod undo;

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use glance::{Glance, Names};
pub use local::{Local, create_private_dir, let_pass, link_to, remove_folder};
pub use mem::{Mem, Skill};
pub use undo::Undo;

use crate::error::{Error, Kind, Result, quoted};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading only.
    Read,
    /// For reading and writing in place.
    Write,
}

/// How a folder is locked: readers share, a writer is alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Together with other readers.
    Shared,
    /// Alone.
    Exclusive,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A device, pipe, socket or the like: nothing of a VM.
    Other,
}

/// Facts about a file, symbolic links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes.
    pub len: u64,
    /// Bytes that the file occupies on its disk.
    pub allocated_bytes: u64,
    /// When it was last written: microseconds since 1970 UTC.
    pub modified_us: i64,
    /// Changes whenever the file is replaced or written: device, inode, length, time of change.
    pub stamp: [u64; 5],
}

/// An entry of a folder, symbolic links not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name without the folder.
    pub name: std::ffi::OsString,
    /// What it is; a symbolic link is `Other`.
    pub kind: FileKind,
}

/// A stretch of one file that is to become a stretch of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte in the source.
    pub from: u64,
    /// First byte in the destination.
    pub to: u64,
    /// Number of bytes, not 0.
    pub len: u64,
}

/// An open file. Positions are bytes from its start.
pub trait Bytes: Send + Sync {
    /// Returns the length.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> Result<u64>;

    /// Reads into `buf` from `offset` and returns how many bytes there were: less only at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes all of `buf` at `offset`, growing the file where needed.
    ///
    /// # Errors
    /// What the system says; `NoSpace` with part of `buf` written.
    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()>;

    /// Writes as [`Bytes::write_at`] does, where nobody reads it soon: the system begins at once to
    /// bring it to the disk, and keeps no copy in memory, where it can.
    ///
    /// # Errors
    /// As [`Bytes::write_at`].
    fn stream_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.write_at(buf, offset)
    }

    /// Has the system begin to bring to the disk what was written there, so that a later
    /// [`Bytes::sync`] waits for less of it.
    fn begin_sync(&self, _offset: u64, _len: u64) {}

    /// Says that much of the file will be read, from its beginning to its end: the system fetches more at
    /// once then.
    fn will_read_in_order(&self) {}

    /// Returns in what units the file's file system gives out its space, in bytes.
    fn block_bytes(&self) -> u64 {
        4096
    }

    /// Lets a stretch of this file be the same blocks as one of `source`: nothing is moved, and who
    /// writes to either later does not change the other. All of the span lies inside the source and is
    /// whole blocks.
    ///
    /// Returns `false`, with nothing done, where these two files cannot share blocks.
    ///
    /// # Errors
    /// What the system says, as `NoSpace`.
    fn share_from(&self, _source: &dyn Bytes, _span: Span) -> Result<bool> {
        Ok(false)
    }

    /// Copies a stretch of `source`, which is all there, without its bytes coming through this process,
    /// where that saves anything: where another machine has both files.
    ///
    /// Returns `false`, with nothing done or a part of it, where it does not.
    ///
    /// # Errors
    /// What the system says, as `NoSpace`.
    fn copy_from(&self, _source: &dyn Bytes, _span: Span) -> Result<bool> {
        Ok(false)
    }

    /// Returns the file as its store knows it, by which two of one store find each other.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }

    /// Cuts or grows the file to `len`; new bytes are zeros and take no space.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Grows the file to `len` and takes the space for it now, where the file system can.
    ///
    /// # Errors
    /// What the system says; `NoSpace` with the file as it was or longer.
    fn allocate(&self, len: u64) -> Result<()> {
        self.set_len(len)
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> Result<()>;

    /// Returns the first stretch at or after `offset` that holds data, as `(start, end)`; the rest
    /// before it reads as zeros. `None` when only zeros follow.
    ///
    /// # Errors
    /// What the system says.
    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>>;

    /// Reads exactly `buf.len()` bytes.
    ///
    /// # Errors
    /// `DiskInvalid` where the file ends before.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let got = self.read_at(buf, offset)?;
        if got < buf.len() {
            let end = offset.saturating_add(got as u64);
            let text =
                format!("the file ends at byte {end}, in the middle of what should be there");
            return Err(Error::new(Kind::DiskInvalid, text));
        }
        Ok(())
    }

    /// Tells whether the file is empty.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A lock that lasts as long as this value, and no longer than the process.
pub trait Held: Send + Sync {}

/// Files and folders by path.
pub trait Store: Send + Sync + fmt::Debug {
    /// Opens the regular file at `path`.
    ///
    /// # Errors
    /// `FileNotFound`; `Denied`, also for what is no regular file.
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn Bytes>>;

    /// Creates the file at `path`, for reading and writing.
    ///
    /// # Errors
    /// `FileExists` where anything stands there already.
    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>>;

    /// Returns facts about what stands at `path`.
    ///
    /// # Errors
    /// `FileNotFound`.
    fn meta(&self, path: &Path) -> Result<Meta>;

    /// Returns the entries of a folder, in order of their names.
    ///
    /// # Errors
    /// `FileNotFound` also where `dir` is no folder.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>>;

    /// Returns the name in a folder that is `name` in whatever case. Several that differ only by case are none:
    /// nobody could say which is meant.
    fn alike(&self, dir: &Path, name: &str) -> Option<OsString> {
        let wanted = name.to_lowercase();
        let names = self.list(dir).ok()?.into_iter().map(|entry| entry.name);
        let mut alike = names.filter(|own| own.to_string_lossy().to_lowercase() == wanted);
        let first = alike.next();
        first.filter(|_| alike.next().is_none())
    }

    /// Returns the names in a folder, for those who look for many in whatever case.
    ///
    /// # Errors
    /// As [`Store::list`].
    fn names(&self, dir: &Path) -> Result<Arc<Names>> {
        Ok(Arc::new(Names::of(self.list(dir)?)))
    }

    /// Tells whether there is anything in a folder.
    fn is_inhabited(&self, dir: &Path) -> bool {
        self.list(dir).is_ok_and(|entries| !entries.is_empty())
    }

    /// Creates a folder whose parent exists.
    ///
    /// # Errors
    /// `FileExists`.
    fn create_dir(&self, dir: &Path) -> Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `FileNotFound`.
    fn remove_file(&self, path: &Path) -> Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// `Io` where it is not empty.
    fn remove_dir(&self, dir: &Path) -> Result<()>;

    /// Gives `from` the name `to`, replacing a file there.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives `from` the name `to` where nothing stands there yet.
    ///
    /// # Errors
    /// `FileExists`.
    fn rename_new(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives the file `from` the second name `to`, where nothing stands there yet.
    ///
    /// # Errors
    /// `FileExists`; what the system says, where its files have one name only.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> Result<()>;

    /// Gives `to` the owner and the permissions of `from`, as far as the system lets us.
    fn copy_ownership(&self, from: &Path, to: &Path);

    /// Returns the absolute path without symbolic links and dots.
    ///
    /// # Errors
    /// `FileNotFound`.
    fn canonical(&self, path: &Path) -> Result<PathBuf>;

    /// Returns the bytes that may still be written to the file system of `dir`.
    ///
    /// # Errors
    /// What the system says.
    fn free_bytes(&self, dir: &Path) -> Result<u64>;

    /// Locks a folder, without waiting; `None` where somebody else holds it.
    ///
    /// The kernel drops the lock when the process ends, however it ends.
    ///
    /// # Errors
    /// What the system says.
    fn try_lock_dir(&self, dir: &Path, mode: LockMode) -> Result<Option<Box<dyn Held>>>;

    /// Returns the process that holds a lock of [`Store::try_lock_dir`] on `dir`, where known.
    fn lock_owner(&self, dir: &Path) -> Option<u32>;

    /// Tells whether some process has the disk file at `path` open for writing as QEMU does.
    ///
    /// # Errors
    /// What the system says.
    fn is_written(&self, path: &Path) -> Result<bool>;

    /// Tells whether this user may write to the file, or make names in the folder, at `path`.
    fn is_writable(&self, path: &Path) -> bool;

    /// Tells whether anything stands at `path`.
    fn exists(&self, path: &Path) -> bool {
        self.meta(path).is_ok()
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// `BadConfig` where the file is larger: no such file of a VM is.
pub fn read_small(store: &dyn Store, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = store.open(path, Access::Read)?;
    let len = file.len()?;
    if len > limit {
        let text = format!(
            "{} has {len} bytes, more than the {limit} allowed",
            quoted(path)
        );
        return Err(Error::new(Kind::BadConfig, text).at(path));
    }
    let mut bytes = vec![0; len as usize];
    let got = file.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    Ok(bytes)
}

/// Creates a file with `bytes` in it, durable; its name is so only after [`Store::sync_dir`].
///
/// # Errors
/// `FileExists`; after any other error no file is left.
pub fn write_new(store: &dyn Store, path: &Path, bytes: &[u8]) -> Result<()> {
    create_with(store, path, |file| {
        file.write_at(bytes, 0).and_then(|()| file.sync())
    })
}

/// Removes a file, if it is there.
///
/// # Errors
/// What the system says.
pub fn remove_if_there(store: &dyn Store, path: &Path) -> Result<()> {
    match store.remove_file(path) {
        Err(error) if error.kind() != Kind::FileNotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a file with `bytes` in it, which is not durable yet.
///
/// # Errors
/// As [`write_new`].
pub fn write_unsynced(store: &dyn Store, path: &Path, bytes: &[u8]) -> Result<()> {
    create_with(store, path, |file| file.write_at(bytes, 0))
}

fn create_with(
    store: &dyn Store,
    path: &Path,
    write: impl FnOnce(&dyn Bytes) -> Result<()>,
) -> Result<()> {
    let file = store.create(path)?;
    write(&*file).inspect_err(|_| {
        let _ = store.remove_file(path);
    })
}

/// Replaces the file at `path`, or creates it: after a crash it is wholly old or wholly new.
///
/// # Errors
/// What the system says; the old file is then untouched.
pub fn replace(store: &dyn Store, path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = hidden_sibling(path);
    write_new(store, &temporary, bytes)?;
    if store.exists(path) {
        store.copy_ownership(path, &temporary);
    }
    if let Err(error) = store.rename(&temporary, path) {
        let _ = store.remove_file(&temporary);
        return Err(error);
    }
    store.sync_dir(folder_of(path))
}

/// Creates a folder and those above it that are missing; returns the ones made, outermost first.
///
/// # Errors
/// What the system says; `FileExists` where a file is in the way.
pub fn create_dirs(store: &dyn Store, dir: &Path) -> Result<Vec<PathBuf>> {
    let missing: Vec<&Path> = dir
        .ancestors()
        .take_while(|dir| !dir.as_os_str().is_empty() && !store.exists(dir))
        .collect();
    let mut made = Vec::new();
    for dir in missing.into_iter().rev() {
        match store.create_dir(dir) {
            Ok(()) => made.push(dir.to_path_buf()),
            Err(error) if error.kind() == Kind::FileExists => {}
            Err(error) => {
                for dir in made.iter().rev() {
                    let _ = store.remove_dir(dir);
                }
                return Err(error);
            }
        }
    }
    Ok(made)
}

/// Removes a folder with all that is in it; symbolic links are removed, never followed.
///
/// # Errors
/// The first one met; what could be removed is.
pub fn remove_tree(store: &dyn Store, dir: &Path) -> Result<()> {
    let mut first_error = Ok(());
    for entry in store.list(dir)? {
        let path = dir.join(&entry.name);
        let removed = match entry.kind {
            FileKind::Dir => remove_tree(store, &path),
            _ => store.remove_file(&path),
        };
        first_error = first_error.and(removed);
    }
    first_error.and(store.remove_dir(dir))
}

/// Returns the regular files in `folder` whose names end so, whatever the case.
pub fn files_with_ending(
    store: &dyn Store,
    folder: &Path,
    ending: &str,
) -> impl Iterator<Item = PathBuf> {
    let entries = store.list(folder).unwrap_or_default().into_iter();
    let fits = move |name: &Path| {
        name.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case(ending))
    };
    entries
        .filter(move |entry| entry.kind == FileKind::File && fits(Path::new(&entry.name)))
        .map(|entry| folder.join(entry.name))
}

/// Returns the folder that holds `path`.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Returns a short name for a path: FNV-1a of it, as 16 digits.
pub fn short_name(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What marks the names of our unfinished files and folders; `hidden_sibling` makes them.
pub const UNFINISHED: &str = ".replix-";

/// Returns a new hidden name beside `path`, for something that becomes `path` when it is whole.
pub fn hidden_sibling(path: &Path) -> PathBuf {
    let unique: u64 = rand::random();
    folder_of(path).join(format!("{}{unique:016x}", hidden_prefix(path)))
}

/// Tells whether a folder holds anything that [`hidden_sibling`] named.
pub fn has_unfinished(store: &dyn Store, dir: &Path) -> bool {
    let entries = store.list(dir).unwrap_or_default();
    let mut names = entries.iter().map(|entry| entry.name.to_string_lossy());
    names.any(|name| name.starts_with('.') && name.contains(UNFINISHED))
}

/// Returns what [`hidden_sibling`] named for `path` and is there. A link is none of ours, whatever it is
/// called: it may lead to what is somebody's.
pub fn hidden_siblings(store: &dyn Store, path: &Path) -> Vec<PathBuf> {
    let (dir, prefix) = (folder_of(path), hidden_prefix(path));
    let entries = store.list(dir).unwrap_or_default().into_iter();
    entries
        .filter(|entry| entry.kind != FileKind::Other)
        .filter(|entry| entry.name.to_string_lossy().starts_with(&prefix))
        .map(|entry| dir.join(entry.name))
        .collect()
}

fn hidden_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let short: String = name.chars().take(60).collect();
    format!(".{short}{UNFINISHED}")
}
