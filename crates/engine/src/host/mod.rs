//! The way in: a host, its VMs, and the trait behind which a host may be elsewhere.

#[cfg(feature = "local")]
mod info;
#[cfg(feature = "local")]
mod local;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clone::{ClonePlan, CloneReport, CloneSpec, DeleteSpec, Lineage};
use crate::disk::{CheckReport, DiskReport, MapEntry};
use crate::error::Result;
use crate::job::{Job, Started};
use crate::power::{StartSpec, StopMode};
use crate::snapshot::{NewSnapshot, Snapshot, SnapshotRef, SnapshotTree};
use crate::vm::{PowerState, VmInfo};

/// What a host can do with virtual machines; VMs are named by the path of their `.vmx` there.
///
/// Every call sees the VM as it is now. Calls block; those that may take long take a [`Job`].
pub trait Provider: Send + Sync {
    /// Checks that `path` is a VM that can be opened, and returns its resolved, absolute path.
    ///
    /// # Errors
    /// `VmNotFound`, `BadConfig`.
    fn open(&self, path: &Path) -> Result<PathBuf>;

    /// Returns everything that can be said of a VM.
    ///
    /// # Errors
    /// `VmNotFound`, `BadConfig`. What is missing beside the `.vmx` is a warning in the answer.
    fn info(&self, vm: &Path) -> Result<VmInfo>;

    /// Returns the power state of a VM.
    ///
    /// # Errors
    /// As [`Provider::info`].
    fn state(&self, vm: &Path) -> Result<PowerState>;

    /// Returns the paths of the VMs that run here, in order.
    ///
    /// # Errors
    /// What the system says.
    fn running(&self) -> Result<Vec<PathBuf>>;

    /// Returns the snapshots of a VM.
    ///
    /// # Errors
    /// `SnapshotBroken` where the bookkeeping contradicts itself.
    fn snapshots(&self, vm: &Path) -> Result<SnapshotTree>;

    /// Takes a snapshot and returns it.
    ///
    /// # Errors
    /// `VmRunning`, `FileLocked`, what is wrong with a disk, `NoSpace`.
    fn create_snapshot(&self, vm: &Path, new: &NewSnapshot, job: &Job) -> Result<Snapshot>;

    /// Puts a VM back to a snapshot.
    ///
    /// # Errors
    /// As [`Provider::create_snapshot`]; `SnapshotNotFound`, `SnapshotAmbiguous`, `SnapshotBroken`.
    fn revert(&self, vm: &Path, snapshot: &SnapshotRef, job: &Job) -> Result<()>;

    /// Removes a snapshot, and with `children` all that descend from it; the VM's state stays.
    ///
    /// # Errors
    /// As [`Provider::revert`]; `SnapshotLocked` where linked clones stand on one of them.
    fn remove_snapshot(
        &self,
        vm: &Path,
        snapshot: &SnapshotRef,
        children: bool,
        job: &Job,
    ) -> Result<()>;

    /// Returns what [`Provider::clone_vm`] would do, without doing it.
    ///
    /// # Errors
    /// Those of the clone itself, as far as they can be seen beforehand.
    fn plan_clone(&self, vm: &Path, spec: &CloneSpec) -> Result<ClonePlan>;

    /// Clones a VM.
    ///
    /// # Errors
    /// `VmRunning`, `FileExists`, `FileName`, `NoSpace`, those of snapshots and disks; after any
    /// error, cancelling included, nothing is left at the destination or in the source.
    fn clone_vm(&self, vm: &Path, spec: &CloneSpec, job: &Job) -> Result<CloneReport>;

    /// Deletes a VM's own files.
    ///
    /// # Errors
    /// `VmRunning`; `Busy` where living linked clones stand on it and `force` is not given.
    fn delete(&self, vm: &Path, spec: DeleteSpec, job: &Job) -> Result<()>;

    /// Returns the VM with its snapshots and linked clones.
    ///
    /// # Errors
    /// As [`Provider::snapshots`].
    fn lineage(&self, vm: &Path) -> Result<Lineage>;

    /// Powers a VM on; returns once it executes. The remarks are in the job's warnings.
    ///
    /// # Errors
    /// `VmRunning`, `NoHypervisor`, `CannotStart`, what is wrong with a disk.
    fn power_on(&self, vm: &Path, spec: &StartSpec, job: &Job) -> Result<()>;

