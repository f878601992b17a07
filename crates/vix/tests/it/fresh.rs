//! A VM that somebody else changes is seen as it is now, not as it was when it was opened.

use std::path::Path;

use replix::clone::DeleteSpec;
use replix::snapshot::NewSnapshot;
use replix_testkit::{Content, DiskType, VmBuilder, folder};
use vix::constants::*;
use vix::{Handle, Library, Text, Value};

use crate::stress::{here, library};

fn result(library: &Library, job: Handle) -> Handle {
    let values = library
        .wait(job, &[VIX_PROPERTY_JOB_RESULT_HANDLE])
        .unwrap();
    library.release(job);
    match &values[0] {
        Value::Handle(Some(handle)) => handle.give(),
        other => panic!("no handle: {other:?}"),
    }
}

fn open(library: &Library, vmx: &Path) -> Handle {
    let host = result(library, library.connect(here(), None));
    let path = Text::Some(vmx.to_str().unwrap().into());
    let job = library.open_vm(host, path, VIX_VMOPEN_NORMAL, VIX_INVALID_HANDLE, None);
    result(library, job)
}

#[test]
fn vm_is_seen_as_others_leave_it() {
    let folder = folder();
    let disk = (DiskType::MonolithicSparse, Content::Zero, 1 << 20);
    let vm = VmBuilder::new(folder.path(), "web")
        .disk(disk.0, disk.1, disk.2)
        .build();
    let library = library();
    let handle = open(&library, &vm.vmx);
    let name = || match library.read(handle, &[VIX_PROPERTY_VM_NAME]) {
        Ok(values) => match &values[0] {
            Value::Text(name) => Ok(name.clone()),
            other => panic!("{other:?}"),
        },
        Err(fault) => Err(fault.code),
    };
    assert_eq!(name().as_deref(), Ok("web"));
    assert_eq!(library.num_root_snapshots(handle).unwrap(), 0);

    let other = replix::Host::local_with(replix::vm::Settings::default());
    let theirs = other.open(&vm.vmx).unwrap();
    theirs
        .create_snapshot(NewSnapshot::default())
        .wait()
        .unwrap();
    let config = vm
        .config()
        .replace("displayName = \"web\"", "displayName = \"shop\"");
    std::fs::write(&vm.vmx, config).unwrap();
    assert_eq!(library.num_root_snapshots(handle).unwrap(), 1);
    assert_eq!(name().as_deref(), Ok("shop"));
    let snapshot = library.current_snapshot(handle).unwrap();
    assert_eq!(library.num_child_snapshots(snapshot).unwrap(), 0);

    let uid = theirs.snapshots().unwrap().current.unwrap();
    let wanted = replix::snapshot::SnapshotRef::Uid(uid);
    theirs.remove_snapshot(wanted, false).wait().unwrap();
    let gone = library.num_child_snapshots(snapshot).unwrap_err();
    assert_eq!(gone.code, VIX_E_SNAPSHOT_NOTFOUND);

    let all = DeleteSpec {
        disks: true,
        force: false,
    };
    theirs.delete(all).wait().unwrap();
    assert_eq!(name(), Err(VIX_E_VM_NOT_FOUND));
}
