//! A pool's folder: `pool.json` says what is kept ready, `NAME.json` what becomes of the VM in `NAME`.
//!
//! Files are replaced by rename, and changed only by who holds the kernel's lock on the folder, for
//! moments: nobody waits for a clone or a boot. A VM's place follows from its record's name alone, so
//! no text in a file leads to another VM.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::{Record, Stage};
use super::{Member, PoolSpec, Ready};
use crate::clone::{Base, CloneKind, CloneSpec};
use crate::error::{Error, Kind, Result, quoted};
use crate::host::Provider;
use crate::job::Job;
use crate::snapshot::SnapshotRef;
use crate::store::{
    FileKind, Local, LockMode, Store, UNFINISHED, create_dirs, read_small, replace, write_new,
};
use crate::vm::{PowerState, Settings, VmLock};

/// What is kept ready.
const POOL_FILE: &str = "pool.json";

/// The ending of records.
const ENDING: &str = ".json";

/// No file of a pool is larger.
const LIMIT: u64 = 64 << 10;

/// More are no pool for one machine.
const MOST: u32 = 1000;

/// A pool, opened.
pub struct Pool<'a> {
    pub(super) host: &'a dyn Provider,
    pub(super) settings: &'a Settings,
    pub(super) dir: PathBuf,
    pub(super) spec: PoolSpec,
}

/// The pool's own file.
#[derive(Serialize, Deserialize)]
struct PoolFile {
    /// Of this form; another one is not read.
    version: u32,
    /// The pool is being removed: no VM is made any more.
    closed: bool,
    #[serde(flatten)]
    spec: PoolSpec,
}

impl<'a> Pool<'a> {
    /// Makes a pool in `dir`, which is made too; no VM of it is made yet.
    ///
    /// # Errors
    /// `FileExists` where something is in the folder; `SnapshotNotFound` where none is named and the
    /// VM's present state is none; those that a clone would end with.
    pub fn create(
        host: &'a dyn Provider,
        settings: &'a Settings,
        dir: &Path,
        spec: &PoolSpec,
    ) -> Result<Self> {
        if !(1..=MOST).contains(&spec.size) {
            let text = format!("a pool keeps 1 to {MOST} VMs ready, not {}", spec.size);
            return Err(Error::new(Kind::Argument, text));
        }
        let of = host.open(&spec.of)?;
        let snapshot = match &spec.snapshot {
            None => Some(current(host, &of)?),
            named => named.clone(),
        };
        let spec = PoolSpec {
            of,
            snapshot,
            ..spec.clone()
        };
        let made = create_dirs(&Local, dir)?;
        let created = Self::create_in(host, settings, dir, spec);
        if created.is_err() {
            for dir in made.iter().rev() {
                let _ = Local.remove_dir(dir);
            }
        }
        created
    }

    fn create_in(
        host: &'a dyn Provider,
        settings: &'a Settings,
        dir: &Path,
        spec: PoolSpec,
    ) -> Result<Self> {
        let pool = Self {
            host,
            settings,
            dir: Local.canonical(dir)?,
            spec,
        };
        if !Local.list(&pool.dir)?.is_empty() {
            let text = format!("{} is not empty", quoted(dir));
            let hint = "a pool wants a folder of its own";
            return Err(Error::new(Kind::FileExists, text).at(dir).hint(hint));
        }
        // What a clone would refuse is said now.
        host.plan_clone(&pool.spec.of, &pool.clone_spec(&pool.new_name()))?;
        let text = pool.file_text(false)?;
        write_new(&Local, &pool.dir.join(POOL_FILE), &text)?;
        Local.sync_dir(&pool.dir)?;
        Ok(pool)
    }

    /// Opens the pool in `dir`.
    ///
    /// # Errors
    /// `FileNotFound` where there is none; `BadConfig` where its file makes no sense.
    pub fn open(host: &'a dyn Provider, settings: &'a Settings, dir: &Path) -> Result<Self> {
        let file = read_pool(dir)?;
        Ok(Self {
            host,
            settings,
            dir: Local.canonical(dir)?,
            spec: file.spec,
        })
    }

