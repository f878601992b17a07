//! VMs for the tests in C, made and brought into their states without the library under test.

use std::fs;
use std::path::Path;

use replix::clone::{CloneKind, CloneSpec};
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::Settings;
use replix::{Host, Vm};
use replix_testkit::{Content, DiskType, TestVm, VmBuilder};

/// 80 grains: quick, and more than one of everything.
pub const SMALL: u64 = 5 << 20;

/// Opens a VM with the engine.
pub fn open(vmx: &Path) -> Vm {
    Host::local_with(Settings::default()).open(vmx).unwrap()
}

/// A VM with one disk; its firmware runs, it holds no system.
pub fn base(library: &Path) -> TestVm {
    named(library, "base")
}

/// As [`base`], called `name`.
pub fn named(library: &Path, name: &str) -> TestVm {
    VmBuilder::new(library, name)
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
        .build()
}

/// Takes a snapshot of a VM that is off.
pub fn take(vm: &TestVm, name: &str) {
    let new = NewSnapshot {
        name: name.into(),
        ..NewSnapshot::default()
    };
    open(&vm.vmx).create_snapshot(new).wait().unwrap();
}

/// Makes a linked clone of a VM's snapshot.
pub fn link(vm: &TestVm, snapshot: &str, clone: &Path) {
    let mut spec = CloneSpec::new(CloneKind::Linked, clone);
    spec.snapshot = Some(SnapshotRef::Name(snapshot.into()));
    open(&vm.vmx).clone_to(spec).wait().unwrap();
}

/// A VM with snapshots, one on the other, taken while it was off.
pub fn with_snapshots(library: &Path, names: &[&str]) -> TestVm {
    let vm = base(library);
    names.iter().for_each(|name| take(&vm, name));
    vm
}

/// A VM with the snapshots `cold`, taken while it was off, and `live`, which VMware took with the
/// memory of the running guest.
pub fn with_memory_snapshot(library: &Path) -> TestVm {
    let vm = with_snapshots(library, &["cold", "live"]);
    change(&vm.file("base.vmsd"), |text| {
        text.replace(
            "snapshot1.createTimeHigh",
            "snapshot1.type = \"1\"\nsnapshot1.createTimeHigh",
        )
    });
    fs::write(vm.file("base-Snapshot2.vmem"), b"memory").unwrap();
    vm
}

/// Suspends a VM as VMware does: its memory is in a file of which the configuration knows.
pub fn suspend(vm: &TestVm) {
    set(vm, "checkpoint.vmState", "base-1a2b3c4d.vmss");
    fs::write(vm.file("base-1a2b3c4d.vmss"), b"memory").unwrap();
}

/// Locks a file as VMware's `program` on this machine does, whose process is gone or another's.
pub fn hold(vm: &TestVm, file: &str, program: &str) {
    let folder = vm.file(&format!("{file}.lck"));
    fs::create_dir(&folder).unwrap();
    let text = format!(
        "uuid=00-11-22-33-44-55-66-77-88-99-aa-bb-cc-dd-ee-ff 12-34({program}) 1 X 34 lc=1 "
    );
    fs::write(folder.join("M12345.lck"), text).unwrap();
}

/// Adds a line to a VM's configuration, as its user does.
pub fn set(vm: &TestVm, key: &str, value: &str) {
    change(&vm.vmx, |text| format!("{text}{key} = \"{value}\"\n"));
}

/// Changes a text file, which must make a difference.
pub fn change(file: &Path, edit: impl FnOnce(&str) -> String) {
    let before = fs::read_to_string(file).unwrap();
    let after = edit(&before);
    assert_ne!(before, after, "{file:?}");
    fs::write(file, after).unwrap();
}