    /// Powers a VM off.
    ///
    /// # Errors
    /// `VmNotRunning`, `ToolsNotRunning`, `Timeout`.
    fn power_off(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()>;

    /// Describes the disk at `path`, all links.
    ///
    /// # Errors
    /// What is wrong with the disk.
    fn disk_info(&self, path: &Path) -> Result<DiskReport>;

    /// Returns where each stretch of the disk at `path` is stored.
    ///
    /// # Errors
    /// What is wrong with the disk.
    fn disk_map(&self, path: &Path) -> Result<Vec<MapEntry>>;

    /// Checks the disk at `path`, all links.
    ///
    /// # Errors
    /// Only where nothing can be checked at all; what is found is in the answer.
    fn disk_check(&self, path: &Path, job: &Job) -> Result<CheckReport>;
}

/// A machine with VMs.
#[derive(Clone)]
pub struct Host(Arc<dyn Provider>);

impl Host {
    /// Returns the host behind `provider`.
    pub fn new(provider: impl Provider + 'static) -> Self {
        Self(Arc::new(provider))
    }

    /// Opens the VM whose `.vmx` is at `path`. Nothing is started.
    ///
    /// # Errors
    /// `VmNotFound`, `BadConfig`.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Vm> {
        let path = self.0.open(path.as_ref())?;
        Ok(Vm {
            host: self.clone(),
            path,
        })
    }

    /// Returns the VMs that run here.
    ///
    /// # Errors
    /// What the system says.
    pub fn running(&self) -> Result<Vec<Vm>> {
        let paths = self.0.running()?;
        Ok(paths
            .into_iter()
            .map(|path| Vm {
                host: self.clone(),
                path,
            })
            .collect())
    }

    /// Returns the provider, for what is not about one VM.
    pub fn provider(&self) -> &dyn Provider {
        &*self.0
    }
}

/// A virtual machine on a [`Host`].
#[derive(Clone)]
pub struct Vm {
    host: Host,
    path: PathBuf,
}

impl Vm {
    /// Returns the absolute path of the `.vmx`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns everything that can be said of the VM.
    ///
    /// # Errors
    /// As [`Provider::info`].
    pub fn info(&self) -> Result<VmInfo> {
        self.host.0.info(&self.path)
    }

    /// Returns the snapshots.
    ///
    /// # Errors
    /// As [`Provider::snapshots`].
    pub fn snapshots(&self) -> Result<SnapshotTree> {
        self.host.0.snapshots(&self.path)
    }

    /// Starts taking a snapshot.
    pub fn create_snapshot(&self, new: NewSnapshot) -> Started<Snapshot> {
        self.spawn(move |vm, job| vm.host.0.create_snapshot(&vm.path, &new, job))
    }

    /// Starts putting the VM back to a snapshot.
    pub fn revert(&self, snapshot: SnapshotRef) -> Started<()> {
        self.spawn(move |vm, job| vm.host.0.revert(&vm.path, &snapshot, job))
    }

    /// Starts removing a snapshot, and with `children` all that descend from it.
    pub fn remove_snapshot(&self, snapshot: SnapshotRef, children: bool) -> Started<()> {
        self.spawn(move |vm, job| {
            vm.host
                .0
                .remove_snapshot(&vm.path, &snapshot, children, job)
        })
    }

    /// Starts cloning the VM; the result is the clone.
    pub fn clone_to(&self, spec: CloneSpec) -> Started<Vm> {
        self.spawn(move |vm, job| {
            let report = vm.host.0.clone_vm(&vm.path, &spec, job)?;
            vm.host.open(report.path)
        })
    }

    /// Starts deleting the VM.
    pub fn delete(&self, spec: DeleteSpec) -> Started<()> {
        self.spawn(move |vm, job| vm.host.0.delete(&vm.path, spec, job))
    }

    /// Starts powering the VM on.
    pub fn power_on(&self, spec: StartSpec) -> Started<()> {
        self.spawn(move |vm, job| vm.host.0.power_on(&vm.path, &spec, job))
    }

    /// Starts powering the VM off.
    pub fn power_off(&self, mode: StopMode) -> Started<()> {
        self.spawn(move |vm, job| vm.host.0.power_off(&vm.path, mode, job))
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vm, &Job) -> Result<T> + Send + 'static,
    ) -> Started<T> {
        let vm = self.clone();
        Job::spawn(move |job| work(&vm, job))
    }
}