    /// Returns what the pool keeps ready.
    pub fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    /// Returns the VMs of the pool, oldest first. What cannot be read is in the job's warnings.
    ///
    /// # Errors
    /// What the system says.
    pub fn list(&self, job: &Job) -> Result<Vec<Member>> {
        let records = self.records(job)?;
        let member = |(name, record): (String, Record)| Member {
            vm: self.vmx(&name),
            state: record.state(),
            process: record.process().map(|owner| owner.pid),
            lease_ends_us: match &record.stage {
                Stage::Taken { claim } => claim.ends_us,
                _ => None,
            },
            power: self.host.state(&self.vmx(&name)).ok(),
            name,
        };
        Ok(records.into_iter().map(member).collect())
    }

    /// Holds the pool, for a moment, and makes sure that it is still there.
    pub(super) fn lock(&self, job: &Job) -> Result<VmLock> {
        let patience = self.settings.patience;
        let lock = VmLock::acquire(&Local, &self.dir, LockMode::Exclusive, job, patience)?;
        read_pool(&self.dir)?;
        Ok(lock)
    }

    /// Demands, of a pool that is held, that it is not being removed.
    pub(super) fn require_open(&self) -> Result<()> {
        if !read_pool(&self.dir)?.closed {
            return Ok(());
        }
        let text = format!("the pool {} is being removed", quoted(&self.dir));
        Err(Error::new(Kind::Busy, text).at(&self.dir))
    }

    /// Lets no VM be made any more. The pool is held.
    pub(super) fn close(&self) -> Result<()> {
        replace(&Local, &self.dir.join(POOL_FILE), &self.file_text(true)?)
    }

    /// Removes the pool's file, and the folder if nothing else is in it. The pool is held.
    pub(super) fn dissolve(&self) -> Result<()> {
        Local.remove_file(&self.dir.join(POOL_FILE))?;
        Local.sync_dir(&self.dir)?;
        // Only an empty folder goes.
        let _ = Local.remove_dir(&self.dir);
        Ok(())
    }

    fn file_text(&self, closed: bool) -> Result<Vec<u8>> {
        to_text(&PoolFile {
            version: 1,
            closed,
            spec: self.spec.clone(),
        })
    }

    /// Returns all that is remembered, oldest first.
    pub(super) fn records(&self, job: &Job) -> Result<Vec<(String, Record)>> {
        let mut records = Vec::new();
        for entry in Local.list(&self.dir)? {
            let name = entry.name.to_string_lossy().into_owned();
            let Some(name) = name.strip_suffix(ENDING).filter(|name| is_name(name)) else {
                continue;
            };
            if entry.kind != FileKind::File || entry.name == POOL_FILE {
                continue;
            }
            match self.record(name) {
                Ok(record) => records.push((name.to_string(), record)),
                // It was destroyed meanwhile.
                Err(error) if error.kind() == Kind::FileNotFound => {}
                Err(error) => job.warn(format!("a VM of the pool was passed over: {error}")),
            }
        }
        records.sort_by_key(|(_, record)| record.begun_us);
        Ok(records)
    }

    /// Returns what is remembered of a VM.
    pub(super) fn record(&self, name: &str) -> Result<Record> {
        let path = self.record_path(name);
        let bytes = read_small(&Local, &path, LIMIT)?;
        serde_json::from_slice(&bytes).map_err(|error| senseless(&path, &error))
    }

    /// Remembers something of a VM. The pool is held.
    pub(super) fn remember(&self, name: &str, record: &Record) -> Result<()> {
        replace(&Local, &self.record_path(name), &to_text(record)?)
    }

