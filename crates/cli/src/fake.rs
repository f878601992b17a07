//! A host that only remembers what it was asked to do, for the tests of the programs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use replix::clone::{CloneKind, ClonePlan, CloneReport, CloneSpec, DeleteSpec, Lineage};
use replix::clone::{
    LineageNode, PlannedDisk, PromoteSpec, Promoted, RelinkSpec, Relinked, RelinkedDisk,
};
use replix::disk::{
    CheckReport, Comparison, DiskAnswer, DiskCall, DiskReport, LinkReport, MapEntry, Moved,
    RepairReport,
};
use replix::guest::{GuestAnswer, GuestCall, GuestFile, GuestProcess, Login};
use replix::host::Provider;
use replix::power::{Console, ScreenServer, StartSpec, StopMode};
use replix::snapshot::{
    Consolidated, NewSnapshot, RevertSpec, Snapshot, SnapshotRef, SnapshotTree,
};
use replix::vm::{
    Boot, DeviceCall, DeviceInfo, DiskInfo, MediumInfo, NicInfo, PowerState, Variable, VmInfo,
    VmSummary,
};
use replix::{Error, Host, Job, Kind, Result};

/// A host with one VM, `/vms/web/web.vmx`.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    calls: Arc<Mutex<Vec<String>>>,
    /// The kind that every job fails with, where it is to fail.
    fails: Option<Kind>,
    /// How many clones there is room for, where that is limited.
    clones: Option<usize>,
    /// Whether the VM runs.
    on: bool,
    /// Whether jobs end only when they are cancelled.
    slow: bool,
    /// What programs in the guest end with.
    exit_code: i32,
}

impl Fake {
    /// Returns a fake whose jobs fail with `kind`.
    pub(crate) fn failing(kind: Kind) -> Self {
        Self {
            fails: Some(kind),
            ..Self::default()
        }
    }

    /// Returns a fake that makes `limit` clones and no more.
    pub(crate) fn with_room_for(limit: usize) -> Self {
        Self {
            clones: Some(limit),
            ..Self::default()
        }
    }

    /// Returns a fake whose VM runs, and the programs in it end with `exit_code`.
    pub(crate) fn running(exit_code: i32) -> Self {
        Self {
            on: true,
            exit_code,
            ..Self::default()
        }
    }

    /// Returns a fake whose jobs end only when they are cancelled.
    pub(crate) fn slow() -> Self {
        Self {
            slow: true,
            ..Self::default()
        }
    }

    /// Returns the fake as a host.
    pub(crate) fn connect(&self) -> impl Fn(&[PathBuf]) -> Result<Host> + 'static {
        let fake = self.clone();
        move |_| Ok(Host::new(fake.clone()))
    }

    /// Returns what it was asked to do, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn done(&self, call: String, job: &Job) -> Result<()> {
        self.calls.lock().unwrap().push(call);
        job.warn("the weather is odd");
        if self.slow {
            loop {
                job.check()?;
                std::thread::yield_now();
            }
        }
        match self.fails {
            Some(kind) => Err(Error::new(kind, "why it failed").at(Path::new("/vms/web/x"))),
            None => Ok(()),
        }
    }
}

impl Provider for Fake {
    fn open(&self, path: &Path) -> Result<PathBuf> {
        match path.ends_with("web.vmx") || path.starts_with("/clones") {
            true => Ok(path.to_path_buf()),
            false => Err(Error::new(Kind::VmNotFound, "there is no VM").at(path)),
        }
    }

    fn info(&self, vm: &Path) -> Result<VmInfo> {
        Ok(VmInfo {
            path: vm.to_path_buf(),
            ..info()
        })
    }

    fn state(&self, _: &Path) -> Result<PowerState> {
        Ok(if self.on {
            PowerState::On
        } else {
            PowerState::Off
        })
    }

