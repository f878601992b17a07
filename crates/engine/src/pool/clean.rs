//! VMs destroyed: those whose owner is gone or whose lease is over, and what killed processes left.
//!
//! Only what the pool remembers is touched: a VM in a folder of the pool's name, at its place, with
//! the uuid that it was made with.

use std::path::{Path, PathBuf};

use super::record::{Owner, Record, Stage};
use super::{Pool, Ready};
use crate::clone::{DeleteSpec, Unfinished, clear_unfinished, forget_deleted};
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::power::StopMode;
use crate::store::{FileKind, Local, Store, files_with_ending, folder_of, remove_tree};
use crate::vm::PowerState;

impl Pool<'_> {
    /// Destroys the VMs that nobody has any more, and those that are not as they should wait; tells
    /// how many. Those that cannot be are in the job's warnings, and tried again the next time.
    ///
    /// # Errors
    /// `Cancelled`; `FileLocked` where another process holds the pool for too long.
    pub fn clean(&self, job: &Job) -> Result<u32> {
        let over = self.claim_all(job, |name, record| {
            match record.stage {
                _ if record.is_over() => true,
                Stage::Ready => self.is_spoilt(name),
                // Its user deleted it, instead of giving it back.
                Stage::Taken { .. } => !Local.exists(&self.vmx(name)),
                _ => false,
            }
        })?;
        self.destroy_all(&over, job)
    }

    /// Destroys all VMs of the pool, and the pool.
    ///
    /// # Errors
    /// `Busy` where a VM is handed out, unless `force` is given, or another process is at work on
    /// one; the pool then stays. Otherwise it makes none any more, and those that could not be
    /// destroyed are named.
    pub fn remove(&self, force: bool, job: &Job) -> Result<u32> {
        {
            let _lock = self.lock(job)?;
            self.refuse_used(force, job)?;
            self.close()?;
        }
        let all = self.claim_all(job, |_, record| match record.stage {
            Stage::Ready => true,
            Stage::Taken { .. } => force || record.is_over(),
            _ => record.is_over(),
        })?;
        let destroyed = self.destroy_all(&all, job)?;
        let _lock = self.lock(job)?;
        let left = self.records(job)?;
        if let Some((name, _)) = left.first() {
            let text = format!(
                "the pool {} stays: {} could not be destroyed",
                quoted(&self.dir),
                quoted(name)
            );
            return Err(Error::new(Kind::Busy, text).at(&self.dir));
        }
        self.dissolve()?;
        Ok(destroyed)
    }

    /// Refuses to remove a pool whose VMs are used.
    fn refuse_used(&self, force: bool, job: &Job) -> Result<()> {
        for (name, record) in self.records(job)? {
            let what = match record.stage {
                _ if record.is_over() => continue,
                Stage::Ready => continue,
                Stage::Taken { .. } if force => continue,
                Stage::Taken { .. } => "is handed out".to_string(),
                _ => {
                    let by = record.process().map_or(0, |owner| owner.pid);
                    format!("is being worked on by process {by}")
                }
            };
            let text = format!("{} {what}", quoted(&name));
            return Err(Error::new(Kind::Busy, text).at(&self.vmx(&name)));
        }
        Ok(())
    }

    /// Takes on all VMs that `is_over`, to destroy them; those that are not there any more are
    /// forgotten.
    fn claim_all(&self, job: &Job, is_over: impl Fn(&str, &Record) -> bool) -> Result<Vec<String>> {
        let _lock = self.lock(job)?;
        self.sweep_files();
        let mut claimed = Vec::new();
        for (name, mut record) in self.records(job)? {
            if is_over(&name, &record) {
                record.stage = Stage::Leaving {
                    by: Some(Owner::this()),
                };
                self.remember(&name, &record)?;
                claimed.push(name);
            }
        }
        Ok(claimed)
    }

    /// Whether a VM that should wait cannot be handed out: it stopped by itself, or with the machine.
    /// One that runs though it should not is used by somebody.
    fn is_spoilt(&self, name: &str) -> bool {
        let state = self.host.state(&self.vmx(name));
        match self.spec.ready {
            Ready::Off => !Local.exists(&self.vmx(name)),
            Ready::Started | Ready::Suspended => match state {
                Ok(PowerState::Off) => true,
                Ok(PowerState::Suspended) => self.spec.ready == Ready::Started,
                Ok(_) => false,
                Err(error) => error.kind() == Kind::VmNotFound,
            },
        }
    }

    fn destroy_all(&self, names: &[String], job: &Job) -> Result<u32> {
        let mut destroyed = 0;
        for (index, name) in names.iter().enumerate() {
            if let Err(error) = job.check() {
                self.let_go(&names[index..]);
                return Err(error);
            }
            match self.destroy(name, job) {
                Ok(()) => destroyed += 1,
                Err(error) if error.kind() == Kind::Cancelled => {
                    self.let_go(&names[index..]);
                    return Err(error);
                }
                Err(error) => job.warn(format!("{} is left: {error}", quoted(name))),
            }
        }
        Ok(destroyed)
    }

    /// Leaves VMs that are to be destroyed to whoever cleans next.
    fn let_go(&self, names: &[String]) {
        for name in names {
            // What cannot be said ends with this process.
            let _ = self.change(name, |record| record.stage = Stage::Leaving { by: None });
        }
    }

    /// Destroys a VM that this process took on: cuts its power, deletes its files, forgets it.
    ///
    /// # Errors
    /// `Busy` where clones of it live; `Denied` for what is not the pool's own; what the system says.
    /// It is then left to whoever cleans next.
    pub(super) fn destroy(&self, name: &str, job: &Job) -> Result<()> {
        job.phase(format!("destroying {}", quoted(name)));
        let destroyed = self.delete(name, job);
        if destroyed.is_err() {
            self.let_go(&[name.to_string()]);
        }
        destroyed
    }

    fn delete(&self, name: &str, job: &Job) -> Result<()> {
        let vm = &self.vmx(name);
        let record = self.record(name)?;
        self.require_own_folder(name)?;
        if Local.exists(vm) {
            self.require_own(vm, &record)?;
            if self.host.state(vm)?.is_on() {
                match self.host.power_off(vm, StopMode::Hard, job) {
                    Err(error) if error.kind() != Kind::VmNotRunning => return Err(error),
                    _ => {}
                }
            }
            let whole = DeleteSpec {
                disks: true,
                force: false,
            };
            self.host.delete(vm, whole, job)?;
        } else {
            self.clear_killed(name, &record)?;
        }
        self.remove_rest(name)?;
        self.forget(name)
    }

    /// Refuses a folder that somebody put in the place of the VM's.
    fn require_own_folder(&self, name: &str) -> Result<()> {
        let folder = self.folder(name);
        let is_own = match Local.canonical(&folder) {
            Ok(path) => path == folder,
            Err(error) => error.kind() == Kind::FileNotFound,
        };
        match is_own {
            true => Ok(()),
            false => Err(not_own(&folder)),
        }
    }

    /// Refuses a VM that somebody put in the place of the pool's.
    fn require_own(&self, vm: &Path, record: &Record) -> Result<()> {
        let is_own = Local.canonical(vm)? == vm
            && match &record.uuid {
                Some(uuid) => self.host.info(vm)?.uuid_bios.as_ref() == Some(uuid),
                // It was killed while it was made, before that was remembered.
                None => true,
            };
        match is_own {
            true => Ok(()),
            false => Err(not_own(vm)),
        }
    }

    /// Takes back what is left of a clone that was killed while it was made or deleted.
    fn clear_killed(&self, name: &str, record: &Record) -> Result<()> {
        let clone = Unfinished {
            vm: self.spec.of.clone(),
            spec: self.clone_spec(name),
            started_us: record.begun_us,
        };
        let cleared = clear_unfinished(self.settings, &clone)
            .and_then(|_| forget_deleted(self.settings, &self.spec.of, &self.vmx(name)));
        match cleared {
            // Without its parent there is nothing to clear there.
            Err(error) if error.kind() != Kind::VmNotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what else is in the VM's folder: outputs of its ports, pictures, remnants. A VM that
    /// somebody else put there stays, with all that is beside it.
    fn remove_rest(&self, name: &str) -> Result<()> {
        let folder = &self.folder(name);
        if !Local.exists(folder) {
            return Ok(());
        }
        if let Some(other) = find_vm(folder, DEPTH) {
            let text = format!("another VM is in its folder: {}", quoted(other));
            let hint = "move that VM elsewhere, and clean the pool again";
            return Err(Error::new(Kind::Denied, text).at(folder).hint(hint));
        }
        remove_tree(&Local, folder)?;
        Local.sync_dir(folder_of(folder))
    }
}

/// No folder of a VM is deeper.
const DEPTH: usize = 16;

/// Returns a VM in `folder` or below it. What is too deep to be looked at counts as one.
fn find_vm(folder: &Path, depth: usize) -> Option<PathBuf> {
    if depth == 0 {
        return Some(folder.to_path_buf());
    }
    let own = files_with_ending(&Local, folder, "vmx").next();
    let entries = Local.list(folder).unwrap_or_default().into_iter();
    let mut folders = entries.filter(|entry| entry.kind == FileKind::Dir);
    own.or_else(|| folders.find_map(|entry| find_vm(&folder.join(&entry.name), depth - 1)))
}

fn not_own(path: &Path) -> Error {
    let text = format!("{} is not what the pool made", quoted(path));
    let hint = "move it elsewhere, and clean the pool again";
    Error::new(Kind::Denied, text).at(path).hint(hint)
}
