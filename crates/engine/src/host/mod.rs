//! The way in: a host, its VMs, and the trait behind which a host may be elsewhere.

#[cfg(feature = "local")]
mod info;
#[cfg(feature = "local")]
mod inventory;
#[cfg(feature = "local")]
mod local;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clone::{
    ClonePlan, CloneReport, CloneSpec, DeleteSpec, Lineage, PromoteSpec, Promoted, RelinkSpec,
    Relinked,
};
use crate::disk::{CheckReport, DiskAnswer, DiskCall, DiskReport, MapEntry};
use crate::error::Result;
use crate::guest::{GuestAnswer, GuestCall, Login};
use crate::job::{Job, Started};
use crate::power::{Console, StartSpec, StopMode};
use crate::snapshot::{Consolidated, NewSnapshot, RevertSpec, Snapshot, SnapshotRef, SnapshotTree};
use crate::vm::{DeviceCall, PowerState, Variable, VmInfo, VmSummary};

/// What a host can do with virtual machines; VMs are named by the path of their `.vmx` there.
///
/// Every call sees the VM as it is now. Calls block; those that may take long take a [`Job`].
pub trait Provider: Send + Sync {
    /// Checks that `path` is a VM that can be opened, and returns its resolved, absolute path. One that
    /// runs is found where its files are gone, too: it can be powered off hard.
    ///
    /// # Errors
    /// `VmNotFound`, `BadConfig`.
    fn open(&self, path: &Path) -> Result<PathBuf>;

    /// Returns everything that can be said of a VM.
    ///
    /// # Errors
    /// `VmNotFound`, `BadConfig`. What is missing beside the `.vmx` is a warning in the answer.
    fn info(&self, vm: &Path) -> Result<VmInfo>;

    /// Returns what a VM's configuration tells, without a look at its disks, snapshots or clones.
    ///
    /// # Errors
    /// As [`Provider::info`].
    fn summary(&self, vm: &Path) -> Result<VmSummary>;

    /// Returns why disks of a VM cannot be used, a sentence each; nothing where all can be.
    ///
    /// # Errors
    /// As [`Provider::info`].
    fn disk_problems(&self, vm: &Path) -> Result<Vec<String>>;

    /// Returns the power state of a VM.
    ///
    /// # Errors
    /// As [`Provider::info`].
    fn state(&self, vm: &Path) -> Result<PowerState>;

    /// Tells how a running VM is seen.
    ///
    /// # Errors
    /// `VmNotRunning`; what the system says.
    fn console(&self, vm: &Path) -> Result<Console>;

    /// Returns the paths of the VMs that run here, in order.
    ///
    /// # Errors
    /// What the system says.
    fn running(&self) -> Result<Vec<PathBuf>>;

    /// Puts a VM into the list of registered ones; twice is no error.
    ///
    /// # Errors
    /// `VmNotFound`; what the system says.
    fn register(&self, vm: &Path) -> Result<()>;

    /// Takes a VM out of the list of registered ones. That it is not in it, or not there at all, is
    /// no error.
    ///
    /// # Errors
    /// `VmRunning`; what the system says.
    fn unregister(&self, vm: &Path) -> Result<()>;

    /// Returns the paths of the registered VMs that are still there, in the order of the list.
    ///
    /// # Errors
    /// `BadConfig` where the list makes no sense; what the system says.
    fn registered(&self) -> Result<Vec<PathBuf>>;

    /// Returns the snapshots of a VM.
    ///
    /// # Errors
    /// `SnapshotBroken` where the bookkeeping contradicts itself.
    fn snapshots(&self, vm: &Path) -> Result<SnapshotTree>;

    /// Takes a snapshot and returns it.
    ///
    /// # Errors
    /// `SnapshotDisabled` and `SnapshotLimit` where the configuration allows none, or no more; `VmRunning`,
    /// `FileLocked`, what is wrong with a disk, `NoSpace`.
    fn create_snapshot(&self, vm: &Path, new: &NewSnapshot, job: &Job) -> Result<Snapshot>;

    /// Puts a VM back to a snapshot, off. One that runs here loses its power first.
    ///
    /// # Errors
    /// As [`Provider::create_snapshot`]; `SnapshotNotFound`, `SnapshotAmbiguous`, `SnapshotBroken`;
    /// `NotSupported` where the snapshot's memory would have to be restored.
    fn revert(&self, vm: &Path, spec: &RevertSpec, job: &Job) -> Result<()>;

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

    /// Merges the disks of a VM that neither a state of it nor a linked clone needs.
    ///
    /// # Errors
    /// As [`Provider::create_snapshot`]. The disks of the VM are whole then, on a longer chain.
    fn consolidate(&self, vm: &Path, job: &Job) -> Result<Consolidated>;

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

    /// Makes a linked clone independent of all other VMs, also while it runs: what their disks hold for
    /// it is copied. Of a VM that stands on no other, nothing changes.
    ///
    /// # Errors
    /// `VmRunning` where another program runs it; `Busy` where linked clones of it run; `NoSpace`, what
    /// is wrong with a disk. After any of them, and after cancelling, it is a linked clone as before.
    fn promote(&self, vm: &Path, spec: PromoteSpec, job: &Job) -> Result<Promoted>;