    fn summary(&self, _: &Path) -> Result<VmSummary> {
        let info = info();
        Ok(VmSummary {
            display_name: info.display_name,
            guest_os: info.guest_os,
            memory_mib: info.memory_mib,
            cpus: info.cpus,
            read_only: info.read_only,
            encrypted: info.encrypted,
            has_agent: false,
        })
    }

    fn disk_problems(&self, _: &Path) -> Result<Vec<String>> {
        Ok(info()
            .disks
            .into_iter()
            .filter_map(|disk| disk.problem)
            .collect())
    }

    fn console(&self, _: &Path) -> Result<Console> {
        Ok(Console {
            serial: Vec::new(),
            screen: Some(ScreenServer {
                address: Ipv4Addr::UNSPECIFIED.into(),
                port: 5901,
                protected: true,
            }),
        })
    }

    fn running(&self) -> Result<Vec<PathBuf>> {
        Ok(vec!["/vms/web/web.vmx".into(), "/vms/b c/b.vmx".into()])
    }

    fn register(&self, vm: &Path) -> Result<()> {
        self.done(format!("register {}", vm.display()), &Job::new())
    }

    fn unregister(&self, vm: &Path) -> Result<()> {
        self.done(format!("unregister {}", vm.display()), &Job::new())
    }

    fn registered(&self) -> Result<Vec<PathBuf>> {
        Ok(vec!["/vms/web/web.vmx".into()])
    }

    fn snapshots(&self, _: &Path) -> Result<SnapshotTree> {
        let tree = tree(&[(1, None, "base"), (2, Some(1), "after setup")]);
        Ok(SnapshotTree {
            current: Some(2),
            ..tree
        })
    }

    fn create_snapshot(&self, _: &Path, new: &NewSnapshot, job: &Job) -> Result<Snapshot> {
        self.done(format!("create {new:?}"), job)?;
        let [mut snapshot] = <[_; 1]>::try_from(tree(&[(3, Some(2), "")]).snapshots).unwrap();
        snapshot.name.clone_from(&new.name);
        Ok(snapshot)
    }

    fn revert(&self, _: &Path, spec: &RevertSpec, job: &Job) -> Result<()> {
        self.done(format!("revert {spec:?}"), job)
    }

    fn remove_snapshot(
        &self,
        _: &Path,
        snapshot: &SnapshotRef,
        children: bool,
        job: &Job,
    ) -> Result<()> {
        self.done(format!("remove {snapshot:?}, children: {children}"), job)
    }

    fn consolidate(&self, _: &Path, job: &Job) -> Result<Consolidated> {
        self.done("consolidate".into(), job)?;
        Ok(Consolidated {
            links: 2,
            bytes: 3 << 20,
        })
    }

    fn plan_clone(&self, vm: &Path, spec: &CloneSpec) -> Result<ClonePlan> {
        Ok(ClonePlan {
            source: vm.to_path_buf(),
            destination: spec.destination.clone(),
            kind: spec.kind,
            ..plan()
        })
    }

    fn clone_vm(&self, _: &Path, spec: &CloneSpec, job: &Job) -> Result<CloneReport> {
        self.done(format!("clone {spec:?}"), job)?;
        if self.clones.is_some_and(|limit| self.calls().len() > limit) {
            return Err(Error::new(Kind::NoSpace, "no space left").hint("make some"));
        }
        Ok(CloneReport {
            path: spec.destination.clone(),
            kind: spec.kind,
            snapshot: Some("base".into()),
            bytes: 65536,
            moved: Moved {
                shared: 0,
                handed_over: 0,
                written: 65536,
            },
            warnings: vec!["ethernet0 keeps its static address".into()],
        })
    }

    fn promote(&self, vm: &Path, spec: PromoteSpec, job: &Job) -> Result<Promoted> {
        self.done(format!("promote {} {spec:?}", vm.display()), job)?;
        if self.clones.is_some() {
            return Err(Error::new(Kind::NoSpace, "no space left").hint("make some"));
        }
        Ok(Promoted {
            parent: Some("/vms/base/base.vmx".into()),
            disks: 1,
            bytes: 65536,
        })
    }

