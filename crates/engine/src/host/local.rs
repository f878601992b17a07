//! This machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Host, Provider, info, inventory};
use crate::clone::{
    self, ClonePlan, CloneReport, CloneSpec, DeleteSpec, Lineage, PromoteSpec, Promoted,
    RelinkSpec, Relinked,
};
use crate::disk::{self, CheckReport, DiskAnswer, DiskCall, DiskReport, MapEntry};
use crate::error::Result;
use crate::guest::{self, GuestAnswer, GuestCall, Login};
use crate::job::Job;
use crate::power::{self, Console, StartSpec, StopMode};
use crate::snapshot::{
    self, Consolidated, NewSnapshot, RevertSpec, Snapshot, SnapshotRef, SnapshotTree,
};
use crate::store::{Local, folder_of};
use crate::vm::{DeviceCall, Env, PowerState, Settings, Variable, VmInfo, VmSummary};
use crate::vm::{adapters, disk_call, hardware};

impl Host {
    /// Returns this machine, with the settings of its user.
    ///
    /// # Errors
    /// `BadConfig` where the settings make no sense.
    pub fn local() -> Result<Self> {
        Ok(Self::local_with(Settings::load()?))
    }

    /// Returns this machine, with settings of the caller's.
    pub fn local_with(settings: Settings) -> Self {
        Self::new(Machine {
            env: Env {
                store: Arc::new(Local),
                settings,
            },
        })
    }
}

/// The engine of this machine.
struct Machine {
    env: Env,
}

impl Machine {
    fn chain(&self, path: &Path) -> Result<disk::Chain> {
        self.env.opener_in(folder_of(path), Vec::new())?.open(path)
    }
}

impl Provider for Machine {
    fn open(&self, path: &Path) -> Result<PathBuf> {
        match self.env.open(path) {
            Ok(vm) => Ok(vm.vmx().to_path_buf()),
            Err(error) => power::orphaned(&self.env, path).ok_or(error),
        }
    }

    fn info(&self, vm: &Path) -> Result<VmInfo> {
        info::info(&self.env, vm)
    }

    fn summary(&self, vm: &Path) -> Result<VmSummary> {
        info::summary(&self.env, vm)
    }

    fn disk_problems(&self, vm: &Path) -> Result<Vec<String>> {
        info::disk_problems(&self.env, vm)
    }

    fn state(&self, vm: &Path) -> Result<PowerState> {
        Ok(power::state(&self.env, &self.env.open(vm)?).state)
    }

    fn console(&self, vm: &Path) -> Result<Console> {
        power::console(&self.env, vm)
    }

    fn running(&self) -> Result<Vec<PathBuf>> {
        power::running(&self.env)
    }

    fn register(&self, vm: &Path) -> Result<()> {
        inventory::register(&self.env, vm)
    }

    fn unregister(&self, vm: &Path) -> Result<()> {
        inventory::unregister(&self.env, vm)
    }

    fn registered(&self) -> Result<Vec<PathBuf>> {
        inventory::list(&self.env)
    }

    fn snapshots(&self, vm: &Path) -> Result<SnapshotTree> {
        snapshot::list(&self.env, vm)
    }

    fn create_snapshot(&self, vm: &Path, new: &NewSnapshot, job: &Job) -> Result<Snapshot> {
        snapshot::create(&self.env, vm, new, job)
    }

    fn revert(&self, vm: &Path, spec: &RevertSpec, job: &Job) -> Result<()> {
        snapshot::revert(&self.env, vm, spec, job)
    }

    fn remove_snapshot(
        &self,
        vm: &Path,
        snapshot: &SnapshotRef,
        children: bool,
        job: &Job,
    ) -> Result<()> {
        snapshot::remove(&self.env, vm, snapshot, children, job)
    }

    fn consolidate(&self, vm: &Path, job: &Job) -> Result<Consolidated> {
        snapshot::consolidate(&self.env, vm, job)
    }

