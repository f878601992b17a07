//! Everything that the engine answers and does, asked of the service, is the same.

use std::path::Path;

use replix::clone::{CloneKind, CloneSpec, DeleteSpec, PromoteSpec, RelinkSpec};
use replix::disk::{DiskAnswer, DiskCall, DiskFormat};
use replix::guest::GuestCall;
use replix::host::Provider;
use replix::power::{StartSpec, StopMode};
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::{Connection, DeviceCall, Settings, Variable, VariableKind};
use replix::{Host, Job, Kind, Result};
use replix_testkit::{Content, DiskType, TestVm, VmBuilder, same_content, tree_of};

use crate::service::Service;

fn local() -> Host {
    Host::local_with(Settings::default())
}

fn base(service: &Service) -> TestVm {
    VmBuilder::new(&service.vms(), "base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), 5 << 20)
        .build()
}

fn named(name: &str) -> NewSnapshot {
    NewSnapshot {
        name: name.into(),
        ..NewSnapshot::default()
    }
}

/// Asks both, and compares what they say; errors by their kind and whole text.
fn agree<T: std::fmt::Debug>(remote: &Host, ask: impl Fn(&dyn Provider) -> Result<T>) {
    let said = |answer: Result<T>| format!("{:?}", answer.map_err(|error| format!("{error:?}")));
    let (here, there) = (said(ask(local().provider())), said(ask(remote.provider())));
    assert_eq!(here, there);
}

#[test]
fn questions_are_answered_alike() {
    let Some(service) = Service::start() else {
        return;
    };
    let vm = base(&service);
    let remote = service.host();
    let opened = local().open(&vm.vmx).unwrap();
    for name in ["one", "two/three", "ü \u{1f600}"] {
        opened.create_snapshot(named(name)).wait().unwrap();
    }
    let spec = CloneSpec::new(CloneKind::Linked, service.vms().join("web/web.vmx"));
    opened.clone_to(spec).wait().unwrap();
    let missing = service.vms().join("no/no.vmx");
    for vmx in [vm.vmx.as_path(), &missing, Path::new("/dev/null")] {
        agree(&remote, |host| host.open(vmx));
        agree(&remote, |host| host.info(vmx));
        agree(&remote, |host| host.summary(vmx));
        agree(&remote, |host| host.disk_problems(vmx));
        agree(&remote, |host| host.state(vmx));
        agree(&remote, |host| host.console(vmx));
        agree(&remote, |host| host.snapshots(vmx));
        agree(&remote, |host| host.lineage(vmx));
    }
    let plan = CloneSpec::new(CloneKind::Full, service.vms().join("full/full.vmx"));
    agree(&remote, |host| {
        // What is free changes under our feet.
        host.plan_clone(&vm.vmx, &plan)
            .map(|plan| (plan.disks, plan.files, plan.bytes))
    });
    let disk = vm.file(&vm.value("scsi0:0.fileName").unwrap());
    agree(&remote, |host| host.disk_info(&disk));
    agree(&remote, |host| host.disk_map(&disk));
    agree(&remote, |host| host.disk_check(&disk, &Job::new()));
    agree(&remote, |host| host.disk_info(&vm.vmx));
    let copy = service.vms().join("copy.vmdk");
    let convert = DiskCall::Convert {
        to: copy.clone(),
        format: DiskFormat::MonolithicFlat,
    };
    let made = remote.provider().disk(&disk, &convert, &Job::new());
    assert_eq!(made.unwrap(), DiskAnswer::Done);
    for call in [
        DiskCall::Compare { with: copy.clone() },
        DiskCall::Compare { with: missing },
        DiskCall::Repair { dry_run: true },
    ] {
        agree(&remote, |host| host.disk(&disk, &call, &Job::new()));
    }
    let relative = DiskCall::Compare {
        with: "copy.vmdk".into(),
    };
    let error = remote.provider().disk(&disk, &relative, &Job::new());
    assert_eq!(error.unwrap_err().kind(), Kind::Argument);
}

#[test]
fn linked_clone_becomes_independent_through_the_service() {
    let Some(service) = Service::start() else {
        return;
    };
    let test_vm = base(&service);
    let vm = service.host().open(&test_vm.vmx).unwrap();
    let spec = CloneSpec::new(CloneKind::Linked, service.vms().join("web/web.vmx"));
    let web = vm.clone_to(spec).wait().unwrap().vm;
    let relinked = web.relink(RelinkSpec::default()).wait().unwrap();
    assert_eq!(relinked.parent.as_deref(), Some(vm.path()));
    let done = web.promote(PromoteSpec { remove_base: true }).wait();
    let done = done.unwrap();
    assert_eq!((done.disks, done.parent.as_deref()), (1, Some(vm.path())));
    assert!(vm.snapshots().unwrap().snapshots.is_empty());
    assert_eq!(web.consolidate().wait().unwrap().links, 0);
    let disk = |vm: &replix::Vm| vm.info().unwrap().disks[0].path.clone().unwrap();
    assert!(same_content(&disk(&vm), &disk(&web)));
}

#[test]
fn life_of_a_vm_goes_through_the_service() {
    let Some(service) = Service::start() else {
        return;
    };
    let test_vm = base(&service);
    let remote = service.host();
    let vm = remote.open(&test_vm.vmx).unwrap();
    let uid = vm.create_snapshot(named("golden")).wait().unwrap().uid;
    let before = tree_of(&service.vms().join("base"));

    let full = CloneSpec::new(CloneKind::Full, service.vms().join("full/full.vmx"));
    let full = vm.clone_to(full).wait().unwrap();
    assert!(full.report.bytes > 0);
    let disk = |vm: &replix::Vm| vm.info().unwrap().disks[0].path.clone().unwrap();
    assert!(same_content(&disk(&vm), &disk(&full.vm)));
    assert_eq!(tree_of(&service.vms().join("base")), before);

    let mut linked = CloneSpec::new(CloneKind::Linked, service.vms().join("web/web.vmx"));
    linked.snapshot = Some(SnapshotRef::Uid(uid));
    let linked = vm.clone_to(linked).wait().unwrap().vm;
    let locked = vm.remove_snapshot(SnapshotRef::Uid(uid), false).wait();
    assert_eq!(locked.unwrap_err().kind(), Kind::SnapshotLocked);

    linked
        .power_on(StartSpec {
            paused: true,
            ..StartSpec::default()
        })
        .wait()
        .unwrap();
    assert!(
        remote
            .running()
            .unwrap()
            .iter()
            .any(|vm| vm.path() == linked.path())
    );
    let variable = Variable {
        kind: VariableKind::Guest,
        name: "color".into(),
    };
    linked.write_variable(&variable, "blue & = ü").unwrap_err();
    linked.write_variable(&variable, "blue & ü").unwrap();
    assert_eq!(linked.read_variable(&variable).unwrap(), "blue & ü");
    linked.unpause().wait().unwrap();
    linked.pause().wait().unwrap();
    linked.reset(StopMode::Hard).wait().unwrap();
    let asked = linked.guest(None, GuestCall::ListProcesses).wait();
    let asked_here = local()
        .open(linked.path())
        .unwrap()
        .guest(None, GuestCall::ListProcesses);
    assert_eq!(
        asked.unwrap_err().kind(),
        asked_here.wait().unwrap_err().kind()
    );
    linked.power_off(StopMode::Hard).wait().unwrap();

    remote.register(linked.path()).unwrap();
    assert!(
        remote
            .registered()
            .unwrap()
            .iter()
            .any(|vm| vm.path() == linked.path())
    );
    remote.unregister(linked.path()).unwrap();
    assert!(
        remote
            .registered()
            .unwrap()
            .iter()
            .all(|vm| vm.path() != linked.path())
    );

    let whole = DeleteSpec {
        disks: true,
        force: false,
    };
    assert_eq!(vm.delete(whole).wait().unwrap_err().kind(), Kind::Busy);
    linked.delete(whole).wait().unwrap();
    vm.revert(SnapshotRef::Name("golden".into()))
        .wait()
        .unwrap();
    vm.remove_snapshot(SnapshotRef::Uid(uid), false)
        .wait()
        .unwrap();
    vm.upgrade_hardware().wait().unwrap();
    let to = Connection::Nat;
    vm.device(DeviceCall::AddAdapter { to }).wait().unwrap();
    assert_eq!(vm.info().unwrap().nics.len(), 1);
    vm.delete(whole).wait().unwrap();
    assert!(!test_vm.vmx.exists());
}

#[test]
fn cancelled_clone_leaves_nothing() {
    let Some(service) = Service::start() else {
        return;
    };
    let vm = VmBuilder::new(&service.vms(), "base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(2), 600 << 20)
        .build();
    let before = tree_of(&service.vms());
    let spec = CloneSpec::new(CloneKind::Full, service.vms().join("full/full.vmx"));
    let started = service.host().open(&vm.vmx).unwrap().clone_to(spec);
    crate::service::eventually("bytes are copied", || {
        started.job().progress().done_bytes > 0
    });
    started.job().cancel();
    assert_eq!(started.wait().unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(tree_of(&service.vms()), before);
}