    fn relink(&self, vm: &Path, spec: &RelinkSpec, job: &Job) -> Result<Relinked> {
        self.done(format!("relink {} {spec:?}", vm.display()), job)?;
        Ok(Relinked {
            parent: Some("/vms/base/base.vmx".into()),
            disks: vec![RelinkedDisk {
                disk: vm.with_file_name("base-cl1.vmdk"),
                parent: "/vms/base/base.vmdk".into(),
                cid: "1234abcd".into(),
                by_long_id: true,
            }],
        })
    }

    fn delete(&self, _: &Path, spec: DeleteSpec, job: &Job) -> Result<()> {
        self.done(format!("delete {spec:?}"), job)
    }

    fn lineage(&self, vm: &Path) -> Result<Lineage> {
        match vm.starts_with("/clones") {
            true => Ok(leaf(found_vm("web1", vm))),
            false => Ok(lineage()),
        }
    }

    fn power_on(&self, vm: &Path, spec: &StartSpec, job: &Job) -> Result<()> {
        self.done(format!("start {} {spec:?}", vm.display()), job)
    }

    fn power_off(&self, _: &Path, mode: StopMode, job: &Job) -> Result<()> {
        self.done(format!("stop {mode:?}"), job)
    }

    fn reset(&self, _: &Path, mode: StopMode, job: &Job) -> Result<()> {
        self.done(format!("reset {mode:?}"), job)
    }

    fn pause(&self, _: &Path, job: &Job) -> Result<()> {
        self.done("pause".into(), job)
    }

    fn unpause(&self, _: &Path, job: &Job) -> Result<()> {
        self.done("unpause".into(), job)
    }

    fn suspend(&self, _: &Path, mode: StopMode, job: &Job) -> Result<()> {
        self.done(format!("suspend {mode:?}"), job)
    }

    fn upgrade_hardware(&self, _: &Path, job: &Job) -> Result<()> {
        self.done("upgrade".into(), job)
    }

    fn device(&self, _: &Path, call: &DeviceCall, job: &Job) -> Result<()> {
        self.done(format!("{call:?}"), job)
    }

    fn read_variable(&self, _: &Path, variable: &Variable) -> Result<String> {
        self.done(format!("read {variable:?}"), &Job::new())?;
        Ok("a value".into())
    }

    fn write_variable(&self, _: &Path, variable: &Variable, value: &str) -> Result<()> {
        self.done(format!("write {variable:?} {value:?}"), &Job::new())
    }

    fn guest(
        &self,
        _: &Path,
        login: Option<&Login>,
        call: &GuestCall,
        job: &Job,
    ) -> Result<GuestAnswer> {
        self.done(format!("{call:?} as {login:?}"), job)?;
        Ok(guest_answer(call, self.exit_code))
    }

    fn disk_info(&self, path: &Path) -> Result<DiskReport> {
        let link = |name: &str, parent: Option<&str>| LinkReport {
            path: path.with_file_name(name),
            create_type: "monolithicSparse".into(),
            cid: "1234abcd".into(),
            parent_cid: "ffffffff".into(),
            parent_hint: parent.map(String::from),
            extents: vec![path.with_file_name(name)],
            allocated_bytes: 3 << 20,
            notes: Vec::new(),
        };
        Ok(DiskReport {
            links: vec![
                link("web-000001.vmdk", Some("web.vmdk")),
                link("web.vmdk", None),
            ],
            capacity_bytes: 40 << 30,
        })
    }

    fn disk_map(&self, path: &Path) -> Result<Vec<MapEntry>> {
        let entry = |offset, file: Option<PathBuf>| MapEntry {
            offset,
            length: 65536,
            file,
            file_offset: 1 << 20,
            depth: 0,
            compressed: false,
        };
        Ok(vec![entry(0, Some(path.to_path_buf())), entry(65536, None)])
    }