    /// Hangs a linked clone on its parent, which was moved, renamed or copied. Of a VM that stands on no
    /// other, nothing changes.
    ///
    /// # Errors
    /// `VmRunning`; `DiskParent` where no disk proves to be the one that it was made on, or several do;
    /// `DiskChanged`, `DiskCapacity` where that one is another by now; `Denied` where the clone may not
    /// reach it. Nothing changes then.
    fn relink(&self, vm: &Path, spec: &RelinkSpec, job: &Job) -> Result<Relinked>;

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

    /// Powers a VM on; returns once it executes, or is ready to where it is to be paused. The remarks are in the job's warnings.
    ///
    /// # Errors
    /// `VmRunning`, `NoHypervisor`, `CannotStart`, what is wrong with a disk.
    fn power_on(&self, vm: &Path, spec: &StartSpec, job: &Job) -> Result<()>;

    /// Powers a VM off.
    ///
    /// # Errors
    /// `VmNotRunning`, `ToolsNotRunning`, `Timeout`.
    fn power_off(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()>;

    /// Resets a VM, as its reset button does; one that is paused runs again.
    ///
    /// # Errors
    /// `VmNotRunning`; `NotSupported` for a soft reset, which needs an agent in the guest.
    fn reset(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()>;

    /// Stops the execution of a VM, which keeps its memory; one that is paused already stays so.
    ///
    /// # Errors
    /// `VmNotRunning`.
    fn pause(&self, vm: &Path, job: &Job) -> Result<()>;

    /// Lets a paused VM execute again; one that executes already goes on.
    ///
    /// # Errors
    /// `VmNotRunning`.
    fn unpause(&self, vm: &Path, job: &Job) -> Result<()>;

    /// Saves the memory of a running VM in a file and powers it off; one that was paused runs again
    /// when it is resumed.
    ///
    /// # Errors
    /// `VmNotRunning`, also for a VM that is suspended; `NotSupported` naming a device that cannot be
    /// saved; `NoSpace`. The VM then goes on.
    fn suspend(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()>;

    /// Raises the hardware version of a VM to the newest that is known; one that has it, or a newer
    /// one, stays as it is.
    ///
    /// # Errors
    /// `VmRunning` unless it is powered off.
    fn upgrade_hardware(&self, vm: &Path, job: &Job) -> Result<()>;

    /// Does something to a device of a VM.
    ///
    /// # Errors
    /// `VmRunning` or `VmNotRunning`, as [`DeviceCall`] says; `Argument` where there is no such
    /// device; `NotSupported` for one with which that cannot be done.
    fn device(&self, vm: &Path, call: &DeviceCall, job: &Job) -> Result<()>;

    /// Returns the value of a variable; empty where it has none.
    ///
    /// # Errors
    /// `VmNotRunning` for a guest variable; `Argument` where none can have such a name.
    fn read_variable(&self, vm: &Path, variable: &Variable) -> Result<String>;

    /// Gives a variable a value, until the VM is powered off. Nothing of it is stored in the VM's
    /// files.
    ///
    /// # Errors
    /// `VmNotRunning`; `Argument` for a `/` in the name of a guest variable, or a `=` in a value.
    fn write_variable(&self, vm: &Path, variable: &Variable, value: &str) -> Result<()>;

    /// Does something in the guest, in the name of `login` where that is needed.
    ///
    /// # Errors
    /// `VmNotRunning`, `ToolsNotRunning`; `NotSupported`, for now, for all of them.
    fn guest(
        &self,
        vm: &Path,
        login: Option<&Login>,
        call: &GuestCall,
        job: &Job,
    ) -> Result<GuestAnswer>;

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

    /// Does something to the disk at `path` by itself.
    ///
    /// # Errors
    /// `FileExists` for a new disk; `Argument` for an impossible size; `DiskUnsupported` where its
    /// type forbids it, or other disks stand on it; `VmRunning` where a VM beside it runs or is
    /// suspended; `FileLocked`; `NoSpace`; `Cancelled`. The disk is as it was then, and no new file
    /// is left.
    fn disk(&self, path: &Path, call: &DiskCall, job: &Job) -> Result<DiskAnswer>;
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
        Ok(self.vms(self.0.running()?))
    }

    /// Puts the VM whose `.vmx` is at `path` into the list of registered ones.
    ///
    /// # Errors
    /// As [`Provider::register`].
    pub fn register(&self, path: impl AsRef<Path>) -> Result<()> {
        self.0.register(path.as_ref())
    }

    /// Takes the VM whose `.vmx` is, or was, at `path` out of the list of registered ones.
    ///
    /// # Errors
    /// As [`Provider::unregister`].
    pub fn unregister(&self, path: impl AsRef<Path>) -> Result<()> {
        self.0.unregister(path.as_ref())
    }

    /// Returns the registered VMs.
    ///
    /// # Errors
    /// As [`Provider::registered`].
    pub fn registered(&self) -> Result<Vec<Vm>> {
        Ok(self.vms(self.0.registered()?))
    }

    fn vms(&self, paths: Vec<PathBuf>) -> Vec<Vm> {
        let vm = |path| Vm {
            host: self.clone(),
            path,
        };
        paths.into_iter().map(vm).collect()
    }

    /// Returns the provider, for what is not about one VM.
    pub fn provider(&self) -> &(dyn Provider + 'static) {
        &*self.0
    }
}

/// A clone that was made.
#[derive(Clone, Debug)]
pub struct Cloned {
    /// The clone.
    pub vm: Vm,
    /// What was done, and what its user should know.
    pub report: CloneReport,
}

/// A virtual machine on a [`Host`].
#[derive(Clone)]
pub struct Vm {
    host: Host,
    path: PathBuf,
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vm").field(&self.path).finish()
    }
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

    /// Returns the power state.
    ///
    /// # Errors
    /// As [`Provider::state`].
    pub fn state(&self) -> Result<PowerState> {
        self.host.0.state(&self.path)
    }

    /// Tells how the VM is seen while it runs.
    ///
    /// # Errors
    /// `VmNotRunning`; what the system says.
    pub fn console(&self) -> Result<Console> {
        self.host.0.console(&self.path)
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
    pub fn revert(&self, to: impl Into<RevertSpec>) -> Started<()> {
        let spec = to.into();
        self.spawn(move |vm, job| vm.host.0.revert(&vm.path, &spec, job))
    }

    /// Starts removing a snapshot, and with `children` all that descend from it.
    pub fn remove_snapshot(&self, snapshot: SnapshotRef, children: bool) -> Started<()> {
        self.spawn(move |vm, job| {
            vm.host
                .0
                .remove_snapshot(&vm.path, &snapshot, children, job)
        })
    }

    /// Starts merging the disks that nothing needs.
    pub fn consolidate(&self) -> Started<Consolidated> {
        self.spawn(|vm, job| vm.host.0.consolidate(&vm.path, job))
    }

    /// Starts cloning the VM; the result is the clone.
    pub fn clone_to(&self, spec: CloneSpec) -> Started<Cloned> {
        self.spawn(move |vm, job| {
            let report = vm.host.0.clone_vm(&vm.path, &spec, job)?;
            let vm = vm.host.open(&report.path)?;
            Ok(Cloned { vm, report })
        })
    }

    /// Starts making the VM independent of all others.
    pub fn promote(&self, spec: PromoteSpec) -> Started<Promoted> {
        self.spawn(move |vm, job| vm.host.0.promote(&vm.path, spec, job))
    }

    /// Starts hanging the VM on its parent, wherever that is now.
    pub fn relink(&self, spec: RelinkSpec) -> Started<Relinked> {
        self.spawn(move |vm, job| vm.host.0.relink(&vm.path, &spec, job))
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

    /// Starts resetting the VM.
    pub fn reset(&self, mode: StopMode) -> Started<()> {
        self.spawn(move |vm, job| vm.host.0.reset(&vm.path, mode, job))
    }

    /// Starts stopping the VM's execution, which keeps its memory.
    pub fn pause(&self) -> Started<()> {
        self.spawn(|vm, job| vm.host.0.pause(&vm.path, job))
    }

    /// Starts letting the VM execute again.
    pub fn unpause(&self) -> Started<()> {
        self.spawn(|vm, job| vm.host.0.unpause(&vm.path, job))
    }

    /// Starts saving the VM's memory and powering it off.
    pub fn suspend(&self, mode: StopMode) -> Started<()> {
        self.spawn(move |vm, job| vm.host.0.suspend(&vm.path, mode, job))
    }

    /// Starts raising the VM's hardware version to the newest that is known.
    pub fn upgrade_hardware(&self) -> Started<()> {
        self.spawn(|vm, job| vm.host.0.upgrade_hardware(&vm.path, job))
    }

    /// Starts doing something to a device of the VM.
    pub fn device(&self, call: DeviceCall) -> Started<()> {
        self.spawn(move |vm, job| vm.host.0.device(&vm.path, &call, job))
    }

    /// Returns the value of a variable; empty where it has none.
    ///
    /// # Errors
    /// As [`Provider::read_variable`].
    pub fn read_variable(&self, variable: &Variable) -> Result<String> {
        self.host.0.read_variable(&self.path, variable)
    }

    /// Gives a variable a value, until the VM is powered off.
    ///
    /// # Errors
    /// As [`Provider::write_variable`].
    pub fn write_variable(&self, variable: &Variable, value: &str) -> Result<()> {
        self.host.0.write_variable(&self.path, variable, value)
    }

    /// Starts something in the guest, in the name of `login` where that is needed.
    pub fn guest(&self, login: Option<Login>, call: GuestCall) -> Started<GuestAnswer> {
        self.spawn(move |vm, job| vm.host.0.guest(&vm.path, login.as_ref(), &call, job))
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vm, &Job) -> Result<T> + Send + 'static,
    ) -> Started<T> {
        let vm = self.clone();
        Job::spawn(move |job| work(&vm, job))
    }
}