    fn plan_clone(&self, vm: &Path, spec: &CloneSpec) -> Result<ClonePlan> {
        clone::plan(&self.env, vm, spec)
    }

    fn clone_vm(&self, vm: &Path, spec: &CloneSpec, job: &Job) -> Result<CloneReport> {
        clone::run(&self.env, vm, spec, job)
    }

    fn promote(&self, vm: &Path, spec: PromoteSpec, job: &Job) -> Result<Promoted> {
        clone::promote(&self.env, vm, spec, job)
    }

    fn relink(&self, vm: &Path, spec: &RelinkSpec, job: &Job) -> Result<Relinked> {
        clone::relink(&self.env, vm, spec, job)
    }

    fn delete(&self, vm: &Path, spec: DeleteSpec, job: &Job) -> Result<()> {
        if let Some(path) = power::orphaned(&self.env, vm) {
            return Err(power::runs_on(&path));
        }
        let path = self.open(vm)?;
        clone::delete(&self.env, &path, spec, job)?;
        if let Err(error) = inventory::remove(&self.env, &path) {
            job.warn(format!("the deleted VM is still registered: {error}"));
        }
        Ok(())
    }

    fn lineage(&self, vm: &Path) -> Result<Lineage> {
        clone::lineage(&self.env, vm)
    }

    fn power_on(&self, vm: &Path, spec: &StartSpec, job: &Job) -> Result<()> {
        power::start(&self.env, vm, spec, job)
    }

    fn power_off(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()> {
        power::stop(&self.env, vm, mode, job)
    }

    fn reset(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()> {
        power::reset(&self.env, vm, mode, job)
    }

    fn pause(&self, vm: &Path, job: &Job) -> Result<()> {
        power::pause(&self.env, vm, job)
    }

    fn unpause(&self, vm: &Path, job: &Job) -> Result<()> {
        power::unpause(&self.env, vm, job)
    }

    fn suspend(&self, vm: &Path, _: StopMode, job: &Job) -> Result<()> {
        power::suspend(&self.env, vm, job)
    }

    fn upgrade_hardware(&self, vm: &Path, job: &Job) -> Result<()> {
        hardware::upgrade(&self.env, vm, job)
    }

    fn device(&self, vm: &Path, call: &DeviceCall, job: &Job) -> Result<()> {
        let env = &self.env;
        match call {
            DeviceCall::AddAdapter { to } => adapters::add(env, vm, to, job),
            DeviceCall::SetAdapter { number, to } => adapters::set(env, vm, *number, to, job),
            DeviceCall::RemoveAdapter { number } => adapters::remove(env, vm, *number, job),
            DeviceCall::Connect { device, connected } => {
                power::connect(env, vm, device, *connected, job)
            }
            DeviceCall::Type { text } => power::type_text(env, vm, text, job),
        }
    }

    fn read_variable(&self, vm: &Path, variable: &Variable) -> Result<String> {
        power::read_variable(&self.env, vm, variable)
    }

    fn write_variable(&self, vm: &Path, variable: &Variable, value: &str) -> Result<()> {
        power::write_variable(&self.env, vm, variable, value)
    }

    fn guest(
        &self,
        vm: &Path,
        login: Option<&Login>,
        call: &GuestCall,
        job: &Job,
    ) -> Result<GuestAnswer> {
        guest::call(&self.env, vm, login, call, job)
    }

    fn disk_info(&self, path: &Path) -> Result<DiskReport> {
        Ok(self.chain(path)?.report(&*self.env.store))
    }

    fn disk_map(&self, path: &Path) -> Result<Vec<MapEntry>> {
        self.chain(path)?.map().collect()
    }

    fn disk(&self, path: &Path, call: &DiskCall, job: &Job) -> Result<DiskAnswer> {
        disk_call::run(&self.env, path, call, job)
    }

    fn disk_check(&self, path: &Path, job: &Job) -> Result<CheckReport> {
        disk::check(&self.env.opener_in(folder_of(path), Vec::new())?, path, job)
    }
}