    fn disk(&self, path: &Path, call: &DiskCall, job: &Job) -> Result<DiskAnswer> {
        self.done(format!("disk {} {call:?}", path.display()), job)?;
        Ok(match call {
            DiskCall::Repair { dry_run } => DiskAnswer::Repaired(RepairReport {
                steps: vec!["grain table 0 takes 2 entries from its redundant copy".into()],
                left: vec!["nothing proves which grain is right".into()],
                after: (!dry_run).then(CheckReport::default),
                ..RepairReport::default()
            }),
            DiskCall::Compare { .. } => DiskAnswer::Compared(Comparison {
                capacity_bytes: [40 << 30, 41 << 30],
                first_difference: Some(65_536),
            }),
            _ => DiskAnswer::Done,
        })
    }

    fn disk_check(&self, _: &Path, job: &Job) -> Result<CheckReport> {
        let failed = self.done("check".into(), job).is_err();
        Ok(CheckReport {
            errors: failed
                .then(|| "grain 7 lies outside the file".into())
                .into_iter()
                .collect(),
            notes: vec!["not closed cleanly".into()],
            allocated_grains: 48,
        })
    }
}

/// What a guest with two processes and two files says.
fn guest_answer(call: &GuestCall, exit_code: i32) -> GuestAnswer {
    let process = |pid, owner: &str, command: &str| GuestProcess {
        pid,
        name: "init".into(),
        owner: owner.into(),
        command: command.into(),
        debugged: false,
        started_s: 0,
    };
    let file = |name: &str| GuestFile {
        name: name.into(),
        bytes: 0,
        directory: false,
        symlink: false,
        modified_s: 0,
    };
    match call {
        GuestCall::RunProgram { .. } | GuestCall::RunScript { .. } => GuestAnswer::Process {
            pid: 7,
            seconds: 1,
            exit_code,
        },
        GuestCall::FileExists { path } | GuestCall::DirectoryExists { path } => {
            GuestAnswer::Exists(path == "/there")
        }
        GuestCall::ListProcesses => GuestAnswer::Processes(vec![
            process(1, "root", "/sbin/init"),
            process(345, "me", "odd\u{1b}[2J -D\nx"),
        ]),
        GuestCall::ListDirectory { .. } => GuestAnswer::Directory(vec![file("a b"), file("c\nd")]),
        GuestCall::CreateTempFile => GuestAnswer::Text("/tmp/vmware-7".into()),
        GuestCall::ReadEnvironment { .. } => GuestAnswer::Text("/bin:\u{1b}\n/usr/bin".into()),
        GuestCall::CaptureScreen => GuestAnswer::Image(b"PNG".into()),
        _ => GuestAnswer::Done,
    }
}

/// Returns a tree of snapshots of number, parent and name.
pub(crate) fn tree(of: &[(u32, Option<u32>, &str)]) -> SnapshotTree {
    let snapshot = |&(uid, parent, name): &(u32, Option<u32>, &str)| Snapshot {
        uid,
        parent,
        name: name.into(),
        description: String::new(),
        created_us: 1_795_422_180_000_000,
        with_memory: false,
        clones: Vec::new(),
    };
    SnapshotTree {
        snapshots: of.iter().map(snapshot).collect(),
        current: None,
    }
}

