//! A store that records what becomes durable when, and that can fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{Error, Result};
use crate::store::{Access, Bytes, Entry, Held, LockMode, Mem, Meta, Store};

/// Which file, whatever its name is by then.
pub type FileId = u64;

/// A change of the disk, or a promise that changes are there for good.
#[derive(Clone, Debug)]
pub enum Step {
    /// The name `path` stands for a file now: a new one, or one more name of it.
    Name { path: PathBuf, file: FileId },
    /// There is a folder.
    Dir(PathBuf),
    /// What stood at `from`, with all below it, stands at `to`.
    Rename { from: PathBuf, to: PathBuf },
    /// A file or a folder is gone.
    Remove(PathBuf),
    /// Bytes of a file.
    Write {
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// Length of a file.
    Length { file: FileId, len: u64 },
    /// What was written to the file so far is durable.
    Sync(FileId),
    /// The names in the folder are durable.
    SyncDir(PathBuf),
}

/// How a step fails.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What the system says.
    pub errno: i32,
    /// Whether all steps that take space fail from then on, not this one alone.
    pub stays: bool,
    /// Whether a write leaves half of its bytes.
    pub short: bool,
}

/// A disk in memory whose changes are recorded.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// Where all is done.
    pub mem: Mem,
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    steps: Vec<Step>,
    fault: Option<(usize, Fault)>,
    /// Whether a step failed.
    has_failed: bool,
}

struct RecordedFile {
    file: Box<dyn Bytes>,
    id: FileId,
    path: PathBuf,
    log: Arc<Mutex<Log>>,
}

fn locked(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap()
}

impl Log {
    /// Notes `step` unless it is to fail.
    fn note(&mut self, step: Step, path: &Path, takes_space: bool) -> Result<()> {
        if let Some((at, fault)) = self.fault {
            let is_due = self.steps.len() == at && !self.has_failed;
            if is_due || (self.has_failed && fault.stays && takes_space) {
                self.has_failed = true;
                let cause = io::Error::from_raw_os_error(fault.errno);
                return Err(Error::io("change", path, cause));
            }
        }
        self.steps.push(step);
        Ok(())
    }
}

impl Recorder {
    /// Returns one whose disk is `mem`, with a step that will fail: that of this number.
    pub fn failing(mem: Mem, at: usize, fault: Fault) -> Self {
        let log = Log {
            fault: Some((at, fault)),
            ..Log::default()
        };
        Self {
            mem,
            log: Arc::new(Mutex::new(log)),
        }
    }

    /// Returns one whose disk is `mem`.
    pub fn of(mem: Mem) -> Self {
        Self {
            mem,
            log: Arc::default(),
        }
    }

    /// Returns the steps since the beginning.
    pub fn steps(&self) -> Vec<Step> {
        locked(&self.log).steps.clone()
    }

    /// Tells whether the step that was to fail did.
    pub fn has_failed(&self) -> bool {
        locked(&self.log).has_failed
    }

    fn note(&self, step: Step, path: &Path) -> Result<()> {
        let takes_space = matches!(step, Step::Name { .. } | Step::Dir(_));
        locked(&self.log).note(step, path, takes_space)
    }

    fn wrapped(&self, file: Box<dyn Bytes>, path: &Path) -> Result<Box<dyn Bytes>> {
        Ok(Box::new(RecordedFile {
            file,
            id: id_of(&self.mem, path)?,
            path: path.to_path_buf(),
            log: Arc::clone(&self.log),
        }))
    }
}

/// Returns which file stands at `path`.
pub fn id_of(mem: &Mem, path: &Path) -> Result<FileId> {
    Ok(mem.meta(path)?.stamp[1])
}

impl RecordedFile {
    fn note(&self, step: Step, takes_space: bool) -> Result<()> {
        locked(&self.log).note(step, &self.path, takes_space)
    }

    /// Leaves the first half of a write that is about to fail.
    fn shorten(&self, buf: &[u8], offset: u64) -> Result<()> {
        let mut log = locked(&self.log);
        let is_due = match log.fault {
            Some((at, fault)) => fault.short && at == log.steps.len() && !log.has_failed,
            None => false,
        };
        if !is_due {
            return Ok(());
        }
        let half = &buf[..buf.len() / 2];
        log.steps.push(Step::Write {
            file: self.id,
            offset,
            bytes: half.to_vec(),
        });
        if let Some((at, _)) = &mut log.fault {
            *at += 1;
        }
        drop(log);
        self.file.write_at(half, offset)
    }
}

impl Bytes for RecordedFile {
    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.shorten(buf, offset)?;
        let step = Step::Write {
            file: self.id,
            offset,
            bytes: buf.to_vec(),
        };
        self.note(step, true)?;
        self.file.write_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let grows = len > self.file.len()?;
        let step = Step::Length { file: self.id, len };
        self.note(step, grows)?;
        self.file.set_len(len)
    }

    fn sync(&self) -> Result<()> {
        self.note(Step::Sync(self.id), false)?;
        self.file.sync()
    }

    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        self.file.next_data(offset)
    }
}

impl Store for Recorder {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn Bytes>> {
        let file = self.mem.open(path, access)?;
        self.wrapped(file, path)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>> {
        // It has its number only when it is there.
        let file = self.mem.create(path)?;
        let step = Step::Name {
            path: path.to_path_buf(),
            file: id_of(&self.mem, path)?,
        };
        if let Err(error) = self.note(step, path) {
            self.mem.remove_file(path)?;
            return Err(error);
        }
        self.wrapped(file, path)
    }

    fn meta(&self, path: &Path) -> Result<Meta> {
        self.mem.meta(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.mem.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.mem.create_dir(dir)?;
        let noted = self.note(Step::Dir(dir.to_path_buf()), dir);
        if noted.is_err() {
            self.mem.remove_dir(dir)?;
        }
        noted
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.mem.meta(path)?;
        self.note(Step::Remove(path.to_path_buf()), path)?;
        self.mem.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        if !self.mem.list(dir)?.is_empty() {
            // It says why not.
            return self.mem.remove_dir(dir);
        }
        self.note(Step::Remove(dir.to_path_buf()), dir)?;
        self.mem.remove_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.mem.meta(from)?;
        let step = Step::Rename {
            from: from.to_path_buf(),
            to: to.to_path_buf(),
        };
        self.note(step, to)?;
        self.mem.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        if self.mem.exists(to) {
            return self.mem.rename_new(from, to);
        }
        self.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        let file = id_of(&self.mem, from)?;
        if !self.mem.exists(to) {
            let path = to.to_path_buf();
            self.note(Step::Name { path, file }, to)?;
        }
        self.mem.link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.note(Step::SyncDir(dir.to_path_buf()), dir)?;
        self.mem.sync_dir(dir)
    }

    fn copy_ownership(&self, from: &Path, to: &Path) {
        self.mem.copy_ownership(from, to);
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.mem.canonical(path)
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        self.mem.free_bytes(dir)
    }

    fn try_lock_dir(&self, dir: &Path, mode: LockMode) -> Result<Option<Box<dyn Held>>> {
        self.mem.try_lock_dir(dir, mode)
    }

    fn lock_owner(&self, dir: &Path) -> Option<u32> {
        self.mem.lock_owner(dir)
    }

    fn is_written(&self, path: &Path) -> Result<bool> {
        self.mem.is_written(path)
    }

    fn is_writable(&self, path: &Path) -> bool {
        self.mem.is_writable(path)
    }
}
