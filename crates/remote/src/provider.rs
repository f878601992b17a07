//! The engine's calls, as requests: what is answered at once is one request, what takes long one job.

use std::path::{Path, PathBuf};

use replix::clone::{
    ClonePlan, CloneReport, CloneSpec, DeleteSpec, Lineage, PromoteSpec, Promoted, RelinkSpec,
    Relinked,
};
use replix::disk::{CheckReport, DiskAnswer, DiskCall, DiskReport, MapEntry};
use replix::guest::{GuestAnswer, GuestCall, Login};
use replix::host::Provider;
use replix::power::{Console, StartSpec, StopMode};
use replix::snapshot::{
    Consolidated, NewSnapshot, RevertSpec, Snapshot, SnapshotRef, SnapshotTree,
};
use replix::vm::{DeviceCall, PowerState, Variable, VmInfo, VmSummary};
use replix::{Error, Job, Kind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::run;
use crate::link::{Link, Question, route, text_of};
use crate::wire::{Answer, FlatLineage, Operation};

/// The host service of this user.
pub(crate) struct Service {
    link: Link,
}

impl Service {
    /// Finds or starts it.
    ///
    /// # Errors
    /// As [`crate::connect_by`].
    pub(crate) fn connect(file: PathBuf) -> Result<Self> {
        let link = Link::new(file);
        link.session(true)?;
        Ok(Self { link })
    }

    fn request<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        arguments: &[(&str, &str)],
        body: &[u8],
    ) -> Result<T> {
        self.link.ask(Question {
            method,
            route: &route(path, arguments),
            body,
        })
    }

    fn get<T: DeserializeOwned>(&self, path: &str, arguments: &[(&str, &str)]) -> Result<T> {
        self.request("GET", path, arguments, &[])
    }

    /// Asks something of a VM.
    fn of_vm<T: DeserializeOwned>(&self, what: &str, vm: &Path) -> Result<T> {
        self.get(what, &[("vm", text_of(vm)?)])
    }

    /// Sends something that is about a VM.
    fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        what: &str,
        vm: &Path,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).map_err(|cause| {
            let text = format!("this cannot be asked of the host service: {cause}");
            Error::new(Kind::NotSupported, text)
        })?;
        self.request(method, what, &[("vm", text_of(vm)?)], &body)
    }

    /// Has a job done that has nothing to tell.
    fn done(&self, operation: &Operation, job: &Job) -> Result<()> {
        match run(&self.link, operation, job)? {
            Answer::Done => Ok(()),
            answer => Err(mismatched(&answer)),
        }
    }
}

fn mismatched(answer: &Answer) -> Error {
    let text = format!("the host service answered something else: {answer:?}");
    Error::new(Kind::Internal, text)
}

impl Provider for Service {
    fn open(&self, path: &Path) -> Result<PathBuf> {
        self.of_vm("/v1/vm", path)
    }

    fn info(&self, vm: &Path) -> Result<VmInfo> {
        self.of_vm("/v1/vm/info", vm)
    }

    fn summary(&self, vm: &Path) -> Result<VmSummary> {
        self.of_vm("/v1/vm/summary", vm)
    }

    fn disk_problems(&self, vm: &Path) -> Result<Vec<String>> {
        self.of_vm("/v1/vm/problems", vm)
    }

    fn state(&self, vm: &Path) -> Result<PowerState> {
        self.of_vm("/v1/vm/state", vm)
    }

    fn console(&self, vm: &Path) -> Result<Console> {
        self.of_vm("/v1/vm/console", vm)
    }

    fn running(&self) -> Result<Vec<PathBuf>> {
        self.get("/v1/vms", &[("which", "running")])
    }

    fn register(&self, vm: &Path) -> Result<()> {
        self.request("PUT", "/v1/vms", &[("vm", text_of(vm)?)], &[])
    }

    fn unregister(&self, vm: &Path) -> Result<()> {
        self.request("DELETE", "/v1/vms", &[("vm", text_of(vm)?)], &[])
    }

    fn registered(&self) -> Result<Vec<PathBuf>> {
        self.get("/v1/vms", &[("which", "registered")])
    }

    fn snapshots(&self, vm: &Path) -> Result<SnapshotTree> {
        self.of_vm("/v1/vm/snapshots", vm)
    }

    fn create_snapshot(&self, vm: &Path, new: &NewSnapshot, job: &Job) -> Result<Snapshot> {
        let operation = Operation::CreateSnapshot {
            vm: vm.into(),
            new: new.clone(),
        };
        match run(&self.link, &operation, job)? {
            Answer::Snapshot(snapshot) => Ok(snapshot),
            answer => Err(mismatched(&answer)),
        }
    }

    fn revert(&self, vm: &Path, spec: &RevertSpec, job: &Job) -> Result<()> {
        let (vm, spec) = (vm.into(), spec.clone());
        self.done(&Operation::Revert { vm, spec }, job)
    }

    fn remove_snapshot(
        &self,
        vm: &Path,
        snapshot: &SnapshotRef,
        children: bool,
        job: &Job,
    ) -> Result<()> {
        let operation = Operation::RemoveSnapshot {
            vm: vm.into(),
            snapshot: snapshot.clone(),
            children,
        };
        self.done(&operation, job)
    }