/// Returns a VM with something of everything.
pub(crate) fn info() -> VmInfo {
    VmInfo {
        path: "/vms/web/web.vmx".into(),
        display_name: "Web \u{1b}[31mserver".into(),
        guest_os: "debian12-64".into(),
        hardware_version: 20,
        memory_mib: 2048,
        cpus: 2,
        firmware: "efi".into(),
        uuid_bios: Some("56 4d 00 01".into()),
        read_only: false,
        encrypted: false,
        state: PowerState::Foreign,
        holder: Some("vmware-vmx, process 4711".into()),
        disks: vec![disk("scsi0:0", true), disk("sata0:1", false)],
        media: vec![MediumInfo {
            device: "sata0:2".into(),
            kind: "cdrom-image".into(),
            file_name: "debian.iso".into(),
            present: false,
        }],
        nics: vec![NicInfo {
            device: "ethernet0".into(),
            model: "e1000".into(),
            connection: "nat".into(),
            address_type: "generated".into(),
            mac: Some("00:0c:29:01:02:03".into()),
            reachable: true,
        }],
        snapshots: 2,
        current_snapshot: Some("base".into()),
        clone_of: Some("../golden/golden.vmx".into()),
        clones: vec!["/clones/web1/web1.vmx".into()],
        template: false,
        accelerator: Some("tcg: /dev/kvm cannot be opened".into()),
        boot: Boot::of(Vec::new(), vec!["scsi0 may not be found".into()]),
        devices: vec![
            DeviceInfo::substitute("scsi0", "buslogic", "lsi53c895a")
                .remark("scsi0 may not be found"),
            DeviceInfo::same("ethernet0", "e1000", "e1000-82545em"),
            DeviceInfo::missing("vtpm", "vtpm.present"),
        ],
        warnings: vec![
            "scsi0 may not be found".into(),
            "the CD image \"debian.iso\" is missing: give it back or disconnect it".into(),
        ],
    }
}

fn disk(node: &str, found: bool) -> DiskInfo {
    let name = format!("{}.vmdk", node.replace(':', "-"));
    DiskInfo {
        node: node.into(),
        path: found.then(|| Path::new("/vms/web").join(&name)),
        file_name: name,
        mode: "persistent".into(),
        create_type: found.then(|| "monolithicSparse".into()),
        capacity_bytes: if found { 40 << 30 } else { 0 },
        depth: usize::from(found) * 3,
        own_bytes: u64::from(found) * (5 << 20),
        shared_bytes: u64::from(found) * (3 << 30),
        problem: (!found).then(|| "the file is missing".into()),
    }
}

fn plan() -> ClonePlan {
    ClonePlan {
        source: PathBuf::new(),
        destination: PathBuf::new(),
        kind: CloneKind::Full,
        snapshot: Some("base".into()),
        new_snapshot: Some("Clone".into()),
        disks: vec![PlannedDisk {
            node: "scsi0:0".into(),
            from: "/vms/web/web.vmdk".into(),
            to: "/clones/web1/web1.vmdk".into(),
            action: "link".into(),
            create_type: "monolithicSparse".into(),
            capacity_bytes: 40 << 30,
            bytes: 65536,
        }],
        files: vec![
            "/clones/web1/web1.vmx".into(),
            "/clones/web1/web1.nvram".into(),
        ],
        bytes: 70000,
        free_bytes: 100 << 30,
        seconds: 1,
        warnings: vec!["ethernet0 keeps its static address".into()],
    }
}

/// Returns a VM with two snapshots, of which one bears two clones, one out of reach.
pub(crate) fn lineage() -> Lineage {
    let lost = LineageNode::Vm {
        name: "web2".into(),
        path: "D:\\web2\\web2.vmx".into(),
        found: false,
        running: false,
    };
    let snapshot = |name: &str, uid, children| Lineage {
        children,
        own_bytes: 3 << 30,
        ..leaf(LineageNode::Snapshot {
            name: name.into(),
            uid,
            created_us: 1_795_422_180_000_000,
        })
    };
    let after = snapshot("after setup", 2, vec![leaf(LineageNode::Current)]);
    let clone = leaf(found_vm("web1", Path::new("/clones/web1/web1.vmx")));
    Lineage {
        own_bytes: 6 << 30,
        shared_bytes: 1 << 30,
        children: vec![snapshot("base", 1, vec![clone, leaf(lost), after])],
        ..leaf(found_vm("Web server", Path::new("/vms/web/web.vmx")))
    }
}

fn found_vm(name: &str, path: &Path) -> LineageNode {
    LineageNode::Vm {
        name: name.into(),
        path: path.to_path_buf(),
        found: true,
        running: name == "web1",
    }
}

fn leaf(node: LineageNode) -> Lineage {
    Lineage {
        node,
        own_bytes: 5 << 20,
        shared_bytes: 0,
        children: Vec::new(),
    }
}
