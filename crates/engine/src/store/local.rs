//! The file system of this machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, RenameFlags, fallocate, fcntl, renameat2};
use nix::libc;
use nix::unistd::{AccessFlags, Whence, eaccess, lseek64};

use super::{Access, Bytes, Entry, FileKind, Held, LockMode, Meta, Store};
use crate::error::{Error, Kind, Result, quoted};

/// Where QEMU's locks begin in a file, and how many bytes they span (util of `file-posix`): byte
/// 100 + n is held by whoever uses permission n. Permission 1 is writing.
const QEMU_WRITE_LOCK: libc::off_t = 101;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

#[derive(Debug)]
struct LocalFile {
    file: File,
    path: PathBuf,
}

struct LockedDir {
    /// Holds the kernel's lock; it goes with the last descriptor.
    _dir: File,
}

impl Held for LockedDir {}

impl LocalFile {
    fn error(&self, doing: &str, source: io::Error) -> Error {
        Error::io(doing, &self.path, source)
    }
}

impl Bytes for LocalFile {
    fn len(&self) -> Result<u64> {
        Ok(self
            .file
            .metadata()
            .map_err(|e| self.error("read", e))?
            .len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.error("read", e)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(buf, offset)
            .map_err(|e| self.error("write", e))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|e| self.error("resize", e))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let have = self.len()?;
        if len <= have {
            return Ok(());
        }
        let (from, more) = (have as i64, (len - have) as i64);
        match fallocate(&self.file, FallocateFlags::empty(), from, more) {
            Ok(()) => Ok(()),
            Err(nix::Error::EOPNOTSUPP) => self.set_len(len),
            Err(e) => Err(self.error("resize", e.into())),
        }
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|e| self.error("sync", e))
    }

    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        let len = self.len()?;
        if offset >= len {
            return Ok(None);
        }
        let seek = |from: u64, whence| lseek64(&self.file, from as i64, whence);
        let start = match seek(offset, Whence::SeekData) {
            Ok(start) => start as u64,
            Err(nix::Error::ENXIO) => return Ok(None),
            // A file system without the feature: all of it may be data.
            Err(nix::Error::EINVAL | nix::Error::EOPNOTSUPP) => return Ok(Some((offset, len))),
            Err(e) => return Err(self.error("read", e.into())),
        };
        let end = seek(start, Whence::SeekHole).map_err(|e| self.error("read", e.into()))?;
        Ok(Some((start, end as u64)))
    }
}

impl Local {
    fn open_regular(path: &Path, options: &OpenOptions) -> Result<File> {
        let mut options = options.clone();
        // A pipe or a device must not hold us up before we see what it is.
        options.custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
        let before = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
        if before.is_dir() || !before.is_file() {
            return Err(
                Error::new(Kind::Denied, format!("{} is no regular file", quoted(path))).at(path),
            );
        }
        let file = options.open(path).map_err(|e| Error::io("open", path, e))?;
        let meta = file.metadata().map_err(|e| Error::io("open", path, e))?;
        if !meta.is_file() {
            return Err(
                Error::new(Kind::Denied, format!("{} is no regular file", quoted(path))).at(path),
            );
        }
        Ok(file)
    }
}