    fn consolidate(&self, vm: &Path, job: &Job) -> Result<Consolidated> {
        match run(&self.link, &Operation::Consolidate { vm: vm.into() }, job)? {
            Answer::Consolidated(done) => Ok(done),
            answer => Err(mismatched(&answer)),
        }
    }

    fn plan_clone(&self, vm: &Path, spec: &CloneSpec) -> Result<ClonePlan> {
        self.send("POST", "/v1/vm/plan", vm, spec)
    }

    fn clone_vm(&self, vm: &Path, spec: &CloneSpec, job: &Job) -> Result<CloneReport> {
        let operation = Operation::Clone {
            vm: vm.into(),
            spec: spec.clone(),
        };
        match run(&self.link, &operation, job)? {
            Answer::Clone(report) => Ok(report),
            answer => Err(mismatched(&answer)),
        }
    }

    fn promote(&self, vm: &Path, spec: PromoteSpec, job: &Job) -> Result<Promoted> {
        let vm = vm.into();
        match run(&self.link, &Operation::Promote { vm, spec }, job)? {
            Answer::Promoted(done) => Ok(done),
            answer => Err(mismatched(&answer)),
        }
    }

    fn relink(&self, vm: &Path, spec: &RelinkSpec, job: &Job) -> Result<Relinked> {
        let (vm, spec) = (vm.into(), spec.clone());
        match run(&self.link, &Operation::Relink { vm, spec }, job)? {
            Answer::Relinked(done) => Ok(done),
            answer => Err(mismatched(&answer)),
        }
    }

    fn delete(&self, vm: &Path, spec: DeleteSpec, job: &Job) -> Result<()> {
        let vm = vm.into();
        self.done(&Operation::Delete { vm, spec }, job)
    }

    fn lineage(&self, vm: &Path) -> Result<Lineage> {
        self.of_vm::<FlatLineage>("/v1/vm/lineage", vm)?.try_into()
    }

    fn power_on(&self, vm: &Path, spec: &StartSpec, job: &Job) -> Result<()> {
        let (vm, spec) = (vm.into(), spec.clone());
        self.done(&Operation::PowerOn { vm, spec }, job)
    }

    fn power_off(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()> {
        let vm = vm.into();
        self.done(&Operation::PowerOff { vm, mode }, job)
    }

    fn reset(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()> {
        let vm = vm.into();
        self.done(&Operation::Reset { vm, mode }, job)
    }

    fn pause(&self, vm: &Path, job: &Job) -> Result<()> {
        self.done(&Operation::Pause { vm: vm.into() }, job)
    }

    fn unpause(&self, vm: &Path, job: &Job) -> Result<()> {
        self.done(&Operation::Unpause { vm: vm.into() }, job)
    }

    fn suspend(&self, vm: &Path, mode: StopMode, job: &Job) -> Result<()> {
        let vm = vm.into();
        self.done(&Operation::Suspend { vm, mode }, job)
    }

    fn upgrade_hardware(&self, vm: &Path, job: &Job) -> Result<()> {
        self.done(&Operation::UpgradeHardware { vm: vm.into() }, job)
    }

    fn device(&self, vm: &Path, call: &DeviceCall, job: &Job) -> Result<()> {
        let (vm, call) = (vm.into(), call.clone());
        self.done(&Operation::Device { vm, call }, job)
    }

    fn read_variable(&self, vm: &Path, variable: &Variable) -> Result<String> {
        self.send("POST", "/v1/vm/variable", vm, variable)
    }

    fn write_variable(&self, vm: &Path, variable: &Variable, value: &str) -> Result<()> {
        self.send("PUT", "/v1/vm/variable", vm, &(variable, value))
    }

    fn guest(
        &self,
        vm: &Path,
        login: Option<&Login>,
        call: &GuestCall,
        job: &Job,
    ) -> Result<GuestAnswer> {
        let operation = Operation::Guest {
            vm: vm.into(),
            login: login.cloned(),
            call: call.clone(),
        };
        match run(&self.link, &operation, job)? {
            Answer::Guest(answer) => Ok(answer),
            answer => Err(mismatched(&answer)),
        }
    }

    fn disk_info(&self, path: &Path) -> Result<DiskReport> {
        self.get("/v1/disk", &[("path", text_of(path)?)])
    }

    fn disk_map(&self, path: &Path) -> Result<Vec<MapEntry>> {
        self.get("/v1/disk/map", &[("path", text_of(path)?)])
    }

    fn disk_check(&self, path: &Path, job: &Job) -> Result<CheckReport> {
        let path = path.into();
        match run(&self.link, &Operation::CheckDisk { path }, job)? {
            Answer::Check(report) => Ok(report),
            answer => Err(mismatched(&answer)),
        }
    }

    fn disk(&self, path: &Path, call: &DiskCall, job: &Job) -> Result<DiskAnswer> {
        let (path, call) = (path.into(), call.clone());
        match run(&self.link, &Operation::Disk { path, call }, job)? {
            Answer::Disk(answer) => Ok(answer),
            answer => Err(mismatched(&answer)),
        }
    }
}