    /// Changes what is remembered of a VM.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Record)) -> Result<()> {
        // Whoever gives up must still be able to say so.
        let _lock = self.lock(&Job::new())?;
        let mut record = self.record(name)?;
        change(&mut record);
        self.remember(name, &record)
    }

    /// Remembers a VM no longer.
    pub(super) fn forget(&self, name: &str) -> Result<()> {
        let _lock = self.lock(&Job::new())?;
        Local.remove_file(&self.record_path(name))?;
        Local.sync_dir(&self.dir)
    }

    /// Removes what killed processes left of files that they were replacing. The pool is held.
    pub(super) fn sweep_files(&self) {
        for entry in Local.list(&self.dir).unwrap_or_default() {
            let name = entry.name.to_string_lossy();
            let unfinished = format!("{ENDING}{UNFINISHED}");
            if entry.kind == FileKind::File && name.starts_with('.') && name.contains(&unfinished) {
                let _ = Local.remove_file(&self.dir.join(&entry.name));
            }
        }
    }

    /// Tells whether a VM of that name is remembered.
    pub(super) fn is_known(&self, name: &str) -> bool {
        let path = self.record_path(name);
        is_name(name) && path != self.dir.join(POOL_FILE) && Local.exists(&path)
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}{ENDING}"))
    }

    /// Returns the folder of a VM.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the configuration of a VM.
    pub(super) fn vmx(&self, name: &str) -> PathBuf {
        self.folder(name).join(format!("{name}.vmx"))
    }

    /// Returns a name that no VM of the pool had before.
    pub(super) fn new_name(&self) -> String {
        let stem = self.spec.of.file_stem().unwrap_or_default();
        let stem: String = stem.to_string_lossy().chars().take(40).collect();
        let stem = Some(stem).filter(|stem| is_name(stem));
        let number = rand::random::<u32>();
        format!("{}-{number:08x}", stem.as_deref().unwrap_or("vm"))
    }

    /// Returns how the VM of that name is cloned.
    pub(super) fn clone_spec(&self, name: &str) -> CloneSpec {
        CloneSpec {
            snapshot: self.spec.snapshot.clone(),
            base: Base::Reuse,
            ..CloneSpec::new(CloneKind::Linked, self.vmx(name))
        }
    }

    /// Tells whether a VM is in the state in which the pool's VMs wait.
    pub(super) fn is_fit(&self, name: &str) -> bool {
        let wanted = match self.spec.ready {
            Ready::Off => PowerState::Off,
            Ready::Started => PowerState::On,
            Ready::Suspended => PowerState::Suspended,
        };
        self.host
            .state(&self.vmx(name))
            .is_ok_and(|state| state == wanted)
    }
}

/// The snapshot that is the VM's present state.
fn current(host: &dyn Provider, of: &Path) -> Result<SnapshotRef> {
    let spec = CloneSpec {
        base: Base::Reuse,
        ..CloneSpec::new(CloneKind::Linked, of.with_file_name("replix-pool.vmx"))
    };
    let is_snapshot = host.plan_clone(of, &spec)?.new_snapshot.is_none();
    let current = host.snapshots(of)?.current.filter(|_| is_snapshot);
    let missing = || {
        let text = format!("no snapshot is the present state of {}", quoted(of));
        let hint = "take one for the pool to stand on, or name one";
        Error::new(Kind::SnapshotNotFound, text).at(of).hint(hint)
    };
    current.map(SnapshotRef::Uid).ok_or_else(missing)
}

/// Names become names of files; a hidden one would be taken for something unfinished.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(|c: char| c == '/' || c == '"' || c.is_control())
}

fn read_pool(dir: &Path) -> Result<PoolFile> {
    let path = dir.join(POOL_FILE);
    let bytes = read_small(&Local, &path, LIMIT).map_err(|error| match error.kind() {
        Kind::FileNotFound => {
            let text = format!("there is no pool in {}", quoted(dir));
            Error::new(Kind::FileNotFound, text).at(dir)
        }
        _ => error,
    })?;
    let file: PoolFile = serde_json::from_slice(&bytes).map_err(|e| senseless(&path, &e))?;
    if file.version != 1 {
        let text = format!("{} is of a later version", quoted(&path));
        return Err(Error::new(Kind::BadConfig, text).at(&path));
    }
    Ok(file)
}

fn senseless(path: &Path, error: &serde_json::Error) -> Error {
    let text = format!("{} makes no sense: {error}", quoted(path));
    Error::new(Kind::BadConfig, text).at(path)
}

fn to_text(value: &impl Serialize) -> Result<Vec<u8>> {
    let text = serde_json::to_vec_pretty(value);
    text.map_err(|error| Error::new(Kind::FileName, format!("a pool cannot be kept: {error}")))
}
