//! What the tests of VMs share: the host under test, and what every clone must hold.

use std::path::{Path, PathBuf};

use replix::clone::{CloneKind, CloneSpec};
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::Settings;
use replix::{Host, Kind, Vm};
use replix_testkit::{Content, DiskType, TestVm, VmBuilder, same_content};

/// 80 grains and a bit: two grain tables would be 64 MiB, this is quick.
pub const SMALL: u64 = 5 << 20;

/// This machine, with settings that no test's surroundings change.
pub fn host() -> Host {
    Host::local_with(Settings::default())
}

/// Opens a test's VM.
pub fn open(vm: &TestVm) -> Vm {
    host().open(&vm.vmx).unwrap()
}

/// A VM with one disk of mixed content.
pub fn simple(library: &Path, name: &str) -> TestVm {
    VmBuilder::new(library, name)
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
        .build()
}

/// Takes a snapshot and returns its number.
pub fn snapshot(vm: &Vm, name: &str) -> u32 {
    let new = NewSnapshot {
        name: name.into(),
        ..NewSnapshot::default()
    };
    vm.create_snapshot(new).wait().unwrap().uid
}

/// Clones, and returns the kind of error if that fails.
pub fn try_clone(vm: &Vm, spec: CloneSpec) -> Result<Vm, Kind> {
    let cloned = vm.clone_to(spec).wait();
    cloned.map(|cloned| cloned.vm).map_err(|error| error.kind())
}

/// Clones the present state to `library/NAME/NAME.vmx`.
pub fn clone(vm: &Vm, kind: CloneKind, library: &Path, name: &str) -> Vm {
    vm.clone_to(CloneSpec::new(kind, vmx(library, name)))
        .wait()
        .unwrap()
        .vm
}

/// Clones a snapshot to `library/NAME/NAME.vmx`.
pub fn clone_of(vm: &Vm, uid: u32, kind: CloneKind, library: &Path, name: &str) -> Vm {
    let mut spec = CloneSpec::new(kind, vmx(library, name));
    spec.snapshot = Some(SnapshotRef::Uid(uid));
    vm.clone_to(spec).wait().unwrap().vm
}

/// The path of the VM NAME in a library.
pub fn vmx(library: &Path, name: &str) -> PathBuf {
    library.join(name).join(format!("{name}.vmx"))
}

/// The paths of a VM's disks.
pub fn disks(vm: &Vm) -> Vec<PathBuf> {
    vm.info()
        .unwrap()
        .disks
        .into_iter()
        .map(|disk| disk.path.unwrap())
        .collect()
}

/// Asserts that two VMs' disks read the same, QEMU being the judge.
pub fn assert_same_disks(a: &Vm, b: &Vm) {
    let (a, b) = (disks(a), disks(b));
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert!(same_content(a, b), "{a:?} and {b:?} differ");
    }
}
