//! The file system of this machine.

use std::any::Any;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, RenameFlags, fallocate, fcntl, renameat2};
use nix::libc;
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{AccessFlags, Whence, eaccess, lseek64};
use reflink_copy::ReflinkBlockBuilder;
use rustix::fs::{Advice, copy_file_range, fadvise};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use super::{Access, Bytes, Entry, FileKind, Held, LockMode, Meta, Span, Store};
use crate::error::{Error, Kind, Result, quoted};

/// Where QEMU's locks begin in a file, and how many bytes they span (util of `file-posix`): byte
/// 100 + n is held by whoever uses permission n. Permission 1 is writing.
const QEMU_WRITE_LOCK: libc::off_t = 101;

/// `RWF_DONTCACHE` of Linux 6.14: write-back begins at once, and the pages are free after it.
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

/// The file systems whose files another machine has, or another process: NFS, SMB (two numbers), Ceph, FUSE.
const REMOTE: [i64; 5] = [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400, 0x6573_5546];

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

#[derive(Debug)]
struct LocalFile {
    file: File,
    path: PathBuf,
    /// [`DONT_CACHE`] was refused.
    caches: AtomicBool,
}

struct LockedDir {
    /// Holds the kernel's lock; it goes with the last descriptor.
    _dir: File,
}

impl Held for LockedDir {}

impl LocalFile {
    fn new(file: File, path: &Path) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            caches: AtomicBool::new(false),
        }
    }

    fn error(&self, doing: &str, source: io::Error) -> Error {
        Error::io(doing, &self.path, source)
    }

    /// Copies within the kernel, or on the machine that has both files.
    fn copy_in_kernel(&self, source: &Self, span: Span) -> Result<bool> {
        let (mut from, mut to) = (span.from, span.to);
        while to < span.to + span.len {
            let left = span.to + span.len - to;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(1 << 26);
            match copy_file_range(
                &source.file,
                Some(&mut from),
                &self.file,
                Some(&mut to),
                most,
            ) {
                // The source became shorter: reading it will tell.
                Ok(0) => return Ok(false),
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) if is_refusal(e) => return Ok(false),
                Err(e) => return Err(self.error("write", e.into())),
            }
        }
        Ok(true)
    }

    fn advise(&self, offset: u64, len: u64, advice: Advice) {
        // Only a hint: what comes of it is the system's business.
        let _ = fadvise(&self.file, offset, NonZeroU64::new(len), advice);
    }

    fn is_remote(&self) -> bool {
        let kind = fstatfs(&self.file).map(|stat| stat.filesystem_type());
        kind.is_ok_and(|kind| REMOTE.iter().any(|id| kind == FsType(*id as _)))
    }
}