impl Store for Local {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn Bytes>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        let file = Self::open_regular(path, &options)?;
        Ok(Box::new(LocalFile {
            file,
            path: path.to_path_buf(),
        }))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| Error::io("create", path, e))?;
        Ok(Box::new(LocalFile {
            file,
            path: path.to_path_buf(),
        }))
    }

    fn meta(&self, path: &Path) -> Result<Meta> {
        let meta = std::fs::metadata(path).map_err(|e| Error::io("find", path, e))?;
        Ok(Meta {
            kind: kind_of(meta.file_type()),
            len: meta.len(),
            allocated_bytes: meta.blocks() * 512,
            modified_us: meta.mtime() * 1_000_000 + meta.mtime_nsec() / 1000,
            stamp: [
                meta.dev(),
                meta.ino(),
                meta.len(),
                meta.mtime() as u64,
                meta.mtime_nsec() as u64,
            ],
        })
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let failed = |e| Error::io("list", dir, e);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = kind_of(entry.file_type().map_err(failed)?);
            entries.push(Entry {
                name: entry.file_name(),
                kind,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir(dir).map_err(|e| Error::io("create folder", dir, e))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path).map_err(|e| Error::io("remove", path, e))
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        std::fs::remove_dir(dir).map_err(|e| Error::io("remove folder", dir, e))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(from, to).map_err(|e| Error::io("rename to", to, e))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        let cwd = nix::fcntl::AT_FDCWD;
        match renameat2(cwd, from, cwd, to, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) => Ok(()),
            // A file system without the flag: the window between look and rename is ours to accept.
            Err(nix::Error::EINVAL | nix::Error::ENOSYS)
                if std::fs::symlink_metadata(to).is_err() =>
            {
                self.rename(from, to)
            }
            Err(nix::Error::EINVAL | nix::Error::ENOSYS) => {
                Err(Error::io("create", to, io::ErrorKind::AlreadyExists.into()))
            }
            Err(e) => Err(Error::io("create", to, e.into())),
        }
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::hard_link(from, to).map_err(|error| Error::io("create", to, error))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let failed = |e| Error::io("sync folder", dir, e);
        File::open(dir).map_err(failed)?.sync_all().map_err(failed)
    }

    fn copy_ownership(&self, from: &Path, to: &Path) {
        if let Ok(meta) = std::fs::metadata(from) {
            // Only root may give files away; for everybody else the new file is theirs anyway.
            let _ = std::os::unix::fs::chown(to, Some(meta.uid()), Some(meta.gid()));
            let _ = std::fs::set_permissions(to, meta.permissions());
        }
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        std::fs::canonicalize(path).map_err(|e| Error::io("find", path, e))
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        let stat =
            nix::sys::statvfs::statvfs(dir).map_err(|e| Error::io("measure", dir, e.into()))?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    fn try_lock_dir(&self, dir: &Path, mode: LockMode) -> Result<Option<Box<dyn Held>>> {
        let failed = |e| Error::io("lock", dir, e);
        let file = File::open(dir).map_err(failed)?;
        let locked = match mode {
            LockMode::Shared => file.try_lock_shared(),
            LockMode::Exclusive => file.try_lock(),
        };
        match locked {
            Ok(()) => Ok(Some(Box::new(LockedDir { _dir: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    fn lock_owner(&self, dir: &Path) -> Option<u32> {
        let inode = std::fs::metadata(dir).ok()?.ino().to_string();
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        // "1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF"
        locks
            .lines()
            .filter(|line| !line.contains("->"))
            .find_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let of_dir = words.get(1) == Some(&"FLOCK")
                    && words.get(5).and_then(|id| id.rsplit(':').next()) == Some(inode.as_str());
                of_dir.then(|| words.get(4)?.parse().ok()).flatten()
            })
    }

    fn is_written(&self, path: &Path) -> Result<bool> {
        let file = Self::open_regular(path, OpenOptions::new().read(true))?;
        let mut probe = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: QEMU_WRITE_LOCK,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut probe))
            .map_err(|e| Error::io("lock", path, e.into()))?;
        Ok(probe.l_type != libc::F_UNLCK as libc::c_short)
    }

    fn is_writable(&self, path: &Path) -> bool {
        eaccess(path, AccessFlags::W_OK).is_ok()
    }
}

/// Makes a symbolic link at `path` to `target`.
///
/// # Errors
/// `FileExists`; what the system says.
pub fn link_to(target: &Path, path: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, path).map_err(|e| Error::io("create", path, e))
}

/// Makes the folder `dir` for this user alone, if it is not there yet. Others may at most pass through
/// it, to what they know the name of.
///
/// # Errors
/// `Denied` where something of somebody else's, or open to others, stands there.
pub fn create_private_dir(dir: &Path) -> Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(Error::io("create folder", dir, e)),
    }
    let meta = std::fs::symlink_metadata(dir).map_err(|e| Error::io("find", dir, e))?;
    let is_ours = meta.uid() == nix::unistd::geteuid().as_raw();
    if meta.is_dir() && is_ours && meta.mode() & 0o066 == 0 {
        return Ok(());
    }
    let text = format!("{} is not a folder of this user alone", quoted(dir));
    Err(Error::new(Kind::Denied, text).at(dir))
}

/// Lets everybody pass through the folder `dir`, to what they know the name of.
///
/// # Errors
/// What the system says.
pub fn let_pass(dir: &Path) -> Result<()> {
    let permissions = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(dir, permissions).map_err(|e| Error::io("open to others", dir, e))
}

/// Removes a folder of this machine with all that is in it, also while somebody else changes what is in
/// it: no link is followed, however late it comes.
///
/// # Errors
/// What the system says.
pub fn remove_folder(dir: &Path) -> Result<()> {
    std::fs::remove_dir_all(dir).map_err(|e| Error::io("remove folder", dir, e))
}

fn kind_of(file_type: std::fs::FileType) -> FileKind {
    if file_type.is_file() {
        FileKind::File
    } else if file_type.is_dir() {
        FileKind::Dir
    } else {
        FileKind::Other
    }
}