/// Tells whether an error says that something cannot be done with these files at all.
fn is_refusal(error: Errno) -> bool {
    [
        Errno::OPNOTSUPP,
        Errno::XDEV,
        Errno::INVAL,
        Errno::NOTTY,
        Errno::NOSYS,
        Errno::PERM,
        Errno::TXTBSY,
    ]
    .contains(&error)
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

    fn stream_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < buf.len() && !self.caches.load(Ordering::Relaxed) {
            let rest = [IoSlice::new(&buf[done..])];
            match pwritev2(&self.file, &rest, offset + done as u64, DONT_CACHE) {
                Ok(n) if n > 0 => done += n,
                Err(Errno::INTR) => {}
                // An older kernel, or a file system that does not know it. A real error comes again.
                _ => self.caches.store(true, Ordering::Relaxed),
            }
        }
        if done < buf.len() {
            self.write_at(&buf[done..], offset + done as u64)?;
            self.begin_sync(offset, buf.len() as u64);
        }
        Ok(())
    }

    fn begin_sync(&self, offset: u64, len: u64) {
        // Linux begins the write-back of pages that it is to forget; until it is done they stay.
        self.advise(offset, len, Advice::DontNeed);
    }

    fn will_read_in_order(&self) {
        self.advise(0, 0, Advice::Sequential);
    }

    fn block_bytes(&self) -> u64 {
        let size = fstatfs(&self.file).map(|stat| stat.block_size() as u64);
        size.ok().filter(|size| *size > 0).unwrap_or(4096)
    }

    fn share_from(&self, source: &dyn Bytes, span: Span) -> Result<bool> {
        let Some(source) = source.as_any().and_then(<dyn Any>::downcast_ref::<Self>) else {
            return Ok(false);
        };
        let Some(len) = NonZeroU64::new(span.len) else {
            return Ok(true);
        };
        let block = ReflinkBlockBuilder::new(&source.file, &self.file, len)
            .from_offset(span.from)
            .to_offset(span.to);
        match block.reflink_block() {
            Ok(()) => Ok(true),
            Err(e) if Errno::from_io_error(&e).is_some_and(is_refusal) => Ok(false),
            Err(e) => Err(self.error("write", e)),
        }
    }

    fn copy_from(&self, source: &dyn Bytes, span: Span) -> Result<bool> {
        let Some(source) = source.as_any().and_then(<dyn Any>::downcast_ref::<Self>) else {
            return Ok(false);
        };
        // Within this machine it saves nothing, and zeros are not found (docs/adr/0017).
        if !self.is_remote() || !source.is_remote() {
            return Ok(false);
        }
        self.copy_in_kernel(source, span)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
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
        let seek = |from: u64, whence| lseek64(&self.file, from as i64, whence);
        let start = match seek(offset, Whence::SeekData) {
            Ok(start) => start as u64,
            Err(nix::Error::ENXIO) => return Ok(None),
            // A file system without the feature: all of it may be data.
            Err(nix::Error::EINVAL | nix::Error::EOPNOTSUPP) => {
                let len = self.len()?;
                return Ok((offset < len).then_some((offset, len)));
            }
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
        Ok(Box::new(LocalFile::new(file, path)))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| Error::io("create", path, e))?;
        Ok(Box::new(LocalFile::new(file, path)))
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

    fn is_inhabited(&self, dir: &Path) -> bool {
        std::fs::read_dir(dir).is_ok_and(|mut entries| matches!(entries.next(), Some(Ok(_))))
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
        std::fs::hard_link(from, to).map_err(|error| match error.raw_os_error() {
            // FAT and its like.
            Some(libc::EPERM) => Error::io("create", to, io::ErrorKind::Unsupported.into()),
            _ => Error::io("create", to, error),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, name: &str) -> LocalFile {
        let mut options = OpenOptions::new();
        let path = dir.join(name);
        let options = options.read(true).write(true).create_new(true);
        LocalFile::new(options.open(&path).unwrap(), &path)
    }

    #[test]
    fn the_kernel_copies_between_any_places() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (file(dir.path(), "a"), file(dir.path(), "b"));
        from.write_at(b"0123456789", 0).unwrap();
        let span = |from, to, len| Span { from, to, len };
        assert!(to.copy_in_kernel(&from, span(3, 5000, 4)).unwrap());
        let mut got = [1; 4];
        to.read_exact_at(&mut got, 5000).unwrap();
        assert_eq!(&got, b"3456");
        // What is not there is left to a reader, who says so.
        assert!(!to.copy_in_kernel(&from, span(8, 0, 4)).unwrap());
        // Neither file is another machine's.
        assert!(!to.copy_from(&from, span(0, 0, 4)).unwrap());
    }

    #[test]
    fn streamed_bytes_are_there_whether_or_not_the_system_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        for caches in [false, true] {
            let file = file(dir.path(), &caches.to_string());
            file.caches.store(caches, Ordering::Relaxed);
            let bytes: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
            file.stream_at(&bytes, 777).unwrap();
            assert_eq!(file.len().unwrap(), 777 + 300_000);
            let mut got = vec![0; bytes.len()];
            file.read_exact_at(&mut got, 777).unwrap();
            assert!(got == bytes);
        }
    }
}
